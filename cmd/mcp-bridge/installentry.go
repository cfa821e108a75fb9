package main

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"

	"mcp-bridge/cmd/mcp-bridge/hostconfig"
)

// addOrUpdate lets the host start server under this name, or another one if that is taken. An entry
// of ours for the same URL and profile is updated.
func (c *change) addOrUpdate(name string, server hostconfig.Server) error {
	taken := make(map[string]bool)
	for _, e := range c.file.Entries() {
		if len(e.Section) > 1 {
			continue // another project's
		}
		taken[e.Name] = true
		if e.URL != "" && sameURL(e.URL, server.Args[0]) {
			sayWarning(c.cmd, fmt.Sprintf("the entry %q reaches this server too, without a bridge: its tools will be there twice", e.Name))
		}
		program, args := e.Bridge()
		if program == "" || !sameURL(hostconfig.URLIn(args), server.Args[0]) || profileIn(args) != profileIn(server.Args) {
			continue
		}
		if program != hostconfig.Own {
			return fmt.Errorf("the entry %q reaches this server by %s; 'mcp-bridge install %s --migrate' replaces it, and --name adds another entry", e.Name, program, c.file.Host.ID)
		}
		return c.update(e, server)
	}
	free := name
	for n := 2; taken[free]; n++ {
		free = fmt.Sprintf("%s-%d", name, n)
	}
	return c.add(free, server)
}

// addNamed lets the host start server under just this name.
func (c *change) addNamed(name string, server hostconfig.Server) error {
	for _, e := range c.file.Entries() {
		if e.Name != name || len(e.Section) > 1 {
			continue
		}
		if program, _ := e.Bridge(); program != hostconfig.Own {
			return fmt.Errorf("the entry %q in %s starts another program; choose another --name", name, c.file.Path)
		}
		return c.update(e, server)
	}
	return c.add(name, server)
}

// secretVariables hold what hideSecrets has moved.
var secretVariables = []string{"MCP_BRIDGE_HEADER", "MCP_BRIDGE_CLIENT_SECRET", "MCP_BRIDGE_PROXY"}

// update lets an entry of ours start server. The variables in it stay, but for those that stand for
// flags that are not given any more.
func (c *change) update(e hostconfig.Entry, server hostconfig.Server) error {
	env := make(map[string]string)
	for name, value := range e.Env {
		if !slices.Contains(secretVariables, name) {
			env[name] = value
		}
	}
	maps.Copy(env, server.Env)
	server.Env = env
	server.Needs = slices.DeleteFunc(server.Needs, func(name string) bool {
		_, ok := env[name]
		return ok
	})
	return c.replace(e, server)
}

// otherBridges returns the entries of a file that start another bridge.
func otherBridges(f *hostconfig.File) []string {
	var names []string
	for _, e := range f.Entries() {
		if program, _ := e.Bridge(); program != "" && program != hostconfig.Own {
			names = append(names, entryLabel(e))
		}
	}
	return names
}

// sameURL tells whether two URLs are the same, but for a slash at the end and the case of the host.
func sameURL(a, b string) bool {
	plain := func(s string) string {
		u, err := url.Parse(strings.TrimSuffix(s, "/"))
		if err != nil {
			return s
		}
		u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
		return u.String()
	}
	return plain(a) == plain(b)
}

// profileIn returns the value of --profile in args.
func profileIn(args []string) string {
	for i, arg := range args {
		if value, ok := strings.CutPrefix(arg, "--profile="); ok {
			return value
		}
		if arg == "--profile" && i+1 < len(args) {
			return args[i+1]
		}
	}
	return ""
}

// isEntryName tells whether every host takes this as the name of an entry.
func isEntryName(s string) bool {
	return s != "" && s == entryPart(s)
}

// entryPart returns s with all replaced that not every host takes in the name of an entry.
func entryPart(s string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '-'
	}, s)
}

// entryName makes a name out of the host of a URL: "linear" for https://mcp.linear.app/sse.
func entryName(server, profile string) string {
	u, err := url.Parse(server)
	if err != nil {
		return "server" // not after parseRelayLine
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	name := host
	switch labels := strings.Split(host, "."); {
	case isLoopback(host):
		name = "localhost"
	case net.ParseIP(host) != nil:
	case len(labels) > 1:
		labels = labels[:len(labels)-1]
		// co.uk, com.au and their like
		if last := labels[len(labels)-1]; len(labels) > 1 && len(last) <= 3 && len(host)-strings.LastIndexByte(host, '.') == 3 {
			labels = labels[:len(labels)-1]
		}
		name = labels[len(labels)-1]
	}
	if u.Port() != "" && (isLoopback(host) || net.ParseIP(host) != nil) {
		name += "-" + u.Port()
	}
	if profile != "" {
		name += "-" + profile
	}
	return strings.Trim(entryPart(name), "-")
}
