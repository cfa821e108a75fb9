package bridge_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mcp-bridge/bridge"
	"mcp-bridge/bridge/bridgetest"
)

// A getLog answers the GETs of a server in turn, and notes when they came, and with what last event id.
type getLog struct {
	answers []func(w http.ResponseWriter, r *bridgetest.Request) // the last one is for all that follow

	mu    sync.Mutex
	times []time.Time
	ids   []string
}

func (g *getLog) handle(w http.ResponseWriter, r *bridgetest.Request) bool {
	if r.Request.Method != http.MethodGet {
		return false
	}
	g.mu.Lock()
	n := len(g.times)
	g.times = append(g.times, time.Now())
	g.ids = append(g.ids, r.Header.Get("Last-Event-Id"))
	g.mu.Unlock()
	g.answers[min(n, len(g.answers)-1)](w, r)
	return true
}

// gaps returns how long each GET came after the one before.
func (g *getLog) gaps() []time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	var gaps []time.Duration
	for i := 1; i < len(g.times); i++ {
		gap := g.times[i].Sub(g.times[i-1])
		if gap > 0 { // net/http repeats a GET by itself if it was on a connection that was used before
			gaps = append(gaps, gap)
		}
	}
	return gaps
}

func (g *getLog) lastIDs() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.ids)
}

// text answers a GET with an event stream of this text, and ends it.
func text(events string) func(http.ResponseWriter, *bridgetest.Request) {
	return func(w http.ResponseWriter, r *bridgetest.Request) { r.Events(w).Raw(events) }
}

func status(code int, headers ...string) func(http.ResponseWriter, *bridgetest.Request) {
	return func(w http.ResponseWriter, _ *bridgetest.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
	}
}

// held never answers.
func held(_ http.ResponseWriter, r *bridgetest.Request) { <-r.Context().Done() }

// open answers with an event stream that stays open.
func open(w http.ResponseWriter, r *bridgetest.Request) {
	r.Events(w)
	<-r.Context().Done()
}

// cut answers with an event stream that breaks at once.
func cut(w http.ResponseWriter, r *bridgetest.Request) {
	r.Events(w)
	panic(http.ErrAbortHandler)
}

// A server that refuses the GET stream offers none: that is no failure, and it is not asked again
// (spec 2.24).
func TestH4_GETRefused(t *testing.T) {
	for name, answer := range map[string]func(http.ResponseWriter, *bridgetest.Request){
		"400": status(400), "403": status(403), "404": status(404), "405": status(405), "406": status(406), "410": status(410), "415": status(415), "501": status(501),
		"404 with HTML": status(404, "Content-Type", "text/html"),
		"200 with HTML": func(w http.ResponseWriter, _ *bridgetest.Request) { answerWith(w, 200, "text/html", "<h1>hello</h1>") },
		"200 with JSON": func(w http.ResponseWriter, _ *bridgetest.Request) { answerJSON(w, result("1")) },
		"204":           status(204),
		"202":           status(202),
	} {
		t.Run(name, func(t *testing.T) {
			log := &getLog{answers: []func(http.ResponseWriter, *bridgetest.Request){answer}}
			inFakeTime(t, bridgetest.Config{Handle: log.handle}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
				h := startHost(t, cfg)
				h.handshake("2025-11-25")
				h.send(listTools("1"))
				wantResult(t, h, "1")
				time.Sleep(time.Hour)
				h.send(listTools("2"))
				wantResult(t, h, "2")
				if n := s.Count("GET"); n != 1 {
					t.Errorf("%d GETs, want 1", n)
				}
				wantNothingMore(t, h)
			})
		})
	}
}

