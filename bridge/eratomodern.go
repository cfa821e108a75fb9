package bridge

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/mark3labs/mcp-go/mcp"
)

// A toModern stands between a handshake host and a server of 2026-07-28 (spec 6B): towards the host it
// is the server, and towards the server a host that has no session and says all with each request.
type toModern struct {
	r      *relay // the host's
	inner  *relay // the server's
	server *modern

	mu           sync.Mutex
	version      string                   // of the host
	meta         object                   // what each request says of the host
	capabilities object                   // of the server; nil before
	level        []byte                   // that the host wants log messages from, raw JSON; nil: none
	asked        map[string]chan *message // questions to the host, by the key of their id
	progress     map[string]float64       // the last progress told, by token
	listening    listening
}

func newToModern(r *relay) *toModern {
	inner := r.sibling()
	inner.modern = true
	t := &toModern{r: r, inner: inner, server: newModern(inner, r.endpoint), asked: make(map[string]chan *message), progress: make(map[string]float64)}
	inner.server, inner.to = t.server, t
	return t
}

func (t *toModern) request(ctx context.Context, c *call, sent sentFunc) error {
	c.heard()           // what the server has to answer in time are the requests made here
	t.forgetProgress(c) // of one before, whose end the host may have heard of a moment ago
	defer t.forgetProgress(c)
	if row := eraRequests[mcp.MCPMethod(c.method)].toModern; row != nil {
		return row(t, ctx, c, sent)
	}
	answer, err := t.ask(ctx, c, t.params(c), sent)
	if err != nil {
		return err
	}
	return t.answer(c, answer)
}

func (t *toModern) unknown(context.Context, *call, sentFunc) error { return unknownMethod }

func (t *toModern) ping(_ context.Context, c *call, _ sentFunc) error { return t.result(c, object{}) }

// result answers a call of the host's.
func (t *toModern) result(c *call, result object) error {
	return t.r.deliver(rawResult(c.id, result.raw()), c)
}

// answer passes the server's answer on, made fit for the host's revision.
func (t *toModern) answer(c *call, answer *message) error {
	if answer.failed {
		return t.fail(c, answer)
	}
	result := readObject(answer.result)
	if kind := result.get("resultType"); kind != nil && string(plain(kind)) != "complete" { // spec 5.11, 5.30
		return &rpcError{code: codeInternalError, text: fmt.Sprintf("the server answered with a result of the type %q, which a host of %s can't take", clip(string(plain(kind)), longestExcerpt), t.version)}
	}
	return t.result(c, fitResult(c.message, result, t.version))
}

// fail passes the server's error on (spec 5.85, 6.70).
func (t *toModern) fail(c *call, answer *message) error {
	failure := readObject(answer.err)
	switch errorCode(answer) {
	case mcp.MISSING_REQUIRED_CLIENT_CAPABILITY:
		names := required(failure.child("data").child("requiredCapabilities"))
		text := fmt.Sprintf("the server requires the client capability %s, which this host did not declare", strings.Join(names, ", "))
		if slices.Contains(names, tasksExtension) { // the one that is withheld (spec 6.71)
			text = fmt.Sprintf("the server requires %s, which mcp-bridge does not support for a host of %s", tasksExtension, t.version)
		}
		return t.giveUp(c, clip(text, longestExcerpt))
	case mcp.UNSUPPORTED_PROTOCOL_VERSION: // spec 6.73
		t.r.fail(ErrSessionChanged)
		return &rpcError{code: codeInternalError, text: "the server changed its protocol revision; restart mcp-bridge in your MCP host"}
	case mcp.INVALID_PARAMS:
		if c.is(mcp.MethodResourcesRead) && failure.child("data").has("uri") {
			failure = failure.with("code", strconv.AppendInt(nil, mcp.RESOURCE_NOT_FOUND, 10))
		}
	}
	return t.r.deliver(rawError(c.id, failure.raw()), c)
}

// required returns the names of the capabilities that an error with the code -32021 names: those of
// extensions as they are, and modes with what they are modes of.
func required(capabilities object) []string {
	var names []string
	for _, m := range capabilities {
		parts := readObject(m.value)
		if len(parts) == 0 {
			names = append(names, m.key)
		}
		for _, part := range parts {
			if m.key == "extensions" {
				names = append(names, part.key)
			} else {
				names = append(names, m.key+"."+part.key)
			}
		}
	}
	return names
}

// giveUp answers a call that can't be brought to its end: a tool's as a result that says so, as a
// model can act on that.
func (t *toModern) giveUp(c *call, text string) error {
	if !c.is(mcp.MethodToolsCall) {
		return &rpcError{code: codeInternalError, text: text}
	}
	return t.result(c, toolError(text))
}

// toolError is the result of a tool call that failed.
func toolError(text string) object {
	return object{{"content", array([][]byte{textBlock(text)})}, {"isError", []byte("true")}}
}

