package hostconfig

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// example is what the tests install.
var example = Server{Command: "/usr/local/bin/mcp-bridge", Args: []string{"https://example.com/mcp?a=1&b=2"}}

// samples are files as they are found in the wild.
var samples = []struct {
	name, host, text string
	want             string // with example added
}{
	{
		name: "comments and trailing commas", host: "zed",
		text: `// Zed settings
{
  "theme": "One Dark", /* dark */
  "context_servers": {
    // about a
    "a": { "source": "custom", "command": "npx", "args": [ "a" ], },  // end of a
    /* about b */
    "b": {"command": "b"}, // end of b
    // nothing follows
  },
  // last words
}
`,
		want: `// Zed settings
{
  "theme": "One Dark", /* dark */
  "context_servers": {
    // about a
    "a": { "source": "custom", "command": "npx", "args": [ "a" ], },  // end of a
    /* about b */
    "b": {"command": "b"}, // end of b
    // nothing follows
    "example": {
      "source": "custom",
      "command": "/usr/local/bin/mcp-bridge",
      "args": [
        "https://example.com/mcp?a=1&b=2"
      ],
      "env": {}
    },
  },
  // last words
}
`,
	},
	{
		name: "comment behind the last member", host: "cursor",
		text: "{\n  \"mcpServers\": {\n    \"a\": {\"command\": \"a\"} // about a\n  }\n}\n",
		want: `{
  "mcpServers": {
    "a": {"command": "a"}, // about a
    "example": {
      "command": "/usr/local/bin/mcp-bridge",
      "args": [
        "https://example.com/mcp?a=1&b=2"
      ]
    }
  }
}
`,
	},
	{
		name: "empty", host: "claude-desktop", text: "",
		want: `{
  "mcpServers": {
    "example": {
      "command": "/usr/local/bin/mcp-bridge",
      "args": [
        "https://example.com/mcp?a=1&b=2"
      ]
    }
  }
}
`,
	},
	{
		name: "no section, four spaces, no line break at the end", host: "gemini-cli",
		text: "{\n    \"theme\": \"Default\",\n    \"selectedAuthType\": \"oauth-personal\"\n}",
		want: `{
    "theme": "Default",
    "selectedAuthType": "oauth-personal",
    "mcpServers": {
        "example": {
            "command": "/usr/local/bin/mcp-bridge",
            "args": [
                "https://example.com/mcp?a=1&b=2"
            ]
        }
    }
}`,
	},
	{
		name: "section is null", host: "windsurf", text: "{\n  \"mcpServers\": null\n}\n",
		want: `{
  "mcpServers": {
    "example": {
      "command": "/usr/local/bin/mcp-bridge",
      "args": [
        "https://example.com/mcp?a=1&b=2"
      ]
    }
  }
}
`,
	},
	{
		name: "empty section with a comment", host: "vscode",
		text: "{\n\t\"inputs\": [],\n\t\"servers\": {\n\t\t// none yet\n\t}\n}\n",
		want: `{
	"inputs": [],
	"servers": {
		// none yet
		"example": {
			"type": "stdio",
			"command": "/usr/local/bin/mcp-bridge",
			"args": [
				"https://example.com/mcp?a=1&b=2"
			]
		}
	}
}
`,
	},
	{
		name: "all on one line", host: "cline", text: `{"mcpServers":{"a":{"command":"a","disabled":true}}}`,
		want: `{"mcpServers":{"a":{"command":"a","disabled":true},"example":{"command":"/usr/local/bin/mcp-bridge","args":["https://example.com/mcp?a=1&b=2"]}}}`,
	},
	{
		name: "byte order mark, CRLF and tabs", host: "claude-desktop",
		text: "\ufeff{\r\n\t\"mcpServers\": {\r\n\t\t\"a\": {\"command\": \"C:\\\\a b\\\\a.exe\"}\r\n\t}\r\n}\r\n",
		want: "\ufeff{\r\n\t\"mcpServers\": {\r\n\t\t\"a\": {\"command\": \"C:\\\\a b\\\\a.exe\"},\r\n\t\t\"example\": {\r\n" +
			"\t\t\t\"command\": \"/usr/local/bin/mcp-bridge\",\r\n\t\t\t\"args\": [\r\n\t\t\t\t\"https://example.com/mcp?a=1&b=2\"\r\n\t\t\t]\r\n\t\t}\r\n\t}\r\n}\r\n",
	},
	{
		name: "projects beside, numbers that are large", host: "claude-code",
		text: `{
  "numStartups": 12345678901234567890,
  "projects": {
    "/home/u/p": {
      "mcpServers": {"local": {"command": "x"}}
    }
  },
  "mcpServers": {}
}
`,
		want: `{
  "numStartups": 12345678901234567890,
  "projects": {
    "/home/u/p": {
      "mcpServers": {"local": {"command": "x"}}
    }
  },
  "mcpServers": {
    "example": {
      "type": "stdio",
      "command": "/usr/local/bin/mcp-bridge",
      "args": [
        "https://example.com/mcp?a=1&b=2"
      ],
      "env": {}
    }
  }
}
`,
	},
	{
		name: "tables", host: "codex",
		text: `# Codex
model = "gpt-5" # the default

[mcp_servers.a]
command = "npx"
args = [
  "-y", # yes
  "a",
]

# about env
[mcp_servers.a.env]
TOKEN = 'x'

[projects."/home/u/p"]
trust_level = "trusted"
`,
		want: `# Codex
model = "gpt-5" # the default

[mcp_servers.a]
command = "npx"
args = [
  "-y", # yes
  "a",
]

# about env
[mcp_servers.a.env]
TOKEN = 'x'

[projects."/home/u/p"]
trust_level = "trusted"

[mcp_servers.example]
command = "/usr/local/bin/mcp-bridge"
args = ["https://example.com/mcp?a=1&b=2"]
startup_timeout_sec = 60
`,
	},
	{
		name: "empty TOML", host: "codex", text: "",
		want: "[mcp_servers.example]\ncommand = \"/usr/local/bin/mcp-bridge\"\nargs = [\"https://example.com/mcp?a=1&b=2\"]\nstartup_timeout_sec = 60\n",
	},
	{
		name: "CRLF and no line break at the end", host: "codex", text: "model = \"m\"\r\n[mcp_servers]\r\na = { command = \"a\" }",
		want: "model = \"m\"\r\n[mcp_servers]\r\na = { command = \"a\" }\r\n\r\n[mcp_servers.example]\r\n" +
			"command = \"/usr/local/bin/mcp-bridge\"\r\nargs = [\"https://example.com/mcp?a=1&b=2\"]\r\nstartup_timeout_sec = 60\r\n",
	},
	{
		name: "section as an inline table", host: "codex", text: "mcp_servers = { a = { command = \"a\" } } # mine\n",
		want: "mcp_servers = { a = { command = \"a\" }, example = { command = \"/usr/local/bin/mcp-bridge\", " +
			"args = [\"https://example.com/mcp?a=1&b=2\"], startup_timeout_sec = 60 } } # mine\n",
	},
	{
		name: "dotted keys", host: "codex", text: "mcp_servers.a.command = \"a\"\nmcp_servers.a.args = []\n",
		want: "mcp_servers.a.command = \"a\"\nmcp_servers.a.args = []\n\n[mcp_servers.example]\n" +
			"command = \"/usr/local/bin/mcp-bridge\"\nargs = [\"https://example.com/mcp?a=1&b=2\"]\nstartup_timeout_sec = 60\n",
	},
}

