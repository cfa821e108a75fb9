package bridge

import (
	"bytes"
	"encoding/json"
	"slices"
)

// An object is a JSON object as its members, in order, with raw values: what is not looked at keeps
// its bytes. Only what is translated between eras is ever taken apart this way.
type object []member

type member struct {
	key   string
	value []byte // raw JSON
}

// readObject returns the object in raw, nil if it is none. Of two members with one name both stay.
func readObject(raw []byte) object {
	s := scanner{b: raw}
	if s.space() != '{' {
		return nil
	}
	o := object{}
	if !s.object(func(key []byte, start, end int) {
		o = append(o, member{string(plain(key)), raw[start:end:end]})
	}) {
		return nil
	}
	return o
}

// get returns the value of a member, nil if there is none. The last one counts, as in
// encoding/json.
func (o object) get(key string) []byte {
	for _, m := range slices.Backward(o) {
		if m.key == key {
			return m.value
		}
	}
	return nil
}

// child returns a member that is an object, nil if there is none.
func (o object) child(key string) object { return readObject(o.get(key)) }

// text returns a member that is a string, "" if there is none.
func (o object) text(key string) string {
	value := o.get(key)
	if len(value) == 0 || value[0] != '"' {
		return ""
	}
	return string(plain(value))
}

// has tells whether a member is there and not null.
func (o object) has(key string) bool {
	value := o.get(key)
	return value != nil && string(value) != "null"
}

// with returns the object with a member set: in its place, or at the end.
func (o object) with(key string, value []byte) object {
	out := slices.Clone(o)
	for i := range slices.Backward(out) { // the one that get returns
		if out[i].key == key {
			out[i].value = value
			return out
		}
	}
	return append(out, member{key, value})
}

// without returns the object without some members.
func (o object) without(keys ...string) object {
	return slices.DeleteFunc(slices.Clone(o), func(m member) bool { return slices.Contains(keys, m.key) })
}

// raw returns the object as JSON.
func (o object) raw() []byte {
	var out bytes.Buffer
	out.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			out.WriteByte(',')
		}
		out.Write(quote(m.key))
		out.WriteByte(':')
		out.Write(orNull(m.value))
	}
	out.WriteByte('}')
	return out.Bytes()
}

// elements returns the elements of a JSON array, nil if raw is none.
func elements(raw []byte) [][]byte {
	s := scanner{b: raw}
	if s.space() != '[' {
		return nil
	}
	list := [][]byte{}
	if !s.array(func(start, end int) { list = append(list, raw[start:end:end]) }) {
		return nil
	}
	return list
}

// array returns a JSON array.
func array(elements [][]byte) []byte {
	for i := range elements {
		elements[i] = orNull(elements[i])
	}
	return slices.Concat([]byte("["), bytes.Join(elements, []byte(",")), []byte("]"))
}

func orNull(raw []byte) []byte {
	if len(raw) == 0 {
		return []byte("null")
	}
	return raw
}

// quote returns text as a JSON string.
func quote(text string) []byte {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(text) // a string can't fail to encode
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

func rawRequest(id []byte, method string, params []byte) []byte {
	return slices.Concat([]byte(`{"jsonrpc":"2.0","id":`), id, []byte(`,"method":`), quote(method), []byte(`,"params":`), params, []byte("}"))
}

func rawNotification(method string, params []byte) []byte {
	return slices.Concat([]byte(`{"jsonrpc":"2.0","method":`), quote(method), []byte(`,"params":`), params, []byte("}"))
}

func rawResult(id, result []byte) []byte {
	return slices.Concat([]byte(`{"jsonrpc":"2.0","id":`), id, []byte(`,"result":`), result, []byte("}"))
}

func rawError(id, object []byte) []byte {
	return slices.Concat([]byte(`{"jsonrpc":"2.0","id":`), id, []byte(`,"error":`), object, []byte("}"))
}

// built parses a message that was built here of parts that are JSON. One that is nested too deep may be
// none as a whole: it then goes out as it is, for the other side to refuse.
func built(raw []byte) *message {
	m, _ := parse(raw)
	return m
}
