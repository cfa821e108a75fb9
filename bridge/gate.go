package bridge

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/mark3labs/mcp-go/mcp"
)

// A gate holds what passes between host and server against a [Policy]. The nil gate has no policy, and
// lets everything pass without a look at it.
type gate struct {
	policy *Policy
	log    *slog.Logger

	looking chan struct{} // holds an element while tools are being looked up

	mu     sync.Mutex
	tools  map[string]*rpcError // by the name of each tool that was listed: why it is withheld, or nil
	begun  bool                 // a first page was listed, so that the list is complete with a last one
	pinned PinnedTools          // nil until the first list is complete
	pins   PinnedTools          // what is to be pinned then
	told   map[string]bool      // findings
}

// newGate returns the gate of a policy, which may be nil.
func newGate(p *Policy, log *slog.Logger) (*gate, error) {
	if p == nil {
		return nil, nil
	}
	g := &gate{policy: p, log: log, looking: make(chan struct{}, 1),
		tools: make(map[string]*rpcError), pins: make(PinnedTools), told: make(map[string]bool)}
	if p.Pins != nil {
		var err error
		if g.pinned, err = p.Pins.Load(); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// watch makes a call that asks for tools get only those that are not withheld.
func (g *gate) watch(c *call) {
	if g != nil && c.is(mcp.MethodToolsList) {
		c.revise = func(answer *message) []byte { return g.revise(c.message, answer) }
	}
}

// drops tells whether a notification goes nowhere. A tools/call without an id is nothing that MCP
// knows, but a server might run it.
func (g *gate) drops(m *message) bool {
	if g == nil || m.kind != notification || !m.is(mcp.MethodToolsCall) || !g.policy.withholdsSome() {
		return false
	}
	g.log.Warn("the host calls a tool without an id, which is not passed on")
	return true
}

// admit returns why a call must not reach the server, nil if it may. A call that has to wait for
// that lets others pass.
func (g *gate) admit(r *relay, c *call, t *turn) error {
	if g == nil || !c.is(mcp.MethodToolsCall) || !g.policy.withholdsSome() {
		return nil
	}
	name, ok := calledTool(c.params)
	if !ok {
		return errUnnamedTool
	}
	e, _ := r.server.(*early)
	if e != nil && name == SignInTool && e.toldHost() {
		return nil // it is the bridge's own
	}
	if err := g.policy.byName(name); err != nil {
		return err
	}
	if !g.policy.needsDefinition() {
		return nil
	}
	if e != nil {
		if err := e.wait(c.ctx, false); err != nil { // there are no tools to look up yet
			return err
		}
	}
	refusal, listed := g.find(name)
	if !listed {
		if !t.wait(c.ctx) { // there is no asking before initialize is answered
			return context.Cause(c.ctx)
		}
		t.pass()
		if err := g.lookUp(r, c, name); err != nil {
			return err
		}
		refusal, listed = g.find(name)
	}
	switch {
	case !listed:
		return withheld(name, g.definitionSetting(), "it is not among the tools that the server lists")
	case refusal != nil:
		return refusal
	}
	return nil
}

// definitionSetting names the setting for which tools have to be looked up.
func (g *gate) definitionSetting() string {
	if g.policy.ReadOnly {
		return settingReadOnly
	}
	return settingPins
}

// find returns what was made of a tool when it was last listed.
func (g *gate) find(name string) (refusal *rpcError, listed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	refusal, listed = g.tools[name]
	return refusal, listed
}

var errUnnamedTool = &rpcError{code: mcp.INVALID_PARAMS,
	text: "tools/call has to name one tool, and once: else it can't be told whether the tool is allowed"}

// calledTool returns the name in the params of tools/call. There has to be one, and no second one in
// another spelling that the server might take instead.
func calledTool(params []byte) (name string, ok bool) {
	found := 0
	for _, m := range readObject(params) {
		if strings.EqualFold(m.key, "name") {
			found++
			ok = m.key == "name" && m.value[0] == '"'
			name = string(plain(m.value))
		}
	}
	return name, ok && found == 1
}

// lookUp asks the server for its tools until the one of this name is among them, or all are known. It
// does so on behalf of the call c.
func (g *gate) lookUp(r *relay, c *call, name string) error {
	select {
	case g.looking <- struct{}{}:
		defer func() { <-g.looking }()
	case <-c.ctx.Done():
		return context.Cause(c.ctx)
	}
	var cursor []byte
	for range maxPages {
		if _, listed := g.find(name); listed { // by the host meanwhile, or on the last page
			return nil
		}
		next, err := g.ask(r, c, cursor)
		switch {
		case c.ctx.Err() != nil:
			return context.Cause(c.ctx)
		case err != nil:
			return withheld(name, g.definitionSetting(), "the server's tools could not be listed: "+err.Error())
		case next == nil || bytes.Equal(next, cursor):
			return nil
		}
		cursor = next
	}
	return nil
}

// ask asks the server for one page of its tools, and returns the cursor of the next one as raw JSON, nil
// if there is none. What is on the page is kept by revise. In the era without a handshake the call says
// who is asking.
func (g *gate) ask(r *relay, behalf *call, cursor []byte) (next []byte, err error) {
	params := object{}
	if meta := readObject(behalf.params).child("_meta").without("progressToken"); len(meta) > 0 {
		params = params.with("_meta", meta.raw())
	}
	if cursor != nil {
		params = params.with("cursor", cursor)
	}
	answer, err := r.askServer(behalf.ctx, r.newRequest(string(mcp.MethodToolsList), params), ask{request: r.server.request, prepare: g.watch})
	if err != nil {
		return nil, err
	}
	page := readToolsPage(answer.raw)
	if page == nil {
		return nil, fmt.Errorf("the answer is no list of tools: %s", r.secrets.excerpt(answer.raw, ""))
	}
	return page.next, nil
}

// revise takes an answer to tools/list and returns it without the tools that are withheld, all other
// bytes as they came.
func (g *gate) revise(request, answer *message) []byte {
	page := readToolsPage(answer.raw)
	if page == nil {
		return answer.raw
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.begun = g.begun || !readObject(request.params).has("cursor")
	revised := page.without(answer.raw, g.withholds)
	if page.next == nil && g.begun {
		g.complete()
	}
	return revised
}

// withholds judges a tool by its definition, and keeps the verdict. The caller holds mu.
func (g *gate) withholds(definition []byte) bool {
	var tool struct {
		Name        *string
		Annotations json.RawMessage
	}
	if json.Unmarshal(definition, &tool) != nil || tool.Name == nil {
		return g.policy.withholdsSome() // nobody can call it, nor say what it is
	}
	name := *tool.Name
	refusal := g.policy.byName(name)
	if refusal == nil && g.policy.ReadOnly && !onlyReads(tool.Annotations) {
		refusal = withheld(name, settingReadOnly, "the server does not say that it only reads")
	}
	if g.policy.Pins != nil {
		changed := g.compare(name, PinTool(definition), refusal == nil)
		if refusal == nil {
			refusal = changed
		}
	}
	g.tools[name] = refusal
	return refusal != nil
}

// onlyReads tells whether the annotations of a tool say that it changes nothing.
func onlyReads(annotations []byte) bool {
	var says struct{ ReadOnlyHint bool }
	return annotations != nil && json.Unmarshal(annotations, &says) == nil && says.ReadOnlyHint
}

// compare holds a tool against what is pinned, and returns why it is withheld, if it is. What concerns a
// tool that is withheld anyway is of no interest. The caller holds mu.
func (g *gate) compare(name string, now PinnedTool, interesting bool) *rpcError {
	if g.pinned == nil {
		g.pins[name] = now
		return nil
	}
	if !interesting {
		return nil
	}
	f := Finding{Kind: ToolAdded, Tool: name, Withheld: g.policy.Strict}
	reason := "it was not there when the tools were pinned"
	if before, known := g.pinned[name]; known {
		f.Kind, f.Members = ToolChanged, before.Changed(now)
		reason = "the server has changed it since it was pinned: " + strings.Join(f.Members, ", ")
		if len(f.Members) == 0 {
			return nil
		}
	}
	g.tell(fmt.Sprint("tool ", name, " ", now), f)
	if !g.policy.Strict {
		return nil
	}
	return withheld(name, settingPins, reason)
}

// complete does what has to wait for the last page of the list. The caller holds mu.
func (g *gate) complete() {
	for setting, patterns := range map[string][]ToolPattern{settingAllow: g.policy.Allow, settingIgnore: g.policy.Ignore} {
		for _, pattern := range patterns {
			if !g.matches(pattern) {
				g.tell("pattern "+setting+" "+pattern.text, Finding{Kind: PatternUnmatched, Setting: setting, Pattern: pattern.text})
			}
		}
	}
	if g.policy.Pins == nil || g.pinned != nil {
		return
	}
	g.pinned, g.pins = g.pins, nil
	if err := g.policy.Pins.Save(g.pinned); err != nil {
		g.tell("pins", Finding{Kind: PinsNotSaved, Err: err})
	}
}

func (g *gate) matches(pattern ToolPattern) bool {
	for name := range g.tools {
		if pattern.Match(name) {
			return true
		}
	}
	return false
}

// tell tells of a finding, once for each key. The caller holds mu.
func (g *gate) tell(key string, f Finding) {
	if g.told[key] || g.policy.Tell == nil {
		return
	}
	g.told[key] = true
	g.policy.Tell(f)
}
