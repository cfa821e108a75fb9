package hostconfig

import (
	"slices"
	"strings"
)

// Bridges are the programs that connect a host with a remote server over stdio.
const (
	Own           = "mcp-bridge"
	MCPRemote     = "mcp-remote"     // npm
	FastMCPRemote = "fastmcp-remote" // PyPI, with mcp-remote's flags
	Supergateway  = "supergateway"   // npm
	MCPProxy      = "mcp-proxy"      // PyPI
)

// launchers start a program whose name follows.
var launchers = []string{
	"npx", "npm", "exec", "x", "pnpx", "pnpm", "dlx", "yarn", "bunx", "bun", "node", "deno", "run",
	"uvx", "uv", "tool", "pipx", "python", "python3",
	"cmd",
}

// isLauncher tells whether a word may stand before the name of the program that is started.
func isLauncher(word string) bool {
	return strings.HasPrefix(word, "-") || slices.Contains([]string{"/c", "/d", "/s"}, strings.ToLower(word)) ||
		slices.Contains(launchers, programName(word))
}

// Bridge tells which bridge an entry starts, if it starts one, and with which arguments. It looks
// through launchers, as in "cmd /c npx -y mcp-remote@latest URL". An entry in which the same program
// serves a local server to remote hosts is none.
func (e *Entry) Bridge() (program string, args []string) {
	words := slices.Concat([]string{e.Command}, e.Args)
	for i, word := range words {
		if program = bridgeName(word); program == "" {
			if !isLauncher(word) {
				return "", nil
			}
			continue
		}
		rest := words[i+1:]
		for len(rest) > 0 && bridgeName(rest[0]) == program { // npx -p mcp-remote mcp-remote
			rest = rest[1:]
		}
		if !towardsURL(program, rest) {
			return "", nil
		}
		return program, rest
	}
	return "", nil
}

// towardsURL tells whether the bridge connects with a URL, and doesn't offer one.
func towardsURL(program string, args []string) bool {
	if program == Supergateway {
		return !slices.Contains(args, "--stdio")
	}
	return URLIn(args) != ""
}

// URLIn returns the first argument that is a URL, "" if none is.
func URLIn(args []string) string {
	for _, arg := range args {
		if _, value, ok := strings.Cut(arg, "="); ok && strings.HasPrefix(arg, "--") {
			arg = value
		}
		if strings.HasPrefix(arg, "http://") || strings.HasPrefix(arg, "https://") {
			return arg
		}
	}
	return ""
}

// programName returns the name of the program at a path, on whatever system.
func programName(path string) string {
	name := strings.ToLower(path[strings.LastIndexAny(path, `/\`)+1:])
	for _, suffix := range []string{".exe", ".cmd", ".ps1"} {
		name = strings.TrimSuffix(name, suffix)
	}
	return name
}

// bridgeName returns the bridge that a word names: as a command, a path to it, a package with or
// without version, or a script in the package's folder. It is "" for all else.
func bridgeName(word string) string {
	if strings.HasPrefix(word, "-") || strings.Contains(word, "://") {
		return ""
	}
	word = strings.TrimPrefix(strings.ToLower(word), "npm:")
	name, _, _ := strings.Cut(programName(word), "@")
	name, _, _ = strings.Cut(name, "==")
	bridges := []string{Own, MCPRemote, FastMCPRemote, Supergateway, MCPProxy}
	if slices.Contains(bridges, name) {
		return name
	}
	if strings.HasSuffix(name, ".js") || strings.HasSuffix(name, ".mjs") {
		for _, part := range slices.Backward(strings.FieldsFunc(word, func(r rune) bool { return r == '/' || r == '\\' })) {
			if slices.Contains(bridges, part) {
				return part
			}
		}
	}
	return ""
}
