package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// A questioner puts a server's questions (elicitation/create in form mode) to the person at a terminal.
type questioner struct {
	in  *bufio.Reader
	out io.Writer
}

// An elicitation is what the server is answered.
type elicitation struct {
	Action  string                     `json:"action"` // accept, decline or cancel
	Content map[string]json.RawMessage `json:"content,omitempty"`
}

// ask asks for one thing after another. An empty line leaves one out, or takes what the server
// proposes; if it is required, the whole is declined.
func (q *questioner) ask(message string, requested json.RawMessage) elicitation {
	fmt.Fprintln(q.out, "The server asks:")
	showText(q.out, message, "  ")
	fmt.Fprintln(q.out, "An empty line takes the default or leaves a value out; of a required one, it declines.")
	s := parseSchema(requested, requested)
	content := make(map[string]json.RawMessage)
	for _, name := range s.order {
		p := parseSchema(requested, s.Properties[name])
		value, err := q.one(name, p, requested, slices.Contains(s.Required, name))
		switch {
		case err == io.EOF:
			fmt.Fprintln(q.out)
			return elicitation{Action: "cancel"}
		case err != nil:
			return elicitation{Action: "decline"}
		case value != nil:
			content[name] = value
		}
	}
	fmt.Fprint(q.out, "Send this answer? (y/N): ") // there may have been nothing to type so far
	line, err := q.in.ReadString('\n')
	switch yes := strings.ToLower(strings.TrimSpace(line)); {
	case err != nil:
		fmt.Fprintln(q.out)
		return elicitation{Action: "cancel"}
	case yes != "y" && yes != "yes":
		return elicitation{Action: "decline"}
	}
	return elicitation{"accept", content}
}

// errLeftOut means that there is no value for what is required.
var errLeftOut = errors.New("left out")

// one asks for one value, again if it makes no sense. Nil means that it is left out.
func (q *questioner) one(name string, p schema, root json.RawMessage, required bool) (json.RawMessage, error) {
	about := p.typeText(root)
	if required {
		about += ", required"
	}
	if p.Default != nil {
		about += ", default " + string(p.Default)
	}
	if p.Description != "" {
		fmt.Fprintf(q.out, "  %s\n", oneLine(p.Description))
	}
	for {
		fmt.Fprintf(q.out, "  %s (%s): ", oneLine(name), oneLine(about))
		line, err := q.in.ReadString('\n')
		if err != nil {
			return nil, io.EOF
		}
		line = strings.TrimRight(line, "\r\n")
		switch {
		case line != "":
			value, err := p.value(root, line)
			if err == nil {
				return value, nil
			}
			fmt.Fprintf(q.out, "  it %s\n", err)
		case p.Default != nil:
			return p.Default, nil
		case required:
			return nil, errLeftOut
		default:
			return nil, nil
		}
	}
}
