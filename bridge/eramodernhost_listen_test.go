package bridge_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mcp-bridge/bridge"
	"mcp-bridge/bridge/bridgetest"
)

// listen subscribes, and returns what was acknowledged. filter are the members of the filter.
func (h *modernHost) listen(id, filter string) json.RawMessage {
	h.t.Helper()
	h.request(id, "subscriptions/listen", `"notifications":{`+filter+`}`)
	m := h.message()
	var params struct {
		Notifications json.RawMessage
		Meta          map[string]json.RawMessage `json:"_meta"`
	}
	_ = json.Unmarshal(m.Params, &params)
	if m.Method != "notifications/subscriptions/acknowledged" || string(params.Meta["io.modelcontextprotocol/subscriptionId"]) != id {
		h.t.Fatalf("spec 5.51: this should acknowledge %s: %s", id, m.raw)
	}
	return params.Notifications
}

// hears waits for a notification of each of these subscriptions, in any order.
func (h *modernHost) hears(method, params string, ids ...string) {
	h.t.Helper()
	var heard []string
	for range ids {
		m := h.message()
		var p struct {
			Meta map[string]json.RawMessage `json:"_meta"`
		}
		_ = json.Unmarshal(m.Params, &p)
		if m.Method != method || !strings.Contains(string(m.Params), params) {
			h.t.Fatalf("this came, want %s %s: %s", method, params, m.raw)
		}
		heard = append(heard, string(p.Meta["io.modelcontextprotocol/subscriptionId"]))
	}
	slices.Sort(heard)
	slices.Sort(ids)
	if !slices.Equal(heard, ids) {
		h.t.Errorf("%s came for the subscriptions %s, want %s", method, heard, ids)
	}
}

func noteChanged(list string) string {
	return `{"jsonrpc":"2.0","method":"notifications/` + list + `/list_changed"}`
}

func noteUpdated(uri string) string {
	return `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"` + uri + `","n":1.0}}`
}

// "subscriptions/listen (D): Ack first (id echoed with its JSON type); honour booleans only where U
// advertised listChanged; per URI do resources/subscribe (ref-counted), failed URIs omitted from the
// ack; then fan out U notifications tagged per listen".
func TestModernHost_Listen(t *testing.T) {
	const all = `"toolsListChanged":true,"promptsListChanged":true,"resourcesListChanged":true,"resourceSubscriptions":["test://a","test://refused","test://b"]`
	for name, tt := range map[string]struct{ capabilities, filter, want string }{
		"everything":         {"", all, `{"toolsListChanged":true,"promptsListChanged":true,"resourcesListChanged":true,"resourceSubscriptions":["test://a","test://b"]}`},
		"what was asked for": {"", `"toolsListChanged":true,"promptsListChanged":false`, `{"toolsListChanged":true}`},
		"only some are there": {`{"tools":{"listChanged":true},"prompts":{},"resources":{"listChanged":false,"subscribe":true}}`, all,
			`{"toolsListChanged":true,"resourceSubscriptions":["test://a","test://b"]}`},
		"no subscribing":                  {`{"tools":{},"resources":{"listChanged":true}}`, all, `{"resourcesListChanged":true}`},
		"U lacks all → ack with {}":       {`{}`, all, `{}`},
		"nothing was asked for":           {"", ``, `{}`},
		"only a resource that is refused": {"", `"resourceSubscriptions":["test://refused"]`, `{}`},
	} {
		t.Run(name, func(t *testing.T) {
			eachHandshakeServer(t, func() *bridgetest.Legacy { return &bridgetest.Legacy{Capabilities: tt.capabilities} },
				func(t *testing.T, h *modernHost, s *bridgetest.Server) {
					for _, id := range []string{"7", `"7"`} {
						got := string(h.listen(id, tt.filter))
						if !sameJSON(withoutFalse(got), tt.want) {
							t.Errorf("%s was acknowledged as\n%s, want\n%s", id, got, tt.want)
						}
					}
					h.fence("1")
					h.noNotes("nothing has changed")
					want := 0
					if strings.Contains(tt.want, "test://a") {
						want = 1
					}
					n := 0
					for _, b := range got(t, s, "resources/subscribe") {
						if string(b.Params["uri"]) == `"test://a"` {
							n++
						}
					}
					if n != want {
						t.Errorf("the server got %d subscriptions to test://a, want %d", n, want)
					}
				})
		})
	}
}

