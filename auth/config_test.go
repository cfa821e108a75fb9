package auth

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(*Config)
		want   string // in the error, "" if it is good
	}{
		{name: "only the URL", change: func(*Config) {}},
		{name: "no URL", change: func(c *Config) { c.ServerURL = "" }, want: "URL"},
		{name: "a path", change: func(c *Config) { c.ServerURL = "/mcp" }, want: "URL"},
		{name: "a host", change: func(c *Config) { c.ServerURL = "mcp.example" }, want: "URL"},
		{name: "a URL without scheme", change: func(c *Config) { c.ServerURL = "//mcp.example/mcp" }, want: "URL"},
		{name: "another scheme", change: func(c *Config) { c.ServerURL = "ftp://mcp.example/mcp" }, want: "URL"},
		{name: "no URL at all", change: func(c *Config) { c.ServerURL = "https://mcp.example:x/" }, want: "URL"},

		// C6: loopback names and addresses only.
		{name: "127.0.0.1", change: func(c *Config) { c.CallbackHost = "127.0.0.1" }},
		{name: "::1", change: func(c *Config) { c.CallbackHost = "::1" }},
		{name: "[::1]", change: func(c *Config) { c.CallbackHost = "[::1]" }},
		{name: "another host", change: func(c *Config) { c.CallbackHost = "example.com" }, want: `"example.com"`},
		{name: "a host that looks like one", change: func(c *Config) { c.CallbackHost = "localhost.example.com" }, want: `"localhost.example.com"`},
		{name: "all addresses", change: func(c *Config) { c.CallbackHost = "0.0.0.0" }, want: `"0.0.0.0"`},
		{name: "all IPv6 addresses", change: func(c *Config) { c.CallbackHost = "::" }, want: `"::"`},
		{name: "a private address", change: func(c *Config) { c.CallbackHost = "192.168.1.1" }, want: `"192.168.1.1"`},
		{name: "a path", change: func(c *Config) { c.CallbackPath = "/oauth/callback" }},
		{name: "a relative path", change: func(c *Config) { c.CallbackPath = "callback" }, want: `"callback"`},
		{name: "a path with a query", change: func(c *Config) { c.CallbackPath = "/callback?x" }, want: `"/callback?x"`},
		{name: "a path with a fragment", change: func(c *Config) { c.CallbackPath = "/callback#x" }, want: `"/callback#x"`},
		{name: "a port that is none", change: func(c *Config) { c.CallbackPort = 70000 }, want: "70000"},
		{name: "a negative port", change: func(c *Config) { c.CallbackPort = -1 }, want: "-1"},

		// spec 4.62
		{name: "a client document", change: func(c *Config) { c.ClientMetadataURL = "https://app.example/client.json" }},
		{name: "a client document over http", change: func(c *Config) { c.ClientMetadataURL = "http://app.example/client.json" }, want: "http://app.example/client.json"},
		{name: "a client document without path", change: func(c *Config) { c.ClientMetadataURL = "https://app.example" }, want: "https://app.example"},
		{name: "a client document at the root", change: func(c *Config) { c.ClientMetadataURL = "https://app.example/" }, want: "https://app.example/"},
		{name: "a client document with a fragment", change: func(c *Config) { c.ClientMetadataURL = "https://app.example/c#x" }, want: "https://app.example/c#x"},
		{name: "a client document with a user", change: func(c *Config) { c.ClientMetadataURL = "https://me@app.example/c" }, want: "app.example/c"},

		{name: "an authorization parameter", change: func(c *Config) { c.AuthorizeParams = url.Values{"prompt": {"consent"}} }},
		{name: "the client's ID as a parameter", change: func(c *Config) { c.AuthorizeParams = url.Values{"client_id": {"x"}} }, want: "client_id"},
		{name: "the state as a parameter", change: func(c *Config) { c.AuthorizeParams = url.Values{"state": {"x"}} }, want: "state"},
		{name: "the redirect URI as a parameter", change: func(c *Config) { c.AuthorizeParams = url.Values{"redirect_uri": {"x"}} }, want: "redirect_uri"},
		{name: "the PKCE challenge as a parameter", change: func(c *Config) { c.AuthorizeParams = url.Values{"code_challenge": {"x"}} }, want: "code_challenge"},
		{name: "the PKCE method as a parameter", change: func(c *Config) { c.AuthorizeParams = url.Values{"code_challenge_method": {"plain"}} }, want: "code_challenge_method"},

		{name: "client credentials", change: func(c *Config) { c.ClientCredentials, c.ClientID, c.ClientSecret = true, "a", "b" }},
		{name: "client credentials without ID", change: func(c *Config) { c.ClientCredentials, c.ClientSecret = true, "b" }, want: "client ID"},
		{name: "client credentials without secret", change: func(c *Config) { c.ClientCredentials, c.ClientID = true, "a" }, want: "secret"},
		{name: "client credentials with an assertion", change: func(c *Config) { c.ClientCredentials, c.ClientID, c.ClientAssertion = true, "a", nothing }},
		{name: "an assertion alone", change: func(c *Config) { c.ClientAssertion = nothing }},
		{name: "an assertion with a device code", change: func(c *Config) { c.ClientAssertion, c.DeviceCode = nothing, true }, want: "device code"},
		{name: "client credentials with a device code", change: func(c *Config) {
			c.ClientCredentials, c.ClientID, c.ClientSecret, c.DeviceCode = true, "a", "b", true
		}, want: "device code"},

		{name: "an ID token of a workload", change: func(c *Config) { c.ClientAssertion, c.UseIDToken = nothing, true }, want: "ID token"},
		{name: "an ID token that is bound to a key", change: func(c *Config) { c.UseIDToken, c.DPoP = true, DPoPAlways }, want: "ID token"},
		{name: "a workload's token endpoint", change: func(c *Config) { c.ClientAssertion, c.TokenEndpoint = nothing, "https://as.example/token" }},

		{name: "an identity provider", change: withIDP("https://idp.example/token", func(*Config) {})},
		{name: "an identity provider on loopback", change: withIDP("http://127.0.0.1:1/token", func(*Config) {})},
		{name: "an identity provider on a private address", change: withIDP("https://10.0.0.1/token", func(*Config) {})},
		{name: "an identity provider over http", change: withIDP("http://idp.example/token", func(*Config) {}), want: "token endpoint"},
		{name: "an identity provider over http, allowed", change: withIDP("http://idp.example/token", func(c *Config) { c.AllowHTTP = true })},
		{name: "an identity provider at no URL", change: withIDP("idp.example", func(*Config) {}), want: "token endpoint"},
		{name: "an identity provider that would be sent a password", change: withIDP("https://me:secret@idp.example/token", func(*Config) {}), want: "token endpoint"},
		{name: "an identity provider and an unknown client", change: withIDP("https://idp.example/token", func(c *Config) { c.ClientID = "" }), want: "client ID"},
		{name: "an identity provider and a client document", change: withIDP("https://idp.example/token", func(c *Config) {
			c.ClientID, c.ClientMetadataURL = "", "https://app.example/client.json"
		})},
		{name: "an identity provider that does not know the client", change: withIDP("https://idp.example/token", func(c *Config) { c.IdentityProvider.ClientID = "" }), want: "ID there"},
		{name: "an identity provider without ID token", change: withIDP("https://idp.example/token", func(c *Config) { c.IdentityProvider.IDToken = nil }), want: "ID token"},
		{name: "an identity provider and client credentials", change: withIDP("https://idp.example/token", func(c *Config) {
			c.ClientCredentials, c.ClientSecret = true, "b"
		}), want: "client credentials"},
		{name: "an identity provider and a device code", change: withIDP("https://idp.example/token", func(c *Config) { c.DeviceCode = true }), want: "device code"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			cfg := Config{ServerURL: "https://mcp.example/mcp", Storage: &FileStorage{Dir: t.TempDir()}}
			test.change(&cfg)
			_, err := New(cfg)
			switch {
			case test.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case test.want != "" && err == nil:
				t.Error("not refused")
			case test.want != "" && !strings.Contains(err.Error(), test.want):
				t.Errorf("error %q lacks %q", err, test.want)
			}
		})
	}
}

