package bridgetest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// What a modern server has, as the members of its results.
const (
	discovered = `"capabilities":{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"subscribe":true,"listChanged":true},"completions":{},"logging":{}}` +
		`,"instructions":"Ask, and be answered."`

	promptsList = `"prompts":[{"name":"greet","description":"Greets somebody","arguments":[{"name":"name","required":true}]}]`

	resourcesList = `"resources":[{"uri":"test://a","name":"a","mimeType":"text/plain"},{"uri":"test://b/ö","name":"b","mimeType":"text/plain"}]`

	templatesList = `"resourceTemplates":[{"uriTemplate":"test://{name}","name":"any"}]`

	// cacheable are the hints that go with lists and the like (spec 5.13).
	cacheable = `,"ttlMs":60000,"cacheScope":"public"`

	routeTool = `{"name":"route","description":"Gives all arguments back as they came; some travel in headers as well","inputSchema":{"type":"object","properties":{` +
		`"region":{"type":"string","x-mcp-header":"Region"},"priority":{"type":"integer","x-mcp-header":"Priority"},"urgent":{"type":"boolean","x-mcp-header":"Urgent"},` +
		`"method":{"type":"string","x-mcp-header":"Method"},"target":{"type":"object","properties":{"zone":{"type":"string","x-mcp-header":"Zone"}}}}}}`
)

// modernTools are those of a server with a handshake, and one for headers.
var modernTools = strings.TrimSuffix(strings.TrimPrefix(toolsList, "{"), "]}") + "," + routeTool + "]"

// resources are the contents of the resources, by URI.
var resources = map[string]string{"test://a": "resource a", "test://b/ö": "resource b"}

// complete returns the member "result" of an answer, given the result's own members.
func complete(members string) string {
	if members != "" {
		members = "," + members
	}
	return `"result":{"resultType":"complete","_meta":{"` + metaServerInfo + `":{"name":"bridgetest","version":"1.0.0"}}` + members + `}`
}

// callModern runs a tool. What a tool does without asking it does as for any other client.
func (s *Server) callModern(y *reply, p *modernParams) string {
	switch {
	case p.Name == "ask":
		return s.askModern(y.r, p)
	case p.Name == "route":
		arguments := p.Arguments
		if arguments == nil {
			arguments = json.RawMessage("{}")
		}
		return complete(`"content":[{"type":"text","text":"routed"}],"structuredContent":` + string(arguments))
	case p.Name == "count" && p.logs("info"):
		_ = y.send(`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","logger":"count","data":"counting"}}`)
	}
	member := s.call(y.r.Context(), y)
	if members, ok := strings.CutPrefix(member, `"result":{`); ok {
		return complete(strings.TrimSuffix(members, "}"))
	}
	return member
}

// logs tells whether a request wants to hear of messages of this level (spec 1.51).
func (p *modernParams) logs(level string) bool {
	levels := []string{"debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"}
	wanted := slices.Index(levels, p.text(metaLogLevel))
	return wanted >= 0 && wanted <= slices.Index(levels, level)
}

// elicits tells whether the client has said that its user can be asked by a form (spec 5.42).
func (p *modernParams) elicits() bool {
	var capabilities struct {
		Elicitation map[string]json.RawMessage `json:"elicitation"`
	}
	_ = json.Unmarshal(p.Meta[metaCapabilities], &capabilities) // was read before
	form := capabilities.Elicitation["form"] != nil
	return form || capabilities.Elicitation != nil && len(capabilities.Elicitation) == 0
}

// askModern asks for a name by way of the answer: the client calls again with what its user said, and
// with a requestState that must come back as it went (spec 5.31 to 5.35).
func (s *Server) askModern(r *Request, p *modernParams) string {
	if p.State != nil {
		if fault := s.resumes(r, p); fault != "" {
			return rpcError(codeInvalidParams, fault)
		}
		if answer := p.Responses["name"]; answer != nil {
			return complete(`"content":[{"type":"text","text":` + quote("answered: "+string(answer)) + `}],"structuredContent":` + string(answer))
		}
	}
	s.mu.Lock()
	s.asked++
	state := fmt.Sprintf("%d <é&\"\\> \u2028=", s.asked)
	s.parked[state] = r
	s.mu.Unlock()
	return `"result":{"resultType":"input_required","inputRequests":{"name":{"method":"elicitation/create","params":{"mode":"form","message":"What is your name?",` +
		`"requestedSchema":{"type":"object","properties":{"name":{"type":"string"}},"required":["name"]}}}},"requestState":` + quote(state) + `}`
}

// resumes says what is wrong with a retry, if anything is.
func (s *Server) resumes(r *Request, p *modernParams) string {
	s.mu.Lock()
	first := s.parked[*p.State]
	delete(s.parked, *p.State)
	s.mu.Unlock()
	if first == nil {
		return "Unknown requestState: " + *p.State
	}
	var before modernParams
	_ = json.Unmarshal(first.Params, &before) // was read before
	switch {
	case string(first.ID) == string(r.ID):
		return "A retry needs an id of its own"
	case string(before.Arguments) != string(p.Arguments):
		return "A retry has the arguments of the first call"
	}
	return ""
}

func getPrompt(p *modernParams) string {
	var arguments struct {
		Name string `json:"name"`
	}
	_ = json.Unmarshal(p.Arguments, &arguments) // without a name nobody is greeted
	if p.Name != "greet" {
		return rpcError(codeInvalidParams, "Unknown prompt: "+p.Name)
	}
	return complete(`"messages":[{"role":"user","content":{"type":"text","text":` + quote("Hello, "+arguments.Name) + `}}]`)
}

func readResource(p *modernParams) string {
	text, ok := resources[p.URI]
	if !ok {
		return rpcErrorWith(codeInvalidParams, "Resource not found", `{"uri":`+quote(p.URI)+`}`)
	}
	return complete(`"contents":[{"uri":` + quote(p.URI) + `,"mimeType":"text/plain","text":` + quote(text) + `}]` + cacheable)
}

// completeArgument completes a name.
func completeArgument(r *Request) string {
	var params struct {
		Argument struct {
			Value string `json:"value"`
		} `json:"argument"`
	}
	_ = json.Unmarshal(r.Params, &params) // without a beginning every name fits
	values := []string{}
	for _, name := range []string{"Ada", "Adele", "Grace"} {
		if strings.HasPrefix(name, params.Argument.Value) {
			values = append(values, name)
		}
	}
	b, _ := json.Marshal(values) // strings can't fail
	return complete(fmt.Sprintf(`"completion":{"values":%s,"total":%d}`, b, len(values)))
}
