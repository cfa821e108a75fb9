package bridge_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// A byteServer is an HTTP server that speaks no MCP of its own: it answers with the bytes that a
// test gives it, and keeps those it got. It makes the handshake that host.handshake asks for.
type byteServer struct {
	*httptest.Server

	mu     sync.Mutex
	bodies []string
}

// serveBytes starts a server of a protocol revision. It asks handle first, which returns true when
// it has answered; it may be nil.
func serveBytes(t testing.TB, version string, handle func(w http.ResponseWriter, r *http.Request, body string) bool) *byteServer {
	s := &byteServer{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		read, err := io.ReadAll(r.Body)
		if err != nil {
			return // the bridge left in the middle
		}
		body := string(read)
		handshake := strings.Contains(body, `"id":"handshake"`) || body == initialized
		if r.Method == http.MethodPost && !handshake {
			s.mu.Lock()
			s.bodies = append(s.bodies, body)
			s.mu.Unlock()
		}
		switch {
		case handle != nil && handle(w, r, body):
		case r.Method == http.MethodGet:
			w.WriteHeader(http.StatusMethodNotAllowed)
		case r.Method == http.MethodDelete:
		case body == initialized:
			w.WriteHeader(http.StatusAccepted)
		case handshake:
			w.Header().Set("Mcp-Session-Id", "S1")
			answerJSON(w, `{"jsonrpc":"2.0","id":"handshake","result":{"protocolVersion":"`+version+`","capabilities":{},"serverInfo":{"name":"bytes","version":"1"}}}`)
		default:
			w.WriteHeader(http.StatusAccepted)
		}
	}))
	t.Cleanup(func() {
		s.CloseClientConnections() // handlers may wait for their request's context
		s.Close()
	})
	return s
}

// got returns the bodies of all POSTs so far but for those of the handshake.
func (s *byteServer) got() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.bodies...)
}

// answerJSON answers with a JSON body.
func answerJSON(w http.ResponseWriter, body string) {
	answerWith(w, http.StatusOK, "application/json", body)
}

// answerEvents answers with the text of an event stream, of which more may follow.
func answerEvents(w http.ResponseWriter, text string) {
	answerWith(w, http.StatusOK, "text/event-stream", text)
}

func answerWith(w http.ResponseWriter, status int, contentType, body string) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	moreEvents(w, body)
}

// moreEvents sends more of the body, at once.
func moreEvents(w http.ResponseWriter, text string) {
	_, _ = io.Copy(w, bytes.NewReader([]byte(text))) // whoever has left needs no answer
	_ = http.NewResponseController(w).Flush()
}
