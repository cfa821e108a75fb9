package main

import (
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mcp-bridge/cmd/mcp-bridge/hostconfig"
)

func TestEntryName(t *testing.T) {
	for _, test := range []struct{ url, profile, want string }{
		{"https://example.com/mcp", "", "example"},
		{"https://mcp.linear.app/sse", "", "linear"},
		{"https://api.githubcopilot.com/mcp/", "", "githubcopilot"},
		{"https://MCP.Example.co.uk/", "", "example"},
		{"https://mcp.example.com.au", "", "example"},
		{"https://x.ai/mcp", "", "x"},
		{"https://t.co/mcp", "", "t"},
		{"https://mcp.example.com/mcp", "at work", "example-at-work"},
		{"http://localhost:3000/mcp", "", "localhost-3000"},
		{"http://127.0.0.1:8080/mcp", "", "localhost-8080"},
		{"http://[::1]/mcp", "", "localhost"},
		{"https://192.0.2.7:8443/mcp", "", "192-0-2-7-8443"},
		{"https://intranet/mcp", "", "intranet"},
		{"https://xn--bcher-kva.example/mcp", "", "xn--bcher-kva"},
	} {
		if got := entryName(test.url, test.profile); got != test.want || !isEntryName(got) {
			t.Errorf("%s: %q", test.url, got)
		}
	}
}

// What goes into a host's file means to the relay what was given.
func TestRelayLine(t *testing.T) {
	for _, test := range []struct{ given, want string }{
		{"https://example.com/mcp", "https://example.com/mcp"},
		{"--transport sse https://example.com/mcp --scope a --scope=b", "https://example.com/mcp --transport sse --scope a --scope b"},
		{"https://example.com/mcp --device-code --no-resource=false", "https://example.com/mcp --device-code --no-resource=false"},
		// mcp-remote's
		{"https://example.com/mcp 3334 --debug --host 127.0.0.1 --headers-timeout 9 --disable-resource-parameter",
			"https://example.com/mcp --log-level debug --callback-host 127.0.0.1 --response-timeout 9 --no-resource --callback-port 3334"},
		{"https://example.com/mcp --enable-proxy --disable-cookies", "https://example.com/mcp --enable-proxy --disable-cookies"},
		{"https://example.com/mcp --header A:${NOT_SET}${NOR_THIS}", "https://example.com/mcp --header A:${NOT_SET}${NOR_THIS}"},
		{`https://example.com/mcp --static-oauth-client-info {"client_id":"${NOT_SET}"}`, `https://example.com/mcp --static-oauth-client-info {"client_id":"${NOT_SET}"}`},
	} {
		line, err := parseRelayLine(strings.Fields(test.given), nil)
		if err != nil {
			t.Errorf("%s: %v", test.given, err)
			continue
		}
		if got := strings.Join(line.args(), " "); got != test.want {
			t.Errorf("%s: got %s", test.given, got)
		}
		again, err := parseRelayLine(line.args(), nil)
		if err != nil || !slices.Equal(again.args(), line.args()) {
			t.Errorf("%s: as written, it is %v, %v", test.given, again, err)
		}
		if want := variablesIn(test.given); !slices.Equal(line.needs(), slices.Sorted(slices.Values(want))) {
			t.Errorf("%s: needs %q", test.given, line.needs())
		}
	}
	line, err := parseRelayLine([]string{"https://example.com/mcp", "--header", "A:${ONE}${TWO}"}, map[string]string{"ONE": "1", "MCP_BRIDGE_LOG_LEVEL": "debug"})
	if err != nil || !slices.Equal(line.needs(), []string{"TWO"}) || len(line.args()) != 3 {
		t.Errorf("with an environment: %+v, %v", line, err)
	}
	_, err = parseRelayLine([]string{"https://example.com/mcp"}, map[string]string{"MCP_BRIDGE_LOG_LEVEL": "loud"})
	if _, ok := errors.AsType[usageError](err); !ok {
		t.Errorf("a bad variable in the environment: %v", err)
	}
}

func TestHideSecrets(t *testing.T) {
	for _, test := range []struct {
		given []string
		args  string
		env   map[string]string
	}{
		{[]string{"--header", "X-Account: 7"}, "--header X-Account: 7", nil},
		{[]string{"--header", "Authorization: Bearer ${TOKEN}"}, "--header Authorization: Bearer ${TOKEN}", nil},
		{[]string{"--header", "A: ${B}", "--log-level", "info", "--header", "X-Api-Key: k"}, "--log-level info", map[string]string{"MCP_BRIDGE_HEADER": "A: ${B}\nX-Api-Key: k"}},
		{[]string{"--proxy", "http://proxy:1"}, "--proxy http://proxy:1", nil},
		{[]string{"--static-oauth-client-info", `{"client_id":"c","client_secret":"s"}`}, "--client-id c --callback-path /oauth/callback", map[string]string{"MCP_BRIDGE_CLIENT_SECRET": "s"}},
		{[]string{"--static-oauth-client-info", `{"client_id":"c","client_secret":"s"}`, "--callback-path", "/cb"}, "--client-id c --callback-path /cb", map[string]string{"MCP_BRIDGE_CLIENT_SECRET": "s"}},
		{[]string{"--static-oauth-client-info", `{"client_id":"c","client_secret":"${S}"}`}, `--static-oauth-client-info {"client_id":"c","client_secret":"${S}"}`, nil},
	} {
		line, err := parseRelayLine(append([]string{"https://example.com/mcp"}, test.given...), nil)
		if err != nil {
			t.Error(err)
			continue
		}
		line.hideSecrets()
		if got := strings.Join(line.args()[1:], " "); got != test.args || !maps.Equal(line.env, test.env) {
			t.Errorf("%q: %s, %q", test.given, got, line.env)
		}
		if _, err := parseRelayLine(line.args(), line.env); err != nil {
			t.Errorf("%q: as written: %v", test.given, err)
		}
	}
}

