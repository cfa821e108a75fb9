package bridge

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/mark3labs/mcp-go/mcp"
)

// eraTexts are objects to be taken apart, for the fuzz tests to begin with.
var eraTexts = []string{
	`{}`, `null`, `[]`, `"a"`, `{"a":1,"a":2}`, `{"\u0061":1,"a":2}`, `{"a\u0000b":"\ud800"}`, `{"":null}`, "{\"\xff\":1}", `{"a":{"b":[1.0,1E400,9223372036854775807]}}`,
	`{"_meta":{"progressToken":9007199254740993,"io.modelcontextprotocol/protocolVersion":"1","x":1},"name":"n","arguments":{"h":"<&>"}}`,
	`{"_meta":null}`, `{"_meta":[]}`, `{"_meta":{},"_meta":{"a":1}}`, `{"_meta":{"io.modelcontextprotocol/logLevel":"debug","io.modelcontextprotocol/logLevel":"error"}}`,
	`{"resultType":"complete","ttlMs":1,"cacheScope":"private","content":[{"type":"text","text":"a"},{"type":"audio","mimeType":"m"},{"type":"resource_link","name":"n","uri":"u"}],"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s"}}}`,
	`{"structuredContent":[1,2],"content":[]}`, `{"structuredContent":"a"}`, `{"structuredContent":{"a":1},"content":null}`, `{"structuredContent":null}`, `{"content":{"type":"audio"}}`,
	`{"tools":[{"name":"a","outputSchema":{"type":"object"}},{"name":"b","outputSchema":{"type":"array"}},{"name":"c","outputSchema":null},1,null]}`,
	`{"tools":[{"name":"a","inputSchema":{"type":"object","properties":{"b":{"type":"string","x-mcp-header":"B"},"c":{"properties":{"d":{"type":["integer","null"],"x-mcp-header":"D"}}}}}}]}`,
	`{"messages":[{"role":"user","content":{"type":"audio","mimeType":"m"}},{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},{}]}`,
	`{"mode":"form","message":"m","requestedSchema":{"$schema":"x","type":"object","properties":{"a":{"type":"string","oneOf":[{"const":"x","title":"X"},{"const":1},null]},"b":{"type":"array"},"c":1}}}`,
	`{"mode":"url","url":"javascript:alert(1)","elicitationId":"e","message":"m"}`,
}

func addEraTexts(f *testing.F) {
	for _, text := range append(slices.Clone(jsonTexts), eraTexts...) {
		for what := range byte(20) {
			f.Add([]byte(text), what)
		}
	}
}

// An object that is taken apart and put together again says the same: the same members, in order, and
// their values byte for byte.
func FuzzObject(f *testing.F) {
	for _, text := range append(slices.Clone(jsonTexts), eraTexts...) {
		f.Add([]byte(text), "a", []byte("1"))
	}
	f.Fuzz(func(t *testing.T, text []byte, key string, value []byte) {
		if !json.Valid(text) {
			t.Skip("nothing that is not JSON is ever taken apart")
		}
		o := readObject(text)
		if isObject := bytes.TrimLeft(text, " \t\r\n")[0] == '{'; isObject != (o != nil) {
			t.Fatalf("%q: %v", text, o)
		}
		if o == nil {
			return
		}
		again := readObject(o.raw())
		if len(again) != len(o) || !json.Valid(o.raw()) {
			t.Fatalf("%q became %q", text, o.raw())
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatal(err)
		}
		for i, m := range o {
			if !bytes.Equal(m.value, again[i].value) || m.key != again[i].key && utf8.ValidString(m.key) {
				t.Errorf("%q: member %q became %q", text, m, again[i])
			}
			if utf8.ValidString(m.key) && !bytes.Equal(o.get(m.key), want[m.key]) {
				t.Errorf("%q: %q is %q, want %q", text, m.key, o.get(m.key), want[m.key])
			}
		}
		if !json.Valid(value) || !utf8.ValidString(key) {
			return
		}
		with := readObject(o.with(key, value).raw())
		if got := with.get(key); !bytes.Equal(got, bytes.TrimSpace(value)) && !bytes.Equal(got, value) {
			t.Errorf("%q with %q: %q is %q", text, key, value, got)
		}
		if without := readObject(o.with(key, value).without(key).raw()); without == nil || without.get(key) != nil {
			t.Errorf("%q without %q is %q", text, key, without.raw())
		}
	})
}

// Whatever a modern server's result is, a handshake host gets one that is JSON, without a word of
// 2026-07-28 and, of a tool, with content.
func FuzzFitResult(f *testing.F) {
	addEraTexts(f)
	methods := []mcp.MCPMethod{mcp.MethodToolsList, mcp.MethodToolsCall, mcp.MethodPromptsGet, mcp.MethodResourcesRead, "x"}
	f.Fuzz(func(t *testing.T, text []byte, what byte) {
		if !json.Valid(text) {
			t.Skip("nothing that is not JSON is ever taken apart")
		}
		method, version := methods[int(what)%len(methods)], legacyVersions[int(what)/len(methods)%len(legacyVersions)]
		result := fitResult(&message{method: []byte(method)}, readObject(text), version)
		raw := result.raw()
		if !json.Valid(raw) {
			t.Fatalf("%s of %q for %s became %q", method, text, version, raw)
		}
		for _, key := range []string{"resultType", "ttlMs", "cacheScope"} {
			if result.get(key) != nil {
				t.Errorf("%s is left in %q", key, raw)
			}
		}
		for _, key := range reserved {
			if result.child("_meta").get(key) != nil {
				t.Errorf("%s is left in %q", key, raw)
			}
		}
		if method == mcp.MethodToolsCall && elements(result.get("content")) == nil {
			t.Errorf("no content in %q", raw)
		}
		if again := fitResult(&message{method: []byte(method)}, readObject(raw), version).raw(); utf8.Valid(text) && !bytes.Equal(raw, again) {
			t.Errorf("what fits is changed again: %q, %q", raw, again)
		}
	})
}

