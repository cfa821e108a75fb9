package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"mcp-bridge": main,
		"converse":   func() { os.Exit(converse(os.Args[1], os.Args[2:])) },
	})
}

// TestScript runs the scripts in testdata/script, each against mcp-bridge as a process of its own.
// See the README there. With UPDATE_SCRIPTS=1 in the environment, the files that cmp compares
// with are rewritten.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "../../testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Cmds:                scriptCommands,
		Setup: func(env *testscript.Env) error {
			env.Setenv("GORACE", "atexit_sleep_ms=0") // the race detector sleeps for 1 s otherwise
			env.Setenv("NEWLINE", "\n")
			env.Values[worldKey{}] = &world{}
			return nil
		},
	})
}
