package bridge

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
)

// A call is a request that is owed exactly one answer.
type call struct {
	*message
	key    string
	ctx    context.Context // ends when nobody is interested in the answer any more
	cancel context.CancelCauseFunc
	answer func([]byte)  // takes the answer, nil if there will be none; called once
	done   chan struct{} // closed when the call is answered or given up

	// sent is set once the request has been written to the server as a whole.
	sent atomic.Bool

	// answering is set once a byte of an answer has come.
	answering atomic.Bool

	// onResult, if set, sees the result before the answer is passed on.
	onResult func(*message)

	// intercept, if set, sees the answer first. If it returns true the answer is not passed on, and
	// the call goes on.
	intercept func(*message) bool

	// filter, if set, tells whether a notification that came on the call's stream is passed on.
	filter func(*message) bool

	// alias is the key of another id, under which the request was sent again; "" if it was not.
	alias string

	// revise, if set, returns what the host gets in place of an answer of the server's.
	revise func(*message) []byte

	// session is the session id that came with the answer to initialize. It counts only if that
	// is a result.
	session string

	// renewals is how many lost sessions the call has met.
	renewals int

	// trouble is what came in place of an answer, for the error that tells so.
	trouble string

	cancelled bool // by the host; guarded by calls.mu
	settled   bool // guarded by calls.mu
}

func (c *call) isInitialize() bool { return c.is(mcp.MethodInitialize) }

// onlyReads tells whether the request does nothing a second time that it did not do the first.
func (c *call) onlyReads() bool {
	switch mcp.MCPMethod(c.method) {
	case mcp.MethodPing, mcp.MethodToolsList, mcp.MethodPromptsList, mcp.MethodPromptsGet, mcp.MethodResourcesList,
		mcp.MethodResourcesTemplatesList, mcp.MethodResourcesRead, mcp.MethodCompletionComplete, mcp.MethodSetLogLevel,
		mcp.MethodResourcesSubscribe, mcp.MethodResourcesUnsubscribe:
		return true
	}
	return false
}

// revised returns what the host gets for an answer of the server's.
func (c *call) revised(answer *message) []byte {
	if c.revise == nil {
		return answer.raw
	}
	return c.revise(answer)
}

// within ends the call if nothing is heard of an answer in time.
func (c *call) within(limit time.Duration) *time.Timer {
	return time.AfterFunc(limit, func() {
		if !c.answering.Load() {
			c.cancel(&timeoutError{limit})
		}
	})
}

// heard says that the first byte of an answer has come.
func (c *call) heard() { c.answering.Store(true) }

// over tells whether the call is answered or given up.
func (c *call) over() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// calls is the table of requests that have no answer yet.
type calls struct {
	mu   sync.Mutex
	open map[string]*call
	due  int           // answers that are still to be written, those to cancelled calls not counted
	idle chan struct{} // closed when due has become 0; nil while nobody waits for that
}

// add enters a call. It returns false when one with the same id waits for its answer already
// (spec 1.10, 1.11).
func (t *calls) add(c *call) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open == nil {
		t.open = make(map[string]*call)
	}
	if _, taken := t.open[c.key]; taken {
		return false
	}
	t.open[c.key] = c
	t.due++
	return true
}

// find returns the call with this id that waits for its answer, nil if there is none.
func (t *calls) find(id []byte) *call { return t.findKey(idKey(id)) }

// findKey does so by the key of the id.
func (t *calls) findKey(key string) *call {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.open[key]
}

// all returns the calls that wait for their answers.
func (t *calls) all() []*call {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Collect(maps.Values(t.open))
}

// any tells whether a call waits for its answer.
func (t *calls) any() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.open) > 0
}

// settle answers the call, unless somebody was faster or message is nil: then it is over without
// an answer.
func (t *calls) settle(c *call, message []byte) {
	t.mu.Lock()
	first := !c.settled
	if first {
		c.settled = true
		delete(t.open, c.key)
	}
	t.mu.Unlock()
	if !first {
		return
	}
	c.answer(message)
	t.mu.Lock()
	if !c.cancelled {
		t.release()
	}
	t.mu.Unlock()
	close(c.done)
}

// cancel notes that the host no longer waits for the answer (spec 1.54). An answer that comes
// all the same is passed on; none is made up.
func (t *calls) cancel(c *call) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !c.settled && !c.cancelled {
		c.cancelled = true
		t.release()
	}
}

func (t *calls) isCancelled(c *call) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return c.cancelled
}

func (t *calls) release() {
	if t.due--; t.due == 0 && t.idle != nil {
		close(t.idle)
		t.idle = nil
	}
}

// none returns a channel that is closed when no answer is due.
func (t *calls) none() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	idle := make(chan struct{})
	if t.due == 0 {
		close(idle)
	} else {
		t.idle = idle
	}
	return idle
}
