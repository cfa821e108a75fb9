package authtest_test

import (
	"crypto"
	"maps"
	"net/url"
	"testing"
	"time"

	"mcp-bridge/auth/authtest"
)

// An identity provider gives ID-JAGs for its own ID tokens, to the client that these are for.
func TestTokenExchangeIsStrict(t *testing.T) {
	idp := newServer(t, authtest.Config{Clients: []authtest.Client{{ID: "c", Secret: "x"}, {ID: "other", Secret: "x"}}})
	c := newClient(t, idp, "https://mcp.example/mcp")
	ask := func(change map[string]string) map[string]any {
		form := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "client_id": {"c"}, "client_secret": {"x"},
			"requested_token_type": {"urn:ietf:params:oauth:token-type:id-jag"}, "subject_token_type": {"urn:ietf:params:oauth:token-type:id_token"},
			"subject_token": {idp.IDToken("c", "jane")}, "audience": {"https://as.example"}, "resource": {"https://mcp.example/mcp"}}
		for name, value := range change {
			form.Set(name, value)
		}
		return c.post("/token", form)
	}
	if got := ask(nil); got["issued_token_type"] != "urn:ietf:params:oauth:token-type:id-jag" || got["token_type"] != "N_A" || got["access_token"] == nil {
		t.Errorf("a good request: %v", got)
	}
	for name, test := range map[string]struct {
		change map[string]string
		want   string
	}{
		"secret":          {map[string]string{"client_secret": "y"}, "invalid_client"},
		"another client":  {map[string]string{"client_id": "other"}, "invalid_grant"},
		"requested type":  {map[string]string{"requested_token_type": "urn:ietf:params:oauth:token-type:access_token"}, "invalid_request"},
		"subject type":    {map[string]string{"subject_token_type": "urn:ietf:params:oauth:token-type:saml2"}, "invalid_request"},
		"no audience":     {map[string]string{"audience": ""}, "invalid_request"},
		"no resource":     {map[string]string{"resource": ""}, "invalid_request"},
		"no ID token":     {map[string]string{"subject_token": "x"}, "invalid_grant"},
		"ended":           {map[string]string{"subject_token": idp.Sign("", -time.Minute, map[string]any{"sub": "jane", "aud": "c"})}, "invalid_grant"},
		"somebody else's": {map[string]string{"subject_token": newServer(t, authtest.Config{}).IDToken("c", "jane")}, "invalid_grant"},
	} {
		if got := ask(test.change); got["error"] != test.want {
			t.Errorf("%s: %v, want %s", name, got, test.want)
		}
	}
}

// An authorization server takes the JWTs of those that it believes, each for what it says.
func TestJWTBearerIsStrict(t *testing.T) {
	idp, stranger := newServer(t, authtest.Config{}), newServer(t, authtest.Config{})
	s := newServer(t, authtest.Config{Clients: []authtest.Client{{ID: "c"}}, Issuers: map[string]crypto.PublicKey{idp.URL(): idp.Key()}})
	c := newClient(t, s, guarded(t, s))
	c.id = "c"
	jag := func(change map[string]any) map[string]any {
		claims := map[string]any{"sub": "jane", "aud": s.URL(), "resource": c.resource, "client_id": "c"}
		maps.Copy(claims, change)
		return claims
	}
	const typ = "oauth-id-jag+jwt"
	ask := func(client, assertion string) map[string]any {
		form := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "resource": {c.resource}, "assertion": {assertion}}
		if client != "" {
			form.Set("client_id", client)
		}
		return c.post("/token", form)
	}
	once := idp.Sign(typ, time.Minute, jag(nil))
	c.mustPass(ask("c", once), true)
	workload := idp.Sign("", time.Minute, map[string]any{"sub": "w", "aud": s.URL()})
	c.mustPass(ask("", workload), true)
	c.mustPass(ask("c", workload), true)
	for name, test := range map[string]struct {
		client, assertion, want string
	}{
		"used":              {"c", once, "invalid_grant"},
		"no client":         {"", idp.Sign(typ, time.Minute, jag(nil)), "invalid_grant"},
		"unknown client":    {"other", idp.Sign(typ, time.Minute, jag(nil)), "invalid_client"},
		"another client's":  {"c", idp.Sign(typ, time.Minute, jag(map[string]any{"client_id": "other"})), "invalid_grant"},
		"another resource":  {"c", idp.Sign(typ, time.Minute, jag(map[string]any{"resource": "https://other.example"})), "invalid_grant"},
		"another audience":  {"c", idp.Sign(typ, time.Minute, jag(map[string]any{"aud": "https://other.example"})), "invalid_grant"},
		"ended":             {"c", idp.Sign(typ, -time.Minute, jag(nil)), "invalid_grant"},
		"a stranger's":      {"c", stranger.Sign(typ, time.Minute, jag(nil)), "invalid_grant"},
		"a stranger's name": {"c", stranger.Sign(typ, time.Minute, jag(map[string]any{"iss": idp.URL()})), "invalid_grant"},
		"no assertion":      {"c", "", "invalid_grant"},
	} {
		if got := ask(test.client, test.assertion); got["error"] != test.want {
			t.Errorf("%s: %v, want %s", name, got, test.want)
		}
	}
}
