package bridge_test

import (
	"encoding/json"
	"strings"
	"testing"

	"mcp-bridge/bridge/bridgetest"
)

// What 2026-07-28 allows in a result is made fit for the revision that the host speaks (spec 5.80 to
// 5.86).

// "One tool with a non-object-root outputSchema can fail the client's validation of the entire
// tools/list (R3/R4 schema fixes type:"object"). Drop that outputSchema." (5.81)
func TestRevisions_OutputSchema(t *testing.T) {
	t.Parallel()
	tool := func(schema string) string {
		return `{"name":"t","inputSchema":{"type":"object"}` + schema + `,"x":1.0}`
	}
	for name, test := range map[string]struct {
		schema string
		kept   bool
	}{
		"an object":        {`,"outputSchema":{"type":"object","properties":{"n":{"type":"number"}},"required":["n"]}`, true},
		"an array":         {`,"outputSchema":{"type":"array","items":{"type":"string"}}`, false},
		"a string":         {`,"outputSchema":{"type":"string"}`, false},
		"one of several":   {`,"outputSchema":{"oneOf":[{"type":"object"},{"type":"null"}]}`, false},
		"a list of types":  {`,"outputSchema":{"type":["object","null"]}`, false},
		"true":             {`,"outputSchema":true`, false},
		"without one":      {``, true},
		"object with more": {`,"outputSchema":{"type":"object","$defs":{"x":{"type":"array"}},"anyOf":[{"required":["a"]}]}`, true},
	} {
		for _, version := range []string{"2025-06-18", "2025-11-25"} {
			t.Run(name+", "+version, func(t *testing.T) {
				t.Parallel()
				h, _ := startBefore(t, bridgetest.Config{Handle: always("tools/list", answers(`{"resultType":"complete","tools":[`+tool(test.schema)+`]}`))}, version, `{}`)
				h.send(listTools("1"))
				want := tool("")
				if test.kept {
					want = tool(test.schema)
				}
				wantJSON(t, "the list", resultOf(t, h.answer("1")), `{"tools":[`+want+`]}`)
				wantNothingMore(t, h)
			})
		}
	}
}

// "Non-object structuredContent violates R3/R4 result schema: remove it, ensure a text block with its
// JSON. If outputSchema was kept the client may demand structuredContent: drop both together." (5.82)
func TestRevisions_StructuredContent(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ result, want string }{
		"an object":            {`"content":[],"structuredContent":{"n":9007199254740993}`, `"content":[],"structuredContent":{"n":9007199254740993}`},
		"an array, no text":    {`"content":[],"structuredContent":[1.0,"a"]`, `"content":[{"type":"text","text":"[1.0,\"a\"]"}]`},
		"a number, no text":    {`"content":[],"structuredContent":9007199254740993`, `"content":[{"type":"text","text":"9007199254740993"}]`},
		"null":                 {`"content":[{"type":"text","text":"null"}],"structuredContent":null`, `"content":[{"type":"text","text":"null"}]`},
		"a string, text there": {`"content":[{"type":"text","text":"\"s\""}],"structuredContent":"s","isError":false`, `"content":[{"type":"text","text":"\"s\""}],"isError":false`},
	} {
		for _, version := range []string{"2025-06-18", "2025-11-25"} {
			t.Run(name+", "+version, func(t *testing.T) {
				t.Parallel()
				h, _ := startBefore(t, bridgetest.Config{Handle: always("tools/call", answers(`{"resultType":"complete",`+test.result+`}`))}, version, `{}`)
				h.send(callEcho("1"))
				wantJSON(t, "the result", resultOf(t, h.answer("1")), `{`+test.want+`}`)
				wantNothingMore(t, h)
			})
		}
	}
}

// A text that says something else than the structure is kept beside the one that says the same.
func TestRevisions_StructuredContentBesideText(t *testing.T) {
	t.Parallel()
	h, _ := startBefore(t, bridgetest.Config{Handle: always("tools/call", answers(`{"resultType":"complete","content":[{"type":"text","text":"three colors"}],"structuredContent":["r","g","b"]}`))}, "2025-11-25", `{}`)
	h.send(callEcho("1"))
	result := resultOf(t, h.answer("1"))
	var content []struct{ Text string }
	_ = json.Unmarshal(member(result, "content"), &content)
	if len(content) == 0 || content[0].Text != "three colors" || member(result, "structuredContent") != nil {
		t.Errorf("the result is %s", result)
	}
	wantNothingMore(t, h)
}

