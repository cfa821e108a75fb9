package main

import (
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// The client speaks HTTP/2 where the server does, and trusts the extra certificates beside it.
func TestHTTP2(t *testing.T) {
	t.Setenv("NODE_EXTRA_CA_CERTS", "")
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Proto)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()

	file := filepath.Join(t.TempDir(), "ca.pem")
	text := append([]byte("What is no certificate is skipped.\n"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})...)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	o := options{connectTimeout: time.Minute}
	if err := o.addCAFile(file); err != nil {
		t.Fatal(err)
	}
	client := newHTTPClient(&o, slog.New(slog.DiscardHandler))
	defer client.CloseIdleConnections()
	res, err := client.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); err != nil || string(body) != "HTTP/2.0" {
		t.Errorf("got %q and the error %v", body, err)
	}
}
