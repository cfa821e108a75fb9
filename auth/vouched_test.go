package auth_test

import (
	"crypto"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mcp-bridge/auth"
	"mcp-bridge/auth/authtest"
)

// enterprise is a server whose authorization server believes an identity provider, and the configuration
// of a client that both know, each by another ID.
func enterprise(t *testing.T, change func(*authtest.Config)) (f *fixture, idp *authtest.Server) {
	t.Helper()
	cfg := authtest.Config{Clients: []authtest.Client{{ID: "app-at-idp", Secret: "secret-idp"}}, IDJAG: authtest.Edit{"client_id": "app"}}
	if change != nil {
		change(&cfg)
	}
	idp = authtest.NewServer(cfg)
	t.Cleanup(idp.Close)
	f = setup(t, func(c *authtest.Config) {
		c.Clients, c.ChallengeScope = []authtest.Client{{ID: "app", Secret: "secret-app"}}, "a"
		c.Issuers = map[string]crypto.PublicKey{idp.URL(): idp.Key()}
	}, func(c *auth.Config) {
		c.ClientID, c.ClientSecret = "app", "secret-app"
		c.IdentityProvider = &auth.IdentityProvider{TokenURL: idp.URL() + "/token", ClientID: "app-at-idp", ClientSecret: "secret-idp",
			IDToken: func() (string, error) { return idp.IDToken("app-at-idp", "jane"), nil }}
	})
	return f, idp
}

const (
	exchanges = "POST /token urn:ietf:params:oauth:grant-type:token-exchange"
	bearers   = "POST /token urn:ietf:params:oauth:grant-type:jwt-bearer"
)

// wantVouched checks how often a token was had for a JWT, and that nobody was asked or registered.
func (f *fixture) wantVouched(want int) {
	f.t.Helper()
	if n := f.as.Count(bearers); n != want {
		f.t.Errorf("%d grants, want %d\n%s", n, want, f.story())
	}
	f.wantCounts(0, 0, 0)
	if n := f.as.Authorizations(); n != 0 {
		f.t.Errorf("the authorization endpoint was called %d times", n)
	}
}

// The identity provider vouches for the user, and the user is never sent to the server's authorization
// server (spec 7).
func TestEnterprise(t *testing.T) {
	t.Parallel()
	f, idp := enterprise(t, nil)
	f.mustCall()
	f.wantVouched(1)
	forms := idp.Requests()
	form := forms[len(forms)-1].Form
	for name, want := range map[string]string{
		"audience": f.as.URL(), "resource": f.url, "scope": "a", "client_id": "app-at-idp",
		"requested_token_type": "urn:ietf:params:oauth:token-type:id-jag", "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
	} {
		if got := form.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if form = f.last(bearers); form.Get("resource") != f.url || form.Get("scope") != "a" {
		t.Errorf("resource %q, scope %q", form["resource"], form["scope"])
	}
	// What there is is used; and for another there is another exchange, as the ID-JAG is good once.
	f.again(nil)
	f.mustCall()
	f.wantVouched(1)
	f.expire()
	f.mustCall()
	f.as.RevokeAccessTokens()
	f.mustCall()
	f.wantVouched(3)
	if n := idp.Count(exchanges); n != 3 {
		t.Errorf("%d exchanges at the identity provider, want 3", n)
	}
	// A login of the same client with a user is another login.
	f.again(func(c *auth.Config) { c.IdentityProvider = nil })
	f.mustCall()
	if f.tabs() != 1 {
		t.Errorf("%d tabs", f.tabs())
	}
}

// Of what an identity provider does not vouch for, the authorization server is not asked.
func TestEnterpriseWithFewerScopes(t *testing.T) {
	t.Parallel()
	f, idp := enterprise(t, func(c *authtest.Config) { c.Token = authtest.Edit{"scope": "a"} })
	f.again(func(c *auth.Config) { c.Scopes = []string{"a", "b"} })
	f.mustCall()
	if requests := idp.Requests(); requests[len(requests)-1].Form.Get("scope") != "a b" || f.last(bearers).Get("scope") != "a" {
		t.Errorf("asked the identity provider for %q, then for %q", requests[len(requests)-1].Form["scope"], f.last(bearers)["scope"])
	}
	if rec := f.record(); rec.Scope != "a" {
		t.Errorf("the record's scope is %q", rec.Scope)
	}
}

// A client of the identity provider that has no secret there, and one of the server's that has a key, or a
// document.
func TestEnterpriseClients(t *testing.T) {
	t.Parallel()
	key := keys(t)["P-256"]
	for name, test := range map[string]struct {
		idp    authtest.Client
		app    authtest.Client
		change func(*auth.Config)
	}{
		"public at the identity provider": {authtest.Client{ID: "app-at-idp"}, authtest.Client{ID: "app", Secret: "secret-app"},
			func(c *auth.Config) { c.IdentityProvider.ClientSecret = "" }},
		"key": {authtest.Client{ID: "app-at-idp", Secret: "secret-idp"}, authtest.Client{ID: "app", Key: key.Public()},
			func(c *auth.Config) { c.ClientKey = key }},
		"public": {authtest.Client{ID: "app-at-idp", Secret: "secret-idp"}, authtest.Client{ID: "app"},
			func(c *auth.Config) { c.ClientSecret = "" }},
		"document": {authtest.Client{ID: "app-at-idp", Secret: "secret-idp"}, authtest.Client{ID: "https://app.example/client.json"},
			func(c *auth.Config) {
				c.ClientID, c.ClientSecret, c.ClientMetadataURL = "", "", "https://app.example/client.json"
			}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, _ := enterprise(t, func(c *authtest.Config) {
				c.Clients, c.IDJAG = []authtest.Client{test.idp}, authtest.Edit{"client_id": test.app.ID}
			})
			f.as.Set(func(c *authtest.Config) { c.Clients = []authtest.Client{test.app} })
			f.again(test.change)
			f.mustCall()
			f.wantVouched(1)
		})
	}
}