// A host starts the relay in a folder of its own, so names of files have to be whole.
func TestFileFlags(t *testing.T) {
	for _, m := range regexp.MustCompile(`(?m)^  --([a-z-]+) FILE`).FindAllStringSubmatch(usage, -1) {
		if !slices.Contains(fileFlags, m[1]) {
			t.Errorf("--%s takes a file, and is not in fileFlags", m[1])
		}
	}
}

// A flag of install that the relay has too would never be seen.
func TestInstallFlags(t *testing.T) {
	var begun bool
	root := newRootCommand(&begun)
	for _, name := range []string{"name", "env", "file", "print", "yes", "migrate", "list"} {
		if root.Flags().Lookup(name) != nil {
			t.Errorf("--%s is a flag of the relay, too", name)
		}
	}
}

func TestMasked(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"https://example.com/mcp --header X-Account:7", "https://example.com/mcp --header X-Account:7"},
		{"https://example.com/mcp --header Authorization:secret-1 --header=X-Api-Key:secret-2", "https://example.com/mcp --header Authorization: *** --header=X-Api-Key: ***"},
		{"--header Authorization:${A} --header-file /etc/token", "--header Authorization:${A} --header-file /etc/token"},
		{"https://u:secret-1@example.com/mcp?key=secret-2", "https://example.com/mcp?***"},
		{"mcp-proxy -H Authorization secret-1 --headers X-A 1 https://example.com/sse", "mcp-proxy -H Authorization *** --headers X-A 1 https://example.com/sse"},
		{"--oauth2Bearer secret-1 --client-secret secret-2 --client-secret=secret-3", "--oauth2Bearer *** --client-secret *** --client-secret=***"},
		{`--static-oauth-client-info {"client_secret":"x"} --static-oauth-client-info @file`, "--static-oauth-client-info *** --static-oauth-client-info @file"},
		{"--use-id-token --debug --auth-timeout 30 --authorize-param a=b --keep-alive 9", "--use-id-token --debug --auth-timeout 30 --authorize-param a=b --keep-alive 9"},
		{"--proxy http://u:secret-1@proxy:1", "--proxy http://proxy:1?***"},
	} {
		got := masked(hostconfig.Server{Args: strings.Fields(test.args), Env: map[string]string{"A": "secret-1"}})
		if s := strings.Join(got.Args, " "); s != test.want || got.Env["A"] != hidden {
			t.Errorf("%s: %s, %q", test.args, s, got.Env)
		}
	}
}

func TestTranslate(t *testing.T) {
	for _, test := range []struct {
		program, args string
		env           map[string]string
		want          string // "" if it can't be done
	}{
		{hostconfig.MCPRemote, "https://example.com/mcp", nil, "https://example.com/mcp"},
		{hostconfig.MCPRemote, "https://example.com/mcp --frobnicate", nil, ""},
		{hostconfig.MCPRemote, "http://example.com/mcp", nil, ""},
		{hostconfig.MCPRemote, "https://example.com/mcp", map[string]string{"NODE_TLS_REJECT_UNAUTHORIZED": "0"}, ""},
		{hostconfig.MCPRemote, "https://example.com/mcp", map[string]string{"NODE_EXTRA_CA_CERTS": "/nowhere.pem"}, ""},
		{hostconfig.FastMCPRemote, "https://example.com/mcp --transport sse-only", nil, "https://example.com/mcp --transport sse-only"},
		{hostconfig.Supergateway, "--sse https://example.com/sse --header X-A:1 --logLevel none", nil, "https://example.com/sse --transport sse --header X-A:1 --log-level error"},
		{hostconfig.Supergateway, "--streamableHttp=https://example.com/mcp --oauth2Bearer t --logLevel debug --outputTransport stdio", nil,
			"https://example.com/mcp --transport http --header Authorization: Bearer t --log-level debug"},
		{hostconfig.Supergateway, "--port 8000", nil, ""},
		{hostconfig.Supergateway, "--logLevel debug", nil, ""},
		{hostconfig.MCPProxy, "https://example.com/sse", nil, "https://example.com/sse"},
		{hostconfig.MCPProxy, "https://example.com/mcp --transport streamablehttp --headers X-A 1 -H X-B 2 --debug", nil,
			"https://example.com/mcp --transport http --header X-A:1 --header X-B:2 --log-level debug"},
		{hostconfig.MCPProxy, "--transport sse https://example.com/sse", map[string]string{"API_ACCESS_TOKEN": "t"}, "https://example.com/sse --transport sse --header Authorization:Bearer ${API_ACCESS_TOKEN}"},
		{hostconfig.MCPProxy, "https://example.com/sse more", nil, ""},
		{hostconfig.MCPProxy, "https://example.com/sse --no-verify-ssl", nil, ""},
	} {
		line, err := translate(test.program, strings.Fields(test.args), test.env)
		got := ""
		if err == nil {
			got = strings.Join(line.args(), " ")
		}
		if got != test.want {
			t.Errorf("%s %s: %q, %v", test.program, test.args, got, err)
		}
	}
}
