package bridge_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"mcp-bridge/bridge"
	"mcp-bridge/bridge/bridgetest"
)

// call is a request with id 1, for tests that are about its answer.
const call = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}`

// What the host sends gets to the server byte for byte, and an answer comes back under its id.
func TestBytesOut(t *testing.T) {
	t.Parallel()
	for name, lines := range map[string][]string{
		"O1 a method of nobody's": {`{"jsonrpc":"2.0","id":1,"method":"vendor/Méthode","params":{"a":1}}`},
		"O2 any id": {
			`{"jsonrpc":"2.0","id":"one","method":"ping"}`,
			`{"jsonrpc":"2.0","id":"","method":"ping"}`,
			`{"jsonrpc":"2.0","id":0,"method":"ping"}`,
			`{"jsonrpc":"2.0","id":"0","method":"ping"}`,
			`{"jsonrpc":"2.0","id":-7,"method":"ping"}`,
			`{"jsonrpc":"2.0","id":9007199254740993,"method":"ping"}`,
			`{"jsonrpc":"2.0","id":9007199254740992,"method":"ping"}`,
			`{"jsonrpc":"2.0","id":12345678901234567890123,"method":"ping"}`,
			`{"jsonrpc":"2.0","id":1.5,"method":"ping"}`,
			`{"jsonrpc":"2.0","id":1e3,"method":"ping"}`,
			`{"jsonrpc":"2.0","id":"\u00e9\"\\\ud83d\ude00","method":"ping"}`,
		},
		"O3 numbers and key order":       {`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"z":9007199254740993,"a":1.0,"m":1E400,"b":-0.0,"c":0.1e-7,"d":123456789012345678901234567890.123456789}}`},
		"O4 unknown members":             {`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{},"trace":"abc"}`},
		"O5 <, >, & and U+2028":          {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"q\":\"<a>&\u2028\u2029\u007f\"}}"},
		"O6 white space and order":       {"{\"id\":1, \"jsonrpc\":\"2.0\",\t\"params\":{ \"a\" : 1 }, \"method\":\"tools/call\"} "},
		"O7 duplicate keys, surrogates":  {`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"a":1,"a":2,"s":"\ud800 \udc00","e":"\/\u002f"}}`},
		"O8 params of a notification":    {`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":9007199254740993,"progress":1.0,"_meta":{"z":9007199254740993,"a":1}}}`},
		"O9 empty params":                {`{"jsonrpc":"2.0","method":"notifications/x","params":{}}`},
		"O10 no params, unknown members": {`{"jsonrpc":"2.0","method":"notifications/x","trace":1}`},
		"O11 positional params":          {`{"jsonrpc":"2.0","method":"vendor/n","params":[1,2]}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serveBytes(t, "2025-11-25", func(w http.ResponseWriter, r *http.Request, body string) bool {
				id := rawID(body)
				if r.Method != http.MethodPost || id == "" || id == `"handshake"` {
					return false
				}
				answerJSON(w, `{"jsonrpc":"2.0","id":`+id+`,"result":{"id":`+id+`}}`)
				return true
			})
			h := startHost(t, bridge.Config{URL: s.URL})
			h.handshake("2025-11-25")
			for _, line := range lines {
				h.send(line)
				if id := rawID(line); id != "" {
					if want, got := `{"jsonrpc":"2.0","id":`+id+`,"result":{"id":`+id+`}}`, h.next(); got != want {
						t.Errorf("the answer is\n%s, want\n%s", got, want)
					}
				}
			}
			eventually(t, "the server has all", func() bool { return len(s.got()) == len(lines) })
			if got := s.got(); !slices.Equal(got, lines) {
				t.Errorf("the server got\n%q, want\n%q", got, lines)
			}
			if rest := h.end(); len(rest) > 0 {
				t.Errorf("this came besides: %q", rest)
			}
		})
	}
}

// rawID returns the id of a message as it is written, "" if there is none.
func rawID(message string) string {
	var m struct {
		ID json.RawMessage `json:"id"`
	}
	_ = json.Unmarshal([]byte(message), &m) // what is no message has no id
	return string(m.ID)
}

// A JSON body gets to the host byte for byte, on one line.
func TestBytesIn(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ body, want string }{ // no want: the same
		"I1 result":                              {body: `{"jsonrpc":"2.0","id":1,"result":{"z":9007199254740993,"a":1.0,"e":1E400,"q":"<&>é\u00e9\ud800","a":2}}`},
		"I1 white space and order":               {body: "{\"result\":{ \"a\" :\t1 } , \"id\":1,\"jsonrpc\":\"2.0\"}"},
		"I2 error.data and unknown members":      {body: `{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"m","data":{"z":9007199254740993,"a":1.0},"x":1}}`},
		"I3 unknown members":                     {body: `{"jsonrpc":"2.0","id":1,"result":{},"trace":"abc"}`},
		"I4 an error that is a string":           {body: `{"jsonrpc":"2.0","id":1,"error":"cursor_invalid"}`},
		"I5 an error with id null":               {`{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"bad"}}`, `{"jsonrpc":"2.0","id":1,"error":{"code":-32700,"message":"bad"}}`},
		"I6 a code with a fraction":              {body: `{"jsonrpc":"2.0","id":1,"error":{"code":-32000.0,"message":"m"}}`},
		"I6 a code beyond 64 bits":               {body: `{"jsonrpc":"2.0","id":1,"error":{"code":-123456789012345678901,"message":"m"}}`},
		"I7 result null":                         {body: `{"jsonrpc":"2.0","id":1,"result":null}`},
		"I8 several lines":                       {"{\n  \"jsonrpc\":\"2.0\",\r\n  \"id\":1,\n  \"result\":{\n    \"a\":1.0,\n    \"s\":\"\\n\"\n  }\n}", `{   "jsonrpc":"2.0",    "id":1,   "result":{     "a":1.0,     "s":"\n"   } }`},
		"M3 input_required":                      {body: `{"jsonrpc":"2.0","id":1,"result":{"resultType":"input_required","inputRequests":{"b":{"method":"elicitation/create","params":{"n":9007199254740993}},"a":{"method":"roots/list"}},"requestState":"<s>"}}`},
		"B2 an array with the answer, as a body": {`[{"jsonrpc":"2.0","id":1,"result":{"n":1.0}}]`, `{"jsonrpc":"2.0","id":1,"result":{"n":1.0}}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := startAnswered(t, "2025-03-26", func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, tt.body) })
			h.send(call)
			wantLines(t, h, lines(tt.body, tt.want))
		})
	}
}

