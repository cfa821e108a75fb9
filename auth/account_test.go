package auth_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"mcp-bridge/auth"
	"mcp-bridge/auth/authtest"
)

// revocations returns the tokens that were sent to be revoked, with what they were said to be.
func (f *fixture) revocations() map[string]string {
	all := make(map[string]string)
	for _, form := range f.forms("POST /revoke") {
		all[form.Get("token")] = form.Get("token_type_hint")
	}
	return all
}

// Login signs in, whether or not there is a login.
func TestLogin(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	for i := range 3 {
		if err := f.transport.Login(t.Context()); err != nil {
			t.Fatalf("%v\n%s", err, f.story())
		}
		f.wantCounts(1, i+1, i+1)
		if rec := f.record(); rec == nil || rec.Token == nil {
			t.Fatalf("the record is %+v", rec)
		}
	}
	if n := len(f.told(auth.SignInDone)); n != 3 {
		t.Errorf("told %d times that it is done", n)
	}
	f.mustCall()
	f.again(nil)
	f.mustCall()
	if err := f.transport.Login(t.Context()); err != nil { // with a login from the disk
		t.Error(err)
	}
	f.wantCounts(1, 4, 4)
}

// Login is what a user does after a sign-in that failed: there is no cool-down for it.
func TestLoginAfterAFailure(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	f.browser.Deny = true
	wantError(t, f.transport.Login(t.Context()), "access_denied")
	f.browser.Pages()
	f.browser.Deny = false
	if err := f.transport.Login(t.Context()); err != nil {
		t.Error(err)
	}
	f.wantCounts(1, 2, 1)
}

// Some servers guard one method only.
func TestLoginAtAServerThatGuardsGET(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	f.again(func(c *auth.Config) {
		base := c.Base
		c.Base = roundTripper(func(req *http.Request) (*http.Response, error) {
			if req.Method == http.MethodPost && req.URL.Path == "/mcp" {
				return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
			}
			return base.RoundTrip(req)
		})
	})
	if err := f.transport.Login(t.Context()); err != nil {
		t.Error(err)
	}
	f.wantCounts(1, 1, 1)
}

// A server that asks for nothing gets nothing.
func TestLoginIsNotWanted(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) { c.Faults = []authtest.Fault{{Path: "/mcp", Body: "{}"}} }, nil)
	if err := f.transport.Login(t.Context()); !errors.Is(err, auth.ErrNotWanted) {
		t.Errorf("error %v", err)
	}
	f.wantCounts(0, 0, 0)
}

// Logout forgets everything and revokes both tokens.
func TestLogout(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	rec := f.signIn()
	if err := f.transport.Logout(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := f.revocations()
	if len(got) != 2 || got[rec.Token.Access] != "access_token" || got[rec.Token.Refresh] != "refresh_token" || f.as.Revoked() != 2 {
		t.Errorf("revoked %v", got)
	}
	if f.record() != nil || len(f.files(".json", ".page")) != 0 {
		t.Errorf("there is still %+v in %q", f.record(), f.files())
	}
	// The Transport has forgotten it, too, and so a GET has no token.
	if _, err := f.do(f.transport, http.MethodGet, f.url); !errors.Is(err, auth.ErrSignInRequired) {
		t.Errorf("afterwards: %v", err)
	}
	f.mustCall()
	f.wantCounts(2, 2, 2)
}

// A registered client proves who it is there, in its way, and so does a configured one.
func TestLogoutClientAuthentication(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"none", "client_secret_post", "client_secret_basic"} {
		for _, registered := range []bool{true, false} {
			if method == "none" && !registered {
				continue
			}
			t.Run(method+map[bool]string{true: ", registered", false: ", configured"}[registered], func(t *testing.T) {
				t.Parallel()
				f := setup(t, func(c *authtest.Config) {
					c.AuthMethods = []string{method}
					c.Clients = []authtest.Client{{ID: "known", Secret: "secret-known", AuthMethod: method}}
				}, func(c *auth.Config) {
					if !registered {
						c.ClientID, c.ClientSecret = "known", "secret-known"
					}
				})
				f.signIn()
				f.again(nil)
				if err := f.transport.Logout(t.Context()); err != nil {
					t.Error(err)
				}
				if n := f.as.Revoked(); n != 2 {
					t.Errorf("%d tokens revoked\n%s", n, f.story())
				}
			})
		}
	}
}

