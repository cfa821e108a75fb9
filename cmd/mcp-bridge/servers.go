package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mcp-bridge/auth"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// serversFileName is the file in the folder of logins that gives servers names, and settings of
// their own:
//
//	[servers.github]
//	url = "https://api.githubcopilot.com/mcp/"
//	headers = { X-Team = "core" }
//	scope = ["repo", "read:user"] # any flag, by its name
//
// It is read when a name is used, and not before.
const serversFileName = "config.toml"

// A serversFile is that file.
type serversFile struct {
	path    string
	text    []byte
	servers map[string]any // the tables below servers, by their names
}

// readServersFile returns nil if there is no such file.
func readServersFile() (*serversFile, error) {
	dir, err := auth.DefaultDir()
	if err != nil {
		return nil, err
	}
	f := &serversFile{path: filepath.Join(dir, serversFileName)}
	f.text, err = os.ReadFile(f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	}
	f.text = []byte(strings.TrimPrefix(string(f.text), "\ufeff"))
	var content map[string]any
	if err := toml.Unmarshal(f.text, &content); err != nil {
		if wrong, ok := errors.AsType[*toml.DecodeError](err); ok {
			row, _ := wrong.Position()
			return nil, fmt.Errorf("%s line %d: %s", f.path, row, strings.TrimPrefix(wrong.Error(), "toml: "))
		}
		return nil, fmt.Errorf("%s: %w", f.path, err)
	}
	for _, key := range sorted(content) {
		if key != "servers" {
			return nil, f.errorAt([]string{key}, fmt.Errorf("unknown key %s; settings belong to a server, below [servers.NAME]", key))
		}
	}
	servers, ok := content["servers"].(map[string]any)
	if !ok && content["servers"] != nil {
		return nil, f.errorAt([]string{"servers"}, errors.New("servers has to be a table, as in [servers.NAME]"))
	}
	for _, name := range sorted(servers) {
		if !isName(name) {
			return nil, f.errorAt([]string{"servers", name}, fmt.Errorf("%q can't be the name of a server: it has a space or one of : / . in it, as URLs and hosts have", name))
		}
	}
	f.servers = servers
	return f, nil
}

// names returns the names of the servers, in order.
func (f *serversFile) names() []string { return sorted(f.servers) }

// find returns the settings of a server.
func (f *serversFile) find(name string) (*namedServer, error) {
	value, ok := f.servers[name]
	if !ok {
		known := "it has none"
		if len(f.servers) > 0 {
			known = "it has " + strings.Join(f.names(), ", ")
		}
		return nil, fmt.Errorf("there is no server %q in %s; %s", name, f.path, known)
	}
	s := &namedServer{file: f, name: name}
	if s.settings, ok = value.(map[string]any); !ok {
		return nil, s.errorAt(nil, errors.New("has to be a table, as in [servers."+name+"]"))
	}
	if s.url, ok = s.settings["url"].(string); !ok {
		return nil, s.errorAt(nil, errors.New(`needs the server's URL, as in url = "https://example.com/mcp"`))
	}
	return s, nil
}

// errorAt returns an error with the line that a key is in.
func (f *serversFile) errorAt(key []string, err error) error {
	return fmt.Errorf("%s line %d: %w", f.path, lineOf(f.text, key), err)
}

// lineOf returns the line, from 1, that a key is defined in: its own, or else that of the nearest
// table around it.
func lineOf(text []byte, key []string) int {
	line, depth := 1, 0
	var p unstable.Parser
	p.Reset(text)
	var table []string
	for p.NextExpression() {
		e := p.Expression()
		var path []string
		var first *unstable.Node
		for it := e.Key(); it.Next(); {
			if first == nil {
				first = it.Node()
			}
			path = append(path, string(it.Node().Data))
		}
		if e.Kind == unstable.Table || e.Kind == unstable.ArrayTable {
			table = path
		} else {
			path = slices.Concat(table, path)
		}
		n := 0
		for n < len(key) && n < len(path) && key[n] == path[n] {
			n++
		}
		// Longer paths are of other keys in the table.
		if n > depth && (n == len(path) || n == len(key)) {
			depth, line = n, p.Shape(first.Raw).Start.Line
		}
	}
	return line
}

func sorted(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }
