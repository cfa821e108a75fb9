package bridge_test

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"mcp-bridge/bridge"
	"mcp-bridge/bridge/bridgetest"
)

// Whatever goes wrong with the answer to a request, the host gets exactly one error that says what,
// the request is not sent again, and the next one works.
func TestH1H9E7_FailuresOfACall(t *testing.T) {
	t.Parallel()
	answer := func(status int, contentType, body string) func(http.ResponseWriter, *bridgetest.Request) {
		return func(w http.ResponseWriter, _ *bridgetest.Request) { answerWith(w, status, contentType, body) }
	}
	events := func(text string) func(http.ResponseWriter, *bridgetest.Request) {
		return answer(200, "text/event-stream", text)
	}
	cut := func(status int, contentType, body string) func(http.ResponseWriter, *bridgetest.Request) {
		return func(w http.ResponseWriter, _ *bridgetest.Request) {
			answerWith(w, status, contentType, body)
			panic(http.ErrAbortHandler)
		}
	}
	const mayHaveRun = "may have run"
	for name, tt := range map[string]struct {
		answer func(http.ResponseWriter, *bridgetest.Request)
		says   []string
	}{
		"400":                    {answer(400, "text/plain", "no such tool"), []string{"400", "no such tool"}},
		"403":                    {answer(403, "application/json", `{"error":"forbidden"}`), []string{"403", "forbidden"}},
		"404 without session":    {answer(404, "text/plain", "gone fishing"), []string{"404", "gone fishing"}},
		"410":                    {answer(410, "text/plain", ""), []string{"410"}},
		"500":                    {answer(500, "text/plain", "panic: nil map"), []string{"500", "panic: nil map"}},
		"500, no body, no type":  {answer(500, "", ""), []string{"500"}},
		"501":                    {answer(501, "text/plain", ""), []string{"501"}},
		"502 with HTML":          {answer(502, "text/html", "<html><title>502 Bad Gateway</title></html>"), []string{"502", "bad gateway", "text/html"}},
		"504":                    {answer(504, "text/plain", "upstream timed out"), []string{"504", "upstream timed out"}},
		"599":                    {answer(599, "text/plain", "odd"), []string{"599", "odd"}},
		"300":                    {answer(300, "text/plain", "many"), []string{"300"}},
		"304":                    {answer(304, "", ""), []string{"304"}},
		"307 to nowhere":         {answer(307, "text/plain", "elsewhere"), []string{"307", "elsewhere"}},
		"an event stream as 500": {answer(500, "text/event-stream", "data: boom\n\n"), []string{"500", "boom"}},
		"reset":                  {func(http.ResponseWriter, *bridgetest.Request) { panic(http.ErrAbortHandler) }, []string{mayHaveRun}},

		"202":                  {answer(202, "", ""), []string{"202"}},
		"202 with text":        {answer(202, "text/plain", "Accepted"), []string{"202"}},
		"204":                  {answer(204, "", ""), []string{"204"}},
		"200 without body":     {answer(200, "", ""), []string{"200"}},
		"JSON, empty":          {answer(200, "application/json", ""), []string{"200"}},
		"JSON, cut short":      {answer(200, "application/json", `{"jsonrpc":`), []string{"not valid JSON"}},
		"JSON, id and cut":     {answer(200, "application/json", `{"jsonrpc":"2.0","id":1,"result":{`), []string{"not valid JSON"}},
		"JSON, connection cut": {cut(200, "application/json", `{"jsonrpc":"2.0","id":1,`), []string{mayHaveRun}},
		"JSON, shorter than it says": {func(w http.ResponseWriter, _ *bridgetest.Request) {
			w.Header().Set("Content-Length", "100")
			answerWith(w, 200, "application/json", `{"jsonrpc":"2.0","id":1,`)
		}, []string{mayHaveRun}},
		"JSON null":            {answer(200, "application/json", "null"), []string{"no answer"}},
		"JSON true":            {answer(200, "application/json", "true"), []string{"no answer"}},
		"JSON {}":              {answer(200, "application/json", "{}"), []string{"no answer"}},
		"JSON []":              {answer(200, "application/json", "[]"), []string{"no answer"}},
		"JSON, no JSON-RPC":    {answer(200, "application/json", `{"ok":true}`), []string{"no answer"}},
		"JSON, another id":     {answer(200, "application/json", result("2")), []string{"another request"}},
		"JSON, id as a string": {answer(200, "application/json", result(`"1"`)), []string{"another request"}},
		"JSON, result without": {answer(200, "application/json", `{"jsonrpc":"2.0","result":{}}`), nil},
		"JSON, the request":    {func(w http.ResponseWriter, r *bridgetest.Request) { answerJSON(w, string(r.Body)) }, nil},
		"JSON, id 0":           {answer(200, "application/json", result("0")), []string{"another request"}},
		"JSON and more":        {answer(200, "application/json", result("1")+"x"), []string{"not valid JSON"}},
		"text":                 {answer(200, "text/plain", "hello"), []string{"text/plain", "hello"}},
		"no type": {func(w http.ResponseWriter, _ *bridgetest.Request) {
			w.Header()["Content-Type"] = nil
			answerWithout(w, "hello")
		}, []string{"hello"}},
		"206":                    {answer(206, "application/json", `{"jsonrpc":`), []string{"206"}},
		"HTML":                   {answer(200, "text/html; charset=utf-8", "<!DOCTYPE html><html><head><title>Sign in</title></head>"), []string{"200", "text/html", "Sign in"}},
		"bytes that are no text": {answer(200, "application/octet-stream", "\x00\xff\xfe\x1b[31m"), []string{"octet-stream"}},

		"events, none":             {events(""), []string{mayHaveRun}},
		"events, a comment":        {events(": hi\n\n"), []string{mayHaveRun}},
		"events, cut":              {cut(200, "text/event-stream", ": hi\n\n"), []string{mayHaveRun}},
		"events, a notification":   {events("data: " + listChanged + "\n\n"), []string{mayHaveRun}},
		"events, bad JSON":         {events("data: {\"jsonrpc\":\n\n"), []string{"not valid JSON"}},
		"events, bad JSON with id": {events("data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{]\n\n"), []string{"not valid JSON"}},
		"events, half":             {events("data: {\"jsonrpc\":\"2.0\",\"id\":1,\"res"), []string{mayHaveRun}},
		"events, half and cut":     {cut(200, "text/event-stream", "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"res"), []string{mayHaveRun}},
		"events, another id":       {events("data: " + result("2") + "\n\n"), []string{"another request"}},
		"events, unknown name":     {events("event: ping\ndata: " + result("1") + "\n\n"), []string{mayHaveRun}},
		"events, empty data":       {events("data:\n\n"), []string{mayHaveRun}},
		"events, HTML in it":       {events("<html>oops</html>\n\n"), []string{mayHaveRun}},
		"events, no JSON-RPC":      {events("data: {\"ok\":true}\n\n"), []string{"no JSON-RPC"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, s := startWith(t, bridgetest.Config{Stateless: true, Handle: once("tools/call", tt.answer)}, bridge.Config{}, "2025-11-25")
			h.send(callEcho("1"))
			wantFailure(t, h, "1", tt.says...)
			h.send(listTools("2"))
			wantResult(t, h, "2")
			if n := s.Count("tools/call"); n != 1 {
				t.Errorf("the call was sent %d times, want once", n)
			}
			rest := append(h.others, h.end()...)
			if name == "events, a notification" {
				if len(rest) != 1 || rest[0] != listChanged {
					t.Errorf("this came besides: %q, want the notification", rest)
				}
			} else if len(rest) > 0 && name != "JSON, the request" {
				t.Errorf("this came besides: %q", rest)
			}
		})
	}
}

// answerWithout answers with a body that has no content type.
func answerWithout(w http.ResponseWriter, body string) { moreEvents(w, body) }

// A 202 to a request promises an answer on the GET stream. When that ends there is none.
func TestH1_AcceptedAndForgotten(t *testing.T) {
	t.Parallel()
	accepted := make(chan struct{})
	var gets atomic.Int32
	h, s := startWith(t, bridgetest.Config{Stream: true, Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
		switch r.String() {
		case "GET":
			if gets.Add(1) > 1 {
				w.WriteHeader(http.StatusMethodNotAllowed)
				return true
			}
			r.Events(w)
			<-accepted
		case "tools/call":
			w.WriteHeader(http.StatusAccepted)
			close(accepted)
		default:
			return false
		}
		return true
	}}, bridge.Config{}, "2025-11-25")
	eventually(t, "the GET stream opens", func() bool { return s.Count("GET") == 1 })
	h.send(callEcho("1"))
	wantFailure(t, h, "1") // that no answer came with it, or that the stream has ended
	h.send(listTools("2"))
	wantResult(t, h, "2")
	wantNothingMore(t, h)
}

// A notification has no answer, however it fares; the next request works.
func TestH1_FailuresOfANotification(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(http.ResponseWriter, *bridgetest.Request){
		"400":            func(w http.ResponseWriter, _ *bridgetest.Request) { answerWith(w, 400, "text/plain", "no") },
		"400 with error": func(w http.ResponseWriter, r *bridgetest.Request) { r.Fail(w, 400, -32600, "no") },
		"500":            func(w http.ResponseWriter, _ *bridgetest.Request) { answerWith(w, 500, "text/html", "<h1>no</h1>") },
		"reset":          func(http.ResponseWriter, *bridgetest.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, s := startWith(t, bridgetest.Config{Handle: once("notifications/roots/list_changed", answer)}, bridge.Config{}, "2025-11-25")
			h.send(`{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}`)
			h.send(listTools("1"))
			wantResult(t, h, "1")
			wantNothingMore(t, h)
			want := 1
			if name == "reset" { // nobody can tell whether it was taken, and twice does no harm
				want = 2
			}
			if n := s.Count("notifications/roots/list_changed"); n != want {
				t.Errorf("the notification was sent %d times, want %d", n, want)
			}
		})
	}
}

