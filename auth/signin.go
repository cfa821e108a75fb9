package auth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

// preflightTimeout bounds the look at the authorization endpoint before the browser opens.
const preflightTimeout = 10 * time.Second

// errStale means that the registration in use is not known to the server any more, or of no use:
// with a fresh one it may work.
var errStale = fmt.Errorf("%w: the registration is stale", ErrClientNotFound)

// signIn lets the user sign in, and returns the record of it. It goes on with a sign-in that a killed
// process has left. A registration that turns out to be stale is thrown away, with everything else
// of it, and replaced, once; replacing tells that one has been thrown away already.
func (t *Transport) signIn(ctx context.Context, rec *Record, n need, d *discovery, replacing bool) (*Record, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, t.cfg.SignInTimeout, fmt.Errorf("%w (%v)", ErrSignInTimeout, t.cfg.SignInTimeout))
	defer cancel()
	if err := t.checkSignIn(&d.server); err != nil {
		return nil, err
	}
	// Listening comes first: the port is part of the registration, and the browser may be fast.
	left, cb := t.resume(d, t.scopesFor(d, n.challenge, rec.Scope))
	if left == nil {
		var err error
		if cb, err = t.listen(rec); err != nil {
			return nil, err
		}
	} else if n.explicit {
		left.openAfter = 0 // whoever asks for it now wants to see it
	}
	cb.successURL = t.cfg.SuccessURL
	signed, err := t.trySignIn(ctx, cb, left, rec, n.challenge, d, replacing)
	cb.finish(err)
	return signed, err
}

// checkSignIn refuses an authorization server that has no place to send the user to.
func (t *Transport) checkSignIn(m *serverMetadata) error {
	switch {
	case !t.cfg.asksUser():
		return nil
	case t.cfg.DeviceCode && m.DeviceEndpoint == "":
		return untrusted("the authorization server %s does not offer sign-in by device code", m.Issuer)
	case t.cfg.DeviceCode:
		return nil // the endpoint is checked when it is used
	}
	_, err := t.checkURL("authorization endpoint", m.AuthorizationEndpoint)
	return err
}

// callbackPort returns the port to listen on: the configured one, else that of the registration, else
// 0, which means any.
func (t *Transport) callbackPort(rec *Record) int {
	port := t.cfg.CallbackPort
	if port == 0 && rec.Client != nil {
		if u, err := url.Parse(rec.Client.RedirectURI); err == nil && u.Hostname() == t.cfg.CallbackHost && u.Path == t.cfg.CallbackPath {
			port, _ = strconv.Atoi(u.Port()) // 0 if it has none
		}
	}
	return port
}

// listen opens the callback, on another port where the one of the registration is taken.
func (t *Transport) listen(rec *Record) (*callback, error) {
	host, path, port := t.cfg.CallbackHost, t.cfg.CallbackPath, t.callbackPort(rec)
	cb, err := listenCallback(host, port, path)
	switch {
	case err == nil:
		return cb, nil
	case t.cfg.CallbackPort != 0:
		return nil, &PortInUseError{port, err}
	case port != 0: // somebody else's now; another one means another registration
		t.cfg.Log.Info("the callback port of the registration is taken", "port", port)
		if cb, err = listenCallback(host, 0, path); err == nil {
			return cb, nil
		}
	}
	return nil, fmt.Errorf("listening for the callback: %w", err)
}

