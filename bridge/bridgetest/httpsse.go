package bridgetest

import "net/http"

// messages is the path that an HTTP+SSE server takes messages at.
const messages = "/messages"

// serveHTTPSSE speaks the transport of 2024-11-05: all messages of the server's come on the stream
// that a GET opened, and those of the client's are POSTed to where the first event says (spec 3.01
// to 3.05). The session is that stream.
func (s *Server) serveHTTPSSE(w http.ResponseWriter, r *Request) {
	switch method, path := r.Request.Method, r.URL.Path; {
	case path == endpoint && method == http.MethodGet:
		s.getHTTPSSE(w, r)
	case path == messages && method == http.MethodPost:
		s.postHTTPSSE(w, r)
	case path == endpoint || path == messages:
		http.Error(w, "Method Not Allowed", http.StatusMethodNotAllowed)
	default:
		http.NotFound(w, r.Request)
	}
}

// getHTTPSSE opens a session.
func (s *Server) getHTTPSSE(w http.ResponseWriter, r *Request) {
	if !accepts(r.Header, "text/event-stream") {
		http.Error(w, "Accept must list text/event-stream", http.StatusNotAcceptable)
		return
	}
	sess := &session{ctx: r.Context(), events: r.Events(w), ended: make(chan struct{})}
	id := s.openSession(sess)
	defer func() {
		s.mu.Lock()
		s.endSession(id)
		s.mu.Unlock()
	}()
	_ = sess.events.Raw("event: endpoint\ndata: " + messages + "?session=" + id + "\n\n")
	s.keepStream(r.Context(), sess.events, sess)
}

// postHTTPSSE takes a message of the client's.
func (s *Server) postHTTPSSE(w http.ResponseWriter, r *Request) {
	sess := s.sessionHTTPSSE(r)
	switch {
	case sess == nil:
		http.Error(w, "Session not found", http.StatusNotFound)
		return
	case !isJSON(r.Header):
		http.Error(w, "Content-Type must be application/json", http.StatusUnsupportedMediaType)
		return
	case !r.isMessage():
		http.Error(w, "Invalid request", http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusAccepted)
	y := &reply{r: r, events: sess.events}
	switch {
	case r.Method == "":
		s.answered(r)
	case r.ID == nil:
	case r.Method == "initialize":
		_, result := s.initialize(r)
		_ = y.finish(`"result":` + result)
	default:
		// The POST is acknowledged at once, however long the answer takes. Ends with the answer,
		// or with the stream.
		s.work.Go(func() { s.answer(sess.ctx, y) })
	}
}

// sessionHTTPSSE returns the session that the request's URL names, or nil.
func (s *Server) sessionHTTPSSE(r *Request) *session {
	return s.findSession(r.URL.Query().Get("session"))
}
