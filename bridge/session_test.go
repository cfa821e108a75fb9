package bridge_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mcp-bridge/bridge"
	"mcp-bridge/bridge/bridgetest"
)

// names returns what the server got, each with the session that it named.
func names(s *bridgetest.Server) []string {
	var all []string
	for _, r := range s.Requests() {
		name := r.String()
		if id := r.Header.Get("Mcp-Session-Id"); id != "" {
			name += " " + id
		}
		all = append(all, name)
	}
	return all
}

// wantOnly ends the bridge, and fails the test unless just these lines came that nobody asked for.
// A bridge that got a new session tells the host that the lists may be others now.
func wantOnly(t *testing.T, h *host, want ...string) {
	t.Helper()
	if rest := append(h.others, h.end()...); !slices.Equal(rest, want) {
		t.Errorf("this came besides: %q, want %q", rest, want)
	}
}

// A server that forgot the session gets a new handshake, and the request again, once; the host sees
// nothing but the answer (spec 2.18, 2.19).
func TestN1_ForgottenSession(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]bridgetest.Config{"JSON": {}, "SSE": {SSE: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, s := startWith(t, cfg, bridge.Config{}, "2025-11-25")
			h.send(listTools("1"))
			wantResult(t, h, "1")
			s.ForgetSessions()
			h.send(callEcho("2"))
			wantResult(t, h, "2")
			wantOnly(t, h, listChanged)
			want := []string{"initialize", "notifications/initialized S1", "tools/list S1",
				"tools/call S1", "initialize", "notifications/initialized S2", "tools/call S2", "DELETE S2"}
			got := slices.DeleteFunc(names(s), func(name string) bool { return strings.HasPrefix(name, "GET") })
			if !slices.Equal(got, want) {
				t.Errorf("the server got\n%q, want\n%q", got, want)
			}
			first, second := bodies(s, "initialize")[0], bodies(s, "initialize")[1]
			if params := func(body string) string { return body[strings.Index(body, `"method"`):] }; params(first) != params(second) {
				t.Errorf("the handshake was repeated as\n%s, it was\n%s", second, first)
			}
			if s.Sessions() != 0 {
				t.Errorf("%d sessions are left", s.Sessions())
			}
		})
	}
}

// Many calls that meet a forgotten session at once need one handshake, and all are answered
// (spec 2.20).
func TestN1_ManyCallsMeetAForgottenSession(t *testing.T) {
	t.Parallel()
	const calls = 20
	for name, delay := range map[string]time.Duration{"at once": 0, "with a slow handshake": 100 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var forgotten atomic.Bool
			h, s := startWith(t, bridgetest.Config{Stream: true, Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
				if forgotten.Load() && r.Method == "initialize" {
					time.Sleep(delay)
				}
				return false
			}}, bridge.Config{}, "2025-11-25")
			eventually(t, "the GET stream opens", func() bool { return s.Streams() == 1 })
			for round := range 3 {
				forgotten.Store(true)
				s.ForgetSessions()
				for i := range calls {
					h.send(callEcho(fmt.Sprint(i)))
				}
				answered := make(map[string]bool)
				for len(answered) < calls {
					line := h.next()
					if line == listChanged {
						continue
					}
					answered[rawID(line)] = strings.Contains(line, `"result"`)
				}
				for i := range calls {
					if !answered[fmt.Sprint(i)] {
						t.Errorf("round %d: no result for %d", round, i)
					}
				}
				if n := s.Count("initialize"); n != round+2 {
					t.Errorf("round %d: %d handshakes, want one for each session", round, n)
				}
			}
			h.end()
			if s.Sessions() != 0 {
				t.Errorf("%d sessions are left", s.Sessions())
			}
		})
	}
}

// A second 404 for the same request is an error; the session that was got meanwhile stays in use.
func TestN1_SecondRefusal(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{"text": "Session not found", "JSON-RPC": `{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"Session not found"}}`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, s := startWith(t, bridgetest.Config{Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
				if r.Method == "tools/call" {
					answerWith(w, 404, "application/json", body)
				}
				return r.Method == "tools/call"
			}}, bridge.Config{}, "2025-11-25")
			h.send(callEcho("1"))
			if e := errorOf(t, h.answer("1")); !strings.Contains(e.Message, "ession not found") {
				t.Errorf("got %+v", e)
			}
			h.send(listTools("2"))
			wantResult(t, h, "2")
			if s.Count("tools/call") != 2 || s.Count("initialize") != 2 {
				t.Errorf("the server got %q", names(s))
			}
			wantOnly(t, h, listChanged)
			if s.Sessions() != 1 { // the first one, of which the server says that it has forgotten it
				t.Errorf("%d sessions are left, want 1", s.Sessions())
			}
		})
	}
}