// I3: a server that says "error":null beside the result of initialize has answered it, and given a
// session.
func TestI3_ErrorNull(t *testing.T) {
	t.Parallel()
	const result = `{"jsonrpc":"2.0","id":"handshake","error":null,"result":{"protocolVersion":"2025-06-18","capabilities":{},"serverInfo":{"name":"s","version":"1"}}}`
	header := make(chan http.Header, 1)
	s := serveBytes(t, "", func(w http.ResponseWriter, r *http.Request, body string) bool {
		switch {
		case body == initialized:
			header <- r.Header
		case rawID(body) == `"handshake"`:
			w.Header().Set("Mcp-Session-Id", "S9")
			answerJSON(w, result)
			return true
		}
		return false
	})
	h := startHost(t, bridge.Config{URL: s.URL})
	if got := string(h.handshake("2025-06-18")); got != result {
		t.Errorf("the host got\n%s, want\n%s", got, result)
	}
	if got := <-header; got.Get("Mcp-Session-Id") != "S9" || got.Get("Mcp-Protocol-Version") != "2025-06-18" {
		t.Errorf("what follows has the header %v", got)
	}
}

// startAnswered starts a server that answers every request but initialize with answer, and a host
// that has been initialized with it.
func startAnswered(t testing.TB, version string, answer func(http.ResponseWriter, *http.Request)) *host {
	t.Helper()
	s := serveBytes(t, version, func(w http.ResponseWriter, r *http.Request, body string) bool {
		id := rawID(body)
		if r.Method != http.MethodPost || id == "" || id == `"handshake"` {
			return false
		}
		answer(w, r)
		return true
	})
	h := startHost(t, bridge.Config{URL: s.URL})
	h.handshake(version)
	return h
}

// lines returns what is wanted: want, or same if there is none.
func lines(same string, want ...string) []string {
	if want[0] == "" {
		return []string{same}
	}
	return want
}

