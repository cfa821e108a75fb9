package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"mcp-bridge/bridge"
)

// A doctorHost is an MCP host in memory, with a bridge of its own that runs in this process.
type doctorHost struct {
	ctx    context.Context
	to     io.WriteCloser // the bridge's standard input
	from   *bufio.Reader  // its standard output
	ended  chan error     // what Run returned
	lastID int
}

// startDoctorHost starts a bridge, which ends with ctx or with close.
func startDoctorHost(ctx context.Context, cfg bridge.Config) *doctorHost {
	in, to := io.Pipe()
	from, out := io.Pipe()
	h := &doctorHost{ctx: ctx, to: to, from: bufio.NewReader(from), ended: make(chan error, 1)}
	go func() { // ends with the bridge
		err := bridge.Run(ctx, in, out, cfg)
		_ = in.Close() // whoever writes would wait for ever
		_ = out.Close()
		h.ended <- err
	}()
	return h
}

// An answerError is the error that answers a request.
type answerError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Data    struct {
		HTTPStatus int `json:"httpStatus"`
	} `json:"data"`
}

func (e *answerError) Error() string { return e.Message }

// UnmarshalJSON takes any data: only the bridge's own has a status.
func (e *answerError) UnmarshalJSON(text []byte) error {
	var plain struct {
		Code    int             `json:"code"`
		Message string          `json:"message"`
		Data    json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(text, &plain); err != nil {
		return err
	}
	e.Code, e.Message = plain.Code, plain.Message
	_ = json.Unmarshal(plain.Data, &e.Data) // what is something else says nothing
	return nil
}

// request sends a request, and reads up to its answer. The server's own requests are refused, so that it
// does not wait for anybody.
func (h *doctorHost) request(method string, params, result any) error {
	h.lastID++
	id := strconv.Itoa(h.lastID)
	if err := h.send(map[string]any{"id": h.lastID, "method": method, "params": params}); err != nil {
		return err
	}
	for {
		line, err := h.from.ReadBytes('\n')
		if h.ctx.Err() != nil {
			return errors.New("it did not come in time") // whatever the bridge says of being stopped
		}
		if err != nil {
			return errors.New("the bridge ended before the answer came")
		}
		var m struct {
			ID     json.RawMessage
			Method string
			Error  *answerError
			Result json.RawMessage
		}
		if err := json.Unmarshal(line, &m); err != nil {
			return fmt.Errorf("what the server sent is no message: %w", err)
		}
		switch {
		case m.Method == "ping" && m.ID != nil:
			err = h.send(map[string]any{"id": m.ID, "result": struct{}{}})
		case m.Method != "" && m.ID != nil:
			err = h.send(map[string]any{"id": m.ID, "error": map[string]any{"code": -32601, "message": "not supported"}})
		case m.Method != "" || string(m.ID) != id:
		case m.Error != nil:
			return m.Error
		default:
			return json.Unmarshal(m.Result, result)
		}
		if err != nil {
			return err
		}
	}
}

// send sends a message.
func (h *doctorHost) send(message map[string]any) error {
	message["jsonrpc"] = "2.0"
	text, err := json.Marshal(message)
	if err != nil {
		return fmt.Errorf("encoding a message: %w", err)
	}
	if _, err := h.to.Write(append(text, '\n')); err != nil {
		return errors.New("the bridge has ended")
	}
	return nil
}

// close ends the bridge's input, and waits until the bridge has ended, and its session with it.
func (h *doctorHost) close() error {
	h.to.Close()
	_, _ = io.Copy(io.Discard, h.from) // ends with the bridge
	return <-h.ended
}
