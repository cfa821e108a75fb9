package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
)

// memoryForLongMessages is how many bytes of messages longer than readBuffer are in memory at once,
// one message of any size aside.
const memoryForLongMessages = 32 << 20

// A relay passes messages between the host and one server.
type relay struct {
	cfg       Config
	log       *slog.Logger
	secrets   *secrets
	out       *output
	calls     calls
	order     order
	lane      chan outgoing // what the host sends besides requests
	slots     chan struct{} // holds one element for each request under way
	memory    *budget
	handshake handshake
	endpoint  *endpoint
	server    remote

	ctx    context.Context // the relay's life
	cancel context.CancelCauseFunc
	work   sync.WaitGroup // every goroutine but the one that reads the input
	failed chan error     // receives what ends the relay

	inputMu   sync.Mutex    // held while a line of input is taken
	ended     bool          // no more input is taken; guarded by inputMu
	ending    chan struct{} // closed when ended is about to be set
	laneEmpty chan struct{} // closed when everything on the lane was sent after that

	lastCall  atomic.Int64       // when the last call ended, in nanoseconds since 1970
	epoch     atomic.Int64       // counts sessions
	questions map[string][]int64 // the server's requests that the host has not answered: their sessions, by id; guarded by heldMu
	hostReady atomic.Bool        // the host takes requests from the server (spec 1.25)
	heldMu    sync.Mutex
	held      [][]byte // requests that came too early; guarded by heldMu
}

// newCall makes a call of a request. Whoever makes it cancels its context at the end.
func (r *relay) newCall(ctx context.Context, m *message, answer func([]byte)) *call {
	c := &call{message: m, key: idKey(m.id), answer: answer, done: make(chan struct{})}
	c.ctx, c.cancel = context.WithCancelCause(ctx)
	return c
}

// fail ends the relay.
func (r *relay) fail(err error) {
	select {
	case r.failed <- err:
	default: // it ends already
	}
}

// fromHost takes one line of input. Only one goroutine calls it.
func (r *relay) fromHost(line []byte) {
	r.inputMu.Lock()
	defer r.inputMu.Unlock()
	if r.ended {
		return
	}
	m, err := parse(line)
	switch {
	case err != nil:
		r.refuse(m.id, codeParseError, "the message is "+err.Error())
	case m.kind == batch:
		r.acceptBatch(m)
	case m.kind == odd:
		r.refuse(m.id, codeInvalidRequest, notJSONRPC)
	default:
		r.accept(m, r.toHost)
	}
}

const notJSONRPC = "the message is JSON, but no JSON-RPC 2.0 request, notification or response"

// fromHostTooLong takes a line of input that was too long to keep.
func (r *relay) fromHostTooLong(id []byte, size int64) {
	r.inputMu.Lock()
	defer r.inputMu.Unlock()
	if !r.ended {
		r.refuse(id, codeInvalidRequest, fmt.Sprintf("the message has %d bytes, the limit for one message is %d", size, r.cfg.MaxMessage))
	}
}

// refuse answers a message that can't be relayed. An error without an id is no answer to
// anything, and hosts before 2025-11-25 can't read it: they get none (spec 1.14, 1.15).
func (r *relay) refuse(id []byte, code int, text string) {
	if id == nil {
		r.log.Warn("the host sent what is no message", "error", text)
		if r.handshake.wantsErrorIDs() {
			return
		}
	}
	r.out.write(errorAnswer(id, code, text, answerData{}))
}

// accept takes a request, notification or response of the host's. The answer to a request goes to
// answer.
func (r *relay) accept(m *message, answer func([]byte)) {
	switch {
	case m.kind == request:
		if !r.hostReady.Load() && !m.is(mcp.MethodInitialize) && !m.is(mcp.MethodPing) {
			r.ready()
		}
		r.acceptCall(m, answer)
		return
	case m.is(mcp.MethodNotificationCancelled) && !r.cancelCall(m):
		return
	case m.is(mcp.MethodNotificationInitialized):
		r.handshake.confirm(m.raw)
		r.ready()
	}
	if m.kind == response && !r.asked(m) {
		r.log.Info("the host answers a question of a session that is gone")
		return
	}
	firm := m.is(mcp.MethodNotificationInitialized)
	select {
	case r.lane <- outgoing{m, r.order.next(firm), firm}:
	case <-r.ending: // the lane is full, and the end is near
	}
}

