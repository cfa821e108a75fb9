package bridge_test

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"

	"mcp-bridge/bridge"
	"mcp-bridge/bridge/bridgetest"
)

// inFakeTime runs a test of what takes long, with a server and a Config that reaches it. The clock
// goes on by itself as soon as everybody waits: days pass in no time, and what is measured is
// exact. It speaks real HTTP, though over pipes in memory, as nothing may wait outside.
func inFakeTime(t *testing.T, cfg bridgetest.Config, f func(*testing.T, *bridgetest.Server, bridge.Config)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s, bc := startOnPipes(t, cfg)
		f(t, s, bc)
	})
}

// startOnPipes starts a server on connections that hold not a byte: what one side has written the
// other one has read.
func startOnPipes(t testing.TB, cfg bridgetest.Config) (*bridgetest.Server, bridge.Config) {
	l := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	cfg.Listener = l
	s := bridgetest.NewServer(cfg)
	t.Cleanup(s.Close)
	return s, bridge.Config{URL: s.URL(), HTTPClient: &http.Client{Transport: &http.Transport{DialContext: l.dial}}}
}

// A pipeListener is a net.Listener without a network.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
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

func (l *pipeListener) Addr() net.Addr {
	c, _ := net.Pipe()
	return c.LocalAddr()
}

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
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
