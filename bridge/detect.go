package bridge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
)

// A detecting remote finds out which transport a server speaks: streamable HTTP, unless it
// refuses an initialize request the way old servers do, and then offers HTTP+SSE (spec 3B, steps
// I and S). It costs a server that speaks streamable HTTP no request.
type detecting struct {
	http *streamable
	old  *httpSSE
	sse  atomic.Bool // the server turned out to be an old one
}

func (d *detecting) chosen() remote {
	if d.sse.Load() {
		return d.old
	}
	return d.http
}

func (d *detecting) request(ctx context.Context, c *call, sent sentFunc) error {
	if d.sse.Load() || !c.isInitialize() {
		return d.chosen().request(ctx, c, sent)
	}
	first := d.http.request(ctx, c, sent)
	if c.over() || !maybeOld(first) {
		return first
	}
	d.http.r.log.Debug("the server refuses streamable HTTP, trying HTTP+SSE", "error", first)
	if _, err := d.old.connect(ctx); err != nil {
		if status := statusOf(first); wholeJSON(status.body) {
			_ = d.http.r.deliver(status.body, c) // it is JSON
		}
		// What the server said first is the likelier cause.
		return fmt.Errorf("%w (nor does it speak HTTP+SSE: %w)", first, err)
	}
	d.http.r.log.Warn("the server speaks HTTP+SSE, which was replaced in 2025") // spec 3.10
	d.sse.Store(true)
	return d.old.request(ctx, c, sent)
}

// maybeOld tells whether an answer to initialize may be that of a 2024-11-05 server.
func maybeOld(err error) bool {
	status, ok := errors.AsType[*StatusError](err)
	if !ok {
		return false
	}
	switch status.Code {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusRequestTimeout, http.StatusTooManyRequests:
		return false // says nothing about the transport (spec 3.23, 3.24)
	}
	return status.Code/100 == 4
}

func (d *detecting) send(ctx context.Context, m *message, sent sentFunc) error {
	return d.chosen().send(ctx, m, sent)
}

func (d *detecting) established(c *call, version string) { d.chosen().established(c, version) }
func (d *detecting) reopen(dead bool)                    { d.chosen().reopen(dead) }
func (d *detecting) close(ctx context.Context)           { d.chosen().close(ctx) }
