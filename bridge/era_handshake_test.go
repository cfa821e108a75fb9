package bridge_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"mcp-bridge/bridge"
	"mcp-bridge/bridge/bridgetest"
)

// The tests of a host with a handshake before a server of 2026-07-28 follow table 6B of the spec, row
// by row, and quote the row.

// metaOf returns a key of what is reserved in a request's _meta.
func metaOf(r *bridgetest.Request, key string) json.RawMessage {
	return member(r.Params, "_meta", "io.modelcontextprotocol/"+key)
}

// "initialize (D): Answer locally from upstream server/discover. Version per 1.21 among R1–R4. Pass
// instructions."
func TestHandshake_Initialize(t *testing.T) {
	t.Parallel()
	for asked, given := range map[string]string{"2024-11-05": "2024-11-05", "2025-03-26": "2025-03-26", "2025-06-18": "2025-06-18",
		"2025-11-25": "2025-11-25", "1999-01-01": "2025-11-25", "2026-07-28": "2025-11-25"} {
		for way, sc := range ways {
			t.Run(asked+", "+way, func(t *testing.T) {
				t.Parallel()
				sc.Versions = bridgetest.Modern
				h, s := startWith(t, sc, bridge.Config{}, "")
				h.send(initialize(`"\u0069"`, asked))
				result := resultOf(t, h.answer(`"\u0069"`))
				wantJSON(t, "the version", member(result, "protocolVersion"), quoted(given))
				wantJSON(t, "serverInfo", member(result, "serverInfo"), `{"name":"bridgetest","version":"1.0.0"}`)
				wantJSON(t, "instructions", member(result, "instructions"), `"Ask, and be answered."`)
				for _, name := range []string{"supportedVersions", "resultType", "ttlMs", "cacheScope"} {
					if member(result, name) != nil {
						t.Errorf("the result has %s: %s", name, result)
					}
				}
				wantNothingMore(t, h)
				if got, want := plainNames(s), []string{"initialize", discovers}; !slices.Equal(got, want) {
					t.Errorf("the server got %q, want %q", got, want)
				}
			})
		}
	}
}

func quoted(text string) string {
	b, _ := json.Marshal(text) // a string can't fail
	return string(b)
}

// "serverInfo from _meta, else top-level, else synthesise (field is required)."
func TestHandshake_ServerInfo(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ members, want string }{
		"in _meta":  {`"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"a","version":"1","title":"A"}},"serverInfo":{"name":"b","version":"2"}`, `{"name":"a","version":"1","title":"A"}`},
		"top-level": {`"serverInfo":{"name":"b","version":"2"}`, `{"name":"b","version":"2"}`},
		"nowhere":   {`"x":1`, ``},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, _ := startWith(t, bridgetest.Config{Versions: bridgetest.Modern, Handle: always(discovers, answers(`{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{},`+test.members+`}`))}, bridge.Config{}, "")
			h.send(initialize("1", "2025-11-25"))
			got := member(resultOf(t, h.answer("1")), "serverInfo")
			var info struct{ Name, Version *string }
			if json.Unmarshal(got, &info) != nil || info.Name == nil || info.Version == nil {
				t.Errorf("serverInfo is %s, and needs a name and a version", got)
			}
			if test.want != "" {
				wantJSON(t, "serverInfo", got, test.want)
			}
			wantNothingMore(t, h)
		})
	}
}

// "Capabilities: keep tools prompts resources completions logging experimental, pass extensions minus
// io.modelcontextprotocol/tasks; never tasks."
func TestHandshake_ServerCapabilities(t *testing.T) {
	t.Parallel()
	const capabilities = `{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"subscribe":true,"listChanged":true},"completions":{},"logging":{},` +
		`"experimental":{"x":{"n":1.0}},"tasks":{"list":{}},"extensions":{"io.modelcontextprotocol/tasks":{},"io.modelcontextprotocol/ui":{"mimeTypes":["text/html;profile=mcp-app"]}}}`
	for _, version := range revisions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			h, _ := startWith(t, bridgetest.Config{Versions: bridgetest.Modern, Handle: always(discovers, answers(strings.Replace(discovered, `{"tools":{}}`, capabilities, 1)))}, bridge.Config{}, "")
			h.send(initialize("1", version))
			got := member(resultOf(t, h.answer("1")), "capabilities")
			wantJSON(t, "capabilities", got, `{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"subscribe":true,"listChanged":true},"completions":{},"logging":{},`+
				`"experimental":{"x":{"n":1.0}},"extensions":{"io.modelcontextprotocol/ui":{"mimeTypes":["text/html;profile=mcp-app"]}}}`)
			wantNothingMore(t, h)
		})
	}
}

