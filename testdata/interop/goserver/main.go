// Goserver serves the same few tools with one of the two MCP libraries for Go, on a free port of
// loopback. It prints the URL, and ends when its standard input does.
//
//	goserver mcp-go|go-sdk [REVISION...]
//
// With revisions it speaks only these. The clients of both libraries are in the folder host.
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
)

func main() {
	if len(os.Args) < 2 {
		log.Fatal("usage: goserver mcp-go|go-sdk [REVISION...]")
	}
	var handler http.Handler
	switch revisions := os.Args[2:]; os.Args[1] {
	case "mcp-go":
		handler = newMCPGo(revisions)
	case "go-sdk":
		handler = newGoSDK(revisions)
	default:
		log.Fatalf("there is no library %q", os.Args[1])
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/mcp", handler) // there, and nowhere else: clients ask for metadata elsewhere
	// Ends with the process.
	go func() { log.Fatal(http.Serve(l, mux)) }()
	fmt.Printf("http://%s/mcp\n", l.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// What the tools say and ask is the same in both, and in ts2server.mjs.
const (
	schemaNone   = `{"type":"object"}`
	schemaEcho   = `{"type":"object","properties":{"text":{"type":"string"}},"required":["text"]}`
	schemaRegion = `{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"}}}`
	schemaName   = `{"type":"object","properties":{"name":{"type":"string"}},"required":["name"]}`

	watched = "test://watched"
	static  = "test://static"
)
