package bridge

import (
	"context"
	"fmt"
	"time"
)

const (
	// clockInterval is how often the clocks are compared, and clockJump how far they may drift
	// apart: the monotonic clock stands still while the machine sleeps, the other does not.
	clockInterval = 5 * time.Second
	clockJump     = 10 * time.Second

	// pingLimit is how long the answer to a keep-alive ping may take.
	pingLimit = 15 * time.Second
)

// watchClock notices that the machine has slept: every connection may be dead then, though none
// says so. It ends with the relay.
func (r *relay) watchClock() {
	for {
		before := time.Now()
		if !sleep(r.ctx, clockInterval) {
			return
		}
		if slept(before, time.Now()) {
			r.log.Info("the machine has slept, making new connections")
			r.renewConnections()
		}
	}
}

// slept tells whether the machine has slept between two readings of the clocks, clockInterval apart.
// On some systems the monotonic clock goes on meanwhile; then the interval is too long.
func slept(before, after time.Time) bool {
	const noMonotonic = 0
	return after.Round(noMonotonic).Sub(before.Round(noMonotonic))-after.Sub(before) > clockJump ||
		after.Sub(before) > clockInterval+clockJump
}

// renewConnections makes sure that what comes next goes over new connections.
func (r *relay) renewConnections() {
	r.endpoint.closeIdleConnections()
	r.server.reopen(true)
}

// doubtConnections is called when an answer has not come in time: the connections may be dead. What
// is under way is left alone, as the server may just be slow.
func (r *relay) doubtConnections() {
	r.endpoint.closeIdleConnections()
	r.server.reopen(false)
}

// keepAlive pings the server when it has had nothing to do for a while, so that neither it nor
// what stands in between drops the session, and a dead connection is found before it is needed. It
// ends with the relay.
func (r *relay) keepAlive(every time.Duration) {
	wait := every
	for sleep(r.ctx, wait) {
		if quiet := time.Duration(time.Now().UnixNano() - r.lastCall.Load()); quiet < every {
			wait = every - quiet
			continue
		}
		wait = every
		if r.calls.any() || r.handshake.agreed() == "" {
			continue
		}
		if err := r.ping(); err != nil && r.ctx.Err() == nil {
			r.log.Warn("the server does not answer a ping, making new connections", "error", err)
			r.renewConnections()
		}
	}
}

func (r *relay) ping() error {
	ctx, cancel := context.WithTimeoutCause(r.ctx, pingLimit, &timeoutError{pingLimit})
	defer cancel()
	if _, err := r.handshake.ask(ctx, r, []byte(`{"jsonrpc":"2.0","method":"ping"}`), func(ctx context.Context, c *call) error {
		return r.server.request(ctx, c, c.sent.Store)
	}); err != nil {
		return fmt.Errorf("ping: %w", err)
	}
	return nil
}
