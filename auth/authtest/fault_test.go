package authtest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"mcp-bridge/auth/authtest"
)

// Faults come in their order, as often as they are to, and only where they fit.
func TestFaults(t *testing.T) {
	s := newServer(t, authtest.Config{Faults: []authtest.Fault{
		{Path: "/token", Status: 503, Times: 2},
		{Path: "/token", Delay: time.Millisecond},
		{Path: "/token", Form: map[string]string{"grant_type": "refresh_token", "resource": ""}, Error: "invalid_target"},
		{Path: "/token", Form: map[string]string{"client_id": "c9"}, Error: "invalid_client"},
		{Path: "/token", Form: map[string]string{"client_id": "c8"}, Status: 429, Header: http.Header{"Retry-After": {"3600"}}, Body: "<html>later"},
		{Path: "/token", Form: map[string]string{"client_id": "c7"}, Body: `{"error":"x"}`},
		{Path: "/register", Reset: true, Times: 1},
	}})
	ask := func(form url.Values) (*http.Response, string) {
		return do(t, "POST", s.URL()+"/token", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, form.Encode())
	}
	for i, test := range []struct {
		form   url.Values
		status int
		kind   string
		want   string
	}{
		{url.Values{}, 503, "", ""},
		{url.Values{}, 503, "", ""},
		{url.Values{"grant_type": {"refresh_token"}}, 401, "application/json", "Unknown client"},
		{url.Values{"grant_type": {"refresh_token"}, "resource": {"x"}}, 400, "application/json", `{"error":"invalid_target"}`},
		{url.Values{"client_id": {"c9"}}, 401, "application/json", `{"error":"invalid_client"}`},
		{url.Values{"client_id": {"c8"}}, 429, "text/html; charset=utf-8", "<html>later"},
		{url.Values{"client_id": {"c7"}}, 200, "application/json", `{"error":"x"}`},
	} {
		res, body := ask(test.form)
		if res.StatusCode != test.status || res.Header.Get("Content-Type") != test.kind || !strings.Contains(body, test.want) {
			t.Errorf("%d: %d %s %s", i, res.StatusCode, res.Header.Get("Content-Type"), body)
		}
	}
	if res, err := http.Post(s.URL()+"/register", "application/json", strings.NewReader("{}")); err == nil {
		t.Errorf("the connection held: %d", res.StatusCode)
	}
	if res, _ := do(t, "POST", s.URL()+"/register", nil, "{}"); res.StatusCode != 400 {
		t.Errorf("after the fault: %d", res.StatusCode)
	}
	s.Set(func(c *authtest.Config) { c.Faults = nil })
	if res, _ := ask(url.Values{"client_id": {"c8"}}); res.StatusCode != 401 {
		t.Errorf("without faults: %d", res.StatusCode)
	}
}

