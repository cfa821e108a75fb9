package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"mcp-bridge/bridge/bridgetest"
)

// A trace prints what happens on either side of the bridge, in the order of time.
type trace struct {
	mu    sync.Mutex
	out   io.Writer
	steps int
}

// The two legs, as columns. A line without an arrow belongs to the line above.
const (
	hostLeg   = "  host %s bridge            %s\n"
	serverLeg = "         bridge %s server   %s\n"
	goesOn    = "                           %s\n"
)

func (t *trace) sayf(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.out, format+"\n", args...)
}

// stepf announces what the following lines are about.
func (t *trace) stepf(format string, args ...any) {
	t.steps++
	t.sayf("\n%d. "+format+"\n", append([]any{t.steps}, args...)...)
}

// host prints what went over standard input or output.
func (t *trace) host(arrow, line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.out, hostLeg, arrow, short(line))
}

// server prints what went over HTTP: a request or an answer, and what it carried.
func (t *trace) server(arrow, what, body string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if what != "" {
		fmt.Fprintf(t.out, serverLeg, arrow, what)
	}
	if body != "" {
		fmt.Fprintf(t.out, goesOn, short(body))
	}
}

// handle prints a request, and has the server answer it in sight.
func (t *trace) handle(w http.ResponseWriter, r *bridgetest.Request) bool {
	what := r.Request.Method + " " + r.URL.Path
	if r.Header.Get("Mcp-Session-Id") != "" {
		what += ", with the session's id"
	}
	t.server("→", what, string(r.Body))
	r.Serve(&tracedWriter{ResponseWriter: w, trace: t})
	return true
}

// A tracedWriter prints the answer that is written to it.
type tracedWriter struct {
	http.ResponseWriter
	trace *trace
}

func (w *tracedWriter) WriteHeader(status int) {
	what := fmt.Sprintf("%d %s", status, http.StatusText(status))
	if contentType := w.Header().Get("Content-Type"); contentType != "" {
		what += ", " + contentType
	}
	if w.Header().Get("Mcp-Session-Id") != "" {
		what += ", with a new session's id"
	}
	w.trace.server("←", what, "")
	w.ResponseWriter.WriteHeader(status)
}

// Write is given one JSON body, or one event.
func (w *tracedWriter) Write(b []byte) (int, error) {
	if _, event, ok := strings.Cut(string(b), "\ndata: "); ok {
		time.Sleep(20 * time.Millisecond) // as work would take; one can see the last one reach the host
		w.trace.server("←", short(strings.TrimSpace(event)), "")
	} else {
		w.trace.server("←", "", string(b))
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets the server flush.
func (w *tracedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// short returns a message in a form that is good to read: without the member that is the same in
// each, and of a long one only the two ends.
func short(message string) string {
	const limit, head, tail = 90, 56, 31
	runes := []rune(strings.Replace(message, `"jsonrpc":"2.0",`, "", 1))
	if len(runes) <= limit {
		return string(runes)
	}
	return string(runes[:head]) + " … " + string(runes[len(runes)-tail:])
}
