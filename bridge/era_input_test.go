package bridge_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mcp-bridge/bridge"
	"mcp-bridge/bridge/bridgetest"
)

// An asker is a server that answers requests of a method by asking for input, some rounds long, and
// then with what the client said last, as the member "said".
type asker struct {
	method string
	rounds []string // inputRequests, "" for none; the last one is repeated
	last   int      // the rounds after which there is a result; 0 means as many as there are

	mu    sync.Mutex
	round int
	times []time.Time
}

// The state is odd enough that whoever reads it and writes it anew changes it.
func (a *asker) state(round int) string { return fmt.Sprintf(`"\u00e9\/<&> %d"`, round) }

func (a *asker) handle(w http.ResponseWriter, r *bridgetest.Request) bool {
	if r.Method != a.method || !strict(w, r) {
		return r.Method == a.method
	}
	a.mu.Lock()
	round := a.round
	a.round++
	a.times = append(a.times, time.Now())
	a.mu.Unlock()
	wanted := ""
	if round > 0 {
		wanted = a.state(round)
	}
	if got := string(member(r.Params, "requestState")); got != wanted {
		r.Fail(w, 200, -32602, fmt.Sprintf("requestState is %s, and should be %s", got, wanted))
		return true
	}
	last := a.last
	if last == 0 {
		last = len(a.rounds)
	}
	if round == last {
		said := member(r.Params, "inputResponses")
		if said == nil {
			said = json.RawMessage("null")
		}
		r.Answer(w, `{"resultType":"complete","content":[],"messages":[],"contents":[],"said":`+string(said)+`}`)
		return true
	}
	requests := a.rounds[min(round, len(a.rounds)-1)]
	if requests != "" {
		requests = `"inputRequests":` + requests + `,`
	}
	r.Answer(w, `{"resultType":"input_required",`+requests+`"requestState":`+a.state(round+1)+`}`)
	return true
}

// asks returns a server that asks once, for this.
func asks(method, requests string) bridgetest.Config {
	return bridgetest.Config{Handle: (&asker{method: method, rounds: []string{requests}}).handle}
}

const (
	formRequest = `{"method":"elicitation/create","params":{"mode":"form","message":"What is your name?","requestedSchema":{"type":"object","properties":{"name":{"type":"string","default":"x"}},"required":["name"]}}}`
	askForm     = `{"who":` + formRequest + `}`
	askURL      = `{"pay":{"method":"elicitation/create","params":{"mode":"url","message":"Pay, please","url":"https://pay.example/1"}}}`
	askRoots    = `{"where":{"method":"roots/list"}}`
	askSampling = `{"what":{"method":"sampling/createMessage","params":{"messages":[{"role":"user","content":{"type":"text","text":"2 + 2?"}}],"maxTokens":10,"x":1.0}}}`

	everything = `{"roots":{"listChanged":true},"sampling":{},"elicitation":{"form":{},"url":{}}}`
	accepted   = `{"action":"accept","content":{"name":"\u0041da","n":1.0}}`
)

// requests that may be answered with input_required (spec 5.30).
var askable = map[string]string{
	"tools/call":     `{"name":"echo","arguments":{"n":1.0}}`,
	"prompts/get":    `{"name":"greet","arguments":{"name":"Ada"}}`,
	"resources/read": `{"uri":"test://a"}`,
}

func ask(id, method string) string {
	return `{"jsonrpc":"2.0","id":` + id + `,"method":"` + method + `","params":` + askable[method] + `}`
}

// wantFailedInput fails the test unless a request of a method has failed in the way that fits it:
// "tools/call: round cap / failed input → isError:true text result", "prompts/get, resources/read:
// failed input → -32603", and says all of this.
func wantFailedInput(t *testing.T, h *host, method, id string, says ...string) {
	t.Helper()
	if method != "tools/call" {
		wantFailure(t, h, id, says...)
		return
	}
	answer := h.answer(id)
	result := resultOf(t, answer)
	var content []struct{ Type, Text string }
	_ = json.Unmarshal(member(result, "content"), &content) // what is none is empty
	if string(member(result, "isError")) != "true" || len(content) == 0 || content[0].Type != "text" || content[0].Text == "" {
		t.Errorf("this should be a result with isError and a text: %s", answer)
		return
	}
	for _, part := range says {
		if !strings.Contains(strings.ToLower(content[0].Text), strings.ToLower(part)) {
			t.Errorf("the text does not say %q: %s", part, content[0].Text)
		}
	}
}

