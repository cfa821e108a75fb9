package bridge_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"mcp-bridge/bridge"
	"mcp-bridge/bridge/bridgetest"
)

// elements returns the elements of an array, sorted.
func elements(t testing.TB, line string) []string {
	t.Helper()
	var raw []json.RawMessage
	if err := json.Unmarshal([]byte(line), &raw); err != nil {
		t.Fatalf("this should be an array: %s", line)
	}
	var found []string
	for _, r := range raw {
		found = append(found, string(r))
	}
	slices.Sort(found)
	return found
}

// At 2025-03-26 a batch goes to the server message by message, in its order, and the answers come
// back as one array, when all are there (spec 1.16, 1.19).
func TestBatch_IsSplit(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	h, s := startWith(t, bridgetest.Config{Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
		if r.Method == "slow" {
			select {
			case <-release:
				r.Answer(w, `{"n":1.0}`)
			case <-r.Context().Done():
			}
		}
		return r.Method == "slow"
	}}, bridge.Config{}, "2025-03-26")
	const slow, note, ping = `{"jsonrpc":"2.0","id":1,"method":"slow", "x":1.0}`, `{"jsonrpc":"2.0","method":"notifications/x","params":{}}`, `{"jsonrpc":"2.0","id":"1","method":"ping"}`
	const answer = `{"jsonrpc":"2.0","id":"q","result":{"roots":[]}}`
	h.send("[" + slow + ",\t" + note + ", " + ping + " ," + answer + "]")
	eventually(t, "all arrive", func() bool {
		return s.Count("slow") == 1 && s.Count("notifications/x") == 1 && s.Count("ping") == 1 && s.Count("response") == 1
	})
	h.send(`{"jsonrpc":"2.0","id":2,"method":"ping"}`) // does not wait for the batch
	if got := h.next(); got != `{"jsonrpc":"2.0","id":2,"result":{}}` {
		t.Errorf("the host got\n%s", got)
	}
	close(release)
	if got, want := elements(t, h.next()), []string{`{"jsonrpc":"2.0","id":"1","result":{}}`, `{"jsonrpc":"2.0","id":1,"result":{"n":1.0}}`}; !slices.Equal(got, want) {
		t.Errorf("the host got\n%q, want\n%q", got, want)
	}
	for name, want := range map[string]string{"slow": slow, "notifications/x": note, "response": answer} {
		if got := bodies(s, name); !slices.Equal(got, []string{want}) {
			t.Errorf("the server got\n%q, want\n%q", got, want)
		}
	}
	if got := bodies(s, "ping"); got[0] != ping {
		t.Errorf("the server got\n%q, want\n%q", got[0], ping)
	}
	if rest := h.end(); len(rest) > 0 {
		t.Errorf("this came besides: %q", rest)
	}
}

// What each batch is answered with at 2025-03-26, and what of it reaches the server.
func TestBatch_Answers(t *testing.T) {
	t.Parallel()
	const ping, note = `{"jsonrpc":"2.0","id":1,"method":"ping"}`, `{"jsonrpc":"2.0","method":"notifications/x"}`
	for name, tt := range map[string]struct {
		line   string
		want   []string // "id code" of each answer, sorted; a result has code 0
		server int      // messages that reach it
	}{
		"one request":               {"[" + ping + "]", []string{"1 0"}, 1},
		"notifications only":        {"[" + note + "," + note + "]", nil, 2},
		"responses only":            {`[{"jsonrpc":"2.0","id":1,"result":{}},{"jsonrpc":"2.0","id":2,"error":{"code":1,"message":"m"}}]`, nil, 2},
		"initialize in it":          {"[" + initialize("9", "2025-03-26") + "," + ping + "]", []string{"1 0", "9 -32600"}, 1},
		"initialize alone in it":    {"[" + initialize("9", "2025-03-26") + "]", []string{"9 -32600"}, 0},
		"elements that are nothing": {"[1, " + ping + `,{},"x",null]`, []string{" -32600", " -32600", " -32600", " -32600", "1 0"}, 1},
		"an odd element with an id": {`[{"jsonrpc":"2.0","id":7,"method":123},` + ping + "]", []string{"1 0", "7 -32600"}, 1},
		"an array in it":            {"[" + ping + ",[" + ping + "]]", []string{" -32600", "1 0"}, 1},
		"one id twice":              {"[" + ping + "," + ping + "]", []string{"1 -32600", "1 0"}, 1},
		"ids of two types":          {"[" + ping + `,{"jsonrpc":"2.0","id":"1","method":"ping"}]`, []string{`"1" 0`, "1 0"}, 2},
		"a message of nobody's":     {"[" + ping + `,{"jsonrpc":"2.0","id":2,"method":"vendor/x"}]`, []string{"1 0", "2 -32601"}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			release := make(chan struct{})
			h, s := startWith(t, bridgetest.Config{Handle: func(_ http.ResponseWriter, r *bridgetest.Request) bool {
				if r.Method == "ping" {
					select {
					case <-release: // so that an id is in use while the rest of the batch is read
					case <-r.Context().Done():
					}
				}
				return false
			}}, bridge.Config{}, "2025-03-26")
			h.send(tt.line)
			close(release)
			if tt.want != nil {
				var got []string
				for _, answer := range elements(t, h.next()) {
					var m struct {
						ID    json.RawMessage
						Error struct{ Code json.Number }
					}
					if err := json.Unmarshal([]byte(answer), &m); err != nil {
						t.Fatal(err)
					}
					code := m.Error.Code.String()
					if code == "" {
						code = "0"
					}
					got = append(got, string(m.ID)+" "+code)
				}
				slices.Sort(got)
				if !slices.Equal(got, tt.want) {
					t.Errorf("the answers are %q, want %q", got, tt.want)
				}
			}
			if rest := h.end(); len(rest) > 0 {
				t.Errorf("this came besides: %q", rest)
			}
			messages := 0
			for _, r := range s.Requests() {
				if r.Request.Method == http.MethodPost && r.Method != "initialize" && r.Method != "notifications/initialized" {
					messages++
				}
			}
			if messages != tt.server {
				t.Errorf("%d messages reached the server, want %d", messages, tt.server)
			}
		})
	}
}

