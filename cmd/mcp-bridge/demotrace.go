package main

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"mcp-bridge/auth/authtest"
	"mcp-bridge/bridge/bridgetest"
)

// A trace prints what happens on all sides of the bridge, in the order of time.
type trace struct {
	authority *authtest.Server // stands before the server

	mu    sync.Mutex
	out   io.Writer
	steps []string
}

// The legs, as columns. A line without an arrow belongs to the line above.
const (
	hostLeg    = "  host %s bridge            %s\n"
	serverLeg  = "         bridge %s server   %s\n"
	authLeg    = "         bridge %s auth     %s\n"
	browserLeg = "        browser %s auth     %s\n"
	goesOn     = "                           %s\n"
)

func (t *trace) sayf(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.out, format+"\n", args...)
}

// step announces what the following lines are about, once.
func (t *trace) step(what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if slices.Contains(t.steps, what) {
		return
	}
	t.steps = append(t.steps, what)
	fmt.Fprintf(t.out, "\n%d. %s\n\n", len(t.steps), what)
}

// host prints what went over standard input or output.
func (t *trace) host(arrow, line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.out, hostLeg, arrow, short(line))
}

// http prints what went over a leg of HTTP: a request or an answer, and what it carried.
func (t *trace) http(leg, arrow, what, body string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if what != "" {
		fmt.Fprintf(t.out, leg, arrow, what)
	}
	if body != "" {
		fmt.Fprintf(t.out, goesOn, short(body))
	}
}

// atServer prints a request to the MCP server, and has the server answer it in sight.
func (t *trace) atServer(w http.ResponseWriter, r *bridgetest.Request) bool {
	var with []string
	if r.Header.Get("Authorization") != "" {
		with = append(with, "the token")
	}
	if r.Header.Get("Mcp-Session-Id") != "" {
		with = append(with, "the session's id")
	}
	tw := &tracedWriter{ResponseWriter: w, trace: t, leg: serverLeg, about: aboutAnswer}
	if strings.HasPrefix(r.URL.Path, "/.well-known/") {
		t.step("The bridge learns which authorization server the server trusts, and becomes a client there.")
		tw.secret, tw.about = true, func(int, http.Header) string { return ": the authorization server is at " + t.authority.URL() }
	}
	what := r.Request.Method + " " + r.URL.Path
	if len(with) > 0 {
		what += ", with " + strings.Join(with, " and ")
	}
	t.http(serverLeg, "→", what, string(r.Body))
	if !t.authority.Guard(tw, r.Request) {
		r.Serve(tw)
	}
	return true
}

// aboutAnswer says what is in the head of the MCP server's answer.
func aboutAnswer(status int, h http.Header) string {
	what := ""
	if contentType := h.Get("Content-Type"); contentType != "" {
		what += ", " + contentType
	}
	if h.Get("Mcp-Session-Id") != "" {
		what += ", with a new session's id"
	}
	if status == http.StatusUnauthorized {
		what = ": sign in first, and where it says how"
	}
	return what
}

// atAuthority prints a request to the authorization server, and has that answer it in sight. No
// token and no code is printed.
func (t *trace) atAuthority(w http.ResponseWriter, r *authtest.Request) bool {
	about, ok := authorityTalk[r.String()]
	if !ok {
		about = talk{leg: authLeg}
	}
	if about.step != "" {
		t.step(about.step)
	}
	t.http(about.leg, "→", r.String()+about.request, "")
	tw := &tracedWriter{ResponseWriter: w, trace: t, leg: about.leg, secret: true}
	tw.about = func(status int, h http.Header) string {
		if status >= http.StatusBadRequest {
			return ""
		}
		// Where the browser is sent to, without the code.
		to, _, _ := strings.Cut(h.Get("Location"), "?")
		return strings.ReplaceAll(about.answer, "{location}", to)
	}
	r.Serve(tw)
	return true
}

// A talk is a request to the authorization server and its answer, in words.
type talk struct {
	step            string // that it begins
	leg             string
	request, answer string
}

var authorityTalk = map[string]talk{
	"GET /.well-known/oauth-authorization-server": {
		leg: authLeg, answer: ": its endpoints, and what it can do"},
	"POST /register": {
		leg: authLeg, request: ": I am mcp-bridge, and the browser should come back to me at this address",
		answer: ": the bridge's client id"},
	"GET /authorize": {
		step: "The bridge opens the browser. You would now see a page that asks you; the demo presses Allow.",
		leg:  browserLeg, request: ", with the client id and the hash of a secret",
		answer: ": a page with the buttons Allow and Deny"},
	"POST /consent": {
		leg: browserLeg, request: ": Allow",
		answer: ": back to the bridge, at {location}, with a code"},
	"POST /token": {
		step: "The bridge gets a token for the code, and sends the refused message again, with the token.",
		leg:  authLeg, request: ", with the code and the secret that belongs to the hash",
		answer: ", with a token, and another to renew it"},
}

// A tracedWriter prints the answer that is written to it.
type tracedWriter struct {
	http.ResponseWriter
	trace  *trace
	leg    string
	about  func(status int, h http.Header) string // says in words what an answer is
	secret bool                                   // what it carries is not printed, be it a secret or not
}

func (w *tracedWriter) WriteHeader(status int) {
	what := fmt.Sprintf("%d %s", status, http.StatusText(status))
	if status == http.StatusUnauthorized {
		w.secret = true
	}
	w.trace.http(w.leg, "←", what+w.about(status, w.Header()), "")
	w.ResponseWriter.WriteHeader(status)
}

// Write is given one JSON body, or one event.
func (w *tracedWriter) Write(b []byte) (int, error) {
	if w.secret {
		return w.ResponseWriter.Write(b)
	}
	if _, event, ok := strings.Cut(string(b), "\ndata: "); ok {
		time.Sleep(20 * time.Millisecond) // as work would take; one can see the last one reach the host
		w.trace.http(w.leg, "←", short(strings.TrimSpace(event)), "")
	} else {
		w.trace.http(w.leg, "←", "", string(b))
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
