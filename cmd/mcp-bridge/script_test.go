package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"mcp-bridge/auth/authtest"
	"mcp-bridge/bridge/bridgetest"

	"github.com/rogpeppe/go-internal/testscript"
)

// scriptCommands are what scripts can do beside the commands of package testscript. They are
// described in testdata/script/README.md.
var scriptCommands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"server":   cmdServer,
	"proxy":    cmdProxy,
	"talk":     cmdTalk,
	"exits":    cmdExits,
	"received": cmdReceived,
	"proxied":  cmdProxied,
	"relayed":  cmdRelayed,
	"config":   cmdConfig,
	"keychain": cmdKeychain,
	"hosted":   cmdHosted,
	"fill":     cmdFill,

	"authority": cmdAuthority,
	"asked":     cmdAsked,
	"counted":   cmdCounted,
	"opened":    cmdOpened,
	"shown":     cmdShown,
	"port":      cmdPort,
}

// A world is what a script has started.
type world struct {
	server *bridgetest.Server
	auth   *authtest.Server // its authorization server, or nil
	addr   string           // where the server listens
	proxy  *proxy

	keychain *keychain        // or nil
	platform *authtest.Server // of workloads, or nil
}

type worldKey struct{}

func worldOf(ts *testscript.TestScript) *world { return ts.Value(worldKey{}).(*world) }

// cmdServer starts an MCP server:
//
//	server [sse] [stream] [stateless] [httpsse] [modern] [tls [client-cert]] [cookie] [wears-out=N] [silent] [status=CODE] [answers=FILE]
//	       [signin [approve] [expires-in=SECONDS] [no-refresh] [no-revocation] [no-registration]
//	               [resource-optional] [id-tokens] [no-discovery] [client=ID[:SECRET]] [key-client=ID]
//	               [dpop] [idp=ID[:SECRET]] [platform]]
func cmdServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("unsupported: ! server")
	}
	var cfg bridgetest.Config
	scheme := "http"
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	cfg.Listener = l
	var signIn *authtest.Config
	tlsConfig := new(tls.Config)
	for _, arg := range args {
		name, value, _ := strings.Cut(arg, "=")
		switch name {
		case "sse":
			cfg.SSE = true
		case "stream":
			cfg.Stream = true
		case "stateless":
			cfg.Stateless = true
		case "modern":
			cfg.Versions = bridgetest.Modern
		case "httpsse":
			cfg.HTTPSSE = true
		case "status":
			code, err := strconv.Atoi(value)
			ts.Check(err)
			cfg.Handle = func(w http.ResponseWriter, _ *bridgetest.Request) bool {
				http.Error(w, "no luck today", code)
				return true
			}
		case "answers":
			file := ts.MkAbs(value)
			cfg.Handle = func(w http.ResponseWriter, r *bridgetest.Request) bool { return answerFrom(file, w, r) }
		case "cookie":
			cfg.Handle = func(w http.ResponseWriter, _ *bridgetest.Request) bool {
				http.SetCookie(w, &http.Cookie{Name: "node", Value: "n1"})
				return false
			}
		case "wears-out":
			times, err := strconv.Atoi(value)
			ts.Check(err)
			cfg.Handle = wearOut(times)
		case "silent":
			cfg.Listener = silentListener{l}
		case "tls":
			scheme = "https"
			cert, ca := testCertificate()
			tlsConfig.Certificates = []tls.Certificate{cert}
			cfg.Listener = tls.NewListener(l, tlsConfig)
			file := ts.MkAbs("ca.pem")
			ts.Check(os.WriteFile(file, ca, 0o600))
			ts.Setenv("CA", file)
		case "client-cert":
			tlsConfig.ClientAuth, tlsConfig.ClientCAs = tls.RequireAndVerifyClientCert, writeClientCert(ts)
			cfg.Listener = tlsListener{l, tlsConfig}
		case "signin":
			signIn = new(authtest.Config)
		default:
			if signIn == nil || !signInOption(ts, signIn, name, value) {
				ts.Fatalf("unknown option %s", arg)
			}
		}
	}
	w := worldOf(ts)
	if signIn != nil {
		w.auth = authtest.NewServer(*signIn)
		ts.Setenv("AUTHORITY", w.auth.URL())
		ts.Defer(w.auth.Close)
		if w.platform != nil {
			writeWorkloadToken(ts, w.platform, w.auth.URL())
		}
		guard(w.auth, &cfg)
	}
	server := bridgetest.NewServer(cfg)
	ts.Defer(server.Close)
	w.server, w.addr = server, l.Addr().String()
	_, port, err := net.SplitHostPort(w.addr)
	ts.Check(err)
	ts.Setenv("PORT", port)
	ts.Setenv("SERVER", scheme+"://"+strings.TrimPrefix(server.URL(), "http://"))
}