// A new session that can't be had is an error, and is asked for again by the next request.
func TestN1_NoNewSession(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(http.ResponseWriter, *bridgetest.Request){
		"500":      status(500),
		"404":      status(404),
		"an error": func(w http.ResponseWriter, r *bridgetest.Request) { r.Fail(w, 200, -32600, "full") },
		"202":      status(202),
		"reset":    func(http.ResponseWriter, *bridgetest.Request) { panic(http.ErrAbortHandler) },
		"bad JSON": func(w http.ResponseWriter, r *bridgetest.Request) { answerJSON(w, "{") },
		"initialized refused": func(w http.ResponseWriter, r *bridgetest.Request) {
			r.Serve(w)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var fails atomic.Bool
			h, s := startWith(t, bridgetest.Config{Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
				switch {
				case !fails.Load():
					return false
				case r.Method == "initialize":
					answer(w, r)
				case name == "initialized refused" && r.Method == "notifications/initialized":
					w.WriteHeader(500)
				default:
					return false
				}
				return true
			}}, bridge.Config{}, "2025-11-25")
			h.send(listTools("0")) // follows the whole handshake
			wantResult(t, h, "0")
			s.ForgetSessions()
			fails.Store(true)
			h.send(callEcho("1"))
			wantFailure(t, h, "1", "session")
			h.send(callEcho("2"))
			wantFailure(t, h, "2", "session")
			fails.Store(false)
			h.send(callEcho("3"))
			wantResult(t, h, "3")
			wantOnly(t, h, listChanged)
			if s.Sessions() != 0 {
				t.Errorf("%d sessions are left", s.Sessions())
			}
		})
	}
}

// A 404 to a request that named no session is no sign of anything (spec 2.20, 2.36).
func TestN1_NotFoundWithoutSession(t *testing.T) {
	t.Parallel()
	h, s := startWith(t, bridgetest.Config{Stateless: true, Handle: once("tools/call", status(404))}, bridge.Config{}, "2025-11-25")
	h.send(callEcho("1"))
	wantFailure(t, h, "1", "404")
	h.send(callEcho("2"))
	wantResult(t, h, "2")
	wantNothingMore(t, h)
	if s.Count("initialize") != 1 || s.Count("tools/call") != 2 {
		t.Errorf("the server got %q", names(s))
	}
}

