package bridge_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"mcp-bridge/bridge"
	"mcp-bridge/bridge/bridgetest"
)

// The tests in eramodernhost*_test.go are about a host of 2026-07-28 before a server of the era with
// a handshake. They quote the rows of table 6C, and the lines of 6E, that they show.

// handshakeServers are the ways in which servers of that era are reached.
func handshakeServers() map[string]bridgetest.Config {
	return map[string]bridgetest.Config{
		"JSON":     {Stream: true},
		"SSE":      {Stream: true, SSE: true},
		"HTTP+SSE": {HTTPSSE: true},
	}
}

// eachHandshakeServer runs a test for each of them. What legacy returns is the server's Legacy.
func eachHandshakeServer(t *testing.T, legacy func() *bridgetest.Legacy, test func(*testing.T, *modernHost, *bridgetest.Server)) {
	t.Parallel()
	for name, sc := range handshakeServers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sc.Legacy = legacy()
			h, s := startModernHost(t, sc, bridge.Config{})
			test(t, h, s)
		})
	}
}

// eachInFakeTime does so where it matters that everybody has read what was sent: time goes on when they
// have (see inFakeTime).
func eachInFakeTime(t *testing.T, legacy func() *bridgetest.Legacy, test func(*testing.T, *modernHost, *bridgetest.Server)) {
	t.Parallel()
	for name, sc := range handshakeServers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				sc.Legacy = legacy()
				s, bc := startOnPipes(t, sc)
				test(t, newModernHost(startHost(t, bc)), s)
			})
		})
	}
}

func wellBehaved() *bridgetest.Legacy { return new(bridgetest.Legacy) }

// A modernHost is a host of 2026-07-28. What it gets is checked, line by line, against what such a
// host may get at all.
type modernHost struct {
	*host
	capabilities string // of each request
	notes        []note // notifications that were passed over
}

// A note is a notification.
type note struct {
	Method string
	Params json.RawMessage
}

// allCapabilities is what a host can that can all there is.
const allCapabilities = `{"roots":{},"sampling":{},"elicitation":{"form":{},"url":{}}}`

func startModernHost(t testing.TB, sc bridgetest.Config, bc bridge.Config) (*modernHost, *bridgetest.Server) {
	t.Helper()
	h, s := startWith(t, sc, bc, "")
	return newModernHost(h), s
}

// newModernHost has h speak as a modern host.
func newModernHost(h *host) *modernHost {
	m := &modernHost{host: h, capabilities: allCapabilities}
	h.t.Cleanup(func() {
		for _, line := range h.end() {
			m.check(line)
		}
	})
	return m
}

const (
	metaVersion      = `"io.modelcontextprotocol/protocolVersion":"2026-07-28"`
	metaInfo         = `"io.modelcontextprotocol/clientInfo":{"name":"modern","version":"1.0"}`
	metaCapabilities = `"io.modelcontextprotocol/clientCapabilities":`
)

// modernRequest returns a request. Its params have these members, and its _meta all members that are given.
func modernRequest(id, method, members string, meta ...string) string {
	if members != "" {
		members += ","
	}
	return `{"jsonrpc":"2.0","id":` + id + `,"method":"` + method + `","params":{` + members + `"_meta":{` + strings.Join(meta, ",") + `}}}`
}

// request sends a request. Its params have these members, and its _meta these besides the usual ones.
func (h *modernHost) request(id, method, members string, meta ...string) {
	h.t.Helper()
	h.send(modernRequest(id, method, members, append([]string{metaVersion, metaCapabilities + h.capabilities, metaInfo}, meta...)...))
}

// A modernMessage is what a modern host gets.
type modernMessage struct {
	raw    string
	ID     json.RawMessage
	Method string
	Params json.RawMessage
	Result json.RawMessage
	Error  *modernError
}

type modernError struct {
	Code    int
	Message string
	Data    json.RawMessage
}

// A modernResult has what the results that tests look at have in common.
type modernResult struct {
	raw               json.RawMessage
	ResultType        string
	TTLMs             *float64
	CacheScope        string
	Meta              map[string]json.RawMessage `json:"_meta"`
	SupportedVersions []string
	Capabilities      json.RawMessage
	Instructions      string
	Content           []struct{ Type, Text string }
	StructuredContent json.RawMessage
	IsError           bool
	InputRequests     map[string]inputRequest
	RequestState      string
}

// An inputRequest is a question of the server's.
type inputRequest struct {
	raw    json.RawMessage
	Method string
	Params json.RawMessage
}

func (r *inputRequest) UnmarshalJSON(raw []byte) error {
	r.raw = slices.Clone(raw)
	type plain inputRequest // without this method
	return json.Unmarshal(raw, (*plain)(r))
}

// message returns the next message.
func (h *modernHost) message() modernMessage {
	h.t.Helper()
	return h.check(h.next())
}

// check looks at a line from the bridge as a strict host would.
func (h *modernHost) check(line string) modernMessage {
	h.t.Helper()
	m := modernMessage{raw: line}
	if err := json.Unmarshal([]byte(line), &m); err != nil {
		h.t.Fatalf("this is no message: %s", line)
	}
	switch {
	case m.Method != "" && m.ID != nil:
		h.t.Errorf("spec 1.43: a request came: %s", line)
	case m.Method != "":
		h.checkNotification(m)
	case m.Error != nil:
		undefined := m.Error.Code <= -32020 && m.Error.Code >= -32099 && m.Error.Code < -32022
		if undefined || m.Error.Code == -32002 {
			h.t.Errorf("spec 1.53: an error that does not exist any more: %s", line)
		}
	default:
		h.checkResult(m)
	}
	return m
}