// "tools/call (D): run MRTR driver on input_required." "prompts/get, resources/read (D): MRTR driver
// too." "elicitation/create form: Real request to D with bridge id; result becomes
// inputResponses[key]." The retry is the same request with a new id and the state, byte for byte (spec
// 5.33 to 5.35).
func TestHandshake_Elicitation(t *testing.T) {
	t.Parallel()
	for method := range askable {
		for way, sc := range ways {
			t.Run(method+", "+way, func(t *testing.T) {
				t.Parallel()
				sc.Handle = asks(method, askForm).Handle
				h, s := startBefore(t, sc, "2025-11-25", everything)
				h.send(ask("1", method))
				id, params := h.question("elicitation/create")
				wantJSON(t, "the question", params, string(member(json.RawMessage(formRequest), "params")))
				h.reply(id, accepted)
				wantJSON(t, "what was said", member(resultOf(t, h.answer("1")), "said"), `{"who":`+accepted+`}`)
				wantNothingMore(t, h)

				requests := slices.DeleteFunc(s.Requests(), func(r *bridgetest.Request) bool { return r.Method != method })
				if len(requests) != 2 {
					t.Fatalf("the server got %q", names(s))
				}
				first, second := requests[0], requests[1]
				if string(first.ID) == string(second.ID) {
					t.Errorf("both have the id %s", first.ID)
				}
				if got, want := string(member(second.Params, "requestState")), (&asker{}).state(1); got != want {
					t.Errorf("the state is %s, want %s", got, want)
				}
				for _, name := range []string{"name", "uri", "arguments", "_meta"} {
					if a, b := member(first.Params, name), member(second.Params, name); string(a) != string(b) {
						t.Errorf("%s is first %s, then %s", name, a, b)
					}
				}
				if n := s.Count("response"); n > 0 {
					t.Errorf("the server got %q", names(s))
				}
			})
		}
	}
}

// The tool "ask" of a server that checks all that. Its state is asked back where nothing was said.
func TestHandshake_Ask(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"2025-06-18", "2025-11-25"} {
		h, s := startBefore(t, bridgetest.Config{}, version, `{"elicitation":{}}`)
		for _, id := range []string{"1", "2"} {
			h.send(callTool(id, "ask", `{"x":1.0}`))
			question, _ := h.question("elicitation/create")
			h.reply(question, accepted)
			wantJSON(t, "the result", member(resultOf(t, h.answer(id)), "structuredContent"), accepted)
		}
		wantNothingMore(t, h)
		if n := s.Count("tools/call"); n != 4 {
			t.Errorf("the server got %q", names(s))
		}
	}
}

// Where no state was given none is sent (spec 5.34), and the answers are those of this round only
// (spec 5.38).
func TestHandshake_Rounds(t *testing.T) {
	t.Parallel()
	h, s := startBefore(t, bridgetest.Config{Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
		if r.Method != "tools/call" || !strict(w, r) {
			return r.Method == "tools/call"
		}
		if member(r.Params, "requestState") != nil {
			r.Fail(w, 200, -32602, "there was no state")
			return true
		}
		said := member(r.Params, "inputResponses")
		switch {
		case said == nil:
			r.Answer(w, `{"resultType":"input_required","inputRequests":{"a":{"method":"roots/list"}}}`)
		case member(said, "a") != nil:
			r.Answer(w, `{"resultType":"input_required","inputRequests":{"b":{"method":"roots/list","params":{}}}}`)
		default:
			r.Answer(w, `{"resultType":"complete","content":[],"said":`+string(said)+`}`)
		}
		return true
	}}, "2025-11-25", everything)
	h.send(callEcho("1"))
	for _, roots := range []string{`{"roots":[{"uri":"file:///a"}]}`, `{"roots":[{"uri":"file:///b"}]}`} {
		id, _ := h.question("roots/list")
		h.reply(id, roots)
	}
	wantJSON(t, "what was said", member(resultOf(t, h.answer("1")), "said"), `{"b":{"roots":[{"uri":"file:///b"}]}}`)
	wantNothingMore(t, h)
	if n := s.Count("tools/call"); n != 3 {
		t.Errorf("the server got %q", names(s))
	}
}

