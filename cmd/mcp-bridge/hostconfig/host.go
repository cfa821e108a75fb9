// Package hostconfig knows where MCP hosts keep the list of the servers that they start, and edits
// those files so that all else in them keeps its bytes: other entries, comments, trailing commas,
// indentation and line ends.
package hostconfig

import "sync"

// A Host is a program that starts MCP servers.
type Host struct {
	ID    string // as on the command line
	Name  string // as its makers write it
	After string // a clause that says when it sees a change

	// PassesEnv tells whether its servers get all variables that it has itself, or those that
	// Server.Needs names. Otherwise they get what is in their entry, and a few like PATH and HOME.
	PassesEnv bool

	syntax   syntax
	sections [][]string // where the entries are; "*" stands for any name; the first is for new ones
	entry    func(Server) object
	file     func(System) string   // where the entries are
	found    func(System) bool     // nil: whether the file or its folder exists
	logs     func(System) []string // patterns for path/filepath.Glob
	noLogs   string                // what to do where it writes none
}

// File returns where the host has its entries on s. The file need not exist.
func (h *Host) File(s System) string { return h.file(s) }

// Found tells whether the host seems to be installed on s.
func (h *Host) Found(s System) bool {
	if h.found != nil {
		return h.found(s)
	}
	file := h.file(s)
	return s.Exists(file) || s.Exists(folder(file))
}

// folder returns the folder of a file, on whatever system.
func folder(file string) string {
	for i := len(file) - 1; i > 0; i-- {
		if file[i] == '/' || file[i] == '\\' {
			return file[:i]
		}
	}
	return file
}

// Find returns the host with this ID, nil if there is none.
func Find(id string) *Host {
	for _, h := range Hosts() {
		if h.ID == id {
			return h
		}
	}
	return nil
}

// mcpServers is the section that most hosts have, since Claude Desktop had it first.
var mcpServers = [][]string{{"mcpServers"}}

// Hosts returns the hosts that are known, in the order in which they are listed.
func Hosts() []*Host { return hosts() }

// hosts is made when it is needed: most of the time this program has other things to do.
var hosts = sync.OnceValue(func() []*Host {
	return []*Host{
		{
			// https://modelcontextprotocol.io/docs/develop/connect-local-servers
			ID: "claude-desktop", Name: "Claude Desktop", After: "Claude Desktop sees the change when it is quit and started again",
			syntax: jsonSyntax{}, sections: mcpServers, entry: plainEntry,
			file: func(s System) string { return s.join(claudeDesktop(s), "claude_desktop_config.json") },
			logs: func(s System) []string {
				if s.OS == "darwin" {
					return []string{s.join(s.Home, "Library", "Logs", "Claude", "mcp*.log")}
				}
				return []string{s.join(claudeDesktop(s), "logs", "mcp*.log")}
			},
		},
		{
			// https://code.claude.com/docs/en/mcp. The servers of one project are beside the user's.
			ID: "claude-code", Name: "Claude Code", After: "Claude Code sees the change when it is started anew", PassesEnv: true,
			syntax: jsonSyntax{}, sections: [][]string{{"mcpServers"}, {"projects", "*", "mcpServers"}},
			entry: func(s Server) object {
				return append(object{{"type", "stdio"}}, append(commandAndArgs(s), member{"env", envObject(s.Env)})...)
			},
			file: func(s System) string { return s.join(s.dir("CLAUDE_CONFIG_DIR"), ".claude.json") },
			found: func(s System) bool {
				return s.Exists(s.join(s.dir("CLAUDE_CONFIG_DIR"), ".claude.json")) || s.Exists(s.dir("CLAUDE_CONFIG_DIR", ".claude"))
			},
			logs: func(s System) []string {
				dir := s.join(s.cache(), "claude-cli-nodejs")
				if s.OS == "windows" {
					dir = s.join(dir, "Cache")
				}
				return []string{s.join(dir, "*", "mcp-logs-*", "*")}
			},
		},
		{
			// https://cursor.com/docs/mcp
			ID: "cursor", Name: "Cursor", After: "Cursor sees the change by itself; if not, reload its window", PassesEnv: true,
			syntax: jsonSyntax{}, sections: mcpServers, entry: plainEntry,
			file: func(s System) string { return s.join(s.Home, ".cursor", "mcp.json") },
			logs: func(s System) []string {
				return []string{s.join(s.config(), "Cursor", "logs", "*", "window*", "exthost", "anysphere.cursor-mcp", "*.log")}
			},
		},
		vsCode("vscode", "VS Code", "Code"),
		vsCode("vscode-insiders", "VS Code Insiders", "Code - Insiders"),
		{
			// https://docs.windsurf.com/windsurf/cascade/mcp
			ID: "windsurf", Name: "Windsurf", After: "Windsurf sees the change when you press Refresh among its MCP servers", PassesEnv: true,
			syntax: jsonSyntax{}, sections: mcpServers, entry: plainEntry,
			file: func(s System) string { return s.join(s.Home, ".codeium", "windsurf", "mcp_config.json") },
			logs: func(s System) []string {
				return []string{
					s.join(s.config(), "Windsurf", "logs", "*", "window*", "exthost", "codeium.windsurf", "*.log"),
					s.join(s.Home, ".codeium", "windsurf", "logs", "*.log"),
				}
			},
		},
		{
			// https://zed.dev/docs/ai/mcp
			ID: "zed", Name: "Zed", After: "Zed sees the change by itself", PassesEnv: true,
			syntax: jsonSyntax{}, sections: [][]string{{"context_servers"}},
			entry: func(s Server) object {
				return append(object{{"source", "custom"}}, append(commandAndArgs(s), member{"env", envObject(s.Env)})...)
			},
			file: func(s System) string {
				switch s.OS {
				case "windows":
					return s.join(s.config(), "Zed", "settings.json")
				case "darwin": // not in Application Support
					return s.join(s.Home, ".config", "zed", "settings.json")
				default:
					return s.join(s.config(), "zed", "settings.json")
				}
			},
			logs: func(s System) []string {
				switch s.OS {
				case "windows":
					return []string{s.join(s.dir("LOCALAPPDATA", "AppData", "Local"), "Zed", "logs", "Zed.log")}
				case "darwin":
					return []string{s.join(s.Home, "Library", "Logs", "Zed", "Zed.log")}
				default:
					return []string{s.join(s.dir("XDG_DATA_HOME", ".local", "share"), "zed", "logs", "Zed.log")}
				}
			},
		},
		{
			// https://docs.cline.bot/getting-started/config. Older versions had the file with VS Code's.
			ID: "cline", Name: "Cline", After: "Cline sees the change by itself", PassesEnv: true,
			syntax: jsonSyntax{}, sections: mcpServers, entry: plainEntry,
			file: clineFile,
			found: func(s System) bool {
				return s.Exists(clineFile(s)) || s.Exists(clineData(s)) || s.Exists(clineStorage(s))
			},
			logs: func(s System) []string {
				dir := s.join(s.config(), "Code", "logs", "*", "window*", "exthost")
				return []string{s.join(dir, "output_logging_*", "*Cline*.log"), s.join(dir, "saoudrizwan.claude-dev", "*.log")}
			},
		},
		{
			// https://geminicli.com/docs/tools/mcp-server
			ID: "gemini-cli", Name: "Gemini CLI", After: "Gemini CLI sees the change when it is started anew", PassesEnv: true,
			syntax: jsonSyntax{}, sections: mcpServers, entry: plainEntry,
			file:   func(s System) string { return s.join(s.dir("GEMINI_CLI_HOME"), ".gemini", "settings.json") },
			noLogs: "it writes none to files; run 'gemini --debug', and press F12 in it",
		},
		{
			// https://developers.openai.com/codex/mcp
			ID: "codex", Name: "Codex CLI", After: "Codex CLI sees the change when it is started anew", PassesEnv: true,
			syntax: tomlSyntax{}, sections: [][]string{{"mcp_servers"}},
			entry: func(s Server) object {
				o := commandAndArgs(s)
				if len(s.Needs) > 0 {
					o = append(o, member{"env_vars", s.Needs})
				}
				// Its default of 10 s is too short for a sign-in.
				o = append(o, member{"startup_timeout_sec", 60})
				if len(s.Env) > 0 {
					o = append(o, member{"env", envObject(s.Env)})
				}
				return o
			},
			file: func(s System) string { return s.join(s.dir("CODEX_HOME", ".codex"), "config.toml") },
			logs: func(s System) []string { return []string{s.join(s.dir("CODEX_HOME", ".codex"), "log", "*.log")} },
		},
	}
})

