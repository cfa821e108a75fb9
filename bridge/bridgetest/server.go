// Package bridgetest runs an MCP server on loopback, in the manner of net/http/httptest.
//
// A [Server] of the zero [Config] is a well-behaved streamable HTTP server with a few tools. It is
// strict: whatever the protocol obliges a client to send is refused where it is missing. Every
// other behaviour, good or bad, is what a Config's Handle makes of it.
//
// It is meant for tests and demonstrations. It lets everybody on the machine in.
package bridgetest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Lists of protocol revisions for a [Config].
var (
	Modern = []string{firstModern}                                                         // no handshake
	Dual   = []string{"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", firstModern} // with a handshake and without
)

// Config says how a server behaves. The zero value is a streamable HTTP server that keeps sessions,
// answers in JSON and offers no GET stream.
type Config struct {
	// Handle, if set, sees every request before the server does. It returns true when it has
	// answered it. [Request.Serve] gives a request back to the server from within Handle, for
	// instance with another ResponseWriter. Handle is called concurrently, and has to return when
	// the request's context is done. panic(http.ErrAbortHandler) cuts the connection.
	Handle func(w http.ResponseWriter, r *Request) bool

	// Versions are the protocol revisions on offer. The answer to initialize is the one asked for
	// if it is among them, and the last one otherwise. Nil means 2024-11-05 to 2025-11-25.
	//
	// With 2026-07-28, or what comes after it, the server also takes requests without a handshake;
	// with nothing else it takes no others. [Modern] and [Dual] are such lists.
	Versions []string

	SSE       bool // requests are answered as text/event-stream, not as application/json
	Stateless bool // there are no sessions
	Stream    bool // a GET opens a stream for the server's own messages; without it GET gets 405

	// HTTPSSE makes it a server of the old HTTP+SSE transport (2024-11-05) instead: a GET of URL
	// opens the stream that carries all the server's messages, and a POST to URL gets 405.
	HTTPSSE bool

	// Legacy, if set, makes the server offer more than a few tools.
	Legacy *Legacy

	// Unrecorded is for servers that run for long: Requests is empty, and Count always 0.
	Unrecorded bool

	// Listener is where to serve. Nil means a free port of 127.0.0.1.
	Listener net.Listener
}

// A Server is an MCP server on loopback. Its methods may be called concurrently.
type Server struct {
	cfg  Config
	url  string
	http *http.Server
	stop context.CancelFunc
	work sync.WaitGroup // the accept loop and every request under way

	handshake, modern []string // the revisions on offer, with a handshake and without

	mu       sync.Mutex
	closed   bool
	requests []*Request
	aborted  []*Request
	opened   int // sessions so far
	sessions map[string]*session
	streams  map[*EventStream]bool
	asked    int                      // requests of our own so far
	asking   map[string]chan *Request // those still unanswered, by id
	parked   map[string]*Request      // calls that wait for the client to call again, by requestState
	changed  chan struct{}            // closed, and replaced, when anything of the above changes
}

// A session is what an initialize request opens and a DELETE ends, or an HTTP+SSE stream.
type session struct {
	version string        // streamable HTTP: the negotiated revision
	ended   chan struct{} // closed when the session is over

	ctx    context.Context // HTTP+SSE: done when the stream is
	events *EventStream    // HTTP+SSE: the stream
}

// NewServer starts a server. The caller has to Close it. It panics where it can't listen, as
// net/http/httptest does.
func NewServer(cfg Config) *Server {
	if cfg.Versions == nil {
		cfg.Versions = []string{"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"}
	}
	if cfg.Listener == nil {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic(fmt.Sprintf("bridgetest: %v", err))
		}
		cfg.Listener = l
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Server{
		cfg:      cfg,
		url:      "http://" + cfg.Listener.Addr().String() + endpoint,
		stop:     stop,
		sessions: make(map[string]*session),
		streams:  make(map[*EventStream]bool),
		asking:   make(map[string]chan *Request),
		parked:   make(map[string]*Request),
		changed:  make(chan struct{}),
	}
	for _, version := range cfg.Versions {
		if version < firstModern {
			s.handshake = append(s.handshake, version)
		} else {
			s.modern = append(s.modern, version)
		}
	}
	if len(s.handshake) == 0 { // no sessions, and no GET (spec 2.43)
		s.cfg.Stateless, s.cfg.Stream = true, false
	}
	s.http = &http.Server{
		Handler:           http.HandlerFunc(s.receive),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: 10 * time.Second,
	}
	// Ends when Close closes the listener.
	s.work.Go(func() { _ = s.http.Serve(cfg.Listener) })
	return s
}

// URL returns the server's MCP endpoint, or its SSE endpoint if it speaks HTTP+SSE.
func (s *Server) URL() string { return s.url }

// Close cuts all connections and waits until no request is under way any more.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	_ = s.http.Close()
	s.stop() // after the cut, so that a handler that it wakes can't answer any more
	s.work.Wait()
}

