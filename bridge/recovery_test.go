package bridge_test

import (
	"fmt"
	"io"
	"net"
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

// An answer without content is no promise of one elsewhere: the call gets an error, though there is
// a GET stream on which something might come.
func TestAnswerWithoutContent(t *testing.T) {
	for name, answer := range map[string]func(http.ResponseWriter, *bridgetest.Request){
		"200": status(200, "Content-Type", "application/json", "Content-Length", "0"),
		"204": status(204),
	} {
		t.Run(name, func(t *testing.T) {
			inFakeTime(t, bridgetest.Config{Stream: true, Handle: once("tools/call", answer)}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
				h := startHost(t, cfg)
				h.handshake("2025-11-25")
				synctest.Wait()
				h.send(callEcho("1"))
				time.Sleep(time.Hour)
				if line, ok := h.take(0); !ok || rawID(line) != "1" {
					t.Errorf("an hour later there is no answer, but %q", line)
				}
			})
		})
	}
}

// An answer that was promised for the GET stream is lost when that breaks and has no event ids.
func TestAnswerLostOnTheGETStream(t *testing.T) {
	var stream atomic.Pointer[func()]
	inFakeTime(t, bridgetest.Config{Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
		switch {
		case r.Request.Method == http.MethodGet:
			e := r.Events(w)
			end := make(chan struct{})
			cut := func() { close(end) }
			stream.Store(&cut)
			select {
			case <-end:
				e.Raw(": half an answer")
				panic(http.ErrAbortHandler)
			case <-r.Context().Done():
			}
		case r.Method == "tools/call":
			w.WriteHeader(http.StatusAccepted)
		default:
			return false
		}
		return true
	}}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
		h := startHost(t, cfg)
		h.handshake("2025-11-25")
		synctest.Wait()
		h.send(callEcho("1"))
		synctest.Wait()
		(*stream.Load())()
		time.Sleep(time.Hour)
		line, ok := h.take(0)
		if !ok || rawID(line) != "1" {
			t.Fatalf("an hour later there is no answer, but %q", line)
		}
		if e := errorOf(t, []byte(line)); !strings.Contains(e.Message, "may have run") {
			t.Errorf("the call may have run, and the error is %s", line)
		}
	})
}

// So is one that was sent on the GET stream before the promise came, if the stream broke in between.
func TestAnswerLostBeforeItWasPromised(t *testing.T) {
	var end chan struct{}
	inFakeTime(t, bridgetest.Config{Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
		switch {
		case r.Request.Method == http.MethodGet:
			r.Events(w)
			select {
			case <-end:
			case <-r.Context().Done():
			}
		case r.Method == "tools/call":
			end <- struct{}{}
			time.Sleep(10 * time.Second) // until there is another stream
			w.WriteHeader(http.StatusAccepted)
		default:
			return false
		}
		return true
	}}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
		end = make(chan struct{}, 1)
		h := startHost(t, cfg)
		h.handshake("2025-11-25")
		synctest.Wait()
		h.send(callEcho("1"))
		time.Sleep(time.Hour)
		line, ok := h.take(0)
		if !ok || rawID(line) != "1" {
			t.Fatalf("an hour later there is no answer, but %q", line)
		}
		if e := errorOf(t, []byte(line)); !strings.Contains(e.Message, "may have run") {
			t.Errorf("the call may have run, and the error is %s", line)
		}
	})
}

// When no new session can be had the call that asked for it did not run, and the error does not say
// that it may have.
func TestN1_NoNewSessionAndDidNotRun(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(http.ResponseWriter, *bridgetest.Request){
		"cut":           func(http.ResponseWriter, *bridgetest.Request) { panic(http.ErrAbortHandler) },
		"cut in a body": func(w http.ResponseWriter, r *bridgetest.Request) { moreEvents(w, ""); panic(http.ErrAbortHandler) },
		"half an answer": func(w http.ResponseWriter, _ *bridgetest.Request) {
			w.Header().Set("Content-Length", "99")
			io.WriteString(w, "{")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var forgotten atomic.Bool
			h, s := startWith(t, bridgetest.Config{Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
				if !forgotten.Load() || r.Method != "initialize" {
					return false
				}
				answer(w, r)
				return true
			}}, bridge.Config{}, "2025-11-25")
			forgotten.Store(true)
			s.ForgetSessions()
			h.send(callEcho("1"))
			if got := string(h.answer("1")); strings.Contains(got, "may have run") {
				t.Errorf("the call did not run, and the answer is %s", got)
			}
		})
	}
}

