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

// startModern starts a server of 2026-07-28, and a host of the same that knows its tools.
func startModern(t testing.TB, sc bridgetest.Config) (*host, *bridgetest.Server) {
	t.Helper()
	if sc.Versions == nil {
		sc.Versions = bridgetest.Modern
	}
	h, s := startWith(t, sc, bridge.Config{}, "")
	h.send(modern(`"tools"`, "tools/list", ""))
	resultOf(t, h.answer(`"tools"`))
	return h, s
}

// lastRequest returns the last request of a name that a server got.
func lastRequest(t testing.TB, s *bridgetest.Server, name string) *bridgetest.Request {
	t.Helper()
	for _, r := range slices.Backward(s.Requests()) {
		if r.String() == name {
			return r
		}
	}
	t.Fatalf("there was no %s", name)
	return nil
}

var ways = map[string]bridgetest.Config{"JSON": {}, "SSE": {SSE: true}}

// Where both sides speak 2026-07-28 every byte passes both ways: ids, numbers, escapes, white space,
// _meta with what nobody knows, cache hints (spec 6.62, 1.07).
func TestModern_Bytes(t *testing.T) {
	t.Parallel()
	const meta = `"_meta":{"x":1.0,"io.modelcontextprotocol/clientCapabilities":{"experimental":{"n":9007199254740993},"extensions":{"com.example/x":{"a":1e2}}},` +
		`"io.modelcontextprotocol/protocolVersion":"2026-07-28","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","tracestate":"a=b","progressToken":"\u0031"}`
	for way, sc := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			h, s := startModern(t, sc)
			for i, id := range []string{"0", `"0"`, "9007199254740993", `""`, "-1", `"\u0041"`} {
				arguments := fmt.Sprintf(`{"text":"\u00e9<&>","n":[9223372036854775807,1.0,1E400],"f":1.00,"i":%d,  "f":1.0}`, i)
				sent := `{"params":{"arguments":` + arguments + `, ` + meta + `,"name":"echo"},"id":` + id + `,"x":null,"method":"tools/call","jsonrpc":"2.0"}`
				h.send(sent)
				want := `{"jsonrpc":"2.0","id":` + id + `,"result":{"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"bridgetest","version":"1.0.0"}},` +
					`"content":[{"type":"text","text":"\u00e9<&>"}],"structuredContent":` + arguments + `}}`
				if got := string(h.answer(id)); got != want {
					t.Errorf("the host got\n%s, want\n%s", got, want)
				}
				if got := string(lastRequest(t, s, "tools/call").Body); got != sent {
					t.Errorf("the server got\n%s, want\n%s", got, sent)
				}
			}
			wantNothingMore(t, h)
		})
	}
}

// The answer to the host's own server/discover is the server's, byte for byte, also where it is the
// probe by which the bridge finds the era.
func TestModern_DiscoverIsRelayed(t *testing.T) {
	t.Parallel()
	for _, versions := range [][]string{bridgetest.Modern, bridgetest.Dual} {
		const result = `{"supportedVersions":["2026-07-28"],  "capabilities":{"experimental":{"n":1.0}},"resultType":"complete","instructions":"\u00e9","x":[1e2],"ttlMs":0,"cacheScope":"private"}`
		h, s := startWith(t, bridgetest.Config{Versions: versions, Handle: always(discovers, answers(result))}, bridge.Config{}, "")
		for _, id := range []string{`"d"`, "1"} {
			sent := modern(id, discovers, "")
			h.send(sent)
			if got, want := string(h.answer(id)), `{"jsonrpc":"2.0","id":`+id+`,"result":`+result+`}`; got != want {
				t.Errorf("the host got\n%s, want\n%s", got, want)
			}
			if got := string(lastRequest(t, s, discovers).Body); got != sent {
				t.Errorf("the server got\n%s, want\n%s", got, sent)
			}
		}
		wantNothingMore(t, h)
	}
}

