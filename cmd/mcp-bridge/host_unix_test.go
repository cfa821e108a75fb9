//go:build unix && !aix

package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A reader that goes is noticed, be it of a pipe or of a socket, which is what Node's hosts use.
func TestHangup(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) (reader, writer *os.File){
		"pipe": func(t *testing.T) (reader, writer *os.File) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			return r, w
		},
		"socket": func(t *testing.T) (reader, writer *os.File) {
			fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
			if err != nil {
				t.Fatal(err)
			}
			return os.NewFile(uintptr(fds[0]), "reader"), os.NewFile(uintptr(fds[1]), "writer")
		},
	} {
		t.Run(name, func(t *testing.T) {
			reader, writer := open(t)
			defer writer.Close()
			hung := make(chan struct{})
			onHangup(writer, func() { close(hung) })
			if _, err := writer.WriteString("a line\n"); err != nil { // unread all the while
				t.Fatal(err)
			}
			select {
			case <-hung:
				t.Fatal("hung up while there is a reader")
			case <-time.After(20 * time.Millisecond):
			}
			_ = reader.Close()
			select {
			case <-hung:
			case <-time.After(10 * time.Second):
				t.Fatal("not noticed")
			}
		})
	}
}

// What has no reader, such as a file or a device, can't lose it.
func TestNoHangup(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	hung := make(chan struct{}, 2)
	onHangup(file, func() { hung <- struct{}{} })
	onHangup(null, func() { hung <- struct{}{} })
	select {
	case <-hung:
		t.Error("a false alarm")
	case <-time.After(20 * time.Millisecond):
	}
}
