//go:build unix

package main

import (
	"context"
	"os/exec"
	"syscall"
)

// shellCommand returns a command of the user's, run by the shell. When ctx is done, the shell is
// killed with all that it has started.
func shellCommand(ctx context.Context, line string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", line)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return cmd
}
