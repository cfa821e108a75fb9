package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"mcp-bridge/auth"
	"mcp-bridge/auth/authtest"
	"mcp-bridge/bridge/bridgetest"
)

// A doctorSetup is a server, its authorization server, and what is kept and given on this side.
type doctorSetup struct {
	t      *testing.T
	mcp    bridgetest.Config
	as     *authtest.Config // nil: no sign-in is wanted
	cert   *x509.Certificate
	trust  bool   // that certificate
	host   string // in the URL in place of 127.0.0.1
	scheme string // in place of the right one
	flags  []string

	// before, if set, is called when the servers run.
	before func(*doctorSetup)

	url    string
	home   string
	server *bridgetest.Server
	auth   *authtest.Server
}

// start starts the servers.
func (s *doctorSetup) start() {
	s.home = filepath.Join(s.t.TempDir(), "home")
	s.t.Setenv("MCP_BRIDGE_HOME", s.home)
	s.t.Setenv("LC_ALL", "C.UTF-8")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	scheme := "http"
	if s.cert != nil {
		scheme = "https"
		cert, ca := s.makeCertificate()
		if s.trust {
			s.flags = append(s.flags, "--ca-file", ca)
		}
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}})
	}
	if s.as != nil {
		s.auth = authtest.NewServer(*s.as)
		s.t.Cleanup(s.auth.Close)
		guard(s.auth, &s.mcp)
	}
	s.mcp.Listener = l
	s.server = bridgetest.NewServer(s.mcp)
	s.t.Cleanup(s.server.Close)
	host := "127.0.0.1"
	if s.host != "" {
		host = s.host
	}
	if s.scheme != "" {
		scheme = s.scheme
	}
	s.url = scheme + "://" + net.JoinHostPort(host, port) + "/mcp"
	if s.before != nil {
		s.before(s)
	}
}

// makeCertificate makes the certificate, which is its own authority, and a file of it.
func (s *doctorSetup) makeCertificate() (cert tls.Certificate, file string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, s.cert, s.cert, key.Public(), key)
	if err != nil {
		s.t.Fatal(err)
	}
	file = filepath.Join(s.t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}

// certificate returns one for 127.0.0.1, good from so long from now for a year.
func certificate(from time.Duration) *x509.Certificate {
	begin := time.Now().Add(from)
	return &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test Authority"}, NotBefore: begin, NotAfter: begin.AddDate(1, 0, 0),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"mcp.example"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
}

// storage returns where the login would be kept, for the client if that is not "".
func (s *doctorSetup) storage(clientID string) *auth.FileStorage {
	cfg := auth.Config{ServerURL: s.url, ClientID: clientID}
	return &auth.FileStorage{Dir: s.home, Identity: cfg.Identity()}
}

// signIn signs in, as the user would.
func (s *doctorSetup) signIn(clientID string) *auth.Record {
	s.t.Helper()
	store := s.storage(clientID)
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	t, err := auth.New(auth.Config{ServerURL: s.url, ClientID: clientID, Storage: store, Base: base, Open: new(authtest.Browser).Open, SignInTimeout: 20 * time.Second})
	if err != nil {
		s.t.Fatal(err)
	}
	defer t.Close()
	if err := t.Login(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	rec, err := store.Load()
	if err != nil || rec == nil {
		s.t.Fatalf("no login is kept: %v", err)
	}
	return rec
}

// change changes the login that is kept.
func (s *doctorSetup) change(clientID string, how func(*auth.Record)) {
	s.t.Helper()
	store := s.storage(clientID)
	rec, err := store.Load()
	if err != nil {
		s.t.Fatal(err)
	}
	how(rec)
	if err := store.Save(rec); err != nil {
		s.t.Fatal(err)
	}
}

// take occupies the port of a redirect URI until the test ends.
func (s *doctorSetup) take(redirectURI string) {
	s.t.Helper()
	port := redirectURI[strings.LastIndex(redirectURI, ":")+1 : strings.LastIndex(redirectURI, "/")]
	l, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { l.Close() })
}

