package auth_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"mcp-bridge/auth"
	"mcp-bridge/auth/authtest"
)

// refreshing are the refreshes among the requests for a token.
var refreshing = map[string]string{"grant_type": "refresh_token"}

// A refused token is renewed, and the message sent once more.
func TestF1_RefreshAfter401(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	old := f.signIn()
	f.as.RevokeAccessTokens()
	posts := f.posts()
	f.mustCall()
	f.wantTokenCalls(1, 1, 1)
	if n := f.posts() - posts; n != 2 {
		t.Errorf("the message was posted %d times, want twice", n)
	}
	if got := f.last("POST /token refresh_token").Get("refresh_token"); got != old.Token.Refresh {
		t.Errorf("refreshed with %q, want %q", got, old.Token.Refresh)
	}
	if rec := f.record(); rec.Token.Access == old.Token.Access || rec.Token.Refresh == old.Token.Refresh {
		t.Error("the new tokens are not kept")
	}
}

// What has expired, or is about to, is renewed before the message goes out; what has not is used.
func TestF1_RefreshBeforeExpiry(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		left      time.Duration
		refreshes int
	}{
		"long ago":   {-24 * time.Hour, 1},
		"about now":  {time.Second, 1},
		"soon":       {30 * time.Second, 1},
		"much later": {5 * time.Minute, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, nil, nil)
			f.signIn()
			f.expireIn(test.left)
			posts := f.posts()
			f.mustCall()
			f.wantTokenCalls(test.refreshes, 1, 1)
			if n := f.posts() - posts; n != 1 {
				t.Errorf("the message was posted %d times, want once", n)
			}
		})
	}
}

// The end of a token is stored as a time, not as a number of seconds.
func TestF1_ExpiryIsAbsolute(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	rec := f.signIn()
	f.again(nil)
	f.mustCall()
	if got := f.record().Token.Expiry; !got.Equal(rec.Token.Expiry) || time.Until(got) > time.Hour || time.Until(got) < 50*time.Minute {
		t.Errorf("the token ends at %v, then at %v", rec.Token.Expiry, got)
	}
}

// Tokens that never live longer than the time that a token is renewed in advance are used, too.
func TestF1_ShortLivedTokensAreUsed(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) { c.Lifetime = 30 * time.Second }, nil)
	for range 5 {
		f.mustCall()
	}
	f.wantTokenCalls(0, 1, 1)
}

// A reply without a refresh token, or without a scope, leaves the old one.
func TestF2_ReplyWithoutRefreshToken(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) {
		c.NoRotation = true
		c.ChallengeScope = "a"
	}, nil)
	old := f.signIn()
	f.as.Set(func(c *authtest.Config) { c.Token = authtest.Edit{"scope": authtest.Absent} })
	for i := range 2 {
		f.expire()
		f.mustCall()
		if got := f.last("POST /token refresh_token").Get("refresh_token"); got != old.Token.Refresh {
			t.Errorf("refresh %d with %q, want %q", i, got, old.Token.Refresh)
		}
		if rec := f.record(); rec.Token.Refresh != old.Token.Refresh || rec.Scope != "a" {
			t.Errorf("after refresh %d: refresh token %q, scope %q", i, rec.Token.Refresh, rec.Scope)
		}
	}
	f.wantTokenCalls(2, 1, 1)
}

// null is absent, too.
func TestF2_RefreshTokenIsNull(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) { c.NoRotation = true }, nil)
	old := f.signIn()
	f.as.Set(func(c *authtest.Config) { c.Token = authtest.Edit{"refresh_token": nil} })
	f.expire()
	f.mustCall()
	if rec := f.record(); rec.Token.Refresh != old.Token.Refresh {
		t.Errorf("the refresh token is %q", rec.Token.Refresh)
	}
}

