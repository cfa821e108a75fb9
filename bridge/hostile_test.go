package bridge_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"runtime/metrics"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode"

	"mcp-bridge/bridge"
	"mcp-bridge/bridge/bridgetest"
)

// A malicious server, a case each. What else one may do is in the tests of what it meets: other origins in
// TestH8_RedirectToAnotherOrigin, TestH8_RedirectToPlainHTTP and TestHTTPSSE_EndpointOnAnotherOrigin, lies
// about eras in TestDetect_StepM_LoopGuard and TestErrors_6_73, streams that end at once in
// TestE9_ReconnectStorm, questions without end in TestHandshake_RoundCap, lists without end in
// TestPolicy_LookUpFails, secrets that are repeated in TestSecretsThatTheServerRepeats. What an authorization
// server may do is in package auth, TestHostile.
//
// In each case every request has one answer, the host gets nothing but messages, and the memory in use stays
// within bounds that are far from what the server has sent. These tests are not parallel for that.

const (
	hostileMessage = 256 << 10 // the longest message that the bridge takes
	hostileBytes   = 32 << 20  // what servers send that do not send for ever
	hostileMemory  = 24 << 20  // by how much memory in use may grow on the way, garbage included
)

func TestHostileAnswers(t *testing.T) {
	long := strings.Repeat("x", 64<<10)
	bomb := gzipped(t, 64<<20)
	asJSON := func(body string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, body) }
	}
	for _, test := range []struct {
		name   string
		answer func(http.ResponseWriter, *http.Request)
		says   []string // in the error; none means that there is a result
	}{
		{"heads without end", raw("HTTP/1.1 200 OK\r\n", "X-Header: "+long[:1000]+"\r\n"), []string{"header"}},
		{"a header without end", raw("HTTP/1.1 200 OK\r\nX-Header: ", long), []string{"header"}},
		{"a status line without end", raw("HTTP/1.1 200 ", long), []string{"may have run"}},
		{"interim answers without end", raw("", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"), []string{"may have run"}},
		{"a body without end", sendBody("application/json", `{"jsonrpc":"2.0","id":1,"result":"`, long, 0, ""), []string{"limit for one message"}},
		{"a body of spaces without end", sendBody("application/json", "", strings.Repeat(" ", 64<<10), 0, ""), []string{"limit for one message"}},
		{"chunks without end that say nothing", sendBody("application/json", "[", "[", hostileMessage*2, ""), []string{"limit for one message"}},
		{"an error page without end", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
			sendBody("text/html", "<html><title>", long, 0, "")(w, r)
		}, []string{"502"}},
		{"an event without end", sendBody("text/event-stream", "data: ", long, 0, ""), []string{"limit for one message"}},
		{"lines of an event without end", sendBody("text/event-stream", "", "data: "+long+"\n", 0, ""), []string{"limit for one message"}},
		{"comments", sendBody("text/event-stream", "", ": "+long+"\n", hostileBytes, resultEvent), nil},
		{"empty lines", sendBody("text/event-stream", "", strings.Repeat("\n", 64<<10), hostileBytes, resultEvent), nil},
		{"events of another kind", sendBody("text/event-stream", "", "event: x\ndata: "+long+"\n\n", hostileBytes, resultEvent), nil},
		{"ids of events", sendBody("text/event-stream", "", "id: "+long+"\nretry: 1\ndata:\n\n", hostileBytes, resultEvent), nil},
		{"answers to nothing", sendBody("text/event-stream", "", `data: {"jsonrpc":"2.0","id":"`+long+`","result":{}}`+"\n\n", hostileBytes, resultEvent), nil},
		{"the answer again and again", sendBody("text/event-stream", resultEvent, resultEvent, 4<<20, ""), nil},
		{"a gzip bomb", compressed("application/json", bomb), []string{"limit for one message"}},
		{"a gzip bomb as an event", compressed("text/event-stream", gzipped(t, 64<<20, "data: ")), []string{"limit for one message"}},
		{"a gzip bomb as an error", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = w.Write(bomb)
		}, []string{"500"}},
		{"no gzip at all", compressed("application/json", []byte("plain, and long enough for a head")), []string{"gzip"}},
		{"10,000 levels, which JSON libraries take", asJSON(`{"jsonrpc":"2.0","id":1,"result":{"a":` + nested(9_997) + `}}`), nil},
		{"100,000 levels", asJSON(`{"jsonrpc":"2.0","id":1,"result":` + nested(100_000) + `}`), []string{"not valid JSON"}},
		{"an id of 100,000 levels", asJSON(`{"jsonrpc":"2.0","id":` + nested(100_000) + `,"result":{}}`), []string{"not valid JSON"}},
		{"a huge id", asJSON(`{"jsonrpc":"2.0","id":"` + strings.Repeat("1", hostileMessage/2) + `","result":{}}`), []string{"answer"}},
		{"a number of many digits as id", asJSON(`{"jsonrpc":"2.0","id":1` + strings.Repeat("0", hostileMessage/2) + `,"result":{}}`), []string{"answer"}},
		{"10,000 answers at once", asJSON("[" + strings.Repeat(`{"jsonrpc":"2.0","id":2,"result":{}},`, 5_000) + `{"jsonrpc":"2.0","id":3,"result":{}}]`), []string{"answer"}},
		{"a file to go to", redirectTo("file:///etc/passwd"), []string{"another origin"}},
		{"a script to go to", redirectTo("javascript:alert(1)"), []string{"another origin"}},
		{"the metadata of a cloud to go to", redirectTo("http://169.254.169.254/latest/meta-data"), []string{"another origin"}},
		{"a private address to go to", redirectTo("http://[fd00::1]/mcp"), []string{"another origin"}},
		{"circles", redirectTo("/mcp"), []string{"circles"}},
		{"terminal sequences in an error page", func(w http.ResponseWriter, _ *http.Request) {
			answerWith(w, http.StatusBadGateway, "text/plain", "\x1b[2J\x1b]0;owned\x07\u009b31m\u202egnorw\x00\r\nfake: line")
		}, []string{"502"}},
		{"terminal sequences in a content type", func(w http.ResponseWriter, _ *http.Request) {
			answerWith(w, http.StatusOK, "text/\u009b2J", "x")
		}, nil},
		{"a wait of ages", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "99999999999999999999")
			answerWith(w, http.StatusServiceUnavailable, "text/plain", "later")
		}, []string{"503"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := serveBytes(t, "2025-11-25", func(w http.ResponseWriter, r *http.Request, body string) bool {
				if !strings.Contains(body, `"id":1,`) {
					return false
				}
				test.answer(w, r)
				return true
			})
			client := &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}
			client.Transport.(*http.Transport).MaxResponseHeaderBytes = 1 << 20 // as cmd/mcp-bridge has it
			h := startHost(t, bridge.Config{URL: s.URL + "/mcp", HTTPClient: client, MaxMessage: hostileMessage, Header: http.Header{"X-Api-Key": {"key-of-the-user"}}})
			h.handshake("2025-11-25")
			boundedMemory(t, func() {
				h.send(callEcho("1"))
				switch {
				case test.says != nil:
					message := errorOf(t, []byte(wantFailure(t, h, "1", test.says...))).Message
					if strings.ContainsFunc(message, unicode.IsControl) || strings.ContainsAny(message, "\u202e\u2066") {
						t.Errorf("the error is %q", message)
					}
				case test.name == "terminal sequences in a content type":
					h.answer("1")
				default:
					wantResult(t, h, "1")
				}
			})
			h.send(`{"jsonrpc":"2.0","method":"notifications/still","params":{}}`) // the bridge is alive
			eventually(t, "the next message arrives", func() bool { return strings.Contains(strings.Join(s.got(), "\n"), "notifications/still") })
			h.end()
			if strings.Contains(h.logs(), "key-of-the-user") {
				t.Error("the user's header is in the log")
			}
		})
	}
}