// Every request carries the headers of 2026-07-28, and no other: no session, nothing to resume by
// (spec 2.02, 2.03, 2.38 to 2.41, 2.43, 2.61).
func TestModern_Headers(t *testing.T) {
	t.Parallel()
	common := map[string]string{"Accept": "application/json, text/event-stream", "Content-Type": "application/json", "Mcp-Protocol-Version": "2026-07-28", "X-User": "u"}
	for name, test := range map[string]struct{ method, members, name string }{
		"tools/call":             {"tools/call", `"name":"add","arguments":{"a":1,"b":2},`, "add"},
		"tools/list":             {"tools/list", "", ""},
		"prompts/list":           {"prompts/list", "", ""},
		"prompts/get":            {"prompts/get", `"name":"greet","arguments":{"name":"Ada"},`, "greet"},
		"resources/list":         {"resources/list", "", ""},
		"resources/templates":    {"resources/templates/list", "", ""},
		"resources/read":         {"resources/read", `"uri":"test://a",`, "test://a"},
		"resources/read, coded":  {"resources/read", `"uri":"test://b/\u00f6",`, "=?base64?dGVzdDovL2Ivw7Y=?="},
		"completion/complete":    {"completion/complete", `"ref":{"type":"ref/prompt","name":"greet"},"argument":{"name":"name","value":"A"},`, ""},
		"tasks/get":              {"tasks/get", `"taskId":"t 1",`, "t 1"},
		"tasks/update":           {"tasks/update", `"taskId":"t1","name":"x",`, "t1"},
		"tasks/cancel":           {"tasks/cancel", `"taskId":" t1",`, "=?base64?IHQx?="},
		"a method of its own":    {"example.com/do", `"name":"x","uri":"y",`, ""},
		"tools/call, world":      {"tools/call", `"name":"Hello, 世界",`, "=?base64?SGVsbG8sIOS4lueVjA==?="},
		"tools/call, padded":     {"tools/call", `"name":" padded ",`, "=?base64?IHBhZGRlZCA=?="},
		"tools/call, two lines":  {"tools/call", `"name":"line1\nline2",`, "=?base64?bGluZTEKbGluZTI=?="},
		"tools/call, like coded": {"tools/call", `"name":"=?base64?literal?=",`, "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="},
		"tools/call, escapes":    {"tools/call", `"name":"\u0061\/b",`, "a/b"},
		"the last name counts":   {"tools/call", `"name":"x","name":"add",`, "add"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, s := startWith(t, bridgetest.Config{Versions: bridgetest.Modern, Handle: func(w http.ResponseWriter, _ *bridgetest.Request) bool {
				w.Header().Set("Mcp-Session-Id", "S1") // a modern bridge has no use for it
				return false
			}}, bridge.Config{Header: http.Header{"X-User": {"u"}, "Mcp-Method": {"user"}, "Mcp-Name": {"user"}, "Mcp-Protocol-Version": {"user"}}}, "")
			h.send(modern("1", discovers, ""))
			h.answer("1")
			h.send(modern("2", test.method, test.members))
			h.answer("2")
			want := with(common, "Mcp-Method", test.method)
			if test.name != "" {
				want["Mcp-Name"] = test.name
			}
			if got := headersOf(lastRequest(t, s, test.method)); !maps.Equal(got, want) {
				t.Errorf("got headers\n%v, want\n%v", got, want)
			}
			wantNothingMore(t, h)
			for _, method := range []string{http.MethodGet, http.MethodDelete} { // spec 2.43
				if n := countHTTP(s, method); n > 0 {
					t.Errorf("the server got %q", names(s))
				}
			}
		})
	}
}

// routes are arguments of the tool "route", and the Mcp-Param-* headers that repeat them (spec 2.52
// to 2.63, 2.66).
var routes = map[string]struct {
	arguments string
	want      map[string]string
}{
	"nothing":         {`{}`, nil},
	"null":            {`{"region":null,"target":{"zone":null},"target2":{"zone":"x"}}`, nil},
	"no object":       {`{"target":"zone"}`, nil},
	"a string":        {`{"region":"us-west1"}`, map[string]string{"Region": "us-west1"}},
	"inner spaces":    {`{"region":"us west 1"}`, map[string]string{"Region": "us west 1"}},
	"empty":           {`{"region":""}`, map[string]string{"Region": ""}},
	"not ASCII":       {`{"region":"Hello, 世界"}`, map[string]string{"Region": "=?base64?SGVsbG8sIOS4lueVjA==?="}},
	"padded":          {`{"region":" padded "}`, map[string]string{"Region": "=?base64?IHBhZGRlZCA=?="}},
	"two lines":       {`{"region":"line1\nline2"}`, map[string]string{"Region": "=?base64?bGluZTEKbGluZTI=?="}},
	"inner tab":       {`{"region":"a\tb"}`, map[string]string{"Region": "=?base64?YQli?="}},
	"like coded":      {`{"region":"=?base64?literal?="}`, map[string]string{"Region": "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="}},
	"not quite coded": {`{"region":"=?BASE64?literal?="}`, map[string]string{"Region": "=?BASE64?literal?="}},
	"delete":          {`{"region":"a\u007fb"}`, map[string]string{"Region": "=?base64?YX9i?="}},
	"integer":         {`{"priority":42}`, map[string]string{"Priority": "42"}},
	"negative":        {`{"priority":-7}`, map[string]string{"Priority": "-7"}},
	"zero":            {`{"priority":0}`, map[string]string{"Priority": "0"}},
	"largest":         {`{"priority":9007199254740991}`, map[string]string{"Priority": "9007199254740991"}},
	"smallest":        {`{"priority":-9007199254740991}`, map[string]string{"Priority": "-9007199254740991"}},
	"integer as 1e2":  {`{"priority":1e2}`, map[string]string{"Priority": "100"}},
	"true":            {`{"urgent":true}`, map[string]string{"Urgent": "true"}},
	"false":           {`{"urgent":false}`, map[string]string{"Urgent": "false"}},
	"nested":          {`{"target":{"zone":"z1"},"zone":"z2"}`, map[string]string{"Zone": "z1"}},
	"Method":          {`{"method":"m"}`, map[string]string{"Method": "m"}},
	"all":             {`{"region":"r","priority":1,"urgent":true,"method":"m","target":{"zone":"z"}}`, map[string]string{"Region": "r", "Priority": "1", "Urgent": "true", "Method": "m", "Zone": "z"}},
}

