package bridge_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"mcp-bridge/bridge"
	"mcp-bridge/bridge/bridgetest"
)

// "notifications/progress (U): Map token → D token of the live D request". What the token is, is up to
// the host; without one there is no progress.
func TestModernHost_Progress(t *testing.T) {
	eachHandshakeServer(t, wellBehaved, func(t *testing.T, h *modernHost, s *bridgetest.Server) {
		for _, token := range []string{"0", `"0"`, "9007199254740993", `"<é>"`} {
			h.request("1", "tools/call", `"name":"count","arguments":{"to":2}`, `"progressToken":`+token)
			h.complete("1")
			if len(h.notes) != 2 {
				t.Fatalf("the host got %s, want two notifications", h.notes)
			}
			for i, n := range h.notes {
				var p map[string]json.RawMessage
				_ = json.Unmarshal(n.Params, &p)
				if string(p["progressToken"]) != token || string(p["progress"]) != fmt.Sprint(i+1) || string(p["total"]) != "2" {
					t.Errorf("the host got %s, want progress %d of %s", n, i+1, token)
				}
			}
			h.notes = nil
		}
		h.request("1", "tools/call", `"name":"count","arguments":{"to":2}`)
		h.complete("1")
		h.noNotes("the host gave no token")
		tokens := make(map[string]bool)
		for _, b := range got(t, s, "tools/call")[:4] {
			var meta map[string]json.RawMessage
			_ = json.Unmarshal(b.Params["_meta"], &meta)
			tokens[string(meta["progressToken"])] = true
		}
		if len(tokens) != 4 {
			t.Errorf("the server got the tokens %v, want one for each call", tokens)
		}
	})
}