// Whatever a modern server asks, a handshake host is asked for something in JSON, or the server is told why
// not.
func FuzzFitQuestion(f *testing.F) {
	addEraTexts(f)
	methods := []mcp.MCPMethod{mcp.MethodElicitationCreate, mcp.MethodSamplingCreateMessage, mcp.MethodListRoots, "x"}
	f.Fuzz(func(t *testing.T, text []byte, what byte) {
		if !json.Valid(text) {
			t.Skip("nothing that is not JSON is ever taken apart")
		}
		method, version := methods[int(what)%len(methods)], legacyVersions[int(what)/len(methods)%len(legacyVersions)]
		params, err := fitQuestion(string(method), readObject(text), version)
		if err != nil {
			return
		}
		if method == "x" {
			t.Error("nobody knows this question")
		}
		if raw := params.raw(); !json.Valid(raw) || params.child("_meta").get(mcp.MetaKeyServerInfo) != nil {
			t.Errorf("%s of %q for %s became %q", method, text, version, raw)
		}
	})
}

// Whatever a handshake host's params are, those for a modern server are JSON that says of the host what it
// said on initialize, once, and all else as it was.
func FuzzWithMeta(f *testing.F) {
	for _, text := range append(slices.Clone(jsonTexts), eraTexts...) {
		f.Add([]byte(text), text)
	}
	r, err := newRelay(io.Discard, Config{URL: "http://127.0.0.1:1/mcp", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte, name string) {
		if !json.Valid(text) {
			t.Skip("nothing that is not JSON is ever taken apart")
		}
		translator := newToModern(r)
		info := object{{"name", quote(name)}}
		hello := object{{"protocolVersion", []byte(`"2025-11-25"`)}, {"capabilities", text}, {"clientInfo", info.raw()}}
		translator.hello(&call{message: built(rawRequest([]byte("0"), "initialize", hello.raw()))})
		translator.level = []byte(`"info"`)

		in := readObject(text)
		c := &call{message: built(rawRequest([]byte("1"), string(mcp.MethodToolsCall), text))}
		out := translator.params(c)
		if !json.Valid(out.raw()) {
			t.Fatalf("%q became %q", text, out.raw())
		}
		meta := out.child("_meta")
		for key, want := range map[string]string{
			mcp.MetaKeyProtocolVersion: quoted(mcp.ProtocolVersion20260728), mcp.MetaKeyLogLevel: `"info"`, mcp.MetaKeyClientInfo: string(info.raw()),
		} {
			if n := count(meta, key); n != 1 || string(meta.get(key)) != want {
				t.Errorf("%q: %s is there %d times, %s", text, key, n, meta.get(key))
			}
		}
		if n := count(meta, mcp.MetaKeyClientCapabilities); n != 1 || meta.child(mcp.MetaKeyClientCapabilities) == nil || meta.child(mcp.MetaKeyClientCapabilities).get("tasks") != nil {
			t.Errorf("%q: capabilities are there %d times, %s", text, n, meta.get(mcp.MetaKeyClientCapabilities))
		}
		rest := slices.DeleteFunc(in.without("task"), func(m member) bool { return m.key == "_meta" })
		if got := slices.DeleteFunc(slices.Clone(out), func(m member) bool { return m.key == "_meta" }); !bytes.Equal(got.raw(), rest.raw()) {
			t.Errorf("%q became %q", text, out.raw())
		}
	})
}

func quoted(text string) string { return string(quote(text)) }

func count(o object, key string) int {
	n := 0
	for _, m := range o {
		if m.key == key {
			n++
		}
	}
	return n
}

// Whatever the schemas of tools are, what of them goes into headers can: each name is a token, and there
// once.
func FuzzToolHeaders(f *testing.F) {
	for _, text := range append(slices.Clone(jsonTexts), eraTexts...) {
		f.Add([]byte(text))
	}
	f.Add([]byte(`{"tools":[{"name":"a","inputSchema":{"properties":{"b":{"type":"string","x-mcp-header":"B\r\nEvil"}}}}]}`))
	f.Add([]byte(`{"tools":[{"name":"a","inputSchema":{"properties":{"b":{"type":"string","x-mcp-header":"B"},"c":{"type":"string","x-mcp-header":"b"}}}}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if !json.Valid(text) {
			t.Skip("nothing that is not JSON is ever taken apart")
		}
		m := built(rawResult([]byte("1"), slices.Clone(text)))
		var known toolHeaders
		known.learn(m, slog.New(slog.DiscardHandler))
		if !json.Valid(m.raw) {
			t.Fatalf("%q became %q", text, m.raw)
		}
		for tool, headers := range known.tools {
			seen := make(map[string]bool)
			for _, header := range headers {
				if !isToken(header.name) || seen[header.name] || len(header.path) == 0 {
					t.Errorf("%q: tool %q has the header %q", text, tool, header)
				}
				seen[header.name] = true
			}
			if len(headers) > maxParamHeaders {
				t.Errorf("tool %q has %d headers", tool, len(headers))
			}
		}
	})
}
