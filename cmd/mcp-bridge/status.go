package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"time"

	"mcp-bridge/auth"

	"github.com/spf13/cobra"
)

// statusCommand returns the command that lists the logins.
func statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "List the logins",
		Long: `List the logins that are kept: at which server, as whom, for what and until when.

No token and no secret is shown.`,
		ValidArgsFunction: cobra.NoFileCompletions,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return errors.New("status takes no argument: it lists all logins")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := auth.DefaultDir()
			if err != nil {
				return err
			}
			records, err := auth.List(dir)
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if len(records) == 0 {
				fmt.Fprintf(out, "there are no logins in %s\n", dir)
			}
			for i, r := range records {
				if i > 0 {
					fmt.Fprintln(out)
				}
				showRecord(out, r)
			}
			return nil
		},
	}
}

// showRecord prints what a person may know of a login: everything but what opens doors.
func showRecord(out io.Writer, r *auth.Record) {
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(out, "%-10s%s\n", name, oneLine(value))
		}
	}
	row("server", r.Server)
	row("profile", r.Profile)
	file := r.File
	if r.Sealed {
		file += " (sealed with a key in the keychain)"
		opened, err := auth.StorageOf(r).Load()
		if err != nil || opened == nil {
			row("login", fmt.Sprintf("not known: %v", cmp.Or(err, errors.New("it is gone"))))
			row("file", file)
			return
		}
		r = opened
	}
	row("login", loginState(r.Token, time.Now()))
	row("issuer", r.Issuer)
	if c := r.Client; c != nil {
		kind := "configured"
		if c.Registered {
			kind = "registered by mcp-bridge"
		}
		row("client", fmt.Sprintf("%s (%s, %s)", c.ID, kind, c.AuthMethod))
	}
	row("scopes", r.Scope)
	row("resource", r.Resource)
	row("file", file)
}

// loginState says in words what a token is good for.
func loginState(t *auth.Token, now time.Time) string {
	if t == nil {
		return "not signed in"
	}
	end := t.Expiry.Local().Format("2006-01-02 15:04")
	switch renewed := t.Refresh != ""; {
	case t.Expiry.IsZero():
		return "signed in, for as long as the server accepts it"
	case now.Before(t.Expiry) && renewed:
		return "signed in; the token is renewed after " + end
	case now.Before(t.Expiry):
		return "signed in until " + end
	case renewed:
		return "signed in; the token is renewed when it is needed"
	default:
		return "ended at " + end
	}
}
