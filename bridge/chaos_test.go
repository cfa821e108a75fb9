package bridge_test

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mcp-bridge/bridge"
	"mcp-bridge/bridge/bridgetest"
)

var (
	chaosCalls    = flag.Int("chaos.calls", 2000, "requests of a chaos test")
	chaosSeed     = flag.Uint64("chaos.seed", 0, "seed of the chaos tests; 0 picks one")
	chaosInFlight = flag.Int("chaos.inflight", 64, "requests under way at once in a chaos test")
	chaosOnly     = flag.String("chaos.only", "", "comma-separated ways in which the chaos server answers; none means all")
)

// longestAnswer is how long any request may take in a chaos test. The server lets none wait for
// more than a few seconds; the rest is the machine's.
const longestAnswer = 30 * time.Second

// Whatever the server does to requests, streams and sessions: each request gets one answer, which is
// the server's or a true error; each message of the server's comes once and in order.
func TestChaos(t *testing.T) {
	t.Parallel()
	journal := &buffer{}
	seed := seedOf(t)
	s := bridgetest.NewChaos(bridgetest.ChaosConfig{Seed: seed, Journal: journal, Only: onlyOf()})
	t.Cleanup(s.Close)
	h := startChaosHost(t, s.URL(), seed, journal.String)
	h.play(*chaosCalls, func(int) {})
	s.Calm()
	h.finish()
}

// The same with a server that is a process of its own, which is killed and started again.
func TestChaosProcess(t *testing.T) {
	t.Parallel()
	seed := seedOf(t)
	p := startChaosProcess(t, seed)
	h := startChaosHost(t, p.url(), seed, p.journal)
	calls := *chaosCalls / 2
	every := max(calls/min(calls/200+2, 50), 1)
	var restarting sync.WaitGroup
	h.play(calls, func(n int) {
		if n%every == every-1 {
			restarting.Wait()
			restarting.Go(p.restart) // ends when the new process serves
		}
	})
	restarting.Wait()
	p.calm()
	h.finish()
}

func seedOf(t *testing.T) uint64 {
	seed := *chaosSeed
	if seed == 0 {
		seed = rand.Uint64N(1_000_000) + 1
	}
	t.Logf("to replay: -run '^%s$' -chaos.seed=%d -chaos.calls=%d", t.Name(), seed, *chaosCalls)
	return seed
}

func onlyOf() []string {
	if *chaosOnly == "" {
		return nil
	}
	return strings.Split(*chaosOnly, ",")
}

// A chaosHost sends requests, cancellations and notifications, answers the server's questions, and
// keeps account of all that comes.
type chaosHost struct {
	*host
	t    *testing.T
	dice *rand.Rand
	warn *warnings

	journal func() string // of the server

	sending chan string   // what goes to the bridge, in order
	slots   chan struct{} // one element for each request under way
	stopped atomic.Bool   // no more is read

	mu       sync.Mutex
	calls    map[string]*chaosCall // by raw id
	order    []*chaosCall
	due      int
	heard    map[string]int  // the last notification of each session
	asked    map[string]bool // the ids of the server's questions
	notes    int             // notifications to the server so far
	answers  int             // results
	errors   int             // errors of the bridge's
	refused  int             // errors of the server's that say that it did not run the request
	wrong    map[string][]string
	longest  time.Duration
	progress int
	news     int // notifications on GET streams
}

// A chaosCall is one request of the host's.
type chaosCall struct {
	id, tool  string
	n         int
	sent      time.Time
	cancelled bool
	asked     bool   // by the server
	steps     int    // progress notifications that have to come before the answer
	reached   int    // those that came
	answered  int    // times
	result    bool   // the answer is a result
	failure   string // the answer is an error that the bridge made, or one that says that the call did not run
}

// warnings counts what the bridge logs as warnings, and says so when asked.
type warnings struct {
	slog.Handler
	mu     sync.Mutex
	count  map[string]int
	causes map[string]int // why messages were not taken
}

var addresses = regexp.MustCompile(`127\.0\.0\.1:\d+`)

func (w *warnings) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }

