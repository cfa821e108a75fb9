package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A schema is what is read of a JSON Schema.
type schema struct {
	Type                 json.RawMessage
	Properties           map[string]json.RawMessage
	PatternProperties    map[string]json.RawMessage
	AdditionalProperties json.RawMessage
	Required             []string
	Items                json.RawMessage
	Enum                 []json.RawMessage
	AnyOf, OneOf, AllOf  []json.RawMessage
	Ref                  string `json:"$ref"`
	Description          string
	Default              json.RawMessage

	order []string // the names of the properties, as the server has them
}

// deepestSchema bounds how far references and alternatives are followed, which may go round in circles.
const deepestSchema = 8

// parseSchema reads a schema, and follows a reference to another part of root. What can't be read says
// nothing.
func parseSchema(root, raw json.RawMessage) schema {
	var s schema
	for range deepestSchema {
		s = schema{}
		if json.Unmarshal(raw, &s) != nil {
			return schema{}
		}
		if s.Ref == "" {
			break
		}
		raw = resolve(root, s.Ref)
	}
	var properties struct{ Properties json.RawMessage }
	_ = json.Unmarshal(raw, &properties) // has been done before
	s.order = memberNames(properties.Properties)
	return s
}

// resolve returns the part of root that a reference such as #/$defs/color names (RFC 6901), nil if there
// is none.
func resolve(root json.RawMessage, ref string) json.RawMessage {
	path, ok := strings.CutPrefix(ref, "#")
	if !ok {
		return nil
	}
	at := root
	for _, name := range strings.Split(path, "/")[1:] {
		var members map[string]json.RawMessage
		if json.Unmarshal(at, &members) != nil {
			return nil
		}
		at = members[strings.NewReplacer("~1", "/", "~0", "~").Replace(name)]
	}
	return at
}

// memberNames returns the names of the members of a JSON object, in their order.
func memberNames(object json.RawMessage) []string {
	decoder := json.NewDecoder(bytes.NewReader(object))
	if open, err := decoder.Token(); err != nil || open != json.Delim('{') {
		return nil
	}
	var names []string
	for decoder.More() {
		name, err := decoder.Token()
		var value json.RawMessage
		if err != nil || decoder.Decode(&value) != nil {
			break
		}
		if text, ok := name.(string); ok && !slices.Contains(names, text) {
			names = append(names, text)
		}
	}
	return names
}

// types returns the JSON types that a value may have, none if that is not known.
func (s schema) types(root json.RawMessage, depth int) []string {
	var all []string
	var one string
	if json.Unmarshal(s.Type, &one) == nil {
		all = []string{one}
	} else {
		_ = json.Unmarshal(s.Type, &all) // or there is no type
	}
	if len(all) > 0 || depth == deepestSchema {
		return all
	}
	for _, alternatives := range [][]json.RawMessage{s.AnyOf, s.OneOf, s.AllOf} {
		for _, raw := range alternatives {
			for _, t := range parseSchema(root, raw).types(root, depth+1) {
				if !slices.Contains(all, t) {
					all = append(all, t)
				}
			}
		}
	}
	return all
}

// typeText returns in words what a value may be.
func (s schema) typeText(root json.RawMessage) string {
	if len(s.Enum) > 0 {
		var values []string
		for _, v := range s.Enum {
			values = append(values, string(v))
		}
		return strings.Join(values, " | ")
	}
	types := s.types(root, 0)
	if len(types) == 0 {
		return "any"
	}
	if types[0] == "array" && s.Items != nil {
		if of := parseSchema(root, s.Items).types(root, 0); len(of) > 0 {
			types[0] = "array of " + strings.Join(of, " | ")
		}
	}
	return strings.Join(types, " | ")
}

// value turns what a person has written into a JSON value for a parameter. Text is text wherever that
// may be meant.
func (s schema) value(root json.RawMessage, written string) (json.RawMessage, error) {
	text, err := encodeJSON(written)
	if err != nil {
		return nil, err
	}
	literal := json.RawMessage(strings.TrimSpace(written))
	types := s.types(root, 0)
	is := func(t string) bool { return isOfType(literal, t) }
	switch {
	case len(s.Enum) > 0:
		for _, one := range s.Enum {
			if bytes.Equal(one, text) || bytes.Equal(one, literal) {
				return one, nil
			}
		}
	case len(types) == 0 || slices.Contains(types, "string"):
		return text, nil
	case json.Valid(literal) && slices.ContainsFunc(types, is):
		return literal, nil
	case slices.Contains(types, "array") || slices.Contains(types, "object"):
		return nil, fmt.Errorf("has to be %s, written as JSON, not %q", s.typeText(root), written)
	}
	return nil, fmt.Errorf("has to be %s, not %q", s.typeText(root), written)
}