// The GET stream is best effort: whatever happens to it, requests go on, and it is opened again
// with a growing delay.
func TestH5_GETTrouble(t *testing.T) {
	for name, answer := range map[string]func(http.ResponseWriter, *bridgetest.Request){
		"500":             status(500),
		"502":             status(502),
		"503":             status(503),
		"429":             status(429),
		"408":             status(408),
		"reset":           func(http.ResponseWriter, *bridgetest.Request) { panic(http.ErrAbortHandler) },
		"stream cut":      cut,
		"stream ended":    text(""),
		"ping, and ended": text("event: ping\ndata:\n\n"),
		"comment":         text(": hi\n\n"),
		"401":             status(401), // a sign-in may come
		"307 elsewhere":   status(307, "Location", "http://elsewhere.example/"),
	} {
		t.Run(name, func(t *testing.T) {
			log := &getLog{answers: []func(http.ResponseWriter, *bridgetest.Request){answer}}
			inFakeTime(t, bridgetest.Config{Handle: log.handle}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
				h := startHost(t, cfg)
				h.handshake("2025-11-25")
				for i := range 60 {
					h.send(listTools(fmt.Sprint(i)))
					wantResult(t, h, fmt.Sprint(i))
					time.Sleep(10 * time.Second)
				}
				wantNothingMore(t, h)
				checkDelays(t, log.gaps(), time.Second)
			})
		})
	}
}

// checkDelays fails the test unless the delays begin with first, grow, and come to rest between
// half a minute and a whole one.
func checkDelays(t *testing.T, gaps []time.Duration, first time.Duration) {
	t.Helper()
	if len(gaps) < 7 {
		t.Fatalf("opened again after %v, want more attempts", gaps)
	}
	for i, gap := range gaps {
		least := min(first<<min(i, 10), 30*time.Second)
		if gap < least || gap > time.Minute {
			t.Errorf("opened again after %v; delay %d should be between %v and a minute", gaps, i, least)
			return
		}
	}
}

// The opposite of a server that refuses: one that has no stream any more is left alone, its
// requests go on.
func TestH5_GETRefusedLater(t *testing.T) {
	log := &getLog{answers: []func(http.ResponseWriter, *bridgetest.Request){text("event: ping\ndata:\n\n"), status(405)}}
	inFakeTime(t, bridgetest.Config{Handle: log.handle}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
		h := startHost(t, cfg)
		h.handshake("2025-11-25")
		for i := range 3 {
			time.Sleep(time.Second)
			h.send(listTools(fmt.Sprint(i)))
			wantResult(t, h, fmt.Sprint(i))
		}
		time.Sleep(time.Hour)
		if n := s.Count("GET"); n != 2 {
			t.Errorf("%d GETs, want 2", n)
		}
		wantNothingMore(t, h)
	})
}

// A server that keeps the head of its answer to itself blocks nothing, and gets no second GET.
func TestH5_GETHeldBack(t *testing.T) {
	log := &getLog{answers: []func(http.ResponseWriter, *bridgetest.Request){held}}
	inFakeTime(t, bridgetest.Config{Handle: log.handle}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
		h := startHost(t, cfg)
		h.handshake("2025-11-25")
		time.Sleep(time.Hour)
		h.send(listTools("1"))
		wantResult(t, h, "1")
		if n := s.Count("GET"); n != 1 {
			t.Errorf("%d GETs, want 1", n)
		}
		wantNothingMore(t, h)
	})
}

// The GET stream is opened when the server has taken notifications/initialized, and only then.
func TestGETAfterInitialized(t *testing.T) {
	inFakeTime(t, bridgetest.Config{Stream: true, Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
		if r.Method == "notifications/initialized" {
			time.Sleep(4 * time.Second)
		}
		return false
	}}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
		h := startHost(t, cfg)
		h.send(initialize("1", "2025-11-25"))
		wantResult(t, h, "1")
		time.Sleep(time.Hour)
		h.send(initialized)
		h.send(initialized) // a second one opens no second stream
		time.Sleep(3 * time.Second)
		if n := s.Count("GET"); n != 0 {
			t.Errorf("%d GETs before the notification was taken, want none", n)
		}
		time.Sleep(time.Hour)
		if n := s.Count("GET"); n != 1 || s.Streams() != 1 {
			t.Errorf("%d GETs and %d streams, want one", n, s.Streams())
		}
		wantNothingMore(t, h)
	})
}

