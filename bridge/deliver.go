package bridge

import (
	"bytes"
	"fmt"

	"github.com/mark3labs/mcp-go/mcp"
)

// A receiver takes the requests and notifications of a server: the host's end, or what translates
// between the server and the host.
type receiver interface {
	// fromServer takes a message that came on the stream of the call via, or, when via is nil, on
	// one that belongs to no call. It does not keep the message.
	fromServer(m *message, via *call)
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
	return r.deliverParsed(m, err, via)
}

// deliverParsed is deliver for a message that was looked at, with what came of that.
func (r *relay) deliverParsed(m *message, err error, via *call) error {
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
		if r.modern { // nobody may answer it (spec 1.43, 2.45)
			r.log.Warn("the server sent a request, which its protocol revision does not allow", "method", string(m.method))
			break
		}
		r.ask(m)
		if !r.hold(m) {
			r.to.fromServer(m, via)
		}
	case notification:
		if via != nil && (r.modern && via.over() || via.filter != nil && !via.filter(m)) {
			break // spec 1.56
		}
		r.to.fromServer(m, via)
	default:
		r.log.Warn("the server sent what is no JSON-RPC message", "text", r.secrets.excerpt(m.raw, ""))
		if via != nil {
			via.trouble = "what is no JSON-RPC message: " + r.secrets.excerpt(m.raw, "")
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
	if c.intercept != nil && c.intercept(m) {
		return
	}
	if m.id == nil || string(m.id) != string(c.id) && c.alias != "" {
		m.raw = m.withID(c.id)
	}
	if c.onResult != nil && m.result != nil && !m.failed {
		c.onResult(m)
	}
	r.calls.settle(c, c.revised(m))
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
	case via != nil && (idKey(m.id) == via.key || via.alias != "" && idKey(m.id) == via.alias):
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

// maxQuestions is how many of the server's requests are remembered until the host answers them.
const maxQuestions = 10000

// ask remembers which session a request of the server's belongs to.
func (r *relay) ask(m *message) {
	r.heldMu.Lock()
	defer r.heldMu.Unlock()
	if r.questions == nil {
		r.questions = make(map[string][]int64)
	}
	key := idKey(m.id)
	same := r.questions[key]
	if same == nil && len(r.questions) == maxQuestions || len(same) == maxQuestions {
		return
	}
	r.questions[key] = append(same, r.epoch.Load())
}

// asked tells whether the server still waits for an answer of the host's: a new session knows
// nothing of the questions of the old one, and may use their ids again.
func (r *relay) asked(m *message) bool {
	r.heldMu.Lock()
	defer r.heldMu.Unlock()
	key := idKey(m.id)
	sessions := r.questions[key]
	if len(sessions) == 0 {
		return true // not for us to say
	}
	if r.questions[key] = sessions[1:]; len(sessions) == 1 {
		delete(r.questions, key)
	}
	return sessions[0] == r.epoch.Load()
}

// maxHeld is how many requests of the server are kept for a host that is not ready yet.
const maxHeld = 64

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
	for _, raw := range r.held {
		if m, err := parse(raw); err == nil { // it was read before
			r.to.fromServer(m, nil)
		}
	}
	r.held = nil
	r.hostReady.Store(true)
}