// Who refuses, and for what, is told; nobody is asked instead, and it is not tried again at once.
func TestEnterpriseRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		idp    func(*authtest.Config)
		server func(*authtest.Config)
		change func(*auth.Config)
		grants int
		want   []string
	}{
		"ID token has ended": {change: func(c *auth.Config) {
			idToken := c.IdentityProvider.IDToken
			c.IdentityProvider.IDToken = func() (string, error) { text, err := idToken(); return text[:len(text)-8], err }
		}, want: []string{"identity provider", "invalid_grant"}},
		"no ID token": {change: func(c *auth.Config) {
			c.IdentityProvider.IDToken = func() (string, error) { return "", errors.New("open id-token: no such file") }
		}, want: []string{"open id-token: no such file"}},
		"wrong secret": {change: func(c *auth.Config) { c.IdentityProvider.ClientSecret = "secret-wrong" },
			want: []string{"identity provider's token endpoint answered 401", "invalid_client"}},
		"policy": {idp: func(c *authtest.Config) {
			c.Faults = []authtest.Fault{{Path: "/token", Status: 400, Error: "access_denied"}}
		}, want: []string{"identity provider", "access_denied"}},
		"no ID-JAG": {idp: func(c *authtest.Config) {
			c.Token = authtest.Edit{"issued_token_type": "urn:ietf:params:oauth:token-type:access_token"}
		}, want: []string{"does not vouch for the user", "did not give an ID-JAG"}},
		"another client": {idp: func(c *authtest.Config) { c.IDJAG = authtest.Edit{"client_id": "other"} }, grants: 1,
			want: []string{"the token endpoint answered 400", "invalid_grant", "The ID-JAG is for the client other"}},
		"another audience": {idp: func(c *authtest.Config) { c.IDJAG = authtest.Edit{"client_id": "app", "aud": "https://other.example"} }, grants: 1,
			want: []string{"the token endpoint answered 400", "invalid_grant"}},
		"unknown client": {server: func(c *authtest.Config) { c.Clients = nil }, grants: 2, // by both ways of showing the secret
			want: []string{`"app" was refused`, "invalid_client"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, idp := enterprise(t, test.idp)
			if test.server != nil {
				f.as.Set(test.server)
			}
			f.again(test.change)
			err := f.call()
			wantError(t, err, test.want...)
			if !isUnsent(err) {
				t.Errorf("it is not said that nothing was sent: %v", err)
			}
			exchanged := idp.Count(exchanges)
			wantError(t, f.call(), test.want...)
			if n := idp.Count(exchanges); n != exchanged {
				t.Errorf("tried again at once: %d exchanges, then %d", exchanged, n)
			}
			if n := f.as.Count(bearers); n > 2 || f.tabs() != 0 || f.as.Authorizations() != 0 || f.as.Registrations() != 0 {
				t.Errorf("%d grants, %d tabs\n%s", n, f.tabs(), f.story())
			}
			if text := f.log.String(); strings.Contains(text, "secret-") {
				t.Errorf("the log tells a secret:\n%s", text)
			}
		})
	}
}

