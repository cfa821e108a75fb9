package auth

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	maxDocument    = 1 << 20          // bytes of a metadata document or of an OAuth answer
	requestTimeout = 30 * time.Second // of one request for authorization
)

// resourceMetadata is a protected resource metadata document (RFC 9728 2).
type resourceMetadata struct {
	Resource             string   `json:"resource"`
	AuthorizationServers []string `json:"authorization_servers"`
	ScopesSupported      []string `json:"scopes_supported"`
	DPoPAlgorithms       []string `json:"dpop_signing_alg_values_supported"`
	DPoPRequired         bool     `json:"dpop_bound_access_tokens_required"`

	at string // URL that it was found at
}

// serverMetadata is an authorization server metadata document (RFC 8414 2, OpenID Connect
// Discovery 1.0 3). An endpoint that is null counts as absent.
type serverMetadata struct {
	Issuer                string   `json:"issuer"`
	AuthorizationEndpoint string   `json:"authorization_endpoint"`
	TokenEndpoint         string   `json:"token_endpoint"`
	RegistrationEndpoint  string   `json:"registration_endpoint"`
	RevocationEndpoint    string   `json:"revocation_endpoint"`
	DeviceEndpoint        string   `json:"device_authorization_endpoint"`
	ScopesSupported       []string `json:"scopes_supported"`
	ChallengeMethods      []string `json:"code_challenge_methods_supported"`
	TokenAuthMethods      []string `json:"token_endpoint_auth_methods_supported"`
	DocumentClients       bool     `json:"client_id_metadata_document_supported"`
	IssInResponse         bool     `json:"authorization_response_iss_parameter_supported"`
	DPoPAlgorithms        []string `json:"dpop_signing_alg_values_supported"` // RFC 9449 5.1

	guessed bool   // there was no document: the 2025-03-26 way (spec 4.31)
	at      string // URL that it was found at, "" if it was guessed
}

// A discovery is all that is known about who authorizes requests to the server.
type discovery struct {
	resource string            // for the resource parameter, "" if none is to be sent
	scopes   []string          // that the resource suggests
	document *resourceMetadata // nil if the resource has none
	server   serverMetadata
	binding  binding // of a token to a key
}

