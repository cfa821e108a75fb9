package bridge

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// A seen is what is worth comparing of an event: what it says, and what id the reader had then.
type seen struct{ name, data, id string }

// readEvents reads in to its end.
func readEvents(in io.Reader, limit int64) ([]seen, *eventReader, error) {
	r := newEventReader(context.Background(), in, limit, nil)
	var events []seen
	for {
		ev, err := r.next()
		if err != nil {
			return events, r, err
		}
		events = append(events, seen{ev.name, string(ev.data), r.id})
	}
}

const noLimit = 1 << 30

// How a stream is read, whatever its line ends are and wherever a read stops.
func TestE1E5E6_EventStream(t *testing.T) {
	for name, tt := range map[string]struct {
		in    string
		want  []seen
		id    string        // at the end
		retry time.Duration // at the end
	}{
		"LF":                        {in: "event: message\ndata: 1\n\ndata: 2\n\n", want: []seen{{"message", "1", ""}, {"", "2", ""}}},
		"CRLF":                      {in: "event: message\r\ndata: 1\r\n\r\ndata: 2\r\n\r\n", want: []seen{{"message", "1", ""}, {"", "2", ""}}},
		"CR":                        {in: "event: message\rdata: 1\r\rdata: 2\r\r", want: []seen{{"message", "1", ""}, {"", "2", ""}}},
		"mixed":                     {in: "id: a\rdata: 1\r\ndata: 2\n\rdata: 3\n\r\ndata: 4\r\n\rdata: 5\r\r\n", want: []seen{{"", "1\n2", "a"}, {"", "3", "a"}, {"", "4", "a"}, {"", "5", "a"}}, id: "a"},
		"BOM":                       {in: "\xef\xbb\xbfdata: 1\n\n", want: []seen{{"", "1", ""}}},
		"BOM and comment":           {in: "\xef\xbb\xbf: hb\n\nid: e1\nretry: 500\ndata:\n\nevent: ping\ndata: x\n\nevent: message\ndata: {}\n\n", want: []seen{{"ping", "x", "e1"}, {"message", "{}", "e1"}}, id: "e1", retry: 500 * time.Millisecond},
		"only the first BOM":        {in: "\xef\xbb\xbf\xef\xbb\xbfdata: 1\n\ndata: 2\n\n", want: []seen{{"", "2", ""}}},
		"BOM further on":            {in: "data: 1\n\n\xef\xbb\xbfdata: 2\n\n", want: []seen{{"", "1", ""}}},
		"half a BOM":                {in: "\xef\xbb", want: nil},
		"comments":                  {in: ":\n: x\n:data: 0\ndata: 1\n: y\n\n:z\n\n", want: []seen{{"", "1", ""}}},
		"no space":                  {in: "event:message\ndata:{}\nid:7\n\n", want: []seen{{"message", "{}", "7"}}, id: "7"},
		"one space only":            {in: "data:  1\n\n", want: []seen{{"", " 1", ""}}},
		"a tab is no space":         {in: "data:\t1\n\n", want: []seen{{"", "\t1", ""}}},
		"colons in the value":       {in: "data: a: b:\n\n", want: []seen{{"", "a: b:", ""}}},
		"several lines":             {in: "id:1\nevent:message\ndata:{\ndata: \"a\":1,\ndata:  \"b\":2\ndata:}\n\n", want: []seen{{"message", "{\n\"a\":1,\n \"b\":2\n}", "1"}}, id: "1"},
		"empty lines of data":       {in: "data: 1\ndata\ndata:\n\n", want: []seen{{"", "1\n\n", ""}}},
		"no colon":                  {in: "data: 1\nevent\nid\n\n", want: []seen{{"", "1", ""}}},
		"empty data":                {in: "data:\n\ndata\n\nevent: x\n\ndata: \ndata:\n\ndata: 1\n\n", want: []seen{{"", "1", ""}}},
		"empty data keeps the id":   {in: "id: p\ndata:\n\ndata: 1\n\n", want: []seen{{"", "1", "p"}}, id: "p"},
		"an id alone":               {in: "id: p\n\ndata: 1\n\n", want: []seen{{"", "1", "p"}}, id: "p"},
		"NUL in the id":             {in: "id: p\n\nid: a\x00b\ndata: 1\n\n", want: []seen{{"", "1", "p"}}, id: "p"},
		"an empty id resets":        {in: "id: p\ndata: 1\n\nid\ndata: 2\n\n", want: []seen{{"", "1", "p"}, {"", "2", ""}}},
		"the last id of an event":   {in: "id: a\nid: b\ndata: 1\n\n", want: []seen{{"", "1", "b"}}, id: "b"},
		"an id without blank line":  {in: "id: a\ndata: 1\n\nid: b\n", want: []seen{{"", "1", "a"}}, id: "a"},
		"id with spaces":            {in: "id:  a b \ndata: 1\n\n", want: []seen{{"", "1", " a b "}}, id: " a b "},
		"retry":                     {in: "retry: 0700\n\n", retry: 700 * time.Millisecond},
		"retry counts at once":      {in: "retry:700\n", retry: 700 * time.Millisecond},
		"retry of digits only":      {in: "retry: 700\nretry: 8x\nretry: -9\nretry: +9\nretry: 1.5\nretry:\nretry:  9\n\n", retry: 700 * time.Millisecond},
		"unknown fields":            {in: "Data: 0\ndata : 0\n data: 0\nfoo\nfoo: bar\ndata: 1\nDATA: 2\n\n", want: []seen{{"", "1", ""}}},
		"the last name of an event": {in: "event: a\nevent: b\ndata: 1\n\ndata: 2\n\n", want: []seen{{"b", "1", ""}, {"", "2", ""}}},
		"a name without data":       {in: "event: a\n\ndata: 1\n\n", want: []seen{{"", "1", ""}}},
		"empty":                     {},
		"blank lines":               {in: "\n\r\r\n\n"},
		"non-ASCII":                 {in: "event: ä\ndata: 世界\xff\n\n", want: []seen{{"ä", "世界\xff", ""}}},
	} {
		t.Run(name, func(t *testing.T) {
			check := func(how string, in io.Reader) {
				t.Helper()
				got, r, err := readEvents(in, noLimit)
				if !slices.Equal(got, tt.want) || r.id != tt.id || r.retry != tt.retry {
					t.Errorf("%s: got %q, id %q, retry %v, want %q, %q, %v", how, got, r.id, r.retry, tt.want, tt.id, tt.retry)
				}
				if err != io.EOF {
					t.Errorf("%s: got error %v, want %v", how, err, io.EOF)
				}
			}
			check("whole", strings.NewReader(tt.in))
			check("byte by byte", iotest.OneByteReader(strings.NewReader(tt.in)))
			check("by halves", iotest.HalfReader(strings.NewReader(tt.in)))
			check("data with EOF", iotest.DataErrReader(strings.NewReader(tt.in)))
			for i := range len(tt.in) {
				check(fmt.Sprintf("cut at %d", i), io.MultiReader(strings.NewReader(tt.in[:i]), strings.NewReader(tt.in[i:])))
			}
		})
	}
}

