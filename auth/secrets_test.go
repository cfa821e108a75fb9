package auth_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"mcp-bridge/auth"
	"mcp-bridge/auth/authtest"
)

// A witness collects everything that a Transport says to anybody: its log at every level, events,
// errors, and pages.
type witness struct {
	f     *fixture
	heard []string
}

// hear takes an error, and what the browser showed until now.
func (w *witness) hear(err error) error {
	if err != nil {
		w.heard = append(w.heard, "error: "+err.Error())
	}
	return err
}

// all returns all that was said. The pages' own addresses are the authorization server's work.
func (w *witness) all() string {
	for _, page := range w.f.browser.Pages() {
		w.heard = append(w.heard, fmt.Sprintf("page: %v %s", page.Header, page.Body))
	}
	w.f.mu.Lock()
	for _, e := range w.f.events {
		w.heard = append(w.heard, fmt.Sprintf("event: %+v", e))
	}
	w.f.mu.Unlock()
	return strings.Join(append(w.heard, "log: "+w.f.log.String()), "\n")
}

// wantNoSecrets checks that nothing secret was said: nothing that authtest made, which begins with
// secret-, and none of the values that the client made or was given.
func (w *witness) wantNoSecrets() {
	w.f.t.Helper()
	said := w.all()
	for _, found := range regexp.MustCompile(`.*secret-.*`).FindAllString(said, -1) {
		w.f.t.Errorf("told: %s", found)
	}
	for _, r := range w.f.as.Requests() {
		for _, name := range []string{"code_verifier", "client_assertion", "refresh_token", "code", "client_secret", "device_code"} {
			if value := r.Form.Get(name); value != "" && (strings.Contains(said, value) || strings.Contains(said, url.QueryEscape(value))) {
				w.f.t.Errorf("the %s of %s was told", name, r)
			}
		}
	}
}

// A whole life, with everything that can go wrong in it, tells no secret to anybody.
func TestT9_NoSecretsAreTold(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		server func(*authtest.Config)
		client func(*auth.Config)
	}{
		"public":       {nil, nil},
		"post":         {func(c *authtest.Config) { c.AuthMethods = []string{"client_secret_post"} }, nil},
		"basic":        {func(c *authtest.Config) { c.AuthMethods = []string{"client_secret_basic"} }, nil},
		"form answers": {func(c *authtest.Config) { c.FormTokens = true }, nil},
		"without iss":  {func(c *authtest.Config) { c.Callback = authtest.Edit{"iss": authtest.Absent} }, nil},
		"no expiry":    {func(c *authtest.Config) { c.Token = authtest.Edit{"expires_in": authtest.Absent} }, nil},
		"configured": {func(c *authtest.Config) {
			c.Clients = []authtest.Client{{ID: "known", Secret: "secret-configured"}}
		}, func(c *auth.Config) { c.ClientID, c.ClientSecret = "known", "secret-configured" }},
		"bound tokens": {wantsNonces, nil},
		"wrong secret": {func(c *authtest.Config) {
			c.Clients = []authtest.Client{{ID: "known", Secret: "secret-configured"}}
		}, func(c *auth.Config) { c.ClientID, c.ClientSecret = "known", "secret-wrong" }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, test.server, test.client)
			w := &witness{f: f}
			fault := func(faults ...authtest.Fault) { f.as.Set(func(c *authtest.Config) { c.Faults = faults }) }

			_ = w.hear(f.call())
			f.as.RevokeAccessTokens()
			for _, broken := range []authtest.Fault{
				{Status: 500}, {Status: 502, Body: "<html>Bad Gateway</html>"}, {Error: "temporarily_unavailable"}, {Reset: true},
				{Body: "<html>portal</html>"}, {Body: `{"access_token":5}`}, {Body: `{"access_token":"secret-at-broken","token_type":"bearer"`},
				{Body: `{"access_token":"secret-at-broken","token_type":"mac"}`}, {Body: `access_token=secret-at-broken&error=x`},
				{Body: `{"access_token":"secret-at-broken","refresh_token":{"a":"secret-rt-broken"}}`},
				{Body: `{"access_token":["secret-at-broken"]}`}, {Body: "secret-at-broken"},
			} {
				broken.Path = "/token"
				fault(broken)
				_ = w.hear(f.call())
			}
			fault()
			_ = w.hear(f.call())

			f.as.RevokeAll() // a dead refresh token, and a user who says no
			f.browser.Deny = true
			_ = w.hear(f.call())
			f.browser.Pages()
			f.browser.Deny = false
			f.again(nil)
			_ = w.hear(f.call())

			f.as.RevokeAll() // an exchange that fails
			fault(authtest.Fault{Path: "/token", Error: "invalid_grant"})
			f.again(nil)
			_ = w.hear(f.call())
			f.browser.Pages()
			fault()
			f.again(nil)
			_ = w.hear(f.call())

			f.as.ForgetClients()
			f.as.RevokeAll()
			f.again(nil)
			_ = w.hear(f.call())
			for _, path := range f.files(".json") { // a file that can't be read
				text := readFile(t, path)
				writeFile(t, path, text[:len(text)-20])
			}
			f.again(nil)
			_ = w.hear(f.call())

			fault(authtest.Fault{Path: "/revoke", Status: 500})
			_ = w.hear(f.transport.Logout(t.Context()))
			w.wantNoSecrets()
			if n := len(w.heard); n < 15 {
				t.Errorf("only %d things were said: %q", n, w.heard)
			}
		})
	}
}

