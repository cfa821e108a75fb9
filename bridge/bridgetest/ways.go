package bridgetest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

// An exchange is one request to a chaos server, and how it is answered.
type exchange struct {
	*Chaos
	*Request
	w    http.ResponseWriter
	life *life // nil for initialize
	id   string
	dice *rand.Rand
	age  int  // of the server
	asks bool // the tool needs an answer of the client's while it runs
}

// A way is one way to answer a request, and how likely it is.
type way struct {
	name   string
	weight int
	do     func(*exchange)
}

// ways are all there are. The first is the right one.
var ways = []way{
	{"json", 300, func(x *exchange) { x.carryOut(x.connection(), &reply{w: x.w, r: x.Request}) }},
	{"events", 150, func(x *exchange) { x.carryOut(x.connection(), x.events(x.w)) }},
	{"delay", 40, func(x *exchange) {
		x.sleep()
		x.carryOut(x.connection(), &reply{w: x.w, r: x.Request})
	}},
	{"trickle", 15, func(x *exchange) {
		w := &trickler{ResponseWriter: x.w}
		x.carryOut(x.connection(), x.maybeEvents(w))
	}},
	{"twice", 30, func(x *exchange) {
		w := &doubler{ResponseWriter: x.w}
		x.carryOut(x.connection(), x.events(w))
		w.again()
	}},
	{"resume", 80, func(x *exchange) { x.serveLog(x.carryOutApart(), 0, 30) }},
	{"poll", 20, func(x *exchange) { // the server ends the stream before there is an answer
		log := x.carryOutApart()
		x.serveLog(log.until(1), 0, 0)
	}},
	{"on-get-stream", 40, func(x *exchange) {
		x.apart(x.life.own)
		x.w.WriteHeader(http.StatusAccepted)
	}},

	{"cut", 15, func(x *exchange) { x.cut(false) }},
	{"reset", 15, func(x *exchange) { x.cut(true) }},
	{"run-cut", 15, func(x *exchange) {
		x.runBlind()
		x.cut(false)
	}},
	{"run-reset", 15, func(x *exchange) {
		x.runBlind()
		x.cut(true)
	}},
	{"cut-body", 20, func(x *exchange) {
		x.carryOut(x.connection(), &reply{w: &cutter{ResponseWriter: x.w, x: x, left: x.dice.IntN(200)}, r: x.Request})
	}},
	{"cut-events", 30, func(x *exchange) {
		x.carryOut(x.connection(), x.events(&cutter{ResponseWriter: x.w, x: x, left: x.dice.IntN(600)}))
	}},
	{"reset-body", 10, func(x *exchange) {
		x.carryOut(x.connection(), x.maybeEvents(&cutter{ResponseWriter: x.w, x: x, left: x.dice.IntN(300), reset: true}))
	}},

	{"refuse", 20, func(x *exchange) { x.fail(x.status(500, 502, 503), x.oneOf("", "", "0")) }},
	{"run-refuse", 20, func(x *exchange) {
		x.runBlind()
		x.fail(x.status(500, 502, 503), x.oneOf("", "", "0"))
	}},
	{"503-wait", 2, func(x *exchange) { x.fail(503, "1") }},
	{"429", 10, func(x *exchange) { x.fail(429, x.oneOf("", "0")) }},
	{"429-wait", 2, func(x *exchange) { x.fail(429, "1") }},
	{"401", 5, func(x *exchange) { x.fail(401, "") }},
	{"forget", 4, func(x *exchange) {
		x.forget(x.life.id)
		refuse(x.w, http.StatusNotFound, codeSessionNotFound, "Session not found")
	}},
	{"run-forget", 2, func(x *exchange) { // what runs is finished, though its session is gone
		x.forget(x.life.id)
		x.carryOut(x.connection(), x.maybeEvents(x.w))
	}},
	{"restart", 1, func(x *exchange) {
		x.Restart()
		x.cut(false)
	}},
	{"run-restart", 1, func(x *exchange) {
		x.runBlind()
		x.Restart()
		x.cut(false)
	}},

	{"truncated", 15, func(x *exchange) {
		rec := x.record(x.Request)
		rec.body.Truncate(x.dice.IntN(rec.body.Len() + 1))
		rec.replay(x.w)
	}},
	{"garbage", 15, func(x *exchange) { x.garbage() }},
	{"wrong-id", 15, func(x *exchange) {
		other := *x.Request
		other.ID = []byte(x.oneOf("null", `"nobody"`, "99999999999999999999", "-1"))
		x.record(&other).replay(x.w)
	}},
}

// pick picks a way by its weight.
func (x *exchange) pick(ways []way) way {
	sum := 0
	for _, w := range ways {
		sum += w.weight
	}
	at := x.dice.IntN(sum)
	for _, w := range ways {
		if at -= w.weight; at < 0 {
			return w
		}
	}
	panic("unreachable")
}

