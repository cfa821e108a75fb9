package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"
)

const (
	certificateSoon = 14 * 24 * time.Hour // before its end a certificate should be renewed
	dateLayout      = "2006-01-02 15:04 MST"
)

// checkNetwork says how the first request got to the server: name, connection, proxy, TLS.
func (c *checkup) checkNetwork() {
	seen := c.wire.sight()
	at, err := url.Parse(c.o.url)
	if err != nil {
		return // it has been parsed before
	}
	proxy := ""
	if seen.proxy != nil {
		proxy = c.o.proxyName(&http.Request{URL: at}, seen.proxy)
	}
	c.checkName(seen, at, proxy)
	if c.result(stepDNS) == checkError {
		c.skip("there is no address to connect to", stepTCP, stepProxy, stepTLS)
		return
	}
	c.checkConnection(seen, proxy)
	if c.result(stepTCP) == checkError {
		c.skip("there is no connection", stepProxy, stepTLS)
		return
	}
	c.checkProxy(seen, at, proxy)
	if c.result(stepProxy) == checkError {
		c.skip("the proxy does not connect to the server", stepTLS)
		return
	}
	c.checkTLS(seen, at)
}

func (c *checkup) checkName(seen wireSight, at *url.URL, proxy string) {
	host := at.Hostname()
	whose := ""
	if seen.proxy != nil {
		host, whose = seen.proxy.Hostname(), ", where the proxy is; the server's name is looked up by the proxy"
	}
	facts := map[string]any{"host": host}
	switch d := seen.dns; {
	case d == nil && net.ParseIP(host) != nil:
		c.ok(stepDNS, facts, "%s is an address%s", host, whose)
	case d == nil && len(seen.tcp) == 0:
		c.skip("no connection was tried", stepDNS)
	case d == nil:
		c.ok(stepDNS, facts, "%s is known%s", host, whose)
	case d.err == nil:
		facts["addresses"] = d.addresses
		c.ok(stepDNS, facts, "%s is %s%s", host, strings.Join(d.addresses, ", "), whose)
	default:
		if proxy != "" {
			host += ", the " + proxy
		}
		text, advice := lookupWords(host, d.err)
		c.fail(stepDNS, advice, facts, "%s", text)
	}
}

func (c *checkup) checkConnection(seen wireSight, proxy string) {
	to := ""
	if proxy != "" {
		to = ", the " + proxy
	}
	var failed []string
	var last tcpSight
	for _, try := range seen.tcp {
		if try.err == nil {
			text := ""
			if len(failed) > 0 {
				text = " (not to " + strings.Join(failed, ", ") + ")"
			}
			c.ok(stepTCP, map[string]any{"address": try.address}, "connected to %s%s%s", try.address, to, text)
			return
		}
		failed = append(failed, try.address)
		last = try
	}
	facts := map[string]any{"addresses": failed}
	switch {
	case len(seen.tcp) == 0 && c.look.Err == nil:
		c.ok(stepTCP, nil, "connected")
	case len(seen.tcp) == 0:
		c.fail(stepTCP, "", nil, "there is no connection: %s", plainText(c.look.Err))
	default:
		text, advice := connectWords(strings.Join(failed, ", "), last.err, c.o.connectTimeout)
		if proxy != "" && isRefused(last.err) {
			advice = proxyDown
		}
		c.fail(stepTCP, advice, facts, "%s%s", text, to)
	}
}

func (c *checkup) checkProxy(seen wireSight, at *url.URL, proxy string) {
	if proxy == "" {
		c.ok(stepProxy, nil, "none on the way")
		return
	}
	facts := map[string]any{"proxy": seen.proxy.Scheme + "://" + seen.proxy.Host}
	refusal, refused := errors.AsType[*proxyRefusal](c.look.Err)
	op, isOp := errors.AsType[*net.OpError](c.look.Err)
	switch {
	case refused:
		advice := "ask those who run the proxy to let " + at.Host + " through, or do without it: NO_PROXY names hosts that need none"
		if strings.HasPrefix(refusal.status, "407") {
			advice = "the proxy wants to know who you are: put user and password into its URL"
		}
		c.fail(stepProxy, advice, facts, "the %s refuses the way to the server: %s", proxy, refusal.status)
	case isOp && (op.Op == "proxyconnect" || strings.HasPrefix(op.Op, "socks ")), !seen.conn && seen.tls == nil && c.look.Err != nil:
		c.fail(stepProxy, "see whether its URL is right, scheme and port too", facts, "%s", plainText(c.look.Err))
	default:
		c.ok(stepProxy, facts, "through the %s", proxy)
	}
}