// wearOut takes each Authorization header so many times, and answers 401 from then on, with what it
// got.
func wearOut(times int) func(http.ResponseWriter, *bridgetest.Request) bool {
	var mu sync.Mutex
	taken := make(map[string]int)
	return func(w http.ResponseWriter, r *bridgetest.Request) bool {
		given := r.Header.Get("Authorization")
		mu.Lock()
		defer mu.Unlock()
		taken[given]++
		if given == "" || taken[given] > times {
			http.Error(w, "worn out: "+given+r.Header.Get("X-Key"), http.StatusUnauthorized)
			return true
		}
		return false
	}
}

// answerFrom answers a request with the result that a file has for it: on a line METHOD RESULT, or for
// later pages of a list METHOD CURSOR RESULT, all in JSON but for the method. It returns false if there
// is none. The file is read again each time.
func answerFrom(file string, w http.ResponseWriter, r *bridgetest.Request) bool {
	text, err := os.ReadFile(file)
	if err != nil || r.ID == nil {
		return false
	}
	var params struct{ Cursor json.RawMessage }
	_ = json.Unmarshal(r.Params, &params)
	want := r.Method + " "
	if params.Cursor != nil {
		want += string(params.Cursor) + " "
	}
	for line := range strings.Lines(string(text)) {
		if result, ok := strings.CutPrefix(line, want); ok {
			r.Answer(w, strings.TrimSpace(result))
			return true
		}
	}
	return false
}

// A silentListener takes connections, and reads and writes nothing.
type silentListener struct{ net.Listener }

func (l silentListener) Accept() (net.Conn, error) {
	var held []net.Conn
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			for _, c := range held {
				c.Close()
			}
			return nil, err
		}
		held = append(held, c)
	}
}

// testCertificate returns the certificate of net/http/httptest, which is valid for 127.0.0.1 and
// example.com, and itself in PEM form, since it is its own authority.
func testCertificate() (cert tls.Certificate, ca []byte) {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	return s.TLS.Certificates[0], pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}

// A proxy takes every host for the script's server.
type proxy struct {
	addr   string // of that server
	status int    // with which it refuses everything; 0: it doesn't

	mu   sync.Mutex
	seen strings.Builder // a dump of each request's head
}

// cmdProxy starts an HTTP or SOCKS5 proxy in front of the script's server:
//
//	proxy [socks|status=CODE]
func cmdProxy(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 1 {
		ts.Fatalf("usage: proxy [socks|status=CODE]")
	}
	w := worldOf(ts)
	w.proxy = &proxy{addr: w.addr}
	if len(args) == 1 && args[0] == "socks" {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		ts.Defer(func() { l.Close() })
		go w.proxy.serveSOCKS(l) // ends when l is closed
		ts.Setenv("PROXY", "socks5://"+l.Addr().String())
		ts.Setenv("PROXY_ADDR", l.Addr().String())
		return
	}
	if len(args) == 1 {
		var err error
		w.proxy.status, err = strconv.Atoi(strings.TrimPrefix(args[0], "status="))
		ts.Check(err)
	}
	s := httptest.NewServer(w.proxy)
	ts.Defer(s.Close)
	ts.Setenv("PROXY", s.URL)
	ts.Setenv("PROXY_ADDR", s.Listener.Addr().String())
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	fmt.Fprintf(&p.seen, "%s %s\n", r.Method, r.RequestURI)
	_ = r.Header.Write(&p.seen)
	p.mu.Unlock()

	switch {
	case p.status != 0:
		http.Error(w, "not here", p.status)
	case r.Method == http.MethodConnect:
		p.tunnel(w)
	default:
		(&httputil.ReverseProxy{
			Rewrite:  func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: p.addr}) },
			ErrorLog: log.New(io.Discard, "", 0),
		}).ServeHTTP(w, r)
	}
}