// "elicitation/create form: R3 D: rewrite oneOf const/title to enum+enumNames, drop mode/$schema/
// default."
func TestHandshake_ElicitationOf2025_06_18(t *testing.T) {
	t.Parallel()
	const request = `{"q":{"method":"elicitation/create","params":{"mode":"form","message":"Which?","requestedSchema":{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","properties":{` +
		`"color":{"type":"string","title":"Color","oneOf":[{"const":"r","title":"Red"},{"const":"g","title":"Green"}],"default":"r"},` +
		`"size":{"type":"string","enum":["s","m"],"default":"m"},"n":{"type":"integer","minimum":1,"default":1},"sure":{"type":"boolean","default":true}},"required":["color"]}}}}`
	h, _ := startBefore(t, asks("tools/call", request), "2025-06-18", `{"elicitation":{}}`)
	h.send(callEcho("1"))
	id, params := h.question("elicitation/create")
	if member(params, "mode") != nil {
		t.Errorf("the question has a mode: %s", params)
	}
	wantJSON(t, "the message", member(params, "message"), `"Which?"`)
	schema := member(params, "requestedSchema")
	if member(schema, "$schema") != nil {
		t.Errorf("the schema has $schema: %s", schema)
	}
	wantJSON(t, "the color", member(schema, "properties", "color"), `{"type":"string","title":"Color","enum":["r","g"],"enumNames":["Red","Green"]}`)
	wantJSON(t, "the size", member(schema, "properties", "size"), `{"type":"string","enum":["s","m"]}`)
	wantJSON(t, "the number", member(schema, "properties", "n"), `{"type":"integer","minimum":1}`)
	// 2025-06-18 knows a default for a boolean, so that one may stay.
	wantJSON(t, "what is required", member(schema, "required"), `["color"]`)
	h.reply(id, `{"action":"accept","content":{"color":"g"}}`)
	wantJSON(t, "what was said", member(resultOf(t, h.answer("1")), "said"), `{"q":{"action":"accept","content":{"color":"g"}}}`)
	wantNothingMore(t, h)
}

// "R3 D + array enum: not expressible → fail the call." (6.76: the error names the needed revision.)
func TestHandshake_ElicitationOfArray(t *testing.T) {
	t.Parallel()
	const request = `{"q":{"method":"elicitation/create","params":{"mode":"form","message":"Which?","requestedSchema":{"type":"object","properties":{"colors":{"type":"array","items":{"type":"string","enum":["r","g"]}}}}}}}`
	for method := range askable {
		h, s := startBefore(t, asks(method, request), "2025-06-18", `{"elicitation":{}}`)
		h.send(ask("1", method))
		wantFailedInput(t, h, method, "1", "2025-11-25")
		wantNothingMore(t, h)
		if n := s.Count(method); n != 1 {
			t.Errorf("the server got %q", names(s))
		}
	}
	h, _ := startBefore(t, asks("tools/call", request), "2025-11-25", everything)
	h.send(callEcho("1"))
	id, params := h.question("elicitation/create")
	wantJSON(t, "the question", params, string(member(json.RawMessage(request), "q", "params")))
	h.reply(id, `{"action":"decline"}`)
	wantJSON(t, "what was said", member(resultOf(t, h.answer("1")), "said"), `{"q":{"action":"decline"}}`)
	wantNothingMore(t, h)
}

// "elicitation/create form: D JSON-RPC error → treat as {action:"cancel"}."
func TestHandshake_ElicitationFails(t *testing.T) {
	t.Parallel()
	h, _ := startBefore(t, asks("tools/call", askForm), "2025-11-25", everything)
	h.send(callEcho("1"))
	id, _ := h.question("elicitation/create")
	h.send(`{"jsonrpc":"2.0","id":` + id + `,"error":{"code":-32603,"message":"no window"}}`)
	wantJSON(t, "what was said", member(resultOf(t, h.answer("1")), "said"), `{"who":{"action":"cancel"}}`)
	wantNothingMore(t, h)
}

