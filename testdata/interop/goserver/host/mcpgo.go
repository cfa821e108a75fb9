package main

import (
	"context"
	"encoding/json"
	"errors"
	"os/exec"

	mcpclient "github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"
)

type mcpGo struct {
	client       *mcpclient.Client
	acknowledged chan struct{}
}

func (m *mcpGo) connect(ctx context.Context, s server) (any, error) {
	var t transport.Interface
	if s.command != nil {
		t = transport.NewStdioWithOptions(s.command.Path, nil, nil,
			transport.WithCommandStderrWriter(s.command.Stderr),
			transport.WithCommandFunc(func(context.Context, string, []string, []string) (*exec.Cmd, error) {
				s.command.Stderr = nil // the library takes it
				return s.command, nil
			}))
	} else {
		var options []transport.StreamableHTTPCOption
		if s.revision != "" { // with this it knows handshakes only
			options = append(options, transport.WithContinuousListening())
		}
		http, err := transport.NewStreamableHTTP(s.url, options...)
		if err != nil {
			return nil, err
		}
		t = http
	}
	elicitation := &mcp.ElicitationCapability{Form: new(struct{}), URL: new(struct{})}
	m.client = mcpclient.NewClient(t, mcpclient.WithProtocolVersion(s.revision),
		mcpclient.WithClientCapabilities(mcp.ClientCapabilities{Elicitation: elicitation}),
		mcpclient.WithSamplingHandler(m), mcpclient.WithElicitationHandler(m), mcpclient.WithRootsHandler(m))
	m.acknowledged = make(chan struct{}, 1)
	m.client.OnNotification(func(n mcp.JSONRPCNotification) {
		if n.Method == "notifications/subscriptions/acknowledged" {
			m.acknowledged <- struct{}{}
			return
		}
		notify(n.Method, n.Params)
	})
	if err := m.client.Start(ctx); err != nil {
		return nil, err
	}
	var r mcp.InitializeRequest
	r.Params.ProtocolVersion = s.revision
	r.Params.ClientInfo = mcp.Implementation{Name: "mcp-bridge-interop", Version: "1.0.0"}
	return m.client.Initialize(ctx, r)
}

func (m *mcpGo) ask(ctx context.Context, method string, params json.RawMessage) (any, error) {
	c := m.client
	switch method {
	case "tools/list":
		return goAsk(ctx, c.ListTools, params)
	case "tools/call":
		return goAsk(ctx, c.CallTool, params)
	case "resources/list":
		return goAsk(ctx, c.ListResources, params)
	case "resources/templates/list":
		return goAsk(ctx, c.ListResourceTemplates, params)
	case "resources/read":
		return goAsk(ctx, c.ReadResource, params)
	case "prompts/list":
		return goAsk(ctx, c.ListPrompts, params)
	case "prompts/get":
		return goAsk(ctx, c.GetPrompt, params)
	case "completion/complete":
		return goAsk(ctx, c.Complete, params)
	case "logging/setLevel":
		return goAsk(ctx, goNoResult(c.SetLevel), params)
	case "resources/subscribe":
		return goAsk(ctx, goNoResult(c.Subscribe), params)
	case "resources/unsubscribe":
		return goAsk(ctx, goNoResult(c.Unsubscribe), params)
	case "subscriptions/listen":
		return nil, m.listen(params)
	}
	return nil, errNoMethod
}

// listen returns when the server has agreed; the subscription ends with the session.
func (m *mcpGo) listen(params json.RawMessage) error {
	var p mcp.SubscriptionsListenParams
	if err := json.Unmarshal(params, &p); err != nil {
		return err
	}
	ended := make(chan error, 1)
	// Ends with the session.
	go func() { ended <- m.client.Listen(context.Background(), p.Notifications) }()
	select {
	case <-m.acknowledged:
		return nil
	case err := <-ended:
		return err
	}
}

func (m *mcpGo) close() error {
	if m.client == nil {
		return nil
	}
	return m.client.Close()
}

func (*mcpGo) CreateMessage(context.Context, mcp.CreateMessageRequest) (*mcp.CreateMessageResult, error) {
	return &mcp.CreateMessageResult{
		SamplingMessage: mcp.SamplingMessage{Role: mcp.RoleAssistant, Content: mcp.NewTextContent(sample)},
		Model:           "interop-model", StopReason: "endTurn",
	}, nil
}

func (*mcpGo) Elicit(_ context.Context, r mcp.ElicitationRequest) (*mcp.ElicitationResult, error) {
	result := &mcp.ElicitationResult{ElicitationResponse: mcp.ElicitationResponse{Action: mcp.ElicitationResponseActionAccept}}
	if content := elicited(r.Params.Mode, r.Params.Message, r.Params.RequestedSchema); content != nil {
		result.Content = content
	}
	return result, nil
}

func (*mcpGo) ListRoots(context.Context, mcp.ListRootsRequest) (*mcp.ListRootsResult, error) {
	result := new(mcp.ListRootsResult)
	for _, name := range roots {
		result.Roots = append(result.Roots, mcp.Root{URI: "file:///" + name, Name: name})
	}
	return result, nil
}

func goAsk[Q, R any](ctx context.Context, call func(context.Context, Q) (*R, error), params json.RawMessage) (any, error) {
	var q Q // has a member for the params
	raw, err := json.Marshal(map[string]json.RawMessage{"params": params})
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(raw, &q); err != nil {
		return nil, err
	}
	return call(ctx, q)
}

func goNoResult[Q any](call func(context.Context, Q) error) func(context.Context, Q) (*struct{}, error) {
	return func(ctx context.Context, q Q) (*struct{}, error) { return new(struct{}), call(ctx, q) }
}

// mcpGoCode returns the code of an error that the library has put into words.
func mcpGoCode(err error) int64 {
	for known, code := range map[error]int64{
		mcp.ErrInvalidParams: mcp.INVALID_PARAMS, mcp.ErrMethodNotFound: mcp.METHOD_NOT_FOUND,
		mcp.ErrInternalError: mcp.INTERNAL_ERROR, mcp.ErrResourceNotFound: mcp.RESOURCE_NOT_FOUND,
	} {
		if errors.Is(err, known) {
			return code
		}
	}
	return 0
}
