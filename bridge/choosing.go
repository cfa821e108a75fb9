package bridge

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
)

// newModernHostServer returns the server's side of a relay whose host speaks 2026-07-28.
func newModernHostServer(r *relay) remote {
	switch {
	case r.cfg.era() == EraModern:
		return newNativeModern(r)
	case r.cfg.era() == EraLegacy:
		return newToHandshake(r)
	}
	return &choosing{r: r, modern: newNativeModern(r), looking: make(chan struct{}, 1)}
}

// newNativeModern returns a server of 2026-07-28 for a host that speaks that too.
func newNativeModern(r *relay) *modern {
	s := newModern(r, r.endpoint)
	s.native = true
	return s
}

// era is the era to speak with the server, by what the Config says of it in any way.
func (cfg *Config) era() Era {
	switch {
	case cfg.Era == EraLegacy || cfg.Era == EraModern:
		return cfg.Era
	case cfg.Transport == TransportSSE || cfg.ProtocolVersion != "" && cfg.ProtocolVersion <= legacyVersions[0]:
		return EraLegacy
	case cfg.ProtocolVersion != "":
		return EraModern
	}
	return EraAuto
}

// A choosing finds out, for a host of 2026-07-28, which era the server speaks: server/discover says so
// (spec 3B, step M). If it is the host's first request anyway, that costs nothing.
type choosing struct {
	r       *relay
	modern  *modern
	looking chan struct{} // holds an element while somebody looks
	chosen  atomic.Pointer[remote]
}

func (s *choosing) server() remote {
	if chosen := s.chosen.Load(); chosen != nil {
		return *chosen
	}
	return s.modern
}

func (s *choosing) choose(server remote) { s.chosen.Store(&server) }

func (s *choosing) request(ctx context.Context, c *call, sent sentFunc) error {
	if s.chosen.Load() != nil {
		return s.server().request(ctx, c, sent)
	}
	select {
	case s.looking <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	looked := func() { <-s.looking }
	if s.chosen.Load() != nil {
		looked()
		return s.server().request(ctx, c, sent)
	}
	params := readObject(c.params)
	said, err := readMeta(params)
	known := true
	if e, ok := errors.AsType[*rpcError](err); ok && e.code == mcp.UNSUPPORTED_PROTOCOL_VERSION {
		// A modern server may speak what the bridge does not know; whether it is one, a revision shows that
		// the bridge knows.
		known = false
		meta := params.child("_meta").with(mcp.MetaKeyProtocolVersion, quote(modernVersions[0]))
		params = params.with("_meta", meta.raw())
		said, err = readMeta(params)
	}
	if err != nil {
		looked()
		return err
	}
	if s.r.remembers(EraLegacy) {
		server := newToHandshake(s.r)
		quiet, cancel := ctx, func() {}
		if c.is(mcp.MethodServerDiscover) {
			quiet, cancel = context.WithTimeoutCause(s.r.quiet(ctx), probeLimit, errUndecided)
		}
		_, err := server.link(quiet, said)
		cancel()
		if _, refused := errors.AsType[*refusedError](err); !refused {
			s.choose(server)
			looked()
			return server.request(ctx, c, sent)
		}
		s.r.forget()
	}
	if c.is(mcp.MethodServerDiscover) && known {
		defer looked()
		return s.discover(ctx, c, said, sent)
	}
	probing, cancel := ctx, func() {}
	if c.is(mcp.MethodServerDiscover) {
		probing, cancel = context.WithTimeoutCause(s.r.quiet(ctx), probeLimit, errUndecided)
	}
	_, err = s.modern.probe(probing, probeParams(params), nil)
	cancel()
	err = s.conclude(err, said)
	looked()
	if err != nil {
		return err
	}
	return s.server().request(ctx, c, sent)
}

// probeParams are the params of a server/discover of the bridge's own, for a request of the host's.
func probeParams(params object) object {
	return object{{"_meta", params.child("_meta").without("progressToken", mcp.MetaKeyLogLevel).raw()}}
}

// conclude chooses by what judge says.
func (s *choosing) conclude(err error, said hostMeta) error {
	if not, ok := errors.AsType[*notModernError](err); ok {
		s.r.log.Info("the server is of an earlier era than the host, translating", "reason", not)
		s.r.remember(EraLegacy)
		server := newToHandshake(s.r)
		for _, version := range legacyVersions {
			if slices.Contains(not.supported, version) {
				server.version = version
				break
			}
		}
		s.choose(server)
		return nil
	}
	if err == nil {
		s.choose(s.modern)
	}
	return unsupported(err, mcp.UNSUPPORTED_PROTOCOL_VERSION, said.version)
}

// discover passes the host's own server/discover on. It is a probe: it is answered soon, and opens no
// browser (spec 1.37, 1.38).
func (s *choosing) discover(ctx context.Context, c *call, said hostMeta, sent sentFunc) error {
	var answer *message
	c.intercept = func(m *message) bool {
		answer = built(bytes.Clone(m.raw))
		return true
	}
	probe, cancel := context.WithTimeoutCause(s.r.quiet(ctx), probeLimit, errUndecided)
	defer cancel()
	err := s.modern.ask(probe, c, sent)
	if errors.Is(context.Cause(probe), errUndecided) {
		err = errUndecided
	}
	c.intercept = nil
	if answer == nil && undecided(err) {
		return answerUndecided(s.r, c)
	}
	err = judge(answer, err)
	if _, again := errors.AsType[*againError](err); again {
		answer, err = s.modern.probe(probe, probeParams(readObject(c.params)), nil)
	}
	if err = s.conclude(err, said); err != nil {
		return err
	}
	if s.server() == remote(s.modern) {
		return s.r.deliver(answer.withID(c.id), c)
	}
	return s.server().request(ctx, c, sent)
}

// quiet returns a context for a request that must not lead to a question to the user.
func (r *relay) quiet(ctx context.Context) context.Context {
	if r.cfg.Quiet == nil {
		return ctx
	}
	return r.cfg.Quiet(ctx)
}

// remembers tells whether an earlier run found the server to be of this era, not too long ago.
func (r *relay) remembers(era Era) bool {
	if r.cfg.Verdicts == nil {
		return false
	}
	v := r.cfg.Verdicts.Load()
	return v.Era == era && time.Since(v.Found) < verdictLife
}

// forget is called when what an earlier run found is not so any more.
func (r *relay) forget() { r.cfg.Verdicts.Save(Verdict{}) }

// remember keeps the server's era for later runs.
func (r *relay) remember(era Era) {
	if r.cfg.Verdicts != nil {
		r.cfg.Verdicts.Save(Verdict{era, time.Now()})
	}
}

func (s *choosing) send(ctx context.Context, m *message, sent sentFunc) error {
	return s.server().send(ctx, m, sent)
}

func (s *choosing) cancel(c *call) bool                 { return s.server().cancel(c) }
func (s *choosing) established(c *call, version string) { s.server().established(c, version) }
func (s *choosing) reopen(dead bool)                    { s.server().reopen(dead) }
func (s *choosing) close(ctx context.Context)           { s.server().close(ctx) }
