package auth_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"mcp-bridge/auth"
	"mcp-bridge/auth/authtest"
)

// registrations returns the bodies of all registrations.
func (f *fixture) registrations() []map[string]any {
	f.t.Helper()
	var all []map[string]any
	for _, r := range f.as.Requests() {
		if r.URL.Path != "/register" {
			continue
		}
		var body map[string]any
		if err := json.Unmarshal(r.Body, &body); err != nil {
			f.t.Errorf("%s: %v in %s", r, err, r.Body)
		}
		all = append(all, body)
	}
	return all
}

// clientsUsed returns the client IDs in authorization requests of the browser, in order.
func (f *fixture) clientsUsed() []string {
	var ids []string
	for _, page := range f.browser.Opened() {
		u, err := url.Parse(page)
		if err != nil {
			f.t.Fatal(err)
		}
		ids = append(ids, u.Query().Get("client_id"))
	}
	return ids
}

// redirectURI returns the redirect URI of a page that the user is sent to.
func redirectURI(t *testing.T, page string) *url.URL {
	t.Helper()
	u, err := url.Parse(page)
	if err != nil {
		t.Fatal(err)
	}
	back, err := url.Parse(u.Query().Get("redirect_uri"))
	if err != nil || back.Port() == "" {
		t.Fatalf("redirect_uri in %s: %v", page, err)
	}
	return back
}

// occupy binds a port on an address until the test ends.
func occupy(t *testing.T, address string) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
}

// What a registration asks for (spec 4.66, 4.68).
func TestRegistrationRequest(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) { c.ChallengeScope = "a b" }, nil)
	f.mustCall()
	got := f.registrations()
	want := map[string]any{
		"client_name": "mcp-bridge", "redirect_uris": []any{redirectURI(t, f.browser.Opened()[0]).String()},
		"grant_types": []any{"authorization_code", "refresh_token"}, "response_types": []any{"code"},
		"token_endpoint_auth_method": "none", "application_type": "native", "scope": "a b",
	}
	if len(got) != 1 || fmt.Sprint(got[0]) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	rec := f.record()
	if rec == nil || rec.Client == nil || !rec.Client.Registered || rec.Issuer != f.as.URL() {
		t.Errorf("record: %+v", rec)
	}
}

// A name and more metadata can be configured, and win.
func TestRegistrationIsConfigurable(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, func(c *auth.Config) {
		c.ClientName = "My editor"
		c.ClientMetadata = map[string]any{"contacts": []string{"me@example.com"}, "token_endpoint_auth_method": "client_secret_post"}
	})
	f.mustCall()
	body := f.registrations()[0]
	if body["client_name"] != "My editor" || fmt.Sprint(body["contacts"]) != "[me@example.com]" || body["token_endpoint_auth_method"] != "client_secret_post" {
		t.Errorf("registered as %v", body)
	}
}

// R1: the server has forgotten the client, and says so nowhere but on its login page.
func TestR1_ForgottenClient(t *testing.T) {
	t.Parallel()
	for name, server := range map[string]func(*authtest.Config){
		"with a refresh token":    func(*authtest.Config) {},
		"without a refresh token": func(c *authtest.Config) { c.NoRefresh = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, func(c *authtest.Config) {
				c.UnknownClient = authtest.Fault{Status: 400, Body: `{"message":"Unrecognized client_id"}`}
				server(c)
			}, nil)
			f.mustCall()
			f.as.ForgetClients()
			f.as.RevokeAll()
			f.again(nil)
			f.mustCall()
			f.wantCounts(2, 2, 2)
			used := f.clientsUsed()
			if used[0] == used[1] {
				t.Errorf("the browser was sent there with the old client again: %q", used)
			}
			if rec := f.record(); rec.Client.ID != used[1] || rec.Token == nil {
				t.Errorf("record: %+v", rec)
			}
		})
	}
}

