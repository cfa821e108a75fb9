package bridge_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"mcp-bridge/bridge"
	"mcp-bridge/bridge/bridgetest"
)

// startWith starts a server, and a host that has been initialized with it at a revision, or not
// at all if version is "".
func startWith(t testing.TB, sc bridgetest.Config, bc bridge.Config, version string) (*host, *bridgetest.Server) {
	t.Helper()
	s := bridgetest.NewServer(sc)
	t.Cleanup(s.Close)
	bc.URL = s.URL()
	h := startHost(t, bc)
	if version != "" {
		h.handshake(version)
	}
	return h, s
}

// bodies returns the bodies of the requests that s got under a name.
func bodies(s *bridgetest.Server, name string) []string {
	var found []string
	for _, r := range s.Requests() {
		if r.String() == name {
			found = append(found, string(r.Body))
		}
	}
	return found
}

// An id is the same on both sides to the byte, 0 is an id like any other, and 1 is not "1"
// (spec 1.09).
func TestS3_IDsKeepTypeAndValue(t *testing.T) {
	t.Parallel()
	for name, sc := range map[string]bridgetest.Config{"JSON": {}, "SSE": {SSE: true}, "HTTP+SSE": {HTTPSSE: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, s := startWith(t, sc, bridge.Config{}, "2025-06-18")
			ids := []string{"0", `"0"`, `"14f40ee1b859ee70"`, "9007199254740993", "9007199254740992", "-1", `""`, "1", `"1"`, `"\u0031 "`, "12345678901234567890123"}
			var sent, want []string
			for _, id := range ids { // all at once, so that they could be mixed up
				sent = append(sent, `{"jsonrpc":"2.0","id":`+id+`,"method":"ping"}`)
				want = append(want, `{"jsonrpc":"2.0","id":`+id+`,"result":{}}`)
				h.send(sent[len(sent)-1])
			}
			got := h.end()
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("the host got\n%q, want\n%q", got, want)
			}
			arrived := bodies(s, "ping")
			slices.Sort(sent)
			slices.Sort(arrived)
			if !slices.Equal(arrived, sent) {
				t.Errorf("the server got\n%q, want\n%q", arrived, sent)
			}
		})
	}
}

// Numbers, escapes, key order and duplicate keys survive both ways (spec 1.07).
func TestS4_NumbersAndEscapes(t *testing.T) {
	t.Parallel()
	const arguments = `{"id":9223372036854775807,"f":1.0,"e":1E400,"h":"<&>","u":"\u00e9\ud83d\ude00","f":1.0}`
	for name, sc := range map[string]bridgetest.Config{"JSON": {}, "SSE": {SSE: true}, "HTTP+SSE": {HTTPSSE: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, s := startWith(t, sc, bridge.Config{}, "2025-06-18")
			sent := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":` + arguments + `}}`
			h.send(sent)
			if got, want := string(h.answer("1")), `{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":""}],"structuredContent":`+arguments+`}}`; got != want {
				t.Errorf("the host got\n%s, want\n%s", got, want)
			}
			if got := bodies(s, "tools/call"); !slices.Equal(got, []string{sent}) {
				t.Errorf("the server got\n%q, want\n%q", got, sent)
			}
		})
	}
}

// Lines of many megabytes pass both ways, and so does what comes after them (spec 1.08).
func TestS5_LongLines(t *testing.T) {
	t.Parallel()
	const head = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"s":"`
	sent := head + strings.Repeat("mega \\u00e9", 5<<20/11) + `"}}`
	answer := `{"jsonrpc":"2.0","id":1,"result":{"s":"` + sent[len(head):]
	for name, events := range map[string]bool{"JSON": false, "SSE": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serveBytes(t, "2025-06-18", func(w http.ResponseWriter, _ *http.Request, body string) bool {
				switch {
				case body == call:
					answerJSON(w, `{"jsonrpc":"2.0","id":1,"result":"next"}`)
				case !strings.HasPrefix(body, head):
					return false
				case events:
					answerEvents(w, "data: "+answer+"\n\n")
				default:
					answerJSON(w, answer)
				}
				return true
			})
			h := startHost(t, bridge.Config{URL: s.URL})
			h.handshake("2025-06-18")
			h.send(sent)
			if got := h.next(); got != answer {
				t.Errorf("the host got %d bytes, want %d: %.100s", len(got), len(answer), got)
			}
			h.send(call)
			wantLines(t, h, []string{`{"jsonrpc":"2.0","id":1,"result":"next"}`})
			if got := s.got(); !slices.Equal(got, []string{sent, call}) {
				t.Errorf("the server did not get the %d bytes that were sent, and what followed", len(sent))
			}
		})
	}
}

