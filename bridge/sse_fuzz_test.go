package bridge

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/tmaxmax/go-sse"
)

// FuzzEventReader compares the reader with go-sse's, for any bytes in any pieces. They differ on
// purpose where:
//
//   - an event has no data, or only white space: go-sse returns it, here only its id counts;
//   - the last event has no blank line: go-sse drops it, here it counts if it is a whole JSON text, and
//     half a line at its end counts only if it is one of data;
//   - blank lines stand before a byte order mark: go-sse skips the mark, the standard does not.
func FuzzEventReader(f *testing.F) {
	for _, seed := range []string{
		"data: 1\n\n", "event: message\r\ndata: {}\r\n\r\n", "data: 1\rdata: 2\r\r", "\xef\xbb\xbfdata: 1\n\n", "\xef\xbb", "\n\xef\xbb\xbfdata: 1\n\n",
		": hb\n\nid: e1\nretry: 500\ndata:\n\nevent: ping\ndata: x\n\n", "id: a\n\nid: b\x00\ndata: 1\n\nid\ndata: 2\n\n",
		"data: {}", "data: {}\n", "\xef\xbb\xbfdata: {}", "data: {}\nid: 1", "data: {}\nid: 1\nevent: x", "data: {\ndata: }\r", "data: {\n", "data: {}\ndata", "data\n\ndata: \n\ndata: 1", "data : 1\n data: 2\nfoo: 3\n\n\r\n\r\r",
		// What readers were reported to get wrong (E1, E3, E5, E6, E8).
		"event: message\r\ndata: {\"jsonrpc\":\"2.0\",\"id\":0,\"result\":{}}\r\n\r\n", "data: {}\r\r\n\ndata: {}\n\r", "data: \"" + strings.Repeat("x", 1<<12) + "\"\n\n",
		"id:1\nevent:message\ndata:{\ndata: \"jsonrpc\":\"2.0\",\ndata:  \"id\":1,\"result\":{}\ndata:}\n\n",
		"\xef\xbb\xbf: hb\n\nid: e1\nretry: 500\ndata:\n\nevent: ping\ndata: x\n\nevent: message\ndata: {}\n\n", "id: e1\nretry: 700\ndata:\n\n", ": hi\n\n",
	} {
		f.Add([]byte(seed), []byte{1})
		f.Add([]byte(seed), []byte{3, 1, 7})
	}
	f.Fuzz(func(t *testing.T, in, cuts []byte) {
		if start := bytes.TrimLeft(in, "\r\n"); len(start) < len(in) && bytes.HasPrefix(start, byteOrderMark) {
			t.Skip("go-sse is wrong")
		}
		want := oracle(t, in)
		if more := oracle(t, slices.Concat(withoutHalfField(in), []byte("\n\n"))); len(more) > len(want) {
			if last := more[len(more)-1]; json.Valid([]byte(last.data)) {
				want = append(want, last)
			}
		}
		got, r, err := readEvents(&pieces{text: in, cuts: cuts}, noLimit)
		if !slices.Equal(got, want) {
			t.Errorf("%q in pieces %v:\n got %q\nwant %q", in, cuts, got, want)
		}
		checkLimit(t, in, cuts, want)
		if err != io.EOF && err != io.ErrUnexpectedEOF {
			t.Errorf("%q: got error %v", in, err)
		}
		if strings.ContainsAny(r.id, "\x00\r\n") {
			t.Errorf("%q: got id %q", in, r.id)
		}
	})
}

// withoutHalfField returns an event stream without its last line, if that has no end and is not one of
// data.
func withoutHalfField(in []byte) []byte {
	from := bytes.LastIndexAny(in, "\r\n") + 1
	if last := in[from:]; bytes.HasPrefix(last, []byte("data:")) || from == 0 && bytes.HasPrefix(last, append(slices.Clone(byteOrderMark), "data:"...)) {
		return in
	}
	return in[:from]
}

// checkLimit reads with a limit that is soon reached: the events within it are the same, and for
// each of the others there is one that is over it.
func checkLimit(t *testing.T, in, cuts []byte, want []seen) {
	const limit = 8
	r := newEventReader(t.Context(), &pieces{text: in, cuts: cuts}, limit, nil)
	isLong := func(s seen) bool { return len(s.data) > limit }
	long := 0
	for _, w := range want {
		if isLong(w) {
			long++
		}
	}
	want = slices.DeleteFunc(slices.Clone(want), isLong)
	var got []seen
	over := 0
	for {
		ev, err := r.next()
		switch {
		case err != nil:
			if !slices.Equal(got, want) || over < long {
				t.Errorf("%q in pieces %v with a limit:\n got %q and %d longer ones\nwant %q and %d", in, cuts, got, over, want, long)
			}
			return
		case ev.over != nil:
			over++
		default:
			got = append(got, seen{ev.name, string(ev.data), r.id})
		}
	}
}

// oracle returns the events that go-sse sees, but for those without data.
func oracle(t *testing.T, in []byte) []seen {
	var events []seen
	for ev, err := range sse.Read(bytes.NewReader(in), &sse.ReadConfig{MaxEventSize: len(in) + 1<<10}) {
		if err != nil {
			t.Fatalf("%q: go-sse fails: %v", in, err)
		}
		if strings.TrimSpace(ev.Data) != "" {
			events = append(events, seen{ev.Type, ev.Data, ev.LastEventID})
		}
	}
	return events
}

// Pieces is a reader that returns text in pieces, whose lengths are those of cuts, again and again.
type pieces struct {
	text, cuts []byte
	reads      int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.text) == 0 {
		return 0, io.EOF
	}
	n := len(p.text)
	if len(p.cuts) > 0 {
		n = min(n, int(p.cuts[p.reads%len(p.cuts)])%16+1)
	}
	p.reads++
	n = copy(b, p.text[:n])
	p.text = p.text[n:]
	return n, nil
}
