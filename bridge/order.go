package bridge

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// turnLimit is how long a message waits for the one before it to be written once that has its
	// turn, and orderLimit how long it waits for its turn in all. A server that does not read, or a
	// connection that is still being made, holds up no more than that.
	turnLimit  = 100 * time.Millisecond
	orderLimit = time.Second
)

// An order lets messages leave in the order they came. HTTP requests run side by side, each on a
// connection of its own, so one that is started later can well arrive earlier: a cancellation
// before its request, an answer before the progress it ends (bursts reorder with every bridge
// that starts them all at once). So each message waits until the one before it has been written.
//
// Only the goroutine that reads the input calls next.
type order struct {
	last    *turn
	barrier <-chan struct{} // closed when the latest barrier was lifted
}

// A turn is the place of one message in the order.
type turn struct {
	before  *turn           // nil once this turn has come
	barrier <-chan struct{} // nil if there is none
	began   atomic.Int64    // when the turn came, in nanoseconds since 1970; 0 before
	gate    chan struct{}   // closed when the message was written, or will not be
	once    sync.Once
}

// next gives the next message its turn. Nothing passes a firm one until it is done: not the
// initialize request until it is answered, as the answer brings the session, and not
// notifications/initialized until the server has taken it (spec 2.22).
func (o *order) next(firm bool) *turn {
	t := &turn{before: o.last, barrier: o.barrier, gate: make(chan struct{})}
	o.last = t
	if firm {
		o.barrier = t.gate
	}
	return t
}

// pass lets the next message go. It may be called more than once.
func (t *turn) pass() { t.once.Do(func() { close(t.gate) }) }

// wait waits for the turn. It returns false when ctx is done.
func (t *turn) wait(ctx context.Context) bool {
	defer func() { t.began.Store(time.Now().UnixNano()) }()
	before := t.before
	t.before = nil // or every turn would keep all that were before it
	if !isOpen(t.barrier) {
		select {
		case <-t.barrier:
		case <-ctx.Done():
			return false
		}
	}
	if before == nil || isOpen(before.gate) {
		return ctx.Err() == nil
	}
	start := time.Now()
	look := time.NewTimer(turnLimit)
	defer look.Stop()
	for {
		select {
		case <-before.gate:
			return ctx.Err() == nil
		case <-ctx.Done():
			return false
		case <-look.C:
		}
		left := turnLimit // until it has had its time, as far as is known
		if began := before.began.Load(); began != 0 {
			left -= time.Duration(time.Now().UnixNano() - began)
		}
		if left = min(left, orderLimit-time.Since(start)); left <= 0 {
			return ctx.Err() == nil
		}
		look.Reset(left)
	}
}

// isOpen tells whether a gate is open. The nil gate always is.
func isOpen(gate <-chan struct{}) bool {
	if gate == nil {
		return true
	}
	select {
	case <-gate:
		return true
	default:
		return false
	}
}
