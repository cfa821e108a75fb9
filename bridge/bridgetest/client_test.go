package bridgetest_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"

	"mcp-bridge/bridge/bridgetest"
)

// mcp-go's client knows nothing of this server: what it can use is an MCP server.
func TestForeignClient(t *testing.T) {
	for name, cfg := range map[string]bridgetest.Config{
		"zero":      {},
		"SSE":       {SSE: true},
		"stateless": {Stateless: true},
		"stream":    {Stream: true},
		"HTTP+SSE":  {HTTPSSE: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, cfg)
			c, init := connect(t, s, cfg)
			if init.ProtocolVersion != "2025-11-25" || init.ServerInfo.Name != "bridgetest" {
				t.Errorf("initialize: version %q, server %q", init.ProtocolVersion, init.ServerInfo.Name)
			}
			if err := c.Ping(t.Context()); err != nil {
				t.Errorf("ping: %v", err)
			}
			list, err := c.ListTools(t.Context(), mcp.ListToolsRequest{})
			if err != nil {
				t.Fatalf("tools/list: %v", err)
			}
			var names []string
			for _, tool := range list.Tools {
				names = append(names, tool.Name)
			}
			if want := []string{"echo", "add", "count", "ask"}; !slices.Equal(names, want) {
				t.Errorf("tools/list: got %q, want %q", names, want)
			}

			var progress []string
			arrived := make(chan struct{}, 3)
			c.OnNotification(func(n mcp.JSONRPCNotification) {
				if n.Method == "notifications/progress" {
					p := n.Params.AdditionalFields
					progress = append(progress, fmt.Sprint(p["progressToken"], " ", p["progress"], "/", p["total"]))
					arrived <- struct{}{}
				}
			})
			for _, call := range []struct {
				tool string
				args map[string]any
				want string
			}{
				{"echo", map[string]any{"text": "<&> é"}, "<&> é"},
				{"add", map[string]any{"a": 2, "b": 0.5}, "2.5"},
				{"count", map[string]any{"to": 3}, "counted to 3"},
				{"ask", nil, `answered: {"action":"accept","content":{"name":"Ada"}}`},
			} {
				if cfg.HTTPSSE && call.tool == "ask" {
					continue // this client answers no requests over HTTP+SSE; see TestAskHTTPSSE
				}
				if got := text(t, c, call.tool, call.args); got != call.want {
					t.Errorf("%s: got %q, want %q", call.tool, got, call.want)
				}
			}
			for range 3 {
				select {
				case <-arrived:
				case <-time.After(10 * time.Second):
					t.Fatal("progress is missing")
				}
			}
			if want := []string{"p1 1/3", "p1 2/3", "p1 3/3"}; !slices.Equal(progress, want) {
				t.Errorf("progress: got %q, want %q", progress, want)
			}

			_, err = c.CallTool(t.Context(), mcp.CallToolRequest{Params: mcp.CallToolParams{Name: "nonesuch"}})
			if err == nil {
				t.Error("a tool that isn't there could be called")
			}

			if want := 1; !cfg.Stateless && s.Sessions() != want {
				t.Errorf("%d sessions are alive, want %d", s.Sessions(), want)
			}
			if err := c.Close(); err != nil {
				t.Errorf("closing: %v", err)
			}
			wait(t, s, "the session's end", func() bool { return s.Sessions() == 0 })
		})
	}
}

// What Notify sends arrives at a client that listens.
func TestNotify(t *testing.T) {
	for name, cfg := range map[string]bridgetest.Config{
		// This client's GET lacks the version header that later revisions ask for.
		"stream":   {Stream: true, Versions: []string{"2025-03-26"}},
		"HTTP+SSE": {HTTPSSE: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, cfg)
			c, _ := connect(t, s, cfg)
			got := make(chan string, 1)
			c.OnNotification(func(n mcp.JSONRPCNotification) { got <- n.Method })
			wait(t, s, "a stream", func() bool { return s.Streams() == 1 })
			s.Notify(`{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`)
			select {
			case method := <-got:
				if method != "notifications/tools/list_changed" {
					t.Errorf("got %q", method)
				}
			case <-time.After(10 * time.Second):
				t.Error("nothing arrived")
			}
		})
	}
}

func newServer(t *testing.T, cfg bridgetest.Config) *bridgetest.Server {
	s := bridgetest.NewServer(cfg)
	t.Cleanup(s.Close)
	return s
}

// connect returns an initialized client of s.
func connect(t *testing.T, s *bridgetest.Server, cfg bridgetest.Config) (*client.Client, *mcp.InitializeResult) {
	t.Helper()
	var way transport.Interface
	var err error
	switch {
	case cfg.HTTPSSE:
		way, err = transport.NewSSE(s.URL())
	case cfg.Stream:
		way, err = transport.NewStreamableHTTP(s.URL(), transport.WithContinuousListening(), transport.WithHTTPLogger(slog.New(slog.DiscardHandler)))
	default:
		way, err = transport.NewStreamableHTTP(s.URL())
	}
	if err != nil {
		t.Fatal(err)
	}
	c := client.NewClient(way, client.WithLegacyProtocolOnly(), client.WithElicitationHandler(ada{}))
	t.Cleanup(func() { _ = c.Close() })
	if err := c.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	var req mcp.InitializeRequest
	req.Params.ProtocolVersion = "2025-11-25"
	req.Params.ClientInfo = mcp.Implementation{Name: "test", Version: "0"}
	init, err := c.Initialize(t.Context(), req)
	if err != nil {
		t.Fatalf("initialize: %v", err)
	}
	return c, init
}

// text calls a tool with a progress token and returns the text of its result.
func text(t *testing.T, c *client.Client, tool string, args map[string]any) string {
	t.Helper()
	res, err := c.CallTool(t.Context(), mcp.CallToolRequest{Params: mcp.CallToolParams{
		Name: tool, Arguments: args, Meta: &mcp.Meta{ProgressToken: "p1"},
	}})
	if err != nil {
		t.Fatalf("%s: %v", tool, err)
	}
	if len(res.Content) != 1 {
		t.Fatalf("%s: got %d contents, want 1", tool, len(res.Content))
	}
	return res.Content[0].(mcp.TextContent).Text
}

// ada answers every question with her name.
type ada struct{}

func (ada) Elicit(context.Context, mcp.ElicitationRequest) (*mcp.ElicitationResult, error) {
	return &mcp.ElicitationResult{ElicitationResponse: mcp.ElicitationResponse{
		Action: mcp.ElicitationResponseActionAccept, Content: map[string]any{"name": "Ada"},
	}}, nil
}

// wait fails the test if cond doesn't become true.
func wait(t *testing.T, s *bridgetest.Server, what string, cond func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := s.Wait(ctx, cond); err != nil {
		t.Fatalf("waiting for %s: %v", what, err)
	}
}