// doctor runs the command and returns its exit code and what it printed.
func (s *doctorSetup) doctor(more ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	args := append([]string{"doctor", s.url}, s.flags...)
	code = run(s.t.Context(), append(args, more...), strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

// firstLine returns the first line with a mark, without that and in one piece, "" if there is none.
func firstLine(text, mark string) string {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, mark+" "); ok {
			return strings.Join(strings.Fields(rest), " ")
		}
	}
	return ""
}

// state is all that a doctor must not change.
func (s *doctorSetup) state() string {
	var all []string
	if s.auth != nil {
		all = append(all, strconv.Itoa(s.auth.Registrations()), strconv.Itoa(s.auth.Exchanges()), strconv.Itoa(s.auth.Refreshes()), strconv.Itoa(s.auth.Revoked()))
	}
	_ = filepath.Walk(s.home, func(path string, info os.FileInfo, err error) error {
		if err == nil {
			all = append(all, path, info.Mode().String(), info.ModTime().String())
		}
		return nil
	})
	return strings.Join(all, "\n")
}

// answer returns a Handle that answers everything in the same way.
func answer(status int, contentType, body string, header ...string) func(http.ResponseWriter, *bridgetest.Request) bool {
	return func(w http.ResponseWriter, _ *bridgetest.Request) bool {
		w.Header().Set("Content-Type", contentType)
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
		return true
	}
}

// doctorSteps are the steps that a report has, in order.
var doctorSteps = []string{"dns", "tcp", "proxy", "tls", "http", "clock", "challenge", "resource_metadata", "authorization_server", "pkce",
	"registration", "scopes", "callback", "authorization_page", "store", "login", "protocol", "session", "tools", "prompts", "resources"}

