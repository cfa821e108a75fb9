package hostconfig

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tailscale/hujson"
)

// jsonSyntax is JSON in which comments and trailing commas are allowed.
type jsonSyntax struct{}

// parseJSON parses text. An empty one is an empty object.
func parseJSON(text []byte) (hujson.Value, error) {
	if len(bytes.TrimSpace(text)) == 0 {
		text = []byte("{}" + lineEnd(text))
	}
	v, err := hujson.Parse(text)
	if err != nil {
		return v, errors.New(strings.TrimPrefix(err.Error(), "hujson: "))
	}
	if _, ok := v.Value.(*hujson.Object); !ok {
		return v, errors.New("there is no {…} around everything")
	}
	return v, nil
}

func (jsonSyntax) decode(text []byte) (map[string]any, error) {
	v, err := parseJSON(bytes.Clone(text))
	if err != nil {
		return nil, err
	}
	v.Standardize()
	dec := json.NewDecoder(bytes.NewReader(v.Pack()))
	dec.UseNumber()
	var m map[string]any
	if err := dec.Decode(&m); err != nil {
		return nil, err
	}
	return m, nil
}

// findMember returns the member with this name, nil if there is none.
func findMember(o *hujson.Object, name string) *hujson.ObjectMember {
	for i := range o.Members {
		if o.Members[i].Name.Value.(hujson.Literal).String() == name {
			return &o.Members[i]
		}
	}
	return nil
}

func (jsonSyntax) names(text []byte, path []string) []string {
	v, err := parseJSON(text)
	if err != nil {
		return nil
	}
	o, err := objectAt(v, path)
	if err != nil {
		return nil
	}
	var names []string
	for _, m := range o.Members {
		names = append(names, m.Name.Value.(hujson.Literal).String())
	}
	return names
}

func (jsonSyntax) set(text []byte, path []string, value any) ([]byte, error) {
	root, err := parseJSON(text)
	if err != nil {
		return nil, err
	}
	w := newJSONWriter(root, lineEnd(text))
	o, indent := root.Value.(*hujson.Object), ""
	for i, key := range path {
		m := findMember(o, key)
		last := i == len(path)-1
		switch {
		case m == nil:
			for j := len(path) - 1; j > i; j-- { // what is to lead to it
				value = object{{path[j], value}}
			}
			w.insert(o, indent, key, value)
			return root.Pack(), nil
		case last:
			inside, _ := memberIndent(o, indent, w.unit)
			m.Value.Value = w.value(value, inside, isInline(o))
			return root.Pack(), nil
		case m.Value.Value.Kind() == 'n': // null
			m.Value.Value = &hujson.Object{}
		}
		below, ok := m.Value.Value.(*hujson.Object)
		if !ok {
			return nil, fmt.Errorf("%q in it is no {…}", key)
		}
		indent, _ = memberIndent(o, indent, w.unit)
		o = below
	}
	return root.Pack(), nil
}

func (jsonSyntax) remove(text []byte, path []string) ([]byte, error) {
	root, err := parseJSON(text)
	if err != nil {
		return nil, err
	}
	var pointer strings.Builder // RFC 6901
	for _, key := range path {
		pointer.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(key))
	}
	patch, err := json.Marshal([]map[string]string{{"op": "remove", "path": pointer.String()}})
	if err != nil {
		return nil, err
	}
	o, err := objectAt(root, path[:len(path)-1])
	if err != nil {
		return nil, err
	}
	closing := lastLine(o.AfterExtra)
	if err := root.Patch(patch); err != nil {
		return nil, err
	}
	// The patch takes the comments of what it removes along, but leaves the line of the brace askew.
	switch i := bytes.LastIndexByte(o.AfterExtra, '\n'); {
	case len(o.Members) == 0 && len(bytes.TrimSpace(o.AfterExtra)) == 0:
		o.AfterExtra = nil
	case i >= 0 && len(bytes.TrimSpace(o.AfterExtra[i:])) == 0:
		o.AfterExtra = append(o.AfterExtra[:i+1:i+1], closing...)
	}
	return root.Pack(), nil
}

// objectAt returns the object at path.
func objectAt(root hujson.Value, path []string) (*hujson.Object, error) {
	o := root.Value.(*hujson.Object)
	for _, key := range path {
		m := findMember(o, key)
		if m == nil {
			return nil, fmt.Errorf("there is no %q in it", key)
		}
		var ok bool
		if o, ok = m.Value.Value.(*hujson.Object); !ok {
			return nil, fmt.Errorf("%q in it is no {…}", key)
		}
	}
	return o, nil
}