// A passing failure costs the message at hand, and nothing else.
func TestF4_PassingFailuresKeepEverything(t *testing.T) {
	t.Parallel()
	var down atomicBase
	f := setup(t, nil, nil)
	f.again(func(c *auth.Config) {
		down.base = c.Base
		c.Base = &down
	})
	rec := f.signIn()
	f.as.RevokeAccessTokens()
	faults := []authtest.Fault{
		{Status: 500},
		{Status: 502, Body: "<html><h1>Bad Gateway</h1></html>", Header: http.Header{"Content-Type": {"text/html"}}},
		{Status: 429, Header: http.Header{"Retry-After": {"1"}}},
		{Status: 408},
		{Error: "temporarily_unavailable", Status: 400},
		{Error: "server_error", Status: 400},
		{Status: 404, Body: "<html>not found</html>"},
		{Reset: true},
	}
	for i, fault := range faults {
		fault.Path, fault.Form, fault.Times = "/token", refreshing, 1
		f.as.Set(func(c *authtest.Config) { c.Faults = []authtest.Fault{fault} })
		wantError(t, f.call())
		if n := f.as.Refreshes(); n != i+1 {
			t.Errorf("%+v: %d refreshes so far, want %d", fault, n, i+1)
		}
		f.wantRecord(rec)
	}
	down.refuse("/token")
	err := f.call()
	wantError(t, err)
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("no listener: %v", err)
	}
	f.wantRecord(rec)
	down.refuse("")
	f.mustCall()
	f.wantTokenCalls(len(faults)+1, 1, 1)
	if n := f.as.Registrations(); n != 1 {
		t.Errorf("%d registrations", n)
	}
}

// All of the authorization server is away, as on a plane.
func TestF4_AuthorizationServerIsAway(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	rec := f.signIn()
	f.as.RevokeAccessTokens()
	f.as.Set(func(c *authtest.Config) {
		c.Handle = func(http.ResponseWriter, *authtest.Request) bool { panic(http.ErrAbortHandler) }
	})
	wantError(t, f.call())
	f.wantRecord(rec)
	f.as.Set(func(c *authtest.Config) { c.Handle = nil })
	f.mustCall()
	if f.tabs() != 1 {
		t.Errorf("%d tabs\n%s", f.tabs(), f.story())
	}
}

// A token that has expired by our clock is still tried where renewing it fails in passing: the
// server judges (auth-behaviour 6.4.9).
func TestF4_OldTokenIsTried(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) { c.Faults = []authtest.Fault{{Path: "/token", Form: refreshing, Status: 503}} }, nil)
	rec := f.signIn()
	f.expire()
	f.mustCall()
	if got := f.record(); got.Token.Refresh != rec.Token.Refresh {
		t.Errorf("the record is %+v", got)
	}
	f.wantTokenCalls(1, 1, 1)
}

// A refreshed token that can't be stored is good for this process, and so is the refresh token that
// came with it: the one on the disk is void.
func TestF4_TokenThatCannotBeStored(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	broken := &brokenStorage{Storage: f.storage()}
	f.again(func(c *auth.Config) { c.Storage = broken })
	f.signIn()
	broken.fail.Store(true)
	for range 3 {
		f.as.RevokeAccessTokens()
		f.mustCall()
	}
	if n := f.as.ReuseDetected(); n != 0 {
		t.Errorf("%d times a void refresh token was sent", n)
	}
	f.wantTokenCalls(3, 1, 1)
	if !strings.Contains(f.log.String(), "disk full") {
		t.Error("the log doesn't say why the login can't be kept")
	}
}

// A dead refresh token costs one sign-in. The registration is kept, as nothing is wrong with it.
func TestF5_DeadRefreshToken(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]authtest.Fault{
		"invalid_grant":         {Error: "invalid_grant"},
		"invalid_request":       {Error: "invalid_request"},
		"invalid_refresh_token": {Error: "invalid_refresh_token", Status: 401},
		"403 text":              {Status: 403, Body: "Forbidden"},
		"400 text":              {Status: 400, Body: "no such token"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, nil, nil)
			f.signIn()
			f.as.RevokeAccessTokens()
			fault.Path, fault.Form = "/token", refreshing
			f.as.Set(func(c *authtest.Config) { c.Faults = []authtest.Fault{fault} })
			f.mustCall()
			f.wantCounts(1, 2, 2)
			// A 400 may be about the resource (T5), invalid_grant is not.
			if n := f.as.Refreshes(); n > 2 || name == "invalid_grant" && n != 1 {
				t.Errorf("%d refreshes\n%s", n, f.story())
			}
		})
	}
}

