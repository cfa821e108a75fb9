package bridge_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mcp-bridge/bridge"
	"mcp-bridge/bridge/bridgetest"
)

// A resumeLog is a getLog for a server without a GET stream of its own: what it answers are GETs
// that resume the stream of a call.
type resumeLog struct {
	getLog
	first func(http.ResponseWriter, *bridgetest.Request) // answers the call
}

func (l *resumeLog) handle(w http.ResponseWriter, r *bridgetest.Request) bool {
	switch {
	case r.Method == "tools/call":
		l.mu.Lock()
		l.times = append(l.times, time.Now())
		l.ids = append(l.ids, "")
		l.mu.Unlock()
		l.first(w, r)
		return true
	case r.Header.Get("Last-Event-Id") != "":
		l.mu.Lock()
		skip := len(l.times) == 0
		l.mu.Unlock()
		return !skip && l.getLog.handle(w, r)
	}
	return false
}

// inResumeTest runs a call whose stream is answered by first, and resumed by the others in turn.
func inResumeTest(t *testing.T, first func(http.ResponseWriter, *bridgetest.Request), more []func(http.ResponseWriter, *bridgetest.Request), f func(t *testing.T, h *host, s *bridgetest.Server, log *resumeLog)) {
	t.Helper()
	log := &resumeLog{first: first}
	log.answers = append([]func(http.ResponseWriter, *bridgetest.Request){nil}, more...) // the first is the call
	inFakeTime(t, bridgetest.Config{Handle: log.handle}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
		h := startHost(t, cfg)
		h.handshake("2025-11-25")
		h.send(callEcho("1"))
		f(t, h, s, log)
		if n := s.Count("tools/call"); n != 1 {
			t.Errorf("the call was sent %d times, want once", n)
		}
		h.send(listTools("2"))
		wantResult(t, h, "2")
		wantNothingMore(t, h)
	})
}

// The stream of a call that ends before its answer is resumed where it ended, by GET, after the
// time that the server asked for, as often as needed (spec 2.28 to 2.32).
func TestE8_CallResumes(t *testing.T) {
	answer := "data: " + result("1") + "\n\n"
	broken := func(events string) func(http.ResponseWriter, *bridgetest.Request) {
		return func(w http.ResponseWriter, r *bridgetest.Request) {
			r.Events(w).Raw(events)
			panic(http.ErrAbortHandler)
		}
	}
	type answers []func(http.ResponseWriter, *bridgetest.Request)
	for name, tt := range map[string]struct {
		first  func(http.ResponseWriter, *bridgetest.Request)
		more   answers
		ids    []string
		delays []time.Duration
	}{
		"primer":            {text("id: e1\nretry: 700\ndata:\n\n"), answers{text(answer)}, []string{"e1"}, []time.Duration{700 * time.Millisecond}},
		"primer, no data":   {text("id: e1\nretry: 700\n\n"), answers{text(answer)}, []string{"e1"}, []time.Duration{700 * time.Millisecond}},
		"no retry":          {text("id: e1\ndata:\n\n"), answers{text(answer)}, []string{"e1"}, []time.Duration{time.Second}},
		"long retry":        {text("id: e1\nretry: 100000\ndata:\n\n"), answers{text(answer)}, []string{"e1"}, []time.Duration{100 * time.Second}},
		"cut":               {broken("id: e1\nretry: 10\ndata:\n\n"), answers{text(answer)}, []string{"e1"}, []time.Duration{10 * time.Millisecond}},
		"cut in the answer": {broken("id: e1\nretry: 10\ndata:\n\nid: e2\n" + answer[:20]), answers{text("id: e2\n" + answer)}, []string{"e1"}, []time.Duration{10 * time.Millisecond}},
		"several times": {text("id: e1\nretry: 10\ndata:\n\n"), answers{text("id: e2\n\n"), text("id: e3\nretry: 20\ndata:\n\n"), text("id: e4\n\n"), text(answer)},
			[]string{"e1", "e2", "e3", "e4"}, []time.Duration{10 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond, 20 * time.Millisecond}},
		"retry in the stream alone": {text("id: e1\ndata:\n\nretry: 10\n\n"), answers{text(answer)}, []string{"e1"}, []time.Duration{10 * time.Millisecond}},
		"id not complete":           {text("id: e1\nretry: 10\n\nid: e2\n"), answers{text(answer)}, []string{"e1"}, []time.Duration{10 * time.Millisecond}},
		"a passing failure":         {text("id: e1\nretry: 10\n\n"), answers{status(503), status(429), status(502), text(answer)}, []string{"e1", "e1", "e1", "e1"}, nil},
		"held for days": {text("id: e1\nretry: 10\n\n"), answers{func(w http.ResponseWriter, r *bridgetest.Request) {
			e := r.Events(w)
			for range 100 {
				time.Sleep(time.Hour)
				e.Raw(": hb\n\n")
			}
			e.Raw(answer)
		}}, []string{"e1"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			inResumeTest(t, tt.first, tt.more, func(t *testing.T, h *host, s *bridgetest.Server, log *resumeLog) {
				if name == "held for days" {
					time.Sleep(101 * time.Hour)
				}
				if name == "long retry" {
					time.Sleep(200 * time.Second)
				}
				if got := string(h.answer("1")); got != result("1") {
					t.Errorf("got %s", got)
				}
				time.Sleep(time.Hour)
				if ids := log.lastIDs()[1:]; !slices.Equal(ids, tt.ids) {
					t.Errorf("resumed with %q, want %q", ids, tt.ids)
				}
				gaps := log.gaps()
				for i, want := range tt.delays {
					if i >= len(gaps) || gaps[i] < want || gaps[i] > want+want/2+5*time.Millisecond {
						t.Errorf("resumed after %v, want %v", gaps, tt.delays)
						break
					}
				}
			})
		})
	}
}

