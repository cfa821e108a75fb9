package bridge_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"mcp-bridge/bridge"
	"mcp-bridge/bridge/bridgetest"
)

// A proxy that refuses, or is not there, is named as what it is.
func TestW1_ProxyErrors(t *testing.T) {
	t.Parallel()
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Proxy-Authenticate", "Basic")
		w.WriteHeader(http.StatusProxyAuthRequired)
	}))
	t.Cleanup(refusing.Close)
	nobody := "http://" + nobodyAt(t)
	for name, tt := range map[string]struct {
		proxy, target string
		says          []string
	}{
		"407, https":    {refusing.URL, "https://mcp.example/mcp", []string{"https://mcp.example/mcp", "proxy"}},
		"407, http":     {refusing.URL, "http://mcp.example/mcp", []string{"http://mcp.example/mcp", "407", "proxy"}},
		"absent, https": {nobody, "https://mcp.example/mcp", []string{"https://mcp.example/mcp", "proxy", "refused"}},
		"absent, http":  {nobody, "http://mcp.example/mcp", []string{"http://mcp.example/mcp", "proxy", "refused"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy, err := url.Parse(tt.proxy)
			if err != nil {
				t.Fatal(err)
			}
			h := startHost(t, bridge.Config{URL: tt.target, HTTPClient: &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy)}}})
			h.send(initialize("1", "2025-11-25"))
			wantFailure(t, h, "1", tt.says...)
			wantNothingMore(t, h)
		})
	}
}

// A certificate that nobody vouches for is named as the cause; with the right authority all works,
// and so does HTTP/2.
func TestW2_Certificates(t *testing.T) {
	t.Parallel()
	mcp := bridgetest.NewServer(bridgetest.Config{Stream: true})
	t.Cleanup(mcp.Close)
	backend, err := url.Parse(mcp.URL())
	if err != nil {
		t.Fatal(err)
	}
	start := func(http2 bool) *httptest.Server {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if http2 != (r.ProtoMajor == 2) {
				t.Errorf("%s over %s", r.Method, r.Proto)
			}
			out := r.Clone(r.Context())
			out.URL.Scheme, out.URL.Host, out.RequestURI, out.Host = backend.Scheme, backend.Host, "", backend.Host
			resp, err := http.DefaultTransport.RoundTrip(out)
			if err != nil {
				w.WriteHeader(http.StatusBadGateway)
				return
			}
			defer resp.Body.Close()
			for name, values := range resp.Header {
				w.Header()[name] = values
			}
			w.WriteHeader(resp.StatusCode)
			_ = http.NewResponseController(w).Flush()
			_, _ = io.Copy(w, resp.Body)
		}))
		s.EnableHTTP2 = http2
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.StartTLS()
		t.Cleanup(func() {
			s.CloseClientConnections()
			s.Close()
		})
		return s
	}
	for name, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(http2)
			pool := x509.NewCertPool()
			pool.AddCert(s.Certificate())
			for _, trusted := range []bool{false, true} {
				config := &tls.Config{}
				if trusted {
					config.RootCAs = pool
				}
				h := startHost(t, bridge.Config{URL: s.URL + "/mcp", HTTPClient: &http.Client{Transport: &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: http2}}})
				h.send(initialize("1", "2025-11-25"))
				if !trusted {
					wantFailure(t, h, "1", s.URL, "certificate")
				} else {
					wantResult(t, h, "1")
					h.send(initialized)
					h.send(callEcho("2"))
					wantResult(t, h, "2")
				}
				wantNothingMore(t, h)
			}
			if mcp.Sessions() > 1 { // that of the other protocol
				t.Errorf("%d sessions are left", mcp.Sessions())
			}
		})
	}
}

// What can't be reached is named, and why.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, and says nothing of HTTP
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	go func() { // ends when the listener is closed
		for {
			c, err := silent.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, "SSH-2.0-OpenSSH_9.9\r\n")
			c.Close()
		}
	}()
	secure := httptest.NewUnstartedServer(nil)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	for name, tt := range map[string]struct {
		target string
		says   []string
	}{
		"no such host":      {"http://mcp.invalid/mcp", []string{"cannot reach http://mcp.invalid/mcp", "no such host"}},
		"no HTTP":           {"http://" + silent.Addr().String() + "/mcp", []string{silent.Addr().String()}},
		"https to http":     {"https://" + silent.Addr().String() + "/mcp", []string{silent.Addr().String()}},
		"http to https":     {strings.Replace(secure.URL, "https", "http", 1) + "/mcp", []string{"400", "HTTPS"}},
		"no scheme we know": {"gopher://127.0.0.1/mcp", []string{"gopher"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := startHost(t, bridge.Config{URL: tt.target})
			h.send(initialize("1", "2025-11-25"))
			wantFailure(t, h, "1", tt.says...)
			wantNothingMore(t, h)
		})
	}
}
