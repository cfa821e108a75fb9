package bridge_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"mcp-bridge/bridge"
	"mcp-bridge/bridge/bridgetest"
)

// headersOf returns the headers of a request but for those that net/http makes by itself.
func headersOf(r *bridgetest.Request) map[string]string {
	got := make(map[string]string)
	for name, values := range r.Header {
		got[name] = strings.Join(values, " | ")
	}
	for _, name := range []string{"Accept-Encoding", "Content-Length", "User-Agent"} {
		delete(got, name)
	}
	return got
}

// Every request carries the headers that its revision asks for, and no other (spec 2.02, 2.03,
// 2.10, 2.12, 2.13, 2.16, 2.23, 2.31).
func TestH7_Headers(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"2025-03-26", "2025-06-18", "2025-11-25"} {
		for name, stateless := range map[string]bool{"session": false, "no session": true} {
			t.Run(version+", "+name, func(t *testing.T) {
				t.Parallel()
				user := http.Header{"Authorization": {"Bearer user-token"}, "X-Twice": {"1", "2"}}
				h, s := startWith(t, bridgetest.Config{Stateless: stateless, Stream: true, SSE: true, Handle: resumable()}, bridge.Config{Header: user}, version)
				// All kinds of requests: a call, its resumption, a notification, a response, the GET stream, DELETE.
				h.send(callEcho("1"))
				wantResult(t, h, "1")
				h.send(`{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}`)
				h.send(`{"jsonrpc":"2.0","id":9,"result":{"roots":[]}}`)
				eventually(t, "the GET stream opens", func() bool { return s.Streams() == 1 })
				wantNothingMore(t, h)

				common := map[string]string{"Authorization": "Bearer user-token", "X-Twice": "1 | 2"}
				post := with(common, "Accept", "application/json, text/event-stream", "Content-Type", "application/json")
				session := []string{"Mcp-Protocol-Version", version, "Mcp-Session-Id", "S1"}
				if stateless {
					session = session[:2]
				}
				get := with(common, append(session, "Accept", "text/event-stream")...)
				want := map[string]map[string]string{
					"initialize":                       post,
					"notifications/initialized":        with(post, session...),
					"tools/call":                       with(post, session...),
					"notifications/roots/list_changed": with(post, session...),
					"response":                         with(post, session...),
					"GET":                              get,
					"GET, resuming":                    with(get, "Last-Event-Id", "e 1"),
					"DELETE":                           with(common, session...),
				}
				if stateless {
					delete(want, "DELETE")
				}
				seen := make(map[string]int)
				for _, r := range s.Requests() {
					name, got := r.String(), headersOf(r)
					if got["Last-Event-Id"] != "" {
						name += ", resuming"
					}
					if name == "DELETE" {
						delete(got, "Accept") // allowed, and of no use
					}
					seen[name]++
					if !maps.Equal(got, want[name]) {
						t.Errorf("%s: got headers\n%v, want\n%v", name, got, want[name])
					}
				}
				for name := range want {
					if seen[name] != 1 {
						t.Errorf("%d requests of this kind, want 1: %s", seen[name], name)
					}
				}
			})
		}
	}
}

// resumable returns a Handle for a server that ends the stream of a call before its answer, once.
func resumable() func(http.ResponseWriter, *bridgetest.Request) bool {
	return func(w http.ResponseWriter, r *bridgetest.Request) bool {
		switch {
		case r.Method == "tools/call":
			r.Events(w).Raw("id: e 1\nretry: 10\ndata:\n\n")
		case r.Header.Get("Last-Event-Id") == "e 1":
			r.Events(w).Send(result("1"))
		default:
			return false
		}
		return true
	}
}

func with(m map[string]string, pairs ...string) map[string]string {
	m = maps.Clone(m)
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return m
}

// The version is that of the result, not the one that the host asked for.
func TestH7_VersionOfTheResult(t *testing.T) {
	t.Parallel()
	h, s := startWith(t, bridgetest.Config{Versions: []string{"2025-03-26"}}, bridge.Config{}, "2025-06-18")
	h.send(listTools("1"))
	wantResult(t, h, "1")
	wantNothingMore(t, h)
	for _, r := range s.Requests() {
		got, want := r.Header.Get("Mcp-Protocol-Version"), "2025-03-26"
		if r.Method == "initialize" {
			want = ""
		}
		if got != want {
			t.Errorf("%s: got version %q, want %q", r, got, want)
		}
	}
}

