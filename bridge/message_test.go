package bridge

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// What a message is, and what of it can be read.
func TestParse(t *testing.T) {
	for text, want := range map[string]struct {
		kind       kind
		id, method string
	}{
		`{"jsonrpc":"2.0","id":1,"method":"m"}`:                       {request, "1", "m"},
		`{"jsonrpc":"2.0","id":"","method":""}`:                       {request, `""`, ""},
		`{"jsonrpc":"2.0","id":-1.5e3,"method":"a\u002fb"}`:           {request, "-1.5e3", "a/b"},
		` { "method" : "m" , "id" : 0 , "jsonrpc" : "2.0" } `:         {request, "0", "m"},
		`{"\u006asonrpc":"\u0032.0","\u0069d":1,"m\u0065thod":"m"}`:   {request, "1", "m"},
		`{"jsonrpc":"2.0","id":1,"id":2,"method":"m","method":"n"}`:   {request, "2", "n"},
		`{"jsonrpc":"2.0","method":"m"}`:                              {notification, "", "m"},
		`{"jsonrpc":"2.0","method":"m","params":{"id":1,"result":1}}`: {notification, "", "m"},
		`{"jsonrpc":"2.0","id":1,"result":null}`:                      {response, "1", ""},
		`{"jsonrpc":"2.0","id":1,"error":"x"}`:                        {response, "1", ""},
		`{"jsonrpc":"2.0","id":null,"error":{}}`:                      {response, "", ""},
		`{"jsonrpc":"2.0","error":{}}`:                                {response, "", ""},
		`[]`:                                                          {batch, "", ""},
		`[{"jsonrpc":"2.0","id":1,"method":"m"}]`:                     {batch, "", ""},
		`{"jsonrpc":"2.0","id":null,"method":"m"}`:                    {odd, "", "m"},
		`{"jsonrpc":"2.0","id":[1],"method":"m"}`:                     {odd, "", "m"},
		`{"jsonrpc":"2.0","id":1,"id":null,"method":"m"}`:             {odd, "", "m"},
		`{"jsonrpc":"2.0","id":1,"method":1}`:                         {odd, "1", ""},
		`{"jsonrpc":"2.0","id":1}`:                                    {odd, "1", ""},
		`{"jsonrpc":"2.0"}`:                                           {odd, "", ""},
		`{"jsonrpc":"1.0","id":1,"method":"m"}`:                       {odd, "1", "m"},
		`{"jsonrpc":2.0,"id":1,"method":"m"}`:                         {odd, "1", "m"},
		`{"ID":1,"Jsonrpc":"2.0","METHOD":"m"}`:                       {odd, "", ""},
		`"2.0"`:                                                       {odd, "", ""},
		`null`:                                                        {odd, "", ""},
		`1`:                                                           {odd, "", ""},
		`{}`:                                                          {odd, "", ""},
	} {
		m, err := parse([]byte(text))
		if err != nil || m.kind != want.kind || string(m.id) != want.id || string(m.method) != want.method || (m.id == nil) != (want.id == "") {
			t.Errorf("%s: kind %d, id %q, method %q, error %v; want %+v", text, m.kind, m.id, m.method, err, want)
		}
		if string(m.raw) != text {
			t.Errorf("%s became %s", text, m.raw)
		}
	}
}

// Of a message that is broken further on the id can still be told (spec 1.14).
func TestParseBroken(t *testing.T) {
	const text = `{"jsonrpc":"2.0","id":"seven","method":"m","params":{"a":1}}`
	for end := range len(text) {
		m, err := parse([]byte(text[:end]))
		want := ""
		if end >= strings.Index(text, `,"method"`) {
			want = `"seven"`
		}
		if err == nil || string(m.id) != want {
			t.Errorf("%s: id %q, error %v; want %q and an error", text[:end], m.id, err, want)
		}
	}
}

// What parse finds is what encoding/json finds.
func FuzzParse(f *testing.F) {
	for _, text := range append(jsonTexts, `{"jsonrpc":"2.0","error":null}`) {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := parse(bytes.Clone(text))
		if err != nil {
			return
		}
		if m.kind == batch {
			var items []json.RawMessage
			if err := json.Unmarshal(text, &items); err != nil || len(items) != len(m.items) {
				t.Fatalf("%q: %d elements, want %d (%v)", text, len(m.items), len(items), err)
			}
			for i, item := range items {
				if string(oneLine(item)) != string(m.items[i]) {
					t.Errorf("%q: element %d is %q, want %q", text, i, m.items[i], item)
				}
			}
			return
		}
		var members map[string]json.RawMessage
		_ = json.Unmarshal(text, &members) // what is no object has no members
		id := members["id"]
		if len(id) > 0 && id[0] != '"' && id[0] != '-' && (id[0] < '0' || id[0] > '9') {
			id = nil
		}
		if string(m.id) != string(id) || (m.id == nil) != (id == nil) {
			t.Errorf("%q: id %q, want %q", text, m.id, id)
		}
		var method *string // nil if it is no string
		if raw := members["method"]; len(raw) > 0 && raw[0] == '"' {
			_ = json.Unmarshal(raw, &method)
		}
		if method == nil != (m.method == nil) || method != nil && *method != string(m.method) && utf8.Valid(members["method"]) {
			t.Errorf("%q: method %q, want %s", text, m.method, members["method"])
		}
		for name, got := range map[string][]byte{"params": m.params, "result": m.result} {
			if want := members[name]; string(got) != string(oneLine(want)) {
				t.Errorf("%q: %s %q, want %q", text, name, got, want)
			}
		}
		var version string
		_ = json.Unmarshal(members["jsonrpc"], &version) // "" if it is no string
		_, hasID := members["id"]
		_, hasMethod := members["method"]
		_, hasResult := members["result"]
		hasError := members["error"] != nil && string(members["error"]) != "null" // some libraries write both members
		want := odd
		switch {
		case version != "2.0":
		case method != nil && id != nil:
			want = request
		case method != nil && !hasID:
			want = notification
		case !hasMethod && (hasResult || hasError):
			want = response
		}
		if m.kind != want {
			t.Errorf("%q: kind %d, want %d", text, m.kind, want)
		}
	})
}

