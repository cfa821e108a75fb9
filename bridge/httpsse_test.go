package bridge_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mcp-bridge/bridge"
	"mcp-bridge/bridge/bridgetest"
)

var overSSE = bridge.Config{Transport: bridge.TransportSSE}

// Messages go where the endpoint event says, relative to the event stream (spec 3.02, 3.03, 3.06),
// each with the user's headers (spec 3.07) and none of a later revision.
func TestHTTPSSE_Endpoint(t *testing.T) {
	t.Parallel()
	for endpoint, want := range map[string]string{
		"/messages?s=1":              "/messages?s=1",
		"messages?s=1":               "/messages?s=1",
		"?s=1":                       "/mcp?s=1",
		"http://HOST/m/n?s=1":        "/m/n?s=1",
		"HTTP://HOST/m":              "/m",
		"//HOST/m":                   "/m",
		"/m?x=%20%2F&y=a+b":          "/m?x=%20%2F&y=a+b",
		"/m#part":                    "/m",
		"../messages":                "/messages",
		"/messages/?session_id=1a2b": "/messages/?session_id=1a2b",
	} {
		t.Run(endpoint, func(t *testing.T) {
			t.Parallel()
			stream := make(chan string, 9)
			cfg := overSSE
			cfg.Header = http.Header{"Authorization": {"Bearer user-token"}, "X-Api-Key": {"k"}}
			h, s := startWith(t, bridgetest.Config{Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
				if r.Request.Method == http.MethodPost {
					w.WriteHeader(http.StatusAccepted)
					stream <- result(string(r.ID))
					return true
				}
				e := r.Events(w)
				e.Raw(": hello\n\nevent: ping\ndata: {}\n\nevent: endpoint\r\ndata: " + strings.ReplaceAll(endpoint, "HOST", r.Host) + "\r\n\r\n")
				for {
					select {
					case message := <-stream:
						e.Send(message)
					case <-r.Context().Done():
						return true
					}
				}
			}}, cfg, "")
			h.send(callEcho("1"))
			wantResult(t, h, "1")
			wantNothingMore(t, h)
			got := s.Requests()
			if len(got) != 2 || got[0].String() != "GET" || got[1].URL.String() != want {
				t.Errorf("the server got %v, want a POST to %s", got[len(got)-1].URL, want)
			}
			headers := map[string]string{"Authorization": "Bearer user-token", "X-Api-Key": "k", "Accept": "text/event-stream"}
			if !maps.Equal(headersOf(got[0]), headers) {
				t.Errorf("GET with %v, want %v", headersOf(got[0]), headers)
			}
			headers = with(headers, "Accept", "application/json, text/event-stream", "Content-Type", "application/json")
			if !maps.Equal(headersOf(got[1]), headers) {
				t.Errorf("POST with %v, want %v", headersOf(got[1]), headers)
			}
		})
	}
}

// The first endpoint counts: one that comes later is nothing but an event of a name that we don't know.
func TestHTTPSSE_SecondEndpoint(t *testing.T) {
	t.Parallel()
	old := &oldServer{stream: make(chan string, 9)}
	old.get = func(w http.ResponseWriter, r *bridgetest.Request) {
		e := r.Events(w)
		e.Raw(endpointEvent + strings.Repeat("event: endpoint\ndata: /elsewhere\n\n", 3) + "event: endpoint\ndata: http://elsewhere.example/\n\n")
		for {
			select {
			case message := <-old.stream:
				e.Send(message)
			case <-r.Context().Done():
				return
			}
		}
	}
	h, s := startWith(t, bridgetest.Config{Handle: old.handle}, overSSE, "2024-11-05")
	for _, id := range []string{"1", "2"} {
		h.send(callEcho(id))
		wantResult(t, h, id)
	}
	wantNothingMore(t, h)
	for _, r := range s.Requests() {
		if r.Request.Method == http.MethodPost && r.URL.Path != "/messages" {
			t.Errorf("%s went to %s", r, r.URL)
		}
	}
}

// An endpoint on another origin gets nothing: everything of the user's would go there (spec 3.06).
func TestHTTPSSE_EndpointOnAnotherOrigin(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var got []string
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, r.Method)
	}))
	t.Cleanup(other.Close)
	for name, endpoint := range map[string]string{
		"port":         other.URL + "/m",
		"host":         strings.Replace(other.URL, "127.0.0.1", "localhost", 1) + "/m",
		"no scheme":    strings.TrimPrefix(other.URL, "http:") + "/m",
		"https":        "https://HOST/m",
		"no URL":       "http://[::1/m",
		"another kind": "file:///etc/passwd",
		"empty host":   "http:///m",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, s := startWith(t, bridgetest.Config{Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
				r.Events(w).Raw("event: endpoint\ndata: " + strings.ReplaceAll(endpoint, "HOST", r.Host) + "\n\n")
				<-r.Context().Done()
				return true
			}}, bridge.Config{Transport: bridge.TransportSSE, Header: http.Header{"X-Api-Key": {"k"}}}, "")
			h.send(initialize("1", "2024-11-05"))
			wantFailure(t, h, "1", "endpoint")
			wantNothingMore(t, h)
			if n := countHTTP(s, http.MethodPost); n != 0 {
				t.Errorf("the server got %v", s.Requests())
			}
		})
	}
	t.Cleanup(func() { // after the subtests
		if len(got) > 0 {
			t.Errorf("the other server got %q", got)
		}
	})
}

