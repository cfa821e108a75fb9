package bridge

import (
	"time"

	"github.com/mark3labs/mcp-go/mcp"
)

const (
	// laneLength is how many notifications and responses may wait to be sent before the bridge
	// stops reading from the host.
	laneLength = 1024

	// takenLimit is how long a notification or a response waits for the server to take the one
	// before it.
	takenLimit = 5 * time.Second

	// flushPause is how long a cancellation waits for its request to have left.
	flushPause = time.Millisecond
)

// An outgoing message is a notification or a response on its way from the host to the server.
type outgoing struct {
	*message
	*turn
	firm bool
}

// runLane sends notifications and responses one after the other, so that they arrive in order,
// until there is no more input and all are sent.
func (r *relay) runLane() {
	defer close(r.laneEmpty)
	for {
		select {
		case m := <-r.lane:
			r.sendNext(m)
			continue
		case <-r.ending:
		}
		for {
			select {
			case m := <-r.lane:
				r.sendNext(m)
			default:
				return
			}
		}
	}
}

// sendNext sends one message when it is its turn, and waits until the server has taken it, within
// a bound: a server that is slow to say so delays the rest, but does not stop it.
func (r *relay) sendNext(m outgoing) {
	defer m.pass()
	if !m.wait(r.ctx) {
		return
	}
	if m.is(mcp.MethodNotificationCancelled) {
		// net/http says that a request was written a moment before it has left its buffer.
		sleep(r.ctx, flushPause)
	}
	taken := make(chan struct{})
	r.work.Go(func() { // ends with the HTTP exchange
		defer close(taken)
		err := r.server.send(r.ctx, m.message, func(written bool) {
			if written && !m.firm {
				m.pass()
			}
		})
		if err != nil && r.ctx.Err() == nil {
			r.log.Warn("the server did not take a message of the host's", "kind", m.what(), "error", err)
		}
	})
	limit := time.NewTimer(takenLimit)
	defer limit.Stop()
	select {
	case <-taken:
	case <-limit.C:
	case <-r.ctx.Done():
	}
}
