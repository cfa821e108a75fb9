package bridge_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mcp-bridge/bridge"
	"mcp-bridge/bridge/bridgetest"
)

// revisions are those with a handshake.
var revisions = []string{"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"}

// modernMeta is what a host of 2026-07-28 puts into params. It can do nothing for a server.
const modernMeta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"test","version":"0"},"io.modelcontextprotocol/clientCapabilities":{}}`

// modern returns a request of a host of 2026-07-28. The members of params, but for _meta, end with a
// comma.
func modern(id, method, members string) string {
	return `{"jsonrpc":"2.0","id":` + id + `,"method":"` + method + `","params":{` + members + modernMeta + `}}`
}

// callTool returns a tools/call of a host with a handshake.
func callTool(id, tool, arguments string) string {
	return `{"jsonrpc":"2.0","id":` + id + `,"method":"tools/call","params":{"name":"` + tool + `","arguments":` + arguments + `}}`
}

// cancel returns the cancellation of a request.
func cancel(id string) string {
	return `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":` + id + `,"reason":"a change of mind"}}`
}

// A notebook keeps what was found out about a server, as a file would.
type notebook struct {
	mu    sync.Mutex
	known bridge.Verdict
	saved []bridge.Verdict
}

func (n *notebook) Load() bridge.Verdict {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.known
}

func (n *notebook) Save(v bridge.Verdict) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.known, n.saved = v, append(n.saved, v)
}

// last returns what was saved last, and how often something was.
func (n *notebook) last() (bridge.Verdict, int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.known, len(n.saved)
}

// wantVerdict fails the test unless a notebook says just now that the server is of an era.
func wantVerdict(t *testing.T, n *notebook, era bridge.Era) {
	t.Helper()
	eventually(t, "the era "+string(era)+" is saved", func() bool {
		v, _ := n.last()
		return v.Era == era && time.Since(v.Found).Abs() < time.Minute
	})
}

// arrives waits until a server has got n requests of a name.
func arrives(t testing.TB, s *bridgetest.Server, name string, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s arrives %d times; the server got %q", name, n, s.Requests()), func() bool { return s.Count(name) >= n })
}

// handlers tries one Handle after the other.
func handlers(all ...func(http.ResponseWriter, *bridgetest.Request) bool) func(http.ResponseWriter, *bridgetest.Request) bool {
	return func(w http.ResponseWriter, r *bridgetest.Request) bool {
		for _, handle := range all {
			if handle(w, r) {
				return true
			}
		}
		return false
	}
}

// always answers each request of a name in the same way.
func always(name string, answer func(http.ResponseWriter, *bridgetest.Request)) func(http.ResponseWriter, *bridgetest.Request) bool {
	return func(w http.ResponseWriter, r *bridgetest.Request) bool {
		if r.String() == name {
			answer(w, r)
		}
		return r.String() == name
	}
}

// answers answers with a result.
func answers(result string) func(http.ResponseWriter, *bridgetest.Request) {
	return func(w http.ResponseWriter, r *bridgetest.Request) { r.Answer(w, result) }
}

// fails answers with an error, given as JSON, under a status.
func fails(status int, rpcError string) func(http.ResponseWriter, *bridgetest.Request) {
	return func(w http.ResponseWriter, r *bridgetest.Request) {
		answerWith(w, status, "application/json", `{"jsonrpc":"2.0","id":`+string(r.ID)+`,"error":`+rpcError+`}`)
	}
}

// strict tells whether the server would have taken a request, and answers it as the server does
// where not. A test that answers in the server's place asks it first, so that nothing gets by.
func strict(w http.ResponseWriter, r *bridgetest.Request) bool {
	trial := httptest.NewRecorder()
	r.Serve(trial)
	if trial.Code == http.StatusOK {
		return true
	}
	answerWith(w, trial.Code, trial.Header().Get("Content-Type"), trial.Body.String())
	return false
}

