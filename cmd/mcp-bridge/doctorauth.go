package main

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"mcp-bridge/auth"
)

// theirs is the advice about what only those who run a server can put right.
const theirs = "those who run the server have to put that right; show them this report"

// checkSignIn says how the sign-in of --login went.
func (c *checkup) checkSignIn() {
	switch {
	case c.result(stepHTTP) != checkOK && c.result(stepHTTP) != checkWarning:
		c.skip("there is no server to sign in to", stepSignIn)
	case errors.Is(c.signIn, auth.ErrNotWanted):
		c.ok(stepSignIn, nil, "not needed")
	case c.signIn != nil:
		c.fail(stepSignIn, c.o.signInHint(c.signIn, "try again"), nil, "%s", shortened(c.signIn.Error()))
	default:
		c.ok(stepSignIn, nil, "signed in")
	}
}

// checkAuthorization says how the server wants to be signed in at, and whether that would work.
func (c *checkup) checkAuthorization() {
	rest := []string{stepResource, stepServer, stepPKCE, stepRegistration, stepScopes, stepCallback, stepPage}
	all := append([]string{stepChallenge}, rest...)
	switch l := c.look; {
	case c.result(stepHTTP) == checkSkipped:
		c.skip("there is no connection", all...)
	case c.result(stepHTTP) == checkError:
		c.skip("the server does not answer as an MCP server", all...)
	case c.o.hasAuthorization() && l.Wanted:
		c.fail(stepChallenge, "see whether it is right, and not too old", nil, "the server refuses the Authorization header that you give%s", challengeWords(&l.Challenge))
		c.skip("you give an Authorization header of your own", rest...)
	case c.o.hasAuthorization():
		c.ok(stepChallenge, nil, "none: the server takes the Authorization header that you give, or needs none")
		c.skip("you give an Authorization header of your own", rest...)
	case !l.Wanted:
		c.ok(stepChallenge, nil, "none: the server asks for no sign-in")
		c.skip("no sign-in is needed", rest...)
	default:
		c.checkChallenge()
		c.checkResource()
		c.checkServer()
		c.checkPKCE()
		c.checkRegistration()
		c.checkScopes()
		c.checkCallback()
		c.checkPage()
	}
}

// challengeWords returns ": " and what a challenge says, "" if that is nothing.
func challengeWords(ch *auth.Challenge) string {
	switch {
	case ch.Error == "" && ch.Description == "":
		return ""
	case ch.Description == "":
		return ": " + ch.Error
	case ch.Error == "":
		return ": " + ch.Description
	}
	return ": " + ch.Error + ": " + ch.Description
}

func (c *checkup) checkChallenge() {
	ch := &c.look.Challenge
	status := c.look.Answers[len(c.look.Answers)-1].Status
	facts := map[string]any{"status": status, "schemes": ch.Schemes, "resource_metadata": ch.ResourceMetadata, "scope": ch.Scope, "error": ch.Error}
	text := ""
	if ch.Scope != "" {
		text += ", for " + shortened(ch.Scope)
	}
	if ch.ResourceMetadata != "" {
		text += ", with metadata at " + withoutSecrets(ch.ResourceMetadata)
	}
	switch {
	case len(ch.Schemes) == 0:
		c.ok(stepChallenge, facts, "HTTP %d without one: what there is to know is looked for at well-known places", status)
	case !isForTokens(ch) && c.look.Resource.URL == "":
		c.fail(stepChallenge, "if you have what it wants, give it by --header 'Authorization: …'", facts, "the server wants authorization by %s, not by Bearer", strings.Join(ch.Schemes, ", "))
	case !isForTokens(ch):
		c.warn(stepChallenge, "", facts, "the server wants authorization by %s, not by Bearer; sign-in may work all the same", strings.Join(ch.Schemes, ", "))
	case status != http.StatusUnauthorized:
		c.warn(stepChallenge, "", facts, "a challenge comes with HTTP %d, not with 401", status)
	case !slices.Contains(ch.Schemes, "bearer"):
		c.ok(stepChallenge, facts, "HTTP 401, DPoP%s", text)
	default:
		c.ok(stepChallenge, facts, "HTTP 401, Bearer%s", text)
	}
}

