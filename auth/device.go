package auth

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// deviceGrant is the grant type of the device authorization grant (RFC 8628 3.4).
const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

// pollInterval is how long to wait between two looks, if the server does not say (RFC 8628 3.2).
const pollInterval = 5 * time.Second

// signInByDevice lets the user sign in on any device, with a code (RFC 8628).
func (t *Transport) signInByDevice(ctx context.Context, rec *Record, c challenge, d *discovery) (*Record, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, t.cfg.SignInTimeout, fmt.Errorf("%w (%v)", ErrSignInTimeout, t.cfg.SignInTimeout))
	defer cancel()
	if err := t.checkSignIn(&d.server); err != nil {
		return nil, err
	}
	scopes := t.scopesFor(d, c, rec.Scope)
	known, left := rec.Client, t.resumable(d, scopes)
	if left != nil {
		known, scopes = left.Client, left.Scopes
	}
	client, fresh, err := t.clientFor(ctx, d, known, "", scopes)
	if err != nil {
		return nil, err
	}
	reply, err := t.deviceToken(ctx, left, client, d, scopes)
	if _, denied := errors.AsType[*AuthorizationError](err); err != nil && left != nil && !denied && ctx.Err() == nil {
		// The killed process may have got the token, and nobody gets it again.
		t.cfg.Log.Info("the code of that sign-in is not good any more, so another begins", "error", err)
		reply, err = t.deviceToken(ctx, nil, client, d, scopes)
	}
	if errors.Is(err, errStale) && client.Registered && !fresh {
		t.cfg.Log.Warn("the authorization server does not know the client any more, registering anew", "error", err)
		if err := t.cfg.Storage.Clear(); err != nil {
			return nil, err
		}
		if client, _, err = t.clientFor(ctx, d, nil, "", scopes); err != nil {
			return nil, err
		}
		reply, err = t.deviceToken(ctx, nil, client, d, scopes)
	}
	if err != nil {
		return nil, err
	}
	scope := reply.scope
	if scope == "" {
		scope = strings.Join(scopes, " ")
	}
	return t.newRecord(d, client, &reply.Token, scope), nil
}

// deviceToken gets a code, unless one is left, tells it, and looks until the user has entered it.
func (t *Transport) deviceToken(ctx context.Context, left *pendingSignIn, client *Client, d *discovery, scopes []string) (*tokenReply, error) {
	g, err := t.grantAt(d, client)
	if err != nil {
		return nil, err
	}
	p := left
	if p == nil {
		if p, err = t.deviceCode(ctx, g, d, scopes); err != nil {
			return nil, err
		}
	}
	if _, err := t.checkURL("verification page", p.Page); err != nil {
		return nil, err
	}
	defer t.leavePending(p)()
	t.cfg.Tell(Event{Kind: DeviceStarted, URL: p.Page, Code: p.UserCode})
	if !p.Expiry.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadlineCause(ctx, p.Expiry, ErrSignInTimeout)
		defer cancel()
	}
	return g.pollDevice(ctx, p)
}

// deviceCode begins a sign-in with a new code (RFC 8628 3.1).
func (t *Transport) deviceCode(ctx context.Context, g *grant, d *discovery, scopes []string) (*pendingSignIn, error) {
	if _, err := t.checkURL("device authorization endpoint", d.server.DeviceEndpoint); err != nil {
		return nil, err
	}
	form := url.Values{}
	if len(scopes) > 0 {
		form.Set("scope", strings.Join(scopes, " "))
	}
	if d.resource != "" {
		form.Set("resource", d.resource)
	}
	body, err := g.post(ctx, "device authorization endpoint", d.server.DeviceEndpoint, form)
	if refused, ok := errors.AsType[*TokenError](err); ok && refused.isInvalidClient() {
		return nil, fmt.Errorf("%w: %w", errStale, err)
	}
	if err != nil {
		return nil, fmt.Errorf("starting the sign-in by device code: %w", err)
	}
	started, ok := readDeviceReply(body)
	if !ok {
		return nil, errors.New("starting the sign-in by device code: the reply holds no code")
	}
	p := newPending(d, g.client, scopes)
	p.Page, p.DeviceCode, p.UserCode = cmp.Or(started.Page, started.OldPage), started.DeviceCode, clip(started.UserCode, 40)
	p.Expiry, p.Interval = expiry(started.ExpiresIn), pollInterval
	if s := seconds(started.Interval); s > 0 {
		p.Interval = s
	}
	return p, nil
}

// pollDevice looks until the user has entered the code (RFC 8628 3.4).
func (g *grant) pollDevice(ctx context.Context, p *pendingSignIn) (*tokenReply, error) {
	for interval := p.Interval; ; {
		select {
		case <-time.After(interval):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		reply, err := g.ask(ctx, map[string][]string{"grant_type": {deviceGrant}, "device_code": {p.DeviceCode}}, p.Resource)
		refused, ok := errors.AsType[*TokenError](err)
		switch {
		case err == nil:
			return reply, nil
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case !ok: // the network; the code is still good
		case refused.Code == "authorization_pending":
		case refused.Code == "slow_down", refused.Status == http.StatusTooManyRequests:
			interval += 5 * time.Second // RFC 8628 3.5
		case refused.isTransient():
		case refused.Code == "access_denied":
			return nil, &AuthorizationError{refused.Code, refused.Description}
		default:
			return nil, fmt.Errorf("signing in by device code: %w", err)
		}
	}
}

// A deviceReply is the answer of the device authorization endpoint (RFC 8628 3.2). Times come as
// numbers or strings.
type deviceReply struct {
	DeviceCode string `json:"device_code"`
	UserCode   string `json:"user_code"`
	Page       string `json:"verification_uri"`
	OldPage    string `json:"verification_url"` // what it was called before the RFC
	ExpiresIn  any    `json:"expires_in"`
	Interval   any    `json:"interval"`
}

func readDeviceReply(body []byte) (*deviceReply, bool) {
	var r deviceReply
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	err := decoder.Decode(&r)
	return &r, err == nil && r.DeviceCode != ""
}
