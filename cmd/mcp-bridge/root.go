package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"runtime"

	"mcp-bridge/auth"
	"mcp-bridge/bridge"

	"github.com/spf13/cobra"
)

// newRootCommand returns the command line of mcp-bridge. It sets *begun when the arguments turn
// out to be good, and what follows is the command's own doing.
func newRootCommand(begun *bool) *cobra.Command {
	// The 5 s that cobra makes a Windows user wait who starts the program from Explorer come
	// with a look at all processes, on each start.
	cobra.MousetrapHelpText = ""

	var o options
	root := &cobra.Command{
		Use:           "mcp-bridge URL",
		SilenceUsage:  true,
		SilenceErrors: true,
		// Anything that names no command is the root command's own argument, and checked there.
		Args:                       cobra.ArbitraryArgs,
		ValidArgsFunction:          completeName,
		SuggestionsMinimumDistance: 2,
		PersistentPreRun:           func(*cobra.Command, []string) { *begun = true },
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.version {
				fmt.Fprintln(cmd.OutOrStdout(), "mcp-bridge", versionText())
				return nil
			}
			if err := o.complete(cmd, args); err != nil {
				return err
			}
			return relay(cmd.Context(), &o, cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	o.register(root.Flags())
	root.Flags().BoolVar(&o.version, "version", false, "print the version")
	root.SetFlagErrorFunc(flagError)
	root.SetHelpFunc(sayHelp)
	completeFlags(root)
	root.SetHelpCommand(helpCommand())
	root.AddCommand(
		loginCommand(), logoutCommand(), statusCommand(),
		installCommand(), uninstallCommand(), logsCommand(),
		doctorCommand(), inspectCommand(), pinsCommand(),
		demoCommand(), completionCommand(), versionCommand(),
	)
	return root
}

// helpCommand returns the command that does what --help does. It takes the place of cobra's own,
// which answers the name of an unknown command with success and help.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Print the help of mcp-bridge, or of a command",
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return usageError{fmt.Errorf("there is no command %q", args[0])}
			}
			return about.Help()
		},
	}
}

// bridgeConfig returns what package bridge has to know. Requests go through client.
func (o *options) bridgeConfig(client *http.Client, log *slog.Logger) bridge.Config {
	return bridge.Config{
		URL:             o.url,
		Transport:       o.transport,
		Era:             o.era,
		ProtocolVersion: o.protocolVersion,
		Verdicts:        verdictNote{note{"eras", o.url, log}},
		Greeting:        note{"greetings", o.url, log},
		InitializeGrace: o.initializeGrace,
		OfflineStart:    o.offlineStart,
		Quiet:           auth.WithoutUser,
		Header:          o.requestHeader(),
		HTTPClient:      client,
		MaxMessage:      o.maxMessage,
		MaxInFlight:     o.maxInFlight,
		KeepAlive:       o.keepAlive,
		ResponseTimeout: o.responseTimeout,
		InputTimeout:    o.inputTimeout,
		Logger:          log,
	}
}

// connection returns how to reach the server that o names, with its tools as the flags have it, and with
// sign-in. Done is to be called when that is over.
func (o *options) connection(log *slog.Logger) (cfg bridge.Config, done func(), err error) {
	o.onLine.warn(log)
	cfg = o.bridgeConfig(newHTTPClient(o, log), log)
	if cfg.Policy, err = o.toolPolicy(log); err != nil {
		return cfg, nil, err
	}
	if o.hasAuthorization() {
		return cfg, func() {}, nil
	}
	login, err := o.newAuthTransport(o.authConfig(cfg.HTTPClient.Transport, log))
	if err != nil {
		return cfg, nil, err
	}
	cfg.HTTPClient.Transport = &hinting{login, o}
	cfg.InputEnded = login.StopAsking // a host that has gone will not show anybody a page
	return cfg, func() { _ = login.Close() }, nil
}

// relay connects in and out with the server that o names, until one of them ends.
func relay(ctx context.Context, o *options, in io.Reader, out, stderr io.Writer) error {
	log, flush := newLogger(o, stderr)
	defer flush()
	if isTerminal(in) {
		tell(log, "this is for a host to start, which then speaks MCP to it; 'mcp-bridge install HOST URL' has one do so, "+
			"'mcp-bridge inspect URL' shows the server, Ctrl-C ends it")
	}

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if f, ok := out.(*os.File); ok {
		onHangup(f, func() { cancel(bridge.ErrOutputClosed) })
	}

	defer runtime.KeepAlive(newHeapBallast())
	cfg, done, err := o.connection(log)
	if err != nil {
		return err
	}
	defer done()
	if !o.hasAuthorization() && o.initializeGrace > 0 {
		cfg.Pending = o.pending.get
	}
	err = bridge.Run(ctx, in, out, cfg)
	if err == nil && errors.Is(context.Cause(ctx), bridge.ErrOutputClosed) {
		err = bridge.ErrOutputClosed
	}
	if err != nil {
		log.Error(explain(err))
		return loggedError{err}
	}
	return nil
}
