package auth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A Transport is an http.RoundTripper for one MCP server.
//
// A request that has an Authorization header already, or goes to another origin, passes through
// untouched. Any other is sent with the current token. If the server answers 401, or 403 with
// insufficient_scope, a new token is obtained and the request is sent again, body included; what
// the server says to a token from a fresh sign-in is final.
//
// Requests run without holding any lock. One that needs a new token joins the attempt under way
// and may leave it when its own context is done; the attempt goes on, and later requests profit.
// Only POST requests may lead to a sign-in: a background GET stream or the closing DELETE never
// opens a browser. Its methods may be called concurrently.
type Transport struct {
	cfg    Config
	server *url.URL
	place  *place       // of the server
	client *http.Client // for everything but requests to the server itself; follows no redirect

	ctx        context.Context // of attempts; ends with Close
	cancel     context.CancelCauseFunc
	asking     context.Context // of the part that waits for the user; ends with StopAsking
	stopAsking context.CancelCauseFunc
	work       sync.WaitGroup // attempts

	nonces nonces // for proofs (RFC 9449 8)

	loaded  sync.Once
	current atomic.Pointer[held] // never nil once loaded

	mu      sync.Mutex
	closed  bool
	flight  *flight              // the attempt under way, nil if there is none
	failure failure              // of the last sign-in
	stepped map[string]time.Time // scopes that were asked for beyond the first ones, and when
	quiet   time.Time            // when a token was last got in vain for a request that may not ask
}

// held is a record in use, with what this process knows about its token.
type held struct {
	*Record
	accepted atomic.Bool // the server took the token
	origin   tokenOrigin
	unsaved  bool // storage could not keep it, and holds an older one
}

// tokenOrigin says how this process came by a token.
type tokenOrigin int

const (
	fromStorage tokenOrigin = iota
	fromRefresh
	fromSignIn
)

// maxReplayBody bounds the body of a request that can be sent again without GetBody, in bytes.
const maxReplayBody = 256 << 20

// New checks cfg and returns a Transport. It makes no request and reads no file.
func New(cfg Config) (*Transport, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	server, err := url.Parse(cfg.ServerURL)
	if err != nil {
		return nil, errors.New("the server's URL is not a URL")
	}
	t := &Transport{cfg: cfg, server: server, stepped: make(map[string]time.Time)}
	t.place = &place{host: server.Hostname(), allowed: cfg.AllowPrivate}
	t.cfg.Base = &placed{cfg.Base, t.place, server, cfg.TokenEndpoint}
	t.client = &http.Client{
		Transport:     t.cfg.Base,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	t.ctx, t.cancel = context.WithCancelCause(context.Background())
	t.asking, t.stopAsking = context.WithCancelCause(t.ctx)
	return t, nil
}

// StopAsking gives up a sign-in under way, releases its port, and begins no other: there is nobody
// to ask any more. Tokens are still used and renewed.
func (t *Transport) StopAsking() { t.stopAsking(ErrClosed) }

// closeLimit is how long Close waits for a token that is being renewed: if the server has changed
// it already, giving up would lose the login.
const closeLimit = 1500 * time.Millisecond

// Close gives up whatever is under way, and waits for that.
func (t *Transport) Close() error {
	t.StopAsking()
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	done := make(chan struct{})
	go func() { // ends with the last attempt
		t.work.Wait()
		close(done)
	}()
	limit := time.NewTimer(closeLimit)
	defer limit.Stop()
	select {
	case <-done:
	case <-limit.C:
		t.cancel(ErrClosed)
		<-done
	}
	t.cancel(ErrClosed)
	return nil
}

// RoundTrip sends a request with a token. See Transport.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Header.Get("Authorization") != "" || !sameOrigin(req.URL, t.server) {
		return t.cfg.Base.RoundTrip(req)
	}
	body, err := replayable(req)
	if err != nil {
		return nil, err
	}
	h := t.token(req.Context())
	for try := 0; ; try++ {
		resp, err := t.send(req, body, h)
		if err != nil {
			return nil, err
		}
		n, wanted := t.needed(req, resp, h, try)
		if !wanted {
			return resp, nil
		}
		discard(resp)
		if h, err = t.obtain(req.Context(), n); err != nil {
			return nil, &NotAuthorizedError{err}
		}
	}
}

