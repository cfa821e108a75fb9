package bridge_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mcp-bridge/bridge"
	"mcp-bridge/bridge/bridgetest"
)

// asks calls the tool that asks these questions.
func (h *modernHost) asks(id, questions string, members ...string) {
	h.t.Helper()
	h.request(id, "tools/call", strings.Join(append([]string{toolThatAsks(questions)}, members...), ","))
}

func toolThatAsks(questions string) string {
	return `"name":"questions","arguments":{` + questions + `}`
}

// inputRequired returns the answer with this id, which asks for so many inputs.
func (h *modernHost) inputRequired(id string, n int) modernResult {
	h.t.Helper()
	r := h.result(id)
	if r.ResultType != "input_required" || len(r.InputRequests) != n {
		h.t.Fatalf("this should ask for %d inputs: %s", n, r.raw)
	}
	if len(r.RequestState) < 22 { // 128 bits in base64
		h.t.Errorf("spec 6.50: the requestState is no random handle: %q", r.RequestState)
	}
	return r
}

// only returns the only input that is asked for, and its key.
func (r modernResult) only() (key string, request inputRequest) {
	for key, request = range r.InputRequests {
	}
	return key, request
}

// inputs returns the members of a retry: answers to questions, by their key.
func inputs(state string, answers map[string]string) string {
	var list []string
	for key, answer := range answers {
		list = append(list, fmt.Sprintf("%q:%s", key, answer))
	}
	return fmt.Sprintf(`"inputResponses":{%s},"requestState":%q`, strings.Join(list, ","), state)
}

const (
	formQuestion     = `{"method":"elicitation/create","params":{"mode":"form","message":"Who?","requestedSchema":{"type":"object","properties":{"n":{"type":"number","maximum":1.0}}},"task":{"ttl":1},"_meta":{"progressToken":7,"acme/x":1.0}}}`
	urlQuestion      = `{"method":"elicitation/create","params":{"mode":"url","message":"Go","url":"https://x.test/?a=b&c","elicitationId":"E1"}}`
	samplingQuestion = `{"method":"sampling/createMessage","params":{"messages":[{"role":"user","content":{"type":"text","text":"<hi>"}}],"maxTokens":5,"temperature":1.0,"task":{}}}`
	rootsQuestion    = `{"method":"roots/list"}`

	formAnswer     = `{"action":"accept","content":{"n":9007199254740993,"f":1.0}}`
	urlAnswer      = `{"action":"accept"}`
	samplingAnswer = `{"role":"assistant","model":"m","content":{"type":"text","text":"<hello>"},"stopReason":"endTurn"}`
	rootsAnswer    = `{"roots":[{"uri":"file:///a"}]}`
)

// questionKinds are the questions that a server can ask, what a modern host sees of them, and an answer.
var questionKinds = map[string]struct{ question, method, params, answer string }{
	"elicitation form": {formQuestion, "elicitation/create",
		`{"mode":"form","message":"Who?","requestedSchema":{"type":"object","properties":{"n":{"type":"number","maximum":1.0}}},"_meta":{"acme/x":1.0}}`, formAnswer},
	"elicitation url": {urlQuestion, "elicitation/create", `{"mode":"url","message":"Go","url":"https://x.test/?a=b&c"}`, urlAnswer},
	"sampling": {samplingQuestion, "sampling/createMessage",
		`{"messages":[{"role":"user","content":{"type":"text","text":"<hi>"}}],"maxTokens":5,"temperature":1.0}`, samplingAnswer},
	"roots": {rootsQuestion, "roots/list", ``, rootsAnswer},
}

// "elicitation/create sampling/createMessage roots/list (U, during an eligible call): Park the
// upstream call, answer D's current id with input_required {inputRequests, requestState}; drop
// jsonrpc/id/_meta.progressToken/task/elicitationId; on D's retry POST each answer to U as a JSON-RPC
// response". Over HTTP+SSE no question is on the stream of a call; there the only call has it (6.53).
func TestModernHost_Questions(t *testing.T) {
	for kind, tt := range questionKinds {
		t.Run(kind, func(t *testing.T) {
			eachHandshakeServer(t, wellBehaved, func(t *testing.T, h *modernHost, s *bridgetest.Server) {
				h.asks("1", `"ask":[`+tt.question+`]`)
				r := h.inputRequired("1", 1)
				key, request := r.only()
				members := make(map[string]json.RawMessage)
				_ = json.Unmarshal(request.raw, &members)
				delete(members, "method")
				delete(members, "params")
				if request.Method != tt.method || len(members) > 0 {
					t.Errorf("the host was asked %s", request.raw)
				}
				if got := string(request.Params); !sameJSON(got, tt.params) && (tt.params != "" || got != "" && !sameJSON(got, "{}")) {
					t.Errorf("the host was asked with the params\n%s, want\n%s", got, tt.params)
				}
				if strings.Contains(tt.params, "1.0") && !strings.Contains(string(request.Params), "1.0") {
					t.Errorf("the numbers in the question are not the server's: %s", request.Params)
				}
				if n := len(got(t, s, "response")); n > 0 {
					t.Errorf("the server has %d answers before the host gave one", n)
				}

				h.asks("2", `"ask":[`+tt.question+`]`, inputs(r.RequestState, map[string]string{key: tt.answer}))
				if got, want := string(h.complete("2").StructuredContent), `{"answers":[{"result":`+tt.answer+`}]}`; !sameJSON(got, want) {
					t.Errorf("the server was told\n%s, want\n%s", got, want)
				}
				if b := gotOne(t, s, "response"); string(b.Result) != tt.answer {
					t.Errorf("the server got\n%s, want\n%s", b.Result, tt.answer)
				}
				gotOne(t, s, "tools/call")
			})
		})
	}
}