// A byte order mark at the start, CRLF and blank lines are passed over; U+FEFF in a string stays.
func TestS7_BOMAndCRLF(t *testing.T) {
	t.Parallel()
	h, s := startWith(t, bridgetest.Config{}, bridge.Config{}, "")
	first := initialize("0", "2025-06-18")
	h.sendRaw([]byte("\xef\xbb\xbf" + first + "\r\n"))
	if got := h.answer("0"); !strings.Contains(string(got), `"result"`) {
		t.Errorf("initialize was answered %s", got)
	}
	const inner = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{\"text\":\"\ufeffx\"}}"
	h.sendRaw([]byte("\r\n\n \t\r\n" + initialized + "\r\n\n" + inner + "\n\n"))
	wantLines(t, h, []string{`{"jsonrpc":"2.0","id":1,"result":{}}`})
	if got := bodies(s, "initialize"); !slices.Equal(got, []string{first}) {
		t.Errorf("the server got\n%q, want\n%q", got, first)
	}
	if got := bodies(s, "ping"); !slices.Equal(got, []string{inner}) {
		t.Errorf("the server got\n%q, want\n%q", got, inner)
	}
}

// However the input is cut into pieces, its lines are the same, and the last one needs no end.
func TestPiecesAndLastLine(t *testing.T) {
	t.Parallel()
	h, s := startWith(t, bridgetest.Config{}, bridge.Config{}, "2025-06-18")
	input := "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\r\n\n{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"ping\"}"
	for i := range len(input) {
		h.sendRaw([]byte{input[i]})
	}
	got := h.end()
	slices.Sort(got)
	if want := []string{`{"jsonrpc":"2.0","id":1,"result":{}}`, `{"jsonrpc":"2.0","id":2,"result":{}}`}; !slices.Equal(got, want) {
		t.Errorf("the host got\n%q, want\n%q", got, want)
	}
	if got := s.Count("ping"); got != 2 {
		t.Errorf("the server got %d requests, want 2", got)
	}
}

// A message over the limit is refused under its id, wherever that stands, and the next line works
// as if nothing had been.
func TestS5_OverTheLimit(t *testing.T) {
	t.Parallel()
	const limit = 200 << 10 // more than one read takes
	long := func(n int) string { return strings.Repeat("x", n) }
	for name, tt := range map[string]struct{ line, id string }{
		"id first":          {`{"jsonrpc":"2.0","id":7,"method":"m","params":{"s":"` + long(limit) + `"}}`, "7"},
		"id last":           {`{"jsonrpc":"2.0","method":"m","params":{"s":"` + long(2*limit) + `"},"id":"seven"}`, `"seven"`},
		"id between":        {`{"params":{"s":"` + long(limit) + `"},"id":-7,"x":"` + long(limit) + `","jsonrpc":"2.0","method":"m"}`, "-7"},
		"ids of others":     {`{"params":{"id":1,"s":"\",\"id\":2,` + long(limit) + `","a":[{"id":3}]},"id": 9007199254740993 ,"jsonrpc":"2.0","method":"m"}`, "9007199254740993"},
		"id with escapes":   {`{"jsonrpc":"2.0","\u0069d":"\"\u00e9,}","method":"m","params":{"s":"` + long(limit) + `"}}`, `"\"\u00e9,}"`},
		"no string is long": {`{"jsonrpc":"2.0","method":"m","params":[` + strings.Repeat("1, ", limit/2) + `1],"id":0}`, "0"},
		"by one byte":       {`{"jsonrpc":"2.0","id":1,"method":"m","params":"` + long(limit-len(`{"jsonrpc":"2.0","id":1,"method":"m","params":""}`)+1) + `"}`, "1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, end := range []string{"\n", "\r\n"} {
				h, s := startWith(t, bridgetest.Config{}, bridge.Config{MaxMessage: limit}, "2025-06-18")
				h.sendRaw([]byte(tt.line + end))
				e := errorOf(t, h.answer(tt.id))
				if e.Code != -32600 || !strings.Contains(e.Message, fmt.Sprint(limit)) || !strings.Contains(e.Message, fmt.Sprint(len(tt.line))) || e.Data.Source != "mcp-bridge" {
					t.Errorf("the error is %+v; it should be -32600 and tell the size, %d, and the limit, %d", e, len(tt.line), limit)
				}
				h.send(`{"jsonrpc":"2.0","id":"next","method":"ping"}`)
				wantLines(t, h, []string{`{"jsonrpc":"2.0","id":"next","result":{}}`})
				if n := s.Count("m"); n > 0 {
					t.Errorf("the server got %d of what is too long", n)
				}
			}
		})
	}
}