// "elicitation/create url: R4 D: add minted elicitationId; accept → retry. If U re-asks the same URL,
// do not prompt again: reuse accept with backoff until a deadline." (8.10)
func TestHandshake_ElicitationURL(t *testing.T) {
	a := &asker{method: "tools/call", rounds: []string{askURL}, last: 4}
	inFakeTime(t, bridgetest.Config{Versions: bridgetest.Modern, Handle: a.handle}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
		h := startHost(t, cfg)
		h.capable("2025-11-25", everything)
		h.send(callEcho("1"))
		id, params := h.question("elicitation/create")
		var elicitation string
		if json.Unmarshal(member(params, "elicitationId"), &elicitation) != nil || elicitation == "" {
			t.Errorf("the question has no elicitationId: %s", params)
		}
		for name, want := range map[string]string{"mode": `"url"`, "message": `"Pay, please"`, "url": `"https://pay.example/1"`} {
			wantJSON(t, name, member(params, name), want)
		}
		h.reply(id, `{"action":"accept"}`)
		time.Sleep(time.Hour)
		wantJSON(t, "what was said", member(resultOf(t, h.answer("1")), "said"), `{"pay":{"action":"accept"}}`)
		for i := 2; i < len(a.times); i++ { // the first gap is the user's
			if gap := a.times[i].Sub(a.times[i-1]); gap < 100*time.Millisecond {
				t.Errorf("the server was asked again after %v", gap)
			}
		}
		for _, line := range append(h.others, h.end()...) {
			if !strings.Contains(line, "notifications/elicitation/complete") { // may be sent, with the id
				t.Errorf("this came besides: %s", line)
			} else if !strings.Contains(line, elicitation) {
				t.Errorf("this is of another elicitation: %s", line)
			}
		}
	})
}

// The deadline ends it where the server never stops asking.
func TestHandshake_ElicitationURLForEver(t *testing.T) {
	a := &asker{method: "tools/call", rounds: []string{askURL}, last: 1 << 30}
	inFakeTime(t, bridgetest.Config{Versions: bridgetest.Modern, Handle: a.handle}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
		h := startHost(t, cfg)
		h.capable("2025-11-25", everything)
		h.send(callEcho("1"))
		id, _ := h.question("elicitation/create")
		h.reply(id, `{"action":"accept"}`)
		time.Sleep(24 * time.Hour)
		wantFailedInput(t, h, "tools/call", "1")
		n := s.Count("tools/call")
		time.Sleep(24 * time.Hour)
		if s.Count("tools/call") != n {
			t.Error("the bridge asks on")
		}
		h.end()
	})
}

// One that declines has declined: the server hears it (spec 5.41).
func TestHandshake_ElicitationURLDeclined(t *testing.T) {
	t.Parallel()
	h, _ := startBefore(t, asks("tools/call", askURL), "2025-11-25", everything)
	h.send(callEcho("1"))
	id, _ := h.question("elicitation/create")
	h.reply(id, `{"action":"decline"}`)
	wantJSON(t, "what was said", member(resultOf(t, h.answer("1")), "said"), `{"pay":{"action":"decline"}}`)
	h.end()
}

// "sampling/createMessage: Real request to D; result → inputResponses[key]." "roots/list: Real request to
// D."
func TestHandshake_SamplingAndRoots(t *testing.T) {
	t.Parallel()
	for _, version := range revisions {
		for method := range askable {
			t.Run(version+", "+method, func(t *testing.T) {
				t.Parallel()
				h, _ := startBefore(t, bridgetest.Config{Handle: (&asker{method: method, rounds: []string{askSampling, askRoots}}).handle}, version, `{"roots":{},"sampling":{}}`)
				h.send(ask("1", method))
				id, params := h.question("sampling/createMessage")
				wantJSON(t, "the question", params, string(member(json.RawMessage(askSampling), "what", "params")))
				h.reply(id, `{"role":"assistant","content":{"type":"text","text":"4"},"model":"m","n":1.0}`)
				id, _ = h.question("roots/list")
				h.reply(id, `{"roots":[{"uri":"file:///home","name":"h"}]}`)
				wantJSON(t, "what was said last", member(resultOf(t, h.answer("1")), "said"), `{"where":{"roots":[{"uri":"file:///home","name":"h"}]}}`)
				wantNothingMore(t, h)
			})
		}
	}
}

// "sampling/createMessage: R1–R3 D: one-element content arrays → object."
func TestHandshake_SamplingContentArray(t *testing.T) {
	t.Parallel()
	const request = `{"s":{"method":"sampling/createMessage","params":{"messages":[{"role":"user","content":[{"type":"text","text":"2 + 2?"}]},{"role":"user","content":{"type":"text","text":"well?"}}],"maxTokens":10}}}`
	for _, version := range revisions {
		h, _ := startBefore(t, asks("tools/call", request), version, `{"sampling":{}}`)
		h.send(callEcho("1"))
		id, params := h.question("sampling/createMessage")
		want := string(member(json.RawMessage(request), "s", "params"))
		if version != "2025-11-25" {
			want = strings.NewReplacer("[{\"type\"", "{\"type\"", "}]},", "}},").Replace(want)
		}
		wantJSON(t, "the question at "+version, params, want)
		h.reply(id, `{"role":"assistant","content":{"type":"text","text":"4"},"model":"m"}`)
		wantResult(t, h, "1")
		wantNothingMore(t, h)
	}
}