const resultEvent = `data: {"jsonrpc":"2.0","id":1,"result":{"content":[]}}` + "\n\n"

// raw answers with bytes that are no HTTP of the standard library's: a beginning, and more of the same for as
// long as anybody reads.
func raw(begin, more string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		for text := begin; ; text = more {
			if _, err := io.WriteString(conn, text); err != nil {
				return
			}
		}
	}
}

// sendBody answers with a beginning, more of the same, and an end. With 0 bytes of more there is no end.
func sendBody(contentType, begin, more string, bytes int, end string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		out := bufio.NewWriterSize(w, 64<<10)
		_, err := out.WriteString(begin)
		for sent := 0; err == nil && (bytes == 0 || sent < bytes); sent += len(more) {
			_, err = out.WriteString(more)
		}
		_, _ = out.WriteString(end)
		_ = out.Flush() // the bridge may have left
	}
}

func compressed(contentType string, text []byte) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(text)
	}
}

// gzipped returns so many zeros, compressed, behind a beginning.
func gzipped(t *testing.T, zeros int, begin ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, err := io.WriteString(z, strings.Join(begin, ""))
	for block := []byte(strings.Repeat("0", 1<<20)); err == nil && zeros > 0; zeros -= len(block) {
		_, err = z.Write(block)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func redirectTo(location string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", location)
		w.WriteHeader(http.StatusTemporaryRedirect)
	}
}

// nested returns an array in an array, and so on.
func nested(levels int) string { return strings.Repeat("[", levels) + strings.Repeat("]", levels) }

// boundedMemory fails the test if more memory is in use while f runs than should be, or stays so afterwards.
func boundedMemory(t *testing.T, f func()) {
	t.Helper()
	before := heap()
	var most atomic.Uint64
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() { // ends with f
		defer close(stopped)
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		for tick := time.NewTicker(time.Millisecond); ; {
			metrics.Read(sample)
			most.Store(max(most.Load(), sample[0].Value.Uint64()))
			select {
			case <-tick.C:
			case <-stop:
				tick.Stop()
				return
			}
		}
	}()
	f()
	close(stop)
	<-stopped
	if peak := most.Load(); peak > before+hostileMemory {
		t.Errorf("%d KiB were in use, before it was %d KiB", peak>>10, before>>10)
	}
}

// The same for what goes on behind the answers: streams, sessions, questions. The server is one with a
// handshake.
func TestHostileSessions(t *testing.T) {
	long := strings.Repeat("x", 4<<10)

	t.Run("a new session for each call", func(t *testing.T) {
		var sessions atomic.Int64
		s := serveBytes(t, "2025-11-25", func(w http.ResponseWriter, r *http.Request, body string) bool {
			switch {
			case strings.Contains(body, `"initialize"`):
				w.Header().Set("Mcp-Session-Id", fmt.Sprint(sessions.Add(1), long))
				answerJSON(w, `{"jsonrpc":"2.0","id":`+idOf(body)+`,"result":{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"s","version":"1"}}}`)
			case strings.Contains(body, `"tools/list"`):
				w.WriteHeader(http.StatusNotFound)
			default:
				return false
			}
			return true
		})
		h := startHost(t, bridge.Config{URL: s.URL + "/mcp"})
		h.handshake("2025-11-25")
		boundedMemory(t, func() {
			for i := range 500 {
				h.send(listTools(fmt.Sprint(i)))
				wantFailure(t, h, fmt.Sprint(i), "404")
			}
		})
		if n := sessions.Load(); n < 100 {
			t.Errorf("only %d sessions", n)
		}
	})

	t.Run("a session id that is too long to send back", func(t *testing.T) {
		var sent atomic.Bool
		s := serveBytes(t, "2025-11-25", func(w http.ResponseWriter, r *http.Request, body string) bool {
			if r.Header.Get("Mcp-Session-Id") != "" {
				sent.Store(true)
			}
			switch {
			case strings.Contains(body, `"initialize"`):
				w.Header().Set("Mcp-Session-Id", strings.Repeat(long, 50))
				answerJSON(w, `{"jsonrpc":"2.0","id":`+idOf(body)+`,"result":{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"s","version":"1"}}}`)
			case strings.Contains(body, `"tools/list"`):
				answerJSON(w, `{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}`)
			default:
				return false
			}
			return true
		})
		h := startHost(t, bridge.Config{URL: s.URL + "/mcp"})
		h.handshake("2025-11-25")
		h.send(listTools("1"))
		wantResult(t, h, "1")
		wantNothingMore(t, h)
		if sent.Load() {
			t.Error("it was sent back")
		}
	})

	t.Run("questions under huge ids", func(t *testing.T) {
		s := serveBytes(t, "2025-11-25", func(w http.ResponseWriter, r *http.Request, body string) bool {
			if !strings.Contains(body, `"tools/list"`) {
				return false
			}
			w.Header().Set("Content-Type", "text/event-stream")
			for i := range hostileBytes / (hostileMessage / 2) {
				if _, err := fmt.Fprintf(w, "data: {\"jsonrpc\":\"2.0\",\"id\":\"%d%s\",\"method\":\"ping\"}\n\n", i, strings.Repeat("x", hostileMessage/2)); err != nil {
					return true
				}
			}
			_, _ = io.WriteString(w, resultEvent)
			return true
		})
		p := startPlain(t, bridge.Config{URL: s.URL + "/mcp", MaxMessage: hostileMessage})
		p.read = bufio.NewReaderSize(p.out, hostileMessage)
		p.send(strings.Replace(initialize("0", "2025-11-25"), `"id":0`, `"id":"handshake"`, 1))
		p.want(`"id":"handshake"`)
		p.send(initialized)
		boundedMemory(t, func() {
			p.send(listTools("1"))
			for range hostileBytes / (hostileMessage / 2) {
				p.want(`"method":"ping"`)
			}
			p.want(`"id":1`)
		})
		p.in.Close()
		p.end()
	})

	t.Run("notifications in a storm", func(t *testing.T) {
		s := bridgetest.NewServer(bridgetest.Config{Stream: true, Unrecorded: true})
		t.Cleanup(s.Close)
		p := startPlain(t, bridge.Config{URL: s.URL(), MaxMessage: hostileMessage})
		p.read = bufio.NewReaderSize(p.out, 64<<10)
		p.handshake()
		if !wait(func() bool { return s.Streams() == 1 }) {
			t.Fatal("there is no stream")
		}
		boundedMemory(t, func() {
			var sending sync.WaitGroup
			sending.Go(func() {
				for range hostileBytes / len(long) {
					s.Notify(`{"jsonrpc":"2.0","method":"notifications/x","params":{"x":"` + long + `"}}`)
				}
			})
			for range hostileBytes / len(long) {
				p.want("notifications/x")
			}
			sending.Wait()
		})
		p.in.Close()
		p.end()
	})
}

// idOf returns the id of a request, as JSON.
func idOf(body string) string { return string(member([]byte(body), "id")) }

// What a server of 2026-07-28 may do to a host that has a handshake, where messages are taken apart.
func TestHostileTranslation(t *testing.T) {
	long := strings.Repeat("x", hostileMessage/2)
	result := func(result string) bridgetest.Config {
		return bridgetest.Config{Versions: bridgetest.Modern, Unrecorded: true, Handle: always("tools/call", answers(result))}
	}
	call := func(t *testing.T, sc bridgetest.Config, capabilities string, check func(h *host)) {
		s := bridgetest.NewServer(sc)
		t.Cleanup(s.Close)
		h := startHost(t, bridge.Config{URL: s.URL(), MaxMessage: hostileMessage})
		h.capable("2025-11-25", capabilities)
		boundedMemory(t, func() {
			h.send(callEcho("1"))
			check(h)
		})
		wantNothingMore(t, h)
	}
	gets := func(part string) func(*host) {
		return func(h *host) {
			if line := string(h.answer("1")); !strings.Contains(line, part) {
				h.t.Errorf("the host got %.300s", line)
			}
		}
	}
	many := func(n int) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf(`"q%d":%s`, i, `{"method":"roots/list"}`))
		}
		return "{" + strings.Join(all, ",") + "}"
	}

	t.Run("content of 9,990 levels", func(t *testing.T) {
		call(t, result(`{"resultType":"complete","content":[{"type":"x","x":`+nested(9_990)+`}]}`), `{}`, gets("[[[[[["))
	})
	t.Run("structured content of 9,990 levels, which becomes text", func(t *testing.T) {
		call(t, result(`{"resultType":"complete","structuredContent":`+nested(9_990)+`}`), `{}`, gets(`"text":"[[[[`))
	})
	t.Run("structured content of 20,000 levels", func(t *testing.T) {
		call(t, result(`{"resultType":"complete","structuredContent":`+nested(20_000)+`}`), `{}`, gets("not valid JSON"))
	})
	t.Run("a result type of half a message", func(t *testing.T) {
		call(t, result(`{"resultType":"`+long+`"}`), `{}`, gets(`"source":"mcp-bridge"`))
	})
	t.Run("a state of half a message, for ever", func(t *testing.T) {
		call(t, result(`{"resultType":"input_required","requestState":"`+long+`"}`), `{}`, gets("10 times"))
	})
	t.Run("a state that makes the request too long", func(t *testing.T) {
		call(t, result(`{"resultType":"input_required","requestState":{"a":"`+long+`","b":`+nested(9_000)+`}}`), `{}`, gets(`"isError":true`))
	})
	t.Run("a hundred questions", func(t *testing.T) {
		call(t, result(`{"resultType":"input_required","inputRequests":`+many(100)+`}`), `{"roots":{}}`, func(h *host) {
			for range 100 {
				h.next()
			}
			h.send(cancel("1"))
			for range 100 {
				if line := h.next(); !strings.Contains(line, "notifications/cancelled") {
					h.t.Errorf("the host got %s", line)
				}
			}
		})
	})
	t.Run("thousands of questions", func(t *testing.T) {
		call(t, result(`{"resultType":"input_required","inputRequests":`+many(5_000)+`}`), `{"roots":{}}`, gets("5000 things at once"))
	})
	t.Run("a page that is a script", func(t *testing.T) {
		// Whether a host opens such a page is its business, and hosts ask; the bridge opens none.
		call(t, result(`{"resultType":"input_required","inputRequests":{"a":{"method":"elicitation/create","params":{"mode":"url","message":"m","url":"javascript:alert(1)"}}}}`), `{"elicitation":{"url":{}}}`, func(h *host) {
			line := h.next()
			if !strings.Contains(line, `"url":"javascript:alert(1)"`) {
				h.t.Errorf("the host got %s", line)
			}
			h.send(`{"jsonrpc":"2.0","id":` + idOf(line) + `,"result":{"action":"decline"}}`)
			for range 9 {
				h.send(`{"jsonrpc":"2.0","id":` + idOf(h.next()) + `,"result":{"action":"decline"}}`)
			}
			gets("10 times")(h)
		})
	})
	t.Run("progress of nothing", func(t *testing.T) {
		sc := bridgetest.Config{Versions: bridgetest.Modern, Unrecorded: true, Handle: always("tools/call", func(w http.ResponseWriter, r *bridgetest.Request) {
			e := r.Events(w)
			for i := range 20_000 {
				_ = e.Send(fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"%d%s","progress":1}}`, i, long[:1000]))
			}
			_ = e.Result(`{"resultType":"complete","content":[]}`)
		})}
		call(t, sc, `{}`, gets(`"content":[]`))
	})
	t.Run("schemas that ask for 10,000 headers, or are without end", func(t *testing.T) {
		var properties []string
		for i := range 10_000 {
			properties = append(properties, fmt.Sprintf(`"p%d":{"type":"string","x-mcp-header":"H%d"}`, i, i))
		}
		deep := strings.Repeat(`{"type":"object","properties":{"a":`, 4_000) + `{"type":"string","x-mcp-header":"Deep"}` + strings.Repeat("}}", 4_000)
		tools := `{"tools":[{"name":"echo","inputSchema":{"type":"object","properties":{"text":{"type":"string","x-mcp-header":"Text"}}}},` +
			`{"name":"many","inputSchema":{"type":"object","properties":{` + strings.Join(properties, ",") + `}}},{"name":"deep","inputSchema":` + deep + `}],` +
			`"resultType":"complete","ttlMs":0,"cacheScope":"private"}`
		var headers atomic.Int64
		s := bridgetest.NewServer(bridgetest.Config{Versions: bridgetest.Modern, Unrecorded: true, Handle: handlers(
			always("tools/list", answers(tools)),
			always("tools/call", func(w http.ResponseWriter, r *bridgetest.Request) {
				headers.Store(int64(len(r.Header)))
				r.Answer(w, `{"resultType":"complete","content":[]}`)
			}))})
		t.Cleanup(s.Close)
		h := startHost(t, bridge.Config{URL: s.URL()})
		h.capable("2025-11-25", `{}`)
		boundedMemory(t, func() {
			h.send(listTools("1"))
			line := string(h.answer("1"))
			if !strings.Contains(line, `"echo"`) || strings.Contains(line, `"many"`) || strings.Contains(line, `"deep"`) {
				t.Errorf("the host got %.300s", line)
			}
			h.send(callTool("2", "many", `{"p1":"a"}`))
			wantResult(t, h, "2")
		})
		if n := headers.Load(); n > 30 {
			t.Errorf("the call had %d headers", n)
		}
		wantNothingMore(t, h)
	})
}

// What a server with a handshake may do to a host of 2026-07-28: questions in a flood. A few are put to the
// host, all others are refused, or dropped if the server does not take that.
func TestHostileQuestions(t *testing.T) {
	for name, method := range map[string]string{"roots": "roots/list", "pings": "ping"} {
		t.Run(name, func(t *testing.T) {
			const asked = 20_000
			var replied atomic.Int64
			release := make(chan struct{})
			s := serveBytes(t, "2025-11-25", func(w http.ResponseWriter, r *http.Request, body string) bool {
				switch {
				case r.Method != http.MethodPost:
					return false
				case strings.Contains(body, `"server/discover"`):
					w.WriteHeader(http.StatusBadRequest)
				case strings.Contains(body, `"initialize"`):
					answerJSON(w, `{"jsonrpc":"2.0","id":`+idOf(body)+`,"result":{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"s","version":"1"}}}`)
				case strings.Contains(body, `"tools/call"`):
					w.Header().Set("Content-Type", "text/event-stream")
					for i := range asked {
						if _, err := fmt.Fprintf(w, "data: {\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":%q}\n\n", i, method); err != nil {
							return true
						}
					}
					moreEvents(w, "")
					<-release
					moreEvents(w, `data: {"jsonrpc":"2.0","id":`+idOf(body)+`,"result":{"content":[]}}`+"\n\n")
				case strings.Contains(body, `"error"`), strings.Contains(body, `"result"`):
					replied.Add(1)
					<-release // it takes no answers
					w.WriteHeader(http.StatusAccepted)
				default:
					return false
				}
				return true
			})
			h := startHost(t, bridge.Config{URL: s.URL + "/mcp", Era: bridge.EraAuto})
			boundedMemory(t, func() {
				h.send(modernCapable("1", "tools/call", `"name":"a",`, `{"roots":{}}`))
				if method == "ping" {
					eventually(t, "pings are dropped", func() bool { return strings.Contains(h.logs(), "takes none") })
				} else if line := string(h.answer("1")); strings.Count(line, `"roots/list"`) > 100 {
					t.Errorf("the host was asked %d times", strings.Count(line, `"roots/list"`))
				}
			})
			close(release)
			h.end()
			if n := replied.Load(); n > 10_000 {
				t.Errorf("%d replies", n)
			}
		})
	}
}

// modernCapable is modern, for a host that can do something for a server.
func modernCapable(id, method, members, capabilities string) string {
	return strings.Replace(modern(id, method, members), `clientCapabilities":{}`, `clientCapabilities":`+capabilities, 1)
}