// What is at the limit passes, with either line end and without one.
func TestS5_AtTheLimit(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{300, 64 << 10, 64<<10 + 1, 200 << 10} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			t.Parallel()
			head, tail := `{"jsonrpc":"2.0","id":7,"method":"ping","params":{"s":"`, `"}}`
			line := head + strings.Repeat("x", limit-len(head)-len(tail)) + tail
			for _, end := range []string{"\n", "\r\n", ""} {
				h, _ := startWith(t, bridgetest.Config{}, bridge.Config{MaxMessage: int64(limit)}, "2025-06-18")
				h.sendRaw([]byte(line + end))
				if end == "" {
					h.in.Close()
				}
				wantLines(t, h, []string{`{"jsonrpc":"2.0","id":7,"result":{}}`})
			}
		})
	}
}

// What can't be answered under an id is answered without one where the revision allows that:
// before there is one, and from 2025-11-25 on. Hosts of other revisions can't read such an error;
// they get none, and the log has it (spec 1.14, 1.15).
func TestS9_NoIDToAnswer(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		line string
		code int
	}{
		"no JSON":               {`{bad`, -32700},
		"no JSON at all":        {`GET / HTTP/1.1`, -32700},
		"half a message":        {`{"jsonrpc":"2.0","method":"m","params":{"a":`, -32700},
		"a control character":   {"{\"jsonrpc\":\"2.0\",\"method\":\"\x01\"}", -32700},
		"an unfinished id":      {`{"jsonrpc":"2.0","id":"x`, -32700},
		"too long, without id":  {`{"jsonrpc":"2.0","method":"m","params":{"id":1,"s":"` + strings.Repeat("x", 4000) + `"}}`, -32600},
		"too long, an array":    {`[` + strings.Repeat(`{"jsonrpc":"2.0","id":1,"method":"m"},`, 200) + `1]`, -32600},
		"id null":               {`{"jsonrpc":"2.0","id":null,"method":"m"}`, -32600},
		"an id of another type": {`{"jsonrpc":"2.0","id":{"a":1},"method":"m"}`, -32600},
		"an id that is true":    {`{"jsonrpc":"2.0","id":true,"method":"m"}`, -32600},
		"an empty object":       {`{}`, -32600},
		"an empty array":        {`[]`, -32600},
		"a string":              {`"2.0"`, -32600},
		"a number":              {`42`, -32600},
		"null":                  {`null`, -32600},
		"no version":            {`{"method":"m"}`, -32600},
		"another version":       {`{"jsonrpc":"1.0","method":"m"}`, -32600},
		"a version of a number": {`{"jsonrpc":2.0,"method":"m"}`, -32600},
		"a version only":        {`{"jsonrpc":"2.0"}`, -32600},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, version := range []string{"", "2024-11-05", "2025-06-18", "2025-11-25"} {
				h, s := startWith(t, bridgetest.Config{}, bridge.Config{MaxMessage: 2000}, version)
				h.send(tt.line)
				if version == "" || version >= "2025-11-25" {
					line := h.next()
					if id := rawID(line); id != "" {
						t.Errorf("at %q the error has the id %s: %s", version, id, line)
					}
					if e := errorOf(t, []byte(line)); e.Code != tt.code || e.Data.Source != "mcp-bridge" {
						t.Errorf("at %q the error is %+v, want code %d", version, e, tt.code)
					}
				}
				h.send(initialize(`"next"`, "2025-11-25"))
				h.answer(`"next"`)
				if rest := append(h.others, h.end()...); len(rest) > 0 {
					t.Errorf("at %q this came besides: %q", version, rest)
				}
				if got := bodies(s, "POST"); len(got) > 0 {
					t.Errorf("at %q the server got %q", version, got)
				}
				if !strings.Contains(h.logs(), "level=WARN") {
					t.Errorf("at %q the log says nothing of it", version)
				}
			}
		})
	}
}