// tunnel connects a CONNECT request with the server.
func (p *proxy) tunnel(w http.ResponseWriter) {
	server, err := net.Dial("tcp", p.addr)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer server.Close()
	client, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer client.Close()
	_, _ = io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n")
	join(client, server)
}

// join copies what comes from each connection to the other, until one of them is closed, and closes
// both.
func join(client, server net.Conn) {
	// Ends when one of the two connections is closed, at the latest by us.
	go func() {
		_, _ = io.Copy(server, client)
		server.Close()
	}()
	_, _ = io.Copy(client, server)
}

// cmdConfig makes a file the one with the settings of named servers:
//
//	config FILE
//
// @VAR@ in it stands for an environment variable.
func cmdConfig(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: config FILE")
	}
	text := regexp.MustCompile(`@[A-Z_]+@`).ReplaceAllStringFunc(ts.ReadFile(args[0]), func(name string) string {
		return ts.Getenv(strings.Trim(name, "@"))
	})
	home := ts.Getenv("MCP_BRIDGE_HOME")
	ts.Check(os.MkdirAll(home, 0o700))
	ts.Check(os.WriteFile(filepath.Join(home, serversFileName), []byte(text), 0o600))
}

// cmdTalk has a conversation with a program. See converse.
func cmdTalk(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: talk FILE COMMAND [ARG...]")
	}
	err := ts.Exec("converse", args...)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == badConversation {
		ts.Fatalf("the conversation went wrong")
	}
	if neg == (err == nil) {
		ts.Fatalf("unexpected end of the command: %v", err)
	}
}

// cmdExits runs a program that has to exit with a certain code:
//
//	exits CODE COMMAND [ARG...]
func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND [ARG...]")
	}
	code := "0"
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		code = strconv.Itoa(exit.ExitCode())
	}
	if code != args[0] {
		ts.Fatalf("exit code %s, not %s", code, args[0])
	}
}

// cmdReceived looks for a regular expression in what the server has got so far: the heads of all
// requests, one header a line, each followed by its body.
func cmdReceived(ts *testscript.TestScript, neg bool, args []string) {
	var all bytes.Buffer
	for _, r := range worldOf(ts).server.Requests() {
		fmt.Fprintf(&all, "%s %s\nHost: %s\n", r.Request.Method, r.RequestURI, r.Host)
		_ = r.Header.Write(&all)
		fmt.Fprintf(&all, "\n%s\n\n", r.Body)
	}
	look(ts, neg, args, all.String())
}

// cmdProxied looks for a regular expression in the requests that the proxy has got so far.
func cmdProxied(ts *testscript.TestScript, neg bool, args []string) {
	p := worldOf(ts).proxy
	p.mu.Lock()
	defer p.mu.Unlock()
	look(ts, neg, args, p.seen.String())
}

func look(ts *testscript.TestScript, neg bool, args []string, text string) {
	if len(args) != 1 {
		ts.Fatalf("usage: received or proxied REGEXP")
	}
	text = strings.ReplaceAll(text, "\r", "")
	re, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	if re.MatchString(text) == neg {
		ts.Fatalf("match for %q: %t, in\n%s", args[0], neg, text)
	}
}

// cmdRelayed wants the methods of the messages, or else of the requests, that the server has got
// so far to be these, in this order.
func cmdRelayed(ts *testscript.TestScript, neg bool, args []string) {
	var got []string
	for _, r := range worldOf(ts).server.Requests() {
		got = append(got, r.String())
	}
	if slices.Equal(got, args) == neg {
		ts.Fatalf("the server got %q", got)
	}
}
