package bridge_test

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"mcp-bridge/bridge"
	"mcp-bridge/bridge/bridgetest"
)

var (
	leakSessions      = flag.Int("leak.sessions", 100, "sessions of the test for leaks")
	leakNotifications = flag.Int("leak.notifications", 20_000, "notifications of the test for memory")
)

// The tests of this file are not parallel, as they count what the process has.

// After many sessions, of every kind and however they end, there are no more goroutines and open files
// than after one of each.
func TestNoLeakOverSessions(t *testing.T) {
	for name, sc := range transports {
		t.Run(name, func(t *testing.T) {
			sc.Handle, sc.Unrecorded = answerAfter(0), true
			s := bridgetest.NewServer(sc)
			t.Cleanup(s.Close)
			play := func(n int) {
				for i := range n {
					playSession(t, s, i%3)
				}
			}
			play(3)
			wait(func() bool { return s.Sessions()+s.Streams() == 0 })
			goroutines, files := settledCount(runtime.NumGoroutine), settledCount(openFiles)
			play(*leakSessions)
			if !wait(func() bool { return runtime.NumGoroutine() <= goroutines && openFiles() <= files }) {
				stacks := make([]byte, 1<<20)
				t.Errorf("after %d sessions there are %d goroutines and %d open files, before %d and %d\n%.5000s", *leakSessions,
					runtime.NumGoroutine(), openFiles(), goroutines, files, stacks[:runtime.Stack(stacks, true)])
			}
			t.Logf("%d sessions: goroutines %d before, %d after; open files %d before, %d after", *leakSessions,
				goroutines, runtime.NumGoroutine(), files, openFiles())
		})
	}
}

// playSession plays a session with a call, and ends it with the input, with the context, or by no longer
// reading while a call is under way.
func playSession(t *testing.T, s *bridgetest.Server, how int) {
	t.Helper()
	p := startPlain(t, bridge.Config{URL: s.URL()})
	p.handshake()
	p.send(callEcho("1"))
	p.want(`"id":1`)
	switch how {
	case 0:
		p.in.Close()
	case 1:
		p.cancel()
	case 2:
		p.send(`{"jsonrpc":"2.0","id":2,"method":"never"}`)
		p.out.Close()
		p.send(listTools("3"))
	}
	p.end()
}

// Memory does not grow with the number of messages.
func TestMemoryIsFlat(t *testing.T) {
	for name, sc := range map[string]bridgetest.Config{"GET stream": {Stream: true}, "HTTP+SSE": {HTTPSSE: true}} {
		t.Run(name, func(t *testing.T) {
			sc.Unrecorded = true
			s := bridgetest.NewServer(sc)
			t.Cleanup(s.Close)
			p := startPlain(t, bridge.Config{URL: s.URL()})
			p.handshake()
			if !wait(func() bool { return s.Streams() == 1 }) {
				t.Fatal("there is no stream")
			}
			seq := 0
			play := func(n int) {
				go func() { // ends when the bridge has taken them
					for i := range n {
						s.Notify(fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":{"seq":%d}}}`, seq+i))
					}
				}()
				for i := range n {
					if i%100 == 50 {
						p.send(fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":%d}}`, i))
					}
					p.want(fmt.Sprintf(`{"seq":%d}`, seq+i))
				}
				seq += n
			}
			play(*leakNotifications / 10)
			before := heap()
			began := time.Now()
			play(*leakNotifications)
			took := time.Since(began)
			after := heap()
			t.Logf("%d notifications in %v: heap %d KiB before, %d KiB after", *leakNotifications, took.Round(time.Millisecond), before>>10, after>>10)
			if grown := int64(after) - int64(before); grown > 1<<20 {
				t.Errorf("the heap has grown by %d bytes over %d notifications", grown, *leakNotifications)
			}
			p.in.Close()
			p.end()
		})
	}
}

// A plainHost is a host that keeps nothing of what it reads.
type plainHost struct {
	t      *testing.T
	in     *io.PipeWriter
	out    *io.PipeReader
	read   *bufio.Reader
	client *http.Client
	cancel context.CancelFunc
	ended  chan struct{} // closed when Run has returned
}

func startPlain(t *testing.T, cfg bridge.Config) *plainHost {
	t.Helper()
	p := &plainHost{t: t, client: &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}, ended: make(chan struct{})}
	cfg.HTTPClient = p.client
	fromHost, in := io.Pipe()
	out, toHost := io.Pipe()
	p.in, p.out, p.read = in, out, bufio.NewReader(out)
	var ctx context.Context
	ctx, p.cancel = context.WithCancel(t.Context())
	go func() { // ends with Run
		defer close(p.ended)
		_ = bridge.Run(ctx, fromHost, toHost, cfg)
		toHost.Close()
	}()
	return p
}

func (p *plainHost) handshake() {
	p.t.Helper()
	p.send(initialize("0", "2025-11-25"))
	p.want(`"id":0`)
	p.send(initialized)
}

func (p *plainHost) send(message string) {
	p.t.Helper()
	if _, err := io.WriteString(p.in, message+"\n"); err != nil {
		p.t.Fatal(err)
	}
}

// want reads the next line, which must have this in it.
func (p *plainHost) want(part string) {
	p.t.Helper()
	line, err := p.read.ReadSlice('\n')
	if err != nil || !strings.Contains(string(line), part) || !json.Valid(line) {
		p.t.Fatalf("got %.300q, error %v, want %s", line, err, part)
	}
}

// end waits for Run to return, and closes what is the host's.
func (p *plainHost) end() {
	p.t.Helper()
	await(p.t, "Run returns", p.ended)
	p.in.Close() // the bridge waits for input no more
	p.cancel()
}

// wait waits until cond is true, and returns false if that does not happen.
func wait(cond func() bool) bool {
	for deadline := time.Now().Add(patience); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

// settledCount returns what count returns when it goes down no more.
func settledCount(count func() int) int {
	least := count()
	for quiet := 0; quiet < 20; quiet++ {
		time.Sleep(5 * time.Millisecond)
		if n := count(); n < least {
			least, quiet = n, 0
		}
	}
	return least
}

// openFiles returns how many file descriptors the process has, 0 where that can't be told.
func openFiles() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}

// heap returns how many bytes are in use.
func heap() uint64 {
	var m runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