// withoutFalse leaves out of an object what says no: that is the same as not saying it.
func withoutFalse(object string) string {
	var members map[string]json.RawMessage
	_ = json.Unmarshal([]byte(object), &members)
	for name, value := range members {
		if v := string(value); v == "false" || v == "[]" || v == "null" {
			delete(members, name)
		}
	}
	out, _ := json.Marshal(members)
	return string(out)
}

// "then fan out U notifications tagged per listen", and "list_changed/updated with no matching listen
// (U): Drop (1.52)".
func TestModernHost_ListensHearWhatTheyAskedFor(t *testing.T) {
	eachHandshakeServer(t, wellBehaved, func(t *testing.T, h *modernHost, s *bridgetest.Server) {
		eventuallyStream(t, h, s)
		s.Notify(noteChanged("tools")) // nobody listens yet
		h.fence("0")
		h.noNotes("nobody listens")

		h.listen("1", `"toolsListChanged":true,"resourceSubscriptions":["test://a"]`)
		h.listen(`"1"`, `"toolsListChanged":true,"promptsListChanged":true`)
		h.listen("2", `"resourceSubscriptions":["test://a","test://b"]`)
		s.Notify(noteChanged("resources")) // nobody listens to this
		s.Notify(noteUpdated("test://nobody"))
		s.Notify(noteChanged("tools"))
		h.hears("notifications/tools/list_changed", "", "1", `"1"`)
		s.Notify(noteChanged("prompts"))
		h.hears("notifications/prompts/list_changed", "", `"1"`)
		s.Notify(noteUpdated("test://a"))
		h.hears("notifications/resources/updated", `"uri":"test://a","n":1.0`, "1", "2")
		s.Notify(noteUpdated("test://b"))
		h.hears("notifications/resources/updated", `"uri":"test://b"`, "2")
		h.fence("3")
		h.noNotes("everything has come")
	})
}

// notifications/resources/updated may name a sub-resource of what was subscribed to (spec 5.56).
func TestModernHost_SubResources(t *testing.T) {
	t.Parallel()
	h, s := startModernHost(t, bridgetest.Config{Stream: true, Legacy: wellBehaved()}, bridge.Config{})
	eventuallyStream(t, h, s)
	h.listen("1", `"resourceSubscriptions":["test://a"]`)
	s.Notify(noteUpdated("test://a/sub"))
	h.hears("notifications/resources/updated", `"uri":"test://a/sub"`, "1")
}

// What changes during a call may be told on the stream of the call.
func TestModernHost_ListensHearWhatCallsBring(t *testing.T) {
	eachHandshakeServer(t, func() *bridgetest.Legacy {
		return &bridgetest.Legacy{Answer: func(x *bridgetest.Exchange) string {
			if x.Method == "tools/call" {
				_ = x.Send(noteChanged("tools"))
			}
			return ""
		}}
	}, func(t *testing.T, h *modernHost, _ *bridgetest.Server) {
		h.listen(`"l"`, `"toolsListChanged":true`)
		h.request("1", "tools/call", `"name":"add","arguments":{"a":1,"b":1}`)
		h.hears("notifications/tools/list_changed", "", `"l"`)
		h.complete("1")
	})
}