// resultOf returns the result of a response, and fails the test if there is none.
func resultOf(t testing.TB, response []byte) json.RawMessage {
	t.Helper()
	var m struct{ Result, Error json.RawMessage }
	if err := json.Unmarshal(response, &m); err != nil || m.Result == nil || m.Error != nil {
		t.Fatalf("this should be a result: %s", response)
	}
	return m.Result
}

// member returns what is at a path of names in a JSON object, nil if there is nothing.
func member(object json.RawMessage, path ...string) json.RawMessage {
	for _, name := range path {
		var members map[string]json.RawMessage
		if json.Unmarshal(object, &members) != nil {
			return nil
		}
		object = members[name]
	}
	return object
}

// wantJSON compares JSON, in which numbers that are written differently are different.
func wantJSON(t testing.TB, what string, got []byte, want string) {
	t.Helper()
	if !reflect.DeepEqual(decoded(got), decoded([]byte(want))) {
		t.Errorf("%s is\n%s, want\n%s", what, got, want)
	}
}

// decoded returns JSON as Go has it, and a text of what is none.
func decoded(text []byte) any {
	var v any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return "no JSON: " + string(text)
	}
	return v
}

// answersTo returns the answers to requests, by their raw ids, in whatever order they come. Other lines
// go to others.
func (h *host) answersTo(ids []string) map[string]json.RawMessage {
	h.t.Helper()
	answers := make(map[string]json.RawMessage)
	for len(answers) < len(ids) {
		line := json.RawMessage(h.next())
		if id := string(member(line, "id")); member(line, "method") == nil && slices.Contains(ids, id) {
			answers[id] = line
		} else {
			h.others = append(h.others, string(line))
		}
	}
	return answers
}

// question returns the id and the params of the next request from the bridge, which must be of this
// method. Notifications that come before it go to others.
func (h *host) question(method string) (id string, params json.RawMessage) {
	h.t.Helper()
	for {
		line := h.next()
		var m struct {
			ID     json.RawMessage
			Method string
			Params json.RawMessage
		}
		_ = json.Unmarshal([]byte(line), &m) // what is no message was found by the host itself
		switch {
		case m.ID == nil:
			h.others = append(h.others, line)
		case m.Method == method:
			return string(m.ID), m.Params
		default:
			h.t.Fatalf("this came: %s, want a request %s", line, method)
		}
	}
}

// notification returns the next notification of a method. Other lines go to others.
func (h *host) notification(method string) json.RawMessage {
	h.t.Helper()
	for {
		line := h.next()
		var m struct {
			ID     json.RawMessage
			Method string
			Params json.RawMessage
		}
		_ = json.Unmarshal([]byte(line), &m) // what is no message was found by the host itself
		if m.ID == nil && m.Method == method {
			return m.Params
		}
		h.others = append(h.others, line)
	}
}

// reply answers a request of the bridge's.
func (h *host) reply(id, result string) {
	h.t.Helper()
	h.send(`{"jsonrpc":"2.0","id":` + id + `,"result":` + result + `}`)
}

// capable initializes with capabilities, given as JSON, and returns the result.
func (h *host) capable(version, capabilities string) json.RawMessage {
	h.t.Helper()
	h.send(strings.Replace(initialize(`"handshake"`, version), `"capabilities":{}`, `"capabilities":`+capabilities, 1))
	result := resultOf(h.t, h.answer(`"handshake"`))
	h.send(initialized)
	return result
}

// startBefore starts a server of 2026-07-28 and a host with a handshake and these capabilities.
func startBefore(t testing.TB, sc bridgetest.Config, version, capabilities string) (*host, *bridgetest.Server) {
	t.Helper()
	if sc.Versions == nil {
		sc.Versions = bridgetest.Modern
	}
	h, s := startWith(t, sc, bridge.Config{}, "")
	h.capable(version, capabilities)
	return h, s
}

// decodeInto reads a member of a JSON object.
func decodeInto(t testing.TB, object, name string, v any) {
	t.Helper()
	if err := json.Unmarshal(member(json.RawMessage(object), name), v); err != nil {
		t.Fatalf("%s of %s: %v", name, object, err)
	}
}