// The same for the other two requests that may ask (spec 5.30). What is not asked for by them is not
// in params: an inputResponses is no part of the call (spec 5.37).
func TestModernHost_QuestionsOfOtherRequests(t *testing.T) {
	for method, members := range map[string]string{"prompts/get": `"name":"p"`, "resources/read": `"uri":"test://a"`} {
		t.Run(method, func(t *testing.T) {
			eachHandshakeServer(t, func() *bridgetest.Legacy {
				return &bridgetest.Legacy{Answer: func(x *bridgetest.Exchange) string {
					if x.Method != method {
						return ""
					}
					a, err := x.Ask("roots/list", "{}")
					if err != nil {
						return ""
					}
					return bridgetest.ResultMember(`{"messages":[],"contents":[],"told":` + string(a.Result) + `}`)
				}}
			}, func(t *testing.T, h *modernHost, s *bridgetest.Server) {
				h.request("1", method, members)
				r := h.inputRequired("1", 1)
				if r.TTLMs != nil || r.CacheScope != "" {
					t.Errorf("what asks for input is nothing to cache: %s", r.raw)
				}
				key, _ := r.only()
				h.request("2", method, members+","+inputs(r.RequestState, map[string]string{key: rootsAnswer}))
				if r := h.complete("2"); !strings.Contains(string(r.raw), `"told":`+rootsAnswer) {
					t.Errorf("the host got %s", r.raw)
				}
				gotOne(t, s, method)
			})
		})
	}
}

// "kind/mode not in D's request capabilities → answer U at once: -32601 (roots/sampling) or -32602
// (undeclared elicitation mode, El4 MUST)".
func TestModernHost_QuestionsThatTheHostCannotAnswer(t *testing.T) {
	for name, tt := range map[string]struct {
		capabilities, question string
		codes                  []string
	}{
		"roots":             {`{"sampling":{},"elicitation":{}}`, rootsQuestion, []string{"-32601"}},
		"sampling":          {`{"roots":{},"elicitation":{}}`, samplingQuestion, []string{"-32601"}},
		"elicitation":       {`{"roots":{},"sampling":{}}`, formQuestion, []string{"-32601", "-32602"}},
		"elicitation url":   {`{"elicitation":{}}`, urlQuestion, []string{"-32602"}},
		"elicitation url 2": {`{"elicitation":{"form":{}}}`, urlQuestion, []string{"-32602"}},
		"elicitation form":  {`{"elicitation":{"url":{}}}`, formQuestion, []string{"-32602"}},
		"something else":    {allCapabilities, `{"method":"acme/question"}`, []string{"-32601"}},
	} {
		t.Run(name, func(t *testing.T) {
			eachHandshakeServer(t, wellBehaved, func(t *testing.T, h *modernHost, _ *bridgetest.Server) {
				h.capabilities = tt.capabilities
				h.asks("1", `"ask":[`+tt.question+`]`)
				got := string(h.complete("1").StructuredContent)
				if !slices.ContainsFunc(tt.codes, func(code string) bool { return strings.Contains(got, `"code":`+code) }) {
					t.Errorf("the server was told %s, want an error %s", got, tt.codes)
				}
			})
		})
	}
}

// An empty elicitation means forms (spec 5.42).
func TestModernHost_EmptyElicitationMeansForms(t *testing.T) {
	t.Parallel()
	h, _ := startModernHost(t, bridgetest.Config{Legacy: wellBehaved()}, bridge.Config{})
	h.capabilities = `{"elicitation":{}}`
	h.asks("1", `"ask":[{"method":"elicitation/create","params":{"message":"m","requestedSchema":{}}}]`)
	h.inputRequired("1", 1)
}

// 6.54: "Collect U requests for a few ms before answering D so parallel asks share one round; later
// ones form the next round".
func TestModernHost_QuestionsAtOnce(t *testing.T) {
	eachHandshakeServer(t, wellBehaved, func(t *testing.T, h *modernHost, s *bridgetest.Server) {
		const questions = `"atOnce":true,"ask":[` + formQuestion + "," + samplingQuestion + "," + rootsQuestion + "," + urlQuestion + `]`
		h.asks("1", questions)
		answers, left := make(map[string]string), 4
		id := "1"
		for round := 2; left > 0; round++ { // one round, unless the machine is very slow
			r := h.result(id)
			if r.ResultType != "input_required" || len(r.InputRequests) > left {
				t.Fatalf("the host got %s", r.raw)
			}
			clear(answers)
			for key, request := range r.InputRequests {
				for _, kind := range questionKinds {
					if kind.method == request.Method && strings.Contains(kind.question, `"url"`) == strings.Contains(string(request.Params), `"url"`) {
						answers[key] = kind.answer
					}
				}
			}
			left -= len(answers)
			id = fmt.Sprint(round)
			h.asks(id, questions, inputs(r.RequestState, answers))
		}
		want := fmt.Sprintf(`{"answers":[{"result":%s},{"result":%s},{"result":%s},{"result":%s}]}`, formAnswer, samplingAnswer, rootsAnswer, urlAnswer)
		if got := string(h.complete(id).StructuredContent); !sameJSON(got, want) {
			t.Errorf("the server was told\n%s, want\n%s", got, want)
		}
		gotOne(t, s, "tools/call")
	})
}