func nothing() (string, error) { return "", nil }

// withIDP returns a change that adds an identity provider, and then another change.
func withIDP(tokenURL string, change func(*Config)) func(*Config) {
	return func(c *Config) {
		c.ClientID, c.IdentityProvider = "a", &IdentityProvider{TokenURL: tokenURL, ClientID: "b", IDToken: nothing}
		change(c)
	}
}

func TestConfigDefaults(t *testing.T) {
	t.Parallel()
	cfg := Config{ServerURL: "https://mcp.example/mcp", Storage: &FileStorage{Dir: t.TempDir()}}
	if err := cfg.check(); err != nil {
		t.Fatal(err)
	}
	if cfg.SignInTimeout < 5*time.Minute { // C5
		t.Errorf("a user has %v to sign in, want 5 minutes at least", cfg.SignInTimeout)
	}
	if cfg.CallbackHost != "localhost" || cfg.CallbackPath != "/callback" || cfg.CallbackPort != 0 {
		t.Errorf("callback at %s:%d%s", cfg.CallbackHost, cfg.CallbackPort, cfg.CallbackPath)
	}
	if cfg.ClientName == "" || cfg.Base == nil || cfg.Open == nil || cfg.Tell == nil || cfg.Log == nil {
		t.Errorf("defaults are missing: %+v", cfg)
	}
}

