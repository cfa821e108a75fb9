package auth_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"mcp-bridge/auth"
	"mcp-bridge/auth/authtest"
)

// inFakeTime runs a test of what takes long, with all that setup makes. The clock goes on by itself
// as soon as everybody waits: minutes pass in no time. It speaks real HTTP, though over pipes in
// memory, as nothing may wait outside. Only the callback listens on a real port; while it does, the
// clock stands still.
func inFakeTime(t *testing.T, server func(*authtest.Config), client func(*auth.Config), test func(*fixture)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var net pipes
		cfg := authtest.Config{}
		if server != nil {
			server(&cfg)
		}
		cfg.Listener = net.listen(1)
		f := &fixture{t: t, as: authtest.NewServer(cfg), dir: t.TempDir(), log: &buffer{}}
		t.Cleanup(f.as.Close)
		f.guard.Store(f.as)
		l := net.listen(2)
		mcp := &http.Server{Handler: http.HandlerFunc(f.serve)}
		served := make(chan error, 1)
		go func() { served <- mcp.Serve(l) }() // ends when the server is closed
		t.Cleanup(func() {
			mcp.Close()
			<-served
		})
		f.origin = "http://" + l.Addr().String()
		f.url = f.origin + "/mcp"
		base := &http.Transport{DialContext: net.dial}
		t.Cleanup(base.CloseIdleConnections)
		f.browser = &authtest.Browser{Transport: &http.Transport{DialContext: net.dial, DisableKeepAlives: true}}
		f.cfg = auth.Config{ServerURL: f.url, Base: base, Open: f.browser.Open, Tell: f.tell,
			Log: slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
		f.again(client)
		test(f)
		f.browser.Pages()
		f.transport.Close()
	})
}

// pipes are a network in memory, beside the real one.
type pipes struct {
	mu        sync.Mutex
	listeners map[string]*pipeListener
}

// listen returns a listener on one of its ports, of which the real network makes no use.
func (p *pipes) listen(port int) net.Listener {
	l := &pipeListener{address: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}, conns: make(chan net.Conn), closed: make(chan struct{})}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listeners == nil {
		p.listeners = make(map[string]*pipeListener)
	}
	p.listeners[l.address.String()] = l
	return l
}

func (p *pipes) dial(ctx context.Context, network, address string) (net.Conn, error) {
	p.mu.Lock()
	l := p.listeners[address]
	p.mu.Unlock()
	if l == nil {
		// The callback. Names are not looked up, as what does that is shared by all tests.
		return new(net.Dialer).DialContext(ctx, network, strings.Replace(address, "localhost:", "127.0.0.1:", 1))
	}
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
		return ours, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// A pipeListener is a net.Listener without a network.
type pipeListener struct {
	address net.Addr
	conns   chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return l.address }
