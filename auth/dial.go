package auth

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// DialContext returns a function for http.Transport.DialContext that connects by d, and refuses what can't
// be read off a URL: a name that a server gave and that turns out to be an address of this machine or of
// its network, unless the MCP server itself is there (spec 4.92). It looks at the address that is
// connected to, so that a name that means another one next time is of no use. It holds for requests of a
// Transport of this package; others pass. Behind a proxy the name is the proxy's to resolve, and nothing
// is looked at.
func DialContext(d *net.Dialer) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		e, ok := ctx.Value(errand{}).(errand)
		if !ok || e.isProxy(address) {
			return d.DialContext(ctx, network, address)
		}
		if e.toServer {
			conn, err := d.DialContext(ctx, network, address)
			if err == nil {
				e.place.saw(conn.RemoteAddr())
			}
			return conn, err
		}
		guarded := *d
		guarded.ControlContext = func(ctx context.Context, _, address string, _ syscall.RawConn) error {
			return e.check(ctx, d.Resolver, address)
		}
		return guarded.DialContext(ctx, network, address)
	}
}

// defaultBase is http.DefaultTransport with DialContext.
var defaultBase = sync.OnceValue(func() http.RoundTripper {
	base, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport // the program has put another in its place
	}
	base = base.Clone()
	base.DialContext = DialContext(&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second})
	return base
})

// A placed is a RoundTripper that tells DialContext what its requests are for.
type placed struct {
	http.RoundTripper
	place  *place
	server *url.URL
	own    string // URL that the user has given, not the server; "" if there is none
}

func (p *placed) RoundTrip(req *http.Request) (*http.Response, error) {
	if p.own != "" && req.URL.String() == p.own {
		return p.RoundTripper.RoundTrip(req)
	}
	e := errand{p.place, req.URL.Hostname(), addressOf(req.URL), sameOrigin(req.URL, p.server)}
	resp, err := p.RoundTripper.RoundTrip(req.WithContext(context.WithValue(req.Context(), errand{}, e)))
	if refused, ok := errors.AsType[*MetadataError](err); ok {
		return nil, refused // the way to it tells a person nothing more
	}
	return resp, err
}

// CloseIdleConnections closes connections that no request is using.
func (p *placed) CloseIdleConnections() {
	(&http.Client{Transport: p.RoundTripper}).CloseIdleConnections()
}

// An errand is what a connection is wanted for. Its zero value is its key in a context.
type errand struct {
	place    *place
	host     string
	address  string // host and port of the URL
	toServer bool   // it is a request to the MCP server
}

// isProxy tells whether an address that is to be connected to is not that of the URL. Of a name that is
// written in other letters on its way nobody can tell, and it counts as the URL's.
func (e *errand) isProxy(address string) bool {
	for _, c := range e.host {
		if c > '~' {
			return false
		}
	}
	return address != e.address
}

// check refuses an address of this machine or its network.
func (e *errand) check(ctx context.Context, names *net.Resolver, address string) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if !isInternal(to.Addr()) || e.place.isInternal(ctx, names) {
		return nil
	}
	return private("the server sends sign-in to %s, which is at %s, a private address, while the server itself is not at one", e.host, to.Addr().String())
}

// addressOf returns the address of a URL as an http.Transport has it.
func addressOf(u *url.URL) string {
	port := u.Port()
	if port == "" {
		if port = "80"; u.Scheme == "https" {
			port = "443"
		}
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// A place says where the MCP server is: out there, or on this machine or its network.
type place struct {
	host    string // of the server
	allowed bool   // to send sign-in anywhere
	seen    atomic.Int32
}

// What was seen at the last connection to the server.
const (
	seenNothing int32 = iota
	seenPublic
	seenInternal
)

// saw notes the address of a connection to the server.
func (p *place) saw(address net.Addr) {
	to, err := netip.ParseAddrPort(address.String())
	switch {
	case err != nil:
	case isInternal(to.Addr()):
		p.seen.Store(seenInternal)
	default:
		p.seen.Store(seenPublic)
	}
}

// isKnownInternal tells whether the server is on this machine or its network, by its URL or by the last
// connection to it.
func (p *place) isKnownInternal() bool {
	return p.allowed || isInternalHost(p.host) || p.seen.Load() == seenInternal
}

// isInternal is isKnownInternal, and asks what the server's name means where there was no connection yet.
// All of its addresses have to be such ones then.
func (p *place) isInternal(ctx context.Context, names *net.Resolver) bool {
	if known := p.isKnownInternal(); known || p.seen.Load() != seenNothing {
		return known
	}
	addresses, err := names.LookupNetIP(ctx, "ip", p.host)
	for _, address := range addresses {
		if !isInternal(address) {
			return false
		}
	}
	return err == nil && len(addresses) > 0
}

var (
	// translated is where IPv6 networks put the addresses of IPv4 (RFC 6052 2.1).
	translated = netip.PrefixFrom(netip.AddrFrom16([16]byte{0, 0x64, 0xff, 0x9b}), 96)

	// shared are the addresses of a provider's or a company's own network (RFC 6598).
	shared = netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64}), 10)
)

// isInternal tells whether an address is of this machine or a private network, in whatever way it is
// written.
func isInternal(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if translated.Contains(a) {
		all := a.As16()
		a = netip.AddrFrom4([4]byte(all[12:]))
	}
	if a.Is4() && (a.As4()[0] == 0 || a.As4()[0] >= 240) {
		return true // "this network", broadcast and what is reserved (RFC 1122 3.2.1.3, RFC 1112 4)
	}
	return a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsUnspecified() || a.IsMulticast() || shared.Contains(a)
}
