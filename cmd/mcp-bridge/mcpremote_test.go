package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// mcpRemoteFlags are all flags in the README of mcp-remote 0.15.1
// (https://www.npmjs.com/package/mcp-remote).
var mcpRemoteFlags = strings.Fields(`
	allow-http auth-success-url auth-timeout authorize-param body-timeout callback-path client-credentials
	client-metadata-url connect-timeout debug device-code disable-cookies disable-resource-parameter enable-proxy
	header header-file headers-timeout host ignore-tool ipv4 keep-alive ping-interval protocol resource silent
	static-oauth-client-info static-oauth-client-metadata token-endpoint transport use-id-token
`)

// Whoever replaces the command keeps the flags: all are known, and there is a script that runs each.
func TestMcpRemoteFlags(t *testing.T) {
	files, err := filepath.Glob("../../testdata/script/mcp-remote-*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("%q, %v", files, err)
	}
	var scripts []string
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		scripts = append(scripts, strings.Fields(string(text))...)
	}
	var begun bool
	known := newRootCommand(&begun).Flags()
	for _, name := range mcpRemoteFlags {
		if known.Lookup(name) == nil {
			t.Errorf("--%s is not known", name)
		}
		if !slices.Contains(scripts, "--"+name) {
			t.Errorf("no script runs --%s", name)
		}
	}
}

// --keep-alive is a switch there, and has a time here.
func TestMcpRemoteKeepAlive(t *testing.T) {
	for given, want := range map[string]string{
		"URL --keep-alive":                        "URL --keep-alive=30s",
		"--keep-alive URL":                        "--keep-alive=30s URL",
		"URL --keep-alive --debug":                "URL --keep-alive=30s --debug",
		"URL --keep-alive 10s":                    "URL --keep-alive 10s",
		"URL --keep-alive=1m":                     "URL --keep-alive=1m",
		"URL --keep-alive --ping-interval 60":     "URL --ping-interval 60",
		"URL --ping-interval=60 --keep-alive":     "URL --ping-interval=60",
		"URL --keep-alive 10s --ping-interval 60": "URL --keep-alive 10s --ping-interval 60",
		"URL -- --keep-alive":                     "URL -- --keep-alive",
		"":                                        "",
	} {
		if got := strings.Join(mcpRemoteArgs(strings.Fields(given)), " "); got != want {
			t.Errorf("%q has become %q, want %q", given, got, want)
		}
	}
	for given, want := range map[string]time.Duration{
		"URL --keep-alive":                    30 * time.Second,
		"URL --keep-alive --ping-interval 60": time.Minute,
		"URL --ping-interval 60":              time.Minute,
	} {
		var o options
		fs := pflag.NewFlagSet("", pflag.ContinueOnError)
		o.register(fs)
		if err := fs.Parse(mcpRemoteArgs(strings.Fields(given))); err != nil || o.keepAlive != want {
			t.Errorf("%q: the server is pinged every %v, not %v; error %v", given, o.keepAlive, want, err)
		}
	}
}