// paramsOf returns the Mcp-Param-* headers of a request, by the rest of their names.
func paramsOf(r *bridgetest.Request) map[string]string {
	params := make(map[string]string)
	for name, values := range r.Header {
		if name, ok := strings.CutPrefix(name, "Mcp-Param-"); ok {
			params[name] = strings.Join(values, " | ")
		}
	}
	return params
}

func TestModern_ParamHeaders(t *testing.T) {
	t.Parallel()
	for name, test := range routes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, s := startModern(t, bridgetest.Config{})
			h.send(modern("1", "tools/call", `"name":"route","arguments":`+test.arguments+`,`))
			wantResult(t, h, "1")
			if got := paramsOf(lastRequest(t, s, "tools/call")); !maps.Equal(got, test.want) {
				t.Errorf("got the headers %v, want %v", got, test.want)
			}
			if s.Count("tools/call") != 1 || s.Count("tools/list") != 1 {
				t.Errorf("the server got %q", names(s))
			}
			wantNothingMore(t, h)
		})
	}
}

// A host that calls a tool without having listed the tools needs the headers too: it is the bridge
// that finds out (spec 2.54). The tool runs once.
func TestModern_ParamHeadersWithoutAList(t *testing.T) {
	t.Parallel()
	h, s := startWith(t, bridgetest.Config{Versions: bridgetest.Modern}, bridge.Config{}, "")
	for _, id := range []string{"1", "2"} {
		h.send(modern(id, "tools/call", `"name":"route","arguments":{"region":"r"},`))
		wantResult(t, h, id)
	}
	wantNothingMore(t, h)
	if got := paramsOf(lastRequest(t, s, "tools/call")); got["Region"] != "r" {
		t.Errorf("got the headers %v", got)
	}
	if n := s.Count("tools/list"); n != 1 {
		t.Errorf("the server got %q", names(s))
	}
}

// An integer that a header can't carry is refused here: the server never sees the call (spec 2.57).
func TestModern_ParamOutOfRange(t *testing.T) {
	t.Parallel()
	for _, n := range []string{"9007199254740992", "-9007199254740992", "1e300", "123456789012345678901234567890"} {
		h, s := startModern(t, bridgetest.Config{})
		h.send(modern("1", "tools/call", `"name":"route","arguments":{"priority":`+n+`},`))
		answer := h.answer("1")
		if e := errorOf(t, answer); e.Code != -32602 || !strings.Contains(e.Message, "priority") {
			t.Errorf("%s: the error is %s, want -32602 that names the argument", n, answer)
		}
		wantNothingMore(t, h)
		if n := s.Count("tools/call"); n > 0 {
			t.Errorf("the server got %q", names(s))
		}
	}
}

