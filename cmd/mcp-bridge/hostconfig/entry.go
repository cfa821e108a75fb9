package hostconfig

import (
	"maps"
	"slices"
)

// A Server is how a host starts an MCP server.
type Server struct {
	Command string
	Args    []string
	Env     map[string]string
	Needs   []string // variables that it has to get from the host's own environment
}

// An Entry is a server as it stands in a host's file.
type Entry struct {
	Server // what is of another kind than it should be is left out

	Name    string
	Section []string // the path of the section that it is in
	URL     string   // of the server, if the host reaches it without a program between
}

func (e *Entry) path(more ...string) []string {
	return slices.Concat(e.Section, []string{e.Name}, more)
}

// An object is a JSON object or a TOML table whose members have an order. Their values are strings,
// lists of strings, ints, or objects.
type object []member

type member struct {
	key   string
	value any
}

// plainEntry is the entry that most hosts have.
func plainEntry(s Server) object {
	o := commandAndArgs(s)
	if len(s.Env) > 0 {
		o = append(o, member{"env", envObject(s.Env)})
	}
	return o
}

func commandAndArgs(s Server) object {
	args := s.Args
	if args == nil {
		args = []string{}
	}
	return object{{"command", s.Command}, {"args", args}}
}

func envObject(env map[string]string) object {
	o := object{}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		o = append(o, member{name, env[name]})
	}
	return o
}

// urlIn returns the URL that a decoded entry has in place of a command. Windsurf and Gemini CLI have
// names of their own for it.
func urlIn(value any) string {
	m, _ := value.(map[string]any)
	for _, key := range []string{"url", "serverUrl", "httpUrl"} {
		if url, ok := m[key].(string); ok {
			return url
		}
	}
	return ""
}

// serverIn returns the server that a decoded entry describes.
func serverIn(value any) Server {
	var s Server
	m, _ := value.(map[string]any)
	s.Command, _ = m["command"].(string)
	args, _ := m["args"].([]any)
	for _, arg := range args {
		if text, ok := arg.(string); ok {
			s.Args = append(s.Args, text)
		}
	}
	env, _ := m["env"].(map[string]any)
	for name, value := range env {
		if text, ok := value.(string); ok {
			if s.Env == nil {
				s.Env = make(map[string]string)
			}
			s.Env[name] = text
		}
	}
	return s
}
