package bridge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
)

const (
	typeJSON   = "application/json"
	typeEvents = "text/event-stream"

	// A request that the server certainly did not run is sent again when the server asks for
	// that with Retry-After, unless it asks for too much.
	maxRetryAfter = 10 * time.Second
	maxRetries    = 3

	// maxRenewals is how many lost sessions one call may meet before the next one is an error.
	maxRenewals = 1

	// repeatDelay is how long to wait before a request that met a network error is sent again.
	repeatDelay = 200 * time.Millisecond

	// maxResends is how often a notification or a response is sent again, each time after twice
	// the delay.
	maxResends = 5
)

// A streamable is a server reached over streamable HTTP, revisions 2025-03-26 to 2025-11-25.
type streamable struct {
	r         *relay
	ep        *endpoint
	detecting bool                    // an old server may say in JSON-RPC too that it does not take POST
	current   atomic.Pointer[session] // never nil

	mu      sync.Mutex
	renewal *renewal // under way, or the last one
	closed  bool     // no session is asked for any more
}

func newStreamable(r *relay, ep *endpoint) *streamable {
	s := &streamable{r: r, ep: ep}
	s.current.Store(&session{stream: newStream(r.ctx)})
	return s
}

func (s *streamable) request(ctx context.Context, c *call, sent sentFunc) error {
	repeated, waited := false, 0
	for {
		sess := s.current.Load()
		if c.isInitialize() {
			sess = &session{} // it belongs to no session (spec 2.16, 2.18)
		}
		err := s.exchange(ctx, c, sess, sent)
		status := statusOf(err)
		if _, lost := errors.AsType[*lostError](err); lost {
			status = nil // it is about the attempt to resume; the request itself was taken
		}
		switch {
		case c.over():
			return nil
		case mayRepeat(err, c) && !repeated:
			repeated = true
			c.sent.Store(false)
			if !sleep(ctx, repeatDelay) {
				return context.Cause(ctx)
			}
		case status == nil:
			return err
		case status.session:
			c.renewals++
			c.sent.Store(false)
			if err := s.renew(ctx, sess); err != nil {
				return &sessionError{err}
			}
		case didNotRun(status, c) && status.RetryAfter > 0 && status.RetryAfter <= maxRetryAfter && waited < maxRetries:
			waited++
			c.sent.Store(false)
			s.r.log.Warn("the server asks to wait before it takes a request", "status", status.Code, "seconds", status.RetryAfter.Seconds())
			if !sleep(ctx, status.RetryAfter) {
				return context.Cause(ctx)
			}
		default:
			return err
		}
	}
}

// mayRepeat tells whether a request that met a network error may be sent again: if it did not get
// out, or if nothing came back, and it only reads. That is how a connection ends that the server
// closed while it was idle, and how a server that restarts looks.
func mayRepeat(err error, c *call) bool {
	if lost, ok := errors.AsType[*lostError](err); ok {
		return lost.early && c.onlyReads()
	}
	_, unsent := errors.AsType[*reachError](err)
	return unsent
}

// didNotRun tells whether a request may be sent again after this answer.
func didNotRun(status *StatusError, c *call) bool {
	return status.Code == http.StatusTooManyRequests ||
		status.Code == http.StatusServiceUnavailable && !c.is(mcp.MethodToolsCall)
}

// exchange posts a call and follows what comes back, until it is answered or can't be.
func (s *streamable) exchange(ctx context.Context, c *call, sess *session, sent sentFunc) error {
	c.sent.Store(false)
	var broken <-chan struct{} // closed when an answer on the GET stream may be lost, be it before it was promised
	if sess.stream != nil {
		broken = sess.broken()
	}
	resp, err := s.ep.do(ctx, http.MethodPost, nil, c.raw, sess.postHeader(), sent)
	if err != nil {
		if reach, ok := errors.AsType[*reachError](err); ok && c.sent.Load() {
			return &lostError{URL: reach.URL, cause: reach.cause, early: true}
		}
		return err
	}
	defer discard(resp.Body)
	if c.isInitialize() {
		c.session = sessionID(resp.Header)
	}
	kind := mediaType(resp.Header.Get("Content-Type"))
	switch {
	case resp.StatusCode/100 != 2:
		return s.refused(resp, c, sess)
	case kind == typeEvents:
		c.heard()
		return s.follow(ctx, c, sess, resp.Body)
	case resp.StatusCode == http.StatusAccepted:
		return s.elsewhere(ctx, c, sess, broken, resp)
	}
	c.heard()
	return s.r.readAnswer(ctx, resp, c, s.ep)
}

