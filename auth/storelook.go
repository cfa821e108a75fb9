package auth

import (
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"
)

// A StoreLook is what is seen of the place that a login is kept in.
type StoreLook struct {
	Dir, File         string
	DirMode, FileMode fs.FileMode // 0 for what is not there
	Err               error       // why what is kept can't be read
	Corrupt           bool        // there is no login in the file, which would be put aside
	ReadOnly          bool        // nothing can be kept in the folder
	Others            int         // other logins at this server, with other flags
	Busy              bool        // another process is getting a token
	Page              string      // where it waits for the user, "" if it does not

	record *Record
}

// look sees how a login is kept, and changes nothing.
func (s *FileStorage) look() *StoreLook {
	l := &StoreLook{Dir: s.Dir, File: s.path()}
	info, err := os.Stat(s.Dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return l
	case err != nil:
		l.Err = err
		return l
	case !info.IsDir():
		l.Err = &fs.PathError{Op: "opening", Path: s.Dir, Err: errors.New("it is no folder")}
		return l
	}
	l.DirMode, l.ReadOnly = info.Mode(), !writable(s.Dir)
	if info, err := os.Stat(l.File); err == nil {
		l.FileMode = info.Mode()
	}
	l.Others = s.others()
	l.record, l.Err = readRecord(l.File)
	if l.record != nil && l.record.Sealed {
		l.record, l.Err = s.open(l.record)
	}
	if errors.Is(l.Err, errCorrupt) {
		l.Corrupt, l.Err = true, nil
	}
	if l.Busy = s.isLocked(); l.Busy {
		l.Page = s.page()
	}
	return l
}

// isLocked tells whether somebody holds the lock at the moment. The lock's file is not made for that.
func (s *FileStorage) isLocked() bool {
	name := s.path() + ".lock"
	// Shared, so that of two who look neither takes the other for a holder.
	lock := flock.New(name, flock.SetFlag(os.O_RDONLY))
	free, err := lock.TryRLock()
	_ = lock.Close()
	return err == nil && !free
}

// others counts the logins at the same server that are other people's, or for other scopes.
func (s *FileStorage) others() int {
	server, err := url.Parse(s.Identity.Server)
	if err != nil {
		return 0
	}
	n := 0
	files, _ := filepath.Glob(filepath.Join(s.Dir, "*.json")) // no folder, no others
	for _, file := range files {
		if r, err := readRecord(file); err == nil && r != nil && file != s.path() && r.Server == display(server) {
			n++
		}
	}
	return n
}
