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

// The cancellation of initialize is not passed on: it must not be cancelled (spec 1.28).
func TestCancelInitialize(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	h, s := startWith(t, bridgetest.Config{Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
		if r.Method == "initialize" {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}
		return false
	}}, bridge.Config{}, "")
	h.send(initialize(`"i"`, "2025-11-25"))
	eventually(t, "initialize arrives", func() bool { return s.Count("initialize") == 1 })
	h.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"i","reason":"impatience"}}`)
	h.send(`{"jsonrpc":"2.0","id":1,"method":"ping"}`)
	close(release)
	if got := string(h.answer(`"i"`)); !strings.Contains(got, `"result"`) {
		t.Errorf("initialize was answered %s", got)
	}
	h.answer("1")
	h.send(initialized)
	h.end()
	if n := s.Count("notifications/cancelled"); n > 0 {
		t.Error("the cancellation reached the server")
	}
}

// A request that is cancelled before it was sent stays here, and so does its cancellation.
func TestCancelUnsent(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	h, s := startWith(t, bridgetest.Config{Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
		if r.Method == "slow" {
			select {
			case <-release:
				r.Answer(w, `"slow"`)
			case <-r.Context().Done():
			}
		}
		return r.Method == "slow"
	}}, bridge.Config{MaxInFlight: 1}, "2025-11-25")
	h.send(`{"jsonrpc":"2.0","id":1,"method":"slow"}`)
	eventually(t, "the first request arrives", func() bool { return s.Count("slow") == 1 })
	h.send(`{"jsonrpc":"2.0","id":2,"method":"unwanted"}`)
	h.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}`)
	h.send(`{"jsonrpc":"2.0","id":3,"method":"ping"}`)
	h.send(`{"jsonrpc":"2.0","method":"notifications/x"}`)
	close(release)
	wantIDs(t, h.end(), "1", "3")
	if n := s.Count("unwanted") + s.Count("notifications/cancelled"); n > 0 || s.Count("notifications/x") != 1 {
		t.Errorf("the server got %v", s.Requests())
	}
}

// What cancels nothing that is under way is the server's to judge: it passes, and is never
// answered (spec 1.54, 1.58). An id is the same only if its type is.
func TestCancelNothing(t *testing.T) {
	t.Parallel()
	h, s := startWith(t, bridgetest.Config{}, bridge.Config{}, "2025-11-25")
	h.send(`{"jsonrpc":"2.0","id":1,"method":"ping"}`)
	h.answer("1")
	want := []string{
		`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,"reason":"too late"}}`,
		`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"reason":"<x>", "requestId":99}}`,
		`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":null}}`,
		`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":{"a":1.0}}}`,
		`{"jsonrpc":"2.0","method":"notifications/cancelled","params":[1]}`,
		`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{}}`,
		`{"jsonrpc":"2.0","method":"notifications/cancelled"}`,
	}
	for _, cancel := range want {
		h.send(cancel)
	}
	h.send(`{"jsonrpc":"2.0","id":2,"method":"ping"}`)
	wantLines(t, h, []string{`{"jsonrpc":"2.0","id":2,"result":{}}`})
	if got := bodies(s, "notifications/cancelled"); !slices.Equal(got, want) {
		t.Errorf("the server got\n%q, want\n%q", got, want)
	}
}

