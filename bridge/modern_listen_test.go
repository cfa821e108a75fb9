package bridge_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"mcp-bridge/bridge"
	"mcp-bridge/bridge/bridgetest"
)

const (
	listens      = "subscriptions/listen"
	acknowledged = "notifications/subscriptions/acknowledged"
	updated      = "notifications/resources/updated"
)

// Listeners are the subscriptions/listen requests of a server, whose streams a test can break.
type listeners struct {
	mu    sync.Mutex
	drops []context.CancelFunc
}

func (l *listeners) handle(w http.ResponseWriter, r *bridgetest.Request) bool {
	if r.Method != listens {
		return false
	}
	ctx, drop := context.WithCancel(r.Context())
	defer drop()
	l.mu.Lock()
	l.drops = append(l.drops, drop)
	l.mu.Unlock()
	served := *r
	served.Request = r.WithContext(ctx)
	served.Serve(w)
	if ctx.Err() != nil && r.Context().Err() == nil {
		panic(http.ErrAbortHandler)
	}
	return true
}

// drop breaks all streams so far, without a word.
func (l *listeners) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, drop := range l.drops {
		drop()
	}
	l.drops = nil
}

// filterOf returns what a listen request asks for.
func filterOf(t testing.TB, r *bridgetest.Request) json.RawMessage {
	t.Helper()
	filter := member(r.Params, "notifications")
	if filter == nil {
		t.Fatalf("this listens to nothing: %s", r.Body)
	}
	return filter
}

// subscription returns the id under which a notification came.
func subscription(params json.RawMessage) string {
	return string(member(params, "_meta", "io.modelcontextprotocol/subscriptionId"))
}

// wantSubscribed fails the test unless a notification came under an id.
func wantSubscribed(t testing.TB, params json.RawMessage, id string) {
	t.Helper()
	if got := subscription(params); got != id {
		t.Errorf("a notification came for %s, want %s: %s", got, id, params)
	}
}

// A host hears what it listens for, under the id that it gave, in type and spelling (spec 5.01,
// 5.51). To stop is to close the stream (spec 2F, 6.63).
func TestModernListen(t *testing.T) {
	t.Parallel()
	h, s := startModern(t, bridgetest.Config{})
	first := modern(`"l"`, listens, `"notifications":{"toolsListChanged":true},`)
	second := modern("7", listens, `"notifications":{"promptsListChanged":true,"resourceSubscriptions":["test://a","test://none"]},`)
	for i, listen := range []string{first, second} {
		h.send(listen)
		ack := h.notification(acknowledged)
		wantSubscribed(t, ack, []string{`"l"`, "7"}[i])
		wantJSON(t, "what is acknowledged", member(ack, "notifications"), []string{`{"toolsListChanged":true}`, `{"promptsListChanged":true,"resourceSubscriptions":["test://a"]}`}[i])
		eventually(t, "the stream is open", func() bool { return s.Streams() == i+1 })
	}
	if got := bodies(s, listens); !slices.Equal(got, []string{first, second}) {
		t.Errorf("the server got\n%q, want\n%q", got, []string{first, second})
	}
	s.Notify(listChanged)
	wantSubscribed(t, h.notification("notifications/tools/list_changed"), `"l"`)
	s.Notify(`{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"test://a/part","n":1.0}}`)
	params := h.notification(updated)
	wantSubscribed(t, params, "7")
	wantJSON(t, "the number", member(params, "n"), "1.0")
	h.send(cancel(`"l"`))
	eventually(t, "the stream is closed", func() bool { return s.Streams() == 1 && s.Aborted(listens) == 1 })
	s.Notify(listChanged) // nobody hears it
	h.send(modern("8", "tools/list", ""))
	wantResult(t, h, "8")
	h.send(cancel("7"))
	eventually(t, "the stream is closed", func() bool { return s.Streams() == 0 })
	wantNothingMore(t, h)
	if n := s.Count("notifications/cancelled") + s.Count(http.MethodGet); n > 0 {
		t.Errorf("the server got %q", names(s))
	}
}