// isForTokens tells whether a challenge is to a scheme that a token can answer.
func isForTokens(ch *auth.Challenge) bool {
	return slices.Contains(ch.Schemes, "bearer") || slices.Contains(ch.Schemes, "dpop")
}

func (c *checkup) checkResource() {
	r := c.look.Resource
	facts := map[string]any{"url": r.URL, "resource": r.Resource, "authorization_servers": r.Issuers}
	_, untrusted := errors.AsType[*auth.MetadataError](r.Err)
	switch {
	case untrusted:
		at := ""
		if r.URL != "" {
			at = " (it is at " + r.URL + ")"
		}
		c.fail(stepResource, theirs, facts, "%s%s", r.Err, at)
	case r.Err != nil:
		c.fail(stepResource, "try again later, and tell those who run the server", facts, "%s", shortened(r.Err.Error()))
	case c.o.auth.tokenEndpoint != "":
		c.skip("--token-endpoint says where tokens are", stepResource)
	case r.URL == "":
		c.ok(stepResource, facts, "none: the server's own origin is taken for the authorization server")
	default:
		c.ok(stepResource, facts, "at %s, for %s", r.URL, shortened(r.Resource))
	}
}

func (c *checkup) checkServer() {
	s := c.look.Server
	if s == nil {
		c.skip("nobody knows where it is", stepServer)
		return
	}
	facts := map[string]any{"url": s.URL, "issuer": s.Issuer}
	_, untrusted := errors.AsType[*auth.MetadataError](s.Err)
	switch {
	case untrusted:
		c.fail(stepServer, theirs, facts, "%s", s.Err)
	case s.Err != nil:
		c.fail(stepServer, "try again later, and tell those who run the authorization server", facts, "%s", shortened(s.Err.Error()))
	case s.SignInStatus == http.StatusNotFound:
		c.fail(stepServer, "if the server wants a key, give it by --header 'Authorization: Bearer ${KEY}'; else its makers should say how to sign in", facts,
			"there is none: %s has neither metadata nor a sign-in page", s.Issuer)
	case c.o.auth.tokenEndpoint != "":
		c.ok(stepServer, facts, "%s, by --token-endpoint", shortened(s.Issuer))
	case s.URL == "":
		c.warn(stepServer, "", facts, "%s has no metadata; its endpoints are guessed as in 2025-03-26", s.Issuer)
	default:
		c.ok(stepServer, facts, "%s, by %s", shortened(s.Issuer), s.URL)
	}
}

// noServer tells whether nothing more can be said since there is no authorization server.
func (c *checkup) noServer(step string) bool {
	if c.result(stepServer) == checkOK || c.result(stepServer) == checkWarning {
		return false
	}
	c.skip("there is no authorization server to ask", step)
	return true
}

func (c *checkup) checkPKCE() {
	if c.noServer(stepPKCE) {
		return
	}
	s := c.look.Server
	facts := map[string]any{"methods": s.Methods}
	switch {
	case s.PKCE != nil:
		c.fail(stepPKCE, theirs, facts, "%s", s.PKCE)
	case c.o.auth.deviceCode || c.o.auth.clientCredentials:
		c.skip("not used in this way to sign in", stepPKCE)
	case slices.Contains(s.Methods, "S256"), s.URL == "":
		c.ok(stepPKCE, facts, "S256")
	default:
		c.warn(stepPKCE, "", facts, "the authorization server does not say that it supports it; S256 is used all the same")
	}
}

func (c *checkup) checkRegistration() {
	r := c.look.Registration
	if r == nil {
		c.skip("there can be no sign-in", stepRegistration)
		return
	}
	ways := []string{}
	if r.Documents {
		ways = append(ways, "client ID metadata document")
	}
	if r.Dynamic {
		ways = append(ways, "dynamic registration")
	}
	facts := map[string]any{"ways": ways}
	offers := "none offered"
	if len(ways) > 0 {
		offers = "offered: " + strings.Join(ways, ", ")
	}
	switch client := r.Client; {
	case errors.Is(r.Err, auth.ErrNoRegistration):
		c.fail(stepRegistration, c.o.signInHint(r.Err, ""), facts, "%s", r.Err)
	case r.Err != nil:
		c.fail(stepRegistration, theirs, facts, "%s", r.Err)
	case client == nil:
		c.ok(stepRegistration, facts, "a client is registered at the next sign-in (%s)", offers)
	case client.Registered:
		facts["client"], facts["method"] = client.ID, client.AuthMethod
		c.ok(stepRegistration, facts, "registered as %s, with the method %s (%s)", shortened(client.ID), shortened(client.AuthMethod), offers)
	default:
		facts["client"], facts["method"] = client.ID, client.AuthMethod
		c.ok(stepRegistration, facts, "not needed: the client is %s, with the method %s (%s)", shortened(client.ID), shortened(client.AuthMethod), offers)
	}
}

