package auth_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mcp-bridge/auth"
	"mcp-bridge/auth/authtest"
)

func (f *fixture) look() *auth.Look {
	f.t.Helper()
	return f.transport.Look(f.t.Context(), http.Header{"X-Mine": {"x"}}, 10*time.Second)
}

// A look before the first sign-in goes through all steps, and does nothing.
func TestLookDoesNothing(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) { c.Scopes, c.ChallengeScope = []string{"a", "offline_access"}, "a" }, nil)
	l := f.look()
	if l.Err != nil || !l.Wanted || l.Challenge.Scope != "a" || !slices.Equal(l.Challenge.Schemes, []string{"bearer"}) {
		t.Errorf("endpoint: %+v", l)
	}
	if r := l.Resource; r.Err != nil || r.Resource != f.url || r.URL != f.origin+"/.well-known/oauth-protected-resource/mcp" || !slices.Equal(r.Issuers, []string{f.as.URL()}) {
		t.Errorf("resource: %+v", r)
	}
	if s := l.Server; s.Err != nil || s.PKCE != nil || s.Issuer != f.as.URL() || !slices.Equal(s.Ask, []string{"a", "offline_access"}) || !slices.Equal(s.Methods, []string{"S256"}) {
		t.Errorf("authorization server: %+v", s)
	}
	if r := l.Registration; r.Err != nil || r.Client != nil || !r.Dynamic || !r.Documents {
		t.Errorf("registration: %+v", r)
	}
	if c := l.Callback; c.Err != nil || !strings.HasPrefix(c.RedirectURI, "http://localhost:") {
		t.Errorf("callback: %+v", c)
	}
	if l.Page != nil || l.Login.Record != nil || l.Login.Usable() {
		t.Errorf("page %+v, login %+v", l.Page, l.Login)
	}
	if got := f.asked(); !slices.Equal(got, []string{"GET /.well-known/oauth-authorization-server"}) {
		t.Errorf("the authorization server got %q", got)
	}
	f.wantCounts(0, 0, 0)
	if files, _ := os.ReadDir(f.dir); len(files) != 0 {
		t.Errorf("files were made: %v", files)
	}
	f.mu.Lock()
	first := f.requests[0]
	f.mu.Unlock()
	if first.Header.Get("X-Mine") != "x" || first.Header.Get("Authorization") != "" {
		t.Errorf("the endpoint got %v", first.Header)
	}
}

// A look at a login uses its token as it is, also when it has ended, or is about to.
func TestLookAtLogin(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) { c.AutoApprove = true }, nil)
	f.mustCall()
	l := f.look()
	if !l.Login.Usable() || !l.Login.Refreshable || l.Page == nil || l.Page.Err != nil || !l.Registration.Client.Registered {
		t.Fatalf("login %+v, page %+v, registration %+v", l.Login, l.Page, l.Registration)
	}
	if err := f.callThrough(l.RoundTripper()); err != nil {
		t.Error(err)
	}

	rec := f.record()
	rec.Token.Expiry = time.Now().Add(20 * time.Second) // the Transport would renew it
	f.save(rec)
	f.again(nil)
	if err := f.callThrough(f.look().RoundTripper()); err != nil {
		t.Error(err)
	}
	rec.Token.Expiry = time.Now().Add(-time.Hour)
	f.save(rec)
	f.again(nil)
	if l := f.look(); !l.Login.Expired || l.Login.Usable() || !l.Login.Refreshable {
		t.Errorf("an old login: %+v", l.Login)
	}
	f.as.RevokeAccessTokens()
	rec.Token.Expiry = time.Time{}
	f.save(rec)
	f.again(nil)
	l = f.look()
	if l.Login.Refusal == nil || l.Login.Refusal.Description != "revoked token" || l.Login.Usable() {
		t.Errorf("a refused login: %+v", l.Login)
	}
	if resp, err := f.do(l.RoundTripper(), http.MethodPost, f.url); err != nil || resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("refused: %v, %v", resp, err)
	}
	if n := f.as.Refreshes(); n != 0 {
		t.Errorf("%d refreshes", n)
	}
	f.wantCounts(1, 1, 1)
}

// The token never leaves a look, not even when the server repeats it, and goes to no other origin.
func TestLookTellsNoToken(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) { c.AutoApprove = true }, nil)
	f.mustCall()
	token := f.record().Token.Access
	f.as.RevokeAccessTokens()
	f.as.Set(func(c *authtest.Config) {
		c.Challenge = `Bearer error="invalid_token", error_description="who is ` + token + `?", resource_metadata="{metadata}"`
	})
	l := f.look()
	if l.Login.Refusal == nil || l.Login.Refusal.Description != "who is [hidden]?" {
		t.Errorf("refusal: %+v", l.Login.Refusal)
	}
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("another origin got the token")
		}
	}))
	defer other.Close()
	if _, err := f.do(l.RoundTripper(), http.MethodPost, other.URL); err != nil {
		t.Error(err)
	}
}