// open writes a file and opens it.
func open(t *testing.T, host, text string) *File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
	f, err := Find(host).Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// read returns what the file holds.
func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAddAndRemove(t *testing.T) {
	for _, test := range samples {
		t.Run(test.host+"/"+test.name, func(t *testing.T) {
			f := open(t, test.host, test.text)
			others := f.Entries()
			e, err := f.Add("example", example)
			if err != nil {
				t.Fatal(err)
			}
			backup, err := f.Save()
			if err != nil {
				t.Fatal(err)
			}
			if got := read(t, f.Path); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
			if got := read(t, backup); got != test.text {
				t.Errorf("the backup holds\n%s", got)
			}
			if info, err := os.Stat(f.Path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o640 {
				t.Errorf("mode of the file: %v, %v", info.Mode(), err)
			}

			// What was added is found again, and goes without a trace.
			f, err = f.Host.Open(f.Path)
			if err != nil {
				t.Fatal(err)
			}
			all := f.Entries()
			i := slices.IndexFunc(all, func(e Entry) bool { return e.Name == "example" })
			if len(all) != len(others)+1 || i < 0 || all[i].Command != example.Command || !slices.Equal(all[i].Args, example.Args) {
				t.Errorf("entries: %+v", all)
			}
			if err := f.Remove(e); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(f.text), "example.com") {
				t.Errorf("after the removal:\n%s", f.text)
			}
			if len(others) > 0 && test.name != "comments and trailing commas" && test.name != "CRLF and no line break at the end" && !bytes.Equal(f.bytes(), []byte(test.text)) {
				t.Errorf("after the removal:\n%q\nbefore all:\n%q", f.bytes(), test.text)
			}
		})
	}
}

