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
	changed, err := makePrivate(s.Dir, 0o700)
	if err != nil {
		return fmt.Errorf("making the folder for logins private: %w", err)
	}
	if changed {
		log.Warn("others on this machine could see into the folder for logins, and can't any more", "folder", s.Dir)
	}
	changed, err = makePrivate(s.path(), 0o600)
	if err != nil {
		return fmt.Errorf("making the login private, which others on this machine may get at: %w", err)
	}
	if changed {
		log.Warn("others on this machine could get at the login, and can't any more; if you do not trust them, log out and sign in anew", "file", s.path())
	}
	return nil
}

// makePrivate takes from others what they may do with a file or folder, and tells whether there was
// something to take. What is not there is private.
func makePrivate(path string, mode fs.FileMode) (changed bool, err error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && !openToOthers(info):
		return false, nil
	case err != nil:
		return false, err
	case info.Mode()&fs.ModeSticky != 0: // as /tmp has it
		return false, fmt.Errorf("%s is for everybody on this machine; name a folder of your own in %s", path, HomeVariable)
	}
	return true, os.Chmod(path, mode)
}

// openToOthers tells whether a file or folder is for more people than its owner. On Windows, where modes
// say nothing, folders of a user are his own by what they inherit.
func openToOthers(info fs.FileInfo) bool {
	return runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0
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
