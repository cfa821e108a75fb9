package bridge_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"mcp-bridge/bridge"
	"mcp-bridge/bridge/bridgetest"
)

// A request of the server's reaches the host as it is, be its id in use by the host or not, and the
// host's answer goes back in the session. What the host says it can do is passed on untouched.
func TestS10_ServerRequests(t *testing.T) {
	t.Parallel()
	const question = `{"jsonrpc":"2.0","id":1,"method":"elicitation/create","params":{"message":"m","requestedSchema":{}}}`
	const answer = `{"jsonrpc":"2.0","id":1,"result":{"action":"accept","content":{}}}`
	for name, onGET := range map[string]bool{"on the stream of a call": false, "on the GET stream": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answered := make(chan struct{})
			var server *bridgetest.Server
			h, server := startWith(t, bridgetest.Config{Stream: true, Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
				switch {
				case r.Method == "tools/call":
					events := r.Events(w)
					if onGET {
						server.Notify(question)
					} else if err := events.Send(question); err != nil {
						t.Errorf("sending the question: %v", err)
					}
					select {
					case <-answered:
						_ = events.Result(`{"n":1.0}`)
					case <-r.Context().Done():
					}
					return true
				case r.String() == "response":
					w.WriteHeader(http.StatusAccepted)
					close(answered)
					return true
				}
				return false
			}}, bridge.Config{}, "")
			init := `{"jsonrpc":"2.0","id":"i","method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{"sampling":{},"roots":{"listChanged":true}, "elicitation":{"x":1.0},"experimental":{"y":[1]}},"clientInfo":{"name":"t","version":"0"}}}`
			h.send(init)
			h.answer(`"i"`)
			h.send(initialized)
			eventually(t, "the GET stream opens", func() bool { return server.Streams() == 1 })
			h.send(call)
			if got := h.next(); got != question {
				t.Errorf("the host got\n%s, want\n%s", got, question)
			}
			h.send(answer)
			wantLines(t, h, []string{`{"jsonrpc":"2.0","id":1,"result":{"n":1.0}}`})
			if got := bodies(server, "initialize"); !slices.Equal(got, []string{init}) {
				t.Errorf("the server got\n%q, want\n%q", got, init)
			}
			if got := bodies(server, "response"); !slices.Equal(got, []string{answer}) {
				t.Errorf("the server got\n%q, want\n%q", got, answer)
			}
			for _, r := range server.Requests() {
				if r.String() == "response" && (r.Header.Get("Mcp-Session-Id") != "S1" || r.Header.Get("Mcp-Protocol-Version") != "2025-06-18") {
					t.Errorf("the answer has the header %v", r.Header)
				}
			}
		})
	}
}

// Requests of the server's but for ping wait until the host is ready: until it has said so, or asks
// for something itself (spec 1.25). What is no request doesn't wait.
func TestServerRequestsWaitForTheHost(t *testing.T) {
	t.Parallel()
	const roots, sampling = `{"jsonrpc":"2.0","id":1,"method":"roots/list"}`, `{"jsonrpc":"2.0","id":2,"method":"sampling/createMessage","params":{"n":1.0}}`
	const ping, log = `{"jsonrpc":"2.0","id":3,"method":"ping"}`, `{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1.0}}`
	const result = `{"jsonrpc":"2.0","id":"handshake","result":{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"s","version":"1"}}}`
	for name, tt := range map[string]struct{ ready, answer string }{
		"notifications/initialized": {initialized, ""},
		"a request":                 {`{"jsonrpc":"2.0","id":9,"method":"tools/list"}`, `{"jsonrpc":"2.0","id":9,"result":{}}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serveBytes(t, "2025-11-25", func(w http.ResponseWriter, r *http.Request, body string) bool {
				switch {
				case strings.Contains(body, `"initialize"`):
					answerEvents(w, "")
					for _, m := range []string{roots, log, sampling, ping, result} {
						moreEvents(w, "data: "+m+"\n\n")
					}
				case rawID(body) != "" && strings.Contains(body, "method"):
					answerJSON(w, `{"jsonrpc":"2.0","id":`+rawID(body)+`,"result":{}}`)
				default:
					return false
				}
				return true
			})
			h := startHost(t, bridge.Config{URL: s.URL})
			h.send(initialize(`"handshake"`, "2025-11-25"))
			for _, want := range []string{log, ping, result} {
				if got := h.next(); got != want {
					t.Errorf("the host got\n%s, want\n%s", got, want)
				}
			}
			h.send(`{"jsonrpc":"2.0","id":3,"result":{}}`) // to the server's ping
			h.send(`{"jsonrpc":"2.0","id":"p","method":"ping"}`)
			if got, want := h.next(), `{"jsonrpc":"2.0","id":"p","result":{}}`; got != want {
				t.Errorf("the host got\n%s, want\n%s", got, want)
			}
			h.send(tt.ready)
			want := []string{roots, sampling}
			if tt.answer != "" {
				want = append(want, tt.answer)
			}
			wantLines(t, h, want)
		})
	}
}
