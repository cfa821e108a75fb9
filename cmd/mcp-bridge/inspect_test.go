package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"mcp-bridge/auth"
	"mcp-bridge/bridge/bridgetest"
)

// A call that is interrupted is cancelled, and the session ended.
func TestInspect_Interrupt(t *testing.T) {
	t.Setenv(auth.HomeVariable, t.TempDir())
	s := bridgetest.NewServer(bridgetest.Config{Handle: func(_ http.ResponseWriter, r *bridgetest.Request) bool {
		if r.Method == "tools/call" {
			<-r.Context().Done()
		}
		return r.Method == "tools/call"
	}})
	defer s.Close()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	var stdout, stderr bytes.Buffer
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"inspect", s.URL(), "call", "add", "a=1", "b=2"}, nil, &stdout, &stderr)
	}()
	patience, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := s.Wait(patience, func() bool { return s.Count("tools/call") == 1 }); err != nil {
		t.Fatal(err)
	}
	interrupt()
	select {
	case got := <-code:
		if got != exitFailure || stdout.Len() > 0 || stderr.String() != "mcp-bridge: error: interrupted\n" {
			t.Errorf("exit code %d, standard output %q, standard error %q", got, stdout.String(), stderr.String())
		}
	case <-patience.Done():
		t.Fatal("the command does not end")
	}
	if s.Count("notifications/cancelled") != 1 || s.Sessions() != 0 {
		t.Errorf("%d cancellations, %d sessions", s.Count("notifications/cancelled"), s.Sessions())
	}
}

func TestProgressText(t *testing.T) {
	for params, want := range map[string]string{
		`{"progress":3,"total":10}`:                        ": 3 of 10",
		`{"progress":0.5,"message":"half \u001b[2J done"}`: ": 0.5, half  [2J done",
		`{"progress":1,"total":0}`:                         ": 1",
		`{"progress":"x"}`:                                 "",
		`[]`:                                               "",
	} {
		if got := progressText(json.RawMessage(params)); got != want {
			t.Errorf("%s became %q, want %q", params, got, want)
		}
	}
}

// The line is replaced as a whole each time, and leaves nothing behind.
func TestProgressLine(t *testing.T) {
	var out bytes.Buffer
	p := startProgressLine(&out, "count")
	p.take(json.RawMessage(`{"progress":1,"total":3,"message":"a long message"}`))
	p.take(json.RawMessage(`{"progress":2}`))
	p.pause(true)
	p.take(json.RawMessage(`{"progress":7}`))
	p.pause(false)
	p.take(json.RawMessage(`{"progress":3,"message":"` + strings.Repeat("x", 200) + `"}`))
	p.close()
	lines := strings.Split(out.String(), "\r")
	if len(lines) < 6 || !strings.HasPrefix(lines[1], "count: 1 of 3, a long message (") || !strings.HasPrefix(lines[2], "count: 2 (") || len(lines[2]) < len(lines[1]) ||
		lines[len(lines)-1] != "" || strings.TrimSpace(lines[len(lines)-2]) != "" || strings.Contains(out.String(), ": 7") {
		t.Errorf("this was shown: %q", lines)
	}
	for _, line := range lines {
		if n := len([]rune(line)); n > 79 {
			t.Errorf("a line of %d characters would wrap: %q", n, line)
		}
	}
	// Nobody sees it where there is no terminal.
	if p := newProgressLine(&out, "count"); p != nil {
		t.Error("a buffer is taken for a terminal")
	}
	var none *progressLine
	none.take(json.RawMessage(`{"progress":3}`))
	none.pause(true)
	none.close()
}

// A person is asked for one value after another, and again for one that makes no sense.
func TestQuestioner(t *testing.T) {
	const schema = `{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer","description":"In years"},"color":{"enum":["red","blue"],"default":"red"},"ok":{"type":"boolean"}},"required":["name","ok"]}`
	for typed, want := range map[string]string{
		"Ann\n7\nblue\ntrue\ny\n":                `{"action":"accept","content":{"age":7,"color":"blue","name":"Ann","ok":true}}`,
		"Ann B.\r\n\r\n\r\nfalse\r\nYES\r\n":     `{"action":"accept","content":{"color":"red","name":"Ann B.","ok":false}}`,
		"Ann\nseven\n7\ngreen\n\nyes\ntrue\ny\n": `{"action":"accept","content":{"age":7,"color":"red","name":"Ann","ok":true}}`,
		"\n":                                     `{"action":"decline"}`,
		"Ann\n\n\n\n":                            `{"action":"decline"}`,
		"Ann\n7\nred\ntrue\n\n":                  `{"action":"decline"}`,
		"Ann\n7\nred\ntrue\n":                    `{"action":"cancel"}`,
		"Ann\n":                                  `{"action":"cancel"}`,
		"":                                       `{"action":"cancel"}`,
	} {
		var shown bytes.Buffer
		q := &questioner{bufio.NewReader(strings.NewReader(typed)), &shown}
		got, err := encodeJSON(q.ask("Who are you?\u001b[2J", json.RawMessage(schema)))
		if err != nil || string(got) != want {
			t.Errorf("%q became %s (%v), want %s", typed, got, err, want)
		}
		if !strings.Contains(shown.String(), "  Who are you?[2J\n") || !strings.Contains(shown.String(), "  name (string, required): ") {
			t.Errorf("this was shown:\n%s", shown.String())
		}
	}
	for typed, want := range map[string]string{"y\n": "accept", "\n": "decline", "n\n": "decline", "": "cancel"} {
		q := &questioner{bufio.NewReader(strings.NewReader(typed)), new(bytes.Buffer)}
		if got := q.ask("Delete everything?", nil); got.Action != want {
			t.Errorf("a question without values, answered with %q: %+v", typed, got)
		}
	}
}