// discover finds the authorization server, from the challenge or from well-known places, and
// checks what it says.
func (t *Transport) discover(ctx context.Context, c challenge) (*discovery, error) {
	if t.cfg.TokenEndpoint != "" {
		d := t.configuredServer()
		var err error
		d.binding, err = t.decideBinding(d, c)
		return d, err
	}
	d, err := t.discoverResource(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := t.discoverServer(ctx, d); err != nil {
		return nil, err
	}
	if d.binding, err = t.decideBinding(d, c); err != nil {
		return nil, err
	}
	return d, t.checkServer(&d.server)
}

// discoverResource finds out what a token has to be for. With an error it returns what it has found
// all the same, to be shown to a person.
func (t *Transport) discoverResource(ctx context.Context, c challenge) (*discovery, error) {
	d := &discovery{resource: canonicalResource(t.server)}
	var err error
	if d.document, err = t.resourceMetadata(ctx, c); d.document != nil {
		if d.document.Resource != "" {
			d.resource = d.document.Resource // byte for byte (spec 4.77)
		}
		d.scopes = d.document.ScopesSupported
	}
	switch {
	case t.cfg.OmitResource:
		d.resource = ""
	case t.cfg.Resource != "":
		d.resource = t.cfg.Resource
	}
	return d, err
}

// discoverServer finds the authorization server of a resource.
func (t *Transport) discoverServer(ctx context.Context, d *discovery) error {
	if d.document == nil { // no resource metadata at all: the server's origin authorizes (spec 4.17, 4.30)
		return t.originMetadata(ctx, &url.URL{Scheme: t.server.Scheme, Host: t.server.Host}, &d.server)
	}
	return t.issuerMetadata(ctx, d.document.AuthorizationServers, &d.server)
}

// configuredServer returns what there is to know where the user has named the token endpoint. No
// metadata says that the server is a resource, so it is one only if the user says that, too.
func (t *Transport) configuredServer() *discovery {
	d := &discovery{server: serverMetadata{Issuer: t.cfg.TokenEndpoint, TokenEndpoint: t.cfg.TokenEndpoint}}
	if !t.cfg.OmitResource {
		d.resource = t.cfg.Resource
	}
	return d
}

// canonicalResource returns the URI of an MCP server as a resource (spec 4.76).
func canonicalResource(u *url.URL) string {
	r := *u
	r.Scheme, r.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	r.Fragment, r.User = "", nil
	r.RawQuery, r.ForceQuery = "", false // RFC 8707 2: better without, and it may be a secret
	return r.String()
}

// resourceMetadata returns the protected resource metadata, nil if there is none: the document
// that the challenge names, else the one at the well-known place for the endpoint, else the one
// for the origin (spec 4.11, 4.12).
func (t *Transport) resourceMetadata(ctx context.Context, c challenge) (*resourceMetadata, error) {
	var places []*url.URL
	if c.resourceMetadata != "" {
		u, err := t.checkURL("resource metadata URL", c.resourceMetadata)
		if err != nil {
			return nil, err
		}
		places = append(places, u)
	}
	for _, path := range []string{strings.TrimSuffix(t.server.EscapedPath(), "/"), ""} {
		u, err := url.Parse(t.server.Scheme + "://" + t.server.Host + "/.well-known/oauth-protected-resource" + path)
		if err == nil && path != "" {
			u.RawQuery = t.server.RawQuery // RFC 9728 3.1
		}
		if err == nil && !slices.ContainsFunc(places, func(p *url.URL) bool { return p.String() == u.String() }) {
			places = append(places, u)
		}
	}
	var trouble error
	for _, u := range places {
		var prm resourceMetadata
		switch found, err := t.getDocument(ctx, u, &prm); {
		case err != nil:
			trouble = err
		case !found || prm.Resource == "" && len(prm.AuthorizationServers) == 0:
		default:
			prm.at = display(u)
			return &prm, t.checkResource(&prm)
		}
	}
	return nil, trouble // what is not answering is not absent
}

// checkResource refuses metadata that is about another resource: tokens for that one could be had
// under a false name (spec 4.14).
func (t *Transport) checkResource(prm *resourceMetadata) error {
	if len(prm.AuthorizationServers) == 0 {
		return untrusted("the server's resource metadata names no authorization server")
	}
	if prm.Resource == "" {
		return nil // RFC 9728 wants it, but nothing wrong is said
	}
	r, err := url.Parse(prm.Resource)
	if err == nil && sameOrigin(r, t.server) && (r.Path == t.server.Path || strings.HasPrefix(t.server.Path+"/", strings.TrimSuffix(r.Path, "/")+"/")) {
		return nil
	}
	if err == nil && r.Scheme == "http" && t.server.Scheme == "https" && strings.EqualFold(r.Hostname(), t.server.Hostname()) {
		return untrusted("the server's resource metadata is for %s, not for %s: probably the server does not know that a proxy in front of it speaks https (X-Forwarded-Proto)", prm.Resource, canonicalResource(t.server))
	}
	return untrusted("the server's resource metadata is for %s, not for %s", prm.Resource, canonicalResource(t.server))
}

// issuerMetadata reads the document of the first authorization server that has one.
func (t *Transport) issuerMetadata(ctx context.Context, issuers []string, into *serverMetadata) error {
	var trouble error
	for _, issuer := range issuers {
		u, err := t.checkURL("authorization server", issuer)
		if err != nil {
			trouble = err
			continue
		}
		found, err := t.serverDocument(ctx, u, into)
		switch {
		case err != nil:
			trouble = err
		case !found:
			if trouble == nil {
				trouble = untrusted("the authorization server %s has no metadata document", issuer)
			}
		case strings.TrimSuffix(into.Issuer, "/") != strings.TrimSuffix(issuer, "/"): // spec 4.23
			return untrusted("the metadata of the authorization server %s is that of %s", issuer, into.Issuer)
		default:
			if into.Issuer != issuer {
				t.cfg.Log.Debug("issuer and metadata differ in a trailing slash", "issuer", issuer)
			}
			return nil
		}
	}
	return trouble
}

// originMetadata is the 2025-03-26 way: a document at the origin, else endpoints at fixed places
// (spec 4.31). Nobody named an issuer, so any on that origin will do.
func (t *Transport) originMetadata(ctx context.Context, base *url.URL, into *serverMetadata) error {
	found, err := t.serverDocument(ctx, base, into)
	if err != nil {
		return err
	}
	if !found {
		origin := base.String()
		*into = serverMetadata{Issuer: origin, AuthorizationEndpoint: origin + "/authorize", TokenEndpoint: origin + "/token",
			RegistrationEndpoint: origin + "/register", guessed: true}
		return nil
	}
	if issuer, err := url.Parse(into.Issuer); err != nil || !sameOrigin(issuer, base) {
		return untrusted("the metadata of the authorization server %s is that of %s", base, into.Issuer)
	}
	return nil
}

// serverDocument reads authorization server metadata from the well-known places, in the order
// of spec 4.20 and 4.21.
func (t *Transport) serverDocument(ctx context.Context, issuer *url.URL, into *serverMetadata) (bool, error) {
	origin, path := issuer.Scheme+"://"+issuer.Host, strings.TrimSuffix(issuer.EscapedPath(), "/")
	places := []string{
		origin + "/.well-known/oauth-authorization-server" + path,
		origin + "/.well-known/openid-configuration" + path,
	}
	if path != "" {
		places = append(places, origin+path+"/.well-known/openid-configuration")
	}
	var trouble error
	for _, place := range places {
		u, err := url.Parse(place)
		if err != nil {
			return false, err
		}
		var doc serverMetadata
		switch found, err := t.getDocument(ctx, u, &doc); {
		case err != nil:
			trouble = err
		case found && doc.Issuer != "" && doc.TokenEndpoint != "":
			*into = doc
			into.at = display(u)
			return true, nil
		}
	}
	return false, trouble
}

// checkServer refuses an authorization server that can't be used safely. Other endpoints are
// checked when they are used.
func (t *Transport) checkServer(m *serverMetadata) error {
	if _, err := t.checkURL(tokenEndpoint, m.TokenEndpoint); err != nil {
		return err // before the user has signed in, for nothing
	}
	return t.checkPKCE(m)
}

// checkPKCE refuses an authorization server that codes could be stolen at (RFC 7636).
func (t *Transport) checkPKCE(m *serverMetadata) error {
	if !t.cfg.asksUser() || t.cfg.DeviceCode || slices.Contains(m.ChallengeMethods, "S256") || m.guessed {
		return nil
	}
	if len(m.ChallengeMethods) > 0 {
		return untrusted("the authorization server %s does not support PKCE with S256", m.Issuer) // spec 4.27
	}
	if t.cfg.RequirePKCEMetadata {
		return untrusted("the authorization server %s does not say that it supports PKCE", m.Issuer) // spec 4.26
	}
	// The spec says refuse. Entra ID and others support S256 without saying so.
	t.cfg.Log.Warn("the authorization server does not say that it supports PKCE, which is used all the same", "issuer", m.Issuer)
	return nil
}

// getDocument reads a JSON document. Found is false when there is none at that place: servers say
// so with any 4xx, or with their web page. The error says that nobody can tell.
func (t *Transport) getDocument(ctx context.Context, u *url.URL, into any) (found bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return false, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := t.followSame(req)
	if err != nil {
		return false, fmt.Errorf("reading %s: %w", u, stripURL(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests {
		return false, fmt.Errorf("reading %s: HTTP %s", u, resp.Status)
	}
	if resp.StatusCode != http.StatusOK {
		return false, nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument))
	if err != nil {
		return false, fmt.Errorf("reading %s: %w", u, err)
	}
	if err := json.Unmarshal(body, into); err != nil {
		t.cfg.Log.Debug("what is at a well-known place is no metadata document", "url", u.String())
		return false, nil
	}
	return true, nil
}

// scopesFor returns the scopes to ask for, in the order of spec 4.49: the user's, else those of
// the challenge, else those of the resource, else none. What was granted before stays (spec 4.53).
func (t *Transport) scopesFor(d *discovery, c challenge, granted string) []string {
	var scopes []string
	switch {
	case len(t.cfg.Scopes) > 0:
		scopes = slices.Clone(t.cfg.Scopes)
	case c.scope != "":
		scopes = strings.Fields(c.scope)
	default:
		scopes = slices.Clone(d.scopes)
	}
	if c.errorCode == insufficientScope {
		scopes = union(append(strings.Fields(granted), scopes...), strings.Fields(c.scope))
	}
	if t.cfg.UseIDToken && len(t.cfg.Scopes) == 0 {
		scopes = union(scopes, []string{openID})
	}
	// Where the server offers refresh tokens for this scope, there would be none without it (spec 4.57).
	if len(t.cfg.Scopes) == 0 && len(scopes) > 0 && slices.Contains(d.server.ScopesSupported, offlineAccess) {
		scopes = union(scopes, []string{offlineAccess})
	}
	return scopes
}

const (
	insufficientScope = "insufficient_scope"
	offlineAccess     = "offline_access"
)

// union returns the elements of both, each once, in order.
func union(a, b []string) []string {
	var all []string
	for _, s := range append(slices.Clone(a), b...) {
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}
