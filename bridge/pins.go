package bridge

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
)

// Pins keeps the pinned tools of the server of a [Config] from one run to the next.
type Pins interface {
	// Load returns what is pinned, nil if that is nothing yet. It is called once, before the relay
	// starts.
	Load() (PinnedTools, error)
	// Save replaces what is pinned. It is called by one goroutine at a time.
	Save(PinnedTools) error
}

// PinnedTools has the definitions of tools by their names.
type PinnedTools map[string]PinnedTool

// A PinnedTool has a hash of each member of a tool's definition, such as its description: the
// SHA-256, in hex, of the member as JSON without white space, with its keys sorted. What only hosts
// of one era get (spec 5.81, 6C) is left out, since all hosts share what is pinned.
type PinnedTool map[string]string

// PinTool returns the pinned form of a tool's definition, a JSON object. What is none has no members.
func PinTool(definition []byte) PinnedTool {
	var members map[string]json.RawMessage
	_ = json.Unmarshal(definition, &members)
	delete(members, "execution")
	if readObject(members["outputSchema"]).text("type") != "object" {
		delete(members, "outputSchema")
	}
	pinned := make(PinnedTool, len(members))
	for name, value := range members {
		sum := sha256.Sum256(canonicalJSON(value))
		pinned[name] = hex.EncodeToString(sum[:])
	}
	return pinned
}

// Changed returns the names of the members that differ from those of now, sorted.
func (t PinnedTool) Changed(now PinnedTool) []string {
	names := make(PinnedTool)
	maps.Copy(names, t)
	maps.Copy(names, now)
	maps.DeleteFunc(names, func(name, _ string) bool {
		before, was := t[name]
		after, is := now[name]
		return was == is && before == after
	})
	return slices.Sorted(maps.Keys(names))
}

// canonicalJSON returns what all spellings of a JSON value have in common, but for those of
// numbers, which stay as they are written.
func canonicalJSON(text []byte) []byte {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var v any
	if decoder.Decode(&v) != nil {
		return text
	}
	out, err := json.Marshal(v)
	if err != nil {
		return text
	}
	return out
}
