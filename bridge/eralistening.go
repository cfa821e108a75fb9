package bridge

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
)

// A listening is what a modern server tells on behalf of a handshake host: one subscriptions/listen
// request at a time, for the lists that the server announces changes of and for the resources that the
// host has subscribed to (spec 6B).
type listening struct {
	change sync.Mutex // held while what is listened to changes

	mu      sync.Mutex
	lists   bool // the host is ready to hear of changed lists
	uris    []string
	made    map[*call]*subscription // by the request that is under way
	current *subscription           // the one that the server agreed to last
	leaving *subscription           // the one before, while something may still be on its way
	heard   map[string]*[2]int      // how often each change came while one takes the other's place: on the old one, and on the new one
	waiting *subscription           // one that it has not agreed to yet, as it is away; guarded by change
}

// A subscription is one subscriptions/listen request.
type subscription struct {
	stop     context.CancelFunc
	acked    chan struct{} // closed when the server has agreed
	honoured object        // to what; set before acked is closed
	over     chan struct{} // closed when the server has refused it
	err      error         // why; set before over is closed
}

// swapLimit is how long a subscription is still read when another one has taken its place: what the
// server sent before it knew of that one may be on its way.
const swapLimit = time.Second

// listenToAll begins to listen to all lists that the server announces changes of.
func (t *toModern) listenToAll() {
	l := &t.listening
	l.mu.Lock()
	l.lists = true
	l.mu.Unlock()
	t.r.work.Go(func() { // ends within ackLimit
		l.change.Lock()
		defer l.change.Unlock()
		if err := t.relisten(t.r.ctx, true); err != nil {
			t.r.log.Debug("the server tells of no changes", "error", err)
		}
	})
}

// subscribe adds a resource to what is listened to.
func (t *toModern) subscribe(ctx context.Context, c *call, sent sentFunc) error {
	if !t.offers("resources", "subscribe") {
		return unknownMethod
	}
	sent(true)
	uri := readObject(c.params).text("uri")
	l := &t.listening
	l.change.Lock()
	defer l.change.Unlock()
	if !l.setURIs(func(uris []string) []string {
		if slices.Contains(uris, uri) {
			return uris
		}
		return append(uris, uri)
	}) {
		return t.result(c, object{})
	}
	err := t.relisten(ctx, false)
	if err == nil && !slices.Contains(texts(l.now().honoured.get("resourceSubscriptions")), uri) {
		err = &rpcError{code: mcp.INVALID_PARAMS, text: "the server does not support subscribing to " + uri}
	}
	if err != nil {
		l.setURIs(func(uris []string) []string { return without(uris, uri) })
		return err
	}
	return t.result(c, object{})
}

// unsubscribe takes a resource away.
func (t *toModern) unsubscribe(ctx context.Context, c *call, sent sentFunc) error {
	sent(true)
	uri := readObject(c.params).text("uri")
	l := &t.listening
	l.change.Lock()
	defer l.change.Unlock()
	if l.setURIs(func(uris []string) []string { return without(uris, uri) }) {
		if err := t.relisten(ctx, false); err != nil {
			return err
		}
	}
	return t.result(c, object{})
}

func without(list []string, text string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == text })
}

// setURIs changes the resources that are listened to, and returns whether that is another set.
func (l *listening) setURIs(change func([]string) []string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := len(l.uris)
	l.uris = change(l.uris)
	return len(l.uris) != before
}

// relisten makes a new request in place of the one there is, which ends soon after the server has agreed
// to the new one: nothing is missed in between. A server that is away is given time only if the caller is
// patient; then the request stays. The caller holds change.
func (t *toModern) relisten(ctx context.Context, patient bool) error {
	l := &t.listening
	l.mu.Lock()
	filter := object{}
	for _, list := range changeableLists {
		if l.lists && t.offers(list, "listChanged") {
			filter = append(filter, member{list + "ListChanged", []byte("true")})
		}
	}
	if len(l.uris) > 0 {
		filter = append(filter, member{"resourceSubscriptions", encodeTexts(l.uris)})
	}
	old := l.current
	if len(filter) == 0 {
		l.current = nil
	} else if old != nil {
		l.heard = make(map[string]*[2]int)
	}
	l.mu.Unlock()
	if len(filter) == 0 {
		if old != nil {
			old.stop()
		}
		return nil
	}
	if old != nil {
		defer l.swapped(old)
	}
	life, stop := context.WithCancel(t.r.ctx)
	s := &subscription{stop: stop, acked: make(chan struct{}), over: make(chan struct{})}
	m := t.inner.newRequest(string(mcp.MethodSubscriptionsListen), t.withMeta(object{{"notifications", filter.raw()}}))
	t.r.work.Go(func() { t.hold(life, s, m) }) // ends with life, or when the server refuses
	ctx, cancel := context.WithTimeoutCause(ctx, ackLimit, &timeoutError{ackLimit})
	defer cancel()
	select {
	case <-s.acked:
	case <-s.over:
		stop()
		return s.err
	case <-ctx.Done():
		if patient {
			l.waiting = s
			return nil
		}
		stop()
		return context.Cause(ctx)
	}
	if l.waiting != nil {
		l.waiting.stop()
		l.waiting = nil
	}
	return nil
}

