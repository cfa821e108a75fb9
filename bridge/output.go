package bridge

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
)

// An output is the only way to the host: it writes messages one at a time, each whole, with a
// single Write, on a line of its own (spec 1.01, 1.06). Whoever writes waits until the host has
// taken the message, which is what holds the server back when the host is slow.
type output struct {
	mu      sync.Mutex
	w       io.Writer
	failed  bool
	broken  chan error   // receives the first write error
	waiting atomic.Int32 // messages that the host has not taken yet
	eased   func()       // called when there are none any more
}

func newOutput(w io.Writer) *output {
	return &output{w: w, broken: make(chan error, 1), eased: func() {}}
}

// congested tells whether a message waits for the host.
func (o *output) congested() bool { return o.waiting.Load() > 0 }

// write writes one message, which must not contain a line break. It may append one to it in place.
func (o *output) write(message []byte) {
	o.waiting.Add(1)
	o.mu.Lock()
	defer func() {
		o.mu.Unlock()
		if o.waiting.Add(-1) == 0 {
			o.eased()
		}
	}()
	if o.failed {
		return
	}
	if _, err := o.w.Write(append(message, '\n')); err != nil {
		o.failed = true
		o.broken <- fmt.Errorf("%w: %w", ErrOutputClosed, err)
	}
}

func (o *output) fromServer(m *message, _ *call) { o.write(m.raw) }
