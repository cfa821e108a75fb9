package auth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"html"
	"io"
	"math"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

const tokenEndpoint = "token endpoint"

// A grant is one request to the token endpoint, by a client at an authorization server. The
// exchange of a code is oauth2.Config's; other grants go through clientcredentials.Config, the
// one part of x/oauth2 that lets grant_type and the other parameters be chosen and still parses the
// answer: oauth2's own refresh can't send resource, keeps its first context, and can't be told
// that a token was refused.
type grant struct {
	t        *Transport
	client   *Client
	issuer   string
	tokenURL string
	key      *ProofKey // that the token is to be bound to (RFC 9449 5); nil: to none
	binding  binding
}

// grantAt returns a grant by a client at the authorization server that was found. The token will be bound
// to a new key, where that is wanted.
func (t *Transport) grantAt(d *discovery, client *Client) (*grant, error) {
	g := &grant{t: t, client: client, issuer: d.server.Issuer, tokenURL: d.server.TokenEndpoint, binding: d.binding}
	if g.binding == unbound {
		return g, nil
	}
	var err error
	g.key, err = newProofKey()
	return g, err
}

// grantAgain returns a grant at the authorization server of a record, with the key of its token.
func (t *Transport) grantAgain(rec *Record, client *Client) *grant {
	g := &grant{t: t, client: client, issuer: rec.Issuer, tokenURL: rec.TokenURL, key: rec.Token.Key}
	if g.key != nil {
		g.binding = mayBind
	}
	if t.cfg.DPoP == DPoPAlways {
		g.binding = mustBind
	}
	return g
}

// exchange exchanges an authorization code.
func (g *grant) exchange(ctx context.Context, code, verifier, resource string) (*tokenReply, error) {
	return g.ask(ctx, url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "code_verifier": {verifier}, "redirect_uri": {g.client.RedirectURI},
	}, resource)
}

// refresh renews a token. Where resource is refused it is left out: Entra ID wants it once only.
func (g *grant) refresh(ctx context.Context, token, resource, scope string) (*tokenReply, error) {
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
	if scope != "" {
		form.Set("scope", scope)
	}
	reply, err := g.ask(ctx, form, resource)
	if refused, ok := errors.AsType[*TokenError](err); ok && resource != "" && refused.Status == http.StatusBadRequest &&
		!refused.isInvalidGrant() && !refused.isInvalidClient() && !refused.isTransient() {
		g.t.cfg.Log.Info("the token endpoint refuses a refresh with a resource, trying without")
		again, err2 := g.ask(ctx, form, "")
		if second, refused := errors.AsType[*TokenError](err2); err2 == nil || !refused || second.isTransient() {
			reply, err = again, err2
		}
	}
	if err == nil && reply.Refresh == "" {
		reply.Refresh = token // it stays good (RFC 6749 6)
	}
	return reply, err
}

// ask sends a grant; again with the nonce that the server wants in the proof (RFC 9449 8); and again with
// the secret in the body if the server takes it there only: many say that they take it in the header
// too.
func (g *grant) ask(ctx context.Context, form url.Values, resource string) (*tokenReply, error) {
	reply, err := g.askOnce(ctx, form, resource)
	if refused, ok := errors.AsType[*TokenError](err); ok && g.key != nil && refused.Code == useNonce {
		reply, err = g.askOnce(ctx, form, resource)
	}
	if refused, ok := errors.AsType[*TokenError](err); ok && refused.isInvalidClient() && g.client.AuthMethod == methodBasic {
		post := *g.client
		post.AuthMethod = methodPost
		second := *g
		second.client = &post
		if again, err := second.askOnce(ctx, form, resource); err == nil {
			*g.client = post
			return again, nil
		}
	}
	return reply, err
}