// An entry that starts another bridge gets our command and arguments, and what the host wants beside;
// all else of it stays.
func TestReplace(t *testing.T) {
	with := Server{Command: `C:\Program Files\mcp-bridge.exe`, Args: []string{"https://example.com/mcp", "--log-level", "debug"}, Env: map[string]string{"A": "1", "NEW": "two\nlines"}}
	for _, test := range []struct{ name, host, text, want string }{
		{
			name: "JSON", host: "cline",
			text: `{
  "mcpServers": {
    "other": {"command":   "x"},
    "old": {
      "autoApprove": ["a",  "b"],
      "command": "npx", // found on PATH
      "args": ["-y", "mcp-remote", "https://example.com/mcp"],
      "env": {
        "A": "1",
        "GONE": "x"
      },
      "disabled": false,
    },
  }
}
`,
			want: `{
  "mcpServers": {
    "other": {"command":   "x"},
    "old": {
      "autoApprove": ["a",  "b"],
      "command": "C:\\Program Files\\mcp-bridge.exe", // found on PATH
      "args": [
        "https://example.com/mcp",
        "--log-level",
        "debug"
      ],
      "env": {
        "A": "1",
        "NEW": "two\nlines"
      },
      "disabled": false,
    },
  }
}
`,
		},
		{
			name: "JSON without env", host: "claude-desktop",
			text: `{"mcpServers": {"old": {"command": "npx", "args": ["mcp-remote", "u"]}}}`,
			want: `{"mcpServers": {"old": {"command": "C:\\Program Files\\mcp-bridge.exe", "args": ["https://example.com/mcp","--log-level","debug"], "env": {"A":"1","NEW":"two\nlines"}}}}`,
		},
		{
			name: "TOML", host: "codex",
			text: "[mcp_servers.old]\ncommand = \"npx\" # found on PATH\nargs = [ # several\n  \"mcp-remote\",\n]\ntool_timeout_sec = 9\n\n[mcp_servers.old.env]\nGONE = \"x\"\nA = \"1\" # one\n\n[other]\n",
			want: "[mcp_servers.old]\ncommand = 'C:\\Program Files\\mcp-bridge.exe' # found on PATH\nargs = [\"https://example.com/mcp\", \"--log-level\", \"debug\"]\ntool_timeout_sec = 9\nstartup_timeout_sec = 60\n\n[mcp_servers.old.env]\nA = \"1\" # one\nNEW = \"two\\nlines\"\n\n[other]\n",
		},
		{
			name: "TOML without env", host: "codex",
			text: "[mcp_servers.old]\ncommand = \"npx\"\nargs = [\"mcp-remote\"]",
			want: "[mcp_servers.old]\ncommand = 'C:\\Program Files\\mcp-bridge.exe'\nargs = [\"https://example.com/mcp\", \"--log-level\", \"debug\"]\nenv = { A = \"1\", NEW = \"two\\nlines\" }\nstartup_timeout_sec = 60\n",
		},
		{
			name: "inline TOML", host: "codex",
			text: "[mcp_servers]\nold = { command = \"npx\", args = [\"mcp-remote\"], env = { GONE = \"x\", A = \"1\" } } # here\n",
			want: "[mcp_servers]\nold = { command = 'C:\\Program Files\\mcp-bridge.exe', args = [\"https://example.com/mcp\", \"--log-level\", \"debug\"], env = { A = \"1\", NEW = \"two\\nlines\" }, startup_timeout_sec = 60 } # here\n",
		},
		{
			name: "dotted TOML", host: "codex",
			text: "mcp_servers.old.command = \"npx\"\n[other]\n",
			want: "mcp_servers.old.command = 'C:\\Program Files\\mcp-bridge.exe'\nmcp_servers.old.args = [\"https://example.com/mcp\", \"--log-level\", \"debug\"]\nmcp_servers.old.env = { A = \"1\", NEW = \"two\\nlines\" }\nmcp_servers.old.startup_timeout_sec = 60\n[other]\n",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := open(t, test.host, test.text)
			all := f.Entries()
			i := slices.IndexFunc(all, func(e Entry) bool { return e.Name == "old" })
			if err := f.Replace(all[i], with); err != nil {
				t.Fatal(err)
			}
			if got := string(f.text); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
			if got := f.Entries()[i]; got.Command != with.Command || !slices.Equal(got.Args, with.Args) || len(got.Env) != 2 || got.Env["NEW"] != "two\nlines" {
				t.Errorf("entry: %+v", got)
			}
		})
	}
}

