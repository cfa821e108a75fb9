package bridge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
)

const (
	firstDelay   = time.Second            // before a stream is opened again, unless the server names another
	openLimit    = 250 * time.Millisecond // that the first opening of a stream is waited for
	longDelay    = 30 * time.Second       // the most that this grows to
	longLife     = 30 * time.Second       // a stream that lived this long starts again at the first delay
	longestRetry = 10 * time.Minute       // a server that names a longer reconnection time has made a mistake
	maxResumes   = 5                      // attempts in a row to resume an answer's stream without getting an event

	// lingerLimit is how long a stream is read on after its answer has come, or after the host has
	// cancelled the call, if the server does not end it.
	lingerLimit = 30 * time.Second
)

// A stream is the standalone GET stream of a session (spec 2.23).
type stream struct {
	ctx     context.Context
	stop    context.CancelFunc
	started atomic.Bool
	tried   chan struct{} // closed when the server has said whether there is such a stream
	over    chan struct{} // closed when it is known that nothing more will come on it

	mu    sync.Mutex
	abort context.CancelFunc // ends the connection that is open now
	gap   chan struct{}      // closed and replaced when messages may have been lost with a connection
}

func newStream(ctx context.Context) *stream {
	ctx, stop := context.WithCancel(ctx)
	return &stream{ctx: ctx, stop: stop, tried: make(chan struct{}), over: make(chan struct{}), gap: make(chan struct{})}
}

// start returns true for the first who asks: that one has to open the stream.
func (s *stream) start() bool { return s.started.CompareAndSwap(false, true) }

// opened tells whether the stream is open or being opened.
func (s *stream) opened() bool { return s.started.Load() && !isOpen(s.over) }

// awaitOpen waits until the stream is open, or refused: what a server wants to say on it in the course
// of the next request is lost if it is not there by then. A server that holds the response back until
// it has something to say is not waited for.
func (s *stream) awaitOpen(ctx context.Context, ending <-chan struct{}) {
	limit := time.NewTimer(openLimit)
	defer limit.Stop()
	select {
	case <-s.tried:
	case <-limit.C:
	case <-ending:
	case <-ctx.Done():
	}
}

// interrupt ends the connection that the stream has now; another one is opened in its place.
func (s *stream) interrupt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.abort != nil {
		s.abort()
	}
}

// broken returns a channel that is closed when the stream breaks and what was to come on it may be
// lost.
func (s *stream) broken() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gap
}

func (s *stream) setBroken() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.gap)
	s.gap = make(chan struct{})
}