func (w *warnings) Handle(_ context.Context, r slog.Record) error {
	kind, cause := "", ""
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "kind":
			kind = " " + a.Value.String()
		case "error":
			cause = a.Value.String()
		}
		return true
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.count[r.Message+kind]++
	if kind != "" {
		w.causes[addresses.ReplaceAllString(kind+": "+cause, "ADDR")]++
	}
	return nil
}

func (w *warnings) of(message string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count[message]
}

func startChaosHost(t *testing.T, url string, seed uint64, journal func() string) *chaosHost {
	h := &chaosHost{t: t, journal: journal, dice: rand.New(rand.NewPCG(seed, 1)), warn: &warnings{Handler: slog.DiscardHandler, count: make(map[string]int), causes: make(map[string]int)},
		sending: make(chan string, 10_000), slots: make(chan struct{}, *chaosInFlight),
		calls: make(map[string]*chaosCall), heard: make(map[string]int), asked: make(map[string]bool), wrong: make(map[string][]string)}
	h.host = startHost(t, bridge.Config{URL: url, Logger: slog.New(h.warn)})
	for try := 0; ; try++ { // a host may try again
		id := fmt.Sprintf(`"init-%d"`, try)
		h.host.send(initialize(id, "2025-11-25"))
		if answer := h.host.answer(id); strings.Contains(string(answer), `"result"`) {
			break
		}
		if try == 100 {
			t.Fatal("no session in 100 attempts")
		}
	}
	h.host.send(initialized)
	go h.write()  // ends when sending is closed
	go h.listen() // ends when stopped is set
	return h
}

func (h *chaosHost) write() {
	for m := range h.sending {
		if _, err := h.in.Write([]byte(m + "\n")); err != nil {
			return
		}
	}
}

func (h *chaosHost) listen() {
	for !h.stopped.Load() {
		if line, ok := h.take(100 * time.Millisecond); ok {
			h.hear(line)
		}
	}
}

// count notes that something went wrong. The caller holds mu.
func (h *chaosHost) count(what, format string, args ...any) {
	h.wrong[what] = append(h.wrong[what], fmt.Sprintf(format, args...))
}

// play sends requests and waits for all answers. It calls each with the number of each request.
func (h *chaosHost) play(calls int, each func(n int)) {
	h.t.Helper()
	timeout := time.NewTimer(longestAnswer)
	defer timeout.Stop()
	for n := range calls {
		timeout.Reset(longestAnswer)
		select {
		case h.slots <- struct{}{}:
		case <-timeout.C:
			h.overdue()
		}
		h.call(n)
		if h.dice.IntN(100) < 10 {
			h.mu.Lock()
			h.notes++
			seq := h.notes
			h.mu.Unlock()
			h.sending <- fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/chaos","params":{"seq":%d}}`, seq)
		}
		if h.dice.IntN(100) < 3 {
			h.cancelOne()
		}
		each(n)
	}
	for deadline := time.Now().Add(longestAnswer); h.left() > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			h.overdue()
		}
	}
}

func (h *chaosHost) left() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.due
}

// overdue fails the test for requests without an answer.
func (h *chaosHost) overdue() {
	h.t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	var ids []string
	for _, c := range h.order {
		if c.answered == 0 && !c.cancelled && time.Since(c.sent) > longestAnswer/2 {
			ids = append(ids, fmt.Sprintf("%s %s (%v):", c.tool, c.id, time.Since(c.sent).Round(time.Second)))
			for line := range strings.Lines(h.journal()) {
				if e := bridgetest.ParseEntry(strings.TrimSpace(line)); e.Key == c.id {
					ids = append(ids, "\t"+line)
				}
			}
		}
	}
	h.t.Fatalf("no answer to requests:\n%.2000s\nwarnings: %v\n%s", strings.Join(ids, "\n"), h.warn.count, strings.Join(bridgeGoroutines(h.number), "\n\n"))
}

