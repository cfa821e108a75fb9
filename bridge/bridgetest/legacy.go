package bridgetest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
)

// A Legacy makes a server one that has all of what the revisions with a handshake offer: resources
// that can be subscribed to, prompts, completion, log levels, tasks, and a tool that asks the client
// whatever the call says.
type Legacy struct {
	// Capabilities replaces those that initialize tells, as JSON. "" means all that there are.
	Capabilities string

	// Instructions are those of initialize.
	Instructions string

	// Answer, if set, sees every request but initialize before the server does. It returns the
	// member "result" or "error" of the answer, or "" to leave the request to the server. It is
	// called concurrently, and has to return when the exchange's context is done.
	Answer func(x *Exchange) string
}

// An Exchange is one request while it is being answered, on whatever transport it came.
type Exchange struct {
	*Request
	ctx context.Context
	mu  sync.Mutex
	y   *reply
}

// Context is done when nobody waits for the answer any more. It is not that of the HTTP request,
// which over HTTP+SSE is long over.
func (x *Exchange) Context() context.Context { return x.ctx }

// Send sends a message ahead of the answer, on the request's own stream.
func (x *Exchange) Send(message string) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.y.send(message)
}

// Ask asks the client something on the request's own stream, and returns what came for an answer.
func (x *Exchange) Ask(method, params string) (Answer, error) {
	return x.server.answerTo(x.ctx, x.Send, method, params)
}

// Answered waits until the client has answered a request that was sent with Send, by its id as JSON.
func (x *Exchange) Answered(id string) error {
	return x.server.Wait(x.ctx, func() bool {
		for _, r := range x.server.Requests() {
			if r.Method == "" && string(r.ID) == id {
				return true
			}
		}
		return false
	})
}

// cancelled tells whether the client has cancelled the request.
func (x *Exchange) cancelled() bool {
	for _, r := range x.server.Requests() {
		var params struct{ RequestID json.RawMessage }
		_ = json.Unmarshal(r.Params, &params) // what can't be read cancels nothing
		if r.Method == "notifications/cancelled" && string(params.RequestID) == string(x.ID) {
			return true
		}
	}
	return false
}

// An Answer is what a client said to a request of the server's: one of the two, as JSON.
type Answer struct {
	Result json.RawMessage `json:"result,omitempty"`
	Error  json.RawMessage `json:"error,omitempty"`
}

// Ask asks the client something on the GET streams, where it belongs to no request.
func (s *Server) Ask(ctx context.Context, method, params string) (Answer, error) {
	return s.answerTo(ctx, func(message string) error {
		s.Notify(message)
		return nil
	}, method, params)
}

func (s *Server) answerTo(ctx context.Context, send func(string) error, method, params string) (Answer, error) {
	r, err := s.ask(ctx, send, method, params)
	if err != nil {
		return Answer{}, err
	}
	return Answer{r.result, r.err}, nil
}

// ResultMember and ErrorMember return what [Legacy.Answer] returns.
func ResultMember(result string) string { return `"result":` + result }

// ErrorMember returns an error for Legacy.Answer, with data as JSON unless it is "".
func ErrorMember(code int, message, data string) string {
	if data != "" {
		data = `,"data":` + data
	}
	return fmt.Sprintf(`"error":{"code":%d,"message":%s%s}`, code, quote(message), data)
}

const legacyCapabilities = `{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"listChanged":true,"subscribe":true},` +
	`"completions":{},"logging":{},"tasks":{"cancel":{},"requests":{"tools":{"call":{}}}},"experimental":{"x":{"n":1.0}}}`

// initialize returns the members of the result of initialize behind protocolVersion.
func (l *Legacy) initialize() string {
	capabilities := l.Capabilities
	if capabilities == "" {
		capabilities = legacyCapabilities
	}
	members := `,"capabilities":` + capabilities + `,"serverInfo":{"name":"bridgetest-legacy","version":"1.0.0","title":"Legacy"}`
	if l.Instructions != "" {
		members += `,"instructions":` + quote(l.Instructions)
	}
	return members
}

const legacyTools = `{"name":"questions","description":"Asks what the call says and tells the answers","inputSchema":{"type":"object"}},` +
	`{"name":"block","description":"Answers when it is too late: after the call was cancelled","inputSchema":{"type":"object"},"execution":{"taskSupport":"forbidden"}},` +
	`{"name":"task","description":"Runs as a task only","inputSchema":{"type":"object"},"execution":{"taskSupport":"required"}},` +
	`{"name":"maybe-task","description":"Runs as a task too","inputSchema":{"type":"object"},"execution":{"taskSupport":"optional"}}]}`

