package bridge

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// A result of 64 MiB is one event, on one line or on many.
func TestE3_EventOf64MiB(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 64 MiB, several times")
	}
	const size = 64 << 20
	const chunk = 64 << 10
	line := "data: " + strings.Repeat("x", chunk-1) + "\n"
	for name, in := range map[string]io.Reader{
		"one line":   io.MultiReader(strings.NewReader("data: "), io.LimitReader(&repeat{text: strings.Repeat("x", chunk)}, size), strings.NewReader("\n\n")),
		"many lines": io.MultiReader(io.LimitReader(&repeat{text: line}, size/chunk*int64(len(line))), strings.NewReader("\n")),
	} {
		r := newEventReader(t.Context(), io.MultiReader(strings.NewReader("data: 1\n\n"), in, strings.NewReader("data: 2\n\n")), size, nil)
		for _, want := range []int{1, size, 1} {
			ev, err := r.next()
			if err != nil || ev.over != nil {
				t.Fatalf("%s: got %d bytes, over %v, error %v", name, len(ev.data), ev.over != nil, err)
			}
			if got := len(ev.data); got != want && got != want-1 { // no line break behind the last line
				t.Errorf("%s: got %d bytes, want %d", name, got, want)
			}
		}
	}
}

// An event over the limit costs no more than itself: its id is found wherever it stands, and the
// events around it come.
func TestE3_EventOverTheLimit(t *testing.T) {
	const limit = 1000
	fill := func(n int) string { return strings.Repeat("x", n) }
	lines := func(text string, n int) string { // as lines of data of n bytes
		var b strings.Builder
		for len(text) > n {
			fmt.Fprintf(&b, "data: %s\n", text[:n])
			text = text[n:]
		}
		fmt.Fprintf(&b, "data: %s\n", text)
		return b.String()
	}
	for name, tt := range map[string]struct{ event, id string }{
		"a little, id first":           {"data: {\"id\":7,\"result\":\"" + fill(limit) + "\"}\n\n", "7"},
		"a little, id last":            {"data: {\"result\":\"" + fill(limit) + "\",\"id\":7}\n\n", "7"},
		"no id":                        {"data: {\"method\":\"" + fill(limit) + "\"}\n\n", ""},
		"a lot, id first":              {"data: {\"id\":7,\"result\":\"" + fill(5*readBuffer) + "\"}\n\n", "7"},
		"a lot, id last":               {"data: {\"result\":\"" + fill(5*readBuffer) + "\",\"id\":7}\n\n", "7"},
		"a lot, no space":              {"data:{\"result\":\"" + fill(5*readBuffer) + "\",\"id\":7}\n\n", "7"},
		"a lot, no id":                 {"data: {\"method\":\"" + fill(5*readBuffer) + "\"}\n\n", ""},
		"two lines, id in the first":   {"data: {\"id\":7,\ndata: \"result\":\"" + fill(limit) + "\"}\n\n", "7"},
		"two lines, id in the second":  {"data: {\ndata: \"result\":\"" + fill(limit) + "\",\"id\":7}\n\n", "7"},
		"two lines, the first long":    {"data: {\"id\":7,\"result\":\"" + fill(limit) + "\"\ndata: }\n\n", "7"},
		"two lines, the second a lot":  {"data: {\"id\":7,\ndata: \"result\":\"" + fill(5*readBuffer) + "\"}\n\n", "7"},
		"many lines, id first":         {lines("{\"id\":7,\"result\":\""+fill(2*limit)+"\"}", 100) + "\n", "7"},
		"many lines, id last":          {lines("{\"result\":\""+fill(2*limit)+"\",\"id\":7}", 100) + "\n", "7"},
		"many lines, id torn":          {"data: {\"result\":\"" + fill(990) + "\",\"id\ndata: \":7}\n\n", "7"},
		"many lines, more than buffer": {lines("{\"id\":7,\"result\":\""+fill(5*readBuffer)+"\"}", 100) + "\n", "7"},
		"three lines, over at third":   {"data: {\"id\":7,\ndata: \"a\":0,\ndata: \"result\":\"" + fill(limit) + "\"}\n\n", "7"},
		"other fields between":         {"data: {\"id\":7,\nid: e\nevent: message\n: hb\ndata: \"result\":\"" + fill(limit) + "\"}\nretry: 3\n\n", "7"},
		"no blank line":                {"data: {\"id\":7,\"result\":\"" + fill(limit) + "\"}\n", "7"},
		"no line end":                  {"data: {\"id\":7,\"result\":\"" + fill(5*readBuffer) + "\"}", "7"},
		"CR":                           {"data: {\"id\":7,\"result\":\"" + fill(5*readBuffer) + "\"}\r\r", "7"},
		"CRLF":                         {"data: {\"id\":7,\"result\":\"" + fill(5*readBuffer) + "\"}\r\n\r\n", "7"},
		"a string id":                  {"data: {\"result\":\"" + fill(limit) + "\",\"id\":\"s-1\"}\n\n", `"s-1"`},
	} {
		t.Run(name, func(t *testing.T) {
			for before, prefix := range map[string]string{
				"first":                      "",
				"after an event of one line": "data: {\"id\":1}\n\n",
				"after an event of lines":    "data: {\"id\":1,\ndata: \"id\":2}\n\n",
				"after many events":          strings.Repeat("data: {\"id\":1}\n\n", readBuffer/15),
			} {
				text := prefix + tt.event
				if !strings.HasPrefix(name, "no blank") && !strings.HasPrefix(name, "no line") {
					text += "data: next\n\n"
				}
				checkOver(t, before+", whole", newEventReader(t.Context(), strings.NewReader(text), limit, nil), tt.id)
				if len(text) < 10*limit {
					checkOver(t, before+", by bytes", newEventReader(t.Context(), iotest.OneByteReader(strings.NewReader(text)), limit, nil), tt.id)
				}
			}
		})
	}
}

