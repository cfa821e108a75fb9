package auth

import (
	"context"
	"crypto/subtle"
	_ "embed"
	"errors"
	"html/template"
	"net"
	"net/http"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// A callback listens on a loopback port for the redirect that ends a sign-in (RFC 8252 7.3). It
// takes one answer: the first that carries the state of this sign-in. Everything else is shown
// a page and does no harm: old tabs, port scanners, other people's pages.
type callback struct {
	redirectURI string
	successURL  string // where the browser goes after a sign-in that worked, "" for a page of our own

	path      string
	listeners []net.Listener
	server    *http.Server
	done      sync.WaitGroup

	mu       sync.Mutex
	state    string // "" while no sign-in waits
	answered bool
	answers  chan callbackAnswer

	verdict chan struct{} // closed when it is known how the sign-in ended
	err     error         // then: why it failed, nil if it did not
}

// A callbackAnswer is what the authorization server sent through the browser (RFC 6749 4.1.2).
type callbackAnswer struct {
	code, iss                   string
	errorCode, errorDescription string
}

// listenCallback starts to listen: on the addresses that host stands for, 127.0.0.1 and ::1 alike
// for localhost, and on nothing else (design: browsers resolve localhost to either). Port 0 means
// any that is free.
func listenCallback(host string, port int, path string) (*callback, error) {
	for try := 0; ; try++ {
		c, err := tryListen(host, port, path)
		// A port that is free on one address may be taken on the other.
		if err == nil || port != 0 || !isInUse(err) || try == 10 {
			return c, err
		}
	}
}

func tryListen(host string, port int, path string) (*callback, error) {
	addresses := []string{host}
	if !isAddress(host) {
		addresses = []string{"127.0.0.1", "::1"}
	}
	c := &callback{path: path, answers: make(chan callbackAnswer, 1), verdict: make(chan struct{})}
	var first error
	for _, address := range addresses {
		l, err := net.Listen("tcp", net.JoinHostPort(address, strconv.Itoa(port)))
		if err != nil {
			if first == nil {
				first = err
			}
			if address == "::1" && len(c.listeners) > 0 && !isInUse(err) {
				continue // a machine without IPv6
			}
			c.closeListeners()
			return nil, first
		}
		c.listeners = append(c.listeners, l)
		port = l.Addr().(*net.TCPAddr).Port
	}
	c.redirectURI = redirectURI(host, port, path)
	c.server = &http.Server{Handler: c, ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 64 << 10}
	for _, l := range c.listeners {
		c.done.Go(func() { _ = c.server.Serve(l) }) // ends with finish
	}
	return c, nil
}

// redirectURI returns the address of a callback (RFC 8252 7.3).
func redirectURI(host string, port int, path string) string {
	return "http://" + net.JoinHostPort(host, strconv.Itoa(port)) + path
}

// port returns the port that the callback listens on.
func (c *callback) port() int { return c.listeners[0].Addr().(*net.TCPAddr).Port }

func isAddress(host string) bool { return net.ParseIP(host) != nil }

// isInUse tells whether a port is taken, on any system.
func isInUse(err error) bool {
	const windowsInUse = syscall.Errno(10048) // WSAEADDRINUSE
	return errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, windowsInUse)
}

// expect makes the callback wait for the answer that carries state.
func (c *callback) expect(state string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state, c.answered = state, false
	select {
	case <-c.answers: // of an earlier try
	default:
	}
}

func (c *callback) wait(ctx context.Context) (callbackAnswer, error) {
	select {
	case a := <-c.answers:
		return a, nil
	case <-ctx.Done():
		return callbackAnswer{}, context.Cause(ctx)
	}
}

// finish says how the sign-in ended, which the waiting page then shows, and stops listening.
func (c *callback) finish(err error) {
	c.err = err
	close(c.verdict)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := c.server.Shutdown(ctx); err != nil { // lets the page arrive
		_ = c.server.Close()
	}
	c.done.Wait()
}

func (c *callback) closeListeners() {
	for _, l := range c.listeners {
		l.Close()
	}
}

func (c *callback) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	switch {
	case req.URL.Path != c.path && req.URL.EscapedPath() != c.path:
		http.NotFound(w, req)
		return
	case req.Method != http.MethodGet:
		w.Header().Set("Allow", http.MethodGet)
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	query := req.URL.Query()
	answer := callbackAnswer{query.Get("code"), query.Get("iss"), query.Get("error"), query.Get("error_description")}
	switch c.take(query.Get("state"), answer) {
	case stray:
		showPage(w, http.StatusBadRequest, page{Title: "Nothing to do here", Text: "This page does not belong to a sign-in that is under way. If you were signing in, go back to the page where you began."})
		return
	case repeated:
		showPage(w, http.StatusOK, page{Title: "Already received", Text: "The answer to this sign-in has been received before. You can close this tab."})
		return
	}
	select {
	case <-c.verdict:
	case <-req.Context().Done():
		return
	}
	if c.err != nil {
		showPage(w, http.StatusBadRequest, page{Title: "Sign-in failed", Text: "mcp-bridge is not connected.", Detail: c.err.Error()})
		return
	}
	if c.successURL != "" {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Referrer-Policy", "no-referrer") // the address here holds the code
		h.Set("Connection", "close")
		http.Redirect(w, req, c.successURL, http.StatusSeeOther)
		return
	}
	showPage(w, http.StatusOK, page{Title: "Signed in", Text: "mcp-bridge is connected. You can close this tab.", Good: true})
}

type hit int

const (
	stray hit = iota
	repeated
	taken
)

// take takes an answer, if it is the first with the right state. One that is neither a code nor an
// error is none.
func (c *callback) take(state string, a callbackAnswer) hit {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == "" || subtle.ConstantTimeCompare([]byte(state), []byte(c.state)) != 1 || a.code == "" && a.errorCode == "" {
		return stray
	}
	if c.answered {
		return repeated
	}
	c.answered = true
	c.answers <- a
	return taken
}

// A page is what the user sees in the browser at the end.
type page struct {
	Title, Text, Detail string
	Good                bool
}

//go:embed callback.html
var pageText string

var pageTemplate = sync.OnceValue(func() *template.Template { return template.Must(template.New("page").Parse(pageText)) })

// showPage shows a page that loads nothing, runs nothing, is kept nowhere and tells nobody the
// address that it stands at.
func showPage(w http.ResponseWriter, status int, p page) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Connection", "close") // the listener is about to go
	w.WriteHeader(status)
	_ = pageTemplate().Execute(w, p) // nothing can be done for a browser that has gone
}
