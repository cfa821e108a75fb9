package bridgetest

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// askLimit is how long a chaos server's tool waits for the client to answer a question.
const askLimit = 3 * time.Second

// ChaosConfig says how a [Chaos] server behaves. The zero value does.
type ChaosConfig struct {
	// Seed decides what happens to a request, together with the request's id and how often it has
	// come before: the same seed gives the same request the same treatment, in whatever order and
	// at whatever speed requests come. For GETs it is the session and how many it has had.
	Seed uint64

	// Only, if not nil, names the ways of answering a request that are used: see Ways.
	Only []string

	// Journal gets one Write with one line for each thing that happens, before the client can know
	// of it. See [Entry]. Nil means that nobody wants to know.
	Journal io.Writer

	// Listener is where to serve. Nil means a free port of 127.0.0.1.
	Listener net.Listener
}

// Chaos is a server with the tools of a [Server] that picks at random how it answers each request:
// well, late, twice, elsewhere, in pieces, wrongly, not at all, or by forgetting the session or
// everything. Whatever it does to a request it keeps account of, so that one can tell whether what
// the client was told is true.
//
// It keeps the events of a stream as long as the session lives, unless it sends them without ids,
// and goes on where the client says that it left off. With each tools/call there may go a
// notifications/message, with the session and a sequence number, to the session's GET stream.
//
// The tool "ask" asks for the id of the call: the client is expected to send that back.
type Chaos struct {
	*Server
	cfg   ChaosConfig
	conns *connListener
	ways  []way
	calm  atomic.Bool
	ctx   context.Context
	stop  context.CancelFunc

	journalMu sync.Mutex

	mu      sync.Mutex
	times   map[string]int                // how often a thing has come, by its key
	lives   map[string]*life              // by session id
	running map[string]context.CancelFunc // requests being carried out, by id
	age     int                           // restarts so far
}

// A life is what the server has in memory for a session, besides the session.
type life struct {
	id   string
	ctx  context.Context
	end  context.CancelFunc
	own  *eventLog // messages of the server's own: the GET stream
	logs map[string]*eventLog
	sent int // notifications; guarded by Chaos.mu
}

// NewChaos starts a chaos server. The caller has to Close it.
func NewChaos(cfg ChaosConfig) *Chaos {
	if cfg.Listener == nil {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic(fmt.Sprintf("bridgetest: %v", err))
		}
		cfg.Listener = l
	}
	c := &Chaos{cfg: cfg, conns: &connListener{Listener: cfg.Listener, open: make(map[*trackedConn]bool)},
		times: make(map[string]int), lives: make(map[string]*life), running: make(map[string]context.CancelFunc)}
	for _, w := range ways {
		if cfg.Only == nil || slices.Contains(cfg.Only, w.name) {
			c.ways = append(c.ways, w)
		}
	}
	c.ctx, c.stop = context.WithCancel(context.Background())
	ready := make(chan struct{})
	s := NewServer(Config{Unrecorded: true, Listener: c.conns, Handle: func(w http.ResponseWriter, r *Request) bool {
		<-ready
		return c.handle(w, r)
	}})
	// A server that was started anew, in another process too, must not give an id for the second
	// time, and does not in the wild.
	s.opened, s.asked = os.Getpid()*1_000_000, os.Getpid()*1_000_000
	c.Server = s
	close(ready)
	return c
}

// Ways returns the names of the ways in which a request is answered.
func Ways() []string {
	var names []string
	for _, w := range ways {
		names = append(names, w.name)
	}
	return names
}

// Close cuts all connections and waits until no request is under way any more.
func (c *Chaos) Close() {
	c.stop()
	c.Server.Close()
}

// Calm ends the chaos: from now on requests are answered as they should be, and each tools/call
// comes with a notification on the GET stream.
func (c *Chaos) Calm() { c.calm.Store(true) }

// Restart has the effect of killing and starting the server: connections are cut, sessions, events
// and requests under way are gone.
func (c *Chaos) Restart() {
	c.mu.Lock()
	c.age++
	for id, l := range c.lives {
		l.end()
		delete(c.lives, id)
	}
	c.mu.Unlock()
	c.ForgetSessions()
	c.conns.cut()
}

