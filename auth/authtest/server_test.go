package authtest_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"mcp-bridge/auth/authtest"
	"mcp-bridge/bridge/bridgetest"
)

// One client's life: discovery, registration, sign-in by hand, refresh, reuse, revocation.
func TestLife(t *testing.T) {
	s := newServer(t, authtest.Config{})
	mcp := guarded(t, s)

	// The guard says where to go.
	res, _ := do(t, "POST", mcp, nil, ping)
	prm := strings.TrimSuffix(mcp, "/mcp") + "/.well-known/oauth-protected-resource/mcp"
	if got := res.Header.Get("WWW-Authenticate"); res.StatusCode != 401 || got != `Bearer resource_metadata="`+prm+`"` {
		t.Fatalf("without a token: %d, %s", res.StatusCode, got)
	}
	resource := getJSON(t, prm)
	if resource["resource"] != mcp || fmt.Sprint(resource["authorization_servers"]) != "["+s.URL()+"]" {
		t.Errorf("resource metadata: %v", resource)
	}
	meta := getJSON(t, s.URL()+"/.well-known/oauth-authorization-server")
	if meta["issuer"] != s.URL() || fmt.Sprint(meta["code_challenge_methods_supported"]) != "[S256]" || meta["scopes_supported"] != nil {
		t.Errorf("metadata: %v", meta)
	}

	c := newClient(t, s, mcp)
	c.register(`"scope":"a b"`)
	if got := s.Clients()[c.id]; got.Name != "T<est>" || got.AuthMethod != "none" || !slices.Equal(got.RedirectURIs, []string{c.callback}) {
		t.Errorf("registered: %+v", got)
	}

	// The page says who asks for what, and Deny is obeyed.
	_, page := do(t, "GET", c.authorizeURL(nil), http.Header{"Accept": {"text/html"}}, "")
	for _, want := range []string{"T&lt;est&gt;", c.id, mcp, "<dd>a</dd><dd>b</dd>", html(c.callback)} {
		if !strings.Contains(page, want) {
			t.Errorf("the consent page lacks %s:\n%s", want, page)
		}
	}
	if _, err := (&authtest.Browser{Deny: true}).Visit(t.Context(), c.authorizeURL(nil)); err != nil {
		t.Fatal(err)
	}
	if got := c.callbackParams(); got.Get("error") != "access_denied" || got.Get("state") != "st" || got.Get("iss") != s.URL() {
		t.Errorf("callback of a refusal: %v", got)
	}

	code := c.signIn(nil)
	for _, bad := range [][3]string{ // parameter, value, error
		{"code_verifier", strings.Repeat("x", 43), "invalid_grant"},
		{"redirect_uri", c.callback + "/", "invalid_grant"},
		{"resource", "", "invalid_target"},
		{"code", "x", "invalid_grant"},
		{"grant_type", "password", "unauthorized_client"},
		{"client_id", "x", "invalid_client"},
	} {
		got := c.token("authorization_code", "code", code, "redirect_uri", c.callback, "code_verifier", c.verify, bad[0], bad[1])
		if got["error"] != bad[2] {
			t.Errorf("%s=%s: %v", bad[0], bad[1], got)
		}
	}
	first := c.exchange(code)
	if first["token_type"] != "Bearer" || first["expires_in"] != 3600.0 || first["scope"] != "a b" {
		t.Errorf("exchange: %v", first)
	}
	c.mustPass(first, true)

	second := c.token("refresh_token", "refresh_token", first["refresh_token"])
	c.mustPass(second, true)
	c.mustPass(first, true) // still has its hour
	s.RevokeAccessTokens()
	c.mustPass(second, false)
	third := c.token("refresh_token", "refresh_token", second["refresh_token"])
	c.mustPass(third, true)

	// A rotated refresh token costs the grant.
	if again := c.token("refresh_token", "refresh_token", first["refresh_token"]); again["error"] != "invalid_grant" || s.ReuseDetected() != 1 {
		t.Errorf("reuse: %v, detected %d", again, s.ReuseDetected())
	}
	c.mustPass(third, false)
	if dead := c.token("refresh_token", "refresh_token", third["refresh_token"]); dead["error"] != "invalid_grant" {
		t.Errorf("refresh of a lost grant: %v", dead)
	}

	// So does a code that comes twice.
	code = c.signIn(nil)
	tokens := c.exchange(code)
	if again := c.exchange(code); again["error"] != "invalid_grant" || s.ReuseDetected() != 2 {
		t.Errorf("second exchange: %v, detected %d", again, s.ReuseDetected())
	}
	c.mustPass(tokens, false)

	// Revocation of the refresh token ends all of it.
	tokens = c.exchange(c.signIn(nil))
	c.post("/revoke", url.Values{"token": {fmt.Sprint(tokens["refresh_token"])}, "client_id": {c.id}})
	c.mustPass(tokens, false)
	if s.Revoked() != 1 {
		t.Errorf("revoked: %d", s.Revoked())
	}

	// A server that has forgotten its clients.
	s.ForgetClients()
	if gone := c.token("refresh_token", "refresh_token", "x"); gone["error"] != "invalid_client" || gone["status"] != 401 {
		t.Errorf("forgotten client: %v", gone)
	}
	if res, body := do(t, "GET", c.authorizeURL(nil), nil, ""); res.StatusCode != 400 || !strings.Contains(body, `"invalid_client"`) {
		t.Errorf("forgotten client at /authorize: %d %s", res.StatusCode, body)
	}
	if got := []int{s.Registrations(), s.Exchanges(), s.Refreshes(), s.Count("POST /consent")}; !slices.Equal(got, []int{1, 9, 5, 4}) {
		t.Errorf("registrations, exchanges, refreshes, consents: %v", got)
	}
	if last := s.Requests()[len(s.Requests())-1]; last.String() != "GET /authorize" || last.Form.Get("client_id") != c.id {
		t.Errorf("the last request: %s %v", last, last.Form)
	}
}