// "sampling: D error (e.g. -1) has no MRTR form → do not retry U; fail D's call with that message."
// "roots/list: D error → fail the call." (5.41)
func TestHandshake_InputFails(t *testing.T) {
	t.Parallel()
	for kind, requests := range map[string]string{"sampling/createMessage": askSampling, "roots/list": askRoots} {
		for method := range askable {
			t.Run(kind+", "+method, func(t *testing.T) {
				t.Parallel()
				h, s := startBefore(t, asks(method, requests), "2025-11-25", everything)
				h.send(ask("1", method))
				id, _ := h.question(kind)
				h.send(`{"jsonrpc":"2.0","id":` + id + `,"error":{"code":-1,"message":"User rejected it"}}`)
				wantFailedInput(t, h, method, "1", "User rejected it")
				wantNothingMore(t, h)
				if n := s.Count(method); n != 1 {
					t.Errorf("the server got %q", names(s))
				}
			})
		}
	}
}

// "several inputRequests in one round: Send all concurrently; any failure cancels siblings."
func TestHandshake_SeveralInputs(t *testing.T) {
	t.Parallel()
	const requests = `{"a":{"method":"roots/list"},"b":{"method":"sampling/createMessage","params":{"messages":[],"maxTokens":1}},"c":` + formRequest + `}`
	read := func(h *host) map[string]string { // ids by method
		ids := make(map[string]string)
		for range 3 {
			var m struct {
				ID     json.RawMessage
				Method string
			}
			if line := h.next(); json.Unmarshal([]byte(line), &m) != nil || m.ID == nil {
				t.Fatalf("this came: %s", line)
			}
			ids[m.Method] = string(m.ID)
		}
		return ids
	}
	t.Run("all answer", func(t *testing.T) {
		t.Parallel()
		h, s := startBefore(t, asks("tools/call", requests), "2025-11-25", everything)
		h.send(callEcho("1"))
		ids := read(h)
		h.reply(ids["elicitation/create"], accepted) // in another order than they were asked
		h.reply(ids["sampling/createMessage"], `{"role":"assistant","content":{"type":"text","text":"4"},"model":"m"}`)
		if n := s.Count("tools/call"); n != 1 {
			t.Error("the call was made again before all had answered") // spec 5.33
		}
		h.reply(ids["roots/list"], `{"roots":[]}`)
		wantJSON(t, "what was said", member(resultOf(t, h.answer("1")), "said"),
			`{"a":{"roots":[]},"b":{"role":"assistant","content":{"type":"text","text":"4"},"model":"m"},"c":`+accepted+`}`)
		wantNothingMore(t, h)
	})
	t.Run("one fails", func(t *testing.T) {
		t.Parallel()
		h, s := startBefore(t, asks("tools/call", requests), "2025-11-25", everything)
		h.send(callEcho("1"))
		ids := read(h)
		h.send(`{"jsonrpc":"2.0","id":` + ids["sampling/createMessage"] + `,"error":{"code":-1,"message":"User rejected it"}}`)
		wantFailedInput(t, h, "tools/call", "1", "User rejected it")
		h.reply(ids["roots/list"], `{"roots":[]}`) // too late
		h.send(listTools("2"))
		wantResult(t, h, "2")
		var got []string
		for _, line := range append(h.others, h.end()...) {
			if member(json.RawMessage(line), "id") != nil || !strings.Contains(line, `"notifications/cancelled"`) {
				t.Errorf("this came: %s", line)
			}
			got = append(got, string(member(json.RawMessage(line), "params", "requestId")))
		}
		want := []string{ids["roots/list"], ids["elicitation/create"]}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("these questions were cancelled: %q, want %q", got, want)
		}
		if n := s.Count("tools/call") + s.Count("response") + s.Count("notifications/cancelled"); n != 1 {
			t.Errorf("the server got %q", names(s))
		}
	})
}

