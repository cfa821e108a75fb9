package main

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

type goSDK struct {
	session *mcp.ClientSession
	// acknowledged takes the subscriptions to a resource that the server has agreed to.
	acknowledged chan struct{}
}

func (g *goSDK) connect(ctx context.Context, s server) (any, error) {
	c := mcp.NewClient(&mcp.Implementation{Name: "mcp-bridge-interop", Version: "1.0.0"}, &mcp.ClientOptions{
		Capabilities: &mcp.ClientCapabilities{
			RootsV2:     &mcp.RootCapabilities{},
			Elicitation: &mcp.ElicitationCapabilities{Form: &mcp.FormElicitationCapabilities{}, URL: &mcp.URLElicitationCapabilities{}},
		},
		CreateMessageHandler: func(context.Context, *mcp.CreateMessageRequest) (*mcp.CreateMessageResult, error) {
			return &mcp.CreateMessageResult{Role: "assistant", Model: "interop-model", StopReason: "endTurn", Content: &mcp.TextContent{Text: sample}}, nil
		},
		ElicitationHandler: func(_ context.Context, r *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			return &mcp.ElicitResult{Action: "accept", Content: elicited(r.Params.Mode, r.Params.Message, r.Params.RequestedSchema)}, nil
		},
		ToolListChangedHandler: func(_ context.Context, r *mcp.ToolListChangedRequest) {
			notify("notifications/tools/list_changed", r.Params)
		},
		ResourceUpdatedHandler: func(_ context.Context, r *mcp.ResourceUpdatedNotificationRequest) {
			notify("notifications/resources/updated", r.Params)
		},
		LoggingMessageHandler: func(_ context.Context, r *mcp.LoggingMessageRequest) { notify("notifications/message", r.Params) },
		ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) {
			notify("notifications/progress", r.Params)
		},
	})
	for _, name := range roots {
		c.AddRoots(&mcp.Root{URI: "file:///" + name, Name: name})
	}
	g.acknowledged = make(chan struct{}, 1)
	c.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, r mcp.Request) (mcp.Result, error) {
			if p, ok := r.GetParams().(*mcp.SubscriptionsAcknowledgedParams); ok && len(p.Notifications.ResourceSubscriptions) > 0 {
				g.acknowledged <- struct{}{}
			}
			return next(ctx, method, r)
		}
	})
	var t mcp.Transport = &mcp.StreamableClientTransport{Endpoint: s.url}
	if s.command != nil {
		t = &mcp.CommandTransport{Command: s.command}
	}
	var err error
	g.session, err = c.Connect(ctx, t, &mcp.ClientSessionOptions{ProtocolVersion: s.revision})
	if err != nil {
		return nil, err
	}
	return g.session.InitializeResult(), nil
}

func (g *goSDK) ask(ctx context.Context, method string, params json.RawMessage) (any, error) {
	s := g.session
	switch method {
	case "tools/list":
		return sdkAsk(ctx, s.ListTools, params)
	case "tools/call":
		return sdkAsk(ctx, s.CallTool, params)
	case "resources/list":
		return sdkAsk(ctx, s.ListResources, params)
	case "resources/templates/list":
		return sdkAsk(ctx, s.ListResourceTemplates, params)
	case "resources/read":
		return sdkAsk(ctx, s.ReadResource, params)
	case "prompts/list":
		return sdkAsk(ctx, s.ListPrompts, params)
	case "prompts/get":
		return sdkAsk(ctx, s.GetPrompt, params)
	case "completion/complete":
		return sdkAsk(ctx, s.Complete, params)
	case "logging/setLevel":
		return sdkAsk(ctx, sdkNoResult(s.SetLoggingLevel), params)
	case "resources/subscribe":
		return sdkAsk(ctx, sdkNoResult(g.subscribe), params)
	case "resources/unsubscribe":
		return sdkAsk(ctx, sdkNoResult(s.Unsubscribe), params)
	}
	return nil, errNoMethod
}

// subscribe returns when the server has agreed, which the library does not wait for with 2026-07-28.
func (g *goSDK) subscribe(ctx context.Context, p *mcp.SubscribeParams) error {
	if err := g.session.Subscribe(ctx, p); err != nil || g.session.InitializeResult().ProtocolVersion < "2026" {
		return err
	}
	select {
	case <-g.acknowledged:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g *goSDK) close() error {
	if g.session == nil { // the library has closed what it could not connect
		return nil
	}
	return g.session.Close()
}

func sdkAsk[P, R any](ctx context.Context, call func(context.Context, *P) (*R, error), params json.RawMessage) (any, error) {
	p := new(P)
	if err := json.Unmarshal(params, p); err != nil {
		return nil, err
	}
	return call(ctx, p)
}

func sdkNoResult[P any](call func(context.Context, *P) error) func(context.Context, *P) (*struct{}, error) {
	return func(ctx context.Context, p *P) (*struct{}, error) { return new(struct{}), call(ctx, p) }
}

// codeOf returns the code of an error that a server answered to either library, if that shows it.
func codeOf(err error) int64 {
	if e, ok := errors.AsType[*jsonrpc.Error](err); ok {
		return e.Code
	}
	return mcpGoCode(err)
}
