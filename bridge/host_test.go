package bridge_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mcp-bridge/bridge"
)

// patience is how long a test waits for what has to come. It is no measure of speed.
const patience = 10 * time.Second

// A host is the program that starts the bridge, with bridge.Run between two pipes. It reads all
// the time, unless it is told to pause. Its methods are for the test's own goroutine, but for logs.
//
// Everything that the bridge writes is checked: each Write whole lines, each line one JSON-RPC message or an
// array of them. So is that Run leaves no goroutine behind.
type host struct {
	t      testing.TB
	others []string // what answer passed over

	number string // labels the bridge's goroutines
	in     *io.PipeWriter
	out    *io.PipeReader
	toHost *io.PipeWriter
	cancel context.CancelFunc // ends Run's context
	ended  chan struct{}      // closed when Run has returned
	runErr error              // valid then
	read   chan struct{}      // closed when nothing more comes
	log    buffer

	mu      sync.Mutex
	lines   []string // read, and not yet asked for
	arrived chan struct{}
	gate    chan struct{} // closed while the host reads
	fault   string        // what was wrong with the output
	begun   int           // Writes of the bridge's, whether the host has read them or not
}

var hosts atomic.Int64

// startHost starts the bridge. At the end of the test it ends the input, if the test did not, and
// fails the test if Run does not return or leaves something behind.
func startHost(t testing.TB, cfg bridge.Config) *host {
	t.Helper()
	h := &host{t: t, number: fmt.Sprint(hosts.Add(1)), ended: make(chan struct{}), read: make(chan struct{}),
		arrived: make(chan struct{}, 1), gate: make(chan struct{})}
	close(h.gate)
	cfg.Logger = cmp.Or(cfg.Logger, slog.New(slog.NewTextHandler(&h.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if cfg.HTTPClient == nil { // connections of its own, or hosts that run side by side would share them
		cfg.HTTPClient = &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}
	}
	var fromHost *io.PipeReader
	fromHost, h.in = io.Pipe()
	h.out, h.toHost = io.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	h.cancel = cancel
	go h.readLines() // ends when the output is closed
	// Ends with Run. What Run starts inherits the label.
	go pprof.Do(ctx, pprof.Labels("host", h.number), func(ctx context.Context) {
		defer close(h.ended)
		h.runErr = bridge.Run(ctx, fromHost, hostOutput{h}, cfg)
	})
	t.Cleanup(h.finish)
	return h
}

// send writes one message.
func (h *host) send(message string) {
	h.t.Helper()
	h.sendRaw([]byte(message + "\n"))
}

// sendRaw writes bytes as they are. It returns when the bridge has read them.
func (h *host) sendRaw(b []byte) {
	h.t.Helper()
	done := make(chan error, 1)
	go func() { // ends when the bridge has read b, or when the input is closed
		_, err := h.in.Write(b)
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil {
			h.t.Fatalf("writing to the bridge: %v", err)
		}
	case <-time.After(patience):
		h.t.Fatalf("the bridge does not read what the host sends: %.200q", b)
	}
}

// next returns the next line, without its line break.
func (h *host) next() string {
	h.t.Helper()
	line, ok := h.take(patience)
	if !ok {
		h.t.Fatalf("nothing came from the bridge; passed over so far: %.500q", h.others)
	}
	return line
}

// answer returns the response with this raw id. Other lines go to others.
func (h *host) answer(id string) []byte {
	h.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		line, ok := h.take(time.Until(deadline))
		if !ok {
			h.t.Fatalf("no answer to %s; what came: %.500q", id, h.others)
		}
		var m struct {
			ID     json.RawMessage `json:"id"`
			Method *string         `json:"method"`
		}
		if json.Unmarshal([]byte(line), &m) == nil && m.Method == nil && string(m.ID) == id {
			return []byte(line)
		}
		h.others = append(h.others, line)
	}
}

// silent fails the test if anything comes within d. It costs d: ask something else and see that
// its answer comes first, where that proves the same.
func (h *host) silent(d time.Duration) {
	h.t.Helper()
	if line, ok := h.take(d); ok {
		h.t.Fatalf("this came: %.500q", line)
	}
}

// handshake initializes with a protocol revision and returns the answer. The id is "handshake".
func (h *host) handshake(version string) []byte {
	h.t.Helper()
	h.send(initialize(`"handshake"`, version))
	answer := h.answer(`"handshake"`)
	h.send(initialized)
	return answer
}

const initialized = `{"jsonrpc":"2.0","method":"notifications/initialized"}`

func initialize(id, version string) string {
	return `{"jsonrpc":"2.0","id":` + id + `,"method":"initialize","params":{"protocolVersion":"` + version +
		`","capabilities":{},"clientInfo":{"name":"test","version":"0"}}}`
}

// pause stops the reading. One line more may still be read.
func (h *host) pause() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.gate = make(chan struct{})
}

// writes returns how many messages the bridge has begun to write.
func (h *host) writes() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.begun
}

// resume goes on reading.
func (h *host) resume() {
	h.mu.Lock()
	defer h.mu.Unlock()
	select {
	case <-h.gate:
	default:
		close(h.gate)
	}
}

// end ends the input, waits for Run to return, and returns the lines that nobody asked for.
func (h *host) end() []string {
	h.t.Helper()
	h.in.Close()
	h.wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	rest := h.lines
	h.lines = nil
	return rest
}

