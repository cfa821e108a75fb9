package bridge_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"mcp-bridge/bridge"
)

// A peerServer is mcp-go's server with a tool for everything that crosses the bridge.
type peerServer struct {
	*server.MCPServer
	*httptest.Server
	runs    atomic.Int32  // of the tool "slow"
	started chan struct{} // receives when the tool "slow" starts
	finish  chan struct{} // closed to let it end
}

// startPeerServer serves over a transport of mcp-go's. The URL is that of its MCP or SSE endpoint.
func startPeerServer(t *testing.T, kind string) (*peerServer, string) {
	t.Helper()
	p := &peerServer{started: make(chan struct{}, 9), finish: make(chan struct{})}
	p.MCPServer = server.NewMCPServer("peer", "1.0.0", server.WithToolCapabilities(true), server.WithPromptCapabilities(true),
		server.WithResourceCapabilities(true, true), server.WithLogging(), server.WithElicitation(), server.WithRoots(), server.WithCompletions())
	p.EnableSampling()
	tool := func(name string, run func(ctx context.Context, r mcp.CallToolRequest) (string, error)) {
		p.AddTool(mcp.NewTool(name), func(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			text, err := run(ctx, r)
			if err != nil {
				return mcp.NewToolResultError(err.Error()), nil
			}
			return mcp.NewToolResultText(text), nil
		})
	}
	tool("echo", func(_ context.Context, r mcp.CallToolRequest) (string, error) { return r.GetString("text", ""), nil })
	tool("count", func(ctx context.Context, r mcp.CallToolRequest) (string, error) {
		for i := range 5 {
			if err := p.SendNotificationToClient(ctx, "notifications/progress", map[string]any{"progressToken": r.Params.Meta.ProgressToken, "progress": i}); err != nil {
				return "", err
			}
		}
		return "counted", nil
	})
	tool("sample", func(ctx context.Context, _ mcp.CallToolRequest) (string, error) {
		result, err := p.RequestSampling(ctx, mcp.CreateMessageRequest{CreateMessageParams: mcp.CreateMessageParams{
			Messages: []mcp.SamplingMessage{{Role: mcp.RoleUser, Content: mcp.NewTextContent("2 + 2?")}}, MaxTokens: 10}})
		if err != nil {
			return "", err
		}
		return fmt.Sprint(result.Model, ": ", result.Content), nil
	})
	tool("elicit", func(ctx context.Context, _ mcp.CallToolRequest) (string, error) {
		result, err := p.RequestElicitation(ctx, mcp.ElicitationRequest{Params: mcp.ElicitationParams{Message: "Name?", RequestedSchema: map[string]any{"type": "object", "properties": map[string]any{"name": map[string]any{"type": "string"}}}}})
		if err != nil {
			return "", err
		}
		return fmt.Sprint(result.Action, " ", result.Content), nil
	})
	tool("roots", func(ctx context.Context, _ mcp.CallToolRequest) (string, error) {
		result, err := p.RequestRoots(ctx, mcp.ListRootsRequest{})
		if err != nil {
			return "", err
		}
		return fmt.Sprint(result.Roots[0].URI, " ", result.Roots[0].Name), nil
	})
	tool("log", func(ctx context.Context, _ mcp.CallToolRequest) (string, error) {
		return "logged", p.SendLogMessageToClient(ctx, mcp.NewLoggingMessageNotification(mcp.LoggingLevelInfo, "peer", "hello"))
	})
	tool("slow", func(ctx context.Context, _ mcp.CallToolRequest) (string, error) {
		p.runs.Add(1)
		if err := p.SendNotificationToClient(ctx, "notifications/message", map[string]any{"level": "info", "data": "slow"}); err != nil {
			return "", err
		}
		p.started <- struct{}{}
		<-p.finish
		return "done", nil
	})
	p.AddResource(mcp.NewResource("test://a", "a"), func(context.Context, mcp.ReadResourceRequest) ([]mcp.ResourceContents, error) {
		return []mcp.ResourceContents{mcp.TextResourceContents{URI: "test://a", Text: "resource a"}}, nil
	})
	p.AddPrompt(mcp.NewPrompt("greet"), func(context.Context, mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
		return mcp.NewGetPromptResult("greets", []mcp.PromptMessage{mcp.NewPromptMessage(mcp.RoleUser, mcp.NewTextContent("hello"))}), nil
	})
	var handler http.Handler
	path, quiet := "/mcp", server.WithStreamableHTTPLogger(slog.New(slog.DiscardHandler))
	switch kind {
	case "streamable HTTP":
		handler = server.NewStreamableHTTPServer(p.MCPServer, server.WithStateful(true), quiet)
	case "streamable HTTP with events kept":
		handler = server.NewStreamableHTTPServer(p.MCPServer, server.WithStateful(true), server.WithEventStore(server.NewInMemoryEventStore()), quiet)
	case "HTTP+SSE":
		path = "/sse"
		handler = server.NewSSEServer(p.MCPServer, server.WithUseFullURLForMessageEndpoint(false))
	}
	p.Server = httptest.NewServer(handler)
	t.Cleanup(func() {
		p.CloseClientConnections()
		p.Server.Close()
	})
	return p, p.URL + path
}

