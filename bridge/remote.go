package bridge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A remote carries messages to one MCP server. What the server sends goes to relay.deliver.
type remote interface {
	// request sends a call and returns when it is answered or will not be. It tells sent
	// how far it is. The error says why there is no answer.
	request(ctx context.Context, c *call, sent sentFunc) error

	// send sends a notification or a response and returns when the server has taken it.
	send(ctx context.Context, m *message, sent sentFunc) error

	// cancel is told that the host cancels a call that was sent. It returns whether the server is
	// to be told so with the host's notification; if not, the call's context is about to end.
	cancel(c *call) bool

	// established is told of the result of an initialize call before the host is.
	established(c *call, version string)

	// reopen ends the stream of the server's own messages and opens it again, as the connection may
	// be dead. Unless it is known to be, nothing may be lost with it.
	reopen(dead bool)

	// close ends the session.
	close(ctx context.Context)
}

// A StatusError is an HTTP answer that is no MCP answer.
type StatusError struct {
	URL         string // of the request, without query
	Code        int    // HTTP status
	Status      string // such as "502 Bad Gateway"
	ContentType string
	Text        string        // what the server said, shortened
	Reason      string        // why it refuses the token, if the challenge says that
	body        []byte        // all of it
	RetryAfter  time.Duration // what the server asked for, 0 if it didn't
	session     bool          // the server does not know the session that was named
}

func (e *StatusError) Error() string {
	text := fmt.Sprintf("HTTP %s from %s", e.Status, e.URL)
	if isHTML(e.ContentType) {
		text += " with a web page (text/html)"
	}
	if e.Reason != "" && !strings.Contains(e.Text, e.Reason) {
		text += ": " + e.Reason
	}
	if e.Text != "" {
		text += ": " + e.Text
	}
	if e.RetryAfter > 0 {
		text += fmt.Sprintf(" (the server asks to wait %d s)", int(e.RetryAfter.Round(time.Second)/time.Second))
	}
	return text
}

// longestErrorBody is how many bytes of the body of an HTTP error are read.
const longestErrorBody = 1 << 20

// readStatus reads an HTTP error, and returns its body too.
func (e *endpoint) readStatus(resp *http.Response) (*StatusError, []byte) {
	e.secrets.addHeader(resp.Request.Header)                           // with what a RoundTripper has added
	body, _ := io.ReadAll(io.LimitReader(resp.Body, longestErrorBody)) // what came before it broke is the best there is
	contentType := resp.Header.Get("Content-Type")
	return &StatusError{URL: display(resp.Request.URL), Code: resp.StatusCode, Status: resp.Status, ContentType: contentType,
		Text: e.secrets.excerpt(body, contentType), Reason: e.secrets.excerpt([]byte(challengeReason(resp.Header)), ""),
		RetryAfter: retryAfter(resp.Header), body: body}, body
}

// challengeReason returns the error_description of a challenge, "" if there is none: why a token is refused
// often stands nowhere else (RFC 6750 section 3).
func challengeReason(h http.Header) string {
	for _, challenge := range h.Values("WWW-Authenticate") {
		_, quoted, ok := strings.Cut(challenge, `error_description="`)
		if !ok {
			continue
		}
		var reason strings.Builder
		for i := 0; i < len(quoted) && quoted[i] != '"'; i++ {
			if quoted[i] == '\\' && i+1 < len(quoted) { // a quoted pair
				i++
			}
			reason.WriteByte(quoted[i])
		}
		return reason.String()
	}
	return ""
}

// retryAfter returns what a Retry-After header asks for, in either of its forms (RFC 9110 10.2.3).
func retryAfter(h http.Header) time.Duration {
	value := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(value); err == nil {
		return time.Duration(max(seconds, 0)) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(time.Until(at).Round(time.Second), 0)
	}
	return 0
}

// A contentError is a 2xx answer to a request that holds no answer to it.
type contentError struct {
	StatusError
	reason string
}

func (e *contentError) Error() string {
	text := fmt.Sprintf("%s answered %s, but %s", e.URL, e.Status, e.reason)
	if e.Text != "" {
		text += ": " + e.Text
	}
	return text
}

// A lostError means that a request was sent, and that its answer will not come: nobody can tell
// whether the server acted on it (spec 2.33).
type lostError struct {
	URL   string
	cause error
	early bool // nothing of an answer had come
}

func (e *lostError) Error() string {
	return fmt.Sprintf("the connection to %s ended before the answer came (%v); the call may have run", e.URL, e.cause)
}

func (e *lostError) Unwrap() error { return e.cause }

// An unsentError comes from a RoundTripper that did not bring the request to the server's
// attention, such as one that could get no authorization for it. It speaks for itself.
type unsentError interface {
	error
	Unsent() bool
}

// A reachError means that a request did not get to the server.
type reachError struct {
	URL   string
	cause error
}

func (e *reachError) Error() string { return fmt.Sprintf("cannot reach %s: %v", e.URL, e.cause) }
func (e *reachError) Unwrap() error { return e.cause }

// A sessionError means that the server forgot the session, and that no new one could be had. The
// request did not run.
type sessionError struct{ cause error }

func (e *sessionError) Error() string {
	cause := e.cause
	if lost, ok := errors.AsType[*lostError](cause); ok {
		cause = lost.cause // what may have run is initialize
	}
	return fmt.Sprintf("the server forgot the session, and a new one could not be had: %v", cause)
}

func (e *sessionError) Unwrap() error { return e.cause }

// A timeoutError means that the server let the time for an answer pass.
type timeoutError struct{ limit time.Duration }

func (e *timeoutError) Error() string {
	return fmt.Sprintf("the server sent no answer within %v; the call may have run", e.limit)
}

// An rpcError is a JSON-RPC error in place of an answer, where -32603 would say too little.
type rpcError struct {
	code int
	text string
	data answerData
}

func (e *rpcError) Error() string { return e.text }

var (
	errStopped    = errors.New("mcp-bridge was told to stop before the server answered; the call may have run")
	errUnsent     = errors.New("mcp-bridge was told to stop before the request was sent")
	errCancelled  = errors.New("the host cancelled the request")
	errStreamOver = errors.New("the stream ended")
)

// A cancelledError is errCancelled with the reason that the host gave.
type cancelledError struct{ reason string }

func (e *cancelledError) Error() string {
	if e.reason == "" {
		return errCancelled.Error()
	}
	return e.reason
}

func (e *cancelledError) Unwrap() error { return errCancelled }

// explain turns the reason why a call has no answer into the error that the host gets.
func (r *relay) explain(c *call, err error) []byte {
	if e, ok := errors.AsType[*rpcError](err); ok {
		return errorAnswer(c.id, e.code, clip(r.secrets.hide(e.text), longestError), e.data)
	}
	var data answerData
	if status := statusOf(err); status != nil {
		data = answerData{URL: status.URL, HTTPStatus: status.Code, ContentType: clip(r.secrets.hide(status.ContentType), 100), Body: status.Text,
			RetryAfter: int(status.RetryAfter.Round(time.Second) / time.Second)}
	}
	text := err.Error()
	if c.trouble != "" {
		text += "; what came instead: " + c.trouble
	}
	return errorAnswer(c.id, codeInternalError, clip(r.secrets.hide(text), longestError), data)
}

func statusOf(err error) *StatusError {
	if content, ok := errors.AsType[*contentError](err); ok {
		return &content.StatusError
	}
	status, _ := errors.AsType[*StatusError](err)
	return status
}
