package bridge_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mcp-bridge/bridge"
	"mcp-bridge/bridge/bridgetest"
)

// Some hosts send server/discover first and then, whatever was said, initialize on the same pipe (1.37).
// Then it is a host with a handshake like any other: what it says passes as it is, and the one era does
// not see the other's messages (1.31 to 1.33).
func TestModernHost_DiscoverThenInitialize(t *testing.T) {
	t.Parallel()
	for name, sc := range handshakeServers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sc.Legacy = wellBehaved()
			raw, s := startWith(t, sc, bridge.Config{}, "")
			raw.send(modernRequest("0", "server/discover", "", metaVersion, metaInfo, metaCapabilities+"{}"))
			if got := string(raw.answer("0")); !strings.Contains(got, `"supportedVersions"`) {
				t.Errorf("the probe was answered %s", got)
			}
			init := initialize(`"i"`, "2025-06-18")
			raw.send(init)
			if got := string(raw.answer(`"i"`)); !strings.Contains(got, `"protocolVersion":"2025-06-18"`) || strings.Contains(got, "resultType") {
				t.Errorf("initialize was answered %s", got)
			}
			raw.send(initialized)
			const call = `{"jsonrpc":"2.0","id":0,"method":"tools/call","params":{"name":"count","arguments":{"to":1},"_meta":{"progressToken":"p"},"x":1.0}}`
			raw.send(call)
			if got, want := string(raw.answer("0")), `{"jsonrpc":"2.0","id":0,"result":{"content":[{"type":"text","text":"counted to 1"}]}}`; got != want {
				t.Errorf("the host got\n%s, want\n%s", got, want)
			}
			eventually(t, "the call comes as it was sent", func() bool {
				for _, b := range bodies(s, "tools/call") {
					if b == call {
						return true
					}
				}
				return false
			})
			raw.send(`{"jsonrpc":"2.0","id":1,"method":"ping"}`)
			if got := string(raw.answer("1")); got != `{"jsonrpc":"2.0","id":1,"result":{}}` {
				t.Errorf("ping was answered %s", got)
			}
		})
	}
}

// Both eras at the same time on one pipe (1.31, 1.46, 1.47): each request is what it says it is.
func TestModernHost_BothErasAtOnce(t *testing.T) {
	t.Parallel()
	for name, sc := range handshakeServers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sc.Legacy = wellBehaved()
			h, _ := startWith(t, sc, bridge.Config{}, "2025-11-25")
			for i := range 10 {
				h.send(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"echo","arguments":{}}}`, i))
				h.send(modernRequest(fmt.Sprintf(`"%d"`, i), "tools/call", `"name":"echo","arguments":{}`, metaVersion, metaInfo, metaCapabilities+"{}"))
			}
			for i := range 10 {
				if got, want := string(h.answerOf(t, fmt.Sprint(i))), fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"result":{"content":[{"type":"text","text":""}],"structuredContent":{}}}`, i); got != want {
					t.Errorf("the host got\n%s, want\n%s", got, want)
				}
				if got := string(h.answerOf(t, fmt.Sprintf(`"%d"`, i))); !strings.Contains(got, `"resultType":"complete"`) {
					t.Errorf("the host got\n%s, want a result of 2026-07-28", got)
				}
			}
		})
	}
}

// answerOf is answer for answers in any order: those of other requests are kept.
func (h *host) answerOf(t *testing.T, id string) []byte {
	t.Helper()
	want := `"id":` + id + `,`
	for i, line := range h.others {
		if strings.Contains(line, want) {
			h.others = append(h.others[:i:i], h.others[i+1:]...)
			return []byte(line)
		}
	}
	return h.answer(id)
}

