package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

const (
	headerCommandTimeout = 30 * time.Second // for one run
	headerCommandOutput  = 64 << 10         // bytes of what it prints that are taken
)

// A headerCommand is an http.RoundTripper that adds to the requests for one server the headers that
// a command prints: tokens of a cloud, say, which live shorter than we do. The command runs when
// the first request needs it, and again when the server answers 401. What it says to that is the
// answer.
//
// It is below the RoundTripper that signs in, so that the command comes before the browser; and
// that one leaves alone what has an Authorization header, see apply.
type headerCommand struct {
	command string
	server  *url.URL // whose origin gets the headers, and no other
	base    http.RoundTripper
	keep    func(secrets []string) // hears of values that must not be shown
	timeout time.Duration

	mu      sync.Mutex
	printed *headers          // by the last run that went well, nil before
	running *headerCommandRun // nil if it does not run
}

// headers are what one run printed. A pointer to them says which run that was.
type headers struct{ http.Header }

type headerCommandRun struct {
	waiting int // who waits for it; at 0 it is stopped
	stop    context.CancelFunc
	done    chan struct{} // closed when printed or err is set
	printed *headers
	err     error
}

// A headerCommandError is why there are no headers to send.
type headerCommandError struct{ error }

func (e *headerCommandError) Error() string {
	return "the command of --header-command " + e.error.Error()
}
func (e *headerCommandError) Unwrap() error { return e.error }

// Unsent tells whoever sent the request that it did not reach the server.
func (e *headerCommandError) Unsent() bool { return true }

func (c *headerCommand) RoundTrip(req *http.Request) (*http.Response, error) {
	if !sameOrigin(req.URL, c.server) {
		return c.base.RoundTrip(req)
	}
	if req.Body != nil && req.GetBody != nil {
		defer req.Body.Close() // what is sent are copies
	}
	printed, err := c.get(req.Context(), nil)
	for again := false; ; again = true {
		if err != nil {
			return nil, err
		}
		out, err := printed.addTo(req)
		if err != nil {
			return nil, err
		}
		res, err := c.base.RoundTrip(out)
		if err != nil || res.StatusCode != http.StatusUnauthorized || again || req.Body != nil && req.GetBody == nil {
			return res, err
		}
		fresh, err := c.get(req.Context(), printed)
		if err != nil || fresh.equal(printed) {
			// There is nothing new to say, so what the server said stands.
			return res, nil
		}
		_, _ = io.CopyN(io.Discard, res.Body, 64<<10) // so that the connection can be used again
		res.Body.Close()
		printed = fresh
	}
}

// CloseIdleConnections closes connections that no request is using.
func (c *headerCommand) CloseIdleConnections() {
	(&http.Client{Transport: c.base}).CloseIdleConnections()
}

// apply returns req with the headers of the command, for whoever has to know beforehand whether
// there is an Authorization header among them.
func (c *headerCommand) apply(req *http.Request) (*http.Request, error) {
	printed, err := c.get(req.Context(), nil)
	if err != nil {
		return nil, err
	}
	out := req.Clone(req.Context())
	printed.setIn(out.Header)
	return out, nil
}

// get returns what the command prints. It runs if it has not yet, or if what it printed last was
// refused. Whoever asks while it runs waits for that run, which is stopped when nobody waits any
// more.
func (c *headerCommand) get(ctx context.Context, refused *headers) (*headers, error) {
	c.mu.Lock()
	if c.printed != nil && c.printed != refused {
		defer c.mu.Unlock()
		return c.printed, nil
	}
	r := c.running
	if r == nil {
		runCtx, stop := context.WithTimeout(context.Background(), c.timeout)
		r = &headerCommandRun{stop: stop, done: make(chan struct{})}
		c.running = r
		go c.run(runCtx, r) // ends within c.timeout
	}
	r.waiting++
	c.mu.Unlock()
	select {
	case <-r.done:
		return r.printed, r.err
	case <-ctx.Done():
		c.leave(r)
		return nil, context.Cause(ctx)
	}
}

// leave stops a run that nobody waits for, and waits for its end: the program may end with us, and
// must leave no process behind.
func (c *headerCommand) leave(r *headerCommandRun) {
	c.mu.Lock()
	r.waiting--
	last := r.waiting == 0
	if last && c.running == r {
		c.running = nil // whoever comes now begins another
	}
	c.mu.Unlock()
	if last {
		r.stop()
		<-r.done
	}
}

// run runs the command once.
func (c *headerCommand) run(ctx context.Context, r *headerCommandRun) {
	defer r.stop()
	header, err := c.execute(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		r.err = &headerCommandError{err}
	} else {
		r.printed = &headers{header}
		c.printed = r.printed
	}
	if c.running == r {
		c.running = nil
	}
	close(r.done)
}

func (c *headerCommand) execute(ctx context.Context) (http.Header, error) {
	out := &limitedBuffer{left: headerCommandOutput}
	cmd := shellCommand(ctx, c.command)
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	cmd.WaitDelay = time.Second // for a program that it has left behind
	err := cmd.Run()
	exit, failed := errors.AsType[*exec.ExitError](err)
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("took longer than %v", c.timeout)
	case out.left < 0:
		return nil, fmt.Errorf("printed more than %d KiB; it should print lines such as NAME: VALUE", headerCommandOutput>>10)
	case failed:
		return nil, fmt.Errorf("failed: %s; what it says of that is on standard error", exit.ProcessState)
	case err != nil:
		return nil, fmt.Errorf("can't be run: %w", err)
	}
	header := make(http.Header)
	n := 0
	for line := range strings.Lines(string(out.text)) {
		n++
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if err := addPlainHeader(header, line); err != nil {
			return nil, fmt.Errorf("printed in line %d what is no header: %w", n, err)
		}
	}
	if len(header) == 0 {
		return nil, errors.New("printed no header; it should print lines such as NAME: VALUE")
	}
	c.keep(headerSecrets(header))
	return header, nil
}

// addTo returns a copy of req with the headers.
func (h *headers) addTo(req *http.Request) (*http.Request, error) {
	out := req.Clone(req.Context())
	if req.GetBody != nil {
		body, err := req.GetBody()
		if err != nil {
			return nil, fmt.Errorf("reading the request's body again: %w", err)
		}
		out.Body = body
	}
	h.setIn(out.Header)
	return out, nil
}

func (h *headers) setIn(header http.Header) {
	for name, values := range h.Header {
		header[name] = values
	}
}

func (h *headers) equal(other *headers) bool {
	if len(h.Header) != len(other.Header) {
		return false
	}
	for name, values := range h.Header {
		if strings.Join(values, "\n") != strings.Join(other.Header[name], "\n") {
			return false
		}
	}
	return true
}

// A limitedBuffer takes so many bytes, and fails at more.
type limitedBuffer struct {
	text []byte
	left int // less than 0 if there were more
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, io.ErrShortBuffer
	}
	b.text = append(b.text, p...)
	return len(p), nil
}

// sameOrigin compares scheme, host and port (RFC 6454).
func sameOrigin(a, b *url.URL) bool {
	port := func(u *url.URL) string {
		switch {
		case u.Port() != "":
			return u.Port()
		case u.Scheme == "https":
			return "443"
		}
		return "80"
	}
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}