// What a client leaves out or gets wrong at the authorization endpoint.
func TestAuthorizeIsStrict(t *testing.T) {
	s := newServer(t, authtest.Config{AutoApprove: true, Scopes: []string{"a", "b", "no"}, RefuseScopes: []string{"no"}})
	c := newClient(t, s, "http://127.0.0.1/mcp")
	c.register(`"scope":"a"`)
	for name, test := range map[string]struct {
		change map[string]string
		want   string // the error at the callback; "page" for none there
	}{
		"good":             {nil, ""},
		"plain":            {map[string]string{"code_challenge_method": "plain"}, "invalid_request"},
		"no challenge":     {map[string]string{"code_challenge": ""}, "invalid_request"},
		"no state":         {map[string]string{"state": ""}, "invalid_request"},
		"token":            {map[string]string{"response_type": "token"}, "unsupported_response_type"},
		"no resource":      {map[string]string{"resource": ""}, "invalid_target"},
		"fragment":         {map[string]string{"resource": "http://127.0.0.1/mcp#x"}, "invalid_target"},
		"unknown scope":    {map[string]string{"scope": "a c"}, "invalid_scope"},
		"refused scope":    {map[string]string{"scope": "a no"}, "invalid_scope"},
		"another redirect": {map[string]string{"redirect_uri": c.callback + "/"}, "page"},
		"another client":   {map[string]string{"client_id": "x"}, "page"},
	} {
		t.Run(name, func(t *testing.T) {
			page, err := authtest.Browse(t.Context(), c.authorizeURL(test.change))
			if err != nil {
				t.Fatal(err)
			}
			if test.want == "page" {
				if page.Status != 400 || !strings.Contains(page.Body, "<h1>This doesn’t work</h1>") {
					t.Errorf("got %d %s", page.Status, page.Body)
				}
				return
			}
			if got := c.callbackParams(); got.Get("error") != test.want || (got.Get("code") == "") != (test.want != "") {
				t.Errorf("callback: %v", got)
			}
		})
	}
}

func TestRegistrationIsStrict(t *testing.T) {
	const uris = `"redirect_uris":["http://localhost:1/callback"]`
	strict := authtest.Config{RegistrationMembers: []string{"redirect_uris", "grant_types"}}
	for name, test := range map[string]struct {
		cfg  authtest.Config
		body string
		want string
	}{
		"good":            {body: `{"application_type":"native",` + uris + `}`},
		"no JSON":         {body: `{`, want: "invalid_client_metadata"},
		"null":            {body: `{"application_type":"native","scope":null,` + uris + `}`, want: "invalid_client_metadata"},
		"web":             {body: `{` + uris + `}`, want: "invalid_redirect_uri"},
		"http":            {body: `{"application_type":"native","redirect_uris":["http://example.com/"]}`, want: "invalid_redirect_uri"},
		"no URI":          {body: `{"application_type":"native"}`, want: "invalid_redirect_uri"},
		"device needs no": {body: `{"application_type":"native","grant_types":["urn:ietf:params:oauth:grant-type:device_code"]}`},
		"scope":           {cfg: authtest.Config{Scopes: []string{"a"}}, body: `{"scope":"x","application_type":"native",` + uris + `}`, want: "invalid_client_metadata"},
		"member":          {cfg: strict, body: `{"application_type":"native",` + uris + `}`, want: "invalid_client_metadata"},
		"grants":          {cfg: strict, body: `{"grant_types":["authorization_code"],` + uris + `}`, want: "invalid_client_metadata"},
		"strict":          {cfg: strict, body: `{"grant_types":["authorization_code","refresh_token"],` + uris + `}`},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, test.cfg)
			res, body := do(t, "POST", s.URL()+"/register", nil, test.body)
			if want := test.want; want == "" && res.StatusCode != 201 || want != "" && (res.StatusCode != 400 || !strings.Contains(body, `"`+want+`"`)) {
				t.Errorf("got %d %s, want %q", res.StatusCode, body, want)
			}
		})
	}
}

