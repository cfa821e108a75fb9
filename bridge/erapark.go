package bridge

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strconv"
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

// A question is a request of the server's that waits for the host's answer.
type question struct {
	key    string // in inputRequests
	id     []byte // of the server's request, raw JSON; nil: the server asked by an error
	method string
	params object
	size   int           // bytes of the params
	notify chan struct{} // closed when the server says that it is done; nil: it won't
	timer  *time.Timer   // runs while it belongs to no request
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

// know notes which request of the host's a request of the bridge's own is for; nil: it is over.
func (l *link) know(id []byte, u *upcall) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.upcalls[idKey(id)] = u; u == nil {
		delete(l.upcalls, idKey(id))
	}
}

// wait waits until the server has answered, or asks.
func (u *upcall) wait(ctx context.Context, c *call) (*call, error) {
	for open := false; !open; {
		select {
		case <-u.done:
			return c, nil
		case <-u.asking:
			u.mu.Lock()
			open = len(u.questions) > 0 // or it is the sign of one that was put to the host with another
			u.mu.Unlock()
		case <-ctx.Done():
			u.stop(context.Cause(ctx))
			return c, context.Cause(ctx)
		}
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
	return c, u.l.t.r.deliver(rawResult(c.id, u.park()), c)
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
	u.expiry = time.AfterFunc(humanLimit, func() {
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

// fitAnswer returns the response with a host's answer, fit for the server's revision.
func (l *link) fitAnswer(q *question, answer []byte) []byte {
	result := readObject(answer)
	switch q.method {
	case string(mcp.MethodListRoots):
		l.mu.Lock()
		l.roots = bytes.Clone(answer)
		l.mu.Unlock()
	case string(mcp.MethodSamplingCreateMessage):
		if content := result.get("content"); elements(content) != nil && l.result.text("protocolVersion") < mcp.ProtocolVersion20251125 {
			one, ok := singleContent(content)
			if !ok {
				return errorAnswer(q.id, codeInternalError, "the host's answer has more than one block of content, which protocol revisions before 2025-11-25 do not know", answerData{})
			}
			answer = result.with("content", one).raw()
		}
	}
	return rawResult(q.id, answer)
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

// maxReplying is how many questions of a server's are looked at, or answered by the bridge, at once.
const maxReplying = 1000

// asked takes a question of the server's, for the request that it belongs to (spec 6.53).
func (l *link) asked(m *message, via *call) {
	if l.replying.Add(1) > maxReplying {
		l.replying.Add(-1)
		l.t.r.log.Warn("a question of the server's gets no answer, as the server takes none", "method", string(m.method))
		return
	}
	id := bytes.Clone(m.id)
	method, params := string(m.method), readObject(bytes.Clone(m.params))
	if m.is(mcp.MethodPing) {
		l.t.r.work.Go(func() { // ends when the lane has room
			defer l.replying.Add(-1)
			l.reply(rawResult(id, []byte("{}")))
		})
		return
	}
	q := &question{id: id, method: method, params: params, size: len(m.params)}
	l.t.r.work.Go(func() { // ends when the lane has room; not here, as that reads from the server
		defer l.replying.Add(-1)
		if u := l.owner(params, via); u != nil {
			u.ask(q)
			return
		}
		l.hold(q, l.upcallOf(via) == nil)
	})
}

// owner returns the request that a question belongs to: that on whose stream it came, or whose task it
// names, or the only one there is.
func (l *link) owner(params object, via *call) *upcall {
	if u := l.upcallOf(via); u != nil && mayAsk(u.message) {
		return u
	}
	task := params.child("_meta").child(relatedTask).get("taskId")
	var only *upcall
	several := false
	for _, u := range l.all() {
		if task != nil && bytes.Equal(u.taskID(), task) {
			return u
		}
		if mayAsk(u.message) && u != only { // one that is a task now is there twice
			several = several || only != nil
			only = u
		}
	}
	if several {
		return nil
	}
	return only
}

// ask puts a question to the host of a request, or tells the server that it can't be.
func (u *upcall) ask(q *question) {
	u.l.heard(u)
	u.mu.Lock()
	code, ok := u.meta.can(q.method, q.params)
	tooMany := len(u.questions) == maxAsked
	size := q.size
	for _, open := range u.questions {
		size += open.size
	}
	tooMany = tooMany || int64(size) > u.l.t.r.cfg.MaxMessage // all go to the host in one message
	if ok && !tooMany {
		u.asked++
		q.key = strconv.Itoa(u.asked)
		u.questions = append(u.questions, q)
	}
	u.mu.Unlock()
	if !ok {
		u.l.refuse(q.id, code, "the host does not support "+q.method)
		return
	}
	if tooMany {
		u.l.refuse(q.id, mcp.INVALID_REQUEST, "too many questions wait for an answer")
		return
	}
	select {
	case u.asking <- struct{}{}:
	default:
	}
}

// heard stops the clock of a request in whose course the server asks: people take their time (spec 6.55).
func (l *link) heard(u *upcall) {
	l.mu.Lock()
	var keys []string
	for key, other := range l.upcalls {
		if other == u {
			keys = append(keys, key)
		}
	}
	l.mu.Unlock()
	for _, key := range keys {
		if c := l.inner.calls.findKey(key); c != nil {
			c.heard()
		}
	}
}

// holdLimit is how long a question waits for a request that it may belong to.
const holdLimit = 30 * time.Second

const noRequest = "there is no request of the host's that this belongs to" // spec 6.74

// hold keeps a question that belongs to no request under way for the next one, if it may: one that came
// with the answer to a request would keep that waiting. Roots that the host has told before are told again
// at once.
func (l *link) hold(q *question, may bool) {
	l.mu.Lock()
	if q.method == string(mcp.MethodListRoots) && l.roots != nil {
		roots := l.roots
		l.mu.Unlock()
		l.reply(rawResult(q.id, roots))
		return
	}
	defer l.mu.Unlock()
	if !slices.Contains([]string{string(mcp.MethodListRoots), string(mcp.MethodSamplingCreateMessage), string(mcp.MethodElicitationCreate)}, q.method) || len(l.held) == maxHeld {
		l.t.r.work.Go(func() { l.refuse(q.id, mcp.METHOD_NOT_FOUND, "the host does not know "+q.method) }) // ends when the lane has room
		return
	}
	if !may {
		l.t.r.work.Go(func() { l.refuse(q.id, mcp.INVALID_PARAMS, noRequest) }) // ends when the lane has room
		return
	}
	l.held = append(l.held, q)
	q.timer = time.AfterFunc(holdLimit, func() {
		if l.drop(q.id) {
			l.refuse(q.id, mcp.INVALID_PARAMS, noRequest)
		}
	})
}

// drop takes a held question back, and returns whether it was there.
func (l *link) drop(id []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := len(l.held)
	l.held = slices.DeleteFunc(l.held, func(q *question) bool {
		if idKey(q.id) != idKey(id) {
			return false
		}
		q.timer.Stop()
		return true
	})
	return len(l.held) < before
}

// adopt gives a request the questions that waited for one.
func (l *link) adopt(u *upcall) {
	l.mu.Lock()
	held := l.held
	l.held = nil
	l.mu.Unlock()
	for _, q := range held {
		q.timer.Stop()
		u.ask(q)
	}
}

// withdrawn takes back a question that the server cancels.
func (l *link) withdrawn(m *message, _ *call) {
	id := readObject(m.params).get("requestId")
	l.drop(id)
	for _, u := range l.all() {
		u.mu.Lock()
		u.questions = slices.DeleteFunc(u.questions, func(q *question) bool { return idKey(q.id) == idKey(id) })
		u.mu.Unlock()
	}
}

// reply answers a question of the server's.
func (l *link) reply(raw []byte) { l.feed(built(raw), nil) }

func (l *link) refuse(id []byte, code int, text string) {
	l.reply(errorAnswer(id, code, text, answerData{}))
}

// askURLs puts the web pages to the host that the server wants visited before it takes the request: a
// server of 2025-11-25 says so with an error (spec 6C).
func (u *upcall) askURLs(c *call) error {
	if _, ok := u.meta.can(string(mcp.MethodElicitationCreate), object{{"mode", []byte(`"url"`)}}); !ok {
		return &rpcError{mcp.MISSING_REQUIRED_CLIENT_CAPABILITY, "the server needs something done at a web page (elicitation by URL)",
			answerData{RequiredCapabilities: []byte(`{"elicitation":{"url":{}}}`)}}
	}
	u.mu.Lock()
	u.questions = nil
	for i, raw := range elements(readObject(u.answer.err).child("data").get("elicitations")) {
		e := readObject(bytes.Clone(raw)).with("mode", []byte(`"url"`))
		u.questions = append(u.questions, &question{key: strconv.Itoa(i + 1), method: string(mcp.MethodElicitationCreate), params: e, notify: make(chan struct{})})
	}
	none := len(u.questions) == 0
	u.mu.Unlock()
	if none {
		return u.l.t.r.deliver(u.l.answer(c.message, u.answer), c)
	}
	for _, q := range u.questions {
		u.l.watch(q)
	}
	return u.l.t.r.deliver(rawResult(c.id, u.park()), c)
}

// restart makes the request again after the host has been to the web pages.
func (u *upcall) restart(ctx context.Context, c *call, responses object) error {
	u.mu.Lock()
	questions := u.questions
	u.mu.Unlock()
	limit := time.NewTimer(completeWait)
	defer limit.Stop()
	for _, q := range questions {
		answer := responses.child(q.key)
		if answer == nil {
			return u.l.t.r.deliver(rawResult(c.id, u.park()), c)
		}
		if action := answer.text("action"); action != "accept" {
			return &rpcError{code: codeInternalError, text: fmt.Sprintf("the server needs %s visited first, and the user did not agree", q.params.text("url"))}
		}
		select {
		case <-q.notify:
		case <-limit.C:
			limit.Reset(0)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	next := u.l.newUpcall(c, u.meta)
	return next.finish(next.await(ctx, c, func(bool) {}))
}