// wantLines reads the lines that the host has to get, in this order, and nothing else.
func wantLines(t *testing.T, h *host, want []string) {
	t.Helper()
	for _, w := range want {
		if got := h.next(); got != w {
			t.Errorf("the host got\n%s, want\n%s", got, w)
		}
	}
	if rest := h.end(); len(rest) > 0 {
		t.Errorf("this came besides: %q", rest)
	}
}

// Messages on an event stream get to the host byte for byte and in order.
func TestBytesOnStream(t *testing.T) {
	t.Parallel()
	const result = `{"jsonrpc":"2.0","id":1,"result":{}}`
	event := func(message string) string { return "event: message\ndata: " + message + "\n\n" }
	same := func(messages ...string) (text string, want []string) {
		for _, m := range messages {
			text += event(m)
		}
		return text, messages
	}
	var hundred []string
	for i := range 100 {
		hundred = append(hundred, fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":%d}}`, i))
	}
	type stream struct {
		text string
		want []string
	}
	unchanged := func(messages ...string) stream {
		text, want := same(messages...)
		return stream{text, want}
	}
	for name, tt := range map[string]stream{
		"S1 response":     unchanged(`{"jsonrpc":"2.0","id":1,"result":{"z":9007199254740993,"a":1.0,"q":"<&>\u00e9é","a":2},"trace":1}`),
		"S2 notification": unchanged(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":9007199254740993,"progress":1.0,"a":1}}`, result),
		"S3 empty params and unknown members": unchanged(`{"jsonrpc":"2.0","method":"n","params":{},"x":1}`,
			`{"method":"n","jsonrpc":"2.0", "params":[]}`, result),
		"S4 CR": {"\xef\xbb\xbf: comment\rdata: {\"jsonrpc\":\"2.0\",\"method\":\"n\"}\r\r:\rid: 1\rdata: " + result + "\r\r",
			[]string{`{"jsonrpc":"2.0","method":"n"}`, result}},
		"S5 CRLF, no space, many data lines": {"data:{\"jsonrpc\":\"2.0\",\r\ndata: \"id\":1,\r\ndata:\"result\":{}}\r\n\r\n",
			[]string{`{"jsonrpc":"2.0", "id":1, "result":{}}`}},
		"S6 no colon, other events": {"event: ping\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"not-mcp\"}\n\nevent\nunknown: x\ndata: " + result + "\n\n",
			[]string{result}},
		"S7 batch": {event(`[{"jsonrpc":"2.0","method":"n"}, {"jsonrpc":"2.0","id":1,"result":{}}]`),
			[]string{`{"jsonrpc":"2.0","method":"n"}`, result}},
		"S8 order": unchanged(append(hundred, result)...),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := startAnswered(t, "2025-03-26", func(w http.ResponseWriter, _ *http.Request) { answerEvents(w, tt.text) })
			h.send(call)
			wantLines(t, h, tt.want)
		})
	}
}