// One question after the other is one round after the other, each with its own single-use state
// (6.50, 6.51: "unknown/expired/mismatched → -32602").
func TestModernHost_Rounds(t *testing.T) {
	eachHandshakeServer(t, wellBehaved, func(t *testing.T, h *modernHost, s *bridgetest.Server) {
		const questions = `"ask":[` + rootsQuestion + "," + rootsQuestion + "," + rootsQuestion + `]`
		h.asks("1", questions)
		states, retry := make(map[string]bool), ""
		for id := 1; id <= 3; id++ {
			r := h.inputRequired(fmt.Sprint(id), 1)
			states[r.RequestState] = true
			key, _ := r.only()
			if retry != "" { // once more what has been used
				h.asks(`"used"`, questions, retry)
				if e := h.refusal(`"used"`); e.Code != -32602 {
					t.Errorf("a state that was used already gets the error %+v, want -32602", e)
				}
			}
			retry = inputs(r.RequestState, map[string]string{key: fmt.Sprintf(`{"roots":[],"n":%d}`, id)})
			h.asks(fmt.Sprint(id+1), questions, retry)
		}
		const want = `{"answers":[{"result":{"roots":[],"n":1}},{"result":{"roots":[],"n":2}},{"result":{"roots":[],"n":3}}]}`
		if got := string(h.complete("4").StructuredContent); !sameJSON(got, want) {
			t.Errorf("the server was told\n%s, want\n%s", got, want)
		}
		if len(states) != 3 {
			t.Errorf("three rounds had %d states", len(states))
		}
		gotOne(t, s, "tools/call")
	})
}

// 6.50 "bind to method + digest of params (5.39)", 6.51 "unknown/expired/mismatched → -32602".
func TestModernHost_StatesThatDoNotFit(t *testing.T) {
	t.Parallel()
	const questions = `"ask":[` + rootsQuestion + `]`
	for name, retry := range map[string]func(h *modernHost, state, key string){
		"unknown": func(h *modernHost, _, key string) {
			h.asks("2", questions, inputs("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", map[string]string{key: rootsAnswer}))
		},
		"empty": func(h *modernHost, _, key string) {
			h.asks("2", questions, inputs("", map[string]string{key: rootsAnswer}))
		},
		"of another tool": func(h *modernHost, state, key string) {
			h.request("2", "tools/call", `"name":"echo","arguments":{},`+inputs(state, map[string]string{key: rootsAnswer}))
		},
		"with other arguments": func(h *modernHost, state, key string) {
			h.asks("2", questions+`,"x":1`, inputs(state, map[string]string{key: rootsAnswer}))
		},
		"with another method": func(h *modernHost, state, key string) {
			h.request("2", "prompts/get", toolThatAsks(questions)+","+inputs(state, map[string]string{key: rootsAnswer}))
		},
		"no string": func(h *modernHost, _, key string) {
			h.asks("2", questions, `"inputResponses":{`+`"`+key+`":`+rootsAnswer+`},"requestState":7`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, s := startModernHost(t, bridgetest.Config{Legacy: wellBehaved()}, bridge.Config{})
			h.asks("1", questions)
			r := h.inputRequired("1", 1)
			key, _ := r.only()
			retry(h, r.RequestState, key)
			if e := h.refusal("2"); e.Code != -32602 {
				t.Errorf("the error is %+v, want -32602", e)
			}
			if n := len(got(t, s, "response")); n > 0 {
				t.Errorf("the server was given an answer")
			}
			if n := len(got(t, s, "tools/call")) + len(got(t, s, "prompts/get")); n != 1 {
				t.Errorf("the server got %d calls, want 1", n)
			}
		})
	}
}

// The params of a retry are the same if they mean the same: whoever parsed them writes them again,
// with other progress tokens and trace keys.
func TestModernHost_RetryInOtherSpelling(t *testing.T) {
	t.Parallel()
	h, _ := startModernHost(t, bridgetest.Config{Legacy: wellBehaved()}, bridge.Config{})
	h.request("1", "tools/call", toolThatAsks(`"ask":[`+rootsQuestion+`],"x":"é"`), `"progressToken":1`, `"traceparent":"00-a"`)
	r := h.inputRequired("1", 1)
	key, _ := r.only()
	h.request("2", "tools/call", inputs(r.RequestState, map[string]string{key: rootsAnswer})+
		`,"arguments": { "x":"\u00e9", "ask":[`+rootsQuestion+`]},"name":"questions"`, `"progressToken":2`, `"traceparent":"00-b"`)
	h.complete("2")
}

// 6.51: "missing keys → same input_required again with a fresh handle; extra keys ignored; no
// requestState → a new call".
func TestModernHost_IncompleteRetries(t *testing.T) {
	eachHandshakeServer(t, wellBehaved, func(t *testing.T, h *modernHost, s *bridgetest.Server) {
		const questions = `"ask":[` + rootsQuestion + `]`
		h.asks("1", questions)
		first := h.inputRequired("1", 1)
		key, _ := first.only()
		for _, retry := range []string{ // nothing, the wrong one
			`"requestState":"` + first.RequestState + `"`,
			"",
		} {
			if retry == "" {
				retry = inputs(first.RequestState, map[string]string{"acme": rootsAnswer})
			}
			h.asks("2", questions, retry)
			second := h.inputRequired("2", 1)
			if second.RequestState == first.RequestState {
				t.Errorf("the handle is not fresh")
			}
			if again, _ := second.only(); again != key {
				t.Errorf("the question has the key %q, want %q as before", again, key)
			}
			first = second
		}
		h.asks("3", questions, inputs(first.RequestState, map[string]string{key: rootsAnswer, "acme": "{}"}))
		h.complete("3")
		gotOne(t, s, "tools/call")

		h.asks("4", questions, `"inputResponses":{"`+key+`":`+rootsAnswer+`}`)
		h.inputRequired("4", 1)
		if n := len(got(t, s, "tools/call")); n != 2 {
			t.Errorf("the server got %d calls, want 2: without a state it is a new call", n)
		}
	})
}