// checkNotification sees that a notification is one of 2026-07-28, and tied to something (spec 1.45).
func (h *modernHost) checkNotification(m modernMessage) {
	h.t.Helper()
	subscribed := strings.Contains(string(m.Params), `"io.modelcontextprotocol/subscriptionId":`)
	switch m.Method {
	case "notifications/progress", "notifications/message":
	case "notifications/tools/list_changed", "notifications/prompts/list_changed", "notifications/resources/list_changed",
		"notifications/resources/updated", "notifications/subscriptions/acknowledged":
		if !subscribed {
			h.t.Errorf("spec 1.45: this belongs to no subscription: %s", m.raw)
		}
	default:
		h.t.Errorf("spec 5.70: this came: %s", m.raw)
	}
}

// checkResult sees that a result says what it is, and who says so (spec 1.49, 1.50).
func (h *modernHost) checkResult(m modernMessage) {
	h.t.Helper()
	var r modernResult
	if err := json.Unmarshal(m.Result, &r); err != nil {
		h.t.Errorf("the result can't be read: %s: %v", m.raw, err)
	}
	if r.ResultType != "complete" && r.ResultType != "input_required" {
		h.t.Errorf("spec 1.49: the resultType of this is %q: %s", r.ResultType, m.raw)
	}
	_, ends := r.Meta["io.modelcontextprotocol/subscriptionId"] // a listen request: spec 1.66 has no more
	if !ends && !strings.Contains(string(r.Meta["io.modelcontextprotocol/serverInfo"]), `"name"`) {
		h.t.Errorf("spec 1.50: there is no serverInfo in %s", m.raw)
	}
	for _, member := range []string{"resultType", "ttlMs", "cacheScope", "_meta"} {
		if n := countMember(m.Result, member); n > 1 {
			h.t.Errorf("%s is there %d times: %s", member, n, m.raw)
		}
	}
}

// countMember returns how often an object has a member.
func countMember(object json.RawMessage, name string) int {
	d := json.NewDecoder(strings.NewReader(string(object)))
	n := 0
	if _, err := d.Token(); err != nil {
		return 0
	}
	for d.More() {
		key, err := d.Token()
		var value json.RawMessage
		if err != nil || d.Decode(&value) != nil {
			return n
		}
		if key == name {
			n++
		}
	}
	return n
}

// response returns the answer with this raw id, and keeps the notifications that come before.
func (h *modernHost) response(id string) modernMessage {
	h.t.Helper()
	for {
		m := h.message()
		switch {
		case m.Method != "":
			h.notes = append(h.notes, note{m.Method, m.Params})
		case string(m.ID) == id:
			return m
		default:
			h.t.Fatalf("this came while the answer to %s was waited for: %s", id, m.raw)
		}
	}
}

// result returns the result with this raw id.
func (h *modernHost) result(id string) modernResult {
	h.t.Helper()
	m := h.response(id)
	if m.Error != nil {
		h.t.Fatalf("this should be a result: %s", m.raw)
	}
	r := modernResult{raw: m.Result}
	if err := json.Unmarshal(m.Result, &r); err != nil {
		h.t.Fatalf("the result can't be read: %s: %v", m.raw, err)
	}
	return r
}

// complete returns a result that is one.
func (h *modernHost) complete(id string) modernResult {
	h.t.Helper()
	r := h.result(id)
	if r.ResultType != "complete" {
		h.t.Fatalf("this should be complete: %s", r.raw)
	}
	return r
}

// refusal returns the error with this raw id.
func (h *modernHost) refusal(id string) modernError {
	h.t.Helper()
	m := h.response(id)
	if m.Error == nil {
		h.t.Fatalf("this should be an error: %s", m.raw)
	}
	return *m.Error
}

// fence sends a request and waits for its answer: what came of what was there before has come now.
func (h *modernHost) fence(id string) {
	h.t.Helper()
	h.request(id, "tools/list", "")
	h.result(id)
}

// noNotes fails the test if a notification was passed over.
func (h *modernHost) noNotes(why string) {
	h.t.Helper()
	if len(h.notes) > 0 {
		h.t.Errorf("%s, but this came: %s", why, h.notes)
	}
	h.notes = nil
}

func (n note) String() string { return n.Method + " " + string(n.Params) }

// A body is what the server got as the body of a request.
type body struct {
	ID     json.RawMessage
	Method string
	Params map[string]json.RawMessage
	Result json.RawMessage
	Error  *modernError
}

// got returns the messages of a name that the server took, without those that were sent to see
// which transport it speaks.
func got(t testing.TB, s *bridgetest.Server, name string) []body {
	t.Helper()
	var found []body
	old := slices.ContainsFunc(s.Requests(), func(r *bridgetest.Request) bool { return r.URL.Path == "/messages" })
	for _, r := range s.Requests() {
		if r.String() != name || old && r.URL.Path != "/messages" {
			continue
		}
		var b body
		if err := json.Unmarshal(r.Body, &b); err != nil {
			t.Fatalf("the server got what is no message: %s", r.Body)
		}
		found = append(found, b)
	}
	return found
}

// gotOne returns the one message of a name that the server took.
func gotOne(t testing.TB, s *bridgetest.Server, name string) body {
	t.Helper()
	all := got(t, s, name)
	if len(all) != 1 {
		t.Fatalf("the server got %d of %s, want 1; it got %s", len(all), name, s.Requests())
	}
	return all[0]
}

// waitFor waits until the server has got so many of a name.
func waitFor(t testing.TB, s *bridgetest.Server, name string, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("the server gets %d of %s", n, name), func() bool { return len(got(t, s, name)) >= n })
}

// sameJSON tells whether two JSON texts mean the same.
func sameJSON(a, b string) bool {
	var x, y any
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return false
	}
	one, _ := json.Marshal(x)
	other, _ := json.Marshal(y)
	return string(one) == string(other)
}
