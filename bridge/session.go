package bridge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/mark3labs/mcp-go/mcp"
)

// A session is what the server gave with the result of initialize. The one before that has
// neither id nor version.
type session struct {
	id, version string
	*stream

	post atomic.Pointer[http.Header] // what postHeader returns, nil before the first time
}

// A renewal is one attempt to replace a session that the server forgot.
type renewal struct {
	lost *session
	done chan struct{} // closed when err is set
	err  error
}

// header returns the headers that the protocol defines for a request in a session (spec 2.12,
// 2.16).
func (s *session) header(accept, contentType string) http.Header {
	h := http.Header{"Accept": {accept}}
	if contentType != "" {
		h["Content-Type"] = []string{contentType}
	}
	if s.id != "" {
		h[mcp.HeaderSessionID] = []string{s.id}
	}
	if s.version != "" {
		h[mcp.HeaderProtocolVersion] = []string{s.version}
	}
	return h
}

// postHeader returns the headers of a POST. They are made once, and must not be changed.
func (s *session) postHeader() http.Header {
	if h := s.post.Load(); h != nil {
		return *h
	}
	h := s.header(typeJSON+", "+typeEvents, typeJSON)
	s.post.Store(&h)
	return h
}

// unknownSession matches what servers say of a session they don't know, where they say it with
// another status than 404: "Bad Request: No valid session ID provided", "unknown session", …
var unknownSession = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)(unknown|invalid|no valid|not found|missing|expired|terminated|closed|no such)\W+(\w+\W+)?session|session\W+(\w+\W+){0,3}(unknown|invalid|not found|missing|expired|terminated|closed|not exist)`)
})

// SpeaksOfSession tells whether a 401, with the beginning of its body, is about the session that the
// request named, and not about authorization: the bridge then asks for a new session.
func SpeaksOfSession(resp *http.Response, body []byte) bool {
	return resp.Request != nil && resp.Request.Header.Get(mcp.HeaderSessionID) != "" && unknownSession().Match(body)
}

// sessionLost tells whether an answer to a request that named a session means that the server
// does not know it. 404 does (spec 2.18), unless it is the 2026-07-28 way to say that a method is
// unknown (spec 2.49). Some servers say it in words only.
func sessionLost(code int, body []byte, id []byte) bool {
	m, err := parse(bytes.Clone(body))
	own := err == nil && m.kind == response && m.id != nil && idKey(m.id) == idKey(id) // an answer to the call itself
	switch code {
	case http.StatusNotFound:
		var answer struct {
			Error struct{ Code int }
		}
		return !(own && json.Unmarshal(body, &answer) == nil && answer.Error.Code == mcp.METHOD_NOT_FOUND)
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusServiceUnavailable:
		return !own && unknownSession().Match(body)
	}
	return false
}

// longestSession is the longest session id that is sent back, in bytes. Servers take no longer headers.
const longestSession = 8 << 10

// sessionID returns the session id of a response, "" if it has none that can be sent back (spec
// 2.15).
func sessionID(h http.Header) string {
	id := h.Get(mcp.HeaderSessionID)
	if len(id) > longestSession || strings.ContainsFunc(id, func(c rune) bool { return c < 0x21 || c > 0x7e }) {
		return ""
	}
	return id
}

func (s *streamable) established(c *call, version string) {
	s.r.secrets.add(c.session)
	old := s.current.Swap(&session{id: c.session, version: version, stream: newStream(s.r.ctx)})
	if old.id == "" {
		return
	}
	// A host that initializes twice leaves no session behind. Ends within its own bound.
	s.r.work.Go(func() {
		ctx, cancel := context.WithTimeout(s.r.ctx, goodbyeLimit)
		defer cancel()
		s.end(ctx, old)
	})
}

// renew replaces a session that the server forgot, once for all who meet that (spec 2.20). The
// attempt does not depend on any one of them: it goes on when the first one leaves.
func (s *streamable) renew(ctx context.Context, lost *session) error {
	s.mu.Lock()
	switch {
	case s.closed: // it was ended, not forgotten
		s.mu.Unlock()
		return errStopped
	case s.current.Load() != lost:
		s.mu.Unlock()
		return nil
	}
	if s.renewal == nil || s.renewal.lost != lost || isOpen(s.renewal.done) {
		n := &renewal{lost: lost, done: make(chan struct{})}
		s.renewal = n
		s.r.work.Go(func() { // ends within handshakeLimit
			defer close(n.done)
			if n.err = s.replace(lost); errors.Is(n.err, ErrSessionChanged) {
				s.r.fail(n.err)
			}
		})
	}
	n := s.renewal
	s.mu.Unlock()
	select {
	case <-n.done:
		return n.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *streamable) replace(lost *session) error {
	s.r.log.Info("the server forgot the session, asking for a new one")
	var fresh *session
	err := s.r.handshake.repeat(s.r.ctx, s.r,
		func(ctx context.Context, c *call) error {
			if !c.isInitialize() {
				return s.exchange(ctx, c, fresh, func(bool) {})
			}
			if err := s.exchange(ctx, c, &session{}, func(bool) {}); err != nil {
				return err
			}
			s.r.secrets.add(c.session)
			fresh = &session{id: c.session, version: lost.version, stream: newStream(s.r.ctx)}
			return nil
		},
		func(ctx context.Context, m *message) error {
			fresh.version = s.r.handshake.agreed()
			return s.sendIn(ctx, fresh, m, nil)
		})
	if err != nil {
		if fresh != nil {
			s.end(s.r.ctx, fresh)
		}
		return err
	}
	s.mu.Lock()
	closed := s.closed
	if !closed {
		s.r.epoch.Add(1)
		s.current.Store(fresh)
	}
	s.mu.Unlock()
	if closed {
		s.end(s.r.ctx, fresh)
		return errStopped
	}
	lost.stop() // a server may hold the stream of a session open that it has forgotten
	return nil
}

// end closes a session with DELETE. A server may refuse that (spec 2.34).
func (s *streamable) end(ctx context.Context, sess *session) {
	sess.stop()
	if sess.id == "" {
		return
	}
	resp, err := s.ep.do(ctx, http.MethodDelete, nil, nil, sess.header(typeJSON+", "+typeEvents, ""), nil)
	if err != nil {
		s.r.log.Debug("ending the session failed", "error", err)
		return
	}
	discard(resp.Body)
}