// How clients prove who they are.
func TestClientAuthentication(t *testing.T) {
	for name, test := range map[string]struct {
		cfg   authtest.Config
		asked string
		basic bool
		form  url.Values
		want  string
	}{
		"basic":                {asked: "client_secret_basic", basic: true},
		"post":                 {asked: "client_secret_post", form: url.Values{"client_secret": {"a:b/c%"}}},
		"post, not registered": {asked: "client_secret_basic", form: url.Values{"client_secret": {"a:b/c%"}}, want: "invalid_client"},
		"wrong secret":         {asked: "client_secret_post", form: url.Values{"client_secret": {"a"}}, want: "invalid_client"},
		"no secret":            {asked: "client_secret_post", want: "invalid_client"},
		"both":                 {asked: "client_secret_post", basic: true, form: url.Values{"client_secret": {"a:b/c%"}}, want: "invalid_request"},
		"the server's choice":  {cfg: authtest.Config{AuthMethods: []string{"client_secret_post"}}, asked: "none", form: url.Values{"client_secret": {"a:b/c%"}}},
		"basic is said, post is taken": {cfg: authtest.Config{AuthMethods: []string{"client_secret_post"}, Metadata: authtest.Edit{"token_endpoint_auth_methods_supported": []string{"client_secret_basic"}}},
			asked: "client_secret_basic", form: url.Values{"client_secret": {"a:b/c%"}}},
		"basic is said, post is taken, and basic comes": {cfg: authtest.Config{AuthMethods: []string{"client_secret_post"}}, asked: "client_secret_basic", basic: true, want: "invalid_client"},
	} {
		t.Run(name, func(t *testing.T) {
			test.cfg.Registration = authtest.Edit{"client_secret": "a:b/c%"} // R9
			s := newServer(t, test.cfg)
			c := newClient(t, s, "http://127.0.0.1/mcp")
			c.register(`"token_endpoint_auth_method":"` + test.asked + `","grant_types":["client_credentials"]`)
			if test.basic {
				c.header = http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(c.id+":a%3Ab%2Fc%25"))}}
			}
			form := url.Values{"grant_type": {"client_credentials"}, "client_id": {c.id}, "resource": {c.resource}}
			for k, v := range test.form {
				form[k] = v
			}
			got := c.post("/token", form)
			if test.want == "" && got["access_token"] == nil || test.want != "" && got["error"] != test.want {
				t.Errorf("got %v, want %q", got, test.want)
			}
			if got["refresh_token"] != nil {
				t.Error("a client without a user has a refresh token")
			}
		})
	}
}

