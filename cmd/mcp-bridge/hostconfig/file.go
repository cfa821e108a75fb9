package hostconfig

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
)

// bom is the byte order mark that some editors on Windows begin a file with.
var bom = []byte("\ufeff")

// A File is a host's file. Its methods change it in memory; Save writes it.
type File struct {
	Path string
	Host *Host

	exists bool
	mark   bool   // begins with a byte order mark
	before []byte // what it holds, without the mark
	text   []byte // what it is to hold
}

// Open reads the host's file at path. A missing one is empty. It is an error if the text is broken:
// nobody could tell then what a change would do.
func (h *Host) Open(path string) (*File, error) {
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f := &File{Path: path, Host: h, exists: err == nil}
	f.before, f.mark = bytes.CutPrefix(text, bom)
	f.text = f.before
	if _, err := h.syntax.decode(f.text); err != nil {
		return nil, fmt.Errorf("%s is broken and left as it is: %w", path, err)
	}
	return f, nil
}

// Entries returns the servers in the file, in its order.
func (f *File) Entries() []Entry {
	s := f.Host.syntax
	table, err := s.decode(f.text)
	if err != nil {
		return nil // not after Open
	}
	var all []Entry
	for _, section := range f.Host.sections {
		for _, section := range expand(s, f.text, section) {
			for _, name := range s.names(f.text, section) {
				e := Entry{Name: name, Section: section}
				value := at(table, e.path())
				e.Server, e.URL = serverIn(value), urlIn(value)
				all = append(all, e)
			}
		}
	}
	return all
}

// Add adds an entry to the section for new ones. There must be none with this name.
func (f *File) Add(name string, s Server) (Entry, error) {
	e := Entry{Server: s, Name: name, Section: f.Host.sections[0]}
	return e, f.set(e.path(), f.Host.entry(s))
}

// Replace lets the entry e start s. Its settings that are no part of a Server stay as they are.
func (f *File) Replace(e Entry, s Server) error {
	if err := f.put(e, s); err != nil {
		return err
	}
	table, err := f.Host.syntax.decode(f.text)
	if err != nil {
		return err
	}
	// What the host wants beside, such as a type.
	for _, m := range f.Host.entry(s) {
		path, value := e.path(m.key), m.value
		if have := at(table, path); have != nil {
			names, ok := value.([]string)
			if !ok || m.key == "args" {
				continue
			}
			value = union(have, names)
			if len(value.([]string)) == len(have.([]any)) {
				continue
			}
		} else if m.key == "env" {
			continue
		}
		if err := f.set(path, value); err != nil {
			return err
		}
	}
	return nil
}

// union returns a decoded list of names, with more that it lacks.
func union(list any, more []string) []string {
	var all []string
	names, _ := list.([]any)
	for _, name := range names {
		text, _ := name.(string)
		all = append(all, text)
	}
	for _, name := range more {
		if !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}

// put writes what differs between the server of e and s.
func (f *File) put(e Entry, s Server) error {
	if e.Command != s.Command {
		if err := f.set(e.path("command"), s.Command); err != nil {
			return err
		}
	}
	if !slices.Equal(e.Args, s.Args) {
		if err := f.set(e.path("args"), slices.Concat([]string{}, s.Args)); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Env)) {
		if old, ok := e.Env[name]; ok && old == s.Env[name] {
			continue
		}
		if err := f.set(e.path("env", name), s.Env[name]); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(e.Env)) {
		if _, ok := s.Env[name]; !ok {
			if err := f.remove(e.path("env", name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// Remove removes an entry.
func (f *File) Remove(e Entry) error { return f.remove(e.path()) }

func (f *File) set(path []string, value any) error {
	s := f.Host.syntax
	alone, err := s.set(nil, []string{"in"}, object{{"it", value}})
	if err != nil {
		return err
	}
	want, err := s.decode(alone)
	if err != nil {
		return err
	}
	after, err := s.set(f.text, path, value)
	return f.change(after, path, at(want, []string{"in", "it"}), err)
}

func (f *File) remove(path []string) error {
	after, err := f.Host.syntax.remove(f.text, path)
	return f.change(after, path, nil, err)
}

// change takes a text over that has want at path, and differs in nothing else.
func (f *File) change(after []byte, path []string, want any, err error) error {
	if err == nil {
		err = edited(f.Host.syntax, f.text, after, path, want)
	}
	if err != nil {
		return fmt.Errorf("%s is left as it is: %w", f.Path, err)
	}
	f.text = after
	return nil
}

// Excerpt returns the entry as it stands in the file, or is going to, but with the arguments and the
// variables of shown, which has as many.
func (f *File) Excerpt(e Entry, shown Server) string {
	text := f.Host.syntax.excerpt(f.text, e.path())
	for i, arg := range e.Args {
		if !replaceQuoted(&text, arg, shown.Args[i]) {
			return f.rewritten(e, shown)
		}
	}
	for name, value := range e.Env {
		if !replaceQuoted(&text, value, shown.Env[name]) {
			return f.rewritten(e, shown)
		}
	}
	return text
}

// replaceQuoted replaces a string in text by another one, and tells whether that is done.
func replaceQuoted(text *string, old, now string) bool {
	if old == now {
		return true
	}
	before := *text
	for _, quoted := range []string{string(compactJSON(old)), tomlString(old), "'" + old + "'"} {
		*text = strings.ReplaceAll(*text, quoted, string(compactJSON(now)))
	}
	return *text != before && !strings.Contains(*text, old)
}

// rewritten is Excerpt for an entry whose strings are written in an unusual way.
func (f *File) rewritten(e Entry, shown Server) string {
	altered := *f
	if err := altered.put(e, shown); err != nil {
		return "…"
	}
	return f.Host.syntax.excerpt(altered.text, e.path())
}

// Changed tells whether there is something to save.
func (f *File) Changed() bool { return !bytes.Equal(f.before, f.text) }

// Sample returns the text that an otherwise empty file of the host has with this entry in it.
func (h *Host) Sample(name string, s Server) string {
	text, err := h.syntax.set(nil, slices.Concat(h.sections[0], []string{name}), h.entry(s))
	if err != nil {
		panic(err) // nothing is in the way
	}
	return strings.TrimLeft(string(text), "\n")
}