// What a sign-in would fail at, a look names by the same error.
func TestLookAgreesWithSignIn(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		server func(*authtest.Config)
		client func(*auth.Config)
		err    func(*auth.Look) error
	}{
		"resource": {func(c *authtest.Config) { c.ResourceMetadata = authtest.Edit{"resource": "https://other.example/"} }, nil,
			func(l *auth.Look) error { return l.Resource.Err }},
		"no authorization servers": {func(c *authtest.Config) { c.ResourceMetadata = authtest.Edit{"authorization_servers": []string{}} }, nil,
			func(l *auth.Look) error { return l.Resource.Err }},
		"issuer": {func(c *authtest.Config) { c.Metadata = authtest.Edit{"issuer": "https://other.example"} }, nil,
			func(l *auth.Look) error { return l.Server.Err }},
		"token endpoint": {func(c *authtest.Config) { c.Metadata = authtest.Edit{"token_endpoint": "ftp://127.0.0.1/token"} }, nil,
			func(l *auth.Look) error { return l.Server.Err }},
		"authorization endpoint": {func(c *authtest.Config) { c.Metadata = authtest.Edit{"authorization_endpoint": "javascript:1"} }, nil,
			func(l *auth.Look) error { return l.Server.Err }},
		"PKCE": {func(c *authtest.Config) {
			c.Metadata = authtest.Edit{"code_challenge_methods_supported": []string{"plain"}}
		}, nil, func(l *auth.Look) error { return l.Server.PKCE }},
		"registration": {func(c *authtest.Config) { c.Metadata = authtest.Edit{"registration_endpoint": authtest.Absent} }, nil,
			func(l *auth.Look) error { return l.Registration.Err }},
		"registration endpoint": {func(c *authtest.Config) {
			c.Metadata = authtest.Edit{"registration_endpoint": "ftp://127.0.0.1/register"}
		}, nil,
			func(l *auth.Look) error { return l.Registration.Err }},
		"client": {nil, func(c *auth.Config) { c.ClientID = "nobody" }, func(l *auth.Look) error { return l.Page.Err }},
		"scope": {func(c *authtest.Config) {
			c.Clients, c.RefuseScopes = []authtest.Client{{ID: "app"}}, []string{"x"}
		}, func(c *auth.Config) { c.ClientID, c.Scopes = "app", []string{"x"} }, func(l *auth.Look) error { return l.Page.Err }},
		"device": {func(c *authtest.Config) {
			c.Metadata = authtest.Edit{"device_authorization_endpoint": authtest.Absent}
		}, func(c *auth.Config) { c.DeviceCode = true }, func(l *auth.Look) error { return l.Server.Err }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, test.server, test.client)
			err := test.err(f.look())
			if err == nil {
				t.Fatalf("the look saw no error\n%s", f.story())
			}
			if real := f.call(); real == nil || !strings.Contains(real.Error(), err.Error()) {
				t.Errorf("a sign-in failed with\n%v, a look with\n%v", real, err)
			}
		})
	}
}

// The store is looked at, and left as it is.
func TestLookAtStore(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) { c.AutoApprove = true }, nil)
	if s := f.look().Store; s.DirMode == 0 || s.FileMode != 0 || s.Err != nil || s.Others != 0 || s.Busy {
		t.Errorf("without a login: %+v", s)
	}
	f.mustCall()
	if s := f.look().Store; s.FileMode == 0 || s.Err != nil || s.Others != 0 || s.Busy || s.Corrupt {
		t.Errorf("with a login: %+v", s)
	}
	f.again(func(c *auth.Config) { c.Profile = "work" })
	if s := f.look().Store; s.FileMode != 0 || s.Others != 1 {
		t.Errorf("with another's login: %+v", s)
	}
	f.again(func(c *auth.Config) { c.Profile = "" })
	files, err := filepath.Glob(filepath.Join(f.dir, "*.json"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	if err := os.WriteFile(files[0], []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.again(nil)
	if l := f.look(); !l.Store.Corrupt || l.Store.Err != nil || l.Login.Record != nil {
		t.Errorf("with a broken file: %+v", l.Store)
	}
	if text, err := os.ReadFile(files[0]); err != nil || string(text) != "{" {
		t.Errorf("the broken file was touched: %q, %v", text, err)
	}
	unlock, err := (&auth.FileStorage{Dir: f.dir, Identity: f.cfg.Identity()}).Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s := f.look().Store; !s.Busy {
		t.Errorf("while another one has the lock: %+v", s)
	}
	unlock()
	if s := f.look().Store; s.Busy {
		t.Errorf("after that: %+v", s)
	}
	f.again(func(c *auth.Config) { c.Storage = &auth.MemoryStorage{} })
	if l := f.look(); l.Store != nil || l.Login == nil {
		t.Errorf("in memory: %+v", l.Store)
	}
}

// A server that guards GET alone is seen to want a token, as is one behind a redirect.
func TestLookAtOddEndpoints(t *testing.T) {
	t.Parallel()
	for name, handle := range map[string]http.HandlerFunc{
		"GET alone": func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet && r.URL.Path == "/mcp" {
				w.WriteHeader(http.StatusUnauthorized)
			}
		},
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.Path == "/mcp":
				http.Redirect(w, r, "/mcp/", http.StatusTemporaryRedirect)
			case r.Method != http.MethodPost || r.Header.Get("X-Mine") == "":
				http.NotFound(w, r)
			default:
				w.WriteHeader(http.StatusUnauthorized)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(handle)
			defer s.Close()
			transport, err := auth.New(auth.Config{ServerURL: s.URL + "/mcp", Storage: &auth.MemoryStorage{}, Base: s.Client().Transport})
			if err != nil {
				t.Fatal(err)
			}
			defer transport.Close()
			if l := transport.Look(t.Context(), http.Header{"X-Mine": {"x"}}, 10*time.Second); !l.Wanted {
				t.Errorf("no token is wanted: %+v", l.Answers)
			}
		})
	}
}

// A server that can't be reached is an error, and what is kept here is looked at all the same.
func TestLookUnreachable(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) { c.AutoApprove = true }, nil)
	f.mustCall()
	broken := errors.New("no network")
	f.again(func(c *auth.Config) {
		c.Base = roundTripper(func(*http.Request) (*http.Response, error) { return nil, broken })
	})
	l := f.look()
	if !errors.Is(l.Err, broken) || l.Resource != nil || l.Login.Record == nil || l.Wanted {
		t.Errorf("%+v", l)
	}
}