func TestPrivateKeyJWT(t *testing.T) {
	ec, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	other, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	rs, _ := rsa.GenerateKey(rand.Reader, 2048)
	s := newServer(t, authtest.Config{IssuerPath: "/t1", Clients: []authtest.Client{{ID: "ec", Key: &ec.PublicKey}, {ID: "rs", Key: &rs.PublicKey}}})
	c := newClient(t, s, "http://127.0.0.1/mcp")
	ask := func(id, assertion string) map[string]any {
		return c.post("/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "resource": {c.resource}, "client_assertion": {assertion},
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}})
	}
	good := func(id string) jwt.MapClaims {
		return jwt.MapClaims{"iss": id, "sub": id, "aud": s.URL() + "/t1", "exp": time.Now().Add(time.Minute).Unix(), "jti": rand.Text()}
	}
	sign := func(m jwt.SigningMethod, key any, claims jwt.MapClaims) string {
		text, err := jwt.NewWithClaims(m, claims).SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	assertion := sign(jwt.SigningMethodES256, ec, good("ec"))
	if got := ask("ec", assertion); got["access_token"] == nil {
		t.Errorf("ES256: %v", got)
	}
	if got := ask("ec", assertion); got["error"] != "invalid_client" {
		t.Errorf("the same once more: %v", got)
	}
	claims := good("rs")
	claims["aud"] = []string{"x", s.URL() + "/token"}
	if got := ask("rs", sign(jwt.SigningMethodRS256, rs, claims)); got["access_token"] == nil {
		t.Errorf("RS256, token endpoint: %v", got)
	}
	for name, change := range map[string]jwt.MapClaims{
		"iss": {"iss": "x"}, "sub": {"sub": "x"}, "aud": {"aud": s.URL()}, "expired": {"exp": time.Now().Add(-time.Minute).Unix()}, "no exp": {"exp": nil}, "no jti": {"jti": nil},
	} {
		claims := good("ec")
		for k, v := range change {
			claims[k] = v
		}
		if got := ask("ec", sign(jwt.SigningMethodES256, ec, claims)); got["error"] != "invalid_client" {
			t.Errorf("%s: %v", name, got)
		}
	}
	for name, assertion := range map[string]string{
		"another key": sign(jwt.SigningMethodES256, other, good("ec")),
		"RS384":       sign(jwt.SigningMethodRS384, rs, good("ec")),
		"none":        sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, good("ec")),
		"HS256":       sign(jwt.SigningMethodHS256, []byte("x"), good("ec")),
		"no JWT":      "x",
	} {
		if got := ask("ec", assertion); got["error"] != "invalid_client" {
			t.Errorf("%s: %v", name, got)
		}
	}
	if got := c.post("/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {"ec"}, "resource": {c.resource}}); got["error"] != "invalid_client" {
		t.Errorf("no assertion: %v", got)
	}
}

func TestDevice(t *testing.T) {
	s := newServer(t, authtest.Config{DeviceInterval: time.Minute})
	mcp := guarded(t, s)
	c := newClient(t, s, mcp)
	c.register(`"grant_types":["urn:ietf:params:oauth:grant-type:device_code","refresh_token"]`)
	start := func() (code string, page string) {
		d := c.post("/device_authorization", url.Values{"client_id": {c.id}, "scope": {"a"}, "resource": {mcp}})
		if d["interval"] != 60.0 || d["verification_uri"] != s.URL()+"/device" {
			t.Fatalf("device authorization: %v", d)
		}
		return fmt.Sprint(d["device_code"]), fmt.Sprint(d["verification_uri_complete"])
	}
	poll := func(code string) map[string]any {
		return c.token("urn:ietf:params:oauth:grant-type:device_code", "device_code", code)
	}

	code, _ := start()
	if got := poll(code); got["error"] != "authorization_pending" {
		t.Errorf("first poll: %v", got)
	}
	if got := poll(code); got["error"] != "slow_down" {
		t.Errorf("second poll: %v", got)
	}
	code, page := start()
	if got, err := authtest.Browse(t.Context(), page); err != nil || !strings.Contains(got.Body, "Allowed") {
		t.Fatalf("the user's page: %v %s", err, got.Body)
	}
	c.mustPass(poll(code), true)
	if got := poll(code); got["error"] != "invalid_grant" {
		t.Errorf("poll after the end: %v", got)
	}
	code, page = start()
	if _, err := (&authtest.Browser{Deny: true}).Visit(t.Context(), page); err != nil {
		t.Fatal(err)
	}
	if got := poll(code); got["error"] != "access_denied" {
		t.Errorf("poll after a refusal: %v", got)
	}
	if got, err := authtest.Browse(t.Context(), page); err != nil || got.Status != 400 {
		t.Errorf("a decided code: %v %d", err, got.Status)
	}
	s.Set(func(c *authtest.Config) { c.AutoApprove = true })
	code, _ = start()
	c.mustPass(poll(code), true)
}

func newServer(t *testing.T, cfg authtest.Config) *authtest.Server {
	s := authtest.NewServer(cfg)
	t.Cleanup(s.Close)
	return s
}