func (jsonSyntax) excerpt(text []byte, path []string) string {
	root, err := parseJSON(text)
	if err != nil {
		return ""
	}
	o, err := objectAt(root, path[:len(path)-1])
	if err != nil {
		return ""
	}
	m := findMember(o, path[len(path)-1])
	if m == nil {
		return ""
	}
	indent := lastLine(m.Name.BeforeExtra)
	name, value := m.Name.Value.(hujson.Literal), hujson.Value{Value: m.Value.Value}
	s := string(name) + ": " + strings.ReplaceAll(value.String(), "\r\n", "\n")
	return strings.ReplaceAll(s, "\n"+indent, "\n")
}

// A jsonWriter writes values in the manner of the text that they go into.
type jsonWriter struct{ unit, newline string }

func newJSONWriter(root hujson.Value, newline string) jsonWriter {
	unit := "  "
	if inside, ok := memberIndent(root.Value.(*hujson.Object), "", ""); ok && inside != "" {
		unit = inside
	}
	return jsonWriter{unit, newline}
}

// memberIndent returns how far the members of o are indented. If o has none on a line of their own,
// that is a unit more than o itself, and ok is false.
func memberIndent(o *hujson.Object, indent, unit string) (inside string, ok bool) {
	for _, m := range o.Members {
		if bytes.Contains(m.Name.BeforeExtra, []byte("\n")) {
			return lastLine(m.Name.BeforeExtra), true
		}
	}
	return indent + unit, false
}

// isInline tells whether all of o stands on one line, and what is put into it should, too.
func isInline(o *hujson.Object) bool {
	_, ok := memberIndent(o, "", "")
	return len(o.Members) > 0 && !ok
}

// lastLine returns what follows the last line break in extra, if it is blank.
func lastLine(extra hujson.Extra) string {
	s := string(extra[bytes.LastIndexByte(extra, '\n')+1:])
	if strings.TrimSpace(s) != "" {
		return ""
	}
	return s
}

// insert adds a member at the end of o, whose own line is indented by indent. Comments stay behind
// what they follow, and a trailing comma remains one.
func (w jsonWriter) insert(o *hujson.Object, indent, key string, value any) {
	inside, _ := memberIndent(o, indent, w.unit)
	inline := isInline(o)
	m := hujson.ObjectMember{
		Name:  hujson.Value{Value: hujson.String(key)},
		Value: hujson.Value{Value: w.value(value, inside, inline), BeforeExtra: hujson.Extra(" ")},
	}
	if n := len(o.Members); n > 0 {
		last := &o.Members[n-1]
		if inline {
			m.Name.BeforeExtra = slices.Clone(last.Name.BeforeExtra)
			m.Value.BeforeExtra = slices.Clone(last.Value.BeforeExtra)
		}
		if last.Value.AfterExtra != nil { // a trailing comma
			m.Value.AfterExtra = hujson.Extra{}
		}
	}
	if !inline {
		m.Name.BeforeExtra = append(bytes.TrimRight(o.AfterExtra, " \t\r\n"), w.newline+inside...)
		closing := indent
		if bytes.Contains(o.AfterExtra, []byte("\n")) {
			closing = lastLine(o.AfterExtra)
		}
		o.AfterExtra = hujson.Extra(w.newline + closing)
	}
	o.Members = append(o.Members, m)
}

// value returns value as it is written behind a key whose line is indented by indent.
func (w jsonWriter) value(value any, indent string, inline bool) hujson.ValueTrimmed {
	text := compactJSON(value)
	if !inline {
		var b bytes.Buffer
		_ = json.Indent(&b, text, indent, w.unit) // it is valid, since we have just made it
		text = bytes.ReplaceAll(b.Bytes(), []byte("\n"), []byte(w.newline))
	}
	v, err := hujson.Parse(text)
	if err != nil {
		panic(err) // as above
	}
	return v.Value
}

// compactJSON encodes value, whose objects keep their order.
func compactJSON(value any) []byte {
	var b bytes.Buffer
	if o, ok := value.(object); ok {
		b.WriteByte('{')
		for i, m := range o {
			if i > 0 {
				b.WriteByte(',')
			}
			b.Write(compactJSON(m.key))
			b.WriteByte(':')
			b.Write(compactJSON(m.value))
		}
		b.WriteByte('}')
		return b.Bytes()
	}
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // an & in a URL is for people, too
	if err := enc.Encode(value); err != nil {
		panic(err) // there are only strings, lists of them, and numbers
	}
	return bytes.TrimSpace(b.Bytes())
}