// Truly revoked, and found out before a message was sent.
func TestF5_RevokedGrant(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	f.signIn()
	f.expire()
	f.as.RevokeAll()
	f.mustCall()
	f.wantCounts(1, 2, 2)
	if n := f.as.Refreshes(); n != 1 {
		t.Errorf("%d refreshes, want 1\n%s", n, f.story())
	}
}

// The same in the process that signed in: what the server has refused does not come back.
func TestF5_DeadRefreshTokenIsNotSentAgain(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	f.signIn()
	f.as.RevokeAll()
	get := func() {
		t.Helper()
		if _, err := f.do(f.transport, http.MethodGet, f.url); err == nil {
			t.Error("a GET is answered without a token")
		}
	}
	get() // finds out
	get()
	f.mustCall()
	f.wantCounts(1, 2, 2)
	if n := f.as.Refreshes(); n != 1 {
		t.Errorf("%d refreshes, want 1\n%s", n, f.story())
	}
}

// A client that is not known any more costs a registration and a sign-in.
func TestF5_UnknownClientAtRefresh(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	f.signIn()
	f.as.RevokeAccessTokens()
	f.as.ForgetClients()
	f.mustCall()
	f.wantCounts(2, 2, 2)
	if n := f.as.Refreshes(); n != 1 {
		t.Errorf("%d refreshes, want 1\n%s", n, f.story())
	}
}

// What a refresh has to carry: resource as at the sign-in, the configured scope, the client.
func TestF9_RefreshRequest(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, func(c *auth.Config) { c.Scopes = []string{"api://x/.default"} })
	rec := f.signIn()
	f.expire()
	f.mustCall()
	form := f.last("POST /token refresh_token")
	if got := form.Get("scope"); got != "api://x/.default" {
		t.Errorf("scope is %q", got)
	}
	if got, want := form.Get("resource"), f.last("GET /authorize").Get("resource"); got != want || got == "" {
		t.Errorf("resource is %q, want %q", got, want)
	}
	if got := form.Get("client_id"); got != rec.Client.ID {
		t.Errorf("client_id is %q", got)
	}
}

// The configured scope is repeated, even if the server calls what it granted by another name.
func TestF9_ConfiguredScopeIsRepeated(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) { c.Token = authtest.Edit{"scope": "api://x/user_impersonation"} },
		func(c *auth.Config) { c.Scopes = []string{"api://x/.default"} })
	f.signIn()
	f.expire()
	f.mustCall()
	if got := f.last("POST /token refresh_token").Get("scope"); got != "api://x/.default" {
		t.Errorf("scope is %q", got)
	}
	f.wantTokenCalls(1, 1, 1)
}

// The token endpoint has moved: after a 401 it is looked up anew (auth-behaviour 6.5).
func TestF4_MovedTokenEndpoint(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	rec := f.signIn()
	rec.TokenURL = f.as.URL() + "/old/token"
	f.save(rec)
	f.again(nil)
	f.as.RevokeAccessTokens()
	f.mustCall()
	f.wantTokenCalls(1, 1, 1)
	if got := f.record().TokenURL; got != f.as.URL()+"/token" {
		t.Errorf("the token endpoint is kept as %s", got)
	}
}