// A server that ends every stream at once is not stormed, in the long run neither.
func TestE9_ReconnectStorm(t *testing.T) {
	log := &getLog{answers: []func(http.ResponseWriter, *bridgetest.Request){text("")}}
	inFakeTime(t, bridgetest.Config{Handle: log.handle}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
		h := startHost(t, cfg)
		h.handshake("2025-11-25")
		time.Sleep(10 * time.Second)
		if n := s.Count("GET"); n > 6 || n < 2 {
			t.Errorf("%d GETs in ten seconds, want 2 to 6", n)
		}
		time.Sleep(time.Hour)
		if n := s.Count("GET"); n > 130 || n < 60 {
			t.Errorf("%d GETs in an hour, want 60 to 130", n)
		}
		h.send(listTools("1"))
		wantResult(t, h, "1")
		wantNothingMore(t, h)
	})
}

// A stream that lived a while begins anew with the first delay.
func TestE9_DelayAfterALongLife(t *testing.T) {
	log := &getLog{answers: []func(http.ResponseWriter, *bridgetest.Request){text(""), text(""), text(""), text(""), text(""),
		func(w http.ResponseWriter, r *bridgetest.Request) {
			r.Events(w)
			time.Sleep(10 * time.Minute)
		}, open}}
	inFakeTime(t, bridgetest.Config{Handle: log.handle}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
		h := startHost(t, cfg)
		h.handshake("2025-11-25")
		time.Sleep(time.Hour)
		gaps := log.gaps()
		if len(gaps) != 6 || gaps[4] < 8*time.Second || gaps[5] > 10*time.Minute+1500*time.Millisecond {
			t.Errorf("opened again after %v, want about a second after the long one", gaps)
		}
		wantNothingMore(t, h)
	})
}

// The stream is opened again where it ended: with the id of its last event, and after the time
// that the server asked for (spec 2.30 to 2.32).
func TestE8_GETStreamResumes(t *testing.T) {
	for name, tt := range map[string]struct {
		first string
		ids   []string
		delay time.Duration
	}{
		"id and retry":       {"id: e1\nretry: 700\ndata: " + listChanged + "\n\n", []string{"", "e1", "e1"}, 700 * time.Millisecond},
		"retry is long":      {"id: e1\nretry: 90000\ndata: " + listChanged + "\n\n", []string{"", "e1", "e1"}, 90 * time.Second},
		"id alone":           {"id: e1\ndata: " + listChanged + "\n\n", []string{"", "e1", "e1"}, time.Second},
		"the last of two":    {"id: e1\ndata: " + listChanged + "\n\nid: e2\n\n", []string{"", "e2", "e2"}, time.Second},
		"not yet complete":   {"id: e1\ndata: " + listChanged + "\n\nid: e2\n", []string{"", "e1", "e1"}, time.Second},
		"no id":              {"data: " + listChanged + "\n\n", []string{"", "", ""}, time.Second},
		"reset":              {"id: e1\ndata: " + listChanged + "\n\nid:\n\n", []string{"", "", ""}, time.Second},
		"id with odd bytes":  {"id: \xc3\xa4 ;\"\ndata: " + listChanged + "\n\n", []string{"", "\xc3\xa4 ;\"", "\xc3\xa4 ;\""}, time.Second},
		"id no header takes": {"id: a\x01b\ndata: " + listChanged + "\n\n", []string{"", "", ""}, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			log := &getLog{answers: []func(http.ResponseWriter, *bridgetest.Request){text(tt.first), text(""), open}}
			inFakeTime(t, bridgetest.Config{Handle: log.handle}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
				h := startHost(t, cfg)
				h.handshake("2025-11-25")
				if got := h.next(); got != listChanged {
					t.Errorf("got %s", got)
				}
				time.Sleep(10 * time.Minute)
				ids := log.lastIDs()
				if !slices.Equal(ids, tt.ids) {
					t.Fatalf("got GETs with last event ids %q, want %q", ids, tt.ids)
				}
				if gap := log.gaps()[0]; gap < tt.delay || gap > tt.delay+tt.delay/2 {
					t.Errorf("opened again after %v, want %v", gap, tt.delay)
				}
				for _, r := range s.Requests() {
					if r.String() == "GET" && (r.Header.Get("Mcp-Session-Id") != "S1" || r.Header.Get("Mcp-Protocol-Version") != "2025-11-25") {
						t.Errorf("a GET with headers %v", r.Header)
					}
				}
				wantNothingMore(t, h)
			})
		})
	}
}