// Answers one at a time are answers as well: what is missing is asked for again.
func TestModernHost_AnswersInTwoRetries(t *testing.T) {
	t.Parallel()
	h, s := startModernHost(t, bridgetest.Config{Legacy: wellBehaved()}, bridge.Config{})
	const questions = `"atOnce":true,"ask":[` + rootsQuestion + "," + rootsQuestion + `]`
	h.asks("1", questions)
	r := h.inputRequired("1", 2)
	keys := slices.Sorted(maps.Keys(r.InputRequests))
	h.asks("2", questions, inputs(r.RequestState, map[string]string{keys[0]: rootsAnswer}))
	again := h.result("2")
	if again.ResultType != "input_required" || again.InputRequests[keys[1]].Method != "roots/list" {
		t.Fatalf("the host got %s, want the second question again", again.raw)
	}
	answers := make(map[string]string)
	for key := range again.InputRequests {
		answers[key] = rootsAnswer
	}
	h.asks("3", questions, inputs(again.RequestState, answers))
	if got := string(h.complete("3").StructuredContent); got != `{"answers":[{"result":`+rootsAnswer+`},{"result":`+rootsAnswer+`}]}` {
		t.Errorf("the server was told %s", got)
	}
	if n := len(got(t, s, "response")); n != 2 {
		t.Errorf("the server got %d answers, want 2", n)
	}
}

// 6.52: "If U finishes meanwhile, store the result and return it on retry".
func TestModernHost_FinishedWhileParked(t *testing.T) {
	for name, withdrawn := range map[string]bool{"without an answer": false, `"notifications/cancelled (U, for its own request): Remove from pending; ignore that answer later"`: true} {
		t.Run(name, func(t *testing.T) {
			eachInFakeTime(t, func() *bridgetest.Legacy {
				done := make(chan struct{})
				return &bridgetest.Legacy{Answer: func(x *bridgetest.Exchange) string {
					if x.Method == "acme/finish" {
						close(done)
						return bridgetest.ResultMember("{}")
					}
					if x.Method != "tools/call" {
						return ""
					}
					_ = x.Send(`{"jsonrpc":"2.0","id":"q","method":"roots/list"}`)
					select {
					case <-done:
					case <-x.Context().Done():
						return ""
					}
					if withdrawn {
						_ = x.Send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"q","reason":"never mind"}}`)
					}
					return bridgetest.ResultMember(`{"content":[{"type":"text","text":"by itself"}]}`)
				}}
			}, func(t *testing.T, h *modernHost, s *bridgetest.Server) {
				h.request("1", "tools/call", `"name":"a"`)
				r := h.inputRequired("1", 1)
				key, _ := r.only()
				h.request("2", "acme/finish", "")
				h.complete("2")
				time.Sleep(time.Second)
				h.fence("3")
				h.noNotes("nothing belongs to a live request")
				h.request("4", "tools/call", `"name":"a",`+inputs(r.RequestState, map[string]string{key: rootsAnswer}))
				if r := h.complete("4"); len(r.Content) != 1 || r.Content[0].Text != "by itself" {
					t.Errorf("the host got %s", r.raw)
				}
				h.fence("5")
				if n := len(got(t, s, "response")); withdrawn && n > 0 {
					t.Errorf("the server was given an answer to a question that it withdrew")
				}
			})
		})
	}
}

// A question that is withdrawn before the host is asked is not asked.
func TestModernHost_QuestionWithdrawnAtOnce(t *testing.T) {
	eachInFakeTime(t, func() *bridgetest.Legacy {
		return &bridgetest.Legacy{Answer: func(x *bridgetest.Exchange) string {
			if x.Method != "tools/call" {
				return ""
			}
			_ = x.Send(`{"jsonrpc":"2.0","id":"q","method":"roots/list"}`)
			_ = x.Send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"q"}}`)
			return bridgetest.ResultMember(`{"content":[]}`)
		}}
	}, func(t *testing.T, h *modernHost, s *bridgetest.Server) {
		h.request("1", "tools/call", `"name":"a"`)
		r := h.result("1")
		if r.ResultType == "input_required" { // the machine was slow; then the result is there on the retry
			time.Sleep(time.Second)
			key, _ := r.only()
			h.request("1", "tools/call", `"name":"a",`+inputs(r.RequestState, map[string]string{key: rootsAnswer}))
			h.complete("1")
		}
		if n := len(got(t, s, "response")); n > 0 {
			t.Errorf("the server was given an answer to a question that it withdrew")
		}
	})
}

// "same, U request during a non-eligible call or unattached: 6.53: -32602 to U", 6.74.
func TestModernHost_QuestionsOfNobody(t *testing.T) {
	t.Parallel()
	for name, sc := range handshakeServers() {
		t.Run("on the stream of a list/"+name, func(t *testing.T) {
			t.Parallel()
			var told atomic.Value
			sc.Legacy = &bridgetest.Legacy{Answer: func(x *bridgetest.Exchange) string {
				if x.Method == "prompts/list" {
					a, _ := x.Ask("elicitation/create", `{"message":"m","requestedSchema":{}}`)
					told.Store(string(a.Error))
				}
				return ""
			}}
			inFakeTime(t, sc, func(t *testing.T, _ *bridgetest.Server, bc bridge.Config) {
				h := newModernHost(startHost(t, bc))
				began := time.Now()
				h.send(modernRequest("1", "prompts/list", "", metaVersion, metaInfo, metaCapabilities+allCapabilities))
				if line, ok := h.take(time.Hour); !ok || h.check(line).Result == nil {
					t.Fatalf("the host got %q", line)
				}
				if took := time.Since(began); took > time.Second && !sc.HTTPSSE || took > time.Minute { // there it is not known what the question came with
					t.Errorf("the host waited for %v", took)
				}
				if got, _ := told.Load().(string); !strings.Contains(got, `"code":-32602`) {
					t.Errorf("the server was told %s, want -32602", got)
				}
			})
		})
	}
	for name, sc := range handshakeServers() {
		sc.Legacy = wellBehaved()
		t.Run("with no call/"+name, func(t *testing.T) {
			t.Parallel()
			inFakeTime(t, sc, func(t *testing.T, s *bridgetest.Server, bc bridge.Config) {
				h := newModernHost(startHost(t, bc))
				eventuallyStream(t, h, s)
				a, err := s.Ask(t.Context(), "elicitation/create", `{"message":"m","requestedSchema":{}}`)
				if err != nil || !strings.Contains(string(a.Error), `"code":-32602`) {
					t.Errorf("the server was told %s, want -32602: %v", a.Error, err)
				}
				h.fence("1")
			})
		})
		t.Run("with two calls that may ask/"+name, func(t *testing.T) {
			t.Parallel()
			inFakeTime(t, sc, func(t *testing.T, s *bridgetest.Server, bc bridge.Config) {
				h := newModernHost(startHost(t, bc))
				eventuallyStream(t, h, s)
				h.request("1", "tools/call", `"name":"block"`)
				h.request("2", "tools/call", `"name":"block"`)
				waitFor(t, s, "tools/call", 2)
				a, err := s.Ask(t.Context(), "sampling/createMessage", `{"messages":[],"maxTokens":1}`)
				if err != nil || !strings.Contains(string(a.Error), `"code":-32602`) {
					t.Errorf("the server was told %s, want -32602: %v", a.Error, err)
				}
				h.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`)
				h.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}`)
				waitFor(t, s, "notifications/cancelled", 2)
			})
		})
	}
}

