package bridge

import (
	"context"
	"io"
	"net/http"
)

// claimStep is how many bytes of a long message are claimed of the memory at a time.
const claimStep = 256 << 10

// A bodyReader reads a whole body into memory, with room for a line break behind it.
type bodyReader struct {
	ctx     context.Context // bounds the waiting for claim
	in      io.Reader
	limit   int64
	claim   *claim
	claimed int
	body    []byte
	err     error // io.EOF when the body is whole
}

func newBodyReader(ctx context.Context, resp *http.Response, limit int64, c *claim) *bodyReader {
	r := &bodyReader{ctx: ctx, in: resp.Body, limit: limit, claim: c, claimed: readBuffer}
	size := resp.ContentLength
	switch {
	case size > limit:
		r.err = &tooLongError{size, limit}
		return r
	case size < 0:
		size = 4 << 10
	case size > longMessage:
		r.body = c.reserve(size + 1)
	}
	if r.body == nil {
		r.body = make([]byte, 0, size+1)
	}
	return r
}

// message reads the body as a message, and looks at it while it comes. The error says why it is none.
// It has read the body to its end when err is io.EOF.
func (r *bodyReader) message() (*message, error) {
	s := scanner{b: r.body, more: r.more}
	m, notJSON := read(&s)
	for r.err == nil {
		m.raw, _ = r.more(m.raw)
	}
	m.trim()
	return m, notJSON
}

// more reads on, and returns the body so far, and whether there was more of it.
func (r *bodyReader) more([]byte) ([]byte, bool) {
	had := len(r.body)
	for r.err == nil && len(r.body) == had {
		r.read()
	}
	return r.body, len(r.body) > had
}

func (r *bodyReader) read() {
	if len(r.body) >= r.claimed { // little by little, as the host may stop reading meanwhile
		r.claimed += claimStep
		if r.err = r.claim.grow(r.ctx, int64(r.claimed)); r.err != nil {
			return
		}
	}
	if len(r.body) == cap(r.body) {
		r.body = append(r.larger(), r.body...)
	}
	n, err := r.in.Read(r.body[len(r.body):min(cap(r.body), r.claimed)])
	r.body, r.err = r.body[:len(r.body)+n], err
	if int64(len(r.body)) > r.limit && (err == nil || err == io.EOF) {
		r.err = &tooLongError{0, r.limit}
	}
}

// larger returns room for more than the body so far.
func (r *bodyReader) larger() []byte {
	if len(r.body) >= longMessage {
		if b := r.claim.reserve(min(r.limit, mostReserved) + readBuffer); b != nil {
			return b
		}
	}
	return make([]byte, 0, 2*len(r.body))
}