// Nothing is posted before it is known where to, and the wait for that has an end (spec 3.09). The
// next request tries again.
func TestHTTPSSE_NoEndpoint(t *testing.T) {
	for name, get := range map[string]func(http.ResponseWriter, *bridgetest.Request){
		"held back": held, "open": open, "ended": text(""), "refused": status(404), "cut": cut,
		"other events": func(w http.ResponseWriter, r *bridgetest.Request) {
			r.Events(w).Raw("data: " + listChanged + "\n\nevent: ping\ndata: x\n\n")
			<-r.Context().Done()
		},
	} {
		t.Run(name, func(t *testing.T) {
			inFakeTime(t, bridgetest.Config{HTTPSSE: true, Handle: once("GET", get)}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
				cfg.Transport = bridge.TransportSSE
				h := startHost(t, cfg)
				h.send(initialize("1", "2024-11-05"))
				time.Sleep(time.Minute)
				if n := countHTTP(s, http.MethodPost); n != 0 && name != "cut" { // net/http repeats a GET that was cut
					t.Errorf("the server got %v", s.Requests())
				}
				wantFailure(t, h, "1")
				h.handshake("2024-11-05")
				h.send(listTools("2"))
				wantResult(t, h, "2")
				h.end()
			})
		})
	}
}

// An endpoint that comes late is early enough.
func TestHTTPSSE_LateEndpoint(t *testing.T) {
	inFakeTime(t, bridgetest.Config{HTTPSSE: true, Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
		if r.Request.Method == http.MethodGet {
			time.Sleep(20 * time.Second)
		}
		return false
	}}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
		cfg.Transport = bridge.TransportSSE
		h := startHost(t, cfg)
		h.send(initialize("1", "2024-11-05"))
		time.Sleep(time.Minute)
		wantResult(t, h, "1")
		wantNothingMore(t, h)
	})
}

// Answers find their requests by id, in whatever order they come; what the POST itself says is a
// mere acknowledgement (spec 3.04, 3.05).
func TestHTTPSSE_AnswersByID(t *testing.T) {
	t.Parallel()
	const n = 20
	acks := []func(w http.ResponseWriter){
		func(w http.ResponseWriter) { w.WriteHeader(200) },
		func(w http.ResponseWriter) { w.WriteHeader(202) },
		func(w http.ResponseWriter) { w.WriteHeader(204) },
		func(w http.ResponseWriter) { answerWith(w, 202, "text/plain", "Accepted") },
		func(w http.ResponseWriter) { answerWith(w, 200, "text/html", "<p>ok</p>") },
		func(w http.ResponseWriter) { answerJSON(w, "{") },
		func(w http.ResponseWriter) { answerJSON(w, `{"jsonrpc":"2.0","id":3,"result":{"not":"this"}}`) },
	}
	var ids []string
	var mu sync.Mutex
	h, s := startWith(t, bridgetest.Config{HTTPSSE: true, Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
		if r.Method != "tools/call" {
			return false
		}
		mu.Lock()
		ids = append(ids, string(r.ID))
		ack := acks[len(ids)%len(acks)]
		mu.Unlock()
		ack(w)
		return true
	}}, overSSE, "2024-11-05")
	for i := range n {
		h.send(callEcho(fmt.Sprint(i)))
	}
	eventually(t, "all calls arrive", func() bool { return s.Count("tools/call") == n })
	mu.Lock()
	slices.Reverse(ids)
	mu.Unlock()
	for _, id := range ids {
		s.Notify(result(id))
	}
	for _, id := range ids {
		if got := h.next(); got != result(id) {
			t.Errorf("got %s, want %s", got, result(id))
		}
	}
	wantNothingMore(t, h)
}

