package authtest

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	grantCode    = "authorization_code"
	grantRefresh = "refresh_token"
	grantClient  = "client_credentials"
	grantDevice  = "urn:ietf:params:oauth:grant-type:device_code"
)

// A token is an access token or a refresh token.
type token struct {
	grant   *grant
	refresh bool
	scope   string    // may be less than the grant's
	expires time.Time // of an access token
	used    bool      // a refresh token that has been rotated
	id      bool      // it is an ID token
	revoked bool
	jkt     string // thumbprint of the key that it is bound to (RFC 9449 6), "" if to none
}

// may reports whether the client may use a grant type.
func (c *Client) may(grantType string) bool {
	return c.GrantTypes == nil || slices.Contains(c.GrantTypes, grantType)
}

// token serves the token endpoint (RFC 6749 3.2).
func (s *Server) token(w http.ResponseWriter, r *Request, cfg *Config) {
	client, err := s.authenticate(r, cfg)
	if err != nil {
		err.write(w)
		return
	}
	jkt, err := s.tokenProof(w, r, cfg)
	if err != nil {
		err.write(w)
		return
	}
	s.mu.Lock()
	reply, err := s.grant(client, r, jkt, cfg)
	if err == nil {
		s.bind(reply, client, jkt)
	}
	s.mu.Unlock()
	if err != nil {
		err.write(w)
		return
	}
	cfg.Token.apply(reply)
	if !cfg.FormTokens {
		writeJSON(w, http.StatusOK, reply)
		return
	}
	form := make(url.Values)
	for name, value := range reply {
		form.Set(name, fmt.Sprint(value))
	}
	w.Header().Set("Content-Type", "application/x-www-form-urlencoded")
	_, _ = io.WriteString(w, form.Encode())
}

// grant returns the tokens that a client asks for, with the key of that thumbprint. The caller holds mu.
func (s *Server) grant(c *Client, r *Request, jkt string, cfg *Config) (map[string]any, *oauthError) {
	grantType := r.PostForm.Get("grant_type")
	for name, values := range r.PostForm {
		if len(values) > 1 {
			return nil, refuse("invalid_request", name+" is there twice")
		}
	}
	// A client that registered without refresh tokens doesn't get any, so there is no need to
	// refuse it here.
	if grantType != grantRefresh && !c.may(grantType) {
		return nil, refuse("unauthorized_client", "The client has not registered the grant type")
	}
	switch grantType {
	case grantCode:
		return s.exchange(c, r.PostForm, cfg)
	case grantRefresh:
		return s.refresh(c, r.PostForm, jkt, cfg)
	case grantDevice:
		return s.pollDevice(c, r.PostForm, cfg)
	case grantClient:
		if c.Secret == "" && c.Key == nil {
			return nil, refuse("unauthorized_client", "The client has nothing to prove who it is")
		}
		g, err := cfg.grantFor(r.PostForm)
		if err != nil {
			return nil, err
		}
		g.client = c.ID
		return s.issue(g, g.scope, false, cfg), nil
	case grantBearer:
		g, err := s.assertionGrant(c, r, cfg)
		if err != nil {
			return nil, err
		}
		return s.issue(g, g.scope, false, cfg), nil
	case grantExchange:
		return s.exchangeToken(c, r, cfg)
	}
	return nil, refuse("unsupported_grant_type", "grant_type is "+grantType)
}

// exchange takes a code. One that comes again costs the grant (RFC 6749 4.1.2).
func (s *Server) exchange(c *Client, form url.Values, cfg *Config) (map[string]any, *oauthError) {
	k := s.codes[form.Get("code")]
	switch sum := sha256.Sum256([]byte(form.Get("code_verifier"))); {
	case k == nil || k.grant.client != c.ID:
		return nil, refuse("invalid_grant", "Unknown code")
	case k.used:
		s.reused++
		k.grant.revoked = true
		return nil, refuse("invalid_grant", "The code has been used")
	case time.Now().After(k.expires):
		return nil, refuse("invalid_grant", "The code has expired")
	case form.Get("redirect_uri") != k.redirectURI:
		return nil, refuse("invalid_grant", "redirect_uri is not the one of the authorization request")
	case len(form.Get("code_verifier")) < 43 || base64.RawURLEncoding.EncodeToString(sum[:]) != k.challenge:
		return nil, refuse("invalid_grant", "code_verifier doesn't fit the code_challenge")
	}
	if err := cfg.checkResource(form, k.grant); err != nil {
		return nil, err
	}
	k.used = true
	return s.issue(k.grant, k.grant.scope, c.may(grantRefresh), cfg), nil
}