// A server that has forgotten the session while nothing goes on, and refuses the first attempt to get
// a new one, is asked again: its messages come without a request of the host's.
func TestN1_SecondAttemptWhileIdle(t *testing.T) {
	for name, answer := range map[string]func(http.ResponseWriter, *bridgetest.Request){
		"503": status(503),
		"cut": func(http.ResponseWriter, *bridgetest.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			var forgotten, refused atomic.Bool
			inFakeTime(t, bridgetest.Config{Stream: true, Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
				if !forgotten.Load() || r.Method != "initialize" || !refused.CompareAndSwap(false, true) {
					return false
				}
				answer(w, r)
				return true
			}}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
				h := startHost(t, cfg)
				h.handshake("2025-11-25")
				synctest.Wait()
				forgotten.Store(true)
				s.ForgetSessions()
				time.Sleep(10 * time.Minute)
				if s.Streams() != 1 {
					t.Errorf("ten minutes later %d streams are open, want one: %q", s.Streams(), names(s))
				}
			})
		})
	}
}

// The GET stream that could not be opened at first, and finds the session forgotten then, brings a
// new session too.
func TestN1_GETStreamNeverOpened(t *testing.T) {
	var gets atomic.Int32
	inFakeTime(t, bridgetest.Config{Stream: true, Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
		if r.Request.Method != http.MethodGet || gets.Add(1) > 1 {
			return false
		}
		w.WriteHeader(503)
		return true
	}}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
		h := startHost(t, cfg)
		h.handshake("2025-11-25")
		synctest.Wait()
		s.ForgetSessions()
		time.Sleep(10 * time.Minute)
		if s.Streams() != 1 {
			t.Errorf("ten minutes later %d streams are open, want one: %q", s.Streams(), names(s))
		}
	})
}

// A notifications/initialized that got lost is sent again: without it there is no GET stream, and
// many servers take no request.
func TestInitializedLost(t *testing.T) {
	for name, answer := range map[string]func(http.ResponseWriter, *bridgetest.Request){
		"503, asks to wait": status(503, "Retry-After", "1"),
		"cut":               func(http.ResponseWriter, *bridgetest.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			inFakeTime(t, bridgetest.Config{Stream: true, Handle: once("notifications/initialized", answer)}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
				h := startHost(t, cfg)
				h.handshake("2025-11-25")
				time.Sleep(10 * time.Minute)
				if s.Streams() != 1 {
					t.Errorf("ten minutes later %d streams are open, want one: %q", s.Streams(), names(s))
				}
			})
		})
	}
}