// call sends the nth request. Ids come in pairs that differ in type only.
func (h *chaosHost) call(n int) {
	c := &chaosCall{n: n, id: fmt.Sprint(n), sent: time.Now()}
	if n%2 == 1 {
		c.id = fmt.Sprintf(`"%d"`, n-1)
	}
	var text string
	switch p := h.dice.IntN(100); {
	case p < 50:
		c.tool = "echo"
		text = fmt.Sprintf(`"method":"tools/call","params":{"name":"echo","arguments":{"text":"t%d","n":%d}}`, n, n)
		if p == 0 {
			text = strings.Replace(text, `"n"`, `"more":"`+strings.Repeat("x", h.dice.IntN(100_000))+`","n"`, 1)
		}
	case p < 75:
		c.tool, c.steps = "count", h.dice.IntN(6)
		text = fmt.Sprintf(`"method":"tools/call","params":{"name":"count","arguments":{"to":%d},"_meta":{"progressToken":%d}}`, c.steps, n)
	case p < 85:
		c.tool = "ask"
		text = `"method":"tools/call","params":{"name":"ask"}`
	case p < 95:
		c.tool = "list"
		text = `"method":"tools/list"`
	default:
		c.tool = "ping"
		text = `"method":"ping"`
	}
	h.mu.Lock()
	h.calls[c.id] = c
	h.order = append(h.order, c)
	h.due++
	h.mu.Unlock()
	h.sending <- `{"jsonrpc":"2.0","id":` + c.id + `,` + text + `}`
}

// cancelOne cancels one of the latest requests, if it is still under way.
func (h *chaosHost) cancelOne() {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.order[len(h.order)-1-h.dice.IntN(min(len(h.order), 8))]
	if c.answered > 0 || c.cancelled {
		return
	}
	c.cancelled = true
	h.settled()
	h.sending <- `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":` + c.id + `}}`
}

// settled notes that no answer is due any more to one request. The caller holds mu.
func (h *chaosHost) settled() {
	h.due--
	<-h.slots
}

