package bridge

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
)

// A front is the host's end of the bridge: it takes what the host sends, one line after the other,
// and gives each message to the relay of its era. A host may speak both, even side by side (spec
// 1.31): what a request says of its revision decides, and nothing else (spec 1.32, 1.46).
type front struct {
	legacy *relay
	modern atomic.Pointer[relay] // nil until the host sends a request of that era

	mu    sync.Mutex // held while a line of input is taken
	ended bool       // no more input is taken; guarded by mu
}

// relays returns the relays that there are.
func (f *front) relays() []*relay {
	if modern := f.modern.Load(); modern != nil {
		return []*relay{f.legacy, modern}
	}
	return []*relay{f.legacy}
}

// fromHost takes one line of input. Only one goroutine calls it.
func (f *front) fromHost(line []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return
	}
	m, err := parse(line)
	switch {
	case err != nil:
		f.legacy.refuse(m.id, codeParseError, "the message is "+err.Error())
	case m.kind == batch:
		f.legacy.acceptBatch(m)
	case m.kind == odd:
		f.legacy.refuse(m.id, codeInvalidRequest, notJSONRPC)
	default:
		r := f.relay(m)
		r.accept(m, r.toHost)
	}
}

const notJSONRPC = "the message is JSON, but no JSON-RPC 2.0 request, notification or response"

// fromHostTooLong takes a line of input that was too long to keep.
func (f *front) fromHostTooLong(id []byte, size int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.ended {
		f.legacy.refuse(id, codeInvalidRequest, fmt.Sprintf("the message has %d bytes, the limit for one message is %d", size, f.legacy.cfg.MaxMessage))
	}
}

// relay returns the relay that a message of the host's is for.
func (f *front) relay(m *message) *relay {
	modern := f.modern.Load()
	// What belongs to nothing under way is for the era that the host has shown, so that a modern server
	// gets none of it (spec 2.43).
	only := modern != nil && f.legacy.handshake.agreed() == ""
	switch {
	case m.kind == response && !only:
		return f.legacy // only hosts of that era are asked
	case m.kind == response:
		return modern
	case m.is(mcp.MethodNotificationCancelled):
		id := readObject(m.params).get("requestId")
		if modern != nil && (modern.calls.find(id) != nil || only && f.legacy.calls.find(id) == nil) {
			return modern
		}
		return f.legacy
	case !isModern(m):
		return f.legacy
	case modern == nil:
		modern = f.legacy.sibling()
		modern.modern = true
		modern.server = newModernHostServer(modern)
		modern.start()
		f.modern.Store(modern)
	}
	return modern
}

// isModern tells whether a request or notification is one of 2026-07-28 or later: it names its revision,
// or has what earlier ones do not know, and then lacks it (spec 1.40).
func isModern(m *message) bool {
	if m.is(mcp.MethodServerDiscover) || m.is(mcp.MethodSubscriptionsListen) {
		return true
	}
	if m.meta == nil {
		return false
	}
	meta := readObject(m.meta)
	return meta.has(mcp.MetaKeyProtocolVersion) || meta.has(mcp.MetaKeyClientCapabilities)
}

// drain takes no more input, and waits until what was taken has been dealt with.
func (f *front) drain(ctx context.Context, limit time.Duration) {
	over := time.NewTimer(limit)
	defer over.Stop()
	stopped := ctx.Done()
	if limit <= stopLimit {
		stopped = nil
	}
	// Each step is over when its channel is closed.
	steps := []func() <-chan struct{}{f.closeInput}
	step := func(of func(*relay) <-chan struct{}) {
		for i := range 2 { // whether there is a second one is known when no more input is taken
			steps = append(steps, func() <-chan struct{} {
				if relays := f.relays(); i < len(relays) {
					return of(relays[i])
				}
				return nil
			})
		}
	}
	step(func(r *relay) <-chan struct{} { return r.laneEmpty })
	step(func(r *relay) <-chan struct{} { r.endListens(); return r.calls.none() })
	for _, step := range steps {
		for done := step(); !isOpen(done); {
			select {
			case <-done:
			case <-over.C:
				return
			case <-stopped:
				stopped = nil
				over.Reset(stopLimit)
			}
		}
	}
}

// closeInput takes no further line of input. The channel is closed when no line is being taken any
// more: one may wait for the host to read an error answer.
func (f *front) closeInput() <-chan struct{} {
	close(f.legacy.ending)
	done := make(chan struct{})
	go func() { // ends when the line at hand has been taken
		f.mu.Lock()
		f.ended = true
		f.mu.Unlock()
		close(done)
	}()
	return done
}

// leave ends whatever is still under way, and the sessions.
func (f *front) leave() {
	r := f.legacy
	answered := make(chan struct{})
	go func() { // ends when the host has read the answers
		defer close(answered)
		for _, r := range f.relays() {
			for _, c := range r.calls.all() {
				r.giveUp(c, errStopped)
			}
		}
	}()
	bound := time.NewTimer(leaveLimit)
	select {
	case <-answered:
	case <-bound.C:
	}
	goodbye, cancel := context.WithTimeout(context.Background(), goodbyeLimit)
	defer cancel()
	for _, r := range slices.Backward(f.relays()) {
		r.server.close(goodbye)
	}
	r.cancel(errStopped)
	ended := make(chan struct{})
	go func() { // ends with the last goroutine
		defer close(ended)
		r.work.Wait()
	}()
	bound.Reset(leaveLimit)
	select {
	case <-ended:
	case <-bound.C:
	}
	r.endpoint.closeIdleConnections()
}
