package bridge_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"mcp-bridge/bridge"
	"mcp-bridge/bridge/bridgetest"
)

// A wire notes what is written to the server, on all connections, in the order in which it is
// written. A server need not see it in this order: it may well look at a later connection first.
type wire struct {
	mu     sync.Mutex
	writes []string
}

// listen makes a client note what it writes.
func (w *wire) listen(c *http.Client) {
	transport := c.Transport.(*http.Transport)
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		return wireConn{c, w}, err
	}
}

type wireConn struct {
	net.Conn
	w *wire
}

func (c wireConn) Write(p []byte) (int, error) {
	c.w.mu.Lock()
	c.w.writes = append(c.w.writes, string(p))
	c.w.mu.Unlock()
	return c.Conn.Write(p)
}

// find returns the first group of pattern in each write that matches, in order.
func (w *wire) find(pattern string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var found []string
	for _, p := range w.writes {
		if m := regexp.MustCompile(pattern).FindStringSubmatch(p); m != nil {
			found = append(found, m[1])
		}
	}
	return found
}

// numbersAt returns the numbers n of the messages {"params":{"n":n}} of this method, in the order in
// which they came to the server.
func numbersAt(t *testing.T, s *bridgetest.Server, method string) []int {
	t.Helper()
	var numbers []int
	for _, r := range s.Requests() {
		if r.Method != method {
			continue
		}
		var params struct{ N int }
		if err := json.Unmarshal(r.Params, &params); err != nil {
			t.Fatalf("%s: %v", r.Body, err)
		}
		numbers = append(numbers, params.N)
	}
	return numbers
}

// inversions counts the neighbours that stand the wrong way round.
func inversions(numbers []int) int {
	n := 0
	for i := 1; i < len(numbers); i++ {
		if numbers[i] < numbers[i-1] {
			n++
		}
	}
	return n
}

const burst = 300

// Notifications arrive in the order in which they were sent.
func TestBurstOfNotifications(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]bridgetest.Config{"streamable HTTP": {}, "HTTP+SSE": {HTTPSSE: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, s := startWith(t, cfg, bridge.Config{}, "2025-11-25")
			for i := range burst {
				h.send(fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/n","params":{"n":%d}}`, i))
			}
			h.send(listTools("1"))
			wantResult(t, h, "1")
			wantNothingMore(t, h)
			if got := numbersAt(t, s, "notifications/n"); len(got) != burst || !slices.IsSorted(got) {
				t.Errorf("arrived as %v", got)
			}
		})
	}
}

// A cancellation leaves after the request that it cancels, and only if that leaves.
func TestBurstOfCancellations(t *testing.T) {
	for name, cfg := range map[string]bridgetest.Config{"streamable HTTP": {}, "HTTP+SSE": {HTTPSSE: true}} {
		t.Run(name, func(t *testing.T) {
			inFakeTime(t, cfg, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
				var w wire
				w.listen(cfg.HTTPClient)
				h := startHost(t, cfg)
				h.handshake("2025-11-25")
				for i := range burst {
					h.send(listTools(fmt.Sprint(i)))
					if i%3 == 0 { // now and then it comes too late
						synctest.Wait()
					}
					h.send(fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%d,"reason":"no"}}`, i))
				}
				h.end()
				requested := make(map[string]bool)
				cancelled := 0
				for _, what := range w.find(`("id":\d+|"requestId":\d+)`) {
					id, ok := strings.CutPrefix(what, `"requestId":`)
					if !ok {
						requested[strings.TrimPrefix(what, `"id":`)] = true
						continue
					}
					if cancelled++; !requested[id] {
						t.Errorf("the cancellation of %s left before its request", id)
					}
				}
				if n := s.Count("notifications/cancelled"); cancelled < burst/3 || cancelled != n {
					t.Errorf("%d cancellations left, %d arrived", cancelled, n)
				}
			})
		})
	}
}

// Requests run side by side, and leave in the order in which they came, but for a few: net/http says
// that a request was written a moment before it has left its buffer. The clock stands still, as no
// request waits long for the one before it.
func TestBurstOfRequests(t *testing.T) {
	for name, cfg := range map[string]bridgetest.Config{"JSON": {}, "SSE": {SSE: true}, "HTTP+SSE": {HTTPSSE: true}} {
		t.Run(name, func(t *testing.T) {
			inFakeTime(t, cfg, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
				var w wire
				w.listen(cfg.HTTPClient)
				h := startHost(t, cfg)
				h.handshake("2025-11-25")
				burstOfRequests(t, h)
				left, arrived := numbersOn(&w), numbersAt(t, s, "ping")
				if n := inversions(left); len(left) != burst || n > burst/10 {
					t.Errorf("%d requests left, want %d; %d inversions", len(left), burst, n)
				}
				t.Logf("inversions in a burst of %d: %d as written, %d as taken by the server", burst, inversions(left), inversions(arrived))
			})
		})
	}
}

// The same in real time. What order the server sees is up to it.
func TestBurstOfRequestsInRealTime(t *testing.T) {
	t.Parallel()
	var w wire
	cfg := bridge.Config{HTTPClient: &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}}
	w.listen(cfg.HTTPClient)
	h, s := startWith(t, bridgetest.Config{}, cfg, "2025-11-25")
	burstOfRequests(t, h)
	left, arrived := numbersOn(&w), numbersAt(t, s, "ping")
	if len(left) != burst || len(arrived) != burst {
		t.Errorf("%d requests left, %d arrived, want %d", len(left), len(arrived), burst)
	}
	t.Logf("inversions in a burst of %d: %d as written, %d as taken by the server", burst, inversions(left), inversions(arrived))
}

// burstOfRequests sends many requests at once, and takes their answers.
func burstOfRequests(t *testing.T, h *host) {
	t.Helper()
	for i := range burst {
		h.send(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"ping","params":{"n":%d}}`, i, i))
	}
	answered := make(map[string]bool)
	for range burst {
		answered[h.next()] = true
	}
	for i := range burst {
		if !answered[result(fmt.Sprint(i))] {
			t.Errorf("no answer to %d", i)
		}
	}
	wantNothingMore(t, h)
}

// numbersOn returns the numbers n of the messages {"params":{"n":n}}, in the order in which they left.
func numbersOn(w *wire) []int {
	var numbers []int
	for _, n := range w.find(`"n":(\d+)`) {
		i, _ := strconv.Atoi(n) // it is digits
		numbers = append(numbers, i)
	}
	return numbers
}

// What comes on one stream reaches the host in the order of that stream.
func TestBurstFromTheServer(t *testing.T) {
	t.Parallel()
	h, _ := startWith(t, bridgetest.Config{SSE: true}, bridge.Config{}, "2025-11-25")
	h.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"count","arguments":{"to":300},"_meta":{"progressToken":"p"}}}`)
	for i := 1; i <= 300; i++ {
		want := fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p","progress":%d,"total":300}}`, i)
		if got := h.next(); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
	wantResult(t, h, "1")
	wantNothingMore(t, h)
}