// Progress with a token that nobody has, or of a call that is over, goes nowhere.
func TestModernHost_ProgressOfNothing(t *testing.T) {
	eachHandshakeServer(t, wellBehaved, func(t *testing.T, h *modernHost, s *bridgetest.Server) {
		eventuallyStream(t, h, s)
		h.request("1", "tools/call", `"name":"count","arguments":{"to":1}`, `"progressToken":1`)
		h.complete("1")
		h.notes = nil
		var meta map[string]json.RawMessage
		_ = json.Unmarshal(gotOne(t, s, "tools/call").Params["_meta"], &meta)
		for _, token := range []string{string(meta["progressToken"]), "1", `"acme"`} {
			s.Notify(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":` + token + `,"progress":2}}`)
		}
		h.fence("2")
		h.noNotes("no request under way has this token")
	})
}

// "none while parked; new retry may bring a new token or none".
func TestModernHost_ProgressAndParking(t *testing.T) {
	for name, retryToken := range map[string]string{"a new token": `"progressToken":"new"`, "none": `"acme/x":1`} {
		t.Run(name, func(t *testing.T) {
			eachHandshakeServer(t, func() *bridgetest.Legacy {
				parked, told := make(chan struct{}), make(chan struct{})
				return &bridgetest.Legacy{Answer: func(x *bridgetest.Exchange) string {
					if x.Method == "acme/parked" {
						close(parked)
						<-told
						return bridgetest.ResultMember("{}")
					}
					if x.Method != "tools/call" {
						return ""
					}
					var params struct {
						Meta struct{ ProgressToken json.RawMessage } `json:"_meta"`
					}
					_ = json.Unmarshal(x.Params, &params)
					progress := func(n int) {
						_ = x.Send(fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%s,"progress":%d}}`, params.Meta.ProgressToken, n))
					}
					progress(1)
					go func() { // ends when the call is parked, or with the exchange
						defer close(told)
						select {
						case <-parked:
							progress(2)
						case <-x.Context().Done():
						}
					}()
					if _, err := x.Ask("roots/list", "{}"); err != nil {
						return ""
					}
					progress(3)
					return bridgetest.ResultMember(`{"content":[]}`)
				}}
			}, func(t *testing.T, h *modernHost, _ *bridgetest.Server) {
				h.request("1", "tools/call", `"name":"a"`, `"progressToken":"old"`)
				r := h.inputRequired("1", 1)
				if len(h.notes) != 1 || !strings.Contains(h.notes[0].String(), `"old"`) {
					t.Errorf("before the question came %s, want the progress", h.notes)
				}
				h.notes = nil
				h.request("2", "acme/parked", "")
				h.complete("2")
				h.fence("3")
				h.noNotes("the call is parked")
				key, _ := r.only()
				h.request("4", "tools/call", `"name":"a",`+inputs(r.RequestState, map[string]string{key: rootsAnswer}), retryToken)
				h.complete("4")
				if name == "none" {
					h.noNotes("the retry has no token")
					return
				}
				for _, n := range h.notes { // 2 may have been on its way
					if !strings.Contains(n.String(), `"progressToken":"new"`) {
						t.Errorf("after the retry came %s", n)
					}
				}
				if len(h.notes) == 0 || !strings.Contains(h.notes[len(h.notes)-1].String(), `"progress":3`) {
					t.Errorf("after the retry came %s, want the progress", h.notes)
				}
			})
		})
	}
}

// "_meta…logLevel (D): If U has logging: logging/setLevel to the most verbose level among active
// requests (only when it changes); forward notifications/message ≥ that request's level while such a
// request is active", and "with none active: drop (1.51)".
func TestModernHost_Logs(t *testing.T) {
	eachHandshakeServer(t, func() *bridgetest.Legacy {
		return &bridgetest.Legacy{Answer: func(x *bridgetest.Exchange) string {
			if x.Method == "tools/call" {
				for _, level := range []string{"debug", "info", "warning", "critical"} {
					_ = x.Send(logged(level, "call"))
				}
				return bridgetest.ResultMember(`{"content":[]}`)
			}
			return ""
		}}
	}, func(t *testing.T, h *modernHost, s *bridgetest.Server) {
		eventuallyStream(t, h, s)
		call := func(id, level string, want ...string) {
			t.Helper()
			var meta []string
			if level != "" {
				meta = []string{`"io.modelcontextprotocol/logLevel":"` + level + `"`}
			}
			h.request(id, "tools/call", `"name":"a"`, meta...)
			h.complete(id)
			var levels []string
			for _, n := range h.notes {
				var p struct{ Level string }
				_ = json.Unmarshal(n.Params, &p)
				levels = append(levels, p.Level)
				if n.Method != "notifications/message" || !strings.Contains(string(n.Params), `"data":{"from":"call","n":1.0}`) {
					t.Errorf("this came: %s", n)
				}
			}
			h.notes = nil
			if !slices.Equal(levels, want) {
				t.Errorf("a call with the log level %q was told of %q, want %q", level, levels, want)
			}
		}
		call("1", "")
		if n := len(got(t, s, "logging/setLevel")); n > 0 {
			t.Errorf("the server got a log level that nobody asked for")
		}
		call("2", "warning", "warning", "critical")
		call("3", "warning", "warning", "critical")
		call("4", "debug", "debug", "info", "warning", "critical")
		call("5", "")
		call("6", "emergency")

		s.Notify(logged("emergency", "nothing"))
		h.fence("7")
		h.noNotes("no request under way asked for logs")
		for i, b := range got(t, s, "logging/setLevel") {
			if i == 0 && string(b.Params["level"]) != `"warning"` {
				t.Errorf("the server got the level %s first, want warning", b.Params["level"])
			}
		}
	})
}

func logged(level, from string) string {
	return `{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"` + level + `","logger":"l","data":{"from":"` + from + `","n":1.0}}}`
}

// The level is there before the request that asks for it, and it is the most verbose of those that are
// under way. What comes on the GET stream goes by them all.
func TestModernHost_LogLevelsAtOnce(t *testing.T) {
	eachHandshakeServer(t, wellBehaved, func(t *testing.T, h *modernHost, s *bridgetest.Server) {
		eventuallyStream(t, h, s)
		h.request("1", "tools/call", `"name":"block"`, `"io.modelcontextprotocol/logLevel":"error"`)
		waitFor(t, s, "tools/call", 1)
		var names []string
		for _, r := range s.Requests() {
			names = append(names, r.String())
		}
		if set := slices.Index(names, "logging/setLevel"); set < 0 || set > slices.Index(names, "tools/call") {
			t.Errorf("the server was not told of the level before the request: %s", names)
		}
		h.request("2", "tools/call", `"name":"block"`, `"io.modelcontextprotocol/logLevel":"info"`)
		waitFor(t, s, "tools/call", 2)
		h.request("3", "tools/call", `"name":"block"`, `"io.modelcontextprotocol/logLevel":"warning"`)
		waitFor(t, s, "tools/call", 3)
		var levels []string
		for _, b := range got(t, s, "logging/setLevel") {
			levels = append(levels, string(b.Params["level"]))
		}
		if !slices.Equal(levels, []string{`"error"`, `"info"`}) {
			t.Errorf("the server got the levels %s, want error, and info when that was asked for", levels)
		}
		s.Notify(logged("debug", "elsewhere"))
		s.Notify(logged("info", "elsewhere"))
		if m := h.message(); m.Method != "notifications/message" || !strings.Contains(string(m.Params), `"level":"info"`) {
			t.Errorf("this came: %s", m.raw)
		}
		for id := 1; id <= 3; id++ {
			h.send(fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%d}}`, id))
		}
		waitFor(t, s, "notifications/cancelled", 3)
		s.Notify(logged("emergency", "elsewhere"))
		h.fence("4")
		h.noNotes("no request under way asked for logs")
	})
}

// "If U has logging": else nothing is asked of it, and the request works all the same.
func TestModernHost_LogLevelWithoutLogging(t *testing.T) {
	eachHandshakeServer(t, func() *bridgetest.Legacy { return &bridgetest.Legacy{Capabilities: `{"tools":{}}`} },
		func(t *testing.T, h *modernHost, s *bridgetest.Server) {
			h.request("1", "tools/call", `"name":"echo","arguments":{}`, `"io.modelcontextprotocol/logLevel":"debug"`)
			h.complete("1")
			if n := len(got(t, s, "logging/setLevel")); n > 0 {
				t.Errorf("the server got logging/setLevel, which it does not offer")
			}
		})
}

// "notifications/cancelled (D): POST notifications/cancelled with the upstream id, keep reading until
// the stream ends, drop a late response" (spec 1.56).
func TestModernHost_Cancelled(t *testing.T) {
	eachHandshakeServer(t, wellBehaved, func(t *testing.T, h *modernHost, s *bridgetest.Server) {
		for i, id := range []string{"1", `"one"`} {
			h.request(id, "tools/call", `"name":"block"`, `"progressToken":1`, `"io.modelcontextprotocol/logLevel":"debug"`)
			waitFor(t, s, "tools/call", i+1)
			h.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":` + id + `,"reason":"no <need>"}}`)
			waitFor(t, s, "notifications/cancelled", i+1)
			cancel, call := got(t, s, "notifications/cancelled")[i], got(t, s, "tools/call")[i]
			if string(cancel.Params["requestId"]) != string(call.ID) {
				t.Errorf("the server got a cancellation of %s, the call has the id %s", cancel.Params["requestId"], call.ID)
			}
			if reason := string(cancel.Params["reason"]); !sameJSON(reason, `"no <need>"`) {
				t.Errorf("the server got the reason %s", reason)
			}
			if strings.Contains(string(cancel.Params["_meta"]), "modelcontextprotocol") {
				t.Errorf("the server got _meta of the other era: %s", cancel.Params["_meta"])
			}
		}
		h.fence("2") // fails if the answer to 1 comes
		h.fence("3")
		h.noNotes("nothing is to come for a cancelled request")
		if !strings.Contains(h.logs(), "no <need>") {
			t.Errorf("spec 1.60: the reason is not logged")
		}
	})
}

// "Tolerate the race: cancel after completion" (spec 1.58), and what is no cancellation at all.
func TestModernHost_CancelledInVain(t *testing.T) {
	eachHandshakeServer(t, wellBehaved, func(t *testing.T, h *modernHost, s *bridgetest.Server) {
		h.fence("1")
		for _, params := range []string{`{"requestId":1}`, `{"requestId":"never"}`, `{}`, `{"requestId":null}`, `[]`, `{"requestId":{}}`} {
			h.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":` + params + `}`)
		}
		h.send(`{"jsonrpc":"2.0","method":"notifications/cancelled"}`)
		h.fence("2")
		if n := len(got(t, s, "notifications/cancelled")); n > 0 {
			t.Errorf("the server got %d cancellations of nothing it works on", n)
		}
	})
}

// A parked call has no live id: a cancellation of the id that it had changes nothing ("a parked call
// has no live D id: it ends by retry or deadline").
func TestModernHost_CancelledWhileParked(t *testing.T) {
	t.Parallel()
	h, _ := startModernHost(t, bridgetest.Config{Legacy: wellBehaved()}, bridge.Config{})
	const questions = `"ask":[` + rootsQuestion + `]`
	h.asks("1", questions)
	r := h.inputRequired("1", 1)
	key, _ := r.only()
	h.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`)
	h.fence("2")
	h.asks("3", questions, inputs(r.RequestState, map[string]string{key: rootsAnswer}))
	h.complete("3")
}

// The retry of a parked call can be cancelled like any request: the call is what the server works on.
func TestModernHost_RetryCancelled(t *testing.T) {
	eachHandshakeServer(t, func() *bridgetest.Legacy {
		return &bridgetest.Legacy{Answer: func(x *bridgetest.Exchange) string {
			if x.Method == "tools/call" {
				_, _ = x.Ask("roots/list", "{}")
				<-x.Context().Done()
			}
			return ""
		}}
	}, func(t *testing.T, h *modernHost, s *bridgetest.Server) {
		h.request("1", "tools/call", `"name":"a"`)
		r := h.inputRequired("1", 1)
		key, _ := r.only()
		h.request("2", "tools/call", `"name":"a",`+inputs(r.RequestState, map[string]string{key: rootsAnswer}))
		waitFor(t, s, "response", 1)
		h.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}`)
		waitFor(t, s, "notifications/cancelled", 1)
		if c, call := gotOne(t, s, "notifications/cancelled"), gotOne(t, s, "tools/call"); string(c.Params["requestId"]) != string(call.ID) {
			t.Errorf("the server got a cancellation of %s, the call has the id %s", c.Params["requestId"], call.ID)
		}
		h.fence("3")
	})
}