// 1.37: "Answer the probe fast and without side effects: … no upstream session kept. Some clients probe
// in a throw-away sibling process".
func TestModernHost_ProbeInASiblingProcess(t *testing.T) {
	t.Parallel()
	for name, sc := range handshakeServers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sc.Legacy = wellBehaved()
			h, s := startModernHost(t, sc, bridge.Config{})
			h.request("1", "server/discover", "")
			h.complete("1")
			h.end()
			if n := s.Sessions(); n > 0 && !sc.HTTPSSE {
				t.Errorf("%d sessions are left at the server", n)
			}
			eventually(t, "nothing is left at the server", func() bool { return s.Sessions() == 0 && s.Streams() == 0 })
			if n := len(got(t, s, "tools/list")) + len(got(t, s, "tools/call")); n > 0 {
				t.Errorf("the probe made the server work: %s", s.Requests())
			}
		})
	}
}

// 1.38: "If the upstream era/auth is not yet known when the probe arrives, do not stall past a few
// seconds: D would read the silence as legacy". The host gets a word; and when the server is there at
// last, everything works.
func TestModernHost_ProbeOfAServerThatHangs(t *testing.T) {
	t.Parallel()
	for _, hangs := range []string{"server/discover", "initialize"} {
		t.Run(hangs, func(t *testing.T) {
			t.Parallel()
			var release chan struct{}
			inFakeTime(t, bridgetest.Config{Legacy: wellBehaved(), Handle: func(_ http.ResponseWriter, r *bridgetest.Request) bool {
				if r.Method == hangs { // somebody signs in
					select {
					case <-release:
					case <-r.Context().Done():
						return true
					}
				}
				return false
			}}, func(t *testing.T, _ *bridgetest.Server, bc bridge.Config) {
				release = make(chan struct{}) // here, for the fake clock to know of it
				h := newModernHost(startHost(t, bc))
				began := time.Now()
				h.request("1", "server/discover", "")
				h.response("1")
				if took := time.Since(began); took > 8*time.Second {
					t.Errorf("the probe was answered after %v", took)
				}
				close(release)
				h.request("2", "server/discover", "")
				h.complete("2")
				h.fence("3")
			})
		})
	}
}

// remembered are the verdicts of a test.
type remembered struct {
	mu    sync.Mutex
	first bridge.Verdict
	saved []bridge.Verdict
}

func (r *remembered) Load() bridge.Verdict { return r.first }

func (r *remembered) Save(v bridge.Verdict) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.saved = append(r.saved, v)
}

func (r *remembered) all() []bridge.Verdict {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.saved)
}

// "modern D → POST server/discover first" (3.22), once (3.30), and not at all when it is known or told
// what the server is (3.21, 3.25).
func TestModernHost_ProbesOnce(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		cfg    bridge.Config
		loaded bridge.Verdict
		probes int
		saved  bool
	}{
		"unknown":        {probes: 1, saved: true},
		"known":          {loaded: bridge.Verdict{Era: bridge.EraLegacy, Found: time.Now().Add(-time.Minute)}},
		"--era legacy":   {cfg: bridge.Config{Era: bridge.EraLegacy}},
		"known long ago": {loaded: bridge.Verdict{Era: bridge.EraLegacy, Found: time.Now().Add(-10 * 365 * 24 * time.Hour)}, probes: 1, saved: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			verdicts := &remembered{first: tt.loaded}
			tt.cfg.Verdicts = verdicts
			h, s := startModernHost(t, bridgetest.Config{Legacy: wellBehaved()}, tt.cfg)
			for i := range 5 { // at once
				h.request(fmt.Sprint(i), "tools/list", "")
			}
			for range 5 {
				if m := h.message(); m.Result == nil {
					t.Errorf("this came: %s", m.raw)
				}
			}
			h.fence("5")
			if n := s.Count("server/discover"); n != tt.probes {
				t.Errorf("the server was probed %d times, want %d", n, tt.probes)
			}
			h.end()
			saved := verdicts.all()
			if tt.saved && (len(saved) == 0 || saved[0].Era != bridge.EraLegacy || time.Since(saved[0].Found).Abs() > time.Hour) {
				t.Errorf("what was remembered of the server is %v", saved)
			}
			for _, v := range saved {
				if v.Era == bridge.EraModern {
					t.Errorf("the server was remembered as a modern one")
				}
			}
		})
	}
}

