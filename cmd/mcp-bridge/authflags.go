package main

import (
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"mcp-bridge/auth"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// authOptions is what the command line and the environment say about signing in.
type authOptions struct {
	clientID          string
	clientSecret      string
	clientKey         crypto.Signer
	clientMetadataURL string
	clientMetadata    map[string]any
	clientName        string
	scopes            []string
	resource          string
	noResource        bool
	authorizeParams   url.Values
	callbackHost      string
	callbackPort      int
	callbackPath      string
	browser           string
	authTimeout       time.Duration
	deviceCode        bool
	clientCredentials bool
	requirePKCE       bool
	allowPrivate      bool
	useIDToken        bool
	tokenEndpoint     string
	successURL        string
	sealing           auth.Sealing
	profile           string
	vouch             vouchOptions

	secretOnLine   bool // the secret stands on the command line, where others can read it
	staticMetadata bool // clientMetadata was written for mcp-remote
	staticClient   bool // the client was registered for mcp-remote
}

// register defines the flags.
func (a *authOptions) register(fs *pflag.FlagSet) {
	*a = authOptions{authorizeParams: url.Values{}}
	fs.Func("scope", "ask for these scopes and no others", func(s string) error {
		a.scopes = append(a.scopes, strings.Fields(s)...)
		return nil
	})
	fs.StringVar(&a.profile, "profile", "", "keep this login apart from others at the server")
	fs.Func("store", "keep logins in clear files, or sealed with a key in the keychain", a.setStore)
	fs.StringVar(&a.clientID, "client-id", "", "use this client, registered in advance")
	fs.Func("client-secret-file", "the client's secret is in this file", a.readClientSecret)
	fs.StringVar(&a.clientSecret, "client-secret", "", "the client's secret itself")
	fs.Func("client-key", "the client's private key", a.readClientKey)
	a.vouch.register(fs)
	fs.StringVar(&a.clientMetadataURL, "client-metadata-url", "", "use this client ID metadata document")
	fs.StringVar(&a.clientName, "client-name", "", "register under this name")
	fs.Func("client-metadata", "register with this too", a.setClientMetadata)
	fs.Func("resource", "ask for a token for this resource", a.setResource)
	fs.BoolVar(&a.noResource, "no-resource", false, "do not say which resource a token is for")
	fs.Func("authorize-param", "add this to the sign-in page's address", a.addAuthorizeParam)
	fs.StringVar(&a.callbackHost, "callback-host", "", "where the browser returns to")
	fs.Func("callback-port", "on this port, not on any that is free", a.setCallbackPort)
	fs.StringVar(&a.callbackPath, "callback-path", "", "at this path")
	fs.StringVar(&a.browser, "browser", "", "open pages with this command")
	fs.Func("auth-timeout", "time limit for signing in", a.setAuthTimeout)
	fs.BoolVar(&a.deviceCode, "device-code", false, "sign in on another device, with a code")
	fs.BoolVar(&a.clientCredentials, "client-credentials", false, "sign in as the client itself, without a user")
	fs.Func("token-endpoint", "get the client's token here, look no further", a.setTokenEndpoint)
	fs.BoolVar(&a.useIDToken, "use-id-token", false, "send the ID token, not the access token")
	fs.BoolVar(&a.requirePKCE, "require-pkce-metadata", false, "refuse servers that do not say that they know PKCE")
	fs.BoolVar(&a.allowPrivate, "allow-private", false, "let a server out there send the sign-in to private addresses")
}

// completeAuthFlags does for these flags what completeFlags does for the others.
func completeAuthFlags(cmd *cobra.Command) {
	for name, values := range map[string][]cobra.Completion{
		"callback-host": {"localhost", "127.0.0.1", "[::1]"},
		"store":         {"file", "keychain"},
		"scope":         nil, "profile": nil, "client-id": nil, "client-secret": nil, "client-metadata-url": nil, "client-name": nil,
		"resource": nil, "authorize-param": nil, "callback-port": nil, "callback-path": nil, "auth-timeout": nil, "token-endpoint": nil,
		"idp-token-endpoint": nil, "idp-client-id": nil,
	} {
		if err := cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
			panic(err) // there is no such flag: register and this table have drifted apart
		}
	}
}

