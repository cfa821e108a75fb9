package main

import (
	"io"
	"os"

	"golang.org/x/sys/windows"
)

// isColourTerminal tells whether out is a console that knows colours, and has it obey them.
func isColourTerminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok {
		return false
	}
	var mode uint32
	console := windows.Handle(f.Fd())
	return windows.GetConsoleMode(console, &mode) == nil &&
		windows.SetConsoleMode(console, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}
