package bridgetest

import (
	"context"
	"encoding/json"
	"fmt"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// endpoint is the path of URL.
const endpoint = "/mcp"

// JSON-RPC error codes. The last one is what servers in the wild send; the protocol names none.
const (
	codeParse           = -32700
	codeInvalidRequest  = -32600
	codeMethodNotFound  = -32601
	codeInvalidParams   = -32602
	codeSessionNotFound = -32001
)

// serve answers a request as the Config says.
func (s *Server) serve(w http.ResponseWriter, r *Request) {
	switch {
	case !sameMachine(r.Header.Get("Origin")): // spec 2.10: DNS rebinding
		refuse(w, http.StatusForbidden, codeInvalidRequest, "Origin not allowed")
	case s.cfg.HTTPSSE:
		s.serveHTTPSSE(w, r)
	case strings.TrimSuffix(r.URL.Path, "/") != endpoint:
		http.NotFound(w, r.Request)
	case r.Request.Method == http.MethodPost:
		s.post(w, r)
	case r.Request.Method == http.MethodGet && s.cfg.Stream:
		s.get(w, r)
	case r.Request.Method == http.MethodDelete && !s.cfg.Stateless:
		s.delete(w, r)
	default:
		refuse(w, http.StatusMethodNotAllowed, codeInvalidRequest, "Method not allowed") // spec 2.24, 2.34
	}
}

// post takes a message of the client's.
func (s *Server) post(w http.ResponseWriter, r *Request) {
	switch {
	case !isJSON(r.Header):
		refuse(w, http.StatusUnsupportedMediaType, codeInvalidRequest, "Content-Type must be application/json")
		return
	case !accepts(r.Header, "application/json", "text/event-stream"): // spec 2.02
		refuse(w, http.StatusNotAcceptable, codeInvalidRequest, "Accept must list application/json and text/event-stream")
		return
	case !json.Valid(r.Body):
		refuse(w, http.StatusBadRequest, codeParse, "Parse error")
		return
	case !r.isMessage(): // a batch, for one
		refuse(w, http.StatusBadRequest, codeInvalidRequest, "Invalid request")
		return
	case s.isModern(r):
		s.postModern(w, r)
		return
	case r.Method == "initialize" && r.Header.Get(headerSession) == "":
		version, result := s.initialize(r)
		if !s.cfg.Stateless {
			id := s.openSession(&session{version: version, ended: make(chan struct{})})
			w.Header().Set(headerSession, id)
		}
		r.Answer(w, result)
		return
	}
	if s.sessionOf(w, r) == nil {
		return
	}
	switch {
	case r.Method == "":
		s.answered(r)
		w.WriteHeader(http.StatusAccepted) // spec 2.05
	case r.ID == nil:
		w.WriteHeader(http.StatusAccepted)
	default:
		s.answer(r.Context(), &reply{w: w, r: r})
	}
}

// get opens the stream for messages of the server's own.
func (s *Server) get(w http.ResponseWriter, r *Request) {
	if !accepts(r.Header, "text/event-stream") { // spec 2.23
		refuse(w, http.StatusNotAcceptable, codeInvalidRequest, "Accept must list text/event-stream")
		return
	}
	if sess := s.sessionOf(w, r); sess != nil {
		s.keepStream(r.Context(), r.Events(w), sess)
	}
}

// delete ends a session.
func (s *Server) delete(w http.ResponseWriter, r *Request) {
	if s.sessionOf(w, r) == nil {
		return
	}
	s.mu.Lock()
	s.endSession(r.Header.Get(headerSession))
	s.mu.Unlock()
	w.WriteHeader(http.StatusOK)
}

const (
	headerSession = "Mcp-Session-Id"
	headerVersion = "Mcp-Protocol-Version"
)

// sessionOf returns the session that r belongs to. If r names none that it may use, it is answered,
// and the result is nil.
func (s *Server) sessionOf(w http.ResponseWriter, r *Request) *session {
	id, version := r.Header.Get(headerSession), r.Header.Get(headerVersion)
	sess := &session{version: version} // what there is to know without sessions
	if !s.cfg.Stateless {
		if id == "" { // spec 2.17
			refuse(w, http.StatusBadRequest, codeInvalidRequest, headerSession+" is missing")
			return nil
		}
		if sess = s.findSession(id); sess == nil { // spec 2.18
			refuse(w, http.StatusNotFound, codeSessionNotFound, "Session not found")
			return nil
		}
	}
	// The header has been there since 2025-06-18 (spec 2.12 to 2.14).
	if version == "" && sess.version < "2025-06-18" {
		return sess
	}
	if version != sess.version || !slices.Contains(s.handshake, version) {
		refuse(w, http.StatusBadRequest, codeInvalidRequest, fmt.Sprintf("%s is %q and should be %q", headerVersion, version, sess.version))
		return nil
	}
	return sess
}

// answer answers a request other than the initialize that opens a session.
func (s *Server) answer(ctx context.Context, y *reply) {
	member := s.cfg.Legacy.answer(ctx, y)
	if member == "" {
		member = s.plainAnswer(ctx, y)
	}
	if ctx.Err() == nil {
		_ = y.finish(member)
	}
}

// plainAnswer returns the member "result" or "error" of an answer.
func (s *Server) plainAnswer(ctx context.Context, y *reply) string {
	switch y.r.Method {
	case "ping":
		return `"result":{}`
	case "tools/list":
		return `"result":` + toolsList
	case "tools/call":
		return s.call(ctx, y)
	case "initialize":
		return rpcError(codeInvalidRequest, "The session is initialized already")
	}
	return rpcError(codeMethodNotFound, "Method not found: "+y.r.Method)
}

// isJSON reports whether a request says that its body is JSON.
func isJSON(h http.Header) bool {
	t, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && t == "application/json"
}

// accepts reports whether a request's Accept lists all these types by name.
func accepts(h http.Header, types ...string) bool {
	var listed []string
	for item := range strings.SplitSeq(strings.Join(h.Values("Accept"), ","), ",") {
		if t, _, err := mime.ParseMediaType(item); err == nil {
			listed = append(listed, t)
		}
	}
	for _, t := range types {
		if !slices.Contains(listed, t) {
			return false
		}
	}
	return true
}

// sameMachine reports whether a browser's page of this origin may talk to the server. What is no
// browser sends no origin.
func sameMachine(origin string) bool {
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}