// R2: the token endpoint refuses the client. One registration and one sign-in put that right.
func TestR2_InvalidClientAtTheTokenEndpoint(t *testing.T) {
	t.Parallel()
	for _, refusal := range []authtest.Fault{
		{Error: "invalid_client", Status: 401}, {Error: "invalid_client", Status: 400}, {Error: "unauthorized_client", Status: 400},
	} {
		t.Run(fmt.Sprint(refusal.Status, refusal.Error), func(t *testing.T) {
			t.Parallel()
			f := setup(t, nil, nil)
			f.mustCall()
			refusal.Path, refusal.Form = "/token", map[string]string{"client_id": f.record().Client.ID}
			f.as.Set(func(c *authtest.Config) { c.Faults = []authtest.Fault{refusal} })
			f.as.RevokeAccessTokens()
			f.again(nil)
			f.mustCall()
			f.wantCounts(2, 2, 2)
			if f.as.Refreshes() != 1 {
				t.Errorf("%d refreshes, want 1", f.as.Refreshes())
			}
		})
	}
}

// R2: if the fresh client is refused as well that is the end: no third registration.
func TestR2_NoThirdRegistration(t *testing.T) {
	t.Parallel()
	for name, server := range map[string]func(*authtest.Config){
		"with a refresh token":    func(*authtest.Config) {},
		"without a refresh token": func(c *authtest.Config) { c.NoRefresh = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, server, nil)
			f.mustCall()
			f.as.Set(func(c *authtest.Config) {
				c.Faults = []authtest.Fault{{Path: "/token", Status: 401, Body: `{"error":"invalid_client","error_description":"Go away"}`}}
			})
			f.as.RevokeAccessTokens()
			f.again(nil)
			err := f.call()
			wantError(t, err, "invalid_client", "Go away")
			if !errors.Is(err, auth.ErrClientNotFound) {
				t.Errorf("%v is not ErrClientNotFound", err)
			}
			if n := f.as.Registrations(); n != 2 {
				t.Errorf("%d registrations, want 2\n%s", n, f.story())
			}
		})
	}
}

// R5: a registration is used again on its own port only.
func TestR5_PortIsUsedAgain(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"localhost", "127.0.0.1", "::1"} {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			f := setup(t, func(c *authtest.Config) { c.NoRefresh = true }, func(c *auth.Config) { c.CallbackHost = host })
			f.mustCall()
			f.as.RevokeAll()
			f.again(nil)
			f.mustCall()
			f.wantCounts(1, 2, 2)
			opened := f.browser.Opened()
			if a, b := redirectURI(t, opened[0]), redirectURI(t, opened[1]); *a != *b {
				t.Errorf("redirect URIs %s and %s", a, b)
			}
		})
	}
}

// R5: a first run that is killed after the registration, a port that somebody else has then.
func TestR5_StoredPortIsBusy(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"127.0.0.1", "::1"} {
		t.Run(address, func(t *testing.T) {
			t.Parallel()
			opened := make(chan string, 1)
			f := setup(t, nil, func(c *auth.Config) {
				c.Open = func(page string) error { opened <- page; return nil }
			})
			first := make(chan error, 1)
			go func() { first <- f.call() }() // ends with the Transport
			page := soon(t, opened, "the page")
			f.transport.Close()
			wantError(t, soon(t, first, "the first run"))
			old := redirectURI(t, page)
			occupy(t, net.JoinHostPort(address, old.Port()))

			f.again(func(c *auth.Config) { c.Open = f.browser.Open })
			f.mustCall()
			f.wantCounts(2, 1, 1)
			if now := redirectURI(t, f.browser.Opened()[0]); now.Port() == old.Port() {
				t.Errorf("the port %s again", now.Port())
			}
			for _, r := range f.as.Requests() { // as strict servers want it
				if r.URL.Path == "/token" && r.Form.Get("redirect_uri") != redirectURI(t, f.browser.Opened()[0]).String() {
					t.Errorf("%s with %s", r, r.Form.Get("redirect_uri"))
				}
			}
		})
	}
}

// R5: another callback host, path or port is another redirect URI.
func TestR5_OtherRedirectURIRegistersAnew(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*auth.Config){
		"host": func(c *auth.Config) { c.CallbackHost = "127.0.0.1" },
		"path": func(c *auth.Config) { c.CallbackPath = "/oauth/callback" },
		"port": func(c *auth.Config) { c.CallbackPort = freePort(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, func(c *authtest.Config) { c.NoRefresh = true }, nil)
			f.mustCall()
			f.as.RevokeAll()
			f.again(change)
			f.mustCall()
			f.wantCounts(2, 2, 2)
		})
	}
}