// Of each broken setup the first cross names the cause. The setups are those of public bug reports.
func TestDoctorNamesTheCause(t *testing.T) {
	signIn := func(change func(*authtest.Config)) *authtest.Config {
		cfg := &authtest.Config{AutoApprove: true}
		if change != nil {
			change(cfg)
		}
		return cfg
	}
	metadata := func(edit authtest.Edit) *authtest.Config {
		return signIn(func(c *authtest.Config) { c.Metadata = edit })
	}
	resource := func(edit authtest.Edit) *authtest.Config {
		return signIn(func(c *authtest.Config) { c.ResourceMetadata = edit })
	}
	known := signIn(func(c *authtest.Config) {
		c.Clients = []authtest.Client{{ID: "app"}}
		c.Metadata = authtest.Edit{"registration_endpoint": authtest.Absent}
	})
	for _, test := range []struct {
		name  string
		setup doctorSetup
		want  string // a part of the first cross; $URL, $ORIGIN, $AS and $HOME stand for what they say
	}{
		{"certificate expired", doctorSetup{cert: certificate(-400 * 24 * time.Hour), trust: true}, "TLS the certificate of 127.0.0.1 expired on "},
		{"certificate not good yet", doctorSetup{cert: certificate(24 * time.Hour), trust: true}, "TLS the certificate of 127.0.0.1 is good only from "},
		{"unknown authority", doctorSetup{cert: certificate(-time.Hour)}, "TLS the certificate of 127.0.0.1 is by an unknown authority: CN=Test Authority"},
		{"wrong host name", doctorSetup{cert: certificate(-time.Hour), trust: true, host: "localhost"}, "TLS the certificate is for mcp.example, 127.0.0.1, not for localhost"},
		{"https to a server of plain http", doctorSetup{scheme: "https"}, "TLS what listens on $HOST speaks no TLS"},
		{"http to a server of https", doctorSetup{cert: certificate(-time.Hour), scheme: "http"}, "HTTP 400 Bad Request: the server wants https: Client sent an HTTP request to an HTTPS server."},
		{"name not found", doctorSetup{before: func(s *doctorSetup) { s.url = "https://no..host/mcp" }}, "name there is no host named no..host"}, // refused without asking anybody
		{"port refused", doctorSetup{before: func(s *doctorSetup) { s.server.Close() }}, "connection $HOST refuses connections"},
		{"no answer", doctorSetup{flags: []string{"--response-timeout", "1s"}, mcp: bridgetest.Config{Handle: func(_ http.ResponseWriter, r *bridgetest.Request) bool {
			<-r.Context().Done()
			return true
		}}}, "HTTP the server takes the request, and does not answer within 1s"},
		{"connection cut", doctorSetup{mcp: bridgetest.Config{Handle: func(http.ResponseWriter, *bridgetest.Request) bool { panic(http.ErrAbortHandler) }}},
			"HTTP the connection was closed without an answer"},
		{"web page", doctorSetup{mcp: bridgetest.Config{Handle: answer(200, "text/html", "<html><head><title>Sign in &amp; go on</title></head></html>")}},
			"HTTP 200 OK: a web page and no MCP server: Sign in & go on"},
		{"redirect to a sign-in page", doctorSetup{mcp: bridgetest.Config{Handle: answer(302, "text/html", "", "Location", "https://sso.example/in?secret-k")}},
			"HTTP 302 Found: the endpoint sends everybody to https://sso.example/in"},
		{"404", doctorSetup{mcp: bridgetest.Config{Handle: answer(404, "text/plain", "404 page not found")}}, "HTTP 404 Not Found: there is nothing at $URL: 404 page not found"},
		{"403", doctorSetup{mcp: bridgetest.Config{Handle: answer(403, "text/html", "<title>Attention Required!</title>")}}, "HTTP 403 Forbidden: Attention Required!"},
		{"429", doctorSetup{mcp: bridgetest.Config{Handle: answer(429, "text/plain", "", "Retry-After", "60")}}, "HTTP 429 Too Many Requests: the server has had too many requests; it asks to wait 60 s"},
		{"503", doctorSetup{mcp: bridgetest.Config{Handle: answer(503, "text/plain", "deploying")}}, "HTTP 503 Service Unavailable: the server, or what stands before it, fails: deploying"},
		{"HTTP+SSE alone", doctorSetup{mcp: bridgetest.Config{HTTPSSE: true}, flags: []string{"--transport", "http"}}, "HTTP the server speaks only HTTP+SSE, the transport of 2024 (HTTP 405 Method Not Allowed to POST)"},
		{"no HTTP+SSE", doctorSetup{flags: []string{"--transport", "sse"}}, "HTTP the server has no HTTP+SSE stream there: HTTP 405 Method Not Allowed to GET"},
		{"clock an hour off", doctorSetup{mcp: bridgetest.Config{Handle: func(w http.ResponseWriter, _ *bridgetest.Request) bool {
			w.Header().Set("Date", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
			return false
		}}}, "clock this machine's clock is 60 minutes behind the server's"},

		{"own Authorization header refused", doctorSetup{as: signIn(nil), flags: []string{"--header", "Authorization: Bearer secret-mine"}},
			"challenge the server refuses the Authorization header that you give: invalid_token: unknown token"},
		{"Basic", doctorSetup{mcp: bridgetest.Config{Handle: answer(401, "text/plain", "", "WWW-Authenticate", `Basic realm="x"`)}}, "challenge the server wants authorization by basic, not by Bearer"},
		{"key wanted, no authorization server", doctorSetup{mcp: bridgetest.Config{Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
			if r.URL.Path == "/mcp" {
				return answer(401, "text/plain", "API key missing")(w, r)
			}
			return answer(404, "text/plain", "")(w, r)
		}}}, "authorization server there is none: $ORIGIN has neither metadata nor a sign-in page"},
		{"metadata of another resource", doctorSetup{as: resource(authtest.Edit{"resource": "https://other.example/mcp"})},
			"resource metadata the server's resource metadata is for https://other.example/mcp, not for $URL"},
		{"resource metadata without authorization servers", doctorSetup{as: resource(authtest.Edit{"authorization_servers": authtest.Absent})},
			"resource metadata the server's resource metadata names no authorization server"},
		{"resource metadata fails", doctorSetup{as: signIn(func(c *authtest.Config) {
			c.Faults = []authtest.Fault{{Path: "/.well-known/oauth-protected-resource/mcp", Status: 503}, {Path: "/.well-known/oauth-protected-resource", Status: 503}}
		})}, "resource metadata reading $ORIGIN/.well-known/oauth-protected-resource"},
		{"another issuer", doctorSetup{as: metadata(authtest.Edit{"issuer": "https://evil.example"})}, "authorization server the metadata of the authorization server $AS is that of https://evil.example"},
		{"authorization server without metadata", doctorSetup{as: signIn(func(c *authtest.Config) { c.MetadataAt = []string{} })}, "authorization server the authorization server $AS has no metadata document"},
		{"authorization server on plain http", doctorSetup{as: resource(authtest.Edit{"authorization_servers": []string{"http://as.example"}})},
			"authorization server the server's authorization server on as.example uses plain http, only https is allowed"},
		{"token endpoint on plain http", doctorSetup{as: metadata(authtest.Edit{"token_endpoint": "http://evil.example/token"})},
			"authorization server the server's token endpoint on evil.example uses plain http"},
		{"sign-in page with another scheme", doctorSetup{as: metadata(authtest.Edit{"authorization_endpoint": "file:///etc/passwd"})}, "authorization server the server's authorization endpoint is no absolute URL"},
		{"no S256", doctorSetup{as: metadata(authtest.Edit{"code_challenge_methods_supported": []string{"plain"}})}, "PKCE the authorization server $AS does not support PKCE with S256"},
		{"no word of PKCE", doctorSetup{as: metadata(authtest.Edit{"code_challenge_methods_supported": authtest.Absent}), flags: []string{"--require-pkce-metadata"}},
			"PKCE the authorization server $AS does not say that it supports PKCE"},
		{"no way to register", doctorSetup{as: metadata(authtest.Edit{"registration_endpoint": nil})}, "registration the authorization server offers no client registration"},
		{"no device code", doctorSetup{as: metadata(authtest.Edit{"device_authorization_endpoint": authtest.Absent}), flags: []string{"--device-code"}},
			"authorization server the authorization server $AS does not offer sign-in by device code"},
		{"fixed callback port busy", doctorSetup{as: signIn(nil), before: func(s *doctorSetup) {
			l, err := listenApart()
			if err != nil {
				s.t.Fatal(err)
			}
			s.t.Cleanup(func() { l.Close() })
			s.flags = append(s.flags, "--callback-port", strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
		}}, "callback the callback port "},
		{"registered port busy", doctorSetup{as: known, flags: []string{"--client-id", "app"}, before: func(s *doctorSetup) {
			s.take(s.signIn("app").Client.RedirectURI)
		}}, "callback port "},
		{"configured client unknown", doctorSetup{as: signIn(nil), flags: []string{"--client-id", "nobody"}}, "sign-in page the authorization server does not accept the client: "},
		{"scope refused", doctorSetup{as: signIn(func(c *authtest.Config) {
			c.Clients, c.RefuseScopes = []authtest.Client{{ID: "app"}}, []string{"files:write"}
		}), flags: []string{"--client-id", "app", "--scope", "files:write"}}, "sign-in page the authorization server refused the sign-in: invalid_scope"},

		{"login expired, no refresh token", doctorSetup{as: signIn(func(c *authtest.Config) { c.NoRefresh = true }), before: func(s *doctorSetup) {
			s.signIn("")
			s.change("", func(r *auth.Record) { r.Token.Expiry = time.Now().Add(-time.Hour) })
		}}, "login the login ended at "},
		{"login expired, client's secret too", doctorSetup{as: signIn(nil), before: func(s *doctorSetup) {
			s.signIn("")
			s.change("", func(r *auth.Record) {
				r.Token.Expiry, r.Client.SecretExpiry = time.Now().Add(-time.Hour), time.Now().Add(-time.Hour)
			})
		}}, "and can't be renewed: its client is of no use any more"},
		{"token refused", doctorSetup{as: signIn(func(c *authtest.Config) { c.NoRefresh = true }), before: func(s *doctorSetup) {
			s.signIn("")
			s.auth.Set(func(c *authtest.Config) { c.ResourceMetadata = authtest.Edit{"resource": "http://" + s.hostPort()} })
		}}, "login the server refuses the token that is kept: invalid_token: wrong audience"},
		{"authorization server changed under a configured client", doctorSetup{as: known, flags: []string{"--client-id", "app"}, before: func(s *doctorSetup) {
			s.signIn("app")
			s.change("app", func(r *auth.Record) { r.Issuer = "https://before.example" })
		}}, "login the login is from https://before.example, and the server now names $AS"},
		{"store open to others", doctorSetup{as: signIn(nil), before: func(s *doctorSetup) {
			s.signIn("")
			files, _ := filepath.Glob(filepath.Join(s.home, "*.json"))
			if err := os.Chmod(files[0], 0o644); err != nil {
				s.t.Fatal(err)
			}
		}}, "store others on this machine may get at the login: $HOME"},
		{"store is no folder", doctorSetup{before: func(s *doctorSetup) {
			if err := os.WriteFile(s.home, nil, 0o600); err != nil {
				s.t.Fatal(err)
			}
		}}, "store the login can't be read: $HOME: it is no folder"},
		{"login of a later version", doctorSetup{before: func(s *doctorSetup) {
			if err := s.storage("").Save(&auth.Record{}); err != nil {
				s.t.Fatal(err)
			}
			files, _ := filepath.Glob(filepath.Join(s.home, "*.json"))
			if err := os.WriteFile(files[0], []byte(`{"version":99}`), 0o600); err != nil {
				s.t.Fatal(err)
			}
		}}, "store the login in $HOME"},

		{"initialize refused", doctorSetup{mcp: bridgetest.Config{Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
			if r.Method == "initialize" {
				r.Fail(w, 400, -32022, "Unsupported protocol version")
			}
			return r.Method == "initialize"
		}}}, "protocol no answer to initialize: Unsupported protocol version"},
		{"initialize begun, and not answered", doctorSetup{flags: []string{"--response-timeout", "1500ms"}, mcp: bridgetest.Config{Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
			if r.Method == "initialize" {
				r.Events(w)
				<-r.Context().Done()
			}
			return r.Method == "initialize"
		}}}, "protocol no answer to initialize: it did not come in time"},
		{"tools fail", doctorSetup{mcp: bridgetest.Config{Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
			if r.Method == "tools/list" {
				r.Fail(w, 200, -32603, "database is down")
			}
			return r.Method == "tools/list"
		}}}, "tools tools/list fails: database is down"},
		{"tools refused", doctorSetup{mcp: bridgetest.Config{Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
			if r.Method == "tools/list" {
				return answer(403, "application/json", "{}", "WWW-Authenticate", `Bearer error="insufficient_scope", scope="tools"`)(w, r)
			}
			return false
		}}}, "tools tools/list is refused: insufficient_scope"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := test.setup
			s.t = t
			if runtime.GOOS == "windows" && strings.HasPrefix(test.name, "store open") {
				t.Skip("modes of files mean nothing here")
			}
			s.start()
			text := s.check(1)
			got := firstLine(text, "✗")
			t.Logf("first cross: %s", got)
			if want := s.expand(test.want); !strings.Contains(got, want) {
				t.Errorf("first cross %q, want %q; all of it:\n%s", got, want, text)
			}
		})
	}
}