// What is no message, but has an id that can be read, is answered under it, in any revision.
func TestS9_OddRequest(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		line, id string
		code     int
	}{
		"a method of a number":    {`{"jsonrpc":"2.0","id":7,"method":123}`, "7", -32600},
		"a method of null":        {`{"jsonrpc":"2.0","id":"7","method":null}`, `"7"`, -32600},
		"no method":               {`{"jsonrpc":"2.0","id":0,"params":{}}`, "0", -32600},
		"no version":              {`{"id":9007199254740993,"method":"m"}`, "9007199254740993", -32600},
		"another version":         {`{"jsonrpc":"1.0","id":7,"method":"m"}`, "7", -32600},
		"an odd method, an error": {`{"jsonrpc":"2.0","id":7,"method":[],"error":{}}`, "7", -32600},
		"broken after the id":     {`{"jsonrpc":"2.0","id":7,"method":"m","params":{"a":tru}}`, "7", -32700},
		"cut after the id":        {`{"jsonrpc":"2.0","id":"a\"b","method":"m","par`, `"a\"b"`, -32700},
		"two on one line":         {`{"jsonrpc":"2.0","id":7,"method":"m"}{"jsonrpc":"2.0","id":8,"method":"m"}`, "7", -32700},
		"text behind it":          {`{"jsonrpc":"2.0","id":7,"method":"m"} ok`, "7", -32700},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, version := range []string{"", "2025-03-26", "2025-06-18", "2025-11-25"} {
				h, s := startWith(t, bridgetest.Config{}, bridge.Config{}, version)
				h.send(tt.line)
				if e := errorOf(t, h.answer(tt.id)); e.Code != tt.code || e.Data.Source != "mcp-bridge" {
					t.Errorf("at %q the error is %+v, want code %d", version, e, tt.code)
				}
				h.send(initialize(`"next"`, "2025-11-25"))
				h.answer(`"next"`)
				if rest := append(h.others, h.end()...); len(rest) > 0 {
					t.Errorf("at %q this came besides: %q", version, rest)
				}
				if got := append(bodies(s, "POST"), bodies(s, "m")...); len(got) > 0 {
					t.Errorf("at %q the server got %q", version, got)
				}
			}
		})
	}
}

// An id that still waits for its answer can't be used for another request; later it can. An id is
// the same only if its type is, too (spec 1.10, 1.11).
func TestDuplicateIDs(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	h, s := startWith(t, bridgetest.Config{Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
		if r.Method != "slow" {
			return false
		}
		select {
		case <-release:
			r.Answer(w, `"slow"`)
		case <-r.Context().Done():
		}
		return true
	}}, bridge.Config{}, "2025-06-18")
	h.send(`{"jsonrpc":"2.0","id":1,"method":"slow"}`)
	h.send(`{"jsonrpc":"2.0","id":1,"method":"ping"}`)
	if e := errorOf(t, []byte(h.next())); e.Code != -32600 {
		t.Errorf("the second request was answered %+v, want -32600", e)
	}
	h.send(`{"jsonrpc":"2.0","id":"1","method":"ping"}`)
	if got := h.next(); got != `{"jsonrpc":"2.0","id":"1","result":{}}` {
		t.Errorf("the request with a string as id was answered %s", got)
	}
	close(release)
	if got := h.next(); got != `{"jsonrpc":"2.0","id":1,"result":"slow"}` {
		t.Errorf("the first request was answered %s", got)
	}
	h.send(`{"jsonrpc":"2.0","id":1,"method":"ping"}`)
	wantLines(t, h, []string{`{"jsonrpc":"2.0","id":1,"result":{}}`})
	if n := s.Count("ping"); n != 2 {
		t.Errorf("%d of the pings reached the server, want 2", n)
	}
}

// Notifications are never answered, whatever the server says to them (spec 1.13).
func TestNotificationsHaveNoAnswer(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(http.ResponseWriter){
		"200 with a result": func(w http.ResponseWriter) { answerJSON(w, `{"jsonrpc":"2.0","id":null,"result":{}}`) },
		"200 without body":  func(w http.ResponseWriter) { w.WriteHeader(http.StatusOK) },
		"204":               func(w http.ResponseWriter) { w.WriteHeader(http.StatusNoContent) },
		"400 with an error": func(w http.ResponseWriter) {
			answerWith(w, 400, "application/json", `{"jsonrpc":"2.0","error":{"code":-32600,"message":"no"}}`)
		},
		"500":                func(w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) },
		"the connection cut": func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, s := startWith(t, bridgetest.Config{Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
				if r.Method == "notifications/x" {
					answer(w)
				}
				return r.Method == "notifications/x"
			}}, bridge.Config{}, "2025-11-25")
			h.send(`{"jsonrpc":"2.0","method":"notifications/x"}`)
			h.send(`{"jsonrpc":"2.0","id":1,"method":"ping"}`)
			wantLines(t, h, []string{`{"jsonrpc":"2.0","id":1,"result":{}}`})
			if s.Count("notifications/x") == 0 {
				t.Error("the notification did not reach the server")
			}
		})
	}
}
