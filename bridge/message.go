package bridge

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/mark3labs/mcp-go/mcp"
)

// A kind is what a message is in the terms of JSON-RPC 2.0.
type kind int

const (
	odd          kind = iota // valid JSON, but no JSON-RPC message
	request                  // has a method and an id
	notification             // has a method and no id
	response                 // has a result or an error
	batch                    // an array of messages (2025-03-26 only)
)

// A message is one JSON-RPC message as it came, and the few places in it that the bridge looks
// at. All slices point into raw (spec 1.07).
type message struct {
	raw    []byte // one line, without line break
	kind   kind
	id     []byte // raw JSON string or number; nil when there is none or it is null
	method []byte // without quotes
	params []byte // raw JSON
	meta   []byte // raw JSON; the _meta of params
	result []byte // raw JSON
	err    []byte // raw JSON; the member named error
	items  [][]byte
	idAt   int // where the id's value stands in raw, also when it is null; -1 without one
	idEnd  int
	failed bool // the response carries an error
}

// is tells whether the message is a request or notification of this method.
func (m *message) is(method mcp.MCPMethod) bool { return string(m.method) == string(method) }

// what names a message in the log: by its method, if it has one.
func (m *message) what() string {
	if m.kind == response {
		return "response"
	}
	return string(m.method)
}

// parse looks at one message. Line breaks between tokens become spaces, in place, so that the
// message fits on a line (spec 1.05). The error says why raw is no JSON; the message then holds
// what could be read before that point, the id above all (spec 1.14).
func parse(raw []byte) (*message, error) {
	s := scanner{b: raw}
	return read(&s)
}

// read is parse for a message that may still be on its way.
func read(s *scanner) (*message, error) {
	m := &message{idAt: -1}
	var ok bool
	switch s.space() {
	case '[':
		m.kind = batch
		ok = s.array(func(start, end int) { m.items = append(m.items, s.b[start:end:end]) })
	case '{':
		ok = m.object(s)
	default:
		ok = s.value()
	}
	if ok {
		s.space()
		ok = s.i == len(s.b)
	}
	m.raw = s.b
	if !ok {
		return m, fmt.Errorf("%w: offset %d of %d", errSyntax, s.i, len(s.b))
	}
	if s.lineBreak {
		joinLines(m.raw)
	}
	return m, nil
}

// trim takes off the white space around a message.
func (m *message) trim() {
	const space = " \t\r\n"
	text := bytes.TrimLeft(m.raw, space)
	before := len(m.raw) - len(text)
	m.raw = bytes.TrimRight(text, space)
	if m.idAt >= 0 {
		m.idAt, m.idEnd = m.idAt-before, m.idEnd-before
	}
}

// object reads the members of a JSON-RPC message and says what it is.
func (m *message) object(s *scanner) bool {
	version, hasMethod, hasID := false, false, false
	ok := s.object(func(key []byte, start, end int) {
		value := s.b[start:end:end]
		switch string(plain(key)) {
		case "jsonrpc":
			version = value[0] == '"' && string(plain(value)) == "2.0"
		case "id":
			hasID, m.idAt, m.idEnd, m.id = true, start, end, nil
			if c := value[0]; c == '"' || c == '-' || '0' <= c && c <= '9' {
				m.id = value
			}
		case "method":
			hasMethod = true
			if m.method = nil; value[0] == '"' {
				m.method = plain(value)
			}
		case "params":
			m.params, m.meta = value, nil
			if s.metaAt > start {
				m.meta = s.b[s.metaAt:s.metaEnd:s.metaEnd]
			}
		case "result":
			m.result = value
		case "error":
			m.err = value
			m.failed = string(value) != "null" // some libraries write both members
		}
	})
	switch {
	case !version:
	case hasMethod && m.method == nil: // a method that is no string
	case hasMethod && m.id != nil:
		m.kind = request
	case hasMethod && !hasID:
		m.kind = notification
	case !hasMethod && (m.result != nil || m.failed):
		m.kind = response
	}
	return ok
}

// setResult replaces the result of a response.
func (m *message) setResult(result []byte) {
	*m = *built(readObject(m.raw).with("result", result).raw())
}

// errorCode returns the code of a response that is an error, 0 if it is none.
func errorCode(m *message) int {
	if !m.failed {
		return 0
	}
	code, _ := strconv.Atoi(string(readObject(m.err).get("code")))
	return code
}

// plain returns the content of a raw JSON string, and anything else as it is.
func plain(raw []byte) []byte {
	if len(raw) < 2 || raw[0] != '"' {
		return raw
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1]
	}
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return raw
	}
	return []byte(text)
}

// joinLines replaces the line breaks of valid JSON text, which can only stand between tokens.
func joinLines(raw []byte) {
	for i, c := range raw {
		if c == '\n' || c == '\r' {
			raw[i] = ' '
		}
	}
}

// longestKey is the longest id that is remembered as it is, in bytes.
const longestKey = 256

// idKey returns what two spellings of one id have in common: its type and its value. Numbers
// keep their digits, however many, but for those that a peer wrote as a float (1.0 for 1). Of a long id it
// is a hash.
func idKey(raw []byte) string {
	key := idValue(raw)
	if len(key) <= longestKey {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return "#" + string(sum[:]) // no JSON begins so
}

func idValue(raw []byte) string {
	switch {
	case len(raw) == 0:
		return ""
	case raw[0] == '"':
		return `"` + string(plain(raw))
	case bytes.ContainsAny(raw, ".eE"):
		if f, err := strconv.ParseFloat(string(raw), 64); err == nil && f == float64(int64(f)) && f < 1<<53 && f > -1<<53 {
			return strconv.FormatInt(int64(f), 10)
		}
	}
	if string(raw) == "-0" {
		return "0"
	}
	return string(raw)
}

// withID returns the message under another id, all other bytes unchanged.
func (m *message) withID(id []byte) []byte {
	if m.idAt < 0 {
		open := bytes.IndexByte(m.raw, '{') + 1
		return slices.Concat(m.raw[:open], []byte(`"id":`), id, []byte(","), m.raw[open:])
	}
	return slices.Concat(m.raw[:m.idAt], id, m.raw[m.idEnd:])
}