// What works, but not well or not for long, is a warning, and no failure.
func TestDoctorWarns(t *testing.T) {
	signIn := func(change func(*authtest.Config)) *authtest.Config {
		cfg := &authtest.Config{AutoApprove: true}
		if change != nil {
			change(cfg)
		}
		return cfg
	}
	soon := certificate(-time.Hour)
	soon.NotAfter = time.Now().Add(5*24*time.Hour + time.Hour)
	for _, test := range []struct {
		name  string
		setup doctorSetup
		want  string // a part of the first warning, as in TestDoctorNamesTheCause; "" if there is to be none
	}{
		{"all is well", doctorSetup{}, ""},
		{"all is well behind TLS", doctorSetup{cert: certificate(-time.Hour), trust: true}, ""},
		{"all is well after sign-in", doctorSetup{as: signIn(nil), before: func(s *doctorSetup) { s.signIn("") }}, ""},
		{"expired, to be renewed", doctorSetup{as: signIn(nil), before: func(s *doctorSetup) {
			s.signIn("")
			s.change("", func(r *auth.Record) { r.Token.Expiry = time.Now().Add(-time.Hour) })
		}}, ""},
		{"a machine's own token", doctorSetup{as: signIn(func(c *authtest.Config) { c.Clients = []authtest.Client{{ID: "app", Secret: "secret-app"}} }),
			flags: []string{"--client-credentials", "--client-id", "app", "--client-secret", "secret-app"}}, ""},
		{"a login that can't be renewed", doctorSetup{as: signIn(func(c *authtest.Config) {
			c.NoRefresh, c.Metadata = true, authtest.Edit{"scopes_supported": []string{"offline_access"}}
		}), before: func(s *doctorSetup) { s.signIn("") }}, "login signed in until "},
		{"certificate ends soon", doctorSetup{cert: soon, trust: true}, "TLS the certificate of 127.0.0.1 ends in 5 days"},
		{"HTTP+SSE alone", doctorSetup{mcp: bridgetest.Config{HTTPSSE: true}}, "HTTP the server speaks only HTTP+SSE, which was replaced in 2025"},
		{"clock two minutes off", doctorSetup{mcp: bridgetest.Config{Handle: func(w http.ResponseWriter, _ *bridgetest.Request) bool {
			w.Header().Set("Date", time.Now().Add(-2*time.Minute).UTC().Format(http.TimeFormat))
			return false
		}}}, "clock this machine's clock is 2 minutes ahead of the server's"},
		{"not signed in", doctorSetup{as: signIn(nil)}, "login not signed in yet"},
		{"signed in otherwise", doctorSetup{as: signIn(nil), flags: []string{"--profile", "work"}, before: func(s *doctorSetup) { s.signIn("") }},
			"login not signed in with these flags, but with others"},
		{"no word of PKCE", doctorSetup{as: signIn(func(c *authtest.Config) {
			c.Metadata = authtest.Edit{"code_challenge_methods_supported": authtest.Absent}
		}), before: func(s *doctorSetup) { s.signIn("") }},
			"PKCE the authorization server does not say that it supports it"},
		{"scopes that are not listed", doctorSetup{as: signIn(func(c *authtest.Config) { c.Metadata = authtest.Edit{"scopes_supported": []string{"a"}} }), flags: []string{"--scope", "a b"}},
			"scopes asked for: a b; the authorization server does not list b"},
		{"the registered port is taken", doctorSetup{as: signIn(nil), before: func(s *doctorSetup) { s.take(s.signIn("").Client.RedirectURI) }}, "callback port "},
		{"the registered client is forgotten", doctorSetup{as: signIn(nil), before: func(s *doctorSetup) {
			s.signIn("")
			s.auth.ForgetClients()
		}}, "sign-in page the authorization server does not accept the registered client any more: "},
		{"the authorization server is another one", doctorSetup{as: signIn(nil), before: func(s *doctorSetup) {
			s.signIn("")
			s.change("", func(r *auth.Record) { r.Issuer = "https://before.example" })
		}}, "login the login is from https://before.example, and the server now names $AS"},
		{"the folder is open", doctorSetup{before: func(s *doctorSetup) {
			if err := os.Mkdir(s.home, 0o755); err != nil {
				s.t.Fatal(err)
			}
		}}, "store the folder of logins, $HOME, has the mode 0755"},
		{"the login can't be read", doctorSetup{as: signIn(nil), before: func(s *doctorSetup) {
			s.signIn("")
			files, _ := filepath.Glob(filepath.Join(s.home, "*.json"))
			if err := os.WriteFile(files[0], []byte("{"), 0o600); err != nil {
				s.t.Fatal(err)
			}
		}}, "store $HOME"},
		{"another process is signing in", doctorSetup{as: signIn(nil), before: func(s *doctorSetup) {
			unlock, err := s.storage("").Lock(s.t.Context())
			if err != nil {
				s.t.Fatal(err)
			}
			s.t.Cleanup(unlock)
		}}, "login another mcp-bridge is getting a token"},
		{"tools need another scope", doctorSetup{as: signIn(func(c *authtest.Config) { c.ChallengeScope = "a" }), before: func(s *doctorSetup) { s.signIn("") },
			mcp: bridgetest.Config{Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
				if r.Method == "tools/list" {
					return answer(403, "application/json", "{}", "WWW-Authenticate", `Bearer error="insufficient_scope", scope="a tools"`)(w, r)
				}
				return false
			}}}, "tools tools/list needs the scope tools, which the login does not have"},
		{"the endpoint redirects", doctorSetup{mcp: bridgetest.Config{Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
			if r.URL.Path == "/mcp" {
				http.Redirect(w, r.Request, "/mcp/", http.StatusTemporaryRedirect)
			}
			return r.URL.Path == "/mcp"
		}}}, ""},
		{"the session can't be ended", doctorSetup{mcp: bridgetest.Config{Stateless: true, Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
			w.Header().Set("Mcp-Session-Id", "S1")
			return r.Request.Method == http.MethodDelete && answer(500, "text/plain", "")(w, r)
		}}}, "session opened; its end was answered with HTTP 500"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := test.setup
			s.t = t
			if runtime.GOOS == "windows" && test.name == "the folder is open" {
				t.Skip("modes of files mean nothing here")
			}
			s.start()
			text := s.check(0)
			got := firstLine(text, "!")
			t.Logf("first warning: %s", got)
			if want := s.expand(test.want); !strings.Contains(got, want) || (want == "") != (got == "") || firstLine(text, "✗") != "" {
				t.Errorf("first warning %q, want %q; all of it:\n%s", got, want, text)
			}
		})
	}
}

