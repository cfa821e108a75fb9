package bridge_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"mcp-bridge/bridge"
	"mcp-bridge/bridge/bridgetest"
)

const (
	discovers = "server/discover"

	// discovered is what a server of 2026-07-28 says of itself.
	discovered = `{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"ttlMs":0,"cacheScope":"private"}`
)

// supports is the error of a server that does not know the version, and names these.
func supports(versions string) string {
	return `{"code":-32022,"message":"Unsupported protocol version","data":{"supported":[` + versions + `],"requested":"2026-07-28"}}`
}

// wantFirst waits until the server has got this many requests, and fails the test unless these came
// first, in this order.
func wantFirst(t *testing.T, s *bridgetest.Server, want ...string) {
	t.Helper()
	eventually(t, "the server gets its requests", func() bool { return len(s.Requests()) >= len(want) || t.Failed() })
	got := plainNames(s)
	if !slices.Equal(got[:min(len(want), len(got))], want) {
		t.Fatalf("the server got %q, want first %q", got, want)
	}
}

// plainNames returns what the server got, without sessions.
func plainNames(s *bridgetest.Server) []string {
	var all []string
	for _, r := range s.Requests() {
		all = append(all, r.String())
	}
	return all
}

// The usual case costs nothing: no request but the host's own, nothing kept (issue: Detection; spec
// 3.22). That holds for a server of both eras too, whichever the host is of.
func TestDetect_NoExtraRequest(t *testing.T) {
	t.Parallel()
	for name, versions := range map[string][]string{"handshake": nil, "dual": bridgetest.Dual} {
		t.Run("a host with a handshake, "+name, func(t *testing.T) {
			t.Parallel()
			known := new(notebook)
			h, s := startWith(t, bridgetest.Config{Versions: versions, Stateless: true}, bridge.Config{Verdicts: known}, "2025-11-25")
			h.send(listTools("1"))
			wantResult(t, h, "1")
			wantNothingMore(t, h)
			got := slices.DeleteFunc(plainNames(s), func(name string) bool { return name == "GET" })
			if want := []string{"initialize", "notifications/initialized", "tools/list"}; !slices.Equal(got, want) {
				t.Errorf("the server got %q, want %q", got, want)
			}
			if v, n := known.last(); n > 0 {
				t.Errorf("%v was saved", v)
			}
		})
	}
	for name, versions := range map[string][]string{"modern": bridgetest.Modern, "dual": bridgetest.Dual} {
		t.Run("a modern host, "+name, func(t *testing.T) {
			t.Parallel()
			h, s := startWith(t, bridgetest.Config{Versions: versions}, bridge.Config{}, "")
			h.send(modern("0", discovers, ""))
			wantResult(t, h, "0")
			h.send(modern("1", "tools/list", ""))
			wantResult(t, h, "1")
			wantNothingMore(t, h)
			if got, want := plainNames(s), []string{discovers, "tools/list"}; !slices.Equal(got, want) {
				t.Errorf("the server got %q, want %q", got, want)
			}
		})
	}
}

