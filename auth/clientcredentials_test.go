package auth_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"

	"mcp-bridge/auth"
	"mcp-bridge/auth/authtest"
)

// machine makes a server that knows one client, and the configuration of that client.
func machine(client authtest.Client, methods ...string) (func(*authtest.Config), func(*auth.Config)) {
	client.ID = "machine"
	return func(c *authtest.Config) {
			c.Clients, c.AuthMethods, c.ChallengeScope = []authtest.Client{client}, methods, "a"
		}, func(c *auth.Config) {
			c.ClientID, c.ClientSecret, c.ClientCredentials = client.ID, client.Secret, true
		}
}

// A machine signs in by itself, in any way that the server takes, and for any request.
func TestClientCredentialsWithSecret(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"client_secret_post", "client_secret_basic"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			f := setup(t, nil, nil)
			server, client := machine(authtest.Client{Secret: "secret-&%=:ä", AuthMethod: method}, method)
			f.as.Set(server)
			f.again(client)
			if resp, err := f.do(f.transport, http.MethodGet, f.url); err != nil || resp.StatusCode != 200 {
				t.Fatalf("%v, %v\n%s", resp, err, f.story())
			}
			f.mustCall()
			f.wantCounts(0, 0, 0)
			form := f.last("POST /token client_credentials")
			if form.Get("resource") != f.url || form.Get("scope") != "a" {
				t.Errorf("resource %q, scope %q", form["resource"], form["scope"])
			}
			if rec := f.record(); rec.Client.Secret != "" || rec.Token == nil {
				t.Errorf("the record is %+v, %+v", rec, rec.Client)
			}
			// Another process takes what there is; an expired token, and a refused one, are replaced.
			f.again(nil)
			f.mustCall()
			f.wantGrants(1)
			f.expire()
			posts := f.posts()
			f.mustCall()
			f.wantGrants(2)
			if n := f.posts() - posts; n != 1 {
				t.Errorf("posted %d times: the token was not replaced in time", n)
			}
			f.as.RevokeAccessTokens()
			f.mustCall()
			f.wantGrants(3)
			if f.tabs() != 0 {
				t.Errorf("%d tabs", f.tabs())
			}
		})
	}
}

// wantGrants checks how often a token for the client itself was asked for.
func (f *fixture) wantGrants(want int) {
	f.t.Helper()
	if n := f.as.Count("POST /token client_credentials"); n != want {
		f.t.Errorf("%d grants, want %d\n%s", n, want, f.story())
	}
}

func keys(t *testing.T) map[string]crypto.Signer {
	t.Helper()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]crypto.Signer{"RSA": rsaKey, "P-256": ecKey}
}

// With a key there is no secret at all. Each assertion is shown once (RFC 7523 3).
func TestClientCredentialsWithKey(t *testing.T) {
	t.Parallel()
	for name, key := range keys(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, nil, nil)
			server, client := machine(authtest.Client{Key: key.Public(), AuthMethod: "private_key_jwt"}, "private_key_jwt")
			f.as.Set(server)
			f.again(func(c *auth.Config) {
				client(c)
				c.ClientKey = key
			})
			f.mustCall()
			f.as.RevokeAccessTokens()
			f.mustCall()
			f.wantGrants(2)
			f.wantCounts(0, 0, 0)
			forms := f.forms("POST /token client_credentials")
			if a, b := forms[0].Get("client_assertion"), forms[1].Get("client_assertion"); a == b || a == "" {
				t.Error("an assertion was shown twice")
			}
		})
	}
}

// A key signs a user in as well, refreshes, and revokes.
func TestSignInWithKey(t *testing.T) {
	t.Parallel()
	for name, key := range keys(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, func(c *authtest.Config) {
				c.Clients = []authtest.Client{{ID: "machine", Key: key.Public(), AuthMethod: "private_key_jwt"}}
			}, func(c *auth.Config) { c.ClientID, c.ClientKey = "machine", key })
			f.signIn()
			f.expire()
			f.mustCall()
			f.wantTokenCalls(1, 1, 1)
			if err := f.transport.Logout(t.Context()); err != nil || f.as.Revoked() == 0 {
				t.Errorf("logout: %v, %d tokens revoked", err, f.as.Revoked())
			}
		})
	}
}

