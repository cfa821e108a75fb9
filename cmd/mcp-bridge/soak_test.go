package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"mcp-bridge/auth/authtest"
	"mcp-bridge/bridge/bridgetest"
)

var (
	soakCalls   = flag.Int("soak.calls", 10_000, "calls of the soak test")
	soakExpire  = flag.Int("soak.expire", 1_000, "calls of the soak test for which a token is good")
	soakRestart = flag.Int("soak.restart", 10_000, "calls of the soak test after which the server is started anew")
)

// soakInFlight is how many calls are under way at once.
const soakInFlight = 64

// soakPatience is how long no answer at all may come. It is no measure of speed.
const soakPatience = time.Minute

// A day's work in a few minutes: a million calls with -soak.calls=1000000. Access tokens end again and
// again, and so does the server, with calls under way. Each call has one answer, and there is no more
// memory in use afterwards. It is the whole program that relays, sign-in and storage included, but not
// as a process of its own. The test is not parallel, as it measures what the process uses.
func TestSoak(t *testing.T) {
	home := t.TempDir()
	for name, value := range map[string]string{
		"MCP_BRIDGE_HOME": filepath.Join(home, "logins"), browserOpened: filepath.Join(home, "opened"), browserShown: filepath.Join(home, "shown"),
	} {
		t.Setenv(name, value)
	}
	s := startSoakServer(t)
	h := startSoakHost(t, s.url)
	warm := *soakCalls / 10
	h.play(0, warm, s)
	before := inUse()
	began := time.Now()
	h.play(warm, *soakCalls, s)
	took := time.Since(began)
	after := inUse()
	h.end()

	t.Logf("%d calls, %d at a time, the last nine tenths in %v: %d results, %d errors at %d restarts; %d tokens ended, %d refreshes, %d pages; %s before, %s after",
		*soakCalls, soakInFlight, took.Round(time.Millisecond), h.results, h.failures, s.restarts, s.expired, s.refreshes(), s.pages(), before, after)
	if lost := *soakCalls - h.results - h.failures; lost != 0 || h.due != 0 {
		t.Errorf("%d calls have no answer", lost)
	}
	// A call that was under way when the server went may have been carried out: then there is no other true
	// answer than an error.
	if most := s.restarts * soakInFlight; h.failures > most {
		t.Errorf("%d calls failed; there were %d restarts, with no more than %d calls under way", h.failures, s.restarts, most)
	}
	if s.refreshes() < s.expired || s.pages() != 1 {
		t.Errorf("%d tokens ended: %d refreshes and %d pages", s.expired, s.refreshes(), s.pages())
	}
	// The servers of the test keep what they gave: some hundred bytes for each token.
	if grown := int64(after.heap) - int64(before.heap); grown > 2<<20+int64(s.expired)*2<<10 {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
	// A connection has three on its two sides, and there may be one that is idle for each call under way.
	if most := 50 + 4*soakInFlight; after.goroutines > most {
		t.Errorf("there are %d goroutines, before there were %d", after.goroutines, before.goroutines)
	}
}

// A soakServer is an MCP server whose process ends now and then, and the authorization server in front.
type soakServer struct {
	t       *testing.T
	url     string
	address string
	as      *authtest.Server
	mcp     *bridgetest.Server

	restarts, expired int
	mu                sync.Mutex
	granted           map[string]int // requests to the authorization server, by what they are
}

func startSoakServer(t *testing.T) *soakServer {
	t.Helper()
	s := &soakServer{t: t, granted: make(map[string]int)}
	s.as = authtest.NewServer(authtest.Config{Unrecorded: true, Handle: s.count})
	t.Cleanup(s.as.Close)
	s.address = "127.0.0.1:0"
	s.start()
	t.Cleanup(func() { s.mcp.Close() })
	s.url = s.mcp.URL()
	return s
}

// start starts the MCP server at its address, which may be taken for a moment.
func (s *soakServer) start() {
	s.t.Helper()
	var l net.Listener
	var err error
	for range 200 {
		if l, err = net.Listen("tcp", s.address); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.address = l.Addr().String()
	cfg := bridgetest.Config{Unrecorded: true, Stream: true, Listener: l}
	guard(s.as, &cfg)
	s.mcp = bridgetest.NewServer(cfg)
}

// restart ends the server with all that is under way, and starts one that knows nothing of it.
func (s *soakServer) restart() {
	s.mcp.Close()
	s.start()
	s.restarts++
}

// expire has the server refuse all access tokens there are.
func (s *soakServer) expire() {
	s.as.RevokeAccessTokens()
	s.expired++
}

func (s *soakServer) count(_ http.ResponseWriter, r *authtest.Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.granted[strings.TrimSpace(r.String()+" "+r.Form.Get("grant_type"))]++
	return false
}

func (s *soakServer) counted(what string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.granted[what]
}

func (s *soakServer) refreshes() int { return s.counted("POST /token refresh_token") }
func (s *soakServer) pages() int     { return s.counted("GET /authorize") }

// A soakHost sends calls and wants one answer to each.
type soakHost struct {
	t      *testing.T
	in     *io.PipeWriter
	stderr *bytes.Buffer
	code   chan int
	heard  chan error    // why nothing is heard any more
	slots  chan struct{} // one element for each call under way

	mu       sync.Mutex
	answered []bool
	due      int
	results  int
	failures int
}

// startSoakHost starts a bridge, whose user signs in, and opens a session.
func startSoakHost(t *testing.T, url string) *soakHost {
	t.Helper()
	fromHost, in := io.Pipe()
	out, toHost := io.Pipe()
	h := &soakHost{t: t, in: in, stderr: new(bytes.Buffer), code: make(chan int, 1), heard: make(chan error, 1),
		slots: make(chan struct{}, soakInFlight), answered: make([]bool, *soakCalls)}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	go func() { // ends with the input
		h.code <- run(ctx, []string{url, "--browser", "my-browser", "--log-level", "error"}, fromHost, toHost, h.stderr)
		toHost.Close()
	}()
	lines := bufio.NewReaderSize(out, 64<<10)
	h.send(`{"jsonrpc":"2.0","id":"hello","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`)
	if line, err := lines.ReadString('\n'); err != nil || !strings.Contains(line, `"result"`) {
		t.Fatalf("initialize: %s, %v\n%s", line, err, h.stderr)
	}
	h.send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	go func() { h.heard <- h.listen(lines) }() // ends with the output
	return h
}

func (h *soakHost) send(message string) {
	if _, err := io.WriteString(h.in, message+"\n"); err != nil {
		h.t.Fatalf("%v\n%s", err, h.stderr)
	}
}

// listen takes what the bridge writes, until that ends or is wrong.
func (h *soakHost) listen(lines *bufio.Reader) error {
	for {
		line, err := lines.ReadSlice('\n')
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		var m struct {
			ID     *int
			Method string
			Result *struct{ Content []struct{ Text string } }
			Error  *struct{ Data struct{ Source string } }
		}
		if err := json.Unmarshal(line, &m); err != nil {
			return fmt.Errorf("%w: %.300s", err, line)
		}
		if m.Method != "" && m.ID == nil {
			continue // a new session may well have other tools
		}
		if err := h.hear(m.ID, m.Result != nil && len(m.Result.Content) == 1 && m.ID != nil && m.Result.Content[0].Text == fmt.Sprint("t", *m.ID),
			m.Error != nil && m.Error.Data.Source == "mcp-bridge"); err != nil {
			return fmt.Errorf("%w: %.300s", err, line)
		}
		<-h.slots
	}
}

// hear notes an answer, which is the right result, or an error of the bridge's.
func (h *soakHost) hear(id *int, right, failed bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case id == nil || *id < 0 || *id >= len(h.answered):
		return fmt.Errorf("an answer to nothing")
	case h.answered[*id]:
		return fmt.Errorf("a second answer")
	case right:
		h.results++
	case failed:
		h.failures++
	default:
		return fmt.Errorf("a wrong answer")
	}
	h.answered[*id] = true
	h.due--
	return nil
}

// play sends the calls from one number on to another, has things happen at the server, and waits for all
// answers.
func (h *soakHost) play(from, to int, s *soakServer) {
	h.t.Helper()
	patience := time.NewTimer(soakPatience)
	defer patience.Stop()
	take := func() {
		patience.Reset(soakPatience)
		select {
		case h.slots <- struct{}{}:
		case err := <-h.heard:
			h.t.Fatalf("%v\n%s", err, h.stderr)
		case <-patience.C:
			h.t.Fatalf("%d calls have no answer for %v\n%s", h.waiting(), soakPatience, h.stderr)
		}
	}
	for n := from; n < to; n++ {
		take()
		h.mu.Lock()
		h.due++
		h.mu.Unlock()
		h.send(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"echo","arguments":{"text":"t%d"}}}`, n, n))
		if n%*soakExpire == *soakExpire-1 {
			s.expire()
		}
		if n%*soakRestart == *soakRestart/2 { // not when tokens end
			s.restart()
		}
	}
	for range soakInFlight { // all slots are free when all calls have an answer
		take()
	}
	for range soakInFlight {
		<-h.slots
	}
}

func (h *soakHost) waiting() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.due
}

// end ends the input, and wants the bridge to end well.
func (h *soakHost) end() {
	h.t.Helper()
	h.in.Close()
	if code := <-h.code; code != exitOK {
		h.t.Errorf("exit code %d\n%s", code, h.stderr)
	}
	if err := <-h.heard; err != nil {
		h.t.Error(err)
	}
}

// A footprint is what the process has in use.
type footprint struct {
	heap       uint64 // bytes
	goroutines int
}

func (u footprint) String() string {
	return fmt.Sprintf("%d KiB and %d goroutines", u.heap>>10, u.goroutines)
}

func inUse() footprint {
	var m runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return footprint{m.HeapAlloc, runtime.NumGoroutine()}
}
