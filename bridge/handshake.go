package bridge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
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
	initialize   []byte // the host's request
	initialized  []byte // the host's notification
	version      string // protocol revision of the result, "" before there is one
	capabilities []byte // of the server, raw JSON
	repeats      int
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
	h.repeats++
	id := strconv.Quote("mcp-bridge-initialize-" + strconv.Itoa(h.repeats))
	h.mu.Unlock()
	if kept == nil {
		return errors.New("there was no initialize to repeat")
	}
	m, err := parse(bytes.Clone(kept))
	if err != nil {
		return err
	}
	if m, err = parse(m.withID([]byte(id))); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, handshakeLimit, &timeoutError{handshakeLimit})
	defer cancel()
	var got *message
	c := r.newCall(ctx, m, func([]byte) {})
	defer c.cancel(nil)
	c.onResult = func(m *message) { got = m }
	if !r.calls.add(c) {
		return fmt.Errorf("the id %s is taken", id)
	}
	err = request(c.ctx, c)
	r.calls.settle(c, nil)
	if err != nil {
		return err
	}
	if got == nil {
		return errors.New("the server refused to initialize a new session")
	}
	var result initializeResult
	if err := json.Unmarshal(got.result, &result); err != nil {
		return fmt.Errorf("reading the result of initialize: %w", err)
	}
	if result.Version != version || !equalJSON(result.Capabilities, capabilities) {
		return ErrSessionChanged
	}
	if initialized == nil {
		return nil // the host will send it
	}
	if m, err = parse(bytes.Clone(initialized)); err != nil {
		return err
	}
	return send(ctx, m)
}

// equalJSON compares two JSON texts by what they mean.
func equalJSON(a, b []byte) bool {
	canonical := func(text []byte) string {
		var v any
		if json.Unmarshal(text, &v) != nil {
			return string(text)
		}
		out, _ := json.Marshal(v)
		return string(out)
	}
	return bytes.Equal(a, b) || canonical(a) == canonical(b)
}
