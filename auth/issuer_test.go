package auth_test

import (
	"net/http"
	"strings"
	"testing"

	"mcp-bridge/auth"
	"mcp-bridge/auth/authtest"
)

// sentTo returns everything that a server was sent.
func sentTo(s *authtest.Server) string {
	var all strings.Builder
	for _, r := range s.Requests() {
		_ = r.Header.Write(&all)
		all.WriteString(r.URL.String() + "\n" + string(r.Body) + "\n")
	}
	return all.String()
}

// twoIssuers returns a fixture with a login at one authorization server whose MCP server then names
// another. The MCP server takes the tokens of either.
func twoIssuers(t *testing.T, server func(*authtest.Config), client func(*auth.Config)) (*fixture, *authtest.Server) {
	t.Helper()
	var cfg authtest.Config
	if server != nil {
		server(&cfg)
	}
	other := authtest.NewServer(cfg)
	t.Cleanup(other.Close)
	f := setup(t, server, client)
	f.mustCall()
	f.guard.Store(other)
	return f, other
}

// Credentials and tokens are bound to the issuer that gave them (spec 4.16, 4.69). Another issuer
// means another sign-in, said out loud, and the new one never sees anything of the old.
func TestIssuerChanged(t *testing.T) {
	t.Parallel()
	for name, restart := range map[string]bool{"in one run": false, "after a restart": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, other := twoIssuers(t, func(c *authtest.Config) { c.AuthMethods = []string{"client_secret_post"} }, nil)
			old := f.record()
			if restart {
				f.again(nil)
			}
			f.mustCall() // the old token and refresh token would still be good where they come from
			told := f.told(auth.IssuerChanged)
			if len(told) == 0 || told[0].URL != other.URL() {
				t.Errorf("told: %v, want %s", told, other.URL())
			}
			if f.as.Refreshes() != 0 || f.as.Registrations() != 1 {
				t.Errorf("the old server was asked %q", f.asked())
			}
			if other.Registrations() != 1 || other.Exchanges() != 1 || other.Refreshes() != 0 {
				t.Errorf("%d registrations, %d exchanges, %d refreshes at the new server; want 1, 1, 0", other.Registrations(), other.Exchanges(), other.Refreshes())
			}
			if f.tabs() != 2 {
				t.Errorf("%d tabs, want 2", f.tabs())
			}
			sent := sentTo(other)
			for what, secret := range map[string]string{"client": old.Client.ID, "secret": old.Client.Secret, "token": old.Token.Access, "refresh token": old.Token.Refresh} {
				if secret == "" || strings.Contains(sent, secret) {
					t.Errorf("the new server was sent the old %s %q", what, secret)
				}
			}
			if rec := f.record(); rec.Issuer != other.URL() || rec.Token == nil || rec.Client.ID == old.Client.ID || !strings.HasPrefix(rec.TokenURL, other.URL()) {
				t.Errorf("record: %+v", rec)
			}
		})
	}
}

// A client ID metadata document is good everywhere (spec 4.70), the tokens aren't.
func TestIssuerChangedWithDocument(t *testing.T) {
	t.Parallel()
	const document = "https://app.example/client.json"
	f, other := twoIssuers(t, func(c *authtest.Config) { c.Clients = []authtest.Client{{ID: document}} },
		func(c *auth.Config) { c.ClientMetadataURL = document })
	f.mustCall()
	if f.as.Refreshes() != 0 || other.Refreshes() != 0 || other.Exchanges() != 1 || other.Registrations() != 0 {
		t.Errorf("old: %q", f.asked())
	}
	if len(f.told(auth.IssuerChanged)) == 0 {
		t.Error("nobody was told")
	}
}

// A pre-registered client belongs to the server where it was registered (spec 4.69, 4.70): its secret
// is not for whomever the MCP server names today.
func TestIssuerChangedWithConfiguredClient(t *testing.T) {
	t.Parallel()
	for _, machine := range []bool{false, true} {
		t.Run(map[bool]string{false: "user", true: "client credentials"}[machine], func(t *testing.T) {
			t.Parallel()
			f, other := twoIssuers(t, func(c *authtest.Config) { c.Clients = []authtest.Client{{ID: "stat1", Secret: "secret-static"}} },
				func(c *auth.Config) {
					c.ClientID, c.ClientSecret, c.ClientCredentials = "stat1", "secret-static", machine
				})
			f.again(nil)
			err := f.call()
			if sent := sentTo(other); strings.Contains(sent, "secret-static") {
				t.Errorf("the new server was sent the secret: %v", err)
			}
			if len(f.told(auth.IssuerChanged)) == 0 && err == nil {
				t.Error("nobody was told")
			}
		})
	}
}

// A challenge that leads nowhere is no change of the issuer: the refresh token goes to the server
// that issued it.
func TestIssuerUnknownIsNotChanged(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	f.mustCall()
	f.as.RevokeAccessTokens()
	f.as.Set(func(c *authtest.Config) {
		c.Faults = []authtest.Fault{{Path: suffixedPRM, Status: http.StatusServiceUnavailable}, {Path: rootPRM, Status: http.StatusServiceUnavailable}}
	})
	f.again(nil)
	f.mustCall()
	f.wantCounts(1, 1, 1)
	if f.as.Refreshes() != 1 || len(f.told(auth.IssuerChanged)) != 0 {
		t.Errorf("%d refreshes, told %v", f.as.Refreshes(), f.told(auth.IssuerChanged))
	}
}
