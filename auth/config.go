package auth

import (
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Config describes an MCP server and how to be authorized for it. Only ServerURL is required.
type Config struct {
	ServerURL string // MCP endpoint; its origin is the only one that is ever sent a token
	AllowHTTP bool   // plain http is allowed beyond loopback, for the authorization server too
	// AllowPrivate lets a server that is on no private address send the sign-in to such ones.
	AllowPrivate bool

	Scopes       []string // requested instead of what the server suggests
	Resource     string   // RFC 8707 resource, instead of what the server says
	OmitResource bool     // no resource parameter at all

	ClientName        string         // shown on the consent page; default "mcp-bridge"
	ClientID          string         // pre-registered client; no registration takes place
	ClientSecret      string         // of the pre-registered client
	ClientKey         crypto.Signer  // private_key_jwt in place of a secret: an RSA or P-256 key
	ClientMetadataURL string         // client ID metadata document, used where the server supports it
	ClientMetadata    map[string]any // merged over the registration request

	// ClientCredentials asks for a token for the client itself, without a user (RFC 6749 4.4).
	ClientCredentials bool
	// TokenEndpoint is where ClientCredentials, or a ClientAssertion by itself, gets its token, for
	// servers that do not say it: nothing is discovered then.
	TokenEndpoint string
	// ClientAssertion returns a JWT by which the platform that the client runs on vouches for it. It is
	// called for each use. Such a JWT is all that a token is asked for with (RFC 7523 2.1, workload
	// identity); but with ClientCredentials or IdentityProvider it authenticates the client, in place of a
	// secret (RFC 7523 2.2).
	ClientAssertion func() (string, error)
	// IdentityProvider vouches for the user, who is not asked (enterprise-managed authorization).
	IdentityProvider *IdentityProvider
	// DeviceCode signs in with a code to be entered on another device (RFC 8628).
	DeviceCode bool
	// UseIDToken sends the ID token (OpenID Connect Core 1.0 2) in place of the access token, for
	// servers that know users by that one.
	UseIDToken bool

	// DPoP says whether tokens are bound to a key. Default: where the server asks for it.
	DPoP DPoPMode

	// AuthorizeParams are added to the authorization request.
	AuthorizeParams url.Values
	// RequirePKCEMetadata refuses servers that do not say whether they support PKCE.
	RequirePKCEMetadata bool

	CallbackHost  string        // default "localhost"; a loopback name or address
	CallbackPort  int           // default: the port used before, else any free one
	CallbackPath  string        // default "/callback"
	SuccessURL    string        // where the browser goes after a sign-in that worked; default: a page of our own
	SignInTimeout time.Duration // default 5 minutes

	// Profile tells several accounts on one server apart.
	Profile string
	// Storage keeps tokens and registrations. Default: a FileStorage in DefaultDir, or
	// a MemoryStorage where there is no such folder.
	Storage Storage
	// Sealing says whether that FileStorage seals what it keeps.
	Sealing Sealing

	// Base carries requests to the MCP server and to the authorization server alike. One of your own
	// should connect by DialContext. Default: one like http.DefaultTransport that does.
	Base http.RoundTripper
	// Open shows the user a page. Default: OpenBrowser. The URL goes to Tell in any case.
	Open func(url string) error
	// Tell is told what a person should know, while it happens. Default: nobody is told.
	Tell func(Event)
	// Ignore, if set, looks at a 401 that carries no challenge, and the beginning of its body, and
	// returns true if it has nothing to do with authorization.
	Ignore func(resp *http.Response, body []byte) bool
	// Log hears of details. Tokens, codes and secrets are not logged, at no level. Default: silence.
	Log *slog.Logger
}

// An Event is something that a person should know.
type Event struct {
	Kind EventKind
	URL  string // to open
	Code string // to enter there (DeviceStarted)
}

// EventKind says what happened.
type EventKind int

const (
	SignInStarted   EventKind = iota // URL is where to sign in; the browser has it, from us or from a process that was killed
	DeviceStarted                    // URL is to be opened anywhere, and Code entered
	SignInElsewhere                  // another process has the sign-in page open, at URL, if known
	SignInDone                       // a sign-in ended well
	IssuerChanged                    // the server names another authorization server, URL; the old login does not count there
)

const (
	defaultSignInTimeout = 5 * time.Minute
	defaultClientName    = "mcp-bridge"
)

// check fills in the defaults, and refuses what can't work.
func (c *Config) check() error {
	u, err := url.Parse(c.ServerURL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return errors.New("the server's URL is no absolute https or http URL")
	}
	if c.CallbackPort < 0 || c.CallbackPort > 65535 {
		return fmt.Errorf("the callback port %d is no port", c.CallbackPort)
	}
	if c.ClientMetadataURL != "" {
		if err := checkDocumentURL(c.ClientMetadataURL); err != nil {
			return err
		}
	}
	if c.CallbackHost == "" {
		c.CallbackHost = "localhost"
	}
	c.CallbackHost = strings.Trim(c.CallbackHost, "[]")
	if !isLoopbackHost(c.CallbackHost) {
		return fmt.Errorf("the callback host %q is not a loopback name or address", c.CallbackHost)
	}
	if c.CallbackPath == "" {
		c.CallbackPath = "/callback"
	}
	if !strings.HasPrefix(c.CallbackPath, "/") || strings.ContainsAny(c.CallbackPath, "?#") {
		return fmt.Errorf("the callback path %q is not a path", c.CallbackPath)
	}
	for name := range c.AuthorizeParams {
		switch name {
		case "client_id", "redirect_uri", "response_type", "state", "code_challenge", "code_challenge_method":
			return fmt.Errorf("the authorization parameter %s can't be set", name)
		}
	}
	if err := c.checkWithoutUser(); err != nil {
		return err
	}
	if c.SuccessURL != "" {
		if err := c.checkSuccessURL(); err != nil {
			return err
		}
	}
	if c.TokenEndpoint != "" {
		u, err := url.Parse(c.TokenEndpoint)
		switch {
		case !c.ClientCredentials && !c.isWorkload():
			return errors.New("a token endpoint can be given for client credentials and assertions only")
		case err != nil || u.Host == "" || u.Fragment != "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http":
			return errors.New("the token endpoint is no https URL, without user and fragment")
		case u.Scheme == "http" && !c.AllowHTTP && !isLoopbackHost(u.Hostname()):
			return fmt.Errorf("the token endpoint on %s uses plain http, only https is allowed", u.Host)
		}
	}
	if c.UseIDToken && (!c.asksUser() || c.DPoP == DPoPAlways) {
		return errors.New("an ID token is for a user who signs in, and is bound to no key")
	}
	if c.SignInTimeout <= 0 {
		c.SignInTimeout = defaultSignInTimeout
	}
	if c.ClientName == "" {
		c.ClientName = defaultClientName
	}
	if c.Base == nil {
		c.Base = defaultBase()
	}
	if c.Open == nil {
		c.Open = OpenBrowser
	}
	if c.Tell == nil {
		c.Tell = func(Event) {}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Storage == nil {
		dir, err := DefaultDir()
		if err != nil {
			c.Log.Warn("logins are kept in memory only", "error", err)
			c.Storage = &MemoryStorage{}
			return nil
		}
		c.Storage = &FileStorage{Dir: dir, Identity: c.Identity(), Sealing: c.Sealing, Log: c.Log}
	}
	return nil
}

// checkSuccessURL refuses what could take more along than the browser.
func (c *Config) checkSuccessURL() error {
	u, err := url.Parse(c.SuccessURL)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http":
		return errors.New("the page for after the sign-in is no https URL, without user, query and fragment")
	case u.Scheme == "http" && !c.AllowHTTP && !isLoopbackHost(u.Hostname()):
		return fmt.Errorf("the page for after the sign-in on %s uses plain http, only https is allowed", u.Host)
	}
	return nil
}

// checkDocumentURL holds the rules for a URL that is a client ID (spec 4.62).
func checkDocumentURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.Path == "" || u.Path == "/" || u.Fragment != "" || u.User != nil {
		return fmt.Errorf("the client metadata URL %q is not an https URL with a path", s)
	}
	return nil
}

// isLoopbackHost tells whether a host name or address can only mean this machine.
func isLoopbackHost(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(strings.Trim(host, "[]")), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// checkURL returns an endpoint that a server named, if it may be used: https, or http on loopback
// (spec 4.90, 4.91), and nothing on this machine or its network unless the MCP server is there
// too (spec 4.92). What a name stands for turns out when it is connected to: see DialContext.
func (t *Transport) checkURL(what, s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return nil, untrusted("the server's %s is no absolute URL", what)
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, untrusted("the server's %s has the scheme %q, only https is allowed", what, u.Scheme)
	case u.Scheme == "http" && !isLoopbackHost(u.Hostname()) && !t.cfg.AllowHTTP:
		return nil, untrusted("the server's %s on %s uses plain http, only https is allowed", what, u.Host)
	case isInternalHost(u.Hostname()) && !t.place.isKnownInternal():
		return nil, private("the server's %s is on %s, a private address, while the server itself is not", what, u.Host)
	}
	u.User, u.Fragment = nil, ""
	return u, nil
}

// isInternalHost tells whether a name or address is of this machine or a private network.
func isInternalHost(host string) bool {
	if isLoopbackHost(host) {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && isInternal(addr)
}
