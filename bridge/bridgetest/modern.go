package bridgetest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// firstModern is the first revision without a handshake. Revisions are dates, so they compare as
// text.
const firstModern = "2026-07-28"

// JSON-RPC error codes of 2026-07-28.
const (
	codeHeaderMismatch     = -32020
	codeMissingCapability  = -32021
	codeUnsupportedVersion = -32022
)

// The keys of params._meta that every request has to have since 2026-07-28 (spec 5.01), and the two
// that a server uses.
const (
	metaVersion      = "io.modelcontextprotocol/protocolVersion"
	metaCapabilities = "io.modelcontextprotocol/clientCapabilities"
	metaLogLevel     = "io.modelcontextprotocol/logLevel"
	metaServerInfo   = "io.modelcontextprotocol/serverInfo"
	metaSubscription = "io.modelcontextprotocol/subscriptionId"
)

// modernParams is what the server reads of a request's params since 2026-07-28.
type modernParams struct {
	Meta map[string]json.RawMessage `json:"_meta"`
	Name string                     `json:"name"`   // of a tool or a prompt
	URI  string                     `json:"uri"`    // of a resource
	Task string                     `json:"taskId"` // of the tasks extension

	Arguments     json.RawMessage            `json:"arguments"`
	Notifications json.RawMessage            `json:"notifications"`  // of subscriptions/listen
	Responses     map[string]json.RawMessage `json:"inputResponses"` // of a retry (spec 5.33)
	State         *string                    `json:"requestState"`   // likewise
}

// text returns the string under a key of _meta, "" if there is none.
func (p *modernParams) text(key string) string {
	var text string
	_ = json.Unmarshal(p.Meta[key], &text) // what is no string counts as missing
	return text
}

// isModern tells whether a message is one of 2026-07-28 or later. A server of both eras goes by what
// the message says of itself (spec 1.32, 1.33).
func (s *Server) isModern(r *Request) bool {
	if len(s.modern) == 0 || len(s.handshake) == 0 {
		return len(s.modern) > 0
	}
	var params modernParams
	_ = json.Unmarshal(r.Params, &params)
	return params.Meta[metaVersion] != nil || r.Header.Get(headerVersion) >= firstModern
}

// postModern takes a message of a client's that makes no handshake. Sessions and their header mean
// nothing to it (spec 2.43).
func (s *Server) postModern(w http.ResponseWriter, r *Request) {
	var params modernParams
	switch err := json.Unmarshal(r.Params, &params); {
	case r.Method == "": // spec 2.43
		refuse(w, http.StatusBadRequest, codeInvalidRequest, "A client sends no responses")
		return
	case r.ID == nil:
		w.WriteHeader(http.StatusAccepted) // spec 2.05
		return
	case r.ID[0] != '"' && strings.Trim(string(r.ID), "-0123456789") != "": // spec 1.09
		refuse(w, http.StatusBadRequest, codeInvalidRequest, "The id is neither a string nor an integer")
		return
	case r.Params != nil && err != nil:
		r.Fail(w, http.StatusBadRequest, codeInvalidParams, "Invalid params: "+err.Error())
		return
	}
	if s.checkMeta(w, r, &params) && checkHeaders(w, r, &params) {
		s.answerModern(w, r, &params)
	}
}

// checkMeta wants every request to say its version, in the body and in the header, and the client's
// capabilities (spec 1.39, 1.40, 2.38, 2.49).
func (s *Server) checkMeta(w http.ResponseWriter, r *Request, p *modernParams) bool {
	version, header := p.text(metaVersion), r.Header.Get(headerVersion)
	var capabilities map[string]json.RawMessage
	switch err := json.Unmarshal(p.Meta[metaCapabilities], &capabilities); {
	case r.Method == "initialize" && version == "": // spec 1.42
		var asked struct {
			ProtocolVersion string `json:"protocolVersion"`
		}
		_ = json.Unmarshal(r.Params, &asked)
		s.refuseVersion(w, r, asked.ProtocolVersion)
	case header == "":
		r.Fail(w, http.StatusBadRequest, codeHeaderMismatch, headerVersion+" is missing")
	case version == "":
		r.Fail(w, http.StatusBadRequest, codeInvalidParams, metaVersion+" is missing")
	case header != version:
		r.Fail(w, http.StatusBadRequest, codeHeaderMismatch, headerVersion+" is "+quote(header)+", and in the body "+quote(version))
	case !slices.Contains(s.modern, version):
		s.refuseVersion(w, r, version)
	case err != nil || capabilities == nil:
		r.Fail(w, http.StatusBadRequest, codeInvalidParams, metaCapabilities+" is missing, or no object")
	default:
		return true
	}
	return false
}

func (s *Server) refuseVersion(w http.ResponseWriter, r *Request, requested string) {
	r.failWith(w, http.StatusBadRequest, codeUnsupportedVersion, "Unsupported protocol version",
		`{"supported":`+s.offer()+`,"requested":`+quote(requested)+`}`)
}

// offer lists all revisions as JSON, the newest first.
func (s *Server) offer() string {
	versions := slices.Clone(s.cfg.Versions)
	slices.Sort(versions)
	slices.Reverse(versions)
	b, _ := json.Marshal(versions) // strings can't fail
	return string(b)
}

// answerModern answers a request that has all it needs.
func (s *Server) answerModern(w http.ResponseWriter, r *Request, p *modernParams) {
	y := &reply{w: w, r: r}
	var member string
	switch r.Method {
	case "server/discover":
		member = complete(`"supportedVersions":` + s.offer() + `,` + discovered + cacheable)
	case "tools/list":
		member = complete(modernTools + cacheable)
	case "tools/call":
		if p.Name == "ask" && !p.elicits() { // spec 1.48
			r.failWith(w, http.StatusBadRequest, codeMissingCapability, "The client can't be asked", `{"requiredCapabilities":{"elicitation":{"form":{}}}}`)
			return
		}
		member = s.callModern(y, p)
	case "prompts/list":
		member = complete(promptsList + cacheable)
	case "prompts/get":
		member = getPrompt(p)
	case "resources/list":
		member = complete(resourcesList + cacheable)
	case "resources/templates/list":
		member = complete(templatesList + cacheable)
	case "resources/read":
		member = readResource(p)
	case "completion/complete":
		member = completeArgument(r)
	case "subscriptions/listen":
		s.listen(w, r, p)
		return
	default: // ping and initialize among them (spec 5.70)
		r.Fail(w, http.StatusNotFound, codeMethodNotFound, "Method not found: "+r.Method) // spec 2.49
		return
	}
	if r.Context().Err() == nil {
		_ = y.finish(member)
	}
}