// Lists are counted to their end, however many pages they have, and the server's own questions do not
// stop that.
func TestDoctorCounts(t *testing.T) {
	const pages = 3
	s := &doctorSetup{t: t, mcp: bridgetest.Config{Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
		var params struct{ Cursor string }
		_ = json.Unmarshal(r.Params, &params)
		page, _ := strconv.Atoi(params.Cursor)
		switch r.Method {
		case "initialize":
			r.Answer(w, `{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"prompts":{},"resources":{}},"serverInfo":{"name":"many","version":"7"}}`)
		case "tools/list":
			e := r.Events(w)
			_ = e.Send(`{"jsonrpc":"2.0","id":"q1","method":"ping"}`)
			_ = e.Send(`{"jsonrpc":"2.0","id":"q2","method":"roots/list"}`)
			next := ""
			if page++; page < pages {
				next = `,"nextCursor":"` + strconv.Itoa(page) + `"`
			}
			_ = e.Result(`{"tools":[{"name":"a"},{"name":"b"}]` + next + `}`)
		case "prompts/list": // without end
			r.Answer(w, `{"prompts":[{"name":"p"}],"nextCursor":"`+strconv.Itoa(page+1)+`"}`)
		case "resources/list":
			r.Answer(w, `{"resources":[],"nextCursor":null}`)
		default:
			if r.Request.Method != http.MethodPost {
				return false
			}
			w.WriteHeader(http.StatusAccepted)
		}
		return true
	}}}
	s.start()
	_, text, stderr := s.doctor()
	for _, want := range []string{"protocol              revision 2025-11-25, server many 7", "tools                 6, on 3 pages",
		"prompts               more than 100, on more than 100 pages", "resources             0"} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("there is no line %q in\n%s%s", want, text, stderr)
		}
	}
	answers := 0
	for _, r := range s.server.Requests() {
		if r.String() == "response" {
			answers++
		}
	}
	if answers != 2*pages {
		t.Errorf("%d answers to the server's questions, want %d", answers, 2*pages)
	}
}

