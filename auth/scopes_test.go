package auth_test

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"

	"mcp-bridge/auth"
	"mcp-bridge/auth/authtest"
)

// registered returns the members of the last registration request.
func (f *fixture) registered() map[string]any {
	f.t.Helper()
	var members map[string]any
	for _, r := range f.as.Requests() {
		if r.String() == "POST /register" {
			if err := json.Unmarshal(r.Body, &members); err != nil {
				f.t.Fatal(err)
			}
		}
	}
	return members
}

// Which scopes to ask for, in the order of spec 4.49, the same in both places. What the
// authorization server knows is no wish list.
func TestT6_Scopes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		challenge string
		document  []string
		option    []string
		want      string
	}{
		"a challenge wins": {"files:read", []string{"a", "b"}, nil, "files:read"},
		"b document":       {"", []string{"a", "b"}, nil, "a b"},
		"c neither":        {"", nil, nil, ""},
		"d option":         {"files:read", []string{"a", "b"}, []string{"x", "y"}, "x y"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, func(c *authtest.Config) {
				c.ChallengeScope = test.challenge
				c.Metadata = authtest.Edit{"scopes_supported": []string{"openid", "email"}}
				if test.document != nil {
					c.ResourceMetadata = authtest.Edit{"scopes_supported": test.document}
				}
			}, func(c *auth.Config) { c.Scopes = test.option })
			f.mustCall()
			form, members := f.last("GET /authorize"), f.registered()
			if test.want == "" {
				if _, has := members["scope"]; has || form.Has("scope") {
					t.Errorf("scope is there: %q in /authorize, %q in /register", form["scope"], members["scope"])
				}
				return
			}
			if form.Get("scope") != test.want || members["scope"] != test.want {
				t.Errorf("scope is %q in /authorize, %q in /register, want %q", form["scope"], members["scope"], test.want)
			}
		})
	}
}

// offering makes a server that knows offline_access, and a resource that wants a.
func offering(c *authtest.Config) {
	c.Scopes = []string{"offline_access", "a"}
	c.ResourceMetadata = authtest.Edit{"scopes_supported": []string{"a"}}
}

// offline_access is asked for where it is listed, and prompt never (spec 4.57).
func TestT7_OfflineAccess(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		server func(*authtest.Config)
		option []string
		want   string
	}{
		"listed":     {offering, nil, "a offline_access"},
		"not listed": {func(c *authtest.Config) { offering(c); c.Scopes = []string{"a"} }, nil, "a"},
		"configured": {offering, []string{"a"}, "a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, test.server, func(c *auth.Config) { c.Scopes = test.option })
			f.mustCall()
			form := f.last("GET /authorize")
			if form.Get("scope") != test.want {
				t.Errorf("scope is %q, want %q", form.Get("scope"), test.want)
			}
			if form.Has("prompt") {
				t.Errorf("prompt is %q", form["prompt"])
			}
		})
	}
}

// Where it was added and is refused, it is left out, once.
func TestT7_OfflineAccessRefused(t *testing.T) {
	t.Parallel()
	f := setup(t, offering, nil)
	f.as.Set(func(c *authtest.Config) { c.RefuseScopes = []string{"offline_access"} })
	f.mustCall()
	f.wantCounts(1, 2, 1)
	if scope := f.last("GET /authorize").Get("scope"); scope != "a" {
		t.Errorf("the second time scope is %q", scope)
	}
}

// With a client that is known the pre-flight notices, so the user sees one page only.
func TestT7_OfflineAccessRefusedBeforeThePage(t *testing.T) {
	t.Parallel()
	f := setup(t, offering, nil)
	f.signIn()
	f.as.RevokeAll()
	f.as.Set(func(c *authtest.Config) { c.RefuseScopes = []string{"offline_access"} })
	f.mustCall()
	f.wantCounts(1, 2, 2)
}

// What the user configured is not changed, and a refusal of another scope is one.
func TestT7_InvalidScopeIsFinal(t *testing.T) {
	t.Parallel()
	t.Run("configured", func(t *testing.T) {
		t.Parallel()
		f := setup(t, offering, func(c *auth.Config) { c.Scopes = []string{"a", "offline_access"} })
		f.as.Set(func(c *authtest.Config) { c.RefuseScopes = []string{"offline_access"} })
		wantError(t, f.call(), "invalid_scope", "Not to be had: offline_access")
		f.wantCounts(1, 1, 0)
	})
	t.Run("another", func(t *testing.T) {
		t.Parallel()
		f := setup(t, offering, nil)
		f.as.Set(func(c *authtest.Config) { c.RefuseScopes = []string{"a"} })
		wantError(t, f.call(), "invalid_scope", "Not to be had: a")
		f.wantCounts(1, 1, 0) // the try without offline_access ends at the pre-flight
	})
}

// Parameters of a provider's own are in the authorization request, once, and are encoded.
func TestT8_AuthorizeParams(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, func(c *auth.Config) {
		c.AuthorizeParams = url.Values{"access_type": {"offline"}, "audience": {"https://api.example/a b&c=d"}}
	})
	f.mustCall()
	form := f.last("GET /authorize")
	if got := form["access_type"]; !slices.Equal(got, []string{"offline"}) {
		t.Errorf("access_type is %q", got)
	}
	if got := form["audience"]; !slices.Equal(got, []string{"https://api.example/a b&c=d"}) {
		t.Errorf("audience is %q", got)
	}
}

// What holds the sign-in together can't be set.
func TestT8_ReservedParams(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"state", "redirect_uri", "client_id", "response_type", "code_challenge", "code_challenge_method"} {
		_, err := auth.New(auth.Config{ServerURL: "https://mcp.example/mcp", AuthorizeParams: url.Values{name: {"x"}}})
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// Google gives refresh tokens only to those who ask in its own way. Nobody else is asked so.
func TestT8_Google(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		endpoint string
		params   url.Values
		want     url.Values
	}{
		"Google":             {"https://accounts.google.com/o/oauth2/v2/auth", nil, url.Values{"access_type": {"offline"}, "prompt": {"consent"}}},
		"with a user's own":  {"https://accounts.google.com/o/oauth2/v2/auth", url.Values{"prompt": {"select_account"}}, url.Values{"access_type": {"offline"}, "prompt": {"select_account"}}},
		"who looks like it":  {"https://accounts.google.com.example/auth", nil, url.Values{}},
		"with a query there": {"https://accounts.google.com/auth?tenant=1", nil, url.Values{"access_type": {"offline"}, "prompt": {"consent"}, "tenant": {"1"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, func(c *authtest.Config) { c.Metadata = authtest.Edit{"authorization_endpoint": test.endpoint} }, nil)
			var form url.Values
			f.again(func(c *auth.Config) {
				c.AuthorizeParams = test.params
				c.Open = func(page string) error { // the same page, on loopback
					u, err := url.Parse(page)
					if err != nil {
						return err
					}
					form = u.Query()
					return f.browser.Open(f.as.URL() + "/authorize?" + u.RawQuery)
				}
			})
			f.mustCall()
			for _, param := range []string{"access_type", "prompt", "tenant"} {
				if !slices.Equal(form[param], test.want[param]) {
					t.Errorf("%s is %q, want %q", param, form[param], test.want[param])
				}
			}
			if strings.Contains(form.Get("scope"), "offline_access") {
				t.Errorf("scope is %q", form.Get("scope"))
			}
		})
	}
}