// A call that the host cancels while it waits to be sent again is not sent again.
func TestCancelledWhileItWaits(t *testing.T) {
	for name, answer := range map[string]func(http.ResponseWriter, *bridgetest.Request){
		"Retry-After":       status(429, "Retry-After", "2"),
		"for a new session": status(404),
	} {
		t.Run(name, func(t *testing.T) {
			calls := 0
			inFakeTime(t, bridgetest.Config{Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
				switch {
				case r.Method == "tools/call":
					calls++
					answer(w, r)
					return true
				case r.Method == "initialize" && calls > 0:
					time.Sleep(2 * time.Second)
				}
				return false
			}}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
				h := startHost(t, cfg)
				h.handshake("2025-11-25")
				h.send(callEcho("1"))
				synctest.Wait()
				h.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`)
				time.Sleep(time.Minute)
				if calls != 1 {
					t.Errorf("the call was sent %d times: %q", calls, names(s))
				}
			})
		})
	}
}

// A notification whose event broke off comes again when the stream is resumed, unless the event had its
// id already; half an id is none. The host gets it once either way.
func TestE8_CutInsideAnEvent(t *testing.T) {
	data := func(n int) string {
		return fmt.Sprintf("data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/n%d\"}\n", n)
	}
	id := func(n int) string { return fmt.Sprintf("id: e1%d\n", n) }
	for name, half := range map[string]string{
		"before the id":      data(2),
		"in the id":          data(2) + "id: e1",
		"in the id's number": data(2) + "id: e",
		"behind the id":      data(2) + id(2),
		"in the data":        id(2) + data(2)[:20],
		"behind the data":    id(2) + strings.TrimSuffix(data(2), "\n"),
	} {
		for how, end := range map[string]func(http.ResponseWriter, *bridgetest.Request){
			"ended": text("retry: 10\n" + data(1) + id(1) + "\n" + half),
			"cut": func(w http.ResponseWriter, r *bridgetest.Request) {
				text("retry: 10\n"+data(1)+id(1)+"\n"+half)(w, r)
				panic(http.ErrAbortHandler)
			},
		} {
			t.Run(name+", "+how, func(t *testing.T) {
				log := &getLog{answers: []func(http.ResponseWriter, *bridgetest.Request){end, func(w http.ResponseWriter, r *bridgetest.Request) {
					e := r.Events(w)
					switch last := r.Header.Get("Last-Event-Id"); last {
					case "e11":
						e.Raw(data(2) + id(2) + "\n")
					case "e12":
					default:
						e.Raw(data(1) + id(1) + "\n" + data(2) + id(2) + "\n") // it makes of the id what it can
					}
					e.Raw(data(3) + id(3) + "\n")
					<-r.Context().Done()
				}}}
				inFakeTime(t, bridgetest.Config{Handle: log.handle}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
					h := startHost(t, cfg)
					h.handshake("2025-11-25")
					time.Sleep(time.Minute)
					var got []string
					for line, ok := h.take(0); ok; line, ok = h.take(0) {
						got = append(got, line[strings.LastIndex(line, "/")+1:len(line)-2])
					}
					if want := []string{"n1", "n2", "n3"}; !slices.Equal(got, want) {
						t.Errorf("got %q, want %q; resumed with %q", got, want, log.lastIDs())
					}
				})
			})
		}
	}
}

// The host's answer to a question of a session that is gone does not answer a question of the new
// one: servers count their ids from the same number in each.
func TestN1_AnswerToAQuestionOfALostSession(t *testing.T) {
	t.Parallel()
	question := func(text string) string {
		return `{"jsonrpc":"2.0","id":1,"method":"elicitation/create","params":{"message":"` + text + `"}}`
	}
	var forgotten atomic.Bool
	asked := make(chan struct{})
	h, s := startWith(t, bridgetest.Config{Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
		switch id := r.Header.Get("Mcp-Session-Id"); {
		case r.Request.Method == http.MethodGet && id == "S1":
			r.Events(w).Send(question("Delete everything?"))
			<-r.Context().Done()
		case r.Request.Method == http.MethodGet:
			e := r.Events(w)
			<-asked
			e.Send(question("Say hello?"))
			<-r.Context().Done()
		case id == "S1" && forgotten.Load():
			w.WriteHeader(404)
		default:
			return false
		}
		return true
	}}, bridge.Config{}, "2025-11-25")
	first := h.next() // the host asks its user
	forgotten.Store(true)
	h.send(callEcho("7"))
	wantResult(t, h, "7")
	close(asked)
	second := h.next()
	for second == listChanged {
		second = h.next()
	}
	h.send(`{"jsonrpc":"2.0","id":` + rawID(first) + `,"result":{"action":"decline"}}`) // the first
	h.send(`{"jsonrpc":"2.0","id":` + rawID(second) + `,"result":{"action":"accept"}}`) // the second
	h.end()
	var got []string
	for _, r := range s.Requests() {
		if r.String() == "response" && r.Header.Get("Mcp-Session-Id") == "S2" {
			got = append(got, string(r.Body))
		}
	}
	if want := []string{`{"jsonrpc":"2.0","id":1,"result":{"action":"accept"}}`}; !slices.Equal(got, want) {
		t.Errorf("the new session got %q, want %q", got, want)
	}
}

// What a server answers under the call's own id is its answer, though it speaks of a session: the
// call is not sent twice.
func TestN4_AnswerThatSpeaksOfASession(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(http.ResponseWriter, *bridgetest.Request){
		"400": func(w http.ResponseWriter, r *bridgetest.Request) {
			r.Fail(w, 400, -32602, "the upload session 17 has expired")
		},
		"503": func(w http.ResponseWriter, r *bridgetest.Request) {
			r.Fail(w, 503, -32000, "the browser session was closed")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, s := startWith(t, bridgetest.Config{Handle: once("tools/call", answer)}, bridge.Config{}, "2025-11-25")
			h.send(callEcho("1"))
			if got := string(h.answer("1")); !strings.Contains(got, "session") {
				t.Errorf("got %s", got)
			}
			if n := s.Count("tools/call"); n != 1 {
				t.Errorf("the call was sent %d times", n)
			}
			h.end()
		})
	}
}

// A notification that did not get to the server because nobody was there is sent when somebody is.
func TestNotificationWhileTheServerRestarts(t *testing.T) {
	t.Parallel()
	s := bridgetest.NewServer(bridgetest.Config{Stateless: true})
	address := strings.TrimSuffix(strings.TrimPrefix(s.URL(), "http://"), "/mcp")
	h := startHost(t, bridge.Config{URL: s.URL()})
	h.handshake("2025-11-25")
	h.send(listTools("1"))
	wantResult(t, h, "1")
	s.Close()
	h.send(`{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}`)
	time.Sleep(50 * time.Millisecond) // nobody is there
	again := bridgetest.NewServer(bridgetest.Config{Stateless: true, Listener: listenAt(t, address)})
	t.Cleanup(again.Close)
	h.send(listTools("2"))
	wantResult(t, h, "2")
	eventually(t, "the notification arrives", func() bool { return again.Count("notifications/roots/list_changed") == 1 })
	h.end()
}

// At the end a call that was not sent is not said to have run, perhaps.
func TestEnd_CallThatWasNotSent(t *testing.T) {
	inFakeTime(t, bridgetest.Config{Handle: answerAfter(0)}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
		cfg.MaxInFlight = 1
		h := startHost(t, cfg)
		h.handshake("2025-11-25")
		h.send(`{"jsonrpc":"2.0","id":1,"method":"never"}`)
		synctest.Wait()
		h.send(callEcho("2"))
		synctest.Wait()
		h.in.Close()
		if got := string(h.answer("2")); strings.Contains(got, "may have run") {
			t.Errorf("the call was not sent, and the answer is %s", got)
		}
		if s.Count("tools/call") != 0 {
			t.Errorf("the server got %q", names(s))
		}
		h.end()
	})
}

func listenAt(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}
