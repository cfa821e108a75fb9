package auth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	// calm is how long after a failed sign-in no other is begun: tabs must not come by the dozen.
	calm = time.Minute

	// patience is how long another process may hold the lock before the user hears of it.
	patience = time.Second
)

// A flight is one attempt to obtain a token. Everybody in this process who needs one shares it.
type flight struct {
	mayAsk bool
	done   chan struct{} // closed when held or err is set
	held   *held
	err    error
}

// A failure is a sign-in that did not work.
type failure struct {
	err error
	at  time.Time
}

// obtain is the only way to a new token. It returns when ctx is done, but the attempt then goes
// on: its result is not only for this request, and a refresh that is cut off between the
// server's rotation and our saving loses the login.
func (t *Transport) obtain(ctx context.Context, n need) (*held, error) {
	var before error // why the user is not asked now
	for {
		t.mu.Lock()
		if h := t.current.Load(); h.hasToken() && n.isMet(h.Record) {
			t.mu.Unlock()
			return h, nil // somebody was faster
		}
		if n.mayAsk && !n.explicit && t.failure.err != nil && time.Since(t.failure.at) < calm {
			// Not again so soon. But the user may have signed in elsewhere meanwhile.
			before = fmt.Errorf("%w (this was %d s ago; the next try is possible in a minute)", t.failure.err, int(time.Since(t.failure.at).Seconds()))
			n.mayAsk = false
		}
		if t.closed {
			t.mu.Unlock()
			return nil, ErrClosed
		}
		f := t.flight
		joined := f != nil
		if !joined {
			f = &flight{mayAsk: n.mayAsk, done: make(chan struct{})}
			t.flight = f
			t.work.Go(func() { t.run(f, n) }) // ends with the attempt, or with the Transport
		}
		t.mu.Unlock()
		select {
		case <-f.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		// An attempt that might not ask must not answer for one that may.
		if f.err != nil && n.mayAsk && !f.mayAsk {
			continue
		}
		if before != nil && errors.Is(f.err, ErrSignInRequired) {
			return nil, before
		}
		if f.err == nil && joined && !n.isMet(f.held.Record) {
			continue // it brought what somebody else needed
		}
		return f.held, f.err
	}
}

// run makes one attempt and ends the flight.
func (t *Transport) run(f *flight, n need) {
	rec, origin, err := t.attempt(n)
	t.mu.Lock()
	defer t.mu.Unlock()
	if rec != nil {
		h := &held{Record: rec, origin: origin, unsaved: rec.unsaved}
		t.current.Store(h)
		f.held = h
	}
	if f.err = err; err == nil {
		t.failure = failure{}
		if n.challenge.errorCode == insufficientScope {
			t.stepped[n.challenge.scope] = time.Now()
		}
	} else if signInFailed(err) {
		t.failure = failure{err, time.Now()}
	}
	t.flight = nil
	close(f.done)
}

// A signInError is the failure of a sign-in that began.
type signInError struct{ error }

func (e signInError) Unwrap() error { return e.error }

func signInFailed(err error) bool {
	_, ok := errors.AsType[signInError](err)
	return ok && !errors.Is(err, ErrClosed)
}

// attempt obtains a token, by the first of these that works: one that another process has stored
// meanwhile, a refresh, a sign-in. It holds the lock between processes all the while. With an
// error it may return a record too: what is left of the one in use.
func (t *Transport) attempt(n need) (*Record, tokenOrigin, error) {
	unlock, err := t.lock(t.ctx)
	if err != nil {
		return nil, 0, err
	}
	defer unlock()

	rec, err := t.load() // again: the holder before us may have changed it
	if err != nil {
		return nil, 0, err
	}
	if h := t.current.Load(); h.unsaved {
		rec = h.Record // what is stored is older
	}
	if t.cfg.TokenEndpoint != "" && rec.Issuer != t.cfg.TokenEndpoint {
		rec = &Record{} // the user has changed who gives the token
	}
	if rec.hasToken() && n.isMet(rec) {
		return rec, fromStorage, nil
	}

	var d *discovery
	if n.hasChallenge || !rec.canRefresh() || !t.cfg.asksUser() {
		if d, err = t.discover(t.ctx, n.challenge); err != nil && (!rec.canRefresh() || n.mustAsk || isUntrusted(err)) {
			return nil, 0, err
		}
	}
	if d != nil && rec.Issuer != "" && rec.Issuer != d.server.Issuer {
		// Credentials of one authorization server are nothing to another (spec 4.69).
		t.cfg.Log.Warn("the server names another authorization server than before, so a new sign-in is needed", "before", rec.Issuer, "now", d.server.Issuer)
		t.cfg.Tell(Event{Kind: IssuerChanged, URL: d.server.Issuer})
		if t.cfg.ClientID != "" { // nor is the configured client (spec 4.70)
			return nil, 0, fmt.Errorf("%w: the configured client was used at %s, and the server now names %s", ErrIssuerChanged, clip(rec.Issuer, longestText), clip(d.server.Issuer, longestText))
		}
		rec = &Record{}
	}

	if d != nil && rec.Issuer == d.server.Issuer && rec.TokenURL != d.server.TokenEndpoint {
		moved := *rec
		moved.setEndpoints(d)
		rec = &moved
	}

	replacing := false // the client turned out to be unknown
	if rec.canRefresh() && !n.mustAsk && t.cfg.asksUser() {
		switch renewed, err := t.refresh(rec, d); {
		case err != nil:
			return nil, 0, err // a passing failure: everything is kept, and nobody is asked
		case renewed.hasToken():
			return renewed, fromRefresh, nil
		default:
			replacing = renewed.Client == nil
			rec = renewed
		}
	}
	if !n.mayAsk {
		return rec, fromStorage, ErrSignInRequired
	}
	if !t.cfg.asksUser() {
		rec, err := t.tokenWithoutUser(d, n.challenge, rec.Scope)
		return rec, fromSignIn, err
	}
	if d == nil {
		if d, err = t.discover(t.ctx, n.challenge); err != nil {
			return nil, 0, err
		}
	}
	if t.asking.Err() != nil {
		return rec, fromStorage, context.Cause(t.asking)
	}
	var signed *Record
	if t.cfg.DeviceCode {
		signed, err = t.signInByDevice(t.asking, rec, n.challenge, d)
	} else {
		signed, err = t.signIn(t.asking, rec, n, d, replacing)
	}
	if err != nil {
		return nil, 0, signInError{err}
	}
	t.keep(signed)
	t.cfg.Tell(Event{Kind: SignInDone})
	return signed, fromSignIn, nil
}

// load returns what is stored, an empty record if that is nothing, and without a token that the
// configuration does not allow.
func (t *Transport) load() (*Record, error) {
	rec, err := t.cfg.Storage.Load()
	if err != nil || rec == nil {
		return &Record{}, err
	}
	if rec.hasToken() && !t.cfg.DPoP.allows(rec.Token) {
		without := *rec
		without.Token = nil
		return &without, nil
	}
	return rec, nil
}

// isMet tells whether the token of a record is what is needed.
func (n *need) isMet(rec *Record) bool {
	return rec.Token.Access != n.rejected && !rec.Token.expired() &&
		(n.challenge.errorCode != insufficientScope || covers(rec.Scope, n.challenge.scope))
}

// isUntrusted tells whether discovery found something, but nothing to be trusted.
func isUntrusted(err error) bool {
	_, ok := errors.AsType[*MetadataError](err)
	return ok
}

// keep stores a record. If that fails the token is still good for this process.
func (t *Transport) keep(rec *Record) {
	if t.readPending(rec.Pending) == nil {
		rec.Pending = nil // of no use any more
	}
	if err := t.cfg.Storage.Save(rec); err != nil {
		t.cfg.Log.Error("the login can't be kept for the next time", "error", err)
		rec.unsaved = true
		return
	}
	rec.unsaved = false
}

// refresh renews the token of a record. A refusal of the refresh token, or of the client, leaves
// what is still good: a record without token, or without client. Any other failure is returned as
// an error, and changes nothing (design: never throw away a login on a transient failure). Where d, which
// may be nil, says that tokens are to be bound to a key, one that is not becomes so.
func (t *Transport) refresh(rec *Record, d *discovery) (*Record, error) {
	client := t.refreshClient(rec)
	if client == nil {
		return &Record{}, nil
	}
	scope := ""
	if len(t.cfg.Scopes) > 0 {
		scope = strings.Join(t.cfg.Scopes, " ") // Entra ID wants it said again
	}
	g := t.grantAgain(rec, client)
	if d != nil && g.key == nil && d.binding != unbound {
		var err error
		if g, err = t.grantAt(d, client); err != nil {
			return nil, err
		}
	}
	reply, err := g.refresh(t.ctx, rec.Token.Refresh, rec.Resource, scope)
	if err == nil {
		renewed := *rec
		renewed.Token = &reply.Token
		if reply.scope != "" {
			renewed.Scope = reply.scope
		}
		kept := *rec.Client
		kept.AuthMethod = client.AuthMethod // the one that worked
		renewed.Client = &kept
		t.keep(&renewed) // before it is used: the old one may be void already (spec 4.83)
		return &renewed, nil
	}
	refused, ok := errors.AsType[*TokenError](err)
	if !ok || refused.isTransient() {
		return nil, fmt.Errorf("renewing the token: %w", err)
	}
	t.cfg.Log.Info("the authorization server refuses to renew the token", "error", err)
	left := *rec
	left.Token = nil
	if refused.isInvalidClient() {
		if !client.Registered && t.cfg.ClientID != "" {
			return nil, fmt.Errorf("%w: the configured client %q was refused: %w", ErrClientNotFound, client.ID, err)
		}
		left.Client, left.Pending = nil, nil
	}
	t.keep(&left)
	return &left, nil
}

// refreshClient returns the client that can renew the token of a record, nil if none can.
func (t *Transport) refreshClient(rec *Record) *Client {
	client := *rec.Client
	if !client.Registered {
		configured := t.configuredClient(&serverMetadata{DocumentClients: true, TokenAuthMethods: []string{client.AuthMethod}}, client.RedirectURI)
		if configured == nil || configured.ID != client.ID {
			return nil // the configuration has changed
		}
		client = *configured
	}
	if client.expired() {
		return nil // nobody would know us by that secret
	}
	return &client
}

// lock takes the lock between processes. When that takes long, the user hears what is waited for.
func (t *Transport) lock(ctx context.Context) (func(), error) {
	told := time.AfterFunc(patience, func() {
		page := ""
		if holder, ok := t.cfg.Storage.(pageHolder); ok {
			page = holder.page()
		}
		t.cfg.Tell(Event{Kind: SignInElsewhere, URL: page})
	})
	defer told.Stop()
	return t.cfg.Storage.Lock(ctx)
}

// A pageHolder is a Storage that can tell other processes where the user can sign in.
type pageHolder interface {
	leavePage(page string) (remove func())
	page() string
}

func (t *Transport) leavePage(page string) func() {
	if holder, ok := t.cfg.Storage.(pageHolder); ok {
		return holder.leavePage(page)
	}
	return func() {}
}

func contains(scopes []string, scope string) bool { return slices.Contains(scopes, scope) }

func without(scopes []string, scope string) []string {
	return slices.DeleteFunc(slices.Clone(scopes), func(s string) bool { return s == scope })
}