func (c *checkup) checkTLS(seen wireSight, at *url.URL) {
	switch {
	case at.Scheme == "http" && isLoopback(at.Hostname()):
		c.ok(stepTLS, nil, "none, on this machine")
	case at.Scheme == "http":
		c.warn(stepTLS, "use https, if the server can", nil, "none: whoever is on the way can read and change everything")
	case seen.tls == nil && c.look.Err != nil && isTimeout(c.look.Err):
		c.fail(stepTLS, "what listens there may speak no TLS, or something on the way keeps it back", nil, "no TLS handshake within %v", c.o.connectTimeout)
	case seen.tls == nil:
		c.fail(stepTLS, "", nil, "no TLS handshake: %s", plainText(c.look.Err))
	case seen.tls.err != nil:
		c.failTLS(seen.tls.err, at)
	default:
		c.okTLS(&seen.tls.state, at)
	}
}

func (c *checkup) okTLS(state *tls.ConnectionState, at *url.URL) {
	leaf := state.PeerCertificates[0]
	chain := state.PeerCertificates
	if len(state.VerifiedChains) > 0 {
		chain = state.VerifiedChains[0]
	}
	facts := certificateFacts(chain)
	facts["version"] = tls.VersionName(state.Version)
	if left := time.Until(leaf.NotAfter); left < certificateSoon {
		c.warn(stepTLS, "tell those who run the server: it has to be renewed by then", facts,
			"the certificate of %s ends in %s, on %s", at.Hostname(), spell(left), leaf.NotAfter.UTC().Format(dateLayout))
		return
	}
	c.ok(stepTLS, facts, "%s, certificate good until %s, %s", tls.VersionName(state.Version), leaf.NotAfter.UTC().Format("2006-01-02"), certifiedBy(chain))
}

func (c *checkup) failTLS(err error, at *url.URL) {
	var (
		facts     map[string]any
		unknown   x509.UnknownAuthorityError
		wrongHost x509.HostnameError
		invalid   x509.CertificateInvalidError
		noTLS     tls.RecordHeaderError
		alert     tls.AlertError
		host      = at.Hostname()
	)
	if failed, ok := errors.AsType[*tls.CertificateVerificationError](err); ok && len(failed.UnverifiedCertificates) > 0 {
		facts = certificateFacts(failed.UnverifiedCertificates)
	}
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && time.Now().Before(invalid.Cert.NotBefore):
		c.fail(stepTLS, "look at this machine's clock first: it says "+time.Now().UTC().Format(dateLayout), facts,
			"the certificate of %s is good only from %s on", host, invalid.Cert.NotBefore.UTC().Format(dateLayout))
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		c.fail(stepTLS, "those who run the server have to renew it; or this machine's clock is wrong: it says "+time.Now().UTC().Format(dateLayout), facts,
			"the certificate of %s expired on %s", host, invalid.Cert.NotAfter.UTC().Format(dateLayout))
	case errors.As(err, &unknown):
		issuer := "nobody known"
		if failed, ok := errors.AsType[*tls.CertificateVerificationError](err); ok && len(failed.UnverifiedCertificates) > 0 {
			issuer = nameOf(failed.UnverifiedCertificates[len(failed.UnverifiedCertificates)-1].Issuer.String())
		}
		c.fail(stepTLS, "if that is an authority of your organization, or a proxy that looks into TLS, give its certificate by --ca-file", facts,
			"the certificate of %s is by an unknown authority: %s", host, issuer)
	case errors.As(err, &wrongHost):
		c.fail(stepTLS, "look at the URL's host name; a portal of the network may also answer in the server's place", facts,
			"the certificate is for %s, not for %s", strings.Join(certificateHosts(wrongHost.Certificate), ", "), host)
	case errors.As(err, &invalid):
		c.fail(stepTLS, "those who run the server have to replace it", facts, "the certificate of %s can't be used: %s", host, plainText(invalid))
	case errors.As(err, &noTLS):
		c.fail(stepTLS, "the URL may have to begin with http://, or to name another port", facts, "what listens on %s speaks no TLS", at.Host)
	case errors.As(err, &alert):
		c.fail(stepTLS, "the server may want a client certificate, or be behind something that does not know the host name", facts, "the server ended the TLS handshake: %s", plainText(err))
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		c.fail(stepTLS, "what listens there may speak no TLS, or something on the way does not let it pass", facts, "the connection was closed during the TLS handshake")
	case isTimeout(err):
		c.fail(stepTLS, "what listens there may speak no TLS, or something on the way keeps it back", facts, "no TLS handshake within %v", c.o.connectTimeout)
	default:
		c.fail(stepTLS, "", facts, "the TLS handshake failed: %s", plainText(err))
	}
}