// The key of another is refused, and that is the end: nothing could be registered in its place.
func TestClientCredentialsRefused(t *testing.T) {
	t.Parallel()
	all := keys(t)
	for name, change := range map[string]func(*auth.Config){
		"secret": func(c *auth.Config) { c.ClientSecret = "secret-other" },
		"key":    func(c *auth.Config) { c.ClientSecret, c.ClientKey = "", all["RSA"] },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, nil, nil)
			server, client := machine(authtest.Client{Secret: "secret-good"})
			if name == "key" {
				server, client = machine(authtest.Client{Key: all["P-256"].Public()})
			}
			f.as.Set(server)
			f.again(func(c *auth.Config) {
				client(c)
				change(c)
			})
			err := f.call()
			wantError(t, err, "machine", "invalid_client")
			if !errors.Is(err, auth.ErrClientNotFound) {
				t.Errorf("error %v", err)
			}
			f.wantCounts(0, 0, 0)
		})
	}
}

// A machine whose fresh token is refused hears why, and does not go on and on.
func TestClientCredentialsTokenRefused(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	server, client := machine(authtest.Client{Secret: "secret-good"})
	f.as.Set(server)
	f.again(client)
	wrongAudience(f)
	for range 5 {
		f.wantRefusal()
	}
	f.wantGrants(1)
}

// Many at once get one token.
func TestClientCredentialsInParallel(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	server, client := machine(authtest.Client{Secret: "secret-good"})
	f.as.Set(server)
	f.again(client)
	var work sync.WaitGroup
	for range 20 {
		work.Go(func() { // ends with its answer
			if err := f.call(); err != nil {
				t.Error(err)
			}
		})
	}
	work.Wait()
	f.wantGrants(1)
}

// Every passing failure is one: the next request tries again.
func TestClientCredentialsPassingFailure(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	server, client := machine(authtest.Client{Secret: "secret-good"})
	f.as.Set(server)
	f.as.Set(func(c *authtest.Config) {
		c.Faults = []authtest.Fault{{Path: "/token", Status: 503, Times: 1}, {Path: "/token", Reset: true, Times: 1}}
	})
	f.again(client)
	wantError(t, f.call(), "503")
	wantError(t, f.call())
	f.mustCall()
	f.wantGrants(3)
}

// Scopes that a tool wants are asked for without a user, too (spec 4.52).
func TestClientCredentialsStepUp(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	server, client := machine(authtest.Client{Secret: "secret-good"})
	f.as.Set(server)
	f.as.Set(scopedTools)
	f.again(client)
	f.mustCall()
	if status := f.callTool("b"); status != http.StatusOK {
		t.Errorf("HTTP %d\n%s", status, f.story())
	}
	scopes := f.last("POST /token client_credentials").Get("scope")
	if !strings.Contains(scopes, "a") || !strings.Contains(scopes, "b") {
		t.Errorf("asked for %q", scopes)
	}
	f.wantGrants(2)
}