// The ways in which a server's words can be bent.
func TestEdits(t *testing.T) {
	s := newServer(t, authtest.Config{IssuerPath: "/t1", AutoApprove: true, FormTokens: true,
		MetadataAt: []string{"/t1/.well-known/openid-configuration"},
		Token:      authtest.Edit{"expires_in": "abc", "token_type": authtest.Absent},
		Callback:   authtest.Edit{"iss": authtest.Absent, "state": "other"},
	})
	s.Set(func(c *authtest.Config) {
		c.Metadata = authtest.Edit{"issuer": s.URL() + "/", "registration_endpoint": nil, "code_challenge_methods_supported": authtest.Absent}
		c.Registration = authtest.Edit{"client_id": "c1", "redirect_uris": []string{"https://example.com/"}}
		c.RegistrationStatus = 200
	})
	if res, _ := do(t, "GET", s.URL()+"/.well-known/oauth-authorization-server/t1", nil, ""); res.StatusCode != 404 {
		t.Errorf("metadata where it should not be: %d", res.StatusCode)
	}
	meta := getJSON(t, s.URL()+"/t1/.well-known/openid-configuration")
	_, challenge := meta["code_challenge_methods_supported"]
	endpoint, registration := meta["registration_endpoint"]
	if meta["issuer"] != s.URL()+"/" || challenge || endpoint != nil || !registration {
		t.Errorf("metadata: %v", meta)
	}
	c := newClient(t, s, "http://127.0.0.1/mcp")
	res, body := do(t, "POST", s.URL()+"/register", nil,
		`{"application_type":"native","token_endpoint_auth_method":"none","redirect_uris":["`+c.callback+`"]}`)
	if res.StatusCode != 200 || !strings.Contains(body, `"redirect_uris":["https://example.com/"]`) {
		t.Errorf("registration: %d %s", res.StatusCode, body)
	}
	c.id = "c1"
	if _, err := authtest.Browse(t.Context(), c.authorizeURL(nil)); err != nil {
		t.Fatal(err)
	}
	q := c.callbackParams()
	if q.Get("state") != "other" || q.Has("iss") || q.Get("code") == "" {
		t.Errorf("callback: %v", q)
	}
	form := url.Values{"grant_type": {"authorization_code"}, "client_id": {c.id}, "resource": {c.resource}, "code": {q.Get("code")}, "redirect_uri": {c.callback}, "code_verifier": {c.verify}}
	_, body = do(t, "POST", s.URL()+"/token", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, form.Encode())
	reply, err := url.ParseQuery(body)
	if err != nil || reply.Get("expires_in") != "abc" || reply.Has("token_type") || reply.Get("access_token") == "" || reply.Has("refresh_token") {
		t.Errorf("token: %s", body)
	}

	for status, unknown := range map[int]authtest.Fault{
		400: {Status: 400, Body: "<html>no"},
		500: {Status: 500, Body: "Internal error"},
		200: {Body: "<html>unrecognized client"},
		302: {Status: 302, Error: "unauthorized_client"},
	} {
		s.Set(func(c *authtest.Config) { c.UnknownClient = unknown })
		res, body := do(t, "GET", c.authorizeURL(map[string]string{"client_id": "gone"}), nil, "")
		location, _ := url.Parse(res.Header.Get("Location"))
		if res.StatusCode != status || body != unknown.Body || location.Query().Get("error") != unknown.Error {
			t.Errorf("unknown client: %d %s %s", res.StatusCode, body, location)
		}
	}
}

// Refresh tokens that stay, and access tokens that don't.
func TestNoRotation(t *testing.T) {
	s := newServer(t, authtest.Config{NoRotation: true, AutoApprove: true, Lifetime: time.Nanosecond, ResourceOptional: true})
	c := newClient(t, s, guarded(t, s))
	c.register(`"scope":"a b"`)
	first := c.exchange(c.signIn(nil))
	c.mustPass(first, false)
	s.Set(func(c *authtest.Config) { c.Lifetime = 0 })
	for range 2 {
		next := c.token("refresh_token", "refresh_token", first["refresh_token"], "resource", "", "scope", "a")
		c.mustPass(next, true)
		if next["refresh_token"] != nil || next["scope"] != "a" {
			t.Errorf("refreshed: %v", next)
		}
	}
	if more := c.token("refresh_token", "refresh_token", first["refresh_token"], "scope", "a c"); more["error"] != "invalid_scope" {
		t.Errorf("more scopes: %v", more)
	}
	if other := c.token("refresh_token", "refresh_token", first["refresh_token"], "resource", "http://x/"); other["error"] != "invalid_target" {
		t.Errorf("another resource: %v", other)
	}
	// A token without an audience is good for anything.
	c.mustPass(c.token("authorization_code", "code", c.signIn(map[string]string{"resource": ""}),
		"redirect_uri", c.callback, "code_verifier", c.verify, "resource", ""), true)
	s.RevokeAll()
	if dead := c.token("refresh_token", "refresh_token", first["refresh_token"]); dead["error"] != "invalid_grant" {
		t.Errorf("after RevokeAll: %v", dead)
	}
}

