package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"mcp-bridge": main,
		"converse":   func() { os.Exit(converse(os.Args[1], os.Args[2:])) },
		"xdg-open":   fakeBrowser, // what package auth starts on Linux,
		"open":       fakeBrowser, // and on macOS
		"my-browser": fakeBrowser, // for --browser
	})
}

// TestScript runs the scripts in testdata/script, each against mcp-bridge as a process of its own.
// See the README there. With UPDATE_SCRIPTS=1 in the environment, the files that cmp compares
// with are rewritten.
func TestScript(t *testing.T) {
	bridge, err := exec.LookPath("mcp-bridge")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "../../testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Cmds:                scriptCommands,
		Setup: func(env *testscript.Env) error {
			env.Setenv("GORACE", "atexit_sleep_ms=0") // the race detector sleeps for 1 s otherwise
			env.Setenv("NEWLINE", "\n")
			env.Setenv("BRIDGE", strings.ReplaceAll(bridge, `\`, `\\`)) // as JSON has it
			env.Setenv("MCP_BRIDGE_HOME", filepath.Join(env.WorkDir, "home"))
			env.Setenv(browserOpened, filepath.Join(env.WorkDir, "browser-opened"))
			env.Setenv(browserShown, filepath.Join(env.WorkDir, "browser-shown"))
			if runtime.GOOS == "windows" {
				env.Setenv("BROWSER", "my-browser") // the system's can't be faked
			}
			env.Values[worldKey{}] = &world{}
			return nil
		},
	})
}
