package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"

	"mcp-bridge/auth/authtest"
	"mcp-bridge/bridge/bridgetest"
)

// demoServe runs the demo's servers until ctx is done.
func demoServe(ctx context.Context, out io.Writer, port uint16, autoApprove bool) error {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))))
	if err != nil {
		return fmt.Errorf("starting the demo's server: %w", err)
	}
	authority := authtest.NewServer(authtest.Config{AutoApprove: autoApprove, Unrecorded: true})
	defer authority.Close()
	server := bridgetest.NewServer(bridgetest.Config{
		Listener: l, Stream: true, Unrecorded: true,
		Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool { return authority.Guard(w, r.Request) },
	})
	defer server.Close()

	program, err := os.Executable()
	if err != nil {
		program = "mcp-bridge" // the host will find it, or the user
	}
	inJSON, err := json.Marshal(program) // for the backslashes of Windows
	if err != nil {
		return fmt.Errorf("writing the example: %w", err)
	}
	inShell := program
	if strings.Contains(program, " ") {
		inShell = `"` + program + `"`
	}
	fmt.Fprintf(out, `An MCP server that asks for sign-in is running at

  %[1]s

To sign in, run this in another terminal. Your browser opens and asks you to allow it:

  %[2]s login %[1]s

Or put this into your MCP host's configuration and restart the host, and the browser opens when
the host connects. (VS Code says "servers" in place of "mcpServers", Zed says "context_servers".)

{
  "mcpServers": {
    "demo": {
      "command": %[3]s,
      "args": ["%[1]s"]
    }
  }
}

The server has the tools echo, add, count and ask. Tell your host, for instance: "add 2 and 3
with the demo tools". '%[2]s status' shows the login.

`, server.URL(), inShell, inJSON)
	if autoApprove {
		fmt.Fprintf(out, `Nobody is asked to allow anything (--auto-approve), so it works without a browser, too:

  %[2]s login %[1]s --browser "curl -sL"

`, server.URL(), inShell)
	}
	fmt.Fprintln(out, "Press Ctrl-C here to stop the server.")
	<-ctx.Done()
	return nil
}
