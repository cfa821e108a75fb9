package bridge

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
)

// DefaultInitializeGrace is how long a host waits for the answer to initialize while the user is to sign in.
// Hosts give up after 30 s or a minute, and a first sign-in takes longer.
const DefaultInitializeGrace = 10 * time.Second

const (
	// pendingLook is how often it is looked whether the user is still waited for.
	pendingLook = 100 * time.Millisecond

	// retryFirst and retryMost bound the wait before a server that is down is tried again.
	retryFirst = 2 * time.Second
	retryMost  = time.Minute
)

// SignInTool is the name of the tool that a host is given while the user is to sign in.
const SignInTool = "mcp_bridge_sign_in"

// An early stands before a server that may want the user to sign in first. If that takes longer than a host
// waits, the bridge answers initialize itself: with what the server said in an earlier run, or with next to
// nothing and one tool that waits for the sign-in. When the server has answered, the host is told that all
// lists have changed, and from then on the server is all there is.
type early struct {
	r      *relay
	server remote

	mu      sync.Mutex
	state   earlyState
	ready   chan struct{} // closed when the server has answered, or the attempt has failed
	err     error         // why the last attempt failed; nil if it did not
	told    object        // the result of initialize that the host got from here; nil: it got the server's
	kept    bool          // that is what the server said in an earlier run
	hello   *message      // the host's initialize
	asked   []byte        // id of the question that sends the user to a page; nil: there is none
	page    []byte        // its elicitationId
	retries int
}

type earlyState int

const (
	through  earlyState = iota // the server is all there is
	waiting                    // an attempt is under way, and the host was answered
	stranded                   // the last attempt has failed, and the host was answered
)

func (s *early) request(ctx context.Context, c *call, sent sentFunc) error {
	if c.isInitialize() {
		return s.initialize(ctx, c, sent)
	}
	signIn := c.is(mcp.MethodToolsCall) && readObject(c.params).text("name") == SignInTool
	if s.now() == through && !(signIn && s.toldHost()) {
		return s.server.request(ctx, c, sent)
	}
	sent(true) // the order of what follows begins anew when the server is there
	c.heard()
	if result := s.meanwhile(c); result != nil {
		c.revise = nil // these are not the server's tools
		return s.r.deliver(rawResult(c.id, result.raw()), c)
	}
	if err := s.wait(ctx, signIn); err != nil {
		if signIn && ctx.Err() == nil {
			return s.r.deliver(rawResult(c.id, toolError(err.Error()).raw()), c)
		}
		return err
	}
	if signIn {
		done := object{{"content", array([][]byte{textBlock("Signed in. The server's own tools are there now.")})}}
		return s.r.deliver(rawResult(c.id, done.raw()), c)
	}
	c.sent.Store(false)
	return s.server.request(ctx, c, func(written bool) { c.sent.Store(written) })
}

// toldHost tells whether the host got its answer to initialize from here.
func (s *early) toldHost() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.told != nil
}

func (s *early) now() earlyState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// initialize passes initialize on. The host gets an answer of the bridge's if the user is waited for when the
// grace is over.
func (s *early) initialize(ctx context.Context, c *call, sent sentFunc) error {
	answer, agree := c.answer, c.onResult
	c.onResult = func(result *message) {
		agree(result)
		s.keep(result.result)
	}
	s.mu.Lock()
	s.hello, s.ready = c.message, make(chan struct{})
	s.mu.Unlock()
	c.answer = func(raw []byte) {
		s.mu.Lock()
		if s.state == through {
			defer s.mu.Unlock()
			answer(raw)
			return
		}
		s.mu.Unlock()
		s.arrived(raw)
	}
	tell := func(pending Pending) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.state != through || c.over() {
			return
		}
		s.state = waiting
		s.told, s.kept = s.says(c.message, pending)
		answer(rawResult(c.id, s.told.raw()))
	}
	watch, stop := context.WithCancel(ctx)
	defer stop()
	s.r.work.Go(func() { s.watch(watch, tell) }) // ends with the attempt
	err := s.server.request(ctx, c, sent)
	if err != nil && s.r.cfg.OfflineStart && !c.over() && ctx.Err() == nil && away(err) {
		tell(Pending{})
	}
	return err
}

// away tells whether an error means that a server can't be reached now.
func away(err error) bool {
	if status := statusOf(err); status != nil {
		return status.Code >= 500 || status.Code == 429
	}
	_, unreachable := errors.AsType[*reachError](err)
	_, late := errors.AsType[*timeoutError](err)
	_, lost := errors.AsType[*lostError](err)
	return unreachable || late || lost
}