// "Auth status is never era evidence" (3.23), nor is "Network error, timeout, 5xx, 429" (3.24). The host
// hears what it was, nothing is remembered, and the next request tries again.
func TestModernHost_FailuresAreNoEvidence(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(http.ResponseWriter){
		"401":    func(w http.ResponseWriter) { w.WriteHeader(http.StatusUnauthorized) },
		"403":    func(w http.ResponseWriter) { w.WriteHeader(http.StatusForbidden) },
		"429":    func(w http.ResponseWriter) { w.WriteHeader(http.StatusTooManyRequests) },
		"500":    func(w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) },
		"503":    func(w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) },
		"a cut":  func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
		"an 504": func(w http.ResponseWriter) { answerWith(w, http.StatusGatewayTimeout, "text/html", "<html>") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inFakeTime(t, bridgetest.Config{Legacy: wellBehaved()}, func(t *testing.T, s *bridgetest.Server, bc bridge.Config) {
				verdicts := new(remembered)
				bc.Verdicts = verdicts
				var broken atomic.Bool
				broken.Store(true)
				bc.HTTPClient.Transport = interposed{bc.HTTPClient.Transport, &broken, fail}
				h := newModernHost(startHost(t, bc))
				h.request("1", "tools/list", "")
				if e := h.refusal("1"); e.Code != -32603 {
					t.Errorf("the error is %+v, want -32603 and the cause", e)
				}
				if saved := verdicts.all(); len(saved) > 0 {
					t.Errorf("this was remembered of the server: %v", saved)
				}
				if n := s.Count("initialize"); n > 0 {
					t.Errorf("the server got initialize, though nothing says that it needs one")
				}
				broken.Store(false)
				h.fence("2")
			})
		})
	}
}

// interposed answers in the server's place as long as it is broken.
type interposed struct {
	http.RoundTripper
	broken *atomic.Bool
	fail   func(http.ResponseWriter)
}

func (i interposed) CloseIdleConnections() {
	if t, ok := i.RoundTripper.(*http.Transport); ok {
		t.CloseIdleConnections()
	}
}

func (i interposed) RoundTrip(r *http.Request) (*http.Response, error) {
	if !i.broken.Load() {
		return i.RoundTripper.RoundTrip(r)
	}
	if r.Body != nil {
		_ = r.Body.Close()
	}
	rec := &response{Response: http.Response{Header: make(http.Header), Body: http.NoBody, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r}}
	var err error
	func() {
		defer func() {
			if recover() != nil {
				err = errors.New("connection reset by peer")
			}
		}()
		i.fail(rec)
	}()
	if err != nil {
		return nil, err
	}
	return &rec.Response, nil
}

// A response is a ResponseWriter that keeps the head.
type response struct{ http.Response }

func (r *response) Header() http.Header         { return r.Response.Header }
func (r *response) Write(p []byte) (int, error) { return len(p), nil }
func (r *response) WriteHeader(status int) {
	r.StatusCode, r.Status = status, fmt.Sprint(status, " ", http.StatusText(status))
}

// "init fails → error per 2G", and the request after that tries again.
func TestModernHost_InitializeFails(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		status, code int
		message      string
		want         int
	}{
		"refused":     {http.StatusOK, -32603, "not today", -32603},
		"unavailable": {http.StatusServiceUnavailable, -32603, "restarting", -32603},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			fails := true
			h, _ := startModernHost(t, bridgetest.Config{Legacy: wellBehaved(), Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
				mu.Lock()
				defer mu.Unlock()
				if r.Method != "initialize" || !fails {
					return false
				}
				r.Fail(w, tt.status, tt.code, tt.message)
				return true
			}}, bridge.Config{})
			for _, method := range []string{"tools/list", "server/discover"} {
				h.request("1", method, "")
				if e := h.refusal("1"); e.Code != tt.want || !strings.Contains(e.Message+string(e.Data), tt.message) {
					t.Errorf("%s: the error is %+v, want %d and what the server said", method, e, tt.want)
				}
			}
			mu.Lock()
			fails = false
			mu.Unlock()
			h.fence("2")
		})
	}
}