func (t *Transport) trySignIn(ctx context.Context, cb *callback, left *pendingSignIn, rec *Record, c challenge, d *discovery, replacing bool) (*Record, error) {
	scopes := t.scopesFor(d, c, rec.Scope)
	known := rec.Client
	if left != nil {
		known, scopes = left.Client, left.Scopes
	}
	for retried, offlineDropped := replacing, false; ; {
		client, fresh, err := t.clientFor(ctx, d, known, cb.redirectURI, scopes)
		if err != nil {
			return nil, err
		}
		if fresh && !rec.hasToken() {
			// Kept before the user is asked: whoever comes next need not register again. But a login
			// that is still good for something is not given up for it.
			if err := t.cfg.Storage.Save(t.newRecord(d, client, nil, "")); err != nil {
				t.cfg.Log.Warn("the registration can't be kept", "error", err)
			}
		}
		// Who was registered a moment ago is known. But if that was in place of a registration that
		// the server had forgotten, it may forget this one as well.
		look := !fresh || retried
		p := left
		if left = nil; p == nil || fresh {
			p = t.newAuthorization(d, client, scopes)
		} else {
			look = false // the user is there already
		}
		reply, err := t.authorize(ctx, cb, p, client, fresh, look, d)
		var refused *AuthorizationError
		switch {
		case err == nil:
			scope := reply.scope
			if scope == "" {
				scope = strings.Join(scopes, " ")
			}
			return t.newRecord(d, client, &reply.Token, scope), nil
		case errors.Is(err, errStale) && client.Registered && !retried:
			// The one retry, with everything cleared and a fresh registration.
			retried, known, rec = true, nil, &Record{}
			t.cfg.Log.Warn("the authorization server does not know the client any more, registering anew", "error", err)
			if err := t.cfg.Storage.Clear(); err != nil {
				return nil, err
			}
			if d, err = t.discover(ctx, c); err != nil {
				return nil, err
			}
		case errors.As(err, &refused) && refused.Code == "invalid_scope" && !offlineDropped && len(t.cfg.Scopes) == 0 && contains(scopes, offlineAccess):
			offlineDropped = true
			scopes = without(scopes, offlineAccess)
			known = client
		default:
			if errors.Is(err, errStale) && t.cfg.ClientID != "" {
				return nil, fmt.Errorf("the configured client %q was refused: %w", t.cfg.ClientID, err)
			}
			return nil, err
		}
	}
}

func (t *Transport) newRecord(d *discovery, client *Client, token *Token, scope string) *Record {
	rec := &Record{Server: display(t.server), Profile: t.cfg.Profile, Issuer: d.server.Issuer, Resource: d.resource, Scope: scope, Client: client.kept(), Token: token}
	rec.setEndpoints(d)
	return rec
}

// newAuthorization returns a sign-in in the browser, with a state and a verifier of its own.
func (t *Transport) newAuthorization(d *discovery, client *Client, scopes []string) *pendingSignIn {
	p := newPending(d, client, scopes)
	p.State, p.Verifier = rand.Text()+rand.Text(), oauth2.GenerateVerifier()
	p.Page = t.authorizationURL(client, d, scopes, p.State, p.Verifier)
	return p
}

// authorize sends the user to the authorization server and exchanges the code that comes back
// (RFC 6749 4.1, RFC 7636, RFC 8707, RFC 9207).
func (t *Transport) authorize(ctx context.Context, cb *callback, p *pendingSignIn, client *Client, fresh, look bool, d *discovery) (*tokenReply, error) {
	cb.expect(p.State)
	if look {
		if err := t.preflight(ctx, p.Page, cb.redirectURI, p.State, client, fresh, &d.server); err != nil {
			return nil, err
		}
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	defer t.leavePage(p.Page)()
	takeBack := t.leavePending(p)
	t.cfg.Tell(Event{Kind: SignInStarted, URL: p.Page})
	opener := time.AfterFunc(p.openAfter, func() { // its goroutine ends with the opener
		if err := t.cfg.Open(p.Page); err != nil {
			t.cfg.Log.Warn("the browser can't be opened", "error", err)
		}
	})
	defer opener.Stop()
	answer, err := cb.wait(ctx)
	takeBack() // before the answer is used: state and verifier are good for one (spec 4.41)
	if err != nil {
		return nil, err
	}
	if err := checkAnswer(answer, &d.server); err != nil {
		return nil, err
	}
	g, err := t.grantAt(d, client)
	if err != nil {
		return nil, err
	}
	reply, err := g.exchange(ctx, answer.code, p.Verifier, d.resource)
	if refused, ok := errors.AsType[*TokenError](err); ok && refused.isInvalidClient() {
		return nil, fmt.Errorf("%w: %w", errStale, err)
	}
	if err != nil {
		return nil, fmt.Errorf("exchanging the authorization code: %w", err)
	}
	return reply, nil
}

// authorizationURL returns the page that the user is sent to. Parameters that the endpoint's own
// URL has are kept.
func (t *Transport) authorizationURL(client *Client, d *discovery, scopes []string, state, verifier string) string {
	cfg := oauth2.Config{ClientID: client.ID, RedirectURL: client.RedirectURI, Scopes: scopes,
		Endpoint: oauth2.Endpoint{AuthURL: d.server.AuthorizationEndpoint}}
	options := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(verifier)} // spec 4.40
	if d.resource != "" {
		options = append(options, oauth2.SetAuthURLParam("resource", d.resource)) // spec 4.75
	}
	if u, err := url.Parse(d.server.AuthorizationEndpoint); err == nil && u.Host == "accounts.google.com" {
		// Google gives a refresh token only to those who ask this way:
		// https://developers.google.com/identity/protocols/oauth2/web-server#offline
		options = append(options, oauth2.AccessTypeOffline, oauth2.SetAuthURLParam("prompt", "consent"))
	}
	for name, values := range t.cfg.AuthorizeParams {
		if len(values) == 0 {
			continue
		}
		options = append(options, oauth2.SetAuthURLParam(name, values[len(values)-1]))
	}
	return cfg.AuthCodeURL(state, options...)
}