// freePort returns a port that was free on both loopbacks a moment ago, and is not one that systems
// give away by themselves as easily as port 0 does.
func freePort(t *testing.T) int {
	t.Helper()
	for range 50 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := l.Addr().(*net.TCPAddr)
		six, err := net.Listen("tcp", fmt.Sprintf("[::1]:%d", address.Port))
		l.Close()
		if err == nil {
			six.Close()
			return address.Port
		}
	}
	t.Fatal("no port is free")
	return 0
}

// R5: what the server makes of redirect_uris in its reply is its own affair.
func TestR5_RewrittenRedirectURIs(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) {
		c.NoRefresh = true
		c.Registration = authtest.Edit{"redirect_uris": []string{"https://mcp.example/callback"}}
	}, nil)
	f.mustCall()
	f.as.RevokeAll()
	f.again(nil)
	f.mustCall()
	f.wantCounts(1, 2, 2)
}

// R6: null, "" and missing are the same in a reply, and 200 is as good as 201.
func TestR6_NullsInTheReply(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]any{"null": nil, "absent": authtest.Absent} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, func(c *authtest.Config) {
				c.RegistrationStatus, c.NoRefresh = http.StatusOK, true
				c.Registration = authtest.Edit{"client_secret": value, "scope": value, "grant_types": value, "logo_uri": value, "redirect_uris": value,
					"response_types": value, "client_name": value, "client_secret_expires_at": value, "client_id_issued_at": value, "token_endpoint_auth_method": ""}
			}, nil)
			f.mustCall()
			f.as.RevokeAll()
			f.again(nil)
			f.mustCall()
			f.wantCounts(1, 2, 2)
		})
	}
}

// R6: nothing that we send is null.
func TestR6_NoNullsInTheRequest(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*auth.Config){
		"default": func(*auth.Config) {},
		"with metadata that has one": func(c *auth.Config) {
			c.ClientMetadata = map[string]any{"logo_uri": nil, "client_uri": "https://app.example/"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, nil, change)
			err := f.call()
			for _, r := range f.as.Requests() {
				if r.URL.Path == "/register" && strings.Contains(string(r.Body), "null") {
					t.Errorf("registered with %s (%v)", r.Body, err)
				}
			}
		})
	}
}

// R6, R7: without registration, and nothing configured, the user learns what is missing.
func TestR7_NoRegistration(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]any{"null": nil, "empty": "", "absent": authtest.Absent} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, func(c *authtest.Config) { c.Metadata = authtest.Edit{"registration_endpoint": value} }, nil)
			err := f.call()
			if !errors.Is(err, auth.ErrNoRegistration) {
				t.Errorf("%v is not ErrNoRegistration", err)
			}
			f.wantCounts(0, 0, 0)
		})
	}
}

// R7: a configured client is used, and nothing is registered.
func TestR7_ConfiguredClient(t *testing.T) {
	t.Parallel()
	for name, endpoint := range map[string]any{"where registration is offered": "", "where it is not": authtest.Absent} {
		for _, secret := range []string{"", "secret-static"} {
			t.Run(name+secret, func(t *testing.T) {
				t.Parallel()
				f := setup(t, func(c *authtest.Config) {
					c.Clients = []authtest.Client{{ID: "stat1", Secret: secret}}
					if endpoint != "" {
						c.Metadata = authtest.Edit{"registration_endpoint": endpoint}
					}
				}, func(c *auth.Config) { c.ClientID, c.ClientSecret = "stat1", secret })
				f.mustCall()
				f.wantCounts(0, 1, 1)
				f.as.RevokeAll()
				f.again(nil)
				f.mustCall()
				f.wantCounts(0, 2, 2)
				if used := f.clientsUsed(); used[0] != "stat1" || used[1] != "stat1" {
					t.Errorf("clients %q", used)
				}
				if rec := f.record(); rec.Client.Secret != "" {
					t.Error("the secret of the configured client is stored")
				}
			})
		}
	}
}

