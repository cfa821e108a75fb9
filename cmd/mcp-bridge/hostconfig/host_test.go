package hostconfig

import (
	"strings"
	"testing"
)

// system returns a machine where these variables are set and these files and folders exist.
func system(os string, env map[string]string, exist ...string) System {
	home := map[string]string{"windows": `C:\Users\u`, "darwin": "/Users/u", "linux": "/home/u"}[os]
	return System{
		OS: os, Home: home,
		Getenv: func(name string) string { return env[name] },
		Exists: func(path string) bool {
			for _, e := range exist {
				if path == e {
					return true
				}
			}
			return false
		},
	}
}

func TestFiles(t *testing.T) {
	for _, test := range []struct{ host, linux, mac, windows string }{
		{"claude-desktop", "/home/u/.config/Claude/claude_desktop_config.json", "/Users/u/Library/Application Support/Claude/claude_desktop_config.json", `C:\Users\u\AppData\Roaming\Claude\claude_desktop_config.json`},
		{"claude-code", "/home/u/.claude.json", "/Users/u/.claude.json", `C:\Users\u\.claude.json`},
		{"cursor", "/home/u/.cursor/mcp.json", "/Users/u/.cursor/mcp.json", `C:\Users\u\.cursor\mcp.json`},
		{"vscode", "/home/u/.config/Code/User/mcp.json", "/Users/u/Library/Application Support/Code/User/mcp.json", `C:\Users\u\AppData\Roaming\Code\User\mcp.json`},
		{"vscode-insiders", "/home/u/.config/Code - Insiders/User/mcp.json", "/Users/u/Library/Application Support/Code - Insiders/User/mcp.json", `C:\Users\u\AppData\Roaming\Code - Insiders\User\mcp.json`},
		{"windsurf", "/home/u/.codeium/windsurf/mcp_config.json", "/Users/u/.codeium/windsurf/mcp_config.json", `C:\Users\u\.codeium\windsurf\mcp_config.json`},
		{"zed", "/home/u/.config/zed/settings.json", "/Users/u/.config/zed/settings.json", `C:\Users\u\AppData\Roaming\Zed\settings.json`},
		{"cline", "/home/u/.cline/data/settings/cline_mcp_settings.json", "/Users/u/.cline/data/settings/cline_mcp_settings.json", `C:\Users\u\.cline\data\settings\cline_mcp_settings.json`},
		{"gemini-cli", "/home/u/.gemini/settings.json", "/Users/u/.gemini/settings.json", `C:\Users\u\.gemini\settings.json`},
		{"codex", "/home/u/.codex/config.toml", "/Users/u/.codex/config.toml", `C:\Users\u\.codex\config.toml`},
	} {
		h := Find(test.host)
		for os, want := range map[string]string{"linux": test.linux, "darwin": test.mac, "windows": test.windows} {
			s := system(os, nil)
			if got := h.File(s); got != want {
				t.Errorf("%s on %s: %s", test.host, os, got)
			}
			if h.Found(s) {
				t.Errorf("%s is found on an empty %s", test.host, os)
			}
			if !h.Found(system(os, nil, want)) {
				t.Errorf("%s is not found on %s by its file", test.host, os)
			}
		}
	}
	if len(Hosts()) != 10 {
		t.Errorf("there are %d hosts, and this test knows 10", len(Hosts()))
	}
}

// Variables and older versions move the files.
func TestFilesElsewhere(t *testing.T) {
	store := `C:\Users\u\AppData\Local\Packages\Claude_pzs8sxrjxfjjc`
	storage := "/home/u/.config/Code/User/globalStorage/saoudrizwan.claude-dev"
	for _, test := range []struct {
		host, want string
		s          System
	}{
		{"claude-desktop", store + `\LocalCache\Roaming\Claude\claude_desktop_config.json`, system("windows", nil, store)},
		{"claude-desktop", `D:\data\Claude\claude_desktop_config.json`, system("windows", map[string]string{"APPDATA": `D:\data`})},
		{"claude-desktop", "/x/Claude/claude_desktop_config.json", system("linux", map[string]string{"XDG_CONFIG_HOME": "/x"})},
		{"claude-code", "/x/.claude.json", system("linux", map[string]string{"CLAUDE_CONFIG_DIR": "/x"})},
		{"zed", "/Users/u/.config/zed/settings.json", system("darwin", map[string]string{"XDG_CONFIG_HOME": "/x"})},
		{"zed", "/x/zed/settings.json", system("linux", map[string]string{"XDG_CONFIG_HOME": "/x"})},
		{"cline", storage + "/settings/cline_mcp_settings.json", system("linux", nil, storage)},
		{"cline", "/home/u/.cline/data/settings/cline_mcp_settings.json", system("linux", nil, storage, "/home/u/.cline/data")},
		{"cline", "/x/settings/cline_mcp_settings.json", system("linux", map[string]string{"CLINE_DATA_DIR": "/x"})},
		{"cline", "/x/data/settings/cline_mcp_settings.json", system("linux", map[string]string{"CLINE_DIR": "/x"})},
		{"cline", "/x.json", system("linux", map[string]string{"CLINE_MCP_SETTINGS_PATH": "/x.json"})},
		{"gemini-cli", "/x/.gemini/settings.json", system("linux", map[string]string{"GEMINI_CLI_HOME": "/x"})},
		{"codex", "/x/config.toml", system("linux", map[string]string{"CODEX_HOME": "/x"})},
	} {
		if got := Find(test.host).File(test.s); got != test.want {
			t.Errorf("%s: %s, want %s", test.host, got, test.want)
		}
	}
	if !Find("claude-code").Found(system("linux", nil, "/home/u/.claude")) {
		t.Error("Claude Code is not found by its folder")
	}
	if Find("claude-code").Found(system("linux", nil, "/home/u")) {
		t.Error("Claude Code is found by the user's folder")
	}
	if !Find("cursor").Found(system("linux", nil, "/home/u/.cursor")) {
		t.Error("Cursor is not found by its folder")
	}
}