func (g *grant) askOnce(ctx context.Context, form url.Values, resource string) (*tokenReply, error) {
	if g.tokenURL != g.t.cfg.TokenEndpoint { // the user's own has been looked at
		if _, err := g.t.checkURL(tokenEndpoint, g.tokenURL); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	params := url.Values{}
	if g.client.ID != "" {
		params.Set("client_id", g.client.ID) // in the body whatever the method: some servers look only there
	}
	for name, values := range form {
		params[name] = values
	}
	if resource != "" {
		params.Set("resource", resource) // spec 4.75
	}
	cfg := clientcredentials.Config{ClientID: g.client.ID, TokenURL: g.tokenURL, EndpointParams: params, AuthStyle: oauth2.AuthStyleInParams}
	switch g.client.AuthMethod {
	case methodPost:
		cfg.ClientSecret = g.client.Secret
	case methodBasic:
		cfg.ClientSecret, cfg.AuthStyle = g.client.Secret, oauth2.AuthStyleInHeader
	case methodKey:
		if err := g.assert(params); err != nil {
			return nil, err
		}
	}
	// A grant must not meet a connection that the server is just closing: whether it arrived could
	// not be known, and codes and rotating tokens are good only once. So it gets a new one.
	g.t.client.CloseIdleConnections()
	shim := &tokenShim{base: g.t.client.Transport, hide: g.hide(params), grant: g}
	client := *g.t.client
	client.Transport = shim
	token, err := cfg.Token(context.WithValue(ctx, oauth2.HTTPClient, &client))
	if shim.refused != nil {
		return nil, shim.refused
	}
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok && refused.Response != nil {
		code, description := oauthError(refused.Body, refused.Response.Header.Get("Content-Type"), shim.hide)
		return nil, &TokenError{tokenEndpoint, refused.Response.StatusCode, code, description}
	}
	if err != nil {
		// What x/oauth2 says of a reply that it can't parse may quote it, tokens and all.
		if shim.replied {
			return nil, &TokenError{Endpoint: tokenEndpoint, Status: http.StatusOK, Description: "the reply holds no token"}
		}
		return nil, stripURL(err)
	}
	key, err := g.keyOf(token.Type())
	if err != nil {
		return nil, err
	}
	scope, _ := token.Extra("scope").(string)
	reply := &tokenReply{Token{Access: token.AccessToken, Refresh: token.RefreshToken, Issued: time.Now().UTC().Round(0), Expiry: shim.expiry, Key: key}, scope}
	id, _ := token.Extra("id_token").(string)
	g.t.takeIDToken(&reply.Token, id)
	return reply, nil
}

// keyOf returns the key that a token of this type is bound to, nil if it is bound to none.
func (g *grant) keyOf(tokenType string) (*ProofKey, error) {
	why := "of type " + strconv.Quote(clip(tokenType, 40)) + ", which can't be used"
	switch {
	case strings.EqualFold(tokenType, "dpop") && g.key != nil:
		return g.key, nil
	case strings.EqualFold(tokenType, "bearer") && g.binding != mustBind:
		return nil, nil
	case strings.EqualFold(tokenType, "bearer"):
		why = "not bound to a key (DPoP), as it has to be"
	}
	return nil, &TokenError{Endpoint: tokenEndpoint, Status: http.StatusOK, Description: "the token is " + why}
}

// A tokenReply is what the token endpoint gave.
type tokenReply struct {
	Token
	scope string // granted, "" if it is what was asked for
}

// The refusals that mean something for what is kept (RFC 6749 5.2), and those that mean nothing.

func (e *TokenError) isInvalidGrant() bool {
	return e.Code == "invalid_grant" || e.Code == "invalid_refresh_token"
}

func (e *TokenError) isInvalidClient() bool {
	return e.Code == "invalid_client" || e.Code == "unauthorized_client" || e.Code == "" && e.Status == http.StatusUnauthorized
}

func (e *TokenError) isTransient() bool {
	return e.Status >= 500 || e.Status == http.StatusTooManyRequests || e.Status == http.StatusRequestTimeout || e.Status == http.StatusNotFound ||
		isAboutProof(e.Code) || e.Status/100 == 3 || e.Status == http.StatusOK && e.Code == "" || e.Code == "temporarily_unavailable" || e.Code == "server_error" || e.Code == "slow_down"
}

// A tokenShim makes the odd replies of token endpoints such as x/oauth2 can read: times as strings
// or fractions, forms in place of JSON, and a 200 that holds an error. And it adds the proof of the key.
type tokenShim struct {
	base    http.RoundTripper
	hide    func(string) string // hides what was sent
	grant   *grant
	replied bool
	expiry  time.Time
	refused *TokenError
}

func (s *tokenShim) RoundTrip(req *http.Request) (*http.Response, error) {
	req.Header.Set("Accept", "application/json") // RoundTrippers may not, but this request is ours alone
	if key := s.grant.key; key != nil {
		if err := s.grant.t.prove(req, key, ""); err != nil {
			return nil, err
		}
	}
	resp, err := s.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	s.grant.t.nonces.take(req.URL, resp.Header)
	s.replied = true
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument))
	resp.Body.Close()
	if err != nil {
		s.replied = false
		return nil, err
	}
	if resp.StatusCode/100 == 2 {
		body = s.read(resp, body)
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return resp, nil
}

// read takes the expiry out of a reply and returns the rest as JSON.
func (s *tokenShim) read(resp *http.Response, body []byte) []byte {
	members := map[string]any{}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if decoder.Decode(&members) != nil {
		form, err := url.ParseQuery(strings.TrimSpace(string(body)))
		if err != nil || form.Get("access_token") == "" && form.Get("error") == "" {
			s.refused = &TokenError{Endpoint: tokenEndpoint, Status: resp.StatusCode, Description: "the reply holds no token"}
			return body
		}
		members = map[string]any{}
		for name := range form {
			members[name] = form.Get(name)
		}
	}
	if code, ok := members["error"].(string); ok && code != "" {
		description, _ := members["error_description"].(string)
		s.refused = &TokenError{tokenEndpoint, resp.StatusCode, clip(s.hide(code), 100), clip(s.hide(description), longestText)}
	}
	s.expiry = expiry(members["expires_in"])
	delete(members, "expires_in")
	for name, value := range members {
		if value == nil {
			delete(members, name)
		}
	}
	text, err := json.Marshal(members)
	if err != nil {
		return body
	}
	resp.Header.Set("Content-Type", "application/json")
	return text
}