const ping = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}`

// guarded returns the URL of an MCP server behind s.
func guarded(t *testing.T, s *authtest.Server) string {
	b := bridgetest.NewServer(bridgetest.Config{Stateless: true, Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
		return s.Guard(w, r.Request)
	}})
	t.Cleanup(b.Close)
	return b.URL()
}

// A client is a hand-made OAuth client.
type client struct {
	t                          *testing.T
	s                          *authtest.Server
	id                         string
	callback, resource, verify string
	header                     http.Header
	params                     chan url.Values // of callbacks
}

func newClient(t *testing.T, s *authtest.Server, resource string) *client {
	c := &client{t: t, s: s, resource: resource, verify: strings.Repeat("v", 50), params: make(chan url.Values, 1)}
	back := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { c.params <- r.URL.Query() }))
	t.Cleanup(back.Close)
	c.callback = back.URL + "/cb?x=1"
	return c
}

func (c *client) register(more string) {
	c.t.Helper()
	if !strings.Contains(more, "token_endpoint_auth_method") {
		more += `,"token_endpoint_auth_method":"none"`
	}
	if !strings.Contains(more, "grant_types") {
		more += `,"grant_types":["authorization_code","refresh_token"]`
	}
	res, body := do(c.t, "POST", c.s.URL()+"/register", nil,
		`{"client_name":"T<est>","application_type":"native","redirect_uris":["`+c.callback+`"],`+more+`}`)
	var reply map[string]any
	if err := json.Unmarshal([]byte(body), &reply); err != nil || res.StatusCode != 201 {
		c.t.Fatalf("registration: %d %s", res.StatusCode, body)
	}
	c.id = reply["client_id"].(string)
}

func (c *client) authorizeURL(change map[string]string) string {
	sum := sha256.Sum256([]byte(c.verify))
	q := url.Values{
		"response_type": {"code"}, "client_id": {c.id}, "redirect_uri": {c.callback}, "state": {"st"}, "scope": {"a b"}, "resource": {c.resource},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}
	for k, v := range change {
		q.Set(k, v)
	}
	return c.s.URL() + "/authorize?" + q.Encode()
}

func (c *client) callbackParams() url.Values {
	c.t.Helper()
	select {
	case q := <-c.params:
		return q
	case <-time.After(10 * time.Second):
		c.t.Fatal("no callback came")
		return nil
	}
}

// signIn returns the code.
func (c *client) signIn(change map[string]string) string {
	c.t.Helper()
	if page, err := authtest.Browse(c.t.Context(), c.authorizeURL(change)); err != nil || page.Status != 200 {
		c.t.Fatalf("signing in: %v, %d %s", err, page.Status, page.Body)
	}
	q := c.callbackParams()
	if q.Get("state") != "st" || q.Get("iss") == "" || q.Get("x") != "1" || q.Get("code") == "" {
		c.t.Fatalf("callback: %v", q)
	}
	return q.Get("code")
}

func (c *client) exchange(code string) map[string]any {
	c.t.Helper()
	return c.token("authorization_code", "code", code, "redirect_uri", c.callback, "code_verifier", c.verify)
}

// token asks for a token, with pairs of names and values on top of what is always there.
func (c *client) token(grant string, pairs ...any) map[string]any {
	c.t.Helper()
	form := url.Values{"grant_type": {grant}, "client_id": {c.id}, "resource": {c.resource}}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i].(string), fmt.Sprint(pairs[i+1]))
	}
	return c.post("/token", form)
}

// post returns the members of the answer, and its status as "status".
func (c *client) post(path string, form url.Values) map[string]any {
	c.t.Helper()
	h := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	for k, v := range c.header {
		h[k] = v
	}
	res, body := do(c.t, "POST", c.s.URL()+path, h, form.Encode())
	reply := make(map[string]any)
	if err := json.Unmarshal([]byte(body), &reply); err != nil && body != "" {
		c.t.Fatalf("%s: %v: %s", path, err, body)
	}
	reply["status"] = res.StatusCode
	return reply
}

// mustPass fails the test unless the guard lets the access token through, or doesn't.
func (c *client) mustPass(tokens map[string]any, want bool) {
	c.t.Helper()
	access, _ := tokens["access_token"].(string)
	if !strings.HasPrefix(access, "secret-at-") {
		c.t.Fatalf("no access token: %v", tokens)
	}
	res, body := do(c.t, "POST", c.resource, http.Header{"Authorization": {"bearer " + access}}, ping)
	if passed := res.StatusCode == 200 && strings.Contains(body, `"result"`); passed != want {
		c.t.Errorf("the guard: %d %s, want passed: %t", res.StatusCode, body, want)
	}
}

func getJSON(t *testing.T, url string) map[string]any {
	t.Helper()
	var doc map[string]any
	res, body := do(t, "GET", url, nil, "")
	if err := json.Unmarshal([]byte(body), &doc); err != nil || res.StatusCode != 200 {
		t.Fatalf("%s: %d %s", url, res.StatusCode, body)
	}
	return doc
}

// do sends a request that is good for MCP as well, and follows no redirect.
func do(t *testing.T, method, url string, h http.Header, body string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Accept": {"application/json, text/event-stream"}, "Content-Type": {"application/json"}, "Mcp-Protocol-Version": {"2025-11-25"}}
	for name, values := range h {
		req.Header[name] = values
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}

// html is how a URL stands in a page.
func html(url string) string { return strings.ReplaceAll(url, "&", "&amp;") }
