package auth_test

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"mcp-bridge/auth"
	"mcp-bridge/auth/authtest"
)

// A nameServer answers what the addresses of a name are.
type nameServer struct {
	mu    sync.Mutex
	names map[string]string // addresses by name, with spaces between
}

// resolver returns a resolver that asks it. It is an honest one, of the standard library.
func (n *nameServer) resolver(t *testing.T) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() { // ends when conn is closed
		question := make([]byte, 512)
		for {
			size, from, err := conn.ReadFrom(question)
			if err != nil {
				return
			}
			_, _ = conn.WriteTo(n.answer(question[:size]), from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// answer answers a question (RFC 1035 4) for A; there are no others.
func (n *nameServer) answer(question []byte) []byte {
	var labels []string
	at := 12
	for ; question[at] != 0; at += int(question[at]) + 1 {
		labels = append(labels, string(question[at+1:at+1+int(question[at])]))
	}
	end := at + 5
	answer := append([]byte(nil), question[:end]...)
	binary.BigEndian.PutUint16(answer[2:], 0x8180) // an answer without error
	clear(answer[6:12])
	if kind := binary.BigEndian.Uint16(question[at+1:]); kind != 1 {
		return answer
	}
	addresses := n.addresses(strings.ToLower(strings.Join(labels, ".")))
	binary.BigEndian.PutUint16(answer[6:], uint16(len(addresses)))
	for _, address := range addresses {
		answer = append(answer, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
		answer = append(answer, netip.MustParseAddr(address).AsSlice()...)
	}
	return answer
}

func (n *nameServer) addresses(name string) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Fields(n.names[name])
}

// set gives a name other addresses.
func (n *nameServer) set(name, addresses string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.names[name] = addresses
}

// A worldFixture is an MCP server at https://mcp.example and an authorization server at
// https://as.example, by names that a name server gives addresses. The MCP server is behind a proxy, so
// that it can be out there; the authorization server is not.
type worldFixture struct {
	*fixture
	port string // of the authorization server
	dial func(ctx context.Context, network, address string) (net.Conn, error)
}

func setupWorld(t *testing.T, names *nameServer, client func(*auth.Config)) *worldFixture {
	t.Helper()
	f := setup(t, nil, nil)
	mcp := httptest.NewTLSServer(http.HandlerFunc(f.serve))
	t.Cleanup(mcp.Close)
	as := httptest.NewTLSServer(f.as)
	t.Cleanup(as.Close)
	proxy := httptest.NewServer(tunnel(mcp.Listener.Addr().String()))
	t.Cleanup(proxy.Close)
	proxyURL, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	w := &worldFixture{fixture: f, dial: auth.DialContext(&net.Dialer{Timeout: 10 * time.Second, Resolver: names.resolver(t)})}
	_, w.port, _ = net.SplitHostPort(as.Listener.Addr().String())
	issuer := "https://as.example:" + w.port
	f.as.Set(func(c *authtest.Config) {
		c.ResourceMetadata = authtest.Edit{"authorization_servers": []string{issuer}}
	})
	base := &http.Transport{
		DialContext:     w.dial,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // names of the test have no certificate
		Proxy: func(req *http.Request) (*url.URL, error) {
			if req.URL.Hostname() == "mcp.example" {
				return proxyURL, nil
			}
			return nil, nil
		},
	}
	t.Cleanup(base.CloseIdleConnections)
	browsing := newNetwork(map[string]string{"as.example": as.Listener.Addr().String()})
	t.Cleanup(browsing.CloseIdleConnections)
	f.browser.Transport = browsing
	f.url, f.origin = "https://mcp.example/mcp", "https://mcp.example"
	f.again(func(c *auth.Config) {
		c.ServerURL, c.Base = f.url, base
		if client != nil {
			client(c)
		}
	})
	return w
}

// tunnel is a proxy that connects everything to one address.
func tunnel(to string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		there, err := net.Dial("tcp", to)
		if err != nil {
			return
		}
		defer there.Close()
		here, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer here.Close()
		_, _ = here.Write([]byte("HTTP/1.1 200 OK\r\n\r\n"))
		go func() { // ends with either connection
			defer there.Close()
			_, _ = io.Copy(there, here)
		}()
		_, _ = io.Copy(here, there)
	})
}

// Spec 4.92: a name that a server gives may stand for this machine or its network, and may do so only
// once it is connected to.
func TestD9_PrivateAddressesByName(t *testing.T) {
	t.Parallel()
	const public, local = "203.0.113.7", "127.0.0.1"
	for _, test := range []struct {
		name    string
		mcp, as string
		allow   bool
		good    bool
	}{
		{name: "loopback", mcp: public, as: local},
		{name: "metadata of a cloud", mcp: public, as: "169.254.169.254"},
		{name: "private network", mcp: public, as: "10.0.0.1"},
		{name: "shared network", mcp: public, as: "100.100.100.200"},
		{name: "several", mcp: public, as: "192.168.0.1 172.16.0.1"},
		{name: "a server that is half there", mcp: public + " 10.0.0.1", as: local},
		{name: "a server that nobody knows", as: local},
		{name: "the server is there too", mcp: "10.0.0.1", as: local, good: true},
		{name: "allowed", mcp: public, as: local, allow: true, good: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := setupWorld(t, &nameServer{names: map[string]string{"mcp.example": test.mcp, "as.example": test.as}},
				func(c *auth.Config) { c.AllowPrivate = test.allow })
			err := w.call()
			if test.good {
				if err != nil {
					t.Fatalf("%v\n%s", err, w.story())
				}
				return
			}
			wantError(t, err, "as.example", "private address")
			if asked := w.asked(); len(asked) > 0 || w.tabs() > 0 {
				t.Errorf("it was asked: %q, %d pages", asked, w.tabs())
			}
		})
	}
}