// checkAnswer looks at what came to the callback, the sender first (spec 4.43–4.45).
func checkAnswer(a callbackAnswer, m *serverMetadata) error {
	switch {
	case a.iss != "" && a.iss != m.Issuer:
		return untrusted("the answer to the sign-in came from another authorization server than %s", m.Issuer)
	case a.iss == "" && m.IssInResponse:
		return untrusted("the answer to the sign-in does not say that it came from %s, as it should", m.Issuer)
	case a.errorCode != "":
		return refusal(a.errorCode, a.errorDescription)
	}
	return nil
}

// refusal turns an error of the authorization endpoint into one of ours.
func refusal(code, description string) error {
	err := &AuthorizationError{clip(code, 100), clip(description, longestText)}
	if code == "invalid_client" || code == "unauthorized_client" {
		return fmt.Errorf("%w: %w", errStale, err)
	}
	return err
}

// preflight asks for the page before the user does. Many servers say only there, to nobody but the
// user, that they don't know a client any more; then no callback ever comes, and the same would
// happen at every try. It costs the server one request, and the user nothing.
func (t *Transport) preflight(ctx context.Context, page, redirectURI, state string, client *Client, fresh bool, m *serverMetadata) error {
	ctx, cancel := context.WithTimeout(ctx, preflightTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json") // the reason, in a form that can be read
	resp, err := t.client.Do(req)
	if err != nil {
		t.cfg.Log.Debug("the authorization endpoint can't be asked in advance", "error", stripURL(err))
		return nil // the browser may have its own way there
	}
	defer resp.Body.Close()
	switch code := resp.StatusCode; {
	case code/100 == 3:
		return redirectRefusal(resp, redirectURI, state, m)
	case code == http.StatusBadRequest || code == http.StatusUnauthorized:
	case code/100 == 2, code == http.StatusTooManyRequests, code == http.StatusServiceUnavailable, fresh, !client.Registered:
		return nil // what it is, the browser will show
	}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxDocument)) // what there is will do
	errorCode, description := oauthError(body, resp.Header.Get("Content-Type"), nil)
	refused := &AuthorizationError{errorCode, fmt.Sprintf("%s (HTTP %d)", description, resp.StatusCode)}
	return fmt.Errorf("%w: %w", errStale, refused)
}

// redirectRefusal returns the error that the authorization endpoint sends straight back to us, nil
// if it sends the user anywhere else.
func redirectRefusal(resp *http.Response, redirectURI, state string, m *serverMetadata) error {
	to, _ := resp.Location()
	if to == nil || !strings.HasPrefix(to.String(), redirectURI+"?") {
		return nil
	}
	query := to.Query()
	if code := query.Get("error"); code != "" && query.Get("state") == state {
		return checkAnswer(callbackAnswer{iss: query.Get("iss"), errorCode: code, errorDescription: query.Get("error_description")}, m)
	}
	return nil
}