// refresh takes a refresh token, which is good for one time if it rotates. One that comes again
// costs the grant (RFC 9700 4.14.2).
func (s *Server) refresh(c *Client, form url.Values, jkt string, cfg *Config) (map[string]any, *oauthError) {
	t := s.tokens[form.Get("refresh_token")]
	switch {
	case t == nil || !t.refresh || t.grant.client != c.ID:
		return nil, refuse("invalid_grant", "Unknown refresh token")
	case t.used:
		s.reused++
		t.grant.revoked = true
		return nil, refuse("invalid_grant", "The refresh token has been used")
	case t.revoked || t.grant.revoked:
		return nil, refuse("invalid_grant", "The refresh token has been revoked")
	case t.jkt != "" && t.jkt != jkt:
		return nil, refuse("invalid_grant", "The refresh token is bound to another key")
	}
	if err := cfg.checkResource(form, t.grant); err != nil {
		return nil, err
	}
	scope := t.grant.scope
	if form.Get("scope") != "" {
		if !scopesIn(form.Get("scope"), scope) {
			return nil, refuse("invalid_scope", "The grant has less scopes")
		}
		scope = form.Get("scope")
	}
	t.used = !cfg.NoRotation && !cfg.NoRefresh
	reply := s.issue(t.grant, scope, t.used, cfg)
	if cfg.NoIDOnRefresh {
		delete(reply, "id_token")
	}
	return reply, nil
}

// checkResource holds a token request to the grant's resource (spec 4.75).
func (c *Config) checkResource(form url.Values, g *grant) *oauthError {
	if r := form.Get("resource"); r != g.resource && (r != "" || !c.ResourceOptional) {
		return refuse("invalid_target", fmt.Sprintf("resource is %q and should be %q", r, g.resource))
	}
	return nil
}

// issue returns new tokens. The caller holds mu.
func (s *Server) issue(g *grant, scope string, refresh bool, cfg *Config) map[string]any {
	lifetime := cfg.Lifetime
	if lifetime == 0 {
		lifetime = time.Hour
	}
	access := "secret-at-" + rand.Text()
	s.tokens[access] = &token{grant: g, scope: scope, expires: time.Now().Add(lifetime)}
	reply := map[string]any{"access_token": access, "token_type": "Bearer", "expires_in": int(lifetime.Seconds())}
	if scope != "" {
		reply["scope"] = scope
	}
	if cfg.IDTokens && slices.Contains(strings.Fields(scope), "openid") {
		expires := time.Now().Add(cmp.Or(cfg.IDLifetime, lifetime))
		id := idToken(s.url, g.client, expires)
		s.tokens[id] = &token{grant: g, scope: scope, expires: expires, id: true}
		reply["id_token"] = id
	}
	if refresh && !cfg.NoRefresh {
		next := "secret-rt-" + rand.Text()
		s.tokens[next] = &token{grant: g, refresh: true}
		reply["refresh_token"] = next
	}
	return reply
}

// idToken returns an ID token (OpenID Connect Core 1.0 2). Nobody can check its signature, which is
// our secret.
func idToken(issuer, client string, expires time.Time) string {
	claims := fmt.Sprintf(`{"iss":%q,"sub":"user","aud":%q,"exp":%d}`, issuer, client, expires.Unix())
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"RS256"}`)) + "." + part([]byte(claims)) + ".secret-it-" + rand.Text()
}

// revoke serves the revocation endpoint (RFC 7009). With a refresh token goes its whole grant.
func (s *Server) revoke(w http.ResponseWriter, r *Request, cfg *Config) {
	client, err := s.authenticate(r, cfg)
	if err != nil {
		err.write(w)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// A token that isn't there is revoked as well as can be (RFC 7009 2.2).
	if t := s.tokens[r.PostForm.Get("token")]; t != nil && t.grant.client == client.ID {
		s.revoked++
		t.revoked = true
		t.grant.revoked = t.grant.revoked || t.refresh
	}
	w.WriteHeader(http.StatusOK)
}