// User headers go with every request; a Host of the user's is the request's. What the protocol
// defines wins.
func TestUserHeaders(t *testing.T) {
	t.Parallel()
	user := http.Header{"Accept": {"text/plain"}, "Content-Type": {"text/plain"}, "Host": {"mcp.example"}, "User-Agent": {"me/1.0"}, "X-Empty": {""}}
	h, s := startWith(t, bridgetest.Config{Stream: true}, bridge.Config{Header: user}, "2025-11-25")
	eventually(t, "the GET stream opens", func() bool { return s.Streams() == 1 })
	h.send(listTools("1"))
	wantResult(t, h, "1")
	wantNothingMore(t, h)
	if len(s.Requests()) != 5 {
		t.Errorf("the server got %v", s.Requests())
	}
	for _, r := range s.Requests() {
		if got, ok := r.Header["X-Empty"]; r.Host != "mcp.example" || r.UserAgent() != "me/1.0" || !ok || got[0] != "" {
			t.Errorf("%s: got Host %q, User-Agent %q, X-Empty %q", r, r.Host, r.UserAgent(), got)
		}
		if r.Request.Method == "POST" && (r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Accept") != "application/json, text/event-stream") {
			t.Errorf("%s: got Content-Type %q, Accept %q", r, r.Header.Get("Content-Type"), r.Header.Get("Accept"))
		}
	}
}

// Where the protocol wants no such header, there is none, though the user named one.
func TestUserHeadersOfTheProtocol(t *testing.T) {
	t.Parallel()
	user := http.Header{"Mcp-Session-Id": {"mine"}, "Mcp-Protocol-Version": {"2024-11-05"}, "Last-Event-Id": {"9"}}
	h, s := startWith(t, bridgetest.Config{Stream: true}, bridge.Config{Header: user}, "2025-11-25")
	h.send(listTools("1"))
	wantResult(t, h, "1")
	eventually(t, "the GET stream opens", func() bool { return countHTTP(s, "GET") == 1 })
	wantNothingMore(t, h)
	for _, r := range s.Requests() {
		id, version := "S1", "2025-11-25"
		if r.Method == "initialize" {
			id, version = "", ""
		}
		if got := r.Header; got.Get("Mcp-Session-Id") != id || got.Get("Mcp-Protocol-Version") != version || got.Get("Last-Event-Id") != "" {
			t.Errorf("%s: got headers %v", r, got)
		}
	}
}

// No user header ever gets to another origin, wherever a redirect sends the request.
func TestH8_RedirectToAnotherOrigin(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var got []string
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, r.Method+" "+r.URL.String())
	}))
	t.Cleanup(other.Close)
	for _, code := range []int{301, 302, 303, 307, 308} {
		for name, location := range map[string]string{
			"port":      other.URL + "/mcp",
			"host":      strings.Replace(other.URL, "127.0.0.1", "localhost", 1) + "/mcp",
			"no scheme": strings.TrimPrefix(other.URL, "http:") + "/mcp",
		} {
			t.Run(http.StatusText(code)+", "+name, func(t *testing.T) {
				t.Parallel()
				redirect := func(w http.ResponseWriter, r *bridgetest.Request) bool {
					if r.Method == "initialize" || r.Method == "notifications/initialized" || r.Method == "tools/list" {
						return false
					}
					w.Header().Set("Location", location)
					w.WriteHeader(code)
					return true
				}
				h, s := startWith(t, bridgetest.Config{Stream: true, Handle: redirect}, bridge.Config{Header: http.Header{"X-Api-Key": {"key-of-the-user"}}}, "2025-11-25")
				h.send(callEcho("1"))
				says := []string{s.URL()}
				if code != 303 {
					says = append(says, other.Listener.Addr().String()[strings.LastIndex(other.Listener.Addr().String(), ":"):], "another origin")
				}
				wantFailure(t, h, "1", says...)
				h.send(listTools("2"))
				wantResult(t, h, "2")
				eventually(t, "the GET stream is asked for", func() bool { return s.Count("GET") > 0 })
				h.end() // DELETE is redirected too
				if s.Count("tools/call") != 1 || s.Count("DELETE") != 1 {
					t.Errorf("the server got %v", s.Requests())
				}
			})
		}
	}
	t.Cleanup(func() { // after the subtests
		if len(got) > 0 {
			t.Errorf("the other server got %q", got)
		}
	})
}

