package bridge

import (
	"bytes"
	"slices"
	"strconv"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
)

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
	size := q.size
	for _, open := range u.questions {
		size += open.size
	}
	tooMany := len(u.questions) == maxAsked || int64(size) > u.l.t.r.cfg.MaxMessage // all go to the host in one message
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

// fitAnswer returns the response with a host's answer, fit for the server's revision.
func (l *link) fitAnswer(q *question, answer []byte) []byte {
	result := readObject(answer)
	switch q.method {
	case string(mcp.MethodListRoots):
		l.mu.Lock()
		l.roots = bytes.Clone(answer)
		l.mu.Unlock()
	case string(mcp.MethodSamplingCreateMessage):
		if content := result.get("content"); elements(content) != nil && l.result().text("protocolVersion") < mcp.ProtocolVersion20251125 {
			one, ok := singleContent(content)
			if !ok {
				return errorAnswer(q.id, codeInternalError, "the host's answer has more than one block of content, which protocol revisions before 2025-11-25 do not know", answerData{})
			}
			answer = result.with("content", one).raw()
		}
	}
	return rawResult(q.id, answer)
}
