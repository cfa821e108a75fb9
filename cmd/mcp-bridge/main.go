// Command mcp-bridge connects an MCP host that speaks stdio to an MCP server that speaks HTTP.
//
//	mcp-bridge https://example.com/mcp
//
// Standard input and output carry JSON-RPC messages, one a line, and nothing else. All that is
// meant for a person goes to standard error.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// The exit codes.
const (
	exitOK      = 0 // it worked; the relay ended with its input, or was interrupted
	exitFailure = 1
	exitUsage   = 2
)

func main() {
	ignoreSIGPIPE()
	dumpNoCore()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// From the first signal on, the second one has its usual effect: it ends the program at once.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is mcp-bridge without the process around it. It returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	begun := false // whether a command runs, and no longer the parsing of its arguments
	root := newRootCommand(&begun)
	root.SetArgs(mcpRemoteArgs(args))
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)

	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	if _, ok := errors.AsType[usageError](err); ok || !begun {
		sayUsageError(stderr, cmd.CommandPath(), err)
		return exitUsage
	}
	if _, ok := errors.AsType[loggedError](err); !ok {
		sayError(stderr, err)
	}
	return exitFailure
}