// watch tells the host when the grace is over and the user is waited for, or, where that is wanted, the server.
func (s *early) watch(ctx context.Context, tell func(Pending)) {
	if !sleep(ctx, cmp.Or(s.r.cfg.InitializeGrace, DefaultInitializeGrace)) {
		return
	}
	for {
		pending := s.pending()
		if pending != nil || s.r.cfg.OfflineStart {
			if pending == nil {
				pending = new(Pending)
			}
			tell(*pending)
			return
		}
		if !sleep(ctx, pendingLook) {
			return
		}
	}
}

func (s *early) pending() *Pending {
	if s.r.cfg.Pending == nil {
		return nil
	}
	return s.r.cfg.Pending()
}

// keep keeps what the server said, for a later run.
func (s *early) keep(result []byte) {
	greeting := s.r.cfg.Greeting
	if greeting == nil {
		return
	}
	result = bytes.Clone(result)
	s.r.work.Go(func() { // ends when it is written
		if !bytes.Equal(greeting.Load(), result) {
			greeting.Save(result)
		}
	})
}

// says returns the result of initialize that the host gets from here, and whether it is the server's own.
func (s *early) says(hello *message, pending Pending) (object, bool) {
	if s.r.cfg.Greeting != nil {
		if kept := readObject(s.r.cfg.Greeting.Load()); kept.text("protocolVersion") != "" {
			return kept, true
		}
	}
	version := readObject(hello.params).text("protocolVersion")
	if !slices.Contains(legacyVersions, version) {
		version = legacyVersions[0]
	}
	const all = `{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"listChanged":true},"logging":{}}`
	return object{{"protocolVersion", quote(version)}, {"capabilities", []byte(all)},
		{"serverInfo", object{{"name", quote(s.r.endpoint.at.Load().Hostname())}, {"version", []byte(`""`)}}.raw()},
		{"instructions", quote("The tool " + SignInTool + " waits until the server is there. " + s.advice(pending))}}, false
}

// advice says what the user is to do.
func (s *early) advice(pending Pending) string {
	server := s.r.endpoint.at.Load().Host
	switch {
	case pending.URL == "":
		return fmt.Sprintf("The server %s can't be reached at the moment; its tools appear when it can.", server)
	case pending.Code != "":
		return fmt.Sprintf("Sign-in to %s is pending: open %s and enter the code %s.", server, pending.URL, pending.Code)
	}
	return fmt.Sprintf("Sign-in to %s is pending: finish it in the browser; if it did not open, go to %s", server, pending.URL)
}

// meanwhile returns the result of a request while the server is not there, nil if it has to wait.
func (s *early) meanwhile(c *call) object {
	s.mu.Lock()
	capabilities := s.told.child("capabilities")
	s.mu.Unlock()
	empty := func(list, key string) object {
		if string(capabilities.child(list).get("listChanged")) != "true" {
			return nil // the host would not ask again
		}
		return object{{key, []byte("[]")}}
	}
	switch mcp.MCPMethod(c.method) {
	case mcp.MethodPing, mcp.MethodSetLogLevel:
		return object{}
	case mcp.MethodPromptsList:
		return empty("prompts", "prompts")
	case mcp.MethodResourcesList:
		return empty("resources", "resources")
	case mcp.MethodResourcesTemplatesList:
		return empty("resources", "resourceTemplates")
	case mcp.MethodToolsList:
		if result := empty("tools", "tools"); result != nil {
			pending := cmp.Or(s.pending(), new(Pending))
			tool := object{{"name", quote(SignInTool)}, {"title", quote("Sign in")},
				{"description", quote("Waits until the server is there. " + s.advice(*pending))},
				{"inputSchema", []byte(`{"type":"object","properties":{}}`)}}
			return result.with("tools", array([][]byte{tool.raw()}))
		}
	}
	return nil
}