// The server names another authorization server today: that one does not see what the first has
// given (peers 2.4.1, spec 4.69), and the user hears of it.
func TestF5_AnotherAuthorizationServer(t *testing.T) {
	t.Parallel()
	for _, expired := range []bool{false, true} {
		name := map[bool]string{false: "refused token", true: "expired token"}[expired]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, nil, nil)
			second := setup(t, nil, nil)
			f.signIn()
			if expired {
				f.expire()
			}
			f.as.RevokeAccessTokens()
			f.as.Set(func(c *authtest.Config) {
				c.ResourceMetadata = authtest.Edit{"authorization_servers": []string{second.as.URL()}}
				c.Faults = []authtest.Fault{{Path: "/token", Status: 503}} // so that nothing hides what the proactive refresh does
			})
			_ = f.call() // its token is none of the first server's, whose guard will not have it
			for _, r := range second.as.Requests() {
				if r.Form.Has("refresh_token") {
					t.Errorf("the refresh token was sent to the other server: %v", r.Form)
				}
			}
			if n := second.as.Registrations(); n != 1 || second.as.Exchanges() != 1 {
				t.Errorf("%d registrations, %d exchanges at the new server, want 1, 1\n%q", n, second.as.Exchanges(), second.asked())
			}
			if told := f.told(auth.IssuerChanged); len(told) != 1 || told[0].URL != second.as.URL() {
				t.Errorf("told: %+v", told)
			}
		})
	}
}

// The secret of a registration has expired: nobody would know us by it, so it isn't sent (spec
// 4.71).
func TestF9_ExpiredSecretIsNotUsed(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) { c.AuthMethods = []string{"client_secret_basic"} }, nil)
	rec := f.signIn()
	rec.Client.SecretExpiry = time.Now().Add(-time.Hour).UTC()
	f.save(rec)
	f.expire()
	f.as.RevokeAccessTokens()
	f.mustCall()
	f.wantTokenCalls(0, 2, 2)
	if n := f.as.Registrations(); n != 2 {
		t.Errorf("%d registrations, want 2", n)
	}
}

// A token endpoint that redirects is not followed: it would get the refresh token (auth-behaviour
// 6.4.5).
func TestF9_RedirectedTokenEndpoint(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	rec := f.signIn()
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the other server was asked") }))
	defer thief.Close()
	f.as.RevokeAccessTokens()
	for _, status := range []int{301, 302, 303, 307, 308} {
		f.as.Set(func(c *authtest.Config) {
			c.Faults = []authtest.Fault{{Path: "/token", Status: status, Header: http.Header{"Location": {thief.URL + "/token"}}}}
		})
		wantError(t, f.call())
		f.wantRecord(rec)
	}
	if n := f.tabs(); n != 1 {
		t.Errorf("%d tabs", n)
	}
}

// All ways to authenticate hold for a refresh as well.
func TestF9_ClientAuthentication(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"none", "client_secret_post", "client_secret_basic"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			f := setup(t, func(c *authtest.Config) { c.AuthMethods = []string{method} }, nil)
			f.signIn()
			f.expire()
			f.mustCall()
			f.wantTokenCalls(1, 1, 1)
			var last *authtest.Request
			for _, r := range f.as.Requests() {
				if r.Form.Get("grant_type") == "refresh_token" {
					last = r
				}
			}
			_, _, basic := last.BasicAuth()
			if post := last.Form.Has("client_secret"); basic != (method == "client_secret_basic") || post != (method == "client_secret_post") {
				t.Errorf("basic %v, post %v", basic, post)
			}
		})
	}
}

// A configured secret is used for refreshing, and never stored.
func TestT9_ConfiguredSecretIsNotStored(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"client_secret_post", "client_secret_basic"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			f := setup(t, func(c *authtest.Config) {
				c.Clients = []authtest.Client{{ID: "known", Secret: "secret-configured", AuthMethod: method}}
				c.AuthMethods = []string{method}
			}, func(c *auth.Config) { c.ClientID, c.ClientSecret = "known", "secret-configured" })
			rec := f.signIn()
			if rec.Client.Secret != "" || rec.Client.ID != "known" {
				t.Errorf("the client is kept as %+v", rec.Client)
			}
			f.expire()
			f.mustCall()
			f.wantTokenCalls(1, 1, 1)
			if rec := f.record(); rec.Client.Secret != "" {
				t.Errorf("after the refresh the client is kept as %+v", rec.Client)
			}
			if slices.ContainsFunc(f.files(), func(path string) bool { return strings.Contains(readFile(t, path), "secret-configured") }) {
				t.Error("the secret is in a file")
			}
			if n := f.as.Registrations(); n != 0 {
				t.Errorf("%d registrations", n)
			}
		})
	}
}