// Step M, as spec 3B has it: what the answer to server/discover means, row by row. The server is one
// of both eras, so that whatever follows can go on.
func TestDetect_StepM(t *testing.T) {
	t.Parallel()
	legacy := func(answer func(http.ResponseWriter, *bridgetest.Request)) func() func(http.ResponseWriter, *bridgetest.Request) bool {
		return func() func(http.ResponseWriter, *bridgetest.Request) bool { return always(discovers, answer) }
	}
	first := func(answer func(http.ResponseWriter, *bridgetest.Request)) func() func(http.ResponseWriter, *bridgetest.Request) bool {
		return func() func(http.ResponseWriter, *bridgetest.Request) bool { return once(discovers, answer) }
	}
	for name, test := range map[string]struct {
		handle func() func(http.ResponseWriter, *bridgetest.Request) bool
		want   []string // what the server gets first
		asks   string   // the version of initialize
	}{
		"result with supportedVersions that has 2026-07-28": {
			first(answers(discovered)), []string{discovers, "tools/list"}, ""},
		"result with supportedVersions that has 2026-07-28 among others": {
			first(answers(strings.Replace(discovered, `["2026-07-28"]`, `["2099-01-01","2026-07-28","2025-11-25"]`, 1))), []string{discovers, "tools/list"}, ""},
		"result with supportedVersions all of old": {
			legacy(answers(strings.Replace(discovered, `["2026-07-28"]`, `["2025-03-26","2025-06-18","2024-11-05"]`, 1))), []string{discovers, "initialize"}, "2025-06-18"},
		"error -32022 with a modern version that the bridge knows": {
			first(fails(400, supports(`"2026-07-28"`))), []string{discovers, discovers, "tools/list"}, ""},
		"error -32022 with versions of old only": {
			legacy(fails(400, supports(`"2024-11-05","2025-06-18"`))), []string{discovers, "initialize"}, "2025-06-18"},
		"error -32020, once": {
			first(fails(400, `{"code":-32020,"message":"Header mismatch"}`)), []string{discovers, discovers, "tools/list"}, ""},
		"error -32021, once": {
			first(fails(400, `{"code":-32021,"message":"Missing capability","data":{"requiredCapabilities":{"sampling":{}}}}`)), []string{discovers, discovers, "tools/list"}, ""},
		"error -32020, again (8.04)": {
			legacy(fails(400, `{"code":-32020,"message":"Header mismatch"}`)), []string{discovers, discovers, "initialize"}, ""},
		"error -32021, again (8.04)": {
			legacy(fails(400, `{"code":-32021,"message":"Missing capability"}`)), []string{discovers, discovers, "initialize"}, ""},
		"error -32601 under 200": {legacy(fails(200, `{"code":-32601,"message":"Method not found"}`)), []string{discovers, "initialize"}, ""},
		"error -32601 under 404": {legacy(fails(404, `{"code":-32601,"message":"Method not found"}`)), []string{discovers, "initialize"}, ""},
		"error -32601 under 400": {legacy(fails(400, `{"code":-32601,"message":"Method not found"}`)), []string{discovers, "initialize"}, ""},
		"error -32602":           {legacy(fails(400, `{"code":-32602,"message":"Invalid params"}`)), []string{discovers, "initialize"}, ""},
		"error -32602 under 200": {legacy(fails(200, `{"code":-32602,"message":"Invalid params"}`)), []string{discovers, "initialize"}, ""},
		"error -32000":           {legacy(fails(400, `{"code":-32000,"message":"Bad Request: Server not initialized"}`)), []string{discovers, "initialize"}, ""},
		"error -32001":           {legacy(fails(404, `{"code":-32001,"message":"Session not found"}`)), []string{discovers, "initialize"}, ""},
		"error -32019":           {legacy(fails(400, `{"code":-32019,"message":"?"}`)), []string{discovers, "initialize"}, ""},
		"an error without id": {legacy(func(w http.ResponseWriter, _ *bridgetest.Request) {
			answerWith(w, 400, "application/json", `{"jsonrpc":"2.0","error":{"code":-32600,"message":"Bad Request: Mcp-Session-Id header is required"}}`)
		}), []string{discovers, "initialize"}, ""},
		"an error with id null": {legacy(func(w http.ResponseWriter, _ *bridgetest.Request) {
			answerWith(w, 400, "application/json", `{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Bad Request: No valid session ID provided"}}`)
		}), []string{discovers, "initialize"}, ""},
		"400, empty": {legacy(status(400)), []string{discovers, "initialize"}, ""},
		"404, empty": {legacy(status(404)), []string{discovers, "initialize"}, ""},
		"405, empty": {legacy(status(405)), []string{discovers, "initialize"}, ""},
		"406, empty": {legacy(status(406)), []string{discovers, "initialize"}, ""},
		"415, empty": {legacy(status(415)), []string{discovers, "initialize"}, ""},
		"422, empty": {legacy(status(422)), []string{discovers, "initialize"}, ""},
		"404, HTML": {legacy(func(w http.ResponseWriter, _ *bridgetest.Request) {
			answerWith(w, 404, "text/html", "<h1>Not Found</h1>")
		}),
			[]string{discovers, "initialize"}, ""},
		"400, JSON of another kind": {legacy(func(w http.ResponseWriter, _ *bridgetest.Request) {
			answerWith(w, 400, "application/json", `{"error":"missing sessionId"}`)
		}), []string{discovers, "initialize"}, ""},
		"result without supportedVersions": {legacy(answers(`{}`)), []string{discovers, "initialize"}, ""},
	} {
		for way, events := range map[string]bool{"JSON": false, "SSE": true} {
			t.Run(name+", "+way, func(t *testing.T) {
				t.Parallel()
				h, s := startWith(t, bridgetest.Config{Versions: bridgetest.Dual, SSE: events, Handle: test.handle()}, bridge.Config{}, "")
				h.send(modern("1", "tools/list", ""))
				wantFirst(t, s, test.want...)
				if !slices.Contains(test.want, "initialize") {
					wantResult(t, h, "1")
					wantNothingMore(t, h)
					if n := s.Count("initialize"); n > 0 {
						t.Errorf("the server got %q", plainNames(s))
					}
					return
				}
				var params struct{ ProtocolVersion string }
				decodeInto(t, bodies(s, "initialize")[0], "params", &params)
				if test.asks != "" && params.ProtocolVersion != test.asks {
					t.Errorf("initialize asks for %s, want %s", params.ProtocolVersion, test.asks)
				}
				h.answer("1")
			})
		}
	}
}

