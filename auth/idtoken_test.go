package auth_test

import (
	"strings"
	"testing"
	"time"

	"mcp-bridge/auth"
	"mcp-bridge/auth/authtest"
)

func wantIDToken(c *authtest.Config) { c.IDTokens = true }

func useIDToken(c *auth.Config) { c.UseIDToken = true }

// A server that takes ID tokens only is sent those, and the scope that brings them is asked for.
func TestIDTokenIsSent(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) { wantIDToken(c); c.ChallengeScope = "a" }, useIDToken)
	rec := f.signIn()
	if got := f.last("GET /authorize").Get("scope"); got != "a openid" {
		t.Errorf("asked for the scope %q", got)
	}
	if rec.Token.ID == "" || rec.Token.ID == rec.Token.Access {
		t.Errorf("the token kept is %+v", rec.Token)
	}
	f.again(nil)
	f.mustCall()
	f.wantTokenCalls(0, 1, 1)
	if strings.Contains(f.log.String(), "secret-") {
		t.Errorf("the log tells a secret: %s", f.log)
	}

	// Without the flag, nobody gets to see it.
	f.as.Set(func(c *authtest.Config) { c.IDTokens = false })
	f.again(func(c *auth.Config) { c.UseIDToken = false })
	f.mustCall()
	f.mu.Lock()
	defer f.mu.Unlock()
	if got := f.requests[len(f.requests)-1].Header.Get("Authorization"); got != "Bearer "+rec.Token.Access {
		t.Errorf("sent %q, not the access token", got)
	}
}

// It is the end of the ID token that counts, not that of the access token.
func TestIDTokenIsRenewedInTime(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) { wantIDToken(c); c.IDLifetime = 10 * time.Minute }, useIDToken)
	rec := f.signIn()
	if left := time.Until(rec.Token.Expiry); left < 8*time.Minute || left > 10*time.Minute {
		t.Errorf("the token kept ends in %v", left)
	}
	f.expire()
	f.mustCall()
	f.wantTokenCalls(1, 1, 1)
	f.as.RevokeAccessTokens()
	f.mustCall()
	f.wantTokenCalls(2, 1, 1)
}

// Where a renewal brings no ID token, and the server wants one, the user signs in again.
func TestIDTokenMissesInRenewal(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) { wantIDToken(c); c.NoIDOnRefresh = true }, useIDToken)
	f.signIn()
	f.expire()
	f.mustCall()
	f.wantTokenCalls(1, 2, 2)
	if !strings.Contains(f.log.String(), "no ID token") {
		t.Errorf("the log is silent: %s", f.log)
	}
}

// Where there is none, the access token is sent, and the log says so.
func TestIDTokenIsNotGiven(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, useIDToken)
	f.signIn()
	f.wantTokenCalls(0, 1, 1)
	if !strings.Contains(f.log.String(), "gave no ID token, so the server is sent the access token") {
		t.Errorf("the log is silent: %s", f.log)
	}
}

// Who is no user has no ID token.
func TestIDTokenOfMachine(t *testing.T) {
	t.Parallel()
	_, err := auth.New(auth.Config{ServerURL: "https://mcp.example/", ClientID: "a", ClientSecret: "b", ClientCredentials: true, UseIDToken: true})
	wantError(t, err, "ID token")
}
