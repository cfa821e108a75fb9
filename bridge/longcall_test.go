package bridge_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"mcp-bridge/bridge"
	"mcp-bridge/bridge/bridgetest"
)

// A call may take for ever, with signs of life or without, and holds up nothing: its progress,
// other requests and its cancellation pass at once.
func TestH13_LongCall(t *testing.T) {
	const progress = `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p1","progress":%d}}`
	for name, cfg := range map[string]bridgetest.Config{"POST stream": {SSE: true}, "JSON": {}, "HTTP+SSE": {HTTPSSE: true}} {
		t.Run(name, func(t *testing.T) {
			if !cfg.HTTPSSE {
				cfg.Handle = func(w http.ResponseWriter, r *bridgetest.Request) bool {
					if r.Method != "tools/call" || string(r.ID) != "1" {
						return false
					}
					if cfg.SSE {
						e := r.Events(w)
						for i := range 40 {
							time.Sleep(time.Hour)
							e.Send(fmt.Sprintf(progress, i))
						}
						time.Sleep(48 * time.Hour)
						e.Result(`{}`)
					} else {
						time.Sleep(88 * time.Hour)
						r.Answer(w, `{}`)
					}
					return true
				}
			} else {
				cfg.Handle = once("tools/call", status(http.StatusAccepted)) // the rest comes on the event stream
			}
			inFakeTime(t, cfg, func(t *testing.T, s *bridgetest.Server, bc bridge.Config) {
				h := startHost(t, bc)
				h.handshake("2025-06-18")
				h.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow","_meta":{"progressToken":"p1"}}}`)
				for i := range 40 {
					if cfg.SSE || cfg.HTTPSSE {
						time.Sleep(time.Hour)
						if cfg.HTTPSSE {
							s.Notify(fmt.Sprintf(progress, i))
						}
						if got, want := h.next(), fmt.Sprintf(progress, i); got != want {
							t.Fatalf("got %s, want %s", got, want)
						}
					}
					began := time.Now()
					h.send(listTools("2"))
					wantResult(t, h, "2")
					if took := time.Since(began); took > 0 {
						t.Errorf("a request beside the long call took %v", took)
					}
				}
				began := time.Now()
				h.send(`{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}`)
				synctest.Wait()
				if s.Count("notifications/roots/list_changed") != 1 || time.Since(began) > 0 {
					t.Error("the notification waits for the long call")
				}
				time.Sleep(100 * time.Hour)
				if cfg.HTTPSSE {
					s.Notify(result("1"))
				}
				if got := string(h.answer("1")); got != result("1") {
					t.Errorf("got %s", got)
				}
				wantNothingMore(t, h)
			})
		})
	}
}

// A cancellation gets to the server at once; what the server says to the call all the same is
// passed on, and no answer is made up.
func TestH13_CancelALongCall(t *testing.T) {
	for name, late := range map[string]bool{"no answer": false, "a late answer": true} {
		t.Run(name, func(t *testing.T) {
			inFakeTime(t, bridgetest.Config{Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
				if r.Method != "tools/call" {
					return false
				}
				e := r.Events(w)
				time.Sleep(10 * time.Second)
				if late {
					e.Result(`{}`)
				}
				return true
			}}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
				h := startHost(t, cfg)
				h.handshake("2025-06-18")
				h.send(callEcho("1"))
				time.Sleep(5 * time.Second)
				h.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`)
				time.Sleep(10 * time.Millisecond)
				if s.Count("notifications/cancelled") != 1 {
					t.Error("the cancellation did not arrive at once")
				}
				time.Sleep(time.Hour)
				if late {
					if got := h.next(); got != result("1") {
						t.Errorf("got %s", got)
					}
				}
				wantNothingMore(t, h)
			})
		})
	}
}
