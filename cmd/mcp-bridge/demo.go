package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"time"

	"mcp-bridge/bridge/bridgetest"

	"github.com/spf13/cobra"
)

// demoTime bounds the whole demo, which takes a fraction of a second.
const demoTime = 20 * time.Second

// demoCommand returns the command that shows the bridge at work, on this machine alone.
func demoCommand() *cobra.Command {
	var serve bool
	var port uint16
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show mcp-bridge at work, with a server of its own",
		Long: `Show mcp-bridge at work, with a server of its own.

The demo starts an MCP server on this machine and mcp-bridge between the two, speaks
to it as an MCP host would, and prints what goes over the wires. Nothing leaves this machine.`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case serve:
				return demoServe(cmd.Context(), cmd.OutOrStdout(), port)
			case cmd.Flags().Changed("port"):
				return usageError{errors.New("--port goes with --serve")}
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), demoTime)
			defer cancel()
			if err := demo(ctx, cmd.OutOrStdout(), cmd.ErrOrStderr()); err != nil {
				return fmt.Errorf("the demo failed: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&serve, "serve", false, "only run the server, to try your own MCP host with it")
	cmd.Flags().Uint16Var(&port, "port", 0, "with --serve: use port `N` of 127.0.0.1 (default: any free one)")
	return cmd
}

// demo plays a host and a server, with the bridge between them as a process of its own. Whatever
// either of them hears and says is printed to out.
func demo(ctx context.Context, out, stderr io.Writer) error {
	begin := time.Now()
	t := &trace{out: out}
	server := bridgetest.NewServer(bridgetest.Config{Stream: true, Handle: t.handle})
	defer server.Close()

	t.sayf("The demo plays an MCP host and an MCP server. mcp-bridge runs between them, as it would")
	t.sayf("between your editor and a server on the internet:")
	t.sayf("")
	t.sayf("  host ⇄ bridge            JSON messages, one a line, on the bridge's standard input and output")
	t.sayf("         bridge ⇄ server   HTTP requests to %s", server.URL())
	t.sayf("")
	t.sayf(`Long messages are shortened, and the "jsonrpc":"2.0" that each begins with is left out.`)

	host, err := startDemoHost(ctx, server.URL(), stderr, t)
	if err != nil {
		return err
	}
	defer host.kill()

	t.stepf("The host says hello. The server says what it can do, and opens a session.")
	if _, err := host.request("initialize", `{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"demo","version":"1"}}`); err != nil {
		return err
	}

	t.stepf("The host is ready. The bridge opens a stream on which the server can speak unasked.")
	if err := host.send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`); err != nil {
		return err
	}
	// Only so that it is printed under this step. A bridge without the stream would do, too.
	short, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_ = server.Wait(short, func() bool { return server.Streams() > 0 })

	t.stepf("The host asks which tools there are. The bridge adds the session's id to every request.")
	if _, err := host.request("tools/list", `{}`); err != nil {
		return err
	}

	t.stepf("The host calls a tool that takes steps. They arrive one by one, ahead of the result.")
	counted, err := host.request("tools/call", `{"name":"count","arguments":{"to":3},"_meta":{"progressToken":"p1"}}`)
	if err != nil {
		return err
	}
	if err := counted.check("counted to 3", 3); err != nil {
		return err
	}

	t.stepf("The host calls a tool that answers at once.")
	added, err := host.request("tools/call", `{"name":"add","arguments":{"a":2,"b":3}}`)
	if err != nil {
		return err
	}
	if err := added.check("5", 0); err != nil {
		return err
	}

	t.stepf("The host closes the bridge's standard input. The bridge ends the session and exits.")
	if err := host.close(); err != nil {
		return err
	}

	t.sayf("")
	t.sayf("It works: all 4 answers came, in %d ms. Next, run 'mcp-bridge demo --serve' and put it into your MCP host's configuration.",
		time.Since(begin).Milliseconds())
	return nil
}

// demoServe runs the demo's server until ctx is done.
func demoServe(ctx context.Context, out io.Writer, port uint16) error {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))))
	if err != nil {
		return fmt.Errorf("starting the demo's server: %w", err)
	}
	server := bridgetest.NewServer(bridgetest.Config{Listener: l, Stream: true, Unrecorded: true})
	defer server.Close()

	program, err := os.Executable()
	if err != nil {
		program = "mcp-bridge" // the host will find it, or the user
	}
	quoted, err := json.Marshal(program) // for the backslashes of Windows
	if err != nil {
		return fmt.Errorf("writing the example: %w", err)
	}
	fmt.Fprintf(out, `An MCP server is running at

  %s

Put this into your MCP host's configuration and restart the host. (VS Code says "servers" in
place of "mcpServers", Zed says "context_servers".)

{
  "mcpServers": {
    "demo": {
      "command": %s,
      "args": ["%s"]
    }
  }
}

The server has the tools echo, add, count and ask. Tell your host, for instance: "add 2 and 3
with the demo tools". Press Ctrl-C here to stop the server.
`, server.URL(), quoted, server.URL())
	<-ctx.Done()
	return nil
}