// "initialize: U not modern/unauthorised → -32603 with cause." What failed can be tried again.
func TestHandshake_InitializeFails(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(http.ResponseWriter, *bridgetest.Request){
		"401": status(401, "WWW-Authenticate", "Bearer"), "403": status(403), "503": status(503),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			known := &notebook{known: bridge.Verdict{Era: bridge.EraModern, Found: time.Now()}}
			h, s := startWith(t, bridgetest.Config{Versions: bridgetest.Modern, Handle: once(discovers, answer)}, bridge.Config{Verdicts: known}, "")
			h.send(initialize("1", "2025-11-25"))
			wantFailure(t, h, "1", name)
			h.handshake("2025-11-25")
			h.send(listTools("2"))
			wantResult(t, h, "2")
			wantNothingMore(t, h)
			if n := s.Count("initialize"); n > 0 {
				t.Errorf("the server got %q", names(s))
			}
		})
	}
}

// "client capabilities: On every upstream request: roots:{…}→roots:{}; sampling as is; elicitation:{}→
// {form:{}}; {form,url} as is; drop tasks; extensions minus tasks. R1/R2 D has no elicitation; R1–R3 D
// no url mode, no sampling tools: simply not declared."
func TestHandshake_ClientCapabilities(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ version, host, server string }{
		"none":                      {"2025-11-25", `{}`, `{}`},
		"roots":                     {"2025-11-25", `{"roots":{"listChanged":true}}`, `{"roots":{}}`},
		"sampling":                  {"2025-11-25", `{"sampling":{"tools":{},"context":{}}}`, `{"sampling":{"tools":{},"context":{}}}`},
		"elicitation":               {"2025-11-25", `{"elicitation":{}}`, `{"elicitation":{"form":{}}}`},
		"elicitation of 2025-06-18": {"2025-06-18", `{"elicitation":{}}`, `{"elicitation":{"form":{}}}`},
		"elicitation, modes":        {"2025-11-25", `{"elicitation":{"form":{},"url":{}}}`, `{"elicitation":{"form":{},"url":{}}}`},
		"elicitation, url alone":    {"2025-11-25", `{"elicitation":{"url":{}}}`, `{"elicitation":{"url":{}}}`},
		"tasks":                     {"2025-11-25", `{"tasks":{"list":{}},"roots":{}}`, `{"roots":{}}`},
		"extensions": {"2025-11-25", `{"extensions":{"io.modelcontextprotocol/tasks":{},"com.example/x":{"n":1.0}},"experimental":{"y":{"n":1e2}}}`,
			`{"extensions":{"com.example/x":{"n":1.0}},"experimental":{"y":{"n":1e2}}}`},
		"2025-03-26": {"2025-03-26", `{"roots":{},"sampling":{}}`, `{"roots":{},"sampling":{}}`},
		"2024-11-05": {"2024-11-05", `{"roots":{},"sampling":{}}`, `{"roots":{},"sampling":{}}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, s := startBefore(t, bridgetest.Config{}, test.version, test.host)
			h.send(callEcho("1"))
			h.answer("1")
			h.send(`{"jsonrpc":"2.0","id":2,"method":"prompts/list"}`)
			h.answer("2")
			wantNothingMore(t, h)
			for _, r := range s.Requests() {
				if r.Method == "initialize" {
					continue
				}
				wantJSON(t, "what the host can do, in "+r.Method, metaOf(r, "clientCapabilities"), test.server)
				wantJSON(t, "the host's name, in "+r.Method, metaOf(r, "clientInfo"), `{"name":"test","version":"0"}`)
				wantJSON(t, "the version, in "+r.Method, metaOf(r, "protocolVersion"), `"2026-07-28"`)
			}
		})
	}
}

// "notifications/initialized (D): Swallow; open one subscriptions/listen for every listChanged U
// advertised."
func TestHandshake_Initialized(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ capabilities, filter string }{
		"all":       {`{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"listChanged":true,"subscribe":true}}`, `{"toolsListChanged":true,"promptsListChanged":true,"resourcesListChanged":true}`},
		"one":       {`{"tools":{},"prompts":{"listChanged":true},"resources":{"listChanged":false}}`, `{"promptsListChanged":true}`},
		"subscribe": {`{"resources":{"subscribe":true}}`, ``},
		"none":      {`{"tools":{}}`, ``},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, s := startWith(t, bridgetest.Config{Versions: bridgetest.Modern, Handle: always(discovers, answers(strings.Replace(discovered, `{"tools":{}}`, test.capabilities, 1)))}, bridge.Config{}, "")
			h.send(initialize("0", "2025-11-25"))
			h.answer("0")
			if n := s.Count(listens); n > 0 {
				t.Error("the bridge listens before the host has said that it is ready")
			}
			h.send(initialized)
			if test.filter == "" {
				h.send(listTools("1"))
				h.answer("1")
				if n := s.Count(listens); n > 0 {
					t.Errorf("the bridge listens to nothing: %q", bodies(s, listens))
				}
			} else {
				eventually(t, "the bridge listens", func() bool { return s.Streams() == 1 })
				wantJSON(t, "the filter", filterOf(t, lastRequest(t, s, listens)), test.filter)
			}
			wantNothingMore(t, h)
			if n := s.Count("notifications/initialized") + countHTTP(s, http.MethodGet) + countHTTP(s, http.MethodDelete); n > 0 {
				t.Errorf("the server got %q", names(s))
			}
		})
	}
}

// "any request (D): Add the three _meta keys (+logLevel if set); keep D's other _meta (progressToken,
// trace keys)." All that is the host's stays as it is, to the digit.
func TestHandshake_Request(t *testing.T) {
	t.Parallel()
	for name, params := range map[string]string{
		"with _meta":    `{"_meta":{"progressToken":9007199254740993,"traceparent":"00-0af7","x":{"n":1.0}},"name":"echo","arguments":{"n":[9223372036854775807,1.0,1E400],"text":"\u00e9"}}`,
		"without _meta": `{"name":"echo","arguments":{"n":[9223372036854775807,1.0,1E400],"text":"\u00e9"}}`,
		"empty _meta":   `{"name":"echo","arguments":{"text":"\u00e9"},"_meta":{}}`,
		"spaces":        "{ \"arguments\" : { } , \"_meta\" : { \"a\" : 1 } , \"name\" : \"echo\" }",
		"_meta further": `{"name":"echo","arguments":{"_meta":{"x":1},"params":{"_meta":{}}}}`,
		"null _meta":    `{"name":"echo","_meta":null}`,
		"twice _meta":   `{"_meta":{"a":1},"name":"echo","_meta":{"b":2}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, s := startBefore(t, bridgetest.Config{}, "2025-11-25", `{}`)
			h.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":` + params + `}`)
			wantResult(t, h, "1")
			got := lastRequest(t, s, "tools/call")
			var meta map[string]json.RawMessage
			_ = json.Unmarshal(member(got.Params, "_meta"), &meta) // the server would have refused what is none
			for _, key := range []string{"protocolVersion", "clientInfo", "clientCapabilities"} {
				if meta["io.modelcontextprotocol/"+key] == nil {
					t.Errorf("%s is missing: %s", key, got.Body)
				}
				delete(meta, "io.modelcontextprotocol/"+key)
			}
			rest, _ := json.Marshal(meta) // was read from JSON
			want := member(json.RawMessage(params), "_meta")
			if want == nil || string(want) == "null" {
				want = json.RawMessage("{}")
			}
			wantJSON(t, "the host's own _meta", rest, string(want))
			if arguments := member(json.RawMessage(params), "arguments"); string(member(got.Params, "arguments")) != string(arguments) {
				t.Errorf("the arguments are %s, want %s", member(got.Params, "arguments"), arguments)
			}
			if strings.Contains(string(got.Body), "logLevel") {
				t.Errorf("nobody asked for logs: %s", got.Body)
			}
			wantNothingMore(t, h)
		})
	}
	t.Run("without params", func(t *testing.T) {
		t.Parallel()
		h, _ := startBefore(t, bridgetest.Config{}, "2025-11-25", `{}`)
		h.send(listTools("1"))
		wantResult(t, h, "1")
		wantNothingMore(t, h)
	})
}