// "input_required without inputRequests: Paced retry (5.36); round cap."
func TestHandshake_PacedRetry(t *testing.T) {
	for name, last := range map[string]int{"it ends": 3, "it does not": 1 << 30} {
		t.Run(name, func(t *testing.T) {
			a := &asker{method: "tools/call", rounds: []string{""}, last: last}
			inFakeTime(t, bridgetest.Config{Versions: bridgetest.Modern, Handle: a.handle}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
				h := startHost(t, cfg)
				h.capable("2025-11-25", everything)
				h.send(callEcho("1"))
				time.Sleep(time.Hour)
				if name == "it ends" {
					wantJSON(t, "what was said", member(resultOf(t, h.answer("1")), "said"), `null`)
				} else {
					wantFailedInput(t, h, "tools/call", "1")
				}
				for i := 1; i < len(a.times); i++ {
					if gap := a.times[i].Sub(a.times[i-1]); gap < 100*time.Millisecond {
						t.Errorf("the server was asked again after %v", gap)
					}
				}
				if n := s.Count("tools/call"); n > 20 {
					t.Errorf("the server was asked %d times", n)
				}
				wantNothingMore(t, h)
			})
		})
	}
}

// A server that asks for ever is not asked for ever (spec 5.38): "round cap → isError:true text result".
func TestHandshake_RoundCap(t *testing.T) {
	t.Parallel()
	for method := range askable {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			h, _ := startBefore(t, bridgetest.Config{Handle: (&asker{method: method, rounds: []string{askRoots}, last: 1 << 30}).handle}, "2025-11-25", everything)
			h.send(ask(`"capped"`, method))
			for round := 0; ; round++ {
				if round > 20 {
					t.Fatalf("the host was asked %d times", round)
				}
				line := h.next()
				id := string(member(json.RawMessage(line), "id"))
				if member(json.RawMessage(line), "method") == nil {
					h.mu.Lock()
					h.lines = slices.Insert(h.lines, 0, line)
					h.mu.Unlock()
					if round < 5 {
						t.Errorf("the call failed after %d rounds", round)
					}
					wantFailedInput(t, h, method, `"capped"`)
					break
				}
				h.reply(id, `{"roots":[]}`)
			}
			wantNothingMore(t, h)
		})
	}
}

// A server that asks for what the host has not declared breaks the protocol (spec 5.32); the host is
// not asked for what it can't do (1.26), and its call fails.
func TestHandshake_UndeclaredInput(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ version, capabilities, requests, says string }{
		"roots":                     {"2025-11-25", `{}`, askRoots, "roots"},
		"sampling":                  {"2025-11-25", `{"roots":{}}`, askSampling, "sampling"},
		"elicitation":               {"2025-11-25", `{"roots":{}}`, askForm, "elicitation"},
		"elicitation by url":        {"2025-11-25", `{"elicitation":{}}`, askURL, "url"},
		"elicitation, 2025-03-26":   {"2025-03-26", `{"roots":{},"sampling":{}}`, askForm, "elicitation"},
		"elicitation, 2024-11-05":   {"2024-11-05", `{"roots":{},"sampling":{}}`, askForm, "elicitation"},
		"url elicitation, 2025-06":  {"2025-06-18", `{"elicitation":{}}`, askURL, "2025-11-25"}, // 6.76
		"something nobody knows of": {"2025-11-25", everything, `{"x":{"method":"example.com/do"}}`, "example.com/do"},
	} {
		for method := range askable {
			t.Run(name+", "+method, func(t *testing.T) {
				t.Parallel()
				h, s := startBefore(t, asks(method, test.requests), test.version, test.capabilities)
				h.send(ask("1", method))
				wantFailedInput(t, h, method, "1", test.says)
				wantNothingMore(t, h)
				if n := s.Count(method); n != 1 {
					t.Errorf("the server got %q", names(s))
				}
			})
		}
	}
}

// "notifications/cancelled (D): if waiting on inputs, send notifications/cancelled to D for those
// requests; never retry; no response."
func TestHandshake_CancelWhileAsked(t *testing.T) {
	t.Parallel()
	h, s := startBefore(t, asks("tools/call", askForm), "2025-11-25", everything)
	h.send(callEcho(`"c"`))
	id, _ := h.question("elicitation/create")
	h.send(cancel(`"c"`))
	if got := string(member(h.notification("notifications/cancelled"), "requestId")); got != id {
		t.Errorf("the question %s was cancelled, want %s", got, id)
	}
	h.reply(id, accepted) // too late
	h.send(listTools("2"))
	wantResult(t, h, "2")
	wantNothingMore(t, h)
	if s.Count("tools/call") != 1 || s.Count("response")+s.Count("notifications/cancelled") > 0 {
		t.Errorf("the server got %q", names(s))
	}
}