// What passes is tried again with the next request.
func TestEnterprisePassingFailure(t *testing.T) {
	t.Parallel()
	f, idp := enterprise(t, func(c *authtest.Config) {
		c.Faults = []authtest.Fault{{Path: "/token", Status: 503, Times: 1}, {Path: "/token", Reset: true, Times: 1}}
	})
	wantError(t, f.call(), "identity provider", "503")
	wantError(t, f.call(), "identity provider")
	f.mustCall()
	if n := idp.Count(exchanges); n != 3 {
		t.Errorf("%d exchanges", n)
	}
}

// workload is a server that believes a platform, which writes a JWT for the workload into a file.
func workload(t *testing.T) (f *fixture, platform *authtest.Server, file string) {
	t.Helper()
	platform = authtest.NewServer(authtest.Config{})
	t.Cleanup(platform.Close)
	file = filepath.Join(t.TempDir(), "token")
	f = setup(t, func(c *authtest.Config) {
		c.AuthMethods, c.ChallengeScope = []string{"none"}, "a"
		c.Issuers = map[string]crypto.PublicKey{platform.URL(): platform.Key()}
	}, func(c *auth.Config) {
		c.ClientAssertion = func() (string, error) {
			text, err := os.ReadFile(file)
			return string(text), err
		}
	})
	writeFile(t, file, workloadToken(platform, f.as.URL(), time.Hour))
	return f, platform, file
}

func workloadToken(platform *authtest.Server, audience string, lifetime time.Duration) string {
	return platform.Sign("", lifetime, map[string]any{"sub": "workload-1", "aud": audience})
}

// A workload gets a token for what its platform says of it, with or without a client ID, and the file is
// read each time.
func TestWorkload(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"", "workload"} {
		t.Run(fmt.Sprintf("client %q", id), func(t *testing.T) {
			t.Parallel()
			f, platform, file := workload(t)
			f.as.Set(func(c *authtest.Config) { c.Clients = []authtest.Client{{ID: "workload"}} })
			f.again(func(c *auth.Config) { c.ClientID = id })
			f.mustCall()
			f.wantVouched(1)
			form := f.last(bearers)
			if form.Get("client_id") != id || form.Has("client_id") != (id != "") || form.Get("resource") != f.url || form.Get("scope") != "a" {
				t.Errorf("the form is %v", form)
			}
			first := form.Get("assertion")
			next := workloadToken(platform, f.as.URL(), 2*time.Hour)
			writeFile(t, file, next)
			f.expire()
			f.mustCall()
			if form = f.last(bearers); form.Get("assertion") != next || next == first {
				t.Error("the file was not read again")
			}
			f.as.RevokeAccessTokens()
			f.mustCall()
			f.wantVouched(3)
			f.again(nil)
			f.mustCall()
			f.wantVouched(3)
			// Without a name, nobody could say whose token is to be revoked (RFC 7009 2.1).
			if err := f.transport.Logout(t.Context()); err != nil || f.as.Revoked() != len(id)/len("workload") {
				t.Errorf("logout: %v, %d tokens revoked", err, f.as.Revoked())
			}
		})
	}
}

