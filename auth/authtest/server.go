// Package authtest runs an OAuth 2.1 authorization server on loopback, and guards MCP servers that
// want its tokens, in the manner of net/http/httptest.
//
// A [Server] of the zero [Config] is well behaved and strict: whatever OAuth 2.1 and MCP oblige a
// client to send is refused where it is missing. It asks its user for consent on a page, but not
// who they are. Every other behaviour, good or bad, is what its Config makes of it.
//
// All that is secret begins with "secret-", so that a search finds it where it should not be.
//
// It is meant for tests and demonstrations. It lets everybody on the machine in.
package authtest

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// The paths of the server's endpoints.
const (
	pathAuthorize = "/authorize"
	pathConsent   = "/consent" // takes the answer of the consent page
	pathToken     = "/token"
	pathRegister  = "/register"
	pathRevoke    = "/revoke"
	pathDevice    = "/device_authorization"
	pathUserCode  = "/device" // the page for the user of a device
)

// A Server is an authorization server on loopback. Its methods may be called concurrently.
type Server struct {
	url  string
	http *http.Server
	stop context.CancelFunc
	key  func() *ecdsa.PrivateKey // that it signs with
	work sync.WaitGroup           // the accept loop and every request under way

	mu       sync.Mutex
	cfg      Config
	closed   bool
	requests []*Request
	clients  map[string]*Client // registered here
	pending  map[string]*pending
	codes    map[string]*code
	devices  map[string]*device
	tokens   map[string]*token
	shown    map[string]time.Time // what is good for one time and was there: client assertions, ID-JAGs, proofs; until they expire
	nonces   int                  // how often they have been renewed
	reused   int
	revoked  int
}

// NewServer starts a server. The caller has to Close it. It panics where it can't listen, as
// net/http/httptest does.
func NewServer(cfg Config) *Server {
	l := cfg.Listener
	if l == nil {
		var err error
		if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			panic(fmt.Sprintf("authtest: %v", err))
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Server{
		url:     "http://" + l.Addr().String(),
		stop:    stop,
		cfg:     cfg,
		clients: make(map[string]*Client),
		pending: make(map[string]*pending),
		codes:   make(map[string]*code),
		devices: make(map[string]*device),
		tokens:  make(map[string]*token),
		shown:   make(map[string]time.Time),
		key:     sync.OnceValue(newSigningKey),
	}
	s.cfg.Faults = slices.Clone(cfg.Faults) // they are counted in place
	s.http = &http.Server{
		Handler:           s,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: 10 * time.Second,
	}
	// Ends when Close closes the listener.
	s.work.Go(func() { _ = s.http.Serve(l) })
	return s
}

// URL returns the server's origin, which is its issuer unless its Config says otherwise.
func (s *Server) URL() string { return s.url }

// Set changes how the server behaves from the next request on. Maps of the Config have to be
// replaced, not changed.
func (s *Server) Set(change func(*Config)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cfg.Faults = slices.Clone(s.cfg.Faults)
	change(&s.cfg)
}

// config returns the Config of this moment. Its Faults are not to be touched.
func (s *Server) config() *Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	cfg := s.cfg
	return &cfg
}

// Close cuts all connections and waits until no request is under way any more.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	_ = s.http.Close()
	s.stop() // after the cut, so that a handler that it wakes can't answer any more
	s.work.Wait()
}

// ServeHTTP makes the server available at other places than its URL. Its issuer and its endpoints
// are always on the origin that a request came to.
func (s *Server) ServeHTTP(w http.ResponseWriter, hr *http.Request) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		panic(http.ErrAbortHandler)
	}
	s.work.Add(1) // under mu, so that it never meets Close's Wait
	handle, unrecorded := s.cfg.Handle, s.cfg.Unrecorded
	s.mu.Unlock()
	defer s.work.Done()

	body, err := io.ReadAll(http.MaxBytesReader(w, hr.Body, 1<<20))
	if err != nil {
		return // the client left in the middle, or is none
	}
	hr.Body = io.NopCloser(bytes.NewReader(body))
	_ = hr.ParseForm() // what can't be read is missing
	r := &Request{Request: hr, Body: body, server: s}
	if !unrecorded {
		s.mu.Lock()
		s.requests = append(s.requests, r)
		s.mu.Unlock()
	}
	if handle == nil || !handle(w, r) {
		r.Serve(w)
	}
}

// A Request is one HTTP request. Its Form has been parsed.
type Request struct {
	*http.Request
	Body []byte // exactly what came

	server *Server
}