func TestRemove(t *testing.T) {
	for _, test := range []struct{ host, text, want, excerpt string }{
		{
			"codex",
			"model = \"m\"\n\n# mine\n[mcp_servers.old]\ncommand = \"x\"\n\n[mcp_servers.old.env]\nA = \"1\"\n\n# yours\n[other]\nb = 1\n[mcp_servers.old.more]\nc = 2\n",
			"model = \"m\"\n\n# yours\n[other]\nb = 1\n",
			"# mine\n[mcp_servers.old]\ncommand = \"x\"\n\n[mcp_servers.old.env]\nA = \"1\"\n[mcp_servers.old.more]\nc = 2",
		},
		{"codex", "[mcp_servers.old]\ncommand = \"x\"\n\n[other]\n", "[other]\n", "[mcp_servers.old]\ncommand = \"x\""},
		{"codex", "mcp_servers = { old = { command = \"x\" }, b = {} }\n", "mcp_servers = { b = {} }\n", "old = { command = \"x\" }"},
		{"codex", "mcp_servers = { b = {}, old = { command = \"x\" } }\n", "mcp_servers = { b = {} }\n", "old = { command = \"x\" }"},
		{
			"cursor",
			"{\n  \"mcpServers\": {\n    // a\n    \"a\": {},\n    // old\n    \"old\": {\n      \"command\": \"x\"\n    }, // end of old\n    \"b\": {}\n  }\n}\n",
			"{\n  \"mcpServers\": {\n    // a\n    \"a\": {},\n    \"b\": {}\n  }\n}\n",
			"\"old\": {\n  \"command\": \"x\"\n}",
		},
		{"cursor", `{"mcpServers":{"a":1,"old":{"command":"x"},"~/b":2}}`, `{"mcpServers":{"a":1,"~/b":2}}`, `"old": {"command":"x"}`},
	} {
		f := open(t, test.host, test.text)
		all := f.Entries()
		i := slices.IndexFunc(all, func(e Entry) bool { return e.Name == "old" })
		if got := f.Excerpt(all[i], all[i].Server); got != test.excerpt {
			t.Errorf("excerpt of %q:\ngot  %q\nwant %q", test.text, got, test.excerpt)
		}
		if err := f.Remove(all[i]); err != nil {
			t.Error(err)
		} else if got := string(f.text); got != test.want {
			t.Errorf("%q without old:\ngot  %q\nwant %q", test.text, got, test.want)
		}
	}
}

// An entry can be shown with some of its strings left out, as they stand there or, where they are written
// in an unusual way, written anew.
func TestExcerpt(t *testing.T) {
	for _, test := range []struct{ host, text, want string }{
		{"cursor", `{"mcpServers": {"e": {"args": ["a",  "se\"cret"], "env": {"E":  "1"}}}}`, `"e": {"args": ["a",  "***"], "env": {"E":  "***"}}`},
		{"cursor", `{"mcpServers": {"e": {"args": ["a",  "se\u0022cret"], "env": {"E":  "1"}}}}`, `"e": {"args": ["a","***"], "env": {"E":  "***"}}`},
		{"codex", "[mcp_servers.e]\nargs = [ 'a', 'se\"cret' ]\nenv = { E = '1' }\n", "[mcp_servers.e]\nargs = [ 'a', \"***\" ]\nenv = { E = \"***\" }"},
		{"codex", "[mcp_servers.e]\nargs = [ 'a', \"\"\"se\"cret\"\"\" ]\nenv = { E = '1' }\n", "[mcp_servers.e]\nargs = [\"a\", \"***\"]\nenv = { E = \"***\" }"},
		// An escape that stands for itself in the other notation.
		{"codex", "[mcp_servers.e]\nargs = [ 'a', \"se\\u0022cret\" ]\nenv = { E = '1' }\n", "[mcp_servers.e]\nargs = [\"a\", \"***\"]\nenv = { E = \"***\" }"},
	} {
		f := open(t, test.host, test.text)
		e := f.Entries()[0]
		if got := f.Excerpt(e, Server{Args: []string{"a", "***"}, Env: map[string]string{"E": "***"}}); got != test.want {
			t.Errorf("%s\ngot  %s\nwant %s", test.text, got, test.want)
		}
		if f.Changed() {
			t.Error("the file is changed")
		}
	}
}