// A request that was cancelled has no answer of ours, and is no longer waited for: not at the end,
// and not for ever if the server never ends it. Why it was cancelled is in the log (spec 1.54,
// 1.60).
func TestCancelRunning(t *testing.T) {
	for name, sc := range transports {
		sc.Handle = answerAfter(0)
		t.Run(name, func(t *testing.T) {
			inFakeTime(t, sc, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
				cfg.MaxInFlight = 1
				h := startHost(t, cfg)
				h.handshake("2025-11-25")
				h.send(`{"jsonrpc":"2.0","id":"1","method":"never"}`)
				eventually(t, "the request arrives", func() bool { return s.Count("never") == 1 })
				other := `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`
				cancel := `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"1","reason":"a change of mind"}}`
				h.send(other)
				h.send(cancel)
				eventually(t, "the cancellations arrive", func() bool { return slices.Equal(bodies(s, "notifications/cancelled"), []string{other, cancel}) })
				if !strings.Contains(h.logs(), "a change of mind") {
					t.Error("the log does not say why")
				}
				time.Sleep(time.Hour)
				h.send(`{"jsonrpc":"2.0","id":"1","method":"ping"}`) // needs the place that was taken
				if got, want := h.next(), `{"jsonrpc":"2.0","id":"1","result":{}}`; got != want {
					t.Errorf("the host got %s, want %s", got, want)
				}
				h.send(`{"jsonrpc":"2.0","id":2,"method":"never"}`)
				eventually(t, "the request arrives", func() bool { return s.Count("never") == 2 })
				h.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}`)
				eventually(t, "the cancellation arrives", func() bool { return s.Count("notifications/cancelled") == 3 })
				start := time.Now()
				if rest := h.end(); len(rest) > 0 {
					t.Errorf("a cancelled request was answered: %q", rest)
				}
				if took := time.Since(start); took > time.Second {
					t.Errorf("Run took %v to return, for a request that was cancelled", took)
				}
			})
		})
	}
}

// A request that takes longer than it may is answered with an error then, and the server is told
// that nobody waits any more, except for initialize. An answer that begins in time may take as long
// as it likes (spec 1.28, 1.30).
func TestResponseTimeout(t *testing.T) {
	for name, sc := range transports {
		sc.Handle = answerAfter(90 * time.Second)
		t.Run(name, func(t *testing.T) {
			inFakeTime(t, sc, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
				cfg.ResponseTimeout = time.Minute
				h := startHost(t, cfg)
				h.handshake("2025-11-25")
				start := time.Now()
				h.send(`{"jsonrpc":"2.0","id":"7","method":"slow"}`)
				e := errorOf(t, waitAnswer(t, h, `"7"`, time.Minute))
				if e.Data.Source != "mcp-bridge" || !strings.Contains(e.Message, "1m0s") {
					t.Errorf("the error is %+v", e)
				}
				if took := time.Since(start); took != time.Minute {
					t.Errorf("it came after %v", took)
				}
				eventually(t, "the server is told", func() bool { return s.Count("notifications/cancelled") == 1 })
				if told := bodies(s, "notifications/cancelled")[0]; !strings.Contains(told, `"requestId":"7"`) {
					t.Errorf("the server was told %s", told)
				}
				time.Sleep(time.Hour)
				if rest := h.end(); len(rest) > 0 {
					t.Errorf("it was answered twice: %q", rest)
				}
			})
		})
	}
	t.Run("initialize", func(t *testing.T) {
		inFakeTime(t, bridgetest.Config{Handle: func(_ http.ResponseWriter, r *bridgetest.Request) bool {
			<-r.Context().Done()
			return true
		}}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
			cfg.ResponseTimeout = time.Minute
			h := startHost(t, cfg)
			h.send(initialize("0", "2025-11-25"))
			errorOf(t, waitAnswer(t, h, "0", time.Minute))
			time.Sleep(time.Hour)
			if n := len(s.Requests()); n != 1 {
				t.Errorf("the server got %v", s.Requests())
			}
		})
	})
	t.Run("an answer that begins in time", func(t *testing.T) {
		inFakeTime(t, bridgetest.Config{Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
			if r.Method != "slow" {
				return false
			}
			events := r.Events(w)
			time.Sleep(time.Hour)
			_ = events.Result(`"slow"`)
			return true
		}}, func(t *testing.T, _ *bridgetest.Server, cfg bridge.Config) {
			cfg.ResponseTimeout = time.Minute
			h := startHost(t, cfg)
			h.handshake("2025-11-25")
			h.send(`{"jsonrpc":"2.0","id":7,"method":"slow"}`)
			if got, want := string(waitAnswer(t, h, "7", time.Hour)), `{"jsonrpc":"2.0","id":7,"result":"slow"}`; got != want {
				t.Errorf("the host got %s, want %s", got, want)
			}
		})
	})
}

// waitAnswer returns an answer that comes later than a host is patient, in fake time.
func waitAnswer(t *testing.T, h *host, id string, d time.Duration) []byte {
	t.Helper()
	h.silent(d - patience/2)
	return h.answer(id)
}