// R7: a configured client that is refused is the user's affair: nothing is registered, nothing tried
// again, and the message says which client it was.
func TestR7_ConfiguredClientIsRefused(t *testing.T) {
	t.Parallel()
	for name, server := range map[string]func(*authtest.Config){
		"at the authorization endpoint": func(c *authtest.Config) { c.Clients = nil },
		"at the authorization endpoint, by redirect": func(c *authtest.Config) {
			c.Clients, c.UnknownClient = nil, authtest.Fault{Status: 302, Error: "unauthorized_client"}
		},
		"at the token endpoint": func(c *authtest.Config) {
			c.Faults = []authtest.Fault{{Path: "/token", Error: "invalid_client"}}
		},
		"because of its secret": func(c *authtest.Config) { c.Clients[0].Secret = "secret-other" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, func(c *authtest.Config) {
				c.Clients = []authtest.Client{{ID: "stat1", Secret: "secret-static"}}
				server(c)
			}, func(c *auth.Config) { c.ClientID, c.ClientSecret = "stat1", "secret-static" })
			err := f.call()
			wantError(t, err, "stat1", "configured client")
			if !errors.Is(err, auth.ErrClientNotFound) {
				t.Errorf("%v is not ErrClientNotFound", err)
			}
			if f.as.Registrations() != 0 || f.tabs() > 1 {
				t.Errorf("it was tried again\n%s", f.story())
			}
		})
	}
}

// R7: with a refresh token the refusal of a configured client is said, and the login not wiped.
func TestR7_ConfiguredClientIsRefusedAtRefresh(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) { c.Clients = []authtest.Client{{ID: "stat1"}} }, func(c *auth.Config) { c.ClientID = "stat1" })
	f.mustCall()
	f.as.Set(func(c *authtest.Config) { c.Faults = []authtest.Fault{{Path: "/token", Error: "invalid_client"}} })
	f.as.RevokeAccessTokens()
	err := f.call()
	wantError(t, err, "stat1", "configured client", "invalid_client")
	f.wantCounts(0, 1, 1)
	if rec := f.record(); rec == nil || rec.Token == nil || rec.Token.Refresh == "" {
		t.Errorf("the login is gone: %+v", rec)
	}
}

// R8: a refusal that is not OAuth's JSON is told with its status and the gist of its body.
func TestR8_OddErrorBodies(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("long ", 1000)
	for _, test := range []struct {
		name  string
		fault authtest.Fault
		want  []string
	}{
		{"text as JSON", authtest.Fault{Path: "/register", Status: 403, Body: "Forbidden", Header: http.Header{"Content-Type": {"application/json"}}}, []string{"403", "Forbidden"}},
		{"empty", authtest.Fault{Path: "/register", Status: 500}, []string{"500"}},
		{"a web page", authtest.Fault{Path: "/register", Status: 503, Body: "<html><script>x</script>"}, []string{"503", "web page"}},
		{"an array", authtest.Fault{Path: "/register", Status: 400, Body: `[{"logref":"x","message":"m"}]`}, []string{"400", "logref"}},
		{"long", authtest.Fault{Path: "/register", Status: 403, Body: long}, []string{"403", "long long"}},
		{"two lines and an escape", authtest.Fault{Path: "/register", Status: 403, Body: "a\nb\x1b[2Jc"}, []string{"403", "a b"}},
		{"OAuth's", authtest.Fault{Path: "/register", Status: 400, Body: `{"error":"invalid_redirect_uri","error_description":"not ` + strings.Repeat("x", 500) + `"}`}, []string{"400", "invalid_redirect_uri", "not xxx"}},
		{"HTML that does not begin like it", authtest.Fault{Path: "/register", Status: 502, Body: "Bad <b>gateway", Header: http.Header{"Content-Type": {"text/html; charset=utf-8"}}}, []string{"502", "web page"}},
		{"200 without ID", authtest.Fault{Path: "/register", Status: 200, Body: `{"client_name":"x"}`}, []string{"200", "client_id"}},
		{"200 with a web page", authtest.Fault{Path: "/register", Status: 200, Body: "<html>"}, []string{"200", "client_id"}},
		{"an error with 201", authtest.Fault{Path: "/register", Status: 201, Body: `{"error":"nope"}`}, []string{"201"}},

		{"token: an array", authtest.Fault{Path: "/token", Status: 401, Body: `[{"logref":"x","message":"m"}]`}, []string{"401", "logref"}},
		{"token: a web page", authtest.Fault{Path: "/token", Status: 502, Body: "<html><b>Bad gateway"}, []string{"502", "web page"}},
		{"token: empty", authtest.Fault{Path: "/token", Status: 500}, []string{"500"}},
		{"token: text", authtest.Fault{Path: "/token", Status: 403, Body: long}, []string{"403", "long long"}},
		{"token: 200 with a web page", authtest.Fault{Path: "/token", Status: 200, Body: "<html>"}, []string{"200"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, func(c *authtest.Config) { c.Faults = []authtest.Fault{test.fault} }, nil)
			err := f.call()
			wantError(t, err, test.want...)
			if text := err.Error(); len(text) > 700 || strings.ContainsAny(text, "\n\x1b<") {
				t.Errorf("not one short line (%d bytes): %.200q", len(text), text)
			}
			if f.as.Registrations() > 3 {
				t.Errorf("%d registrations", f.as.Registrations())
			}
		})
	}
}