// "Down-level content: audio (not in R1), resource_link (not in R1,R2)." (5.86) A block that the host's
// revision does not know becomes one that it does: nothing is lost without a word, and what strict
// hosts refuse is not there.
func TestRevisions_Content(t *testing.T) {
	t.Parallel()
	const (
		audio = `{"type":"audio","data":"UklGRg==","mimeType":"audio/wav"}`
		link  = `{"type":"resource_link","uri":"test://a","name":"a","description":"the letter"}`
		text  = `{"type":"text","text":"hello","annotations":{"audience":["user"]}}`
		image = `{"type":"image","data":"AA==","mimeType":"image/png"}`
	)
	for version, known := range map[string]struct{ audio, link bool }{
		"2024-11-05": {false, false}, "2025-03-26": {true, false}, "2025-06-18": {true, true}, "2025-11-25": {true, true},
	} {
		for method, wrap := range map[string]func(block string) string{
			"tools/call":  func(block string) string { return `"content":[` + block + `]` },
			"prompts/get": func(block string) string { return `"messages":[{"role":"user","content":` + block + `}]` },
		} {
			for name, test := range map[string]struct {
				block string
				known bool
				says  string // what has to be left of it
			}{
				"audio": {audio, known.audio, "audio/wav"}, "resource_link": {link, known.link, "test://a"}, "text": {text, true, ""}, "image": {image, true, ""},
			} {
				t.Run(version+", "+method+", "+name, func(t *testing.T) {
					t.Parallel()
					h, _ := startBefore(t, bridgetest.Config{Handle: always(method, answers(`{"resultType":"complete",`+wrap(test.block)+`}`))}, version, `{}`)
					h.send(ask("1", method))
					result := resultOf(t, h.answer("1"))
					if test.known {
						wantJSON(t, "the result", result, `{`+wrap(test.block)+`}`)
					} else if strings.Contains(string(result), `"`+name+`"`) || !strings.Contains(string(result), `"type":"text"`) || !strings.Contains(string(result), test.says) {
						t.Errorf("the host got %s, want a text that says %s", result, test.says)
					}
					wantNothingMore(t, h)
				})
			}
		}
	}
}

// What older hosts pass over is left alone: title, icons, _meta, annotations (5.86: ignored), and what
// belongs to an extension (section 7: never strip tool _meta).
func TestRevisions_Ignored(t *testing.T) {
	t.Parallel()
	const tools = `"tools":[{"name":"t","title":"T","icons":[{"src":"https://x.example/i.png"}],"annotations":{"readOnlyHint":true},"_meta":{"ui":{"resourceUri":"ui://x"}},"inputSchema":{"type":"object","properties":{"a":{"oneOf":[{"type":"string"},{"type":"null"}]}}}}]`
	for _, version := range revisions {
		h, _ := startBefore(t, bridgetest.Config{Handle: always("tools/list", answers(`{"resultType":"complete",`+tools+`,"ttlMs":1,"cacheScope":"private"}`))}, version, `{}`)
		h.send(listTools("1"))
		wantJSON(t, "the list", resultOf(t, h.answer("1")), `{`+tools+`}`)
		wantNothingMore(t, h)
	}
}

// "Extra resultType/ttlMs/cacheScope are usually ignored but strict empty-result schemas reject them." (5.83)
func TestRevisions_NoModernWordLeaks(t *testing.T) {
	t.Parallel()
	for _, version := range revisions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			h, _ := startBefore(t, bridgetest.Config{}, version, `{}`)
			requests := []string{"tools/list", "prompts/list", "resources/list", "resources/templates/list", "tools/call", "prompts/get", "resources/read"}
			for _, method := range requests {
				params := askable[method]
				if params == "" {
					params = "{}"
				}
				h.send(`{"jsonrpc":"2.0","id":"` + method + `","method":"` + method + `","params":` + params + `}`)
				answer := string(h.answer(`"` + method + `"`))
				for _, word := range []string{"resultType", "ttlMs", "cacheScope", "io.modelcontextprotocol/"} {
					if strings.Contains(answer, word) {
						t.Errorf("%s: the host got %s", method, answer)
					}
				}
			}
			wantNothingMore(t, h)
		})
	}
}