// A refused POST fails that one request; the others, and the session, go on (spec 3.05).
func TestHTTPSSE_OneRequestRefused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		answer func(http.ResponseWriter, *bridgetest.Request)
		want   string // the answer, if it is the server's own
	}{
		"400":             {func(w http.ResponseWriter, _ *bridgetest.Request) { answerWith(w, 400, "text/plain", "no such thing") }, ""},
		"413":             {status(413), ""},
		"500":             {status(500), ""},
		"with an error":   {func(w http.ResponseWriter, r *bridgetest.Request) { r.Fail(w, 400, -32602, "no such thing") }, `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"no such thing"}}`},
		"reset":           {func(http.ResponseWriter, *bridgetest.Request) { panic(http.ErrAbortHandler) }, ""},
		"redirected away": {status(307, "Location", "http://elsewhere.example/"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, s := startWith(t, bridgetest.Config{HTTPSSE: true, Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
				switch {
				case string(r.ID) == "1":
					tt.answer(w, r)
				case string(r.ID) == "2":
					w.WriteHeader(202)
				default:
					return false
				}
				return true
			}}, overSSE, "2024-11-05")
			h.send(callEcho("2"))
			eventually(t, "the call arrives", func() bool { return s.Count("tools/call") == 1 })
			h.send(callEcho("1"))
			if line := string(h.answer("1")); tt.want != "" && line != tt.want {
				t.Errorf("got %s, want %s", line, tt.want)
			} else {
				errorOf(t, []byte(line))
			}
			s.Notify(result("2"))
			wantResult(t, h, "2")
			h.send(callEcho("3"))
			wantResult(t, h, "3")
			wantNothingMore(t, h)
			if s.Count("GET") != 1 || s.Count("tools/call") != 3 {
				t.Errorf("the server got %v", s.Requests())
			}
		})
	}
}

// With the stream the session ends: what is under way gets errors, and the next request finds a new
// one, with the handshake repeated (spec 3.08). No call is sent twice.
func TestHTTPSSE_StreamLost(t *testing.T) {
	for name, wait := range map[string]time.Duration{"next call at once": 0, "next call after an hour": time.Hour} {
		t.Run(name, func(t *testing.T) {
			inFakeTime(t, bridgetest.Config{HTTPSSE: true, Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
				if r.Method == "tools/call" && string(r.ID) != "9" {
					w.WriteHeader(202)
					return true
				}
				return false
			}}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
				cfg.Transport = bridge.TransportSSE
				h := startHost(t, cfg)
				h.handshake("2024-11-05")
				for i := range 5 {
					h.send(callEcho(fmt.Sprint(i)))
				}
				time.Sleep(time.Second) // all calls have left
				s.ForgetSessions()
				failed := make(map[string]bool)
				for len(failed) < 5 {
					line := h.next()
					if e := errorOf(t, []byte(line)); !strings.Contains(e.Message, "may have run") {
						t.Errorf("got %s", line)
					}
					failed[rawID(line)] = true
				}
				time.Sleep(wait)
				h.send(callEcho("9"))
				wantResult(t, h, "9")
				const news = `{"jsonrpc":"2.0","method":"notifications/news"}`
				s.Notify(news)
				synctest.Wait()
				if rest := append(h.others, h.end()...); !slices.Contains(rest, news) {
					t.Errorf("the new stream says nothing: %q", rest)
				}
				var got []string
				for _, r := range s.Requests() {
					got = append(got, strings.TrimSpace(r.String()+" "+r.URL.RawQuery))
				}
				want := []string{"GET", "initialize session=S1", "notifications/initialized session=S1"}
				want = append(want, slices.Repeat([]string{"tools/call session=S1"}, 5)...)
				want = append(want, "GET", "initialize session=S2", "notifications/initialized session=S2", "tools/call session=S2")
				if !slices.Equal(got, want) {
					t.Errorf("the server got\n%q, want\n%q", got, want)
				}
				if synctest.Wait(); s.Sessions() != 0 {
					t.Errorf("%d sessions are left", s.Sessions())
				}
			})
		})
	}
}

// A server that ends its stream again and again is not stormed.
func TestHTTPSSE_ReconnectStorm(t *testing.T) {
	for name, get := range map[string]func(http.ResponseWriter, *bridgetest.Request){
		"refused":              status(503),
		"ended":                text(""),
		"ended after endpoint": text("event: endpoint\ndata: /messages?session=S1\n\n"),
	} {
		t.Run(name, func(t *testing.T) {
			var lost atomic.Bool
			inFakeTime(t, bridgetest.Config{HTTPSSE: true, Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
				if lost.Load() && r.Request.Method == http.MethodGet {
					get(w, r)
					return true
				}
				return false
			}}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
				cfg.Transport = bridge.TransportSSE
				h := startHost(t, cfg)
				h.handshake("2024-11-05")
				lost.Store(true)
				s.ForgetSessions()
				time.Sleep(10 * time.Second)
				if n := countHTTP(s, http.MethodGet); n > 8 || n < 2 {
					t.Errorf("%d GETs in ten seconds", n)
				}
				time.Sleep(time.Hour)
				if n := countHTTP(s, http.MethodGet); n > 130 || n < 30 {
					t.Errorf("%d GETs in an hour", n)
				}
				h.send(callEcho("1"))
				wantFailure(t, h, "1")
				lost.Store(false)
				time.Sleep(time.Minute)
				h.send(callEcho("2"))
				wantResult(t, h, "2")
				h.end()
			})
		})
	}
}

