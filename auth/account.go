package auth

import (
	"context"
	"errors"
	"fmt"
)

// ErrNotWanted means that the server does not ask for authorization.
var ErrNotWanted = errors.New("the server does not ask for sign-in")

// Login signs in now, whether or not a usable token is at hand.
func (t *Transport) Login(ctx context.Context) error {
	p := probe{client: t.client, endpoint: t.cfg.ServerURL, limit: probeTimeout}
	_, c, wanted, err := p.challenge(ctx)
	if err != nil {
		return fmt.Errorf("asking %s how to sign in: %w", display(t.server), err)
	}
	if !wanted {
		return ErrNotWanted
	}
	h := t.token(ctx)
	n := need{challenge: c, hasChallenge: true, mayAsk: true, mustAsk: true, explicit: true}
	if h.hasToken() {
		n.rejected = h.Token.Access
	}
	_, err = t.obtain(ctx, n)
	return err
}

// Logout forgets the token and the registration, and revokes the token where the server offers
// that (RFC 7009). The error says if that failed; everything is forgotten all the same.
func (t *Transport) Logout(ctx context.Context) error {
	unlock, err := t.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	rec, err := t.cfg.Storage.Load()
	var trouble error
	if sealed, ok := errors.AsType[*SealedError](err); ok {
		trouble = fmt.Errorf("its tokens are not revoked: %w", sealed)
	} else if err != nil {
		return err
	}
	if rec.hasToken() && rec.RevokeURL != "" && rec.Client != nil {
		trouble = t.revoke(ctx, rec)
	}
	if err := t.cfg.Storage.Clear(); err != nil {
		return err
	}
	t.current.Store(&held{Record: &Record{}})
	return trouble
}

// revoke revokes the refresh token, with which the server ends the whole grant, and the access
// token.
func (t *Transport) revoke(ctx context.Context, rec *Record) error {
	client := *rec.Client
	if !client.Registered && t.cfg.ClientID == client.ID {
		client.Secret = t.cfg.ClientSecret
	}
	g := t.grantAgain(rec, &client)
	var err error
	if rec.Token.Refresh != "" {
		err = g.revoke(ctx, rec.RevokeURL, rec.Token.Refresh, "refresh_token")
	}
	if err2 := g.revoke(ctx, rec.RevokeURL, rec.Token.Access, "access_token"); err == nil {
		err = err2
	}
	if err != nil {
		return fmt.Errorf("revoking the login at %s: %w", rec.Issuer, err)
	}
	return nil
}
