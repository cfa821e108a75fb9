package bridge_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"mcp-bridge/bridge"
	"mcp-bridge/bridge/bridgetest"
)

// What is impossible between the eras ends in the error of table 6E. The lines are quoted; those of a
// handshake server behind a modern host are elsewhere.

// 6.70: "U -32021, capability missing at D: Legacy D: -32603 "server requires client capability <x>,
// which this client did not declare"; for tools/call as isError text."
func TestErrors_6_70(t *testing.T) {
	t.Parallel()
	for capability, required := range map[string]string{
		"sampling": `{"sampling":{}}`, "roots": `{"roots":{}}`, "elicitation.url": `{"elicitation":{"url":{}}}`, "com.example/x": `{"extensions":{"com.example/x":{}}}`,
	} {
		for method := range askable {
			t.Run(capability+", "+method, func(t *testing.T) {
				t.Parallel()
				h, s := startBefore(t, bridgetest.Config{Handle: always(method, fails(400, `{"code":-32021,"message":"Missing capability","data":{"requiredCapabilities":`+required+`}}`))}, "2025-11-25", `{"elicitation":{}}`)
				h.send(ask("1", method))
				words := strings.Split(capability, ".")
				wantFailedInput(t, h, method, "1", append(words, "did not declare")...)
				wantNothingMore(t, h)
				if n := s.Count(method); n != 1 {
					t.Errorf("the server got %q", names(s))
				}
			})
		}
	}
	t.Run("a host that can't be asked", func(t *testing.T) { // the server's own refusal
		t.Parallel()
		h, _ := startBefore(t, bridgetest.Config{}, "2025-03-26", `{}`)
		h.send(callTool("1", "ask", `{}`))
		wantFailedInput(t, h, "tools/call", "1", "elicitation")
		wantNothingMore(t, h)
	})
	t.Run("a list", func(t *testing.T) {
		t.Parallel()
		h, _ := startBefore(t, bridgetest.Config{Handle: always("prompts/list", fails(400, `{"code":-32021,"message":"?","data":{"requiredCapabilities":{"roots":{}}}}`))}, "2025-11-25", `{}`)
		h.send(`{"jsonrpc":"2.0","id":1,"method":"prompts/list"}`)
		wantFailure(t, h, "1", "roots")
		wantNothingMore(t, h)
	})
}

// 6.70: "modern D that lacks it: relay -32021" stands in TestModern_Errors.

// 6.71: "U -32021 naming something only the bridge withheld (e.g. tasks): retry with it if implemented,
// else -32603 "mcp-bridge does not support <x> for this client"."
func TestErrors_6_71(t *testing.T) {
	t.Parallel()
	for name, capabilities := range map[string]string{
		"of tasks":      `{"tasks":{"list":{}}}`,
		"the extension": `{"extensions":{"io.modelcontextprotocol/tasks":{}}}`,
	} {
		for method := range askable {
			t.Run(name+", "+method, func(t *testing.T) {
				t.Parallel()
				h, _ := startBefore(t, bridgetest.Config{Handle: always(method, fails(400, `{"code":-32021,"message":"?","data":{"requiredCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}}}`))}, "2025-11-25", capabilities)
				h.send(ask("1", method))
				wantFailedInput(t, h, method, "1", "mcp-bridge", "tasks")
				wantNothingMore(t, h)
			})
		}
	}
}

// 6.72: "U offers no version the bridge knows" stands in TestDetect_StepM_UnknownVersions.

// 6.73: "Era/version changes under a running legacy D: finish with -32603 "upstream changed protocol;
// restart the server", then exit so the host relaunches." "-32022 mid-stream: Re-discover once; then
// error."
func TestErrors_6_73(t *testing.T) {
	t.Parallel()
	t.Run("the server changes for good", func(t *testing.T) {
		t.Parallel()
		gone := make(chan struct{})
		h, s := startBefore(t, bridgetest.Config{Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
			select {
			case <-gone:
				fails(400, supports(`"2099-01-01"`))(w, r)
				return true
			default:
				return false
			}
		}}, "2025-11-25", `{}`)
		eventually(t, "the bridge listens", func() bool { return s.Streams() == 1 })
		close(gone)
		h.send(callEcho("1"))
		wantFailure(t, h, "1", "restart")
		if err := h.err(); !errors.Is(err, bridge.ErrSessionChanged) {
			t.Errorf("Run returned %v, want %v", err, bridge.ErrSessionChanged)
		}
		if n := s.Count(discovers); n != 2 {
			t.Errorf("the server got %d server/discover, want 2", n)
		}
	})
	t.Run("it was a whim", func(t *testing.T) {
		t.Parallel()
		h, s := startBefore(t, bridgetest.Config{Handle: once("tools/call", fails(400, supports(`"2026-07-28"`)))}, "2025-11-25", `{}`)
		h.send(callEcho("1"))
		wantResult(t, h, "1")
		wantNothingMore(t, h)
		if s.Count(discovers) != 2 || s.Count("tools/call") != 2 {
			t.Errorf("the server got %q", names(s))
		}
	})
}

// 6.76 stands in TestHandshake_ElicitationOfArray and TestHandshake_UndeclaredInput; 6.77 in
// TestHandshake_Tasks.