func TestGuard(t *testing.T) {
	s := newServer(t, authtest.Config{AutoApprove: true, ToolScopes: map[string]string{"echo": "x"}})
	mcp := guarded(t, s)
	c := newClient(t, s, mcp)
	c.register(`"scope":"a b"`)
	access := func(change map[string]string, resource string) http.Header {
		reply := c.token("authorization_code", "code", c.signIn(change), "redirect_uri", c.callback, "code_verifier", c.verify, "resource", resource)
		return http.Header{"Authorization": {"Bearer " + fmt.Sprint(reply["access_token"])}}
	}
	base := strings.TrimSuffix(mcp, "/mcp")
	good := access(nil, mcp)
	other := access(map[string]string{"resource": base}, base)
	for _, test := range []struct {
		name   string
		set    func(*authtest.Config)
		header http.Header
		status int
		want   string // WWW-Authenticate
	}{
		{"step-up", func(*authtest.Config) {}, good, 403, `Bearer resource_metadata="{base}/.well-known/oauth-protected-resource/mcp", error="insufficient_scope", error_description="the token lacks a scope", scope="x"`},
		{"wrong audience", func(c *authtest.Config) { c.ToolScopes = nil; c.ChallengeScope = "a" }, other, 401, `Bearer resource_metadata="{base}/.well-known/oauth-protected-resource/mcp", error="invalid_token", error_description="wrong audience", scope="a"`},
		{"a lie that fits", func(c *authtest.Config) { c.ResourceMetadata = authtest.Edit{"resource": base} }, other, 200, ""},
		{"a lie that doesn't", func(*authtest.Config) {}, good, 401, `Bearer resource_metadata="{base}/.well-known/oauth-protected-resource/mcp", error="invalid_token", error_description="wrong audience", scope="a"`},
		{"odd place", func(c *authtest.Config) { c.ResourceMetadataAt = []string{"/odd/prm"}; c.ChallengeScope = "" }, nil, 401, `Bearer resource_metadata="{base}/odd/prm"`},
		{"odd words", func(c *authtest.Config) { c.Challenge = "bearer Resource_Metadata = '{metadata}'" }, nil, 401, `bearer Resource_Metadata = '{base}/odd/prm'`},
		{"no words", func(c *authtest.Config) { c.NoChallenge = true }, nil, 401, ""},
		{"a fault", func(c *authtest.Config) { c.Faults = []authtest.Fault{{Path: "/mcp", Status: 403}} }, good, 403, ""},
		{"at the resource", func(c *authtest.Config) { *c = authtest.Config{AtResource: true} }, nil, 401, "Bearer"},
	} {
		s.Set(test.set)
		res, body := do(t, "POST", mcp, test.header, ping)
		if got := res.Header.Get("WWW-Authenticate"); res.StatusCode != test.status || got != strings.ReplaceAll(test.want, "{base}", base) {
			t.Errorf("%s: %d %s %s", test.name, res.StatusCode, got, body)
		}
		if test.name == "odd place" {
			if doc := getJSON(t, base+"/odd/prm"); doc["resource"] != base {
				t.Errorf("metadata: %v", doc)
			}
		}
	}
	// As in 2025-03-26: everything on one origin.
	for _, path := range []string{"/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource"} {
		if res, _ := do(t, "GET", base+path, nil, ""); res.StatusCode != 404 {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
	if meta := getJSON(t, base+"/.well-known/oauth-authorization-server"); meta["issuer"] != base || meta["token_endpoint"] != base+"/token" {
		t.Errorf("metadata at the resource: %v", meta)
	}
	res, body := do(t, "POST", base+"/token", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, "grant_type=x&client_id="+c.id)
	if res.StatusCode != 400 || !strings.Contains(body, "unauthorized_client") {
		t.Errorf("token endpoint at the resource: %d %s", res.StatusCode, body)
	}
}

// Clients that are known without registration; one of them has a URL for its id.
func TestKnownClients(t *testing.T) {
	s := newServer(t, authtest.Config{AutoApprove: true, Clients: []authtest.Client{
		{ID: "known"},
		{ID: "https://example.com/client.json", RedirectURIs: []string{"http://127.0.0.1/cb?x=1"}}, // any port is good
		{ID: "other", RedirectURIs: []string{"http://127.0.0.1/other"}},
	}})
	c := newClient(t, s, guarded(t, s))
	for _, c.id = range []string{"known", "https://example.com/client.json"} {
		c.mustPass(c.exchange(c.signIn(nil)), true)
	}
	for _, c.id = range []string{"other", "unknown"} {
		if res, _ := do(t, "GET", c.authorizeURL(nil), nil, ""); res.StatusCode != 400 {
			t.Errorf("%s: %d", c.id, res.StatusCode)
		}
	}
}

// Nobody else can answer the consent page, and nobody twice.
func TestConsent(t *testing.T) {
	s := newServer(t, authtest.Config{})
	c := newClient(t, s, "http://127.0.0.1/mcp")
	c.register(`"scope":"a b"`)
	res, page := do(t, "GET", c.authorizeURL(nil), nil, "")
	if csp := res.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") || res.Header.Get("X-Frame-Options") != "DENY" {
		t.Errorf("headers: %v", res.Header)
	}
	_, ticket, _ := strings.Cut(page, `name="ticket" value="`)
	ticket, _, _ = strings.Cut(ticket, `"`)
	press := func(origin, ticket, decision string) int {
		h := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Origin": {origin}}
		res, _ := do(t, "POST", s.URL()+"/consent", h, url.Values{"ticket": {ticket}, "decision": {decision}}.Encode())
		return res.StatusCode
	}
	for i, test := range []struct {
		origin, ticket, decision string
		want                     int
	}{
		{"https://example.com", ticket, "allow", 403},
		{s.URL(), "x", "allow", 400},
		{s.URL(), ticket, "", 400},
		{s.URL(), ticket, "allow", 303},
		{s.URL(), ticket, "allow", 400},
	} {
		if got := press(test.origin, test.ticket, test.decision); got != test.want {
			t.Errorf("%d: got %d, want %d", i, got, test.want)
		}
	}
}

// Handle goes first, and may give back.
func TestHandle(t *testing.T) {
	s := newServer(t, authtest.Config{Handle: func(w http.ResponseWriter, r *authtest.Request) bool {
		if r.URL.Path != "/revoke" {
			return false
		}
		r.Serve(httptest.NewRecorder()) // done, but the answer is lost
		panic(http.ErrAbortHandler)
	}})
	if _, err := http.PostForm(s.URL()+"/revoke", url.Values{"token": {"x"}}); err == nil {
		t.Error("the connection held")
	}
	if res, _ := do(t, "GET", s.URL()+"/nonesuch", nil, ""); res.StatusCode != 404 {
		t.Errorf("status %d", res.StatusCode)
	}
	if s.Count("POST /revoke") != 1 || s.Count("GET /nonesuch") != 1 {
		t.Errorf("requests: %v", s.Requests())
	}
}

// A Browser goes in the background, and nowhere else than on this machine.
func TestBrowser(t *testing.T) {
	s := newServer(t, authtest.Config{})
	c := newClient(t, s, "http://127.0.0.1/mcp")
	c.register(`"scope":"a b"`)
	var b authtest.Browser
	for _, url := range []string{c.authorizeURL(nil), "https://example.com/"} {
		if err := b.Open(url); err != nil {
			t.Fatal(err)
		}
	}
	c.callbackParams()
	statuses := map[int]int{}
	for _, page := range b.Pages() {
		statuses[page.Status]++
	}
	if len(b.Opened()) != 2 || statuses[200] != 1 || statuses[0] != 1 {
		t.Errorf("opened %q, pages %v", b.Opened(), b.Pages())
	}
}

// However many come at once, a refresh token is good for one.
func TestParallelRefresh(t *testing.T) {
	s := newServer(t, authtest.Config{AutoApprove: true})
	c := newClient(t, s, "http://127.0.0.1/mcp")
	c.register(`"scope":"a b"`)
	first := c.exchange(c.signIn(nil))
	const n = 10
	replies := make(chan map[string]any, n)
	var work sync.WaitGroup
	for range n {
		// Ends with the answer.
		work.Go(func() { replies <- c.token("refresh_token", "refresh_token", first["refresh_token"]) })
	}
	work.Wait()
	close(replies)
	good := 0
	for reply := range replies {
		if reply["access_token"] != nil {
			good++
		}
	}
	if good != 1 || s.ReuseDetected() != n-1 || s.Refreshes() != n {
		t.Errorf("%d refreshed, %d reuses detected", good, s.ReuseDetected())
	}
}