// The tool schemas of a test: what stands in inputSchema, and whether the tool is a valid one (spec
// 2.56; 8.07 for a type that may be null).
var annotated = map[string]struct {
	schema string
	valid  bool
}{
	"string":                      {`{"type":"object","properties":{"a":{"type":"string","x-mcp-header":"A"}}}`, true},
	"nested":                      {`{"type":"object","properties":{"a":{"type":"object","properties":{"b":{"type":"integer","x-mcp-header":"A"}}}}}`, true},
	"may be null":                 {`{"type":"object","properties":{"a":{"type":["string","null"],"x-mcp-header":"A"}}}`, true},
	"all token characters":        {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\",\"x-mcp-header\":\"!#$%&'*+-.^_`|~09azAZ\"}}}", true},
	"a property of that name":     {`{"type":"object","properties":{"x-mcp-header":{"type":"number"},"items":{"type":"string","x-mcp-header":"A"}}}`, true},
	"no annotation":               {`{"type":"object","properties":{"a":{"type":"array","items":{"type":"number"}}}}`, true},
	"any schema of 2020-12":       {`{"type":"object","oneOf":[{"required":["a"]},{"required":["b"]}],"$defs":{"x":{"type":"number"}}}`, true},
	"empty":                       {`{"type":"object","properties":{"a":{"type":"string","x-mcp-header":""}}}`, false},
	"a space":                     {`{"type":"object","properties":{"a":{"type":"string","x-mcp-header":"A B"}}}`, false},
	"a colon":                     {`{"type":"object","properties":{"a":{"type":"string","x-mcp-header":"A:"}}}`, false},
	"a line break":                {`{"type":"object","properties":{"a":{"type":"string","x-mcp-header":"A\r\nB: c"}}}`, false},
	"not ASCII":                   {`{"type":"object","properties":{"a":{"type":"string","x-mcp-header":"Ä"}}}`, false},
	"no string":                   {`{"type":"object","properties":{"a":{"type":"string","x-mcp-header":1}}}`, false},
	"twice":                       {`{"type":"object","properties":{"a":{"type":"string","x-mcp-header":"A"},"b":{"type":"string","x-mcp-header":"a"}}}`, false},
	"twice, nested":               {`{"type":"object","properties":{"a":{"type":"string","x-mcp-header":"A"},"b":{"type":"object","properties":{"c":{"type":"string","x-mcp-header":"a"}}}}}`, false},
	"number":                      {`{"type":"object","properties":{"a":{"type":"number","x-mcp-header":"A"}}}`, false},
	"object":                      {`{"type":"object","properties":{"a":{"type":"object","x-mcp-header":"A"}}}`, false},
	"array":                       {`{"type":"object","properties":{"a":{"type":"array","items":{"type":"string"},"x-mcp-header":"A"}}}`, false},
	"no type":                     {`{"type":"object","properties":{"a":{"x-mcp-header":"A"}}}`, false},
	"null alone":                  {`{"type":"object","properties":{"a":{"type":"null","x-mcp-header":"A"}}}`, false},
	"string or number":            {`{"type":"object","properties":{"a":{"type":["string","number"],"x-mcp-header":"A"}}}`, false},
	"on the whole":                {`{"type":"object","x-mcp-header":"A","properties":{}}`, false},
	"under items":                 {`{"type":"object","properties":{"a":{"type":"array","items":{"type":"object","properties":{"b":{"type":"string","x-mcp-header":"A"}}}}}}`, false},
	"under oneOf":                 {`{"type":"object","oneOf":[{"properties":{"b":{"type":"string","x-mcp-header":"A"}}}]}`, false},
	"under anyOf of a property":   {`{"type":"object","properties":{"a":{"anyOf":[{"type":"string","x-mcp-header":"A"}]}}}`, false},
	"under allOf":                 {`{"type":"object","allOf":[{"properties":{"b":{"type":"string","x-mcp-header":"A"}}}]}`, false},
	"under not":                   {`{"type":"object","not":{"properties":{"b":{"type":"string","x-mcp-header":"A"}}}}`, false},
	"under if":                    {`{"type":"object","if":{"properties":{"b":{"type":"string","x-mcp-header":"A"}}}}`, false},
	"under then":                  {`{"type":"object","then":{"properties":{"b":{"type":"string","x-mcp-header":"A"}}}}`, false},
	"under else":                  {`{"type":"object","else":{"properties":{"b":{"type":"string","x-mcp-header":"A"}}}}`, false},
	"behind $ref":                 {`{"type":"object","properties":{"a":{"$ref":"#/$defs/x"}},"$defs":{"x":{"type":"string","x-mcp-header":"A"}}}`, false},
	"under patternProperties":     {`{"type":"object","patternProperties":{"^a":{"type":"string","x-mcp-header":"A"}}}`, false},
	"under additional properties": {`{"type":"object","additionalProperties":{"type":"string","x-mcp-header":"A"}}`, false},
}

