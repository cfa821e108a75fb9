package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"mcp-bridge/auth"
)

// The authorization server is shown the certificate as the MCP server is.
func TestClientCertIsForTheAuthorizationServerToo(t *testing.T) {
	t.Setenv("NODE_EXTRA_CA_CERTS", "")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "client"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	serve := func(h http.HandlerFunc) *httptest.Server {
		s := httptest.NewUnstartedServer(h)
		s.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
		s.StartTLS()
		t.Cleanup(s.Close)
		return s
	}
	var shown atomic.Int32
	authority := serve(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS.PeerCertificates[0].Subject.CommonName == "client" {
			shown.Add(1)
		}
		http.NotFound(w, r)
	})
	var server *httptest.Server
	server = serve(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/mcp" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"resource":%q,"authorization_servers":[%q]}`, server.URL+"/mcp", authority.URL)
	})

	o := options{url: server.URL + "/mcp", connectTimeout: time.Minute,
		clientCert: &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		extraCAs:   pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})}
	log := slog.New(slog.DiscardHandler)
	client := newHTTPClient(&o, log)
	defer client.CloseIdleConnections()
	cfg := o.authConfig(client.Transport, log)
	cfg.Storage = &auth.MemoryStorage{}
	login, err := o.newAuthTransport(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer login.Close()
	if err := login.Login(t.Context()); err == nil {
		t.Error("signed in at an authorization server that says nothing")
	}
	if shown.Load() == 0 {
		t.Error("the authorization server has not seen the certificate")
	}
}
