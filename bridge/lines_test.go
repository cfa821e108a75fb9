package bridge

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// linesOf reads all lines. One that is too long shows as its size and its id.
func linesOf(in io.Reader, limit int64) (lines []string, err error) {
	err = readLines(in, limit,
		func(line []byte) { lines = append(lines, string(line)) },
		func(id []byte, size int64) { lines = append(lines, fmt.Sprintf("<%d %s>", size, id)) })
	return lines, err
}

func TestReadLines(t *testing.T) {
	const limit = readBuffer + 1000
	long := `{"id":7,"s":"` + strings.Repeat("x", limit)
	for name, tt := range map[string]struct {
		in   string
		want []string
	}{
		"nothing":            {"", nil},
		"blank":              {"\n\r\n \t \n\n", nil},
		"LF":                 {"a\nb\n", []string{"a", "b"}},
		"CRLF":               {"a\r\nb\r\n", []string{"a", "b"}},
		"no end":             {"a\nb", []string{"a", "b"}},
		"CR at the end":      {"a\r", []string{"a"}},
		"CR inside":          {"a\rb\r\r\n", []string{"a\rb\r"}},
		"white space stays":  {" a \n\tb\t\n", []string{" a ", "\tb\t"}},
		"BOM":                {"\xef\xbb\xbfa\n\xef\xbb\xbfb\n", []string{"a", "\xef\xbb\xbfb"}},
		"BOM only":           {"\xef\xbb\xbf", nil},
		"half a BOM":         {"\xef\xbb", []string{"\xef\xbb"}},
		"longer than a read": {long[:readBuffer-1] + "\n" + long[:readBuffer] + "\r\n" + long[:readBuffer+1], []string{long[:readBuffer-1], long[:readBuffer], long[:readBuffer+1]}},
		"at the limit":       {long[:limit] + "\n" + long[:limit] + "\r\n" + long[:limit], []string{long[:limit], long[:limit], long[:limit]}},
		"one more":           {long[:limit+1] + "\n" + long[:limit+1] + "\r\n" + long[:limit+1], []string{"<66537 7>", "<66537 7>", "<66537 7>"}},
		"CR and LF apart":    {strings.Repeat(long, 2)[:2*readBuffer-1] + "\r\na\n", []string{fmt.Sprintf("<%d 7>", 2*readBuffer-1), "a"}},
		"much more":          {strings.Repeat(long, 5) + "\na\n" + strings.Repeat(long, 5), []string{"<332745 7>", "a", "<332745 7>"}},
	} {
		for how, in := range map[string]io.Reader{
			"at once":   strings.NewReader(tt.in),
			"in halves": iotest.HalfReader(strings.NewReader(tt.in)),
			"bytewise":  iotest.OneByteReader(strings.NewReader(tt.in)),
			"EOF early": iotest.DataErrReader(strings.NewReader(tt.in)),
		} {
			if got, err := linesOf(in, limit); err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("%s, %s: %.300q, error %v; want %.300q", name, how, got, err, tt.want)
			}
		}
	}
}

// A small limit holds for lines that a single read takes, too.
func TestReadLinesSmallLimit(t *testing.T) {
	got, err := linesOf(strings.NewReader("{\"id\":1}\n{\"id\":12}\r\n{\"id\":123}\n"), 8)
	if want := []string{`{"id":1}`, `<9 12>`, `<10 123>`}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, error %v; want %q", got, err, want)
	}
}

// What stands before an error is read all the same.
func TestReadLinesError(t *testing.T) {
	cause := errors.New("gone")
	got, err := linesOf(io.MultiReader(strings.NewReader("a\nb"), iotest.ErrReader(cause)), 100)
	if want := []string{"a", "b"}; !errors.Is(err, cause) || !slices.Equal(got, want) {
		t.Errorf("%q, error %v; want %q and %v", got, err, want, cause)
	}
}

// A line is the receiver's own: it may keep it, and write to it.
func TestReadLinesGivesAway(t *testing.T) {
	in := strings.Repeat("0123456789\n", 20000)
	var kept [][]byte
	err := readLines(iotest.HalfReader(strings.NewReader(in)), 100, func(line []byte) { kept = append(kept, line) }, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range kept {
		if string(line) != "0123456789" {
			t.Fatalf("line %d became %q", i, line)
		}
		copy(append(line, '\n'), "xxxxxxxxxxx")
	}
}

// However the input comes, its lines are those between the line breaks.
func FuzzReadLines(f *testing.F) {
	f.Add([]byte("a\nb\r\n\n\r\n c"))
	f.Add([]byte("\xef\xbb\xbfa\n{\"id\":1,\"s\":\"xxxxxxxxxxxxxxxx\"}\n"))
	f.Add([]byte("\xef\xbb\xbf{\"id\":0}\r\n\r\n{\"s\":\"\ufeff\"}\r\n")) // S7
	f.Add([]byte("{\"id\":9007199254740993,\"method\":123}\n{bad\n[{\"id\":8}]\n\xff\xfe\x00\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		const limit = 20
		var want []string
		for line := range bytes.SplitSeq(bytes.TrimPrefix(in, byteOrderMark), []byte("\n")) {
			line = bytes.TrimSuffix(line, []byte("\r"))
			switch {
			case len(line) > limit:
				var finder idFinder
				_, _ = finder.Write(line)
				want = append(want, fmt.Sprintf("<%d %s>", len(line), finder.ID()))
			case len(bytes.TrimSpace(line)) > 0:
				want = append(want, string(line))
			}
		}
		for _, r := range []io.Reader{bytes.NewReader(in), iotest.OneByteReader(bytes.NewReader(in))} {
			if got, err := linesOf(r, limit); err != nil || !slices.Equal(got, want) {
				t.Errorf("%q: %q, error %v; want %q", in, got, err, want)
			}
		}
	})
}

func BenchmarkReadLines(b *testing.B) {
	for _, bb := range []struct {
		name string
		line int
	}{{"200B", 200}, {"64KiB", 64 << 10}, {"1MiB", 1 << 20}, {"16MiB", 16 << 20}} {
		b.Run(bb.name, func(b *testing.B) {
			in := bytes.Repeat([]byte(strings.Repeat("x", bb.line-1)+"\n"), max(4<<20/bb.line, 1))
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				n := 0
				if err := readLines(bytes.NewReader(in), DefaultMaxMessage, func(line []byte) { n += len(line) + 1 }, nil); err != nil || n != len(in) {
					b.Fatal(n, err)
				}
			}
		})
	}
}
