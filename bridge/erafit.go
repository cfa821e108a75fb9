package bridge

import (
	"fmt"

	"github.com/mark3labs/mcp-go/mcp"
)

// fitResult makes a result of 2026-07-28 fit for a host of an earlier revision (spec 5.80–5.86).
func fitResult(m *message, result object, version string) object {
	result = withoutMeta(result.without("resultType", "ttlMs", "cacheScope"))
	switch mcp.MCPMethod(m.method) {
	case mcp.MethodToolsList:
		tools := elements(result.get("tools"))
		for i, raw := range tools {
			// One that is no object fails a host's validation of the entire list (spec 5.81).
			if tool := readObject(raw); tool.has("outputSchema") && tool.child("outputSchema").text("type") != "object" {
				tools[i] = tool.without("outputSchema").raw()
			}
		}
		if tools != nil {
			result = result.with("tools", array(tools))
		}
	case mcp.MethodToolsCall:
		content := elements(result.get("content"))
		if value := result.get("structuredContent"); value != nil && readObject(value) == nil { // spec 5.82
			if result = result.without("structuredContent"); len(content) == 0 {
				content = [][]byte{textBlock(string(value))}
			}
		}
		for i := range content {
			content[i] = fitContent(content[i], version)
		}
		if content == nil {
			content = [][]byte{}
		}
		result = result.with("content", array(content))
	case mcp.MethodPromptsGet:
		messages := elements(result.get("messages"))
		for i, raw := range messages {
			if m := readObject(raw); m.has("content") {
				messages[i] = m.with("content", fitContent(m.get("content"), version)).raw()
			}
		}
		if messages != nil {
			result = result.with("messages", array(messages))
		}
	}
	return result
}

// fitContent makes a content block that a host's revision does not know into text (spec 5.86).
func fitContent(raw []byte, version string) []byte {
	block := readObject(raw)
	switch kind := block.text("type"); {
	case kind == "audio" && version < mcp.ProtocolVersion20250326:
		return textBlock(fmt.Sprintf("[audio, %s]", block.text("mimeType")))
	case kind == "resource_link" && version < mcp.ProtocolVersion20250618:
		return textBlock(fmt.Sprintf("%s: %s", block.text("name"), block.text("uri")))
	}
	return raw
}

// fitQuestion makes the params of a server's question fit for a host of an earlier revision. The error
// says why it can't be put to the host (spec 6.76).
func fitQuestion(method string, params object, version string) (object, error) {
	if params == nil {
		params = object{}
	}
	params = withoutMeta(params)
	needs := func(what, revision string) error {
		return fmt.Errorf("the server asks for %s, which needs a host that speaks %s or later; this one speaks %s", what, revision, version)
	}
	switch mcp.MCPMethod(method) {
	case mcp.MethodElicitationCreate:
		url := params.text("mode") == "url"
		switch {
		case version < mcp.ProtocolVersion20250618:
			return nil, needs("input (elicitation)", mcp.ProtocolVersion20250618)
		case url && version < mcp.ProtocolVersion20251125:
			return nil, needs("something to be done at a web page (elicitation by URL)", mcp.ProtocolVersion20251125)
		case url || version >= mcp.ProtocolVersion20251125:
			return params, nil
		}
		schema, ok := plainSchema(params.child("requestedSchema"))
		if !ok {
			return nil, needs("a choice of several values", mcp.ProtocolVersion20251125)
		}
		params = params.without("mode")
		if schema != nil {
			params = params.with("requestedSchema", schema.raw())
		}
	case mcp.MethodSamplingCreateMessage:
		if version >= mcp.ProtocolVersion20251125 {
			break
		}
		messages := elements(params.get("messages"))
		for i, raw := range messages {
			m := readObject(raw)
			if content := m.get("content"); elements(content) != nil {
				one, ok := singleContent(content)
				if !ok {
					return nil, needs("several pieces of content in one message", mcp.ProtocolVersion20251125)
				}
				messages[i] = m.with("content", one).raw()
			}
		}
		if messages != nil {
			params = params.with("messages", array(messages))
		}
	case mcp.MethodListRoots:
	default:
		return nil, fmt.Errorf("the server asks for %q, which mcp-bridge does not know", method)
	}
	return params, nil
}

// plainSchema makes the schema of a form fit for 2025-06-18: choices with titles become enumNames. It
// returns false if a property is an array, which that revision does not know.
func plainSchema(schema object) (object, bool) {
	properties := schema.child("properties")
	for i, p := range properties {
		property := readObject(p.value).without("$schema", "default")
		if property.text("type") == "array" {
			return nil, false
		}
		if choices := elements(property.get("oneOf")); choices != nil {
			var values, names [][]byte
			for _, raw := range choices {
				choice := readObject(raw)
				value, name := choice.get("const"), choice.get("title")
				if name == nil {
					name = value
				}
				values, names = append(values, value), append(names, name)
			}
			property = property.without("oneOf").with("enum", array(values)).with("enumNames", array(names))
		}
		properties[i].value = property.raw()
	}
	if properties != nil {
		schema = schema.with("properties", properties.raw())
	}
	return schema.without("$schema"), true
}

// singleContent makes an array of content blocks into one block, as revisions before 2025-11-25 have it:
// one element, or texts, which are joined.
func singleContent(raw []byte) ([]byte, bool) {
	blocks := elements(raw)
	if len(blocks) == 1 {
		return blocks[0], true
	}
	text := ""
	for i, raw := range blocks {
		block := readObject(raw)
		if block.text("type") != "text" {
			return nil, false
		}
		if i > 0 {
			text += "\n"
		}
		text += block.text("text")
	}
	return textBlock(text), true
}