// A server that says -32022 and names a version that it then refuses again is asked twice, not for
// ever, and not for a handshake: it is a modern one (Step M: re-probe once, loop guard).
func TestDetect_StepM_LoopGuard(t *testing.T) {
	t.Parallel()
	h, s := startWith(t, bridgetest.Config{Versions: bridgetest.Dual, Handle: always(discovers, fails(400, supports(`"2026-07-28"`)))}, bridge.Config{}, "")
	h.send(modern("1", "tools/list", ""))
	errorOf(t, h.answer("1"))
	wantNothingMore(t, h)
	if got, want := plainNames(s), []string{discovers, discovers}; !slices.Equal(got, want) {
		t.Errorf("the server got %q, want %q", got, want)
	}
}

// A server that only knows modern versions that the bridge does not know is not asked for a
// handshake; the error names both lists (Step M; spec 2.51, 6.72).
func TestDetect_StepM_UnknownVersions(t *testing.T) {
	t.Parallel()
	later := bridgetest.Config{Versions: []string{"2099-01-01"}}
	t.Run("a modern host", func(t *testing.T) {
		t.Parallel()
		h, s := startWith(t, later, bridge.Config{}, "")
		h.send(modern("1", "tools/list", ""))
		answer := h.answer("1")
		if e := errorOf(t, answer); e.Code != -32022 {
			t.Errorf("the code is %d, want -32022: %s", e.Code, answer)
		}
		for _, version := range []string{"2099-01-01", "2026-07-28"} {
			if !strings.Contains(string(answer), version) {
				t.Errorf("the error does not name %s: %s", version, answer)
			}
		}
		wantNothingMore(t, h)
		if n := s.Count("initialize"); n > 0 {
			t.Errorf("the server got %q", plainNames(s))
		}
	})
	t.Run("a host with a handshake", func(t *testing.T) {
		t.Parallel()
		h, _ := startWith(t, later, bridge.Config{}, "")
		h.send(initialize("1", "2025-06-18"))
		answer := h.answer("1")
		if e := errorOf(t, answer); e.Code != -32602 || !strings.Contains(e.Message, "Unsupported protocol version") {
			t.Errorf("the error is %s, want -32602 Unsupported protocol version", answer)
		}
		wantJSON(t, "data.requested", member(answer, "error", "data", "requested"), `"2025-06-18"`)
		if !strings.Contains(string(member(answer, "error", "data", "supported")), "2099-01-01") {
			t.Errorf("data.supported does not name the server's version: %s", answer)
		}
		wantNothingMore(t, h)
	})
}

