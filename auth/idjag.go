package auth

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
)

// What an identity provider is asked with (RFC 8693 2.1, 3; enterprise-managed authorization 4).
const (
	grantTokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange"
	typeIDToken        = "urn:ietf:params:oauth:token-type:id_token"
	typeIDJAG          = "urn:ietf:params:oauth:token-type:id-jag"
)

// An IdentityProvider knows who the user is, and vouches for that to the authorization servers that its
// organization uses, so that these need not ask (enterprise-managed authorization, spec 7).
type IdentityProvider struct {
	TokenURL     string // its token endpoint
	ClientID     string // the client as it is known there
	ClientSecret string // "" if it needs none there

	// IDToken returns the ID token that the user got there (OpenID Connect Core 2). It is called for each
	// use, since ID tokens end.
	IDToken func() (string, error)
}

// An idJAG is an Identity Assertion JWT Authorization Grant, as it comes from the identity provider.
type idJAG struct {
	Token string `json:"access_token"` // so called "for historical reasons" (RFC 8693 2.2.1)
	Type  string `json:"issued_token_type"`
	Scope string `json:"scope"` // what it covers, "" if that is what was asked for
}

// vouch has the identity provider vouch for the user: it exchanges the ID token for an Identity Assertion JWT
// Authorization Grant, which is good at the MCP server's authorization server alone (RFC 8693 2,
// enterprise-managed authorization 4).
func (t *Transport) vouch(d *discovery, scope string) (*idJAG, error) {
	idp := t.cfg.IdentityProvider
	idToken, err := idp.IDToken()
	if err != nil {
		return nil, err
	}
	client := &Client{ID: idp.ClientID, Secret: idp.ClientSecret, AuthMethod: methodNone}
	if client.Secret != "" {
		client.AuthMethod = methodPost
	}
	form := url.Values{
		"grant_type": {grantTokenExchange}, "requested_token_type": {typeIDJAG},
		"subject_token": {idToken}, "subject_token_type": {typeIDToken},
		"audience": {d.server.Issuer}, "resource": {cmp.Or(d.resource, canonicalResource(t.server))}, // it must be there (4)
	}
	if scope != "" {
		form.Set("scope", scope)
	}
	g := &grant{t: t, client: client}
	body, err := g.post(t.ctx, identityProvider, idp.TokenURL, form)
	if err != nil {
		return nil, notVouched(err)
	}
	var jag idJAG
	if err := json.Unmarshal(body, &jag); err != nil || jag.Token == "" || jag.Type != typeIDJAG {
		return nil, signInError{fmt.Errorf("%w: the %s did not give an ID-JAG", ErrNotVouched, identityProvider)}
	}
	return &jag, nil
}

// notVouched tells a refusal of the identity provider's from what passes.
func notVouched(err error) error {
	if refused, ok := errors.AsType[*TokenError](err); ok && !refused.isTransient() {
		return signInError{fmt.Errorf("%w: %w", ErrNotVouched, err)}
	}
	return fmt.Errorf("asking the identity provider to vouch for the user: %w", err)
}

// identityProvider names its token endpoint in a TokenError.
const identityProvider = "identity provider's token endpoint"