// readAnswer reads the answer to a call from a body that is no event stream.
func (r *relay) readAnswer(ctx context.Context, resp *http.Response, c *call, ep *endpoint) error {
	memory := r.memory.claim()
	defer memory.release()
	body := newBodyReader(ctx, resp, r.cfg.MaxMessage, memory)
	m, notJSON := body.message()
	if err := body.err; err != io.EOF {
		if _, tooLong := errors.AsType[*tooLongError](err); tooLong {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return &lostError{URL: ep.String(), cause: err}
	}
	return r.read(resp, c, m, notJSON, ep)
}

// read takes a body that is no event stream. Whatever its content type says, it is the answer if
// it holds one.
func (r *relay) read(resp *http.Response, c *call, m *message, notJSON error, ep *endpoint) error {
	body := m.raw
	contentType := resp.Header.Get("Content-Type")
	var reason string
	switch err := r.deliverParsed(m, notJSON, c); {
	case c.over():
		return nil
	case err == nil:
		reason = "there is no answer to the request in it"
	case isHTML(contentType):
		reason = "with a web page (text/html)"
	case mediaType(contentType) == typeJSON:
		reason = "its body is " + err.Error()
	case len(body) == 0:
		reason = "without content"
	default:
		reason = fmt.Sprintf("with content of type %q", contentType)
	}
	return &contentError{StatusError{URL: ep.String(), Code: resp.StatusCode, Status: resp.Status, ContentType: contentType,
		Text: r.secrets.excerpt(body, contentType)}, reason}
}

// elsewhere waits for an answer that was promised for another stream: old servers accept a
// request with 202 and answer it on the GET stream (spec 2G).
func (s *streamable) elsewhere(ctx context.Context, c *call, sess *session, broken <-chan struct{}, resp *http.Response) error {
	none := &contentError{StatusError{URL: s.ep.String(), Code: resp.StatusCode, Status: resp.Status}, "no answer to the request came with it"}
	if sess.stream == nil || !sess.opened() {
		return none
	}
	select {
	case <-c.done:
		return nil
	case <-broken:
		return &lostError{URL: s.ep.String(), cause: errStreamOver}
	case <-sess.over:
		return none
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// refused reads an HTTP error. If it holds the server's own JSON-RPC answer that goes to the
// host, whatever the status (spec 2.50).
func (s *streamable) refused(resp *http.Response, c *call, sess *session) error {
	status, body := s.ep.readStatus(resp)
	if sess.id != "" && c.renewals < maxRenewals {
		status.session = sessionLost(resp.StatusCode, body, c.id)
	}
	if m, err := parse(body); err == nil && m.kind == response && !status.session && !(m.id == nil && s.detecting && c.isInitialize()) {
		_ = s.r.deliver(body, c) // it is JSON
	}
	return status
}

func (s *streamable) send(ctx context.Context, m *message, sent sentFunc) error {
	delay := repeatDelay
	for range maxResends {
		err := s.sendOnce(ctx, m, sent)
		if !mayResend(err, m) || !sleep(ctx, delay) {
			return err
		}
		delay *= 2
	}
	return s.sendOnce(ctx, m, sent)
}

// mayResend tells whether a message that is no request may be sent again after an error: if it did
// not get out, or the server was too busy for it, or if it does no harm twice.
func mayResend(err error, m *message) bool {
	if status := statusOf(err); status != nil {
		return passing(status.Code) && status.Code != http.StatusUnauthorized && (status.RetryAfter > 0 || m.is(mcp.MethodNotificationInitialized))
	}
	reach, ok := errors.AsType[*reachError](err)
	return ok && (isDial(reach.cause) || tellsState(m))
}

// tellsState tells whether a notification says how things are, so that it does no harm twice.
func tellsState(m *message) bool {
	return m.is(mcp.MethodNotificationInitialized) || m.is(mcp.MethodNotificationCancelled) ||
		m.is(mcp.MethodNotificationProgress) || m.is(mcp.MethodNotificationRootsListChanged)
}

// isDial tells whether no connection could be made.
func isDial(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

func (s *streamable) sendOnce(ctx context.Context, m *message, sent sentFunc) error {
	sess := s.current.Load()
	err := s.sendIn(ctx, sess, m, sent)
	status := statusOf(err)
	if status == nil || sess.id == "" || status.Code != http.StatusNotFound {
		return err
	}
	if m.kind == response || m.is(mcp.MethodNotificationCancelled) {
		return err // what it is about has gone with the session
	}
	if err := s.renew(ctx, sess); err != nil {
		return err
	}
	return s.sendIn(ctx, s.current.Load(), m, sent)
}

// sendIn posts a notification or a response. Any 2xx settles it (spec 2.06).
func (s *streamable) sendIn(ctx context.Context, sess *session, m *message, sent sentFunc) error {
	resp, err := s.ep.do(ctx, http.MethodPost, nil, m.raw, sess.postHeader(), sent)
	if err != nil {
		return err
	}
	defer discard(resp.Body)
	if resp.StatusCode/100 != 2 {
		status, _ := s.ep.readStatus(resp)
		return status
	}
	if m.is(mcp.MethodNotificationInitialized) && sess.start() {
		s.r.work.Go(func() { s.listen(sess) }) // ends with the session, or when there is no such stream
		sess.awaitOpen(ctx, s.r.ending)
	}
	return nil
}

func (s *streamable) cancel(c *call) bool { return lingerOn(c) }

// lingerOn lets a cancelled call wait for an answer that may be under way, within a bound.
func lingerOn(c *call) bool {
	time.AfterFunc(lingerLimit, func() { c.cancel(errCancelled) })
	return true
}

func (s *streamable) reopen(bool) { s.current.Load().interrupt() }

func (s *streamable) close(ctx context.Context) {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.end(ctx, s.current.Load())
}

// A tooLongError means that a message is over the limit.
type tooLongError struct{ size, limit int64 }

func (e *tooLongError) Error() string {
	if e.size <= 0 {
		return fmt.Sprintf("the server's answer has more than %d bytes, the limit for one message", e.limit)
	}
	return fmt.Sprintf("the server's answer has %d bytes, the limit for one message is %d", e.size, e.limit)
}

// sleep waits, and returns false when ctx is done first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