// Ids are the host's own again in the answers, in type and spelling, and those that the server sees
// never collide (spec 1.09, 1.12).
func TestHandshake_IDs(t *testing.T) {
	t.Parallel()
	h, s := startBefore(t, bridgetest.Config{}, "2025-06-18", `{}`)
	ids := []string{"0", `"0"`, "1", `"1"`, "9007199254740993", `""`, "-1", `"\u0031 "`}
	for _, id := range ids {
		h.send(callTool(id, "echo", `{"text":`+quoted(id)+`}`))
	}
	for id, answer := range h.answersTo(ids) {
		wantJSON(t, "the text", member(answer, "result", "structuredContent", "text"), quoted(id))
	}
	wantNothingMore(t, h)
	seen := make(map[string]bool)
	for _, r := range s.Requests() {
		if seen[string(r.ID)] && r.Method != "initialize" {
			t.Errorf("the id %s was used twice", r.ID)
		}
		seen[string(r.ID)] = true
	}
}

// "any result (U): Strip resultType ttlMs cacheScope and reserved _meta keys; absent
// resultType=complete." The rest is the server's, to the byte (spec 5.83).
func TestHandshake_Result(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ result, want string }{
		"hints":         {`{"resultType":"complete","prompts":[{"name":"p","x":1.0}],"ttlMs":60000,"cacheScope":"public"}`, `{"prompts":[{"name":"p","x":1.0}]}`},
		"no resultType": {`{"prompts":[],"ttlMs":0}`, `{"prompts":[]}`},
		"own _meta":     {`{"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s"},"com.example/n":9007199254740993},"prompts":[]}`, `{"_meta":{"com.example/n":9007199254740993},"prompts":[]}`},
		"further down":  {`{"prompts":[{"name":"p","_meta":{"resultType":"x","ttlMs":1},"resultType":"y"}],"resultType":"complete"}`, `{"prompts":[{"name":"p","_meta":{"resultType":"x","ttlMs":1},"resultType":"y"}]}`},
		"an end":        {`{"prompts":[],"nextCursor":"","resultType":"complete"}`, `{"prompts":[],"nextCursor":""}`}, // an empty cursor is one (spec 5.76)
		"nothing":       {`{"resultType":"complete"}`, `{}`},
		"numbers":       {`{"prompts":[],"a":1.0,"b":1E400,"c":"\u00e9<&>","resultType":"complete"}`, `{"prompts":[],"a":1.0,"b":1E400,"c":"\u00e9<&>"}`},
	} {
		for _, version := range revisions {
			t.Run(name+", "+version, func(t *testing.T) {
				t.Parallel()
				h, _ := startBefore(t, bridgetest.Config{Handle: always("prompts/list", answers(test.result))}, version, `{}`)
				h.send(`{"jsonrpc":"2.0","id":1,"method":"prompts/list"}`)
				wantJSON(t, "the result", resultOf(t, h.answer("1")), test.want)
				wantNothingMore(t, h)
			})
		}
	}
}