// How a report looks by where it is shown.
func TestDoctorStyle(t *testing.T) {
	t.Parallel()
	r := &checkReport{Program: "mcp-bridge v1", System: "linux/amd64", Server: "https://example.com/mcp", redact: strings.NewReplacer("key", "[secret]").Replace}
	r.ok(stepDNS, nil, "found ü…")
	r.warn(stepTLS, "renew it", nil, "ends soon")
	r.fail(stepHTTP, "look at\nthe URL", nil, "404: the key")
	r.skip("no answer", stepTools)
	for _, test := range []struct {
		style checkStyle
		want  string
	}{
		{checkStyle{}, `ok   name                  found ?...
warn TLS                   ends soon
                           -> renew it
FAIL HTTP                  404: the [secret]
                           -> look at the URL
skip tools                 skipped: no answer

mcp-bridge v1, linux/amd64, https://example.com/mcp: 1 problem, 1 warning; begin with this one: HTTP: 404: the [secret]
`},
		{checkStyle{utf8: true, colour: true}, "\x1b[32m✓\x1b[0m name                  found ü…\n" +
			"\x1b[33m!\x1b[0m TLS                   ends soon\n                        → renew it\n" +
			"\x1b[31m✗\x1b[0m HTTP                  404: the [secret]\n                        → look at the URL\n" +
			"\x1b[2m–\x1b[0m tools                 skipped: no answer\n" +
			"\nmcp-bridge v1, linux/amd64, https://example.com/mcp: 1 problem, 1 warning; begin with this one: HTTP: 404: the [secret]\n"},
	} {
		var out strings.Builder
		r.writeText(&out, test.style)
		if out.String() != test.want {
			t.Errorf("got\n%s\nwant\n%s", out.String(), test.want)
		}
	}
}