// A name that means something else after it has been looked at is of no use: each connection counts. What
// can't be reached for such a reason costs nobody the login.
func TestD9_Rebinding(t *testing.T) {
	t.Parallel()
	names := &nameServer{names: map[string]string{"mcp.example": "10.0.0.1", "as.example": "127.0.0.1"}}
	w := setupWorld(t, names, nil)
	w.mustCall() // all is well: the server is in the same network
	before := len(w.asked())
	names.set("mcp.example", "203.0.113.7")
	w.as.RevokeAccessTokens()
	w.transport.CloseIdleConnections() // one that was made when all was well is good
	wantError(t, w.call(), "as.example", "private address")
	if asked := w.asked(); len(asked) > before {
		t.Errorf("it was asked: %q", asked[before:])
	}
	names.set("mcp.example", "10.0.0.1")
	w.mustCall()
	if w.tabs() != 1 {
		t.Errorf("%d pages were opened", w.tabs())
	}
}

// The user may name a token endpoint that is at a private address: nobody else has.
func TestD9_TokenEndpointOfTheUser(t *testing.T) {
	t.Parallel()
	w := setupWorld(t, &nameServer{names: map[string]string{"mcp.example": "203.0.113.7", "as.example": "127.0.0.1"}}, nil)
	w.as.Set(func(c *authtest.Config) { c.Clients = []authtest.Client{{ID: "app", Secret: "secret-app"}} })
	w.again(func(c *auth.Config) {
		c.ClientCredentials, c.ClientID, c.ClientSecret = true, "app", "secret-app"
		c.TokenEndpoint, c.Resource = "https://as.example:"+w.port+"/token", w.url
	})
	w.mustCall()
}

// What is no business of a Transport's connects as ever.
func TestDialContextAlone(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	client := &http.Client{Transport: &http.Transport{DialContext: auth.DialContext(&net.Dialer{})}}
	defer client.CloseIdleConnections()
	resp, err := client.Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
}
