package bridge_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mcp-bridge/bridge"
	"mcp-bridge/bridge/bridgetest"
)

const (
	// flood is how many bytes a server has for a host that does not read.
	flood = 4 << 20

	// mostUnread is how many of them it may get rid of: what the bridge's buffers hold, as there is
	// no network between the two that would hold some more.
	mostUnread = 256 << 10
)

// C2: a host that stops reading stops the server, whatever stream it sends on. When the host goes
// on, everything comes, and in order.
func TestC2_HostStopsReading(t *testing.T) {
	t.Parallel()
	for name, sc := range map[string]bridgetest.Config{
		"stream of a call": {},
		"GET stream":       {Stream: true},
		"HTTP+SSE":         {HTTPSSE: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			filler := strings.Repeat("x", 16<<10)
			message := func(i int64) string {
				return fmt.Sprint(`{"jsonrpc":"2.0","method":"notifications/message","params":{"n":`, i, `,"s":"`, filler, `"}}`)
			}
			total := int64(flood / len(message(0)))
			var sent atomic.Int64 // messages
			var server *bridgetest.Server
			sc.Handle = func(w http.ResponseWriter, r *bridgetest.Request) bool {
				if r.Method != "flood" {
					return false
				}
				send := func(message string) error { server.Notify(message); return r.Context().Err() }
				answer := func() { r.Answer(w, `"done"`) }
				if !sc.Stream && !sc.HTTPSSE {
					events := r.Events(w)
					send, answer = events.Send, func() { _ = events.Result(`"done"`) }
				}
				for i := range total {
					if send(message(i)) != nil {
						return true
					}
					sent.Add(1)
				}
				answer()
				return true
			}
			inFakeTime(t, sc, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
				server = s
				h := startHost(t, cfg)
				h.handshake("2025-11-25")
				if sc.Stream {
					eventually(t, "the GET stream opens", func() bool { return s.Streams() == 1 })
				}
				h.pause()
				h.send(`{"jsonrpc":"2.0","id":1,"method":"flood"}`)
				time.Sleep(time.Hour) // the clock goes on when nobody can do anything any more
				if unread := sent.Load() * int64(len(message(0))); unread > mostUnread {
					t.Errorf("the server could send %d KiB that nobody reads", unread>>10)
				}
				h.resume()
				answered := false
				for i := int64(0); i < total || !answered; {
					switch got := h.next(); {
					case i < total && got == message(i):
						i++
					case got == `{"jsonrpc":"2.0","id":1,"result":"done"}` && !answered && (i == total || sc.Stream):
						answered = true // only where it comes on another stream it may overtake
					default:
						t.Fatalf("instead of message %d of %d this came: %.100s", i, total, got)
					}
				}
				if rest := h.end(); len(rest) > 0 {
					t.Errorf("this came besides: %.200q", rest)
				}
			})
		})
	}
}

// C2: nor does the bridge take more than some long answers at once for a host that does not read,
// however many are on their way. All of them come in the end.
func TestC2_ManyLongAnswers(t *testing.T) {
	t.Parallel()
	const (
		many    = 40       // of 1 MiB each, one half as JSON and one as events
		longest = 35 << 20 // what is taken of them: the bridge's memory for long messages, and a little
	)
	result := `"` + strings.Repeat("x", 1<<20) + `"}`
	var taken atomic.Int64 // bytes
	s, cfg := startOnPipes(t, bridgetest.Config{Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
		answer := `{"jsonrpc":"2.0","id":` + string(r.ID) + `,"result":` + result
		counting := countingWriter{w, &taken}
		switch r.Method {
		case "long JSON":
			answerJSON(counting, answer)
		case "long SSE":
			answerEvents(counting, "data: "+answer+"\n\n")
		default:
			return false
		}
		return true
	}})
	h := startHost(t, cfg)
	h.handshake("2025-11-25")
	h.pause()
	for i := range 2 { // the first one may still be read
		h.send(fmt.Sprintf(`{"jsonrpc":"2.0","id":"%d","method":"ping"}`, i))
		eventually(t, "the ping is answered", func() bool { return h.writes() == i+2 }) // and initialize was
	}
	for i := range many {
		h.send(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":%q}`, i, []string{"long JSON", "long SSE"}[i%2]))
	}
	eventually(t, "all calls arrive", func() bool { return s.Count("long JSON")+s.Count("long SSE") == many })
	last, since := int64(0), time.Now()
	eventually(t, "the server is stopped", func() bool {
		if n := taken.Load(); n != last || n == 0 {
			last, since = n, time.Now()
		}
		return time.Since(since) > time.Second/4
	})
	if last > longest {
		t.Errorf("the bridge took %d MiB that nobody reads", last>>20)
	}
	h.resume()
	h.answer(`"1"`)
	ids := make(map[string]bool)
	for range many {
		head, whole := strings.CutSuffix(h.next(), `,"result":`+result)
		id, ok := strings.CutPrefix(head, `{"jsonrpc":"2.0","id":`)
		if !whole || !ok {
			t.Fatalf("an answer is not as the server gave it: %.100s", head)
		}
		ids[id] = true
	}
	if len(ids) != many {
		t.Errorf("there are answers to %d calls, want %d", len(ids), many)
	}
}

// A countingWriter counts the bytes that the other side took.
type countingWriter struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (w countingWriter) Write(p []byte) (n int, err error) {
	for len(p) > 0 && err == nil {
		var m int
		m, err = w.ResponseWriter.Write(p[:min(len(p), 8<<10)])
		n, p = n+m, p[m:]
		w.n.Add(int64(m))
	}
	return n, err
}

func (w countingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// An answer of any length comes, though the server stopped in the middle of another one.
func TestLongAnswerBesideOneThatStalls(t *testing.T) {
	t.Parallel()
	var stalled chan struct{}
	result := `{"jsonrpc":"2.0","id":2,"result":"` + strings.Repeat("x", 33<<20) + `"}`
	inFakeTime(t, bridgetest.Config{Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
		switch r.Method {
		case "stalls":
			answerEvents(w, `data: {"jsonrpc":"2.0","id":1,"result":"`+strings.Repeat("x", 100<<10))
			close(stalled)
			<-r.Context().Done()
		case "long":
			answerJSON(w, result)
		default:
			return false
		}
		return true
	}}, func(t *testing.T, _ *bridgetest.Server, cfg bridge.Config) {
		stalled = make(chan struct{})
		h := startHost(t, cfg)
		h.handshake("2025-11-25")
		h.send(`{"jsonrpc":"2.0","id":1,"method":"stalls"}`)
		<-stalled
		h.send(`{"jsonrpc":"2.0","id":2,"method":"long"}`)
		if got := h.next(); got != result {
			t.Errorf("the host got %d bytes, want %d: %.100s", len(got), len(result), got)
		}
	})
}