// A stream without event ids is opened again all the same.
func TestE10_StreamWithoutIDs(t *testing.T) {
	inFakeTime(t, bridgetest.Config{Handle: (&getLog{answers: []func(http.ResponseWriter, *bridgetest.Request){
		func(w http.ResponseWriter, r *bridgetest.Request) {
			r.Events(w)
			time.Sleep(2 * time.Second)
		},
		func(w http.ResponseWriter, r *bridgetest.Request) {
			r.Events(w).Send(listChanged)
			<-r.Context().Done()
		},
	}}).handle}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
		h := startHost(t, cfg)
		h.handshake("2025-11-25")
		if got := h.next(); got != listChanged {
			t.Errorf("got %s", got)
		}
		wantNothingMore(t, h)
	})
}

// The first answer counts. What comes again, on whatever stream, and what nobody asked for, goes
// nowhere.
func TestE12_Duplicates(t *testing.T) {
	t.Parallel()
	h, s := startWith(t, bridgetest.Config{Stream: true, Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
		if r.Method != "tools/call" {
			return false
		}
		e := r.Events(w)
		e.Raw("id: e1\ndata: " + result("1") + "\n\n")
		e.Raw("id: e2\ndata: " + result("1") + "\n\n")
		e.Send(`{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"too late"}}`)
		return true
	}}, bridge.Config{}, "2025-11-25")
	eventually(t, "the GET stream opens", func() bool { return s.Streams() == 1 })
	h.send(callEcho("1"))
	if got := string(h.answer("1")); got != result("1") {
		t.Errorf("got %s, want %s", got, result("1"))
	}
	s.Notify(result("1"))
	s.Notify(result("99"))
	s.Notify(result(`"1"`))
	s.Notify(`{"jsonrpc":"2.0","id":null,"result":{}}`)
	s.Notify(listChanged)
	if got := h.next(); got != listChanged {
		t.Errorf("got %s, want only %s", got, listChanged)
	}
	h.send(callEcho("1")) // an id may be used again when it was answered
	h.answer("1")
	wantNothingMore(t, h)
}

// A request that is only accepted can be answered on the GET stream, whatever says that it is
// accepted.
func TestAnswerOnTheGETStream(t *testing.T) {
	t.Parallel()
	for name, accept := range map[string]func(http.ResponseWriter, *bridgetest.Request){
		"202":                status(202),
		"202 with text":      func(w http.ResponseWriter, _ *bridgetest.Request) { answerWith(w, 202, "text/plain", "Accepted") },
		"202 with JSON":      func(w http.ResponseWriter, _ *bridgetest.Request) { answerWith(w, 202, "application/json", "null") },
		"202, chunked empty": func(w http.ResponseWriter, _ *bridgetest.Request) { answerWith(w, 202, "", "") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, s := startWith(t, bridgetest.Config{Stream: true, Handle: once("tools/call", accept)}, bridge.Config{}, "2025-11-25")
			eventually(t, "the GET stream opens", func() bool { return s.Streams() == 1 })
			h.send(callEcho("1"))
			eventually(t, "the call arrives", func() bool { return s.Count("tools/call") == 1 })
			h.send(listTools("2")) // by its answer the call has been accepted
			wantResult(t, h, "2")
			s.Notify(result("1"))
			if got := string(h.answer("1")); got != result("1") {
				t.Errorf("got %s, want %s", got, result("1"))
			}
			wantNothingMore(t, h)
		})
	}
}