// 6.53: "the POST stream it came on → … → else the only eligible in-flight D call".
func TestModernHost_QuestionsOnTheOtherStream(t *testing.T) {
	eachHandshakeServer(t, wellBehaved, func(t *testing.T, h *modernHost, s *bridgetest.Server) {
		eventuallyStream(t, h, s)
		const questions = `"elsewhere":true,"ask":[` + rootsQuestion + `]`
		h.asks("1", questions)
		r := h.inputRequired("1", 1)
		key, _ := r.only()
		h.asks("2", questions, inputs(r.RequestState, map[string]string{key: rootsAnswer}))
		if got := string(h.complete("2").StructuredContent); got != `{"answers":[{"result":`+rootsAnswer+`}]}` {
			t.Errorf("the server was told %s", got)
		}
	})
}

// "roots/list right after initialized (U, common): Answer from a cached roots result, else hold until
// the next eligible call (bounded), else -32602".
func TestModernHost_RootsRightAfterInitialized(t *testing.T) {
	t.Parallel()
	t.Run("held until a call", func(t *testing.T) {
		t.Parallel()
		for name, sc := range map[string]bridgetest.Config{"streamable": {Stream: true}, "HTTP+SSE": {HTTPSSE: true}} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				sc.Legacy = wellBehaved()
				h, s := startModernHost(t, sc, bridge.Config{})
				eventuallyStream(t, h, s)
				answers := make(chan bridgetest.Answer, 2)
				ask := func() { // ends with the answer
					a, _ := s.Ask(t.Context(), "roots/list", "{}")
					answers <- a
				}
				go ask()
				h.fence("1")
				h.request("2", "tools/call", `"name":"block"`)
				r := h.inputRequired("2", 1)
				key, _ := r.only()
				h.request("3", "tools/call", `"name":"block",`+inputs(r.RequestState, map[string]string{key: rootsAnswer}))
				if a := within(t, answers); string(a.Result) != rootsAnswer {
					t.Errorf("the server was told %s %s", a.Result, a.Error)
				}
				h.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":3}}`)
				waitFor(t, s, "notifications/cancelled", 1)
				h.fence("4")
				go ask() // nothing is under way, and they are known
				if a := within(t, answers); string(a.Result) != rootsAnswer {
					t.Errorf("the second time the server was told %s %s, want the roots that are known", a.Result, a.Error)
				}
			})
		}
	})
	t.Run("bounded", func(t *testing.T) {
		t.Parallel()
		inFakeTime(t, bridgetest.Config{Stream: true, Legacy: wellBehaved()}, func(t *testing.T, s *bridgetest.Server, bc bridge.Config) {
			h := newModernHost(startHost(t, bc))
			eventuallyStream(t, h, s)
			began := time.Now()
			a, err := s.Ask(t.Context(), "roots/list", "{}")
			if err != nil || !strings.Contains(string(a.Error), `"code":-32602`) {
				t.Errorf("the server was told %s %s, want -32602: %v", a.Result, a.Error, err)
			}
			if took := time.Since(began); took > 10*time.Minute {
				t.Errorf("the server waited for %v", took)
			}
			h.fence("1")
		})
	})
}

