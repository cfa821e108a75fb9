package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"mcp-bridge/auth"
	"mcp-bridge/bridge"
)

const (
	clockWarning = time.Minute     // a clock that is so far off is noticed by some
	clockError   = 5 * time.Minute // the tolerance that is usual for tokens and assertions
)

// checkHTTP says what the endpoint answers to requests that have no token.
func (c *checkup) checkHTTP() {
	if c.result(stepTLS) != checkOK && c.result(stepTLS) != checkWarning {
		c.skip("there is no connection", stepHTTP)
		return
	}
	if len(c.look.Answers) == 0 {
		c.failNoAnswer(c.look.Err)
		return
	}
	a, isMCP := c.look.Answers[0], false
	facts := map[string]any{"status": a.Status, "content_type": mediaTypeOf(a), "url": a.URL}
	var message struct {
		Version string `json:"jsonrpc"`
	}
	if json.Unmarshal(a.Body, &message) == nil && message.Version != "" {
		isMCP = true // whatever the status is: the endpoint speaks for itself
	}
	status, said := statusText(a), saidBy(a)
	if a.URL != withoutSecrets(c.o.url) {
		status += " from " + a.URL + ", where the server redirects to"
	}
	switch {
	case c.look.Wanted && len(c.look.Answers) > 1:
		c.ok(stepHTTP, facts, "%s, and %s to GET", status, statusText(c.look.Answers[1]))
	case c.look.Wanted:
		c.ok(stepHTTP, facts, "%s", status)
	case c.checkOldTransport(a, isMCP, facts):
	case isMCP && a.Status < 500:
		c.ok(stepHTTP, facts, "%s, with a JSON-RPC message", status)
	case a.Status == http.StatusBadRequest && strings.HasPrefix(a.URL, "http:") && strings.Contains(strings.ToLower(string(a.Body)), "https"):
		c.fail(stepHTTP, "begin the URL with https://", facts, "%s: the server wants https%s", status, said)
	case a.Status/100 == 3:
		to := "nowhere"
		if at, err := url.Parse(a.Header.Get("Location")); err == nil && at.Host != "" {
			to = withoutSecrets(at.String())
		}
		c.fail(stepHTTP, "if you trust that place, use its URL; if it is a sign-in page, the server wants a browser and is no MCP endpoint", facts, "%s: the endpoint sends everybody to %s", status, to)
	case a.Status == http.StatusForbidden:
		c.fail(stepHTTP, "the server, or a firewall before it, does not let you in; if it wants a key, give it by --header", facts, "%s%s", status, said)
	case a.Status == http.StatusNotFound || a.Status == http.StatusGone:
		c.fail(stepHTTP, "look at the path of the URL: many servers have /mcp or /sse at its end", facts, "%s: there is nothing at %s%s", status, a.URL, said)
	case a.Status == http.StatusTooManyRequests:
		c.fail(stepHTTP, "wait, and see who else uses the server with your address", facts, "%s: the server has had too many requests%s%s", status, retryAfterText(a), said)
	case a.Status >= 500:
		c.fail(stepHTTP, "this is the server's own trouble; try again later, or tell those who run it", facts, "%s: the server, or what stands before it, fails%s%s", status, retryAfterText(a), said)
	case mediaTypeOf(a) == "text/html":
		c.fail(stepHTTP, "look at the URL; if the page is a sign-in page or a portal of your network, go through it first", facts, "%s: a web page and no MCP server%s", status, said)
	case c.look.Err != nil:
		c.warn(stepHTTP, "", facts, "%s to POST, but nothing to GET: %s", status, plainText(c.look.Err))
	default:
		c.ok(stepHTTP, facts, "%s", status)
	}
}