// claudeDesktop returns the folder of Claude Desktop. As an app from the Microsoft Store it sees
// another one than it asks for.
func claudeDesktop(s System) string {
	if s.OS == "windows" {
		pkg := s.join(s.dir("LOCALAPPDATA", "AppData", "Local"), "Packages", "Claude_pzs8sxrjxfjjc")
		if s.Exists(pkg) {
			return s.join(pkg, "LocalCache", "Roaming", "Claude")
		}
	}
	return s.join(s.config(), "Claude")
}

// vsCode returns VS Code, or a sibling of it that keeps its settings in this folder
// (https://code.visualstudio.com/docs/copilot/customization/mcp-servers).
func vsCode(id, name, dir string) *Host {
	return &Host{
		ID: id, Name: name, After: name + " sees the change by itself, and asks whether you trust the server", PassesEnv: true,
		syntax: jsonSyntax{}, sections: [][]string{{"servers"}},
		entry: func(s Server) object { return append(object{{"type", "stdio"}}, plainEntry(s)...) },
		file:  func(s System) string { return s.join(s.config(), dir, "User", "mcp.json") },
		logs: func(s System) []string {
			return []string{s.join(s.config(), dir, "logs", "*", "window*", "mcpServer.*.log")}
		},
	}
}

func clineData(s System) string {
	if dir := s.Getenv("CLINE_DATA_DIR"); dir != "" {
		return dir
	}
	return s.join(s.dir("CLINE_DIR", ".cline"), "data")
}

func clineStorage(s System) string {
	return s.join(s.config(), "Code", "User", "globalStorage", "saoudrizwan.claude-dev")
}

func clineFile(s System) string {
	if file := s.Getenv("CLINE_MCP_SETTINGS_PATH"); file != "" {
		return file
	}
	data, storage := clineData(s), clineStorage(s)
	if !s.Exists(data) && s.Exists(storage) {
		return s.join(storage, "settings", "cline_mcp_settings.json")
	}
	return s.join(data, "settings", "cline_mcp_settings.json")
}

// Logs returns where the host's logs of MCP are on s, as patterns for [path/filepath.Glob]. Where
// it writes none, advice says what to do instead.
func (h *Host) Logs(s System) (patterns []string, advice string) {
	if h.logs == nil {
		return nil, h.noLogs
	}
	return h.logs(s), ""
}