// settles tells whether the variable of a flag counts no more, since another flag says the same.
func (a *authOptions) settles(name string) bool {
	switch name {
	case "client-id":
		return a.clientID != ""
	case "client-secret", "client-secret-file":
		return a.clientSecret != ""
	}
	return false
}

// check looks at what no flag can know by itself. It comes after the environment.
func (a *authOptions) check(fs *pflag.FlagSet) error {
	a.secretOnLine = a.secretOnLine || fs.Changed("client-secret")
	a.asMcpRemote()
	switch {
	case a.clientCredentials && a.deviceCode:
		return errors.New("--client-credentials is for machines, --device-code for people: only one of them can be meant")
	case a.clientCredentials && a.clientID == "":
		return errors.New("--client-credentials needs --client-id")
	case a.clientCredentials && a.clientSecret == "" && a.clientKey == nil && a.vouch.assertionFile == "":
		return errors.New("--client-credentials needs the client's secret, in MCP_BRIDGE_CLIENT_SECRET or --client-secret-file, or its --client-key or --client-assertion-file")
	case a.clientCredentials && a.useIDToken:
		return errors.New("--client-credentials brings no ID token, so --use-id-token is of no use")
	case a.tokenEndpoint != "" && !a.clientCredentials && a.vouch.assertionFile == "":
		return errors.New("--token-endpoint is for --client-credentials and --client-assertion-file only; for a user, the authorization server has to say more than that")
	case (a.secretOnLine || fs.Changed("client-secret-file")) && a.clientID == "":
		return errors.New("a client's secret is of no use without --client-id")
	}
	return a.vouch.check(a)
}

// asksUser tells whether a sign-in needs somebody to sign in.
func (a *authOptions) asksUser() bool {
	return !a.clientCredentials && a.vouch.assertionFile == "" && a.vouch.idpTokenURL == ""
}

func (a *authOptions) readClientSecret(name string) error {
	var err error
	a.clientSecret, err = readVouched(name)
	return err
}

func (a *authOptions) readClientKey(name string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if a.clientKey, err = auth.ParseKey(text); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// jsonArgument parses an argument that is JSON, or names a file of it with an @ in front.
func jsonArgument(s string, into any) error {
	text := []byte(s)
	if name, ok := strings.CutPrefix(s, "@"); ok {
		var err error
		if text, err = os.ReadFile(name); err != nil {
			return err
		}
	}
	if err := json.Unmarshal(text, into); err != nil {
		return errors.New("must be a JSON object, or @ and the name of a file that holds one")
	}
	return nil
}

func (a *authOptions) setClientMetadata(s string) error { return jsonArgument(s, &a.clientMetadata) }

// setResource takes a resource (RFC 8707 2). An empty one means none, as with mcp-remote.
func (a *authOptions) setResource(s string) error {
	u, err := url.Parse(s)
	switch {
	case s == "":
		a.noResource = true
	case err != nil || !u.IsAbs() || strings.Contains(s, "#"):
		return errors.New("must be an absolute URI without a #")
	}
	a.resource = s
	return nil
}

func (a *authOptions) addAuthorizeParam(s string) error {
	name, value, ok := strings.Cut(s, "=")
	if !ok || name == "" {
		return errors.New("must be NAME=VALUE")
	}
	a.authorizeParams.Set(name, value)
	return nil
}

func (a *authOptions) setCallbackPort(s string) error {
	port, ok := portNumber(s)
	if !ok {
		return errors.New("must be a port number, 1 to 65535")
	}
	a.callbackPort = port
	return nil
}

// portNumber returns the port that s is, if it is one.
func portNumber(s string) (port int, ok bool) {
	port, err := strconv.Atoi(s)
	return port, err == nil && 1 <= port && port <= 65535
}

func (a *authOptions) setAuthTimeout(s string) error {
	err := durationInto(&a.authTimeout)(s)
	if err == nil && a.authTimeout == 0 {
		return errors.New("must be longer than 0: somebody has to sign in meanwhile")
	}
	return err
}

func (a *authOptions) setStore(s string) error {
	switch s {
	case "file":
		a.sealing = auth.SealNever
	case "keychain":
		a.sealing = auth.SealAlways
	default:
		return errors.New("must be file or keychain")
	}
	return nil
}

func (a *authOptions) setTokenEndpoint(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return errors.New("must be a URL, beginning with https://")
	}
	a.tokenEndpoint = s
	return nil
}
