package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

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

// apply sets the flags that neither the command line nor the environment has set. Known are all
// flags of the relay: other commands pass over those that they have not.
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

// applyHeaders takes the headers: the table headers, and the lines of header. Flags and variables
// replace them one by one.
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
var fileFlags = []string{"header-file", "ca-file", "tls-cert", "tls-key", "log-file", "client-secret-file", "client-key",
	"client-assertion-file", "idp-id-token-file", "idp-client-secret-file"}

// resolve returns the value of a flag in the file, in which names of files are relative to the
// file's folder: where a host starts us is nobody's guess.
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

// readableByOthers tells whether others than the user can read a file. On Windows, the folder of
// the user is closed to others anyway, and modes say nothing.
func readableByOthers(path string) bool {
	file, err := os.Stat(path)
	if err != nil || runtime.GOOS == "windows" {
		return false
	}
	dir, err := os.Stat(filepath.Dir(path))
	return err == nil && file.Mode().Perm()&0o044 != 0 && dir.Mode().Perm()&0o011 != 0
}

// isName tells whether an argument may be the name of a server: a URL has a colon in it, and what
// has a dot or a slash is one that lacks its scheme.
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
