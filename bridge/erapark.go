package bridge

import (
	"bytes"
	"context"
	"crypto/rand"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
)

// An upcall is a request of a modern host's that was passed to a handshake server. When the server asks
// something in its course, the host's request is answered with input_required and the upcall is parked:
// it goes on upstream, and the host's next request brings the answers, or takes the result (spec 6.50–6.54).
type upcall struct {
	l       *link
	message *message      // of the first request of the host's
	asking  chan struct{} // has an element when there are questions
	done    chan struct{} // closed when answer or err is set
	answer  *message
	err     error
	stop    context.CancelCauseFunc

	mu        sync.Mutex
	outer     *call // the host's request under way now; nil while parked
	meta      hostMeta
	questions []*question
	asked     int
	task      []byte // id of the task that it has become, raw JSON
	expiry    *time.Timer
}

func (l *link) newUpcall(c *call, meta hostMeta) *upcall {
	return &upcall{l: l, message: c.message, asking: make(chan struct{}, 1), done: make(chan struct{}), outer: c, meta: meta}
}

// continues tells whether a request is that of the upcall again, with answers (spec 5.33): whoever parsed
// the params may write them in another way.
func (u *upcall) continues(m *message) bool {
	same := func(m *message) []byte {
		return readObject(m.params).without("_meta", "inputResponses", "requestState").raw()
	}
	return bytes.Equal(m.method, u.message.method) && equalJSON(same(m), same(u.message))
}

// await passes the request to the server and waits for the answer, or for a question.
func (u *upcall) await(ctx context.Context, c *call, sent sentFunc) (*call, error) {
	u.start(ctx)
	sent(true) // the session keeps the order from here
	return u.wait(ctx, c)
}

// start passes the request to the server.
func (u *upcall) start(ctx context.Context) {
	l := u.l
	if u.message.is(mcp.MethodToolsCall) {
		l.learnTasks(ctx)
	}
	id := l.inner.mint()
	params := readObject(u.message.params)
	if params == nil {
		params = object{}
	}
	params = withoutMeta(params.without("inputResponses", "requestState"), "progressToken")
	u.mu.Lock()
	if u.meta.token != nil {
		params = params.with("_meta", append(params.child("_meta"), member{"progressToken", id}).raw())
	}
	u.mu.Unlock()
	if l.needsTask(u.message) {
		params = params.with("task", []byte("{}"))
	}
	m := built(rawRequest(id, string(u.message.method), params.raw()))
	l.know(id, u)
	ctx, stop := context.WithCancelCause(l.t.r.ctx) // not that of the host's request, which may end before
	u.stop = stop
	if u.wantedLevel() != "" {
		l.setLevel(ctx)
	}
	begun := make(chan struct{})
	l.t.r.work.Go(func() { // ends with the answer, or when the request is given up
		defer close(u.done)
		defer stop(nil)
		u.answer, u.err = l.drive(ctx, m, func() { close(begun) })
		l.know(id, nil)
	})
	<-begun // it has its place in the order
	if mayAsk(u.message) {
		l.adopt(u)
	}
}

// wait waits until the server has answered, or asks.
func (u *upcall) wait(ctx context.Context, c *call) (*call, error) {
	for {
		select {
		case <-u.done:
			return c, nil
		case <-u.asking:
		case <-ctx.Done():
			u.stop(context.Cause(ctx))
			return c, context.Cause(ctx)
		}
		// Questions that come together are put together (spec 6.54).
		if !sleep(ctx, gatherLimit) {
			u.stop(context.Cause(ctx))
			return c, context.Cause(ctx)
		}
		select {
		case <-u.done: // it has not waited for the answers
			return c, nil
		default:
		}
		if u.hasQuestions() { // else they were put before, or taken back
			return c, u.l.t.r.deliver(rawResult(c.id, u.park()), c)
		}
	}
}

func (u *upcall) hasQuestions() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.questions) > 0
}

// finish answers the host, unless its request was answered with a question.
func (u *upcall) finish(c *call, err error) error {
	if err != nil || c.over() {
		return err
	}
	if u.err != nil {
		return u.err
	}
	if errorCode(u.answer) == mcp.URL_ELICITATION_REQUIRED {
		return u.askURLs(c)
	}
	return u.l.t.r.deliver(u.l.answer(c.message, u.answer), c)
}

