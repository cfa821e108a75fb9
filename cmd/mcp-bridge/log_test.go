package main

import (
	"errors"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// logged returns what a logger with these options writes to standard error.
func logged(o *options, write func(*slog.Logger)) string {
	var out strings.Builder
	log, flush := newLogger(o, &out)
	write(log)
	flush()
	return out.String()
}

func TestLogLines(t *testing.T) {
	for name, test := range map[string]struct {
		write func(*slog.Logger)
		want  string
	}{
		"plain":    {func(l *slog.Logger) { l.Warn("the stream ended", "after", 3*time.Second) }, "mcp-bridge: warning: the stream ended after=3s\n"},
		"error":    {func(l *slog.Logger) { l.Error("no luck", "err", errors.New("a b")) }, "mcp-bridge: error: no luck err=\"a b\"\n"},
		"debug":    {func(l *slog.Logger) { l.Debug("x") }, "mcp-bridge: debug: x\n"},
		"odd":      {func(l *slog.Logger) { l.Log(t.Context(), slog.LevelInfo+1, "x") }, "mcp-bridge: info: x\n"},
		"empty":    {func(l *slog.Logger) { l.Info("x", "a", "") }, "mcp-bridge: info: x a=\"\"\n"},
		"one line": {func(l *slog.Logger) { l.Info("a\nb\x1b[0m", "c", "d\ne\x1b[0m") }, "mcp-bridge: info: a b [0m c=\"d\\ne\\x1b[0m\"\n"},
		"with":     {func(l *slog.Logger) { l.With("a", 1).WithGroup("g").With("b", 2).Info("x", "c", 3) }, "mcp-bridge: info: x a=1 g.b=2 g.c=3\n"},
		"group":    {func(l *slog.Logger) { l.Info("x", slog.Group("g", "a", 1, slog.Group("h", "b", 2))) }, "mcp-bridge: info: x g.a=1 g.h.b=2\n"},
		"notice": {func(l *slog.Logger) {
			l = l.With("not", "shown")
			l.Log(t.Context(), notice, "go to\nhttps://a/?state=x")
		}, "mcp-bridge: go to https://a/?state=x\n"},
		"inline": {func(l *slog.Logger) { l.Info("x", slog.Group("", "a", 1), slog.Attr{}) }, "mcp-bridge: info: x a=1\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := logged(&options{logLevel: slog.LevelDebug}, test.write); got != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

// Whatever shape a secret comes in, it is not shown.
func TestLogSecrets(t *testing.T) {
	o := &options{
		header:     map[string][]string{"Authorization": {"Bearer secret-token"}, "X-Quoted": {`secret "quoted" \`}, "X-Short": {"abc"}},
		headerFile: map[string][]string{"X-Key": {"secret-key", "secret-key-that-is-longer"}},
		url:        "https://user:secret-1@example.com/?key=secret-2",
		proxy:      &url.URL{Host: "proxy", User: url.UserPassword("user", "secret 3")},
		auth:       authOptions{clientSecret: "my-client-secret"},
	}
	got := logged(o, func(l *slog.Logger) {
		l.Warn(`1 secret-token, secret "quoted" \, secret-key-that-is-longer`)
		l.Warn("2", "err", errors.New("got \"Bearer secret-token\""), "values", []string{"secret-key"})
		l.With("3", `secret "quoted" \`).Warn(`4 "secret \"quoted\" \\"`)
		l.Warn("5", slog.Group("g", "a", "secret-1"), "url", o.url, "proxy", o.proxy)
		l.Warn("6 abc")
		l.Warn("7 my-client-secret")
		// An address would be no use if a part of it were hidden. What is in it is not ours to choose.
		tell(l, "8 https://example.com/secret-key/")
	})
	got, told, _ := strings.Cut(got, "mcp-bridge: 8 ")
	if told != "https://example.com/secret-key/\n" {
		t.Errorf("the address is %q", told)
	}
	if strings.Contains(got, "secret-") || strings.Contains(got, "longer") || strings.Contains(got, "secret 3") ||
		strings.Contains(got, "secret%203") || strings.Contains(got, "quoted") ||
		strings.Contains(got, "my-client") || strings.Count(got, "[secret]") < 9 {
		t.Errorf("there are secrets in\n%s", got)
	}
	if !strings.Contains(got, "6 abc") {
		t.Errorf("three letters are no secret, but miss in\n%s", got)
	}
}

// A standard error that nobody reads holds up nothing, neither a log line nor the end. What it
// costs is lines, and the log says how many.
func TestLogUnread(t *testing.T) {
	unread, stderr := io.Pipe()
	file := filepath.Join(t.TempDir(), "log")
	o := &options{logLevel: slog.LevelInfo}
	if err := o.setLogFile(file); err != nil {
		t.Fatal(err)
	}
	log, flush := newLogger(o, stderr)
	for range 1 + queueLength + 100 { // one is on its way to stderr
		log.Info("a line")
	}

	// Somebody reads after all. Between the lines before the gap and those after it is a notice.
	lines := make(chan string)
	go func() { // ends when stderr is closed
		text, _ := io.ReadAll(unread)
		lines <- string(text)
	}()
	for _, q := range log.Handler().(*logHandler).to {
		for len(q.lines) == queueLength {
			time.Sleep(time.Millisecond)
		}
	}
	log.Info("the last line")
	flush()
	_ = stderr.Close()
	got := <-lines
	before, after, ok := strings.Cut(got, "mcp-bridge: warning: ")
	if !ok || !strings.HasSuffix(after, " lines of the log were dropped here, as nobody read them\nmcp-bridge: info: the last line\n") {
		t.Errorf("no notice of the gap in\n%s", got)
	}
	if n := strings.Count(before, "a line\n"); n < queueLength {
		t.Errorf("%d lines before the gap, want %d at least", n, queueLength)
	}
	if text, err := os.ReadFile(file); err != nil || !strings.HasSuffix(string(text), "the last line\n") {
		t.Errorf("the file ends otherwise: %v", err)
	}

	// Nobody reads at the end: it waits, but not for long.
	_, stderr = io.Pipe()
	log, flush = newLogger(&options{}, stderr)
	log.Error("x")
	done := make(chan struct{})
	go func() { flush(); close(done) }() // ends after flushTimeout
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Error("flush doesn't return")
	}
	log.Error("too late, and no panic")
}
