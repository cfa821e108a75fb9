package auth_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"mcp-bridge/auth"
	"mcp-bridge/auth/authtest"

	"github.com/golang-jwt/jwt/v5"
)

func wantsDPoP(c *authtest.Config)   { c.DPoPRequired = true }
func wantsNonces(c *authtest.Config) { c.DPoPRequired, c.DPoPNonces = true, true }

// schemes returns the schemes of the Authorization headers that reached the MCP server, in order.
func (f *fixture) schemes() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []string
	for _, r := range f.requests {
		if scheme, _, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok {
			all = append(all, scheme)
		}
	}
	return all
}

// wantBound checks whether the stored token is bound to a key, and how the tokens were sent.
func (f *fixture) wantBound(want bool) {
	f.t.Helper()
	rec := f.record()
	if rec == nil || rec.Token == nil || (rec.Token.Key != nil) != want {
		f.t.Fatalf("the record is %+v, %+v\n%s", rec, rec.Token, f.story())
	}
	scheme := "Bearer"
	if want {
		scheme = "DPoP"
	}
	if all := f.schemes(); len(all) == 0 || all[len(all)-1] != scheme {
		f.t.Errorf("tokens came with %q, want %s", all, scheme)
	}
}

// A server that wants bound tokens gets them without a word in the configuration, each request with a
// proof of its own; the key is kept with the login, and renews it.
func TestDPoPWhereItIsWanted(t *testing.T) {
	t.Parallel()
	f := setup(t, wantsDPoP, nil)
	f.signIn()
	f.wantBound(true)
	for range 3 {
		f.mustCall() // the guard takes no proof twice
	}
	if resp, err := f.do(f.transport, http.MethodGet, f.url); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("GET: %v, %v", resp, err)
	}
	f.again(nil)
	f.mustCall()
	f.wantTokenCalls(0, 1, 1)
	f.expire()
	f.mustCall()
	f.wantBound(true)
	f.as.RevokeAccessTokens()
	f.mustCall()
	f.wantTokenCalls(2, 1, 1)
	if err := f.transport.Logout(t.Context()); err != nil || f.as.Revoked() != 2 {
		t.Errorf("logout: %v, %d tokens revoked", err, f.as.Revoked())
	}
	if text := f.log.String(); strings.Contains(text, "secret-") {
		t.Errorf("the log tells a secret:\n%s", text)
	}
}

// Which servers get bound tokens, and which configuration.
func TestDPoPIsDecided(t *testing.T) {
	t.Parallel()
	both := func(c *authtest.Config) { c.DPoP = true }
	for _, test := range []struct {
		name   string
		server func(*authtest.Config)
		mode   auth.DPoPMode
		want   bool
	}{
		{name: "nobody knows it", want: false},
		{name: "both know it", server: both, want: true},
		{name: "both know it, never", server: both, mode: auth.DPoPNever, want: false},
		{name: "wanted by metadata alone", server: func(c *authtest.Config) {
			c.DPoPRequired = true
			c.Challenge = `Bearer resource_metadata="{metadata}"`
		}, want: true},
		{name: "wanted by challenge alone", server: func(c *authtest.Config) {
			c.DPoPRequired = true
			c.ResourceMetadata = authtest.Edit{"dpop_bound_access_tokens_required": authtest.Absent, "dpop_signing_alg_values_supported": authtest.Absent}
		}, want: true},
		{name: "the authorization server alone knows it", server: func(c *authtest.Config) {
			c.DPoP = true
			c.Challenge = `Bearer resource_metadata="{metadata}"`
			c.ResourceMetadata = authtest.Edit{"dpop_signing_alg_values_supported": authtest.Absent}
		}, want: false},
		{name: "the authorization server alone knows it, always", server: func(c *authtest.Config) {
			c.DPoP = true
			c.Challenge = `Bearer resource_metadata="{metadata}"`
			c.ResourceMetadata = authtest.Edit{"dpop_signing_alg_values_supported": authtest.Absent}
		}, mode: auth.DPoPAlways, want: true},
		{name: "the authorization server says nothing, always", server: func(c *authtest.Config) {
			c.DPoP = true
			c.Metadata = authtest.Edit{"dpop_signing_alg_values_supported": authtest.Absent}
		}, mode: auth.DPoPAlways, want: true},
		{name: "other algorithms", server: func(c *authtest.Config) {
			c.DPoP = true
			c.Metadata = authtest.Edit{"dpop_signing_alg_values_supported": []string{"EdDSA"}}
		}, want: false},
		{name: "a bearer token in spite of the proof", server: func(c *authtest.Config) {
			c.Metadata = authtest.Edit{"dpop_signing_alg_values_supported": []string{"ES256"}}
			c.ResourceMetadata = authtest.Edit{"dpop_signing_alg_values_supported": []string{"ES256"}}
		}, want: false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, test.server, func(c *auth.Config) { c.DPoP = test.mode })
			f.signIn()
			f.wantBound(test.want)
			f.wantCounts(1, 1, 1)
		})
	}
}