// park returns the result that asks the host what the server asks, under a new state.
func (u *upcall) park() []byte {
	t := u.l.t
	state := rand.Text() // 128 bits
	u.mu.Lock()
	defer u.mu.Unlock()
	u.outer = nil
	requests := make(object, len(u.questions))
	for i, q := range u.questions {
		params := q.params.without("task", "elicitationId")
		if meta := params.child("_meta"); meta != nil {
			if meta = meta.without("progressToken", relatedTask); len(meta) == 0 {
				params = params.without("_meta")
			} else {
				params = params.with("_meta", meta.raw())
			}
		}
		requests[i] = member{q.key, object{{"method", quote(q.method)}, {"params", params.raw()}}.raw()}
	}
	t.mu.Lock()
	t.parked[state] = u
	t.mu.Unlock()
	u.expiry = time.AfterFunc(t.r.cfg.InputTimeout, func() {
		if t.unpark(state) == u {
			u.giveUp()
		}
	})
	result := object{{"resultType", []byte(`"input_required"`)}, {"inputRequests", requests.raw()}, {"requestState", quote(state)}}
	return u.l.whole(&message{}, result).raw()
}

// unpark returns the upcall with this state, which is good for once.
func (t *toHandshake) unpark(state string) *upcall {
	t.mu.Lock()
	defer t.mu.Unlock()
	u := t.parked[state]
	delete(t.parked, state)
	return u
}

// giveUp ends an upcall that nobody came back for.
func (u *upcall) giveUp() {
	u.mu.Lock()
	questions := u.questions
	u.questions = nil
	u.mu.Unlock()
	for _, q := range questions {
		if q.id == nil {
			continue
		}
		if q.method == string(mcp.MethodElicitationCreate) {
			u.l.reply(rawResult(q.id, []byte(`{"action":"cancel"}`)))
		} else {
			u.l.refuse(q.id, codeInternalError, "the user did not answer")
		}
	}
	u.stop(errCancelled)
}

// interactive passes on a request in whose course the server may ask, or goes on with a parked one.
func (t *toHandshake) interactive(ctx context.Context, c *call, sent sentFunc) error {
	params := readObject(c.params)
	meta, err := readMeta(params)
	if err != nil {
		return err
	}
	if !params.has("requestState") {
		l, err := t.link(ctx, meta)
		if err != nil {
			return err
		}
		u := l.newUpcall(c, meta)
		return u.finish(u.await(ctx, c, sent))
	}
	sent(true)
	u := t.unpark(params.text("requestState"))
	if u == nil || !u.continues(c.message) {
		return &rpcError{code: mcp.INVALID_PARAMS, text: "requestState is unknown, expired or of another request; make the request again without it"}
	}
	u.expiry.Stop()
	u.mu.Lock()
	u.outer, u.meta = c, meta
	restart := len(u.questions) > 0 && u.questions[0].id == nil
	u.mu.Unlock()
	if restart {
		return u.restart(ctx, c, params.child("inputResponses"))
	}
	if !u.take(params.child("inputResponses")) {
		select {
		case <-u.done:
		default:
			return t.r.deliver(rawResult(c.id, u.park()), c) // what is missing is asked for again (spec 6.51)
		}
	}
	if c, err = u.wait(ctx, c); err == nil && !c.over() && (u.err != nil || isOurs(u.answer)) {
		return &rpcError{code: codeInternalError, text: "the call was lost while it waited for input; call the tool again"} // spec 6.75
	}
	return u.finish(c, err)
}

// isOurs tells whether an error was made here.
func isOurs(m *message) bool {
	return m.failed && readObject(m.err).child("data").text("source") == source
}

// take passes the host's answers on to the server. It returns false if one is missing.
func (u *upcall) take(responses object) bool {
	u.mu.Lock()
	var open []*question
	var replies [][]byte
	for _, q := range u.questions {
		answer := responses.get(q.key)
		if answer == nil {
			open = append(open, q)
			continue
		}
		replies = append(replies, u.l.fitAnswer(q, answer))
	}
	u.questions = open
	u.mu.Unlock()
	for _, raw := range replies {
		u.l.reply(raw)
	}
	return len(open) == 0
}

// tell writes something that belongs to the request under way, if there is one; make gets it and what it
// says of the host.
func (u *upcall) tell(text func(*call, hostMeta) []byte) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.outer == nil || u.outer.over() {
		return
	}
	if raw := text(u.outer, u.meta); raw != nil {
		u.l.t.r.out.write(raw)
	}
}

func (u *upcall) taskID() []byte {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.task
}

func (u *upcall) wantedLevel() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.meta.level
}