// A server that does not know the session any more, though its stream is still open, gets a new one
// and the request again, once.
func TestHTTPSSE_ForgottenSession(t *testing.T) {
	t.Parallel()
	h, s := startWith(t, bridgetest.Config{HTTPSSE: true, Handle: once("tools/call", status(404))}, overSSE, "2024-11-05")
	h.send(callEcho("1"))
	wantResult(t, h, "1")
	h.end()
	var got []string
	for _, r := range s.Requests() {
		got = append(got, strings.TrimSpace(r.String()+" "+r.URL.RawQuery))
	}
	want := []string{"GET", "initialize session=S1", "notifications/initialized session=S1", "tools/call session=S1",
		"GET", "initialize session=S2", "notifications/initialized session=S2", "tools/call session=S2"}
	if !slices.Equal(got, want) {
		t.Errorf("the server got\n%q, want\n%q", got, want)
	}
}

// The session ends with its stream: the host's answer to a question of it does not answer a question
// of the new one by the same id.
func TestHTTPSSE_AnswerToAQuestionOfALostSession(t *testing.T) {
	const question = `{"jsonrpc":"2.0","id":1,"method":"elicitation/create","params":{"message":"Really?"}}`
	inFakeTime(t, bridgetest.Config{HTTPSSE: true}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
		cfg.Transport = bridge.TransportSSE
		h := startHost(t, cfg)
		h.handshake("2024-11-05")
		synctest.Wait()
		s.Notify(question)
		synctest.Wait()
		s.ForgetSessions() // ends the stream too
		time.Sleep(5 * time.Minute)
		s.Notify(question)
		synctest.Wait()
		h.send(`{"jsonrpc":"2.0","id":1,"result":{"action":"decline"}}`) // the first
		h.send(`{"jsonrpc":"2.0","id":1,"result":{"action":"accept"}}`)  // the second
		synctest.Wait()
		wantOnly(t, h, question, listChanged, question)
		var got []string
		for _, r := range s.Requests() {
			if r.String() == "response" {
				got = append(got, r.URL.RawQuery+" "+string(r.Body))
			}
		}
		if want := []string{`session=S2 {"jsonrpc":"2.0","id":1,"result":{"action":"accept"}}`}; !slices.Equal(got, want) {
			t.Errorf("the server got the answers %q, want %q", got, want)
		}
	})
}

// A 404 for ever is an error after the second try.
func TestHTTPSSE_ForgottenForEver(t *testing.T) {
	t.Parallel()
	h, s := startWith(t, bridgetest.Config{HTTPSSE: true, Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
		if r.Method == "tools/call" {
			w.WriteHeader(404)
		}
		return r.Method == "tools/call"
	}}, overSSE, "2024-11-05")
	h.send(callEcho("1"))
	wantFailure(t, h, "1", "404")
	h.send(listTools("2"))
	wantResult(t, h, "2")
	h.end()
	if s.Count("tools/call") != 2 {
		t.Errorf("the server got %v", s.Requests())
	}
}

// A server that is another one after a loss is not hidden from the host (spec 2.19).
func TestHTTPSSE_ServerChanged(t *testing.T) {
	t.Parallel()
	var lost atomic.Bool
	h, s := startWith(t, bridgetest.Config{HTTPSSE: true, Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
		if r.Method == "initialize" && lost.Load() {
			r.Answer(w, `{"protocolVersion":"2024-11-05","capabilities":{},"serverInfo":{"name":"another","version":"1"}}`)
			return true
		}
		return false
	}}, overSSE, "2024-11-05")
	h.send(listTools("0")) // follows the whole handshake
	wantResult(t, h, "0")
	lost.Store(true)
	s.ForgetSessions()
	h.send(callEcho("1"))
	errorOf(t, h.answer("1"))
	if err := h.err(); !errors.Is(err, bridge.ErrSessionChanged) {
		t.Errorf("Run returned %v, want %v", err, bridge.ErrSessionChanged)
	}
}

// The stream is all there is to close: no DELETE.
func TestHTTPSSE_End(t *testing.T) {
	t.Parallel()
	h, s := startWith(t, bridgetest.Config{HTTPSSE: true}, overSSE, "2025-11-25")
	h.send(listTools("1"))
	wantResult(t, h, "1")
	wantNothingMore(t, h)
	eventually(t, "the session ends", func() bool { return s.Sessions() == 0 })
	if got := names(s); !slices.Equal(got, []string{"GET", "initialize", "notifications/initialized", "tools/list"}) {
		t.Errorf("the server got %q", got)
	}
}
