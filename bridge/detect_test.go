package bridge_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"mcp-bridge/bridge"
	"mcp-bridge/bridge/bridgetest"
)

// endpointEvent tells where an HTTP+SSE server takes messages.
const endpointEvent = "event: endpoint\ndata: /messages?s=1\n\n"

// An oldServer is an HTTP+SSE server of one session, of which every part can be replaced.
type oldServer struct {
	refuse func(http.ResponseWriter, *bridgetest.Request) // answers a POST to the event stream's URL; nil means 405
	get    func(http.ResponseWriter, *bridgetest.Request) // answers a GET; nil means an event stream

	stream chan string // what the event stream sends
}

func (o *oldServer) handle(w http.ResponseWriter, r *bridgetest.Request) bool {
	switch {
	case r.Request.Method == http.MethodGet && o.get != nil:
		o.get(w, r)
	case r.Request.Method == http.MethodGet:
		e := r.Events(w)
		e.Raw(endpointEvent)
		for {
			select {
			case message := <-o.stream:
				e.Send(message)
			case <-r.Context().Done():
				return true
			}
		}
	case r.URL.Path == "/messages":
		w.WriteHeader(http.StatusAccepted)
		switch {
		case r.Method == "initialize":
			o.stream <- `{"jsonrpc":"2.0","id":` + string(r.ID) + `,"result":{"protocolVersion":"2024-11-05","capabilities":{},"serverInfo":{"name":"old","version":"1"}}}`
		case r.ID != nil && r.Method != "":
			o.stream <- result(string(r.ID))
		}
	case o.refuse != nil:
		o.refuse(w, r)
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
	return true
}

// A server that refuses initialize as servers did before there was streamable HTTP, and whose
// event stream begins with an endpoint, is one of those (spec 3B).
func TestH12_OldServer(t *testing.T) {
	t.Parallel()
	for name, refuse := range map[string]func(http.ResponseWriter, *bridgetest.Request){
		"405": nil,
		"404": status(404), "400": status(400), "406": status(406), "410": status(410), "415": status(415), "422": status(422),
		"404 with HTML": func(w http.ResponseWriter, _ *bridgetest.Request) {
			answerWith(w, 404, "text/html", "<pre>Cannot POST /mcp</pre>")
		},
		"400 with JSON": func(w http.ResponseWriter, _ *bridgetest.Request) {
			answerWith(w, 400, "application/json", `{"error":"missing sessionId"}`)
		},
		"405 with an error": func(w http.ResponseWriter, _ *bridgetest.Request) {
			answerWith(w, 405, "application/json", `{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Method not allowed."}}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			old := &oldServer{refuse: refuse, stream: make(chan string, 9)}
			h, s := startWith(t, bridgetest.Config{Handle: old.handle}, bridge.Config{}, "2024-11-05")
			h.send(listTools("1"))
			wantResult(t, h, "1")
			wantNothingMore(t, h)
			var got []string
			for _, r := range s.Requests() {
				got = append(got, r.String()+" "+r.URL.String())
			}
			want := []string{"initialize /mcp", "GET /mcp", "initialize /messages?s=1", "notifications/initialized /messages?s=1", "tools/list /messages?s=1"}
			if !slices.Equal(got, want) {
				t.Errorf("the server got %q, want %q", got, want)
			}
			if !strings.Contains(h.logs(), "level=WARN") { // spec 3.10
				t.Error("there was no warning")
			}
		})
	}
}

// A server that refuses initialize for another reason, and turns out not to be an old one, is not
// hidden behind that: the host hears the first error, and the next try starts anew.
func TestH12_FirstErrorCounts(t *testing.T) {
	for name, get := range map[string]func(http.ResponseWriter, *bridgetest.Request){
		"GET 405":           status(405),
		"GET 400":           status(400),
		"GET 500":           status(500),
		"GET HTML":          func(w http.ResponseWriter, _ *bridgetest.Request) { answerWith(w, 200, "text/html", "<h1>hello</h1>") },
		"GET JSON":          func(w http.ResponseWriter, _ *bridgetest.Request) { answerJSON(w, "{}") },
		"GET reset":         func(http.ResponseWriter, *bridgetest.Request) { panic(http.ErrAbortHandler) },
		"GET held back":     held,
		"a stream, empty":   text(""),
		"a stream, open":    open,
		"a stream of pings": text("event: ping\ndata: x\n\n: hb\n\n"),
		"another stream":    text("data: " + listChanged + "\n\n"),
	} {
		t.Run(name, func(t *testing.T) {
			inFakeTime(t, bridgetest.Config{Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
				if r.Request.Method == http.MethodGet {
					get(w, r)
				} else {
					answerWith(w, 400, "application/json", `{"error":"bad token format"}`)
				}
				return true
			}}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
				h := startHost(t, cfg)
				for _, id := range []string{"1", "2"} {
					h.send(initialize(id, "2025-11-25"))
					time.Sleep(time.Minute)
					wantFailure(t, h, id, "400", "bad token format")
				}
				if s.Count("initialize") != 2 || s.Count("GET") != 2 && name != "GET reset" { // net/http repeats that
					t.Errorf("the server got %q", names(s))
				}
				h.others = slices.DeleteFunc(h.others, func(line string) bool { return line == listChanged })
				wantNothingMore(t, h)
			})
		})
	}
}

// What says nothing about the transport is no reason to try another one (spec 3.23, 3.24).
func TestH12_NoFallback(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(http.ResponseWriter, *bridgetest.Request){
		"401": status(401, "WWW-Authenticate", "Bearer"), "403": status(403), "408": status(408), "429": status(429),
		"500": status(500), "501": status(501), "502": status(502), "503": status(503), "504": status(504),
		"reset": func(http.ResponseWriter, *bridgetest.Request) { panic(http.ErrAbortHandler) },
		"202":   status(202),
		"HTML":  func(w http.ResponseWriter, _ *bridgetest.Request) { answerWith(w, 200, "text/html", "<h1>hello</h1>") },
		"an error": func(w http.ResponseWriter, r *bridgetest.Request) {
			r.Fail(w, 200, -32602, "Unsupported protocol version")
		},
		"400 with an error for it": func(w http.ResponseWriter, r *bridgetest.Request) {
			r.Fail(w, 400, -32602, "Unsupported protocol version")
		},
		"elsewhere": status(307, "Location", "http://elsewhere.example/"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			old := &oldServer{refuse: answer, stream: make(chan string, 9)}
			h, s := startWith(t, bridgetest.Config{Handle: old.handle}, bridge.Config{}, "")
			h.send(initialize("1", "2025-11-25"))
			errorOf(t, h.answer("1"))
			wantNothingMore(t, h)
			if n := countHTTP(s, http.MethodGet); n != 0 {
				t.Errorf("the server got %q", names(s))
			}
		})
	}
}

// Other requests than initialize tell nothing about the transport; nor does a server that has shown
// which it speaks.
func TestH12_OnlyInitializeDecides(t *testing.T) {
	t.Parallel()
	h, s := startWith(t, bridgetest.Config{Handle: once("tools/list", status(405))}, bridge.Config{}, "2025-11-25")
	h.send(listTools("1"))
	wantFailure(t, h, "1", "405")
	h.send(listTools("2"))
	wantResult(t, h, "2")
	wantNothingMore(t, h)
	if n := countHTTP(s, http.MethodGet); n > 1 {
		t.Errorf("the server got %q", names(s))
	}
}

// A transport that the user names is the only one.
func TestH12_NamedTransport(t *testing.T) {
	t.Parallel()
	t.Run("http", func(t *testing.T) {
		t.Parallel()
		h, s := startWith(t, bridgetest.Config{HTTPSSE: true}, bridge.Config{Transport: bridge.TransportHTTP}, "")
		h.send(initialize("1", "2025-11-25"))
		wantFailure(t, h, "1", "405")
		wantNothingMore(t, h)
		if got := names(s); !slices.Equal(got, []string{"initialize"}) {
			t.Errorf("the server got %q", got)
		}
	})
	t.Run("sse", func(t *testing.T) {
		t.Parallel()
		h, s := startWith(t, bridgetest.Config{HTTPSSE: true}, bridge.Config{Transport: bridge.TransportSSE}, "2025-11-25")
		h.send(listTools("1"))
		wantResult(t, h, "1")
		wantNothingMore(t, h)
		if got := names(s); !slices.Equal(got, []string{"GET", "initialize", "notifications/initialized", "tools/list"}) {
			t.Errorf("the server got %q", got)
		}
	})
	t.Run("sse, but it is not", func(t *testing.T) {
		t.Parallel()
		h, s := startWith(t, bridgetest.Config{}, bridge.Config{Transport: bridge.TransportSSE}, "")
		h.send(initialize("1", "2025-11-25"))
		wantFailure(t, h, "1", "405")
		wantNothingMore(t, h)
		if n := countHTTP(s, http.MethodPost); n != 0 {
			t.Errorf("the server got %q", names(s))
		}
	})
}
