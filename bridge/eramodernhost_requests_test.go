package bridge_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"mcp-bridge/bridge"
	"mcp-bridge/bridge/bridgetest"
)

// "first D request: Lazily initialize U (offer 2025-11-25; capabilities from that request: roots:{},
// sampling, elicitation, experimental, extensions minus tasks; never tasks, never roots.listChanged;
// clientInfo from _meta) + notifications/initialized + GET stream".
func TestModernHost_FirstRequestInitializes(t *testing.T) {
	eachHandshakeServer(t, wellBehaved, func(t *testing.T, h *modernHost, s *bridgetest.Server) {
		if n := len(s.Requests()); n > 0 {
			t.Errorf("before there was any request the server got %s", s.Requests())
		}
		h.capabilities = `{"roots":{"listChanged":true},"sampling":{"tools":{}},"elicitation":{"form":{},"url":{}},"tasks":{"list":{}},` +
			`"experimental":{"x":{"n":1.0}},"extensions":{"io.modelcontextprotocol/tasks":{},"io.modelcontextprotocol/ui":{"mimeTypes":["a"]}}}`
		for _, id := range []string{"1", "2", `"three"`} {
			h.request(id, "tools/list", "")
		}
		for range 3 { // in any order
			m := h.message()
			if m.Result == nil {
				t.Errorf("this should be a result: %s", m.raw)
			}
		}
		init := gotOne(t, s, "initialize")
		if got := string(init.Params["protocolVersion"]); got != `"2025-11-25"` {
			t.Errorf("the server was offered %s", got)
		}
		const want = `{"roots":{},"sampling":{"tools":{}},"elicitation":{"form":{},"url":{}},"experimental":{"x":{"n":1.0}},` +
			`"extensions":{"io.modelcontextprotocol/ui":{"mimeTypes":["a"]}}}`
		if got := string(init.Params["capabilities"]); !sameJSON(got, want) {
			t.Errorf("the server was told the capabilities\n%s, want\n%s", got, want)
		}
		if got := string(init.Params["clientInfo"]); !sameJSON(got, `{"name":"modern","version":"1.0"}`) {
			t.Errorf("the server was told that the client is %s", got)
		}
		gotOne(t, s, "notifications/initialized")
		var names []string
		for _, r := range s.Requests() {
			names = append(names, r.String())
		}
		if slices.Index(names, "notifications/initialized") > slices.Index(names, "tools/list") {
			t.Errorf("the server got requests before notifications/initialized: %s", names)
		}
		eventually(t, "the stream for the server's own messages opens", func() bool { return s.Streams() == 1 })
	})
}

// "clientInfo from _meta, else the bridge's own".
func TestModernHost_WithoutClientInfo(t *testing.T) {
	t.Parallel()
	h, s := startModernHost(t, bridgetest.Config{}, bridge.Config{})
	h.send(modernRequest("1", "tools/list", "", metaVersion, metaCapabilities+"{}"))
	h.result("1")
	var info struct {
		Name    string
		Version *string
	}
	_ = json.Unmarshal(gotOne(t, s, "initialize").Params["clientInfo"], &info)
	if info.Name == "" || info.Version == nil {
		t.Errorf("the server was told that the client is %+v", info)
	}
}

// "later request, other capabilities: Subset of the session's: reuse, and refuse U's undeclared asks
// locally. Superset: open a new legacy session for it; warn on stderr".
func TestModernHost_OtherCapabilitiesLater(t *testing.T) {
	eachHandshakeServer(t, wellBehaved, func(t *testing.T, h *modernHost, s *bridgetest.Server) {
		h.capabilities = `{"sampling":{}}`
		h.fence("1")
		h.capabilities = `{}`
		h.request("2", "tools/call", `"name":"questions","arguments":{"ask":[{"method":"sampling/createMessage","params":{"messages":[],"maxTokens":1}}]}`)
		if got := string(h.complete("2").StructuredContent); !strings.Contains(got, `"code":-32601`) {
			t.Errorf("the server asked for what this request did not offer, and was told %s", got)
		}
		gotOne(t, s, "initialize")

		h.capabilities = `{"sampling":{},"roots":{}}`
		h.fence("3")
		inits := got(t, s, "initialize")
		if len(inits) != 2 {
			t.Fatalf("the server got %d initialize requests, want a second one for more capabilities", len(inits))
		}
		if got := string(inits[1].Params["capabilities"]); !sameJSON(got, h.capabilities) {
			t.Errorf("the second session has the capabilities %s", got)
		}
		if !strings.Contains(h.logs(), "level=WARN") {
			t.Errorf("there is no warning that the server now has two sessions")
		}
		for _, capabilities := range []string{`{}`, `{"sampling":{}}`, `{"roots":{}}`} {
			h.capabilities = capabilities
			h.fence("4")
		}
		if n := len(got(t, s, "initialize")); n != 2 {
			t.Errorf("the server got %d initialize requests, want 2: the last session can do all that was asked for", n)
		}
	})
}

