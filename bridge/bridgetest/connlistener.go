package bridgetest

import (
	"net"
	"sync"
)

// A connListener knows the connections that it has accepted, and can cut them all.
type connListener struct {
	net.Listener

	mu   sync.Mutex
	open map[*trackedConn]bool
}

func (l *connListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	tracked := &trackedConn{Conn: c, of: l}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open[tracked] = true
	return tracked, nil
}

// cut closes all connections.
func (l *connListener) cut() {
	l.mu.Lock()
	conns := l.open
	l.open = make(map[*trackedConn]bool)
	l.mu.Unlock()
	for c := range conns {
		c.Conn.Close()
	}
}

// A trackedConn tells its listener when it is closed.
type trackedConn struct {
	net.Conn
	of *connListener
}

func (c *trackedConn) Close() error {
	c.of.mu.Lock()
	delete(c.of.open, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// SetLinger is that of a TCP connection, if it is one.
func (c *trackedConn) SetLinger(seconds int) error {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		return tcp.SetLinger(seconds)
	}
	return nil
}