// What comes before the stream ends, and after it is resumed, gets to the host once and in order.
func TestE8_MessagesOfAResumedCall(t *testing.T) {
	progress := func(n int) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p","progress":%d}}`, n)
	}
	events := func(from, to int) string {
		var b strings.Builder
		for n := from; n < to; n++ {
			fmt.Fprintf(&b, "id: e%d\nretry: 10\ndata: %s\n\n", n, progress(n))
		}
		return b.String()
	}
	more := []func(http.ResponseWriter, *bridgetest.Request){text(events(3, 4)), text(events(4, 4)), text(events(4, 9) + "data: " + result("1") + "\n\n")}
	inResumeTest(t, text(events(0, 3)), more, func(t *testing.T, h *host, s *bridgetest.Server, log *resumeLog) {
		for n := range 9 {
			if got := h.next(); got != progress(n) {
				t.Fatalf("got %s, want %s", got, progress(n))
			}
		}
		if got := h.next(); got != result("1") {
			t.Errorf("got %s", got)
		}
		if ids, want := log.lastIDs()[1:], []string{"e2", "e3", "e3"}; !slices.Equal(ids, want) {
			t.Errorf("resumed with %q, want %q", ids, want)
		}
	})
}

// A stream that can't be resumed ends in an error: at once when the server says so, after some
// tries when it does not get on.
func TestE8_CallThatCannotBeResumed(t *testing.T) {
	for name, tt := range map[string]struct {
		answer func(http.ResponseWriter, *bridgetest.Request)
		gets   int // at most
		says   string
	}{
		"404":          {status(404), 2, "404"},
		"405":          {status(405), 1, "405"},
		"400":          {status(400), 1, "400"},
		"HTML":         {func(w http.ResponseWriter, _ *bridgetest.Request) { answerWith(w, 200, "text/html", "<h1>hello</h1>") }, 1, "text/html"},
		"500":          {status(500), 10, "500"},
		"reset":        {func(http.ResponseWriter, *bridgetest.Request) { panic(http.ErrAbortHandler) }, 20, ""},
		"no event":     {text(""), 10, ""},
		"comments":     {text(": hi\n\n"), 10, ""},
		"only a retry": {text("retry: 10\n\n"), 10, ""},
	} {
		t.Run(name, func(t *testing.T) {
			inResumeTest(t, text("id: e1\nretry: 10\ndata:\n\n"), []func(http.ResponseWriter, *bridgetest.Request){tt.answer}, func(t *testing.T, h *host, s *bridgetest.Server, log *resumeLog) {
				began := time.Now()
				wantFailure(t, h, "1", "could not be resumed", "may have run", tt.says)
				if took := time.Since(began); took > 5*time.Minute {
					t.Errorf("that took %v", took)
				}
				time.Sleep(time.Hour)
				if n := s.Count("GET") - 1; n > tt.gets { // one was for the stream of the session
					t.Errorf("%d GETs, want %d at most: %v", n, tt.gets, s.Requests())
				}
			})
		})
	}
}

