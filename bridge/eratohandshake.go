package bridge

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/mark3labs/mcp-go/mcp"
)

// A toHandshake stands between a host of 2026-07-28 and a handshake server (spec 6C): towards the host
// it is a server without sessions, and towards the server a host that keeps one.
type toHandshake struct {
	r       *relay // the host's
	version string // to ask the server for

	mu      sync.Mutex
	links   []*link
	parked  map[string]*upcall // by requestState
	listens []*subscriber      // in the order they came
	telling sync.Mutex         // held while changes are told, and while a listen request is agreed to
}

func newToHandshake(r *relay) *toHandshake {
	version := legacyVersions[0]
	if slices.Contains(legacyVersions, r.cfg.ProtocolVersion) {
		version = r.cfg.ProtocolVersion
	}
	return &toHandshake{r: r, version: version, parked: make(map[string]*upcall)}
}

func (t *toHandshake) request(ctx context.Context, c *call, sent sentFunc) error {
	c.heard() // what the server has to answer in time are the requests made here
	meta, err := readMeta(readObject(c.params))
	if err != nil {
		return err
	}
	if row := eraRequests[mcp.MCPMethod(c.method)].toHandshake; row != nil {
		return row(t, ctx, c, sent)
	}
	l, err := t.link(ctx, meta)
	if err != nil {
		return err
	}
	u := l.newUpcall(c, meta)
	return u.finish(u.await(ctx, c, sent))
}

func (t *toHandshake) unknown(context.Context, *call, sentFunc) error { return unknownMethod }

// discover answers from what the server said to initialize. It is a probe: it is answered soon, and
// opens no browser (spec 1.37, 1.38).
func (t *toHandshake) discover(ctx context.Context, c *call, sent sentFunc) error {
	meta, err := readMeta(readObject(c.params))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, probeLimit, errUndecided)
	defer cancel()
	l, err := t.link(t.r.quiet(ctx), meta)
	switch {
	case undecided(err):
		return answerUndecided(t.r, c)
	case err != nil:
		return err
	}
	result := object{{"supportedVersions", encodeTexts(spoken())}, {"capabilities", portable(l.result().child("capabilities")).raw()}}
	if instructions := l.result().get("instructions"); instructions != nil {
		result = append(result, member{"instructions", instructions})
	}
	return t.r.deliver(rawResult(c.id, l.whole(c.message, result).raw()), c)
}

// errUndecided means that a probe could not be answered in time.
var errUndecided = errors.New("the server has not answered yet")

// undecided tells whether a probe that met err may be answered without knowing the server: it wants the
// user to sign in, or is slow.
func undecided(err error) bool {
	if unsent, ok := errors.AsType[unsentError](err); ok && unsent.Unsent() {
		return true
	}
	return errors.Is(err, errUndecided)
}

// answerUndecided answers a probe before the server can be asked. Nothing that follows depends on it:
// each request will be seen to when it comes.
func answerUndecided(r *relay, c *call) error {
	const all = `{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"listChanged":true}}`
	result := object{
		{"supportedVersions", encodeTexts(spoken())}, {"capabilities", []byte(all)},
		{"instructions", quote("The server could not be asked yet, as it wants the user to sign in or is slow to answer. The first request will see to that.")},
		{"resultType", []byte(`"complete"`)}, {"ttlMs", []byte("0")}, {"cacheScope", []byte(`"private"`)},
		{"_meta", object{{mcp.MetaKeyServerInfo, []byte(`{"name":"mcp-bridge","version":""}`)}}.raw()},
	}
	r.log.Info("answering a probe before the server could be asked")
	return r.deliver(rawResult(c.id, result.raw()), c)
}

// send takes a notification of the host's: there is none that a handshake server knows but
// cancellations, and those end the call's context.
func (t *toHandshake) send(ctx context.Context, m *message, sent sentFunc) error {
	if m.kind != notification || m.is(mcp.MethodNotificationCancelled) {
		return nil
	}
	meta, err := readMeta(readObject(m.params))
	if err != nil {
		return err
	}
	l, err := t.link(ctx, meta)
	if err != nil {
		return err
	}
	l.feed(built(rawNotification(string(m.method), withoutMeta(readObject(m.params)).raw())), nil)
	return nil
}

func (t *toHandshake) cancel(*call) bool { return false }

func (t *toHandshake) established(*call, string) {}

func (t *toHandshake) reopen(dead bool) {
	for _, l := range t.open() {
		l.inner.server.reopen(dead)
	}
}

func (t *toHandshake) close(ctx context.Context) {
	for _, l := range t.open() {
		l.inner.server.close(ctx)
	}
}

func (t *toHandshake) open() []*link {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.links)
}
