package bridge

import (
	"context"
	"slices"
	"sync"
)

// A budget bounds how many bytes of long messages are in memory while the host does not read. When
// it is used up, only the oldest claim may go on, so that there is always one message that gets
// finished and written: a host that stops reading makes the bridge stop reading from the server,
// and loses nothing. While the host keeps up nobody waits, or a message that the server does not
// finish would stop all others.
type budget struct {
	limit     int64
	congested func() bool // a message waits for the host; nil stands for always

	mu      sync.Mutex
	used    int64
	claims  []*claim      // those that hold something, the oldest first
	changed chan struct{} // closed and replaced when it is worth looking again
	waiting bool          // somebody waits for that
}

// A claim is what one message holds of a budget. The nil claim holds nothing and never waits.
type claim struct {
	of     *budget
	n      int64
	mapped []byte // what reserve returned
}

func newBudget(limit int64) *budget {
	return &budget{limit: limit, changed: make(chan struct{})}
}

func (b *budget) claim() *claim { return &claim{of: b} }

// grow waits until the claim may hold n bytes in all.
func (c *claim) grow(ctx context.Context, n int64) error {
	if c == nil || n <= c.n {
		return nil
	}
	b := c.of
	for {
		b.mu.Lock()
		if b.used+n-c.n <= b.limit || len(b.claims) == 0 || b.claims[0] == c || b.congested != nil && !b.congested() {
			if c.n == 0 {
				b.claims = append(b.claims, c)
			}
			b.used += n - c.n
			c.n = n
			b.mu.Unlock()
			return nil
		}
		changed := b.changed
		b.waiting = true
		b.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// release gives everything back, memory that was reserved too.
func (c *claim) release() {
	if c == nil {
		return
	}
	c.unmap()
	if c.n == 0 {
		return
	}
	b := c.of
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= c.n
	c.n = 0
	b.claims = slices.DeleteFunc(b.claims, func(other *claim) bool { return other == c })
	b.wake()
}

// wake lets those who wait look again. The caller holds mu.
func (b *budget) wake() {
	if b.waiting {
		close(b.changed)
		b.changed, b.waiting = make(chan struct{}), false
	}
}

// eased is called when the host has taken all that there was.
func (b *budget) eased() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wake()
}