// "any result (U): unknown resultType → -32603." The worst would be an empty success (spec 5.11, 5.80).
// input_required is no answer to a list, and a task is none that was asked for (spec 5.30).
func TestHandshake_UnknownResultType(t *testing.T) {
	t.Parallel()
	for name, result := range map[string]string{
		"unknown":        `{"resultType":"partial","prompts":[]}`,
		"input_required": `{"resultType":"input_required","inputRequests":{"r":{"method":"roots/list"}}}`,
		"task":           `{"resultType":"task","taskId":"t1","status":"working"}`,
		"no string":      `{"resultType":1,"prompts":[]}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, _ := startBefore(t, bridgetest.Config{Handle: always("prompts/list", answers(result))}, "2025-11-25", `{"roots":{}}`)
			h.send(`{"jsonrpc":"2.0","id":1,"method":"prompts/list"}`)
			wantFailure(t, h, "1")
			wantNothingMore(t, h)
		})
	}
}

// "ping (D): Answer {} locally."
func TestHandshake_Ping(t *testing.T) {
	t.Parallel()
	h, s := startBefore(t, bridgetest.Config{}, "2025-11-25", `{}`)
	h.send(`{"jsonrpc":"2.0","id":"p","method":"ping"}`)
	if got, want := string(h.answer(`"p"`)), `{"jsonrpc":"2.0","id":"p","result":{}}`; got != want {
		t.Errorf("the host got %s, want %s", got, want)
	}
	wantNothingMore(t, h)
	if n := s.Count("ping"); n > 0 {
		t.Errorf("the server got %q", names(s))
	}
}

// "tools/list (D): drop invalid x-mcp-header tools (2.55); store schemas." "tools/call (D): Forward
// with headers." mcp-remote never sends Mcp-Param-*.
func TestHandshake_ParamHeaders(t *testing.T) {
	t.Parallel()
	for name, test := range routes {
		for how, listed := range map[string]bool{"listed": true, "not listed": false} {
			t.Run(name+", "+how, func(t *testing.T) {
				t.Parallel()
				h, s := startBefore(t, bridgetest.Config{}, "2025-06-18", `{}`)
				if listed {
					h.send(listTools(`"l"`))
					h.answer(`"l"`)
				}
				h.send(callTool("1", "route", test.arguments))
				wantResult(t, h, "1")
				if got := paramsOf(lastRequest(t, s, "tools/call")); !maps.Equal(got, test.want) {
					t.Errorf("got the headers %v, want %v", got, test.want)
				}
				wantNothingMore(t, h)
			})
		}
	}
}

func TestHandshake_InvalidTools(t *testing.T) {
	t.Parallel()
	for name, test := range annotated {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, _ := startBefore(t, bridgetest.Config{Handle: always("tools/list", answers(
				`{"resultType":"complete","tools":[{"name":"first","inputSchema":{"type":"object"}},{"name":"the-tool","inputSchema":`+test.schema+`}],"ttlMs":1}`))}, "2025-11-25", `{}`)
			h.send(listTools("1"))
			want := `{"tools":[{"name":"first","inputSchema":{"type":"object"}}]}`
			if test.valid {
				want = strings.Replace(want, `}}]`, `}},{"name":"the-tool","inputSchema":`+test.schema+`}]`, 1)
			}
			wantJSON(t, "the list", resultOf(t, h.answer("1")), want)
			if warned := strings.Contains(h.logs(), "level=WARN") && strings.Contains(h.logs(), "the-tool"); warned == test.valid {
				t.Errorf("a warning: %v, and the tool is valid: %v", warned, test.valid)
			}
			wantNothingMore(t, h)
		})
	}
}

// Stale headers are mended behind the host's back, once (spec 2.64).
func TestHandshake_StaleSchema(t *testing.T) {
	t.Parallel()
	const stale = `{"resultType":"complete","tools":[{"name":"route","inputSchema":{"type":"object"}}]}`
	h, s := startBefore(t, bridgetest.Config{Handle: once("tools/list", answers(stale))}, "2025-06-18", `{}`)
	h.send(listTools("1"))
	wantResult(t, h, "1")
	h.send(callTool("2", "route", `{"region":"r"}`))
	wantResult(t, h, "2")
	wantNothingMore(t, h)
	if s.Count("tools/call") != 2 || s.Count("tools/list") != 2 {
		t.Errorf("the server got %q", names(s))
	}
}

// "prompts/list resources/list resources/templates/list (D): Forward, strip hints; cursors opaque."
// "prompts/get, resources/read, completion/complete (D): Forward."
func TestHandshake_Forwarded(t *testing.T) {
	t.Parallel()
	for _, version := range revisions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			h, s := startBefore(t, bridgetest.Config{}, version, `{}`)
			for i, test := range []struct{ method, params, want string }{
				{"prompts/list", `{"cursor":""}`, `{"prompts":[{"name":"greet","description":"Greets somebody","arguments":[{"name":"name","required":true}]}]}`},
				{"prompts/get", `{"name":"greet","arguments":{"name":"Ada"}}`, `{"messages":[{"role":"user","content":{"type":"text","text":"Hello, Ada"}}]}`},
				{"resources/list", `{}`, `{"resources":[{"uri":"test://a","name":"a","mimeType":"text/plain"},{"uri":"test://b/ö","name":"b","mimeType":"text/plain"}]}`},
				{"resources/templates/list", `{}`, `{"resourceTemplates":[{"uriTemplate":"test://{name}","name":"any"}]}`},
				{"resources/read", `{"uri":"test://b/ö"}`, `{"contents":[{"uri":"test://b/ö","mimeType":"text/plain","text":"resource b"}]}`},
				{"completion/complete", `{"ref":{"type":"ref/prompt","name":"greet"},"argument":{"name":"name","value":"A"},"context":{"arguments":{"x":"y"}}}`, `{"completion":{"values":["Ada","Adele"],"total":2}}`},
			} {
				id := fmt.Sprint(i)
				h.send(`{"jsonrpc":"2.0","id":` + id + `,"method":"` + test.method + `","params":` + test.params + `}`)
				wantJSON(t, test.method, resultOf(t, h.answer(id)), test.want)
			}
			if got := member(lastRequest(t, s, "prompts/list").Params, "cursor"); string(got) != `""` {
				t.Errorf("the cursor is %s", got)
			}
			wantNothingMore(t, h)
		})
	}
}

// without is a server that says that it can't do a thing.
func without(capability string) func(http.ResponseWriter, *bridgetest.Request) bool {
	const all = `{"tools":{},"prompts":{},"resources":{"subscribe":true},"completions":{},"logging":{}}`
	some := strings.NewReplacer(capability, "", ",,", ",", "{,", "{", ",}", "}").Replace(all)
	return always(discovers, answers(strings.Replace(discovered, `{"tools":{}}`, strings.NewReplacer(",,", ",", "{,", "{", ",}", "}").Replace(some), 1)))
}

// "completion/complete (D): U lacks completions → -32601." "logging/setLevel (D): U lacks logging →
// not advertised, -32601." "resources/subscribe (D): U lacks resources.subscribe → -32601."
func TestHandshake_Lacking(t *testing.T) {
	t.Parallel()
	for capability, request := range map[string]string{
		`"completions":{}`: `{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"greet"},"argument":{"name":"name","value":"A"}}}`,
		`"logging":{}`:     `{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"info"}}`,
		`"subscribe":true`: `{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":"test://a"}}`,
	} {
		t.Run(capability, func(t *testing.T) {
			t.Parallel()
			h, s := startBefore(t, bridgetest.Config{Handle: without(capability)}, "2025-11-25", `{}`)
			h.send(request)
			if e := errorOf(t, h.answer("1")); e.Code != -32601 {
				t.Errorf("the code is %d, want -32601", e.Code)
			}
			wantNothingMore(t, h)
			if got, want := plainNames(s), []string{"initialize", discovers}; !slices.Equal(got, want) {
				t.Errorf("the server got %q, want %q", got, want)
			}
		})
	}
}

