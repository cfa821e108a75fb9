package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"
)

// inspectCommand returns the command that shows what a server offers, and tries it.
func inspectCommand() *cobra.Command {
	var o options
	i := &inspection{}
	cmd := &cobra.Command{
		Use:   "inspect URL [call TOOL NAME=VALUE... | read URI | prompt NAME NAME=VALUE...]",
		Short: "Show what a server offers, or call a tool",
		Long: `Connect to the server at URL as the relay does, and show what it offers to a host: its tools with their
parameters, prompts and resources.

  inspect URL call TOOL NAME=VALUE...     call a tool and print its result
  inspect URL read URI                    read a resource
  inspect URL prompt NAME NAME=VALUE...   get a prompt

A VALUE is what the tool's parameter asks for: text as it is, a number, true or false, or JSON for an
array or an object. NAME:=JSON is JSON in any case, and {"name":"value"} is all parameters at once.
The exit code is 1 if the tool says that it failed.`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: completeName,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.complete(cmd, args[:min(len(args), 1)]); err != nil {
				return err
			}
			act, err := i.action(args[1:])
			if err != nil {
				return usageError{err}
			}
			i.out, i.stderr = cmd.OutOrStdout(), cmd.ErrOrStderr()
			if isTerminal(cmd.InOrStdin()) && isTerminal(i.stderr) {
				i.person = &questioner{bufio.NewReader(cmd.InOrStdin()), i.stderr}
			}
			return i.run(cmd.Context(), &o, act)
		},
	}
	o.register(cmd.Flags())
	cmd.Flags().BoolVar(&i.json, "json", false, "print JSON, as the server sends it")
	completeFlags(cmd)
	shareUsage(cmd)
	return cmd
}

// An inspection is one look at a server.
type inspection struct {
	json        bool
	out, stderr io.Writer
	host        *innerHost
	progress    *progressLine // nil where nobody would see it
	person      *questioner   // nil where there is nobody to ask
	filtered    bool          // some tools may be withheld
}

// action returns what the words behind the URL ask for.
func (i *inspection) action(words []string) (func() error, error) {
	if len(words) == 0 {
		return i.overview, nil
	}
	verb, words := words[0], words[1:]
	switch verb {
	case "call":
		if len(words) == 0 {
			return nil, errors.New("call needs the name of a tool")
		}
		return func() error { return i.call(words[0], words[1:]) }, nil
	case "read":
		if len(words) != 1 {
			return nil, errors.New("read needs the URI of one resource")
		}
		return func() error { return i.read(words[0]) }, nil
	case "prompt":
		if len(words) == 0 {
			return nil, errors.New("prompt needs the name of a prompt")
		}
		return func() error { return i.prompt(words[0], words[1:]) }, nil
	}
	return nil, fmt.Errorf("%q is nothing that can be done with a server; call, read and prompt are", verb)
}

// run connects and acts.
func (i *inspection) run(ctx context.Context, o *options, act func() error) error {
	log, flush := newLogger(o, i.stderr)
	defer flush()
	return withServer(ctx, o, log, func(h *innerHost) error {
		i.host, i.filtered = h, o.policy.any()
		h.heard = i.heard
		return act()
	})
}

// withServer connects to the server that o names, as the relay does, and has use talk to it.
func withServer(ctx context.Context, o *options, log *slog.Logger, use func(*innerHost) error) error {
	cfg, done, err := o.connection(log)
	if err != nil {
		return err
	}
	defer done()
	host := startInnerHost(ctx, cfg)
	err = use(host)
	switch ended := host.close(); {
	case errors.Is(err, errInterrupted):
		return errInterrupted
	case ended != nil: // by itself; what else went wrong comes from that
		return errors.New(explain(ended))
	}
	return err
}

