package bridge_test

import (
	"context"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mcp-bridge/bridge"
	"mcp-bridge/bridge/bridgetest"
)

// A server that has nothing to do is pinged at the interval, and not more often; the host hears nothing
// of it. While it works, and before there is a session, it is not pinged.
func TestKeepAlive_WhenIdleOnly(t *testing.T) {
	const every = 30 * time.Second
	for name, tt := range map[string]struct {
		every time.Duration
		play  func(h *host)
		want  int // pings
	}{
		"idle": {every, func(h *host) { time.Sleep(10*every + time.Second) }, 10},
		"off":  {0, func(h *host) { time.Sleep(time.Hour) }, 0},
		"a call under way": {every, func(h *host) {
			h.send(`{"jsonrpc":"2.0","id":1,"method":"slow"}`)
			time.Sleep(10 * every)
		}, 0},
		"now and then a call": {every, func(h *host) {
			for range 20 {
				h.send(listTools("1"))
				wantResult(h.t, h, "1")
				time.Sleep(every / 2)
			}
		}, 0},
		"idle after a call": {every, func(h *host) {
			time.Sleep(every / 2)
			h.send(listTools("1"))
			wantResult(h.t, h, "1")
			time.Sleep(every + time.Second)
		}, 1},
	} {
		for how, sc := range map[string]bridgetest.Config{"GET stream": {Stream: true}, "HTTP+SSE": {HTTPSSE: true}} {
			t.Run(name+"/"+how, func(t *testing.T) {
				sc.Handle = answerAfter(10*every + time.Second)
				inFakeTime(t, sc, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
					cfg.KeepAlive = tt.every
					h := startHost(t, cfg)
					time.Sleep(2*every - time.Second) // there is no session to keep alive
					h.handshake("2025-11-25")
					synctest.Wait()
					before := s.Count("ping")
					tt.play(h)
					if n := s.Count("ping"); before != 0 || n != tt.want {
						t.Errorf("the server was pinged %d times before there was a session, and %d times then, want 0 and %d", before, n, tt.want)
					}
					if name == "a call under way" {
						wantResult(t, h, "1")
					}
					h.others = slices.DeleteFunc(append(h.others, h.end()...), func(line string) bool { return rawID(line) == "1" })
					if len(h.others) > 0 {
						t.Errorf("the host got %q", h.others)
					}
				})
			})
		}
	}
}

// Connections that die without a word, as they do while a laptop sleeps, are found by a ping that has
// no answer, closed, and replaced: the server's own messages come again, and calls go through.
func TestW3_DeadLinkIsFoundByAPing(t *testing.T) {
	for name, sc := range map[string]bridgetest.Config{"GET stream": {Stream: true}, "HTTP+SSE": {HTTPSSE: true}} {
		sc.Handle = answerAfter(time.Second)
		t.Run(name, func(t *testing.T) {
			inFakeTime(t, sc, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
				link := &link{dial: cfg.HTTPClient.Transport.(*http.Transport).DialContext}
				cfg.HTTPClient.Transport = &http.Transport{DialContext: link.dialContext}
				cfg.KeepAlive = time.Minute
				h := startHost(t, cfg)
				h.handshake("2025-11-25")
				for _, id := range []string{"1", "2"} { // side by side, for idle connections
					h.send(`{"jsonrpc":"2.0","id":` + id + `,"method":"slow"}`)
				}
				wantIDs(t, []string{h.next(), h.next()}, "1", "2")
				synctest.Wait()
				link.die()
				time.Sleep(2 * time.Minute) // until the ping, its answer's limit, and the pause before a new stream
				if open := link.open(); open != 0 {
					t.Errorf("%d dead connections are still open", open)
				}
				s.Notify(`{"jsonrpc":"2.0","method":"notifications/x"}`)
				synctest.Wait()
				var got []string
				for line, ok := h.take(0); ok; line, ok = h.take(0) {
					got = append(got, line)
				}
				if !slices.Contains(got, `{"jsonrpc":"2.0","method":"notifications/x"}`) {
					t.Errorf("the server's own messages don't come: %q", got)
				}
				began := time.Now()
				h.send(callEcho("3"))
				wantResult(t, h, "3")
				if took := time.Since(began); took > time.Second {
					t.Errorf("the call took %v", took)
				}
			})
		})
	}
}

// Without pings a dead link is found by the next call: it gets an error within the limit, and the one
// after it goes over a new connection, as do the server's own messages.
func TestW3_DeadLinkIsFoundByACall(t *testing.T) {
	inFakeTime(t, bridgetest.Config{Stream: true, Handle: answerAfter(time.Second)}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
		link := &link{dial: cfg.HTTPClient.Transport.(*http.Transport).DialContext}
		cfg.HTTPClient.Transport = &http.Transport{DialContext: link.dialContext}
		cfg.ResponseTimeout = 5 * time.Second
		h := startHost(t, cfg)
		h.handshake("2025-11-25")
		for _, id := range []string{"1", "2"} { // side by side, for idle connections
			h.send(`{"jsonrpc":"2.0","id":` + id + `,"method":"slow"}`)
		}
		wantIDs(t, []string{h.next(), h.next()}, "1", "2")
		synctest.Wait()
		link.die()
		began := time.Now()
		h.send(callEcho("3"))
		if e := errorOf(t, h.answer("3")); !strings.Contains(e.Message, "within 5s") {
			t.Errorf("got %s", e.Message)
		}
		if took := time.Since(began); took > 6*time.Second {
			t.Errorf("the error came after %v", took)
		}
		h.send(callEcho("4"))
		wantResult(t, h, "4")
		if took := time.Since(began); took > 7*time.Second {
			t.Errorf("the next answer came after %v", took)
		}
		time.Sleep(10 * time.Second) // the pause before a new stream
		const news = `{"jsonrpc":"2.0","method":"notifications/x"}`
		s.Notify(news)
		synctest.Wait()
		got := h.others
		for line, ok := h.take(0); ok; line, ok = h.take(0) {
			got = append(got, line)
		}
		if !slices.Contains(got, news) {
			t.Errorf("the server's own messages don't come: %q", got)
		}
	})
}

// A link makes connections that can die: nothing gets through any more, and neither side is told.
type link struct {
	dial func(context.Context, string, string) (net.Conn, error)

	mu    sync.Mutex
	conns []*linkConn
	dead  []*linkConn
}

func (l *link) dialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := l.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	conn := &linkConn{Conn: c, dead: make(chan struct{}), closed: make(chan struct{})}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns = append(l.conns, conn)
	return conn, nil
}

// die lets all connections so far die.
func (l *link) die() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.conns {
		close(c.dead)
	}
	l.dead, l.conns = append(l.dead, l.conns...), nil
}

// open returns how many of the dead connections the bridge has not closed.
func (l *link) open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, c := range l.dead {
		select {
		case <-c.closed:
		default:
			n++
		}
	}
	return n
}

// A linkConn is a connection that dies when dead is closed.
type linkConn struct {
	net.Conn
	dead, closed chan struct{}
	once         sync.Once
}

func (c *linkConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	select {
	case <-c.dead:
		<-c.closed // whatever came, or became of the connection, is not known here
		return 0, net.ErrClosed
	default:
		return n, err
	}
}

func (c *linkConn) Write(p []byte) (int, error) {
	select {
	case <-c.dead:
		return len(p), nil
	default:
		return c.Conn.Write(p)
	}
}

func (c *linkConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}
