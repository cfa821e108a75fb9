package main

import (
	"net/url"
	"slices"
	"strings"

	"mcp-bridge/cmd/mcp-bridge/hostconfig"
)

// hidden stands in place of what is nobody's business.
const hidden = "***"

// masked returns the server without its secrets, to be shown.
func masked(s hostconfig.Server) hostconfig.Server {
	env := make(map[string]string)
	for name := range s.Env {
		env[name] = hidden
	}
	args := make([]string, len(s.Args))
	flag := "" // whose value the argument is
	for i, arg := range s.Args {
		name, value, joined := strings.Cut(arg, "=")
		switch {
		case strings.HasPrefix(arg, "-") && joined:
			args[i], flag = name+"="+maskedValue(name, value), ""
		case strings.HasPrefix(arg, "-"):
			args[i], flag = arg, arg
		case (flag == "-H" || flag == "--headers") && !strings.Contains(arg, ":"):
			args[i], flag = arg, "--"+arg // mcp-proxy takes name and value apart
		default:
			args[i], flag = maskedValue(flag, arg), ""
		}
	}
	s.Args, s.Env = args, env
	return s
}

// maskedValue returns the value of a flag, or an argument if flag is "", without secrets.
func maskedValue(flag, value string) string {
	name, _, isHeader := strings.Cut(value, ":")
	file := slices.Contains(fileFlags, strings.TrimLeft(flag, "-")) || strings.HasPrefix(value, "@")
	u, err := url.Parse(value)
	switch {
	case file, strings.Contains(value, "${"), strings.HasPrefix(flag, "--auth-"), strings.HasPrefix(flag, "--authorize-"):
		return value // though the name may sound like a secret
	case err == nil && u.Host != "" && (u.User != nil || u.RawQuery != ""):
		return withoutSecrets(value) + "?" + hidden
	case isHeader && strings.Contains(strings.ToLower(flag), "header") && isSecretHeader(value):
		return name + ": " + hidden
	case isSecretName(flag), strings.Contains(value, "secret"):
		return hidden
	}
	return value
}
