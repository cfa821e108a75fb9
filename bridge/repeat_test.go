package bridge_test

import (
	"net/http"
	"testing"

	"mcp-bridge/bridge"
	"mcp-bridge/bridge/bridgetest"
)

// A request that gets lost is sent again, once, if it only reads and nothing of an answer has come.
// What may do something is never sent again, and neither is anything that was answered.
func TestH9_WhatIsSentAgain(t *testing.T) {
	t.Parallel()
	reset := func(http.ResponseWriter, *bridgetest.Request) { panic(http.ErrAbortHandler) }
	half := func(w http.ResponseWriter, r *bridgetest.Request) {
		answerJSON(w, `{"jsonrpc":"2.0","id":1,`)
		panic(http.ErrAbortHandler)
	}
	for name, tt := range map[string]struct {
		method string
		answer func(http.ResponseWriter, *bridgetest.Request)
		times  int // that it gets lost
		sent   int
		ok     bool
	}{
		"a list":             {"tools/list", reset, 1, 2, true},
		"a list, twice":      {"tools/list", reset, 2, 2, false},
		"a ping":             {"ping", reset, 1, 2, true},
		"a call":             {"tools/call", reset, 1, 1, false},
		"an unknown method":  {"acme/delete", reset, 1, 1, false},
		"a task":             {"tasks/cancel", reset, 1, 1, false},
		"half a list":        {"tools/list", half, 1, 1, false},
		"a list, 502":        {"tools/list", status(502), 1, 1, false},
		"a call, 502":        {"tools/call", status(502), 1, 1, false},
		"a call, 504":        {"tools/call", status(504), 1, 1, false},
		"a call, no events":  {"tools/call", text(""), 1, 1, false},
		"a list, no events":  {"tools/list", text(""), 1, 1, false},
		"a list, cut events": {"tools/list", cut, 1, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			left := make(chan struct{}, tt.times)
			for range tt.times {
				left <- struct{}{}
			}
			h, s := startWith(t, bridgetest.Config{Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
				if r.Method != tt.method {
					return false
				}
				select {
				case <-left:
					tt.answer(w, r)
				default:
					r.Answer(w, "{}")
				}
				return true
			}}, bridge.Config{}, "2025-11-25")
			h.send(`{"jsonrpc":"2.0","id":1,"method":"` + tt.method + `"}`)
			if tt.ok {
				wantResult(t, h, "1")
			} else {
				wantFailure(t, h, "1")
			}
			wantNothingMore(t, h)
			if n := s.Count(tt.method); n != tt.sent {
				t.Errorf("sent %d times, want %d", n, tt.sent)
			}
		})
	}
}