// Step I, as spec 3B has it: which answers to initialize mean that the server is a modern one. Then
// server/discover follows, and the host has its result all the same.
func TestDetect_StepI_Evidence(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(http.ResponseWriter, *bridgetest.Request){
		"400 and -32020":          fails(400, `{"code":-32020,"message":"Mcp-Method is missing"}`),
		"400 and -32021":          fails(400, `{"code":-32021,"message":"Missing capability"}`),
		"400 and -32022":          fails(400, supports(`"2026-07-28"`)),
		"-32601 under 200":        fails(200, `{"code":-32601,"message":"Method not found"}`),
		"-32601 under 404":        fails(404, `{"code":-32601,"message":"Method not found"}`),
		"-32601 under 400":        fails(400, `{"code":-32601,"message":"Method not found"}`),
		"modern versions in data": fails(400, `{"code":-32602,"message":"Unsupported protocol version","data":{"supported":["2026-07-28"],"requested":"2025-11-25"}}`),
		"modern versions in data under 200": fails(200,
			`{"code":-32602,"message":"Unsupported protocol version","data":{"supported":["2026-07-28"],"requested":"2025-11-25"}}`),
		"modern versions in words": fails(400, `{"code":-32600,"message":"This server speaks 2026-07-28 only"}`),
		"-32020 without id": func(w http.ResponseWriter, _ *bridgetest.Request) {
			answerWith(w, 400, "application/json", `{"jsonrpc":"2.0","error":{"code":-32020,"message":"Mcp-Method is missing"}}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			known := new(notebook)
			h, s := startWith(t, bridgetest.Config{Versions: bridgetest.Modern, Handle: always("initialize", answer)}, bridge.Config{Verdicts: known}, "")
			h.send(initialize(`"i"`, "2025-06-18"))
			wantJSON(t, "the version", member(resultOf(t, h.answer(`"i"`)), "protocolVersion"), `"2025-06-18"`)
			wantFirst(t, s, "initialize", discovers)
			h.send(initialized)
			h.send(listTools("2"))
			wantResult(t, h, "2")
			wantNothingMore(t, h)
			if n := s.Count(discovers); n != 1 {
				t.Errorf("the server got %q", plainNames(s))
			}
			wantVerdict(t, known, bridge.EraModern)
		})
	}
}

// What says nothing about the era is no reason to try the other one (spec 3.23, 3.24; Step I, row
// "other"). The host hears of it, and the next try begins anew.
func TestDetect_NoEvidence(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(http.ResponseWriter, *bridgetest.Request){
		"401": status(401, "WWW-Authenticate", "Bearer"), "403": status(403), "408": status(408), "429": status(429),
		"500": status(500), "501": status(501), "502": status(502), "503": status(503), "504": status(504),
		"401 with modern words": fails(401, supports(`"2026-07-28"`)),
		"500 with modern words": fails(500, supports(`"2026-07-28"`)),
		"reset":                 func(http.ResponseWriter, *bridgetest.Request) { panic(http.ErrAbortHandler) },
		"cut":                   cut,
		"202":                   status(202),
		"HTML":                  func(w http.ResponseWriter, _ *bridgetest.Request) { answerWith(w, 200, "text/html", "<h1>hello</h1>") },
	} {
		t.Run("initialize, "+name, func(t *testing.T) {
			t.Parallel()
			known := new(notebook)
			h, s := startWith(t, bridgetest.Config{Versions: bridgetest.Dual, Handle: once("initialize", answer)}, bridge.Config{Verdicts: known}, "")
			h.send(initialize("1", "2025-11-25"))
			line := h.answer("1")
			if strings.Contains(string(line), `"result"`) && name == "reset" {
				return // net/http may repeat what was never answered
			}
			errorOf(t, line)
			h.send(initialize("2", "2025-11-25"))
			wantResult(t, h, "2")
			if n := s.Count(discovers); n > 0 {
				t.Errorf("the server got %q", plainNames(s))
			}
			if v, n := known.last(); n > 0 {
				t.Errorf("%v was saved", v)
			}
		})
		t.Run("server/discover, "+name, func(t *testing.T) {
			t.Parallel()
			if name == "HTML" || name == "202" {
				t.Skip("a server of old may say that to what it does not know") // spec 3B, Step M: other body
			}
			known := new(notebook)
			h, s := startWith(t, bridgetest.Config{Versions: bridgetest.Dual, Handle: once(discovers, answer)}, bridge.Config{Verdicts: known}, "")
			h.send(modern("1", "tools/list", ""))
			h.answer("1") // an error, unless the bridge tries again: a probe may be repeated
			h.send(modern("2", "tools/list", ""))
			wantResult(t, h, "2")
			wantNothingMore(t, h)
			if n := s.Count("initialize"); n > 0 {
				t.Errorf("the server got %q", plainNames(s))
			}
			if v, _ := known.last(); v.Era == bridge.EraLegacy {
				t.Errorf("%v was saved", v)
			}
		})
	}
}

// Time that passes is no evidence either: silence means an old server on stdio only (spec 3.24).
func TestDetect_SilenceIsNoEvidence(t *testing.T) {
	for name, first := range map[string]string{"initialize": initialize("1", "2025-11-25"), discovers: modern("1", "tools/list", "")} {
		t.Run(name, func(t *testing.T) {
			inFakeTime(t, bridgetest.Config{Versions: bridgetest.Dual, Handle: always(name, held)}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
				cfg.ResponseTimeout = time.Minute
				h := startHost(t, cfg)
				h.send(first)
				errorOf(t, waitAnswer(t, h, "1", time.Minute))
				for _, got := range plainNames(s) {
					if got != name {
						t.Errorf("the server got %q", plainNames(s))
					}
				}
			})
		})
	}
}

// Neither Step M nor Step S makes initialize of a server that can do nothing of the three; each is
// tried once, and the host hears what was said first (spec 3.30).
func TestDetect_NothingFits(t *testing.T) {
	t.Parallel()
	refuse := func(w http.ResponseWriter, r *bridgetest.Request) bool {
		answerWith(w, 404, "text/plain", "nothing here for "+r.String())
		return true
	}
	t.Run("a host with a handshake", func(t *testing.T) {
		t.Parallel()
		h, s := startWith(t, bridgetest.Config{Handle: refuse}, bridge.Config{}, "")
		h.send(initialize("1", "2025-11-25"))
		wantFailure(t, h, "1", "404")
		wantNothingMore(t, h)
		for _, name := range []string{"initialize", discovers, "GET"} {
			if n := s.Count(name); n > 1 {
				t.Errorf("%s was sent %d times", name, n)
			}
		}
	})
	t.Run("a modern host", func(t *testing.T) {
		t.Parallel()
		h, s := startWith(t, bridgetest.Config{Handle: refuse}, bridge.Config{}, "")
		h.send(modern("1", "tools/list", ""))
		errorOf(t, h.answer("1"))
		wantNothingMore(t, h)
		if got, want := plainNames(s), []string{discovers, "initialize", "GET"}; !slices.Equal(got, want) {
			t.Errorf("the server got %q, want %q", got, want)
		}
	})
}

// A modern host that starts with several requests at once still finds the server's era once.
func TestDetect_OnceForAll(t *testing.T) {
	t.Parallel()
	h, s := startWith(t, bridgetest.Config{Versions: bridgetest.Modern}, bridge.Config{}, "")
	ids := []string{"1", "2", "3", "4", "5", "6", "7", "8"}
	for _, id := range ids {
		h.send(modern(id, "tools/list", ""))
	}
	for id, answer := range h.answersTo(ids) {
		if member(answer, "result") == nil {
			t.Errorf("%s is answered %s", id, answer)
		}
	}
	wantNothingMore(t, h)
	if n := s.Count(discovers); n != 1 {
		t.Errorf("the server got %d probes, want 1", n)
	}
}

// What was found out is remembered (spec 3.21, 3.31): the second run does not try what failed.
func TestDetect_VerdictSpares(t *testing.T) {
	t.Parallel()
	t.Run("a host with a handshake, a modern server", func(t *testing.T) {
		t.Parallel()
		known := new(notebook)
		for run := range 2 {
			h, s := startWith(t, bridgetest.Config{Versions: bridgetest.Modern}, bridge.Config{Verdicts: known}, "2025-11-25")
			h.send(listTools("1"))
			wantResult(t, h, "1")
			wantNothingMore(t, h)
			if want := 1 - run; s.Count("initialize") != want || s.Count(discovers) != 1 {
				t.Errorf("run %d: the server got %q", run, plainNames(s))
			}
			wantVerdict(t, known, bridge.EraModern)
		}
	})
	t.Run("a modern host, a server with a handshake", func(t *testing.T) {
		t.Parallel()
		known := new(notebook)
		for run := range 2 {
			h, s := startWith(t, bridgetest.Config{}, bridge.Config{Verdicts: known}, "")
			h.send(modern("1", "tools/list", ""))
			arrives(t, s, "initialize", 1)
			h.answer("1")
			if want := 1 - run; s.Count(discovers) != want || s.Count("initialize") != 1 {
				t.Errorf("run %d: the server got %q", run, plainNames(s))
			}
			wantVerdict(t, known, bridge.EraLegacy)
		}
	})
}

// A verdict that is wrong by now costs one request: the era is found anew, and remembered (spec
// 3.31).
func TestDetect_VerdictWrong(t *testing.T) {
	t.Parallel()
	t.Run("modern, and the server is not", func(t *testing.T) {
		t.Parallel()
		known := &notebook{known: bridge.Verdict{Era: bridge.EraModern, Found: time.Now()}}
		h, s := startWith(t, bridgetest.Config{Stateless: true}, bridge.Config{Verdicts: known}, "2025-11-25")
		wantFirst(t, s, discovers, "initialize")
		h.send(listTools("1"))
		wantResult(t, h, "1")
		wantNothingMore(t, h)
		if v, _ := known.last(); v.Era == bridge.EraModern {
			t.Errorf("%v is still kept", v)
		}
	})
	t.Run("legacy, and the server no longer is", func(t *testing.T) {
		t.Parallel()
		known := &notebook{known: bridge.Verdict{Era: bridge.EraLegacy, Found: time.Now()}}
		h, s := startWith(t, bridgetest.Config{Versions: bridgetest.Modern}, bridge.Config{Verdicts: known}, "")
		h.send(modern("1", "tools/list", ""))
		wantResult(t, h, "1")
		wantNothingMore(t, h)
		wantFirst(t, s, "initialize", discovers, "tools/list")
		if v, _ := known.last(); v.Era == bridge.EraLegacy {
			t.Errorf("%v is still kept", v)
		}
	})
}

// A verdict that the server has a handshake only never fails by itself, so it expires: the server may
// have become one of both eras meanwhile (spec 3.31).
func TestDetect_VerdictExpires(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		age   time.Duration
		first string
	}{
		"a minute old": {time.Minute, "initialize"},
		"a year old":   {365 * 24 * time.Hour, discovers},
		"not dated":    {0, discovers},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			known := &notebook{known: bridge.Verdict{Era: bridge.EraLegacy, Found: time.Now().Add(-test.age)}}
			if test.age == 0 {
				known.known.Found = time.Time{}
			}
			h, s := startWith(t, bridgetest.Config{Versions: bridgetest.Dual}, bridge.Config{Verdicts: known}, "")
			h.send(modern("1", "tools/list", ""))
			wantFirst(t, s, test.first)
			h.answer("1")
		})
	}
}

// What the user pins is not found out (spec 3.25).
func TestDetect_Pins(t *testing.T) {
	t.Parallel()
	t.Run("legacy, a host with a handshake, a modern server", func(t *testing.T) {
		t.Parallel()
		h, s := startWith(t, bridgetest.Config{Versions: bridgetest.Modern}, bridge.Config{Era: bridge.EraLegacy}, "")
		h.send(initialize("1", "2025-11-25"))
		errorOf(t, h.answer("1"))
		wantNothingMore(t, h)
		if n := s.Count(discovers); n > 0 {
			t.Errorf("the server got %q", plainNames(s))
		}
	})
	t.Run("legacy, a modern host, a server of both eras", func(t *testing.T) {
		t.Parallel()
		h, s := startWith(t, bridgetest.Config{Versions: bridgetest.Dual}, bridge.Config{Era: bridge.EraLegacy}, "")
		h.send(modern("1", "tools/list", ""))
		wantFirst(t, s, "initialize")
		h.answer("1")
		if n := s.Count(discovers); n > 0 {
			t.Errorf("the server got %q", plainNames(s))
		}
	})
	t.Run("modern, a host with a handshake, a server of both eras", func(t *testing.T) {
		t.Parallel()
		h, s := startWith(t, bridgetest.Config{Versions: bridgetest.Dual}, bridge.Config{Era: bridge.EraModern}, "2025-06-18")
		h.send(listTools("1"))
		wantResult(t, h, "1")
		wantNothingMore(t, h)
		if s.Count("initialize") > 0 || s.Sessions() > 0 || s.Count(discovers) != 1 {
			t.Errorf("the server got %q", plainNames(s))
		}
	})
	t.Run("modern, a server with a handshake", func(t *testing.T) {
		t.Parallel()
		for name, first := range map[string]string{"a modern host": modern("1", "tools/list", ""), "a host with a handshake": initialize("1", "2025-11-25")} {
			t.Run(name, func(t *testing.T) {
				h, s := startWith(t, bridgetest.Config{}, bridge.Config{Era: bridge.EraModern}, "")
				h.send(first)
				errorOf(t, h.answer("1"))
				wantNothingMore(t, h)
				if s.Count("initialize") > 0 || s.Count("GET") > 0 {
					t.Errorf("the server got %q", plainNames(s))
				}
			})
		}
	})
	t.Run("a pin is stronger than a verdict, and leaves it alone", func(t *testing.T) {
		t.Parallel()
		known := &notebook{known: bridge.Verdict{Era: bridge.EraModern, Found: time.Now()}}
		_, s := startWith(t, bridgetest.Config{Versions: bridgetest.Dual}, bridge.Config{Era: bridge.EraLegacy, Verdicts: known}, "2025-11-25")
		wantFirst(t, s, "initialize")
		if _, n := known.last(); n > 0 || s.Count(discovers) > 0 {
			t.Errorf("%d verdicts were saved; the server got %q", n, plainNames(s))
		}
	})
}

// The version that the user pins is the one that the server hears of; the rest of initialize is the
// host's, byte for byte.
func TestDetect_PinnedVersion(t *testing.T) {
	t.Parallel()
	t.Run("with a handshake", func(t *testing.T) {
		t.Parallel()
		h, s := startWith(t, bridgetest.Config{}, bridge.Config{ProtocolVersion: "2025-03-26"}, "")
		h.send(initialize("1", "2025-11-25"))
		wantResult(t, h, "1")
		if got, want := bodies(s, "initialize"), initialize("1", "2025-03-26"); !slices.Equal(got, []string{want}) {
			t.Errorf("the server got\n%q, want\n%q", got, want)
		}
	})
	t.Run("2026-07-28, a host with a handshake, a server of both eras", func(t *testing.T) {
		t.Parallel()
		h, s := startWith(t, bridgetest.Config{Versions: bridgetest.Dual}, bridge.Config{ProtocolVersion: "2026-07-28"}, "2025-06-18")
		h.send(listTools("1"))
		wantResult(t, h, "1")
		wantNothingMore(t, h)
		if s.Count("initialize") > 0 || s.Count(discovers) != 1 {
			t.Errorf("the server got %q", plainNames(s))
		}
	})
}

// A transport that the user names is no era: streamable HTTP may turn out to be a modern server, and
// HTTP+SSE is always an old one.
func TestDetect_NamedTransport(t *testing.T) {
	t.Parallel()
	t.Run("http", func(t *testing.T) {
		t.Parallel()
		h, _ := startWith(t, bridgetest.Config{Versions: bridgetest.Modern}, bridge.Config{Transport: bridge.TransportHTTP}, "2025-11-25")
		h.send(listTools("1"))
		wantResult(t, h, "1")
		wantNothingMore(t, h)
	})
	t.Run("sse", func(t *testing.T) {
		t.Parallel()
		h, s := startWith(t, bridgetest.Config{HTTPSSE: true}, bridge.Config{Transport: bridge.TransportSSE}, "")
		h.send(modern("1", "tools/list", ""))
		wantFirst(t, s, "GET", "initialize")
		h.answer("1")
		if n := s.Count(discovers); n > 0 {
			t.Errorf("the server got %q", plainNames(s))
		}
	})
}

// A host of both eras may probe and then make a handshake on the same pipe, and a server of both eras
// serves each in its own way (spec 1.31, 1.33, 1.37).
func TestDetect_BothOnOnePipe(t *testing.T) {
	t.Parallel()
	for name, versions := range map[string][]string{"dual": bridgetest.Dual, "modern": bridgetest.Modern} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, s := startWith(t, bridgetest.Config{Versions: versions}, bridge.Config{}, "")
			h.send(modern(`"probe"`, discovers, ""))
			wantResult(t, h, `"probe"`)
			h.handshake("2025-06-18")
			h.send(listTools("1"))
			if got := resultOf(t, h.answer("1")); member(got, "resultType") != nil {
				t.Errorf("a host with a handshake got %s", got)
			}
			h.send(modern("2", "tools/list", ""))
			if got := resultOf(t, h.answer("2")); member(got, "resultType") == nil {
				t.Errorf("a modern host got %s", got)
			}
			wantNothingMore(t, h)
			if native := s.Count("initialize") == 1 && s.Sessions() == 0; name == "dual" && !native {
				t.Errorf("the server got %q", names(s))
			}
		})
	}
}

// A host that does not wait for answers gets them all the same, whichever server it is: nothing
// overtakes initialize.
func TestDetect_Pipelined(t *testing.T) {
	t.Parallel()
	for name, sc := range map[string]bridgetest.Config{"modern": {Versions: bridgetest.Modern}, "dual": {Versions: bridgetest.Dual}, "handshake": {}, "HTTP+SSE": {HTTPSSE: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, _ := startWith(t, sc, bridge.Config{}, "")
			h.sendRaw([]byte(initialize(`"i"`, "2025-06-18") + "\n" + initialized + "\n" + listTools("1") + "\n" + callEcho("2") + "\n"))
			for id, answer := range h.answersTo([]string{`"i"`, "1", "2"}) {
				if member(answer, "result") == nil {
					t.Errorf("%s is answered %s", id, answer)
				}
			}
			wantNothingMore(t, h)
		})
	}
}

// A request that is cancelled while the era is being found out for it is never sent, and those that
// wait for the same are not left alone.
func TestDetect_FirstRequestCancelled(t *testing.T) {
	t.Parallel()
	for name, versions := range map[string][]string{"modern": bridgetest.Modern, "handshake": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, s := startWith(t, bridgetest.Config{Versions: versions, Handle: once(discovers, held)}, bridge.Config{}, "")
			h.send(modern(`"gone"`, "tools/call", `"name":"add",`))
			arrives(t, s, discovers, 1)
			h.send(modern("1", "tools/list", ""))
			h.send(cancel(`"gone"`))
			wantResult(t, h, "1")
			wantNothingMore(t, h)
			if n := s.Count("tools/call"); n > 0 {
				t.Errorf("the server got %q", plainNames(s))
			}
		})
	}
}

// The end of the input while the era is being found out ends that too, with an answer.
func TestDetect_EndMeanwhile(t *testing.T) {
	for name, first := range map[string]string{discovers: modern("1", "tools/list", ""), "initialize": initialize("1", "2025-11-25")} {
		t.Run(name, func(t *testing.T) {
			inFakeTime(t, bridgetest.Config{Versions: bridgetest.Modern, Handle: always(discovers, held)}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
				h := startHost(t, cfg)
				h.send(first)
				arrives(t, s, discovers, 1)
				start := time.Now()
				wantIDs(t, h.end(), "1")
				if took := time.Since(start); took > longestEnd {
					t.Errorf("Run took %v to return", took)
				}
			})
		})
	}
}
