package bridge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/mark3labs/mcp-go/mcp"
)

// A link is one session with the server. There is a second one only when a request declares more than the
// session was opened with.
type link struct {
	t        *toHandshake
	inner    *relay
	declares []string // capabilities, as flatten returns them

	opened chan struct{} // closed when said or err is set
	said   atomic.Pointer[object]
	err    error

	feeding sync.Mutex // held while inner takes a message
	levels  sync.Mutex // held while the log level is changed
	listing sync.Mutex // held while the tools are listed to learn of tasks

	mu       sync.Mutex
	upcalls  map[string]*upcall       // by the key of the request's id
	held     []*question              // of no request that is known
	replying atomic.Int32             // questions of the server's that are on their way to an answer
	roots    []byte                   // the last answer to roots/list
	level    string                   // that the server was told
	uris     map[string]int           // how many listen to a resource
	tasks    map[string]bool          // tools that run as a task only
	listed   bool                     // tasks is complete
	watched  map[string]chan struct{} // closed when the URL elicitation with this id is complete
}

// link returns the session for a request, and opens one if there is none that declares as much.
func (t *toHandshake) link(ctx context.Context, meta hostMeta) (*link, error) {
	wanted := flatten(meta.capabilities)
	for {
		t.mu.Lock()
		var l *link
		for _, have := range t.links {
			if !slices.ContainsFunc(wanted, func(s string) bool { return !slices.Contains(have.declares, s) }) {
				l = have
				break
			}
		}
		mine := l == nil
		if mine {
			if len(t.links) > 0 {
				t.r.log.Warn("a request declares more capabilities than those before, opening another session for it", "capabilities", strings.Join(wanted, " "))
			}
			l = t.newLink(wanted)
			t.links = append(t.links, l)
		}
		t.mu.Unlock()
		if mine {
			l.err = l.initialize(ctx, meta)
			if l.err != nil {
				t.mu.Lock()
				t.links = slices.DeleteFunc(t.links, func(other *link) bool { return other == l })
				t.mu.Unlock()
			}
			close(l.opened)
			return l, l.err
		}
		select {
		case <-l.opened:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if l.err == nil {
			return l, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if !errors.Is(l.err, context.Canceled) && !errors.Is(l.err, errUndecided) && !errors.Is(l.err, errCancelled) && !undecided(l.err) {
			return nil, l.err
		}
		// Who opened it has left, or may not ask the user: this one tries himself.
	}
}

func (t *toHandshake) newLink(declares []string) *link {
	l := &link{t: t, inner: t.r.sibling(), declares: declares, opened: make(chan struct{}),
		upcalls: make(map[string]*upcall), uris: make(map[string]int), tasks: make(map[string]bool)}
	l.inner.to = l
	l.inner.server = newLegacyServer(l.inner)
	l.inner.hostReady.Store(true)
	t.r.work.Go(l.inner.runLane) // ends when the relay takes no more input
	if every := t.r.cfg.KeepAlive; every > 0 {
		t.r.work.Go(func() { l.inner.keepAlive(every) }) // ends with the relay
	}
	return l
}

// initialize makes the handshake.
func (l *link) initialize(ctx context.Context, meta hostMeta) error {
	capabilities := portable(meta.capabilities)
	if capabilities.has("roots") {
		capabilities = capabilities.with("roots", []byte("{}")) // it can't be told of changes
	}
	info := meta.info
	if readObject(info) == nil {
		info = []byte(`{"name":"mcp-bridge","version":""}`)
	}
	m := l.inner.newRequest(string(mcp.MethodInitialize), object{{"protocolVersion", quote(l.t.version)}, {"capabilities", capabilities.raw()}, {"clientInfo", info}})
	answer, err := l.inner.askServer(ctx, m, ask{request: l.inner.server.request, prepare: func(c *call) {
		c.onResult = func(result *message) { l.inner.agree(c, result) }
	}})
	if err != nil {
		if maybeOld(err) {
			return &refusedError{err}
		}
		return err
	}
	if answer.failed {
		return &refusedError{errors.New(readObject(answer.err).text("message"))}
	}
	result := readObject(answer.result)
	if chosen := result.text("protocolVersion"); !slices.Contains(legacyVersions, chosen) {
		return unsupported(&unsupportedError{[]string{chosen}}, mcp.UNSUPPORTED_PROTOCOL_VERSION, l.t.version)
	}
	l.said.Store(&result)
	l.feed(built([]byte(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)), nil)
	return nil
}

// result returns what the server said to initialize.
func (l *link) result() object { return *l.said.Load() }

// renewed takes what the server said to initialize in a new session. A host of 2026-07-28 has agreed on
// nothing that this could be against (spec 1.46).
func (l *link) renewed(result []byte) bool {
	o := readObject(bytes.Clone(result))
	if !slices.Contains(legacyVersions, o.text("protocolVersion")) {
		return false
	}
	l.said.Store(&o)
	l.mu.Lock()
	l.listed = false
	l.mu.Unlock()
	return true
}

// A refusedError means that a server does not take initialize.
type refusedError struct{ cause error }

func (e *refusedError) Error() string { return "the server refused initialize: " + e.cause.Error() }

func (e *refusedError) Unwrap() error { return e.cause }

// feed gives the inner relay a message, as a host would. The answer to a request goes to answer.
func (l *link) feed(m *message, answer func([]byte)) {
	l.feeding.Lock()
	defer l.feeding.Unlock()
	l.inner.accept(m, answer)
}

// call makes a request of the bridge's own in the session, and returns the answer. It calls begun, if
// not nil, when the request has its place in the order.
func (l *link) call(ctx context.Context, m *message, begun func()) (*message, error) {
	answered := make(chan []byte, 1)
	l.feed(m, func(raw []byte) { answered <- bytes.Clone(raw) })
	if begun != nil {
		begun()
	}
	select {
	case raw := <-answered:
		if raw == nil {
			return nil, errCancelled
		}
		return built(raw), nil
	case <-ctx.Done():
		l.feed(built(rawNotification(string(mcp.MethodNotificationCancelled), object{{"requestId", m.id}, {"reason", quote(fmt.Sprint(context.Cause(ctx)))}}.raw())), nil)
		return nil, context.Cause(ctx)
	}
}

// know notes which request of the host's a request of the bridge's own is for; nil: it is over.
func (l *link) know(id []byte, u *upcall) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.upcalls[idKey(id)] = u; u == nil {
		delete(l.upcalls, idKey(id))
	}
}

// upcallOf returns the request of the host's on whose stream something came, nil if there is none.
func (l *link) upcallOf(via *call) *upcall {
	if via == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.upcalls[via.key]
}

func (l *link) all() []*upcall {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]*upcall, 0, len(l.upcalls))
	for _, u := range l.upcalls {
		list = append(list, u)
	}
	return list
}

