package auth

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// The grant types by which a token is had without asking the user, and what goes with them.
const (
	grantClientCredentials = "client_credentials"                              // RFC 6749 4.4
	grantJWTBearer         = "urn:ietf:params:oauth:grant-type:jwt-bearer"     // RFC 7523 2.1
	grantTokenExchange     = "urn:ietf:params:oauth:grant-type:token-exchange" // RFC 8693 2.1

	typeIDToken = "urn:ietf:params:oauth:token-type:id_token" // RFC 8693 3
	typeIDJAG   = "urn:ietf:params:oauth:token-type:id-jag"   // Identity Assertion Authorization Grant 4.3
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

// asksUser tells whether a token is had by asking the user.
func (c *Config) asksUser() bool {
	return !c.ClientCredentials && c.IdentityProvider == nil && !c.isWorkload()
}

// isWorkload tells whether a JWT that stands for the client is all that a token is asked for with.
func (c *Config) isWorkload() bool {
	return c.ClientAssertion != nil && !c.ClientCredentials && c.IdentityProvider == nil
}

// assertsClient tells whether the client authenticates with a JWT.
func (c *Config) assertsClient() bool {
	return c.ClientKey != nil || c.ClientAssertion != nil && !c.isWorkload()
}

// checkWithoutUser is the part of check that is about tokens without a user.
func (c *Config) checkWithoutUser() error {
	proof := c.ClientSecret != "" || c.ClientKey != nil || c.ClientAssertion != nil
	switch idp := c.IdentityProvider; {
	case c.DeviceCode && !c.asksUser():
		return errors.New("a device code is for a user, who is not asked here")
	case c.ClientCredentials && idp != nil:
		return errors.New("client credentials are for the client itself, an identity provider is for a user")
	case c.ClientCredentials && (c.ClientID == "" || !proof):
		return errors.New("client credentials need a client ID, and a secret, a key or an assertion")
	case idp == nil:
		return nil
	case c.ClientID == "" && c.ClientMetadataURL == "":
		return errors.New("an identity provider vouches for a user to a client that the authorization server knows: it needs a client ID, or a client metadata URL")
	case idp.ClientID == "" || idp.IDToken == nil:
		return errors.New("an identity provider needs the client's ID there, and an ID token")
	default:
		u, err := url.Parse(idp.TokenURL)
		if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && (u.Scheme != "http" || !c.AllowHTTP && !isLoopbackHost(u.Hostname())) {
			return errors.New("the identity provider's token endpoint is no absolute https URL")
		}
		return nil
	}
}

// tokenWithoutUser gets a token by what the client can show itself.
func (t *Transport) tokenWithoutUser(d *discovery, c challenge, granted string) (*Record, error) {
	client := t.configuredClient(&d.server, "")
	if client == nil {
		return nil, ErrNoRegistration // the server takes no client metadata documents
	}
	scopes := without(t.scopesFor(d, c, granted), offlineAccess)
	g, err := t.grantAt(d, client)
	if err != nil {
		return nil, err
	}
	form, err := t.formWithoutUser(d, scopes)
	if err != nil {
		return nil, err
	}
	if len(scopes) > 0 {
		form.Set("scope", strings.Join(scopes, " "))
	}
	reply, err := g.ask(t.ctx, form, d.resource)
	if refused, ok := errors.AsType[*TokenError](err); ok && refused.isInvalidClient() && client.ID != "" {
		return nil, signInError{fmt.Errorf("%w: the configured client %q was refused: %w", ErrClientNotFound, client.ID, err)}
	} else if err != nil {
		return nil, finally(fmt.Errorf("getting a token without a user: %w", err))
	}
	rec := t.newRecord(d, client, &reply.Token, cmp.Or(reply.scope, strings.Join(scopes, " ")))
	t.keep(rec)
	return rec, nil
}

// finally returns an error as that of a sign-in, if it is a refusal: the same would happen again at once.
func finally(err error) error {
	if refused, ok := errors.AsType[*TokenError](err); ok && !refused.isTransient() {
		return signInError{err}
	}
	return err
}

// formWithoutUser returns the parameters of the grant, but for those that all grants have.
func (t *Transport) formWithoutUser(d *discovery, scopes []string) (url.Values, error) {
	switch {
	case t.cfg.ClientCredentials:
		return url.Values{"grant_type": {grantClientCredentials}}, nil
	case t.cfg.IdentityProvider != nil:
		jag, err := t.idJAG(d, scopes)
		return url.Values{"grant_type": {grantJWTBearer}, "assertion": {jag}}, err
	}
	assertion, err := t.cfg.ClientAssertion()
	return url.Values{"grant_type": {grantJWTBearer}, "assertion": {assertion}}, err
}

// idJAG has the identity provider vouch for the user: it exchanges the ID token for an Identity Assertion JWT
// Authorization Grant, which is good at the MCP server's authorization server alone (RFC 8693 2,
// enterprise-managed authorization 4).
func (t *Transport) idJAG(d *discovery, scopes []string) (string, error) {
	idp := t.cfg.IdentityProvider
	idToken, err := idp.IDToken()
	if err != nil {
		return "", err
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
	if len(scopes) > 0 {
		form.Set("scope", strings.Join(scopes, " "))
	}
	g := &grant{t: t, client: client}
	body, err := g.post(t.ctx, identityProvider, idp.TokenURL, form)
	if err != nil {
		return "", notVouched(err)
	}
	var reply struct {
		Token string `json:"access_token"` // so called "for historical reasons", RFC 8693 2.2.1
		Type  string `json:"issued_token_type"`
	}
	if err := json.Unmarshal(body, &reply); err != nil || reply.Token == "" || reply.Type != typeIDJAG {
		return "", signInError{fmt.Errorf("%w: the %s did not give an ID-JAG", ErrNotVouched, identityProvider)}
	}
	return reply.Token, nil
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
