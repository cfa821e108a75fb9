package bridge

import (
	"bytes"
	"context"
	"strconv"
)

// An ask says how a request of the bridge's own is sent.
type ask struct {
	request func(context.Context, *call, sentFunc) error
	sent    sentFunc    // or nil
	prepare func(*call) // sees the call before it is made; or nil
}

// newRequest makes a request of the bridge's own.
func (r *relay) newRequest(method string, params object) *message {
	return built(rawRequest(r.mint(), method, params.raw()))
}

// mint returns the id of a request of the bridge's own. Hosts have no reason to use such ids.
func (r *relay) mint() []byte {
	return strconv.AppendQuote(nil, "mcp-bridge:"+strconv.FormatInt(r.minted.Add(1), 10))
}

// askServer sends a request of the bridge's own, under an id from mint, and returns the answer, which may be an error of the
// server's. The error says why there is no answer.
func (r *relay) askServer(ctx context.Context, m *message, how ask) (*message, error) {
	var answer *message
	c := r.newCall(ctx, m, func(raw []byte) {
		if raw != nil {
			answer = built(bytes.Clone(raw))
		}
	})
	defer c.cancel(nil)
	if how.prepare != nil {
		how.prepare(c)
	}
	r.calls.add(c) // nobody else has this id
	if limit := r.cfg.ResponseTimeout; limit > 0 {
		defer c.within(limit).Stop()
	}
	err := how.request(c.ctx, c, func(written bool) {
		c.sent.Store(written)
		if how.sent != nil {
			how.sent(written)
		}
	})
	r.calls.settle(c, nil)
	<-c.done // somebody may have been faster, and be about to answer
	switch {
	case answer != nil:
		return answer, nil
	case err == nil:
		err = errStreamOver
	}
	return nil, err
}