// A peerHost is mcp-go's client with the bridge as its server.
type peerHost struct {
	*client.Client
	run chan error // receives what Run returned

	mu   sync.Mutex
	said []string // notifications
}

func (p *peerHost) CreateMessage(_ context.Context, r mcp.CreateMessageRequest) (*mcp.CreateMessageResult, error) {
	return &mcp.CreateMessageResult{Model: "test-model", SamplingMessage: mcp.SamplingMessage{Role: mcp.RoleAssistant, Content: mcp.NewTextContent(fmt.Sprint("4, as for ", r.Messages[0].Content))}}, nil
}

func (p *peerHost) Elicit(context.Context, mcp.ElicitationRequest) (*mcp.ElicitationResult, error) {
	return &mcp.ElicitationResult{ElicitationResponse: mcp.ElicitationResponse{Action: mcp.ElicitationResponseActionAccept, Content: map[string]any{"name": "Ada"}}}, nil
}

func (p *peerHost) ListRoots(context.Context, mcp.ListRootsRequest) (*mcp.ListRootsResult, error) {
	return &mcp.ListRootsResult{Roots: []mcp.Root{{URI: "file:///home/ada", Name: "home"}}}, nil
}

// heard returns how many notifications of a method have come.
func (p *peerHost) heard(method string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, said := range p.said {
		if strings.HasPrefix(said, method+" ") {
			n++
		}
	}
	return n
}

// startPeerHost connects mcp-go's client to a server through the bridge.
func startPeerHost(t *testing.T, url string) *peerHost {
	t.Helper()
	p := &peerHost{run: make(chan error, 1)}
	fromHost, toBridge := io.Pipe()
	fromBridge, toHost := io.Pipe()
	httpClient := &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}
	go func() { // ends with Run
		p.run <- bridge.Run(context.Background(), fromHost, toHost, bridge.Config{URL: url, HTTPClient: httpClient})
		toHost.Close()
	}()
	p.Client = client.NewClient(transport.NewIO(fromBridge, toBridge, io.NopCloser(strings.NewReader(""))),
		client.WithSamplingHandler(p), client.WithElicitationHandler(p), client.WithRootsHandler(p), client.WithLegacyProtocolOnly())
	p.OnNotification(func(n mcp.JSONRPCNotification) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.said = append(p.said, fmt.Sprint(n.Method, " ", n.Params.AdditionalFields))
	})
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	init, err := p.Initialize(t.Context(), mcp.InitializeRequest{Params: mcp.InitializeParams{ProtocolVersion: "2025-11-25", ClientInfo: mcp.Implementation{Name: "test", Version: "1"}}})
	if err != nil {
		t.Fatalf("initialize: %v", err)
	}
	if init.ServerInfo.Name != "peer" {
		t.Errorf("initialize: got server %q", init.ServerInfo.Name)
	}
	t.Cleanup(func() {
		_ = p.Close() // closes the bridge's input
		if err := <-p.run; err != nil {
			t.Errorf("Run returned %v", err)
		}
	})
	return p
}

// call runs a tool and returns its text.
func (p *peerHost) call(t *testing.T, name string, args map[string]any) string {
	t.Helper()
	r := mcp.CallToolRequest{}
	r.Params.Name, r.Params.Arguments, r.Params.Meta = name, args, &mcp.Meta{ProgressToken: "p-" + name}
	result, err := p.CallTool(t.Context(), r)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return ""
	}
	text, ok := result.Content[0].(mcp.TextContent)
	if !ok || result.IsError {
		t.Errorf("%s: got %v", name, result)
	}
	return text.Text
}

var peerServers = []string{"streamable HTTP", "streamable HTTP with events kept", "HTTP+SSE"}

