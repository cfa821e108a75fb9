package main

import (
	"bufio"
	"io"
	"os/exec"
	"testing"

	"mcp-bridge/bridge/bridgetest"

	"golang.org/x/sys/unix"
)

// Tokens are in the memory of a relay, and a crash writes none of it to a file.
func TestNoCoreDump(t *testing.T) {
	var mine unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &mine); err != nil {
		t.Fatal(err)
	}
	if mine.Max == 0 {
		t.Skip("nothing here can leave a core dump")
	}
	raised := unix.Rlimit{Cur: mine.Max, Max: mine.Max} // a child begins with what its parent has
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &raised); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Setrlimit(unix.RLIMIT_CORE, &mine) }()

	s := bridgetest.NewServer(bridgetest.Config{})
	defer s.Close()
	cmd := exec.CommandContext(t.Context(), "mcp-bridge", s.URL())
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	const hello = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`
	if _, err := io.WriteString(in, hello+"\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil { // it is at work
		t.Fatal(err)
	}
	var its unix.Rlimit
	if err := unix.Prlimit(cmd.Process.Pid, unix.RLIMIT_CORE, nil, &its); err != nil {
		t.Fatal(err)
	}
	if its.Cur != 0 || its.Max != mine.Max {
		t.Errorf("the limit is %+v", its)
	}
	_ = in.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
