package main

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"mcp-bridge/bridge"

	"github.com/spf13/pflag"
)

// policyOptions is what the command line and the environment say about the server's tools.
type policyOptions struct {
	allow    []bridge.ToolPattern
	ignore   []bridge.ToolPattern
	readOnly bool
	pin      string // "", pinWarn or pinStrict
}

// The values of --pin-tools.
const (
	pinWarn   = "warn"
	pinStrict = "strict"
)

// register defines the flags. --ignore-tool is mcp-remote's, with the same meaning.
func (p *policyOptions) register(fs *pflag.FlagSet) {
	*p = policyOptions{}
	fs.Func("allow-tool", "only tools whose names match PATTERN", patternInto(&p.allow))
	fs.Func("ignore-tool", "no tools whose names match PATTERN", patternInto(&p.ignore))
	fs.BoolVar(&p.readOnly, "read-only", false, "only tools that change nothing, by what the server says")
	fs.Func("pin-tools", "remember the tools, and warn when one is new or not as it was", p.setPin)
	fs.Lookup("pin-tools").NoOptDefVal = pinWarn
}

// patternInto returns a function that adds a pattern to *all.
func patternInto(all *[]bridge.ToolPattern) func(string) error {
	return func(s string) error {
		pattern, err := bridge.ParseToolPattern(s)
		if err != nil {
			return err
		}
		*all = append(*all, pattern)
		return nil
	}
}

// eachWord returns a function that calls set for each of several values with spaces between them, as a
// variable holds them.
func eachWord(set func(string) error) func(string) error {
	return func(s string) error {
		words := strings.Fields(s)
		if len(words) == 0 {
			return set("")
		}
		for _, word := range words {
			if err := set(word); err != nil {
				return err
			}
		}
		return nil
	}
}

func (p *policyOptions) setPin(s string) error {
	if s != pinWarn && s != pinStrict {
		return errors.New("must be warn or strict, as in --pin-tools=strict")
	}
	p.pin = s
	return nil
}

// any tells whether tools may be withheld, or are watched.
func (p *policyOptions) any() bool {
	return len(p.allow) > 0 || len(p.ignore) > 0 || p.readOnly || p.pin != ""
}

// toolPolicy returns which tools the host gets, nil if that is all of them.
func (o *options) toolPolicy(log *slog.Logger) (*bridge.Policy, error) {
	p := &o.policy
	if !p.any() {
		return nil, nil
	}
	policy := &bridge.Policy{Allow: p.allow, Ignore: p.ignore, ReadOnly: p.readOnly, Strict: p.pin == pinStrict,
		Tell: func(f bridge.Finding) { o.sayFinding(log, f) }}
	if p.pin != "" {
		pins, err := o.pinFile()
		if err != nil {
			return nil, err
		}
		policy.Pins = pins
	}
	return policy, nil
}

// sayFinding tells what was found out about the server's tools.
func (o *options) sayFinding(log *slog.Logger, f bridge.Finding) {
	accept := "; if that is right, " + o.commandHint("pins accept")
	if f.Withheld {
		accept = ", and is withheld" + accept
	}
	switch f.Kind {
	case bridge.PatternUnmatched:
		text := fmt.Sprintf("--%s %s matches none of the server's tools; to see their names, %s", f.Setting, f.Pattern, o.commandHint("inspect"))
		if f.Setting == "ignore-tool" { // nothing is withheld that was to be
			log.Error(text)
		} else {
			log.Warn(text)
		}
	case bridge.ToolChanged:
		log.Warn(fmt.Sprintf("the server's tool %q is not as it was pinned (%s)", f.Tool, strings.Join(f.Members, ", ")) + accept)
	case bridge.ToolAdded:
		log.Warn(fmt.Sprintf("the server's tool %q is new since the others were pinned", f.Tool) + accept)
	case bridge.PinsNotSaved:
		log.Error("the server's tools could not be pinned", "err", f.Err)
	}
}
