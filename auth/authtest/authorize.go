package authtest

import (
	"crypto/rand"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// A grant is what one consent gave, and what all its tokens have in common.
type grant struct {
	client   string
	scope    string
	resource string // "" if the client named none
	revoked  bool
}

// A code is what the token endpoint takes for a grant, once.
type code struct {
	grant       *grant
	redirectURI string
	challenge   string
	expires     time.Time
	used        bool
}

// codeLifetime is how long a code is good, and consentTime how long a user may think.
const (
	codeLifetime = time.Minute
	consentTime  = 10 * time.Minute
)

// authorize serves the authorization endpoint (RFC 6749 4.1.1, RFC 7636, RFC 8707).
func (s *Server) authorize(w http.ResponseWriter, r *Request, cfg *Config) {
	q := r.Form
	redirectURI := q.Get("redirect_uri")
	send := func(w http.ResponseWriter, status int, params map[string]any) {
		s.redirect(w, r, cfg, status, redirectURI, params)
	}

	client := s.client(cfg, q.Get("client_id"))
	switch unknown := cfg.UnknownClient; {
	case client != nil:
	case !unknown.answers():
		s.problem(w, r, "invalid_client", "Unrecognized client_id")
		return
	case unknown.Status == http.StatusFound && unknown.Error != "":
		send(w, http.StatusFound, map[string]any{"error": unknown.Error, "error_description": "Unrecognized client_id"})
		return
	default:
		unknown.answer(w)
		return
	}
	// Nobody is sent to a place that the client didn't name before.
	if !client.allows(redirectURI) || len(q["redirect_uri"]) != 1 {
		s.problem(w, r, "invalid_request", "The redirect_uri is not registered for this client")
		return
	}
	g, err := cfg.checkAuthorization(q)
	if err == nil && !client.may(grantCode) {
		err = refuse("unauthorized_client", "The client has not registered the grant type")
	}
	if err != nil {
		send(w, http.StatusFound, map[string]any{"error": err.code, "error_description": err.description})
		return
	}
	decide := func(w http.ResponseWriter, status int, allow bool) {
		if !allow {
			send(w, status, map[string]any{"error": "access_denied", "error_description": "The user said no"})
			return
		}
		k := "secret-code-" + rand.Text()
		s.mu.Lock()
		s.codes[k] = &code{grant: g, redirectURI: redirectURI, challenge: q.Get("code_challenge"), expires: time.Now().Add(codeLifetime)}
		s.mu.Unlock()
		send(w, status, map[string]any{"code": k})
	}
	if cfg.AutoApprove {
		decide(w, http.StatusFound, true)
		return
	}
	s.ask(w, client, g, redirectURI, "", func(w http.ResponseWriter, allow bool) {
		decide(w, http.StatusSeeOther, allow)
	})
}

// checkAuthorization returns the grant that the parameters ask for.
func (c *Config) checkAuthorization(q url.Values) (*grant, *oauthError) {
	for _, name := range slices.Sorted(maps.Keys(q)) {
		if len(q[name]) > 1 {
			return nil, refuse("invalid_request", name+" is there twice")
		}
	}
	switch {
	case q.Get("response_type") != "code":
		return nil, refuse("unsupported_response_type", "response_type must be code")
	case q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43:
		return nil, refuse("invalid_request", "PKCE with S256 is required")
	case q.Get("state") == "":
		return nil, refuse("invalid_request", "state is missing")
	}
	for scope := range strings.FieldsSeq(q.Get("scope")) {
		if slices.Contains(c.RefuseScopes, scope) {
			return nil, refuse("invalid_scope", "Not to be had: "+scope)
		}
	}
	return c.grantFor(q)
}

// grantFor returns a grant for the scope and the resource that the parameters ask for.
func (c *Config) grantFor(q url.Values) (*grant, *oauthError) {
	if err := c.checkScope(q.Get("scope")); err != nil {
		return nil, err
	}
	g := &grant{client: q.Get("client_id"), scope: q.Get("scope"), resource: q.Get("resource")}
	if c.Granted != "" {
		g.scope = c.Granted
	}
	u, err := url.Parse(g.resource)
	switch {
	case g.resource == "" && c.ResourceOptional:
	case err != nil || !u.IsAbs() || u.Fragment != "" || len(q["resource"]) > 1: // RFC 8707 2
		return nil, refuse("invalid_target", "resource must be one absolute URI without a fragment")
	}
	return g, nil
}

// checkScope refuses scopes that there aren't.
func (c *Config) checkScope(scope string) *oauthError {
	if c.Scopes != nil && !scopesIn(scope, strings.Join(c.Scopes, " ")) {
		return refuse("invalid_scope", "Unknown scopes: "+scope)
	}
	return nil
}

// redirect sends the user back to the client, with state and iss (RFC 6749 4.1.2, RFC 9207).
func (s *Server) redirect(w http.ResponseWriter, r *Request, cfg *Config, status int, to string, params map[string]any) {
	u, err := url.Parse(to)
	if err != nil || !u.IsAbs() {
		s.problem(w, r, "invalid_request", "There is no redirect_uri to go to")
		return
	}
	if state := r.Form.Get("state"); state != "" {
		params["state"] = state
	}
	params["iss"] = cfg.issuer(r.Request)
	q := u.Query()
	for name, value := range cfg.Callback.apply(params) {
		q.Set(name, fmt.Sprint(value))
	}
	u.RawQuery = q.Encode()
	w.Header().Set("Location", u.String())
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
}