// A tool whose annotation is invalid is not listed, with a warning that names it; the others are, to
// the byte (spec 2.55, 2.56, 6.65).
func TestModern_InvalidTools(t *testing.T) {
	t.Parallel()
	for name, test := range annotated {
		for way, sc := range ways {
			t.Run(name+", "+way, func(t *testing.T) {
				t.Parallel()
				const first, last = `{"name":"first","n":1.0,  "inputSchema":{"type":"object"}}`, `{"inputSchema":{"type":"object","x":[1e2]},"name":"last"}`
				tool := `{"name":"the-tool","inputSchema":` + test.schema + `}`
				list := func(tools ...string) string {
					return `{"resultType":"complete","tools":[` + strings.Join(tools, ",") + `],"nextCursor":"","ttlMs":1.0,"cacheScope":"public"}`
				}
				sc.Versions, sc.Handle = bridgetest.Modern, always("tools/list", answers(list(first, tool, last)))
				h, _ := startWith(t, sc, bridge.Config{}, "")
				h.send(modern("1", "tools/list", ""))
				got := string(h.answer("1"))
				if test.valid {
					if want := `{"jsonrpc":"2.0","id":1,"result":` + list(first, tool, last) + `}`; got != want {
						t.Errorf("the host got\n%s, want\n%s", got, want)
					}
				} else {
					wantJSON(t, "the list", resultOf(t, []byte(got)), list(first, last))
					if !strings.Contains(got, first) || !strings.Contains(got, last) {
						t.Errorf("the tools beside changed: %s", got)
					}
				}
				warned := strings.Contains(h.logs(), "level=WARN") && strings.Contains(h.logs(), "the-tool")
				if warned == test.valid {
					t.Errorf("a warning: %v, and the tool is valid: %v", warned, test.valid)
				}
				wantNothingMore(t, h)
			})
		}
	}
}

// Where headers don't fit the server's schema any more, the schema is fetched anew and the call is
// made once more; the host sees the result only (spec 2.64).
func TestModern_StaleSchema(t *testing.T) {
	t.Parallel()
	const stale = `{"resultType":"complete","tools":[{"name":"route","inputSchema":{"type":"object"}}],"ttlMs":3600000,"cacheScope":"public"}`
	h, s := startModern(t, bridgetest.Config{Handle: once("tools/list", answers(stale))})
	sent := modern("1", "tools/call", `"name":"route","arguments":{"region":"r"},`)
	h.send(sent)
	wantResult(t, h, "1")
	wantNothingMore(t, h)
	if got, want := plainNames(s), []string{discovers, "tools/list", "tools/call", "tools/list", "tools/call"}; !slices.Equal(got, want) {
		t.Errorf("the server got %q, want %q", got, want)
	}
	if got := paramsOf(lastRequest(t, s, "tools/call")); got["Region"] != "r" {
		t.Errorf("got the headers %v", got)
	}
}

// That is done once. The error is none of the host's doing, so it does not get to see -32020 (spec
// 2.64, 5H).
func TestModern_HeaderMismatchForEver(t *testing.T) {
	t.Parallel()
	h, s := startModern(t, bridgetest.Config{Handle: always("tools/call", fails(400, `{"code":-32020,"message":"Mcp-Param-X is missing"}`))})
	h.send(modern("1", "tools/call", `"name":"route","arguments":{},`))
	wantFailure(t, h, "1", "Mcp-Param-X is missing")
	wantNothingMore(t, h)
	if n := s.Count("tools/call"); n != 2 {
		t.Errorf("the server got %q", names(s))
	}
}

// Lists of several pages make up the schemas together.
func TestModern_SchemasOnPages(t *testing.T) {
	t.Parallel()
	page := func(w http.ResponseWriter, r *bridgetest.Request) bool {
		if r.Method != "tools/list" || !strict(w, r) {
			return r.Method == "tools/list"
		}
		if strings.Contains(string(r.Params), `"cursor":"2"`) {
			r.Answer(w, `{"resultType":"complete","tools":[{"name":"late","inputSchema":{"type":"object"}}]}`)
		} else {
			r.Answer(w, `{"resultType":"complete","tools":[{"name":"route","inputSchema":{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"}}}}],"nextCursor":"2"}`)
		}
		return true
	}
	h, s := startModern(t, bridgetest.Config{Handle: page})
	h.send(modern("1", "tools/list", `"cursor":"2",`))
	wantResult(t, h, "1")
	h.send(modern("2", "tools/call", `"name":"route","arguments":{"region":"r"},`))
	wantResult(t, h, "2")
	wantNothingMore(t, h)
	if n := s.Count("tools/call"); n != 1 {
		t.Errorf("the server got %q", names(s))
	}
}

