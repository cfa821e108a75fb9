package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"mcp-bridge/auth"
)

// newHTTPClient returns the client that all requests go through.
func newHTTPClient(o *options, log *slog.Logger) *http.Client {
	if name := os.Getenv("NODE_EXTRA_CA_CERTS"); name != "" { // what mcp-remote's users have set
		if err := o.addCAFile(name); err != nil {
			log.Warn("NODE_EXTRA_CA_CERTS is not used", "err", err)
		}
	}
	o.useProxy()
	client := &http.Client{
		Transport: &transport{options: o, Transport: &http.Transport{
			Proxy:                  proxyFor,
			OnProxyConnectResponse: onProxyConnectResponse,
			DialContext:            o.dialBy(auth.DialContext(&net.Dialer{Timeout: o.connectTimeout})),
			TLSClientConfig:        o.tlsConfig(),
			TLSHandshakeTimeout:    o.connectTimeout,
			ForceAttemptHTTP2:      true,
			// With the default of 2, many requests at once would leave each connection but two
			// closed behind them.
			MaxIdleConnsPerHost: 4096,
			IdleConnTimeout:     90 * time.Second,
			// A challenge, a session id and some cookies are far from this. The default is 10 MiB.
			MaxResponseHeaderBytes: 1 << 20,
			// No ResponseHeaderTimeout: a server may hold back the headers of a GET stream until
			// it has something to say, and the bridge has a limit of its own for answers.
			//
			// A connection that died in the machine's sleep is found out by a ping.
			HTTP2: &http.HTTP2Config{SendPingTimeout: 30 * time.Second},
		}},
	}
	if server, err := url.Parse(o.url); err == nil && o.headerCommand != "" {
		o.printedHeader = &headerCommand{command: o.headerCommand, server: server, base: client.Transport, keep: o.redactor.add, timeout: headerCommandTimeout}
		client.Transport = o.printedHeader
	}
	if !o.disableCookies {
		// Load balancers keep a client on one server by a cookie.
		client.Jar = &cookieJar{}
	}
	return client
}

// A dialFunc connects to an address.
type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// dialBy returns dial with what the flags say of it. Names below localhost are this machine's, whatever a
// name server may say (RFC 6761 section 6.3): plain http to them is allowed for that reason.
func (o *options) dialBy(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(address)
		if err == nil && isLoopback(host) && net.ParseIP(host) == nil {
			address = net.JoinHostPort("localhost", port)
		}
		switch {
		case o.ipv4:
			network = "tcp4"
		case o.ipv6:
			network = "tcp6"
		}
		conn, err := dial(ctx, network, address)
		if wrong, ok := errors.AsType[*net.AddrError](err); ok && network != "tcp" {
			version := strings.TrimPrefix(network, "tcp")
			return nil, fmt.Errorf("%s has no IPv%s address; leave --ipv%s out", wrong.Addr, version, version)
		}
		return conn, err
	}
}

// tlsConfig returns the settings of TLS connections, but for RootCAs, which RoundTrip sets.
func (o *options) tlsConfig() *tls.Config {
	cfg := &tls.Config{}
	if o.clientCert != nil {
		// Not cfg.Certificates: of those, only one is sent whose authority the server names, and
		// what it thinks of ours is for the server to say.
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return o.clientCert, nil }
	}
	return cfg
}

// addCAFile adds the certificates in the named PEM file to those that are trusted.
func (o *options) addCAFile(name string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if _, err := x509.ParseCertificate(block.Bytes); block.Type == "CERTIFICATE" && err == nil {
			// One will do; to look at all of a system's takes longer than the whole start.
			o.extraCAs = append(append(o.extraCAs, text...), '\n')
			return nil
		}
	}
	return fmt.Errorf("%s holds no certificate in PEM form", name)
}

// rootCAs returns the certificates that are trusted. Nil means the system's alone.
func (o *options) rootCAs() *x509.CertPool {
	if o.extraCAs == nil {
		return nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // the system has none
	}
	pool.AppendCertsFromPEM(o.extraCAs)
	return pool
}

// A transport is an http.Transport whose errors tell a person more: which proxy was in the way,
// which flag helps.
type transport struct {
	*http.Transport
	options *options
	trust   sync.Once // sets TLSClientConfig.RootCAs
}

func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	// Not before there is need: to read the system's certificates takes as long as a few starts.
	if proxy, _ := proxyFor(req); req.URL.Scheme == "https" || proxy != nil {
		t.trust.Do(func() { t.TLSClientConfig.RootCAs = t.options.rootCAs() })
	}
	res, err := t.Transport.RoundTrip(req)
	if err == nil && res.StatusCode == http.StatusProxyAuthRequired {
		// Only a proxy sends this, here in answer to a request for plain http, which needs no CONNECT.
		_ = res.Body.Close()
		err = &proxyRefusal{res.Status}
	}
	if err == nil {
		return res, nil
	}
	if req.Context().Err() != nil {
		return nil, err
	}
	return nil, t.options.withReason(req, err)
}

// withReason says in the error of req what was in the way, and what helps.
func (o *options) withReason(req *http.Request, err error) error {
	err = o.withClientCertHint(withCAHint(err))
	if proxy, _ := proxyFor(req); proxy != nil {
		return o.withProxy(req, proxy, err)
	}
	return withDialWords(err, o.connectTimeout)
}

// withCAHint adds to the error for a certificate what helps against it.
func withCAHint(err error) error {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); !ok {
		return err
	}
	var (
		wrongHost x509.HostnameError
		invalid   x509.CertificateInvalidError // too old, for instance
	)
	if errors.As(err, &wrongHost) || errors.As(err, &invalid) {
		return err
	}
	return fmt.Errorf("%w; if its authority is one of your own, give that one's certificate by --ca-file", err)
}
