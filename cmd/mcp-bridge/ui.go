package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strings"
	"unicode"

	"mcp-bridge/auth"
	"mcp-bridge/bridge"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// What mcp-bridge says to a person follows these rules:
//
//   - Standard output belongs to the protocol. Only --help, --version and the commands beside the
//     relay print there, since no protocol runs then.
//   - All else goes to standard error, one line each, beginning with "mcp-bridge: ".
//   - No capital at the beginning, no full stop at the end.
//   - An error says what to do about it, where we know.
//   - No value of a header, no password, no argument that might be one.

//go:embed usage.txt
var usage string

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

// shareUsage says in the help of a command that its flags are those of the root command, beside its own,
// instead of listing them all.
func shareUsage(cmd *cobra.Command) {
	cmd.SetUsageFunc(func(cmd *cobra.Command) error {
		out := cmd.OutOrStderr()
		fmt.Fprintf(out, "Usage:\n  %s\n\nFlags:\n", cmd.UseLine())
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if cmd.Root().Flags().Lookup(f.Name) == nil {
				fmt.Fprintf(out, "  --%-6s%s\n", f.Name, f.Usage)
			}
		})
		fmt.Fprint(out, "  and those of mcp-bridge itself, as in the host's configuration; see 'mcp-bridge --help'\n")
		return nil
	})
}

// A usageError is wrong usage: a flag, an argument, a variable, or a file that one of them names.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// A loggedError is a failure that stands in the log already.
type loggedError struct{ error }

func (e loggedError) Unwrap() error { return e.error }

// sayUsageError says where the help of the command is, which is "mcp-bridge" or one like "mcp-bridge install".
func sayUsageError(stderr io.Writer, command string, err error) {
	fmt.Fprintf(stderr, "mcp-bridge: %s (see '%s --help')\n", oneLine(err.Error()), command)
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
		if isControl(r) {
			return ' '
		}
		return r
	}, s)
}

// isControl tells whether a character controls the terminal that it is shown on, or puts what follows it
// in another order.
func isControl(c rune) bool {
	return unicode.IsControl(c) || '\u202a' <= c && c <= '\u202e' || '\u2066' <= c && c <= '\u2069'
}

// tell says what a person has to know now, whatever --log-level is.
func tell(log *slog.Logger, text string) { log.Log(context.Background(), notice, text) }

// sayEvent tells what happens while a token is being obtained.
func sayEvent(log *slog.Logger, server string, e auth.Event) {
	server = withoutSecrets(server)
	switch e.Kind {
	case auth.SignInStarted:
		tell(log, "sign in to "+server+" in the browser; if it does not open, go to "+e.URL)
	case auth.DeviceStarted:
		tell(log, "sign in to "+server+" on any device: go to "+e.URL+" and enter the code "+e.Code)
	case auth.SignInElsewhere:
		if e.URL == "" {
			tell(log, "waiting for another mcp-bridge, which is getting a token for "+server)
		} else {
			tell(log, "another mcp-bridge waits for you to sign in to "+server+"; go on at "+e.URL)
		}
	case auth.SignInDone:
		tell(log, "signed in to "+server)
	case auth.IssuerChanged:
		tell(log, server+" has another authorization server than before, "+e.URL+", so a new sign-in is needed")
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