// A revocation that fails is told, and everything is forgotten all the same.
func TestLogoutForgetsAnyway(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]authtest.Fault{
		"503":     {Status: 503},
		"400":     {Error: "unsupported_token_type"},
		"reset":   {Reset: true},
		"unknown": {Error: "invalid_client"},
		"away":    {Status: 307, Header: http.Header{"Location": {"http://127.0.0.1:1/"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fault.Path = "/revoke"
			f := setup(t, func(c *authtest.Config) { c.Faults = []authtest.Fault{fault} }, nil)
			f.signIn()
			wantError(t, f.transport.Logout(t.Context()), "revoking", f.as.URL())
			if f.record() != nil {
				t.Errorf("there is still %+v", f.record())
			}
		})
	}
}

// One of the two may fail: the other is tried.
func TestLogoutTriesBothTokens(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) {
		c.Faults = []authtest.Fault{{Path: "/revoke", Form: map[string]string{"token_type_hint": "refresh_token"}, Error: "unsupported_token_type"}}
	}, nil)
	rec := f.signIn()
	wantError(t, f.transport.Logout(t.Context()), "unsupported_token_type")
	if got := f.revocations(); got[rec.Token.Access] != "access_token" {
		t.Errorf("the access token was left good: %v", got)
	}
}

// Where there is nothing to revoke, or nowhere, there is no trouble.
func TestLogoutWithoutRevocation(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) { c.Metadata = authtest.Edit{"revocation_endpoint": authtest.Absent} }, nil)
	if err := f.transport.Logout(t.Context()); err != nil {
		t.Errorf("nothing: %v", err)
	}
	f.signIn()
	if err := f.transport.Logout(t.Context()); err != nil {
		t.Errorf("nowhere: %v", err)
	}
	if f.record() != nil || f.as.Count("POST /revoke") != 0 {
		t.Errorf("%+v\n%s", f.record(), f.story())
	}
}

// Logout of a server that is never asked again: nothing but the stored record is needed.
func TestLogoutNeedsNoServer(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	f.signIn()
	f.again(nil)
	reached := len(f.reached())
	if err := f.transport.Logout(t.Context()); err != nil {
		t.Error(err)
	}
	if n := len(f.reached()); n != reached || f.as.Revoked() != 2 {
		t.Errorf("the MCP server was asked: %q; %d tokens revoked", f.reached()[reached:], f.as.Revoked())
	}
}

// Logout waits for a refresh that another process is at, and ends what came of it.
func TestLogoutWaitsForTheLock(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	old := f.signIn()
	unlock, err := f.storage().Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- f.transport.Logout(t.Context()) }() // ends when the lock is free
	next := *old
	next.Token = &auth.Token{Access: "secret-at-new", Refresh: "secret-rt-new", Expiry: time.Now().Add(time.Hour).UTC()}
	f.save(&next)
	unlock()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if got := f.revocations(); got["secret-rt-new"] != "refresh_token" || len(got) != 2 {
		t.Errorf("revoked %v", got)
	}
	if f.record() != nil {
		t.Errorf("there is still %+v", f.record())
	}
}

// A login that was ended by another program stays ended, where the token at hand is still taken: it
// is not written back at the next refresh.
func TestLogoutElsewhereIsFinal(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) { c.Metadata = authtest.Edit{"revocation_endpoint": authtest.Absent} }, nil)
	f.signIn()
	if err := f.another(f.cfgAlone()).Logout(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.as.RevokeAccessTokens()
	if _, err := f.do(f.transport, http.MethodGet, f.url); !errors.Is(err, auth.ErrSignInRequired) {
		t.Errorf("a GET of the other program: %v", err)
	}
	if rec := f.record(); rec != nil && rec.Token != nil {
		t.Errorf("the login is back: %+v", rec.Token)
	}
	f.wantTokenCalls(0, 1, 1)
}