// "listen cancelled (D): Drop it, resources/unsubscribe URIs with no owner left; send nothing more".
func TestModernHost_ListenCancelled(t *testing.T) {
	eachHandshakeServer(t, wellBehaved, func(t *testing.T, h *modernHost, s *bridgetest.Server) {
		eventuallyStream(t, h, s)
		h.listen("1", `"toolsListChanged":true,"resourceSubscriptions":["test://a"]`)
		h.listen("2", `"toolsListChanged":true,"resourceSubscriptions":["test://a","test://b"]`)
		h.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}`)
		waitFor(t, s, "resources/unsubscribe", 1)
		if uri := string(gotOne(t, s, "resources/unsubscribe").Params["uri"]); uri != `"test://b"` {
			t.Errorf("the server got an unsubscribe of %s, want test://b: another listen has test://a", uri)
		}
		s.Notify(noteChanged("tools"))
		h.hears("notifications/tools/list_changed", "", "1")
		h.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`)
		waitFor(t, s, "resources/unsubscribe", 2)
		s.Notify(noteChanged("tools"))
		s.Notify(noteUpdated("test://a"))
		h.fence("3")
		h.noNotes("nobody listens any more")
		if n := len(got(t, s, "notifications/cancelled")); n > 0 {
			t.Errorf("the server was told of the end of a request that it knows nothing of")
		}

		h.listen("1", `"resourceSubscriptions":["test://a"]`) // the id is free again
		if n := len(got(t, s, "resources/subscribe")); n != 3 {
			t.Errorf("the server got %d subscriptions, want a third", n)
		}
		s.Notify(noteUpdated("test://a"))
		h.hears("notifications/resources/updated", "", "1")
	})
}

// "GET 405 → events only if U pushes them on POST streams: say so on stderr". Nothing is claimed that
// can't be: but for what a server says on the streams of its answers, nothing will come.
func TestModernHost_ListenWithoutStream(t *testing.T) {
	t.Parallel()
	h, s := startModernHost(t, bridgetest.Config{Legacy: wellBehaved()}, bridge.Config{})
	h.listen("1", `"toolsListChanged":true`)
	eventually(t, "the bridge asks for a stream", func() bool { return s.Count("GET") > 0 })
	h.fence("2")
	eventually(t, "there is a word about it on stderr", func() bool {
		for line := range strings.SplitSeq(h.logs(), "\n") {
			if (strings.Contains(line, "level=WARN") || strings.Contains(line, "level=INFO")) && strings.Contains(line, "stream") {
				return true
			}
		}
		return false
	})
}

// The listen is open until it is cancelled; then the same connection may be asked anything.
func TestModernHost_ListenIsNoRequestUnderWay(t *testing.T) {
	t.Parallel()
	h, _ := startModernHost(t, bridgetest.Config{Legacy: wellBehaved()}, bridge.Config{MaxInFlight: 1})
	h.listen("1", `"toolsListChanged":true`)
	h.listen("2", `"toolsListChanged":true`)
	h.fence("3")
}

// A filter that can't be read is refused.
func TestModernHost_ListenToNothing(t *testing.T) {
	t.Parallel()
	h, _ := startModernHost(t, bridgetest.Config{Legacy: wellBehaved()}, bridge.Config{})
	for _, members := range []string{``, `"notifications":7`, `"notifications":null`} {
		h.request("1", "subscriptions/listen", members)
		if e := h.refusal("1"); e.Code != -32602 {
			t.Errorf("with %s the error is %+v, want -32602", members, e)
		}
	}
}

