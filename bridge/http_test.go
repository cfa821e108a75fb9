package bridge_test

import (
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"mcp-bridge/bridge/bridgetest"
)

// callEcho is a tools/call, the kind of request that must not run twice.
func callEcho(id string) string {
	return `{"jsonrpc":"2.0","id":` + id + `,"method":"tools/call","params":{"name":"echo","arguments":{"text":"hi"}}}`
}

func listTools(id string) string {
	return `{"jsonrpc":"2.0","id":` + id + `,"method":"tools/list"}`
}

// result is the simplest answer to a request.
func result(id string) string { return `{"jsonrpc":"2.0","id":` + id + `,"result":{}}` }

const listChanged = `{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`

// wantResult fails the test unless the answer to a request is a result.
func wantResult(t testing.TB, h *host, id string) {
	t.Helper()
	line := h.answer(id)
	var m struct{ Result, Error json.RawMessage }
	if json.Unmarshal(line, &m) != nil || m.Result == nil || m.Error != nil {
		t.Errorf("this should be a result: %s", line)
	}
}

// wantFailure fails the test unless the answer to a request is an error that the bridge made, and
// that says all of this, in whatever case. It returns the answer.
func wantFailure(t testing.TB, h *host, id string, says ...string) string {
	t.Helper()
	line := h.answer(id)
	e := errorOf(t, line)
	if e.Data.Source != "mcp-bridge" || e.Code != -32603 {
		t.Errorf("this should be an error of the bridge's own: %s", line)
	}
	if len(e.Message) >= 500 || strings.ContainsAny(e.Message, "\r\n") {
		t.Errorf("the error is no short line of text: %s", line)
	}
	for _, part := range says {
		if !strings.Contains(strings.ToLower(e.Message), strings.ToLower(part)) {
			t.Errorf("the error does not say %q: %s", part, line)
		}
	}
	return string(line)
}

// wantNothingMore ends the bridge, and fails the test if anything came that nobody asked for.
func wantNothingMore(t testing.TB, h *host) {
	t.Helper()
	if rest := append(h.others, h.end()...); len(rest) > 0 {
		t.Errorf("this came besides: %q", rest)
	}
}

// countHTTP returns how many of the requests so far have this HTTP method.
func countHTTP(s *bridgetest.Server, method string) int {
	n := 0
	for _, r := range s.Requests() {
		if r.Request.Method == method {
			n++
		}
	}
	return n
}

// nobodyAt returns an address that refuses connections for as long as the test runs: it is the
// client's end of a connection, so nobody else can listen there.
func nobodyAt(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.LocalAddr().String()
}

// once returns a Handle that answers the first request of that name, and leaves all others alone.
func once(name string, answer func(http.ResponseWriter, *bridgetest.Request)) func(http.ResponseWriter, *bridgetest.Request) bool {
	var done sync.Map // by the server's host
	return func(w http.ResponseWriter, r *bridgetest.Request) bool {
		if r.String() != name {
			return false
		}
		if _, before := done.LoadOrStore(r.Request.Host, true); before {
			return false
		}
		answer(w, r)
		return true
	}
}