// Where nothing but a bound token will do, and none is to be had, that is said, and nothing is kept.
func TestDPoPImpossible(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		server func(*authtest.Config)
		mode   auth.DPoPMode
		tabs   int
		want   string
	}{
		{name: "the authorization server binds nothing", mode: auth.DPoPAlways, tabs: 1, want: "not bound to a key (DPoP)"},
		{name: "other algorithms", server: func(c *authtest.Config) {
			c.DPoPRequired = true
			c.ResourceMetadata = authtest.Edit{"dpop_signing_alg_values_supported": []string{"EdDSA", "PS256"}}
		}, want: "signed with EdDSA, PS256, and only ES256 is known here"},
		{name: "other algorithms in the challenge", server: func(c *authtest.Config) {
			c.DPoPRequired = true
			c.Challenge = `DPoP algs="RS256", resource_metadata="{metadata}"`
		}, want: "signed with RS256, and only ES256"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, test.server, func(c *auth.Config) { c.DPoP = test.mode })
			wantError(t, f.call(), test.want)
			if rec := f.record(); f.tabs() != test.tabs || rec != nil && rec.Token != nil {
				t.Errorf("%d tabs, record %+v", f.tabs(), rec)
			}
		})
	}
}

// Both servers may want a nonce in the proofs, and another one at any time: nobody notices
// (RFC 9449 8, 9).
func TestDPoPNonces(t *testing.T) {
	t.Parallel()
	f := setup(t, wantsNonces, nil)
	f.signIn()
	f.wantTokenCalls(0, 2, 1) // the code is not used up by a proof without nonce
	if posts := f.posts(); posts != 3 {
		t.Errorf("posted %d times, want 3: without token, without nonce, with both", posts)
	}
	f.mustCall()
	if posts := f.posts(); posts != 4 {
		t.Errorf("posted %d times, want 4: the nonce was known", posts)
	}
	f.as.RenewNonces()
	f.mustCall()
	f.as.RevokeAccessTokens()
	f.as.RenewNonces()
	f.mustCall()
	if f.tabs() != 1 || f.as.Exchanges() != 2 {
		t.Errorf("signed in again\n%s", f.story())
	}
	f.as.RenewNonces()
	var work sync.WaitGroup
	for range 20 {
		work.Go(func() { // ends with its answer
			if err := f.call(); err != nil {
				t.Error(err)
			}
		})
	}
	work.Wait()
}

// A nonce that comes with a good answer is the next one (RFC 9449 8.2).
func TestDPoPNonceOfAnAnswer(t *testing.T) {
	t.Parallel()
	f := setup(t, wantsNonces, nil)
	f.signIn()
	var nonces []string
	f.again(func(c *auth.Config) {
		base := c.Base
		c.Base = roundTripper(func(req *http.Request) (*http.Response, error) {
			nonces = append(nonces, claim(t, req.Header.Get("DPoP"), "nonce"))
			resp, err := base.RoundTrip(req)
			if err == nil && resp.StatusCode == http.StatusOK {
				resp.Header.Set("DPoP-Nonce", "another")
			}
			return resp, err
		})
	})
	f.mustCall()
	f.mustCall()
	want := []string{"", "nonce-rs-0", "another", "nonce-rs-0"}
	if strings.Join(nonces, " ") != strings.Join(want, " ") {
		t.Errorf("the nonces were %q, want %q", nonces, want)
	}
}

// A server that is never content with the nonce gets one more try, and its answer is the answer: a new
// token would not help, so nothing is renewed and nobody is asked.
func TestDPoPProofRefused(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"use_dpop_nonce", "invalid_dpop_proof"} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			f := setup(t, wantsDPoP, nil)
			want := f.signIn()
			f.again(func(c *auth.Config) {
				base := c.Base
				c.Base = roundTripper(func(req *http.Request) (*http.Response, error) {
					if req.URL.Path != "/mcp" {
						return base.RoundTrip(req)
					}
					req.Body.Close()
					return &http.Response{StatusCode: http.StatusUnauthorized, Body: http.NoBody,
						Header: http.Header{"Www-Authenticate": {`DPoP error="` + code + `", error_description="not for ` + req.Header.Get("Authorization") + `"`}, "Dpop-Nonce": {"n"}}}, nil
				})
			})
			for range 3 {
				if resp, err := f.do(f.transport, http.MethodPost, f.url); err != nil || resp.StatusCode != http.StatusUnauthorized {
					t.Errorf("%v, %v", resp, err)
				}
			}
			f.wantTokenCalls(0, 1, 1)
			if rec := f.record(); rec.Token == nil || rec.Token.Access != want.Token.Access {
				t.Errorf("the record is %+v", rec)
			}
			if text := f.log.String(); !strings.Contains(text, "clock") || !strings.Contains(text, code+": not for DPoP [hidden]") || strings.Contains(text, "secret-") {
				t.Errorf("the log does not say what is wrong, or more than that:\n%s", text)
			}
		})
	}
}