// An authorization parameter without a value must not end the program.
func TestAuthorizeParamWithoutValue(t *testing.T) {
	t.Parallel()
	defer func() {
		if trouble := recover(); trouble != nil {
			t.Errorf("panic: %v", trouble)
		}
	}()
	transport, err := New(Config{ServerURL: "https://mcp.example/mcp", AuthorizeParams: url.Values{"prompt": nil}, Storage: &FileStorage{Dir: t.TempDir()}})
	if err != nil {
		return
	}
	transport.authorizationURL(&Client{ID: "x"}, &discovery{}, nil, "state", "verifier")
}

// D9, spec 4.90–4.93: what servers name is used only if it can't be anything but a page of theirs.
func TestD9_URLsAreChecked(t *testing.T) {
	t.Parallel()
	const public, private, local = "https://mcp.example/mcp", "http://10.0.0.5/mcp", "http://127.0.0.1:8080/mcp"
	for _, test := range []struct {
		url    string
		server string
		http   bool // allowed beyond loopback
		good   bool
	}{
		{url: "https://as.example/authorize", server: public, good: true},
		{url: "https://as.example:8443/authorize?a=b&c=%20", server: public, good: true},
		{url: "https://mcp.example/authorize", server: public, good: true},
		{url: "https://[2001:db8::1]/authorize", server: public, good: true},
		{url: "https://as.example/authorize", server: local, good: true},

		// 4.90, 4.91: https, or http on loopback.
		{url: "http://as.example/authorize", server: public},
		{url: "http://as.example/authorize", server: local},
		{url: "http://as.example/authorize", server: public, http: true, good: true},
		{url: "http://localhost.example/authorize", server: local},
		{url: "http://127.0.0.1.example/authorize", server: local},
		{url: "http://127.0.0.1@as.example/authorize", server: local},
		{url: "http://localhost:9/authorize", server: local, good: true},
		{url: "http://127.0.0.1:9/authorize", server: local, good: true},
		{url: "http://127.8.8.8/authorize", server: local, good: true},
		{url: "http://[::1]:9/authorize", server: local, good: true},
		{url: "HTTPS://as.example/authorize", server: public, good: true},

		// Other schemes, and what is no URL.
		{url: "file:///etc/passwd", server: public},
		{url: "file://as.example/etc/passwd", server: public},
		{url: "smb://as.example/share", server: public},
		{url: `\\as.example\share`, server: public},
		{url: "javascript:1", server: public},
		{url: "javascript://as.example/%0aalert(1)", server: public},
		{url: "data:text/html,x", server: public},
		{url: "vbscript:x", server: public},
		{url: "ms-settings://as.example/", server: public},
		{url: "a:$(touch pwned)?", server: public},
		{url: "https:as.example", server: public},
		{url: "https:///authorize", server: public},
		{url: "//as.example/authorize", server: public},
		{url: "/authorize", server: public},
		{url: "as.example", server: public},
		{url: "", server: public},
		{url: "-https://as.example/", server: public},
		{url: "https://as.example/\n", server: public},
		{url: "https://as example/", server: public},
		{url: "https://as.example:port/", server: public},

		// 4.92: this machine and its network, unless the MCP server is there too.
		{url: "https://127.0.0.1/authorize", server: public},
		{url: "http://127.0.0.1/authorize", server: public},
		{url: "https://localhost/authorize", server: public},
		{url: "https://LOCALHOST/authorize", server: public},
		{url: "https://localhost./authorize", server: public},
		{url: "https://x.localhost/authorize", server: public},
		{url: "https://[::1]/authorize", server: public},
		{url: "https://[::ffff:127.0.0.1]/authorize", server: public},
		{url: "https://[::ffff:10.0.0.1]/authorize", server: public},
		{url: "https://0.0.0.0/authorize", server: public},
		{url: "https://[::]/authorize", server: public},
		{url: "https://10.0.0.1/authorize", server: public},
		{url: "https://172.16.0.1/authorize", server: public},
		{url: "https://192.168.0.1/authorize", server: public},
		{url: "https://169.254.169.254/latest/meta-data", server: public},
		{url: "https://[fe80::1]/authorize", server: public},
		{url: "https://[fe80::1%25eth0]/authorize", server: public},
		{url: "https://[fd00::1]/authorize", server: public},
		{url: "https://10.0.0.1/authorize", server: private, good: true},
		{url: "https://127.0.0.1/authorize", server: local, good: true},
		{url: "http://10.0.0.1/authorize", server: public, http: true}, // about http only
	} {
		t.Run(test.url+" from "+test.server, func(t *testing.T) {
			t.Parallel()
			transport, err := New(Config{ServerURL: test.server, AllowHTTP: test.http, Storage: &FileStorage{}})
			if err != nil {
				t.Fatal(err)
			}
			if u, err := transport.checkURL("endpoint", test.url); (err == nil) != test.good {
				t.Errorf("%v, %v; want good: %v", u, err, test.good)
			} else if err != nil && !isUntrusted(err) {
				t.Errorf("%T is no MetadataError", err)
			}
		})
	}
}

