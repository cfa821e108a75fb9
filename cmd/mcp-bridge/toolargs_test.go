package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// What is written on the command line becomes what the parameter's type asks for. The scripts
// inspect-call and inspect-read have the rest.
func TestSchemaValue(t *testing.T) {
	for _, tt := range []struct{ schema, text, want string }{ // no want: an error
		{`{"type":"string"}`, "1", `"1"`},
		{`{"type":"string"}`, "", `""`},
		{`{}`, "1", `"1"`},
		{`true`, "<a>", `"<a>"`},
		{`{"type":"integer"}`, "-7", `-7`},
		{`{"type":"integer"}`, "9007199254740993", `9007199254740993`},
		{`{"type":"integer"}`, "1.0", ""},
		{`{"type":"integer"}`, "1 2", ""},
		{`{"type":"integer"}`, "", ""},
		{`{"type":"integer"}`, "0x10", ""},
		{`{"type":"number"}`, "1e400", `1e400`},
		{`{"type":"number"}`, "NaN", ""},
		{`{"type":"number"}`, "01", ""},
		{`{"type":"boolean"}`, "true", `true`},
		{`{"type":"boolean"}`, "True", ""},
		{`{"type":"null"}`, "null", `null`},
		{`{"type":["null","integer"]}`, "null", `null`},
		{`{"type":["null","string"]}`, "null", `"null"`},
		{`{"type":"array"}`, ` [1, "a"] `, `[1, "a"]`},
		{`{"type":"array"}`, `1`, ""},
		{`{"type":"array"}`, `[1`, ""},
		{`{"type":"object"}`, `{"a":1}`, `{"a":1}`},
		{`{"anyOf":[{"type":"integer"},{"type":"null"}]}`, "3", `3`},
		{`{"anyOf":[{"type":"integer"},{"type":"null"}]}`, "x", ""},
		{`{"oneOf":[{"type":"integer"},{"type":"string"}]}`, "3", `"3"`},
		{`{"enum":["a",1,null]}`, "a", `"a"`},
		{`{"enum":["a",1,null]}`, "1", `1`},
		{`{"enum":["a",1,null]}`, "b", ""},
		{`{"type":"string","enum":["1"]}`, "1", `"1"`},
		{`{"$ref":"#/$defs/n"}`, "3", `3`},
		{`{"$ref":"#/$defs/a~1b"}`, "true", `true`},
		{`{"$ref":"#/$defs/loop"}`, "3", `"3"`},
		{`{"anyOf":[{"$ref":"#/$defs/all"}]}`, "3", `"3"`},
		{`{"$ref":"#/nowhere/at/all"}`, "3", `"3"`},
		{`{"$ref":"https://example.com/schema"}`, "3", `"3"`},
		{`{"type":7}`, "3", `"3"`},
	} {
		root := json.RawMessage(`{"$defs":{"n":{"type":"integer"},"a/b":{"type":"boolean"},"loop":{"$ref":"#/$defs/loop"},"all":{"allOf":[{"$ref":"#/$defs/all"}]}}}`)
		s := parseSchema(root, json.RawMessage(tt.schema))
		got, err := s.value(root, tt.text)
		if string(got) != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%s: %q became %s and the error %v, want %s", tt.schema, tt.text, got, err, tt.want)
		}
	}
}

func TestToolArguments_Unknown(t *testing.T) {
	for input, taken := range map[string]bool{
		`{"type":"object"}`:       true,
		`{}`:                      true,
		``:                        true,
		`{"properties":{"a":{}}}`: false,
		`{"properties":{"a":{}},"additionalProperties":true}`:                     true,
		`{"properties":{"a":{}},"additionalProperties":{"type":"integer"}}`:       true,
		`{"properties":{"a":{}},"additionalProperties":false}`:                    false,
		`{"additionalProperties":false}`:                                          false,
		`{"properties":{"a":{}},"patternProperties":{"^b":{}}}`:                   true,
		`{"properties":{},"additionalProperties":false,"required":["a"],"x":[1]}`: false,
	} {
		_, err := toolArguments(json.RawMessage(input), []string{"b=1"})
		if (err == nil) != taken || err != nil && !strings.Contains(err.Error(), `there is no parameter "b"`) {
			t.Errorf("%s: got the error %v", input, err)
		}
	}
}