func (r *relay) acceptCall(m *message, answer func([]byte)) {
	c := r.newCall(r.ctx, m, answer)
	if !r.calls.add(c) {
		c.cancel(nil)
		answer(errorAnswer(m.id, codeInvalidRequest, "another request with this id still waits for its answer", answerData{}))
		return
	}
	t := r.order.next(c.isInitialize())
	if c.isInitialize() {
		c.onResult = func(result *message) { r.agree(c, result) }
		c.answer = func(message []byte) {
			answer(message)
			t.pass()
		}
	}
	if sets(m) {
		c.onResult = func(*message) { r.handshake.set(m) }
	}
	r.work.Go(func() { // ends when the call is answered or its context is done
		growStack(0)
		r.call(c, t)
	})
}

// call brings one call to its end.
func (r *relay) call(c *call, t *turn) {
	defer c.cancel(nil)
	defer t.pass()
	defer func() { r.lastCall.Store(time.Now().UnixNano()) }()
	err := r.send(c, t)
	if c.over() {
		return
	}
	_, late := errors.AsType[*timeoutError](err)
	if late = late && c.sent.Load(); late {
		r.doubtConnections() // before the host can send more
	}
	r.giveUp(c, err)
	if late && !c.isInitialize() {
		r.tellCancelled(c, err.Error())
	}
}

// giveUp ends a call that gets no answer from the server: with an error, unless the host has
// cancelled it.
func (r *relay) giveUp(c *call, err error) {
	if r.calls.isCancelled(c) {
		r.calls.settle(c, nil)
		return
	}
	if err == errStopped && !c.sent.Load() {
		err = errUnsent
	}
	r.calls.settle(c, r.explain(c, err))
}

// send sends a call when it is its turn, and waits for its answer.
func (r *relay) send(c *call, t *turn) error {
	if !t.wait(c.ctx) {
		return context.Cause(c.ctx)
	}
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-c.ctx.Done():
		return context.Cause(c.ctx)
	}
	if limit := r.cfg.ResponseTimeout; limit > 0 {
		c.limit = time.AfterFunc(limit, func() { c.cancel(&timeoutError{limit}) })
		defer c.limit.Stop()
	}
	return r.server.request(c.ctx, c, func(written bool) {
		c.sent.Store(written)
		if written && !c.isInitialize() {
			t.pass()
		}
	})
}

// agree keeps what host and server agreed on.
func (r *relay) agree(c *call, m *message) {
	var result initializeResult
	if err := json.Unmarshal(m.result, &result); err != nil {
		r.log.Warn("the result of initialize can't be read", "error", err)
	}
	r.handshake.agree(c.raw, result)
	r.server.established(c, result.Version)
	r.log.Info("connected", "protocol", result.Version)
}

// cancelCall notes that the host cancels a request. It returns whether the server has to know.
func (r *relay) cancelCall(m *message) bool {
	var params struct {
		ID     json.RawMessage `json:"requestId"`
		Reason string          `json:"reason"`
	}
	if json.Unmarshal(m.params, &params) != nil {
		return true // as odd as it is, it is the host's
	}
	c := r.calls.find(params.ID)
	if c == nil {
		return true // answered meanwhile, or a task of the server's
	}
	r.log.Info("the host cancels a request", "method", string(c.method), "reason", params.Reason)
	if c.isInitialize() {
		return false // must not be cancelled (spec 1.28)
	}
	r.calls.cancel(c)
	if !c.sent.Load() {
		c.cancel(errCancelled)
		return false
	}
	time.AfterFunc(lingerLimit, func() { c.cancel(errCancelled) })
	return true
}

// tellCancelled tells the server that a call's answer is not waited for any more (spec 1.30).
func (r *relay) tellCancelled(c *call, reason string) {
	quoted, _ := json.Marshal(reason) // a string can't fail to encode
	m, err := parse(fmt.Appendf(nil, `{"jsonrpc":"2.0","method":%q,"params":{"requestId":%s,"reason":%s}}`,
		mcp.MethodNotificationCancelled, c.id, quoted))
	if err == nil {
		ctx, cancel := context.WithTimeout(r.ctx, takenLimit)
		defer cancel()
		err = r.server.send(ctx, m, nil)
	}
	if err != nil {
		r.log.Debug("a cancellation did not reach the server", "error", err)
	}
}
