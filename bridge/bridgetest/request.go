package bridgetest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
)

// A Request is one HTTP request and the JSON-RPC message in it. Mind that Body and Method are not
// those of the http.Request: its method is r.Request.Method.
type Request struct {
	*http.Request

	Body   []byte          // exactly what came
	Method string          // of the message; "" for a response, for anything else than a message, and without a body
	ID     json.RawMessage // of the message, byte for byte; nil if it has none
	Params json.RawMessage // of the message, byte for byte; nil if it has none

	server *Server
	result json.RawMessage // if the message is a response
	err    json.RawMessage // likewise

	answered *atomic.Bool // an answer was made; shared by copies
}

func newRequest(s *Server, hr *http.Request, body []byte) *Request {
	r := &Request{Request: hr, Body: body, server: s, answered: new(atomic.Bool)}
	var message struct {
		ID     json.RawMessage `json:"id"`
		Method string          `json:"method"`
		Params json.RawMessage `json:"params"`
		Result json.RawMessage `json:"result"`
		Error  json.RawMessage `json:"error"`
	}
	if json.Unmarshal(body, &message) != nil {
		return r
	}
	r.Method, r.ID, r.Params = message.Method, message.ID, message.Params
	r.result, r.err = message.Result, message.Error
	return r
}

// String names a request for assertions: the method of its message, "response" if the message is
// one, and else the HTTP method.
func (r *Request) String() string {
	switch {
	case r.Method != "":
		return r.Method
	case r.result != nil || r.err != nil:
		return "response"
	}
	return r.Request.Method
}

// isMessage reports whether the body is one request, notification or response.
func (r *Request) isMessage() bool {
	return r.Method != "" || r.ID != nil && (r.result != nil || r.err != nil)
}

// Serve answers as the server does where there is no Handle.
func (r *Request) Serve(w http.ResponseWriter) { r.server.serve(w, r) }

// Answer answers the request's message with a result, given as JSON, on the way that the server's
// answers take by its Config.
func (r *Request) Answer(w http.ResponseWriter, result string) {
	y := &reply{w: w, r: r}
	if sess := r.server.sessionHTTPSSE(r); sess != nil {
		w.WriteHeader(http.StatusAccepted)
		y.events = sess.events
	}
	_ = y.finish(`"result":` + result)
}

// Fail answers the request's message with a JSON-RPC error under any HTTP status.
func (r *Request) Fail(w http.ResponseWriter, status, code int, message string) {
	writeJSON(w, status, r.message(rpcError(code, message)))
}

// failWith does the same with data, given as JSON.
func (r *Request) failWith(w http.ResponseWriter, status, code int, message, data string) {
	writeJSON(w, status, r.message(rpcErrorWith(code, message, data)))
}

// Events begins an answer of type text/event-stream, and sends its head at once.
func (r *Request) Events(w http.ResponseWriter) *EventStream {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache")
	w.WriteHeader(http.StatusOK)
	e := &EventStream{w: w, r: r}
	_ = e.Raw("")
	return e
}

// message returns the answer to r with the member "result" or "error" as given.
func (r *Request) message(member string) string {
	r.answered.Store(true)
	id := "null"
	if r.ID != nil {
		id = string(r.ID)
	}
	return `{"jsonrpc":"2.0","id":` + id + `,` + member + `}`
}

// An EventStream is the open body of a text/event-stream answer. Its methods may be called
// concurrently, until the handler that made it returns.
type EventStream struct {
	mu sync.Mutex
	w  http.ResponseWriter // nil when the stream is over
	r  *Request

	fit func(message string) (fitted string, wanted bool) // what Notify sends here; nil means all
}

// Send sends a JSON-RPC message, as it is, as one event.
func (e *EventStream) Send(message string) error {
	return e.Raw(event(message))
}

// event returns a message as an event.
func event(message string) string {
	return "event: message\ndata: " + strings.ReplaceAll(message, "\n", "\ndata: ") + "\n\n"
}

// Result sends the answer to the request that the stream belongs to. The result is given as JSON.
func (e *EventStream) Result(result string) error {
	return e.Send(e.r.message(`"result":` + result))
}

// Raw sends text, be it an event or not.
func (e *EventStream) Raw(text string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.raw(text)
}

// raw does so for a caller that holds mu.
func (e *EventStream) raw(text string) error {
	if e.w == nil {
		return io.ErrClosedPipe
	}
	if text != "" {
		if _, err := io.WriteString(e.w, text); err != nil {
			return err
		}
	}
	return http.NewResponseController(e.w).Flush()
}

// end makes every later Send fail. It waits for one that is under way.
func (e *EventStream) end() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.w = nil
}

// A reply is the way back for one request: a JSON body, unless messages have to go ahead of the
// answer or the answer has its place on a stream anyway.
type reply struct {
	w      http.ResponseWriter
	r      *Request
	events *EventStream // nil until there is need of one
}

// send sends a message ahead of the answer.
func (y *reply) send(message string) error {
	if y.events == nil {
		y.events = y.r.Events(y.w)
	}
	return y.events.Send(message)
}

// finish sends the answer.
func (y *reply) finish(member string) error {
	message := y.r.message(member)
	if y.events == nil && !y.r.server.cfg.SSE {
		writeJSON(y.w, http.StatusOK, message)
		return nil
	}
	return y.send(message)
}

// refuse answers a request for a reason that has nothing to do with its message.
func refuse(w http.ResponseWriter, status, code int, message string) {
	writeJSON(w, status, `{"jsonrpc":"2.0","id":null,`+rpcError(code, message)+`}`)
}

func rpcError(code int, message string) string {
	return fmt.Sprintf(`"error":{"code":%d,"message":%s}`, code, quote(message))
}

// rpcErrorWith returns an error with data, given as JSON.
func rpcErrorWith(code int, message, data string) string {
	return strings.TrimSuffix(rpcError(code, message), "}") + `,"data":` + data + `}`
}

func writeJSON(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, message)
}

// quote returns text as a JSON string.
func quote(text string) string {
	b, _ := json.Marshal(text) // a string can't fail
	return string(b)
}