// "logging/setLevel (D): Validate (-32602 on unknown), store, reply {}; stamp logLevel on later requests
// only." "no setLevel yet: Send no logLevel." "notifications/message (U): Forward."
func TestHandshake_LogLevel(t *testing.T) {
	t.Parallel()
	h, s := startBefore(t, bridgetest.Config{}, "2025-11-25", `{}`)
	setLevel := func(id, level string) []byte {
		h.send(`{"jsonrpc":"2.0","id":` + id + `,"method":"logging/setLevel","params":{"level":` + level + `}}`)
		return h.answer(id)
	}
	count := func(id string) (level, message string) {
		h.others = nil
		h.send(callTool(id, "count", `{"to":1}`))
		resultOf(t, h.answer(id))
		return string(metaOf(lastRequest(t, s, "tools/call"), "logLevel")), strings.Join(h.others, "\n")
	}
	if level, message := count("1"); level != "" || message != "" {
		t.Errorf("without a level the server got %s, the host %s", level, message)
	}
	for i, bad := range []string{`"loud"`, `1`, `null`, `""`} {
		if e := errorOf(t, setLevel(fmt.Sprint(10+i), bad)); e.Code != -32602 {
			t.Errorf("a level of %s: the code is %d, want -32602", bad, e.Code)
		}
	}
	if got, want := string(setLevel("2", `"debug"`)), result("2"); got != want {
		t.Errorf("the host got %s, want %s", got, want)
	}
	if level, message := count("3"); level != `"debug"` || message != `{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","logger":"count","data":"counting"}}` {
		t.Errorf("at debug the server got %s, the host %s", level, message)
	}
	setLevel("4", `"error"`)
	if level, message := count("5"); level != `"error"` || message != "" {
		t.Errorf("at error the server got %s, the host %s", level, message)
	}
	h.others = nil
	wantNothingMore(t, h)
	if n := s.Count("logging/setLevel"); n > 0 {
		t.Errorf("the server got %q", names(s))
	}
}