// isOfType tells whether a JSON value has a type.
func isOfType(value json.RawMessage, t string) bool {
	switch c := value[0]; t {
	case "boolean":
		return c == 't' || c == 'f'
	case "null":
		return c == 'n'
	case "integer":
		return (c == '-' || '0' <= c && c <= '9') && !bytes.ContainsAny(value, ".eE")
	case "number":
		return c == '-' || '0' <= c && c <= '9'
	case "array":
		return c == '['
	case "object":
		return c == '{'
	}
	return false
}

// takesAny tells whether the schema of an object may have more members than it names.
func (s schema) takesAny() bool {
	return len(s.Properties) == 0 && string(s.AdditionalProperties) != "false" || len(s.PatternProperties) > 0 ||
		s.AdditionalProperties != nil && string(s.AdditionalProperties) != "false"
}

// toolArguments makes the arguments of a tool from words such as name=value, name:=JSON, or a whole
// JSON object. The error is for the person who wrote them.
func toolArguments(input json.RawMessage, words []string) (json.RawMessage, error) {
	s := parseSchema(input, input)
	arguments := make(map[string]json.RawMessage)
	for _, word := range words {
		given, err := s.argument(input, word)
		if err != nil {
			return nil, err
		}
		for name, value := range given {
			if _, twice := arguments[name]; twice {
				return nil, fmt.Errorf("%s is given twice", name)
			}
			arguments[name] = value
		}
	}
	var missing []string
	for _, name := range s.Required {
		if _, ok := arguments[name]; !ok {
			missing = append(missing, fmt.Sprintf("%s (%s)", name, parseSchema(input, s.Properties[name]).typeText(input)))
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("this is missing: %s", strings.Join(missing, ", "))
	}
	return encodeJSON(arguments)
}

// argument reads one word.
func (s schema) argument(root json.RawMessage, word string) (map[string]json.RawMessage, error) {
	if strings.HasPrefix(word, "{") {
		var object map[string]json.RawMessage
		if err := json.Unmarshal([]byte(word), &object); err != nil {
			return nil, errors.New("what begins with { has to be a JSON object")
		}
		return object, nil
	}
	name, text, ok := strings.Cut(word, "=")
	name, raw := strings.CutSuffix(name, ":")
	if !ok || name == "" {
		return nil, fmt.Errorf("%q has to look like NAME=VALUE, or NAME:=JSON", word)
	}
	property, known := s.Properties[name]
	switch {
	case raw && !json.Valid([]byte(text)):
		return nil, fmt.Errorf("%s: what stands behind := has to be JSON; text has quotes there", name)
	case !known && !s.takesAny():
		return nil, fmt.Errorf("there is no parameter %q; %s", name, s.parametersText())
	case raw:
		return map[string]json.RawMessage{name: json.RawMessage(text)}, nil
	}
	value, err := parseSchema(root, property).value(root, text)
	if err != nil {
		return nil, fmt.Errorf("%s %w", name, err)
	}
	return map[string]json.RawMessage{name: value}, nil
}

// parametersText says which parameters there are.
func (s schema) parametersText() string {
	if len(s.order) == 0 {
		return "there is none"
	}
	return "there are " + strings.Join(s.order, ", ")
}

// promptArguments makes the arguments of a prompt, which are all text.
func promptArguments(declared []promptArgument, words []string) (json.RawMessage, error) {
	arguments := make(map[string]string)
	var names []string
	for _, a := range declared {
		names = append(names, a.Name)
	}
	for _, word := range words {
		name, text, ok := strings.Cut(word, "=")
		switch _, twice := arguments[name]; {
		case !ok || name == "":
			return nil, fmt.Errorf("%q has to look like NAME=VALUE", word)
		case !slices.Contains(names, name):
			return nil, fmt.Errorf("there is no argument %q; there are: %s", name, strings.Join(names, ", "))
		case twice:
			return nil, fmt.Errorf("%s is given twice", name)
		}
		arguments[name] = text
	}
	for _, a := range declared {
		if _, ok := arguments[a.Name]; a.Required && !ok {
			return nil, fmt.Errorf("this is missing: %s", a.Name)
		}
	}
	return encodeJSON(arguments)
}

// encodeJSON encodes with < > & as they are.
func encodeJSON(v any) (json.RawMessage, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}
