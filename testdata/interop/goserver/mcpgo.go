package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// completions completes everything in the same way.
type completions struct{}

func (completions) CompletePromptArgument(context.Context, string, mcp.CompleteArgument, mcp.CompleteContext) (*mcp.Completion, error) {
	return &mcp.Completion{Values: []string{"Ada", "Alan"}, Total: 2}, nil
}

func newMCPGo(revisions []string) http.Handler {
	s := server.NewMCPServer("mcp-go", "1.2.1", server.WithInstructions("Be kind"),
		server.WithToolCapabilities(true), server.WithPromptCapabilities(true), server.WithResourceCapabilities(true, true),
		server.WithLogging(), server.WithElicitation(), server.WithRoots(),
		server.WithCompletions(), server.WithPromptCompletionProvider(completions{}))
	s.EnableSampling()
	tool := func(name, schema string, call server.ToolHandlerFunc) {
		s.AddTool(mcp.NewToolWithRawSchema(name, "", json.RawMessage(schema)), call)
	}
	echo := func(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return mcp.NewToolResultText(r.GetString("text", "")), nil
	}
	tool("echo", schemaEcho, echo)
	tool("header", schemaRegion, func(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return mcp.NewToolResultText("region=" + r.GetString("region", "")), nil
	})
	tool("fail", schemaNone, func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return mcp.NewToolResultError("no luck"), nil
	})
	tool("progress", schemaNone, func(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		for i := 1; i <= 3 && r.Params.Meta != nil && r.Params.Meta.ProgressToken != nil; i++ {
			_ = s.SendNotificationToClient(ctx, "notifications/progress", map[string]any{
				"progressToken": r.Params.Meta.ProgressToken, "progress": i, "total": 3,
			})
		}
		return mcp.NewToolResultText("done"), nil
	})
	tool("log", schemaNone, func(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		for _, level := range []mcp.LoggingLevel{"debug", "warning"} {
			_ = s.SendLogMessageToClient(ctx, mcp.NewLoggingMessageNotification(level, "l", "a "+string(level)))
		}
		return mcp.NewToolResultText("logged"), nil
	})
	tool("wait", schemaNone, func(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	tool("change", schemaNone, func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		tool("echo", schemaEcho, echo)
		return mcp.NewToolResultText("changed"), nil
	})
	tool("touch", schemaNone, func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		s.SendNotificationToAllClients(string(mcp.MethodNotificationResourceUpdated), map[string]any{"uri": watched})
		return mcp.NewToolResultText("touched"), nil
	})
	tool("ask", schemaNone, func(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		if e := server.ElicitationResponse(r.Params.InputResponses, "name"); e != nil {
			return mcp.NewToolResultText(fmt.Sprintf("%s %v", e.Action, nameIn(e))), nil
		}
		return server.NewInputRequestBuilder("").Elicit("name", elicit("Who?")).ToolResult(), nil
	})
	tool("ask-all", schemaNone, func(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		in := r.Params.InputResponses
		e, m, roots := server.ElicitationResponse(in, "name"), server.SamplingResponse(in, "sample"), server.RootsResponse(in, "roots")
		if e != nil && m != nil && roots != nil {
			return mcp.NewToolResultText(fmt.Sprintf("%v, %s, %d roots", nameIn(e), textIn(m.Content), len(roots.Roots))), nil
		}
		return server.NewInputRequestBuilder("all").Elicit("name", elicit("Who?")).Sample("sample", mcp.CreateMessageParams{
			MaxTokens: 5, Messages: []mcp.SamplingMessage{{Role: mcp.RoleUser, Content: mcp.NewTextContent("Hi")}},
		}).Roots("roots").ToolResult(), nil
	})
	tool("rounds", schemaNone, func(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		said := func(key string) string {
			if e := server.ElicitationResponse(r.Params.InputResponses, key); e != nil {
				return fmt.Sprint(nameIn(e))
			}
			return ""
		}
		first, second := strings.CutPrefix(r.Params.RequestState, "2:")
		switch {
		case second:
			return mcp.NewToolResultText(first + " and " + said("second")), nil
		case r.Params.RequestState == "1":
			return server.NewInputRequestBuilder("2:"+said("first")).Elicit("second", elicit("Second?")).ToolResult(), nil
		}
		return server.NewInputRequestBuilder("1").Elicit("first", elicit("First?")).ToolResult(), nil
	})

	read := func(_ context.Context, r mcp.ReadResourceRequest) ([]mcp.ResourceContents, error) {
		return []mcp.ResourceContents{mcp.TextResourceContents{URI: r.Params.URI, MIMEType: "text/plain", Text: "text of " + r.Params.URI}}, nil
	}
	s.AddResource(mcp.NewResource(static, "static"), read)
	s.AddResource(mcp.NewResource(watched, "watched"), read)
	s.AddResourceTemplate(mcp.NewResourceTemplate("test://template/{id}", "template"), read)
	s.AddPrompt(mcp.NewPrompt("greet", mcp.WithArgument("name", mcp.RequiredArgument())),
		func(_ context.Context, r mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
			return mcp.NewGetPromptResult("", []mcp.PromptMessage{mcp.NewPromptMessage(mcp.RoleUser, mcp.NewTextContent("Hello "+r.Params.Arguments["name"]))}), nil
		})
	return server.NewStreamableHTTPServer(s, server.WithStreamableHTTPProtocolVersions(revisions...))
}

func elicit(message string) mcp.ElicitationParams {
	return mcp.ElicitationParams{Mode: mcp.ElicitationModeForm, Message: message, RequestedSchema: json.RawMessage(schemaName)}
}

func nameIn(e *mcp.ElicitationResult) any {
	content, _ := e.Content.(map[string]any)
	return content["name"]
}

func textIn(content any) string {
	var text struct{ Text string }
	raw, _ := json.Marshal(content)
	_ = json.Unmarshal(raw, &text) // another kind of content has no text
	return text.Text
}