// What a server wrote into a URL besides an address does not go along.
func TestD9_UserAndFragmentAreDropped(t *testing.T) {
	t.Parallel()
	transport, err := New(Config{ServerURL: "https://mcp.example/mcp", Storage: &FileStorage{Dir: t.TempDir()}})
	if err != nil {
		t.Fatal(err)
	}
	u, err := transport.checkURL("endpoint", "https://me:pass@as.example/a%2Fb?c=%20&d=^#x")
	if err != nil || u.String() != "https://as.example/a%2Fb?c=%20&d=^" {
		t.Errorf("%v, %v", u, err)
	}
}

// Where the server was connected to last counts, and then its name is not asked about any more.
func TestD9_PlaceOfTheServer(t *testing.T) {
	t.Parallel()
	nobody := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		t.Error("the name was asked about")
		return nil, net.ErrClosed
	}}
	p := &place{host: "mcp.example"}
	for _, step := range []struct {
		address  string
		internal bool
	}{
		{"203.0.113.7:443", false},
		{"10.0.0.1:443", true},
		{"[::ffff:127.0.0.1]:443", true},
		{"[2001:db8::1]:443", false},
		{"[64:ff9b::a9fe:a9fe]:443", true}, // 169.254.169.254 in a network of IPv6 alone
		{"[64:ff9b::cb00:7107]:443", false},
		{"[fe80::1%eth0]:443", true},
		{"[fd00::1]:443", true},
		{"100.64.0.1:443", true},
		{"0.0.0.0:443", true},
		{"255.255.255.255:443", true},
		{"[::]:443", true},
	} {
		to, err := netip.ParseAddrPort(step.address)
		if err != nil {
			t.Fatal(err)
		}
		p.saw(net.TCPAddrFromAddrPort(to))
		if got := p.isInternal(t.Context(), nobody); got != step.internal || p.isKnownInternal() != got {
			t.Errorf("a server at %s: internal %v", step.address, got)
		}
	}
}

// Only a connection to something else than what the URL names is one to a proxy.
func TestD9_ProxyOrNot(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		url, address string
		proxy        bool
	}{
		{"https://as.example/x", "as.example:443", false},
		{"http://as.example/x", "as.example:80", false},
		{"https://AS.example:8443", "AS.example:8443", false},
		{"https://[fd00::1]/", "[fd00::1]:443", false},
		{"https://as.example/x", "proxy.example:3128", true},
		{"https://as.example/x", "10.0.0.1:3128", true},
		{"https://bücher.example/x", "xn--bcher-kva.example:443", false},
	} {
		u, err := url.Parse(test.url)
		if err != nil {
			t.Fatal(err)
		}
		e := errand{nil, u.Hostname(), addressOf(u), false}
		if got := e.isProxy(test.address); got != test.proxy {
			t.Errorf("%s for %s: proxy %v", test.address, test.url, got)
		}
	}
}
