package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"mcp-bridge/auth"

	"github.com/spf13/cobra"
)

// loginCommand returns the command that signs in without a host around it.
func loginCommand() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "login URL",
		Short: "Sign in at a server, before a host needs it",
		Long: `Sign in at the server at URL, so that no host has to wait for it.

If the browser runs on another machine, it ends at an address on localhost that does not
answer. Copy that address from the browser, and paste it here.`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: completeName,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.complete(cmd, args); err != nil {
				return err
			}
			return login(cmd, &o)
		},
	}
	o.register(cmd.Flags())
	completeFlags(cmd)
	shareUsage(cmd)
	return cmd
}

func login(cmd *cobra.Command, o *options) error {
	given := usageError{errors.New("the Authorization header that you give is sent as it is; leave it out to sign in")}
	if o.hasAuthorization() {
		return given
	}
	log, flush := newLogger(o, cmd.ErrOrStderr())
	defer flush()
	base := newHTTPClient(o, log).Transport
	if o.printedHeader != nil {
		switch printed, err := o.printedHeader.get(cmd.Context(), nil); {
		case err != nil:
			return err
		case printed.Get("Authorization") != "":
			return given
		}
	}
	pasted := &pasted{client: &http.Client{Transport: base}, log: log}
	cfg := o.authConfig(base, log)
	cfg.Tell = func(e auth.Event) {
		if e.Kind != auth.SignInDone { // there is another word for that below
			sayEvent(log, o.url, e)
		}
		if e.Kind == auth.SignInStarted {
			pasted.expect(e.URL)
		}
	}
	waiting := newProgressLine(cmd.ErrOrStderr(), "waiting for the sign-in, for "+o.auth.authTimeout.String()+" at most")
	defer waiting.close()
	tell := cfg.Tell
	cfg.Tell = func(e auth.Event) {
		waiting.pause(true) // the next line is the log's
		tell(e)
		waiting.pause(false)
	}
	t, err := o.newAuthTransport(cfg)
	if err != nil {
		return err
	}
	defer func() { _ = t.Close() }()
	go pasted.read(cmd.InOrStdin()) // ends with the input, or with the program

	err = t.Login(cmd.Context())
	server, out := withoutSecrets(o.url), cmd.OutOrStdout()
	switch {
	case errors.Is(err, auth.ErrNotWanted):
		fmt.Fprintf(out, "%s asks for no sign-in\n", server)
		return nil
	case cmd.Context().Err() != nil:
		return errors.New("the sign-in was interrupted")
	case errors.Is(err, auth.ErrSignInTimeout):
		return withHint(err, "--auth-timeout gives you more time")
	case err != nil:
		return withHint(err, o.signInHint(err, ""))
	}
	fmt.Fprintf(out, "signed in to %s\n", server)
	return nil
}

// pasted takes the addresses that a person copies from a browser on another machine, and hands
// them to the callback that they were meant for.
type pasted struct {
	client *http.Client
	log    *slog.Logger

	mu    sync.Mutex
	state string // of the sign-in under way, "" if there is none
	to    string // where the callback listens
}

// expect remembers the sign-in that begins at this page.
func (p *pasted) expect(page string) {
	u, err := url.Parse(page)
	if err != nil {
		return
	}
	p.mu.Lock()
	p.state, p.to = u.Query().Get("state"), u.Query().Get("redirect_uri")
	p.mu.Unlock()
	tell(p.log, "if the browser runs on another machine, copy the address that it ends at and paste it here")
}

func (p *pasted) read(in io.Reader) {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if line := strings.TrimSpace(lines.Text()); line != "" {
			p.take(line)
		}
	}
}

// take brings one address to the callback. Only its parameters count: the place is known.
func (p *pasted) take(line string) {
	p.mu.Lock()
	state, to := p.state, p.to
	p.mu.Unlock()
	if state == "" {
		tell(p.log, "there is no sign-in yet that waits for an address")
		return
	}
	u, err := url.Parse(line)
	if err != nil || u.Query().Get("state") != state {
		tell(p.log, "this is not the address that the sign-in ends at; that one begins with "+to+"?")
		return
	}
	resp, err := p.client.Get(to + "?" + u.RawQuery)
	if err != nil {
		return // it is over, and what came of it is said elsewhere
	}
	resp.Body.Close()
}
