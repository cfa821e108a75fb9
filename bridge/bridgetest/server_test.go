package bridgetest_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"mcp-bridge/bridge/bridgetest"
)

const (
	initialize = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"0"}}}`
	ping       = `{"jsonrpc":"2.0","id":1,"method":"ping"}`
)

// A client that leaves out what the protocol asks of it hears of it.
func TestStrict(t *testing.T) {
	for name, test := range map[string]struct {
		method string // POST if empty
		body   string
		header http.Header // in place of what a good client sends
		cfg    bridgetest.Config
		status int
		want   string // a part of the body
	}{
		"good":                {body: ping, status: 200, want: `{"jsonrpc":"2.0","id":1,"result":{}}`},
		"good notification":   {body: `{"jsonrpc":"2.0","method":"notifications/initialized"}`, status: 202},
		"good response":       {body: `{"jsonrpc":"2.0","id":7,"result":{}}`, status: 202},
		"unknown method":      {body: `{"jsonrpc":"2.0","id":"x","method":"a/b"}`, status: 200, want: `"id":"x","error":{"code":-32601`},
		"no progress":         {body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"count","arguments":{"to":2}}}`, status: 200, want: `{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"counted to 2"}]}}`},
		"no JSON":             {body: `{"jsonrpc":`, status: 400, want: "-32700"},
		"batch":               {body: `[` + ping + `]`, status: 400, want: "-32600"},
		"method no string":    {body: `{"jsonrpc":"2.0","id":1,"method":1}`, status: 400, want: "-32600"},
		"no kind of message":  {body: `{"jsonrpc":"2.0","id":1}`, status: 400, want: "-32600"},
		"no message":          {status: 400, want: "-32700"},
		"Accept JSON only":    {body: ping, header: http.Header{"Accept": {"application/json"}}, status: 406},
		"Accept anything":     {body: ping, header: http.Header{"Accept": {"*/*"}}, status: 406},
		"Content-Type":        {body: ping, header: http.Header{"Content-Type": {"text/plain"}}, status: 415},
		"foreign Origin":      {body: ping, header: http.Header{"Origin": {"https://example.com"}}, status: 403},
		"own Origin":          {body: ping, header: http.Header{"Origin": {"http://localhost:8000"}}, status: 200},
		"no session":          {body: ping, header: http.Header{"Mcp-Session-Id": nil}, status: 400},
		"unknown session":     {body: ping, header: http.Header{"Mcp-Session-Id": {"S9"}}, status: 404, want: `{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"Session not found"}}`},
		"second initialize":   {body: initialize, status: 200, want: "-32600"},
		"no version":          {body: ping, header: http.Header{"Mcp-Protocol-Version": nil}, status: 400},
		"another version":     {body: ping, header: http.Header{"Mcp-Protocol-Version": {"2025-11-25"}}, status: 400},
		"no version, old":     {body: ping, header: http.Header{"Mcp-Protocol-Version": nil}, cfg: bridgetest.Config{Versions: []string{"2025-03-26"}}, status: 200},
		"unknown version":     {body: ping, header: http.Header{"Mcp-Protocol-Version": {"1999-01-01"}}, cfg: bridgetest.Config{Stateless: true}, status: 400},
		"GET without stream":  {method: "GET", status: 405},
		"GET, no session":     {method: "GET", header: http.Header{"Mcp-Session-Id": nil}, cfg: bridgetest.Config{Stream: true}, status: 400},
		"GET of JSON":         {method: "GET", header: http.Header{"Accept": {"application/json"}}, cfg: bridgetest.Config{Stream: true}, status: 406},
		"DELETE":              {method: "DELETE", status: 200},
		"DELETE, stateless":   {method: "DELETE", cfg: bridgetest.Config{Stateless: true}, status: 405},
		"DELETE, unknown":     {method: "DELETE", header: http.Header{"Mcp-Session-Id": {"S9"}}, status: 404},
		"PUT":                 {method: "PUT", body: ping, status: 405},
		"HTTP+SSE: POST":      {body: ping, cfg: bridgetest.Config{HTTPSSE: true}, status: 405},
		"HTTP+SSE: DELETE":    {method: "DELETE", cfg: bridgetest.Config{HTTPSSE: true}, status: 405},
		"answers come as SSE": {body: ping, cfg: bridgetest.Config{SSE: true}, status: 200, want: "event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n\n"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, test.cfg)
			version := "2025-06-18"
			if test.cfg.Versions != nil {
				version = test.cfg.Versions[0]
			}
			h := http.Header{"Mcp-Protocol-Version": {version}}
			if !test.cfg.HTTPSSE {
				res, body := do(t, s, "POST", nil, initialize)
				if !strings.Contains(body, `"protocolVersion":"`+version+`"`) {
					t.Fatalf("initialize: %s", body)
				}
				h["Mcp-Session-Id"] = res.Header["Mcp-Session-Id"]
			}
			for name, values := range test.header {
				h[name] = values
			}
			if test.method == "" {
				test.method = "POST"
			}
			res, body := do(t, s, test.method, h, test.body)
			if res.StatusCode != test.status || !strings.Contains(body, test.want) {
				t.Errorf("got %d %s, want %d %s", res.StatusCode, body, test.status, test.want)
			}
			if got := res.Header.Get("Content-Type"); body != "" && !test.cfg.HTTPSSE && (got == "text/event-stream") != test.cfg.SSE {
				t.Errorf("Content-Type: got %q", got)
			}
		})
	}
}

