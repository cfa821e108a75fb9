package auth_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"

	"mcp-bridge/auth"
	"mcp-bridge/auth/authtest"
)

// A network is a transport that notes whom it is asked to call, and knows names that lead to
// servers of the test.
type network struct {
	http.Transport
	names map[string]string // addresses by host name

	mu     sync.Mutex
	called []string
}

func newNetwork(names map[string]string) *network {
	n := &network{names: names}
	n.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // names of the test have no certificate
	n.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		if to, ok := n.names[host]; ok {
			address = to
		} else if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return nil, fmt.Errorf("%s is not in this network", host)
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	return n
}

func (n *network) RoundTrip(req *http.Request) (*http.Response, error) {
	n.mu.Lock()
	n.called = append(n.called, req.URL.Hostname())
	n.mu.Unlock()
	return n.Transport.RoundTrip(req)
}

func (n *network) hosts() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.called)
}

func (n *network) asked(host string) bool { return slices.Contains(n.hosts(), host) }

// watchNet makes the Transport's requests seen.
func (f *fixture) watchNet() *network {
	n := newNetwork(nil)
	f.t.Cleanup(n.CloseIdleConnections)
	f.again(func(c *auth.Config) { c.Base = n })
	return n
}

// public puts the MCP server at https://mcp.example and the authorization server at
// https://as.example.
func (f *fixture) public() *network {
	mcp := httptest.NewTLSServer(http.HandlerFunc(f.serve))
	f.t.Cleanup(mcp.Close)
	as := httptest.NewTLSServer(f.as)
	f.t.Cleanup(as.Close)
	names := map[string]string{"mcp.example": mcp.Listener.Addr().String(), "as.example": as.Listener.Addr().String()}
	n, browsing := newNetwork(names), newNetwork(names)
	f.t.Cleanup(n.CloseIdleConnections)
	f.t.Cleanup(browsing.CloseIdleConnections)
	f.as.Set(func(c *authtest.Config) {
		c.ResourceMetadata = authtest.Edit{"authorization_servers": []string{"https://as.example"}}
	})
	f.browser.Transport = browsing
	f.url, f.origin = "https://mcp.example/mcp", "https://mcp.example"
	f.again(func(c *auth.Config) { c.ServerURL, c.Base = f.url, n })
	return n
}