// A listen stream that breaks is opened again under the same id of the host's: it sees no second
// acknowledgement, and is told that what it listens for may have changed meanwhile (spec 6.64, 5.57).
// mcp-remote leaves it broken.
func TestModernListen_Dropped(t *testing.T) {
	listening := new(listeners)
	inFakeTime(t, bridgetest.Config{Versions: bridgetest.Modern, Handle: listening.handle}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
		h := startHost(t, cfg)
		h.send(modern(`"l"`, listens, `"notifications":{"toolsListChanged":true,"resourceSubscriptions":["test://a"]},`))
		h.notification(acknowledged)
		for range 3 {
			eventually(t, "the stream is open", func() bool { return s.Streams() == 1 })
			listening.drop()
			wantSubscribed(t, h.notification("notifications/tools/list_changed"), `"l"`)
			params := h.notification(updated)
			wantSubscribed(t, params, `"l"`)
			wantJSON(t, "the URI", member(params, "uri"), `"test://a"`)
			eventually(t, "the stream is open", func() bool { return s.Streams() == 1 })
			s.Notify(listChanged)
			wantSubscribed(t, h.notification("notifications/tools/list_changed"), `"l"`)
		}
		for _, r := range s.Requests() {
			if r.Method == listens {
				wantJSON(t, "the filter", filterOf(t, r), `{"toolsListChanged":true,"resourceSubscriptions":["test://a"]}`)
			}
		}
		h.send(cancel(`"l"`))
		time.Sleep(time.Hour)
		if s.Streams() != 0 || s.Count(listens) != 4 {
			t.Errorf("%d streams are open after %d requests", s.Streams(), s.Count(listens))
		}
		wantNothingMore(t, h)
	})
}

// A server that is away for a while is asked again and again, ever more slowly, and never while the
// host has given up.
func TestModernListen_Backoff(t *testing.T) {
	var mu sync.Mutex
	var at []time.Time
	inFakeTime(t, bridgetest.Config{Versions: bridgetest.Modern, Handle: always(listens, func(w http.ResponseWriter, r *bridgetest.Request) {
		mu.Lock()
		at = append(at, time.Now())
		first := len(at) == 1
		mu.Unlock()
		if !first {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_ = r.Events(w).Send(`{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":` + string(r.ID) + `},"notifications":{"toolsListChanged":true}}}`)
	})}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
		h := startHost(t, cfg)
		h.send(modern("1", listens, `"notifications":{"toolsListChanged":true},`))
		h.notification(acknowledged)
		time.Sleep(10 * time.Minute)
		n := s.Count(listens)
		if n < 4 || n > 100 {
			t.Errorf("in ten minutes the server got %d requests", n)
		}
		h.send(cancel("1"))
		time.Sleep(10 * time.Minute)
		if s.Count(listens) > n+1 {
			t.Errorf("the bridge goes on after the host has given up: %d requests, %d before", s.Count(listens), n)
		}
		wantNothingMore(t, h)
	})
}

// Where the server ends a listen with its result, it is over for the host too (spec 1.66, 8.01).
func TestModernListen_Result(t *testing.T) {
	t.Parallel()
	result := `{"resultType":"complete","_meta":{"io.modelcontextprotocol/subscriptionId":"l"}}`
	h, s := startModern(t, bridgetest.Config{Handle: always(listens, func(w http.ResponseWriter, r *bridgetest.Request) {
		e := r.Events(w)
		_ = e.Send(`{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":"l"},"notifications":{}}}`)
		_ = e.Result(result)
	})})
	h.send(modern(`"l"`, listens, `"notifications":{},`))
	h.notification(acknowledged)
	wantJSON(t, "the result", resultOf(t, h.answer(`"l"`)), result)
	h.send(modern("2", "tools/list", ""))
	wantResult(t, h, "2")
	wantNothingMore(t, h)
	if n := s.Count(listens); n != 1 {
		t.Errorf("the server got %q", names(s))
	}
}