// An Entry is one line of a journal: what happened to which thing, and more on it.
//
//	arrive ID WAY      a request came, and is answered in this way; "unknown-session" is one of them
//	run ID             it is carried out
//	cancel ID          a cancellation of it was taken
//	take METHOD N      a notification with "seq":N in its params was taken
//	answer ID          an answer to the server's own question with this id was taken
//	notify SESSION N   the Nth notification was put on the GET stream of a session
type Entry struct{ What, Key, More string }

// ParseEntry reads one line of a journal.
func ParseEntry(line string) Entry {
	what, rest, _ := strings.Cut(line, " ")
	key, more, _ := strings.Cut(rest, " ")
	return Entry{what, key, more}
}

func (c *Chaos) note(what, key string, more any) {
	if c.cfg.Journal == nil {
		return
	}
	c.journalMu.Lock()
	defer c.journalMu.Unlock()
	_, _ = fmt.Fprintf(c.cfg.Journal, "%s %s %v\n", what, key, more)
}

// dice returns the random source for a thing with this key, and how often it has come before.
func (c *Chaos) dice(key string) (dice *rand.Rand, before int) {
	c.mu.Lock()
	before = c.times[key]
	c.times[key]++
	c.mu.Unlock()
	hash := fnv.New64a()
	fmt.Fprintf(hash, "%s/%d", key, before)
	return rand.New(rand.NewPCG(c.cfg.Seed, hash.Sum64())), before
}

// life returns what is kept for a session, nil if it is unknown.
func (c *Chaos) life(id string) *life {
	if c.findSession(id) == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.lives[id]
	if l == nil {
		l = &life{id: id, own: newEventLog("own", len(c.lives)%2), logs: make(map[string]*eventLog)}
		l.logs[l.own.name] = l.own
		l.ctx, l.end = context.WithCancel(c.ctx)
		c.lives[id] = l
	}
	return l
}

// forget forgets one session.
func (c *Chaos) forget(id string) {
	c.mu.Lock()
	if l := c.lives[id]; l != nil {
		l.end()
		delete(c.lives, id)
	}
	c.mu.Unlock()
	c.Server.mu.Lock()
	c.endSession(id)
	c.Server.mu.Unlock()
}

// handle answers every request.
func (c *Chaos) handle(w http.ResponseWriter, r *Request) bool {
	id := r.Header.Get(headerSession)
	switch {
	case r.Request.Method == http.MethodGet:
		c.stream(w, r, c.life(id))
	case r.Request.Method == http.MethodDelete:
		r.Serve(w)
		c.forget(id)
	case r.Method == "initialize":
		c.open(w, r)
	case r.Method != "" && r.ID != nil:
		c.answerRequest(w, r, c.life(id))
	case r.isMessage():
		c.takeMessage(w, r, c.life(id))
	default:
		return false
	}
	return true
}

// answerRequest picks a way to answer a request, and takes it.
func (c *Chaos) answerRequest(w http.ResponseWriter, r *Request, l *life) {
	if l == nil || c.sessionOf(w, r) == nil {
		c.note("arrive", string(r.ID), "unknown-session")
		if l == nil {
			refuse(w, http.StatusNotFound, codeSessionNotFound, "Session not found")
		}
		return
	}
	x := &exchange{Chaos: c, w: w, Request: r, life: l, id: string(r.ID)}
	x.dice, _ = c.dice("request " + x.id)
	c.mu.Lock()
	x.age = c.age
	c.mu.Unlock()
	var params struct{ Name string }
	_ = json.Unmarshal(r.Params, &params) // without one it is no tool
	x.asks = r.Method == "tools/call" && params.Name == "ask"
	if r.Method == "tools/call" && (c.calm.Load() || x.chance(25)) {
		c.notify(l)
	}
	pick := x.pick(c.ways)
	if c.calm.Load() {
		pick = ways[0]
	}
	c.note("arrive", x.id, pick.name)
	pick.do(x)
}

// notify puts the next notification on a session's GET stream.
func (c *Chaos) notify(l *life) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l.sent++
	c.note("notify", l.id, l.sent)
	l.own.add(fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":{"session":%q,"seq":%d}}}`, l.id, l.sent))
}