func TestDoctorStyleFor(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		env  map[string]string
		utf8 bool
	}{
		{nil, false},
		{map[string]string{"LANG": "de_DE.UTF-8"}, true},
		{map[string]string{"LANG": "en_US.utf8"}, true},
		{map[string]string{"LANG": "de_DE.UTF-8", "LC_CTYPE": "C"}, false},
		{map[string]string{"LANG": "C", "LC_ALL": "C.UTF-8"}, true},
		{map[string]string{"LANG": "de_DE.ISO-8859-1"}, false},
	} {
		got := speaksUTF8(func(name string) string { return test.env[name] })
		if got != (test.utf8 || runtime.GOOS == "windows") {
			t.Errorf("%v: %v, want %v", test.env, got, test.utf8)
		}
	}
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("no terminal to be had")
	}
	defer terminal.Close()
	for _, test := range []struct {
		env  map[string]string
		out  io.Writer
		want bool
	}{
		{nil, terminal, true},
		{map[string]string{"NO_COLOR": "1"}, terminal, false},
		{map[string]string{"TERM": "dumb"}, terminal, false},
		{nil, &bytes.Buffer{}, false},
	} {
		if got := checkStyleFor(test.out, func(name string) string { return test.env[name] }).colour; got != test.want {
			t.Errorf("%v, %T: colour %v, want %v", test.env, test.out, got, test.want)
		}
	}
}

