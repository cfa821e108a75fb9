package bridge

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/mark3labs/mcp-go/mcp"
)

// maxRedirects is how many redirects in a row are followed.
const maxRedirects = 5

// An endpoint is the URL that a server is reached at, and what goes along with each request.
type endpoint struct {
	transport http.RoundTripper
	jar       http.CookieJar // nil if cookies are not kept
	header    http.Header    // the user's, without Host
	host      string         // the user's, "" without one
	secrets   *secrets
	at        atomic.Pointer[url.URL]
}

// A sentFunc is told whether a request has been written as a whole: that it has not when it is
// about to be, also when it is about to be once more.
type sentFunc func(written bool)

func newEndpoint(cfg *Config) (*endpoint, error) {
	at, err := url.Parse(cfg.URL)
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return nil, fmt.Errorf("parsing the server's URL: %w", wrapped.Err) // without the URL
	}
	header := cfg.Header.Clone()
	host := header.Get("Host")
	for _, name := range []string{"Host", "Accept", "Content-Type", "Content-Length", mcp.HeaderSessionID, mcp.HeaderProtocolVersion, mcp.HeaderLastEventID,
		mcp.HeaderMethod, mcp.HeaderName} {
		header.Del(name) // the protocol's own, also where it wants none
	}
	e := &endpoint{transport: http.DefaultTransport, header: header, host: host, secrets: newSecrets(cfg.Header, at)}
	if c := cfg.HTTPClient; c != nil {
		e.transport, e.jar = cmp.Or(c.Transport, e.transport), c.Jar
	}
	e.at.Store(at)
	return e, nil
}

// String returns the URL without what may be secret in it: user and query.
func (e *endpoint) String() string { return display(e.at.Load()) }

func display(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// do sends one request to where the endpoint is now, or to elsewhere, if that is not nil. It
// tells sent, if not nil, how far it is. A redirect within the origin
// is followed with method, headers and body, whatever its code, and remembered; one to another
// origin is refused, as nothing of ours may go there (spec 2G). The caller closes the body.
func (e *endpoint) do(ctx context.Context, method string, elsewhere *url.URL, body []byte, header http.Header, sent sentFunc) (*http.Response, error) {
	at := elsewhere
	if at == nil {
		at = e.at.Load()
	}
	if sent != nil {
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
			// net/http tries another connection by itself when one turns out to be closed.
			GetConn:      func(string) { sent(false) },
			WroteRequest: func(info httptrace.WroteRequestInfo) { sent(info.Err == nil) },
		})
	}
	for range maxRedirects {
		req, err := e.newRequest(ctx, method, at, body, header)
		if err != nil {
			return nil, err
		}
		resp, err := e.roundTrip(req)
		if err != nil {
			return nil, e.clean(ctx, at, err)
		}
		next, err := redirect(resp, at)
		if err != nil || next == nil {
			if err != nil {
				resp.Body.Close()
				return nil, err
			}
			return resp, nil
		}
		discard(resp.Body)
		if at = next; elsewhere == nil {
			e.at.Store(next)
		}
	}
	return nil, fmt.Errorf("%s redirects in circles", display(at))
}

func (e *endpoint) newRequest(ctx context.Context, method string, at *url.URL, body []byte, header http.Header) (*http.Request, error) {
	var content io.Reader
	if body != nil {
		content = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, "", content)
	if err != nil {
		return nil, err
	}
	req.URL, req.Host = at, at.Host
	req.Header = make(http.Header, len(e.header)+len(header)+1)
	maps.Copy(req.Header, e.header)
	maps.Copy(req.Header, header)
	if e.host != "" {
		req.Host = e.host
	}
	return req, nil
}

// roundTrip sends a request. It does what an http.Client does besides following redirects and
// keeping time, which is a tenth of what a call costs.
func (e *endpoint) roundTrip(req *http.Request) (*http.Response, error) {
	if e.jar != nil {
		for _, cookie := range e.jar.Cookies(req.URL) {
			req.AddCookie(cookie)
		}
	}
	if user := req.URL.User; user != nil && req.Header.Get("Authorization") == "" {
		password, _ := user.Password()
		req.SetBasicAuth(user.Username(), password)
	}
	resp, err := e.transport.RoundTrip(req)
	if err != nil {
		if record, ok := errors.AsType[tls.RecordHeaderError](err); ok && string(record.RecordHeader[:]) == "HTTP/" {
			err = http.ErrSchemeMismatch
		}
		return nil, err
	}
	if resp.Body == nil {
		resp.Body = http.NoBody
	}
	if e.jar != nil {
		if cookies := resp.Cookies(); len(cookies) > 0 {
			e.jar.SetCookies(req.URL, cookies)
		}
	}
	return resp, nil
}

// closeIdleConnections closes connections that no request is using.
func (e *endpoint) closeIdleConnections() {
	(&http.Client{Transport: e.transport}).CloseIdleConnections()
}

// redirect returns where a response sends us, nil if nowhere.
func redirect(resp *http.Response, from *url.URL) (*url.URL, error) {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return nil, nil
	}
	location := resp.Header.Get("Location")
	to, _ := from.Parse(location)
	if to == nil || location == "" {
		return nil, nil // the caller sees the odd status
	}
	if !sameOrigin(from, to) {
		return nil, fmt.Errorf("%s redirects to %s, which is another origin: not followed, since messages and headers for one server must not go to another; if you trust it, configure that URL", display(from), display(to))
	}
	if to.User == nil {
		to.User = from.User
	}
	return to, nil
}

// sameOrigin compares scheme, host and port (RFC 6454).
func sameOrigin(a, b *url.URL) bool {
	port := func(u *url.URL) string {
		switch {
		case u.Port() != "":
			return u.Port()
		case u.Scheme == "https":
			return "443"
		}
		return "80"
	}
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

// clean returns the error of a request without the URL that net/http puts into it, as that has
// its query, and as what a person can act on.
func (e *endpoint) clean(ctx context.Context, at *url.URL, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	if unsent, ok := errors.AsType[unsentError](err); ok && unsent.Unsent() {
		return err
	}
	return &reachError{display(at), err}
}

// discard reads what little may be left of a body, so that its connection can be used again.
func discard(body io.ReadCloser) {
	_, _ = io.CopyN(io.Discard, body, 64<<10)
	body.Close()
}
