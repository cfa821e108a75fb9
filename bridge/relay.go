package bridge

import (
	"bytes"
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

const (
	// laneLength is how many notifications and responses may wait to be sent before the bridge
	// stops reading from the host.
	laneLength = 1024

	// takenLimit is how long a notification or a response waits for the server to take the one
	// before it.
	takenLimit = 5 * time.Second

	// flushPause is how long a cancellation waits for its request to have left.
	flushPause = time.Millisecond

	// maxHeld is how many requests of the server are kept for a host that is not ready yet.
	maxHeld = 64

	// memoryForLongMessages is how many bytes of messages longer than readBuffer are in memory
	// at once, one message of any size aside.
	memoryForLongMessages = 32 << 20
)

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

	hostReady atomic.Bool // the host takes requests from the server (spec 1.25)
	heldMu    sync.Mutex
	held      [][]byte // requests that came too early; guarded by heldMu
}

// An outgoing message is a notification or a response on its way from the host to the server.
type outgoing struct {
	*message
	*turn
	firm bool
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
	r.work.Go(func() { r.call(c, t) }) // ends when the call is answered or its context is done
}

// call brings one call to its end.
func (r *relay) call(c *call, t *turn) {
	defer c.cancel(nil)
	defer t.pass()
	err := r.send(c, t)
	if c.over() {
		return
	}
	r.giveUp(c, err)
	if _, late := errors.AsType[*timeoutError](err); late && c.sent.Load() && !c.isInitialize() {
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
	return r.server.request(c.ctx, c, func() {
		c.sent.Store(true)
		if !c.isInitialize() {
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

// sendNext sends one message when it is its turn, and waits until the server has taken it, within a bound: a server
// that is slow to say so delays the rest, but does not stop it.
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
		err := r.server.send(r.ctx, m.message, func() {
			if !m.firm {
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

// toHost writes an answer, if there is one.
func (r *relay) toHost(message []byte) {
	if message != nil {
		r.out.write(message)
	}
}

// take takes a message that came on an event stream, that of the call via or, when via is nil,
// one that belongs to no call.
func (r *relay) take(raw []byte, via *call) {
	if err := r.deliver(raw, via); err != nil {
		text := r.secrets.excerpt(raw, "")
		r.log.Warn("the server sent what is no message", "error", err)
		if via != nil {
			via.trouble = fmt.Sprintf("an event that is %v: %s", err, text)
		}
	}
}

// deliver passes a message of the server's on to the host. It may write to raw, and does not
// keep it. The error says that raw is no JSON.
func (r *relay) deliver(raw []byte, via *call) error {
	m, err := parse(bytes.Trim(raw, " \t\r\n"))
	if err != nil {
		if c := r.answered(m, via); c != nil && m.id != nil {
			r.calls.settle(c, r.explain(c, fmt.Errorf("the server's answer is %w", err)))
		}
		return err
	}
	switch m.kind {
	case batch: // 2025-03-26; a host gets the messages one by one (spec 2.08)
		for _, item := range m.items {
			_ = r.deliver(item, via) // it is JSON
		}
	case response:
		r.respond(m, via)
	case request:
		if !r.hold(m) {
			r.out.write(m.raw)
		}
	case notification:
		r.out.write(m.raw)
	default:
		r.log.Warn("the server sent what is no JSON-RPC message", "text", r.secrets.excerpt(raw, ""))
		if via != nil {
			via.trouble = "what is no JSON-RPC message: " + r.secrets.excerpt(raw, "")
		}
	}
	return nil
}

// respond passes the answer to a call on. The first one counts; one to a request that nobody
// made goes nowhere.
func (r *relay) respond(m *message, via *call) {
	c := r.answered(m, via)
	if c == nil || c.over() {
		r.log.Warn("the server answered a request that does not wait for an answer")
		if via != nil && via != c {
			via.trouble = "an answer to another request: " + r.secrets.excerpt(m.raw, "")
		}
		return
	}
	if m.id == nil {
		m.raw = m.withID(c.id)
	}
	if c.onResult != nil && m.result != nil && !m.failed {
		c.onResult(m)
	}
	r.calls.settle(c, m.raw)
}

// answered returns the call that a response answers, nil if there is none. One without an id
// answers the call on whose stream it came, if it is an error: that is how servers refuse what
// they could not read (spec 8.11).
func (r *relay) answered(m *message, via *call) *call {
	switch {
	case via != nil && m.id == nil && m.failed:
		return via
	case m.id == nil:
		return nil
	case via != nil && idKey(m.id) == via.key:
		return via
	}
	return r.calls.find(m.id)
}

// tooLong takes a message of the server's that was too long to keep.
func (r *relay) tooLong(id []byte, size int64, via *call) {
	err := &tooLongError{size, r.cfg.MaxMessage}
	if c := r.answered(&message{id: id}, via); c != nil {
		r.calls.settle(c, r.explain(c, err))
		return
	}
	r.log.Warn("the server sent a message that is too long", "bytes", size)
	if via != nil {
		via.trouble = err.Error()
	}
}

// hold keeps a request of the server's back that the host is not ready for (spec 1.25).
func (r *relay) hold(m *message) bool {
	if r.hostReady.Load() || m.is(mcp.MethodPing) {
		return false
	}
	r.heldMu.Lock()
	defer r.heldMu.Unlock()
	if r.hostReady.Load() || len(r.held) == maxHeld {
		return false
	}
	r.held = append(r.held, bytes.Clone(m.raw))
	return true
}

// ready lets the host have the server's requests.
func (r *relay) ready() {
	r.heldMu.Lock()
	defer r.heldMu.Unlock()
	for _, m := range r.held {
		r.out.write(m)
	}
	r.held = nil
	r.hostReady.Store(true)
}