// 6.72: "U offers no version the bridge knows: … modern: -32022".
func TestModernHost_ServerOfAnUnknownVersion(t *testing.T) {
	t.Parallel()
	h, _ := startModernHost(t, bridgetest.Config{Versions: []string{"1999-01-01"}}, bridge.Config{})
	for _, method := range []string{"tools/list", "server/discover"} {
		h.request("1", method, "")
		if e := h.refusal("1"); e.Code != -32022 {
			t.Errorf("%s: the error is %+v, want -32022", method, e)
		}
	}
}

// --protocol-version is what a server with a handshake is offered.
func TestModernHost_ProtocolVersion(t *testing.T) {
	t.Parallel()
	h, s := startModernHost(t, bridgetest.Config{Legacy: wellBehaved()}, bridge.Config{ProtocolVersion: "2025-06-18"})
	h.fence("1")
	if v := string(gotOne(t, s, "initialize").Params["protocolVersion"]); v != `"2025-06-18"` {
		t.Errorf("the server was offered %s", v)
	}
}

// No batches exist in 2026-07-28: an array is refused (spec 1.18).
func TestModernHost_Batches(t *testing.T) {
	t.Parallel()
	h, s := startModernHost(t, bridgetest.Config{Legacy: wellBehaved()}, bridge.Config{})
	h.fence("1")
	h.send("[" + modernRequest("2", "tools/list", "", metaVersion, metaInfo, metaCapabilities+"{}") + "]")
	if m := h.message(); m.Error == nil || m.Error.Code != -32600 {
		t.Errorf("the batch was answered %s, want -32600", m.raw)
	}
	h.fence("3")
	if n := len(got(t, s, "tools/list")); n != 2 {
		t.Errorf("the server got what was in the batch")
	}
}

// An id that still waits for its answer can't be used for another request (spec 1.11).
func TestModernHost_DuplicateIDs(t *testing.T) {
	t.Parallel()
	h, s := startModernHost(t, bridgetest.Config{Legacy: wellBehaved()}, bridge.Config{})
	h.request("1", "tools/call", `"name":"block"`)
	waitFor(t, s, "tools/call", 1)
	h.request("1", "tools/list", "")
	if m := h.message(); m.Error == nil || m.Error.Code != -32600 {
		t.Errorf("the second request was answered %s, want -32600", m.raw)
	}
	h.request(`"1"`, "tools/list", "")
	h.complete(`"1"`)
	h.listen("2", `"toolsListChanged":true`)
	h.request("2", "tools/list", "")
	if m := h.message(); m.Error == nil || m.Error.Code != -32600 {
		t.Errorf("the second request was answered %s, want -32600: the listen is open", m.raw)
	}
	h.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`)
	waitFor(t, s, "notifications/cancelled", 1)
}

// The end of the input ends everything, in whatever state it is: calls that are parked, listens, tasks
// (spec 1.61, 1.64). The session is ended at the server.
func TestModernHost_EndOfInput(t *testing.T) {
	eachHandshakeServer(t, wellBehaved, func(t *testing.T, h *modernHost, s *bridgetest.Server) {
		h.asks("1", `"ask":[`+rootsQuestion+`]`)
		h.inputRequired("1", 1)
		h.listen("2", `"toolsListChanged":true,"resourceSubscriptions":["test://a"]`)
		for _, line := range h.end() {
			h.check(line)
		}
		if err := h.err(); err != nil {
			t.Errorf("Run returned %v", err)
		}
		eventually(t, "nothing is left at the server", func() bool { return s.Sessions() == 0 && s.Streams() == 0 })
	})
}
