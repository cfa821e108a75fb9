package main

import (
	"crypto/tls"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"sync"
)

// A wireTap is a RoundTripper that watches how the first request gets to its server.
type wireTap struct {
	base http.RoundTripper
	once sync.Once
	mu   sync.Mutex // connections are made by several goroutines, and some go on when one was chosen
	seen wireSight
}

// A wireSight is what was seen of a request's way.
type wireSight struct {
	proxy *url.URL  // nil if there is none
	dns   *dnsSight // nil where no name was looked up
	tcp   []tcpSight
	tls   *tlsSight // nil where it was not come to
	conn  bool      // there was a connection to send the request on
}

type dnsSight struct {
	host      string
	addresses []string
	err       error
}

type tcpSight struct {
	address string
	err     error
}

type tlsSight struct {
	state tls.ConnectionState
	err   error
}

func (w *wireTap) RoundTrip(req *http.Request) (*http.Response, error) {
	w.once.Do(func() {
		if proxy, err := proxyFor(req); err == nil && proxy != nil {
			w.seen.proxy = proxy
		}
		req = req.WithContext(httptrace.WithClientTrace(req.Context(), w.trace()))
	})
	return w.base.RoundTrip(req)
}

// CloseIdleConnections closes connections that no request is using.
func (w *wireTap) CloseIdleConnections() { (&http.Client{Transport: w.base}).CloseIdleConnections() }

func (w *wireTap) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		DNSStart: func(info httptrace.DNSStartInfo) { w.note(func() { w.seen.dns = &dnsSight{host: info.Host} }) },
		DNSDone: func(info httptrace.DNSDoneInfo) {
			w.note(func() {
				if w.seen.dns == nil {
					return
				}
				w.seen.dns.err = info.Err
				for _, a := range info.Addrs {
					w.seen.dns.addresses = append(w.seen.dns.addresses, a.String())
				}
			})
		},
		ConnectDone: func(_, address string, err error) {
			w.note(func() { w.seen.tcp = append(w.seen.tcp, tcpSight{address, err}) })
		},
		TLSHandshakeDone: func(state tls.ConnectionState, err error) {
			w.note(func() { w.seen.tls = &tlsSight{state, err} })
		},
		GotConn: func(httptrace.GotConnInfo) { w.note(func() { w.seen.conn = true }) },
	}
}

func (w *wireTap) note(what func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	what()
}

// sight returns what was seen until now.
func (w *wireTap) sight() wireSight {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := w.seen
	seen.tcp = slices.Clone(w.seen.tcp)
	return seen
}
