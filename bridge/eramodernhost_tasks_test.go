package bridge_test

import (
	"strings"
	"sync/atomic"
	"testing"

	"mcp-bridge/bridge/bridgetest"
)

// `tool with execution.taskSupport:"required": Bridge drives it: task:{} → poll tasks/get → tasks/result
// → plain result to D`, whether the host has listed the tools or not.
func TestModernHost_TaskRequired(t *testing.T) {
	for name, listed := range map[string]bool{"after tools/list": true, "without tools/list": false} {
		t.Run(name, func(t *testing.T) {
			eachHandshakeServer(t, wellBehaved, func(t *testing.T, h *modernHost, s *bridgetest.Server) {
				if listed {
					h.fence("0")
				}
				h.request("1", "tools/call", `"name":"task","arguments":{"n":1.0}`)
				r := h.complete("1")
				if len(r.Content) != 1 || r.Content[0].Text != "done as a task" || strings.Contains(string(r.raw), `"task":`) {
					t.Errorf("the host got %s", r.raw)
				}
				if _, there := r.Meta["io.modelcontextprotocol/related-task"]; there {
					t.Errorf("the host, which knows of no task, got %s", r.raw)
				}
				calls := got(t, s, "tools/call")
				last := calls[len(calls)-1]
				if last.Params["task"] == nil || string(last.Params["arguments"]) != `{"n":1.0}` {
					t.Errorf("the server got the params %s", last.Params)
				}
				if len(got(t, s, "tasks/result")) == 0 {
					t.Errorf("the server was not asked for the result of the task: %s", s.Requests())
				}
			})
		})
	}
}

// "optional / absent / forbidden: Plain call".
func TestModernHost_TaskNotRequired(t *testing.T) {
	eachHandshakeServer(t, wellBehaved, func(t *testing.T, h *modernHost, s *bridgetest.Server) {
		h.fence("0")
		for tool, want := range map[string]string{"maybe-task": "done without a task", "add": "0"} {
			h.request("1", "tools/call", `"name":"`+tool+`","arguments":{}`)
			if r := h.complete("1"); len(r.Content) != 1 || r.Content[0].Text != want {
				t.Errorf("%s: the host got %s", tool, r.raw)
			}
		}
		for _, b := range got(t, s, "tools/call") {
			if b.Params["task"] != nil {
				t.Errorf("the server got the params %s", b.Params)
			}
		}
	})
}

// A task param of the host's is none of this revision (spec 5.70), and nothing comes of it.
func TestModernHost_TaskParam(t *testing.T) {
	eachHandshakeServer(t, wellBehaved, func(t *testing.T, h *modernHost, _ *bridgetest.Server) {
		h.request("1", "tools/call", `"name":"maybe-task","arguments":{},"task":{"ttl":1}`)
		if r := h.complete("1"); strings.Contains(string(r.raw), "taskId") {
			t.Errorf("the host got a task: %s", r.raw)
		}
	})
}

// "poll tasks/get → tasks/result (also on input_required, to receive U's requests)", which belong to
// the call by "_meta["io.modelcontextprotocol/related-task"]" (6.53).
func TestModernHost_TaskThatAsks(t *testing.T) {
	eachHandshakeServer(t, func() *bridgetest.Legacy {
		var answered atomic.Bool
		return &bridgetest.Legacy{Answer: func(x *bridgetest.Exchange) string {
			switch {
			case x.Method == "tasks/get" && !answered.Load():
				return bridgetest.ResultMember(`{"taskId":"T1","status":"input_required","createdAt":"2025-11-25T00:00:00Z","lastUpdatedAt":"2025-11-25T00:00:00Z","ttl":60000,"pollInterval":5}`)
			case x.Method == "tasks/result":
				a, err := x.Ask("elicitation/create", `{"message":"Who?","requestedSchema":{},"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"T1"}}}`)
				if err != nil {
					return ""
				}
				answered.Store(true)
				return bridgetest.ResultMember(`{"content":[],"structuredContent":` + string(a.Result) + `}`)
			}
			return ""
		}}
	}, func(t *testing.T, h *modernHost, s *bridgetest.Server) {
		h.fence("0")
		h.request("1", "tools/call", `"name":"task","arguments":{}`)
		r := h.inputRequired("1", 1)
		key, request := r.only()
		if request.Method != "elicitation/create" {
			t.Errorf("the host was asked %s", request.raw)
		}
		h.request("2", "tools/call", `"name":"task","arguments":{},`+inputs(r.RequestState, map[string]string{key: formAnswer}))
		if r := h.complete("2"); string(r.StructuredContent) != formAnswer {
			t.Errorf("the host got %s", r.raw)
		}
		gotOne(t, s, "tools/call")
	})
}

// What the server says against a task is the answer to the call.
func TestModernHost_TaskThatFails(t *testing.T) {
	for name, tt := range map[string]struct{ result, want string }{
		"an error": {bridgetest.ErrorMember(-32050, "no luck", `{"n":1.0}`), `"code":-32050`},
		"isError":  {bridgetest.ResultMember(`{"content":[{"type":"text","text":"no luck"}],"isError":true}`), `"isError":true`},
	} {
		t.Run(name, func(t *testing.T) {
			eachHandshakeServer(t, func() *bridgetest.Legacy {
				return &bridgetest.Legacy{Answer: func(x *bridgetest.Exchange) string {
					switch x.Method {
					case "tasks/get":
						return bridgetest.ResultMember(`{"taskId":"T1","status":"failed","statusMessage":"no luck","createdAt":"2025-11-25T00:00:00Z","lastUpdatedAt":"2025-11-25T00:00:00Z","ttl":60000,"pollInterval":5}`)
					case "tasks/result":
						return tt.result
					}
					return ""
				}}
			}, func(t *testing.T, h *modernHost, _ *bridgetest.Server) {
				h.fence("0")
				h.request("1", "tools/call", `"name":"task","arguments":{}`)
				m := h.response("1")
				if name == "an error" && (m.Error == nil || m.Error.Message != "no luck") || name == "isError" && !strings.Contains(m.raw, tt.want) {
					t.Errorf("the host got %s", m.raw)
				}
			})
		})
	}
}

// "if the call is a bridge-driven task: tasks/cancel".
func TestModernHost_TaskCancelled(t *testing.T) {
	eachHandshakeServer(t, func() *bridgetest.Legacy {
		return &bridgetest.Legacy{Answer: func(x *bridgetest.Exchange) string {
			if x.Method == "tasks/get" {
				return bridgetest.ResultMember(`{"taskId":"T1","status":"working","createdAt":"2025-11-25T00:00:00Z","lastUpdatedAt":"2025-11-25T00:00:00Z","ttl":60000,"pollInterval":5}`)
			}
			if x.Method == "tasks/result" {
				<-x.Context().Done()
			}
			return ""
		}}
	}, func(t *testing.T, h *modernHost, s *bridgetest.Server) {
		h.fence("0")
		h.request("1", "tools/call", `"name":"task","arguments":{}`)
		eventually(t, "the bridge drives the task", func() bool { return len(got(t, s, "tasks/get"))+len(got(t, s, "tasks/result")) > 0 })
		h.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`)
		waitFor(t, s, "tasks/cancel", 1)
		if id := string(gotOne(t, s, "tasks/cancel").Params["taskId"]); id != `"T1"` {
			t.Errorf("the server got a cancellation of %s", id)
		}
		h.fence("2")
	})
}