// A server that refuses to listen says so to the host; one that does so after the stream broke ends
// the host's listen (spec 6.64).
func TestModernListen_Refused(t *testing.T) {
	refusal := fails(404, `{"code":-32601,"message":"Method not found"}`)
	t.Run("at once", func(t *testing.T) {
		t.Parallel()
		h, _ := startModern(t, bridgetest.Config{Handle: always(listens, refusal)})
		h.send(modern("1", listens, `"notifications":{"toolsListChanged":true},`))
		if e := errorOf(t, h.answer("1")); e.Code != -32601 {
			t.Errorf("the code is %d, want -32601", e.Code)
		}
		wantNothingMore(t, h)
	})
	t.Run("later", func(t *testing.T) {
		inFakeTime(t, bridgetest.Config{Versions: bridgetest.Modern, Handle: handlers(once(listens, func(w http.ResponseWriter, r *bridgetest.Request) {
			_ = r.Events(w).Send(`{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":1},"notifications":{"toolsListChanged":true}}}`)
		}), always(listens, refusal))}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
			h := startHost(t, cfg)
			h.send(modern("1", listens, `"notifications":{"toolsListChanged":true},`))
			h.notification(acknowledged)
			answer := h.answer("1") // the result of spec 1.66, or an error: but an end
			if got := string(member(answer, "result", "_meta", "io.modelcontextprotocol/subscriptionId")); got != "1" && member(answer, "error") == nil {
				t.Errorf("the end is %s", answer)
			}
			time.Sleep(time.Hour)
			if n := s.Count(listens); n > 3 {
				t.Errorf("the server got %d requests", n)
			}
		})
	})
}

// A listen does not hold up the end: Run does not wait for an answer that is not to come (spec 1.64),
// and the host has one all the same.
func TestModernListen_End(t *testing.T) {
	inFakeTime(t, bridgetest.Config{Versions: bridgetest.Modern}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
		h := startHost(t, cfg)
		h.send(modern("1", listens, `"notifications":{"toolsListChanged":true},`))
		h.notification(acknowledged)
		start := time.Now()
		wantIDs(t, h.end(), "1")
		if took := time.Since(start); took > time.Second {
			t.Errorf("Run took %v to return", took)
		}
		eventually(t, "the stream is closed", func() bool { return s.Streams() == 0 })
	})
}

// A stream on which nothing happens is no request without an answer, whatever the limit for those.
func TestModernListen_Quiet(t *testing.T) {
	inFakeTime(t, bridgetest.Config{Versions: bridgetest.Modern}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
		cfg.ResponseTimeout, cfg.KeepAlive = time.Minute, time.Minute
		h := startHost(t, cfg)
		h.send(modern("1", listens, `"notifications":{"toolsListChanged":true},`))
		h.notification(acknowledged)
		time.Sleep(24 * time.Hour)
		if got, want := plainNames(s), []string{discovers, listens}; !slices.Equal(got, want) { // and no ping
			t.Errorf("the server got %q, want %q", got[:min(9, len(got))], want)
		}
		s.Notify(listChanged)
		wantSubscribed(t, h.notification("notifications/tools/list_changed"), "1")
		h.send(cancel("1"))
		wantNothingMore(t, h)
	})
}

// A listen takes no place of those for requests: it would never give it back.
func TestModernListen_TakesNoPlace(t *testing.T) {
	t.Parallel()
	h, _ := startWith(t, bridgetest.Config{Versions: bridgetest.Modern}, bridge.Config{MaxInFlight: 1}, "")
	for _, id := range []string{"1", "2"} {
		h.send(modern(id, listens, `"notifications":{"toolsListChanged":true},`))
		h.notification(acknowledged)
	}
	h.send(modern("3", "tools/list", ""))
	wantResult(t, h, "3")
	h.send(cancel("1"))
	h.send(cancel("2"))
	wantNothingMore(t, h)
}
