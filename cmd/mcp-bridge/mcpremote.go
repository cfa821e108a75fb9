package main

import (
	"errors"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

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
	fs.BoolFunc("debug", "", setIf("log-level", "debug"))
	fs.BoolFunc("silent", "", setIf("log-level", "error"))
	fs.Bool("enable-proxy", false, "") // we always look at the variables
	fs.Func("headers-timeout", "", as("response-timeout"))
	fs.BoolVar(&o.disableCookies, "disable-cookies", false, "")
	fs.Func("host", "", as("callback-host"))
	fs.BoolFunc("disable-resource-parameter", "", setIf("no-resource", "true"))
	fs.Func("static-oauth-client-metadata", "", o.auth.setStaticMetadata)
	fs.Func("static-oauth-client-info", "", o.auth.setStaticClient)
	for _, name := range []string{
		"debug", "silent", "enable-proxy", "headers-timeout", "disable-cookies",
		"host", "disable-resource-parameter", "static-oauth-client-metadata", "static-oauth-client-info",
	} {
		fs.Lookup(name).Hidden = true
	}
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
