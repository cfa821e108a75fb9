package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"mcp-bridge/auth/authtest"
	"mcp-bridge/bridge/bridgetest"

	"github.com/spf13/cobra"
)

// demoTime bounds the whole demo, which takes a fraction of a second.
const demoTime = 20 * time.Second

// demoCommand returns the command that shows the bridge at work, on this machine alone.
func demoCommand() *cobra.Command {
	var serve, autoApprove bool
	var port uint16
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show mcp-bridge at work, with a server of its own",
		Long: `Show mcp-bridge at work, with a server of its own.

The demo starts an MCP server that asks for sign-in, and mcp-bridge in front of it. It speaks to
that as an MCP host would, signs in as you would in your browser, and prints what goes over
the wires. Nothing leaves this machine.`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case serve:
				return demoServe(cmd.Context(), cmd.OutOrStdout(), port, autoApprove)
			case cmd.Flags().Changed("port"):
				return usageError{errors.New("--port goes with --serve")}
			case autoApprove:
				return usageError{errors.New("--auto-approve goes with --serve")}
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), demoTime)
			defer cancel()
			var said bytes.Buffer // by the bridge; to be read if something went wrong
			if err := demo(ctx, cmd.OutOrStdout(), &said); err != nil {
				_, _ = said.WriteTo(cmd.ErrOrStderr())
				return fmt.Errorf("the demo failed: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&serve, "serve", false, "only run the server, to try your own MCP host with it")
	cmd.Flags().Uint16Var(&port, "port", 0, "with --serve: use port `N` of 127.0.0.1 (default: any free one)")
	cmd.Flags().BoolVar(&autoApprove, "auto-approve", false, "with --serve: sign in everybody, without asking for consent")
	cmd.AddCommand(visitCommand())
	return cmd
}

// visitCommand returns the command that is the browser of the demo, and the user before it.
func visitCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "visit PAGE",
		Short:  "Visit a page of the demo, and press Allow there",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			page, err := authtest.Browse(cmd.Context(), args[0])
			if err == nil && page.Status != 200 {
				err = fmt.Errorf("the page has the status %d", page.Status)
			}
			return err
		},
	}
}

// demo plays a host, a server, its authorization server and a user, with the bridge between them as
// a process of its own. Whatever they hear and say is printed to out.
func demo(ctx context.Context, out, stderr io.Writer) error {
	begin := time.Now()
	t := &trace{out: out}
	t.authority = authtest.NewServer(authtest.Config{Handle: t.atAuthority})
	defer t.authority.Close()
	server := bridgetest.NewServer(bridgetest.Config{Stream: true, Handle: t.atServer})
	defer server.Close()
	home, err := os.MkdirTemp("", "mcp-bridge-demo-")
	if err != nil {
		return fmt.Errorf("making a folder for the login: %w", err)
	}
	defer func() { _ = os.RemoveAll(home) }() // what stays is in the folder for such things

	t.sayf("The demo plays an MCP host, an MCP server that asks for sign-in, and you. mcp-bridge runs")
	t.sayf("between them, as it would between your editor and a server on the internet:")
	t.sayf("")
	t.sayf("  host ⇄ bridge            JSON messages, one a line, on the bridge's standard input and output")
	t.sayf("         bridge ⇄ server   HTTP requests to %s", server.URL())
	t.sayf("         bridge ⇄ auth     HTTP requests to %s, the authorization server", t.authority.URL())
	t.sayf("        browser ⇄ auth     the page where you sign in; here the demo does")
	t.sayf("")
	t.sayf(`Long messages are shortened, and the "jsonrpc":"2.0" that each begins with is left out.`)

	t.step("The host says hello. The server wants to know who it is, and refuses.")
	host, err := startDemoHost(ctx, server.URL(), home, stderr, t)
	if err != nil {
		return err
	}
	defer host.kill()
	if _, err := host.request("initialize", `{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"demo","version":"1"}}`); err != nil {
		return err
	}

	t.step("The host is ready. The bridge opens a stream on which the server can speak unasked.")
	if err := host.send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`); err != nil {
		return err
	}
	// Only so that it is printed under this step. A bridge without the stream would do, too.
	short, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_ = server.Wait(short, func() bool { return server.Streams() > 0 })

	t.step("The host asks which tools there are. The bridge adds token and session to every request.")
	if _, err := host.request("tools/list", `{}`); err != nil {
		return err
	}

	t.step("The host calls a tool that takes steps. They arrive one by one, ahead of the result.")
	counted, err := host.request("tools/call", `{"name":"count","arguments":{"to":3},"_meta":{"progressToken":"p1"}}`)
	if err != nil {
		return err
	}
	if err := counted.check("counted to 3", 3); err != nil {
		return err
	}

	t.step("The host calls a tool that answers at once.")
	added, err := host.request("tools/call", `{"name":"add","arguments":{"a":2,"b":3}}`)
	if err != nil {
		return err
	}
	if err := added.check("5", 0); err != nil {
		return err
	}

	t.step("The host closes the bridge's standard input. The bridge ends the session and exits.")
	if err := host.close(); err != nil {
		return err
	}
	if n := t.authority.Exchanges(); n != 1 {
		return fmt.Errorf("there were %d sign-ins, and should be one", n)
	}

	t.sayf("")
	t.sayf("It works: one sign-in, and all 4 answers came, in %d ms. The login would have been kept for the", time.Since(begin).Milliseconds())
	t.sayf("next time. To try it with your own browser and MCP host, run 'mcp-bridge demo --serve'.")
	return nil
}