func (x *exchange) chance(percent int) bool { return x.dice.IntN(100) < percent }

func (x *exchange) oneOf(of ...string) string { return of[x.dice.IntN(len(of))] }

func (x *exchange) status(of ...int) int { return of[x.dice.IntN(len(of))] }

// sleep waits a little.
func (x *exchange) sleep() {
	t := time.NewTimer(time.Duration(x.dice.IntN(20_000)) * time.Microsecond)
	defer t.Stop()
	select {
	case <-t.C:
	case <-x.Context().Done():
	}
}

// connection returns the context of what ends with the connection.
func (x *exchange) connection() context.Context { return x.Context() }

func (x *exchange) events(w http.ResponseWriter) *reply {
	return &reply{w: w, r: x.Request, events: x.Events(w)}
}

func (x *exchange) maybeEvents(w http.ResponseWriter) *reply {
	if x.chance(50) {
		return x.events(w)
	}
	return &reply{w: w, r: x.Request}
}

// run notes that the request is carried out. It returns false if the server was restarted before.
func (x *exchange) run() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.age != x.Chaos.age {
		return false
	}
	x.note("run", x.id, "")
	return true
}

// runBlind carries the request out for nobody to see.
func (x *exchange) runBlind() {
	if !x.run() {
		x.cut(false)
	}
}

// carryOut carries the request out, and gives the answer to y. The client may cancel that.
func (x *exchange) carryOut(ctx context.Context, y *reply) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	x.mu.Lock()
	x.running[x.id] = cancel
	x.mu.Unlock()
	defer func() {
		x.mu.Lock()
		delete(x.running, x.id)
		x.mu.Unlock()
	}()
	switch {
	case !x.run():
	case x.asks:
		if member := x.askClient(ctx, y); ctx.Err() == nil {
			_ = y.finish(member)
		}
	default:
		x.answer(ctx, y)
	}
	if _, apart := y.w.(*logWriter); !apart && ctx.Err() != nil && x.Context().Err() == nil {
		x.cut(false) // the client cancelled it
	}
}

// askClient asks the client for the id of the request, and returns what it said.
func (x *exchange) askClient(ctx context.Context, y *reply) string {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	r, err := x.ask(ctx, y.send, "elicitation/create", `{"message":`+quote(x.id)+`,"requestedSchema":{"type":"object","properties":{}}}`)
	switch {
	case err != nil:
		return rpcError(codeInvalidRequest, "Nobody answered: "+err.Error())
	case r.err != nil:
		return rpcError(codeInvalidRequest, "Refused: "+string(r.err))
	}
	return `"result":{"content":[],"structuredContent":` + string(r.result) + `}`
}

// carryOutApart carries the request out whatever becomes of the connection, and keeps the events.
func (x *exchange) carryOutApart() *eventLog {
	x.mu.Lock()
	log := newEventLog(fmt.Sprint("call", len(x.life.logs)), x.dice.IntN(2))
	x.life.logs[log.name] = log
	x.mu.Unlock()
	log.raw("retry: 5\ndata:\n\n")
	x.apart(log)
	return log
}

// apart carries the request out with the answer going to a log. Ends with that, or with the session.
func (x *exchange) apart(log *eventLog) {
	x.work.Go(func() {
		if log != x.life.own {
			defer log.close()
		}
		x.carryOut(x.life.ctx, &reply{w: &logWriter{log: log}, r: x.Request})
	})
}

// serveLog sends the events of a log from a given one on, until it is closed, or breaks off: with so
// many percent probability at each event.
func (x *exchange) serveLog(log *eventLog, from, percent int) {
	_ = x.Events(x.w).Raw("retry: 5\n\n")
	for {
		events, closed, changed := log.after(from)
		for _, text := range events {
			if !x.calm.Load() && x.chance(percent) {
				_, _ = io.WriteString(x.w, text[:x.dice.IntN(len(text)+1)])
				x.flush()
				if x.chance(50) {
					x.cut(x.chance(50))
				}
				return
			}
			if _, err := io.WriteString(x.w, text); err != nil {
				return
			}
			from++
		}
		x.flush()
		if closed {
			return
		}
		select {
		case <-changed:
		case <-x.Context().Done():
			return
		case <-x.life.ctx.Done():
			return
		}
	}
}

func (x *exchange) flush() { _ = http.NewResponseController(x.w).Flush() }

// cut ends the connection at once, with a reset if that is asked for. It does not return.
func (x *exchange) cut(reset bool) {
	if reset {
		if conn, _, err := http.NewResponseController(x.w).Hijack(); err == nil {
			if c, ok := conn.(interface{ SetLinger(int) error }); ok {
				_ = c.SetLinger(0) // so that Close resets
			}
			conn.Close()
		}
	}
	panic(http.ErrAbortHandler)
}

