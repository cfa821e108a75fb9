package auth

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"runtime"
)

// makePrivate makes the folder and the file of the login private, if they are there (spec 4.81).
func (s *FileStorage) makePrivate() error {
	log := cmp.Or(s.Log, slog.New(slog.DiscardHandler))
	was, err := makePrivate(s.Dir, 0o700)
	switch {
	case err != nil:
		return fmt.Errorf("making the folder for logins private: %w", err)
	case was&0o022 != 0:
		log.Warn("others on this machine could change the logins in this folder, and can't any more", "folder", s.Dir)
	case was != 0: // that tells them which servers there are
		log.Info("others on this machine could see into the folder for logins, and can't any more", "folder", s.Dir)
	}
	was, err = makePrivate(s.path(), 0o600)
	if err != nil {
		return fmt.Errorf("making the login private, which others on this machine may get at: %w", err)
	}
	if was != 0 {
		log.Warn("others on this machine could get at the login, and can't any more; if you do not trust them, log out and sign in anew", "file", s.path())
	}
	return nil
}

// makePrivate takes from others what they may do with a file or folder, and returns what that was. What is
// not there is private.
func makePrivate(path string, mode fs.FileMode) (was fs.FileMode, err error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, nil
	case err != nil:
		return 0, err
	case toOthers(info) == 0:
		return 0, nil
	case info.Mode()&fs.ModeSticky != 0: // as /tmp has it
		return 0, fmt.Errorf("%s is for everybody on this machine; name a folder of your own in %s", path, HomeVariable)
	}
	return toOthers(info), os.Chmod(path, mode)
}

// toOthers returns what others than the owner may do with a file or folder. On Windows, where modes say
// nothing, folders of a user are his own by what they inherit.
func toOthers(info fs.FileInfo) fs.FileMode {
	if runtime.GOOS == "windows" {
		return 0
	}
	return info.Mode().Perm() & 0o077
}

// makeDir makes the folder, or makes an existing one private.
func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making a folder for logins: %w", err)
	}
	if _, err := makePrivate(dir, 0o700); err != nil {
		return fmt.Errorf("making the folder for logins private: %w", err)
	}
	return nil
}