// "session 404 (U): 2.18–2.20; re-subscribe; synthetic list_changed/updated to listens".
func TestModernHost_SessionLost(t *testing.T) {
	t.Parallel()
	for name, sse := range map[string]bool{"JSON": false, "SSE": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, s := startModernHost(t, bridgetest.Config{Stream: true, SSE: sse, Legacy: wellBehaved()}, bridge.Config{})
			eventuallyStream(t, h, s)
			h.listen("1", `"toolsListChanged":true,"resourceSubscriptions":["test://a"]`)
			s.ForgetSessions()
			h.fence("2")
			waitFor(t, s, "initialize", 2)
			waitFor(t, s, "resources/subscribe", 2)
			eventually(t, "the stream opens again", func() bool { return s.Streams() == 1 })
			want := map[string]bool{"notifications/tools/list_changed": true, "notifications/resources/updated": true}
			for _, n := range h.notes {
				delete(want, n.Method)
			}
			for len(want) > 0 {
				m := h.message()
				if m.Method == "" {
					t.Fatalf("this came: %s", m.raw)
				}
				delete(want, m.Method)
			}
			h.notes = nil
			s.Notify(noteChanged("tools"))
			for {
				if m := h.message(); m.Method == "notifications/tools/list_changed" {
					break
				}
			}
			a, b := got(t, s, "initialize")[0], got(t, s, "initialize")[1]
			if string(a.Params["capabilities"]) != string(b.Params["capabilities"]) {
				t.Errorf("the second session has the capabilities %s, want %s", b.Params["capabilities"], a.Params["capabilities"])
			}
		})
	}
}

// The stream of an HTTP+SSE server is its session: when it ends, a new one begins.
func TestModernHost_StreamOfHTTPSSELost(t *testing.T) {
	t.Parallel()
	h, s := startModernHost(t, bridgetest.Config{HTTPSSE: true, Legacy: wellBehaved()}, bridge.Config{})
	eventuallyStream(t, h, s)
	h.listen("1", `"toolsListChanged":true`)
	s.ForgetSessions()
	h.hears("notifications/tools/list_changed", "", "1")
	h.fence("2")
	eventually(t, "the stream opens again", func() bool { return s.Streams() == 1 })
	s.Notify(noteChanged("tools"))
	h.hears("notifications/tools/list_changed", "", "1")
}

// A server that comes back with another revision or other capabilities is nothing that a modern host has
// to be restarted for: nothing was agreed on with it (spec 1.46).
func TestModernHost_ServerThatHasChanged(t *testing.T) {
	t.Parallel()
	var changedNow atomic.Bool
	h, s := startModernHost(t, bridgetest.Config{Stream: true, Legacy: wellBehaved(), Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
		if r.Method != "initialize" || !changedNow.Load() {
			return false
		}
		rec := httptest.NewRecorder()
		r.Serve(rec)
		w.Header().Set("Mcp-Session-Id", rec.Header().Get("Mcp-Session-Id"))
		answerJSON(w, strings.Replace(rec.Body.String(), `"completions":{},`, "", 1))
		return true
	}}, bridge.Config{})
	eventuallyStream(t, h, s)
	changedNow.Store(true)
	s.ForgetSessions()
	for _, id := range []string{"1", "2", "3"} { // the first ones may be told
		h.request(id, "tools/list", "")
		if m := h.response(id); id == "3" && m.Error != nil {
			t.Errorf("the host got %s", m.raw)
		}
	}
	h.request("4", "server/discover", "")
	if r := h.complete("4"); strings.Contains(string(r.Capabilities), "completions") {
		t.Errorf("the host is told the capabilities %s", r.Capabilities)
	}
}

// Pings keep the session alive, if that is wanted: a modern host has none, but the server does.
func TestModernHost_KeepAlive(t *testing.T) {
	t.Parallel()
	for name, sc := range handshakeServers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sc.Legacy = wellBehaved()
			inFakeTime(t, sc, func(t *testing.T, s *bridgetest.Server, bc bridge.Config) {
				bc.KeepAlive = time.Minute
				h := newModernHost(startHost(t, bc))
				h.fence("1")
				time.Sleep(10 * time.Minute)
				if n := len(got(t, s, "ping")); n < 5 || n > 10 {
					t.Errorf("in ten minutes the server got %d pings", n)
				}
				h.fence("2")
				h.noNotes("nothing has happened")
			})
		})
	}
}
