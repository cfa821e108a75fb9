package hostconfig

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// tomlSyntax is TOML. The library says where things are in the text; the text is changed here.
type tomlSyntax struct{}

func (tomlSyntax) decode(text []byte) (map[string]any, error) {
	var m map[string]any
	err := toml.Unmarshal(text, &m)
	if e, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, column := e.Position()
		return nil, fmt.Errorf("line %d, column %d: %s", line, column, strings.TrimPrefix(e.Error(), "toml: "))
	}
	if m == nil && err == nil {
		m = make(map[string]any)
	}
	return m, err
}

func (tomlSyntax) names(text []byte, path []string) []string {
	var names []string
	for _, item := range tomlItems(text) {
		if len(item.path) > len(path) && slices.Equal(item.path[:len(path)], path) && !slices.Contains(names, item.path[len(path)]) {
			names = append(names, item.path[len(path)])
		}
	}
	return names
}

func (tomlSyntax) set(text []byte, path []string, value any) ([]byte, error) {
	items, parent := tomlItems(text), path[:len(path)-1]
	inlineParent := false
	for _, item := range items {
		if !item.header && slices.Equal(item.path, path) {
			return splice(text, item.value, item.valueEnd, tomlValue(value)), nil
		}
		inlineParent = inlineParent || item.table && slices.Equal(item.path, parent)
	}
	if o, ok := value.(object); ok && !inlineParent {
		return appendTable(text, path, o), nil
	}
	return insertKey(text, items, path, tomlValue(value))
}

// insertKey adds a key to the table that it belongs to, however that is written.
func insertKey(text []byte, items []tomlItem, path []string, value string) ([]byte, error) {
	parent := path[:len(path)-1]
	line := tomlName(path[len(path)-1]) + " = " + value
	for i, item := range items {
		if !slices.Equal(item.path, parent) {
			continue
		}
		switch {
		case item.table:
			inside := bytes.TrimRight(text[item.value:item.valueEnd-1], " \t\r\n")
			if !bytes.HasSuffix(inside, []byte("{")) && !bytes.HasSuffix(inside, []byte(",")) {
				line = ", " + line
			} else {
				line = " " + line
			}
			return splice(text, item.value+len(inside), item.valueEnd-1, line+" "), nil
		case item.header && !item.list:
			at := item.end
			for _, below := range items[i+1:] {
				if below.header {
					break
				}
				at = max(at, below.end)
			}
			return insertLine(text, at, line), nil
		}
	}
	// It may be made of dotted keys.
	for _, item := range slices.Backward(items) {
		if !item.header && !item.inline && slices.Equal(item.path[:len(item.path)-1], parent) {
			return insertLine(text, item.end, string(text[item.key:item.leaf])+line), nil
		}
	}
	if len(parent) < 2 {
		return nil, errUnsafe
	}
	return insertKey(text, items, parent, "{ "+line+" }")
}

// splice returns text with what is between start and end replaced.
func splice(text []byte, start, end int, by string) []byte {
	return slices.Concat(text[:start], []byte(by), text[end:])
}

// insertLine inserts a line at a place where one begins, or at the end.
func insertLine(text []byte, at int, line string) []byte {
	newline := lineEnd(text)
	if at > 0 && text[at-1] != '\n' {
		line = newline + line
	}
	return splice(text, at, at, line+newline)
}

// appendTable appends a table, and the tables in it as tables of their own.
func appendTable(text []byte, path []string, o object) []byte {
	var names []string
	for _, key := range path {
		names = append(names, tomlName(key))
	}
	lines := "[" + strings.Join(names, ".") + "]"
	for _, m := range o {
		if _, ok := m.value.(object); !ok {
			lines += lineEnd(text) + tomlName(m.key) + " = " + tomlValue(m.value)
		}
	}
	if len(bytes.TrimSpace(text)) > 0 {
		if !bytes.HasSuffix(text, []byte("\n")) {
			lines = lineEnd(text) + lines
		}
		lines = lineEnd(text) + lines
	}
	text = splice(text, len(text), len(text), lines+lineEnd(text))
	for _, m := range o {
		if below, ok := m.value.(object); ok {
			text = appendTable(text, slices.Concat(path, []string{m.key}), below)
		}
	}
	return text
}

func (tomlSyntax) remove(text []byte, path []string) ([]byte, error) {
	spans := spansOf(text, path)
	if len(spans) == 0 {
		return nil, errUnsafe
	}
	for _, cut := range slices.Backward(spans) {
		before, after := text[:cut.start], text[cut.end:]
		if wholeLine := len(before) == 0 || before[len(before)-1] == '\n'; wholeLine {
			// Only one of the gaps above and below remains.
			if bytes.HasPrefix(bytes.TrimLeft(text[cut.start:], " \t"), []byte("[")) || bytes.HasPrefix(text[cut.start:], []byte("#")) {
				before = trimBlankLines(before)
			}
			if len(before) == 0 {
				after = bytes.TrimLeft(after, "\r\n")
			}
		} else { // within an inline table
			if rest := bytes.TrimLeft(after, " \t\r\n"); bytes.HasPrefix(rest, []byte(",")) {
				after = bytes.TrimLeft(rest[1:], " \t")
			} else {
				before = bytes.TrimRight(bytes.TrimRight(before, " \t\r\n"), ",")
			}
		}
		text = slices.Concat(before, after)
	}
	return text, nil
}

// trimBlankLines takes the blank lines off the end of text, which ends with a line.
func trimBlankLines(text []byte) []byte {
	for {
		line := text[:max(len(text)-1, 0)]
		start := bytes.LastIndexByte(line, '\n') + 1
		if len(text) == 0 || len(bytes.TrimSpace(text[start:])) > 0 {
			return text
		}
		text = text[:start]
	}
}

func (tomlSyntax) excerpt(text []byte, path []string) string {
	var b strings.Builder
	for _, part := range spansOf(text, path) {
		b.Write(text[part.start:part.end])
	}
	return strings.TrimSpace(strings.ReplaceAll(b.String(), "\r\n", "\n"))
}

// tomlName returns a key, in quotes if it needs them.
func tomlName(key string) string {
	bare := key != ""
	for _, c := range key {
		bare = bare && ('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_')
	}
	if bare {
		return key
	}
	return tomlValue(key)
}

// tomlValue returns a value on one line.
func tomlValue(value any) string {
	switch v := value.(type) {
	case int:
		return strconv.Itoa(v)
	case []string:
		var all []string
		for _, s := range v {
			all = append(all, tomlValue(s))
		}
		return "[" + strings.Join(all, ", ") + "]"
	case object:
		var all []string
		for _, m := range v {
			all = append(all, tomlName(m.key)+" = "+tomlValue(m.value))
		}
		if len(all) == 0 {
			return "{}"
		}
		return "{ " + strings.Join(all, ", ") + " }"
	default:
		return tomlString(v.(string))
	}
}

// tomlString returns a string in quotes: in single ones, if that spares the doubling of backslashes.
func tomlString(s string) string {
	control := func(r rune) bool { return r < ' ' || r == 0x7f }
	if strings.Contains(s, `\`) && !strings.Contains(s, "'") && !strings.ContainsFunc(s, control) {
		return "'" + s + "'"
	}
	// The escapes of JSON are those of TOML, but for one that JSON leaves out.
	return strings.ReplaceAll(string(compactJSON(s)), "\x7f", `\u007f`)
}
