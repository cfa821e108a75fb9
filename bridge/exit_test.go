package bridge_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mcp-bridge/bridge"
	"mcp-bridge/bridge/bridgetest"
)

// S1: whatever the bridge waits for, it ends within five seconds of its input, and soon when it is
// told to stop; each request has its answer by then, and nothing is left.
func TestS1_EndsInEveryState(t *testing.T) {
	type handler = func(http.ResponseWriter, *bridgetest.Request)
	at := func(name string, answer handler) func(http.ResponseWriter, *bridgetest.Request) bool {
		return func(w http.ResponseWriter, r *bridgetest.Request) bool {
			if r.String() == name {
				answer(w, r)
			}
			return r.String() == name
		}
	}
	// The session is forgotten at the first call, and this message unanswered when a new one is made.
	forgetful := func(name string) func(http.ResponseWriter, *bridgetest.Request) bool {
		var forgotten atomic.Bool
		return func(w http.ResponseWriter, r *bridgetest.Request) bool {
			switch {
			case r.Method == "tools/call":
				forgotten.Store(true)
				w.WriteHeader(404)
			case forgotten.Load() && r.String() == name:
				held(w, r)
			default:
				return false
			}
			return true
		}
	}
	breakOff := func(w http.ResponseWriter, r *bridgetest.Request) { panic(http.ErrAbortHandler) }
	accepted := func(w http.ResponseWriter, r *bridgetest.Request) { w.WriteHeader(202) }

	for name, tt := range map[string]struct {
		server    bridgetest.Config
		transport bridge.Transport
		renewal   string // the message at which the making of a new session stands still
		blackHole bool   // connections are never made
		noSession bool   // initialize is not answered
	}{
		"connecting":                              {blackHole: true, noSession: true},
		"connecting, HTTP+SSE":                    {transport: bridge.TransportSSE, blackHole: true, noSession: true},
		"initialize":                              {server: bridgetest.Config{Handle: at("initialize", held)}, noSession: true},
		"initialize, half an event":               {server: bridgetest.Config{Handle: at("initialize", func(w http.ResponseWriter, r *bridgetest.Request) { r.Events(w).Raw("data: {"); held(w, r) })}, noSession: true},
		"initialize, to be resumed":               {server: bridgetest.Config{Handle: at("initialize", text("id: 1\nretry: 60000\ndata:\n\n"))}, noSession: true},
		"initialize, Retry-After":                 {server: bridgetest.Config{Handle: at("initialize", status(429, "Retry-After", "10"))}, noSession: true},
		"detecting":                               {server: bridgetest.Config{HTTPSSE: true, Handle: at("GET", held)}, noSession: true},
		"no endpoint event":                       {server: bridgetest.Config{HTTPSSE: true, Handle: at("GET", open)}, noSession: true},
		"initialize, HTTP+SSE":                    {server: bridgetest.Config{HTTPSSE: true, Handle: at("initialize", held)}, transport: bridge.TransportSSE, noSession: true},
		"initialize acknowledged, HTTP+SSE":       {server: bridgetest.Config{HTTPSSE: true, Handle: at("initialize", accepted)}, transport: bridge.TransportSSE, noSession: true},
		"notifications/initialized":               {server: bridgetest.Config{Handle: at("notifications/initialized", held)}},
		"notifications/initialized, to be resent": {server: bridgetest.Config{Handle: at("notifications/initialized", breakOff)}},
		"a call":                            {server: bridgetest.Config{Handle: at("tools/call", held)}},
		"a call, HTTP+SSE":                  {server: bridgetest.Config{HTTPSSE: true, Handle: at("tools/call", held)}},
		"a call acknowledged, HTTP+SSE":     {server: bridgetest.Config{HTTPSSE: true, Handle: at("tools/call", accepted)}},
		"a call promised on the GET stream": {server: bridgetest.Config{Stream: true, Handle: at("tools/call", accepted)}},
		"a call, Retry-After":               {server: bridgetest.Config{Handle: at("tools/call", status(429, "Retry-After", "10"))}},
		"a call, to be resumed":             {server: bridgetest.Config{Handle: at("tools/call", text("id: 1\nretry: 60000\ndata:\n\n"))}},
		"a call, being resumed": {server: bridgetest.Config{Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
			switch {
			case r.Method == "tools/call":
				text("id: 1\nretry: 10\ndata:\n\n")(w, r)
			case r.Header.Get("Last-Event-Id") != "":
				held(w, r)
			default:
				return false
			}
			return true
		}}},
		"a call, cut and cut again":    {server: bridgetest.Config{Handle: at("tools/call", breakOff)}},
		"a new session":                {renewal: "initialize"},
		"a new session, half made":     {renewal: "notifications/initialized"},
		"the GET stream, to be opened": {server: bridgetest.Config{Handle: at("GET", status(503, "Retry-After", "3000"))}},
		"the GET stream, no answer":    {server: bridgetest.Config{Handle: at("GET", held)}},
		"DELETE":                       {server: bridgetest.Config{Handle: at("DELETE", held)}},
		"everything at once":           {server: bridgetest.Config{Stream: true, Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool { held(w, r); return true }}, noSession: true},
	} {
		for how, end := range map[string]func(*host){
			"end of input": func(h *host) { h.in.Close() },
			"told to stop": func(h *host) { h.cancel() },
		} {
			t.Run(name+"/"+how, func(t *testing.T) {
				if tt.renewal != "" {
					tt.server.Handle = forgetful(tt.renewal)
				}
				inFakeTime(t, tt.server, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
					if cfg.Transport = tt.transport; tt.blackHole {
						cfg.HTTPClient.Transport.(*http.Transport).DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
							<-ctx.Done()
							return nil, ctx.Err()
						}
					}
					h := startHost(t, cfg)
					h.send(initialize("0", "2025-11-25"))
					if !tt.noSession {
						h.answer("0")
					}
					h.send(initialized)
					for _, id := range []string{"1", "2"} {
						h.send(callEcho(id))
					}
					h.send(`{"jsonrpc":"2.0","method":"notifications/x"}`)
					h.send(`{"jsonrpc":"2.0","id":3,"method":"ping"}`)
					synctest.Wait()
					time.Sleep(300 * time.Millisecond)
					began := time.Now()
					end(h)
					<-h.ended
					if took, most := time.Since(began), longestEnd; took > most || how == "told to stop" && took > 2*time.Second {
						t.Errorf("Run took %v to return", took)
					}
					if err := h.err(); err != nil {
						t.Errorf("Run returned %v", err)
					}
					want := []string{"1", "2", "3"}
					if tt.noSession {
						want = append([]string{"0"}, want...)
					}
					wantAnswers(t, h.end(), want)
				})
			})
		}
	}
}

