package bridge

import (
	"bytes"
	"io"
	"net/http"
	"testing"
	"testing/iotest"
)

// A message is the same whether it was there before it was looked at or comes meanwhile, in whatever
// pieces.
func FuzzBody(f *testing.F) {
	for _, text := range []string{
		"", " ", "\n{}\n", "nul", "null", "true ", "-", "-1.5e+3", "[1,2", `"\u00e9\"\\`, `"\u00e9\"\\"`, "{\"a\":\"\x01\"}",
		smallCall, smallNotification, "\r\n" + smallCall + "\r\n", "[" + smallCall + ",\n" + smallNotification + "]",
		`{"jsonrpc":"2.0","id":"é","result":{"text":"a long one, \"quoted\"\nand more\u2028"}}`,
		`{"jsonrpc":"2.0","result":{},"id":null}`, `{"jsonrpc":"2.0","id":1,"result":{`, `{"jsonrpc":"2.0",` + "\n" + `"id":1,"error":{}} x`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		want, wantErr := parse(bytes.Trim(bytes.Clone(text), " \t\r\n"))
		for name, pieces := range map[string]func(io.Reader) io.Reader{
			"at once":   func(r io.Reader) io.Reader { return r },
			"in halves": iotest.HalfReader,
			"bytewise":  iotest.OneByteReader,
			"EOF early": iotest.DataErrReader,
		} {
			for _, length := range []int64{-1, int64(len(text))} {
				in := io.NopCloser(pieces(bytes.NewReader(text)))
				r := newBodyReader(t.Context(), &http.Response{ContentLength: length, Body: in}, DefaultMaxMessage, nil)
				got, err := r.message()
				if r.err != io.EOF || (err == nil) != (wantErr == nil) {
					t.Fatalf("%s: %q: %v after %v, want %v", name, text, err, r.err, wantErr)
				}
				if string(got.raw) != string(want.raw) || err == nil && (got.kind != want.kind || string(got.id) != string(want.id) ||
					string(got.method) != string(want.method) || got.idAt != want.idAt || len(got.items) != len(want.items)) {
					t.Fatalf("%s: %q was read as %+v, want %+v", name, text, got, want)
				}
			}
		}
	})
}
