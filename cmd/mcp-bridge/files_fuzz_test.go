package main

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// What a file of headers, or a variable with several, becomes can be sent, and its errors show nothing of
// a value.
func FuzzHeaderLines(f *testing.F) {
	for _, s := range []string{
		"A: b\nC: d", "\ufeffA: b\r\n# a comment\r\n\r\nB:c:d ", "Authorization: Bearer x y", "A b", "A: ${NOPE}", "A: ${HOME}", "A: $HOME", "A: b\rEvil: 1", "A: \x00", ": b", "Ä: b", "A\tB: c", "#A: b", strings.Repeat("A: b\n", 100),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		h := http.Header{}
		if err := addHeaderLines(h, text); err != nil {
			if said := err.Error(); len(said) > 200+len(text) || strings.Contains(said, "\n") {
				t.Errorf("the error is %q", said)
			}
			return
		}
		req, _ := http.NewRequest("GET", "http://127.0.0.1/", nil)
		req.Header = h
		if err := req.Write(io.Discard); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	})
}

// Whatever is in a file of pinned tools, it is refused, or kept as it is.
func FuzzPinFile(f *testing.F) {
	for _, s := range []string{
		`{"server":"https://mcp.example/mcp","tools":{"a":{"description":"d","inputSchema":{"type":"object"}}}}`, `{"tools":{}}`, `{"tools":null}`, `{"tools":[]}`, `{"tools":{"a":null}}`, `{"tools":{"a":5}}`, `{}`, `null`, ``, `{`, "\xff",
	} {
		f.Add([]byte(s))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		file := &pinFile{path: filepath.Join(dir, "pins.json"), again: "pin anew"}
		if err := os.WriteFile(file.path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		tools, err := file.Load()
		if err != nil {
			if !strings.Contains(err.Error(), "pin anew") || tools != nil {
				t.Errorf("%v, %v", tools, err)
			}
			return
		}
		if tools == nil {
			t.Fatalf("%q counts as no file", text)
		}
		if err := file.Save(tools); err != nil {
			t.Fatal(err)
		}
		if again, err := file.Load(); err != nil || !reflect.DeepEqual(tools, again) {
			t.Errorf("%q became %v, %v", text, again, err)
		}
	})
}