// send sends the request once, with the token of h, if there is one; and again if the server wants nothing
// but its nonce in the proof that comes with the token (RFC 9449 9).
func (t *Transport) send(req *http.Request, body func() (io.ReadCloser, error), h *held) (*http.Response, error) {
	resp, err := t.sendOnce(req, body, h)
	if err != nil || !h.isBound() {
		return resp, err
	}
	t.nonces.take(req.URL, resp.Header)
	if c, _ := tokenChallenge(resp.Header, true); resp.StatusCode/100 != 4 || c.errorCode != useNonce || resp.Header.Get("DPoP-Nonce") == "" {
		return resp, nil
	}
	discard(resp)
	if resp, err = t.sendOnce(req, body, h); err == nil {
		t.nonces.take(req.URL, resp.Header)
	}
	return resp, err
}

// discard ends a response, so that its connection can be used again.
func discard(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	resp.Body.Close()
}

func (t *Transport) sendOnce(req *http.Request, body func() (io.ReadCloser, error), h *held) (*http.Response, error) {
	out := req.WithContext(req.Context()) // a copy
	if body != nil {
		var err error
		if out.Body, err = body(); err != nil {
			return nil, fmt.Errorf("reading the request's body again: %w", err)
		}
	}
	if h.hasToken() {
		out.Header = make(http.Header, len(req.Header)+1)
		maps.Copy(out.Header, req.Header)
		if err := t.authorizeRequest(out, h.Token); err != nil {
			return nil, err
		}
	}
	resp, err := t.cfg.Base.RoundTrip(out)
	if err == nil && !h.accepted.Load() && accepts(resp.StatusCode) {
		h.accepted.Store(true)
	}
	return resp, err
}

// accepts tells whether an answer shows that the server took the token. Some come from what stands
// before it.
func accepts(code int) bool {
	switch code {
	case http.StatusUnauthorized, http.StatusProxyAuthRequired, http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return code < 500
}

// CloseIdleConnections closes connections that no request is using.
func (t *Transport) CloseIdleConnections() { t.client.CloseIdleConnections() }

// replayable returns a function that gives the request's body as often as wanted, nil if it has
// none. RoundTrip has to close the original.
func replayable(req *http.Request) (func() (io.ReadCloser, error), error) {
	if req.Body == nil || req.Body == http.NoBody {
		return nil, nil
	}
	if req.GetBody != nil {
		req.Body.Close()
		return req.GetBody, nil
	}
	content, err := io.ReadAll(io.LimitReader(req.Body, maxReplayBody))
	req.Body.Close()
	if err != nil {
		return nil, err
	}
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }, nil
}

// A need is what an attempt has to bring.
type need struct {
	rejected     string // access token that the server refused, "" if none was sent
	challenge    challenge
	hasChallenge bool
	mayAsk       bool // the user may be asked to sign in
	mustAsk      bool // a renewed token would be no better
	explicit     bool // the user has asked for it
}

// needed looks at a response and says whether a new token could help, and which.
func (t *Transport) needed(req *http.Request, resp *http.Response, h *held, try int) (need, bool) {
	if resp.StatusCode/100 == 2 {
		return need{}, false // nearly always
	}
	c, ok := tokenChallenge(resp.Header, h.isBound())
	n := need{challenge: c, hasChallenge: ok, mayAsk: mayAsk(req) || !t.cfg.asksUser()}
	if h.hasToken() {
		n.rejected = h.Token.Access
	}
	if h.isBound() && isAboutProof(c.errorCode) {
		// Another token would come with the same proof.
		shown := ReadChallenge(resp.Header, h.Token.Access)
		t.cfg.Log.Warn("the server does not take the proof that the token is ours (DPoP); a clock that is wrong can be why", "error", words(shown.Error, shown.Description))
		return n, false
	}
	if refused := resp.StatusCode == http.StatusUnauthorized || c.errorCode == insufficientScope; refused && try < 2 {
		if now := t.current.Load(); now != h && now.hasToken() && n.isMet(now.Record) {
			return n, true // there is a better one meanwhile
		}
	}
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		if !ok && t.cfg.Ignore != nil && t.ignored(resp) {
			return n, false
		}
		if h.hasToken() && !h.accepted.Load() {
			// The server has never taken this token. After a sign-in there is nothing left to try, and
			// what it says is the answer (spec 4.05); after a refresh there is the sign-in.
			switch h.origin {
			case fromSignIn:
				return n, h.expired() // it may just be old
			case fromRefresh:
				n.mustAsk = !h.expired()
			}
		}
		return n, try < 2 && (n.mayAsk || t.quietly(try))
	case http.StatusForbidden:
		// Only this one is about scopes (spec 4.51, 4.56), and only if they are new (spec 4.55).
		if c.errorCode != insufficientScope || c.dpop == dpopOnly && !h.isBound() || try > 2 || h.hasToken() && covers(h.Scope, c.scope) || t.steppedUp(c.scope) {
			return n, false
		}
		n.mustAsk = true
		return n, n.mayAsk
	}
	return n, false
}