// https to http is another origin, though the host is the same.
func TestH8_RedirectToPlainHTTP(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the plain server got a request") }))
	t.Cleanup(plain.Close)
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, plain.URL+"/mcp", http.StatusTemporaryRedirect)
	}))
	t.Cleanup(secure.Close)
	h := startHost(t, bridge.Config{URL: secure.URL + "/mcp", HTTPClient: secure.Client(), Header: http.Header{"X-Api-Key": {"key-of-the-user"}}})
	h.send(initialize("1", "2025-11-25"))
	wantFailure(t, h, "1", secure.URL+"/mcp", plain.URL+"/mcp", "another origin")
	wantNothingMore(t, h)
}

// A redirect within the origin is followed with method, body and all headers, once: the new place
// is remembered (spec 2G). The call runs once.
func TestH8_RedirectWithinTheOrigin(t *testing.T) {
	t.Parallel()
	for _, code := range []int{301, 302, 307, 308} {
		for name, location := range map[string]string{"path": "/mcp/", "relative": "mcp/", "URL": "http://HOST/mcp/", "query": "/mcp/?tenant=1"} {
			t.Run(http.StatusText(code)+", "+name, func(t *testing.T) {
				t.Parallel()
				h, s := startWith(t, bridgetest.Config{Stream: true, Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
					if strings.HasSuffix(r.URL.Path, "/") {
						return false
					}
					w.Header().Set("Location", strings.ReplaceAll(location, "HOST", r.Host))
					answerWith(w, code, "text/html", "<a href=...>moved</a>")
					return true
				}}, bridge.Config{Header: http.Header{"Authorization": {"Bearer user-token"}}}, "2025-11-25")
				h.send(callEcho("1"))
				wantResult(t, h, "1")
				eventually(t, "the GET stream opens", func() bool { return s.Streams() == 1 })
				wantNothingMore(t, h)
				if s.Sessions() != 0 {
					t.Errorf("%d sessions are left", s.Sessions())
				}
				var paths []string
				for i, r := range s.Requests() {
					if i > 0 {
						paths = append(paths, r.URL.Path)
					}
					if got := r.Header.Get("Authorization"); got != "Bearer user-token" {
						t.Errorf("%s %s: got Authorization %q", r, r.URL, got)
					}
					if want := r.Method != "initialize"; (r.Header.Get("Mcp-Session-Id") == "S1") != want {
						t.Errorf("%s %s: got session %q", r, r.URL, r.Header.Get("Mcp-Session-Id"))
					}
					if r.Method == "tools/call" && string(r.Body) != callEcho("1") {
						t.Errorf("the call arrived as %s", r.Body)
					}
				}
				if slices.Contains(paths, "/mcp") || s.Count("initialize") != 2 || s.Count("tools/call") != 1 {
					t.Errorf("the new place is not remembered: %v, %v", s.Requests(), paths)
				}
			})
		}
	}
}

// A redirect back to itself, or in a circle, ends with an error.
func TestH8_RedirectLoop(t *testing.T) {
	t.Parallel()
	for name, next := range map[string]func(path string) string{
		"itself":   func(path string) string { return path },
		"a circle": func(path string) string { return map[string]string{"/mcp": "/a", "/a": "/b", "/b": "/mcp"}[path] },
		"onwards":  func(path string) string { return path + "x" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, s := startWith(t, bridgetest.Config{Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
				if r.Method != "tools/list" && r.Method != "tools/call" {
					return false
				}
				w.Header().Set("Location", next(r.URL.Path))
				w.WriteHeader(http.StatusPermanentRedirect)
				return true
			}}, bridge.Config{}, "2025-11-25")
			h.send(listTools("1"))
			wantFailure(t, h, "1", "redirect")
			if n := s.Count("tools/list"); n > 10 {
				t.Errorf("%d requests for one, want a few", n)
			}
			h.end()
		})
	}
}