// Everything that mcp-go's client and server can say to each other gets through.
func TestPeers(t *testing.T) {
	t.Parallel()
	for _, kind := range peerServers {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s, url := startPeerServer(t, kind)
			h := startPeerHost(t, url)
			want := map[string]string{"echo": "hello, wörld", "count": "counted"}
			if kind != "HTTP+SSE" { // there it can ask nothing
				want["sample"], want["elicit"], want["roots"] = "4, as for", "accept map[name:Ada]", "file:///home/ada home"
			}
			for name, want := range want {
				if got := h.call(t, name, map[string]any{"text": "hello, wörld"}); !strings.Contains(got, want) {
					t.Errorf("%s: got %q, want %q", name, got, want)
				}
			}
			progress := 5
			if kind == "streamable HTTP" {
				progress = 4 // the server can lose the one that it is about to write when the tool returns
			}
			eventually(t, "the progress comes", func() bool { return h.heard("notifications/progress") >= progress })

			if err := h.SetLevel(t.Context(), mcp.SetLevelRequest{Params: mcp.SetLevelParams{Level: mcp.LoggingLevelDebug}}); err != nil {
				t.Errorf("logging/setLevel: %v", err)
			}
			h.call(t, "log", nil)
			eventually(t, "the log message comes", func() bool { return h.heard("notifications/message") == 1 })

			tools, err := h.ListTools(t.Context(), mcp.ListToolsRequest{})
			if err != nil || len(tools.Tools) != 7 {
				t.Errorf("tools/list: got %v, %v", tools, err)
			}
			resource := mcp.ReadResourceRequest{}
			resource.Params.URI = "test://a"
			if got, err := h.ReadResource(t.Context(), resource); err != nil || fmt.Sprint(got.Contents) == "" {
				t.Errorf("resources/read: got %v, %v", got, err)
			}
			prompt := mcp.GetPromptRequest{}
			prompt.Params.Name = "greet"
			if got, err := h.GetPrompt(t.Context(), prompt); err != nil || got.Description != "greets" {
				t.Errorf("prompts/get: got %v, %v", got, err)
			}
			if _, err := h.CallTool(t.Context(), mcp.CallToolRequest{Params: mcp.CallToolParams{Name: "none"}}); err == nil || !strings.Contains(err.Error(), "none") {
				t.Errorf("an unknown tool: got error %v", err)
			}

			// A change of the server's own comes on its stream, which may not be open yet.
			eventually(t, "the server's own messages come", func() bool {
				s.AddTool(mcp.NewTool("another"), nil)
				return h.heard("notifications/tools/list_changed") > 0
			})
		})
	}
}

// Calls run side by side.
func TestPeers_ManyCalls(t *testing.T) {
	t.Parallel()
	for _, kind := range peerServers {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			_, url := startPeerServer(t, kind)
			h := startPeerHost(t, url)
			var work sync.WaitGroup
			for i := range 50 {
				work.Go(func() { // ends with the calls
					want := fmt.Sprint("text ", i)
					if kind != "HTTP+SSE" && i%2 == 0 {
						h.call(t, "elicit", nil)
					}
					if got := h.call(t, "echo", map[string]any{"text": want}); got != want {
						t.Errorf("got %q, want %q", got, want)
					}
				})
			}
			work.Wait()
		})
	}
}

// A server that keeps its events is asked for the rest when a connection breaks; the call runs once.
func TestPeers_ConnectionCut(t *testing.T) {
	t.Parallel()
	s, url := startPeerServer(t, "streamable HTTP with events kept")
	inner := s.Config.Handler
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && r.Header.Get("Last-Event-ID") == "" {
			w.WriteHeader(http.StatusMethodNotAllowed) // or the first message might take that way
			return
		}
		inner.ServeHTTP(w, r)
	})
	h := startPeerHost(t, url)
	got := make(chan string, 1)
	go func() { got <- h.call(t, "slow", nil) }() // ends with the call
	await(t, "the call starts", s.started)
	eventually(t, "its first message comes", func() bool { return h.heard("notifications/message") == 1 })
	s.CloseClientConnections()
	close(s.finish)
	select {
	case text := <-got:
		if text != "done" || s.runs.Load() != 1 {
			t.Errorf("got %q after %d runs", text, s.runs.Load())
		}
	case <-t.Context().Done():
	}
}

// A server that keeps nothing has lost the answer: the call fails, at once, and is not run again;
// the next one works.
func TestPeers_ConnectionCutForGood(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"streamable HTTP", "HTTP+SSE"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s, url := startPeerServer(t, kind)
			h := startPeerHost(t, url)
			failed := make(chan error, 1)
			go func() { // ends with the call
				_, err := h.CallTool(t.Context(), mcp.CallToolRequest{Params: mcp.CallToolParams{Name: "slow"}})
				failed <- err
			}()
			await(t, "the call starts", s.started)
			eventually(t, "its first message comes", func() bool { return h.heard("notifications/message") == 1 })
			s.CloseClientConnections()
			if err := <-failed; err == nil || !strings.Contains(err.Error(), "may have run") {
				t.Errorf("got error %v", err)
			}
			close(s.finish)
			if got := h.call(t, "echo", map[string]any{"text": "again"}); got != "again" || s.runs.Load() != 1 {
				t.Errorf("got %q; %d runs of the first call", got, s.runs.Load())
			}
		})
	}
}

// The sessions of mcp-go's server end with the bridge.
func TestPeers_SessionEnds(t *testing.T) {
	t.Parallel()
	for _, kind := range peerServers {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var methods []string
			s, url := startPeerServer(t, kind)
			inner := s.Config.Handler
			s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				methods = append(methods, r.Method)
				mu.Unlock()
				inner.ServeHTTP(w, r)
			})
			h := startPeerHost(t, url)
			h.call(t, "echo", nil)
			_ = h.Close()
			if err := <-h.run; err != nil {
				t.Errorf("Run returned %v", err)
			}
			h.run <- nil // for the clean-up
			mu.Lock()
			defer mu.Unlock()
			if want := kind != "HTTP+SSE"; slices.Contains(methods, "DELETE") != want {
				t.Errorf("the server got %q", methods)
			}
		})
	}
}
