package authtest_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"mcp-bridge/auth/authtest"
)

// A prover makes proofs by hand.
type prover struct {
	t   *testing.T
	key *ecdsa.PrivateKey
}

func newProver(t *testing.T) *prover {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &prover{t, key}
}

func (p *prover) jwk() map[string]any {
	point, err := p.key.PublicKey.Bytes()
	if err != nil {
		p.t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	return map[string]any{"kty": "EC", "crv": "P-256", "x": encode(point[1:33]), "y": encode(point[33:])}
}

// proof returns a proof for a POST request, with other claims and members of the header where they are given.
func (p *prover) proof(url, access, nonce string, claims, header map[string]any) string {
	p.t.Helper()
	all := jwt.MapClaims{"jti": rand.Text(), "htm": "POST", "htu": url, "iat": time.Now().Unix()}
	if access != "" {
		sum := sha256.Sum256([]byte(access))
		all["ath"] = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	if nonce != "" {
		all["nonce"] = nonce
	}
	maps.Copy(all, claims)
	token := jwt.NewWithClaims(jwt.SigningMethodES256, all)
	token.Header["typ"], token.Header["jwk"] = "dpop+jwt", p.jwk()
	maps.Copy(token.Header, header)
	signed, err := token.SignedString(p.key)
	if err != nil {
		p.t.Fatal(err)
	}
	return signed
}

// What is wrong with a proof is seen, at the token endpoint and at the guard.
func TestProofsAreStrict(t *testing.T) {
	s := newServer(t, authtest.Config{DPoPRequired: true, Clients: []authtest.Client{{ID: "c", Secret: "x"}}})
	mcp := guarded(t, s)
	c := newClient(t, s, mcp)
	c.id = "c"
	p, other := newProver(t), newProver(t)
	ask := func(proofs ...string) map[string]any {
		c.header = http.Header{"Dpop": proofs}
		return c.token("client_credentials", "client_secret", "x")
	}
	at := s.URL() + "/token"
	good := p.proof(at, "", "", nil, nil)
	tokens := ask(good)
	if tokens["token_type"] != "DPoP" {
		t.Fatalf("a good proof: %v", tokens)
	}
	access := tokens["access_token"].(string)
	public := func(change map[string]any) map[string]any {
		jwk := p.jwk()
		maps.Copy(jwk, change)
		return map[string]any{"jwk": jwk}
	}
	// At both places.
	bad := map[string]func(url, access string) string{
		"method":         func(u, a string) string { return p.proof(u, a, "", map[string]any{"htm": "GET"}, nil) },
		"URL":            func(u, a string) string { return p.proof(u+"/x", a, "", nil, nil) },
		"URL with query": func(u, a string) string { return p.proof(u+"?a=b", a, "", nil, nil) },
		"old": func(u, a string) string {
			return p.proof(u, a, "", map[string]any{"iat": time.Now().Add(-time.Hour).Unix()}, nil)
		},
		"of the future": func(u, a string) string {
			return p.proof(u, a, "", map[string]any{"iat": time.Now().Add(time.Hour).Unix()}, nil)
		},
		"no iat":      func(u, a string) string { return p.proof(u, a, "", map[string]any{"iat": nil}, nil) },
		"no jti":      func(u, a string) string { return p.proof(u, a, "", map[string]any{"jti": nil}, nil) },
		"typ":         func(u, a string) string { return p.proof(u, a, "", nil, map[string]any{"typ": "JWT"}) },
		"no key":      func(u, a string) string { return p.proof(u, a, "", nil, map[string]any{"jwk": nil}) },
		"private key": func(u, a string) string { return p.proof(u, a, "", nil, public(map[string]any{"d": "AA"})) },
		"half a key":  func(u, a string) string { return p.proof(u, a, "", nil, public(map[string]any{"y": "AA"})) },
		"other key":   func(u, a string) string { return p.proof(u, a, "", nil, map[string]any{"jwk": other.jwk()}) },
		"no JWT":      func(string, string) string { return "x" },
		"another ath": func(u, _ string) string { return p.proof(u, "other", "", nil, nil) },
	}
	for name, make := range bad {
		if got := ask(make(at, "")); got["error"] != "invalid_dpop_proof" {
			t.Errorf("token endpoint, %s: %v", name, got)
		}
	}
	if got := ask(good); got["error"] != "invalid_dpop_proof" {
		t.Errorf("the same proof again: %v", got)
	}
	if got := ask(p.proof(at, "", "", nil, nil), p.proof(at, "", "", nil, nil)); got["error"] != "invalid_dpop_proof" {
		t.Errorf("two proofs: %v", got)
	}
	if got := ask(); got["error"] != "invalid_dpop_proof" {
		t.Errorf("no proof: %v", got)
	}

	call := func(scheme string, proofs ...string) (int, string) {
		res, _ := do(t, "POST", mcp, http.Header{"Authorization": {scheme + " " + access}, "Dpop": proofs}, ping)
		return res.StatusCode, res.Header.Get("WWW-Authenticate")
	}
	if status, header := call("dpop", p.proof(mcp, access, "", nil, nil)); status != 200 {
		t.Errorf("the guard, a good proof: %d %s", status, header)
	}
	bad["no ath"] = func(u, _ string) string { return p.proof(u, "", "", nil, nil) }
	for name, make := range bad {
		if status, header := call("DPoP", make(mcp, access)); status != 401 || !strings.HasPrefix(header, "DPoP ") || !strings.Contains(header, `error="invalid_dpop_proof"`) {
			t.Errorf("the guard, %s: %d %s", name, status, header)
		}
	}
	for name, got := range map[string]func() (int, string){
		"as a bearer": func() (int, string) { return call("Bearer") },
		"a thief":     func() (int, string) { return call("DPoP", other.proof(mcp, access, "", nil, nil)) },
	} {
		if status, header := got(); status != 401 || !strings.Contains(header, `error="invalid_token"`) {
			t.Errorf("the guard, %s: %d %s", name, status, header)
		}
	}
}

// Nonces are given where they are missing, and change when they are told to.
func TestNonces(t *testing.T) {
	s := newServer(t, authtest.Config{DPoP: true, DPoPNonces: true})
	mcp := guarded(t, s)
	c := newClient(t, s, mcp)
	c.register(`"scope":"a b"`)
	code, p := c.signIn(nil), newProver(t)
	at := s.URL() + "/token"
	c.header = http.Header{"Dpop": {p.proof(at, "", "", nil, nil)}}
	if got := c.exchange(code); got["error"] != "use_dpop_nonce" {
		t.Fatalf("no nonce: %v", got)
	}
	c.header = http.Header{"Dpop": {p.proof(at, "", "nonce-as-0", nil, nil)}}
	tokens := c.exchange(code) // it was not used up
	access := fmt.Sprint(tokens["access_token"])
	for _, test := range []struct {
		nonce string
		want  int
	}{{"", 401}, {"nonce-as-0", 401}, {"nonce-rs-0", 200}} {
		res, _ := do(t, "POST", mcp, http.Header{"Authorization": {"DPoP " + access}, "Dpop": {p.proof(mcp, access, test.nonce, nil, nil)}}, ping)
		if res.StatusCode != test.want || res.Header.Get("DPoP-Nonce") != "nonce-rs-0" {
			t.Errorf("nonce %q: %d, next %q", test.nonce, res.StatusCode, res.Header.Get("DPoP-Nonce"))
		}
	}
	s.RenewNonces()
	refresh := func(p *prover, nonce string) map[string]any {
		c.header = http.Header{"Dpop": {p.proof(at, "", nonce, nil, nil)}}
		return c.token("refresh_token", "refresh_token", tokens["refresh_token"])
	}
	if got := refresh(p, "nonce-as-0"); got["error"] != "use_dpop_nonce" {
		t.Errorf("the old nonce: %v", got)
	}
	if got := refresh(newProver(t), "nonce-as-1"); got["error"] != "invalid_grant" {
		t.Errorf("the refresh token by another key: %v", got)
	}
	if got := refresh(p, "nonce-as-1"); got["token_type"] != "DPoP" {
		t.Errorf("refresh: %v", got)
	}
}