// "notifications/progress (U): Forward under D's token."
func TestHandshake_Progress(t *testing.T) {
	t.Parallel()
	for _, token := range []string{`"p"`, "7", "9007199254740993", `"7"`} {
		h, _ := startBefore(t, bridgetest.Config{}, "2025-06-18", `{}`)
		h.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"count","arguments":{"to":2},"_meta":{"progressToken":` + token + `}}}`)
		wantResult(t, h, "1")
		wantOnly(t, h,
			`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":`+token+`,"progress":1,"total":2}}`,
			`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":`+token+`,"progress":2,"total":2}}`)
	}
}

// A token that is used again, for a later request, counts from the start again: it has to be unique only
// among requests under way.
func TestHandshake_ProgressTokenAgain(t *testing.T) {
	t.Parallel()
	h, _ := startBefore(t, bridgetest.Config{}, "2025-06-18", `{}`)
	for _, id := range []string{"1", "2", "3"} {
		h.others = nil
		h.send(`{"jsonrpc":"2.0","id":` + id + `,"method":"tools/call","params":{"name":"count","arguments":{"to":2},"_meta":{"progressToken":"p"}}}`)
		wantResult(t, h, id)
		if len(h.others) != 2 {
			t.Errorf("of request %s came the progress %q", id, h.others)
		}
	}
	h.others = nil
	wantNothingMore(t, h)
}

// "notifications/progress (U): none after the final response."
func TestHandshake_ProgressAfterTheEnd(t *testing.T) {
	t.Parallel()
	h, _ := startBefore(t, bridgetest.Config{Handle: always("prompts/get", func(w http.ResponseWriter, r *bridgetest.Request) {
		e := r.Events(w)
		_ = e.Result(`{"resultType":"complete","messages":[]}`)
		_ = e.Send(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p","progress":1}}`)
	})}, "2025-06-18", `{}`)
	h.send(`{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"greet","_meta":{"progressToken":"p"}}}`)
	wantResult(t, h, "1")
	h.send(`{"jsonrpc":"2.0","id":2,"method":"prompts/list"}`)
	wantResult(t, h, "2")
	wantNothingMore(t, h)
}

// "notifications/cancelled (D): Abort the upstream POST/stream; no response." mcp-remote POSTs it.
func TestHandshake_Cancel(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(http.ResponseWriter, *bridgetest.Request){"before the answer begins": held, "on an open stream": open} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, s := startBefore(t, bridgetest.Config{Handle: always("tools/call", begin)}, "2025-06-18", `{}`)
			h.send(callEcho(`"c"`))
			arrives(t, s, "tools/call", 1)
			h.send(cancel(`"c"`))
			eventually(t, "the server notices", func() bool { return s.Aborted("tools/call") == 1 })
			h.send(listTools("2"))
			wantResult(t, h, "2")
			wantNothingMore(t, h)
			if n := s.Count("notifications/cancelled"); n > 0 || s.Count("tools/call") != 1 {
				t.Errorf("the server got %q", names(s))
			}
		})
	}
}

// "notifications/cancelled (D): cancelling initialize: ignore."
func TestHandshake_CancelInitialize(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	h, s := startWith(t, bridgetest.Config{Versions: bridgetest.Modern, Handle: func(_ http.ResponseWriter, r *bridgetest.Request) bool {
		if r.Method == discovers {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}
		return false
	}}, bridge.Config{}, "")
	h.send(initialize(`"i"`, "2025-11-25"))
	arrives(t, s, discovers, 1)
	h.send(cancel(`"i"`))
	h.send(`{"jsonrpc":"2.0","id":1,"method":"ping"}`)
	close(release)
	resultOf(t, h.answer(`"i"`))
	wantResult(t, h, "1")
	wantNothingMore(t, h)
	if n := s.Count("notifications/cancelled") + s.Aborted(discovers); n > 0 {
		t.Errorf("the server got %q", names(s))
	}
}