// 6.55: "Upstream timeouts must allow unbounded human delay while parked". The state lives for ten
// minutes (6.50 "TTL ≥ human time (≈10 min)"); after that the server gets its answer, the call is
// cancelled, and a retry is refused (6.52 "On deadline: answer pending U requests ({action:"cancel"}
// or error), then cancel the call").
func TestModernHost_HumansTakeTheirTime(t *testing.T) {
	t.Parallel()
	for name, sc := range handshakeServers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sc.Legacy = wellBehaved()
			const questions = `"ask":[{"method":"elicitation/create","params":{"message":"m","requestedSchema":{}}}]`
			t.Run("in time", func(t *testing.T) {
				t.Parallel()
				inFakeTime(t, sc, func(t *testing.T, _ *bridgetest.Server, bc bridge.Config) {
					bc.ResponseTimeout = time.Second
					h := newModernHost(startHost(t, bc))
					h.asks("1", questions)
					r := h.inputRequired("1", 1)
					key, _ := r.only()
					time.Sleep(9 * time.Minute)
					h.asks("2", questions, inputs(r.RequestState, map[string]string{key: formAnswer}))
					h.complete("2")
				})
			})
			t.Run("in time, as it is configured", func(t *testing.T) {
				t.Parallel()
				inFakeTime(t, sc, func(t *testing.T, _ *bridgetest.Server, bc bridge.Config) {
					bc.InputTimeout = 2 * time.Hour
					h := newModernHost(startHost(t, bc))
					h.asks("1", questions)
					r := h.inputRequired("1", 1)
					key, _ := r.only()
					time.Sleep(119 * time.Minute)
					h.asks("2", questions, inputs(r.RequestState, map[string]string{key: formAnswer}))
					h.complete("2")
				})
			})
			t.Run("too late", func(t *testing.T) {
				t.Parallel()
				inFakeTime(t, sc, func(t *testing.T, s *bridgetest.Server, bc bridge.Config) {
					h := newModernHost(startHost(t, bc))
					h.asks("1", questions)
					r := h.inputRequired("1", 1)
					key, _ := r.only()
					time.Sleep(24 * time.Hour)
					if b := gotOne(t, s, "response"); b.Error == nil && string(b.Result) != `{"action":"cancel"}` {
						t.Errorf("the server was told %s", b.Result)
					}
					h.asks("2", questions, inputs(r.RequestState, map[string]string{key: formAnswer}))
					if e := h.refusal("2"); e.Code != -32602 {
						t.Errorf("a retry after a day gets the error %+v, want -32602", e)
					}
					gotOne(t, s, "tools/call")
				})
			})
		})
	}
}

// 6.75: "Parked call lost (session/stream died): -32603 "upstream call was lost while waiting for
// input; call the tool again"".
func TestModernHost_ParkedCallLost(t *testing.T) {
	for name, lose := range map[string]func(*bridgetest.Server){
		"the session": func(s *bridgetest.Server) { s.ForgetSessions() },
		"the stream":  func(*bridgetest.Server) {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cut := make(chan struct{})
			h, s := startModernHost(t, bridgetest.Config{Legacy: wellBehaved(), Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
				if r.Method != "tools/call" {
					return false
				}
				_ = r.Events(w).Send(`{"jsonrpc":"2.0","id":"q","method":"roots/list"}`)
				select {
				case <-cut:
					panic(http.ErrAbortHandler)
				case <-r.Context().Done():
				}
				return true
			}}, bridge.Config{})
			h.request("1", "tools/call", `"name":"a"`)
			r := h.inputRequired("1", 1)
			key, _ := r.only()
			lose(s)
			close(cut)
			h.fence("2")
			h.request("3", "tools/call", `"name":"a",`+inputs(r.RequestState, map[string]string{key: rootsAnswer}))
			if e := h.refusal("3"); e.Code != -32603 || !strings.Contains(e.Message, "lost") || !strings.Contains(e.Message, "call the tool again") {
				t.Errorf("the error is %+v, want -32603 and what to do", e)
			}
			gotOne(t, s, "tools/call")
		})
	}
}