// Ids and arguments come back to the digit.
func TestUnchanged(t *testing.T) {
	s := newServer(t, bridgetest.Config{Stateless: true})
	const args = `{"text":"\u00e9<&>","n":9223372036854775807,"f":1.0,"e":1E400, "f":1.00}`
	for _, id := range []string{`0`, `"0"`, `""`, `-1`, `9007199254740993`, `"\u0061"`} {
		_, body := do(t, s, "POST", http.Header{"Mcp-Protocol-Version": {"2025-11-25"}},
			`{"jsonrpc":"2.0","id":`+id+`,"method":"tools/call","params":{"name":"echo","arguments":`+args+`}}`)
		want := `{"jsonrpc":"2.0","id":` + id + `,"result":{"content":[{"type":"text","text":"\u00e9<&>"}],"structuredContent":` + args + `}}`
		if body != want {
			t.Errorf("got  %s\nwant %s", body, want)
		}
	}
}

// The server's question goes out on the stream, and the POST that brought the call is long settled.
func TestAskHTTPSSE(t *testing.T) {
	s := newServer(t, bridgetest.Config{HTTPSSE: true})
	stream := send(t, s, "GET", nil, "")
	defer stream.Body.Close()
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
	messages, err := url.Parse(next())
	if err != nil {
		t.Fatal(err)
	}
	post := func(body string) {
		t.Helper()
		req := request(t, s, "POST", nil, body)
		req.URL = req.URL.ResolveReference(messages)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != 202 {
			t.Errorf("%s: status %d, want 202", body, res.StatusCode)
		}
	}
	post(initialize)
	if got := next(); !strings.Contains(got, `"protocolVersion":"2025-06-18"`) {
		t.Errorf("initialize: %s", got)
	}
	post(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ask"}}`)
	if got := next(); !strings.Contains(got, `"id":1,"method":"elicitation/create"`) {
		t.Errorf("the question: %s", got)
	}
	post(`{"jsonrpc":"2.0","id":1,"error":{"code":-1}}`)
	if got, want := next(), `{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"refused: {\"code\":-1}"}],"isError":true}}`; got != want {
		t.Errorf("the result:\ngot  %s\nwant %s", got, want)
	}
}

func TestForgetSessions(t *testing.T) {
	s := newServer(t, bridgetest.Config{Stream: true})
	res, _ := do(t, s, "POST", nil, initialize)
	h := http.Header{"Mcp-Session-Id": res.Header["Mcp-Session-Id"], "Mcp-Protocol-Version": {"2025-06-18"}}
	if res, _ := do(t, s, "POST", h, ping); res.StatusCode != 200 || s.Sessions() != 1 {
		t.Fatalf("before: status %d, %d sessions", res.StatusCode, s.Sessions())
	}
	stream := send(t, s, "GET", h, "")
	defer stream.Body.Close()
	wait(t, s, "the stream", func() bool { return s.Streams() == 1 })

	s.ForgetSessions()

	if _, err := io.Copy(io.Discard, stream.Body); err != nil { // ends
		t.Errorf("the stream: %v", err)
	}
	if res, _ := do(t, s, "POST", h, ping); res.StatusCode != 404 || s.Sessions() != 0 || s.Streams() != 0 {
		t.Errorf("after: status %d, %d sessions, %d streams", res.StatusCode, s.Sessions(), s.Streams())
	}
	if res, _ := do(t, s, "POST", nil, initialize); res.Header.Get("Mcp-Session-Id") != "S2" {
		t.Errorf("the next session is %q, want S2", res.Header.Get("Mcp-Session-Id"))
	}
}

// Handle goes first, may answer, and may give back.
func TestHandle(t *testing.T) {
	for name, cfg := range map[string]bridgetest.Config{"JSON": {}, "SSE": {SSE: true}} {
		t.Run(name, func(t *testing.T) {
			cfg.Stateless = true
			cfg.Handle = func(w http.ResponseWriter, r *bridgetest.Request) bool {
				switch r.Method {
				case "a":
					r.Answer(w, `"mine"`)
				case "b":
					r.Fail(w, 503, -32000, "not today")
				case "c":
					e := r.Events(w)
					_ = e.Raw(": hello\n\n")
					_ = e.Send("{\n}")
					_ = e.Result(`"last"`)
				case "ping":
					w.Header().Set("X-Seen", "yes")
					r.Serve(w)
				case "cut":
					panic(http.ErrAbortHandler)
				default:
					return false
				}
				return true
			}
			s := newServer(t, cfg)
			h := http.Header{"Mcp-Protocol-Version": {"2025-11-25"}}
			post := func(method string) (*http.Response, string) {
				return do(t, s, "POST", h, `{"jsonrpc":"2.0","id":1,"method":"`+method+`"}`)
			}
			mine := `{"jsonrpc":"2.0","id":1,"result":"mine"}`
			if cfg.SSE {
				mine = "event: message\ndata: " + mine + "\n\n"
			}
			if _, body := post("a"); body != mine {
				t.Errorf("a: %s", body)
			}
			if res, body := post("b"); res.StatusCode != 503 || body != `{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"not today"}}` {
				t.Errorf("b: %d %s", res.StatusCode, body)
			}
			if _, body := post("c"); body != ": hello\n\nevent: message\ndata: {\ndata: }\n\nevent: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"last\"}\n\n" {
				t.Errorf("c: %s", body)
			}
			if res, body := post("ping"); res.Header.Get("X-Seen") == "" || !strings.Contains(body, `"result":{}`) {
				t.Errorf("ping: %v %s", res.Header, body)
			}
			if _, body := post("tools/list"); !strings.Contains(body, `"echo"`) {
				t.Errorf("tools/list: %s", body)
			}
			if _, err := http.DefaultClient.Do(request(t, s, "POST", h, `{"jsonrpc":"2.0","id":1,"method":"cut"}`)); err == nil {
				t.Error("cut: the connection held")
			}
			do(t, s, "DELETE", h, "")
			do(t, s, "POST", h, `{"jsonrpc":"2.0","id":1,"error":{}}`)

			var names []string
			for _, r := range s.Requests() {
				names = append(names, r.String())
			}
			if want := []string{"a", "b", "c", "ping", "tools/list", "cut", "DELETE", "response"}; !slices.Equal(names, want) {
				t.Errorf("requests: got %q, want %q", names, want)
			}
			if last := s.Requests()[7]; string(last.Body) != `{"jsonrpc":"2.0","id":1,"error":{}}` || string(last.ID) != "1" {
				t.Errorf("the last request: id %s, body %s", last.ID, last.Body)
			}
			if s.Count("ping") != 1 || s.Count("GET") != 0 {
				t.Errorf("counts: ping %d, GET %d", s.Count("ping"), s.Count("GET"))
			}
		})
	}
}

// Close cuts what is open and waits for it.
func TestClose(t *testing.T) {
	returned := make(chan struct{})
	s := bridgetest.NewServer(bridgetest.Config{Handle: func(_ http.ResponseWriter, r *bridgetest.Request) bool {
		defer close(returned)
		<-r.Context().Done()
		return true
	}})
	failed := make(chan error)
	go func() { // ends when the connection is cut
		_, err := http.Get(s.URL())
		failed <- err
	}()
	wait(t, s, "the request", func() bool { return s.Count("GET") == 1 })
	s.Close()
	select {
	case <-returned:
	default:
		t.Error("Close didn't wait for the handler")
	}
	if err := <-failed; err == nil {
		t.Error("the request was answered")
	}
	s.Close() // once more is no harm
}

func TestWaitGivesUp(t *testing.T) {
	s := newServer(t, bridgetest.Config{})
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := s.Wait(ctx, func() bool { return false }); err != context.DeadlineExceeded {
		t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
	}
}

// request makes a good client's request, but for h.
func request(t *testing.T, s *bridgetest.Server, method string, h http.Header, body string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL(), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Accept": {"application/json, text/event-stream"}, "Content-Type": {"application/json"}}
	for name, values := range h {
		req.Header[name] = values
	}
	return req
}

func send(t *testing.T, s *bridgetest.Server, method string, h http.Header, body string) *http.Response {
	t.Helper()
	res, err := http.DefaultClient.Do(request(t, s, method, h, body))
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func do(t *testing.T, s *bridgetest.Server, method string, h http.Header, body string) (*http.Response, string) {
	t.Helper()
	res := send(t, s, method, h, body)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}