// String names a request for assertions, as in "POST /token".
func (r *Request) String() string { return r.Method + " " + r.URL.Path }

// Serve answers as the server does where there is no Handle.
func (r *Request) Serve(w http.ResponseWriter) {
	s := r.server
	if s.fault(w, r.Request) {
		return
	}
	cfg := s.config()
	switch path := r.URL.Path; {
	case slices.Contains(cfg.metadataAt(), path) && r.Method == http.MethodGet:
		writeJSON(w, http.StatusOK, cfg.metadata(r.Request))
	case path == pathRegister && r.Method == http.MethodPost:
		s.register(w, r, cfg)
	case path == pathAuthorize && r.Method == http.MethodGet:
		s.authorize(w, r, cfg)
	case path == pathConsent && r.Method == http.MethodPost:
		s.consent(w, r)
	case path == pathToken && r.Method == http.MethodPost:
		s.token(w, r, cfg)
	case path == pathRevoke && r.Method == http.MethodPost:
		s.revoke(w, r, cfg)
	case path == pathDevice && r.Method == http.MethodPost:
		s.authorizeDevice(w, r, cfg)
	case path == pathUserCode && r.Method == http.MethodGet:
		s.userCode(w, r)
	default:
		http.NotFound(w, r.Request)
	}
}

// Requests returns all requests so far, in the order in which they were there as a whole.
func (s *Server) Requests() []*Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Count returns how many of the requests so far have this name, see [Request.String], whatever
// they were answered. A name may end in the grant type, as in "POST /token refresh_token".
func (s *Server) Count(name string) int {
	n := 0
	for _, r := range s.Requests() {
		if r.String() == name || r.String()+" "+r.Form.Get("grant_type") == name {
			n++
		}
	}
	return n
}

// Registrations returns how many registrations were asked for.
func (s *Server) Registrations() int { return s.Count("POST " + pathRegister) }

// Authorizations returns how often the authorization endpoint was called, be it by a browser or
// by a client that looks ahead.
func (s *Server) Authorizations() int { return s.Count("GET " + pathAuthorize) }

// Exchanges returns how many codes were sent to the token endpoint.
func (s *Server) Exchanges() int { return s.Count("POST " + pathToken + " " + grantCode) }

// Refreshes returns how many refresh tokens were sent to the token endpoint.
func (s *Server) Refreshes() int { return s.Count("POST " + pathToken + " " + grantRefresh) }

// ReuseDetected returns how often a code or a refresh token came that had been used before.
func (s *Server) ReuseDetected() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reused
}

// Revoked returns how many tokens clients have revoked.
func (s *Server) Revoked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.revoked
}

// Clients returns the clients that are registered at the moment, by id.
func (s *Server) Clients() map[string]Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	clients := make(map[string]Client, len(s.clients))
	for id, c := range s.clients {
		clients[id] = *c
	}
	return clients
}

// ForgetClients drops all registrations, as a restart of a server with a memory only would.
// Config.UnknownClient says how the authorization endpoint takes it. Access tokens stay good.
func (s *Server) ForgetClients() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.clients)
}

// RevokeAccessTokens makes all access tokens so far bad ones. Refresh tokens stay good.
func (s *Server) RevokeAccessTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tokens {
		t.revoked = t.revoked || !t.refresh
	}
}

// RevokeAll makes all tokens so far bad ones.
func (s *Server) RevokeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tokens {
		t.grant.revoked = true
	}
}

// origin returns where a request came to.
func origin(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// An oauthError is the refusal of a request, by the RFCs' codes.
type oauthError struct{ code, description string }

func refuse(code, description string) *oauthError { return &oauthError{code, description} }

// write answers with the error (RFC 6749 5.2).
func (e *oauthError) write(w http.ResponseWriter) {
	status := http.StatusBadRequest
	if e.code == "invalid_client" {
		status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", `Basic realm="authtest"`)
	}
	writeJSON(w, status, map[string]any{"error": e.code, "error_description": e.description})
}

func writeJSON(w http.ResponseWriter, status int, doc any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(doc) // a client that is gone doesn't matter
}

// scopesIn reports whether all of the scopes are in the set, both lists with spaces between.
func scopesIn(scopes, set string) bool {
	known := strings.Fields(set)
	for scope := range strings.FieldsSeq(scopes) {
		if !slices.Contains(known, scope) {
			return false
		}
	}
	return true
}
