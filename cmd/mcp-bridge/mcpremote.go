package main

import (
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// mcpRemoteKeepAlive is how often mcp-remote pings.
const mcpRemoteKeepAlive = "30s"

// mcpRemoteArgs lets --keep-alive stand without a time, as it does for mcp-remote, where
// --ping-interval names that.
func mcpRemoteArgs(args []string) []string {
	named := slices.ContainsFunc(args, func(arg string) bool {
		name, _, _ := strings.Cut(arg, "=")
		return name == "--ping-interval"
	})
	var out []string
	for i, arg := range args {
		switch {
		case arg == "--":
			return append(out, args[i:]...)
		case arg != "--keep-alive" || i+1 < len(args) && (args[i+1] == "" || isDuration(args[i+1])):
			out = append(out, arg)
		case !named:
			out = append(out, arg+"="+mcpRemoteKeepAlive)
		}
	}
	return out
}

func isDuration(s string) bool {
	var d time.Duration
	return durationInto(&d)(s) == nil
}

// registerMcpRemote defines the flags of mcp-remote whose meaning we share under another name, so
// that replacing the command is enough. The help does not show them.
func (o *options) registerMcpRemote(fs *pflag.FlagSet) {
	set := func(name, value string) error {
		f := fs.Lookup(name)
		f.Changed = true // its variable counts no more
		return f.Value.Set(value)
	}
	as := func(name string) func(string) error {
		return func(value string) error { return set(name, value) }
	}
	setIf := func(name, value string) func(string) error {
		return func(on string) error {
			if yes, err := strconv.ParseBool(on); err != nil || !yes {
				return err
			}
			return set(name, value)
		}
	}
	own := make(map[string]bool)
	fs.VisitAll(func(f *pflag.Flag) { own[f.Name] = true })
	fs.BoolFunc("debug", "", setIf("log-level", "debug"))
	fs.BoolFunc("silent", "", func(on string) error {
		if o.logLevel == slog.LevelDebug {
			return plainBool(on) // --debug is louder
		}
		return setIf("log-level", "error")(on)
	})
	fs.Bool("enable-proxy", false, "") // we always look at the variables
	fs.Func("headers-timeout", "", as("response-timeout"))
	fs.Func("body-timeout", "", o.setBodyTimeout)
	fs.Func("ping-interval", "", as("keep-alive"))
	fs.Func("protocol", "", setProtocol)
	fs.Func("host", "", as("callback-host"))
	fs.StringVar(&o.auth.successURL, "auth-success-url", "", "")
	fs.BoolFunc("disable-resource-parameter", "", setIf("no-resource", "true"))
	fs.Func("static-oauth-client-metadata", "", o.auth.setStaticMetadata)
	fs.Func("static-oauth-client-info", "", o.auth.setStaticClient)
	fs.VisitAll(func(f *pflag.Flag) { f.Hidden = f.Hidden || !own[f.Name] })
}

func plainBool(s string) error {
	_, err := strconv.ParseBool(s)
	return err
}

// setBodyTimeout takes how long mcp-remote lets a stream be silent. We have no such limit.
func (o *options) setBodyTimeout(s string) error {
	var limit time.Duration
	if err := durationInto(&limit)(s); err != nil {
		return err
	}
	if limit > 0 {
		o.warnings = append(o.warnings, "--body-timeout has no effect: a stream may be silent for as long as its connection lives; leave it out, or use --response-timeout for the beginning of an answer")
	}
	return nil
}

// setProtocol takes mcp-remote's choice between the protocols of hosts and servers. We find out
// which both speak, and translate where that is needed.
func setProtocol(s string) error {
	if s != "legacy" && s != "auto" {
		return errors.New("must be legacy or auto")
	}
	return nil
}

func (a *authOptions) setStaticMetadata(s string) error {
	a.staticMetadata = true
	return a.setClientMetadata(s)
}

// setStaticClient takes a client that is registered in advance. A ${VAR} in it stands for a variable.
func (a *authOptions) setStaticClient(s string) error {
	if _, secret := literalClient(s); secret != "" {
		a.secretOnLine = true
	}
	if strings.HasPrefix(s, "${") { // all of it
		expanded, err := expandVariables(s)
		if err != nil {
			return err
		}
		s = expanded
	}
	var info struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	err := jsonArgument(s, &info)
	for _, value := range []*string{&info.ID, &info.Secret} {
		if err == nil {
			*value, err = expandVariables(*value)
		}
	}
	if err != nil {
		return err
	}
	if info.ID == "" {
		return errors.New("there is no client_id in it")
	}
	a.clientID, a.clientSecret, a.staticClient = info.ID, info.Secret, true
	return nil
}

// asMcpRemote does what these flags mean beside what they say.
func (a *authOptions) asMcpRemote() {
	if scope, ok := a.clientMetadata["scope"].(string); ok && a.staticMetadata && len(a.scopes) == 0 {
		a.scopes = strings.Fields(scope)
	}
	if a.staticClient && a.callbackPath == "" {
		a.callbackPath = "/oauth/callback" // where the authorization server was told to send the browser
	}
}