// Every place where a read can stop also is where the buffer may be full.
func TestE1_LineEndsAtTheEdgeOfTheBuffer(t *testing.T) {
	for _, end := range []string{"\n", "\r", "\r\n"} {
		for shift := range 12 {
			size := readBuffer - shift
			in := ": " + strings.Repeat("x", size) + end + end + "id: 1" + end + "data: 1" + end + "data: 2" + end + end + "data: " + strings.Repeat("y", size) + end + end + "data: 3" + end + end
			got, _, err := readEvents(strings.NewReader(in), noLimit)
			want := []seen{{"", "1\n2", "1"}, {"", strings.Repeat("y", size), "1"}, {"", "3", "1"}}
			if !slices.Equal(got, want) || err != io.EOF {
				t.Fatalf("line end %q, shift %d: got %d events, error %v", end, shift, len(got), err)
			}
		}
	}
}

// What next returns is not touched before the next call, and a line break fits behind it.
func TestEventDataCanBeAppendedTo(t *testing.T) {
	for _, end := range []string{"\n", "\r", "\r\n"} {
		r := newEventReader(t.Context(), strings.NewReader(strings.ReplaceAll("data: 1\n\ndata: 2\ndata: 3\n\ndata: 4\nid: x\n\ndata: 5", "\n", end)), noLimit, nil)
		for _, want := range []string{"1", "2\n3", "4", "5"} {
			ev, err := r.next()
			if err != nil {
				t.Fatal(err)
			}
			if got := string(append(ev.data, '\n')); got != want+"\n" {
				t.Errorf("line end %q: got %q, want %q", end, got, want+"\n")
			}
		}
		if _, err := r.next(); err != io.EOF {
			t.Errorf("line end %q: got error %v, want %v", end, err, io.EOF)
		}
	}
}