func TestLogs(t *testing.T) {
	for _, test := range []struct{ host, os, want string }{
		{"claude-desktop", "linux", "/home/u/.config/Claude/logs/mcp*.log"},
		{"claude-desktop", "darwin", "/Users/u/Library/Logs/Claude/mcp*.log"},
		{"claude-desktop", "windows", `C:\Users\u\AppData\Roaming\Claude\logs\mcp*.log`},
		{"claude-code", "linux", "/home/u/.cache/claude-cli-nodejs/*/mcp-logs-*/*"},
		{"claude-code", "darwin", "/Users/u/Library/Caches/claude-cli-nodejs/*/mcp-logs-*/*"},
		{"claude-code", "windows", `C:\Users\u\AppData\Local\claude-cli-nodejs\Cache\*\mcp-logs-*\*`},
		{"cursor", "darwin", "/Users/u/Library/Application Support/Cursor/logs/*/window*/exthost/anysphere.cursor-mcp/*.log"},
		{"vscode", "linux", "/home/u/.config/Code/logs/*/window*/mcpServer.*.log"},
		{"vscode-insiders", "windows", `C:\Users\u\AppData\Roaming\Code - Insiders\logs\*\window*\mcpServer.*.log`},
		{"windsurf", "linux", "/home/u/.config/Windsurf/logs/*/window*/exthost/codeium.windsurf/*.log /home/u/.codeium/windsurf/logs/*.log"},
		{"zed", "linux", "/home/u/.local/share/zed/logs/Zed.log"},
		{"zed", "darwin", "/Users/u/Library/Logs/Zed/Zed.log"},
		{"zed", "windows", `C:\Users\u\AppData\Local\Zed\logs\Zed.log`},
		{"cline", "linux", "/home/u/.config/Code/logs/*/window*/exthost/output_logging_*/*Cline*.log /home/u/.config/Code/logs/*/window*/exthost/saoudrizwan.claude-dev/*.log"},
		{"codex", "linux", "/home/u/.codex/log/*.log"},
	} {
		patterns, advice := Find(test.host).Logs(system(test.os, nil))
		if got := strings.Join(patterns, " "); got != test.want || advice != "" {
			t.Errorf("%s on %s: %s %s", test.host, test.os, got, advice)
		}
	}
	if patterns, advice := Find("gemini-cli").Logs(system("linux", nil)); patterns != nil || advice == "" {
		t.Errorf("gemini-cli: %q %q", patterns, advice)
	}
}

// Each host reads its own kind of entry.
func TestSample(t *testing.T) {
	s := Server{Command: `C:\Program Files\mcp-bridge.exe`, Args: []string{"https://example.com/mcp"}, Env: map[string]string{"A": "it's\n\"1\""}, Needs: []string{"TOKEN"}}
	for id, want := range map[string]string{
		"cursor":      "{\n  \"mcpServers\": {\n    \"n\": {\n      \"command\": \"C:\\\\Program Files\\\\mcp-bridge.exe\",\n      \"args\": [\n        \"https://example.com/mcp\"\n      ],\n      \"env\": {\n        \"A\": \"it's\\n\\\"1\\\"\"\n      }\n    }\n  }\n}\n",
		"claude-code": "{\n  \"mcpServers\": {\n    \"n\": {\n      \"type\": \"stdio\",\n      \"command\": \"C:\\\\Program Files\\\\mcp-bridge.exe\",\n      \"args\": [\n        \"https://example.com/mcp\"\n      ],\n      \"env\": {\n        \"A\": \"it's\\n\\\"1\\\"\"\n      }\n    }\n  }\n}\n",
		"vscode":      "{\n  \"servers\": {\n    \"n\": {\n      \"type\": \"stdio\",\n      \"command\": \"C:\\\\Program Files\\\\mcp-bridge.exe\",\n      \"args\": [\n        \"https://example.com/mcp\"\n      ],\n      \"env\": {\n        \"A\": \"it's\\n\\\"1\\\"\"\n      }\n    }\n  }\n}\n",
		"zed":         "{\n  \"context_servers\": {\n    \"n\": {\n      \"source\": \"custom\",\n      \"command\": \"C:\\\\Program Files\\\\mcp-bridge.exe\",\n      \"args\": [\n        \"https://example.com/mcp\"\n      ],\n      \"env\": {\n        \"A\": \"it's\\n\\\"1\\\"\"\n      }\n    }\n  }\n}\n",
		"codex":       "[mcp_servers.n]\ncommand = 'C:\\Program Files\\mcp-bridge.exe'\nargs = [\"https://example.com/mcp\"]\nenv_vars = [\"TOKEN\"]\nstartup_timeout_sec = 60\n\n[mcp_servers.n.env]\nA = \"it's\\n\\\"1\\\"\"\n",
	} {
		if got := Find(id).Sample("n", s); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", id, got, want)
		}
	}
}