// In other revisions, and before there is one, every request in an array is refused under its id,
// and nothing of it reaches the server (spec 1.18).
func TestBatch_OtherRevisions(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"", "2024-11-05", "2025-06-18", "2025-11-25"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			h, s := startWith(t, bridgetest.Config{}, bridge.Config{}, version)
			handshake := 0
			if version != "" {
				handshake = 2
			}
			h.send(`[{"jsonrpc":"2.0","id":8,"method":"ping"},{"jsonrpc":"2.0","method":"notifications/x"},` + initialize(`"9"`, "2025-03-26") + `,{"jsonrpc":"2.0","id":1,"result":{}}]`)
			for _, id := range []string{"8", `"9"`} {
				if e := errorOf(t, h.answer(id)); e.Code != -32600 || e.Data.Source != "mcp-bridge" {
					t.Errorf("the answer to %s is %+v", id, e)
				}
			}
			// Where nobody waits for an answer, only hosts that can read one without an id get one.
			h.send(`[{"jsonrpc":"2.0","method":"notifications/x"}]`)
			if version == "" || version == "2025-11-25" {
				line := h.next()
				if e := errorOf(t, []byte(line)); e.Code != -32600 || rawID(line) != "" {
					t.Errorf("the answer is %s", line)
				}
			}
			if rest := append(h.others, h.end()...); len(rest) > 0 {
				t.Errorf("this came besides: %q", rest)
			}
			if n := s.Count("initialize") + s.Count("notifications/initialized"); n != handshake || s.Count("ping")+s.Count("notifications/x")+s.Count("response") > 0 {
				t.Errorf("the server got %v", s.Requests())
			}
		})
	}
}

// A request of a batch that the host cancels is missing from the array; if that leaves nothing,
// there is no array.
func TestBatch_Cancelled(t *testing.T) {
	inFakeTime(t, bridgetest.Config{Handle: answerAfter(2 * time.Minute)}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
		h := startHost(t, cfg)
		h.handshake("2025-03-26")
		h.send(`[{"jsonrpc":"2.0","id":1,"method":"slow"},{"jsonrpc":"2.0","id":2,"method":"never"}]`)
		h.send(`[{"jsonrpc":"2.0","id":3,"method":"never"}]`)
		eventually(t, "all arrive", func() bool { return s.Count("slow") == 1 && s.Count("never") == 2 })
		h.send(`[{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}},{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":3}}]`)
		h.silent(2*time.Minute - patience/2)
		wantLines(t, h, []string{`[{"jsonrpc":"2.0","id":1,"result":"slow"}]`})
		if n := s.Count("notifications/cancelled"); n != 2 {
			t.Errorf("%d cancellations reached the server, want 2", n)
		}
	})
}

// At the end what is missing from a batch is made up, and the array is written.
func TestBatch_End(t *testing.T) {
	inFakeTime(t, bridgetest.Config{Handle: answerAfter(time.Second)}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
		h := startHost(t, cfg)
		h.handshake("2025-03-26")
		h.send(`[{"jsonrpc":"2.0","id":1,"method":"slow"},{"jsonrpc":"2.0","id":2,"method":"never"}]`)
		start := time.Now()
		got := h.end()
		if took := time.Since(start); took > longestEnd {
			t.Errorf("Run took %v to return", took)
		}
		if len(got) != 1 {
			t.Fatalf("the host got %q, want one array", got)
		}
		answers := elements(t, got[0])
		if len(answers) != 2 || answers[0] != `{"jsonrpc":"2.0","id":1,"result":"slow"}` || !strings.Contains(answers[1], `"id":2,"error"`) {
			t.Errorf("the host got %q", answers)
		}
	})
}