// Servers quote what they refuse: Spring Security says "Invalid refresh token: …". What we sent is
// ours to hide.
func TestT9_ServersThatQuoteSecrets(t *testing.T) {
	t.Parallel()
	quote := func(r *authtest.Request) string {
		return fmt.Sprintf("Invalid: %s %s %s", r.Form.Get("refresh_token"), r.Form.Get("code"), r.Form.Get("code_verifier"))
	}
	for name, answer := range map[string]func(http.ResponseWriter, *authtest.Request){
		"error_description": func(w http.ResponseWriter, r *authtest.Request) {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"error":"invalid_grant","error_description":%q}`, quote(r))
		},
		"error code": func(w http.ResponseWriter, r *authtest.Request) {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"error":%q}`, quote(r))
		},
		"with 200": func(w http.ResponseWriter, r *authtest.Request) {
			fmt.Fprintf(w, `{"error":"invalid_grant","error_description":%q}`, quote(r))
		},
		"text": func(w http.ResponseWriter, r *authtest.Request) {
			w.Header().Set("Content-Type", "text/plain")
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprint(w, quote(r))
		},
		"form as it came": func(w http.ResponseWriter, r *authtest.Request) {
			w.Header().Set("Content-Type", "text/plain")
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = w.Write(r.Body)
		},
		"debug page": func(w http.ResponseWriter, r *authtest.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprintf(w, "<html><body>%s</body></html>", quote(r))
		},
		"cut in the middle": func(w http.ResponseWriter, r *authtest.Request) {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"error":"invalid_grant","error_description":%q}`, strings.Repeat("x", 180)+quote(r))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, nil, nil)
			w := &witness{f: f}
			f.signIn()
			f.as.Set(func(c *authtest.Config) {
				c.Handle = func(w http.ResponseWriter, r *authtest.Request) bool {
					if r.URL.Path == "/token" {
						answer(w, r)
						return true
					}
					return false
				}
			})
			f.as.RevokeAccessTokens()
			_ = w.hear(f.call()) // a refresh, and where that is refused an exchange
			f.as.RevokeAll()
			f.again(nil)
			for _, path := range f.files(".json") {
				writeFile(t, path, "")
			}
			_ = w.hear(f.call()) // an exchange
			w.wantNoSecrets()
		})
	}
}

// Codes and tokens have signs in them that are written otherwise in JSON, in forms and in pages.
func TestT9_ServersThatQuoteSecretsInOtherWords(t *testing.T) {
	t.Parallel()
	const code = `secret-code/4+5&6"7=` // Google's begin with 4/
	for name, body := range map[string]string{
		"JSON, as PHP writes it": `{"error":"invalid_grant","error_description":"Invalid: secret-code\/4+5&6\"7="}`,
		"JSON, as Go writes it":  `{"error":"invalid_grant","error_description":"Invalid: secret-code/4+5\u00266\"7="}`,
		"form":                   "error=invalid_grant&error_description=Invalid%3A+" + url.QueryEscape(code),
		"as it was sent":         "code=" + url.QueryEscape(code),
		"page":                   "<p>Invalid: " + html.EscapeString(code) + "</p>",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, func(c *authtest.Config) {
				c.Callback = authtest.Edit{"code": code}
				c.Faults = []authtest.Fault{{Path: "/token", Status: http.StatusBadRequest, Body: body}}
			}, nil)
			w := &witness{f: f}
			_ = w.hear(f.call())
			if n := f.as.Exchanges(); n != 1 {
				t.Fatalf("%d exchanges\n%s", n, f.story())
			}
			w.wantNoSecrets()
		})
	}
}

// The same with a code for another device.
func TestT9_NoSecretsOfADeviceAreTold(t *testing.T) {
	t.Parallel()
	inFakeTime(t, func(c *authtest.Config) {
		c.AutoApprove, c.DevicePolls = true, 2
		c.Faults = []authtest.Fault{{Path: "/token", Status: 500, Times: 1}}
	}, byDevice, func(f *fixture) {
		w := &witness{f: f}
		_ = w.hear(f.call())
		f.as.RevokeAll()
		time.Sleep(2 * time.Hour)
		f.as.Set(func(c *authtest.Config) { c.Faults = []authtest.Fault{{Path: "/token", Error: "expired_token"}} })
		_ = w.hear(f.call())
		w.wantNoSecrets()
	})
}

// And for a machine.
func TestT9_NoSecretsOfAMachineAreTold(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	server, client := machine(authtest.Client{Secret: "secret-good"})
	f.as.Set(server)
	f.again(client)
	w := &witness{f: f}
	_ = w.hear(f.call())
	f.as.RevokeAll()
	f.as.Set(func(c *authtest.Config) { c.Faults = []authtest.Fault{{Path: "/token", Status: 500, Times: 1}} })
	_ = w.hear(f.call())
	_ = w.hear(f.call())
	f.again(func(c *auth.Config) { c.ClientSecret = "secret-wrong" })
	f.as.RevokeAll()
	_ = w.hear(f.call())
	w.wantNoSecrets()
}
