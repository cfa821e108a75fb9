package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// What a server says of itself, as far as it is shown to a person.
type (
	serverInfo struct {
		ProtocolVersion string
		Capabilities    map[string]json.RawMessage
		ServerInfo      struct{ Name, Title, Version string }
		Instructions    string
	}
	toolInfo struct {
		Name, Title, Description string
		InputSchema              json.RawMessage
		Annotations              struct {
			ReadOnlyHint    bool
			DestructiveHint *bool
		}
	}
	promptInfo struct {
		Name, Title, Description string
		Arguments                []promptArgument
	}
	promptArgument struct {
		Name, Description string
		Required          bool
	}
	resourceInfo struct {
		URI, URITemplate, Name, Title, Description, MimeType string
	}
	toolResult struct {
		Content           []content
		StructuredContent json.RawMessage
		IsError           bool
	}
	content struct {
		Type, Text, Data, MimeType, URI, Name string
		Resource                              resourceContents
	}
	resourceContents struct{ URI, MimeType, Text, Blob string }
)

func showServer(out io.Writer, s *serverInfo) {
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(out, "%-14s%s\n", name, oneLine(value))
		}
	}
	row("server", strings.TrimSpace(s.ServerInfo.Name+" "+s.ServerInfo.Version))
	row("title", s.ServerInfo.Title)
	row("protocol", s.ProtocolVersion)
	row("capabilities", capabilitiesText(s.Capabilities))
	if s.Instructions != "" {
		fmt.Fprintln(out, "\ninstructions")
		showText(out, s.Instructions, "  ")
	}
}

// capabilitiesText lists capabilities with what is said of each, such as "tools (listChanged)".
func capabilitiesText(capabilities map[string]json.RawMessage) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(capabilities)) {
		var says map[string]json.RawMessage
		_ = json.Unmarshal(capabilities[name], &says) // nothing is said where it is no object
		maps.DeleteFunc(says, func(_ string, v json.RawMessage) bool { return string(v) == "false" })
		if len(says) > 0 {
			name += " (" + strings.Join(slices.Sorted(maps.Keys(says)), ", ") + ")"
		}
		all = append(all, name)
	}
	return strings.Join(all, ", ")
}

// showList shows a list if there is anything in it. An element that can't be read is shown as it is.
func showList[T any](out io.Writer, title string, items []json.RawMessage, show func(io.Writer, *T)) {
	if len(items) == 0 {
		return
	}
	fmt.Fprintf(out, "\n%s (%d)\n", title, len(items))
	for _, raw := range items {
		item := new(T)
		if json.Unmarshal(raw, item) != nil {
			fmt.Fprintf(out, "\n  %s\n", oneLine(shorten(string(raw), 400)))
			continue
		}
		show(out, item)
	}
}

func showTool(out io.Writer, t *toolInfo) {
	hint := ""
	switch d := t.Annotations.DestructiveHint; {
	case t.Annotations.ReadOnlyHint:
		hint = " (only reads)"
	case d != nil && *d:
		hint = " (may destroy)"
	}
	showHead(out, t.Name, t.Title, hint, t.Description)
	s := parseSchema(t.InputSchema, t.InputSchema)
	var rows [][4]string
	for _, name := range s.order {
		p := parseSchema(t.InputSchema, s.Properties[name])
		required := ""
		if slices.Contains(s.Required, name) {
			required = "required"
		} else if p.Default != nil {
			required = "default " + string(p.Default)
		}
		rows = append(rows, [4]string{name, p.typeText(t.InputSchema), required, p.Description})
	}
	showParameters(out, rows)
}

func showPrompt(out io.Writer, p *promptInfo) {
	showHead(out, p.Name, p.Title, "", p.Description)
	var rows [][4]string
	for _, a := range p.Arguments {
		required := ""
		if a.Required {
			required = "required"
		}
		rows = append(rows, [4]string{a.Name, "string", required, a.Description})
	}
	showParameters(out, rows)
}

func showResource(out io.Writer, r *resourceInfo) {
	hint := ""
	if r.MimeType != "" {
		hint = " (" + r.MimeType + ")"
	}
	name := r.Name
	if r.Title != "" {
		name = r.Title
	}
	showHead(out, r.URI+r.URITemplate, name, hint, r.Description)
}

// showHead shows what is said of an element as a whole.
func showHead(out io.Writer, name, title, hint, description string) {
	if title != "" && title != name {
		hint = ": " + title + hint
	}
	fmt.Fprintf(out, "\n  %s\n", oneLine(name+hint))
	showText(out, description, "    ")
}

// showParameters shows a table of names, types, whether they are required, and descriptions.
func showParameters(out io.Writer, rows [][4]string) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		for i := range row {
			row[i] = shorten(strings.Join(strings.Fields(oneLine(row[i])), " "), 200)
		}
		fmt.Fprintf(table, "      %s\n", strings.TrimRight(strings.Join(row[:], "\t"), "\t"))
	}
	_ = table.Flush() // fails only where nothing can be said any more
}

// showContent prints what a tool or a prompt gives: text as it is, and of the rest what it is.
func showContent(out io.Writer, all []content) {
	for _, c := range all {
		switch c.Type {
		case "text":
			showText(out, c.Text, "")
		case "resource":
			showContents(out, c.Resource)
		case "resource_link":
			fmt.Fprintf(out, "[resource %s]\n", oneLine(c.URI))
		default:
			fmt.Fprintf(out, "[%s]\n", oneLine(strings.TrimSpace(fmt.Sprintf("%s %s, %d bytes; --json shows all of it", c.Type, c.MimeType, base64.StdEncoding.DecodedLen(len(c.Data))))))
		}
	}
}

func showContents(out io.Writer, c resourceContents) {
	if c.Blob != "" {
		fmt.Fprintf(out, "[%s %s, %d bytes; --json shows all of it]\n", oneLine(c.URI), oneLine(c.MimeType), base64.StdEncoding.DecodedLen(len(c.Blob)))
		return
	}
	showText(out, c.Text, "")
}

// showText prints a server's text, each line behind an indent. Characters that control a terminal do not
// get to it.
func showText(out io.Writer, text, indent string) {
	text = strings.Map(func(r rune) rune {
		if isControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, text)
	if text == "" {
		return
	}
	for line := range strings.Lines(strings.TrimSuffix(text, "\n")) {
		line = strings.TrimSuffix(line, "\n")
		if line != "" {
			line = indent + line
		}
		fmt.Fprintln(out, line)
	}
}

// shorten returns at most n characters of s.
func shorten(s string, n int) string {
	if runes := []rune(s); len(runes) > n {
		return string(runes[:n-1]) + "…"
	}
	return s
}