// certificateFacts returns what is known of a chain, the server's certificate first.
func certificateFacts(chain []*x509.Certificate) map[string]any {
	var names []string
	for _, cert := range chain {
		names = append(names, certificateName(cert))
	}
	leaf := chain[0]
	return map[string]any{"chain": names, "hosts": certificateHosts(leaf), "issuer": nameOf(leaf.Issuer.String()),
		"not_before": leaf.NotBefore.UTC().Format(time.RFC3339), "not_after": leaf.NotAfter.UTC().Format(time.RFC3339)}
}

// certifiedBy says who stands behind a chain's first certificate, up to the authority that is trusted.
func certifiedBy(chain []*x509.Certificate) string {
	var names []string
	for _, cert := range chain[1:] {
		names = append(names, "by "+certificateName(cert))
	}
	if len(names) == 0 {
		return "its own authority"
	}
	return strings.Join(names, ", ")
}

func certificateName(cert *x509.Certificate) string { return nameOf(cert.Subject.String()) }

func nameOf(dn string) string {
	if dn == "" {
		return "nobody named"
	}
	return shortened(dn)
}

// certificateHosts returns the hosts that a certificate is for, not too many of them.
func certificateHosts(cert *x509.Certificate) []string {
	hosts := append([]string{}, cert.DNSNames...)
	for _, ip := range cert.IPAddresses {
		hosts = append(hosts, ip.String())
	}
	if len(hosts) == 0 {
		return []string{"no host"}
	}
	if len(hosts) > 5 {
		hosts = append(hosts[:5], fmt.Sprintf("and %d more", len(hosts)-5))
	}
	return hosts
}

func isRefused(err error) bool {
	const windowsRefused = syscall.Errno(10061) // WSAECONNREFUSED
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, windowsRefused)
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	return ok && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded)
}

// plainText returns the innermost words of an error: what a person can act on.
func plainText(err error) string {
	if err == nil {
		return "nobody knows why"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Err != nil {
		err = op.Err
	}
	if sys, ok := errors.AsType[syscall.Errno](err); ok {
		return sys.Error()
	}
	return shortened(err.Error())
}

// shortened returns text on one line that is not too long.
func shortened(text string) string {
	text = strings.Join(strings.Fields(oneLine(strings.ToValidUTF8(text, "?"))), " ")
	if runes := []rune(text); len(runes) > 200 {
		return string(runes[:199]) + "…"
	}
	return text
}

// spell returns a duration as a person would say it.
func spell(d time.Duration) string {
	switch d = d.Abs(); {
	case d >= 48*time.Hour:
		return plural(int(d.Hours()/24), "day")
	case d >= 2*time.Hour:
		return plural(int(d.Round(time.Hour).Hours()), "hour")
	case d >= 2*time.Minute:
		return plural(int(d.Round(time.Minute).Minutes()), "minute")
	}
	return plural(int(d.Round(time.Second).Seconds()), "second")
}
