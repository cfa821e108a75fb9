package main

import (
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"mcp-bridge/auth"
	"mcp-bridge/bridge"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// authOptions is what the command line and the environment say about signing in.
type authOptions struct {
	clientID          string
	clientSecret      string
	secretOnLine      bool // the secret stands on the command line, where others can read it
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
	profile           string
}

// register defines the flags.
func (a *authOptions) register(fs *pflag.FlagSet) {
	a.authorizeParams = url.Values{}
	fs.Func("scope", "ask for these scopes and no others", func(s string) error {
		a.scopes = append(a.scopes, strings.Fields(s)...)
		return nil
	})
	fs.StringVar(&a.profile, "profile", "", "keep this login apart from others at the server")
	fs.StringVar(&a.clientID, "client-id", "", "use this client, registered in advance")
	fs.Func("client-secret", "hold too (others can read the command line)", func(s string) error {
		a.clientSecret, a.secretOnLine = s, true
		return nil
	})
	fs.Func("client-secret-file", "its secret", func(name string) error {
		text, err := os.ReadFile(name)
		a.clientSecret = strings.TrimSpace(string(text))
		return err
	})
	fs.Func("client-key", "its private key (PEM, RSA or P-256)", func(name string) error {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if a.clientKey, err = auth.ParseKey(text); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	})
	fs.StringVar(&a.clientMetadataURL, "client-metadata-url", "", "use this client ID metadata document")
	fs.StringVar(&a.clientName, "client-name", "", "register under this name")
	fs.Func("client-metadata", "register with this too", a.setClientMetadata)
	fs.StringVar(&a.resource, "resource", "", "ask for a token for this resource")
	fs.BoolVar(&a.noResource, "no-resource", false, "do not say which resource a token is for")
	fs.Func("authorize-param", "add this to the sign-in page's address", a.addAuthorizeParam)
	fs.StringVar(&a.callbackHost, "callback-host", "", "where the browser returns to")
	fs.Func("callback-port", "on this port, not on any that is free", a.setCallbackPort)
	fs.StringVar(&a.callbackPath, "callback-path", "", "at this path")
	fs.StringVar(&a.browser, "browser", "", "open pages with this command")
	fs.Func("auth-timeout", "time limit for signing in", durationInto(&a.authTimeout))
	fs.BoolVar(&a.deviceCode, "device-code", false, "sign in on another device")
	fs.BoolVar(&a.clientCredentials, "client-credentials", false, "sign in as the client itself, without a user")
	fs.BoolVar(&a.requirePKCE, "require-pkce-metadata", false, "refuse servers that do not say that they know PKCE")

	// What mcp-remote calls the same.
	fs.StringVar(&a.callbackHost, "host", "", "")
	fs.BoolVar(&a.noResource, "disable-resource-parameter", false, "")
	fs.Func("static-oauth-client-metadata", "", a.setClientMetadata)
	fs.Func("static-oauth-client-info", "", a.setClientInfo)
	for _, name := range []string{"host", "disable-resource-parameter", "static-oauth-client-metadata", "static-oauth-client-info"} {
		fs.Lookup(name).Hidden = true
	}
}

// completeAuthFlags does for these flags what completeFlags does for the others.
func completeAuthFlags(cmd *cobra.Command) {
	for name, values := range map[string][]cobra.Completion{
		"callback-host": {"localhost", "127.0.0.1", "[::1]"},
		"scope":         nil, "profile": nil, "client-id": nil, "client-metadata-url": nil, "client-name": nil,
		"resource": nil, "authorize-param": nil, "callback-port": nil, "callback-path": nil, "auth-timeout": nil,
	} {
		if err := cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
			panic(err) // there is no such flag: register and this table have drifted apart
		}
	}
}

// jsonArgument returns an argument that is JSON, or names a file of it with an @ in front.
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

// setClientInfo takes a client as mcp-remote's users have written it down.
func (a *authOptions) setClientInfo(s string) error {
	expanded, err := expandVariables(s)
	if err != nil {
		return err
	}
	var info struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	if err := jsonArgument(expanded, &info); err != nil {
		return err
	}
	a.clientID, a.clientSecret = info.ID, info.Secret
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
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > 65535 {
		return errors.New("must be a port number, 1 to 65535")
	}
	a.callbackPort = n
	return nil
}

// config returns what package auth has to know to sign in at o.url.
func (o *options) authConfig(base http.RoundTripper, log *slog.Logger, stderr io.Writer) auth.Config {
	a := &o.auth
	cfg := auth.Config{
		ServerURL: o.url, AllowHTTP: o.allowHTTP,
		Scopes: a.scopes, Resource: a.resource, OmitResource: a.noResource,
		ClientName: a.clientName, ClientID: a.clientID, ClientSecret: a.clientSecret, ClientKey: a.clientKey,
		ClientMetadataURL: a.clientMetadataURL, ClientMetadata: a.clientMetadata,
		ClientCredentials: a.clientCredentials, DeviceCode: a.deviceCode,
		AuthorizeParams: a.authorizeParams, RequirePKCEMetadata: a.requirePKCE,
		CallbackHost: a.callbackHost, CallbackPort: a.callbackPort, CallbackPath: a.callbackPath,
		SignInTimeout: a.authTimeout, Profile: a.profile,
		Base: base, Ignore: bridge.SpeaksOfSession, Log: log,
		Tell: func(e auth.Event) { sayEvent(stderr, o.url, e) },
	}
	if a.browser != "" {
		cfg.Open = auth.OpenWith(a.browser)
	}
	return cfg
}

// newAuthTransport returns the RoundTripper that signs in, or nil when the user has given an
// Authorization header of his own: then nothing is added to it, and a refusal is what it is.
func (o *options) newAuthTransport(base http.RoundTripper, log *slog.Logger, stderr io.Writer) (*auth.Transport, error) {
	if o.requestHeader().Get("Authorization") != "" {
		return nil, nil
	}
	if o.auth.secretOnLine {
		log.Warn("others on this machine can read the client's secret on the command line; put it into MCP_BRIDGE_CLIENT_SECRET, or name a file with --client-secret-file")
	}
	t, err := auth.New(o.authConfig(base, log, stderr))
	if err != nil {
		return nil, usageError{err}
	}
	return t, nil
}
