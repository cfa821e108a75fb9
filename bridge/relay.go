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

// A relay passes messages of one era between the host, or what translates for it, and one server.
type relay struct {
	cfg       Config
	log       *slog.Logger
	secrets   *secrets
	out       *output
	to        receiver // takes what the server sends besides answers
	modern    bool     // the host speaks 2026-07-28 or later on this relay
	calls     calls
	order     order
	lane      chan outgoing // what the host sends besides requests
	slots     chan struct{} // holds one element for each request under way
	memory    *budget
	handshake handshake
	endpoint  *endpoint
	server    remote
	gate      *gate // nil without a policy

	ctx    context.Context // the relay's life
	cancel context.CancelCauseFunc
	work   *sync.WaitGroup // every goroutine but the one that reads the input
	failed chan error      // receives what ends the relay

	ending    chan struct{} // closed when no more input is about to be taken
	laneEmpty chan struct{} // closed when everything on the lane was sent after that

	minted    atomic.Int64       // ids of requests of the bridge's own
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
	case r.gate.drops(m):
		return
	case m.is(mcp.MethodNotificationInitialized):
		r.handshake.confirm(m.raw)
		r.ready()
	}
	if m.kind == response && (r.modern || !r.asked(m)) { // spec 1.44
		r.log.Info("the host answers a question that nobody asks, or a session that is gone")
		return
	}
	firm := m.is(mcp.MethodNotificationInitialized)
	select {
	case r.lane <- outgoing{m, r.order.next(firm), firm}:
	case <-r.ending: // the lane is full, and the end is near
	}
}

func (r *relay) acceptCall(m *message, answer func([]byte)) {
	if version := r.cfg.ProtocolVersion; version != "" && m.is(mcp.MethodInitialize) && version <= legacyVersions[0] {
		params := readObject(m.params).with("protocolVersion", quote(version))
		m = built(readObject(m.raw).with("params", params.raw()).raw())
	}
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
	r.gate.watch(c)
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
	err := r.gate.admit(r, c, t)
	if err == nil {
		err = r.send(c, t)
	}
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
	if !c.is(mcp.MethodSubscriptionsListen) { // those are under way for ever
		select {
		case r.slots <- struct{}{}:
			defer func() { <-r.slots }()
		case <-c.ctx.Done():
			return context.Cause(c.ctx)
		}
	}
	if limit := r.cfg.ResponseTimeout; limit > 0 {
		defer c.within(limit).Stop()
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
	if !c.sent.Load() || !r.server.cancel(c) {
		r.calls.settle(c, nil) // nothing more comes of it (spec 1.56)
		c.cancel(&cancelledError{params.Reason})
		return false
	}
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
