package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"mcp-bridge/auth"
)

// A demoHost is what an MCP host is to a stdio server: it starts it, and talks with it.
type demoHost struct {
	mcpHost
	ctx    context.Context // when it is done the bridge is killed, which ends every read
	bridge *exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Reader
	trace  *trace
}

// startDemoHost starts a bridge to the server at url, which keeps its logins in the folder home.
func startDemoHost(ctx context.Context, url, home string, stderr io.Writer, t *trace) (*demoHost, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding mcp-bridge's own program: %w", err)
	}
	h := &demoHost{ctx: ctx, trace: t}
	dir, name := filepath.Split(program)
	h.bridge = exec.CommandContext(ctx, program, url, "--browser", name+" demo visit")
	h.bridge.Env = append(withoutSettings(os.Environ()), auth.HomeVariable+"="+home,
		// The folder of the program may have a space in its name, which would be the end of a command.
		"PATH="+dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	h.bridge.Stderr = stderr
	h.bridge.WaitDelay = time.Second
	if h.stdin, err = h.bridge.StdinPipe(); err != nil {
		return nil, fmt.Errorf("starting the bridge: %w", err)
	}
	stdout, err := h.bridge.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("starting the bridge: %w", err)
	}
	h.stdout = bufio.NewReader(stdout)
	if err := h.bridge.Start(); err != nil {
		return nil, fmt.Errorf("starting the bridge: %w", err)
	}
	return h, nil
}

// withoutSettings returns env without the user's settings of mcp-bridge, which are for other
// servers than the demo's.
func withoutSettings(env []string) []string {
	var kept []string
	for _, v := range env {
		if !strings.HasPrefix(strings.ToUpper(v), "MCP_BRIDGE_") {
			kept = append(kept, v)
		}
	}
	return kept
}

// A demoAnswer is a successful answer to one request.
type demoAnswer struct {
	text     string // of the first content, if it is a tool's result
	progress int    // notifications that came before
}

// check reports an answer other than the one that was to come.
func (a demoAnswer) check(text string, progress int) error {
	if a.text != text {
		return fmt.Errorf("the tool's result is %q and should be %q", a.text, text)
	}
	if a.progress != progress {
		return fmt.Errorf("%d progress notifications came with the result %q, and should be %d", a.progress, text, progress)
	}
	return nil
}

// request sends a request and reads up to its answer.
func (h *demoHost) request(method, params string) (demoAnswer, error) {
	var a demoAnswer
	h.pipe, h.heard = h, func(m *hostMessage) error {
		if m.Method == "notifications/progress" {
			a.progress++
		}
		return nil
	}
	raw, err := h.mcpHost.request(method, params)
	if refused, ok := errors.AsType[*requestError](err); ok {
		return a, fmt.Errorf("the answer to %s is an error: %w", method, refused)
	}
	if err != nil {
		return a, err
	}
	var result struct {
		Content []struct{ Text string }
	}
	if err := json.Unmarshal(raw, &result); err != nil {
		return a, fmt.Errorf("the answer to %s can't be read: %w", method, err)
	}
	if len(result.Content) > 0 {
		a.text = result.Content[0].Text
	}
	return a, nil
}

// send writes a line to the bridge.
func (h *demoHost) send(line string) error {
	h.trace.host("→", line)
	if _, err := io.WriteString(h.stdin, line+"\n"); err != nil {
		return fmt.Errorf("writing to the bridge: %w", err)
	}
	return nil
}

// receive reads a line from the bridge.
func (h *demoHost) receive() (string, error) {
	line, err := h.stdout.ReadString('\n')
	switch {
	case errors.Is(h.ctx.Err(), context.DeadlineExceeded):
		return "", fmt.Errorf("nothing came within %v", demoTime)
	case h.ctx.Err() != nil:
		return "", errors.New("interrupted")
	case err != nil:
		return "", errors.New("the bridge ended too early")
	}
	line = strings.TrimSuffix(line, "\n")
	h.trace.host("←", line)
	return line, nil
}

// close closes the bridge's standard input, and waits until the bridge has ended.
func (h *demoHost) close() error {
	h.trace.host("→", "(end of input)")
	if err := h.stdin.Close(); err != nil {
		return fmt.Errorf("closing the bridge's input: %w", err)
	}
	for {
		if line, err := h.stdout.ReadString('\n'); err != nil {
			break
		} else {
			h.trace.host("←", strings.TrimSuffix(line, "\n"))
		}
	}
	err := h.bridge.Wait()
	if h.ctx.Err() != nil {
		return fmt.Errorf("the bridge didn't exit at the end of its input: %w", h.ctx.Err())
	}
	if err != nil {
		return fmt.Errorf("the bridge failed: %w", err)
	}
	h.trace.host("←", "(exit code 0)")
	return nil
}

// kill ends the bridge if it still runs.
func (h *demoHost) kill() {
	if h.bridge.ProcessState == nil {
		_ = h.bridge.Process.Kill()
		_ = h.bridge.Wait()
	}
}
