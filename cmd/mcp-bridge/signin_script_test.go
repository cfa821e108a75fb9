package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"mcp-bridge/auth/authtest"
	"mcp-bridge/bridge/bridgetest"

	"github.com/rogpeppe/go-internal/testscript"
)

// What scripts about signing in can do. It is described in testdata/script/README.md.

// guard puts an authorization server before an MCP server.
func guard(a *authtest.Server, cfg *bridgetest.Config) {
	handle := cfg.Handle
	cfg.Handle = func(w http.ResponseWriter, r *bridgetest.Request) bool {
		return a.Guard(w, r.Request) || handle != nil && handle(w, r)
	}
}

// signInOption obeys an option of the script command server that is about signing in.
func signInOption(ts *testscript.TestScript, cfg *authtest.Config, name, value string) bool {
	without := func(members ...string) {
		if cfg.Metadata == nil {
			cfg.Metadata = authtest.Edit{}
		}
		for _, m := range members {
			cfg.Metadata[m] = authtest.Absent
		}
	}
	switch name {
	case "approve":
		cfg.AutoApprove = true
	case "expires-in":
		seconds, err := strconv.Atoi(value)
		ts.Check(err)
		cfg.Token = authtest.Edit{"expires_in": seconds}
	case "no-refresh":
		cfg.NoRefresh = true
	case "no-revocation":
		without("revocation_endpoint")
	case "no-registration":
		without("registration_endpoint", "client_id_metadata_document_supported")
	case "id-tokens":
		cfg.IDTokens = true
	case "no-discovery":
		cfg.NoChallenge, cfg.ResourceMetadataAt, cfg.MetadataAt = true, []string{}, []string{}
	case "resource-optional":
		cfg.ResourceOptional = true
	case "client":
		id, secret, _ := strings.Cut(value, ":")
		if id == "https" { // the document of a client
			id, secret = value, ""
		}
		cfg.Clients = append(cfg.Clients, authtest.Client{ID: id, Secret: secret})
	case "key-client":
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		ts.Check(err)
		der, err := x509.MarshalPKCS8PrivateKey(key)
		ts.Check(err)
		file := ts.MkAbs("key.pem")
		ts.Check(os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
		ts.Setenv("KEY", file)
		cfg.Clients = append(cfg.Clients, authtest.Client{ID: value, Key: key.Public()})
	case "dpop":
		cfg.DPoPRequired, cfg.DPoPNonces = true, true
	case "idp", "platform":
		vouchFor(ts, cfg, name, value)
	default:
		return false
	}
	return true
}

// vouchFor starts somebody whom the authorization server believes: an identity provider that knows the user
// jane and a client, or the platform of a workload. What it says is in a file.
func vouchFor(ts *testscript.TestScript, cfg *authtest.Config, name, value string) {
	id, secret, _ := strings.Cut(value, ":")
	a := authtest.NewServer(authtest.Config{Clients: []authtest.Client{{ID: id, Secret: secret}}, IDJAG: authtest.Edit{"client_id": "app"}})
	ts.Defer(a.Close)
	cfg.Issuers = map[string]crypto.PublicKey{a.URL(): a.Key()}
	if name == "idp" {
		ts.Setenv("IDP", a.URL()+"/token")
		ts.Check(os.WriteFile(ts.MkAbs("id-token"), []byte(a.IDToken(id, "jane")+"\n"), 0o600))
		return
	}
	worldOf(ts).platform = a
}

// writeWorkloadToken has the platform say for an authorization server who the workload is.
func writeWorkloadToken(ts *testscript.TestScript, platform *authtest.Server, audience string) {
	token := platform.Sign("", time.Hour, map[string]any{"sub": "workload-1", "aud": audience})
	ts.Check(os.WriteFile(ts.MkAbs("workload-token"), []byte(token+"\n"), 0o600))
}

// cmdAuthority has something happen at the authorization server:
//
//	authority forgets-clients | revokes-access-tokens | revokes-all | renews-nonces
func cmdAuthority(ts *testscript.TestScript, neg bool, args []string) {
	a := worldOf(ts).auth
	switch strings.Join(args, " ") {
	case "forgets-clients":
		a.ForgetClients()
	case "revokes-access-tokens":
		a.RevokeAccessTokens()
	case "revokes-all":
		a.RevokeAll()
	case "renews-nonces":
		a.RenewNonces()
	default:
		ts.Fatalf("usage: authority forgets-clients | revokes-access-tokens | revokes-all | renews-nonces")
	}
}

// cmdAsked looks for a regular expression in what the authorization server has got so far, as
// cmdReceived does in what the MCP server has got.
func cmdAsked(ts *testscript.TestScript, neg bool, args []string) {
	var all bytes.Buffer
	for _, r := range worldOf(ts).auth.Requests() {
		fmt.Fprintf(&all, "%s %s\n", r.Method, r.RequestURI)
		_ = r.Header.Write(&all)
		fmt.Fprintf(&all, "\n%s\n\n", r.Body)
	}
	look(ts, neg, args, all.String())
}

// cmdCounted wants the authorization server to have got a certain number of requests so far:
//
//	counted N METHOD PATH [GRANT_TYPE]
func cmdCounted(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: counted N METHOD PATH [GRANT_TYPE]")
	}
	name := strings.Join(args[1:], " ")
	if got := strconv.Itoa(worldOf(ts).auth.Count(name)); got != args[0] {
		ts.Fatalf("%s requests named %s, not %s", got, name, args[0])
	}
}

