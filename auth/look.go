package auth

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

// lookBody is how many bytes of an answer are kept.
const lookBody = 64 << 10

// A Look is what [Transport.Look] saw. Where it could not look, since a step before failed or there
// was no need, a field is nil.
type Look struct {
	// Answers are the endpoint's to requests without a token: to POST and, where that needed none, to
	// GET. Err says why there are no more.
	Answers []*Answer
	Err     error

	Wanted    bool      // the last answer asks for a token
	Challenge Challenge // that came with it

	Resource     *ResourceLook
	Server       *ServerLook
	Registration *RegistrationLook
	Callback     *CallbackLook // nil also where signing in needs none
	Page         *PageLook     // nil also where no client is known yet

	Store *StoreLook // nil where logins are not kept in files
	Login *LoginLook // never nil

	transport http.RoundTripper
}

// A Challenge is what a WWW-Authenticate header says to Bearer, or to DPoP (RFC 6750 3, RFC 9728 5.1, RFC
// 9449 7.1), "" where it says nothing.
type Challenge struct {
	Schemes            []string // all that there are, in lower case
	ResourceMetadata   string
	Scope              string
	Error, Description string
}

// A ResourceLook is what is known of the server as a protected resource (RFC 9728).
type ResourceLook struct {
	URL      string   // of its metadata, "" if it has none
	Resource string   // for the resource parameter (RFC 8707), "" if it is not to be sent
	Issuers  []string // its authorization servers
	Err      error    // why it can't be found, or trusted
}

// A ServerLook is what is known of the authorization server (RFC 8414).
type ServerLook struct {
	URL          string // of its metadata, "" if it has none and its endpoints are guessed (2025-03-26)
	Issuer       string
	SignInStatus int      // HTTP status of a guessed authorization endpoint, 0 where it is not guessed
	Scopes       []string // that it lists
	Ask          []string // scopes that a sign-in would ask for
	Methods      []string // of PKCE, nil if it does not say
	Err          error    // why it can't be found, trusted, or used
	PKCE         error    // why it is refused for its PKCE
}

// A RegistrationLook is how a sign-in would become a client there.
type RegistrationLook struct {
	Documents, Dynamic bool    // what the authorization server offers beside clients known in advance
	Client             *Client // the one to use, nil if a new one would be registered
	Err                error   // why there is no way
}

// A CallbackLook is the address that the browser would return to.
type CallbackLook struct {
	RedirectURI string
	Taken       int   // the port of the registration, if somebody else has it; RedirectURI is with another one
	Err         error // why nobody can listen; a *PortInUseError where that is the reason
}

// A PageLook is what the authorization endpoint says of the client before any user gets there. Err is
// its refusal; errors.Is tells that it does not know the client by ErrClientNotFound.
type PageLook struct{ Err error }

// A LoginLook is what is kept of the login.
type LoginLook struct {
	Record        *Record // nil if there is none
	Err           error   // why it can't be read
	Expired       bool
	Refreshable   bool
	IssuerChanged bool       // the server names another authorization server than the login is from
	Refusal       *Challenge // what the server says to the token where it refuses it
}

// Usable tells whether the token can be sent as it is.
func (l *LoginLook) Usable() bool {
	return l.Record.hasToken() && !l.Expired && l.Refusal == nil
}

// Look goes through the steps of signing in, as far as that has no effect, and reports what it sees on
// the way. It registers no client, renews no token, opens no page, writes no file and takes no lock
// for longer than a moment. For a moment it listens for the callback. The header is the user's,
// and sent with requests to the endpoint, each of which is waited for no longer than limit.
func (t *Transport) Look(ctx context.Context, header http.Header, limit time.Duration) *Look {
	l := &Look{}
	rec := t.lookAtStore(l)
	l.transport = &keptToken{t, &held{Record: rec}}
	p := probe{client: t.client, endpoint: t.cfg.ServerURL, header: header, limit: limit, read: lookBody}
	var c challenge
	l.Answers, c, l.Wanted, l.Err = p.challenge(ctx)
	if !l.Wanted {
		return l
	}
	l.Challenge = ReadChallenge(l.Answers[len(l.Answers)-1].Header, "")
	if header.Get("Authorization") != "" {
		return l // the user's own is all that will be sent
	}
	t.lookAtToken(ctx, p, rec, l)
	d := t.lookAtResource(ctx, c, l)
	if l.Resource.Err == nil {
		t.lookAtServer(ctx, c, d, rec, l)
	}
	if s := l.Server; s == nil || s.Err != nil || s.PKCE != nil {
		d = nil // there can be no sign-in
	}
	if l.Login.IssuerChanged {
		rec = &Record{} // as for a sign-in: credentials of one authorization server are nothing to another (spec 4.69)
	}
	t.lookAtSignIn(ctx, d, rec, l)
	return l
}

// RoundTripper sends requests with the token that is kept, as it is, and leaves it at what the server
// says.
func (l *Look) RoundTripper() http.RoundTripper { return l.transport }

// A keptToken is a RoundTripper that gets no other token.
type keptToken struct {
	t *Transport
	h *held
}

func (k *keptToken) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Header.Get("Authorization") != "" || !sameOrigin(req.URL, k.t.server) {
		return k.t.cfg.Base.RoundTrip(req)
	}
	body, err := replayable(req)
	if err != nil {
		return nil, err
	}
	return k.t.send(req, body, k.h)
}