// Nothing is resumed when the answer is there, when there is nothing to resume, or when the host
// has cancelled.
func TestE8_NotResumed(t *testing.T) {
	get := []func(http.ResponseWriter, *bridgetest.Request){text("")}
	t.Run("answered", func(t *testing.T) {
		inResumeTest(t, text("id: e1\nretry: 10\ndata: "+result("1")+"\n\n"), get, func(t *testing.T, h *host, s *bridgetest.Server, log *resumeLog) {
			wantResult(t, h, "1")
			time.Sleep(time.Hour)
			if ids := log.lastIDs(); len(ids) > 1 {
				t.Errorf("resumed with %q", ids[1:])
			}
		})
	})
	t.Run("no id", func(t *testing.T) {
		inResumeTest(t, text("retry: 10\ndata: "+listChanged+"\n\n"), get, func(t *testing.T, h *host, s *bridgetest.Server, log *resumeLog) {
			if got := h.next(); got != listChanged {
				t.Errorf("got %s", got)
			}
			wantFailure(t, h, "1", "may have run")
		})
	})
	t.Run("cancelled", func(t *testing.T) {
		inResumeTest(t, text("id: e1\nretry: 5000\ndata:\n\n"), get, func(t *testing.T, h *host, s *bridgetest.Server, log *resumeLog) {
			time.Sleep(time.Second)
			h.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`)
			time.Sleep(time.Hour)
			if s.Count("notifications/cancelled") != 1 {
				t.Error("the cancellation did not arrive")
			}
		})
	})
}

// A resumed stream is closed when the answer has come, though the server holds it open; so is the
// first one, after a while.
func TestE8_ResumedStreamIsClosed(t *testing.T) {
	for name, resumed := range map[string]bool{"first": false, "resumed": true} {
		t.Run(name, func(t *testing.T) {
			var closed atomic.Int64 // after so many nanoseconds
			hold := func(w http.ResponseWriter, r *bridgetest.Request) {
				e := r.Events(w)
				e.Send(result("1"))
				began := time.Now()
				<-r.Context().Done()
				closed.Store(int64(time.Since(began) + 1))
			}
			first := hold
			if resumed {
				first = text("id: e1\nretry: 10\ndata:\n\n")
			}
			inResumeTest(t, first, []func(http.ResponseWriter, *bridgetest.Request){hold}, func(t *testing.T, h *host, s *bridgetest.Server, log *resumeLog) {
				wantResult(t, h, "1")
				time.Sleep(time.Hour)
				if took := time.Duration(closed.Load()); took == 0 || took > time.Minute || resumed && took > time.Second {
					t.Errorf("the stream was closed %v after the answer (0 if never)", took)
				}
			})
		})
	}
}

// Calls that run side by side are resumed each by its own id.
func TestE8_CallsSideBySide(t *testing.T) {
	t.Parallel()
	const n = 20
	h, s := startWith(t, bridgetest.Config{Stream: true, Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
		last := r.Header.Get("Last-Event-Id")
		switch {
		case r.Method == "tools/call":
			r.Events(w).Raw("id: call-" + string(r.ID) + "\nretry: 10\ndata:\n\n")
		case last != "":
			r.Events(w).Send(result(strings.TrimPrefix(last, "call-")))
		default:
			return false
		}
		return true
	}}, bridge.Config{}, "2025-11-25")
	for i := range n {
		h.send(callEcho(fmt.Sprint(i)))
	}
	var got []string
	for range n {
		got = append(got, h.next())
	}
	slices.Sort(got)
	for i := range n {
		if !slices.Contains(got, result(fmt.Sprint(i))) {
			t.Errorf("no answer to %d: %q", i, got)
		}
	}
	wantNothingMore(t, h)
	if s.Count("tools/call") != n {
		t.Errorf("%d calls at the server, want %d", s.Count("tools/call"), n)
	}
}
