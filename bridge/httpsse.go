package bridge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// endpointLimit is how long a 2024-11-05 server may take to say where to post (spec 3.09).
const endpointLimit = 30 * time.Second

// An httpSSE is a server reached over HTTP+SSE, revision 2024-11-05: one event stream carries
// everything that comes from it, and says where everything is posted that goes to it (spec 3A).
type httpSSE struct {
	r  *relay
	ep *endpoint

	mu       sync.Mutex
	conn     *connection // nil while there is none
	dial     *dial       // under way, or the last one
	agreed   bool        // the host made its handshake; a new connection repeats it
	finished bool
}

// A connection is one open event stream. With it the session ends (spec 3.08).
type connection struct {
	post   *url.URL
	cancel context.CancelFunc
	over   chan struct{} // closed when the stream has ended; err is set then
	err    error
}

// A dial is one attempt to open the event stream.
type dial struct {
	done chan struct{} // closed when conn or err is set
	conn *connection
	err  error
}

func newHTTPSSE(r *relay, ep *endpoint) *httpSSE { return &httpSSE{r: r, ep: ep} }

func (s *httpSSE) request(ctx context.Context, c *call, sent sentFunc) error {
	for retried := false; ; retried = true {
		l, err := s.connect(ctx)
		if err != nil {
			return err
		}
		err = s.exchange(ctx, l, c, sent)
		if status := statusOf(err); status == nil || !status.session || retried || c.isInitialize() || c.over() {
			return err
		}
		l.cancel() // the server has forgotten this session; a new one is asked for at once
		<-l.over
	}
}