// checkOldTransport says what there is to say of a server that may speak HTTP+SSE, and returns false if
// it is none: such a server refuses the POST, and streams to GET (spec 3B).
func (c *checkup) checkOldTransport(post *auth.Answer, isMCP bool, facts map[string]any) bool {
	streams := false
	refused := post.Status == http.StatusNotFound || post.Status == http.StatusMethodNotAllowed || post.Status/100 == 4 && !isMCP
	if refused && len(c.look.Answers) > 1 {
		get := c.look.Answers[1]
		streams = get.Status == http.StatusOK && mediaTypeOf(get) == "text/event-stream"
	}
	switch {
	case streams && c.o.transport == bridge.TransportHTTP:
		c.fail(stepHTTP, "leave out --transport http", facts, "the server speaks only HTTP+SSE, the transport of 2024 (HTTP %s to POST)", statusText(post))
	case streams && c.o.transport == bridge.TransportSSE:
		c.ok(stepHTTP, facts, "the server speaks HTTP+SSE")
	case streams:
		c.warn(stepHTTP, "it works; ask those who run the server for streamable HTTP", facts, "the server speaks only HTTP+SSE, which was replaced in 2025 (HTTP %s to POST)", statusText(post))
	case c.o.transport == bridge.TransportSSE && len(c.look.Answers) > 1 && post.Status < 500:
		c.fail(stepHTTP, "leave out --transport sse", facts, "the server has no HTTP+SSE stream there: HTTP %s to GET", statusText(c.look.Answers[1]))
	default:
		return false
	}
	return true
}

func (c *checkup) failNoAnswer(err error) {
	switch {
	case isTimeout(err):
		c.fail(stepHTTP, "the server may be starting, or be stuck; try again, then tell those who run it", nil, "the server takes the request, and does not answer within %v", c.answerTimeout())
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		c.fail(stepHTTP, "what listens there may be no HTTP server, or want https", nil, "the connection was closed without an answer")
	default:
		c.fail(stepHTTP, "what listens there may be no HTTP server, or want https", nil, "no HTTP answer: %s", plainText(err))
	}
}

// checkClock compares this machine's clock with the server's.
func (c *checkup) checkClock() {
	if len(c.look.Answers) == 0 {
		c.skip("there is no answer that would say the time", stepClock)
		return
	}
	first := c.look.Answers[0]
	date, err := http.ParseTime(first.Header.Get("Date"))
	if err != nil || first.Header.Get("Age") != "" { // what a cache has kept says when it was made
		c.skip("the server does not say its time", stepClock)
		return
	}
	off := first.Received.Sub(date)
	facts := map[string]any{"seconds_ahead": int(off.Seconds())}
	side := "ahead of"
	if off < 0 {
		side = "behind"
	}
	advice := "set this machine's clock, by the network if possible; or it is the server's that is wrong"
	switch {
	case off.Abs() >= clockError:
		c.fail(stepClock, advice, facts, "this machine's clock is %s %s the server's: tokens may seem expired, or not good yet", spell(off), side)
	case off.Abs() >= clockWarning:
		c.warn(stepClock, advice, facts, "this machine's clock is %s %s the server's", spell(off), side)
	default:
		c.ok(stepClock, facts, "agrees with the server's")
	}
}

func mediaTypeOf(a *auth.Answer) string {
	kind, _, _ := strings.Cut(a.Header.Get("Content-Type"), ";")
	return strings.ToLower(strings.TrimSpace(kind))
}

func statusText(a *auth.Answer) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", a.Status, http.StatusText(a.Status)))
}

func retryAfterText(a *auth.Answer) string {
	if after := a.Header.Get("Retry-After"); after != "" {
		return "; it asks to wait " + shortened(after) + " s"
	}
	return ""
}

// saidBy returns ": " and the gist of an answer's body, "" if that says nothing to a person.
func saidBy(a *auth.Answer) string {
	text := string(a.Body)
	if mediaTypeOf(a) == "text/html" || strings.HasPrefix(strings.TrimSpace(text), "<") {
		text = pageTitle(text)
	}
	if text = shortened(text); text == "" || text == "{}" {
		return ""
	}
	return ": " + text
}

// pageTitle returns the title of a web page, "" if it has none.
func pageTitle(page string) string {
	lower := strings.ToLower(page)
	if len(lower) != len(page) {
		return "" // letters that change their size with their case: no title is worth the trouble
	}
	from := strings.Index(lower, "<title")
	if from < 0 {
		return ""
	}
	open := strings.IndexByte(lower[from:], '>')
	if open < 0 {
		return ""
	}
	title, _, _ := strings.Cut(page[from+open+1:], "<")
	return html.UnescapeString(title)
}