// R8: a passing fault of the token endpoint leaves the registration for the next time.
func TestR8_PassingFaultKeepsTheRegistration(t *testing.T) {
	t.Parallel()
	for _, fault := range []authtest.Fault{{Status: 500}, {Status: 502, Body: "<html>"}, {Status: 429}, {Reset: true}} {
		t.Run(fmt.Sprint(fault.Status), func(t *testing.T) {
			t.Parallel()
			fault.Path = "/token"
			f := setup(t, func(c *authtest.Config) { c.Faults = []authtest.Fault{fault} }, nil)
			wantError(t, f.call())
			f.as.Set(func(c *authtest.Config) { c.Faults = nil })
			f.again(nil)
			f.mustCall()
			if n := f.as.Registrations(); n != 1 {
				t.Errorf("%d registrations, want 1", n)
			}
		})
	}
}

// tokenRequests returns the requests to the token endpoint.
func (f *fixture) tokenRequests() []*authtest.Request {
	return slices.DeleteFunc(f.as.Requests(), func(r *authtest.Request) bool { return r.URL.Path != "/token" })
}

// R9: the client proves who it is in the way that the registration's reply names, with client_id in
// the body in any case.
func TestR9_MethodOfTheReply(t *testing.T) {
	t.Parallel()
	const id, secret = "c 1", "a:b/c%" // to be form-encoded before base64 (RFC 6749 2.3.1)
	for _, method := range []string{"client_secret_basic", "client_secret_post"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			f := setup(t, func(c *authtest.Config) {
				c.Registration = authtest.Edit{"client_id": id, "client_secret": secret, "token_endpoint_auth_method": method}
			}, nil)
			f.mustCall()
			f.as.RevokeAccessTokens()
			f.mustCall() // a refresh
			requests := f.tokenRequests()
			if len(requests) != 2 {
				t.Fatalf("%d token requests, want 2\n%s", len(requests), f.story())
			}
			for _, r := range requests {
				header, body := "", secret
				if method == "client_secret_basic" {
					header, body = "Basic "+base64.StdEncoding.EncodeToString([]byte("c+1:a%3Ab%2Fc%25")), ""
				}
				if r.Header.Get("Authorization") != header || r.PostForm.Get("client_secret") != body || r.PostForm.Get("client_id") != id {
					t.Errorf("%s: header %q, form %v", r, r.Header.Get("Authorization"), r.PostForm)
				}
			}
		})
	}
}

// R9: a reply that names none means none, even if there is a secret in it.
func TestR9_NoneWithASecret(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) {
		c.Registration = authtest.Edit{"client_secret": "secret-unused", "token_endpoint_auth_method": "none"}
	}, nil)
	_ = f.call()
	for i, r := range f.tokenRequests() {
		if r.Header.Get("Authorization") != "" || r.PostForm.Has("client_secret") {
			t.Errorf("token request %d shows a secret, and the client has registered for none", i)
		}
	}
}

// R9: a method of the reply that needs a secret, without one, means none.
func TestR9_SecretIsMissing(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"client_secret_basic", "client_secret_post"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			f := setup(t, func(c *authtest.Config) {
				c.AuthMethods = []string{"none"}
				c.Registration = authtest.Edit{"client_secret": authtest.Absent, "token_endpoint_auth_method": method}
			}, nil)
			f.mustCall()
			if r := f.tokenRequests()[0]; r.Header.Get("Authorization") != "" || r.PostForm.Has("client_secret") {
				t.Errorf("header %q, form %v", r.Header.Get("Authorization"), r.PostForm)
			}
		})
	}
}