// Where the token endpoint is given, nothing is discovered.
func TestClientCredentialsAtEndpoint(t *testing.T) {
	t.Parallel()
	server, client := machine(authtest.Client{Secret: "secret-x"})
	f := setup(t, server, client)
	f.mustCall() // with what was discovered, which has to give way
	f.as.Set(func(c *authtest.Config) {
		c.NoChallenge, c.ResourceMetadataAt, c.MetadataAt = true, []string{}, []string{}
	})
	f.as.Set(func(c *authtest.Config) { c.ResourceOptional = true })
	f.again(func(c *auth.Config) { c.TokenEndpoint, c.Scopes = f.as.URL()+"/token", []string{"b"} })
	requests := len(f.as.Requests())
	f.as.RevokeAccessTokens()
	f.mustCall()
	for _, name := range f.asked()[requests:] {
		if name != "POST /token client_credentials" {
			t.Errorf("there was a %s", name)
		}
	}
	form := f.last("POST /token client_credentials")
	if form.Get("resource") != "" || form.Get("scope") != "b" {
		t.Errorf("resource %q, scope %q", form["resource"], form["scope"])
	}
	f.again(func(c *auth.Config) { c.Resource = f.url })
	f.as.RevokeAccessTokens()
	f.mustCall()
	if form := f.last("POST /token client_credentials"); form.Get("resource") != f.url {
		t.Errorf("resource %q, not the one given", form["resource"])
	}
}

// An endpoint that can't be used is refused.
func TestTokenEndpointIsChecked(t *testing.T) {
	t.Parallel()
	for endpoint, want := range map[string]string{
		"https://as.example/token": "", "http://127.0.0.1:1/token": "",
		"http://as.example/token": "plain http", "as.example/token": "no https URL", "https:///token": "no https URL", "ftp://as.example/": "no https URL", "https://me@as.example/": "no https URL", "https://as.example/#a": "no https URL",
	} {
		_, err := auth.New(auth.Config{ServerURL: "https://mcp.example/mcp", ClientCredentials: true, ClientID: "a", ClientSecret: "b", TokenEndpoint: endpoint})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: error %v", endpoint, err)
		}
	}
	_, err := auth.New(auth.Config{ServerURL: "https://mcp.example/mcp", TokenEndpoint: "https://as.example/token"})
	wantError(t, err, "client credentials and assertions only")
}

// Without an ID, a secret or a key there is nothing to show.
func TestClientCredentialsAreChecked(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]auth.Config{
		"nothing": {},
		"ID only": {ClientID: "machine"},
		"no ID":   {ClientSecret: "secret-x"},
	} {
		cfg.ServerURL, cfg.ClientCredentials = "https://mcp.example/mcp", true
		if _, err := auth.New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// Keys come in PEM, in any of the usual wrappings.
func TestParseKey(t *testing.T) {
	t.Parallel()
	all := keys(t)
	encode := func(kind string, der []byte, err error) []byte {
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	}
	rsaKey, ecKey := all["RSA"].(*rsa.PrivateKey), all["P-256"].(*ecdsa.PrivateKey)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8 := func(key any) []byte {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		return encode("PRIVATE KEY", der, err)
	}
	sec1, sec1Err := x509.MarshalECPrivateKey(ecKey)
	spki, spkiErr := x509.MarshalPKIXPublicKey(rsaKey.Public())
	for name, test := range map[string]struct {
		text []byte
		want crypto.Signer // nil: an error
	}{
		"RSA, PKCS #8":   {pkcs8(rsaKey), rsaKey},
		"P-256, PKCS #8": {pkcs8(ecKey), ecKey},
		"PKCS #1":        {encode("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey), nil), rsaKey},
		"SEC 1":          {encode("EC PRIVATE KEY", sec1, sec1Err), ecKey},
		"P-384":          {pkcs8(p384), nil},
		"public key":     {encode("PUBLIC KEY", spki, spkiErr), nil},
		"no PEM":         {[]byte("hello"), nil},
		"empty":          {nil, nil},
		"garbage in PEM": {encode("PRIVATE KEY", []byte("hello"), nil), nil},
	} {
		got, err := auth.ParseKey(test.text)
		if (err == nil) != (test.want != nil) {
			t.Errorf("%s: error %v", name, err)
		}
		if equal, ok := got.(interface{ Equal(crypto.PrivateKey) bool }); err == nil && (!ok || !equal.Equal(test.want)) {
			t.Errorf("%s: another key", name)
		}
	}
}
