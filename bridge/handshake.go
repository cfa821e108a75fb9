package bridge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
)

// handshakeLimit bounds a handshake that the bridge repeats by itself.
const handshakeLimit = 30 * time.Second

// A handshake is what host and server agreed on, kept so that it can be repeated on a new
// session without the host noticing (spec 2.19).
type handshake struct {
	mu           sync.Mutex
	initialize   []byte            // the host's request
	initialized  []byte            // the host's notification
	version      string            // protocol revision of the result, "" before there is one
	capabilities []byte            // of the server, raw JSON
	level        []byte            // the last logging/setLevel that succeeded
	subscribed   map[string][]byte // resources/subscribe that succeeded, by URI
}

// initializeResult is what the bridge reads of the result of initialize.
type initializeResult struct {
	Version      string          `json:"protocolVersion"`
	Capabilities json.RawMessage `json:"capabilities"`
}

// agree keeps a handshake that the host made.
func (h *handshake) agree(request []byte, result initializeResult) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.initialize, h.version, h.capabilities = request, result.Version, bytes.Clone(result.Capabilities)
}

// confirm keeps the host's notifications/initialized.
func (h *handshake) confirm(notification []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.initialized = notification
}

// sets tells whether a request changes what the server keeps for the session.
func sets(m *message) bool {
	return m.is(mcp.MethodSetLogLevel) || m.is(mcp.MethodResourcesSubscribe) || m.is(mcp.MethodResourcesUnsubscribe)
}

// set keeps such a request, after it succeeded.
func (h *handshake) set(m *message) {
	var params struct{ URI string }
	_ = json.Unmarshal(m.params, &params) // no URI: the server took it, so it is kept as it is
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case m.is(mcp.MethodSetLogLevel):
		h.level = m.raw
	case m.is(mcp.MethodResourcesUnsubscribe):
		delete(h.subscribed, params.URI)
	default:
		if h.subscribed == nil {
			h.subscribed = make(map[string][]byte)
		}
		h.subscribed[params.URI] = m.raw
	}
}

// agreed returns the protocol revision that host and server agreed on, "" before they did.
func (h *handshake) agreed() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.version
}

// wantsErrorIDs tells whether every error response must carry an id: revisions before
// 2025-11-25 know no other (spec 1.15).
func (h *handshake) wantsErrorIDs() bool {
	version := h.agreed()
	return version != "" && version < mcp.ProtocolVersion20251125
}

// repeat makes the handshake again over request and send, which reach the new session. The
// server must say what it said the first time; else the error is ErrSessionChanged.
func (h *handshake) repeat(ctx context.Context, r *relay, request func(context.Context, *call) error, send func(context.Context, *message) error) error {
	h.mu.Lock()
	kept, initialized, version, capabilities := h.initialize, h.initialized, h.version, h.capabilities
	settings, uris := slices.Collect(maps.Values(h.subscribed)), slices.Collect(maps.Keys(h.subscribed))
	if h.level != nil {
		settings = append(settings, h.level)
	}
	h.mu.Unlock()
	if kept == nil {
		return errors.New("there was no initialize to repeat")
	}
	ctx, cancel := context.WithTimeoutCause(ctx, handshakeLimit, &timeoutError{handshakeLimit})
	defer cancel()
	got, err := h.ask(ctx, r, kept, request)
	if err != nil {
		return err
	}
	var result initializeResult
	if err := json.Unmarshal(got, &result); err != nil {
		return fmt.Errorf("reading the result of initialize: %w", err)
	}
	if result.Version != version || !equalJSON(result.Capabilities, capabilities) {
		if l, ok := r.to.(*link); !ok || !l.renewed(got) {
			return ErrSessionChanged
		}
		h.agree(kept, result)
	}
	if initialized == nil {
		return nil // the host will send it
	}
	m, err := parse(bytes.Clone(initialized))
	if err != nil {
		return err
	}
	if err := send(ctx, m); err != nil {
		return err
	}
	for _, raw := range settings {
		if _, err := h.ask(ctx, r, raw, request); err != nil {
			r.log.Warn("what was set in the lost session can't be set in the new one", "error", err)
		}
	}
	for _, list := range changeable(capabilities) {
		r.to.fromServer(listChanged(list), nil)
	}
	if l, ok := r.to.(*link); ok {
		l.missed(uris)
	}
	return nil
}

// ask sends a request that the host has sent before, under an id of our own, and returns the
// result.
func (h *handshake) ask(ctx context.Context, r *relay, raw []byte, request func(context.Context, *call) error) ([]byte, error) {
	m, err := parse(bytes.Clone(raw))
	if err != nil {
		return nil, err
	}
	answer, err := r.askServer(ctx, built(m.withID(r.mint())), ask{request: func(ctx context.Context, c *call, _ sentFunc) error { return request(ctx, c) }})
	switch {
	case err != nil:
		return nil, err
	case answer.failed || answer.result == nil:
		return nil, fmt.Errorf("the server refused %s", m.method)
	}
	return answer.result, nil
}

// changeable returns the lists whose changes a server announces, by its capabilities: in a new
// session they may be others.
func changeable(capabilities []byte) []string {
	var has map[string]struct {
		ListChanged bool `json:"listChanged"`
	}
	_ = json.Unmarshal(capabilities, &has) // what can't be read announces nothing
	var lists []string
	for _, list := range []string{"tools", "prompts", "resources"} {
		if has[list].ListChanged {
			lists = append(lists, list)
		}
	}
	return lists
}

// listChanged returns the notification that a list may be another one now.
func listChanged(list string) *message {
	m, _ := parse(fmt.Appendf(nil, `{"jsonrpc":"2.0","method":"notifications/%s/list_changed"}`, list)) // it is well-formed
	return m
}

// equalJSON compares two JSON texts by what they mean, numbers by their digits.
func equalJSON(a, b []byte) bool {
	canonical := func(text []byte) string {
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		var v any
		if d.Decode(&v) != nil {
			return string(text)
		}
		out, _ := json.Marshal(v)
		return string(out)
	}
	return bytes.Equal(a, b) || canonical(a) == canonical(b)
}
