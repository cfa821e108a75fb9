package main

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"mcp-bridge/auth"

	"github.com/spf13/cobra"
)

// logoutCommand returns the command that ends a login.
func logoutCommand() *cobra.Command {
	var o options
	var all bool
	cmd := &cobra.Command{
		Use:   "logout URL | --all",
		Short: "Forget a login, and revoke it where possible",
		Long: `Forget the login at the server at URL: its tokens and the registration as a client. Where the
authorization server offers that, the tokens are revoked too.`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: completeServer,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !all {
				if err := o.complete(cmd, args); err != nil {
					return err
				}
				return logout(cmd, &o)
			}
			if len(args) > 0 {
				return usageError{errors.New("logout takes a URL or --all, not both")}
			}
			if err := o.fromEnvironment(cmd.Flags(), os.LookupEnv); err != nil {
				return err
			}
			return logoutAll(cmd, &o)
		},
	}
	o.register(cmd.Flags())
	cmd.Flags().BoolVar(&all, "all", false, "forget every login")
	completeFlags(cmd)
	shareUsage(cmd)
	return cmd
}

// logout ends the login at o.url.
func logout(cmd *cobra.Command, o *options) error {
	dir, err := auth.DefaultDir()
	if err != nil {
		return err
	}
	log, flush := newLogger(o, cmd.ErrOrStderr())
	defer flush()
	cfg := o.authConfig(newHTTPClient(o, log).Transport, log)
	cfg.Storage = &auth.FileStorage{Dir: dir, Identity: cfg.Identity(), Log: log}
	rec, err := cfg.Storage.Load()
	if _, ok := errors.AsType[*auth.SealedError](err); ok {
		return o.endLogin(cmd, cfg, &auth.Record{Server: withoutSecrets(o.url)})
	}
	if err != nil {
		return err
	}
	if rec != nil {
		return o.endLogin(cmd, cfg, rec)
	}
	records, err := auth.List(dir)
	if err != nil {
		return err
	}
	server, others := withoutSecrets(o.url), 0
	for _, r := range records {
		if r.Server == server {
			others++
		}
	}
	if others > 0 {
		return fmt.Errorf("there is no login at %s with these flags, but %d with others, which 'mcp-bridge status' lists", server, others)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "there is no login at %s\n", server)
	return nil
}

// logoutAll ends every login that is kept.
func logoutAll(cmd *cobra.Command, o *options) error {
	dir, err := auth.DefaultDir()
	if err != nil {
		return err
	}
	records, err := auth.List(dir)
	if err != nil {
		return err
	}
	if len(records) == 0 {
		fmt.Fprintf(cmd.OutOrStdout(), "there are no logins in %s\n", dir)
		return nil
	}
	log, flush := newLogger(o, cmd.ErrOrStderr())
	defer flush()
	base := newHTTPClient(o, log).Transport
	failed := false
	for _, r := range records {
		cfg := o.authConfig(base, log)
		cfg.ServerURL, cfg.Profile, cfg.Storage = r.Server, r.Profile, auth.StorageOf(r)
		if r.Sealed {
			if opened, err := cfg.Storage.Load(); err == nil && opened != nil {
				r = opened
			}
		}
		if err := o.endLogin(cmd, cfg, r); err != nil {
			log.Error(err.Error())
			failed = true
		}
	}
	if failed {
		return loggedError{errors.New("some logins are not ended as they should be")}
	}
	return nil
}

// endLogin ends one login.
func (o *options) endLogin(cmd *cobra.Command, cfg auth.Config, r *auth.Record) error {
	t, err := o.newAuthTransport(cfg)
	if err != nil {
		return err
	}
	defer func() { _ = t.Close() }()
	if err := t.Logout(cmd.Context()); err != nil {
		if left, loadErr := cfg.Storage.Load(); loadErr == nil && left == nil {
			return fmt.Errorf("the login at %s is forgotten here, but %w", r.Server, err)
		}
		return fmt.Errorf("ending the login at %s: %w", r.Server, err)
	}
	name := r.Server
	if r.Profile != "" {
		name += " (profile " + oneLine(r.Profile) + ")"
	}
	switch {
	case r.Client == nil && r.Pending != nil:
		fmt.Fprintf(cmd.OutOrStdout(), "gave up the sign-in at %s that was not finished\n", name)
	case r.Token == nil:
		fmt.Fprintf(cmd.OutOrStdout(), "forgot the registration at %s\n", name)
	case r.RevokeURL == "":
		fmt.Fprintf(cmd.OutOrStdout(), "signed out of %s; its authorization server offers no way to revoke the tokens\n", name)
	default:
		fmt.Fprintf(cmd.OutOrStdout(), "signed out of %s, and revoked the tokens\n", name)
	}
	return nil
}

// completeServer lets the shell complete the names of servers, and the URLs of those that there is
// a login at.
func completeServer(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var servers []cobra.Completion
	if dir, err := auth.DefaultDir(); err == nil {
		records, _ := auth.List(dir) // without it there is nothing to complete
		for _, r := range records {
			servers = append(servers, r.Server)
		}
	}
	slices.Sort(servers)
	return append(serverNames(args), slices.Compact(servers)...), cobra.ShellCompDirectiveNoFileComp
}