// lookAtStore returns the record that is kept, an empty one if there is none.
func (t *Transport) lookAtStore(l *Look) *Record {
	l.Login = &LoginLook{}
	if files, ok := t.cfg.Storage.(interface{ look() *StoreLook }); ok {
		l.Store = files.look()
		l.Login.Record, l.Login.Err = l.Store.record, l.Store.Err
	} else {
		l.Login.Record, l.Login.Err = t.cfg.Storage.Load()
	}
	rec := l.Login.Record
	if rec == nil {
		return &Record{}
	}
	l.Login.Expired = rec.hasToken() && rec.Token.expired()
	l.Login.Refreshable = rec.canRefresh() && t.refreshClient(rec) != nil
	return rec
}

// lookAtToken sees whether the server takes the token that is kept.
func (t *Transport) lookAtToken(ctx context.Context, p probe, rec *Record, l *Look) {
	if !l.Login.Usable() {
		return
	}
	client := *t.client
	client.Transport = l.transport
	p.client = &client
	answers, _, refused, err := p.challenge(ctx)
	if err != nil || !refused {
		return // what else there is to say will be said to the requests that matter
	}
	refusal := ReadChallenge(answers[len(answers)-1].Header, rec.Token.Access)
	l.Login.Refusal = &refusal
}

// ReadChallenge reads the WWW-Authenticate headers of an answer, for a person: shortened, and without
// the token that a server may repeat, if one was sent.
func ReadChallenge(h http.Header, token string) Challenge {
	show := func(text string) string {
		if token != "" {
			text = strings.ReplaceAll(text, token, "[hidden]")
		}
		return clip(text, longestText)
	}
	c, _ := tokenChallenge(h, false)
	if bound, _ := tokenChallenge(h, true); c.errorCode == "" && bound.errorCode != "" {
		c = bound
	}
	shown := Challenge{ResourceMetadata: show(c.resourceMetadata), Scope: show(c.scope), Error: show(c.errorCode), Description: show(c.description)}
	for _, line := range h.Values("WWW-Authenticate") {
		for _, one := range parseChallenges(line) {
			shown.Schemes = append(shown.Schemes, show(one.scheme))
		}
	}
	return shown
}

func (t *Transport) lookAtResource(ctx context.Context, c challenge, l *Look) *discovery {
	if t.cfg.TokenEndpoint != "" { // the user says all that there is to know
		d := t.configuredServer()
		l.Resource = &ResourceLook{Resource: d.resource}
		return d
	}
	d, err := t.discoverResource(ctx, c)
	l.Resource = &ResourceLook{Resource: d.resource, Err: err}
	if d.document != nil {
		l.Resource.URL, l.Resource.Issuers = d.document.at, d.document.AuthorizationServers
	}
	return d
}

func (t *Transport) lookAtServer(ctx context.Context, c challenge, d *discovery, rec *Record, l *Look) {
	s := &ServerLook{}
	l.Server = s
	if t.cfg.TokenEndpoint == "" {
		if s.Err = t.discoverServer(ctx, d); s.Err != nil {
			return
		}
	}
	if d.binding, s.Err = t.decideBinding(d, c); s.Err != nil {
		return
	}
	m := &d.server
	s.URL, s.Issuer, s.Scopes, s.Methods = m.at, m.Issuer, m.ScopesSupported, m.ChallengeMethods
	s.Ask = t.scopesFor(d, c, rec.Scope)
	if s.PKCE = t.checkPKCE(m); s.PKCE == nil && t.cfg.TokenEndpoint == "" {
		_, s.Err = t.checkURL(tokenEndpoint, m.TokenEndpoint)
	}
	if s.Err == nil {
		s.Err = t.checkSignIn(m)
	}
	if m.guessed && s.Err == nil {
		p := probe{client: t.client, endpoint: m.AuthorizationEndpoint, limit: preflightTimeout}
		if a, err := p.send(ctx, http.MethodGet); err == nil {
			s.SignInStatus = a.Status
		} else {
			s.Err = err
		}
	}
	l.Login.IssuerChanged = rec.Issuer != "" && rec.Issuer != m.Issuer
}

// lookAtSignIn goes through what a sign-in does before the user is asked. Without d, which is what
// discovery found, that is listening for the callback alone.
func (t *Transport) lookAtSignIn(ctx context.Context, d *discovery, rec *Record, l *Look) {
	redirectURI := ""
	if t.cfg.asksUser() && !t.cfg.DeviceCode {
		l.Callback = &CallbackLook{}
		cb, err := t.listen(rec)
		if err != nil {
			l.Callback.Err = err
		} else {
			redirectURI = cb.redirectURI
			l.Callback.RedirectURI = redirectURI
			if port := t.callbackPort(rec); port != 0 && port != cb.port() {
				l.Callback.Taken = port
			}
			defer cb.finish(nil)
		}
	}
	if d == nil {
		return
	}
	l.Registration = &RegistrationLook{Documents: d.server.DocumentClients, Dynamic: d.server.RegistrationEndpoint != ""}
	if l.Registration.Client = t.knownClient(&d.server, rec.Client, redirectURI); l.Registration.Client == nil {
		l.Registration.Err = t.checkRegistration(&d.server)
		return
	}
	if redirectURI == "" {
		return
	}
	state := rand.Text()
	page := t.authorizationURL(l.Registration.Client, d, l.Server.Ask, state, oauth2.GenerateVerifier())
	l.Page = &PageLook{t.preflight(ctx, page, redirectURI, state, l.Registration.Client, false, &d.server)}
}