// R9: without a method in the reply the metadata decides: with a secret post before Basic, and Basic
// where nothing is said (RFC 8414 2).
func TestR9_MethodOfTheMetadata(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		offered any
		secret  any
		want    string
	}{
		{"no secret", []string{"client_secret_basic", "none"}, authtest.Absent, "none"},
		{"post and basic", []string{"client_secret_basic", "client_secret_post", "none"}, "s", "client_secret_post"},
		{"basic", []string{"client_secret_basic"}, "s", "client_secret_basic"},
		{"post", []string{"client_secret_post"}, "s", "client_secret_post"},
		{"nothing said", authtest.Absent, "s", "client_secret_basic"},
		{"null", nil, "s", "client_secret_basic"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, func(c *authtest.Config) {
				c.Registration = authtest.Edit{"client_secret": test.secret, "token_endpoint_auth_method": authtest.Absent}
				c.Metadata = authtest.Edit{"token_endpoint_auth_methods_supported": test.offered}
			}, nil)
			f.mustCall()
			r := f.tokenRequests()[0]
			got := "none"
			switch {
			case r.Header.Get("Authorization") != "":
				got = "client_secret_basic"
			case r.PostForm.Has("client_secret"):
				got = "client_secret_post"
			}
			if got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

// R9: a server that says Basic, and means post.
func TestR9_BasicRefusedPostAccepted(t *testing.T) {
	t.Parallel()
	for _, static := range []bool{false, true} {
		t.Run(fmt.Sprint(static), func(t *testing.T) {
			t.Parallel()
			f := setup(t, func(c *authtest.Config) {
				c.AuthMethods = []string{"client_secret_post"}
				c.Registration = authtest.Edit{"token_endpoint_auth_method": "client_secret_basic"}
				c.Metadata = authtest.Edit{"token_endpoint_auth_methods_supported": []string{"client_secret_basic"}}
				c.Clients = []authtest.Client{{ID: "stat1", Secret: "secret-static"}}
			}, func(c *auth.Config) {
				if static {
					c.ClientID, c.ClientSecret = "stat1", "secret-static"
				}
			})
			f.mustCall()
			if n := f.tabs(); n != 1 {
				t.Errorf("%d tabs, want 1", n)
			}
			if n := f.as.Exchanges(); n != 2 {
				t.Errorf("%d exchanges, want 2", n)
			}
			f.again(nil)
			f.as.RevokeAccessTokens()
			f.mustCall()
			if n := f.tabs(); n != 1 {
				t.Errorf("%d tabs after the refresh, want 1\n%s", n, f.story())
			}
		})
	}
}

// R10: strict servers refuse members that they don't know, and what isn't both grant types.
func TestR10_StrictRegistration(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) {
		c.RegistrationMembers = []string{"client_name", "redirect_uris", "grant_types", "response_types", "token_endpoint_auth_method", "scope"}
		c.ChallengeScope = "a"
	}, nil)
	f.mustCall()
	if n := f.as.Registrations(); n > 2 {
		t.Errorf("%d registrations", n)
	}
}

// R10: a server that doesn't want the scope in a registration gets one without, once.
func TestR10_ScopeRefused(t *testing.T) {
	t.Parallel()
	for _, strict := range []bool{false, true} {
		t.Run(fmt.Sprint(strict), func(t *testing.T) {
			t.Parallel()
			f := setup(t, func(c *authtest.Config) {
				c.ChallengeScope = "x"
				if strict {
					c.RegistrationMembers = []string{"client_name", "redirect_uris", "grant_types", "response_types", "token_endpoint_auth_method", "scope"}
				}
				c.Handle = func(w http.ResponseWriter, r *authtest.Request) bool {
					if r.URL.Path != "/register" || !strings.Contains(string(r.Body), `"scope"`) {
						return false
					}
					w.WriteHeader(http.StatusBadRequest)
					fmt.Fprint(w, `{"error":"invalid_client_metadata","error_description":"Requested scopes are not valid: x"}`)
					return true
				}
			}, nil)
			f.mustCall()
			want := 2
			if strict {
				want = 3 // it has two things to say
			}
			if n := f.as.Registrations(); n != want {
				t.Errorf("%d registrations, want %d", n, want)
			}
		})
	}
}