// To cancel is to close the stream: nothing is POSTed, the server notices, and the host hears nothing
// more of the request, not even progress (spec 1.56, 2F, 6.63). mcp-remote POSTs the notification.
func TestModern_CancelClosesTheStream(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(w http.ResponseWriter, r *bridgetest.Request){
		"before the answer begins": held,
		"on an open stream":        open,
		"amid progress": func(w http.ResponseWriter, r *bridgetest.Request) {
			e := r.Events(w)
			for e.Send(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}`) == nil {
				select {
				case <-r.Context().Done():
					return
				case <-time.After(time.Millisecond):
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, s := startModern(t, bridgetest.Config{Handle: always("tools/call", begin)})
			h.send(modern(`"c"`, "tools/call", `"name":"add",`))
			arrives(t, s, "tools/call", 1)
			h.send(cancel(`"c"`))
			eventually(t, "the server notices", func() bool { return s.Aborted("tools/call") == 1 })
			if !strings.Contains(h.logs(), "a change of mind") { // spec 1.60
				t.Error("the log does not say why")
			}
			h.send(modern("2", "tools/list", ""))
			wantResult(t, h, "2")
			if rest := h.end(); len(rest) > 0 {
				t.Errorf("after the cancellation this came: %q", rest)
			}
			for _, line := range h.others {
				if !strings.Contains(line, "notifications/progress") {
					t.Errorf("this came: %s", line)
				}
			}
			if n := s.Count("notifications/cancelled"); n > 0 {
				t.Errorf("the server got %q", names(s))
			}
		})
	}
}

// A cancellation of what is not under way is the bridge's to drop: a modern server knows no such
// notification (spec 1.58, 6.63). A cancelled id may be used again.
func TestModern_CancelNothing(t *testing.T) {
	t.Parallel()
	h, s := startModern(t, bridgetest.Config{})
	h.send(modern("1", "tools/list", ""))
	wantResult(t, h, "1")
	h.send(cancel("1"))
	h.send(cancel("77"))
	h.send(`{"jsonrpc":"2.0","method":"notifications/cancelled"}`)
	h.send(modern("1", "tools/list", ""))
	wantResult(t, h, "1")
	wantNothingMore(t, h)
	if n := s.Count("notifications/cancelled"); n > 0 {
		t.Errorf("the server got %q", names(s))
	}
}

// A request that was cancelled before it was sent is never sent.
func TestModern_CancelUnsent(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	h, s := startWith(t, bridgetest.Config{Versions: bridgetest.Modern, Handle: always("tools/call", func(w http.ResponseWriter, r *bridgetest.Request) {
		select {
		case <-release:
			r.Answer(w, `{"resultType":"complete","content":[]}`)
		case <-r.Context().Done():
		}
	})}, bridge.Config{MaxInFlight: 1}, "")
	h.send(modern(`"t"`, "tools/list", ""))
	h.answer(`"t"`)
	h.send(modern("1", "tools/call", `"name":"add",`))
	arrives(t, s, "tools/call", 1)
	h.send(modern("2", "prompts/list", ""))
	h.send(cancel("2"))
	h.send(modern("3", "resources/list", ""))
	close(release)
	wantIDs(t, h.end(), "1", "3")
	if n := s.Count("prompts/list") + s.Count("notifications/cancelled"); n > 0 {
		t.Errorf("the server got %q", names(s))
	}
}

// At the end of the input requests under way are given up by closing their streams, with nothing
// said to the server besides (spec 1.64, 2.43).
func TestModern_End(t *testing.T) {
	inFakeTime(t, bridgetest.Config{Versions: bridgetest.Modern, Handle: always("prompts/list", held)}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
		h := startHost(t, cfg)
		h.send(modern("1", "prompts/list", ""))
		arrives(t, s, "prompts/list", 1)
		lines := h.end()
		wantIDs(t, lines, "1")
		errorOf(t, []byte(lines[0]))
		if got, want := plainNames(s), []string{discovers, "prompts/list"}; !slices.Equal(got, want) {
			t.Errorf("the server got %q, want %q", got, want)
		}
	})
}

// An answer that asks for input passes untouched, and so does the host's second call with what its
// user said and the state, byte for byte (spec 6.62, 5.34). The server checks that too.
func TestModern_InputRequired(t *testing.T) {
	t.Parallel()
	for way, sc := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			h, s := startModern(t, sc)
			elicits := strings.NewReplacer(`"io.modelcontextprotocol/clientCapabilities":{}`, `"io.modelcontextprotocol/clientCapabilities":{"elicitation":{}}`)
			h.send(elicits.Replace(modern("1", "tools/call", `"name":"ask","arguments":{"x":1.0},`)))
			first := h.answer("1")
			state := member(resultOf(t, first), "requestState")
			if state == nil || !strings.Contains(string(member(first, "result", "inputRequests", "name", "method")), "elicitation/create") {
				t.Fatalf("the host got %s", first)
			}
			retry := elicits.Replace(modern("2", "tools/call", `"inputResponses":{"name":{"action":"accept","content":{"name":"\u0041da","n":1.0}}},"requestState":`+string(state)+`,"name":"ask","arguments":{"x":1.0},`))
			h.send(retry)
			wantJSON(t, "the result", member(resultOf(t, h.answer("2")), "structuredContent"), `{"action":"accept","content":{"name":"Ada","n":1.0}}`)
			if got := string(lastRequest(t, s, "tools/call").Body); got != retry {
				t.Errorf("the server got\n%s, want\n%s", got, retry)
			}
			wantNothingMore(t, h)
		})
	}
}

// The server's errors are the host's to see, whatever the status they come under (spec 2.49, 2.50).
func TestModern_Errors(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status int
		error  string
	}{
		"unknown method":      {404, `{"code":-32601,"message":"Method not found","data":1.0}`},
		"bad parameters":      {400, `{"code":-32602,"message":"Invalid params"}`},
		"under 200":           {200, `{"code":-32602,"message":"Unknown tool"}`},
		"missing capability":  {400, `{"code":-32021,"message":"?","data":{"requiredCapabilities":{"sampling":{}}}}`},
		"one of the server's": {500, `{"code":-31000,"message":"own"}`},
		"an old one":          {200, `{"code":-32002,"message":"Resource not found"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, s := startModern(t, bridgetest.Config{Handle: always("prompts/get", fails(test.status, test.error))})
			h.send(modern("1", "prompts/get", `"name":"greet",`))
			if got, want := string(h.answer("1")), `{"jsonrpc":"2.0","id":1,"error":`+test.error+`}`; got != want {
				t.Errorf("the host got\n%s, want\n%s", got, want)
			}
			wantNothingMore(t, h)
			if n := s.Count("prompts/get"); n != 1 {
				t.Errorf("the server got %q", names(s))
			}
		})
	}
}