// Requests returns all requests so far, in the order in which they were there as a whole.
func (s *Server) Requests() []*Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Count returns how many of the requests so far have this name, see [Request.String].
func (s *Server) Count(name string) int {
	n := 0
	for _, r := range s.Requests() {
		if r.String() == name {
			n++
		}
	}
	return n
}

// Aborted returns how many of the requests so far have this name and were left by the client before
// their answer was sent.
func (s *Server) Aborted(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, r := range s.aborted {
		if r.String() == name {
			n++
		}
	}
	return n
}

// Sessions returns how many sessions are alive: opened, and neither ended by the client nor
// forgotten by the server.
func (s *Server) Sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions)
}

// Streams returns how many streams are open that Notify sends on.
func (s *Server) Streams() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.streams)
}

// Wait returns nil as soon as cond is true, and the context's error if ctx is done before. It asks
// again whenever a request, a session or a stream has come or gone:
//
//	err := s.Wait(ctx, func() bool { return s.Count("tools/call") == 2 })
func (s *Server) Wait(ctx context.Context, cond func() bool) error {
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if cond() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Notify sends a JSON-RPC message, as it is, on every open GET stream. A notification also goes out
// on the stream of every subscriptions/listen request that asks for it, with that one's id.
func (s *Server) Notify(message string) {
	s.mu.Lock()
	streams := make([]*EventStream, 0, len(s.streams))
	for e := range s.streams {
		streams = append(streams, e)
	}
	s.mu.Unlock()
	for _, e := range streams {
		text, wanted := message, true
		if e.fit != nil {
			text, wanted = e.fit(message)
		}
		if wanted {
			_ = e.Send(text) // a stream that is gone is no failure of the others
		}
	}
}

// ForgetSessions makes every session id so far an unknown one, as a restart of the server would,
// and ends the sessions' GET streams.
func (s *Server) ForgetSessions() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.sessions {
		s.endSession(id)
	}
}

// receive reads a request as a whole, records it, and answers it or lets Handle do so.
func (s *Server) receive(w http.ResponseWriter, hr *http.Request) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		panic(http.ErrAbortHandler)
	}
	s.work.Add(1) // under mu, so that it never meets Close's Wait
	s.mu.Unlock()
	defer s.work.Done()

	body, err := io.ReadAll(hr.Body)
	if err != nil {
		return // the client left in the middle
	}
	hr.Body = io.NopCloser(bytes.NewReader(body)) // for a Handle that passes it on
	r := newRequest(s, hr, body)
	if !s.cfg.Unrecorded {
		s.mu.Lock()
		s.requests = append(s.requests, r)
		s.change()
		s.mu.Unlock()
	}
	defer s.noticeAbort(hr.Context(), r)
	if s.cfg.Handle == nil || !s.cfg.Handle(w, r) {
		r.Serve(w)
	}
}

// noticeAbort keeps a request that the client has left before it had an answer.
func (s *Server) noticeAbort(ctx context.Context, r *Request) {
	if ctx.Err() == nil || r.answered.Load() || s.cfg.Unrecorded {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.aborted = append(s.aborted, r)
	s.change()
}

// change wakes all that Wait. The caller holds mu.
func (s *Server) change() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// openSession returns the id of a new session: S1, S2 and so on.
func (s *Server) openSession(sess *session) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened++
	id := fmt.Sprintf("S%d", s.opened)
	s.sessions[id] = sess
	s.change()
	return id
}

func (s *Server) findSession(id string) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[id]
}

// endSession does nothing for an id that is unknown already. The caller holds mu.
func (s *Server) endSession(id string) {
	if sess := s.sessions[id]; sess != nil {
		close(sess.ended)
		delete(s.sessions, id)
		s.change()
	}
}

// addStream has Notify send on e.
func (s *Server) addStream(e *EventStream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streams[e] = true
	s.change()
}

// keepStream has Notify send on e until ctx is done or the session is over.
func (s *Server) keepStream(ctx context.Context, e *EventStream, sess *session) {
	s.addStream(e)

	select {
	case <-ctx.Done():
	case <-sess.ended:
	}

	s.mu.Lock()
	delete(s.streams, e)
	s.change()
	s.mu.Unlock()
	e.end()
}

// ask sends a request of the server's own on e and waits for the client's answer. Its ids count
// from 1, as a client's do, so that the two get into each other's way if they can.
func (s *Server) ask(ctx context.Context, send func(message string) error, method, params string) (*Request, error) {
	s.mu.Lock()
	s.asked++
	id := fmt.Sprint(s.asked)
	answer := make(chan *Request, 1)
	s.asking[id] = answer
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.asking, id)
		s.mu.Unlock()
	}()

	if err := send(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"method":%q,"params":%s}`, id, method, params)); err != nil {
		return nil, err
	}
	select {
	case r := <-answer:
		return r, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// answered hands a client's answer to the ask that waits for it, if there is one.
func (s *Server) answered(r *Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if answer := s.asking[string(r.ID)]; answer != nil {
		delete(s.asking, string(r.ID)) // so that a second one finds nobody
		answer <- r
	}
}