// A file that is not what it should be is left alone, with the place where it is broken.
func TestBroken(t *testing.T) {
	for _, test := range []struct{ host, text, want string }{
		{"cursor", "{\n  \"mcpServers\": {\n", "line 3, column 1: "},
		{"cursor", "hello", "line 1, column 1: "},
		{"cursor", "[]", "there is no {…} around everything"},
		{"cursor", "{} {}", "line 1, column 4: "},
		{"codex", "[mcp_servers\n", "line 1, column "},
		{"codex", "a = 1\na = 2\n", "a"},
		{"codex", "a = \"\x00\"\n", "line 1, column "},
	} {
		path := filepath.Join(t.TempDir(), "config")
		if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Find(test.host).Open(path)
		if err == nil || !strings.Contains(err.Error(), path+" is broken and left as it is: ") || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: %v", test.text, err)
		}
	}
	for _, test := range []struct{ host, text, want string }{
		{"cursor", `{"mcpServers": []}`, `"mcpServers" in it is no {…}`},
		{"cursor", `{"mcpServers": {"a": 1}, "mcpServers": {"b": 2}}`, "can't be changed safely"},
		{"codex", "mcp_servers = 1\n", "can't be changed safely"},
		{"codex", "[[mcp_servers]]\nname = \"a\"\n", "can't be changed safely"},
	} {
		f := open(t, test.host, test.text)
		if _, err := f.Add("example", example); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: %v, and the text is\n%s", test.text, err, f.text)
		}
		if f.Changed() {
			t.Errorf("%q was changed to %q", test.text, f.text)
		}
	}
}

// Whatever a valid file looks like, a change never touches what it is not about.
func fuzzEdits(f *testing.F, host string) {
	h := Find(host)
	for _, test := range samples {
		if Find(test.host).syntax == h.syntax {
			f.Add([]byte(strings.TrimPrefix(test.text, string(bom))))
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if _, err := h.syntax.decode(text); err != nil {
			return
		}
		file := &File{Host: h, before: text, text: text}
		type entry struct{ name, text string }
		others := func() []entry {
			var all []entry
			for _, e := range file.Entries() {
				if e.Name != "example" {
					all = append(all, entry{e.Name, file.Excerpt(e, e.Server)})
				}
			}
			return all
		}
		before := others()
		if len(before) < len(file.Entries()) {
			return
		}
		e, err := file.Add("example", Server{Command: "c", Args: []string{"a"}, Env: map[string]string{"E": "1"}})
		if err != nil {
			return // refused
		}
		if got := serverIn(at(mustDecode(t, file), e.path())); got.Command != "c" || got.Env["E"] != "1" {
			t.Fatalf("added %+v to\n%s\nwhich gave\n%s", got, text, file.text)
		}
		if err := file.Replace(e, Server{Command: "d", Env: map[string]string{"F": "2"}}); err != nil {
			t.Fatalf("%v, for\n%s", err, file.text)
		}
		if got := serverIn(at(mustDecode(t, file), e.path())); got.Command != "d" || len(got.Args) > 0 || len(got.Env) != 1 || got.Env["F"] != "2" {
			t.Fatalf("replaced by %+v in\n%s", got, file.text)
		}
		if after := others(); !slices.Equal(before, after) {
			t.Fatalf("others were %q and are %q", before, after)
		}
		if err := file.Remove(e); err != nil {
			t.Fatalf("%v, for\n%s", err, file.text)
		}
		if after := others(); !slices.Equal(before, after) {
			t.Fatalf("others were %q and are %q", before, after)
		}
	})
}

func mustDecode(t *testing.T, f *File) map[string]any {
	t.Helper()
	m, err := f.Host.syntax.decode(f.text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func FuzzJSON(f *testing.F) { fuzzEdits(f, "cursor") }
func FuzzTOML(f *testing.F) { fuzzEdits(f, "codex") }