// An answer to a call may come on the GET stream while the call's own stream stays open.
func TestAnswerOnTheGETStreamWhileThePOSTIsOpen(t *testing.T) {
	t.Parallel()
	h, s := startWith(t, bridgetest.Config{Stream: true, Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
		if r.Method == "tools/call" {
			open(w, r)
		}
		return r.Method == "tools/call"
	}}, bridge.Config{}, "2025-11-25")
	eventually(t, "the GET stream opens", func() bool { return s.Streams() == 1 })
	h.send(callEcho("1"))
	eventually(t, "the call arrives", func() bool { return s.Count("tools/call") == 1 })
	s.Notify(result("1"))
	if got := string(h.answer("1")); got != result("1") {
		t.Errorf("got %s, want %s", got, result("1"))
	}
	wantNothingMore(t, h)
}

// The GET stream is gone when Run returns, and so is the session, also when a GET is under way or
// waits for its next attempt.
func TestGETStreamAtTheEnd(t *testing.T) {
	for name, answer := range map[string]func(http.ResponseWriter, *bridgetest.Request){"open": open, "held back": held, "to be opened again": text(""), "refused": status(405)} {
		t.Run(name, func(t *testing.T) {
			var gone atomic.Bool
			log := &getLog{answers: []func(http.ResponseWriter, *bridgetest.Request){func(w http.ResponseWriter, r *bridgetest.Request) {
				context.AfterFunc(r.Context(), func() { gone.Store(true) })
				answer(w, r)
			}}}
			inFakeTime(t, bridgetest.Config{Handle: log.handle}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
				h := startHost(t, cfg)
				h.handshake("2025-11-25")
				synctest.Wait()
				began := time.Now()
				wantNothingMore(t, h)
				if took := time.Since(began); took > 100*time.Millisecond {
					t.Errorf("the end took %v", took)
				}
				synctest.Wait()
				if !gone.Load() {
					t.Error("the GET is still there")
				}
				if s.Sessions() != 0 || s.Count("DELETE") != 1 {
					t.Errorf("%d sessions are left, %d DELETEs", s.Sessions(), s.Count("DELETE"))
				}
			})
		})
	}
}

// The stream is open when the first request arrives, as the server may speak on it in its course; but
// a server that takes long to open it is not waited for.
func TestGETStreamIsThereForTheFirstRequest(t *testing.T) {
	for name, tt := range map[string]struct {
		opening time.Duration
		streams int
	}{"soon": {100 * time.Millisecond, 1}, "late": {10 * time.Second, 0}} {
		t.Run(name, func(t *testing.T) {
			streams := -1
			var s *bridgetest.Server
			inFakeTime(t, bridgetest.Config{Stream: true, Handle: func(_ http.ResponseWriter, r *bridgetest.Request) bool {
				switch {
				case r.Request.Method == http.MethodGet:
					time.Sleep(tt.opening)
				case r.Method == "tools/list":
					streams = s.Streams()
				}
				return false
			}}, func(t *testing.T, server *bridgetest.Server, cfg bridge.Config) {
				s = server
				h := startHost(t, cfg)
				h.handshake("2025-11-25")
				began := time.Now()
				h.send(listTools("1"))
				wantResult(t, h, "1")
				if streams != tt.streams {
					t.Errorf("%d streams were open, want %d", streams, tt.streams)
				}
				if took := time.Since(began); took > time.Second {
					t.Errorf("the answer took %v", took)
				}
			})
		})
	}
}
