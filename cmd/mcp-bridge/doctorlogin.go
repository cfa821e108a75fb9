package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"mcp-bridge/auth"
)

// checkStore says how logins are kept.
func (c *checkup) checkStore() {
	s := c.look.Store
	if s == nil {
		c.skip("logins are not kept in files", stepStore)
		return
	}
	dir, file := atHome(s.Dir), atHome(s.File)
	facts := map[string]any{"folder": dir, "file": file}
	for name, mode := range map[string]fs.FileMode{"folder_mode": s.DirMode, "file_mode": s.FileMode} {
		if mode != 0 && runtime.GOOS != "windows" {
			facts[name] = modeText(mode)
		}
	}
	others := func(mode fs.FileMode) bool { return runtime.GOOS != "windows" && mode.Perm()&0o077 != 0 }
	path, isPath := errors.AsType[*fs.PathError](s.Err)
	_, isSealed := errors.AsType[*auth.SealedError](s.Err)
	switch {
	case isSealed:
		c.fail(stepStore, c.o.signInHint(s.Err, ""), facts, "%s", shortened(strings.ReplaceAll(s.Err.Error(), s.File, file)))
	case isPath:
		c.fail(stepStore, "let it be yours alone to read and write, or name another folder in MCP_BRIDGE_HOME", facts, "the login can't be read: %s: %s", atHome(path.Path), plainText(path.Err))
	case s.Err != nil:
		c.fail(stepStore, "use the newer mcp-bridge", facts, "%s", shortened(strings.ReplaceAll(s.Err.Error(), s.File, file)))
	case s.DirMode != 0 && s.ReadOnly:
		c.fail(stepStore, "let the folder be yours, or name another in MCP_BRIDGE_HOME", facts, "nothing can be written to %s: each start would need a sign-in", dir)
	case others(s.FileMode):
		c.fail(stepStore, "chmod 600 "+file, facts, "others on this machine may get at the login: %s has the mode %s", file, modeText(s.FileMode))
	case others(s.DirMode):
		c.warn(stepStore, "chmod 700 "+dir+", or sign in: that does it, too", facts, "the folder of logins, %s, has the mode %s", dir, modeText(s.DirMode))
	case s.Corrupt:
		c.warn(stepStore, "nothing: the next start puts it aside, and you sign in anew", facts, "%s holds no login that can be read", file)
	case s.FileMode == 0:
		c.ok(stepStore, facts, "nothing is kept yet; it would be in %s", dir)
	default:
		c.ok(stepStore, facts, "%s", file)
	}
}

// modeText returns permissions as chmod takes them.
func modeText(mode fs.FileMode) string { return fmt.Sprintf("%04o", mode.Perm()) }

// atHome returns a path without the name of the user's home folder.
func atHome(path string) string {
	home, err := os.UserHomeDir()
	if err != nil {
		return path
	}
	if rest, ok := strings.CutPrefix(path, home+string(filepath.Separator)); ok && home != "" {
		return "~" + string(filepath.Separator) + rest
	}
	return path
}

// checkLogin says what the login that is kept is good for.
func (c *checkup) checkLogin() {
	l, s := c.look.Login, c.look.Store
	switch {
	case c.o.hasAuthorization():
		c.skip("you give an Authorization header of your own", stepLogin)
		return
	case len(c.look.Answers) > 0 && !c.look.Wanted:
		c.skip("the server did not ask for sign-in", stepLogin)
		return
	case l.Err != nil:
		c.skip("it can't be read", stepLogin)
		return
	case s != nil && s.Busy && s.Page != "":
		c.warn(stepLogin, "finish the sign-in that is open in the browser, or end that program", nil, "another mcp-bridge waits for you to sign in at %s", withoutSecrets(s.Page))
		return
	case s != nil && s.Busy:
		c.warn(stepLogin, "wait for it, or end that program", nil, "another mcp-bridge is getting a token")
		return
	}
	signIn := c.o.commandHint("login")
	if l.Record == nil || l.Record.Token == nil {
		switch {
		case !c.o.auth.asksUser():
			c.ok(stepLogin, nil, "no token yet; the relay gets one by itself, and --login now")
		case s != nil && s.Others > 0:
			c.warn(stepLogin, "use the flags that it was made with; 'mcp-bridge status' lists what is kept", nil, "not signed in with these flags, but with others")
		case len(c.look.Answers) == 0:
			c.skip("there is none yet, and nobody knows whether it is needed", stepLogin)
		default:
			c.warn(stepLogin, signIn, nil, "not signed in yet")
		}
		return
	}
	r := l.Record
	facts := map[string]any{"refreshable": l.Refreshable, "expired": l.Expired, "issuer": r.Issuer, "scope": r.Scope}
	if !r.Token.Expiry.IsZero() {
		facts["valid_until"] = r.Token.Expiry.UTC().Format(time.RFC3339)
	}
	if r.Token.Key != nil {
		facts["bound_to_key"] = true // DPoP
	}
	if r.Client != nil {
		facts["client"], facts["registered"], facts["redirect_uri"] = r.Client.ID, r.Client.Registered, r.Client.RedirectURI
	}
	end := r.Token.Expiry.Local().Format("2006-01-02 15:04")
	switch {
	case l.IssuerChanged && c.o.auth.clientID != "":
		c.fail(stepLogin, "if the client is known there too, "+c.o.commandHint("logout")+" and sign in anew; if not, name another with --client-id", facts,
			"the login is from %s, and the server now names %s", shortened(r.Issuer), shortened(c.look.Server.Issuer))
	case l.Refusal != nil && l.Refreshable:
		c.fail(stepLogin, "the next request has it renewed; if that does not help, "+signIn, facts, "the server refuses the token that is kept%s", challengeWords(l.Refusal))
	case l.Refusal != nil:
		c.fail(stepLogin, signIn, facts, "the server refuses the token that is kept%s", challengeWords(l.Refusal))
	case l.Expired && !l.Refreshable && !c.o.auth.asksUser():
		c.ok(stepLogin, facts, "the token ended at %s; the relay gets another by itself", end)
	case l.Expired && !l.Refreshable:
		c.fail(stepLogin, signIn+c.refreshAdvice(r, "; for a login that lasts: "), facts, "the login ended at %s, and can't be renewed: %s", end, whyNotRefreshable(r))
	case l.IssuerChanged:
		c.warn(stepLogin, signIn, facts, "the login is from %s, and the server now names %s: a new sign-in will be needed", shortened(r.Issuer), shortened(c.look.Server.Issuer))
	case !l.Refreshable && !r.Token.Expiry.IsZero() && c.o.auth.asksUser():
		c.warn(stepLogin, c.refreshAdvice(r, ""), facts, "signed in until %s, and then anew: %s", end, whyNotRefreshable(r))
	default:
		c.ok(stepLogin, facts, "%s", loginState(r.Token, time.Now()))
	}
}

func whyNotRefreshable(r *auth.Record) string {
	if r.Token.Refresh != "" {
		return "its client is of no use any more"
	}
	return "there is no refresh token"
}

// refreshAdvice returns how to get a refresh token, behind a few words, "" where one is not what is missing.
func (c *checkup) refreshAdvice(r *auth.Record, before string) string {
	const offline = "offline_access"
	switch s := c.look.Server; {
	case r.Token.Refresh != "":
		return ""
	case s != nil && slices.Contains(s.Scopes, offline) && !slices.Contains(s.Ask, offline):
		return before + "ask for " + offline + " too, by --scope: the authorization server offers it"
	}
	return before + "some servers give one when asked: --authorize-param prompt=consent, or access_type=offline with Google"
}
