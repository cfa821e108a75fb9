package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"mcp-bridge/auth"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// serversFileName is the file in the folder of logins that gives servers names, and settings of their own:
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
		return nil, nil // no folder, no file
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

// A namedServer is one server in the file.
type namedServer struct {
	file     *serversFile
	name     string
	url      string
	settings map[string]any
}

func (s *namedServer) errorAt(key []string, err error) error {
	what := "servers." + strings.Join(append([]string{s.name}, key...), ".")
	return s.file.errorAt(append([]string{"servers", s.name}, key...), fmt.Errorf("%s: %w", what, err))
}

// apply sets the flags that neither the command line nor the environment has set. Known are all flags of the
// relay: other commands pass over those that they have not.
func (s *namedServer) apply(o *options, flags, known *pflag.FlagSet) error {
	for _, key := range sorted(s.settings) {
		if f := known.Lookup(key); key != "url" && key != "headers" && (f == nil || f.Hidden || slices.Contains(withoutVariable, key)) {
			return s.errorAt([]string{key}, errors.New("there is no such setting; url, headers and the names of flags are"))
		}
	}
	if err := s.applyHeaders(o); err != nil {
		return err
	}
	var err error
	flags.VisitAll(func(f *pflag.Flag) {
		value, ok := s.settings[f.Name]
		if err != nil || !ok || f.Hidden || f.Name == "header" || f.Changed || o.fromVariable[f.Name] || o.settles(f.Name) {
			return
		}
		values, e := settingValues(value)
		for _, v := range values {
			if e == nil {
				e = f.Value.Set(s.file.resolve(f.Name, v))
			}
		}
		if e != nil {
			err = s.errorAt([]string{f.Name}, plainError(f, e))
		}
	})
	if err == nil && s.isSecret() && readableByOthers(s.file.path) {
		o.warnings = append(o.warnings, fmt.Sprintf("others on this machine can read the secrets in %s; 'chmod 600' ends that", s.file.path))
	}
	return err
}

// applyHeaders takes the headers: the table headers, and the lines of header. Flags and variables replace them one by
// one.
func (s *namedServer) applyHeaders(o *options) error {
	headers, ok := s.settings["headers"].(map[string]any)
	if !ok && s.settings["headers"] != nil {
		return s.errorAt([]string{"headers"}, errors.New(`has to be a table, as in headers = { NAME = "VALUE" }`))
	}
	for _, name := range sorted(headers) {
		value, ok := headers[name].(string)
		if !ok {
			return s.errorAt([]string{"headers", name}, errors.New("has to be a string"))
		}
		if err := addHeader(o.configHeader, name+":"+value); err != nil {
			return s.errorAt([]string{"headers", name}, err)
		}
	}
	if s.settings["header"] == nil {
		return nil
	}
	lines, err := settingValues(s.settings["header"])
	for _, line := range lines {
		if err == nil {
			err = addHeader(o.configHeader, line)
		}
	}
	if err != nil {
		return s.errorAt([]string{"header"}, err)
	}
	return nil
}

// settingValues returns a setting as the values that would stand on the command line.
func settingValues(value any) ([]string, error) {
	switch v := value.(type) {
	case string:
		return []string{v}, nil
	case bool:
		return []string{strconv.FormatBool(v)}, nil
	case int64:
		return []string{strconv.FormatInt(v, 10)}, nil
	case []any:
		var all []string
		for _, element := range v {
			values, err := settingValues(element)
			if err != nil {
				return nil, err
			}
			all = append(all, values...)
		}
		return all, nil
	}
	return nil, errors.New("has to be a string, a whole number, true or false, or a list of these")
}

// fileFlags are the flags that name a file.
var fileFlags = []string{"header-file", "ca-file", "tls-cert", "tls-key", "log-file", "client-secret-file", "client-key"}

// resolve returns the value of a flag in the file, in which names of files are relative to the file's folder: where a
// host starts us is nobody's guess.
func (f *serversFile) resolve(flag, value string) string {
	name, at := value, ""
	if rest, ok := strings.CutPrefix(value, "@"); ok && flag == "client-metadata" {
		name, at = rest, "@"
	} else if !slices.Contains(fileFlags, flag) {
		return value
	}
	if rest, ok := strings.CutPrefix(name, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			return at + filepath.Join(home, rest)
		}
	}
	if name != "" && !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(f.path), name)
	}
	return at + name
}

// isSecret tells whether there are secrets among the settings.
func (s *namedServer) isSecret() bool {
	if headers, ok := s.settings["headers"].(map[string]any); ok {
		for _, value := range headers {
			if text, _ := value.(string); !strings.Contains(text, "${") {
				return true
			}
		}
	}
	lines, _ := settingValues(s.settings["header"])
	proxy, _ := s.settings["proxy"].(string)
	return s.settings["client-secret"] != nil || strings.Contains(proxy, "@") ||
		slices.ContainsFunc(lines, func(line string) bool { return !strings.Contains(line, "${") })
}

// readableByOthers tells whether others than the user can read a file. On Windows, the folder of the user is closed
// to others anyway, and modes say nothing.
func readableByOthers(path string) bool {
	file, err := os.Stat(path)
	if err != nil || runtime.GOOS == "windows" {
		return false
	}
	dir, err := os.Stat(filepath.Dir(path))
	return err == nil && file.Mode().Perm()&0o044 != 0 && dir.Mode().Perm()&0o011 != 0
}

// lineOf returns the line, from 1, that a key is defined in: its own, or else that of the nearest table around it.
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

// isName tells whether an argument may be the name of a server: a URL has a colon in it, and what has a dot or a
// slash is one that lacks its scheme.
func isName(arg string) bool { return arg != "" && !strings.ContainsAny(arg, ":/. \t") }

// takeNamed looks up the server that the first argument names, and returns nil if it names none.
func takeNamed(cmd *cobra.Command, args []string) (*namedServer, error) {
	if len(args) == 0 || !isName(args[0]) {
		return nil, nil
	}
	file, err := readServersFile()
	if err != nil {
		return nil, err
	}
	if file == nil || file.servers[args[0]] == nil && len(cmd.SuggestionsFor(args[0])) > 0 {
		return nil, nil // a mistyped command, or who knows
	}
	return file.find(args[0])
}

// serverNames lets the shell complete the names of servers.
func serverNames(args []string) []cobra.Completion {
	file, err := readServersFile()
	if len(args) > 0 || err != nil || file == nil {
		return nil
	}
	var names []cobra.Completion
	for _, name := range file.names() {
		description := ""
		if s, err := file.find(name); err == nil {
			description = withoutSecrets(s.url)
		}
		names = append(names, cobra.CompletionWithDesc(name, description))
	}
	return names
}

// completeName is serverNames for a command that takes a server and nothing else.
func completeName(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return serverNames(args), cobra.ShellCompDirectiveNoFileComp
}
