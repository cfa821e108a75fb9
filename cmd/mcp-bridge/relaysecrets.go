package main

import (
	"net/url"
	"slices"
	"strings"
)

// hideSecrets moves secrets from the arguments, which others on the machine can read while the host
// runs, into the environment, and returns the flags that this is true of.
func (l *relayLine) hideSecrets() []string {
	var moved []string
	move := func(flag, variable, value string) {
		if l.env == nil {
			l.env = make(map[string]string)
		}
		l.env[variable] = value
		moved = append(moved, flag)
	}
	var headers []string
	secret := false
	for _, f := range l.flags {
		if f.name == "header" {
			headers = append(headers, f.value)
			secret = secret || isSecretHeader(f.value)
		}
	}
	if secret { // all of them: the flag would win over the variable
		move("--header", "MCP_BRIDGE_HEADER", strings.Join(headers, "\n"))
	}
	var kept []givenFlag
	for _, f := range l.flags {
		switch {
		case f.name == "header" && secret:
		case f.name == "client-secret":
			move("--client-secret", "MCP_BRIDGE_CLIENT_SECRET", f.value)
		case f.name == "proxy" && hasPassword(f.value):
			move("--proxy", "MCP_BRIDGE_PROXY", f.value)
		case f.name == "static-oauth-client-info":
			id, secret := literalClient(f.value)
			if secret == "" {
				kept = append(kept, f)
				continue
			}
			kept = append(kept, givenFlag{"client-id", id, false})
			if !slices.ContainsFunc(l.flags, func(f givenFlag) bool { return f.name == "callback-path" }) {
				kept = append(kept, givenFlag{"callback-path", "/oauth/callback", false}) // as asMcpRemote
			}
			move("--static-oauth-client-info", "MCP_BRIDGE_CLIENT_SECRET", secret)
		default:
			kept = append(kept, f)
		}
	}
	l.flags = kept
	return moved
}

// isSecretHeader tells whether a header as given holds a secret, and not only the name of a variable
// that does.
func isSecretHeader(header string) bool {
	name, value, _ := strings.Cut(header, ":")
	return isSecretName(name) && strings.TrimSpace(value) != "" && !strings.Contains(value, "${")
}

// isSecretName tells whether a header or a flag of this name is likely to hold a secret.
func isSecretName(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc([]string{"auth", "token", "key", "secret", "passw", "cookie", "credential", "session", "bearer"}, func(word string) bool {
		return strings.Contains(name, word)
	})
}

// hasPassword tells whether a URL holds a password.
func hasPassword(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.User != nil
}

// literalClient returns the client that a value of --static-oauth-client-info describes, if it does
// so without a file or variables.
func literalClient(s string) (id, secret string) {
	if strings.HasPrefix(s, "@") || strings.Contains(s, "${") {
		return "", ""
	}
	var info struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	if err := jsonArgument(s, &info); err != nil {
		return "", ""
	}
	return info.ID, info.Secret
}
