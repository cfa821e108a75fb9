package bridge

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/mark3labs/mcp-go/mcp"
)

// A Policy says which of the server's tools the host may see and call. A tool has to pass all that is
// set. One that does not is cut out of every page of tools/list, and a call of it is answered with
// an error that names the setting, and never reaches the server.
//
// A policy guards against the host and the model in it. A server can call its tools what it likes,
// and say of each that it only reads.
type Policy struct {
	// Allow, if not empty, holds the patterns of which a tool's name has to match one.
	Allow []ToolPattern

	// Ignore holds the patterns of which a tool's name must match none.
	Ignore []ToolPattern

	// ReadOnly withholds every tool that the server does not annotate with readOnlyHint. A tool
	// that is called before it was listed is looked up first.
	ReadOnly bool

	// Pins, if set, remembers the definitions of the tools. The first complete list is pinned.
	Pins Pins

	// Strict withholds the tools that are new, or changed, since they were pinned. Without it they are
	// only told of.
	Strict bool

	// Tell, if set, is called with what a person should know, each finding once. It must not block.
	Tell func(Finding)
}

// A ToolPattern matches names of tools. In it * stands for any characters, also for none, and case
// does not matter. That is the meaning of mcp-remote's --ignore-tool. The zero ToolPattern matches
// nothing.
type ToolPattern struct{ text string }

// noPattern are the characters that a pattern must not contain: whoever writes them means something
// that patterns do not have, and would match nothing, or the wrong tools.
const noPattern = "?[]{}()|^$\\!,;<>\"'`"

// ParseToolPattern checks a pattern. The error is for the person who wrote it.
func ParseToolPattern(text string) (ToolPattern, error) {
	if text == "" {
		return ToolPattern{}, errors.New("the pattern is empty")
	}
	for _, c := range text {
		switch {
		case unicode.IsSpace(c):
			return ToolPattern{}, fmt.Errorf("the pattern %q has a space in it; give each pattern a flag of its own, and write * for a space in a name", text)
		case strings.ContainsRune(noPattern, c) || !unicode.IsPrint(c):
			return ToolPattern{}, fmt.Errorf("the pattern %q has %q in it, which means nothing here; only * stands for other characters", text, c)
		}
	}
	return ToolPattern{text}, nil
}

// String returns the pattern as it was written.
func (p ToolPattern) String() string { return p.text }

// Match tells whether the pattern matches the name of a tool as a whole.
func (p ToolPattern) Match(name string) bool {
	if p.text == "" {
		return false
	}
	parts := strings.Split(strings.ToLower(p.text), "*")
	rest, ok := strings.CutPrefix(strings.ToLower(name), parts[0])
	if len(parts) == 1 {
		return ok && rest == ""
	}
	last := len(parts) - 1
	for _, part := range parts[1:last] {
		if !ok {
			return false
		}
		_, rest, ok = strings.Cut(rest, part)
	}
	return ok && strings.HasSuffix(rest, parts[last])
}

// A FindingKind is what a [Finding] is about.
type FindingKind int

const (
	PatternUnmatched FindingKind = iota // a pattern matches none of the server's tools
	ToolChanged                         // a tool is not as it was pinned
	ToolAdded                           // a tool was not there when the others were pinned
	PinsNotSaved                        // the tools could not be pinned
)

// A Finding is what a [Policy] found out about the server's tools.
type Finding struct {
	Kind     FindingKind
	Tool     string   // its name
	Members  []string // ToolChanged: the members of its definition that are not as they were
	Withheld bool     // ToolChanged, ToolAdded: the host does not get the tool
	Setting  string   // PatternUnmatched: "allow-tool" or "ignore-tool"
	Pattern  string   // PatternUnmatched
	Err      error    // PinsNotSaved
}

// The settings, as errors name them.
const (
	settingAllow    = "allow-tool"
	settingIgnore   = "ignore-tool"
	settingReadOnly = "read-only"
	settingPins     = "pin-tools"
)

// withheld returns the error that answers a call of a tool that is withheld, as if there were no such
// tool.
func withheld(tool, setting, reason string) *rpcError {
	return &rpcError{code: mcp.INVALID_PARAMS, text: fmt.Sprintf("the tool %q is withheld by the setting %s: %s", tool, setting, reason)}
}

// byName returns why a tool of this name is withheld, nil if its name is no reason.
func (p *Policy) byName(name string) *rpcError {
	for _, pattern := range p.Ignore {
		if pattern.Match(name) {
			return withheld(name, settingIgnore, fmt.Sprintf("its name matches %q", pattern))
		}
	}
	for _, pattern := range p.Allow {
		if pattern.Match(name) {
			return nil
		}
	}
	if len(p.Allow) > 0 {
		return withheld(name, settingAllow, "its name matches none of the patterns")
	}
	return nil
}

// withholdsSome tells whether there may be a tool that is withheld.
func (p *Policy) withholdsSome() bool {
	return len(p.Allow) > 0 || len(p.Ignore) > 0 || p.needsDefinition()
}

// needsDefinition tells whether a name is not enough to judge a tool.
func (p *Policy) needsDefinition() bool { return p.ReadOnly || p.Pins != nil && p.Strict }
