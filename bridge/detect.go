package bridge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/mark3labs/mcp-go/mcp"
)

// newHandshakeHostServer returns the server's side of a relay whose host makes a handshake.
func newHandshakeHostServer(r *relay) remote {
	server := newServerFor(r)
	if r.cfg.Pending != nil || r.cfg.OfflineStart {
		return &early{r: r, server: server}
	}
	return server
}

func newServerFor(r *relay) remote {
	switch r.cfg.era() {
	case EraModern:
		return newToModern(r)
	case EraLegacy:
		return newLegacyServer(r)
	}
	d := newDetecting(r)
	if d.modern = newToModern(r); r.cfg.Transport == TransportHTTP {
		d.old = nil
	}
	return d
}

// newLegacyServer returns a server of the handshake era, reached over the transport that is configured.
func newLegacyServer(r *relay) remote {
	switch r.cfg.Transport {
	case TransportHTTP:
		return newStreamable(r, r.endpoint)
	case TransportSSE:
		return newHTTPSSE(r, r.endpoint)
	}
	return newDetecting(r)
}

// A detecting finds out, for a host that makes a handshake, how to speak with the server: over
// streamable HTTP, unless the server refuses initialize. Then it may be of a later era, if it answers
// server/discover, or of an earlier one, if it offers HTTP+SSE (spec 3B, steps I, M and S). It costs a
// server that takes initialize no request.
type detecting struct {
	r      *relay
	http   *streamable
	modern *toModern // nil: not to be considered
	old    *httpSSE  // nil: not to be considered
	chosen atomic.Pointer[remote]
}

func newDetecting(r *relay) *detecting {
	d := &detecting{r: r, http: newStreamable(r, r.endpoint), old: newHTTPSSE(r, r.endpoint)}
	d.http.detecting = true
	return d
}

func (d *detecting) server() remote {
	if chosen := d.chosen.Load(); chosen != nil {
		return *chosen
	}
	return d.http
}

func (d *detecting) choose(server remote) { d.chosen.Store(&server) }

func (d *detecting) request(ctx context.Context, c *call, sent sentFunc) error {
	if d.chosen.Load() != nil || !c.isInitialize() {
		return d.server().request(ctx, c, sent)
	}
	tried := false
	if d.modern != nil && d.r.remembers(EraModern) {
		if not, err := d.tryModern(ctx, c, sent); !not {
			return err
		}
		d.r.forget()
		tried = true
	}

	var refusal []byte // the server's own error, if it is one that a server of a later era gives
	if d.modern != nil && !tried {
		c.intercept = func(m *message) bool {
			if !namesLaterEra(m) {
				return false
			}
			refusal = bytes.Clone(m.raw)
			return true
		}
	}
	first := d.http.request(ctx, c, sent)
	c.intercept = nil
	if c.over() {
		return first
	}
	status := statusOf(first)
	evidence := status == nil || status.Code/100 == 2 || maybeLegacy(status)
	if status != nil && refusal == nil && d.modern != nil && !tried {
		if m, err := parse(bytes.Clone(status.body)); err == nil && namesLaterEra(m) { // one without an id
			refusal = status.body
		}
	}
	if refusal != nil {
		if evidence {
			not, err := d.tryModern(ctx, c, sent)
			if !not {
				return err
			}
			d.r.log.Debug("the server refuses initialize, and is not of a later era", "error", err)
		}
		_ = d.r.deliver(refusal, c) // it is JSON
		if c.over() {
			return first
		}
	}

	if d.old != nil && maybeOld(first) {
		d.r.log.Debug("the server refuses streamable HTTP, trying HTTP+SSE", "error", first)
		if _, err := d.old.connect(ctx); err != nil {
			if status := statusOf(first); wholeJSON(status.body) {
				_ = d.r.deliver(status.body, c) // it is JSON
			}
			// What the server said first is the likelier cause.
			return fmt.Errorf("%w (nor does it speak HTTP+SSE: %w)", first, err)
		}
		d.r.log.Warn("the server speaks HTTP+SSE, which was replaced in 2025") // spec 3.10
		d.choose(d.old)
		return d.old.request(ctx, c, sent)
	}
	return first
}

// tryModern asks whether the server is of a later era, and answers initialize if it is. It returns true if
// it is not.
func (d *detecting) tryModern(ctx context.Context, c *call, sent sentFunc) (bool, error) {
	result, err := d.modern.discover(ctx, c, sent)
	if err != nil {
		_, not := errors.AsType[*notModernError](err)
		return not, err
	}
	d.r.remember(EraModern)
	d.choose(d.modern) // before the host can know
	return false, d.modern.result(c, result)
}

// namesLaterEra tells whether an answer to initialize, mostly a refusal, is one of a server of a later era: it has a code
// that only those have, knows no such method, or names what belongs to them (spec 3B, step I).
func namesLaterEra(m *message) bool {
	switch errorCode(m) {
	case 0: // some take initialize, and name a revision that has none
		return m.result != nil && slices.Contains(modernVersions, readObject(m.result).text("protocolVersion"))
	case mcp.HEADER_MISMATCH, mcp.MISSING_REQUIRED_CLIENT_CAPABILITY, mcp.UNSUPPORTED_PROTOCOL_VERSION, mcp.METHOD_NOT_FOUND:
		return true
	}
	return bytes.Contains(m.err, []byte("io.modelcontextprotocol/")) ||
		slices.ContainsFunc(modernVersions, func(version string) bool { return bytes.Contains(m.err, []byte(version)) })
}

// maybeOld tells whether an answer to initialize may be that of a 2024-11-05 server.
func maybeOld(err error) bool {
	status, ok := errors.AsType[*StatusError](err)
	return ok && maybeLegacy(status)
}

func (d *detecting) send(ctx context.Context, m *message, sent sentFunc) error {
	return d.server().send(ctx, m, sent)
}

func (d *detecting) cancel(c *call) bool                 { return d.server().cancel(c) }
func (d *detecting) established(c *call, version string) { d.server().established(c, version) }
func (d *detecting) reopen(dead bool)                    { d.server().reopen(dead) }
func (d *detecting) close(ctx context.Context)           { d.server().close(ctx) }