// A request at a version that the bridge does not know is told which ones there are (spec 1.39, 5H);
// one without capabilities is told that it needs them (spec 1.40).
func TestModern_BadMeta(t *testing.T) {
	t.Parallel()
	h, _ := startModern(t, bridgetest.Config{})
	h.send(strings.Replace(modern("1", "tools/list", ""), "2026-07-28", "2099-01-01", 1))
	answer := h.answer("1")
	if e := errorOf(t, answer); e.Code != -32022 || !strings.Contains(string(member(answer, "error", "data", "supported")), "2026-07-28") {
		t.Errorf("the error is %s, want -32022 with the versions that there are", answer)
	}
	wantJSON(t, "data.requested", member(answer, "error", "data", "requested"), `"2099-01-01"`)
	h.send(strings.Replace(modern("2", "tools/list", ""), `,"io.modelcontextprotocol/clientCapabilities":{}`, "", 1))
	if e := errorOf(t, h.answer("2")); e.Code != -32602 {
		t.Errorf("without capabilities the code is %d, want -32602", e.Code)
	}
	wantNothingMore(t, h)
}

// A modern server sends no requests: nobody may answer one, so it is dropped and logged (spec 1.43,
// 2.45). Its notifications pass.
func TestModern_RequestFromServer(t *testing.T) {
	t.Parallel()
	const progress = `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1.0}}`
	h, s := startModern(t, bridgetest.Config{Handle: always("prompts/list", func(w http.ResponseWriter, r *bridgetest.Request) {
		e := r.Events(w)
		_ = e.Send(`{"jsonrpc":"2.0","id":1,"method":"roots/list"}`)
		_ = e.Send(progress)
		_ = e.Raw(": keep-alive\n\n")
		_ = e.Result(`{"resultType":"complete","prompts":[]}`)
	})})
	h.send(modern("1", "prompts/list", ""))
	wantResult(t, h, "1")
	wantOnly(t, h, progress)
	if !strings.Contains(h.logs(), "roots/list") {
		t.Error("nothing is logged of it")
	}
	if n := s.Count("response"); n > 0 {
		t.Errorf("the server got %q", names(s))
	}
}

