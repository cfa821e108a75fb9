package bridge

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
)

// A long message does not go through Go's heap, whether its size is known or not, and arrives whole.
func TestLongMessageOutsideTheHeap(t *testing.T) {
	if mapMemory(1) == nil {
		t.Skip("this system has only Go's heap")
	}
	const size = 32 << 20
	chunk := strings.Repeat("0123456789abcdef", 4<<10)
	text := func() io.Reader { return io.LimitReader(&repeat{text: chunk}, size) }
	isWhole := func(b []byte) bool {
		for ; len(b) > 0 && bytes.HasPrefix(b, []byte(chunk)); b = b[len(chunk):] {
		}
		return len(b) == 0
	}
	readAll := func(length int64) func(*claim) ([]byte, error) {
		return func(c *claim) ([]byte, error) {
			return readWhole(t, &http.Response{ContentLength: length, Body: io.NopCloser(text())}, 2*size, c)
		}
	}
	for name, read := range map[string]func(*claim) ([]byte, error){
		"size known":   readAll(size),
		"size unknown": readAll(-1),
		"event": func(c *claim) ([]byte, error) {
			r := newEventReader(t.Context(), io.MultiReader(strings.NewReader("data: "), text(), strings.NewReader("\n\n")), 2*size, c)
			defer r.close()
			ev, err := r.next()
			return ev.data, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newBudget(memoryForLongMessages).claim()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			b, err := read(c)
			runtime.ReadMemStats(&after)
			if err != nil || len(b) != size || !isWhole(b) {
				t.Fatalf("got %d bytes and the error %v", len(b), err)
			}
			if took := after.TotalAlloc - before.TotalAlloc; took > size/2 {
				t.Errorf("took %d bytes of the heap", took)
			}
			if cap(b) == len(b) {
				t.Error("there is no room for a line break")
			}
			if c.release(); c.mapped != nil || c.of.used != 0 {
				t.Error("the memory was not given back")
			}
		})
	}
}

// Where the system has no memory to reserve, and for what outgrows it, the heap does.
func TestReserveOnce(t *testing.T) {
	c := newBudget(memoryForLongMessages).claim()
	defer c.release()
	first := c.reserve(100)
	if b := c.reserve(100); b != nil {
		t.Error("a second reservation would hide the first one")
	}
	if first != nil && cap(first) != 100 {
		t.Errorf("got room for %d bytes", cap(first))
	}
	for _, none := range []*claim{nil, c} {
		body, err := readWhole(t, &http.Response{ContentLength: 2 * longMessage, Body: io.NopCloser(io.LimitReader(&repeat{text: "x"}, 2*longMessage))}, 4*longMessage, none)
		if err != nil || len(body) != 2*longMessage {
			t.Errorf("got %d bytes and the error %v", len(body), fmt.Sprint(err))
		}
	}
}

// A stream that is left while a Read of it is under way keeps the memory that this may write to.
func TestLeaveDuringRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newBudget(memoryForLongMessages).claim()
		memory := c.reserve(longMessage)
		pr, pw := io.Pipe()
		r := newEventReader(t.Context(), pr, longMessage, c)
		if memory != nil {
			r.buf = memory[:readBuffer]
		}
		buf := r.buf
		go func() { _, _ = io.WriteString(pw, "data: 1\n") }() // ends when that is read
		if ev, err := r.next(); err != nil || string(ev.data) != "1" || r.reading == nil {
			t.Fatalf("got %q and the error %v; reading: %v", ev.data, err, r.reading != nil)
		}
		done := r.reading
		r.close()
		c.release()
		_, _ = io.WriteString(pw, "data: 2\n")
		if got := <-done; !bytes.Contains(buf, []byte("data: 2")) {
			t.Errorf("read %d bytes elsewhere", got.n)
		}
	})
}

// readWhole reads a body.
func readWhole(t *testing.T, resp *http.Response, limit int64, c *claim) ([]byte, error) {
	r := newBodyReader(t.Context(), resp, limit, c)
	for r.err == nil {
		r.more(nil)
	}
	if r.err == io.EOF {
		return r.body, nil
	}
	return r.body, r.err
}