// swapped ends a subscription that another one has taken the place of, if it has.
func (l *listening) swapped(old *subscription) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.current == old {
		l.heard = nil
		return
	}
	time.AfterFunc(swapLimit, func() {
		old.stop()
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.leaving == old {
			l.leaving, l.heard = nil, nil
		}
	})
}

func (l *listening) now() *subscription {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.current
}

// hold keeps one subscription until its life ends: when the server ends it, it is asked for again, and
// the host is told that what it listens to may have changed meanwhile.
func (t *toModern) hold(life context.Context, s *subscription, m *message) {
	var at position
	for failures := 0; ; failures++ {
		var made *call
		answer, err := t.inner.askServer(life, m, ask{request: t.server.request, prepare: func(c *call) {
			made = c
			t.listening.note(c, s)
		}})
		t.listening.note(made, nil)
		if life.Err() != nil {
			return
		}
		if answer != nil && answer.failed {
			err = &rpcError{code: errorCode(answer), text: readObject(answer.err).text("message")}
		}
		if status := statusOf(err); answer != nil && (answer.failed || !isOpen(s.acked)) || status != nil && !passing(status.Code) {
			if s.err = err; err == nil {
				s.err = errors.New("the server ended the subscription at once")
			}
			close(s.over)
			return
		}
		t.r.log.Debug("the server ended a subscription, asking for it again", "error", err)
		if !sleep(life, at.delay(failures)) {
			return
		}
		m = built(m.withID(t.inner.mint()))
	}
}

// note keeps which subscription a request is for; nil: it is over.
func (l *listening) note(c *call, s *subscription) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.made == nil {
		l.made = make(map[*call]*subscription)
	}
	if l.made[c] = s; s == nil {
		delete(l.made, c)
	}
}

// takes tells whether a message is about listening and not for the host: what the server agrees to, and
// what came on another subscription already.
func (t *toModern) takes(m *message, via *call) bool {
	if via == nil || !via.is(mcp.MethodSubscriptionsListen) {
		return false
	}
	l := &t.listening
	l.mu.Lock()
	s := l.made[via]
	if string(m.method) != notificationAcknowledged || s == nil {
		defer l.mu.Unlock()
		return s == nil || !l.isNews(m, s)
	}
	again := isOpen(s.acked)
	if !again {
		s.honoured = readObject(bytes.Clone(m.params)).child("notifications")
		if l.leaving != nil {
			l.leaving.stop()
		}
		l.leaving, l.current = l.current, s
		close(s.acked)
	}
	l.mu.Unlock()
	if again {
		for _, change := range missed(s.honoured) {
			t.r.out.write(change.raw(nil))
		}
	}
	return true
}

// isNews tells whether a change is for the host: while one subscription takes the place of another, the
// server may tell of a change on both, on the old one alone, or on the new one alone. The caller holds
// mu.
func (l *listening) isNews(m *message, from *subscription) bool {
	on := 0
	uri := readObject(m.params).text("uri")
	switch {
	case from == l.current && l.leaving != nil:
		on = 1
	case from == l.current:
	case from != l.leaving || uri != "" && !slices.ContainsFunc(l.uris, func(of string) bool { return strings.HasPrefix(uri, of) }):
		return false
	}
	if l.heard == nil {
		return true
	}
	change := string(m.method) + " " + uri
	if l.heard[change] == nil {
		l.heard[change] = new([2]int)
	}
	times := l.heard[change]
	times[on]++
	return times[on] > times[1-on]
}