// stream serves a GET stream, or more of a request's stream, and cuts it now and then.
func (c *Chaos) stream(w http.ResponseWriter, r *Request, l *life) {
	if l == nil || c.sessionOf(w, r) == nil {
		if l == nil {
			refuse(w, http.StatusNotFound, codeSessionNotFound, "Session not found")
		}
		return
	}
	key := "GET " + l.id
	log, from := l.own, 0
	if last := r.Header.Get("Last-Event-Id"); last != "" {
		name, n := splitEventID(last)
		c.mu.Lock()
		log = l.logs[name]
		c.mu.Unlock()
		if log == nil {
			refuse(w, http.StatusBadRequest, codeInvalidRequest, "Last-Event-ID is unknown")
			return
		}
		key, from = "GET "+last, n+1
	}
	x := &exchange{Chaos: c, w: w, Request: r, life: l, id: key}
	x.dice, _ = c.dice(key)
	if !c.calm.Load() {
		switch p := x.dice.IntN(100); {
		case p < 2:
			x.fail(http.StatusServiceUnavailable, "")
			return
		case p < 4:
			x.cut(p == 2)
		}
	}
	x.serveLog(log, from, 10)
}

// open answers an initialize request: mostly well, or the client gets nowhere.
func (c *Chaos) open(w http.ResponseWriter, r *Request) {
	x := &exchange{Chaos: c, w: w, Request: r, id: string(r.ID)}
	x.dice, _ = c.dice("request " + x.id)
	p := x.dice.IntN(100)
	if c.calm.Load() {
		p = 99
	}
	if p < 20 {
		c.note("arrive", x.id, fmt.Sprintf("open-%d", p))
	}
	switch {
	case p < 2:
		x.fail(http.StatusServiceUnavailable, x.oneOf("", "0"))
	case p < 4:
		x.fail(http.StatusBadGateway, "")
	case p < 6:
		x.cut(p == 4)
	case p < 8: // the session is open, and nobody knows
		x.Serve(newRecorder())
		x.cut(p == 6)
	case p < 10:
		x.w = &cutter{ResponseWriter: w, x: x, left: x.dice.IntN(100)}
		x.Serve(x.w)
	case p < 20:
		x.sleep()
		fallthrough
	default:
		x.Serve(w)
	}
}

// takeMessage takes a notification or a response of the client's, or does not.
func (c *Chaos) takeMessage(w http.ResponseWriter, r *Request, l *life) {
	if l == nil || c.sessionOf(w, r) == nil {
		if l == nil {
			refuse(w, http.StatusNotFound, codeSessionNotFound, "Session not found")
		}
		return
	}
	var params struct {
		Seq       int
		RequestID json.RawMessage
	}
	_ = json.Unmarshal(r.Params, &params)
	x := &exchange{Chaos: c, w: w, Request: r, life: l, id: string(r.ID)}
	x.dice, _ = c.dice(fmt.Sprintf("%s %s %d %s", r, r.ID, params.Seq, params.RequestID))
	take := func() {
		switch {
		case r.Method == "":
			c.note("answer", x.id, "")
			c.answered(r)
		case r.Method == "notifications/cancelled":
			c.note("cancel", string(params.RequestID), "")
			c.mu.Lock()
			end := c.running[string(params.RequestID)]
			c.mu.Unlock()
			if end != nil && x.chance(50) {
				end()
			}
		default:
			c.note("take", r.Method, params.Seq)
		}
	}
	p := x.dice.IntN(100)
	if c.calm.Load() {
		p = 99
	}
	switch {
	case p < 1:
		x.cut(x.chance(50))
	case p < 2:
		take()
		x.cut(x.chance(50))
	case p < 3:
		x.fail(x.status(500, 502, 503), "")
	case p < 4 && x.chance(30):
		c.forget(l.id)
		refuse(w, http.StatusNotFound, codeSessionNotFound, "Session not found")
	case p < 6:
		x.sleep()
		take()
		w.WriteHeader(http.StatusAccepted)
	case p < 9:
		take()
		writeJSON(w, http.StatusOK, "{}")
	default:
		take()
		w.WriteHeader(http.StatusAccepted)
	}
}