// expiry returns when a token ends that lives for so many seconds. What is 0 or less ends at once;
// what is missing or no number is not known, and returned as zero.
func expiry(expiresIn any) time.Time {
	if d := seconds(expiresIn); d >= 0 {
		return time.Now().Add(d).UTC().Round(0)
	}
	return time.Time{}
}

// seconds returns a time that a server gives as a number of seconds or a string of one: not less
// than 0, and less than 0 when it is neither.
func seconds(v any) time.Duration {
	var text string
	switch v := v.(type) {
	case json.Number:
		text = v.String()
	case string:
		text = strings.TrimSpace(v)
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(n) {
		return -1
	}
	const century = 100 * 365 * 24 * 3600
	return time.Duration(min(max(n, 0), century) * float64(time.Second))
}

// revoke tells the server that a token is not used any more (RFC 7009 2.1).
func (g *grant) revoke(ctx context.Context, revokeURL, token, hint string) error {
	if _, err := g.t.checkURL("revocation endpoint", revokeURL); err != nil {
		return err
	}
	_, err := g.post(ctx, "revocation endpoint", revokeURL, url.Values{"token": {token}, "token_type_hint": {hint}})
	return err
}

// post sends a form to an endpoint that is not the token endpoint, but knows the client in the same
// ways, and returns the body of the answer. A refusal is a TokenError. The endpoint has been checked.
func (g *grant) post(ctx context.Context, what, endpoint string, form url.Values) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	form.Set("client_id", g.client.ID)
	switch g.client.AuthMethod {
	case methodPost:
		form.Set("client_secret", g.client.Secret)
	case methodKey:
		if err := g.assert(form); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	if g.client.AuthMethod == methodBasic {
		req.SetBasicAuth(url.QueryEscape(g.client.ID), url.QueryEscape(g.client.Secret)) // RFC 6749 2.3.1
	}
	resp, err := g.t.client.Do(req)
	if err != nil {
		return nil, stripURL(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 != 2 {
		code, description := oauthError(body, resp.Header.Get("Content-Type"), g.hide(form))
		return nil, &TokenError{what, resp.StatusCode, code, description}
	}
	return body, nil
}

// hide returns a function that hides what is secret in a form, and the client's secret, in whatever
// way it is written: servers repeat what they were sent.
func (g *grant) hide(form url.Values) func(string) string {
	secrets := []string{g.client.Secret}
	for _, name := range []string{"code", "code_verifier", "refresh_token", "device_code", "token", "client_assertion", "assertion", "subject_token"} {
		secrets = append(secrets, form.Get(name))
	}
	var pairs []string
	for _, secret := range secrets {
		if len(secret) < 4 {
			continue
		}
		for _, written := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret)} {
			pairs = append(pairs, written, "[hidden]")
		}
	}
	return strings.NewReplacer(pairs...).Replace
}

// assert adds the proof that the client has its key, or that somebody vouches for it (RFC 7523 2.2).
func (g *grant) assert(form url.Values) error {
	signed, err := g.t.clientAssertion(g.client.ID, g.issuer)
	if err != nil {
		return err
	}
	form.Set("client_assertion_type", assertionType)
	form.Set("client_assertion", signed)
	return nil
}

// longestText is how many bytes of a server's text are quoted.
const longestText = 200

// oauthError reads an OAuth error, and the gist of what is none. Hide takes out what must not be told;
// nil stands for nothing.
func oauthError(body []byte, contentType string, hide func(string) string) (code, description string) {
	if hide == nil {
		hide = func(text string) string { return text }
	}
	var e struct {
		Code        string `json:"error"`
		Description string `json:"error_description"`
	}
	form, err := url.ParseQuery(string(body))
	kind, _, _ := mime.ParseMediaType(contentType)
	switch {
	case json.Unmarshal(body, &e) == nil && e.Code != "":
		code, description = e.Code, e.Description
	case err == nil && form.Get("error") != "":
		code, description = form.Get("error"), form.Get("error_description")
	case kind == "text/html" || bytes.HasPrefix(bytes.TrimSpace(body), []byte("<")):
		description = "a web page: " + strings.Join(strings.Fields(html.UnescapeString(htmlTag().ReplaceAllString(string(body), " "))), " ")
	default:
		description = string(body)
	}
	// Hidden first, or shortening could leave a part.
	return clip(hide(code), 100), clip(hide(description), longestText)
}

// htmlTag matches what is not text in a web page.
var htmlTag = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?is)<(style|script|head).*?</(style|script|head)>|<[^>]*>`)
})

// clip shortens a server's text to one line of at most n bytes.
func clip(text string, n int) string {
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "�"), func(c rune) bool { return c == ' ' || isControl(c) }), " ")
	if len(text) > n {
		text = strings.ToValidUTF8(text[:n-len("…")], "") + "…"
	}
	return text
}

// isControl tells whether a character controls the terminal that it is shown on, or puts what follows it
// in another order.
func isControl(c rune) bool {
	return unicode.IsControl(c) || '\u202a' <= c && c <= '\u202e' || '\u2066' <= c && c <= '\u2069'
}

// stripURL returns the error of a request without its URL, which may hold a code or a state.
func stripURL(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}