// check runs doctor in both forms, looks whether they are as they must be for any setup, and returns the
// text.
func (s *doctorSetup) check(wantCode int) string {
	s.t.Helper()
	before := s.state()
	code, text, stderr := s.doctor()
	if code != wantCode {
		s.t.Errorf("exit code %d, want %d", code, wantCode)
	}
	code, doc, more := s.doctor("--json")
	var report checkReport
	if err := json.Unmarshal([]byte(doc), &report); err != nil {
		s.t.Fatalf("no JSON: %v: %s%s", err, doc, more)
	}
	var names []string
	for _, step := range report.Steps {
		names = append(names, step.Step)
		if step.Seen == "" || !slices.Contains([]checkResult{checkOK, checkWarning, checkError, checkSkipped}, step.Result) {
			s.t.Errorf("what is this step: %+v", step)
		}
	}
	if code != wantCode || report.OK != (wantCode == 0) || report.Version != 1 || !slices.Equal(names, doctorSteps) {
		s.t.Errorf("exit code %d, %+v", code, report)
	}
	if said := text + doc + stderr + more; strings.Contains(said, "secret-") {
		s.t.Errorf("a secret was told:\n%s", said)
	}
	if stderr+more != "" {
		s.t.Errorf("standard error has %s%s", stderr, more)
	}
	if after := s.state(); after != before {
		s.t.Errorf("something was changed: before\n%s\nafter\n%s", before, after)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second) // the old transport's end with their streams
	defer cancel()
	if s.server.Wait(ctx, func() bool { return s.server.Sessions() == 0 }) != nil {
		s.t.Errorf("%d sessions are left", s.server.Sessions())
	}
	return text
}

// expand replaces what only the running setup knows.
func (s *doctorSetup) expand(want string) string {
	replace := []string{"$URL", s.url, "$HOME", s.home, "$HOST", s.hostPort(), "$ORIGIN", strings.TrimSuffix(s.url, "/mcp")}
	if s.auth != nil {
		replace = append(replace, "$AS", s.auth.URL())
	}
	return strings.NewReplacer(replace...).Replace(want)
}

// hostPort returns host and port of the URL.
func (s *doctorSetup) hostPort() string {
	_, host, _ := strings.Cut(strings.TrimSuffix(s.url, "/mcp"), "://")
	return host
}