// hear takes one line of the bridge's.
func (h *chaosHost) hear(line string) {
	var m struct {
		ID     json.RawMessage
		Method string
		Params struct {
			Message       string // of elicitation/create
			ProgressToken int
			Progress      int
			Data          struct {
				Session string
				Seq     int
			}
		}
		Result json.RawMessage
		Error  *struct {
			Code    int
			Message string
			Data    struct{ Source string }
		}
	}
	if err := json.Unmarshal([]byte(line), &m); err != nil {
		h.t.Errorf("%v: %.300q", err, line)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case m.Method == "elicitation/create":
		c := h.calls[m.Params.Message]
		if c == nil || c.tool != "ask" || c.asked || h.asked[string(m.ID)] {
			h.count("questions doubled or mixed up", "%.300s", line)
			return
		}
		c.asked, h.asked[string(m.ID)] = true, true
		answer, _ := json.Marshal(m.Params.Message)
		select {
		case h.sending <- fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"action":"accept","content":{"for":%s}}}`, m.ID, answer):
		default:
			h.count("bridge does not read", "%d lines", len(h.sending))
		}
	case m.Method == "notifications/progress":
		h.progress++
		switch c := h.nth(m.Params.ProgressToken); {
		case c == nil || c.tool != "count":
			h.count("notifications mixed up", "%.300s", line)
		case c.answered > 0 && c.failure == "": // the bridge may have given up what the server goes on with
			h.count("notifications reordered", "after the answer: %.300s", line)
		case m.Params.Progress <= c.reached:
			h.count("notifications duplicated", "after %d: %.300s", c.reached, line)
		case m.Params.Progress > c.reached+1:
			h.count("notifications missing", "after %d: %.300s", c.reached, line)
			fallthrough
		default:
			c.reached = m.Params.Progress
		}
	case m.Method == "notifications/message":
		h.news++
		d := m.Params.Data
		switch last := h.heard[d.Session]; {
		case d.Seq <= last:
			h.count("notifications duplicated", "after %d: %.300s", last, line)
		case d.Seq > last+1:
			h.count("notifications missing", "after %d: %.300s", last, line)
			fallthrough
		default:
			h.heard[d.Session] = d.Seq
		}
	case m.Method == "notifications/tools/list_changed" && m.ID == nil:
	case m.Method != "":
		h.count("messages made up", "%.300s", line)
	default:
		c := h.calls[string(m.ID)]
		if c == nil {
			h.count("answers to nothing", "%.300s", line)
			return
		}
		c.answered++
		if c.answered > 1 {
			h.count("answers duplicated", "%.300s", line)
			return
		}
		if !c.cancelled {
			h.settled()
			took := time.Since(c.sent)
			h.longest = max(h.longest, took)
			if took > longestAnswer {
				h.count("answers too late", "%v: %.300s", took, line)
			}
		}
		switch {
		case m.Error != nil && m.Error.Data.Source == "mcp-bridge":
			h.errors++
			c.failure = m.Error.Message
		case m.Error != nil && c.tool == "ask" && strings.HasPrefix(m.Error.Message, "Nobody"):
		case m.Error != nil && m.Error.Message == "Session not found": // the server's own words, when it has lost a second one
			h.refused++
			c.failure = "HTTP 404"
		case m.Error != nil || !c.rightResult(m.Result):
			h.count("answers mixed up", "to %s %s, %d steps of %d: %.300s", c.tool, c.id, c.reached, c.steps, line)
		default:
			h.answers++
			c.result = true
		}
	}
}

// nth returns the nth call.
func (h *chaosHost) nth(n int) *chaosCall {
	if n < 0 || n >= len(h.order) {
		return nil
	}
	return h.order[n]
}

// rightResult tells whether a result is that of this call, and all that had to come before it came.
func (c *chaosCall) rightResult(raw json.RawMessage) bool {
	var r struct {
		Content           []struct{ Text string }
		StructuredContent struct {
			N       int
			Content struct{ For string }
		}
		Tools []any
	}
	if json.Unmarshal(raw, &r) != nil {
		return false
	}
	switch c.tool {
	case "echo":
		return len(r.Content) == 1 && r.Content[0].Text == fmt.Sprint("t", c.n) && r.StructuredContent.N == c.n
	case "count":
		return len(r.Content) == 1 && r.Content[0].Text == fmt.Sprint("counted to ", c.steps) && c.reached == c.steps
	case "ask":
		return r.StructuredContent.Content.For == c.id
	case "list":
		return len(r.Tools) == 4
	}
	return string(raw) == "{}"
}

// finish sees to it that what is still on its way comes, ends the bridge, and compares what the host
// was told with what the server did.
func (h *chaosHost) finish() {
	h.t.Helper()
	h.flush()
	// The last notification of the session in use comes after all others.
	var session string
	var last int
	for line := range strings.Lines(h.journal()) {
		if e := bridgetest.ParseEntry(strings.TrimSpace(line)); e.What == "notify" {
			session = e.Key
			fmt.Sscan(e.More, &last)
		}
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		h.mu.Lock()
		heard := h.heard[session]
		h.mu.Unlock()
		if heard == last {
			break
		}
		if time.Now().After(deadline) {
			h.mu.Lock()
			h.count("notifications missing", "%d of session %s, the last one", last-heard, session)
			h.mu.Unlock()
			break
		}
	}
	close(h.sending)
	began := time.Now()
	h.host.in.Close()
	if err := h.host.err(); err != nil {
		h.t.Errorf("Run returned %v", err)
	}
	if took := time.Since(began); took > longestEnd {
		h.t.Errorf("Run took %v to return", took)
	}
	h.stopped.Store(true)
	h.judge()
}

// flush sends one request more. The notification that goes with it is the last of its session.
func (h *chaosHost) flush() {
	h.t.Helper()
	h.slots <- struct{}{}
	n := len(h.order)
	c := &chaosCall{n: n, id: `"last"`, tool: "echo", sent: time.Now()}
	h.mu.Lock()
	h.calls[c.id] = c
	h.order = append(h.order, c)
	h.due++
	h.mu.Unlock()
	h.sending <- fmt.Sprintf(`{"jsonrpc":"2.0","id":"last","method":"tools/call","params":{"name":"echo","arguments":{"text":"t%d","n":%d}}}`, n, n)
	for deadline := time.Now().Add(longestAnswer); h.left() > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			h.overdue()
		}
	}
}

// A served is what the server did with one request.
type served struct {
	ways      []string
	runs      int
	cancelled bool
	late      bool // came again after its cancellation
}

// judge compares what the host was told with what the server did.
func (h *chaosHost) judge() {
	h.mu.Lock()
	defer h.mu.Unlock()
	requests := make(map[string]*served)
	of := func(id string) *served {
		if requests[id] == nil {
			requests[id] = &served{}
		}
		return requests[id]
	}
	ways := make(map[string]int)
	taken, last, answered := 0, 0, make(map[string]bool)
	for line := range strings.Lines(h.journal()) {
		switch e := bridgetest.ParseEntry(strings.TrimSpace(line)); e.What {
		case "arrive":
			s := of(e.Key)
			s.ways = append(s.ways, e.More)
			s.late = s.late || s.cancelled
			ways[e.More]++
		case "run":
			of(e.Key).runs++
		case "cancel":
			of(e.Key).cancelled = true
		case "answer":
			if answered[e.Key] {
				h.count("the host's answers doubled", "%s", e.Key)
			}
			answered[e.Key] = true
		case "take":
			n := 0
			fmt.Sscan(e.More, &n)
			if e.Key != "notifications/chaos" {
				continue
			}
			taken++
			switch {
			case n == last:
				h.count("the host's notifications doubled", "%d", n)
			case n < last:
				h.count("the host's notifications reordered", "%d after %d", n, last)
			}
			last = max(n, last)
		}
	}
	unsaid, needless, late, claims := 0, 0, 0, 0
	for _, c := range h.order {
		s := of(c.id)
		isCall := c.tool != "list" && c.tool != "ping"
		if isCall && s.runs > 1 {
			h.count("calls run more than once", "%s %s, %v", c.tool, c.id, s.ways)
		}
		if s.late {
			late++
		}
		if c.result && s.runs == 0 {
			h.count("results made up", "%s %s, %v", c.tool, c.id, s.ways)
		}
		if c.failure == "" {
			continue
		}
		saysMay := strings.Contains(c.failure, "may have run")
		saysNot := isCall && !saysMay && (strings.Contains(c.failure, "cannot reach") || strings.Contains(c.failure, "HTTP 429") ||
			strings.Contains(c.failure, "HTTP 401") || strings.Contains(c.failure, "HTTP 404") || strings.Contains(c.failure, "forgot the session"))
		if saysMay {
			claims++
		}
		switch {
		case saysNot && s.runs > 0:
			h.count("errors untrue", "%s %s ran %d times, %v, the host was told %q", c.tool, c.id, s.runs, s.ways, c.failure)
		case saysMay && s.runs == 0 && strings.Contains(c.failure, "forgot the session"):
			h.count("errors untrue", "%s %s did not run, %v, the host was told %q", c.tool, c.id, s.ways, c.failure)
		case saysMay && s.runs == 0 && len(s.ways) == 0:
			needless++
			if strings.Contains(c.failure, "refused") {
				h.count("errors untrue", "%s %s did not get there, the host was told %q", c.tool, c.id, c.failure)
			}
		case !saysMay && !saysNot && isCall && s.runs > 0 && !strings.Contains(c.failure, "HTTP 50") && !strings.Contains(c.failure, "answered 20") && !strings.Contains(c.failure, "the server's answer is"):
			h.count("errors that say too little", "%s %s ran, %v, the host was told %q", c.tool, c.id, s.ways, c.failure)
		case !saysMay && isCall && s.runs > 0:
			unsaid++
		}
	}
	lost, warned := h.notes-taken, h.warn.of("the server did not take a message of the host's notifications/chaos")
	if lost > warned {
		h.count("the host's notifications lost silently", "%d of %d, %d warnings", lost, h.notes, warned)
	}
	var names []string
	for name, n := range ways {
		names = append(names, fmt.Sprintf("%s %d", name, n))
	}
	slices.Sort(names)
	h.t.Logf("%d requests: %d results, %d refused for their session, %d errors of the bridge's (%d say \"may have run\", %d ran and the error leaves it open, %d did not get there and \"may have run\"); "+
		"%d progress notifications, %d on GET streams of %d sessions; %d notifications of the host's, %d not taken, %d warnings; %d sent after their cancellation; longest wait %v",
		len(h.order), h.answers, h.refused, h.errors, claims, unsaid, needless, h.progress, h.news, len(h.heard), h.notes, lost, warned, late, h.longest.Round(time.Millisecond))
	h.t.Logf("ways: %s", strings.Join(names, ", "))
	h.t.Logf("warnings: %v", h.warn.count)
	for cause, n := range h.warn.causes {
		h.t.Logf("%d of %s", n, cause)
	}
	for what, which := range h.wrong {
		h.t.Errorf("%s: %d\n\t%s", what, len(which), strings.Join(which[:min(len(which), 5)], "\n\t"))
	}
}

// A chaosProcess is a chaos server in a process of its own, always at the same address.
type chaosProcess struct {
	t       *testing.T
	seed    uint64
	address string
	file    string // the journal, of all processes

	mu  sync.Mutex
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func startChaosProcess(t *testing.T, seed uint64) *chaosProcess {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &chaosProcess{t: t, seed: seed, address: l.Addr().String(), file: t.TempDir() + "/journal"}
	l.Close()
	p.start()
	t.Cleanup(p.kill)
	return p
}

func (p *chaosProcess) url() string { return "http://" + p.address + "/mcp" }

// start starts the process, and returns when it serves.
func (p *chaosProcess) start() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cmd = exec.Command(os.Args[0], "-test.run=^TestChaosServer$", "-test.count=1")
	p.cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", chaosServer+"="+p.address, fmt.Sprintf("%s_SEED=%d", chaosServer, p.seed), chaosServer+"_JOURNAL="+p.file)
	p.cmd.Stderr = os.Stderr
	var err error
	if p.in, err = p.cmd.StdinPipe(); err == nil {
		var out io.ReadCloser
		if out, err = p.cmd.StdoutPipe(); err == nil {
			if err = p.cmd.Start(); err == nil {
				p.out = bufio.NewReader(out)
				_, err = p.out.ReadString('\n')
			}
		}
	}
	if err != nil {
		p.t.Errorf("starting the server: %v", err)
	}
}

// kill kills the process.
func (p *chaosProcess) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait() // it was killed
}

func (p *chaosProcess) restart() {
	p.kill()
	time.Sleep(20 * time.Millisecond) // there is nobody at the address
	p.start()
}

// calm ends the chaos, and returns when it has ended.
func (p *chaosProcess) calm() {
	_, err := io.WriteString(p.in, "calm\n")
	if err == nil {
		_, err = p.out.ReadString('\n')
	}
	if err != nil {
		p.t.Errorf("calming the server: %v", err)
	}
}

func (p *chaosProcess) journal() string {
	b, err := os.ReadFile(p.file)
	if err != nil {
		p.t.Error(err)
	}
	return string(b)
}

// chaosServer is the environment variable that makes TestChaosServer a server at its value.
const chaosServer = "BRIDGE_TEST_CHAOS_SERVER"

// TestChaosServer is no test, but the process that TestChaosProcess starts.
func TestChaosServer(t *testing.T) {
	address := os.Getenv(chaosServer)
	if address == "" {
		t.Skip("only for TestChaosProcess")
	}
	var seed uint64
	fmt.Sscan(os.Getenv(chaosServer+"_SEED"), &seed)
	journal, err := os.OpenFile(os.Getenv(chaosServer+"_JOURNAL"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	var l net.Listener
	for range 100 { // the address may be taken for a moment
		if l, err = net.Listen("tcp", address); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
	s := bridgetest.NewChaos(bridgetest.ChaosConfig{Seed: seed, Journal: journal, Only: onlyOf(), Listener: l})
	fmt.Println("ready")
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		s.Calm()
		fmt.Println("calm")
	}
	s.Close() // the test has ended
}