// fail refuses a request, in one of the manners in which servers and what stands before them do so.
func (x *exchange) fail(status int, retryAfter string) {
	if retryAfter != "" {
		x.w.Header().Set("Retry-After", retryAfter)
	}
	switch x.dice.IntN(3) {
	case 0:
		http.Error(x.w, http.StatusText(status), status)
	case 1:
		x.w.Header().Set("Content-Type", "text/html")
		x.w.WriteHeader(status)
		_, _ = io.WriteString(x.w, "<html><title>"+http.StatusText(status)+"</title></html>")
	default:
		x.w.WriteHeader(status)
	}
}

// garbage answers with what is no answer. The request was carried out.
func (x *exchange) garbage() {
	x.runBlind()
	noise := make([]byte, x.dice.IntN(300))
	for i := range noise {
		noise[i] = byte(x.dice.IntN(256))
	}
	answers := []struct{ kind, body string }{
		{"text/html", "<html><title>Welcome</title></html>"},
		{"application/json", string(noise)},
		{"application/json", "null"},
		{"application/json", "[]"},
		{"application/json", "{}"},
		{"application/json", ""},
		{"application/octet-stream", string(noise)},
		{"text/event-stream", string(noise)},
		{"text/event-stream", "event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":\n\n"},
		{"text/event-stream", "data: hello\n\ndata: [1,2\n\n: bye\n\n"},
		{"text/event-stream", ""},
	}
	a := answers[x.dice.IntN(len(answers))]
	x.w.Header().Set("Content-Type", a.kind)
	_, _ = io.WriteString(x.w, a.body)
}

// record carries a request out and keeps the answer. A tool that asks gets no answer.
func (x *exchange) record(r *Request) *recorder {
	rec := newRecorder()
	if x.asks {
		x.runBlind()
		_ = (&reply{w: rec, r: r}).finish(rpcError(codeInvalidRequest, "Nobody to ask"))
		return rec
	}
	y := &reply{w: rec, r: r}
	if x.chance(50) {
		y.events = r.Events(rec)
	}
	x.carryOut(x.connection(), y)
	return rec
}

// A recorder keeps an answer.
type recorder struct {
	header http.Header
	body   bytes.Buffer
}

func newRecorder() *recorder { return &recorder{header: make(http.Header)} }

func (rec *recorder) Header() http.Header         { return rec.header }
func (rec *recorder) WriteHeader(int)             {}
func (rec *recorder) Write(p []byte) (int, error) { return rec.body.Write(p) }
func (rec *recorder) Flush()                      {}

func (rec *recorder) replay(w http.ResponseWriter) {
	for name, values := range rec.header {
		w.Header()[name] = values
	}
	_, _ = w.Write(rec.body.Bytes())
}

// A cutter cuts the connection after so many bytes of the body.
type cutter struct {
	http.ResponseWriter
	x     *exchange
	left  int
	reset bool
}

func (c *cutter) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *cutter) Write(p []byte) (int, error) {
	if len(p) < c.left {
		c.left -= len(p)
		return c.ResponseWriter.Write(p)
	}
	_, _ = c.ResponseWriter.Write(p[:c.left])
	_ = http.NewResponseController(c.ResponseWriter).Flush()
	c.x.cut(c.reset)
	return 0, io.ErrClosedPipe
}

// A trickler sends a few bytes at a time.
type trickler struct {
	http.ResponseWriter
}

func (t *trickler) Unwrap() http.ResponseWriter { return t.ResponseWriter }

func (t *trickler) Write(p []byte) (int, error) {
	for n := 0; n < len(p); {
		next := min(n+7, len(p))
		if _, err := t.ResponseWriter.Write(p[n:next]); err != nil {
			return n, err
		}
		_ = http.NewResponseController(t.ResponseWriter).Flush()
		time.Sleep(200 * time.Microsecond)
		n = next
	}
	return len(p), nil
}

// A doubler can send the last event again.
type doubler struct {
	http.ResponseWriter
	last string
}

func (d *doubler) Unwrap() http.ResponseWriter { return d.ResponseWriter }

func (d *doubler) Write(p []byte) (int, error) {
	d.last = string(p)
	return d.ResponseWriter.Write(p)
}

// again sends the last event two times, once with another content, if it was an answer.
func (d *doubler) again() {
	if !strings.Contains(d.last, `"result":`) {
		return
	}
	_, _ = io.WriteString(d.ResponseWriter, d.last)
	_, _ = io.WriteString(d.ResponseWriter, strings.Replace(d.last, `"result":`, `"result":{"content":[],"twice":true},"was":`, 1))
}