// R10: a refusal that nothing can be done about ends it, in a few requests.
func TestR10_RefusedForGood(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) {
		c.ChallengeScope = "x"
		c.Faults = []authtest.Fault{{Path: "/register", Status: 400, Body: `{"error":"invalid_client_metadata","error_description":"no scope, no nothing"}`}}
	}, nil)
	err := f.call()
	wantError(t, err, "invalid_client_metadata", "no scope, no nothing", "400")
	if refused, ok := errors.AsType[*auth.RegistrationError](err); !ok || refused.Status != 400 {
		t.Errorf("%v is no RegistrationError", err)
	}
	if n := f.as.Registrations(); n > 3 {
		t.Errorf("%d registrations", n)
	}
	if f.tabs() != 0 {
		t.Error("a tab was opened")
	}
}

// Spec 4.60, 4.62: the client ID metadata document is used where the server takes that, registration
// elsewhere, and a configured client before both.
func TestClientMetadataDocument(t *testing.T) {
	t.Parallel()
	const document = "https://app.example/client.json"
	for _, test := range []struct {
		name       string
		advertised any
		static     string
		want       string // "" for a registered one
	}{
		{"advertised", true, "", document},
		{"not advertised", authtest.Absent, "", ""},
		{"null", nil, "", ""},
		{"refused", false, "", ""},
		{"with a configured client", true, "stat1", "stat1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, func(c *authtest.Config) {
				c.Clients = []authtest.Client{{ID: document}, {ID: "stat1"}}
				c.Metadata = authtest.Edit{"client_id_metadata_document_supported": test.advertised}
			}, func(c *auth.Config) { c.ClientMetadataURL, c.ClientID = document, test.static })
			f.mustCall()
			f.as.RevokeAccessTokens()
			f.mustCall() // a refresh
			registered := 0
			if test.want == "" {
				registered = 1
			}
			f.wantCounts(registered, 1, 1)
			if used := f.clientsUsed()[0]; test.want != "" && used != test.want || test.want == "" && !slices.Contains(slices.Collect(maps.Keys(f.as.Clients())), used) {
				t.Errorf("the client is %q, want %q", used, test.want)
			}
			if f.as.Refreshes() != 1 {
				t.Errorf("%d refreshes, want 1", f.as.Refreshes())
			}
		})
	}
}

// The document's client is not one to be registered anew.
func TestClientMetadataDocumentIsRefused(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, func(c *auth.Config) { c.ClientMetadataURL = "https://app.example/client.json" })
	err := f.call()
	wantError(t, err, "Unrecognized client_id")
	if !errors.Is(err, auth.ErrClientNotFound) {
		t.Errorf("%v is not ErrClientNotFound", err)
	}
	f.wantCounts(0, 0, 0)
}

// Spec 4.71: a registration whose secret has expired is replaced.
func TestExpiredSecretRegistersAnew(t *testing.T) {
	t.Parallel()
	for _, noRefresh := range []bool{false, true} {
		t.Run(fmt.Sprint(noRefresh), func(t *testing.T) {
			t.Parallel()
			f := setup(t, func(c *authtest.Config) {
				c.NoRefresh, c.AuthMethods = noRefresh, []string{"client_secret_post"}
				c.Registration = authtest.Edit{"client_secret_expires_at": 1_000_000_000}
			}, nil)
			f.mustCall()
			f.as.RevokeAccessTokens()
			f.as.Set(func(c *authtest.Config) { c.Registration = nil })
			f.again(nil)
			f.mustCall()
			f.wantCounts(2, 2, 2)
			if n := f.as.Refreshes(); n != 0 {
				t.Errorf("%d refreshes with an expired secret", n)
			}
			if used := f.clientsUsed(); used[0] == used[1] {
				t.Errorf("clients %q", used)
			}
		})
	}
}

// A web server that redirects everything to its home page has no registration endpoint.
func TestR8_RegistrationRedirected(t *testing.T) {
	t.Parallel()
	home := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"client_id":"x"}`) }))
	defer home.Close()
	f := setup(t, func(c *authtest.Config) {
		c.Faults = []authtest.Fault{{Path: "/register", Status: 302, Header: http.Header{"Location": {home.URL}}}}
	}, nil)
	wantError(t, f.call(), "302")
	f.wantCounts(1, 0, 0)
}
