package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"mcp-bridge/auth"

	"github.com/spf13/cobra"
)

// loginCommand returns the command that signs in without a host around it.
func loginCommand() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "login URL",
		Short: "Sign in at a server, before a host needs it",
		Long: `Sign in at the server at URL, so that a host need not wait for it. The flags are those of
mcp-bridge itself, and have to be the same there.

Where the browser runs on another machine, it ends at an address on localhost that
does not answer. Copy that address from the browser, and paste it here.`,
		Args:                  cobra.ArbitraryArgs,
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.complete(cmd, args); err != nil {
				return err
			}
			return o.withAuth(cmd, func(ctx context.Context, t *auth.Transport) error {
				go pasteCallback(ctx, cmd.InOrStdin(), cmd.ErrOrStderr()) // ends with the input
				if err := t.Login(ctx); err != nil {
					return err
				}
				fmt.Fprintln(cmd.OutOrStdout(), "signed in at", withoutSecrets(o.url))
				return nil
			})
		},
	}
	o.register(cmd.Flags())
	completeFlags(cmd)
	return cmd
}

// pasteCallback hands the addresses that a person pastes to the callback they were meant for: it
// listens on this machine, whatever machine the browser runs on.
func pasteCallback(ctx context.Context, in io.Reader, stderr io.Writer) {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		u, err := url.Parse(strings.TrimSpace(lines.Text()))
		if err != nil || u.Scheme != "http" || !isLoopback(u.Hostname()) || !u.Query().Has("state") {
			if strings.TrimSpace(lines.Text()) != "" {
				say(stderr, "that is not the address that the browser ended at; it begins with http://localhost")
			}
			continue
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
		if err != nil {
			continue
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			say(stderr, "nobody waits for that address any more")
			continue
		}
		resp.Body.Close()
	}
}

// logoutCommand returns the command that ends a login.
func logoutCommand() *cobra.Command {
	var o options
	var all bool
	cmd := &cobra.Command{
		Use:   "logout URL | --all",
		Short: "Forget a login, and revoke it where the server offers that",
		Long: `Forget the login at the server at URL: token and registration. Where the authorization
server offers that, the token is revoked too. The flags are those of mcp-bridge itself.`,
		Args:                  cobra.ArbitraryArgs,
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if all {
				if len(args) > 0 {
					return usageError{errors.New("logout takes a URL or --all, not both")}
				}
				return logoutAll(cmd, &o)
			}
			if err := o.complete(cmd, args); err != nil {
				return err
			}
			return o.withAuth(cmd, func(ctx context.Context, t *auth.Transport) error {
				if err := t.Logout(ctx); err != nil {
					return fmt.Errorf("the login is forgotten here, but %w", err)
				}
				fmt.Fprintln(cmd.OutOrStdout(), "signed out at", withoutSecrets(o.url))
				return nil
			})
		},
	}
	o.register(cmd.Flags())
	cmd.Flags().BoolVar(&all, "all", false, "forget every login")
	completeFlags(cmd)
	return cmd
}

// logoutAll ends every login that is kept.
func logoutAll(cmd *cobra.Command, o *options) error {
	if err := o.fromEnvironment(cmd.Flags(), os.LookupEnv); err != nil {
		return err
	}
	dir, err := auth.DefaultDir()
	if err != nil {
		return err
	}
	records, err := auth.List(dir)
	if err != nil {
		return err
	}
	log, flush := newLogger(o, cmd.ErrOrStderr())
	defer flush()
	client := newHTTPClient(o, log)
	var failures []error
	for _, r := range records {
		o.url = r.Server
		t, err := auth.New(auth.Config{ServerURL: r.Server, AllowHTTP: o.allowHTTP, ClientSecret: o.auth.clientSecret, ClientKey: o.auth.clientKey,
			Base: client.Transport, Log: log, Storage: auth.StorageOf(r)})
		if err != nil {
			failures = append(failures, err)
			continue
		}
		if err := t.Logout(cmd.Context()); err != nil {
			failures = append(failures, fmt.Errorf("the login at %s is forgotten here, but %w", r.Server, err))
			continue
		}
		fmt.Fprintln(cmd.OutOrStdout(), "signed out at", r.Server)
	}
	return errors.Join(failures...)
}

// statusCommand returns the command that lists the logins.
func statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "List the logins that are kept",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := auth.DefaultDir()
			if err != nil {
				return err
			}
			records, err := auth.List(dir)
			if err != nil {
				return err
			}
			if len(records) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "no logins in", dir)
				return nil
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			for i, r := range records {
				if i > 0 {
					fmt.Fprintln(w)
				}
				showRecord(w, r)
			}
			return w.Flush()
		},
	}
}

// showRecord prints what a person may know of a login: everything but what opens doors.
func showRecord(w io.Writer, r *auth.Record) {
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%s\t%s\n", name, oneLine(value))
		}
	}
	row("server", r.Server)
	row("profile", r.Profile)
	row("state", loginState(r))
	row("issuer", r.Issuer)
	if r.Client != nil {
		kind := "configured"
		if r.Client.Registered {
			kind = "registered"
		}
		row("client", r.Client.ID+" ("+kind+", "+r.Client.AuthMethod+")")
	}
	row("scopes", r.Scope)
	row("resource", r.Resource)
	row("kept in", r.File)
}

// loginState says in words what a login is good for.
func loginState(r *auth.Record) string {
	if r.Token == nil {
		return "not signed in"
	}
	renewable := ", can be renewed"
	if r.Token.Refresh == "" {
		renewable = ", cannot be renewed"
	}
	switch left := time.Until(r.Token.Expiry).Round(time.Minute); {
	case r.Token.Expiry.IsZero():
		return "signed in, end not known" + renewable
	case left <= 0:
		return "expired" + renewable
	default:
		return fmt.Sprintf("signed in, valid until %s%s", r.Token.Expiry.Local().Format("2006-01-02 15:04"), renewable)
	}
}

// complete finishes the options of a command that takes a URL.
func (o *options) complete(cmd *cobra.Command, args []string) error {
	if err := o.fromEnvironment(cmd.Flags(), os.LookupEnv); err != nil {
		return err
	}
	return o.setURL(cmd, args)
}

// withAuth does something with the login at o.url.
func (o *options) withAuth(cmd *cobra.Command, do func(context.Context, *auth.Transport) error) error {
	log, flush := newLogger(o, cmd.ErrOrStderr())
	defer flush()
	t, err := o.newAuthTransport(newHTTPClient(o, log).Transport, log, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	if t == nil {
		return usageError{errors.New("with an Authorization header of your own there is no login")}
	}
	defer t.Close()
	return do(cmd.Context(), t)
}