// "server/discover: Synthesize from InitializeResult: supportedVersions (5.23), capabilities minus
// tasks, instructions, _meta…serverInfo, ttlMs:0, cacheScope:"private", resultType".
func TestModernHost_Discover(t *testing.T) {
	eachHandshakeServer(t, func() *bridgetest.Legacy { return &bridgetest.Legacy{Instructions: "Be <kind>"} },
		func(t *testing.T, h *modernHost, s *bridgetest.Server) {
			h.request(`"probe"`, "server/discover", "")
			r := h.complete(`"probe"`)
			if want := []string{"2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"}; !slices.Equal(r.SupportedVersions, want) {
				t.Errorf("supportedVersions is %q, want %q", r.SupportedVersions, want)
			}
			const want = `{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"listChanged":true,"subscribe":true},` +
				`"completions":{},"logging":{},"experimental":{"x":{"n":1.0}}}`
			if got := string(r.Capabilities); !sameJSON(got, want) {
				t.Errorf("capabilities is\n%s, want\n%s", got, want)
			}
			if r.Instructions != "Be <kind>" {
				t.Errorf("instructions is %q", r.Instructions)
			}
			if got := string(r.Meta["io.modelcontextprotocol/serverInfo"]); !sameJSON(got, `{"name":"bridgetest-legacy","version":"1.0.0","title":"Legacy"}`) {
				t.Errorf("serverInfo is %s", got)
			}
			wantHints(t, r, true)
		})
}

func wantHints(t *testing.T, r modernResult, want bool) {
	t.Helper()
	switch {
	case !want && (r.TTLMs != nil || r.CacheScope != ""):
		t.Errorf("this is not to be cached, but has hints for it: %s", r.raw)
	case want && (r.TTLMs == nil || *r.TTLMs != 0 || r.CacheScope != "private"):
		t.Errorf(`spec 5.64: want "ttlMs":0 and "cacheScope":"private" in %s`, r.raw)
	}
}

// "any request: Validate _meta (1.39–1.41, 1.48)".
func TestModernHost_RequestsThatAreRefused(t *testing.T) {
	t.Parallel()
	const unknown = `"io.modelcontextprotocol/protocolVersion":"2099-01-01"`
	for name, tt := range map[string]struct {
		method string
		meta   []string
		code   int
	}{
		"1.39: a version that is not there yet": {"tools/list", []string{unknown, metaCapabilities + "{}"}, -32022},
		"1.39: the same for discover":           {"server/discover", []string{unknown, metaCapabilities + "{}"}, -32022},
		"1.40: no capabilities":                 {"tools/list", []string{metaVersion}, -32602},
		"1.40: no capabilities, discover":       {"server/discover", []string{metaVersion}, -32602},
		"1.40: capabilities that are null":      {"tools/list", []string{metaVersion, metaCapabilities + "null"}, -32602},
		"1.40: capabilities that are a list":    {"tools/list", []string{metaVersion, metaCapabilities + "[]"}, -32602},
		"1.40: no version":                      {"tools/list", []string{metaCapabilities + "{}"}, -32602},
		"1.40: a version that is a number":      {"tools/list", []string{`"io.modelcontextprotocol/protocolVersion":2026`, metaCapabilities + "{}"}, -32602},
		"1.40: discover with an empty _meta":    {"server/discover", nil, -32602},
		"1.40: listen with an empty _meta":      {"subscriptions/listen", nil, -32602},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, s := startModernHost(t, bridgetest.Config{}, bridge.Config{})
			for _, id := range []string{"0", `"again"`} { // also when the server is known
				h.send(modernRequest(id, tt.method, "", tt.meta...))
				e := h.refusal(id)
				if e.Code != tt.code {
					t.Errorf("the error is %d %s, want %d", e.Code, e.Message, tt.code)
				}
				var data struct {
					Supported []string
					Requested string
				}
				_ = json.Unmarshal(e.Data, &data)
				if tt.code == -32022 && (!slices.Contains(data.Supported, "2026-07-28") || data.Requested != "2099-01-01") {
					t.Errorf("data is %s, want what is supported and what was requested", e.Data)
				}
				h.fence(`"between"`)
			}
			for _, r := range s.Requests() {
				if r.Method == "subscriptions/listen" || r.Method == "tools/list" && strings.Contains(string(r.Body), "2099") {
					t.Errorf("the server got %s", r.Body)
				}
			}
		})
	}
}

