package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The whole demo is run by testdata/script/demo.txtar.

// What the bridge gets wrong doesn't pass for an answer.
func TestDemoHost(t *testing.T) {
	const progress = `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p1","progress":1}}` + "\n"
	const result = `{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"5"}]}}` + "\n"
	for name, test := range map[string]struct {
		output string // of the bridge
		want   string // a part of the error; "" if there is to be none
	}{
		"good":           {output: progress + result},
		"not for us":     {output: progress + `{"jsonrpc":"2.0","id":"1","result":{}}` + "\n" + result},
		"error":          {output: `{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"no server"}}` + "\n", want: "the answer to tools/call is an error: no server"},
		"end":            {output: progress, want: "waiting for the answer to tools/call: the bridge ended too early"},
		"half a line":    {output: strings.TrimSuffix(result, "\n"), want: "ended too early"},
		"no message":     {output: "hello\n", want: `no message, "hello"`},
		"wrong result":   {output: progress + strings.Replace(result, "5", "6", 1), want: `is "6" and should be "5"`},
		"progress twice": {output: progress + progress + result, want: "2 progress notifications"},
	} {
		t.Run(name, func(t *testing.T) {
			var sent, printed bytes.Buffer
			h := &demoHost{
				ctx:    t.Context(),
				stdin:  writeCloser{&sent},
				stdout: bufio.NewReader(strings.NewReader(test.output)),
				trace:  &trace{out: &printed},
			}
			answer, err := h.request("tools/call", `{"name":"add"}`)
			if err == nil {
				err = answer.check("5", 1)
			}
			switch {
			case test.want == "" && err != nil:
				t.Errorf("got the error %q", err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got the error %v, want %q", err, test.want)
			}
			if got, want := sent.String(), `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add"}}`+"\n"; got != want {
				t.Errorf("sent %q, want %q", got, want)
			}
			if !strings.Contains(printed.String(), `  host → bridge            {"id":1,"method":"tools/call"`) {
				t.Errorf("printed %q", printed.String())
			}
		})
	}
}

// demo --serve is a server until it is interrupted. The example that it prints is good JSON that names
// the server. It asks who signs in for consent, or lets everybody in.
func TestDemoServe(t *testing.T) {
	for _, autoApprove := range []bool{false, true} {
		t.Run(fmt.Sprintf("auto-approve=%t", autoApprove), func(t *testing.T) { testDemoServe(t, autoApprove) })
	}
}

func testDemoServe(t *testing.T, autoApprove bool) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	out, stdout := io.Pipe()
	var stderr bytes.Buffer
	code := make(chan int, 1)
	go func() { // ends after interrupt
		code <- run(ctx, []string{"demo", "--serve", fmt.Sprintf("--auto-approve=%t", autoApprove)}, strings.NewReader(""), stdout, &stderr)
		_ = stdout.Close()
	}()

	var text strings.Builder
	lines := bufio.NewScanner(out)
	for !strings.Contains(text.String(), "Ctrl-C") && lines.Scan() {
		text.WriteString(lines.Text() + "\n")
	}
	url := regexp.MustCompile(`http://127\.0\.0\.1:\d+/mcp`).FindString(text.String())
	if url == "" || !strings.Contains(text.String(), " login "+url+"\n") {
		t.Fatalf("no URL, or nothing about signing in, in %q; stderr: %q", text.String(), stderr.String())
	}
	example := text.String()[strings.Index(text.String(), "\n{")+1 : strings.LastIndex(text.String(), "}")+1]
	var config struct {
		MCPServers map[string]struct {
			Command string
			Args    []string
		}
	}
	if err := json.Unmarshal([]byte(example), &config); err != nil {
		t.Fatalf("the example: %v:\n%s", err, example)
	}
	if demo := config.MCPServers["demo"]; demo.Command == "" || len(demo.Args) != 1 || demo.Args[0] != url {
		t.Errorf("the example names %+v, want the URL %s", demo, url)
	}

	dir := t.TempDir()
	t.Setenv("MCP_BRIDGE_HOME", dir)
	t.Setenv("MCP_BRIDGE_BROWSER", "my-browser")
	t.Setenv(browserOpened, filepath.Join(dir, "opened"))
	t.Setenv(browserShown, filepath.Join(dir, "shown"))
	mcpBridge := func(in string, args ...string) (code int, said string) {
		var out, stderr bytes.Buffer
		code = run(t.Context(), args, strings.NewReader(in), &out, &stderr)
		return code, out.String() + stderr.String()
	}
	// Where nobody is asked, nobody can say no.
	t.Setenv("FAKE_BROWSER", "deny")
	if code, said := mcpBridge("", "login", url); (code == exitOK) != autoApprove {
		t.Errorf("who says no gets the exit code %d: %s", code, said)
	}
	t.Setenv("FAKE_BROWSER", "")
	if code, said := mcpBridge("", "login", url); code != exitOK {
		t.Errorf("who says yes gets the exit code %d: %s", code, said)
	}
	const hello = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`
	if _, said := mcpBridge(hello+"\n", url); !strings.Contains(said, `{"jsonrpc":"2.0","id":1,"result":`) {
		t.Errorf("the server says: %s", said)
	}

	interrupt()
	if got := <-code; got != exitOK {
		t.Errorf("exit code %d, want 0; stderr: %q", got, stderr.String())
	}
	if _, err := http.Get(url); err == nil {
		t.Error("the server outlived the command")
	}
}

type writeCloser struct{ io.Writer }

func (writeCloser) Close() error { return nil }
