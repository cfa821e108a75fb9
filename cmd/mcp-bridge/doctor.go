package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"time"

	"mcp-bridge/auth"

	"github.com/spf13/cobra"
)

// The steps of a checkup, in their order.
const (
	stepDNS          = "dns"
	stepTCP          = "tcp"
	stepProxy        = "proxy"
	stepTLS          = "tls"
	stepHTTP         = "http"
	stepClock        = "clock"
	stepSignIn       = "sign_in" // with --login only
	stepChallenge    = "challenge"
	stepResource     = "resource_metadata"
	stepServer       = "authorization_server"
	stepPKCE         = "pkce"
	stepRegistration = "registration"
	stepScopes       = "scopes"
	stepCallback     = "callback"
	stepPage         = "authorization_page"
	stepStore        = "store"
	stepLogin        = "login"
	stepProtocol     = "protocol"
	stepSession      = "session"
	stepTools        = "tools"
	stepPrompts      = "prompts"
	stepResources    = "resources"
)

const (
	// checkTimeout bounds the whole checkup, but for signing in.
	checkTimeout = 2 * time.Minute

	// checkAnswerTimeout bounds the wait for one answer, unless --response-timeout is shorter.
	checkAnswerTimeout = 30 * time.Second
)

// doctorCommand returns the command that finds out why a server can't be used.
func doctorCommand() *cobra.Command {
	var o options
	var asJSON, signIn bool
	cmd := &cobra.Command{
		Use:   "doctor URL",
		Short: "Find out what is wrong with a server, or a setup",
		Long: `Go to the server at URL step by step, as the relay would, and say of each step what was seen and
what to do about it: name, connection, proxy, TLS, HTTP, clock, authorization, the login that is kept,
protocol, session, tools.

It changes nothing: no page is opened, no client registered, no token renewed, and no session left
behind. Use the flags that the host's configuration has. The exit code is 1 if a step failed.`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: completeServer,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.complete(cmd, args); err != nil {
				return err
			}
			if signIn && o.hasAuthorization() {
				return usageError{errors.New("the Authorization header that you give is sent as it is; leave it out to use --login")}
			}
			report, err := examine(cmd, &o, signIn)
			if err != nil {
				return err
			}
			if asJSON {
				if err := report.writeJSON(cmd.OutOrStdout()); err != nil {
					return err
				}
			} else {
				report.writeText(cmd.OutOrStdout(), checkStyleFor(cmd.OutOrStdout(), os.Getenv))
			}
			if !report.OK {
				return loggedError{errors.New("there is something wrong")}
			}
			return nil
		},
	}
	o.register(cmd.Flags())
	o.logLevel = slog.LevelError // what there is to say is in the report
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON")
	cmd.Flags().BoolVar(&signIn, "login", false, "sign in first, which opens the browser")
	completeFlags(cmd)
	shareUsage(cmd)
	return cmd
}

// A checkup is a walk to one server.
type checkup struct {
	*checkReport
	o      *options
	wire   *wireTap
	look   *auth.Look
	signIn error // why the sign-in of --login failed
}

// examine goes through all steps.
func examine(cmd *cobra.Command, o *options, signIn bool) (*checkReport, error) {
	log, flush := newLogger(o, cmd.ErrOrStderr())
	defer flush()
	c := &checkup{checkReport: newCheckReport(o), o: o}
	if signIn {
		if c.signIn = o.signInNow(cmd.Context(), log); usageFailed(c.signIn) {
			return nil, c.signIn
		}
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), checkTimeout)
	defer cancel()
	client := newHTTPClient(o, log)
	defer client.CloseIdleConnections()
	c.wire = &wireTap{base: client.Transport}
	t, err := o.newAuthTransport(o.authConfig(c.wire, log))
	if err != nil {
		return nil, err
	}
	defer func() { _ = t.Close() }()
	c.look = t.Look(ctx, o.requestHeader(), c.answerTimeout())
	if cmd.Context().Err() != nil {
		return nil, errors.New("interrupted")
	}
	c.checkNetwork()
	c.checkHTTP()
	c.checkClock()
	if signIn {
		c.checkSignIn()
	}
	c.checkAuthorization()
	c.checkStore()
	c.checkLogin()
	c.checkMCP(ctx, client, log)
	if cmd.Context().Err() != nil {
		return nil, errors.New("interrupted")
	}
	return c.checkReport, nil
}

func (c *checkup) answerTimeout() time.Duration {
	if limit := c.o.responseTimeout; limit > 0 && limit < checkAnswerTimeout {
		return limit
	}
	return checkAnswerTimeout
}

func usageFailed(err error) bool {
	_, ok := errors.AsType[usageError](err)
	return ok
}

// signInNow signs in as the command login does. That has connections of its own, so that those of the
// checkup are new.
func (o *options) signInNow(ctx context.Context, log *slog.Logger) error {
	client := newHTTPClient(o, log)
	defer client.CloseIdleConnections()
	t, err := o.newAuthTransport(o.authConfig(client.Transport, log))
	if err != nil {
		return err
	}
	defer func() { _ = t.Close() }()
	return t.Login(ctx)
}

// transport returns the RoundTripper that messages go through: with the user's own authorization, or
// with the token that is kept, as it is.
func (c *checkup) transport(client *http.Client) http.RoundTripper {
	if c.o.hasAuthorization() {
		return client.Transport
	}
	return c.look.RoundTripper()
}
