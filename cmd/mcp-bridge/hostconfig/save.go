package hostconfig

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Save writes the file, so that there is always the old one or the new one, and returns the name of
// a copy of the old one, "" if there was none. It does not write if the file is read-only, or has
// changed since it was opened. A link stays one.
func (f *File) Save() (backup string, err error) {
	path, err := filepath.EvalSymlinks(f.Path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(f.Path); err == nil {
			return "", fmt.Errorf("%s is a link to a file that does not exist, and is left as it is", f.Path)
		}
		path, err = f.Path, nil
	}
	if err != nil {
		return "", err
	}
	mode := fs.FileMode(0o600) // there may be secrets in it
	now, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !f.exists:
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return "", err
		}
		return "", replaceFile(path, f.bytes(), mode)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return "", err
	case !f.exists || !bytes.Equal(bytes.TrimPrefix(now, bom), f.before):
		return "", fmt.Errorf("%s has changed meanwhile and is left as it is; try again", f.Path)
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	mode = info.Mode().Perm()
	if mode&0o200 == 0 {
		return "", fmt.Errorf("%s is read-only and left as it is", f.Path)
	}
	if backup, err = copyAside(path, now, mode); err != nil {
		return "", fmt.Errorf("%s is left as it is, as no copy of it could be made: %w", f.Path, err)
	}
	if err := replaceFile(path, f.bytes(), mode); err != nil {
		_ = os.Remove(backup)
		return "", err
	}
	return backup, nil
}

// bytes returns what the file is to hold.
func (f *File) bytes() []byte {
	if f.mark {
		return slices.Concat(bom, f.text)
	}
	return f.text
}

// copyAside writes text into a new file beside path, and returns its name.
func copyAside(path string, text []byte, mode fs.FileMode) (string, error) {
	name := path + ".backup-" + time.Now().Format("20060102-150405")
	for {
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
		if errors.Is(err, fs.ErrExist) { // the second one in a second
			name += "a"
			continue
		}
		if err != nil {
			return "", err
		}
		_, err = f.Write(text)
		if err := errors.Join(err, f.Close()); err != nil {
			_ = os.Remove(name)
			return "", err
		}
		return name, nil
	}
}

// replaceFile writes a file beside path and renames it.
func replaceFile(path string, text []byte, mode fs.FileMode) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if _, err := f.Write(text); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Chmod(f.Name(), mode); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