// A server that is down at the start is no reason to end: initialize gets an error that says so,
// and the next try works.
func TestServerDownAtStart(t *testing.T) {
	t.Parallel()
	for _, transport := range []bridge.Transport{bridge.TransportAuto, bridge.TransportHTTP, bridge.TransportSSE} {
		t.Run(string(transport), func(t *testing.T) {
			t.Parallel()
			nobody := nobodyAt(t)
			s := bridgetest.NewServer(bridgetest.Config{HTTPSSE: transport == bridge.TransportSSE})
			t.Cleanup(s.Close)
			var up atomic.Bool
			dial := func(network, _ string) (net.Conn, error) { // the server comes up where nobody was
				if !up.Load() {
					return net.Dial(network, nobody)
				}
				return net.Dial(network, strings.Split(s.URL(), "/")[2])
			}
			h := startHost(t, bridge.Config{URL: s.URL(), Transport: transport, HTTPClient: &http.Client{Transport: &http.Transport{Dial: dial}}})
			for i := range 2 {
				id := fmt.Sprint(i)
				h.send(initialize(id, "2025-11-25"))
				wantFailure(t, h, id, "cannot reach", s.URL(), "refused")
			}
			up.Store(true)
			h.handshake("2025-11-25")
			h.send(listTools("2"))
			wantResult(t, h, "2")
			wantNothingMore(t, h)
		})
	}
}
