//go:build unix && !aix

package main

import (
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ignoreSIGPIPE has a write to a closed standard output return an error. By default it would kill
// the program, before that could end its session with the server.
func ignoreSIGPIPE() { signal.Ignore(syscall.SIGPIPE) }

// dumpNoCore has a crash leave no image of the memory behind, which tokens are in. Go leaves one only where
// GOTRACEBACK=crash asks for it, and where the kernel ends the program. It is no protection against other
// programs of the same user, who may read the files of logins as well. What cannot be limited is left.
func dumpNoCore() {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &limit); err != nil {
		return
	}
	limit.Cur = 0 // the browser inherits it, and may raise it again
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &limit)
}

// onHangup calls hangup as soon as nobody can read any more what is written to out. A write would
// tell as well, but an idle bridge writes nothing, and must not outlive its host. Only a pipe or a
// socket has a reader that can go.
func onHangup(out *os.File, hangup func()) {
	info, err := out.Stat()
	if err != nil || info.Mode()&(os.ModeNamedPipe|os.ModeSocket) == 0 {
		return
	}
	conn, err := out.SyscallConn()
	if err != nil {
		return
	}
	// Ends when the reader goes, or with the program: nothing else wakes poll.
	go func() {
		var gone bool
		err := conn.Control(func(fd uintptr) { gone = waitHangup(int32(fd)) })
		if err == nil && gone {
			hangup()
		}
	}()
}

// waitHangup returns true when the other end of fd is closed, and false if that can't be known.
func waitHangup(fd int32) bool {
	var events int16 // 0: of no interest but what poll reports in any case, errors and hang-ups
	if runtime.GOOS == "darwin" || runtime.GOOS == "ios" {
		// These report a hang-up to those alone who wait for input as well, see
		// https://github.com/NixOS/nix/pull/13847. There is input if out is also standard input.
		events = unix.POLLIN
	}
	for {
		fds := []unix.PollFd{{Fd: fd, Events: events}}
		switch _, err := unix.Poll(fds, -1); {
		case err == unix.EINTR || err == unix.EAGAIN:
		case err != nil:
			return false
		case fds[0].Revents&^unix.POLLIN != 0:
			return true
		default:
			time.Sleep(time.Second)
		}
	}
}