// mayAsk tells whether a request may lead to a question to the user.
func mayAsk(req *http.Request) bool {
	return req.Method == http.MethodPost && req.Context().Value(withoutUser{}) == nil
}

type withoutUser struct{}

// WithoutUser returns a context for a request that must not lead to a question to the user: it is sent with
// the token that there is or that can be renewed, and fails with a NotAuthorizedError where that does not do.
func WithoutUser(ctx context.Context) context.Context {
	return context.WithValue(ctx, withoutUser{}, true)
}

// quietly tells whether a request that may not ask the user may try for another token. If one was
// got for it just now, and the server refuses it still, that may be so for ever, and is not tried
// again for a while: some servers refuse GET alone.
func (t *Transport) quietly(try int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if try > 0 {
		t.quiet = time.Now()
		return false
	}
	return time.Since(t.quiet) > calm
}

// steppedUp tells whether the user has been asked for these scopes a moment ago: if they are missing
// still, the server does not give them (spec 4.54).
func (t *Transport) steppedUp(scope string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	at, ok := t.stepped[scope]
	return ok && time.Since(at) < calm
}

// covers tells whether all scopes of the second set are in the first. An empty second set says
// nothing.
func covers(granted, wanted string) bool {
	have := strings.Fields(granted)
	for _, scope := range strings.Fields(wanted) {
		if !contains(have, scope) {
			return false
		}
	}
	return true
}

// ignored shows the beginning of a 401's body to Config.Ignore, and puts it back.
func (t *Transport) ignored(resp *http.Response) bool {
	start, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10)) // an error comes again to whoever reads on
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(start), resp.Body), resp.Body}
	return t.cfg.Ignore(resp, start)
}

// token returns the token to send, renewed if it is about to end. A failure to renew it is not
// the end: the server may still take the old one, and says what it wants if not.
func (t *Transport) token(ctx context.Context) *held {
	t.loaded.Do(func() {
		rec, err := t.load()
		if err != nil {
			t.cfg.Log.Warn("the stored login can't be used", "error", err)
		}
		t.current.Store(&held{Record: rec})
	})
	h := t.current.Load()
	if !h.hasToken() || !h.renewable() {
		return h
	}
	renewed, err := t.obtain(ctx, need{rejected: h.Token.Access, mayAsk: !t.cfg.asksUser()})
	if err != nil {
		t.cfg.Log.Info("the token can't be renewed in advance", "error", err)
		return t.current.Load()
	}
	return renewed
}

// renewable tells whether the token is near its end and can be renewed without the user.
func (h *held) renewable() bool {
	return h.Token.ending() && (h.expired() || h.canRefresh())
}

func (h *held) expired() bool { return h.Token.expired() }

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

// followSame sends a GET request and follows its redirects within the origin.
func (t *Transport) followSame(req *http.Request) (*http.Response, error) {
	client := *t.client
	client.CheckRedirect = func(next *http.Request, via []*http.Request) error {
		if len(via) > 5 || !sameOrigin(next.URL, via[0].URL) {
			return http.ErrUseLastResponse
		}
		return nil
	}
	return client.Do(req)
}

// display returns a URL without what may be secret in it.
func display(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