// err waits for Run to return, and returns what it returned.
func (h *host) err() error {
	h.t.Helper()
	h.wait()
	return h.runErr
}

// logs returns what the bridge has logged so far, at all levels.
func (h *host) logs() string { return h.log.String() }

// wait waits until Run has returned and all it wrote was read.
func (h *host) wait() {
	h.t.Helper()
	select {
	case <-h.ended:
	case <-time.After(patience):
		h.t.Fatalf("Run does not return:\n%s", strings.Join(bridgeGoroutines(h.number), "\n\n"))
	}
	h.toHost.Close()
	h.resume()
	<-h.read
}

// finish ends the bridge and checks what it leaves.
func (h *host) finish() {
	if h.t.Failed() {
		h.t.Logf("log of the bridge:\n%s", h.logs())
	}
	defer h.cancel()
	h.in.Close()
	h.resume()
	select {
	case <-h.ended:
	case <-time.After(patience):
		h.t.Errorf("Run does not return:\n%s", strings.Join(bridgeGoroutines(h.number), "\n\n"))
		h.cancel()
		h.out.Close()
		return
	}
	h.toHost.Close()
	<-h.read
	checkLeak(h.t, h.number)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fault != "" {
		h.t.Error(h.fault)
	}
}

// take returns the next line if it comes within d.
func (h *host) take(d time.Duration) (string, bool) {
	timeout := time.After(d)
	for {
		h.mu.Lock()
		if len(h.lines) > 0 {
			line := h.lines[0]
			h.lines = h.lines[1:]
			h.mu.Unlock()
			return line, true
		}
		h.mu.Unlock()
		select {
		case <-h.arrived:
		case <-timeout:
			return "", false
		}
	}
}

func (h *host) readLines() {
	defer close(h.read)
	r := bufio.NewReaderSize(h.out, 64<<10)
	for {
		h.mu.Lock()
		gate := h.gate
		h.mu.Unlock()
		<-gate
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		h.mu.Lock()
		h.lines = append(h.lines, strings.TrimSuffix(line, "\n"))
		h.mu.Unlock()
		select {
		case h.arrived <- struct{}{}:
		default:
		}
	}
}

// hostOutput is the host's end of the bridge's output.
type hostOutput struct{ h *host }

func (o hostOutput) Write(p []byte) (int, error) {
	fault := outputFault(p)
	o.h.mu.Lock()
	o.h.fault = cmp.Or(o.h.fault, fault)
	o.h.begun++
	o.h.mu.Unlock()
	return o.h.toHost.Write(p)
}

// outputFault says what is wrong with one Write of the bridge's, which has to be whole lines (spec 1.01, 1.03,
// 1.06).
func outputFault(p []byte) string {
	lines, whole := bytes.CutSuffix(p, []byte("\n"))
	if !whole {
		return fmt.Sprintf("a Write that does not end with a line: %.200q", p)
	}
	for line := range bytes.SplitSeq(lines, []byte("\n")) {
		if fault := lineFault(line); fault != "" {
			return fault
		}
	}
	return ""
}

func lineFault(line []byte) string {
	if len(line) == 0 || bytes.IndexByte(line, '\r') >= 0 {
		return fmt.Sprintf("no whole line: %.200q", line)
	}
	if len(line) > 1<<20 {
		return "" // too long to decode in every test
	}
	type envelope struct {
		Version string `json:"jsonrpc"`
	}
	messages := make([]envelope, 1)
	var err error
	if line[0] == '[' {
		err = json.Unmarshal(line, &messages)
	} else {
		err = json.Unmarshal(line, &messages[0])
	}
	for _, m := range messages {
		if err != nil || m.Version != "2.0" {
			return fmt.Sprintf("a line that is no JSON-RPC message: %.200q", line)
		}
	}
	return ""
}

// checkLeak fails the test if goroutines of a bridge that has returned don't end.
func checkLeak(t testing.TB, number string) {
	t.Helper()
	var left []string
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if left = bridgeGoroutines(number); len(left) == 0 {
			return
		}
	}
	t.Errorf("%d goroutines are left after Run:\n%s", len(left), strings.Join(left, "\n\n"))
}

// bridgeGoroutines returns the stacks of the goroutines that a host's bridge has started, those of
// net/http among them. With the empty number it returns those of all bridges.
func bridgeGoroutines(number string) []string {
	var profile bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&profile, 1) // a Buffer takes everything
	mine := `labels: {"host":`
	if number != "" {
		mine += fmt.Sprintf("%q}", number)
	}
	var stacks []string
	for stack := range strings.SplitSeq(profile.String(), "\n\n") {
		if strings.Contains(stack, mine) {
			stacks = append(stacks, stack)
		}
	}
	return stacks
}

// eventually waits until cond is true.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("this does not happen: %s", what)
		}
	}
}

// await waits until ch is closed or has something.
func await(t testing.TB, what string, ch <-chan struct{}) {
	t.Helper()
	select {
	case <-ch:
	case <-time.After(patience):
		t.Fatalf("this does not happen: %s", what)
	}
}

// A buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// TestMain sees that no bridge has left anything behind, whoever started it.
func TestMain(m *testing.M) {
	code := m.Run()
	if left := bridgeGoroutines(""); code == 0 && len(left) > 0 {
		fmt.Fprintf(os.Stderr, "%d goroutines are left:\n%s\n", len(left), strings.Join(left, "\n\n"))
		code = 1
	}
	os.Exit(code)
}