// These variables name files of the fake browser's, one in the folder of each script.
const (
	browserOpened = "FAKE_BROWSER_OPENED" // the addresses that it was called with, one a line
	browserShown  = "FAKE_BROWSER_SHOWN"  // the pages that it ended at
)

// fakeBrowser is a browser with somebody before it who presses Allow, or does what $FAKE_BROWSER
// says. It is noisy on its standard output, as browsers are.
func fakeBrowser() {
	fmt.Println("the browser says hello")
	page := os.Args[len(os.Args)-1]
	appendTo(os.Getenv(browserOpened), page+"\n")
	b := new(authtest.Browser)
	switch os.Getenv("FAKE_BROWSER") {
	case "":
	case "deny":
		b.Deny = true
	case "ignore":
		return
	default:
		panic("what is $FAKE_BROWSER?")
	}
	// It leaves in any case: whoever reads our standard error would wait for us.
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	end, err := b.Visit(ctx, page)
	if err != nil {
		end.Body = err.Error()
	}
	appendTo(os.Getenv(browserShown), fmt.Sprintf("%d\n%s\n", end.Status, end.Body))
}

func appendTo(file, text string) {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		panic(err)
	}
}

// openedPages returns the addresses in the fake browser's file.
func openedPages(file string) ([]string, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return strings.Fields(string(text)), err
}

// cmdOpened wants the browser to have been opened a certain number of times so far.
func cmdOpened(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: opened N")
	}
	pages, err := openedPages(ts.Getenv(browserOpened))
	ts.Check(err)
	if strconv.Itoa(len(pages)) != args[0] {
		ts.Fatalf("the browser was opened %d times, not %s: %q", len(pages), args[0], pages)
	}
}

// cmdShown looks for a regular expression in the pages that the browser ended at so far, each after
// a line with its HTTP status.
func cmdShown(ts *testscript.TestScript, neg bool, args []string) {
	text, err := os.ReadFile(ts.Getenv(browserShown))
	ts.Check(err)
	look(ts, neg, args, string(text))
}

// cmdPort sets a variable to a port that is free, or is taken until the script's end:
//
//	port free|taken VARIABLE
func cmdPort(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 || args[0] != "free" && args[0] != "taken" {
		ts.Fatalf("usage: port free|taken VARIABLE")
	}
	l, err := listenApart()
	ts.Check(err)
	ts.Setenv(args[1], strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	if args[0] == "free" {
		l.Close()
		return
	}
	ts.Defer(func() { l.Close() })
}

// listenApart listens on a port that the system gives to nobody by itself, as it would one that it
// has just got back.
func listenApart() (l net.Listener, err error) {
	for range 100 {
		port := 20000 + mathrand.IntN(12000)
		if l, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			return l, nil
		}
	}
	return nil, err
}
