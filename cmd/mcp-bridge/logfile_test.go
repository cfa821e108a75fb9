package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// A log that is full becomes FILE.1, and a new one is begun; two bridges that share it lose no line of the last
// two files, and none is torn.
func TestLogFileRotates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	const limit = 1000
	var bridges []*logFile
	for range 2 {
		l, err := openLogFile(path, limit)
		if err != nil {
			t.Fatal(err)
		}
		defer l.f.Close()
		bridges = append(bridges, l)
	}
	for i := range 100 {
		for n, l := range bridges {
			if _, err := fmt.Fprintf(l, "bridge %d says line %03d\n", n, i); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, name := range []string{path, path + ".1"} {
		content, err := os.ReadFile(name)
		if err != nil || len(content) == 0 || len(content) > 2*limit {
			t.Errorf("%s has %d bytes, error %v", filepath.Base(name), len(content), err)
		}
		for line := range bytes.Lines(content) {
			var n, i int
			if _, err := fmt.Sscanf(string(line), "bridge %d says line %03d\n", &n, &i); err != nil {
				t.Errorf("%s has the line %q", filepath.Base(name), line)
			}
		}
	}
	last, err := os.ReadFile(path)
	before, err1 := os.ReadFile(path + ".1")
	if all := string(before) + string(last); err != nil || err1 != nil || !bytes.Contains([]byte(all), []byte("bridge 1 says line 099")) {
		t.Errorf("the last line is in neither file: %v, %v", err, err1)
	}
}

// A log that can't be rotated goes on.
func TestLogFileThatStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := os.MkdirAll(filepath.Join(path+".1", "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := openLogFile(path, 50)
	if err != nil {
		t.Fatal(err)
	}
	defer l.f.Close()
	for range 20 {
		fmt.Fprintln(l, "a line that is to stay")
	}
	content, err := os.ReadFile(path)
	if n := bytes.Count(content, []byte("stay\n")); err != nil || n != 20 {
		t.Errorf("%d lines are there, error %v", n, err)
	}
}