// S9: a response to one request on the stream of another answers the one that it names.
func TestS9_ResponseOnAnotherStream(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]string{
		"to a request under way":        `{"jsonrpc":"2.0","id":1,"result":{"for":"one"}}`,
		"to a request that nobody made": `{"jsonrpc":"2.0","id":77,"result":{"for":"none"}}`,
		"to 2 as a string":              `{"jsonrpc":"2.0","id":"2","result":{"for":"none"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			second := make(chan struct{})
			s := serveBytes(t, "2025-11-25", func(w http.ResponseWriter, r *http.Request, body string) bool {
				switch rawID(body) {
				case "1":
					<-second
					answerJSON(w, `{"jsonrpc":"2.0","id":1,"result":{"for":"one"}}`)
				case "2":
					answerEvents(w, "data: "+first+"\n\ndata: {\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"for\":\"two\"}}\n\n")
					close(second)
				default:
					return false
				}
				return true
			})
			h := startHost(t, bridge.Config{URL: s.URL})
			h.handshake("2025-11-25")
			h.send(`{"jsonrpc":"2.0","id":1,"method":"a"}`)
			h.send(`{"jsonrpc":"2.0","id":2,"method":"b"}`)
			got := h.end()
			slices.Sort(got)
			if want := []string{`{"jsonrpc":"2.0","id":1,"result":{"for":"one"}}`, `{"jsonrpc":"2.0","id":2,"result":{"for":"two"}}`}; !slices.Equal(got, want) {
				t.Errorf("the host got\n%q, want\n%q", got, want)
			}
		})
	}
}

// A request of the server's and the host's answer pass byte for byte, whatever their ids are.
func TestBytesOfServerRequests(t *testing.T) {
	t.Parallel()
	type question struct{ request, answer string }
	for name, questions := range map[string][]question{
		"R1 both ways": {{`{"jsonrpc":"2.0","id":"r1","method":"sampling/createMessage","params":{"maxTokens":100,"a":"<b>"}}`,
			`{"jsonrpc":"2.0","id":"r1","result":{"role":"assistant", "content":{"type":"text","text":"<é>\u00e9"},"model":"m","x":1.0}}`}},
		"R2 big numbers": {{`{"jsonrpc":"2.0","id":9007199254740993,"method":"elicitation/create","params":{"z":9007199254740993,"a":1}}`,
			`{"jsonrpc":"2.0","id":9007199254740993,"result":{"z":9007199254740993,"a":1.0}}`}},
		"R3 ping with id 0, an unknown method": {
			{`{"jsonrpc":"2.0","id":0,"method":"ping"}`, `{"jsonrpc":"2.0","id":0,"result":{}}`},
			{`{"jsonrpc":"2.0","id":"0","method":"vendor/x","params":[1]}`, `{"jsonrpc":"2.0","id":"0","error":{"code":-32601,"message":"Method not found"}}`}},
		"R4 error": {{`{"jsonrpc":"2.0","id":1,"method":"roots/list"}`,
			`{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"<no>","data":{"z":9007199254740993,"a":1.0}}}`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answers := make(chan string, 1)
			s := serveBytes(t, "2025-11-25", func(w http.ResponseWriter, r *http.Request, body string) bool {
				switch {
				case body == call:
					answerEvents(w, "")
					for _, q := range questions {
						moreEvents(w, "data: "+q.request+"\n\n")
						select {
						case answer := <-answers:
							if answer != q.answer {
								t.Errorf("the server got the answer\n%s, want\n%s", answer, q.answer)
							}
						case <-r.Context().Done():
							return true
						}
					}
					moreEvents(w, "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n\n")
					return true
				case rawID(body) != "" && !strings.Contains(body, "method"):
					answers <- body
				}
				return false
			})
			h := startHost(t, bridge.Config{URL: s.URL})
			h.handshake("2025-11-25")
			h.send(call)
			for _, q := range questions {
				if got := h.next(); got != q.request {
					t.Errorf("the host got\n%s, want\n%s", got, q.request)
				}
				h.send(q.answer)
			}
			wantLines(t, h, []string{`{"jsonrpc":"2.0","id":1,"result":{}}`})
		})
	}
}

// R5: a human may take as long as they like to answer.
func TestR5_NoTimeLimitForAnAnswer(t *testing.T) {
	for name, cfg := range map[string]bridgetest.Config{"streamable HTTP": {Stream: true}, "HTTP+SSE": {HTTPSSE: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inFakeTime(t, cfg, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
				h := startHost(t, cfg)
				h.handshake("2025-11-25")
				h.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ask"}}`)
				h.next()
				time.Sleep(48 * time.Hour)
				h.send(`{"jsonrpc":"2.0","id":1,"result":{"action":"accept","content":{"name":"Ada"}}}`)
				wantLines(t, h, []string{`{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"answered: {\"action\":\"accept\",\"content\":{\"name\":\"Ada\"}}"}],` +
					`"structuredContent":{"action":"accept","content":{"name":"Ada"}}}}`})
			})
		})
	}
}