// "notifications/roots/list_changed (D): Swallow." "notifications/progress (D, for a bridge-issued
// request): Consume." An answer to nothing is nobody's.
func TestHandshake_Swallowed(t *testing.T) {
	t.Parallel()
	h, s := startBefore(t, bridgetest.Config{Handle: without("nothing")}, "2025-11-25", `{"roots":{"listChanged":true}}`)
	h.send(`{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}`)
	h.send(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"x","progress":1}}`)
	h.send(`{"jsonrpc":"2.0","id":77,"result":{}}`)
	h.send(listTools("1"))
	wantResult(t, h, "1")
	wantNothingMore(t, h)
	if got, want := plainNames(s), []string{"initialize", discovers, "tools/list"}; !slices.Equal(got, want) {
		t.Errorf("the server got %q, want %q", got, want)
	}
}

// "tasks/* (R4 D): -32601 (not advertised); task param ignored." (6.77 too)
func TestHandshake_Tasks(t *testing.T) {
	t.Parallel()
	h, s := startBefore(t, bridgetest.Config{Handle: without("nothing")}, "2025-11-25", `{"tasks":{"list":{},"cancel":{}}}`)
	for i, method := range []string{"tasks/get", "tasks/result", "tasks/list", "tasks/cancel"} {
		id := fmt.Sprint(i)
		h.send(`{"jsonrpc":"2.0","id":` + id + `,"method":"` + method + `","params":{"taskId":"t"}}`)
		if e := errorOf(t, h.answer(id)); e.Code != -32601 {
			t.Errorf("%s: the code is %d, want -32601", method, e.Code)
		}
	}
	h.send(`{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"echo","task":{"ttl":60000},"arguments":{"task":1}}}`)
	wantJSON(t, "the result", resultOf(t, h.answer("9")), `{"content":[{"type":"text","text":""}],"structuredContent":{"task":1}}`)
	if got := lastRequest(t, s, "tools/call").Params; member(got, "task") != nil {
		t.Errorf("the server got %s", got)
	}
	wantNothingMore(t, h)
	for _, name := range plainNames(s) {
		if strings.HasPrefix(name, "tasks/") {
			t.Errorf("the server got %s", name)
		}
	}
}

// "resultType:"task" (U): Only if the bridge declared the extension" — it does not, so a task is no
// answer (6.71): the host has an error that says so, at once.
func TestHandshake_TaskResult(t *testing.T) {
	t.Parallel()
	h, s := startBefore(t, bridgetest.Config{Handle: always("tools/call", answers(`{"resultType":"task","taskId":"t1","status":"working","ttlMs":1000,"createdAt":"2026-07-28T00:00:00Z"}`))},
		"2025-11-25", `{"extensions":{"io.modelcontextprotocol/tasks":{}}}`)
	h.send(callEcho("1"))
	answer := h.answer("1")
	if e := member(answer, "error"); e == nil && string(member(answer, "result", "isError")) != "true" || !strings.Contains(string(answer), "task") {
		t.Errorf("the host got %s", answer)
	}
	wantNothingMore(t, h)
	if n := s.Count("tasks/get"); n > 0 {
		t.Errorf("the server got %q", names(s))
	}
}

// "batch (R2 D): 1.19": its items are requests of their own, and their answers one array.
func TestHandshake_Batch(t *testing.T) {
	t.Parallel()
	h, s := startBefore(t, bridgetest.Config{}, "2025-03-26", `{}`)
	h.send(`[` + listTools("1") + `,` + callEcho("2") + `,{"jsonrpc":"2.0","id":3,"method":"ping"},{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}]`)
	var got []string
	for _, item := range elements(t, h.next()) {
		resultOf(t, []byte(item))
		got = append(got, rawID(item))
	}
	slices.Sort(got)
	if want := []string{"1", "2", "3"}; !slices.Equal(got, want) {
		t.Errorf("the batch is answered to %q, want %q", got, want)
	}
	wantNothingMore(t, h)
	if n := s.Count("tools/call") + s.Count("ping"); n != 1 {
		t.Errorf("the server got %q", names(s))
	}
}

// "-32602 on resources/read with data.uri: MAY map to -32002 for legacy D." (5.85)
func TestHandshake_ResourceNotFound(t *testing.T) {
	t.Parallel()
	for _, version := range revisions {
		h, _ := startBefore(t, bridgetest.Config{}, version, `{}`)
		h.send(`{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"test://none"}}`)
		answer := h.answer("1")
		if e := errorOf(t, answer); e.Code != -32602 && e.Code != -32002 {
			t.Errorf("the error is %s", answer)
		}
		wantJSON(t, "the URI", member(answer, "error", "data", "uri"), `"test://none"`)
		wantNothingMore(t, h)
	}
}

// "JSON-RPC request from U: Protocol violation: drop, log."
func TestHandshake_RequestFromServer(t *testing.T) {
	t.Parallel()
	h, s := startBefore(t, bridgetest.Config{Handle: always("prompts/list", func(w http.ResponseWriter, r *bridgetest.Request) {
		e := r.Events(w)
		_ = e.Send(`{"jsonrpc":"2.0","id":1,"method":"roots/list"}`)
		_ = e.Send(`{"jsonrpc":"2.0","id":2,"method":"ping"}`)
		_ = e.Result(`{"resultType":"complete","prompts":[]}`)
	})}, "2025-11-25", `{"roots":{}}`)
	h.send(`{"jsonrpc":"2.0","id":1,"method":"prompts/list"}`)
	wantResult(t, h, "1")
	wantNothingMore(t, h)
	if !strings.Contains(h.logs(), "roots/list") {
		t.Error("nothing is logged of it")
	}
	if n := s.Count("response"); n > 0 {
		t.Errorf("the server got %q", names(s))
	}
}

// "unknown/custom method (D): Forward with _meta and Mcp-Method; relay U's answer."
func TestHandshake_UnknownMethod(t *testing.T) {
	t.Parallel()
	h, s := startBefore(t, bridgetest.Config{Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
		if r.Method == "example.com/do" {
			r.Answer(w, `{"done":1.0}`)
		}
		return r.Method == "example.com/do"
	}}, "2025-11-25", `{}`)
	h.send(`{"jsonrpc":"2.0","id":1,"method":"example.com/do","params":{"x":1.0}}`)
	wantJSON(t, "the result", resultOf(t, h.answer("1")), `{"done":1.0}`)
	r := lastRequest(t, s, "example.com/do")
	if r.Header.Get("Mcp-Method") != "example.com/do" || metaOf(r, "clientCapabilities") == nil || string(member(r.Params, "x")) != "1.0" {
		t.Errorf("the server got %v %s", r.Header, r.Body)
	}
	h.send(`{"jsonrpc":"2.0","id":2,"method":"example.com/else","params":{}}`)
	if e := errorOf(t, h.answer("2")); e.Code != -32601 {
		t.Errorf("the code is %d, want -32601", e.Code)
	}
	wantNothingMore(t, h)
}

// "response stream lost (U): tools/call: -32603 "connection lost; the call may have run"." What only
// reads is asked again (2.46).
func TestHandshake_BrokenStream(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"tools/call", "tools/list", "prompts/list"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			h, s := startBefore(t, bridgetest.Config{Handle: once(method, cut)}, "2025-11-25", `{}`)
			if method == "tools/call" {
				h.send(callEcho("1"))
				wantFailure(t, h, "1", "may have run")
				if n := s.Count(method); n != 1 {
					t.Errorf("the call was made %d times", n)
				}
			} else {
				h.send(`{"jsonrpc":"2.0","id":1,"method":"` + method + `"}`)
				wantResult(t, h, "1")
			}
			wantNothingMore(t, h)
			if n := countHTTP(s, http.MethodGet); n > 0 {
				t.Errorf("the server got %q", names(s))
			}
		})
	}
}

// Nothing of a session is there, whatever the server sends: no header, no GET, no DELETE (spec 2.43).
func TestHandshake_NoSession(t *testing.T) {
	t.Parallel()
	h, s := startBefore(t, bridgetest.Config{Handle: func(w http.ResponseWriter, _ *bridgetest.Request) bool {
		w.Header().Set("Mcp-Session-Id", "S1")
		return false
	}}, "2025-11-25", `{}`)
	h.send(listTools("1"))
	wantResult(t, h, "1")
	wantNothingMore(t, h)
	for _, r := range s.Requests() {
		if r.Header.Get("Mcp-Session-Id") != "" || r.Header.Get("Last-Event-Id") != "" || r.Request.Method != http.MethodPost {
			t.Errorf("the server got %s %v", r, r.Header)
		}
	}
}

// A server that knows no ping gets none, however long nothing is under way.
func TestHandshake_KeepAlive(t *testing.T) {
	inFakeTime(t, bridgetest.Config{Versions: bridgetest.Modern}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
		cfg.KeepAlive = time.Minute
		h := startHost(t, cfg)
		h.capable("2025-11-25", `{}`)
		eventually(t, "the bridge listens", func() bool { return s.Streams() == 1 })
		before := len(s.Requests())
		time.Sleep(time.Hour)
		if s.Count("ping") > 0 || len(s.Requests()) > before+60 || s.Streams() != 1 {
			t.Errorf("the server got %q", plainNames(s)[before:])
		}
		wantNothingMore(t, h)
		if strings.Contains(h.logs(), "level=WARN") {
			t.Error("there was a warning")
		}
	})
}

// With room for one request at a time a call that leads to more of them still comes to its end.
func TestHandshake_OneAtATime(t *testing.T) {
	t.Parallel()
	h, s := startWith(t, bridgetest.Config{Versions: bridgetest.Modern}, bridge.Config{MaxInFlight: 1}, "")
	h.capable("2025-11-25", everything)
	eventually(t, "the bridge listens", func() bool { return s.Streams() == 1 })
	h.send(callTool("1", "ask", `{}`))
	id, _ := h.question("elicitation/create")
	h.reply(id, accepted)
	wantResult(t, h, "1")
	h.send(subscribe("2", "test://a"))
	wantResult(t, h, "2")
	h.send(callTool("3", "route", `{"region":"r"}`))
	wantResult(t, h, "3")
	wantNothingMore(t, h)
}
