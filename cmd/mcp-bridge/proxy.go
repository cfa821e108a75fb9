package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
)

// useProxy makes --proxy take the place of the standard variables. It goes through them, since
// net/http has the rules of NO_PROXY for those alone, and has to be called before the first
// request, as net/http reads them once.
func (o *options) useProxy() {
	if o.proxy != nil {
		_ = os.Setenv("HTTP_PROXY", o.proxy.String()) // a URL can't be a wrong value
		_ = os.Setenv("HTTPS_PROXY", o.proxy.String())
	}
}

// proxyFor returns the proxy that req has to go through, or nil.
func proxyFor(req *http.Request) (*url.URL, error) {
	if isLoopback(req.URL.Hostname()) { // net/http doesn't know *.localhost
		return nil, nil
	}
	return http.ProxyFromEnvironment(req)
}

// proxyName returns how errors call the proxy of req: where it is, and who says so.
func (o *options) proxyName(req *http.Request, proxy *url.URL) string {
	from := "--proxy"
	if o.proxy == nil {
		from = strings.ToUpper(req.URL.Scheme) + "_PROXY"
		if os.Getenv(from) == "" {
			from = strings.ToLower(from)
		}
	}
	return fmt.Sprintf("proxy %s://%s (from %s)", proxy.Scheme, proxy.Host, from)
}

// proxyDown is what to do when a proxy refuses connections.
const proxyDown = "see whether the proxy runs, or do without it: NO_PROXY names hosts that need none"

// A proxyRefusal is a proxy's answer other than 200 to CONNECT.
type proxyRefusal struct{ status string }

func (e *proxyRefusal) Error() string { return e.status }

func onProxyConnectResponse(_ context.Context, _ *url.URL, _ *http.Request, res *http.Response) error {
	if res.StatusCode != http.StatusOK {
		return &proxyRefusal{res.Status}
	}
	return nil
}

// withProxy says in the error of req that there is this proxy, and whether it is the proxy that
// failed.
func (o *options) withProxy(req *http.Request, proxy *url.URL, err error) error {
	name := o.proxyName(req, proxy)
	if refusal, ok := errors.AsType[*proxyRefusal](err); ok {
		if strings.HasPrefix(refusal.status, "407") {
			return fmt.Errorf("%s: %w; give it a user and password: %s://USER:PASSWORD@%s", name, refusal, proxy.Scheme, proxy.Host)
		}
		return fmt.Errorf("%s: %w", name, refusal)
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		if op.Op == "proxyconnect" {
			reason := withDialWords(op.Err, o.connectTimeout)
			if e, ok := errors.AsType[*dialError](reason); ok && isRefused(e) {
				e.advice = proxyDown
			}
			return fmt.Errorf("%s: %w", name, reason)
		}
		if strings.HasPrefix(op.Op, "socks ") {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return fmt.Errorf("through %s: %w", name, err)
}
