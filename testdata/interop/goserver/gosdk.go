package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func newGoSDK(revisions []string) http.Handler {
	s := mcp.NewServer(&mcp.Implementation{Name: "go-sdk", Version: "1.8.0"}, &mcp.ServerOptions{
		Instructions:              "Be kind",
		SupportedProtocolVersions: revisions,
		Capabilities: &mcp.ServerCapabilities{
			Tools: &mcp.ToolCapabilities{ListChanged: true}, Prompts: &mcp.PromptCapabilities{ListChanged: true},
			Resources: &mcp.ResourceCapabilities{ListChanged: true, Subscribe: true},
			Logging:   &mcp.LoggingCapabilities{}, Completions: &mcp.CompletionCapabilities{},
		},
		SubscribeHandler:   func(context.Context, *mcp.SubscribeRequest) error { return nil },
		UnsubscribeHandler: func(context.Context, *mcp.UnsubscribeRequest) error { return nil },
		CompletionHandler: func(context.Context, *mcp.CompleteRequest) (*mcp.CompleteResult, error) {
			return &mcp.CompleteResult{Completion: mcp.CompletionResultDetails{Values: []string{"Ada", "Alan"}, Total: 2}}, nil
		},
	})
	tool := func(name, schema string, call mcp.ToolHandler) {
		s.AddTool(&mcp.Tool{Name: name, InputSchema: json.RawMessage(schema)}, call)
	}
	tool("echo", schemaEcho, func(_ context.Context, r *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return sdkText(sdkArgument(r, "text")), nil
	})
	tool("header", schemaRegion, func(_ context.Context, r *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return sdkText("region=" + sdkArgument(r, "region")), nil
	})
	tool("fail", schemaNone, func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		r := new(mcp.CallToolResult)
		r.SetError(errors.New("no luck"))
		return r, nil
	})
	tool("progress", schemaNone, func(ctx context.Context, r *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		for i := 1; i <= 3 && r.Params.GetProgressToken() != nil; i++ {
			_ = r.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: r.Params.GetProgressToken(), Progress: float64(i), Total: 3})
		}
		return sdkText("done"), nil
	})
	tool("log", schemaNone, func(ctx context.Context, r *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		for _, level := range []mcp.LoggingLevel{"debug", "warning"} {
			_ = r.Session.Log(ctx, &mcp.LoggingMessageParams{Level: level, Data: "a " + string(level)})
		}
		return sdkText("logged"), nil
	})
	tool("wait", schemaNone, func(ctx context.Context, _ *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	tool("change", schemaNone, func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		tool("echo", schemaEcho, func(_ context.Context, r *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return sdkText(sdkArgument(r, "text")), nil
		})
		return sdkText("changed"), nil
	})
	tool("touch", schemaNone, func(ctx context.Context, _ *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return sdkText("touched"), s.ResourceUpdated(ctx, &mcp.ResourceUpdatedNotificationParams{URI: watched})
	})
	tool("ask", schemaNone, func(_ context.Context, r *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		if e, ok := r.Params.InputResponses["name"].(*mcp.ElicitResult); ok {
			return sdkText(fmt.Sprintf("%s %v", e.Action, e.Content["name"])), nil
		}
		return &mcp.CallToolResult{InputRequests: mcp.InputRequestMap{"name": sdkElicit("Who?")}}, nil
	})
	tool("ask-all", schemaNone, func(_ context.Context, r *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		e, ok1 := r.Params.InputResponses["name"].(*mcp.ElicitResult)
		m, ok2 := r.Params.InputResponses["sample"].(*mcp.CreateMessageWithToolsResult)
		roots, ok3 := r.Params.InputResponses["roots"].(*mcp.ListRootsResult)
		if ok1 && ok2 && ok3 && len(m.Content) > 0 {
			text, _ := m.Content[0].(*mcp.TextContent)
			return sdkText(fmt.Sprintf("%v, %s, %d roots", e.Content["name"], text.Text, len(roots.Roots))), nil
		}
		return &mcp.CallToolResult{RequestState: "all", InputRequests: mcp.InputRequestMap{
			"name": sdkElicit("Who?"),
			"sample": &mcp.CreateMessageParams{MaxTokens: 5, Messages: []*mcp.SamplingMessage{
				{Role: "user", Content: &mcp.TextContent{Text: "Hi"}},
			}},
			"roots": &mcp.ListRootsParams{},
		}}, nil
	})
	tool("rounds", schemaNone, func(_ context.Context, r *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		said := func(key string) string {
			e, _ := r.Params.InputResponses[key].(*mcp.ElicitResult)
			if e == nil {
				return ""
			}
			return fmt.Sprint(e.Content["name"])
		}
		first, second := strings.CutPrefix(r.Params.RequestState, "2:")
		switch {
		case second:
			return sdkText(first + " and " + said("second")), nil
		case r.Params.RequestState == "1":
			return &mcp.CallToolResult{RequestState: "2:" + said("first"), InputRequests: mcp.InputRequestMap{"second": sdkElicit("Second?")}}, nil
		}
		return &mcp.CallToolResult{RequestState: "1", InputRequests: mcp.InputRequestMap{"first": sdkElicit("First?")}}, nil
	})

	read := func(_ context.Context, r *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
		return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{URI: r.Params.URI, MIMEType: "text/plain", Text: "text of " + r.Params.URI}}}, nil
	}
	s.AddResource(&mcp.Resource{URI: static, Name: "static"}, read)
	s.AddResource(&mcp.Resource{URI: watched, Name: "watched"}, read)
	s.AddResourceTemplate(&mcp.ResourceTemplate{URITemplate: "test://template/{id}", Name: "template"}, read)
	s.AddPrompt(&mcp.Prompt{Name: "greet", Arguments: []*mcp.PromptArgument{{Name: "name", Required: true}}},
		func(_ context.Context, r *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
			return &mcp.GetPromptResult{Messages: []*mcp.PromptMessage{{Role: "user", Content: &mcp.TextContent{Text: "Hello " + r.Params.Arguments["name"]}}}}, nil
		})
	return mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return s }, &mcp.StreamableHTTPOptions{
		Stateless: len(revisions) == 0 || revisions[0] >= "2026", PropagateRequestCancellation: true,
	})
}

func sdkText(text string) *mcp.CallToolResult {
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}
}

func sdkElicit(message string) *mcp.ElicitParams {
	return &mcp.ElicitParams{Message: message, RequestedSchema: json.RawMessage(schemaName)}
}

func sdkArgument(r *mcp.CallToolRequest, name string) string {
	var arguments map[string]any
	_ = json.Unmarshal(r.Params.Arguments, &arguments) // the schema was checked
	text, _ := arguments[name].(string)
	return text
}