// "any request: strip the four io.modelcontextprotocol/* keys, inputResponses, requestState; replace
// progressToken with a bridge token; keep trace keys". The rest is as it was to the digit (spec 1.07).
func TestModernHost_WhatTheServerGets(t *testing.T) {
	const arguments = `{"id":9223372036854775807,"f":1.0,"e":1E400,"h":"<&>","u":"\u00e9\ud83d\ude00"}`
	eachHandshakeServer(t, wellBehaved, func(t *testing.T, h *modernHost, s *bridgetest.Server) {
		h.request("1", "tools/call", `"name":"echo","inputResponses":{"a":{}},"arguments":`+arguments,
			`"progressToken":"mine"`, `"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"`,
			`"tracestate":"a=b"`, `"baggage":"c=d"`, `"acme/x":[1.0]`, `"io.modelcontextprotocol/logLevel":"error"`)
		if got := string(h.complete("1").StructuredContent); got != arguments {
			t.Errorf("the host got\n%s, want\n%s", got, arguments)
		}
		call := gotOne(t, s, "tools/call")
		if got := slices.Sorted(maps.Keys(call.Params)); !slices.Equal(got, []string{"_meta", "arguments", "name"}) {
			t.Errorf("the server got the params %q", got)
		}
		if got := string(call.Params["arguments"]); got != arguments {
			t.Errorf("the server got the arguments\n%s, want\n%s", got, arguments)
		}
		var meta map[string]json.RawMessage
		_ = json.Unmarshal(call.Params["_meta"], &meta)
		if got := slices.Sorted(maps.Keys(meta)); !slices.Equal(got, []string{"acme/x", "baggage", "progressToken", "traceparent", "tracestate"}) {
			t.Errorf("the server got the _meta %s", call.Params["_meta"])
		}
		for _, r := range s.Requests() {
			if r.Method != "server/discover" && (r.Header.Get("Mcp-Method") != "" || r.Header.Get("Mcp-Name") != "" || r.Header.Get("Mcp-Protocol-Version") == "2026-07-28") {
				t.Errorf("with %s the server got the headers %v", r, r.Header)
			}
		}
		if token := string(meta["progressToken"]); token == `"mine"` || string(meta["acme/x"]) != "[1.0]" {
			t.Errorf("the server got the _meta %s", call.Params["_meta"])
		}
	})
}

// A modern host may use an id again, a session's requests may not (spec 1.10 to 1.12).
func TestModernHost_IDsOfTheSession(t *testing.T) {
	eachHandshakeServer(t, wellBehaved, func(t *testing.T, h *modernHost, s *bridgetest.Server) {
		for range 3 {
			for _, id := range []string{"1", `"1"`, "9007199254740993"} {
				h.fence(id)
			}
		}
		seen := make(map[string]bool)
		for _, r := range s.Requests() {
			if r.ID == nil || r.URL.Path == "/mcp" && s.Count("tools/list") == 0 || r.Method == "" {
				continue
			}
			if r.Method == "server/discover" || r.Method == "initialize" {
				continue // not in the session yet
			}
			if seen[string(r.ID)] {
				t.Errorf("the id %s was used twice in the session", r.ID)
			}
			seen[string(r.ID)] = true
		}
		if len(seen) != 9 {
			t.Errorf("the server got %d requests, want 9", len(seen))
		}
	})
}