// exchange posts a call and waits until its answer has come on the event stream.
func (s *httpSSE) exchange(ctx context.Context, l *connection, c *call, sent sentFunc) error {
	c.sent.Store(false)
	if err := s.post(ctx, l, c.message, sent, c); err != nil || c.over() {
		return err
	}
	select {
	case <-c.done:
		return nil
	case <-l.over:
		if c.over() {
			return nil
		}
		return &lostError{URL: s.ep.String(), cause: l.err}
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// post sends one message. What a server says to it is a mere acknowledgement, unless it refuses
// the message (spec 3.05).
func (s *httpSSE) post(ctx context.Context, l *connection, m *message, sent sentFunc, via *call) error {
	header := http.Header{"Content-Type": {typeJSON}, "Accept": {typeJSON + ", " + typeEvents}}
	resp, err := s.ep.do(ctx, http.MethodPost, l.post, m.raw, header, sent)
	if err != nil {
		if reach, ok := errors.AsType[*reachError](err); ok && via != nil && via.sent.Load() {
			return &lostError{URL: reach.URL, cause: reach.cause, early: true}
		}
		return err
	}
	defer discard(resp.Body)
	if resp.StatusCode/100 == 2 {
		return nil
	}
	status, body := s.ep.readStatus(resp)
	status.session = resp.StatusCode == http.StatusNotFound
	if answer, err := parse(body); err == nil && answer.kind == response && via != nil && !status.session {
		_ = s.r.deliver(body, via) // it is JSON
	}
	return status
}

func (s *httpSSE) send(ctx context.Context, m *message, sent sentFunc) error {
	l, err := s.connect(ctx)
	if err != nil {
		return err
	}
	return s.post(ctx, l, m, sent, nil)
}

func (s *httpSSE) cancel(c *call) bool { return lingerOn(c) }

func (s *httpSSE) established(*call, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.agreed = true
}

// connect returns the open connection, and makes one if there is none. The attempt does not depend on
// the one who asked first.
func (s *httpSSE) connect(ctx context.Context) (*connection, error) {
	s.mu.Lock()
	switch {
	case s.finished:
		s.mu.Unlock()
		return nil, errStopped
	case s.conn != nil && !isOpen(s.conn.over):
		defer s.mu.Unlock()
		return s.conn, nil
	}
	if s.dial == nil || isOpen(s.dial.done) {
		d := &dial{done: make(chan struct{})}
		again := s.agreed
		s.dial = d
		s.r.work.Go(func() { // ends within endpointLimit and handshakeLimit
			defer close(d.done)
			if d.conn, d.err = s.open(again); d.err == nil {
				s.mu.Lock()
				if !isOpen(d.conn.over) {
					s.conn = d.conn
				}
				s.mu.Unlock()
			}
		})
	}
	d := s.dial
	s.mu.Unlock()
	select {
	case <-d.done:
		return d.conn, d.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// open opens the event stream, waits for the endpoint event, and repeats the handshake if there
// was one.
func (s *httpSSE) open(again bool) (*connection, error) {
	ctx, cancel := context.WithCancel(s.r.ctx)
	l := &connection{cancel: cancel, over: make(chan struct{})}
	ready := make(chan error, 1)
	s.r.work.Go(func() { // ends with the stream
		l.err = s.listen(ctx, l, ready)
		cancel()
		s.r.epoch.Add(1) // before a new session can ask anything
		close(l.over)
		s.mu.Lock()
		reconnect := s.conn == l && s.agreed && !s.finished
		s.mu.Unlock()
		if reconnect {
			s.r.log.Warn("the server ended the event stream, and the session with it", "error", l.err)
			s.reconnect()
		}
	})
	limit := time.NewTimer(endpointLimit)
	defer limit.Stop()
	select {
	case err := <-ready:
		if err != nil {
			return nil, err
		}
	case <-limit.C:
		cancel()
		return nil, fmt.Errorf("%s sent no endpoint event within %v", s.ep, endpointLimit)
	}
	if !again {
		return l, nil
	}
	err := s.r.handshake.repeat(ctx, s.r,
		func(ctx context.Context, c *call) error { return s.exchange(ctx, l, c, func(bool) {}) },
		func(ctx context.Context, m *message) error { return s.post(ctx, l, m, nil, nil) })
	if err != nil {
		cancel()
		if errors.Is(err, ErrSessionChanged) {
			s.r.fail(err)
		}
		return nil, err
	}
	return l, nil
}

// listen opens the event stream, tells ready when it is known where to post, and delivers what
// comes until the stream ends.
func (s *httpSSE) listen(ctx context.Context, l *connection, ready chan<- error) error {
	known := false
	fail := func(err error) error {
		if !known {
			ready <- err
		}
		return err
	}
	resp, err := s.ep.do(ctx, http.MethodGet, nil, nil, http.Header{"Accept": {typeEvents}}, nil)
	if err != nil {
		return fail(err)
	}
	defer resp.Body.Close()
	if kind := mediaType(resp.Header.Get("Content-Type")); resp.StatusCode/100 != 2 || kind != typeEvents {
		status, _ := s.ep.readStatus(resp)
		return fail(status)
	}
	memory := s.r.memory.claim()
	defer memory.release()
	g := &gatherer{Reader: resp.Body, out: s.r.out}
	defer g.set(false)
	events := newEventReader(ctx, g, s.r.cfg.MaxMessage, memory)
	defer events.close()
	for {
		ev, err := events.next()
		switch {
		case err != nil:
			return fail(plainEnd(err))
		case ev.name == "endpoint" && !known:
			if l.post, err = s.resolve(string(ev.data)); err != nil {
				return fail(err)
			}
			known = true
			ready <- nil
		case ev.name != "" && ev.name != "message": // not ours (spec 2.70)
		case ev.over != nil:
			s.r.tooLong(ev.over.ID(), ev.size, nil)
		default:
			s.r.take(ev.data, nil)
		}
	}
}

// resolve returns where to post. It must be on the origin of the event stream, as everything of
// the user's goes there (spec 3.06).
func (s *httpSSE) resolve(endpoint string) (*url.URL, error) {
	base := s.ep.at.Load()
	post, err := base.Parse(endpoint)
	if err != nil {
		return nil, fmt.Errorf("%s names an endpoint that is no URL", display(base))
	}
	if !sameOrigin(base, post) {
		return nil, fmt.Errorf("%s names %s as its endpoint, which is another origin: refused", display(base), display(post))
	}
	s.r.secrets.addURL(post) // it names the session
	return post, nil
}

// reconnect opens the event stream again, so that the server's own messages come without a
// request of the host's, until that succeeds or the relay ends.
func (s *httpSSE) reconnect() {
	var at position
	for failures := 0; sleep(s.r.ctx, at.delay(failures)); failures++ {
		if _, err := s.connect(s.r.ctx); err == nil || errors.Is(err, ErrSessionChanged) {
			return
		}
	}
}

func (s *httpSSE) reopen(dead bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if dead && s.conn != nil {
		s.conn.cancel() // what is under way on it gets an error, and a new one is made
	}
}

func (s *httpSSE) close(context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finished = true
	if s.conn != nil {
		s.conn.cancel()
	}
}
