package bridge

import (
	"encoding/json"
	"strings"
	"testing"
)

// findID writes text in pieces of these sizes, over and over.
func findID(text []byte, sizes []byte) []byte {
	var f idFinder
	for i := 0; len(text) > 0; i++ {
		n := len(text)
		if len(sizes) > 0 {
			n = min(n, int(sizes[i%len(sizes)])+1)
		}
		if written, err := f.Write(text[:n]); written != n || err != nil {
			panic("Write does not do what its comment says")
		}
		text = text[n:]
	}
	return f.ID()
}

// The id is found wherever it stands, and only that of the message itself.
func TestIDFinder(t *testing.T) {
	for text, want := range map[string]string{
		`{"jsonrpc":"2.0","id":7,"method":"m"}`:             "7",
		`{"method":"m","id":"seven"}`:                       `"seven"`,
		`{"id":-1.5e3}`:                                     "-1.5e3",
		`{ "id" : 12345678901234567890123 , "a":1}`:         "12345678901234567890123",
		`{"\u0069d":"a\"b\\"}`:                              `"a\"b\\"`,
		`{"params":{"id":1,"a":[{"id":2}]},"id":3}`:         "3",
		`{"a":"\",\"id\":1,","id":2}`:                       "2",
		`{"a":"\\","id":2}`:                                 "2",
		`{"id":1,"id":2}`:                                   "2",
		`{"a":"id","b":["id"],"id":"id"}`:                   `"id"`,
		`{"id":1,"params":{"text":"cut in the middle`:       "1",
		`{"id":"` + strings.Repeat("x", longestID-3) + `"}`: `"` + strings.Repeat("x", longestID-3) + `"`,
		`{"id":"` + strings.Repeat("x", longestID) + `"}`:   "",
		`{"id":` + strings.Repeat("1", 2*longestID) + `}`:   "",
		`{"id":null}`:                                       "",
		`{"id":true}`:                                       "",
		`{"id":{"id":1}}`:                                   "",
		`{"id":["id"]}`:                                     "",
		`{"id":1,"id":null}`:                                "",
		`{"ID":1,"i":2,"idx":3}`:                            "",
		`{"params":{"id":1}}`:                               "",
		`[{"id":1}]`:                                        "",
		`"id"`:                                              "",
		`{"id":"cut`:                                        "",
		`{"id":1x}`:                                         "",
		`}{{"id":1`:                                         "",
		``:                                                  "",
	} {
		for _, sizes := range [][]byte{nil, {0}, {1}, {2, 0, 6}} {
			if got := findID([]byte(text), sizes); string(got) != want || (got == nil) != (want == "") {
				t.Errorf("%.100s in pieces %v: id %q, want %q", text, sizes, got, want)
			}
		}
	}
}

// In whatever pieces a message comes, its id is the one that encoding/json finds. What is no JSON
// may have any id, but that is one.
func FuzzIDFinder(f *testing.F) {
	for i, text := range jsonTexts {
		f.Add([]byte(text), []byte{byte(i), 3})
	}
	f.Fuzz(func(t *testing.T, text, sizes []byte) {
		got := findID(text, sizes)
		if got != nil {
			if c := got[0]; !json.Valid(got) || c != '"' && c != '-' && (c < '0' || c > '9') {
				t.Fatalf("%q: %q is no id", text, got)
			}
		}
		var members map[string]json.RawMessage
		if json.Unmarshal(text, &members) != nil {
			return
		}
		want := members["id"]
		if len(want) > 0 && want[0] != '"' && want[0] != '-' && (want[0] < '0' || want[0] > '9') || len(want) >= longestID {
			want = nil
		}
		if string(got) != string(want) || (got == nil) != (want == nil) {
			t.Errorf("%q in pieces %v: id %q, want %q", text, sizes, got, want)
		}
	})
}