// A workload may be told where its token is.
func TestWorkloadAtEndpoint(t *testing.T) {
	t.Parallel()
	f, _, _ := workload(t)
	f.as.Set(func(c *authtest.Config) {
		c.NoChallenge, c.ResourceMetadataAt, c.MetadataAt, c.ResourceOptional = true, []string{}, []string{}, true
	})
	f.again(func(c *auth.Config) { c.TokenEndpoint = f.as.URL() + "/token" })
	f.mustCall()
	f.wantVouched(1)
}

// A workload that has a key of its own shows both: the key is its client's, the assertion the grant.
func TestWorkloadWithKey(t *testing.T) {
	t.Parallel()
	key := keys(t)["P-256"]
	f, _, _ := workload(t)
	f.as.Set(func(c *authtest.Config) {
		c.AuthMethods, c.Clients = nil, []authtest.Client{{ID: "workload", Key: key.Public()}}
	})
	f.again(func(c *auth.Config) { c.ClientID, c.ClientKey = "workload", key })
	f.mustCall()
	f.wantVouched(1)
}

// A refusal is final, no other grant is tried, and nobody is asked.
func TestWorkloadRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		token func(*fixture, *authtest.Server) string
		want  string
	}{
		"ended": {func(f *fixture, p *authtest.Server) string { return workloadToken(p, f.as.URL(), -time.Minute) }, "invalid_grant"},
		"other audience": {func(f *fixture, p *authtest.Server) string {
			return workloadToken(p, "https://other.example", time.Hour)
		}, "invalid_grant"},
		"no JWT": {func(*fixture, *authtest.Server) string { return "secret-nonsense" }, "invalid_grant"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, platform, file := workload(t)
			writeFile(t, file, test.token(f, platform))
			err := f.call()
			wantError(t, err, test.want)
			for range 3 {
				wantError(t, f.call(), test.want)
			}
			f.wantVouched(1)
			if text := f.log.String() + err.Error(); strings.Contains(text, readFile(t, file)) {
				t.Errorf("the assertion is told:\n%s", text)
			}
		})
	}
	f, _, file := workload(t)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	wantError(t, f.call(), "token", "no such file")
	f.wantVouched(0)
}

// With client credentials the platform's JWT stands for a secret (RFC 7523 2.2). It may come again.
func TestClientCredentialsWithAssertion(t *testing.T) {
	t.Parallel()
	platform := authtest.NewServer(authtest.Config{})
	t.Cleanup(platform.Close)
	f := setup(t, nil, nil)
	server, client := machine(authtest.Client{Key: platform.Key(), Issuer: platform.URL(), AuthMethod: "private_key_jwt"}, "private_key_jwt")
	f.as.Set(server)
	f.again(func(c *auth.Config) {
		client(c)
		token := platform.Sign("", time.Hour, map[string]any{"sub": "machine", "aud": f.as.URL()})
		c.ClientAssertion = func() (string, error) { return token, nil }
	})
	f.mustCall()
	f.as.RevokeAccessTokens()
	f.mustCall()
	f.wantGrants(2)
	f.wantCounts(0, 0, 0)
	if err := f.transport.Logout(t.Context()); err != nil || f.as.Revoked() != 1 {
		t.Errorf("logout: %v, %d tokens revoked", err, f.as.Revoked())
	}
}

// Who is shown an assertion may quote it. That is hidden, as any secret is.
func TestVouchedIsNotTold(t *testing.T) {
	t.Parallel()
	quote := func(w http.ResponseWriter, r *authtest.Request) bool {
		if r.URL.Path != "/token" {
			return false
		}
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"error":"invalid_grant","error_description":"%s and %s"}`, r.Form.Get("assertion"), r.Form.Get("subject_token"))
		return true
	}
	f, idp := enterprise(t, nil)
	f.as.Set(func(c *authtest.Config) { c.Handle = quote })
	wantError(t, f.call(), "the token endpoint answered 400: invalid_grant: [hidden] and")
	idp.Set(func(c *authtest.Config) { c.Handle = quote })
	f.again(nil)
	wantError(t, f.call(), "and [hidden]")
	if text := f.log.String(); strings.Contains(text, "eyJ") {
		t.Errorf("told:\n%s", text)
	}
}