// "-32042 (U, R4): input_required with one url elicitation/create per entry; on retry, wait briefly
// for notifications/elicitation/complete (if ids known), then call U afresh". "notifications/elicitation/
// complete (U): Consume".
func TestModernHost_URLElicitationRequired(t *testing.T) {
	const data = `{"elicitations":[{"mode":"url","elicitationId":"E1","url":"https://x.test/1?a=b&c","message":"Sign <in>"},` +
		`{"mode":"url","elicitationId":"E2","url":"https://x.test/2","message":"Pay"}]}`
	legacy := func() *bridgetest.Legacy {
		var calls atomic.Int32
		return &bridgetest.Legacy{Answer: func(x *bridgetest.Exchange) string {
			if x.Method != "tools/call" {
				return ""
			}
			if calls.Add(1) == 1 {
				return bridgetest.ErrorMember(-32042, "This needs a visit", data)
			}
			return bridgetest.ResultMember(`{"content":[{"type":"text","text":"visited"}]}`)
		}}
	}
	const complete = `{"jsonrpc":"2.0","method":"notifications/elicitation/complete","params":{"elicitationId":"E%d"}}`
	for name, notify := range map[string]bool{"with a word of the server": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			eachHandshakeServer(t, legacy, func(t *testing.T, h *modernHost, s *bridgetest.Server) {
				eventuallyStream(t, h, s)
				h.request("1", "tools/call", `"name":"a"`)
				r := h.inputRequired("1", 2)
				answers := make(map[string]string)
				var asked []string
				for key, request := range r.InputRequests {
					answers[key] = urlAnswer
					asked = append(asked, string(request.Params))
					if request.Method != "elicitation/create" {
						t.Errorf("the host was asked %s", request.raw)
					}
				}
				slices.Sort(asked)
				for i, want := range []string{`{"mode":"url","url":"https://x.test/2","message":"Pay"}`, `{"mode":"url","url":"https://x.test/1?a=b&c","message":"Sign <in>"}`} {
					if !slices.ContainsFunc(asked, func(got string) bool { return sameJSON(got, want) }) {
						t.Errorf("the host was asked %q, and not %d %s", asked, i, want)
					}
				}
				if notify {
					s.Notify(fmt.Sprintf(complete, 1))
					s.Notify(fmt.Sprintf(complete, 2))
				}
				h.request("2", "tools/call", `"name":"a",`+inputs(r.RequestState, answers))
				if r := h.complete("2"); len(r.Content) != 1 || r.Content[0].Text != "visited" {
					t.Errorf("the host got %s", r.raw)
				}
				if n := len(got(t, s, "tools/call")); n != 2 {
					t.Errorf("the server got %d calls, want 2", n)
				}
				if n := len(got(t, s, "response")); n != 0 {
					t.Errorf("the server got %d answers to what it did not ask", n)
				}
			})
		})
	}
	t.Run(`"D lacks elicitation.url → -32021 to D, requiredCapabilities:{elicitation:{url:{}}}"`, func(t *testing.T) {
		eachHandshakeServer(t, legacy, func(t *testing.T, h *modernHost, _ *bridgetest.Server) {
			h.capabilities = `{"elicitation":{}}`
			h.request("1", "tools/call", `"name":"a"`)
			if e := h.refusal("1"); e.Code != -32021 || !strings.Contains(string(e.Data), `"requiredCapabilities":{"elicitation":{"url":{}}}`) {
				t.Errorf("the error is %d with data %s", e.Code, e.Data)
			}
		})
	})
	t.Run("a user who declines is not asked for more", func(t *testing.T) {
		eachHandshakeServer(t, legacy, func(t *testing.T, h *modernHost, s *bridgetest.Server) {
			h.request("1", "tools/call", `"name":"a"`)
			r := h.inputRequired("1", 2)
			answers := make(map[string]string)
			for key := range r.InputRequests {
				answers[key] = `{"action":"decline"}`
			}
			h.request("2", "tools/call", `"name":"a",`+inputs(r.RequestState, answers))
			if m := h.response("2"); m.Error == nil && strings.Contains(m.raw, "input_required") {
				t.Errorf("the host got %s", m.raw)
			}
			_ = s
		})
	})
}

