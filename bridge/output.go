package bridge

import (
	"fmt"
	"io"
	"sync"
)

// An output is the only way to the host: it writes messages one at a time, each whole, with a
// single Write, on a line of its own (spec 1.01, 1.06). Whoever writes waits until the host has
// taken the message, which is what holds the server back when the host is slow.
type output struct {
	mu     sync.Mutex
	w      io.Writer
	failed bool
	broken chan error // receives the first write error
}

func newOutput(w io.Writer) *output {
	return &output{w: w, broken: make(chan error, 1)}
}

// write writes one message, which must not contain a line break. It may append one to it in place.
func (o *output) write(message []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failed {
		return
	}
	if _, err := o.w.Write(append(message, '\n')); err != nil {
		o.failed = true
		o.broken <- fmt.Errorf("%w: %w", ErrOutputClosed, err)
	}
}
