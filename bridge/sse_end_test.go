package bridge

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

// A last event without its blank line counts if it is a whole JSON text; else the stream was cut.
func TestE4_LastEventWithoutBlankLine(t *testing.T) {
	const message = `{"jsonrpc":"2.0","id":1,"result":{}}`
	for name, tt := range map[string]struct {
		in   string
		want string // the data of the last event, "" if there must be none
		err  error
	}{
		"no line end":          {"data: " + message, message, io.EOF},
		"one LF":               {"data: " + message + "\n", message, io.EOF},
		"one CR":               {"data: " + message + "\r", message, io.EOF},
		"one CRLF":             {"data: " + message + "\r\n", message, io.EOF},
		"id behind":            {"data: " + message + "\nid: 1", message, io.EOF},
		"several lines":        {"data: {\"a\":\ndata: 1}", "{\"a\":\n1}", io.EOF},
		"half a message":       {"data: " + message[:20], "", io.ErrUnexpectedEOF},
		"half, and a line end": {"data: " + message[:20] + "\n", "", io.ErrUnexpectedEOF},
		"one brace too few":    {"data: " + message[:len(message)-1] + "\n", "", io.ErrUnexpectedEOF},
		"half, several lines":  {"data: {\"a\":\ndata: 1", "", io.ErrUnexpectedEOF},
		"no JSON":              {"data: hello\n", "", io.ErrUnexpectedEOF},
		"half a field name":    {"dat", "", io.EOF},
		"no data":              {"event: message\nid: 3\n", "", io.EOF},
		"a comment":            {": hi", "", io.EOF},
	} {
		t.Run(name, func(t *testing.T) {
			for how, in := range map[string]io.Reader{
				"whole":        strings.NewReader("data: 0\n\n" + tt.in),
				"byte by byte": iotest.OneByteReader(strings.NewReader("data: 0\n\n" + tt.in)),
			} {
				got, r, err := readEvents(in, noLimit)
				want := []seen{{"", "0", ""}}
				if tt.want != "" {
					want = append(want, seen{"", tt.want, r.id})
				}
				if !slices.Equal(got, want) || err != tt.err {
					t.Errorf("%s: got %q, error %v, want %q, error %v", how, got, err, want, tt.err)
				}
			}
		})
	}
}

// A connection that breaks right behind a whole message does not take it away.
func TestE4_WholeMessageBeforeABreak(t *testing.T) {
	broken := errors.New("connection reset")
	for _, end := range []string{"", "\n", "\n\n"} {
		in := io.MultiReader(strings.NewReader("data: {}"+end), iotest.ErrReader(broken))
		got, _, err := readEvents(in, noLimit)
		if want := []seen{{"", "{}", ""}}; !slices.Equal(got, want) || err != broken {
			t.Errorf("%q: got %q, error %v, want %q, error %v", end, got, err, want, broken)
		}
	}
	got, _, err := readEvents(io.MultiReader(strings.NewReader("data: {"), iotest.ErrReader(broken)), noLimit)
	if got != nil || err != broken {
		t.Errorf("half a message: got %q, error %v, want none, error %v", got, err, broken)
	}
}

// On a stream that stays open a whole message is delivered after a short pause, once; what comes
// later is read as usual.
func TestE4_MessageOnAnOpenStream(t *testing.T) {
	for name, tt := range map[string]struct{ first, rest, id string }{
		"LF":           {"data: {}\n", "\ndata: 2\n\n", ""},
		"CRLF":         {"data: {}\r\n", "\r\ndata: 2\r\n\r\n", ""},
		"CRLF, cut":    {"data: {}\r", "\n\r\ndata: 2\r\n\r\n", ""},
		"id behind":    {"data: {}\nid: 7\n", "\ndata: 2\n\n", "7"},
		"comment":      {"data: {}\n: hb\n", ": hb\n\ndata: 2\n\n", ""},
		"id too late":  {"data: {}\n", "id: 7\n\ndata: 2\n\n", "7"},
		"several data": {"data: {\ndata:}\n", "\ndata: 2\n\n", ""},
		"nothing more": {"data: {}\n", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pr, pw := io.Pipe()
				r := newEventReader(t.Context(), pr, noLimit, nil)
				go func() { // ends when both parts are read
					io.WriteString(pw, tt.first)
					time.Sleep(time.Hour)
					io.WriteString(pw, tt.rest)
					pw.Close()
				}()
				began := time.Now()
				ev, err := r.next()
				if got := strings.ReplaceAll(string(ev.data), "\n", ""); err != nil || got != "{}" {
					t.Fatalf("got %q, error %v", ev.data, err)
				}
				if waited := time.Since(began); waited != unfinishedPause {
					t.Errorf("delivered after %v, want %v", waited, unfinishedPause)
				}
				_ = append(ev.data, '\n') // as the output does
				if tt.rest != "" {
					if ev, err = r.next(); err != nil || string(ev.data) != "2" {
						t.Errorf("got %q, error %v, want 2", ev.data, err)
					}
				}
				if _, err := r.next(); err != io.EOF || r.id != tt.id {
					t.Errorf("got error %v, id %q, want %v, %q", err, r.id, io.EOF, tt.id)
				}
			})
		})
	}
}

// Half a message is not delivered, however long the stream pauses.
func TestE4_HalfMessageOnAnOpenStream(t *testing.T) {
	for name, tt := range map[string]struct{ first, rest string }{
		"between lines": {"data: {\n", "data: }\n\n"},
		"in a line":     {"data: {", "\ndata: }\n\n"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pr, pw := io.Pipe()
				go func() { // ends when everything is read
					io.WriteString(pw, tt.first)
					time.Sleep(time.Hour)
					io.WriteString(pw, tt.rest)
					pw.Close()
				}()
				got, _, err := readEvents(pr, noLimit)
				if want := []seen{{"", "{\n}", ""}}; !slices.Equal(got, want) || err != io.EOF {
					t.Errorf("got %q, error %v, want %q, error %v", got, err, want, io.EOF)
				}
			})
		})
	}
}
