package bridge

import (
	"bytes"
	"encoding/json"
)

// The codes of the errors that the bridge itself answers with. Never one of -32000…-32099: those
// belong to servers and to the protocol (spec 2G).
const (
	codeParseError     = -32700
	codeInvalidRequest = -32600
	codeInternalError  = -32603
)

// source tells errors made here from those that a server sent (spec 2G).
const source = "mcp-bridge"

// An answerData is what the data member of an error made here says.
type answerData struct {
	Source      string `json:"source"`
	URL         string `json:"url,omitempty"`
	HTTPStatus  int    `json:"httpStatus,omitempty"`
	ContentType string `json:"contentType,omitempty"`
	Body        string `json:"body,omitempty"`       // what the server said, shortened
	RetryAfter  int    `json:"retryAfter,omitempty"` // seconds

	Supported            []string        `json:"supported,omitempty"` // protocol revisions
	Requested            string          `json:"requested,omitempty"`
	RequiredCapabilities json.RawMessage `json:"requiredCapabilities,omitempty"`
}

// errorAnswer returns a JSON-RPC error response. A nil id means that it could not be read
// (spec 1.14); the response then has none.
func errorAnswer(id []byte, code int, text string, data answerData) []byte {
	data.Source = source
	type errorObject struct {
		Code    int        `json:"code"`
		Message string     `json:"message"`
		Data    answerData `json:"data"`
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	// Neither strings nor numbers can fail to encode, and id is JSON already.
	_ = enc.Encode(struct {
		Version string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id,omitempty"`
		Error   errorObject     `json:"error"`
	}{"2.0", id, errorObject{code, text, data}})
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}
