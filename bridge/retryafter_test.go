package bridge_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"mcp-bridge/bridge"
	"mcp-bridge/bridge/bridgetest"
)

// A server that asks to wait a little is asked again after that, a bounded number of times, where
// it certainly did not run the request; else the host hears of it at once.
func TestH10_RetryAfter(t *testing.T) {
	date := func(d time.Duration) func(http.ResponseWriter, *bridgetest.Request) {
		return func(w http.ResponseWriter, r *bridgetest.Request) {
			status(429, "Retry-After", time.Now().Add(d).UTC().Format(http.TimeFormat))(w, r)
		}
	}
	busy := func(code int, after string) func(http.ResponseWriter, *bridgetest.Request) {
		return status(code, "Retry-After", after)
	}
	for name, tt := range map[string]struct {
		method string
		answer func(http.ResponseWriter, *bridgetest.Request)
		times  int // that it says so
		sent   int // requests in all
		least  time.Duration
		most   time.Duration
		says   []string // none: a result
	}{
		"429, a second":         {"tools/call", busy(429, "1"), 1, 2, time.Second, 3 * time.Second, nil},
		"429, a date":           {"tools/call", date(2 * time.Second), 1, 2, time.Second, 4 * time.Second, nil},
		"429, thrice":           {"tools/call", busy(429, "2"), 3, 4, 6 * time.Second, 10 * time.Second, nil},
		"429, always":           {"tools/call", busy(429, "2"), 1000, 4, 6 * time.Second, 10 * time.Second, []string{"429"}},
		"429, an hour":          {"tools/call", busy(429, "3600"), 1, 1, 0, time.Second, []string{"429", "3600"}},
		"429, a date far ahead": {"tools/call", date(time.Hour), 1, 1, 0, time.Second, []string{"429", "3600"}},
		"429, without":          {"tools/call", status(429), 1, 1, 0, time.Second, []string{"429"}},
		"429, a date long ago":  {"tools/call", date(-time.Hour), 1, 1, 0, time.Second, []string{"429"}},
		"429, negative":         {"tools/call", busy(429, "-5"), 1, 1, 0, time.Second, []string{"429"}},
		"429, nonsense":         {"tools/call", busy(429, "soon"), 1, 1, 0, time.Second, []string{"429"}},
		"429, too many digits":  {"tools/call", busy(429, "99999999999999999999"), 1, 1, 0, time.Second, []string{"429"}},
		"429, overflowing":      {"tools/call", busy(429, "9223372036854775807"), 1, 1, 0, time.Second, []string{"429"}},
		"503, a list":           {"tools/list", busy(503, "1"), 1, 2, time.Second, 3 * time.Second, nil},
		"503, a call":           {"tools/call", busy(503, "1"), 1, 1, 0, time.Second, []string{"503"}}, // may have run
		"500, a list":           {"tools/list", busy(500, "1"), 1, 1, 0, time.Second, []string{"500"}},
		"429, initialize":       {"initialize", busy(429, "1"), 1, 2, time.Second, 3 * time.Second, nil},
	} {
		t.Run(name, func(t *testing.T) {
			left := tt.times
			inFakeTime(t, bridgetest.Config{Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
				if r.Method != tt.method || left == 0 {
					return false
				}
				left--
				tt.answer(w, r)
				return true
			}}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
				h := startHost(t, cfg)
				id := "1"
				began := time.Now()
				if tt.method == "initialize" {
					h.send(initialize("1", "2025-11-25"))
				} else {
					h.handshake("2025-11-25")
					h.send(strings.Replace(callEcho("1"), "tools/call", tt.method, 1))
				}
				if tt.says == nil {
					wantResult(t, h, id)
				} else {
					wantFailure(t, h, id, tt.says...)
				}
				if took := time.Since(began); took < tt.least || took > tt.most {
					t.Errorf("answered after %v, want %v to %v", took, tt.least, tt.most)
				}
				if n := s.Count(tt.method); n != tt.sent {
					t.Errorf("sent %d times, want %d", n, tt.sent)
				}
				wantNothingMore(t, h)
			})
		})
	}
}

// The GET stream is asked for again no sooner than the server allows.
func TestH10_RetryAfterOnGET(t *testing.T) {
	for name, tt := range map[string]struct {
		code  int
		after string
		least time.Duration
		most  time.Duration
	}{
		"429":     {429, "20", 20 * time.Second, time.Minute},
		"503":     {503, "5", 5 * time.Second, 10 * time.Second},
		"an hour": {429, "3600", 30 * time.Second, 2 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			log := &getLog{answers: []func(http.ResponseWriter, *bridgetest.Request){status(tt.code, "Retry-After", tt.after), open}}
			inFakeTime(t, bridgetest.Config{Handle: log.handle}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
				h := startHost(t, cfg)
				h.handshake("2025-11-25")
				time.Sleep(3 * time.Hour)
				if gaps := log.gaps(); len(gaps) != 1 || gaps[0] < tt.least || gaps[0] > tt.most {
					t.Errorf("asked again after %v, want %v to %v", gaps, tt.least, tt.most)
				}
				wantNothingMore(t, h)
			})
		})
	}
}
