package hostconfig

import (
	"strings"
	"testing"
)

func TestBridge(t *testing.T) {
	for _, test := range []struct{ command, program, args string }{
		{"npx -y mcp-remote https://example.com/mcp 3334 --debug", MCPRemote, "https://example.com/mcp 3334 --debug"},
		{"npx mcp-remote@latest https://example.com/mcp", MCPRemote, "https://example.com/mcp"},
		{`C:\nodejs\npx.cmd -y mcp-remote@0.1.38 https://example.com/mcp`, MCPRemote, "https://example.com/mcp"},
		{"cmd /c npx -y mcp-remote https://example.com/mcp", MCPRemote, "https://example.com/mcp"},
		{"npx -p mcp-remote@latest mcp-remote https://example.com/mcp", MCPRemote, "https://example.com/mcp"},
		{"npm exec -- mcp-remote https://example.com/mcp", MCPRemote, "https://example.com/mcp"},
		{"bunx mcp-remote https://example.com/mcp", MCPRemote, "https://example.com/mcp"},
		{"pnpm dlx mcp-remote https://example.com/mcp", MCPRemote, "https://example.com/mcp"},
		{"deno run -A npm:mcp-remote@latest https://example.com/mcp", MCPRemote, "https://example.com/mcp"},
		{"node --use-system-ca /usr/lib/node_modules/mcp-remote/dist/proxy.js https://example.com/mcp", MCPRemote, "https://example.com/mcp"},
		{"/opt/bin/mcp-remote --header A:b https://example.com/mcp", MCPRemote, "--header A:b https://example.com/mcp"},
		{"uvx fastmcp-remote https://example.com/mcp", FastMCPRemote, "https://example.com/mcp"},
		{"npx -y supergateway --streamableHttp https://example.com/mcp", Supergateway, "--streamableHttp https://example.com/mcp"},
		{"uvx mcp-proxy --transport sse https://example.com/sse", MCPProxy, "--transport sse https://example.com/sse"},
		{"uv tool run mcp-proxy https://example.com/sse", MCPProxy, "https://example.com/sse"},
		{`C:\Program_Files\MCP-Bridge.exe https://example.com/mcp`, Own, "https://example.com/mcp"},
		{"npx -y mcp-bridge https://example.com/mcp", Own, "https://example.com/mcp"},

		// These serve a local server, or are something else.
		{"npx -y supergateway --stdio node_server --port 8000", "", ""},
		{"mcp-proxy --port 8080 uvx mcp-server-fetch", "", ""},
		{"npx -y @scope/other https://example.com/mcp", "", ""},
		{"docker run mcp-remote https://example.com/mcp", "", ""},
		{"bash -c npx_mcp-remote", "", ""},
		{"node /home/u/mcp-remote-notes.js https://example.com/mcp", "", ""},
		{"", "", ""},
	} {
		words := strings.Split(test.command, " ")
		e := Entry{Server: Server{Command: strings.ReplaceAll(words[0], "_", " "), Args: words[1:]}}
		program, args := e.Bridge()
		if program != test.program || strings.Join(args, " ") != test.args {
			t.Errorf("%s: %q with %q", test.command, program, args)
		}
	}
}