func textBlock(text string) []byte {
	return object{{"type", []byte(`"text"`)}, {"text", quote(text)}}.raw()
}

// params returns the params of a request of the host's, with what each request of 2026-07-28 says.
func (t *toModern) params(c *call) object {
	params := readObject(c.params)
	if params == nil {
		params = object{}
	}
	if c.is(mcp.MethodToolsCall) {
		params = params.without("task") // a server that knows no tasks takes no notice of it
	}
	return t.withMeta(params)
}

func (t *toModern) withMeta(params object) object {
	meta := params.child("_meta").without(reserved...)
	t.mu.Lock()
	meta = append(meta, t.meta...)
	if t.level != nil {
		meta = append(meta, member{mcp.MetaKeyLogLevel, t.level})
	}
	t.mu.Unlock()
	return params.with("_meta", meta.raw())
}

// ask makes a request of the host's to the server, and returns the answer. A server that all of a sudden
// does not know the revision is asked for what it is, and then once more.
func (t *toModern) ask(ctx context.Context, c *call, params object, sent sentFunc) (*message, error) {
	for again := false; ; again = true {
		answer, err := t.inner.askServer(ctx, t.inner.newRequest(string(c.method), params), ask{request: t.server.request, sent: sent})
		if err != nil || again || errorCode(answer) != mcp.UNSUPPORTED_PROTOCOL_VERSION {
			return answer, err
		}
		if _, changed := t.server.probe(ctx, t.withMeta(object{}), nil); changed != nil {
			t.r.log.Debug("the server does not speak the revision any more", "error", changed)
			return answer, nil //nolint:nilerr // the server's answer is what tells (spec 6.73)
		}
	}
}

// hello is what a host says of itself on initialize, as each request of 2026-07-28 says it.
func (t *toModern) hello(c *call) {
	params := readObject(c.params)
	capabilities := portable(params.child("capabilities"))
	if capabilities == nil {
		capabilities = object{}
	}
	if capabilities.has("roots") {
		capabilities = capabilities.with("roots", []byte("{}"))
	}
	if elicitation := capabilities.child("elicitation"); elicitation != nil && len(elicitation) == 0 {
		capabilities = capabilities.with("elicitation", []byte(`{"form":{}}`))
	}
	meta := object{{mcp.MetaKeyProtocolVersion, quote(t.speaks())}, {mcp.MetaKeyClientCapabilities, capabilities.raw()}}
	if info := params.child("clientInfo"); info != nil {
		meta = append(meta, member{mcp.MetaKeyClientInfo, info.raw()})
	}
	version := params.text("protocolVersion")
	if !slices.Contains(legacyVersions, version) {
		version = legacyVersions[0] // spec 1.21
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.meta, t.version = meta, version
}

// speaks is the revision to speak with the server.
func (t *toModern) speaks() string {
	if slices.Contains(modernVersions, t.r.cfg.ProtocolVersion) {
		return t.r.cfg.ProtocolVersion
	}
	return modernVersions[0]
}

// initialize answers a host from what server/discover says.
func (t *toModern) initialize(ctx context.Context, c *call, sent sentFunc) error {
	result, err := t.discover(ctx, c, sent)
	if err != nil {
		return err
	}
	return t.result(c, result)
}

// discover returns the result of initialize. A notModernError means that the server is of the other era.
func (t *toModern) discover(ctx context.Context, c *call, sent sentFunc) (object, error) {
	t.hello(c)
	answer, err := t.server.probe(ctx, t.withMeta(object{}), sent)
	if err != nil {
		return nil, unsupported(err, mcp.INVALID_PARAMS, readObject(c.params).text("protocolVersion"))
	}
	discovered := readObject(answer.result)
	var capabilities object
	for _, m := range portable(discovered.child("capabilities")) {
		switch m.key {
		case "tools", "prompts", "resources", "completions", "logging", "experimental", "extensions":
			capabilities = append(capabilities, m)
		}
	}
	info := discovered.child("_meta").child(mcp.MetaKeyServerInfo)
	if info == nil {
		info = discovered.child("serverInfo") // spec 5.21
	}
	if info == nil {
		info = object{{"name", quote(t.r.endpoint.at.Load().Hostname())}, {"version", []byte(`""`)}}
	}
	result := object{{"protocolVersion", quote(t.version)}, {"capabilities", capabilities.raw()}, {"serverInfo", info.raw()}}
	if instructions := discovered.get("instructions"); instructions != nil {
		result = append(result, member{"instructions", instructions})
	}
	t.mu.Lock()
	t.capabilities = readObject(capabilities.raw())
	t.mu.Unlock()
	t.r.log.Info("the server is of a later era than the host, translating", "server", t.speaks(), "host", t.version)
	return result, nil
}

// offers tells whether the server declared a capability, or a member of one.
func (t *toModern) offers(path ...string) bool {
	t.mu.Lock()
	at := t.capabilities
	t.mu.Unlock()
	for _, key := range path[:len(path)-1] {
		at = at.child(key)
	}
	value := at.get(path[len(path)-1])
	return value != nil && string(value) != "null" && string(value) != "false"
}

func (t *toModern) complete(ctx context.Context, c *call, sent sentFunc) error {
	if !t.offers("completions") {
		return unknownMethod
	}
	answer, err := t.ask(ctx, c, t.params(c), sent)
	if err != nil {
		return err
	}
	return t.answer(c, answer)
}

// logLevels are the levels of log messages, the most verbose first.
var logLevels = []string{"debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"}

// setLevel keeps the level for the requests to come: there are no log messages outside of requests.
func (t *toModern) setLevel(_ context.Context, c *call, _ sentFunc) error {
	if !t.offers("logging") {
		return unknownMethod
	}
	level := readObject(c.params).get("level")
	if !slices.Contains(logLevels, string(plain(level))) {
		return &rpcError{code: mcp.INVALID_PARAMS, text: "the level must be one of " + strings.Join(logLevels, ", ")}
	}
	t.mu.Lock()
	t.level = level
	t.mu.Unlock()
	return t.result(c, object{})
}

// interactive makes a request in whose course the server may ask the host something: each time it does
// the request is made again, with the host's answers (spec 5D).
func (t *toModern) interactive(ctx context.Context, c *call, sent sentFunc) error {
	base := t.params(c).without("inputResponses", "requestState")
	params := base
	q := questions{t: t}
	for {
		answer, err := t.ask(ctx, c, params, sent)
		if err != nil {
			return err
		}
		result := readObject(answer.result)
		if answer.failed || result.text("resultType") != "input_required" {
			q.complete()
			return t.answer(c, answer)
		}
		responses, err := q.ask(ctx, result.child("inputRequests"))
		if err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return t.giveUp(c, err.Error())
		}
		params = base
		if len(responses) > 0 {
			params = params.with("inputResponses", responses.raw())
		}
		if state := result.get("requestState"); state != nil {
			params = params.with("requestState", state) // spec 5.34
		}
	}
}

