package bridge

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"github.com/mark3labs/mcp-go/mcp"
)

// modernVersions are the protocol revisions without a handshake, and legacyVersions those with one,
// that the bridge knows; the latest first.
var (
	modernVersions = []string{mcp.ProtocolVersion20260728}
	legacyVersions = []string{mcp.ProtocolVersion20251125, mcp.ProtocolVersion20250618, mcp.ProtocolVersion20250326, mcp.ProtocolVersion20241105}
)

// A modern is a server of 2026-07-28 or later, reached over streamable HTTP. There is no session: each
// request says all there is to know, and nothing but its response stream belongs to it (spec 2C).
type modern struct {
	r      *relay
	native bool // the host gets the server's answers as they are
	ep     *endpoint
	tools  toolHeaders

	mu     sync.Mutex
	listen map[*call]func() // how to end the connections of the listen requests under way
}

func newModern(r *relay, ep *endpoint) *modern { return &modern{r: r, ep: ep} }

func (s *modern) request(ctx context.Context, c *call, sent sentFunc) error {
	if c.is(mcp.MethodSubscriptionsListen) {
		return s.keepListening(ctx, c, sent)
	}
	return s.ask(ctx, c, sent)
}

// ask posts a request, and once more where that is safe: under another id, as a request whose stream
// broke is lost (spec 2.46).
func (s *modern) ask(ctx context.Context, c *call, sent sentFunc) error {
	repeated, refreshed, waited := false, false, 0
	var mismatch []byte // the server's words
	others := c.intercept
	defer func() { c.intercept = others }()
	c.intercept = func(m *message) bool {
		if code := errorCode(m); code == mcp.HEADER_MISMATCH {
			mismatch = []byte(s.r.secrets.excerpt(m.err, ""))
			return true
		}
		if c.is(mcp.MethodToolsList) && !m.failed {
			s.tools.learn(m, s.r.log)
		}
		if s.native && !c.is(mcp.MethodServerDiscover) {
			sayVersions(m)
		}
		return others != nil && others(m)
	}
	switch {
	case c.is(mcp.MethodToolsList):
		defer s.tools.begin()()
	case c.is(mcp.MethodToolsCall) && !s.tools.listed(ctx):
		s.refresh(ctx, c) // spec 2.54
	}
	for {
		m := c.message
		if c.alias != "" {
			m = built(c.withID([]byte(c.alias + `"`)))
		}
		mismatch = nil
		err := s.exchange(ctx, c, m, sent)
		status := statusOf(err)
		_, lost := errors.AsType[*lostError](err)
		switch {
		case c.over():
			return nil
		case mismatch != nil && !refreshed && !c.is(mcp.MethodToolsList):
			refreshed = true // spec 2.64
			if c.is(mcp.MethodToolsCall) {
				s.refresh(ctx, c)
			}
		case mismatch != nil:
			return &mismatchError{s.ep.String(), string(mismatch)}
		case !repeated && (mayRepeat(err, c) || lost && c.onlyReads()):
			repeated = true
			if !sleep(ctx, repeatDelay) {
				return context.Cause(ctx)
			}
		case status != nil && didNotRun(status, c) && status.RetryAfter > 0 && status.RetryAfter <= maxRetryAfter && waited < maxRetries:
			waited++
			s.r.log.Warn("the server asks to wait before it takes a request", "status", status.Code, "seconds", status.RetryAfter.Seconds())
			if !sleep(ctx, status.RetryAfter) {
				return context.Cause(ctx)
			}
		default:
			return err
		}
		c.sent.Store(false)
		c.alias = idKey(s.r.mint())
	}
}

// exchange posts m, which is c's message or has another id, and reads what comes back until the call
// is answered or can't be.
func (s *modern) exchange(ctx context.Context, c *call, m *message, sent sentFunc) error {
	c.sent.Store(false)
	header, err := s.header(m)
	if err != nil {
		return err
	}
	resp, err := s.ep.do(ctx, http.MethodPost, nil, m.raw, header, sent)
	if err != nil {
		if reach, ok := errors.AsType[*reachError](err); ok && c.sent.Load() {
			return &lostError{URL: reach.URL, cause: reach.cause, early: true}
		}
		return err
	}
	defer discard(resp.Body)
	if resp.StatusCode/100 != 2 {
		status, body := s.ep.readStatus(resp)
		if m, err := parse(body); err == nil && m.kind == response { // it is the answer, whatever the status (spec 2.50)
			_ = s.r.deliver(body, c)
		}
		return status
	}
	c.heard()
	if mediaType(resp.Header.Get("Content-Type")) == typeEvents {
		var at position
		_, err := s.r.pump(ctx, resp.Body, &at, c)
		at.id = "" // streams of this revision can't be resumed (spec 2.43)
		s.r.unheld(&at, c)
		switch {
		case c.over():
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		}
		return &lostError{URL: s.ep.String(), cause: plainEnd(err)}
	}
	return s.r.readAnswer(ctx, resp, c, s.ep)
}