// offers tells whether the server declared a capability.
func (l *link) offers(capability string) bool {
	return l.result().child("capabilities").has(capability)
}

// whole completes a result with what 2026-07-28 requires in each (spec 1.49, 1.50, 5.64).
func (l *link) whole(m *message, result object) object {
	if !result.has("resultType") {
		result = append(slices.Clip(result), member{"resultType", []byte(`"complete"`)})
	}
	if cacheable(m) {
		if !result.has("ttlMs") {
			result = append(result, member{"ttlMs", []byte("0")})
		}
		if !result.has("cacheScope") {
			result = append(result, member{"cacheScope", []byte(`"private"`)})
		}
	}
	meta := result.child("_meta")
	if info := l.result().get("serverInfo"); info != nil && !meta.has(mcp.MetaKeyServerInfo) {
		result = result.with("_meta", append(slices.Clip(meta), member{mcp.MetaKeyServerInfo, info}).raw())
	}
	return result
}

// answer returns what the host gets for the server's answer to one of its requests.
func (l *link) answer(m *message, answer *message) []byte {
	if answer.failed {
		failure := readObject(answer.err)
		switch code := errorCode(answer); { // codes of the earlier era, and those that 2026-07-28 keeps for itself (spec 1.53)
		case code == mcp.RESOURCE_NOT_FOUND:
			failure = failure.with("code", []byte("-32602"))
		case code <= -32020 && code >= -32099:
			failure = failure.with("code", []byte("-32603"))
		}
		return rawError(m.id, failure.raw())
	}
	result := readObject(answer.result)
	if m.is(mcp.MethodToolsList) {
		result = l.learnTools(result)
	}
	return rawResult(m.id, l.whole(m, result).raw())
}