// A stream that breaks has lost its request. What only reads is asked again, under a new id; a call
// is not, as the tool may have run (spec 2.46).
func TestModern_BrokenStream(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		method, members string
		again           bool
	}{
		{"tools/list", "", true}, {"prompts/list", "", true}, {"resources/list", "", true}, {"resources/templates/list", "", true},
		{"resources/read", `"uri":"test://a",`, true}, {"prompts/get", `"name":"greet","arguments":{},`, true},
		{"completion/complete", `"ref":{"type":"ref/prompt","name":"greet"},"argument":{"name":"name","value":"A"},`, true},
		{"tools/call", `"name":"echo",`, false},
	} {
		t.Run(test.method, func(t *testing.T) {
			t.Parallel()
			h, s := startWith(t, bridgetest.Config{Versions: bridgetest.Modern, Handle: once(test.method, cut)}, bridge.Config{}, "")
			h.send(modern("1", test.method, test.members))
			if test.again {
				wantResult(t, h, "1")
				first, second := bodies(s, test.method)[0], bodies(s, test.method)[1]
				if a, b := member(json.RawMessage(first), "id"), member(json.RawMessage(second), "id"); string(a) == string(b) {
					t.Errorf("both have the id %s", a)
				}
			} else {
				wantFailure(t, h, "1")
				if n := s.Count(test.method); n != 1 {
					t.Errorf("the server got %q", names(s))
				}
			}
			wantNothingMore(t, h)
			if n := countHTTP(s, http.MethodGet); n > 0 {
				t.Errorf("the server got %q", names(s))
			}
		})
	}
}

// A response of the host's is nobody's to read: a modern host has nothing to answer (spec 1.44,
// 2.43).
func TestModern_NothingElseIsPosted(t *testing.T) {
	t.Parallel()
	h, s := startModern(t, bridgetest.Config{})
	h.send(`{"jsonrpc":"2.0","id":1,"result":{}}`)
	h.send(modern("1", "tools/list", ""))
	wantResult(t, h, "1")
	wantNothingMore(t, h)
	if n := s.Count("response"); n > 0 {
		t.Errorf("the server got %q", names(s))
	}
}

// A server that does not know the revision of a request says which it knows; the host is told which it may
// use with the bridge (spec 5H: -32022).
func TestModern_VersionsOfTheBridge(t *testing.T) {
	t.Parallel()
	h, _ := startModern(t, bridgetest.Config{Handle: always("tools/call", fails(400, `{"code":-32022,"message":"no","data":{"supported":["2025-11-25"],"requested":"2026-07-28","x":1.0}}`))})
	h.send(modern("1", "tools/call", `"name":"echo",`))
	wantJSON(t, "the error", member(h.answer("1"), "error"),
		`{"code":-32022,"message":"no","data":{"supported":["2026-07-28","2025-11-25","2025-06-18","2025-03-26","2024-11-05"],"requested":"2026-07-28","x":1.0}}`)
	wantNothingMore(t, h)
}

// Methods of the era with a handshake that say they are of this one are unknown here (spec 5.70), and
// every request has to say what it is (spec 1.40). Nothing gets stuck on them.
func TestModern_OddRequests(t *testing.T) {
	t.Parallel()
	h, _ := startModern(t, bridgetest.Config{})
	for i, method := range []string{"initialize", "ping", "logging/setLevel", "resources/subscribe"} {
		id := fmt.Sprint(i)
		h.send(modern(id, method, ""))
		if e := errorOf(t, h.answer(id)); e.Code != -32601 {
			t.Errorf("%s: the code is %d, want -32601", method, e.Code)
		}
	}
	for i, params := range []string{``, `,"params":{}`, `,"params":{"_meta":{}}`} {
		id := fmt.Sprint(10 + i)
		h.send(`{"jsonrpc":"2.0","id":` + id + `,"method":"server/discover"` + params + `}`)
		if e := errorOf(t, h.answer(id)); e.Code != -32602 {
			t.Errorf("server/discover%s: the code is %d, want -32602", params, e.Code)
		}
	}
	h.send(modern("20", "tools/list", ""))
	wantResult(t, h, "20")
	wantNothingMore(t, h)
}

// A call that the server could not take, or that no one knows of, is not made again by itself, and the
// host hears which it was (spec 2G).
func TestModern_StatusOfACall(t *testing.T) {
	t.Parallel()
	for _, code := range []int{400, 403, 404, 405, 413, 431, 500, 502, 504} {
		h, s := startModern(t, bridgetest.Config{Handle: always("tools/call", status(code))})
		h.send(modern("1", "tools/call", `"name":"add",`))
		wantFailure(t, h, "1", fmt.Sprint(code))
		wantNothingMore(t, h)
		if n := s.Count("tools/call"); n != 1 {
			t.Errorf("after %d the server got %d calls", code, n)
		}
	}
}
