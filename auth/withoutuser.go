package auth

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// The grant types by which a token is had without asking the user.
const (
	grantClientCredentials = "client_credentials"                          // RFC 6749 4.4
	grantJWTBearer         = "urn:ietf:params:oauth:grant-type:jwt-bearer" // RFC 7523 2.1
)

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
	reply, err := g.ask(t.ctx, form, d.resource)
	if refused, ok := errors.AsType[*TokenError](err); ok && refused.isInvalidClient() && client.ID != "" {
		return nil, signInError{fmt.Errorf("%w: the configured client %q was refused: %w", ErrClientNotFound, client.ID, err)}
	} else if err != nil {
		return nil, finally(fmt.Errorf("getting a token without a user: %w", err))
	}
	rec := t.newRecord(d, client, &reply.Token, cmp.Or(reply.scope, form.Get("scope")))
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
	form := url.Values{"grant_type": {grantJWTBearer}}
	if len(scopes) > 0 {
		form.Set("scope", strings.Join(scopes, " "))
	}
	switch {
	case t.cfg.ClientCredentials:
		form.Set("grant_type", grantClientCredentials)
	case t.cfg.IdentityProvider != nil:
		jag, err := t.vouch(d, form.Get("scope"))
		if err != nil {
			return nil, err
		}
		form.Set("assertion", jag.Token)
		if jag.Scope != "" {
			form.Set("scope", jag.Scope) // there is no use in asking for what it does not cover
		}
	default:
		assertion, err := t.cfg.ClientAssertion()
		if err != nil {
			return nil, err
		}
		form.Set("assertion", assertion)
	}
	return form, nil
}