// wantAnswers fails the test unless each of these requests has one answer among the lines.
func wantAnswers(t *testing.T, lines, ids []string) {
	t.Helper()
	count := make(map[string]int)
	for _, line := range lines {
		if !strings.Contains(line, `"method"`) {
			count[rawID(line)]++
		}
	}
	for _, id := range ids {
		if count[id] != 1 {
			t.Errorf("request %s has %d answers: %.1000q", id, count[id], lines)
		}
	}
	if len(count) != len(ids) {
		t.Errorf("answers to %v, want just those to %q", count, ids)
	}
}

// S1: a host that does not read keeps the bridge alive over HTTP+SSE no more than over streamable HTTP.
func TestS1_HostDoesNotReadHTTPSSE(t *testing.T) {
	t.Parallel()
	h, s := startWith(t, bridgetest.Config{HTTPSSE: true}, bridge.Config{Transport: bridge.TransportSSE}, "2025-11-25")
	h.pause()
	for _, id := range []string{"1", "2", "3", "4"} {
		h.send(callEcho(id))
	}
	eventually(t, "the calls arrive", func() bool { return s.Count("tools/call") == 4 })
	began := time.Now()
	h.in.Close()
	await(t, "Run returns", h.ended)
	if took := time.Since(began); took > longestEnd+time.Second { // the machine may be slow
		t.Errorf("Run took %v to return", took)
	}
	wantSession(t, s)
}