// header returns the headers that repeat what the message says (spec 2.38–2.41, 2.52).
func (s *modern) header(m *message) (http.Header, error) {
	params := readObject(m.params)
	h := http.Header{"Accept": {typeJSON + ", " + typeEvents}, "Content-Type": {typeJSON}, mcp.HeaderMethod: {headerValue(string(m.method))},
		mcp.HeaderName: nil, mcp.HeaderSessionID: nil, mcp.HeaderLastEventID: nil} // none, unless there is something to say
	version := params.child("_meta").text(mcp.MetaKeyProtocolVersion)
	switch {
	case version != "":
		h[mcp.HeaderProtocolVersion] = []string{version}
	case m.kind == request: // spec 1.40
		return nil, &rpcError{code: mcp.INVALID_PARAMS, text: "_meta has no " + mcp.MetaKeyProtocolVersion}
	}
	if name, ok := headerName(m, params); ok {
		h[mcp.HeaderName] = []string{headerValue(name)}
	}
	if m.is(mcp.MethodToolsCall) {
		if err := s.tools.add(h, params); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// headerName returns what the Mcp-Name header of a request says, if it has one.
func headerName(m *message, params object) (string, bool) {
	key := "name"
	switch string(m.method) {
	case string(mcp.MethodToolsCall), string(mcp.MethodPromptsGet):
	case string(mcp.MethodResourcesRead):
		key = "uri"
	case string(mcp.MethodTasksGet), string(mcp.MethodTasksCancel), "tasks/update":
		key = "taskId"
	default:
		return "", false
	}
	value := params.get(key)
	return string(plain(value)), len(value) > 0 && value[0] == '"'
}

// headerValue encodes text for a header (spec 2.59–2.62).
func headerValue(text string) string {
	value, _ := mcp.EncodeHeaderValue(text) // a string always can be
	return value
}

// send posts a notification of the host's. A cancellation has had its effect: it closes the stream of
// its request (spec 6.63). Answers to questions do not exist.
func (s *modern) send(ctx context.Context, m *message, sent sentFunc) error {
	if m.kind != notification || m.is(mcp.MethodNotificationCancelled) {
		return nil
	}
	header, err := s.header(m)
	if err != nil {
		return err
	}
	resp, err := s.ep.do(ctx, http.MethodPost, nil, m.raw, header, sent)
	if err != nil {
		return err
	}
	defer discard(resp.Body)
	if resp.StatusCode/100 != 2 {
		status, _ := s.ep.readStatus(resp)
		return status
	}
	return nil
}

func (s *modern) cancel(*call) bool         { return false }
func (s *modern) established(*call, string) {}
func (s *modern) close(context.Context)     {}

// reopen ends the connections of listen requests; others are made in their place.
func (s *modern) reopen(bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, end := range s.listen {
		end()
	}
}

// refresh asks for the tools, so that their headers are known. It is best effort: the call that
// needs it is sent in any case. What it says of itself is taken from that call.
func (s *modern) refresh(ctx context.Context, from *call) {
	ctx, cancel := context.WithTimeoutCause(ctx, handshakeLimit, &timeoutError{handshakeLimit})
	defer cancel()
	meta := readObject(readObject(from.params).get("_meta")).without("progressToken", mcp.MetaKeyLogLevel)
	params := object{{"_meta", meta.raw()}}
	for range maxPages {
		answer, err := s.r.askServer(ctx, s.r.newRequest(string(mcp.MethodToolsList), params), ask{request: s.ask})
		if err != nil || answer.failed {
			s.r.log.Debug("the tools can't be listed", "error", err)
			return
		}
		next := readObject(answer.result).get("nextCursor")
		if len(next) == 0 || next[0] != '"' {
			return
		}
		params = params.with("cursor", next)
	}
}

// maxPages is how many pages of a list are asked for.
const maxPages = 100