// checkOver reads a stream with one event that is over the limit, and has that id.
func checkOver(t *testing.T, what string, r *eventReader, id string) {
	t.Helper()
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("%s: panic: %v", what, p)
		}
	}()
	over, after := 0, 0
	for {
		ev, err := r.next()
		switch {
		case err == io.EOF:
			if over != 1 || after > 1 {
				t.Errorf("%s: %d events over the limit, then %d, want 1 and at most 1", what, over, after)
			}
			return
		case err != nil:
			t.Errorf("%s: got error %v", what, err)
			return
		case ev.over != nil:
			over++
			if got := string(ev.over.ID()); got != id {
				t.Errorf("%s: got id %q, want %q", what, got, id)
			}
			if ev.size <= r.limit {
				t.Errorf("%s: got size %d, which is within the limit", what, ev.size)
			}
		case over > 0:
			if after++; string(ev.data) != "next" {
				t.Errorf("%s: got %.100q behind it, want next", what, ev.data)
			}
		}
	}
}

// At the limit an event is whole, with one byte more it is not.
func TestE3_Limit(t *testing.T) {
	const limit = 1000
	for size := limit - 3; size <= limit+3; size++ {
		for name, in := range map[string]string{
			"one line":  "data: " + strings.Repeat("x", size) + "\n\n",
			"two lines": "data: " + strings.Repeat("x", 10) + "\ndata: " + strings.Repeat("x", size-11) + "\n\n",
		} {
			r := newEventReader(t.Context(), strings.NewReader(in), limit, nil)
			ev, err := r.next()
			if err != nil {
				t.Fatal(err)
			}
			if over := ev.over != nil; over != (size > limit) || !over && len(ev.data) != size {
				t.Errorf("%s of %d bytes, limit %d: got %d bytes, over %v", name, size, limit, len(ev.data), over)
			}
		}
	}
}

// Memory stays within bounds whatever stands between two blank lines.
func TestE3_EventThatNeverEnds(t *testing.T) {
	const limit = 1000
	for name, line := range map[string]string{
		"comments":           ": hb\n",
		"unknown fields":     "x: y\n",
		"empty data":         "data:\n",
		"data":               "data: 123456789\n",
		"a comment":          strings.Repeat("x", 4096),
		"one line of data":   strings.Repeat("x", 4096),
		"comments in a data": ": hb\n",
	} {
		t.Run(name, func(t *testing.T) {
			prefix := map[string]string{"a comment": ":", "one line of data": "data:", "comments in a data": "data: 1\n"}[name]
			in := io.MultiReader(strings.NewReader(prefix), io.LimitReader(&repeat{text: line}, 16*readBuffer), strings.NewReader("\n\ndata: next\n\n"))
			r := newEventReader(t.Context(), in, limit, nil)
			var last string
			most := 0
			for {
				ev, err := r.next()
				most = max(most, cap(r.buf)+cap(r.joined))
				if err != nil {
					break
				}
				last = string(ev.data)
			}
			if last != "next" {
				t.Errorf("got %.100q at last, want next", last)
			}
			if most > 4*readBuffer {
				t.Errorf("took %d bytes, though the limit is %d", most, limit)
			}
		})
	}
}

// A repeat is the same text again and again.
type repeat struct {
	text string
	at   int
}

func (r *repeat) Read(p []byte) (int, error) {
	for n := 0; n < len(p); {
		done := copy(p[n:], r.text[r.at:])
		n += done
		r.at = (r.at + done) % len(r.text)
	}
	return len(p), nil
}