// 6.78: "Background logs, roots/list_changed, server ping towards modern side: silently absorbed, debug
// line on stderr."
func TestErrors_6_78(t *testing.T) {
	t.Parallel()
	h, s := startBefore(t, bridgetest.Config{}, "2025-11-25", `{"roots":{"listChanged":true}}`)
	h.send(`{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}`)
	h.send(listTools("1"))
	wantResult(t, h, "1")
	wantNothingMore(t, h)
	if n := s.Count("notifications/roots/list_changed"); n > 0 {
		t.Errorf("the server got %q", names(s))
	}
	if !strings.Contains(h.logs(), "roots/list_changed") {
		t.Error("nothing is logged of it")
	}
}

// 6.79: "Authorization needs a user and none completes it: never exit silently; next request retries the
// flow." The bridge says what the server said, and the next request is sent.
func TestErrors_6_79(t *testing.T) {
	t.Parallel()
	for _, code := range []int{401, 403} {
		h, s := startBefore(t, bridgetest.Config{Handle: once("tools/call", status(code, "WWW-Authenticate", "Bearer"))}, "2025-11-25", `{}`)
		h.send(callEcho("1"))
		wantFailure(t, h, "1", fmt.Sprint(code))
		h.send(callEcho("2"))
		wantResult(t, h, "2")
		wantNothingMore(t, h)
		if n := s.Count("tools/call"); n != 2 {
			t.Errorf("the server got %q", names(s))
		}
	}
}

// Errors of the server's own, and statuses without one, come through as they do in one era.
func TestErrors_OfTheServer(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status int
		error  string
	}{
		"-32602":         {400, `{"code":-32602,"message":"Invalid params","data":{"n":1.0}}`},
		"-32603":         {200, `{"code":-32603,"message":"Internal error"}`},
		"of its own":     {500, `{"code":-31000,"message":"own"}`},
		"unknown method": {404, `{"code":-32601,"message":"Method not found"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, _ := startBefore(t, bridgetest.Config{Handle: always("prompts/list", fails(test.status, test.error))}, "2025-11-25", `{}`)
			h.send(`{"jsonrpc":"2.0","id":1,"method":"prompts/list"}`)
			wantJSON(t, "the error", member(h.answer("1"), "error"), test.error)
			wantNothingMore(t, h)
		})
	}
	t.Run("-32020", func(t *testing.T) { // never to the host (5H)
		t.Parallel()
		h, s := startBefore(t, bridgetest.Config{Handle: always("tools/call", fails(400, `{"code":-32020,"message":"Mcp-Param-X is missing"}`))}, "2025-11-25", `{}`)
		h.send(callEcho("1"))
		wantFailure(t, h, "1", "Mcp-Param-X is missing")
		wantNothingMore(t, h)
		if n := s.Count("tools/call"); n != 2 {
			t.Errorf("the server got %q", names(s))
		}
	})
	t.Run("413", func(t *testing.T) { // spec 2.65
		t.Parallel()
		for _, code := range []int{413, 431} {
			h, _ := startBefore(t, bridgetest.Config{Handle: once("tools/call", status(code))}, "2025-11-25", `{}`)
			h.send(callEcho("1"))
			wantFailure(t, h, "1", fmt.Sprint(code))
			wantNothingMore(t, h)
		}
	})
}

// An answer over the limit is an error under the host's id, in one era and between two.
func TestErrors_TooLong(t *testing.T) {
	t.Parallel()
	for way, sc := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			sc.Versions = bridgetest.Modern
			sc.Handle = always("prompts/list", answers(`{"resultType":"complete","prompts":[],"x":"`+strings.Repeat("x", 300<<10)+`"}`))
			h, _ := startWith(t, sc, bridge.Config{MaxMessage: 200 << 10}, "2025-11-25")
			h.send(`{"jsonrpc":"2.0","id":"h","method":"prompts/list"}`)
			wantFailure(t, h, `"h"`, "limit")
			h.send(modern(`"m"`, "prompts/list", ""))
			wantFailure(t, h, `"m"`, "limit")
			h.send(listTools("2"))
			wantResult(t, h, "2")
			wantNothingMore(t, h)
		})
	}
}

// What is said between the eras holds no secret: neither the state of a call nor what a user said is
// logged, at any level.
func TestErrors_NoSecrets(t *testing.T) {
	t.Parallel()
	h, _ := startBefore(t, bridgetest.Config{Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
		if r.Method != "tools/call" {
			return false
		}
		if member(r.Params, "requestState") == nil {
			r.Answer(w, `{"resultType":"input_required","inputRequests":`+askForm+`,"requestState":"state-s3cret"}`)
		} else {
			r.Answer(w, `{"resultType":"complete","content":[]}`)
		}
		return true
	}}, "2025-11-25", everything)
	h.send(callTool("1", "echo", `{"x":"argument-s3cret"}`))
	id, _ := h.question("elicitation/create")
	h.reply(id, `{"action":"accept","content":{"name":"answer-s3cret"}}`)
	wantResult(t, h, "1")
	wantNothingMore(t, h)
	if strings.Contains(h.logs(), "s3cret") {
		t.Error("there is a secret in the log")
	}
}
