package main

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net/url"
	"runtime/debug"
	"strings"

	"mcp-bridge/auth"
	"mcp-bridge/bridge"

	"github.com/spf13/cobra"
)

// What mcp-bridge says to a person follows these rules:
//
//   - Standard output belongs to the protocol. Only --help, --version, the completion scripts
//     and the demo print there, since no protocol runs then.
//   - All else goes to standard error, one line each, beginning with "mcp-bridge: ".
//   - No capital at the beginning, no full stop at the end.
//   - An error says what to do about it, where we know.
//   - No value of a header, no password, no argument that might be one.

//go:embed usage.txt
var usage string

// version is the release, set at link time: -ldflags "-X main.version=v1.2.3".
var version string

// unknownVersion is what the Go command calls a module that is built where it is developed.
const unknownVersion = "(devel)"

// versionText returns the version of the program: that of the release, or the module's.
func versionText() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return unknownVersion
}

// sayHelp prints the help of cmd on standard output.
func sayHelp(cmd *cobra.Command, _ []string) {
	out := cmd.OutOrStdout()
	if !cmd.HasParent() {
		fmt.Fprint(out, usage)
		return
	}
	about := cmd.Long
	if about == "" {
		about = cmd.Short
	}
	fmt.Fprintf(out, "%s\n\n%s", strings.TrimSpace(about), cmd.UsageString())
}

// A usageError is wrong usage: a flag, an argument, a variable, or a file that one of them names.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// A loggedError is a failure that stands in the log already.
type loggedError struct{ error }

func (e loggedError) Unwrap() error { return e.error }

func sayUsageError(stderr io.Writer, err error) {
	fmt.Fprintf(stderr, "mcp-bridge: %s (see 'mcp-bridge --help')\n", oneLine(err.Error()))
}

func sayError(stderr io.Writer, err error) {
	fmt.Fprintf(stderr, "mcp-bridge: error: %s\n", oneLine(err.Error()))
}

// explain returns what the log says of the error that ended the relay.
func explain(err error) string {
	if errors.Is(err, bridge.ErrSessionChanged) {
		return err.Error() + "; start it anew in your MCP host"
	}
	return err.Error()
}

// oneLine returns s without control characters, which could feign another line.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

// say prints one line.
func say(stderr io.Writer, text string) {
	fmt.Fprintf(stderr, "mcp-bridge: %s\n", oneLine(text))
}

// sayEvent tells what happens while a token is being obtained.
func sayEvent(stderr io.Writer, server string, e auth.Event) {
	server = withoutSecrets(server)
	switch e.Kind {
	case auth.SignInStarted:
		say(stderr, "sign in to "+server+" in the browser; if it did not open, go to "+e.URL)
	case auth.DeviceStarted:
		say(stderr, "sign in to "+server+" on any device: go to "+e.URL+" and enter the code "+e.Code)
	case auth.SignInElsewhere:
		if e.URL == "" {
			say(stderr, "waiting for another mcp-bridge, which is getting a token for "+server)
		} else {
			say(stderr, "another mcp-bridge waits for the sign-in to "+server+"; finish it at "+e.URL)
		}
	case auth.SignInDone:
		say(stderr, "signed in to "+server)
	case auth.IssuerChanged:
		say(stderr, server+" is now in the care of the authorization server "+e.URL+"; the old login does not count there")
	}
}

// withoutSecrets returns a URL without user and query.
func withoutSecrets(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return "the server"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
