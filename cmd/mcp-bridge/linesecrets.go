package main

import (
	"log/slog"
	"net/url"
	"strings"

	"github.com/spf13/pflag"
)

// lineSecrets says which secrets stand on the command line, where others on this machine can read them for
// as long as the program runs (ps, /proc). What stands in a variable, or in a file, is not among them.
type lineSecrets struct {
	headers []string // names of headers that were given with their value
	proxy   bool     // the proxy's password
	url     bool     // the server's password
}

// note takes a header as --header has it.
func (s *lineSecrets) note(header string) {
	if isSecretHeader(header) {
		name, _, _ := strings.Cut(header, ":")
		s.headers = append(s.headers, strings.TrimSpace(name))
	}
}

// look takes what can be seen when all flags are there.
func (s *lineSecrets) look(o *options, fs *pflag.FlagSet) {
	s.proxy = fs.Changed("proxy") && o.proxy != nil && hasPassword(o.proxy.String())
	if u, err := url.Parse(o.url); err == nil && u.User != nil {
		_, s.url = u.User.Password()
	}
}

// warn says so, and what to do instead.
func (s *lineSecrets) warn(log *slog.Logger) {
	for _, name := range s.headers {
		log.Warn("others on this machine can read the header " + name + " on the command line; put it into MCP_BRIDGE_HEADER, or into a file for --header-file")
	}
	if s.proxy {
		log.Warn("others on this machine can read the proxy's password on the command line; put its URL into MCP_BRIDGE_PROXY")
	}
	if s.url {
		log.Warn("others on this machine can read the password in the server's URL; put it into a file for --header-file, as an Authorization header")
	}
}
