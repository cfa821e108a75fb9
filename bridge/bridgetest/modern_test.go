package bridgetest_test

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"

	"mcp-bridge/bridge/bridgetest"
)

// meta is what a good client of 2026-07-28 puts into params._meta.
const meta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"elicitation":{"form":{}}}}`

// modern returns a request with params beside _meta, given as members that end with a comma.
func modern(method, members string) string {
	return `{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":{` + members + meta + `}}`
}

// A client that leaves out what 2026-07-28 asks of it hears of it (spec 2.38 to 2.41, 2.49, 2.52 to
// 2.60, 5.01).
func TestModernStrict(t *testing.T) {
	route := func(arguments string) string {
		return modern("tools/call", `"name":"route","arguments":`+arguments+`,`)
	}
	for name, test := range map[string]struct {
		http    string // POST if empty
		body    string
		headers string // "Name: value; ..." besides those of a request without a name; a value of - removes one
		status  int
		want    string // a part of the body
	}{
		"discover":              {body: modern("server/discover", ""), status: 200, want: `"supportedVersions":["2026-07-28"]`},
		"a session of old":      {body: modern("tools/list", ""), headers: "Mcp-Session-Id: S1; Last-Event-ID: 7", status: 200, want: `"resultType":"complete"`},
		"GET":                   {http: "GET", status: 405},
		"DELETE":                {http: "DELETE", headers: "Mcp-Session-Id: S1", status: 405},
		"response":              {body: `{"jsonrpc":"2.0","id":1,"result":{}}`, status: 400, want: "-32600"},
		"batch":                 {body: `[` + modern("tools/list", "") + `]`, status: 400, want: "-32600"},
		"id is no integer":      {body: `{"jsonrpc":"2.0","id":1.5,"method":"tools/list","params":{` + meta + `}}`, status: 400, want: "-32600"},
		"initialize":            {body: initialize, headers: "Mcp-Protocol-Version: -", status: 400, want: `"code":-32022,"message":"Unsupported protocol version","data":{"supported":["2026-07-28"],"requested":"2025-06-18"}`},
		"initialize in form":    {body: modern("initialize", ""), status: 404, want: "-32601"},
		"ping":                  {body: modern("ping", ""), status: 404, want: "-32601"},
		"no version header":     {body: modern("tools/list", ""), headers: "Mcp-Protocol-Version: -", status: 400, want: "-32020"},
		"another version":       {body: modern("tools/list", ""), headers: "Mcp-Protocol-Version: 2025-11-25", status: 400, want: "-32020"},
		"unknown version":       {body: strings.Replace(modern("tools/list", ""), "2026-07-28", "2099-01-01", 1), headers: "Mcp-Protocol-Version: 2099-01-01", status: 400, want: `"data":{"supported":["2026-07-28"],"requested":"2099-01-01"}`},
		"no _meta":              {body: `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, status: 400, want: "-32602"},
		"no capabilities":       {body: strings.Replace(modern("tools/list", ""), "clientCapabilities", "else", 1), status: 400, want: "-32602"},
		"no Mcp-Method":         {body: modern("tools/list", ""), headers: "Mcp-Method: -", status: 400, want: "-32020"},
		"another Mcp-Method":    {body: modern("tools/list", ""), headers: "Mcp-Method: Tools/list", status: 400, want: "-32020"},
		"no Mcp-Name":           {body: modern("tools/call", `"name":"add",`), status: 400, want: "-32020"},
		"a name for no reason":  {body: modern("tools/list", ""), headers: "Mcp-Name: x", status: 400, want: "-32020"},
		"name of a resource":    {body: modern("resources/read", `"uri":"test://b/ö",`), headers: "Mcp-Name: =?base64?dGVzdDovL2Ivw7Y=?=", status: 200, want: "resource b"},
		"name not encoded":      {body: modern("resources/read", `"uri":"test://b/ö",`), headers: "Mcp-Name: test://b/ö", status: 400, want: "-32020"},
		"name of a prompt":      {body: modern("prompts/get", `"name":"greet","arguments":{"name":"Ada"},`), headers: "Mcp-Name: greet", status: 200, want: "Hello, Ada"},
		"no such resource":      {body: modern("resources/read", `"uri":"test://c",`), headers: "Mcp-Name: test://c", status: 200, want: `"code":-32602,"message":"Resource not found","data":{"uri":"test://c"}`},
		"parameters":            {body: route(`{"region":"us west","priority":-7,"urgent":true,"target":{"zone":"ö"}}`), headers: "Mcp-Name: route; Mcp-Param-Region: us west; Mcp-Param-Priority: -7; Mcp-Param-Urgent: true; Mcp-Param-Zone: =?base64?w7Y=?=", status: 200, want: "routed"},
		"no parameters":         {body: route(`{"target":{"zone":null}}`), headers: "Mcp-Name: route", status: 200, want: "routed"},
		"parameter missing":     {body: route(`{"region":"us"}`), headers: "Mcp-Name: route", status: 400, want: "-32020"},
		"parameter differs":     {body: route(`{"region":"us"}`), headers: "Mcp-Name: route; Mcp-Param-Region: US", status: 400, want: "-32020"},
		"parameter of null":     {body: route(`{"region":null}`), headers: "Mcp-Name: route; Mcp-Param-Region: null", status: 400, want: "-32020"},
		"parameter is padded":   {body: route(`{"region":" us"}`), headers: "Mcp-Name: route; Mcp-Param-Region:  us", status: 400, want: "-32020"},
		"parameter looks coded": {body: route(`{"region":"=?base64?literal?="}`), headers: "Mcp-Name: route; Mcp-Param-Region: =?base64?literal?=", status: 400, want: "-32020"},
		"integer in words":      {body: route(`{"priority":1}`), headers: "Mcp-Name: route; Mcp-Param-Priority: 1.0", status: 400, want: "-32020"},
		"nobody can be asked":   {body: strings.Replace(modern("tools/call", `"name":"ask",`), `"elicitation":{"form":{}}`, `"elicitation":{"url":{}}`, 1), headers: "Mcp-Name: ask", status: 400, want: `"code":-32021,"message":"The client can't be asked","data":{"requiredCapabilities":{"elicitation":{"form":{}}}}`},
		"an unknown state":      {body: modern("tools/call", `"name":"ask","requestState":"x","inputResponses":{},`), headers: "Mcp-Name: ask", status: 200, want: "-32602"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, bridgetest.Config{Versions: bridgetest.Modern, Stream: true})
			h := http.Header{"Mcp-Protocol-Version": {"2026-07-28"}, "Mcp-Method": {methodOf(test.body)}}
			for header := range strings.SplitSeq(test.headers, "; ") {
				if name, value, _ := strings.Cut(header, ": "); value == "-" {
					delete(h, name)
				} else if name != "" {
					h[http.CanonicalHeaderKey(name)] = []string{value}
				}
			}
			if test.http == "" {
				test.http = "POST"
			}
			res, body := do(t, s, test.http, h, test.body)
			if res.StatusCode != test.status || !strings.Contains(body, test.want) {
				t.Errorf("got %d %s, want %d %s", res.StatusCode, body, test.status, test.want)
			}
			if s.Sessions() > 0 || res.Header.Get("Mcp-Session-Id") != "" {
				t.Error("there is a session")
			}
		})
	}
}

// methodOf returns the method of a message.
func methodOf(body string) string {
	_, method, _ := strings.Cut(body, `"method":"`)
	method, _, _ = strings.Cut(method, `"`)
	return method
}

// A server of both eras goes by what a message says of itself.
func TestDual(t *testing.T) {
	s := newServer(t, bridgetest.Config{Versions: bridgetest.Dual})
	h := http.Header{"Mcp-Protocol-Version": {"2026-07-28"}, "Mcp-Method": {"server/discover"}}
	if _, body := do(t, s, "POST", h, modern("server/discover", "")); !strings.Contains(body, `"supportedVersions":["2026-07-28","2025-11-25","2025-06-18","2025-03-26","2024-11-05"]`) {
		t.Errorf("server/discover: %s", body)
	}
	for asked, given := range map[string]string{"2025-06-18": "2025-06-18", "2026-07-28": "2025-11-25"} {
		res, body := do(t, s, "POST", nil, strings.Replace(initialize, "2025-06-18", asked, 1))
		if !strings.Contains(body, `"protocolVersion":"`+given+`"`) || res.Header.Get("Mcp-Session-Id") == "" {
			t.Errorf("initialize at %s: %s", asked, body)
		}
	}
}

// A retry has the state, an id of its own and the arguments of the first call (spec 5.33 to 5.35).
func TestModernAsk(t *testing.T) {
	s := newServer(t, bridgetest.Config{Versions: bridgetest.Modern})
	h := http.Header{"Mcp-Protocol-Version": {"2026-07-28"}, "Mcp-Method": {"tools/call"}, "Mcp-Name": {"ask"}}
	ask := func(id, members string) string {
		_, body := do(t, s, "POST", h, strings.Replace(modern("tools/call", `"name":"ask",`+members), `"id":1`, `"id":`+id, 1))
		return body
	}
	for name, test := range map[string]struct{ id, members, want string }{
		"good":            {"2", `"arguments":{},"inputResponses":{"name":{"action":"accept","content":{"name":"Ada"}}},`, `"structuredContent":{"action":"accept","content":{"name":"Ada"}}`},
		"nothing is said": {"2", `"arguments":{},"inputResponses":{},`, `"resultType":"input_required"`},
		"the same id":     {"1", `"arguments":{},"inputResponses":{},`, "-32602"},
		"other arguments": {"2", `"arguments":{"x":1},"inputResponses":{},`, "-32602"},
	} {
		t.Run(name, func(t *testing.T) {
			first := ask("1", `"arguments":{},`)
			_, state, ok := strings.Cut(first, `"requestState":`)
			if !ok {
				t.Fatalf("the first answer: %s", first)
			}
			state = strings.TrimSuffix(state, "}}")
			if got := ask(test.id, test.members+`"requestState":`+state+`,`); !strings.Contains(got, test.want) {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

// A listener hears of what it asked for and of nothing else, under its id, after an acknowledgement
// (spec 5.50 to 5.53). When it leaves, the server notices.
func TestListen(t *testing.T) {
	s := newServer(t, bridgetest.Config{Versions: bridgetest.Modern})
	h := http.Header{"Mcp-Protocol-Version": {"2026-07-28"}, "Mcp-Method": {"subscriptions/listen"}}
	stream := send(t, s, "POST", h, strings.Replace(
		modern("subscriptions/listen", `"notifications":{"toolsListChanged":true,"resourceSubscriptions":["test://a","test://none"]},`), `"id":1`, `"id":"l"`, 1))
	lines := bufio.NewScanner(stream.Body)
	next := func() string {
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				return data
			}
		}
		t.Fatalf("the stream ended: %v", lines.Err())
		return ""
	}
	const id = `"_meta":{"io.modelcontextprotocol/subscriptionId":"l"}`
	if got, want := next(), `{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{`+id+`,"notifications":{"toolsListChanged":true,"resourceSubscriptions":["test://a"]}}}`; got != want {
		t.Errorf("the acknowledgement is\n%s, want\n%s", got, want)
	}
	wait(t, s, "the stream", func() bool { return s.Streams() == 1 })
	for _, params := range []string{`prompts/list_changed"`, `resources/updated","params":{"uri":"test://b/ö"}`, `resources/updated","params":{"uri":"test://a/part"}`, `tools/list_changed"`} {
		s.Notify(`{"jsonrpc":"2.0","method":"notifications/` + params + `}`)
	}
	for _, want := range []string{
		`{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{` + id + `,"uri":"test://a/part"}}`,
		`{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{` + id + `}}`,
	} {
		if got := next(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	stream.Body.Close()
	wait(t, s, "the end", func() bool { return s.Aborted("subscriptions/listen") == 1 && s.Streams() == 0 })
}

// A request that was answered is not one that the client left.
func TestAborted(t *testing.T) {
	s := newServer(t, bridgetest.Config{Versions: bridgetest.Modern, Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
		if r.Method == "slow" || r.Method == "answered" {
			if r.Method == "answered" {
				_ = r.Events(w).Result("{}")
			}
			<-r.Context().Done()
			return true
		}
		return false
	}})
	for _, method := range []string{"answered", "slow"} {
		ctx, leave := context.WithCancel(t.Context())
		gone := make(chan struct{})
		go func() { // ends when the context does
			defer close(gone)
			if res, err := http.DefaultClient.Do(request(t, s, "POST", nil, modern(method, "")).WithContext(ctx)); err == nil {
				<-ctx.Done()
				res.Body.Close()
			}
		}()
		wait(t, s, "the request", func() bool { return s.Count(method) == 1 })
		leave()
		<-gone
	}
	wait(t, s, "the end", func() bool { return s.Aborted("slow") == 1 })
	if n := s.Aborted("answered"); n > 0 {
		t.Error("a request that was answered counts as left")
	}
}

// mcp-go's client takes a modern server for one, and finds all that it has.
func TestForeignModernClient(t *testing.T) {
	for name, cfg := range map[string]bridgetest.Config{
		"JSON": {Versions: bridgetest.Modern},
		"SSE":  {Versions: bridgetest.Modern, SSE: true},
		"dual": {Versions: bridgetest.Dual},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, cfg)
			way, err := transport.NewStreamableHTTP(s.URL())
			if err != nil {
				t.Fatal(err)
			}
			c := client.NewClient(way, client.WithElicitationHandler(ada{}))
			t.Cleanup(func() { _ = c.Close() })
			if err := c.Start(context.Background()); err != nil {
				t.Fatal(err)
			}
			var req mcp.InitializeRequest
			req.Params.ProtocolVersion = "2026-07-28"
			req.Params.ClientInfo = mcp.Implementation{Name: "test", Version: "0"}
			if _, err := c.Initialize(t.Context(), req); err != nil {
				t.Fatalf("connecting: %v", err)
			}
			if tools, err := c.ListTools(t.Context(), mcp.ListToolsRequest{}); err != nil || len(tools.Tools) != 5 {
				t.Fatalf("tools/list: %v, %v", tools, err)
			}
			for _, call := range []struct {
				tool string
				args map[string]any
				want string
			}{
				{"echo", map[string]any{"text": "<&> é"}, "<&> é"},
				{"count", map[string]any{"to": 3}, "counted to 3"},
				{"route", map[string]any{"region": " é ", "priority": 3, "urgent": false, "target": map[string]any{"zone": "z"}}, "routed"},
				{"ask", map[string]any{}, `answered: {"action":"accept","content":{"name":"Ada"}}`},
			} {
				if got := text(t, c, call.tool, call.args); got != call.want {
					t.Errorf("%s: got %q, want %q", call.tool, got, call.want)
				}
			}
			if s.Count("server/discover") != 1 || s.Count("initialize") != 0 || s.Sessions() != 0 {
				t.Errorf("the server got %v", s.Requests())
			}
		})
	}
}
