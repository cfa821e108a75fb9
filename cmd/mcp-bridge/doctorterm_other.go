//go:build !windows

package main

import (
	"io"
	"os"
)

// isColourTerminal tells whether out is a terminal.
func isColourTerminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