// A refresh that is refused for its proof is not the end of the login.
func TestDPoPRefreshRefusedForItsProof(t *testing.T) {
	t.Parallel()
	f := setup(t, wantsDPoP, nil)
	want := f.signIn()
	f.expire()
	f.as.Set(func(c *authtest.Config) {
		c.Faults = []authtest.Fault{{Path: "/token", Status: 400, Error: "invalid_dpop_proof", Times: 3}}
	})
	f.mustCall() // the server still takes the old token
	f.as.RevokeAccessTokens()
	wantError(t, f.call(), "renewing the token", "invalid_dpop_proof")
	if rec := f.record(); rec.Token == nil || rec.Token.Refresh != want.Token.Refresh || f.tabs() != 1 {
		t.Errorf("the record is %+v; %d tabs", rec, f.tabs())
	}
	f.mustCall()
	if f.tabs() != 1 {
		t.Errorf("%d tabs", f.tabs())
	}
}

// A server that begins to want bound tokens gets one after another sign-in; one that has a token of the
// wrong kind for its configuration does not use it.
func TestDPoPComesAndGoes(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	f.signIn()
	f.wantBound(false)
	f.as.Set(wantsDPoP)
	f.mustCall()
	f.wantBound(true)
	f.as.Set(func(c *authtest.Config) { c.DPoPRequired, c.DPoP = false, true })
	f.again(func(c *auth.Config) { c.DPoP = auth.DPoPNever })
	f.mustCall()
	f.wantBound(false)
	f.again(func(c *auth.Config) { c.DPoP = auth.DPoPAlways })
	f.mustCall()
	f.wantBound(true)
}

// Scopes that a tool wants are asked for with a bound token as well.
func TestDPoPStepUp(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) { wantsNonces(c); scopedTools(c) }, nil)
	f.signIn()
	if status := f.callTool("b"); status != http.StatusOK {
		t.Errorf("HTTP %d\n%s", status, f.story())
	}
	f.wantBound(true)
}

// What comes without the user is bound in the same way.
func TestDPoPForAMachine(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	server, client := machine(authtest.Client{Secret: "secret-good"})
	f.as.Set(server)
	f.as.Set(wantsNonces)
	f.again(client)
	f.mustCall()
	f.wantBound(true)
	f.expire()
	f.mustCall()
	f.wantCounts(0, 0, 0)
}

// An ID token, where that is what a server wants, is bound to nothing.
func TestDPoPIsNotForIDTokens(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) { c.DPoP, c.IDTokens = true, true }, func(c *auth.Config) { c.UseIDToken = true })
	f.signIn()
	f.wantBound(false)
}

// What one process has signed in for, another uses, key and all.
func TestDPoPInTwoProcesses(t *testing.T) {
	t.Parallel()
	f := setup(t, wantsNonces, nil)
	other := f.another(f.cfg)
	if err := f.callThrough(other); err != nil {
		t.Fatal(err)
	}
	f.mustCall()
	f.as.RevokeAccessTokens()
	f.mustCall()
	if err := f.callThrough(other); err != nil {
		t.Error(err)
	}
	f.wantTokenCalls(2, 2, 1) // each first one lacked the nonce, which either process has to be told
}

// A token by device code is bound as well.
func TestDPoPByDevice(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) {
		wantsNonces(c)
		c.AutoApprove = true
	}, byDevice)
	f.signIn()
	f.wantBound(true)
	if f.tabs() != 0 {
		t.Errorf("%d tabs", f.tabs())
	}
}

// Nor is a token of another origin's server sent there, or a proof.
func TestDPoPStaysWithItsOrigin(t *testing.T) {
	t.Parallel()
	f := setup(t, wantsDPoP, nil)
	f.signIn()
	other := "http://localhost" + strings.TrimPrefix(f.origin, "http://127.0.0.1") + "/mcp"
	if _, err := f.do(f.transport, http.MethodPost, other); err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	last := f.requests[len(f.requests)-1]
	if last.Header.Get("DPoP") != "" || last.Header.Get("Authorization") != "" {
		t.Errorf("another origin was sent %v", last.Header)
	}
}

// A file with half a key is put aside like any other that can't be read.
func TestDPoPKeyIsBroken(t *testing.T) {
	t.Parallel()
	f := setup(t, wantsDPoP, nil)
	f.signIn()
	path := f.files(".json")[0]
	text := readFile(t, path)
	at := strings.Index(text, `"dpop_key": "`) + len(`"dpop_key": "`)
	writeFile(t, path, text[:at]+text[at+10:])
	f.again(nil)
	f.mustCall()
	f.wantCounts(2, 2, 2)
}

// claim returns a claim of a JWT, "" if it has none.
func claim(t *testing.T, token, name string) string {
	t.Helper()
	var claims jwt.MapClaims
	if _, _, err := jwt.NewParser().ParseUnverified(token, &claims); err != nil {
		t.Fatal(err)
	}
	text, _ := claims[name].(string)
	return text
}