// "any result: Add resultType:"complete", _meta…serverInfo, and hints (5.64) on the six cacheable
// methods". What else is in a result stays as it is.
func TestModernHost_Results(t *testing.T) {
	results := map[string]struct {
		members, result string
		cacheable       bool
	}{
		"tools/list":               {"", `{"tools":[],"nextCursor":""}`, true},
		"prompts/list":             {"", `{"prompts":[{"name":"p","n":1.0}]}`, true},
		"resources/list":           {"", `{"resources":[]}`, true},
		"resources/templates/list": {"", `{"resourceTemplates":[]}`, true},
		"resources/read":           {`"uri":"a"`, `{"contents":[{"uri":"a","text":"<&>"}],"_meta":{"a":1.0}}`, true},
		"tools/call":               {`"name":"echo"`, `{"content":[],"structuredContent":{"n":9007199254740993,"f":1.0},"isError":true,"_meta":{"a":[1E400]}}`, false},
		"prompts/get":              {`"name":"p"`, `{"messages":[],"acme":{"f":1.0}}`, false},
		"completion/complete":      {`"ref":{"type":"ref/prompt","name":"p"},"argument":{"name":"a","value":""}`, `{"completion":{"values":[],"total":1.0}}`, false},
	}
	eachHandshakeServer(t, func() *bridgetest.Legacy {
		return &bridgetest.Legacy{Answer: func(x *bridgetest.Exchange) string {
			if tt, ok := results[x.Method]; ok {
				return bridgetest.ResultMember(tt.result)
			}
			return ""
		}}
	}, func(t *testing.T, h *modernHost, _ *bridgetest.Server) {
		for method, tt := range results {
			h.request("1", method, tt.members)
			r := h.complete("1")
			wantHints(t, r, tt.cacheable)
			var want, got map[string]json.RawMessage
			_ = json.Unmarshal([]byte(tt.result), &want)
			_ = json.Unmarshal(r.raw, &got)
			var meta, gotMeta map[string]json.RawMessage
			_ = json.Unmarshal(want["_meta"], &meta)
			_ = json.Unmarshal(got["_meta"], &gotMeta)
			delete(want, "_meta")
			for name, value := range want {
				if string(got[name]) != string(value) {
					t.Errorf("%s: %s is\n%s, want\n%s", method, name, got[name], value)
				}
			}
			for name, value := range meta {
				if string(gotMeta[name]) != string(value) {
					t.Errorf("%s: %s in _meta is\n%s, want\n%s", method, name, gotMeta[name], value)
				}
			}
		}
	})
}

// A server of the other era that has read the new revision may send some of its members already:
// they are not added for the second time, and what it says of caching counts ("hints … when the
// upstream gave none", spec 5.64).
func TestModernHost_ResultsThatHaveItAlready(t *testing.T) {
	eachHandshakeServer(t, func() *bridgetest.Legacy {
		return &bridgetest.Legacy{Answer: func(x *bridgetest.Exchange) string {
			if x.Method != "tools/list" {
				return ""
			}
			return bridgetest.ResultMember(`{"tools":[],"resultType":"complete","ttlMs":7,"cacheScope":"public","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"own","version":"1"}}}`)
		}}
	}, func(t *testing.T, h *modernHost, _ *bridgetest.Server) {
		h.request("1", "tools/list", "")
		if r := h.complete("1"); r.TTLMs == nil || *r.TTLMs != 7 || r.CacheScope != "public" {
			t.Errorf("the server's hints are gone: %s", r.raw)
		}
	})
}

// "ping initialize-era methods with modern _meta (D): -32601", "tasks extension: Default: not
// advertised; tasks/get, tasks/update, tasks/cancel → -32601", 6.77, spec 1.41.
func TestModernHost_MethodsThatAreGone(t *testing.T) {
	gone := []string{"ping", "initialize", "logging/setLevel", "resources/subscribe", "resources/unsubscribe",
		"tasks/get", "tasks/update", "tasks/cancel", "tasks/list", "tasks/result"}
	eachHandshakeServer(t, wellBehaved, func(t *testing.T, h *modernHost, s *bridgetest.Server) {
		h.capabilities = `{"extensions":{"io.modelcontextprotocol/tasks":{}}}`
		h.fence("0")
		for _, method := range gone {
			h.request("1", method, `"uri":"test://a","level":"debug","taskId":"T1","protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"a","version":"1"}`)
			if e := h.refusal("1"); e.Code != -32601 {
				t.Errorf("%s: the error is %+v, want -32601", method, e)
			}
			want := 0
			if method == "initialize" {
				want = 1
			}
			if n := len(got(t, s, method)); n != want {
				t.Errorf("%s came to the server", method)
			}
		}
	})
}

