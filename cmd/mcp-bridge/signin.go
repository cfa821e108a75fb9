package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"

	"mcp-bridge/auth"
	"mcp-bridge/bridge"

	"github.com/spf13/cobra"
)

// complete finishes the options of a command that takes a URL.
func (o *options) complete(cmd *cobra.Command, args []string) error {
	if err := o.fromEnvironment(cmd.Flags(), os.LookupEnv); err != nil {
		return err
	}
	return o.finish(cmd, args)
}

// finish takes the arguments, and checks all together. Flags and variables are set before.
func (o *options) finish(cmd *cobra.Command, args []string) error {
	named, err := takeNamed(cmd, args)
	if err != nil {
		return usageError{err}
	}
	if named != nil {
		if err := named.apply(o, cmd.Flags(), cmd.Root().Flags()); err != nil {
			return usageError{err}
		}
		o.name = named.name
		if err := o.checkURL(named.url); err != nil {
			return usageError{named.errorAt([]string{"url"}, err)}
		}
		args = slices.Concat([]string{named.url}, args[1:])
	}
	if err := o.setURL(cmd, args); err != nil {
		return err
	}
	if err := o.check(); err != nil {
		return usageError{err}
	}
	if err := o.auth.check(cmd.Flags()); err != nil {
		return usageError{err}
	}
	o.onLine.look(o, cmd.Flags())
	return nil
}

// hasAuthorization tells whether the user has given an Authorization header of his own. Then nothing
// is added to it, and a refusal is what it is.
func (o *options) hasAuthorization() bool { return o.requestHeader().Get("Authorization") != "" }

// authConfig returns what package auth has to know to sign in at o.url. Requests go through base.
func (o *options) authConfig(base http.RoundTripper, log *slog.Logger) auth.Config {
	a := &o.auth
	cfg := auth.Config{
		ServerURL: o.url, AllowHTTP: o.allowHTTP, AllowPrivate: a.allowPrivate,
		Scopes: a.scopes, Resource: a.resource, OmitResource: a.noResource,
		ClientName: a.clientName, ClientID: a.clientID, ClientSecret: a.clientSecret, ClientKey: a.clientKey,
		ClientMetadataURL: a.clientMetadataURL, ClientMetadata: a.clientMetadata,
		ClientCredentials: a.clientCredentials, TokenEndpoint: a.tokenEndpoint, DeviceCode: a.deviceCode, UseIDToken: a.useIDToken,
		AuthorizeParams: a.authorizeParams, RequirePKCEMetadata: a.requirePKCE,
		CallbackHost: a.callbackHost, CallbackPort: a.callbackPort, CallbackPath: a.callbackPath,
		SignInTimeout: a.authTimeout, Profile: a.profile, Sealing: a.sealing, SuccessURL: a.successURL,
		Base: base, Ignore: bridge.SpeaksOfSession, Log: log,
		Tell: func(e auth.Event) {
			o.pending.see(e)
			sayEvent(log, o.url, e)
		},
	}
	a.vouch.add(&cfg)
	if a.browser != "" {
		cfg.Open = auth.OpenWith(a.browser)
	}
	return cfg
}

// newAuthTransport returns the RoundTripper that signs in.
func (o *options) newAuthTransport(cfg auth.Config) (*auth.Transport, error) {
	if o.auth.secretOnLine {
		cfg.Log.Warn("others on this machine can read the client's secret on the command line; put it into MCP_BRIDGE_CLIENT_SECRET, or into a file for --client-secret-file")
	}
	t, err := auth.New(cfg)
	if err != nil {
		return nil, usageError{err}
	}
	return t, nil
}

// A hinting is a RoundTripper whose errors tell a person what to do when there is no authorization
// to be had. They reach the host.
type hinting struct {
	http.RoundTripper
	options *options
}

func (h *hinting) RoundTrip(req *http.Request) (*http.Response, error) {
	if c := h.options.printedHeader; c != nil {
		with, err := c.apply(req)
		if err != nil {
			if req.Body != nil {
				req.Body.Close()
			}
			return nil, err
		}
		req = with
	}
	resp, err := h.RoundTripper.RoundTrip(req)
	if _, ok := errors.AsType[*auth.NotAuthorizedError](err); ok {
		h.options.pending.over()
		err = withHint(err, h.options.signInHint(err, h.options.commandHint("login")))
	}
	return resp, err
}

// CloseIdleConnections closes connections that no request is using.
func (h *hinting) CloseIdleConnections() {
	(&http.Client{Transport: h.RoundTripper}).CloseIdleConnections()
}

func withHint(err error, hint string) error {
	if hint == "" {
		return err
	}
	return fmt.Errorf("%w; %s", err, hint)
}

// signInHint returns what to do about a sign-in that failed, "" where nothing is known to help. Again
// says how to try it again.
func (o *options) signInHint(err error, again string) string {
	var (
		registration *auth.RegistrationError
		portInUse    *auth.PortInUseError
		refused      *auth.AuthorizationError
		token        *auth.TokenError
		metadata     *auth.MetadataError
		sealed       *auth.SealedError
		keychain     *auth.KeychainError
	)
	if hint := o.auth.vouch.hint(err); hint != "" {
		return hint
	}
	switch {
	case errors.As(err, &sealed):
		return "unlock the keychain, or give that login up: " + o.commandHint("logout")
	case errors.As(err, &keychain):
		return "--store file does without it, and keeps logins in files that only you can read"
	case errors.Is(err, auth.ErrSignInTimeout), errors.Is(err, auth.ErrSignInRequired):
		return again
	case errors.As(err, &portInUse):
		return "end the program that has it, or name another port with --callback-port"
	case errors.As(err, &metadata) && metadata.Private:
		return "if that is your own network, and meant to be so, --allow-private lets it pass"
	case errors.Is(err, auth.ErrIssuerChanged):
		return "if the client is known there too, " + o.commandHint("logout") + " and sign in anew; if not, name another with --client-id"
	case errors.Is(err, auth.ErrNoRegistration), errors.As(err, &registration):
		return "if you have a client that was registered in advance, name it with --client-id"
	case errors.Is(err, auth.ErrClientNotFound) && o.auth.clientID != "":
		return "see whether --client-id is right, and the client's secret or key"
	case errors.As(err, &refused) && refused.Code == "invalid_target", errors.As(err, &token) && token.Code == "invalid_target":
		return "--no-resource leaves out what is refused here, and --resource puts something else in its place"
	case errors.As(err, &refused) && refused.Code == "invalid_scope", errors.As(err, &token) && token.Code == "invalid_scope":
		return "--scope says what to ask for instead"
	case errors.As(err, &refused) && again != "":
		return "to be asked again, " + again
	case errors.As(err, &metadata) && !o.auth.deviceCode: // which may be what the server does not offer
		return "if the URL is right, those who run the server have to mend this: show them what 'mcp-bridge doctor URL' says"
	}
	return ""
}

// commandHint returns how to run a command of ours for this login, without a host around.
func (o *options) commandHint(command string) string {
	server := "URL"
	switch {
	case o.name != "":
		server = o.name
	case o.url == withoutSecrets(o.url):
		server = o.url
	}
	return fmt.Sprintf("run 'mcp-bridge %s %s' in a terminal, with the flags that it has here", command, server)
}