// A server that is not the same any more is not hidden from the host: the bridge ends, and what is
// still due is answered with errors (spec 2.19).
func TestN1_ServerChanged(t *testing.T) {
	t.Parallel()
	for name, changed := range map[string]string{
		"version":             `{"protocolVersion":"2025-03-26","capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"s","version":"1"}}`,
		"capabilities":        `{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}`,
		"no capabilities":     `{"protocolVersion":"2025-11-25","serverInfo":{"name":"s","version":"1"}}`,
		"not even an object":  `null`,
		"spelled another way": `{"serverInfo":{"name":"another","version":"2"},"capabilities":{"tools": {"listChanged" : true } },"protocolVersion":"2025-11-25"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			again := false
			h, s := startWith(t, bridgetest.Config{Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
				switch {
				case r.Method == "initialize" && again:
					w.Header().Set("Mcp-Session-Id", "S9")
					r.Answer(w, changed)
				case r.Method == "initialize":
					again = true
					return false
				case string(r.ID) == "1":
					<-r.Context().Done()
				case r.Header.Get("Mcp-Session-Id") == "S9":
					if r.ID != nil {
						r.Answer(w, "{}")
					}
				default:
					return false
				}
				return true
			}}, bridge.Config{}, "2025-11-25")
			h.send(callEcho("1"))
			eventually(t, "the call arrives", func() bool { return s.Count("tools/call") == 1 })
			s.ForgetSessions()
			h.send(callEcho("2"))
			if name == "spelled another way" {
				if got := string(h.answer("2")); got != result("2") {
					t.Errorf("got %s", got)
				}
				h.cancel() // the first call waits for ever
				return
			}
			var answered []string
			for range 2 {
				line := h.next()
				answered = append(answered, rawID(line))
				if e := errorOf(t, []byte(line)); e.Data.Source != "mcp-bridge" {
					t.Errorf("got %s", line)
				}
			}
			if slices.Sort(answered); !slices.Equal(answered, []string{"1", "2"}) {
				t.Errorf("answers to %q, want 1 and 2", answered)
			}
			if err := h.err(); !errors.Is(err, bridge.ErrSessionChanged) {
				t.Errorf("Run returned %v, want %v", err, bridge.ErrSessionChanged)
			}
			if got := names(s); !slices.Contains(got, "DELETE S9") {
				t.Errorf("the new session was not ended: %q", got)
			}
		})
	}
}

// The GET stream belongs to its session: it goes with the old one and is opened for the new one.
func TestN1_GETStreamOfANewSession(t *testing.T) {
	t.Parallel()
	const news = `{"jsonrpc":"2.0","method":"notifications/news"}`
	var closed, forgotten atomic.Bool
	h, s := startWith(t, bridgetest.Config{Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
		switch id := r.Header.Get("Mcp-Session-Id"); {
		case r.Request.Method == http.MethodGet && id == "S1": // held, though the session is forgotten
			open(w, r)
			closed.Store(true)
		case r.Request.Method == http.MethodGet:
			r.Events(w).Send(news)
			<-r.Context().Done()
		case r.Method == "tools/call" && id == "S1" && forgotten.Load():
			w.WriteHeader(404)
		default:
			return false
		}
		return true
	}}, bridge.Config{}, "2025-11-25")
	eventually(t, "the GET stream opens", func() bool { return s.Count("GET") == 1 })
	forgotten.Store(true)
	h.send(callEcho("1"))
	wantResult(t, h, "1")
	eventually(t, "the old stream is closed", closed.Load)
	for !slices.Contains(h.others, news) {
		h.others = append(h.others, h.next())
	}
	h.end()
	if n := s.Count("GET"); n != 2 {
		t.Errorf("%d GETs, want 2", n)
	}
}

// A GET stream that ends because the session is gone brings a new session by itself, so that the
// server's messages go on (spec 2.19).
func TestN1_GETStreamMeetsAForgottenSession(t *testing.T) {
	const news = `{"jsonrpc":"2.0","method":"notifications/news"}`
	inFakeTime(t, bridgetest.Config{Stream: true}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
		h := startHost(t, cfg)
		h.handshake("2025-11-25")
		synctest.Wait()
		s.ForgetSessions() // ends the stream too
		time.Sleep(5 * time.Minute)
		if s.Streams() != 1 {
			t.Fatalf("%d streams, want one: %q", s.Streams(), names(s))
		}
		s.Notify(news)
		synctest.Wait()
		wantOnly(t, h, listChanged, news)
		if s.Sessions() != 0 || s.Count("initialize") != 2 {
			t.Errorf("%d sessions are left; the server got %q", s.Sessions(), names(s))
		}
	})
}

// A notification that meets a forgotten session is not lost (spec 2.18).
func TestN1_NotificationMeetsAForgottenSession(t *testing.T) {
	t.Parallel()
	h, s := startWith(t, bridgetest.Config{}, bridge.Config{}, "2025-11-25")
	h.send(listTools("0")) // follows the whole handshake
	wantResult(t, h, "0")
	s.ForgetSessions()
	h.send(`{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}`)
	h.send(listTools("1"))
	wantResult(t, h, "1")
	wantOnly(t, h, listChanged)
	if got := names(s); !slices.Contains(got, "notifications/roots/list_changed S2") {
		t.Errorf("the server got %q", got)
	}
}

// A host that initializes twice leaves no session behind, and the second one counts.
func TestN3_HostInitializesTwice(t *testing.T) {
	t.Parallel()
	h, s := startWith(t, bridgetest.Config{Stream: true}, bridge.Config{}, "2025-06-18")
	eventually(t, "the GET stream opens", func() bool { return s.Streams() == 1 })
	h.send(initialize("1", "2025-11-25"))
	wantResult(t, h, "1")
	h.send(initialized)
	h.send(listTools("2"))
	wantResult(t, h, "2")
	eventually(t, "the first session is ended", func() bool { return s.Sessions() == 1 })
	eventually(t, "the GET stream opens for the second", func() bool { return slices.Contains(names(s), "GET S2") })
	wantNothingMore(t, h)
	got := names(s)
	if !slices.Contains(got, "DELETE S1") || !slices.Contains(got, "tools/list S2") || s.Sessions() != 0 || slices.Contains(got, "initialize S1") {
		t.Errorf("%d sessions are left; the server got %q", s.Sessions(), got)
	}
}

// A session id counts only if it came with a result of initialize (spec 2.15), and only if it can be
// sent back.
func TestN3_SessionIDs(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		first func(http.ResponseWriter, *bridgetest.Request) // answers the first initialize
		fails bool
		want  string // the session that a later request names
	}{
		"with 503": {func(w http.ResponseWriter, r *bridgetest.Request) { status(503, "Mcp-Session-Id", "BAD")(w, r) }, true, "S1"},
		"with 400": {func(w http.ResponseWriter, r *bridgetest.Request) {
			w.Header().Set("Mcp-Session-Id", "BAD")
			r.Fail(w, 400, -32602, "no")
		}, true, "S1"},
		"with an error": {func(w http.ResponseWriter, r *bridgetest.Request) {
			w.Header().Set("Mcp-Session-Id", "BAD")
			r.Fail(w, 200, -32602, "no")
		}, true, "S1"},
		"with bad JSON": {func(w http.ResponseWriter, r *bridgetest.Request) {
			w.Header().Set("Mcp-Session-Id", "BAD")
			answerJSON(w, "{")
		}, true, "S1"},
		"with 202":          {func(w http.ResponseWriter, r *bridgetest.Request) { status(202, "Mcp-Session-Id", "BAD")(w, r) }, true, "S1"},
		"any visible ASCII": {withSession("!~a/b,c;d=\"e\""), false, "!~a/b,c;d=\"e\""},
		"none":              {withSession(""), false, ""},
		"with a space":      {withSession("a b"), false, ""},
		"no ASCII":          {withSession("\xc3\xa4"), false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := once("initialize", tt.first)
			h, s := startWith(t, bridgetest.Config{Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
				if first(w, r) {
					return true
				}
				if !tt.fails && r.ID != nil {
					r.Answer(w, "{}")
					return true
				}
				return false
			}}, bridge.Config{}, "")
			h.send(initialize("1", "2025-11-25"))
			if tt.fails {
				errorOf(t, h.answer("1"))
				h.send(initialize("2", "2025-11-25"))
				wantResult(t, h, "2")
			} else {
				wantResult(t, h, "1")
			}
			h.send(listTools("3"))
			wantResult(t, h, "3")
			wantNothingMore(t, h)
			for _, r := range s.Requests() {
				want := tt.want
				if r.Method == "initialize" || r.String() == "GET" {
					want = ""
				}
				if got := r.Header.Get("Mcp-Session-Id"); got != want {
					t.Errorf("%s names session %q, want %q", r, got, want)
				}
			}
		})
	}
}

func withSession(id string) func(http.ResponseWriter, *bridgetest.Request) {
	return func(w http.ResponseWriter, r *bridgetest.Request) {
		if id != "" {
			w.Header().Set("Mcp-Session-Id", id)
		}
		r.Answer(w, `{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"s","version":"1"}}`)
	}
}

// Servers that report the loss of a session with another status are understood, where they say so
// in words.
func TestN4_SessionLossInWords(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		status int
		body   string
		lost   bool
	}{
		"no valid session":        {400, `{"jsonrpc":"2.0","error":{"code":-32000,"message":"Bad Request: No valid session ID provided"},"id":null}`, true},
		"unknown session":         {401, "unknown session", true},
		"session expired":         {503, "the session has expired", true},
		"invalid session id":      {400, `{"error":"Invalid session ID"}`, true},
		"missing session":         {400, `{"error":"Missing session"}`, true},
		"session not found":       {400, "Session not found", true},
		"does not exist":          {400, "session S1 does not exist", true},
		"bad token":               {401, "invalid token", false},
		"other 400":               {400, "unknown tool", false},
		"other 503":               {503, "come back later", false},
		"a session, but not lost": {400, "this tool needs an open browser session", false},
		"500":                     {500, "unknown session", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, s := startWith(t, bridgetest.Config{Handle: once("tools/call", func(w http.ResponseWriter, _ *bridgetest.Request) {
				answerWith(w, tt.status, "application/json", tt.body)
			})}, bridge.Config{}, "2025-11-25")
			h.send(callEcho("1"))
			initializes, calls, besides := 1, 1, []string(nil)
			if tt.lost {
				besides = []string{listChanged}
				wantResult(t, h, "1")
				initializes, calls = 2, 2
			} else {
				errorOf(t, h.answer("1"))
			}
			if s.Count("initialize") != initializes || s.Count("tools/call") != calls {
				t.Errorf("the server got %q", names(s))
			}
			wantOnly(t, h, besides...)
		})
	}
}

// A server that says so for ever is asked once; its own error for the request is passed on as it is.
func TestN4_SessionLossForEver(t *testing.T) {
	t.Parallel()
	const refusal = `{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"Unknown session of the user","data":{"big":12345678901234567890}}}`
	h, s := startWith(t, bridgetest.Config{Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
		if r.Method == "tools/call" {
			answerWith(w, 400, "application/json", strings.Replace(refusal, `"id":1`, `"id":null`, 1))
		}
		return r.Method == "tools/call"
	}}, bridge.Config{}, "2025-11-25")
	h.send(callEcho("1"))
	if got := string(h.answer("1")); got != refusal {
		t.Errorf("got %s, want %s", got, refusal)
	}
	if s.Count("initialize") != 2 || s.Count("tools/call") != 2 {
		t.Errorf("the server got %q", names(s))
	}
	wantOnly(t, h, listChanged)
}

// The session is closed at the end, however the end comes, within a bound, whatever the server says
// to that (spec 2.34).
func TestN5_SessionIsClosed(t *testing.T) {
	for name, tt := range map[string]struct {
		answer func(http.ResponseWriter, *bridgetest.Request)
		told   bool // to stop; else the input ends
	}{
		"end of input":             {nil, false},
		"told to stop":             {nil, true},
		"405":                      {status(405), false},
		"404":                      {status(404), false},
		"500":                      {status(500), false},
		"reset":                    {func(http.ResponseWriter, *bridgetest.Request) { panic(http.ErrAbortHandler) }, false},
		"no answer":                {held, false},
		"no answer, told to stop":  {held, true},
		"an answer without an end": {func(w http.ResponseWriter, r *bridgetest.Request) { open(w, r) }, false},
		"redirected":               {status(307, "Location", "http://elsewhere.example/"), false},
	} {
		t.Run(name, func(t *testing.T) {
			inFakeTime(t, bridgetest.Config{Stream: true, Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
				if r.Request.Method != http.MethodDelete || tt.answer == nil {
					return false
				}
				tt.answer(w, r)
				return true
			}}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
				h := startHost(t, cfg)
				h.handshake("2025-11-25")
				h.send(listTools("1"))
				wantResult(t, h, "1")
				synctest.Wait() // the GET stream is there
				began := time.Now()
				if tt.told {
					h.cancel()
				} else {
					h.in.Close()
				}
				if err := h.err(); err != nil {
					t.Errorf("Run returned %v", err)
				}
				if took := time.Since(began); took > 2*time.Second {
					t.Errorf("the end took %v", took)
				}
				if got := names(s); got[len(got)-1] != "DELETE S1" {
					t.Errorf("the server got %q", got)
				}
				if tt.answer == nil && s.Sessions() != 0 {
					t.Errorf("%d sessions are left", s.Sessions())
				}
			})
		})
	}
}

// What the host has set in a session is set in the new one too, before the request is sent again:
// the log level, and what it has subscribed to (spec 2.19).
func TestN1_SettingsOfTheSession(t *testing.T) {
	t.Parallel()
	h, s := startWith(t, bridgetest.Config{Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
		switch {
		case strings.Contains(string(r.Params), "file:///no"):
			r.Fail(w, 200, -32602, "no such resource")
		case r.Method == "logging/setLevel" || strings.HasPrefix(r.Method, "resources/"):
			r.Answer(w, "{}")
		default:
			return false
		}
		return true
	}}, bridge.Config{}, "2025-11-25")
	for i, message := range []string{
		`"method":"logging/setLevel","params":{"level":"debug"}`,
		`"method":"logging/setLevel","params":{"level":"error","x":1.0}`,
		`"method":"resources/subscribe","params":{"uri":"file:///a"}`,
		`"method":"resources/subscribe","params":{"uri":"file:///b"}`,
		`"method":"resources/unsubscribe","params":{"uri":"file:///a"}`,
		`"method":"resources/subscribe","params":{"uri":"file:///no"}`,
	} {
		id := fmt.Sprint(i)
		h.send(`{"jsonrpc":"2.0","id":` + id + `,` + message + `}`)
		h.answer(id)
	}
	before := len(s.Requests())
	s.ForgetSessions()
	h.send(callEcho(`"last"`))
	wantResult(t, h, `"last"`)
	var got []string
	for _, r := range s.Requests()[before:] {
		if r.String() != "GET" {
			got = append(got, r.String()+string(r.Params))
		}
	}
	if len(got) > 5 {
		slices.Sort(got[3:5]) // in whatever order
	}
	want := []string{"initialize", "notifications/initialized", `logging/setLevel{"level":"error","x":1.0}`, `resources/subscribe{"uri":"file:///b"}`}
	call := `tools/call{"name":"echo","arguments":{"text":"hi"}}`
	want = append(append([]string{call}, want...), call)
	if len(got) > 1 {
		got[1], _, _ = strings.Cut(got[1], "{") // the params of initialize
	}
	if !slices.Equal(got, want) {
		t.Errorf("the server got\n%q, want\n%q", got, want)
	}
	wantOnly(t, h, listChanged)
}
