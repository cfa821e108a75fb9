package bridge

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// jsonTexts are texts at the edges of what JSON is, for the fuzz tests to begin with.
var jsonTexts = []string{
	``, ` `, `null`, `nul`, `nulls`, `true`, `false`, `tru`, `"`, `""`, `"a`, `"\`, `"\"`, `"\x"`, `"\u12"`, `"\u12g4"`, `"\ud800"`, "\"\x00\"", "\"\x1f\"", "\"\x7f\xff\"", "\"\n\"",
	`0`, `-0`, `01`, `-`, `-a`, `1.`, `.1`, `1.0`, `1e`, `1e+`, `1E-5`, `1e5.0`, `0x1`, `+1`, `1 2`, `12345678901234567890123`, `-1.5e300`,
	`{}`, `{`, `}`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{,}`, `{"a":1 "b":2}`, `{a:1}`, `{"a":1}}`, ` { "a" : [ 1 , 2 ] } `, "{\n\"a\"\r\n:\t1}",
	`[]`, `[`, `]`, `[1,]`, `[,1]`, `[1 2]`, `[[[]]]`, `[[[]]`, "[1]\x00", "\xef\xbb\xbf{}",
	`"01234567"`, `"0123456\"01234567"`, "\"0123456\x01\"", `"é€😀"`, `"\\\/\b\f\n\r\t\u00e9"`,
	`{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":[1.0,"x"]}}`,
	`{"jsonrpc":"2.0","method":"m","id":"\"","\u0069d":2}`,
	`{"id":{"id":1},"jsonrpc":"2.0","id":null,"result":[{"id":2}]}`,
	`[{"jsonrpc":"2.0","id":1,"result":{}},{"jsonrpc":"2.0","id":"1","error":"x"}]`,

	// What bridges were reported to get wrong: ids of either type, large numbers, odd members (S3, S4, S9, I3).
	`{"jsonrpc":"2.0","id":0,"method":"tools/list"}`, `{"jsonrpc":"2.0","id":"0","method":"tools/list"}`, `{"jsonrpc":"2.0","id":"14f40ee1b859ee70","method":"tools/list"}`,
	`{"jsonrpc":"2.0","id":9007199254740993,"method":"m"}`, `{"jsonrpc":"2.0","id":-1,"method":"m"}`, `{"jsonrpc":"2.0","id":"","method":"m"}`, `{"jsonrpc":"2.0","id":1.0,"method":"m"}`,
	`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"id":9223372036854775807,"f":1.0,"e":1E400,"h":"<&>","u":"\u00e9\ud83d\ude00"}}}`,
	`{"jsonrpc":"2.0","id":7,"method":123}`, `{bad`, `[{"jsonrpc":"2.0","id":8,"method":"ping"}]`, `{"jsonrpc":"2.0","id":1,"result":{},"error":null}`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"m"}}`,
}

// The scanner takes for JSON what encoding/json does.
func FuzzScan(f *testing.F) {
	for _, text := range jsonTexts {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := parse(bytes.Clone(text))
		if want := json.Valid(text); (err == nil) != want {
			t.Fatalf("%q: error %v, but valid is %v", text, err, want)
		}
		if err != nil {
			return
		}
		if bytes.ContainsAny(m.raw, "\r\n") {
			t.Errorf("%q became %q, which is more than one line", text, m.raw)
		}
		var was, is bytes.Buffer
		if json.Compact(&was, text) != nil || json.Compact(&is, m.raw) != nil || !bytes.Equal(was.Bytes(), is.Bytes()) {
			t.Errorf("%q became %q", text, m.raw)
		}
	})
}

// A string is checked at each of its bytes, wherever that falls in the eight that are looked at together.
func TestScanStrings(t *testing.T) {
	for length := range 40 {
		for at := range length {
			for _, what := range []string{`"`, `\`, `\n`, `\u00e9`, "\x00", "\x1f", " ", "\x7f", "\x80", "\xff", "é"} {
				text := `"` + strings.Repeat("a", at) + what + strings.Repeat("b", length-at-1) + `"`
				_, err := parse([]byte(text))
				if want := json.Valid([]byte(text)); (err == nil) != want {
					t.Errorf("%q: error %v, but valid is %v", text, err, want)
				}
			}
		}
	}
}

// Values are nested as deep as encoding/json allows, and no deeper.
func TestScanDepth(t *testing.T) {
	for _, n := range []int{maxDepth, maxDepth + 1} {
		for _, text := range []string{
			strings.Repeat("[", n) + strings.Repeat("]", n),
			strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n),
		} {
			_, err := parse([]byte(text))
			if want := json.Valid([]byte(text)); (err == nil) != want {
				t.Errorf("depth %d of %.10s…: error %v, but valid is %v", n, text, err, want)
			}
		}
	}
}