// wait waits until the server is there. After a failure, the one who asks to sign in begins another attempt.
func (s *early) wait(ctx context.Context, again bool) error {
	s.mu.Lock()
	if s.state == through {
		s.mu.Unlock()
		return nil
	}
	if s.state == stranded && (again || s.r.cfg.OfflineStart) {
		s.begin()
	}
	ready := s.ready
	s.mu.Unlock()
	select {
	case <-ready:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == through {
		return nil
	}
	return s.err
}

// begin makes another attempt. The caller holds mu.
func (s *early) begin() {
	s.state, s.err, s.ready = waiting, nil, make(chan struct{})
	hello := built(s.hello.withID(s.r.mint()))
	s.r.work.Go(func() { // ends with the attempt
		answer, err := s.r.askServer(s.r.ctx, hello, ask{request: s.server.request, prepare: func(c *call) {
			c.onResult = func(result *message) {
				s.r.agree(c, result)
				s.keep(result.result)
			}
		}})
		switch {
		case err != nil:
			s.failed(err)
		default:
			s.arrived(answer.raw)
		}
	})
}

// arrived takes the answer to initialize that comes after the host got one from here; nil: there is none.
func (s *early) arrived(raw []byte) {
	if raw == nil {
		s.failed(errStopped)
		return
	}
	m := built(bytes.Clone(raw))
	if m.failed {
		s.failed(errors.New(readObject(m.err).text("message")))
		return
	}
	result := readObject(m.result)
	s.mu.Lock()
	told, kept, page := s.told, s.kept, s.page
	s.mu.Unlock()
	// What the bridge said by itself promises no more than that lists may change.
	if told.text("protocolVersion") != result.text("protocolVersion") || kept && !equalJSON(told.get("capabilities"), result.get("capabilities")) {
		s.failed(ErrSessionChanged)
		s.r.fail(ErrSessionChanged)
		return
	}
	s.r.handshake.mu.Lock()
	initialized := s.r.handshake.initialized
	s.r.handshake.mu.Unlock()
	if initialized != nil {
		ctx, cancel := context.WithTimeout(s.r.ctx, handshakeLimit)
		err := s.server.send(ctx, built(bytes.Clone(initialized)), nil)
		cancel()
		if err != nil {
			s.failed(err)
			return
		}
	}
	s.mu.Lock()
	s.state = through
	ready := s.ready
	s.mu.Unlock()
	defer close(ready) // those who waited go on when the host knows
	s.r.log.Info("the server is there")
	if page != nil {
		s.r.out.write(rawNotification(string(mcp.MethodNotificationElicitationComplete), object{{"elicitationId", page}}.raw()))
	}
	for _, list := range changeableLists {
		if told.child("capabilities").child(list).has("listChanged") && result.child("capabilities").has(list) {
			s.r.to.fromServer(listChanged(list), nil)
		}
	}
}

// failed ends an attempt. Where the server is only away it is tried again.
func (s *early) failed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state, s.err = stranded, err
	close(s.ready)
	if !s.r.cfg.OfflineStart || s.r.ctx.Err() != nil {
		return
	}
	delay := min(retryFirst<<min(s.retries, 10), retryMost)
	s.retries++
	s.r.work.Go(func() { // ends with the relay, or when it is time
		if sleep(s.r.ctx, delay) {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.state == stranded {
				s.begin()
			}
		}
	})
}

func (s *early) send(ctx context.Context, m *message, sent sentFunc) error {
	if m.kind == response {
		s.mu.Lock()
		ours := s.asked != nil && idKey(m.id) == idKey(s.asked)
		s.mu.Unlock()
		if ours {
			return nil // whether the user goes there or not, the sign-in shows
		}
	}
	if s.now() == through {
		return s.server.send(ctx, m, sent)
	}
	if m.is(mcp.MethodNotificationInitialized) {
		s.sendUser()
	}
	return nil // it is about nothing that the server knows; initialized is sent when it does
}

// sendUser sends the user to the page where he signs in, the way the host can.
func (s *early) sendUser() {
	pending := s.pending()
	if pending == nil || pending.URL == "" {
		return
	}
	s.mu.Lock()
	elicitation := readObject(s.hello.params).child("capabilities").child("elicitation")
	byURL := elicitation.has("url") && s.told.text("protocolVersion") >= mcp.ProtocolVersion20251125
	if byURL {
		s.asked, s.page = s.r.mint(), s.r.mint()
	}
	asked, page, logging := s.asked, s.page, s.told.child("capabilities").has("logging")
	s.mu.Unlock()
	if byURL {
		s.r.out.write(rawRequest(asked, string(mcp.MethodElicitationCreate), object{{"mode", []byte(`"url"`)},
			{"message", quote(s.advice(*pending))}, {"url", quote(pending.URL)}, {"elicitationId", page}}.raw()))
	}
	if logging {
		s.r.out.write(rawNotification(string(mcp.MethodNotificationMessage), object{{"level", []byte(`"notice"`)},
			{"logger", []byte(`"mcp-bridge"`)}, {"data", quote(s.advice(*pending))}}.raw()))
	}
}

func (s *early) established(c *call, version string) { s.server.established(c, version) }
func (s *early) cancel(c *call) bool                 { return s.now() == through && s.server.cancel(c) }
func (s *early) reopen(dead bool)                    { s.server.reopen(dead) }
func (s *early) close(ctx context.Context)           { s.server.close(ctx) }