// answer returns the member "result" or "error" of the answer to a request, "" if it is nothing
// that goes beyond other servers, or l is nil.
func (l *Legacy) answer(ctx context.Context, y *reply) string {
	if l == nil || y.r.Method == "initialize" {
		return ""
	}
	x := &Exchange{Request: y.r, ctx: ctx, y: y}
	if l.Answer != nil {
		if member := l.Answer(x); member != "" || ctx.Err() != nil {
			return member
		}
	}
	var params struct {
		Name, URI, TaskID string
		Level             string
		Task              json.RawMessage
		Arguments         json.RawMessage
	}
	_ = json.Unmarshal(y.r.Params, &params) // what can't be read names nothing there is
	switch y.r.Method {
	case "logging/setLevel", "resources/subscribe", "resources/unsubscribe":
		if strings.Contains(params.URI, "refused") {
			return rpcError(codeInvalidParams, "There is no subscribing to this")
		}
		return `"result":{}`
	case "tools/list":
		return `"result":` + strings.TrimSuffix(toolsList, "]}") + "," + legacyTools
	case "prompts/list":
		return `"result":{"prompts":[{"name":"greeting"}]}`
	case "prompts/get":
		return `"result":{"messages":[{"role":"user","content":{"type":"text","text":"hello"}}]}`
	case "resources/list":
		return `"result":{"resources":[{"uri":"test://a","name":"a"}]}`
	case "resources/templates/list":
		return `"result":{"resourceTemplates":[{"uriTemplate":"test://{x}","name":"x"}]}`
	case "resources/read":
		if strings.Contains(params.URI, "nowhere") {
			return rpcError(-32002, "Resource not found") // what these revisions say
		}
		return `"result":{"contents":[{"uri":` + quote(params.URI) + `,"text":"text"}]}`
	case "completion/complete":
		return `"result":{"completion":{"values":["one","two"]}}`
	case "tasks/get", "tasks/result", "tasks/cancel":
		return l.task(y.r.Method, params.TaskID)
	case "tools/call":
		return l.call(x, params.Name, params.Task, params.Arguments)
	}
	return ""
}

func (l *Legacy) call(x *Exchange, name string, task, arguments json.RawMessage) string {
	switch {
	case name == "questions":
		return questions(x, arguments)
	case name == "block":
		_ = x.server.Wait(x.ctx, x.cancelled) // if nobody waits for the answer, there is none
		return textResult("too late")
	case name == "task" && task == nil:
		return rpcError(codeMethodNotFound, "This tool runs as a task only")
	case task != nil && (name == "task" || name == "maybe-task"):
		return `"result":{"task":` + taskState("working") + `}`
	case name == "maybe-task":
		return textResult("done without a task")
	}
	return ""
}

func taskState(status string) string {
	return `{"taskId":"T1","status":"` + status + `","createdAt":"2025-11-25T00:00:00Z","lastUpdatedAt":"2025-11-25T00:00:00Z","ttl":60000,"pollInterval":5}`
}

// task answers for the one task there is, which is done as soon as anybody asks for it.
func (l *Legacy) task(method, id string) string {
	switch {
	case id != "T1":
		return rpcError(codeInvalidParams, "There is no such task")
	case method == "tasks/get":
		return `"result":` + taskState("completed")
	case method == "tasks/cancel":
		return `"result":` + taskState("cancelled")
	}
	return `"result":{"content":[{"type":"text","text":"done as a task"}],"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"T1"}}}`
}

// questions asks the client what the arguments say, one after the other or all at once, and tells
// in structuredContent what was answered to each.
func questions(x *Exchange, arguments json.RawMessage) string {
	var args struct {
		Ask []struct {
			Method string
			Params json.RawMessage
		}
		AtOnce    bool // not one after the other
		Elsewhere bool // on the GET stream, not on that of the call
	}
	if err := json.Unmarshal(arguments, &args); err != nil {
		return rpcError(codeInvalidParams, err.Error())
	}
	ask := x.Ask
	if args.Elsewhere {
		ask = func(method, params string) (Answer, error) { return x.server.Ask(x.ctx, method, params) }
	}
	answers := make([]Answer, len(args.Ask))
	done := make(chan error, len(args.Ask))
	for i, q := range args.Ask {
		one := func() {
			params := "{}"
			if q.Params != nil {
				params = string(q.Params)
			}
			var err error
			answers[i], err = ask(q.Method, params)
			done <- err
		}
		if args.AtOnce {
			go one() // ends with the answer, or with the exchange
		} else {
			one()
		}
	}
	var failed error
	for range args.Ask { // all of them, as none may send anything afterwards
		if err := <-done; err != nil {
			failed = err
		}
	}
	if failed != nil {
		return rpcError(codeInvalidRequest, "No answer: "+failed.Error())
	}
	told, _ := json.Marshal(map[string]any{"answers": answers}) // they are JSON
	return `"result":{"content":[{"type":"text","text":"asked"}],"structuredContent":` + string(told) + `}`
}
