package main

import (
	"context"
	"os"
	"os/exec"
	"syscall"
)

// shellCommand returns a command of the user's, run by the shell. When ctx is done, the shell is
// killed.
func shellCommand(ctx context.Context, line string) *exec.Cmd {
	shell := os.Getenv("ComSpec")
	if shell == "" {
		shell = "cmd.exe"
	}
	cmd := exec.CommandContext(ctx, shell)
	// cmd.exe has quoting rules of its own, which those of package exec would break.
	cmd.SysProcAttr = &syscall.SysProcAttr{CmdLine: `"` + shell + `" /d /s /c "` + line + `"`, HideWindow: true}
	return cmd
}
