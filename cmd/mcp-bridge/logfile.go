package main

import "os"

// longestLog is how many bytes the log file may have. Then it becomes the file with .1 behind its name, in
// place of the one before, and a new one is begun.
const longestLog = 10 << 20

// A logFile is a file that several bridges may append to. Its methods are for one goroutine.
type logFile struct {
	path  string
	limit int64
	f     *os.File
	size  int64
}

func openLogFile(path string, limit int64) (*logFile, error) {
	l := &logFile{path: path, limit: limit}
	return l, l.open()
}

func (l *logFile) open() error {
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return err
	}
	l.f, l.size = f, info.Size()
	return nil
}

// Write appends a line, to a new file if it would be too much for this one.
func (l *logFile) Write(line []byte) (int, error) {
	if l.size+int64(len(line)) > l.limit && l.size > 0 {
		l.rotate()
	}
	n, err := l.f.Write(line)
	l.size += int64(n)
	return n, err
}

// rotate begins a new file. If that can't be done the old one goes on: a log that is too long is better
// than none.
func (l *logFile) rotate() {
	old := l.f
	ours, err1 := old.Stat()
	now, err2 := os.Stat(l.path)
	full := err1 == nil && err2 == nil && os.SameFile(ours, now) && now.Size() >= l.limit/2 // else another bridge was faster
	if full && os.Rename(l.path, l.path+".1") != nil || err2 != nil && !os.IsNotExist(err2) {
		l.size = 0 // to be tried again after as much
		return
	}
	if l.open() != nil {
		l.f, l.size = old, 0
		return
	}
	_ = old.Close()
}