// R6: the host's answer to a request of the server's gets there, though the call on whose stream
// that came is long over.
func TestR6_AnswerAfterTheResponse(t *testing.T) {
	t.Parallel()
	const question, answer = `{"jsonrpc":"2.0","id":"q","method":"roots/list"}`, `{"jsonrpc":"2.0","id":"q","result":{"roots":[]}}`
	const result = `{"jsonrpc":"2.0","id":1,"result":{}}`
	s := serveBytes(t, "2025-11-25", func(w http.ResponseWriter, _ *http.Request, body string) bool {
		if body != call {
			return false
		}
		answerEvents(w, "data: "+question+"\n\ndata: "+result+"\n\n")
		return true
	})
	h := startHost(t, bridge.Config{URL: s.URL})
	h.handshake("2025-11-25")
	h.send(call)
	for _, want := range []string{question, result} {
		if got := h.next(); got != want {
			t.Errorf("the host got\n%s, want\n%s", got, want)
		}
	}
	h.send(answer)
	eventually(t, "the answer arrives", func() bool { return slices.Equal(s.got(), []string{call, answer}) })
}

// A JSON-RPC error counts whatever the HTTP status is; any other HTTP error becomes one that says
// what the server said.
func TestBytesOfHTTPErrors(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		status     int
		kind, body string
		challenge  string
		says       []string // none: the host gets the body as it is
	}{
		"H1 404 with -32601": {404, "application/json", `{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"Method not found"}}`, "", nil},
		"H3 400 with -32022": {400, "application/json", `{"jsonrpc":"2.0","id":1,"error":{"code":-32022,"message":"m","data":{"supported":["2025-11-25"],"requested":"2026-07-28"}}}`, "", nil},
		"H4 429":             {429, "application/json", `{"message":"slow down"}`, "", []string{"429", "slow down"}},
		"H5 500 with {}":     {500, "application/json", `{}`, "", []string{"500", "{}"}},
		"H6 403":             {403, "application/json", `{"error":"insufficient_scope","error_description":"need files:write"}`, "", []string{"403", "insufficient_scope", "need files:write"}},
		"H7 502 text":        {502, "text/html; charset=utf-8", `<h1>bad gateway</h1>`, "", []string{"502", "bad gateway"}},
		"a challenge that says why": {401, "application/json", `{}`, `Bearer error="invalid_token", error_description="the \"aud\" is wrong", resource_metadata="http://127.0.0.1:1/"`,
			[]string{"401 Unauthorized", `: the "aud" is wrong`}},
		"a challenge and more": {403, "text/plain", `no entry`, `Bearer error="insufficient_scope", error_description="need files:write"`, []string{"no entry", "need files:write"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serveBytes(t, "2025-11-25", func(w http.ResponseWriter, _ *http.Request, body string) bool {
				if body == call {
					if tt.challenge != "" {
						w.Header().Set("WWW-Authenticate", tt.challenge)
					}
					answerWith(w, tt.status, tt.kind, tt.body)
				}
				return body == call
			})
			h := startHost(t, bridge.Config{URL: s.URL})
			h.handshake("2025-11-25")
			h.send(call)
			defer func() {
				if got := s.got(); !slices.Equal(got, []string{call}) {
					t.Errorf("the server got\n%q, want\n%q", got, call)
				}
			}()
			if tt.says == nil {
				wantLines(t, h, []string{tt.body})
				return
			}
			e := errorOf(t, h.answer("1"))
			if e.Data.Source != "mcp-bridge" || e.Data.HTTPStatus != tt.status {
				t.Errorf("the error does not tell where it comes from: %+v", e)
			}
			for _, part := range tt.says {
				if !strings.Contains(e.Message, part) {
					t.Errorf("the error does not say %q: %q", part, e.Message)
				}
			}
			if rest := append(h.others, h.end()...); len(rest) > 0 {
				t.Errorf("this came besides: %q", rest)
			}
		})
	}
}

// An errorAnswer is what tests look at in an error response.
type errorAnswer struct {
	Code    int
	Message string
	Data    struct {
		Source     string
		HTTPStatus int
	}
}

// errorOf returns the error of a response, and fails the test if there is none.
func errorOf(t testing.TB, response []byte) errorAnswer {
	t.Helper()
	var m struct {
		Error  *errorAnswer
		Result json.RawMessage
	}
	if err := json.Unmarshal(response, &m); err != nil || m.Error == nil || m.Result != nil {
		t.Fatalf("this should be an error response: %s", response)
	}
	return *m.Error
}