// oneLine returns JSON text with spaces for line breaks.
func oneLine(text []byte) []byte {
	return bytes.ReplaceAll(bytes.ReplaceAll(text, []byte("\n"), []byte(" ")), []byte("\r"), []byte(" "))
}

// Two spellings of an id mean the same exactly if type and value are the same.
func TestIDKey(t *testing.T) {
	for _, same := range [][]string{
		{`1`, `1.0`, `1e0`, `10e-1`}, {`"1"`, `"\u0031"`}, {`0`, `-0`, `0.0`, `-0.0`}, {`""`}, {`" 1"`}, {`"é"`, `"\u00e9"`, `"\u00E9"`},
		{`-1`, `-1.0`}, {`1.5`}, {`9007199254740992`}, {`9007199254740993`}, {`12345678901234567890123`}, {`12345678901234567890124`}, {`1000`, `1e3`, `1E+3`}, {`"1e3"`},
	} {
		for _, id := range same {
			if got, want := idKey([]byte(id)), idKey([]byte(same[0])); got != want {
				t.Errorf("%s has the key %q, %s has %q", id, got, same[0], want)
			}
		}
	}
	seen := map[string]string{}
	for _, id := range []string{`1`, `"1"`, `0`, `"0"`, `""`, `" 1"`, `"é"`, `-1`, `1.5`, `9007199254740992`, `9007199254740993`, `12345678901234567890123`, `12345678901234567890124`, `"1e3"`, `1e3`} {
		key := idKey([]byte(id))
		if other, taken := seen[key]; taken {
			t.Errorf("%s and %s have the same key", id, other)
		}
		seen[key] = id
	}
}

// A message under another id is the same in all other bytes.
func TestWithID(t *testing.T) {
	for text, want := range map[string]string{
		`{"jsonrpc":"2.0","id":1, "result":{"id":1}}`:   `{"jsonrpc":"2.0","id":"x", "result":{"id":1}}`,
		`{"id":null,"jsonrpc":"2.0","error":{}}`:        `{"id":"x","jsonrpc":"2.0","error":{}}`,
		`{"id" : "long" ,"jsonrpc":"2.0","error":{}}`:   `{"id" : "x" ,"jsonrpc":"2.0","error":{}}`,
		` { "jsonrpc":"2.0","error":{"data":{"id":1}}}`: ` {"id":"x", "jsonrpc":"2.0","error":{"data":{"id":1}}}`,
	} {
		m, err := parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		got := m.withID([]byte(`"x"`))
		if string(got) != want {
			t.Errorf("%s became\n%s, want\n%s", text, got, want)
		}
		if m, err := parse(got); err != nil || string(m.id) != `"x"` || m.kind != response {
			t.Errorf("%s reads as id %q, error %v", got, m.id, err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	message := func(params string) []byte {
		return []byte(`{"jsonrpc":"2.0","id":12345,"method":"tools/call","params":` + params + `}`)
	}
	text := strings.Repeat(`A line of text, with \"quotes\" and an é now and then.\n`, 1<<20/58)
	numbers := strings.Repeat("123456.789, -1, 0.5e-3, ", 1<<20/24) + "0"
	for _, bb := range []struct {
		name    string
		message []byte
	}{
		{"200B", message(`{"name":"search","arguments":{"query":"how deep is the sea","limit":10,"filters":["a","b"]},"_meta":{"progressToken":"token-17"}}`)},
		{"64KiB", message(`{"name":"write","arguments":{"path":"/tmp/x","text":"` + text[:58*(64<<10/58)] + `"}}`)},
		{"1MiB-strings", message(`{"text":"` + text + `"}`)},
		{"1MiB-numbers", message(`[` + numbers + `]`)},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.SetBytes(int64(len(bb.message)))
			b.ReportAllocs()
			for b.Loop() {
				if m, err := parse(bb.message); err != nil || m.kind != request {
					b.Fatal(fmt.Sprint(m.kind, err))
				}
			}
		})
	}
}