// "sampling answer content array, U ≤ R3: one element → object; all-text → joined text block; else
// error to U".
func TestModernHost_SamplingAnswersForOldServers(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ version, content, want string }{
		"one element":        {"2025-06-18", `[{"type":"text","text":"a","n":1.0}]`, `"content":{"type":"text","text":"a","n":1.0}`},
		"one image":          {"2025-03-26", `[{"type":"image","data":"AA==","mimeType":"image/png"}]`, `"content":{"type":"image","data":"AA==","mimeType":"image/png"}`},
		"texts":              {"2025-06-18", `[{"type":"text","text":"a"},{"type":"text","text":"b"}]`, `"content":{"type":"text"`},
		"more than texts":    {"2025-06-18", `[{"type":"text","text":"a"},{"type":"image","data":"AA==","mimeType":"image/png"}]`, `"code":-326`},
		"an object":          {"2025-06-18", `{"type":"text","text":"a"}`, `"content":{"type":"text","text":"a"}`},
		"an array for R4":    {"2025-11-25", `[{"type":"text","text":"a"},{"type":"text","text":"b"}]`, `"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]`},
		"the oldest of them": {"2024-11-05", `[{"type":"text","text":"a"}]`, `"content":{"type":"text","text":"a"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, s := startModernHost(t, bridgetest.Config{Versions: []string{tt.version}, Legacy: wellBehaved()}, bridge.Config{})
			h.asks("1", `"ask":[`+samplingQuestion+`]`)
			r := h.inputRequired("1", 1)
			key, _ := r.only()
			h.asks("2", `"ask":[`+samplingQuestion+`]`, inputs(r.RequestState, map[string]string{key: `{"role":"assistant","model":"m","content":` + tt.content + `}`}))
			h.response("2")
			if got := bodies(s, "response"); len(got) != 1 || !strings.Contains(got[0], tt.want) {
				t.Errorf("the server got %s, want %s", got, tt.want)
			}
			if got := bodies(s, "response")[0]; name == "texts" && (!strings.Contains(got, "a") || !strings.Contains(got, "b") || strings.Contains(got, "[")) {
				t.Errorf("the server got %s, want the two texts as one", got)
			}
		})
	}
}

// within returns the next value of a channel.
func within[T any](t testing.TB, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatal("this does not happen: an answer to the server")
		panic("unreachable")
	}
}

// 6.52: "While parked keep reading the upstream stream (resume per 2.31)". A stream that breaks while the
// host is asked goes on where it left off.
func TestModernHost_StreamResumedWhileParked(t *testing.T) {
	t.Parallel()
	answered := make(chan string, 1)
	h, s := startModernHost(t, bridgetest.Config{Stream: true, Legacy: wellBehaved(), Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
		switch {
		case r.Method == "tools/call":
			_ = r.Events(w).Raw("id: at-1\nretry: 1\ndata: {\"jsonrpc\":\"2.0\",\"id\":\"q\",\"method\":\"roots/list\"}\n\n")
			answered <- string(r.ID)
			panic(http.ErrAbortHandler)
		case r.Header.Get("Last-Event-Id") == "at-1":
			events := r.Events(w)
			id := <-answered
			select {
			case <-answered: // the host has answered
			case <-r.Context().Done():
				return true
			}
			_ = events.Send(`{"jsonrpc":"2.0","id":` + id + `,"result":{"content":[{"type":"text","text":"resumed"}]}}`)
			return true
		case r.String() == "response":
			answered <- "yes"
			w.WriteHeader(http.StatusAccepted)
			return true
		}
		return false
	}}, bridge.Config{})
	h.request("1", "tools/call", `"name":"a"`)
	r := h.inputRequired("1", 1)
	key, _ := r.only()
	eventually(t, "the stream is resumed", func() bool {
		return slices.ContainsFunc(s.Requests(), func(r *bridgetest.Request) bool { return r.Header.Get("Last-Event-Id") == "at-1" })
	})
	h.request("2", "tools/call", `"name":"a",`+inputs(r.RequestState, map[string]string{key: rootsAnswer}))
	if r := h.complete("2"); len(r.Content) != 1 || r.Content[0].Text != "resumed" {
		t.Errorf("the host got %s", r.raw)
	}
	gotOne(t, s, "tools/call")
}

// Many calls that ask at the same time do not get into each other's way, where the questions come with
// the calls.
func TestModernHost_ManyParkedCalls(t *testing.T) {
	t.Parallel()
	const calls = 50
	h, s := startModernHost(t, bridgetest.Config{Legacy: wellBehaved()}, bridge.Config{})
	question := func(i int) string {
		return fmt.Sprintf(`"ask":[{"method":"elicitation/create","params":{"message":"question %d","requestedSchema":{}}}]`, i)
	}
	for i := range calls {
		h.asks(fmt.Sprint(i), question(i))
	}
	parked := make([]modernMessage, 0, calls)
	for range calls {
		parked = append(parked, h.message())
	}
	for _, m := range slices.Backward(parked) {
		var r modernResult
		_ = json.Unmarshal(m.Result, &r)
		key, request := r.only()
		if want := `"question ` + string(m.ID) + `"`; !strings.Contains(string(request.Params), want) {
			t.Fatalf("call %s asks %s", m.ID, request.Params)
		}
		var i int
		_ = json.Unmarshal(m.ID, &i)
		h.asks(fmt.Sprintf(`"%d"`, i), question(i), inputs(r.RequestState, map[string]string{key: fmt.Sprintf(`{"action":"accept","content":{"n":%d}}`, i)}))
	}
	for range calls {
		m := h.message()
		if want := `{"action":"accept","content":{"n":` + strings.Trim(string(m.ID), `"`) + `}}`; !strings.Contains(m.raw, want) {
			t.Errorf("call %s ends with %s", m.ID, m.raw)
		}
	}
	if n := len(got(t, s, "tools/call")); n != calls {
		t.Errorf("the server got %d calls, want %d", n, calls)
	}
}

// 6.54: "later ones form the next round". A question that comes while the host is asked another one is
// asked next, and then no more.
func TestModernHost_QuestionWhileParked(t *testing.T) {
	eachHandshakeServer(t, func() *bridgetest.Legacy {
		more, finish := make(chan struct{}), make(chan struct{})
		return &bridgetest.Legacy{Answer: func(x *bridgetest.Exchange) string {
			switch x.Method {
			case "acme/finish":
				close(finish)
				return bridgetest.ResultMember("{}")
			case "acme/more":
				more <- struct{}{}
				<-more // it was asked
				return bridgetest.ResultMember("{}")
			case "tools/call":
				asked := make(chan struct{})
				go func() { // ends with the answer, or with the exchange
					defer close(asked)
					select {
					case <-more:
					case <-x.Context().Done():
						return
					}
					if x.Send(`{"jsonrpc":"2.0","id":"second","method":"roots/list"}`) == nil {
						more <- struct{}{}
					}
				}()
				first, err := x.Ask("roots/list", "{}")
				<-asked
				if err != nil {
					return ""
				}
				_ = x.Answered(`"second"`)
				select {
				case <-finish:
				case <-x.Context().Done():
				}
				return bridgetest.ResultMember(`{"content":[],"structuredContent":` + string(first.Result) + `}`)
			}
			return ""
		}}
	}, func(t *testing.T, h *modernHost, s *bridgetest.Server) {
		h.request("1", "tools/call", `"name":"a"`)
		r := h.inputRequired("1", 1)
		key, _ := r.only()
		h.request("2", "acme/more", "")
		h.complete("2")
		h.fence("3")
		h.request("4", "tools/call", `"name":"a",`+inputs(r.RequestState, map[string]string{key: rootsAnswer}))
		r = h.inputRequired("4", 1)
		next, _ := r.only()
		if next == key {
			t.Errorf("two questions have the key %s", key)
		}
		h.request("5", "tools/call", `"name":"a",`+inputs(r.RequestState, map[string]string{next: rootsAnswer}))
		waitFor(t, s, "response", 2)
		h.fence("6") // fails if the host is asked for nothing at all
		h.request("7", "acme/finish", "")
		var ends []string
		for range 2 {
			m := h.message()
			ends = append(ends, m.raw)
		}
		slices.Sort(ends)
		if !strings.HasPrefix(ends[0], `{"jsonrpc":"2.0","id":5,`) || !strings.Contains(ends[0], `"structuredContent":`+rootsAnswer) {
			t.Errorf("the host got %s", ends)
		}
		if n := len(got(t, s, "response")); n != 2 {
			t.Errorf("the server got %d answers, want 2", n)
		}
	})
}
