package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// A relayLine is a command line of the relay, with its environment, as a host's file holds it.
type relayLine struct {
	url   string
	name  string      // by which config.toml knows the server, "" if it was not called by that
	flags []givenFlag // in the order in which they were given
	env   map[string]string
	unset []string // variables that files refer to, and that are not set
}

// A givenFlag is a flag with its value.
type givenFlag struct {
	name, value string
	isBool      bool
}

// parseRelayLine checks arguments and environment as the relay would. A flag of mcp-remote that
// stands for one of ours is put down as that. A variable that is not set here is no error: the host
// has an environment of its own.
func parseRelayLine(args []string, env map[string]string) (*relayLine, error) {
	var o options
	cmd := &cobra.Command{Use: "mcp-bridge URL"}
	fs := cmd.Flags()
	o.register(fs)
	line := &relayLine{env: maps.Clone(env)}
	given := true
	fs.VisitAll(func(f *pflag.Flag) { f.Value = &recordedValue{f.Value, f, line, &given} })
	if err := fs.Parse(mcpRemoteArgs(args)); err != nil {
		return nil, flagError(cmd, err)
	}
	given = false
	err := o.fromEnvironment(fs, func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	})
	if err := line.tolerate(err); err != nil {
		return nil, err
	}
	if err := o.finish(cmd, fs.Args()); err != nil {
		return nil, err
	}
	line.url, line.name = o.url, o.name
	if len(fs.Args()) > 1 && !fs.Changed("callback-port") { // mcp-remote has it there
		line.flags = append(line.flags, givenFlag{"callback-port", fs.Arg(1), false})
	}
	return line, nil
}

// tolerate returns err, unless it is about a variable that is not set.
func (l *relayLine) tolerate(err error) error {
	if unset, ok := errors.AsType[unsetError](err); ok {
		l.unset = append(l.unset, string(unset))
		return nil
	}
	return err
}

// A recordedValue is the value of a flag that puts down what it is set to.
type recordedValue struct {
	pflag.Value
	flag  *pflag.Flag
	line  *relayLine
	given *bool // whether it is the command line that sets it
}

func (v *recordedValue) Set(s string) error {
	before := len(v.line.flags)
	var err error
	if v.flag.Name == "log-file" { // checking it must not make it
		_, err = os.Stat(filepath.Dir(s))
	} else {
		err = v.line.tolerate(v.Value.Set(s))
	}
	if err != nil || !*v.given {
		return err
	}
	if v.flag.Hidden && len(v.line.flags) > before {
		return nil // it has set one of ours
	}
	v.line.flags = append(v.line.flags, givenFlag{v.flag.Name, s, v.flag.NoOptDefVal != ""})
	return nil
}

// args returns the arguments that give the relay the same URL and flags.
func (l *relayLine) args() []string {
	args := []string{cmp.Or(l.name, l.url)}
	for _, f := range l.flags {
		switch {
		case f.isBool && f.value == "true":
			args = append(args, "--"+f.name)
		case f.isBool:
			args = append(args, "--"+f.name+"="+f.value)
		default:
			args = append(args, "--"+f.name, f.value)
		}
	}
	return args
}

// jsonFlags are the flags whose value names a file with an @ in front, or is JSON itself.
var jsonFlags = []string{"client-metadata", "static-oauth-client-metadata", "static-oauth-client-info"}

// makeAbsolute writes names of files so that they are good in whatever folder the host is.
func (l *relayLine) makeAbsolute() error {
	for i, f := range l.flags {
		prefix := ""
		if slices.Contains(jsonFlags, f.name) && strings.HasPrefix(f.value, "@") {
			prefix = "@"
		} else if !slices.Contains(fileFlags, f.name) {
			continue
		}
		abs, err := filepath.Abs(strings.TrimPrefix(f.value, prefix))
		if err != nil {
			return fmt.Errorf("--%s: %w", f.name, err)
		}
		l.flags[i].value = prefix + abs
	}
	return nil
}

// needs returns the variables that are referred to and are not in the environment of the line.
func (l *relayLine) needs() []string {
	names := slices.Clone(l.unset)
	for _, f := range l.flags {
		if f.name == "header" || f.name == "static-oauth-client-info" {
			names = append(names, variablesIn(f.value)...)
		}
	}
	names = append(names, variablesIn(l.env["MCP_BRIDGE_HEADER"])...)
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(name string) bool {
		_, ok := l.env[name]
		return ok
	})
}

// variablesIn returns the names that s has in references like ${NAME}.
func variablesIn(s string) []string {
	var names []string
	for {
		_, rest, ok := strings.Cut(s, "${")
		name, after, closed := strings.Cut(rest, "}")
		if !ok || !closed {
			return names
		}
		if name != "" {
			names = append(names, name)
		}
		s = after
	}
}