// connection returns the context of the stream's next connection.
func (s *stream) connection() context.Context {
	ctx, abort := context.WithCancel(s.ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.abort != nil {
		s.abort() // of the last one, which has ended
	}
	s.abort = abort
	return ctx
}

// listen keeps the GET stream open, for messages that belong to no request, until the session
// ends or the server turns out not to offer it. It is best effort and never touches the requests.
func (s *streamable) listen(sess *session) {
	defer close(sess.over)
	var at position
	defer s.r.unheld(&at, nil)
	for failures := 0; ; failures++ {
		began, had := time.Now(), 0
		ctx := sess.connection()
		body, err := s.get(ctx, sess, at.id)
		again := isOpen(sess.tried)
		if !again {
			close(sess.tried)
		}
		if err == nil {
			had, err = s.r.pump(ctx, body, &at, nil)
			body.Close()
		}
		if sess.ctx.Err() != nil {
			return
		}
		if status, ok := errors.AsType[*StatusError](err); ok && !passing(status.Code) {
			if !again || status.Code != http.StatusNotFound || sess.id == "" {
				level := slog.LevelDebug
				if _, translated := s.r.to.(*link); translated { // and its host may be promised to hear of changes
					level = slog.LevelInfo
				}
				s.r.log.Log(ctx, level, "the server offers no stream of its own messages; it tells of changes with its answers at most", "status", status.Code)
				return
			}
			// It was there before, or might have been: the session is gone.
			if renewErr := s.renew(sess.ctx, sess); renewErr == nil || errors.Is(renewErr, ErrSessionChanged) || sess.ctx.Err() != nil {
				return
			}
			s.r.log.Warn("the server forgot the session, and a new one could not be had", "error", err)
		}
		if at.id == "" {
			sess.setBroken()
		}
		switch {
		case time.Since(began) > longLife:
			failures = 0
		case had > 0: // it is of use, but short
			failures = min(failures, 2)
		}
		s.r.log.Debug("the server's stream ended, opening it again", "error", err)
		delay := at.delay(failures)
		if status := statusOf(err); status != nil {
			delay = max(delay, min(status.RetryAfter, time.Hour))
		}
		if !sleep(sess.ctx, delay) {
			return
		}
	}
}

// passing tells whether an HTTP status may be another one in a while. 401 may: a request with a
// better right to ask the user can bring a token.
func passing(code int) bool {
	switch code {
	case http.StatusUnauthorized, http.StatusRequestTimeout, http.StatusTooManyRequests:
		return true
	}
	return code >= 500 && code != http.StatusNotImplemented
}

// A position is where to go on in a stream, and when.
type position struct {
	id    string        // of the last event, "" if events had none
	retry time.Duration // reconnection time that the server named, 0 if it didn't

	unfinished []byte // message that the stream broke off behind, for the case that it can't be resumed
}

// unheld delivers what would have come again on a stream that can't be resumed.
func (r *relay) unheld(at *position, via *call) {
	if at.unfinished != nil {
		r.take(at.unfinished, via)
		at.unfinished = nil
	}
}

// delay is how long to wait before the stream is opened again: what the server asked for (spec
// 2.30), and more with every failure in a row.
func (p *position) delay(failures int) time.Duration {
	first := min(p.retry, longestRetry)
	if first <= 0 {
		first = firstDelay
	}
	if failures == 0 {
		return first
	}
	d := max(first, min(first<<min(failures, 16), longDelay))
	return d + rand.N(d/4+1)
}

// get opens an event stream, a new one or, with an event id, the one that the event came on
// (spec 2.31).
func (s *streamable) get(ctx context.Context, sess *session, lastID string) (io.ReadCloser, error) {
	header := sess.header(typeEvents, "")
	if lastID != "" {
		header.Set(mcp.HeaderLastEventID, lastID)
	}
	resp, err := s.ep.do(ctx, http.MethodGet, nil, nil, header, nil)
	if err != nil {
		return nil, err
	}
	kind := mediaType(resp.Header.Get("Content-Type"))
	if resp.StatusCode/100 != 2 {
		defer discard(resp.Body)
		status, _ := s.ep.readStatus(resp)
		status.session = status.Code == http.StatusNotFound && sess.id != ""
		return nil, status
	}
	if kind != typeEvents {
		resp.Body.Close()
		return nil, &StatusError{URL: s.ep.String(), Code: http.StatusNotAcceptable, Status: resp.Status + " with " + kind}
	}
	return resp.Body, nil
}

// pump delivers the messages of one event stream until it ends, and returns how many there were. Via
// is the call that the stream belongs to, nil for the GET stream.
func (r *relay) pump(ctx context.Context, body io.Reader, at *position, via *call) (int, error) {
	memory := r.memory.claim()
	defer memory.release()
	if via == nil {
		g := &gatherer{Reader: body, out: r.out}
		defer g.set(false)
		body = g
	}
	events := newEventReader(ctx, body, r.cfg.MaxMessage, memory)
	defer events.close()
	events.id, events.retry = at.id, at.retry
	at.unfinished = nil
	var linger *time.Timer
	for had := 0; ; had++ {
		ev, err := events.next()
		at.id, at.retry = resumable(events.id), events.retry
		if err != nil {
			return had, err
		}
		switch {
		case ev.name != "" && ev.name != "message": // not ours (spec 2.70)
		case ev.over != nil:
			r.tooLong(ev.over.ID(), ev.size, via)
		case ev.broken && at.id != "" && !isResponse(ev.data):
			// It has no id yet, so it comes again if the stream can be resumed. An answer counts at
			// once, as a second one is dropped.
			at.unfinished = bytes.Clone(ev.data)
		default:
			r.take(ev.data, via)
		}
		if via != nil && linger == nil && via.over() {
			linger = time.AfterFunc(lingerLimit, func() { via.cancel(errStreamOver) })
			defer linger.Stop()
		}
	}
}

func isResponse(data []byte) bool {
	m, err := parse(bytes.Clone(data))
	return err == nil && m.kind == response
}

// resumable returns an event id if a header can carry it, else "".
func resumable(id string) string {
	if strings.ContainsFunc(id, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) {
		return ""
	}
	return id
}

// follow reads the event stream that answers a call, and resumes it where it broke, until the
// answer has come (spec 2.29–2.33).
func (s *streamable) follow(ctx context.Context, c *call, sess *session, body io.ReadCloser) error {
	var at position
	defer s.r.unheld(&at, c)
	_, err := s.r.pump(ctx, body, &at, c)
	for failures := 0; !c.over(); failures++ {
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case at.id == "":
			return &lostError{URL: s.ep.String(), cause: plainEnd(err)}
		case failures == maxResumes:
			return &lostError{URL: s.ep.String(), cause: fmt.Errorf("and could not be resumed: %w", plainEnd(err))}
		}
		if !sleep(ctx, at.delay(failures)) {
			return context.Cause(ctx)
		}
		var more io.ReadCloser
		before := at.id
		if more, err = s.get(ctx, sess, at.id); err == nil {
			var had int
			had, err = s.r.pump(ctx, untilAnswered{more, c}, &at, c)
			more.Close()
			if had > 0 || at.id != before { // a new id alone is progress too
				failures = -1
			}
		} else if status := statusOf(err); status != nil && !passing(status.Code) {
			return &lostError{URL: s.ep.String(), cause: fmt.Errorf("and could not be resumed: %w", err)}
		}
	}
	return nil
}

// untilAnswered ends a stream that was opened for the answer to a call as soon as that is there:
// a server may hold it open for ever.
type untilAnswered struct {
	io.Reader
	c *call
}

func (u untilAnswered) Read(p []byte) (int, error) {
	if u.c.over() {
		return 0, io.EOF
	}
	return u.Reader.Read(p)
}

// plainEnd says in words that a stream ended without an error of its own.
func plainEnd(err error) error {
	if err == io.EOF {
		return errStreamOver
	}
	return err
}
