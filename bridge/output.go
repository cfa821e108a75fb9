package bridge

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
)

// An output is the only way to the host: it writes messages one at a time, each whole and on a line of its
// own (spec 1.01, 1.06). Whoever writes waits until the host has taken the message, which is what holds the
// server back when the host is slow.
type output struct {
	mu      sync.Mutex
	w       io.Writer
	pending []byte // lines of gathering writers that are not written yet
	gathers int    // writers that have more to come at once
	failed  bool
	broken  chan error   // receives the first write error
	waiting atomic.Int32 // messages that the host has not taken yet
	eased   func()       // called when there are none any more
}

// gatherBytes is how many bytes of lines are gathered for one Write.
const gatherBytes = 16 << 10

func newOutput(w io.Writer) *output {
	return &output{w: w, broken: make(chan error, 1), eased: func() {}}
}

// congested tells whether a message waits for the host.
func (o *output) congested() bool { return o.waiting.Load() > 0 }

// write writes one message, which must not contain a line break. It may append one to it in place.
func (o *output) write(message []byte) {
	o.waiting.Add(1)
	defer func() {
		if o.waiting.Add(-1) == 0 {
			o.eased()
		}
	}()
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case len(o.pending)+len(message) < gatherBytes && (o.gathers > 0 || len(o.pending) > 0):
		o.pending = append(append(o.pending, message...), '\n')
		if o.gathers == 0 {
			o.flush()
		}
	default:
		o.flush()
		o.toHost(append(message, '\n'))
	}
}

// flush writes what was gathered. The caller holds mu.
func (o *output) flush() {
	if len(o.pending) > 0 {
		o.toHost(o.pending)
		o.pending = o.pending[:0]
	}
}

// toHost writes whole lines. The caller holds mu.
func (o *output) toHost(lines []byte) {
	if o.failed {
		return
	}
	if _, err := o.w.Write(lines); err != nil {
		o.failed = true
		o.broken <- fmt.Errorf("%w: %w", ErrOutputClosed, err)
	}
}

func (o *output) fromServer(m *message, _ *call) { o.write(m.raw) }

// A gatherer reads a stream whose messages are written to an output. What came with one Read goes out with
// one Write, as far as it is short: many notifications at once are mostly system calls otherwise. Nothing is
// kept while the stream is waited for.
type gatherer struct {
	io.Reader
	out  *output
	more bool
}

func (g *gatherer) Read(p []byte) (int, error) {
	g.set(false)
	n, err := g.Reader.Read(p)
	g.set(true)
	return n, err
}

// set tells the output whether there is more to come at once. At the end of the stream there is not.
func (g *gatherer) set(more bool) {
	if g.more == more {
		return
	}
	g.more = more
	g.out.mu.Lock()
	defer g.out.mu.Unlock()
	if more {
		g.out.gathers++
		return
	}
	if g.out.gathers--; g.out.gathers == 0 {
		g.out.flush()
	}
}