// H2: an error for initialize under HTTP 400 is the server's answer, not the sign of another
// transport.
func TestH2_ErrorForInitialize(t *testing.T) {
	t.Parallel()
	const refusal = `{"jsonrpc":"2.0","id":"handshake","error":{"code":-32602,"message":"Unsupported protocol version","data":{"supported":["2024-11-05"]}}}`
	s := serveBytes(t, "", func(w http.ResponseWriter, r *http.Request, _ string) bool {
		if r.Method != http.MethodPost {
			t.Errorf("the bridge also tried %s", r.Method)
		}
		answerWith(w, http.StatusBadRequest, "application/json", refusal)
		return true
	})
	h := startHost(t, bridge.Config{URL: s.URL})
	h.send(initialize(`"handshake"`, "2025-11-25"))
	wantLines(t, h, []string{refusal})
}

// H8: a request that is only accepted can be answered on the GET stream, some time later.
func TestH8_AnswerOnTheGETStream(t *testing.T) {
	t.Parallel()
	inFakeTime(t, bridgetest.Config{Stream: true, Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
		if r.Method == "tools/call" {
			w.WriteHeader(http.StatusAccepted)
		}
		return r.Method == "tools/call"
	}}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
		h := startHost(t, cfg)
		h.handshake("2025-11-25")
		eventually(t, "the GET stream opens", func() bool { return s.Streams() == 1 })
		h.send(call)
		time.Sleep(time.Hour)
		const result = `{"jsonrpc":"2.0","id":1,"result":{"v":1.0}}`
		s.Notify(result)
		wantLines(t, h, []string{result})
	})
}

// C1: the cancellation of a request under way gets to the server byte for byte, while the request
// is under way.
func TestC1_Cancel(t *testing.T) {
	t.Parallel()
	const cancel = `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,"reason":"user"}}`
	ctx, arrived := context.WithCancel(context.Background())
	defer arrived()
	s := serveBytes(t, "2025-11-25", func(w http.ResponseWriter, r *http.Request, body string) bool {
		switch body {
		case call:
			answerEvents(w, ": working\n\n")
			select {
			case <-ctx.Done():
				moreEvents(w, ": stopped\n\n")
			case <-r.Context().Done():
				t.Error("the connection of the request was closed before the cancellation came")
			}
			return true
		case cancel:
			arrived()
		}
		return false
	})
	h := startHost(t, bridge.Config{URL: s.URL})
	h.handshake("2025-11-25")
	h.send(call)
	eventually(t, "the request arrives", func() bool { return len(s.got()) == 1 })
	h.send(cancel)
	eventually(t, "the cancellation arrives", func() bool { return slices.Equal(s.got(), []string{call, cancel}) })
	if rest := h.end(); len(rest) > 0 {
		t.Errorf("a cancelled request was answered: %q", rest)
	}
}

// B1, B2: the answers to a batch come back as one array, whether the server sends them as JSON or
// as events. The server gets the messages one by one, as most servers never took an array.
func TestBytesOfBatches(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(w http.ResponseWriter, message string){
		"B1 JSON": answerJSON,
		"B2 SSE":  func(w http.ResponseWriter, message string) { answerEvents(w, "data: "+message+"\n\n") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const first, second = `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, `{"jsonrpc":"2.0", "id":"1", "method":"ping","x":1.0}`
			s := serveBytes(t, "2025-03-26", func(w http.ResponseWriter, _ *http.Request, body string) bool {
				id := rawID(body)
				if id != "1" && id != `"1"` {
					return false
				}
				answer(w, `{"jsonrpc":"2.0", "id":`+id+`,"result":{"n":9007199254740993}}`)
				return true
			})
			h := startHost(t, bridge.Config{URL: s.URL})
			h.handshake("2025-03-26")
			h.send("[" + first + ", " + second + "]")
			a, b := `{"jsonrpc":"2.0", "id":1,"result":{"n":9007199254740993}}`, `{"jsonrpc":"2.0", "id":"1","result":{"n":9007199254740993}}`
			if got := h.next(); got != "["+a+","+b+"]" && got != "["+b+","+a+"]" {
				t.Errorf("the host got\n%s, want\n[%s,%s]", got, a, b)
			}
			got := s.got()
			slices.Sort(got)
			if want := []string{second, first}; !slices.Equal(got, want) {
				t.Errorf("the server got\n%q, want\n%q", got, want)
			}
		})
	}
}
