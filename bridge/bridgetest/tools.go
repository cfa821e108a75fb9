package bridgetest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
)

// initialize returns the negotiated revision (spec 1.21), and the result that tells it.
func (s *Server) initialize(r *Request) (version, result string) {
	var params struct {
		ProtocolVersion string `json:"protocolVersion"`
	}
	_ = json.Unmarshal(r.Params, &params) // what can't be read is no version we have
	version = params.ProtocolVersion
	if !slices.Contains(s.handshake, version) {
		version = s.handshake[len(s.handshake)-1]
	}
	if s.cfg.Legacy != nil {
		return version, `{"protocolVersion":` + quote(version) + s.cfg.Legacy.initialize() + `}`
	}
	return version, `{"protocolVersion":` + quote(version) +
		`,"capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"bridgetest","version":"1.0.0"}}`
}

const toolsList = `{"tools":[` +
	`{"name":"echo","description":"Says the text again, and gives all arguments back as they came","inputSchema":{"type":"object","properties":{"text":{"type":"string"}}}},` +
	`{"name":"add","description":"Adds two numbers","inputSchema":{"type":"object","properties":{"a":{"type":"number"},"b":{"type":"number"}},"required":["a","b"]}},` +
	`{"name":"count","description":"Counts from 1 to a number and reports each step as progress","inputSchema":{"type":"object","properties":{"to":{"type":"integer"}},"required":["to"]}},` +
	`{"name":"ask","description":"Asks the user for a name and says what was answered","inputSchema":{"type":"object"}}]}`

// call runs a tool. It returns the member "result" or "error" of the answer.
func (s *Server) call(ctx context.Context, y *reply) string {
	var params struct {
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"`
		Meta      struct {
			ProgressToken json.RawMessage `json:"progressToken"`
		} `json:"_meta"`
	}
	var args struct {
		Text json.RawMessage `json:"text"`
		A, B float64
		To   int
	}
	if err := json.Unmarshal(y.r.Params, &params); err != nil {
		return rpcError(codeInvalidParams, "Invalid params: "+err.Error())
	}
	if params.Arguments != nil {
		if err := json.Unmarshal(params.Arguments, &args); err != nil {
			return rpcError(codeInvalidParams, "Invalid arguments: "+err.Error())
		}
	}
	switch params.Name {
	case "echo":
		// Raw in and raw out: what the client sees is what it sent, to the digit.
		text, extra := `""`, ""
		if args.Text != nil {
			text = string(args.Text)
		}
		if params.Arguments != nil {
			extra = `,"structuredContent":` + string(params.Arguments)
		}
		return `"result":{"content":[{"type":"text","text":` + text + `}]` + extra + `}`
	case "add":
		return textResult(strconv.FormatFloat(args.A+args.B, 'f', -1, 64))
	case "count":
		return count(ctx, y, args.To, params.Meta.ProgressToken)
	case "ask":
		return s.askName(ctx, y)
	}
	return rpcError(codeInvalidParams, "Unknown tool: "+params.Name)
}

// count reports progress, if the client has given a token for it.
func count(ctx context.Context, y *reply, to int, token json.RawMessage) string {
	for i := 1; i <= to && token != nil && ctx.Err() == nil; i++ {
		err := y.send(fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%s,"progress":%d,"total":%d}}`, token, i, to))
		if err != nil {
			break
		}
	}
	return textResult(fmt.Sprintf("counted to %d", to))
}

// askName asks any client, also one that hasn't said that it can be asked: its refusal has to come
// through as well.
func (s *Server) askName(ctx context.Context, y *reply) string {
	const params = `{"message":"What is your name?","requestedSchema":{"type":"object","properties":{"name":{"type":"string"}},"required":["name"]}}`
	r, err := s.ask(ctx, y.send, "elicitation/create", params)
	switch {
	case err != nil:
		return rpcError(codeInvalidRequest, "No answer: "+err.Error())
	case r.err != nil:
		return `"result":{"content":[{"type":"text","text":` + quote("refused: "+string(r.err)) + `}],"isError":true}`
	}
	return `"result":{"content":[{"type":"text","text":` + quote("answered: "+string(r.result)) + `}],"structuredContent":` + string(r.result) + `}`
}

func textResult(text string) string {
	return `"result":{"content":[{"type":"text","text":` + quote(text) + `}]}`
}
