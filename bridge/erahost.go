package bridge

import (
	"slices"

	"github.com/mark3labs/mcp-go/mcp"
)

// hostMeta is what a request says of the host that makes it (spec 5.01).
type hostMeta struct {
	version      string
	capabilities object
	info         []byte // raw JSON; nil: it doesn't say
	level        string
	token        []byte // for progress, raw JSON
}

// readMeta checks what a request has to say (spec 1.39, 1.40).
func readMeta(params object) (hostMeta, error) {
	meta := params.child("_meta")
	version := meta.text(mcp.MetaKeyProtocolVersion)
	switch {
	case version == "":
		return hostMeta{}, &rpcError{code: mcp.INVALID_PARAMS, text: "_meta has no " + mcp.MetaKeyProtocolVersion}
	case !slices.Contains(modernVersions, version):
		return hostMeta{version: version}, &rpcError{mcp.UNSUPPORTED_PROTOCOL_VERSION, "Unsupported protocol version", answerData{Supported: spoken(), Requested: version}}
	case meta.child(mcp.MetaKeyClientCapabilities) == nil:
		return hostMeta{}, &rpcError{code: mcp.INVALID_PARAMS, text: "_meta has no " + mcp.MetaKeyClientCapabilities}
	}
	return hostMeta{version: version, capabilities: meta.child(mcp.MetaKeyClientCapabilities), info: meta.get(mcp.MetaKeyClientInfo),
		level: meta.text(mcp.MetaKeyLogLevel), token: meta.get("progressToken")}, nil
}

// can tells whether the host that makes a request can answer a question of the server's (spec 5.32). If
// not it returns the code of the error that says so (El4).
func (h hostMeta) can(method string, params object) (int, bool) {
	switch mcp.MCPMethod(method) {
	case mcp.MethodListRoots:
		return mcp.METHOD_NOT_FOUND, h.capabilities.has("roots")
	case mcp.MethodSamplingCreateMessage:
		if params.has("tools") && !h.capabilities.child("sampling").has("tools") {
			return mcp.INVALID_PARAMS, false
		}
		return mcp.METHOD_NOT_FOUND, h.capabilities.has("sampling")
	case mcp.MethodElicitationCreate:
		elicitation := h.capabilities.child("elicitation")
		if params.text("mode") == "url" {
			return mcp.INVALID_PARAMS, elicitation.has("url")
		}
		return mcp.INVALID_PARAMS, elicitation.has("form") || elicitation != nil && !elicitation.has("url")
	}
	return mcp.METHOD_NOT_FOUND, false
}

// flatten returns capabilities as a list of what a server may ask for.
func flatten(capabilities object) []string {
	var list []string
	for _, m := range portable(capabilities) {
		switch m.key {
		case "roots":
			list = append(list, "roots")
		case "elicitation":
			e := readObject(m.value)
			if e.has("url") {
				list = append(list, "elicitation.url")
			}
			if e.has("form") || !e.has("url") {
				list = append(list, "elicitation.form")
			}
		case "extensions", "experimental", "sampling":
			list = append(list, m.key)
			for _, sub := range readObject(m.value) {
				list = append(list, m.key+"."+sub.key)
			}
		default:
			list = append(list, m.key)
		}
	}
	return list
}