func (c *checkup) checkScopes() {
	if c.noServer(stepScopes) {
		return
	}
	s := c.look.Server
	facts := map[string]any{"asked": s.Ask, "listed": s.Scopes}
	var unknown []string
	for _, scope := range s.Ask {
		if len(s.Scopes) > 0 && !slices.Contains(s.Scopes, scope) {
			unknown = append(unknown, scope)
		}
	}
	switch {
	case len(s.Ask) == 0:
		c.ok(stepScopes, facts, "none are asked for: neither the server nor you name any")
	case len(unknown) > 0:
		c.warn(stepScopes, "if signing in fails for them, --scope says what to ask for instead", facts, "asked for: %s; the authorization server does not list %s",
			shortened(strings.Join(s.Ask, " ")), shortened(strings.Join(unknown, " ")))
	default:
		c.ok(stepScopes, facts, "asked for: %s", shortened(strings.Join(s.Ask, " ")))
	}
}

func (c *checkup) checkCallback() {
	cb := c.look.Callback
	if cb == nil {
		c.skip("not used in this way to sign in", stepCallback)
		return
	}
	facts := map[string]any{"redirect_uri": cb.RedirectURI}
	r, s := c.look.Registration, c.look.Store
	inUse, isInUse := errors.AsType[*auth.PortInUseError](cb.Err)
	switch {
	case isInUse && s != nil && s.Busy:
		c.warn(stepCallback, "finish its sign-in, or end it", facts, "the callback port %d is in use, probably by the mcp-bridge that waits for you to sign in", inUse.Port)
	case isInUse:
		c.fail(stepCallback, c.o.signInHint(cb.Err, ""), facts, "the callback port %d is in use", inUse.Port)
	case cb.Err != nil:
		c.fail(stepCallback, c.o.signInHint(cb.Err, ""), facts, "%s", shortened(cb.Err.Error()))
	case cb.Taken != 0 && r != nil && (r.Err != nil || r.Client != nil):
		c.fail(stepCallback, "end the program that has it, before you sign in; the client can't be registered with another port", facts,
			"port %d, which the client is registered with, is in use", cb.Taken)
	case cb.Taken != 0:
		c.warn(stepCallback, "the next sign-in registers another client; to keep this one, end the program that has the port", facts,
			"port %d, which the client is registered with, is in use", cb.Taken)
	default:
		c.ok(stepCallback, facts, "%s is free", cb.RedirectURI)
	}
}

func (c *checkup) checkPage() {
	p := c.look.Page
	switch {
	case p == nil && c.look.Registration == nil:
		c.skip("there can be no sign-in", stepPage)
	case p == nil:
		c.skip("it is not known without a client", stepPage)
	case p.Err == nil:
		c.ok(stepPage, nil, "the authorization server lets the client begin")
	case errors.Is(p.Err, auth.ErrClientNotFound) && c.look.Registration.Client.Registered && c.look.Registration.Dynamic:
		c.warn(stepPage, "nothing: the next sign-in registers another client", nil, "the authorization server does not accept the registered client any more: %s", refusalWords(p.Err))
	case errors.Is(p.Err, auth.ErrClientNotFound):
		c.fail(stepPage, c.o.signInHint(p.Err, ""), nil, "the authorization server does not accept the client: %s", refusalWords(p.Err))
	default:
		c.fail(stepPage, c.o.signInHint(p.Err, ""), nil, "%s", shortened(p.Err.Error()))
	}
}

// refusalWords returns what the authorization server itself said.
func refusalWords(err error) string {
	refused, ok := errors.AsType[*auth.AuthorizationError](err)
	if !ok {
		return shortened(err.Error())
	}
	return shortened(strings.TrimPrefix(fmt.Sprintf("%s: %s", refused.Code, refused.Description), ": "))
}