// 6.78: "Background logs, roots/list_changed, server ping towards modern side: silently absorbed, debug
// line on stderr", and "notifications/tasks/status (U): Consume"; "notifications/elicitation/complete
// (U): Consume … no R5 message".
func TestModernHost_WhatIsAbsorbed(t *testing.T) {
	eachHandshakeServer(t, wellBehaved, func(t *testing.T, h *modernHost, s *bridgetest.Server) {
		eventuallyStream(t, h, s)
		for _, m := range []string{
			logged("emergency", "nothing"),
			`{"jsonrpc":"2.0","method":"notifications/tasks/status","params":{"taskId":"T1","status":"working"}}`,
			`{"jsonrpc":"2.0","method":"notifications/elicitation/complete","params":{"elicitationId":"E1"}}`,
			`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"nobody"}}`,
			noteChanged("tools"), noteChanged("prompts"), noteChanged("resources"), noteUpdated("test://a"),
			`{"jsonrpc":"2.0","id":"nobody","result":{}}`,
		} {
			s.Notify(m)
		}
		h.fence("1")
		h.noNotes("nothing of this is for a modern host that listens to nothing")
	})
}

// "Write JSON-RPC responses to stdin (log and drop if seen)" (spec 1.44).
func TestModernHost_ResponsesOfTheHost(t *testing.T) {
	t.Parallel()
	h, s := startModernHost(t, bridgetest.Config{Legacy: wellBehaved()}, bridge.Config{})
	h.fence("1")
	h.send(`{"jsonrpc":"2.0","id":1,"result":{}}`)
	h.send(`{"jsonrpc":"2.0","id":"x","error":{"code":-1,"message":"m"}}`)
	h.fence("2")
	if n := len(got(t, s, "response")); n > 0 {
		t.Errorf("the server got %d responses", n)
	}
}
