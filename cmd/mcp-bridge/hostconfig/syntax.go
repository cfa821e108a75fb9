package hostconfig

import (
	"errors"
	"reflect"
	"slices"
	"strings"
)

// A syntax edits text in a notation for trees of tables. A path names a value by the keys that lead
// to it. Texts are without byte order mark.
type syntax interface {
	// decode returns the outermost table. Its error says where the text is broken.
	decode(text []byte) (map[string]any, error)
	// names returns the keys of the table at path in the order of the text. There are none if
	// it is missing.
	names(text []byte, path []string) []string
	// set gives the value at path, which may not exist yet, as the tables that lead to it.
	set(text []byte, path []string, value any) ([]byte, error)
	// remove removes the value at path, which exists.
	remove(text []byte, path []string) ([]byte, error)
	// excerpt returns the text of the value at path with its key, not indented.
	excerpt(text []byte, path []string) string
}

// errUnsafe is returned in place of an edit that did another thing than it should.
var errUnsafe = errors.New("it is written in a way that can't be changed safely")

// edited checks an edit: there has to be want at path, nil for nothing, and all else has to mean what
// it meant.
func edited(s syntax, before, after []byte, path []string, want any) error {
	old, err := s.decode(before)
	if err != nil {
		return err
	}
	now, err := s.decode(after)
	if err != nil {
		return errUnsafe
	}
	if !reflect.DeepEqual(at(now, path), want) {
		return errUnsafe
	}
	prune(old, path)
	prune(now, path)
	if !reflect.DeepEqual(old, now) {
		return errUnsafe
	}
	return nil
}

// prune removes what is at path, and the tables above that are empty then.
func prune(table map[string]any, path []string) {
	if below, ok := table[path[0]].(map[string]any); ok && len(path) > 1 {
		prune(below, path[1:])
		if len(below) > 0 {
			return
		}
	} else if len(path) > 1 && table[path[0]] != nil {
		return
	}
	delete(table, path[0])
}

// at returns the value at path, nil if there is none.
func at(table map[string]any, path []string) any {
	var value any = table
	for _, key := range path {
		below, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = below[key]
	}
	return value
}

// expand returns the paths that a path with "*" in it stands for.
func expand(s syntax, text []byte, path []string) [][]string {
	i := slices.Index(path, "*")
	if i < 0 {
		return [][]string{path}
	}
	var all [][]string
	for _, name := range s.names(text, path[:i]) {
		all = append(all, expand(s, text, slices.Concat(path[:i], []string{name}, path[i+1:]))...)
	}
	return all
}

// lineEnd returns how lines end in text.
func lineEnd(text []byte) string {
	if strings.Contains(string(text), "\r\n") {
		return "\r\n"
	}
	return "\n"
}