// "unknown/custom method (D): Forward stripped; relay". What the server says against it is relayed
// with its data.
func TestModernHost_CustomMethods(t *testing.T) {
	eachHandshakeServer(t, func() *bridgetest.Legacy {
		return &bridgetest.Legacy{Answer: func(x *bridgetest.Exchange) string {
			switch x.Method {
			case "acme/ok":
				return bridgetest.ResultMember(`{"acme":1.0}`)
			case "acme/fails":
				return bridgetest.ErrorMember(-32055, "no <luck>", `{"n":9007199254740993}`)
			}
			return ""
		}}
	}, func(t *testing.T, h *modernHost, s *bridgetest.Server) {
		h.request("1", "acme/ok", `"a":1.0`)
		if r := h.complete("1"); !strings.Contains(string(r.raw), `"acme":1.0`) {
			t.Errorf("the host got %s", r.raw)
		}
		if b := gotOne(t, s, "acme/ok"); string(b.Params["a"]) != "1.0" || strings.Contains(string(b.Params["_meta"]), "modelcontextprotocol") {
			t.Errorf("the server got the params %s", b.Params)
		}
		h.request("2", "acme/nonesuch", "")
		if e := h.refusal("2"); e.Code != -32601 {
			t.Errorf("the error is %+v, want the server's -32601", e)
		}
	})
}

// "-32002 (U) → -32602 (MUST NOT emit -32002)". Other errors are the server's own.
func TestModernHost_Errors(t *testing.T) {
	eachHandshakeServer(t, func() *bridgetest.Legacy {
		return &bridgetest.Legacy{Answer: func(x *bridgetest.Exchange) string {
			switch {
			case x.Method == "resources/read" && strings.Contains(string(x.Params), "data"):
				return bridgetest.ErrorMember(-32002, "Resource not found", `{"uri":"test://data","n":1.0}`)
			case x.Method == "prompts/get":
				return bridgetest.ErrorMember(-32602, "no <luck>", `{"n":9007199254740993}`)
			}
			return ""
		}}
	}, func(t *testing.T, h *modernHost, _ *bridgetest.Server) {
		h.request("1", "resources/read", `"uri":"test://nowhere"`)
		if e := h.refusal("1"); e.Code != -32602 || e.Message != "Resource not found" {
			t.Errorf("the error is %+v, want -32602 and what the server said", e)
		}
		h.request("2", "resources/read", `"uri":"test://data"`)
		if e := h.refusal("2"); e.Code != -32602 || string(e.Data) != `{"uri":"test://data","n":1.0}` {
			t.Errorf("the error is %d with data %s, want -32602 and the server's data", e.Code, e.Data)
		}
		h.request("3", "prompts/get", `"name":"a"`)
		if e := h.refusal("3"); e.Code != -32602 || e.Message != "no <luck>" || string(e.Data) != `{"n":9007199254740993}` {
			t.Errorf("the error is %d %s with data %s", e.Code, e.Message, e.Data)
		}
	})
}

// "tools/list etc. (D): Forward; drop execution". The schemas are as the server wrote them.
func TestModernHost_ToolsList(t *testing.T) {
	const schema = `{"type":"object","properties":{"execution":{"type":"string","maxLength":1.0}}}`
	eachHandshakeServer(t, func() *bridgetest.Legacy {
		return &bridgetest.Legacy{Answer: func(x *bridgetest.Exchange) string {
			if x.Method != "tools/list" {
				return ""
			}
			return bridgetest.ResultMember(`{"tools":[{"name":"a","execution":{"taskSupport":"optional"},"inputSchema":` + schema +
				`},{"inputSchema":{"type":"object"},"name":"b","_meta":{"ui":1.0}}],"nextCursor":"c"}`)
		}}
	}, func(t *testing.T, h *modernHost, s *bridgetest.Server) {
		h.request("1", "tools/list", `"cursor":"x"`)
		var list struct {
			Tools      []map[string]json.RawMessage
			NextCursor string
		}
		if err := json.Unmarshal(h.complete("1").raw, &list); err != nil || len(list.Tools) != 2 {
			t.Fatalf("the host got %+v: %v", list, err)
		}
		if _, there := list.Tools[0]["execution"]; there || string(list.Tools[0]["inputSchema"]) != schema {
			t.Errorf("the first tool is %s", list.Tools[0])
		}
		if string(list.Tools[1]["_meta"]) != `{"ui":1.0}` || list.NextCursor != "c" {
			t.Errorf("the second tool is %s, the cursor %q", list.Tools[1], list.NextCursor)
		}
		if b := gotOne(t, s, "tools/list"); string(b.Params["cursor"]) != `"x"` {
			t.Errorf("the server got the params %s", b.Params)
		}
	})
}