// learnTools notes which tools run as a task only, and takes out what only the earlier era knows.
func (l *link) learnTools(result object) object {
	tools := elements(result.get("tools"))
	if tools == nil {
		return result
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.listed = l.listed || !result.has("nextCursor")
	for i, raw := range tools {
		tool := readObject(raw)
		name := tool.text("name")
		delete(l.tasks, name)
		if tool.has("execution") {
			if tool.child("execution").text("taskSupport") == "required" {
				l.tasks[name] = true
			}
			tools[i] = tool.without("execution").raw()
		}
	}
	return result.with("tools", array(tools))
}

// fromServer takes a request or notification of the server's.
func (l *link) fromServer(m *message, via *call) {
	if m.kind == request {
		l.asked(m, via)
		return
	}
	take, known := eraServerNotifications[mcp.MCPMethod(m.method)]
	switch {
	case take != nil:
		take(l, m, via)
	case !known && l.upcallOf(via) != nil: // one that belongs to a request of the host's
		l.t.r.out.write(m.raw)
	default:
		l.t.r.log.Debug("a notification that a host of this revision does not know is dropped", "method", string(m.method))
	}
}

// progress passes progress on, for the request that is under way now.
func (l *link) progress(m *message, _ *call) {
	params := readObject(m.params)
	l.mu.Lock()
	u := l.upcalls[idKey(params.get("progressToken"))]
	l.mu.Unlock()
	if u == nil {
		return
	}
	u.tell(func(_ *call, meta hostMeta) []byte {
		if meta.token == nil {
			return nil
		}
		return rawNotification(string(m.method), params.with("progressToken", meta.token).raw())
	})
}

// logged passes a log message on, to a request that asked for such (spec 1.51).
func (l *link) logged(m *message, via *call) {
	params := readObject(m.params)
	rank := slices.Index(logLevels, params.text("level"))
	told := func(u *upcall) (done bool) {
		u.tell(func(_ *call, meta hostMeta) []byte {
			if wanted := slices.Index(logLevels, meta.level); wanted < 0 || rank < wanted {
				return nil
			}
			done = true
			return bytes.Clone(m.raw)
		})
		return done
	}
	if u := l.upcallOf(via); u != nil {
		told(u)
		return
	}
	for _, u := range l.all() {
		if told(u) {
			return
		}
	}
}

// setLevel tells the server the most verbose level that a request wants (spec 6C).
func (l *link) setLevel(ctx context.Context) {
	if !l.offers("logging") {
		return
	}
	l.levels.Lock()
	defer l.levels.Unlock()
	level := ""
	for _, u := range l.all() {
		wanted := u.wantedLevel()
		if i := slices.Index(logLevels, wanted); i >= 0 && (level == "" || i < slices.Index(logLevels, level)) {
			level = wanted
		}
	}
	if level == "" || level == l.level {
		return
	}
	l.level = level
	if _, err := l.call(ctx, l.inner.newRequest(string(mcp.MethodSetLogLevel), object{{"level", quote(level)}}), nil); err != nil {
		l.t.r.log.Debug("the log level could not be set", "error", err)
	}
}
