package main

import (
	"encoding/json"
	"os"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdHosted does what a host does with an entry of its file, which has to be JSON, and has a
// conversation with the program. See converse.
//
//	hosted CONVERSATION FILE NAME
func cmdHosted(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: hosted CONVERSATION FILE NAME")
	}
	var file struct {
		Servers map[string]struct {
			Command string            `json:"command"`
			Args    []string          `json:"args"`
			Env     map[string]string `json:"env"`
		} `json:"mcpServers"`
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[1])), &file))
	entry, ok := file.Servers[args[2]]
	if !ok {
		ts.Fatalf("there is no entry %q", args[2])
	}
	for name, value := range entry.Env {
		ts.Setenv(name, value)
		defer ts.Setenv(name, "")
	}
	cmdTalk(ts, false, append([]string{args[0], entry.Command}, entry.Args...))
}

// cmdFill puts the server's URL in the place of $SERVER in a file.
//
//	fill FILE
func cmdFill(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: fill FILE")
	}
	text := strings.ReplaceAll(ts.ReadFile(args[0]), "$SERVER", ts.Getenv("SERVER"))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}