// send takes a notification or a response of the host's.
func (t *toModern) send(ctx context.Context, m *message, sent sentFunc) error {
	if m.kind == response {
		t.mu.Lock()
		answer := t.asked[idKey(m.id)]
		delete(t.asked, idKey(m.id))
		t.mu.Unlock()
		if answer != nil {
			answer <- m
		}
		return nil
	}
	if special, ok := eraNotifications[mcp.MCPMethod(m.method)]; ok {
		if special != nil {
			special(t)
		} else {
			t.r.log.Debug("a notification that a server of this revision does not know is dropped", "method", string(m.method)) // spec 6.78
		}
		return nil
	}
	params := readObject(m.params)
	if params == nil {
		params = object{}
	}
	return t.server.send(ctx, built(rawNotification(string(m.method), t.withMeta(params).raw())), sent)
}

// fromServer passes a notification on to the host.
func (t *toModern) fromServer(m *message, via *call) {
	params := readObject(m.params)
	switch {
	case t.takes(m, via):
		return
	case m.is(mcp.MethodNotificationCancelled): // the end of a subscription, which the host knows nothing of (spec 8.01)
		return
	case m.is(mcp.MethodNotificationProgress) && !t.progresses(params, via):
		return
	}
	if params == nil {
		t.r.out.write(m.raw)
		return
	}
	t.r.out.write(rawNotification(string(m.method), withoutMeta(params).raw()))
}

// forgetProgress makes room for a token that is used again: it is unique only among requests under way.
func (t *toModern) forgetProgress(c *call) {
	if token := progressToken(c.message); token != "" {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.progress, token)
	}
}

// progresses tells whether progress is that of the request on whose stream it came, and has grown: a
// request that is made again begins anew, but to the host it is one.
func (t *toModern) progresses(params object, via *call) bool {
	token := idKey(params.get("progressToken"))
	if via == nil || token != progressToken(via.message) {
		return false
	}
	now, err := strconv.ParseFloat(string(params.get("progress")), 64)
	t.mu.Lock()
	defer t.mu.Unlock()
	last, known := t.progress[token]
	if err != nil || known && now <= last {
		return err != nil
	}
	t.progress[token] = now
	return true
}

// progressToken returns the key of the token under which a request wants to hear of its progress, "" if
// it has none.
func progressToken(m *message) string {
	return idKey(readObject(m.params).child("_meta").get("progressToken"))
}

// cancel closes the stream of the request, which is how it is cancelled (spec 2F).
func (t *toModern) cancel(*call) bool { return false }

func (t *toModern) established(*call, string) {}

func (t *toModern) reopen(dead bool) { t.server.reopen(dead) }

func (t *toModern) close(ctx context.Context) { t.server.close(ctx) }
