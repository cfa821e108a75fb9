package auth_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"mcp-bridge/auth"
	"mcp-bridge/auth/authtest"
)

// wantResource checks the resource of the authorization request, of the exchange and of the
// refresh that there must have been: these bytes, once, or none at all for "".
func (f *fixture) wantResource(want string) {
	f.t.Helper()
	for _, name := range []string{"GET /authorize", "POST /token authorization_code", "POST /token refresh_token"} {
		got := f.last(name)["resource"]
		if want == "" && len(got) != 0 || want != "" && !slices.Equal(got, []string{want}) {
			f.t.Errorf("%s has resource %q, want %q", name, got, want)
		}
	}
	page := f.browser.Opened()[0]
	if raw := "resource=" + url.QueryEscape(want); want != "" && strings.Count(page, raw+"&") != 1 {
		f.t.Errorf("the page %s lacks %s", page, raw)
	}
}

// What the document says is sent byte for byte, and the server takes nothing else.
func TestT4_ResourceByteForByte(t *testing.T) {
	t.Parallel()
	for _, spelling := range []string{"{origin}", "{origin}/", "{origin}/mcp", "{origin}/mcp/", "HTTP://{host}/mcp"} {
		t.Run(spelling, func(t *testing.T) {
			t.Parallel()
			f := setup(t, nil, nil)
			resource := strings.NewReplacer("{origin}", f.origin, "{host}", strings.TrimPrefix(f.origin, "http://")).Replace(spelling)
			f.as.Set(func(c *authtest.Config) { c.ResourceMetadata = authtest.Edit{"resource": resource} })
			f.signIn()
			f.expire()
			f.mustCall()
			f.wantResource(resource)
		})
	}
}

// Without a document it is the configured URL, without its fragment and without another slash.
func TestT4_ResourceWithoutDocument(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) { c.AtResource = true }, nil)
	f.again(func(c *auth.Config) { c.ServerURL = f.url + "#part" })
	f.signIn()
	f.expire()
	f.mustCall()
	// It is on the MCP server's own origin, and there are requests of both kinds there.
	f.wantResource(f.url)
}

// Omitted, it is in none of the three.
func TestT5_OmitResource(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) { c.ResourceOptional = true }, func(c *auth.Config) { c.OmitResource = true })
	f.signIn()
	f.expire()
	f.mustCall()
	f.wantResource("")
}

// Replaced, it is the user's in all three. Such a token is not for this server, strictly, so the
// guard does not take it.
func TestT5_ReplaceResource(t *testing.T) {
	t.Parallel()
	const resource = "api://1234/Some.Thing"
	f := setup(t, nil, func(c *auth.Config) { c.Resource = resource })
	if err := f.call(); err == nil {
		t.Error("the guard takes a token for another resource")
	}
	f.expire()
	if err := f.call(); err == nil {
		t.Error("the guard takes a token for another resource")
	}
	f.wantResource(resource)
}

// entra makes the server refuse a refresh that has a resource, in the manner of Entra ID.
func entra(c *authtest.Config) {
	c.ResourceOptional = true
	c.Faults = []authtest.Fault{{Path: "/token", Form: map[string]string{"grant_type": "refresh_token", "resource": ""},
		Body: `{"error":"invalid_target","error_description":"AADSTS9010010: The resource parameter provided in the request doesn't match with the requested scopes."}`, Status: 400}}
}

// A refresh that is refused with a resource is tried once without.
func TestT5_RefreshWithoutResource(t *testing.T) {
	t.Parallel()
	f := setup(t, entra, nil)
	f.signIn()
	f.as.RevokeAccessTokens()
	posts := f.posts()
	f.mustCall()
	f.wantTokenCalls(2, 1, 1)
	forms := f.forms("POST /token refresh_token")
	if !forms[0].Has("resource") || forms[1].Has("resource") {
		t.Errorf("refreshes: %v", forms)
	}
	if n := f.posts() - posts; n != 2 {
		t.Errorf("the message was posted %d times, want twice: one 401", n)
	}
}

// Whatever a 400 says, or doesn't, unless it is about the token or the client (auth-behaviour 5.2
// 14).
func TestT5_RefreshWithoutResourceAfterAPlain400(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{"code": `{"error":"invalid_request"}`, "text": "Bad Request", "empty": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, entra, nil)
			f.as.Set(func(c *authtest.Config) { c.Faults[0].Body = body })
			f.signIn()
			f.as.RevokeAccessTokens()
			f.mustCall()
			f.wantTokenCalls(2, 1, 1)
		})
	}
}

// Such servers may leave the refresh token out of the reply as well: the old one stays good (F2).
func TestT5_RefreshWithoutResourceKeepsTheRefreshToken(t *testing.T) {
	t.Parallel()
	f := setup(t, entra, nil)
	f.as.Set(func(c *authtest.Config) { c.NoRotation = true })
	rec := f.signIn()
	for range 2 {
		f.as.RevokeAccessTokens()
		f.mustCall()
		if got := f.record(); got.Token.Refresh != rec.Token.Refresh {
			t.Errorf("the refresh token is %q, want %q", got.Token.Refresh, rec.Token.Refresh)
		}
	}
	f.wantTokenCalls(4, 1, 1)
}

// A passing failure of the second try is one: the login is kept (F4).
func TestT5_RefreshWithoutResourceFailsInPassing(t *testing.T) {
	t.Parallel()
	f := setup(t, entra, nil)
	f.as.Set(func(c *authtest.Config) {
		c.Faults = append(c.Faults, authtest.Fault{Path: "/token", Form: map[string]string{"grant_type": "refresh_token"}, Status: 503, Times: 1})
	})
	rec := f.signIn()
	f.as.RevokeAccessTokens()
	wantError(t, f.call())
	f.wantRecord(rec)
	f.mustCall()
	f.wantTokenCalls(4, 1, 1)
}

// The provider's own words reach the user, from wherever they come.
func TestT5_RefusalIsShown(t *testing.T) {
	t.Parallel()
	const words = "AADSTS9010010: no such resource"
	for name, server := range map[string]func(*authtest.Config){
		"in the callback": func(c *authtest.Config) {
			c.Callback = authtest.Edit{"code": authtest.Absent, "error": "invalid_target", "error_description": words}
		},
		"at the exchange": func(c *authtest.Config) {
			c.Faults = []authtest.Fault{{Path: "/token", Status: http.StatusBadRequest, Body: `{"error":"invalid_target","error_description":"` + words + `"}`}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, server, nil)
			wantError(t, f.call(), "invalid_target", words)
			f.wantCounts(1, 1, f.as.Exchanges())
		})
	}
}
