package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/mark3labs/mcp-go/mcp"
)

// toolHeaders knows which arguments of which tools go into headers too: those that a tool's
// inputSchema annotates with x-mcp-header (spec 2D).
type toolHeaders struct {
	mu      sync.Mutex
	known   bool
	pending int                      // tools/list requests under way
	idle    chan struct{}            // closed when there are none any more; nil while there are none
	tools   map[string][]paramHeader // by name; tools without such arguments are not in it
}

// What a server's schemas may ask for. More is no use of headers, but an attack, or a mistake.
const (
	maxParamHeaders = 256 // for one tool
	maxSchemaDepth  = 256 // each level is read as often as it is deep
)

// A paramHeader is one argument that is repeated in a header.
type paramHeader struct {
	path []string // of properties
	name string   // without Mcp-Param-
}

// begin notes that the tools are being listed, and returns what is to be called when they are.
func (t *toolHeaders) begin() func() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.pending++; t.pending == 1 {
		t.idle = make(chan struct{})
	}
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.pending--; t.pending == 0 {
			close(t.idle)
		}
	}
}

// listed tells whether the tools were listed at all. If somebody is about to, it waits for that.
func (t *toolHeaders) listed(ctx context.Context) bool {
	for {
		t.mu.Lock()
		known, pending, idle := t.known, t.pending > 0, t.idle
		t.mu.Unlock()
		if known || !pending {
			return known
		}
		select {
		case <-idle:
		case <-ctx.Done():
			return false
		}
	}
}

// learn reads a result of tools/list. Tools whose annotations are invalid are cut out of it (spec 2.55).
func (t *toolHeaders) learn(m *message, log *slog.Logger) {
	result := readObject(m.result)
	list := elements(result.get("tools"))
	kept := make([][]byte, 0, len(list))
	t.mu.Lock()
	defer t.mu.Unlock()
	t.known = true
	if t.tools == nil {
		t.tools = make(map[string][]paramHeader)
	}
	for _, raw := range list {
		tool := readObject(raw)
		name := tool.text("name")
		headers, err := paramHeaders(tool.get("inputSchema"))
		delete(t.tools, name)
		if err != nil {
			log.Warn("a tool is left out, as its x-mcp-header annotations are invalid", "tool", name, "error", err)
			continue
		}
		kept = append(kept, raw)
		if len(headers) > 0 {
			t.tools[name] = headers
		}
	}
	if len(kept) < len(list) {
		m.setResult(result.with("tools", array(kept)).raw())
	}
}

// add adds the headers of a call of a tool. A value that is absent or null has none (spec 2.53).
func (t *toolHeaders) add(h http.Header, params object) error {
	t.mu.Lock()
	headers := t.tools[params.text("name")]
	t.mu.Unlock()
	if len(headers) == 0 {
		return nil
	}
	for _, header := range headers {
		at := params.get("arguments")
		for _, key := range header.path {
			at = readObject(at).get(key)
		}
		value, err := paramValue(at)
		if err != nil {
			return &rpcError{code: mcp.INVALID_PARAMS, text: fmt.Sprintf("the argument %s can't be sent in a header, as its tool asks for: %v", strings.Join(header.path, "."), err)}
		}
		if value != nil {
			h[http.CanonicalHeaderKey(mcp.HeaderParamPrefix+header.name)] = []string{*value}
		}
	}
	return nil
}

// paramValue returns an argument as a header value, nil if it has none (spec 2.57–2.62).
func paramValue(raw []byte) (*string, error) {
	var value string
	switch {
	case len(raw) == 0 || string(raw) == "null":
		return nil, nil
	case raw[0] == '"':
		value = headerValue(string(plain(raw)))
	case string(raw) == "true" || string(raw) == "false":
		value = string(raw)
	case raw[0] == '{' || raw[0] == '[':
		return nil, nil // the server will refuse it for what it is
	default:
		n, err := strconv.ParseFloat(string(raw), 64)
		const largest = 1<<53 - 1
		if err != nil || n != float64(int64(n)) || n > largest || n < -largest {
			return nil, fmt.Errorf("it must be an integer within ±(2^53-1)")
		}
		value = strconv.FormatInt(int64(n), 10)
	}
	return &value, nil
}

// paramHeaders returns the arguments that a tool's inputSchema annotates. The error says which
// annotation is invalid (spec 2.56).
func paramHeaders(schema []byte) ([]paramHeader, error) {
	var headers []paramHeader
	taken := make(map[string]bool)
	var walk func(schema []byte, path []string, reachable bool) error
	depth := 0
	walk = func(schema []byte, path []string, reachable bool) error {
		if depth++; depth > maxSchemaDepth {
			return errors.New("its inputSchema is nested too deep")
		}
		defer func() { depth-- }()
		for _, item := range elements(schema) {
			if err := walk(item, path, false); err != nil {
				return err
			}
		}
		o := readObject(schema)
		if annotation := o.get("x-mcp-header"); annotation != nil {
			name := o.text("x-mcp-header")
			switch {
			case annotation[0] != '"' || !isToken(name):
				return fmt.Errorf("%s is no header name", annotation)
			case !reachable || len(path) == 0:
				return fmt.Errorf("%q stands where no argument has one fixed place", name)
			case taken[strings.ToLower(name)]:
				return fmt.Errorf("%q is there twice", name)
			case !isHeaderType(o.get("type")):
				return fmt.Errorf("%q is on an argument that is no string, integer or boolean", name)
			case len(headers) == maxParamHeaders:
				return fmt.Errorf("there are more than %d", maxParamHeaders)
			}
			taken[strings.ToLower(name)] = true
			headers = append(headers, paramHeader{append([]string(nil), path...), name})
		}
		for _, m := range o {
			switch m.key {
			case "properties":
				for _, property := range readObject(m.value) {
					if err := walk(property.value, append(path, property.key), reachable); err != nil {
						return err
					}
				}
			case "default", "const", "enum", "examples": // values, not schemas
			case "$defs", "definitions", "dependentSchemas", "patternProperties":
				for _, sub := range readObject(m.value) {
					if err := walk(sub.value, path, false); err != nil {
						return err
					}
				}
			default:
				if err := walk(m.value, path, false); err != nil {
					return err
				}
			}
		}
		return nil
	}
	err := walk(schema, nil, true)
	return headers, err
}

// isHeaderType tells whether a schema's type is one whose values fit into a header, or null beside one.
func isHeaderType(raw []byte) bool {
	types := elements(raw)
	if types == nil {
		types = [][]byte{raw}
	}
	fits := false
	for _, t := range types {
		switch string(plain(t)) {
		case "string", "integer", "boolean":
			fits = true
		case "null":
		default:
			return false
		}
	}
	return fits
}

// isToken tells whether text is a token of RFC 9110 5.6.2.
func isToken(text string) bool {
	return text != "" && strings.Trim(text, "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") == ""
}
