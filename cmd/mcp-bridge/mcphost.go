package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"mcp-bridge/bridge"
)

// A linePipe carries messages between an MCP host and a bridge, one a line.
type linePipe interface {
	send(line string) error
	receive() (line string, err error)
}

// A hostMessage is a message that comes from a bridge.
type hostMessage struct {
	ID     json.RawMessage
	Method string
	Params json.RawMessage
	Result json.RawMessage
	Error  *requestError
}

// A requestError is the error that a request was answered with.
type requestError struct {
	Code    int
	Message string
	Data    json.RawMessage
}

func (e *requestError) Error() string { return e.Message }

// An mcpHost talks over a pipe as an MCP host does, with one request at a time.
type mcpHost struct {
	pipe   linePipe
	heard  func(*hostMessage) error // takes what comes while an answer is awaited; may be nil
	lastID int
}

// request sends a request and reads up to its answer. The error is a *requestError if there is one that
// is an error.
func (h *mcpHost) request(method, params string) (result json.RawMessage, err error) {
	h.lastID++
	id := strconv.Itoa(h.lastID)
	if err := h.pipe.send(`{"jsonrpc":"2.0","id":` + id + `,"method":"` + method + `","params":` + params + `}`); err != nil {
		return nil, err
	}
	for {
		line, err := h.pipe.receive()
		if err != nil {
			return nil, fmt.Errorf("waiting for the answer to %s: %w", method, err)
		}
		var m hostMessage
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			return nil, fmt.Errorf("the bridge wrote what is no message, %q: %w", short(line), err)
		}
		switch {
		case m.Method != "":
			if h.heard != nil {
				if err := h.heard(&m); err != nil {
					return nil, err
				}
			}
		case string(m.ID) != id:
			// not for this request
		case m.Error != nil:
			return nil, m.Error
		default:
			return m.Result, nil
		}
	}
}

// An innerHost is an mcpHost in one process with its bridge.
type innerHost struct {
	mcpHost
	ctx   context.Context // when it is done, the host has no more patience
	in    *io.PipeWriter
	lines chan string // closed when the bridge has ended
	ended chan error  // receives what bridge.Run returned
}

var errInterrupted = errors.New("interrupted")

// startInnerHost starts a bridge. The host has to be closed. The bridge itself does not end with ctx: a
// request that is given up then is cancelled first.
func startInnerHost(ctx context.Context, cfg bridge.Config) *innerHost {
	fromHost, in := io.Pipe()
	fromBridge, out := io.Pipe()
	h := &innerHost{ctx: ctx, in: in, lines: make(chan string), ended: make(chan error, 1)}
	h.pipe = h
	go func() { // ends with the input, at close
		h.ended <- bridge.Run(context.WithoutCancel(ctx), fromHost, out, cfg)
		_ = fromHost.Close() // never fails, nor do those below
		_ = out.Close()
	}()
	go func() { // ends with the bridge
		defer close(h.lines)
		r := bufio.NewReader(fromBridge)
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			h.lines <- strings.TrimSuffix(line, "\n")
		}
	}()
	return h
}

func (h *innerHost) send(line string) error {
	if _, err := io.WriteString(h.in, line+"\n"); err != nil {
		return h.early()
	}
	return nil
}

// early returns why the bridge has ended already.
func (h *innerHost) early() error {
	err := <-h.ended
	h.ended <- err // for close
	if err == nil {
		err = errors.New("the bridge ended too early")
	}
	return err
}

func (h *innerHost) receive() (string, error) {
	select {
	case line, open := <-h.lines:
		if !open {
			return "", h.early()
		}
		return line, nil
	case <-h.ctx.Done():
		// The bridge passes it on, or if it is too late for that ends at once.
		_ = h.send(fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%d,"reason":"interrupted"}}`, h.lastID))
		return "", errInterrupted
	}
}

// close ends the bridge, and returns why it ended if it did so by itself.
func (h *innerHost) close() error {
	_ = h.in.Close()
	for range h.lines { // what nobody waits for any more
	}
	return <-h.ended
}

// initialize makes the handshake and returns the server's result.
func (h *innerHost) initialize() (json.RawMessage, error) {
	params, err := json.Marshal(map[string]any{
		"protocolVersion": "2025-11-25",
		"capabilities":    map[string]any{"elicitation": map[string]any{}},
		"clientInfo":      map[string]string{"name": "mcp-bridge", "version": strings.Trim(versionText(), "()")},
	})
	if err != nil {
		return nil, err
	}
	result, err := h.request("initialize", string(params))
	if err != nil {
		return nil, err
	}
	return result, h.send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
}

// maxListPages bounds how long a list can be that never ends.
const maxListPages = 10000

// list returns all elements of one of the server's lists, page by page. None if the server does not know
// the method.
func (h *innerHost) list(method, member string) ([]json.RawMessage, error) {
	all := []json.RawMessage{} // [] in JSON, not null
	params := "{}"
	for range maxListPages {
		result, err := h.request(method, params)
		if refused, ok := errors.AsType[*requestError](err); ok && refused.Code == codeMethodNotFound {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		var page map[string]json.RawMessage
		var items []json.RawMessage
		err = json.Unmarshal(result, &page)
		if err == nil && page[member] != nil {
			err = json.Unmarshal(page[member], &items)
		}
		if err != nil {
			return nil, fmt.Errorf("the answer to %s can't be read: %w", method, err)
		}
		all = append(all, items...)
		next := page["nextCursor"]
		if next == nil || string(next) == "null" { // an empty one is a cursor (spec 5.76)
			return all, nil
		}
		before := params
		if params = `{"cursor":` + string(next) + `}`; params == before {
			return nil, fmt.Errorf("the server's list does not end: %s gives the same cursor again", method)
		}
	}
	return nil, fmt.Errorf("the server's list does not end: %s has more than %d pages", method, maxListPages)
}

// codeMethodNotFound is JSON-RPC's.
const codeMethodNotFound = -32601