// "notifications/progress (U): keep value increasing across MRTR retries (drop or offset a restart)."
func TestHandshake_ProgressAcrossRounds(t *testing.T) {
	t.Parallel()
	a := &asker{method: "tools/call", rounds: []string{askRoots}}
	h, _ := startBefore(t, bridgetest.Config{SSE: true, Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
		if r.Method != "tools/call" {
			return false
		}
		e := r.Events(w)
		for i := range 3 {
			_ = e.Send(fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%s,"progress":%d}}`, member(r.Params, "_meta", "progressToken"), i+1))
		}
		if member(r.Params, "requestState") == nil {
			_ = e.Result(`{"resultType":"input_required","inputRequests":` + askRoots + `,"requestState":` + a.state(1) + `}`)
		} else {
			_ = e.Result(`{"resultType":"complete","content":[]}`)
		}
		return true
	}}, "2025-11-25", everything)
	h.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","_meta":{"progressToken":"p"}}}`)
	id, _ := h.question("roots/list")
	h.reply(id, `{"roots":[]}`)
	wantResult(t, h, "1")
	last := 0.0
	for _, line := range append(h.others, h.end()...) {
		params := member(json.RawMessage(line), "params")
		var progress float64
		if json.Unmarshal(member(params, "progress"), &progress) != nil || progress <= last {
			t.Errorf("after %v this came: %s", last, line)
		}
		wantJSON(t, "the token", member(params, "progressToken"), `"p"`)
		last = progress
	}
	if last < 3 {
		t.Errorf("the last progress was %v", last)
	}
}

// A person takes the time that a person takes: the limit for an answer is the server's alone.
func TestHandshake_SlowPerson(t *testing.T) {
	inFakeTime(t, bridgetest.Config{Versions: bridgetest.Modern, Handle: asks("tools/call", askForm).Handle}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
		cfg.ResponseTimeout = time.Minute
		h := startHost(t, cfg)
		h.capable("2025-11-25", everything)
		h.send(callEcho("1"))
		id, _ := h.question("elicitation/create")
		time.Sleep(3 * time.Hour)
		h.reply(id, accepted)
		wantJSON(t, "what was said", member(resultOf(t, h.answer("1")), "said"), `{"who":`+accepted+`}`)
		wantNothingMore(t, h)
	})
}

// Calls that wait for a person don't get into each other's way: ten at once, each with its own answer.
func TestHandshake_ManyAsked(t *testing.T) {
	t.Parallel()
	h, _ := startBefore(t, bridgetest.Config{}, "2025-11-25", everything)
	var calls []string
	for i := range 10 {
		calls = append(calls, fmt.Sprint(i))
		h.send(callTool(calls[i], "ask", `{}`))
	}
	ids := make(map[string]bool)
	for range 10 {
		id, _ := h.question("elicitation/create")
		ids[id] = true
	}
	if len(ids) != 10 {
		t.Fatalf("the questions have the ids %v", ids)
	}
	for id := range ids {
		h.reply(id, `{"action":"accept","content":{"name":`+quoted(id)+`}}`)
	}
	said := make(map[string]bool)
	for _, answer := range h.answersTo(calls) {
		said[string(member(answer, "result", "structuredContent", "content", "name"))] = true
	}
	if len(said) != 10 {
		t.Errorf("the answers are %v", said)
	}
	wantNothingMore(t, h)
}

// At the end of the input nobody can be asked any more: the call has an error, and Run returns.
func TestHandshake_EndWhileAsked(t *testing.T) {
	inFakeTime(t, bridgetest.Config{Versions: bridgetest.Modern, Handle: asks("tools/call", askForm).Handle}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
		h := startHost(t, cfg)
		h.capable("2025-11-25", everything)
		h.send(callEcho("1"))
		h.question("elicitation/create")
		start := time.Now()
		answered := 0
		for _, line := range h.end() {
			if rawID(line) == "1" && member(json.RawMessage(line), "method") == nil {
				answered++
			}
		}
		if took := time.Since(start); answered != 1 || took > longestEnd {
			t.Errorf("the call was answered %d times, and Run took %v", answered, took)
		}
	})
}
