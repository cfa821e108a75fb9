package bridgetest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

const (
	headerMethod = "Mcp-Method"
	headerName   = "Mcp-Name"
	headerParam  = "Mcp-Param-"
)

// routed are the arguments of the tool "route" that travel in headers as well, by the name that
// x-mcp-header gives them.
var routed = map[string][]string{
	"Region":   {"region"},
	"Priority": {"priority"},
	"Urgent":   {"urgent"},
	"Method":   {"method"}, // legal: it is not Mcp-Method (spec 2.66)
	"Zone":     {"target", "zone"},
}

// checkHeaders wants the headers to repeat what the body says (spec 2.39 to 2.41, 2.52 to 2.60). It
// answers the request if they don't.
func checkHeaders(w http.ResponseWriter, r *Request, p *modernParams) bool {
	err := checkHeader(r.Header, headerMethod, quoted(r.Method))
	if err == nil {
		err = checkHeader(r.Header, headerName, nameOf(r.Method, p))
	}
	if err == nil && r.Method == "tools/call" && p.Name == "route" {
		for name, path := range routed {
			if err = checkHeader(r.Header, headerParam+name, argument(p.Arguments, path)); err != nil {
				break
			}
		}
	}
	if err != nil {
		r.Fail(w, http.StatusBadRequest, codeHeaderMismatch, err.Error())
	}
	return err == nil
}

// nameOf returns what Mcp-Name has to repeat, as JSON, nil for nothing.
func nameOf(method string, p *modernParams) json.RawMessage {
	switch method {
	case "tools/call", "prompts/get":
		return quoted(p.Name)
	case "resources/read":
		return quoted(p.URI)
	case "tasks/get", "tasks/update", "tasks/cancel":
		return quoted(p.Task)
	}
	return nil
}

// argument returns the argument at a path through objects, nil if there is none.
func argument(arguments json.RawMessage, path []string) json.RawMessage {
	for _, name := range path {
		var members map[string]json.RawMessage
		if json.Unmarshal(arguments, &members) != nil {
			return nil
		}
		arguments = members[name]
	}
	return arguments
}

// checkHeader compares a header with the value that it repeats. Without a value, or with null, there
// must be no header (spec 2.53).
func checkHeader(h http.Header, name string, value json.RawMessage) error {
	values := h.Values(name)
	switch {
	case value == nil || string(value) == "null":
		if len(values) > 0 {
			return fmt.Errorf("%s is there, and the body has no such value", name)
		}
		return nil
	case len(values) == 0:
		return fmt.Errorf("%s is missing", name)
	case len(values) > 1:
		return fmt.Errorf("%s is there %d times", name, len(values))
	}
	got, err := decodeHeader(values[0])
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if !says(got, value) {
		return fmt.Errorf("%s is %q, and in the body %s", name, got, value)
	}
	return nil
}

// decodeHeader undoes the encoding of a header value (spec 2.59 to 2.62).
func decodeHeader(value string) (string, error) {
	if encoded, ok := strings.CutPrefix(value, "=?base64?"); ok {
		if encoded, ok = strings.CutSuffix(encoded, "?="); ok {
			b, err := base64.StdEncoding.DecodeString(encoded)
			return string(b), err
		}
	}
	for _, c := range []byte(value) {
		if c < ' ' || c > '~' {
			return "", fmt.Errorf("%q should be encoded", value)
		}
	}
	return value, nil
}

// says tells whether a header's text means a JSON value (spec 2.58, 2.67).
func says(text string, value json.RawMessage) bool {
	var v any
	if json.Unmarshal(value, &v) != nil {
		return false
	}
	switch v := v.(type) {
	case string:
		return text == v
	case bool:
		return text == strconv.FormatBool(v)
	case float64:
		n, err := strconv.ParseInt(text, 10, 64)
		return err == nil && float64(n) == v
	}
	return false
}

// quoted returns text as raw JSON.
func quoted(text string) json.RawMessage { return json.RawMessage(quote(text)) }