// "completion/complete (D): Forward … R1 has no capability flag: forward anyway".
func TestModernHost_Completion(t *testing.T) {
	eachHandshakeServer(t, func() *bridgetest.Legacy { return &bridgetest.Legacy{Capabilities: `{}`} },
		func(t *testing.T, h *modernHost, s *bridgetest.Server) {
			h.request("1", "completion/complete", `"ref":{"type":"ref/prompt","name":"p"},"argument":{"name":"a","value":""}`)
			if r := h.complete("1"); !strings.Contains(string(r.raw), `"values":["one","two"]`) {
				t.Errorf("the host got %s", r.raw)
			}
			gotOne(t, s, "completion/complete")
		})
}

// "ping (U): Answer {} locally; never forward", whatever stream it comes on.
func TestModernHost_PingOfTheServer(t *testing.T) {
	eachHandshakeServer(t, wellBehaved, func(t *testing.T, h *modernHost, s *bridgetest.Server) {
		for _, where := range []string{"false", "true"} {
			eventuallyStream(t, h, s)
			h.request("1", "tools/call", `"name":"questions","arguments":{"elsewhere":`+where+`,"ask":[{"method":"ping"}]}`)
			if got := string(h.complete("1").StructuredContent); got != `{"answers":[{"result":{}}]}` {
				t.Errorf("the server pinged and was told %s", got)
			}
		}
	})
}

// eventuallyStream waits for the stream that the server's own messages come on.
func eventuallyStream(t *testing.T, h *modernHost, s *bridgetest.Server) {
	t.Helper()
	h.fence(`"stream"`)
	eventually(t, "the stream for the server's own messages opens", func() bool { return s.Streams() == 1 })
}

// Batches of 2025-03-26 from the server are taken apart, and each message translated (spec 2.08).
func TestModernHost_BatchesOfTheServer(t *testing.T) {
	t.Parallel()
	h, _ := startModernHost(t, bridgetest.Config{Versions: []string{"2025-03-26"}, Legacy: &bridgetest.Legacy{Answer: func(x *bridgetest.Exchange) string {
		if x.Method != "tools/call" {
			return ""
		}
		var params struct {
			Meta struct{ ProgressToken json.RawMessage } `json:"_meta"`
		}
		_ = json.Unmarshal(x.Params, &params)
		_ = x.Send(`[{"jsonrpc":"2.0","method":"notifications/tools/list_changed"},` +
			`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":` + string(params.Meta.ProgressToken) + `,"progress":1}},` +
			`{"jsonrpc":"2.0","id":` + string(x.ID) + `,"result":{"content":[]}}]`)
		<-x.Context().Done()
		return ""
	}}}, bridge.Config{})
	h.request("1", "tools/call", `"name":"a"`, `"progressToken":"mine"`)
	h.complete("1")
	if len(h.notes) != 1 || h.notes[0].Method != "notifications/progress" || !strings.Contains(string(h.notes[0].Params), `"progressToken":"mine"`) {
		t.Errorf("the host got %s, want the progress", h.notes)
	}
}

// Every revision with a handshake will do, with sessions and without, with a GET stream and without.
func TestModernHost_EveryRevision(t *testing.T) {
	t.Parallel()
	for name, sc := range map[string]bridgetest.Config{
		"2024-11-05":             {Versions: []string{"2024-11-05"}},
		"2024-11-05 on HTTP+SSE": {Versions: []string{"2024-11-05"}, HTTPSSE: true},
		"2025-03-26":             {Versions: []string{"2025-03-26"}, Stream: true},
		"2025-06-18":             {Versions: []string{"2025-06-18"}, Stream: true, SSE: true},
		"2025-11-25":             {Versions: []string{"2025-11-25"}},
		"stateless":              {Stateless: true},
		"stateless with SSE":     {Stateless: true, SSE: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, _ := startModernHost(t, sc, bridge.Config{})
			h.request("1", "server/discover", "")
			if r := h.complete("1"); !slices.Contains(r.SupportedVersions, "2026-07-28") {
				t.Errorf("the host was told the versions %q", r.SupportedVersions)
			}
			h.request("2", "tools/call", `"name":"count","arguments":{"to":2}`, `"progressToken":0`)
			if r := h.complete("2"); len(r.Content) != 1 || r.Content[0].Text != "counted to 2" || len(h.notes) != 2 {
				t.Errorf("the host got %s after %s", r.raw, h.notes)
			}
		})
	}
}