// heard takes what comes while an answer is awaited.
func (i *inspection) heard(m *hostMessage) error {
	switch {
	case m.Method == "notifications/progress":
		i.progress.take(m.Params)
	case m.ID == nil:
	case m.Method == "elicitation/create":
		return i.elicit(m)
	case m.Method == "ping":
		return i.host.send(`{"jsonrpc":"2.0","id":` + string(m.ID) + `,"result":{}}`)
	default:
		return i.host.send(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"error":{"code":%d,"message":"mcp-bridge inspect does not do this"}}`, m.ID, codeMethodNotFound))
	}
	return nil
}

// elicit answers a question of the server's: as the person at the terminal does, or if there is none by
// declining.
func (i *inspection) elicit(m *hostMessage) error {
	var asks struct {
		Message         string
		RequestedSchema json.RawMessage
	}
	_ = json.Unmarshal(m.Params, &asks) // what can't be read asks nothing
	i.progress.pause(true)
	defer i.progress.pause(false)
	answer := elicitation{Action: "decline"}
	if i.person == nil {
		fmt.Fprintf(i.stderr, "mcp-bridge: the server asks %q, which is declined: there is nobody to ask\n", oneLine(asks.Message))
	} else {
		answered := make(chan elicitation, 1)
		// Ends with the answer, or with the program: there is no way to interrupt a terminal's Read.
		go func() { answered <- i.person.ask(asks.Message, asks.RequestedSchema) }()
		select {
		case answer = <-answered:
		case <-i.host.ctx.Done():
			answer.Action = "cancel"
		}
	}
	result, err := encodeJSON(answer)
	if err != nil {
		return err
	}
	return i.host.send(`{"jsonrpc":"2.0","id":` + string(m.ID) + `,"result":` + string(result) + `}`)
}

// An overviewJSON is what --json prints of a server.
type overviewJSON struct {
	Server    json.RawMessage   `json:"server"` // the result of initialize
	Tools     []json.RawMessage `json:"tools"`
	Prompts   []json.RawMessage `json:"prompts"`
	Resources []json.RawMessage `json:"resources"`
	Templates []json.RawMessage `json:"resourceTemplates"`
}

// overview shows what there is.
func (i *inspection) overview() error {
	var all overviewJSON
	var err error
	if all.Server, err = i.host.initialize(); err != nil {
		return err
	}
	var server serverInfo
	if err := json.Unmarshal(all.Server, &server); err != nil {
		return fmt.Errorf("the server's answer to initialize can't be read: %w", err)
	}
	for _, list := range []struct {
		capability, method, member string
		into                       *[]json.RawMessage
	}{
		{"tools", "tools/list", "tools", &all.Tools},
		{"prompts", "prompts/list", "prompts", &all.Prompts},
		{"resources", "resources/list", "resources", &all.Resources},
		{"resources", "resources/templates/list", "resourceTemplates", &all.Templates},
	} {
		*list.into = []json.RawMessage{}
		if _, has := server.Capabilities[list.capability]; !has {
			continue
		}
		if *list.into, err = i.host.list(list.method, list.member); err != nil {
			return fmt.Errorf("listing the server's %s: %w", list.member, err)
		}
	}
	if i.json {
		return i.printJSON(all)
	}
	showServer(i.out, &server)
	showList(i.out, "tools", all.Tools, showTool)
	showList(i.out, "prompts", all.Prompts, showPrompt)
	showList(i.out, "resources", all.Resources, showResource)
	showList(i.out, "resource templates", all.Templates, showResource)
	return nil
}

// find returns the element of a list with this name.
func (i *inspection) find(method, member, name string) (json.RawMessage, error) {
	if _, err := i.host.initialize(); err != nil {
		return nil, err
	}
	items, err := i.host.list(method, member)
	if err != nil {
		return nil, fmt.Errorf("listing the server's %s: %w", member, err)
	}
	var names []string
	for _, item := range items {
		var named struct{ Name string }
		if json.Unmarshal(item, &named) == nil && named.Name == name {
			return item, nil
		}
		names = append(names, named.Name)
	}
	there := "there are " + shorten(strings.Join(names, ", "), 400)
	if len(names) == 0 {
		there = "there are none"
	}
	if i.filtered && member == "tools" {
		there += ", with the flags that withhold tools"
	}
	return nil, fmt.Errorf("there is no %s %q; %s", strings.TrimSuffix(member, "s"), name, there)
}

// call calls a tool.
func (i *inspection) call(name string, words []string) error {
	found, err := i.find("tools/list", "tools", name)
	if err != nil {
		return err
	}
	var tool toolInfo
	if err := json.Unmarshal(found, &tool); err != nil {
		return fmt.Errorf("the definition of the tool %q can't be read: %w", name, err)
	}
	arguments, err := toolArguments(tool.InputSchema, words)
	if err != nil {
		return usageError{fmt.Errorf("%s: %w", name, err)}
	}
	params, err := encodeJSON(map[string]any{"name": name, "arguments": arguments, "_meta": map[string]any{"progressToken": "inspect"}})
	if err != nil {
		return err
	}
	i.progress = newProgressLine(i.stderr, name)
	result, err := i.host.request("tools/call", string(params))
	i.progress.close()
	if err != nil {
		return err
	}
	var outcome toolResult
	if err := json.Unmarshal(result, &outcome); err != nil {
		return fmt.Errorf("the result of the tool %q can't be read: %w", name, err)
	}
	if i.json {
		err = i.printJSON(result)
	} else {
		showContent(i.out, outcome.Content)
		if len(outcome.Content) == 0 && outcome.StructuredContent != nil {
			err = i.printJSON(outcome.StructuredContent)
		}
	}
	if err == nil && outcome.IsError {
		err = fmt.Errorf("the tool %q says that it failed", name)
	}
	return err
}

// read reads a resource.
func (i *inspection) read(uri string) error {
	if _, err := i.host.initialize(); err != nil {
		return err
	}
	params, err := encodeJSON(map[string]string{"uri": uri})
	if err != nil {
		return err
	}
	result, err := i.host.request("resources/read", string(params))
	if err != nil {
		return err
	}
	if i.json {
		return i.printJSON(result)
	}
	var read struct{ Contents []resourceContents }
	if err := json.Unmarshal(result, &read); err != nil {
		return fmt.Errorf("the resource can't be read: %w", err)
	}
	for _, contents := range read.Contents {
		showContents(i.out, contents)
	}
	return nil
}

// prompt gets a prompt.
func (i *inspection) prompt(name string, words []string) error {
	found, err := i.find("prompts/list", "prompts", name)
	if err != nil {
		return err
	}
	var prompt promptInfo
	if err := json.Unmarshal(found, &prompt); err != nil {
		return fmt.Errorf("the definition of the prompt %q can't be read: %w", name, err)
	}
	arguments, err := promptArguments(prompt.Arguments, words)
	if err != nil {
		return usageError{fmt.Errorf("%s: %w", name, err)}
	}
	params, err := encodeJSON(map[string]any{"name": name, "arguments": arguments})
	if err != nil {
		return err
	}
	result, err := i.host.request("prompts/get", string(params))
	if err != nil {
		return err
	}
	if i.json {
		return i.printJSON(result)
	}
	var got struct {
		Messages []struct {
			Role    string
			Content content
		}
	}
	if err := json.Unmarshal(result, &got); err != nil {
		return fmt.Errorf("the prompt can't be read: %w", err)
	}
	for _, m := range got.Messages {
		fmt.Fprintf(i.out, "%s:\n", oneLine(m.Role))
		showContent(i.out, []content{m.Content})
	}
	return nil
}

func (i *inspection) printJSON(v any) error {
	encoder := json.NewEncoder(i.out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}
