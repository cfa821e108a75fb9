package auth_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"mcp-bridge/auth"
	"mcp-bridge/auth/authtest"
)

// allow presses Allow at a page, and wants to be shown that this worked.
func (f *fixture) allow(page string) {
	f.t.Helper()
	end, err := authtest.Browse(f.t.Context(), page)
	if err != nil || end.Status != http.StatusOK || !strings.Contains(end.Body, "Signed in") {
		f.t.Fatalf("the browser ended at HTTP %d: %s (%v)", end.Status, end.Body, err)
	}
}

// page waits until the process tells where to sign in, and returns that.
func (p *process) page() string {
	p.t.Helper()
	told := fmt.Sprintf("told %d ", auth.SignInStarted)
	return strings.TrimPrefix(p.wait(told), told)
}

// wantOne checks that there was one sign-in in all, that these processes opened no page for it, and
// that nothing but the login is left of it.
func (f *fixture) wantOne(processes ...*process) {
	f.t.Helper()
	for _, p := range processes {
		if p.opened() != 0 {
			f.t.Errorf("a page was opened: %q", p.report())
		}
	}
	if r, a, e := f.as.Registrations(), f.as.Authorizations(), f.as.Exchanges(); r != 1 || a != 1 || e != 1 {
		f.t.Errorf("%d registrations, %d authorizations, %d exchanges; want one of each\n%s", r, a, e, f.story())
	}
	f.wantLogin()
}

// wantLogin checks that there is a login, and nothing left of the way there.
func (f *fixture) wantLogin() {
	f.t.Helper()
	rec := f.record()
	if rec == nil || rec.Token == nil || rec.Pending != nil {
		f.t.Errorf("the record is %+v", rec)
	}
}

// Who waits for the lock at the moment of the kill goes on with the sign-in that he was told of.
func TestKilledSignInIsASiblings(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	victim := f.start(program{})
	victim.goOn()
	page := strings.TrimPrefix(victim.wait("opened "), "opened ")
	siblings := []*process{f.start(program{Browse: true}), f.start(program{Browse: true})}
	for _, p := range siblings {
		p.goOn()
		p.wait(fmt.Sprintf("told %d %s", auth.SignInElsewhere, page))
	}
	victim.kill()
	within(t, "a sibling that listens", func() bool {
		for _, p := range siblings {
			for _, line := range p.report() {
				if line == fmt.Sprintf("told %d %s", auth.SignInStarted, page) {
					return true
				}
			}
		}
		return false
	})
	f.allow(page)
	for _, p := range siblings {
		p.wait("ok")
	}
	f.wantOne(siblings...)
}

// However often it is killed, the user needs one tab.
func TestKilledSignInAgain(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	victim := f.start(program{})
	victim.goOn()
	page := strings.TrimPrefix(victim.wait("opened "), "opened ")
	victim.kill()
	second := f.start(program{Browse: true})
	second.goOn()
	if got := second.page(); got != page {
		t.Errorf("the second is at %s, not %s", got, page)
	}
	second.kill()
	third := f.start(program{Browse: true})
	third.goOn()
	if got := third.page(); got != page {
		t.Errorf("the third is at %s, not %s", got, page)
	}
	f.allow(page)
	third.wait("ok")
	f.wantOne(second, third)
}

// The user presses Allow while no process is there. He reloads the page that the browser shows
// instead, and that is it.
func TestKilledSignInIsReloaded(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	victim := f.start(program{})
	victim.goOn()
	page := strings.TrimPrefix(victim.wait("opened "), "opened ")
	victim.kill()
	_, err := authtest.Browse(t.Context(), page)
	refused, ok := errors.AsType[*url.Error](err)
	if !ok || !strings.Contains(refused.URL, "/callback?") {
		t.Fatalf("the browser ended with %v", err)
	}
	next := f.start(program{Browse: true})
	next.goOn()
	next.page()
	f.allow(refused.URL)
	next.wait("ok")
	f.wantOne(next)
}

// State and verifier are good for one answer: what was killed after that is not gone on with.
func TestKilledDuringExchange(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	victim := f.start(program{})
	reached := f.holdFirst("/token", func(*authtest.Request) {})
	victim.goOn()
	page := strings.TrimPrefix(victim.wait("opened "), "opened ")
	visited := make(chan struct{})
	go func() { // ends with the victim
		defer close(visited)
		_, _ = authtest.Browse(t.Context(), page)
	}()
	<-reached
	if rec := f.record(); rec == nil || rec.Pending != nil {
		t.Errorf("at the exchange the record is %+v", rec)
	}
	victim.kill()
	<-visited
	next := f.start(program{Browse: true})
	next.goOn()
	next.wait("ok")
	exchanges := f.forms("POST /token authorization_code")
	if len(exchanges) != 2 || exchanges[0].Get("code_verifier") == exchanges[1].Get("code_verifier") || next.opened() != 1 {
		t.Errorf("%d exchanges, %d pages\n%s", len(exchanges), next.opened(), f.story())
	}
	f.wantLogin()
}

// A code for another device is gone on with, too.
func TestKilledSignInByDevice(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	victim := f.start(program{Device: true})
	victim.goOn()
	told := victim.wait(fmt.Sprintf("told %d ", auth.DeviceStarted))
	victim.kill()
	next := f.start(program{Device: true})
	next.goOn()
	if again := next.wait("told "); again != told {
		t.Errorf("told %q, then %q", told, again)
	}
	words := strings.Fields(told)
	if page, err := authtest.Browse(t.Context(), words[2]+"?user_code="+words[3]); err != nil || page.Status != http.StatusOK {
		t.Fatalf("the browser ended at HTTP %d: %s (%v)", page.Status, page.Body, err)
	}
	next.wait("ok")
	if n := f.as.Count("POST /device_authorization"); n != 1 || f.as.Registrations() != 1 {
		t.Errorf("%d codes, %d registrations; want 1, 1\n%s", n, f.as.Registrations(), f.story())
	}
	f.wantLogin()
}

// abandon begins a sign-in and leaves what a process leaves that is killed then, but for an edit of
// the pending sign-in, which may be nil. The Transport is a new one.
func (f *fixture) abandon(edit func(pending map[string]any) any) (page string) {
	f.t.Helper()
	s := f.begin()
	path := f.files(".json")[0]
	rec := map[string]any{}
	if err := json.Unmarshal([]byte(readFile(f.t, path)), &rec); err != nil {
		f.t.Fatal(err)
	}
	pending, ok := rec["pending"].(map[string]any)
	if !ok {
		f.t.Fatalf("while the sign-in waits there is %v", rec)
	}
	f.transport.Close()
	if err := s.end(f.t); !errors.Is(err, auth.ErrClosed) {
		f.t.Fatalf("the sign-in ended with %v", err)
	}
	if edit != nil {
		rec["pending"] = edit(pending)
	}
	text, err := json.Marshal(rec)
	if err != nil {
		f.t.Fatal(err)
	}
	writeFile(f.t, path, string(text))
	f.again(func(c *auth.Config) { c.Open = f.browser.Open })
	f.mu.Lock()
	f.events = nil
	f.mu.Unlock()
	return s.page
}

// What is left is of use only for the same sign-in, in time. In place of any other a new one begins,
// and works.
func TestKilledSignInIsNotResumed(t *testing.T) {
	t.Parallel()
	set := func(name string, value any) func(map[string]any) any {
		return func(p map[string]any) any { p[name] = value; return p }
	}
	for name, test := range map[string]struct {
		edit   func(map[string]any) any
		change func(*fixture)
		client func(*auth.Config)
	}{
		"expired":             {edit: set("began", time.Now().Add(-time.Hour))},
		"from the future":     {edit: set("began", time.Now().Add(time.Hour))},
		"without a time":      {edit: set("began", nil)},
		"a time that is none": {edit: set("began", "yesterday")},
		"corrupt":             {edit: func(map[string]any) any { return "secret-?" }},
		"empty":               {edit: func(map[string]any) any { return map[string]any{} }},
		"without a client":    {edit: set("client", nil)},
		"without a state": {edit: func(p map[string]any) any {
			p["page"] = strings.Replace(p["page"].(string), "&state="+p["state"].(string), "", 1)
			p["state"] = ""
			return p
		}},
		"without a verifier": {edit: set("verifier", "")},
		"another verifier":   {edit: set("verifier", "secret-verifier")},
		"another page":       {edit: set("page", "https://evil.example/authorize")},
		"another issuer":     {edit: set("issuer", "https://evil.example")},
		"another resource":   {edit: set("resource", "https://evil.example/mcp")},
		"another client": {edit: func(p map[string]any) any {
			p["client"].(map[string]any)["id"] = "somebody else"
			return p
		}},
		"an expired client": {edit: func(p map[string]any) any {
			p["client"].(map[string]any)["secret_expiry"] = time.Now().Add(-time.Hour)
			return p
		}},
		"a device code": {edit: func(p map[string]any) any {
			delete(p, "state")
			delete(p, "verifier")
			p["device_code"], p["interval"] = "secret-dc", time.Second
			return p
		}},
		"other scopes now": {change: func(f *fixture) {
			f.as.Set(func(c *authtest.Config) { c.ChallengeScope = "more" })
		}},
		"other parameters now": {client: func(c *auth.Config) { c.AuthorizeParams = url.Values{"prompt": {"login"}} }},
		"another path now":     {client: func(c *auth.Config) { c.CallbackPath = "/elsewhere" }},
		"another host now":     {client: func(c *auth.Config) { c.CallbackHost = "127.0.0.1" }},
		"by device code now":   {client: func(c *auth.Config) { c.DeviceCode = true }},
		"another authorization endpoint now": {change: func(f *fixture) {
			f.as.Set(func(c *authtest.Config) {
				c.Metadata = authtest.Edit{"authorization_endpoint": f.as.URL() + "/authorize?tenant=2"}
			})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, func(c *authtest.Config) { c.DeviceInterval = time.Second }, nil)
			page := f.abandon(test.edit)
			if test.change != nil {
				test.change(f)
			}
			if test.client != nil {
				f.again(test.client)
			}
			f.as.Set(func(c *authtest.Config) { c.AutoApprove = true })
			f.mustCall()
			for _, e := range append(f.told(auth.SignInStarted), f.told(auth.DeviceStarted)...) {
				if e.URL == page {
					t.Errorf("the old page was told")
				}
			}
			if tabs, byDevice := f.tabs(), len(f.told(auth.DeviceStarted)); tabs+byDevice != 1 || f.as.Exchanges() != tabs {
				t.Errorf("%d tabs, %d codes, %d exchanges\n%s", tabs, byDevice, f.as.Exchanges(), f.story())
			}
			f.wantLogin()
			if rest := f.files(".corrupt"); len(rest) != 0 {
				t.Errorf("left behind: %q", rest)
			}
			(&witness{f: f}).wantNoSecrets()
		})
	}
}

// The port is somebody else's by now: another sign-in begins, at another port.
func TestKilledSignInsPortIsTaken(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	page := f.abandon(nil)
	port := redirectURI(t, page).Port()
	occupy(t, "127.0.0.1:"+port)
	f.mustCall()
	f.wantCounts(2, 1, 1)
	if now := redirectURI(t, f.browser.Opened()[0]).Port(); now == port {
		t.Errorf("the sign-in is at the same port, %s", port)
	}
	f.wantLogin()
}

// A configured port is another matter: that it is taken is told, as ever.
func TestKilledSignInsConfiguredPortIsTaken(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, func(c *auth.Config) { c.CallbackPort = freePort(t) })
	page := f.abandon(nil)
	occupy(t, "127.0.0.1:"+redirectURI(t, page).Port())
	if _, ok := errors.AsType[*auth.PortInUseError](f.call()); !ok || f.tabs() != 0 {
		t.Errorf("%d tabs\n%s", f.tabs(), f.story())
	}
}

// The server takes another client now than the one that the sign-in is for.
func TestKilledSignInOfAnotherClient(t *testing.T) {
	t.Parallel()
	const document = "https://app.example/client.json"
	f := setup(t, func(c *authtest.Config) {
		c.Clients = []authtest.Client{{ID: document}}
		c.Metadata = authtest.Edit{"client_id_metadata_document_supported": false}
	}, func(c *auth.Config) { c.ClientMetadataURL = document })
	f.abandon(nil)
	f.as.Set(func(c *authtest.Config) { c.Metadata = authtest.Edit{"client_id_metadata_document_supported": true} })
	f.mustCall()
	if used := f.clientsUsed(); len(used) != 1 || used[0] != document {
		t.Errorf("the clients are %q", used)
	}
	f.wantCounts(1, 1, 1)
}

// The server does not know the client any more when the answer comes: another sign-in begins, with a
// client of its own, and either tab shows how that ended.
func TestKilledSignInOfAForgottenClient(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	page := f.abandon(nil)
	f.as.Set(func(c *authtest.Config) {
		c.Faults = []authtest.Fault{{Path: "/token", Status: http.StatusUnauthorized, Error: "invalid_client", Times: 1}}
	})
	f.resume(page)
	f.wantCounts(2, 1, 2)
	f.wantLogin()
}

// The client is the configured one, with a secret that is kept nowhere, and nothing else is kept yet.
func TestKilledSignInOfAConfiguredClient(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) {
		c.Clients = []authtest.Client{{ID: "known", Secret: "secret-known"}}
	}, func(c *auth.Config) { c.ClientID, c.ClientSecret = "known", "secret-known" })
	page := f.abandon(nil)
	if text := readFile(t, f.files(".json")[0]); strings.Contains(text, "secret-known") {
		t.Errorf("the configured secret is kept: %s", text)
	}
	f.resume(page)
	f.wantCounts(0, 0, 1)
	f.wantLogin()
}

// The configured client takes any callback, but the answer to the old sign-in comes to the old one.
func TestKilledSignInOfAConfiguredClientElsewhere(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*auth.Config){
		"path": func(c *auth.Config) { c.CallbackPath = "/elsewhere" },
		"port": func(c *auth.Config) { c.CallbackPort = freePort(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, func(c *authtest.Config) { c.Clients = []authtest.Client{{ID: "known"}} }, func(c *auth.Config) { c.ClientID = "known" })
			page := f.abandon(nil)
			f.again(change)
			f.mustCall()
			if opened := f.browser.Opened(); len(opened) != 1 || opened[0] == page {
				t.Errorf("opened %q after %s", opened, page)
			}
			f.wantCounts(0, 1, 1)
			f.wantLogin()
		})
	}
}

// resume makes a call that goes on with the sign-in at a page, and ends it.
func (f *fixture) resume(page string) {
	f.t.Helper()
	result := make(chan error, 1)
	go func() { result <- f.call() }() // ends with its answer
	within(f.t, "the page", func() bool { return len(f.told(auth.SignInStarted)) > 0 })
	if told := f.told(auth.SignInStarted)[0].URL; told != page {
		f.t.Fatalf("the sign-in is at %s, not at %s", told, page)
	}
	f.allow(page)
	if err := soon(f.t, result, "the answer"); err != nil {
		f.t.Fatal(err)
	}
}

// What is kept is for the user's eyes only, and nobody else is told.
func TestKilledSignInTellsNoSecrets(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) { c.AuthMethods = []string{"client_secret_post"} }, nil)
	w := &witness{f: f}
	page := f.abandon(nil)
	info, err := os.Stat(f.files(".json")[0])
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode != 0o600 {
		t.Errorf("the file has the mode %v", mode)
	}
	f.resume(page)
	f.wantCounts(1, 0, 1)
	w.wantNoSecrets()
}

// Where logins are sealed, so is what a sign-in waits with. Not parallel, as the keychain is for all.
func TestKilledSignInIsSealed(t *testing.T) {
	newKeychain(t)
	f := setup(t, nil, nil)
	opened, result := make(chan string, 1), make(chan error, 1)
	start := func(open func(string) error) {
		f.again(func(c *auth.Config) {
			c.Open = open
			c.Storage = &auth.FileStorage{Dir: f.dir, Identity: c.Identity(), Sealing: auth.SealAlways, Log: c.Log}
		})
	}
	start(func(page string) error { opened <- page; return nil })
	go func() { result <- f.call() }() // ends with the Transport
	page := soon(t, opened, "the page")
	path := f.files(".json")[0]
	text := readFile(t, path)
	if !strings.Contains(text, `"sealed"`) || strings.Contains(text, "pending") || strings.Contains(text, "verifier") {
		t.Errorf("while it waits there is %s", text)
	}
	f.transport.Close()
	wantError(t, soon(t, result, "the end of the sign-in"))
	writeFile(t, path, text)
	f.mu.Lock()
	f.events = nil
	f.mu.Unlock()
	start(f.browser.Open)
	f.resume(page)
	f.wantCounts(1, 0, 1)
	f.wantSealed(true)
}

// A step-up that is killed costs neither the token in use, nor the user another tab.
func TestKilledStepUp(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) { c.ChallengeScope = "a" }, nil)
	before := f.signIn()
	f.as.Set(func(c *authtest.Config) { c.ToolScopes = map[string]string{"echo": "b"} })
	page := f.abandon(nil)
	f.wantRecord(before)
	f.resume(page)
	f.wantCounts(1, 1, 2)
	if rec := f.record(); rec.Scope != "a b" || rec.Pending != nil {
		t.Errorf("the record is %+v", rec)
	}
}

// One that nobody goes on with does not stay for ever.
func TestKilledStepUpIsForgotten(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) { c.ChallengeScope = "a" }, nil)
	f.signIn()
	f.as.Set(func(c *authtest.Config) { c.ToolScopes = map[string]string{"echo": "b"} })
	f.abandon(func(p map[string]any) any { p["began"] = time.Now().Add(-time.Hour); return p })
	f.as.Set(func(c *authtest.Config) { c.ToolScopes = nil })
	f.expire()
	f.mustCall()
	f.wantTokenCalls(1, 1, 1)
	f.wantLogin()
}

// The next process finds out, at a refresh, that the client is forgotten: so is its sign-in.
func TestKilledStepUpOfAForgottenClient(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) { c.ChallengeScope = "a" }, nil)
	f.signIn()
	f.as.Set(func(c *authtest.Config) { c.ToolScopes = map[string]string{"echo": "b"} })
	f.abandon(nil)
	f.as.Set(func(c *authtest.Config) { c.ToolScopes, c.ChallengeScope = nil, "a b" })
	f.expire()
	f.as.ForgetClients()
	f.as.RevokeAll()
	f.mustCall()
	f.wantCounts(2, 2, 2)
	f.wantLogin()
}

// The server has refused offline_access before the kill; it is not asked for it again.
func TestKilledSignInWithoutOfflineAccess(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) {
		c.AutoApprove = true
		c.Metadata = authtest.Edit{"scopes_supported": []string{"a", "offline_access"}}
		c.ChallengeScope, c.RefuseScopes = "a", []string{"offline_access"}
	}, nil)
	s := f.begin()
	go func() { _, _ = authtest.Browse(t.Context(), s.page) }() // ends with the sign-in
	within(t, "the second page", func() bool { return len(f.told(auth.SignInStarted)) == 2 })
	page := f.told(auth.SignInStarted)[1].URL
	text := readFile(t, f.files(".json")[0])
	f.transport.Close()
	wantError(t, s.end(t))
	writeFile(t, f.files(".json")[0], text)
	f.mu.Lock()
	f.events = nil
	f.mu.Unlock()
	f.again(func(c *auth.Config) { c.Open = f.browser.Open })
	f.resume(page)
	f.wantCounts(1, 0, 1)
}

// Whoever asks for a sign-in now gets to see the page: the same one, so that either tab will do.
func TestKilledSignInIsOpenedForWhoAsks(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	page := f.abandon(nil)
	if err := f.transport.Login(t.Context()); err != nil {
		t.Fatal(err)
	}
	if opened := f.browser.Opened(); len(opened) != 1 || opened[0] != page {
		t.Errorf("opened %q, want %s", opened, page)
	}
	f.wantCounts(1, 1, 1)
}

// Nobody comes: the user may have closed the tab. After a while he gets another of the same page.
func TestKilledSignInIsOpenedAgain(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, func(c *auth.Config) { c.SignInTimeout = 10 * time.Second })
	page := f.abandon(func(p map[string]any) any { p["began"] = time.Now(); return p })
	f.mustCall()
	if opened := f.browser.Opened(); len(opened) != 1 || opened[0] != page {
		t.Errorf("opened %q, want %s", opened, page)
	}
	f.wantCounts(1, 1, 1)
}

// An orderly end leaves nothing to go on with.
func TestEndedSignInLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		client func(*auth.Config)
		end    func(*fixture, *signIn)
	}{
		"denied":  {nil, func(f *fixture, s *signIn) { _, _ = (&authtest.Browser{Deny: true}).Visit(f.t.Context(), s.page) }},
		"timeout": {func(c *auth.Config) { c.SignInTimeout = 300 * time.Millisecond }, func(*fixture, *signIn) {}},
		"stopped": {nil, func(f *fixture, _ *signIn) { f.transport.StopAsking() }},
		"closed":  {nil, func(f *fixture, _ *signIn) { f.transport.Close() }},
	} {
		for _, configured := range []bool{false, true} {
			t.Run(name+map[bool]string{true: ", configured"}[configured], func(t *testing.T) {
				t.Parallel()
				f := setup(t, func(c *authtest.Config) { c.Clients = []authtest.Client{{ID: "known"}} }, func(c *auth.Config) {
					if configured {
						c.ClientID = "known"
					}
					if test.client != nil {
						test.client(c)
					}
				})
				s := f.begin()
				test.end(f, s)
				wantError(t, s.end(t))
				f.transport.Close()
				if rec := f.record(); configured && rec != nil || !configured && (rec.Client == nil || rec.Pending != nil) {
					t.Errorf("the record is %+v", rec)
				}
				if rest := f.files(".page", ".tmp"); len(rest) != 0 {
					t.Errorf("left behind: %q", rest)
				}
			})
		}
	}
}

// Logout forgets a sign-in that was left, too.
func TestLogoutForgetsAKilledSignIn(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	page := f.abandon(nil)
	if err := f.transport.Logout(t.Context()); err != nil {
		t.Fatal(err)
	}
	if rest := f.files(".json", ".page"); len(rest) != 0 {
		t.Errorf("left behind: %q", rest)
	}
	f.mustCall()
	if opened := f.browser.Opened(); len(opened) != 1 || opened[0] == page {
		t.Errorf("opened %q after %s", opened, page)
	}
}

// abandonDevice is abandon by device code. It returns what was told.
func (f *fixture) abandonDevice(edit func(pending map[string]any)) auth.Event {
	f.t.Helper()
	result := make(chan error, 1)
	go func() { result <- f.call() }() // ends with its answer
	for len(f.told(auth.DeviceStarted)) == 0 {
		time.Sleep(time.Millisecond)
	}
	path := f.files(".json")[0]
	rec := map[string]any{}
	if err := json.Unmarshal([]byte(readFile(f.t, path)), &rec); err != nil {
		f.t.Fatal(err)
	}
	if edit != nil {
		edit(rec["pending"].(map[string]any))
	}
	text, err := json.Marshal(rec)
	if err != nil {
		f.t.Fatal(err)
	}
	f.transport.Close()
	wantError(f.t, <-result)
	writeFile(f.t, path, string(text))
	f.again(nil)
	told := f.told(auth.DeviceStarted)[0]
	f.mu.Lock()
	f.events = nil
	f.mu.Unlock()
	return told
}

// A code that is no good any more is replaced: the killed process may have got its token.
func TestKilledSignInByDeviceIsReplaced(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(map[string]any){
		"spent":               func(p map[string]any) { p["device_code"] = "secret-dc-spent" },
		"expired":             func(p map[string]any) { p["expiry"] = time.Now().Add(-time.Second) },
		"about to expire":     func(p map[string]any) { p["expiry"] = time.Now().Add(time.Second / 2) },
		"old":                 func(p map[string]any) { p["began"] = time.Now().Add(-time.Hour) },
		"without an interval": func(p map[string]any) { p["interval"] = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inFakeTime(t, nil, byDevice, func(f *fixture) {
				f.abandonDevice(edit)
				f.as.Set(func(c *authtest.Config) { c.AutoApprove = true })
				f.mustCall()
				if n := f.as.Count("POST /device_authorization"); n != 2 {
					f.t.Errorf("%d codes, want 2\n%s", n, f.story())
				}
				f.wantLogin()
				(&witness{f: f}).wantNoSecrets()
			})
		})
	}
}

// One of a client that the server has forgotten is replaced, and the client with it.
func TestKilledSignInByDeviceOfAForgottenClient(t *testing.T) {
	t.Parallel()
	inFakeTime(t, nil, byDevice, func(f *fixture) {
		f.abandonDevice(nil)
		f.as.ForgetClients()
		f.as.Set(func(c *authtest.Config) { c.AutoApprove = true })
		f.mustCall()
		if n := f.as.Registrations(); n != 2 {
			f.t.Errorf("%d registrations, want 2\n%s", n, f.story())
		}
		f.wantLogin()
	})
}

// Nor is one for another client than the server takes now.
func TestKilledSignInByDeviceOfAnotherClient(t *testing.T) {
	t.Parallel()
	const document = "https://app.example/client.json"
	inFakeTime(t, func(c *authtest.Config) {
		c.Clients = []authtest.Client{{ID: document}}
		c.Metadata = authtest.Edit{"client_id_metadata_document_supported": false}
	}, func(c *auth.Config) { c.DeviceCode, c.ClientMetadataURL = true, document }, func(f *fixture) {
		f.abandonDevice(nil)
		f.as.Set(func(c *authtest.Config) {
			c.AutoApprove, c.Metadata = true, authtest.Edit{"client_id_metadata_document_supported": true}
		})
		f.mustCall()
		if n := f.polls(); n != 1 || f.last("POST /token urn:ietf:params:oauth:grant-type:device_code").Get("client_id") != document {
			f.t.Errorf("%d looks\n%s", n, f.story())
		}
		f.wantLogin()
	})
}

// The user's no is a no, to the next process as well.
func TestKilledSignInByDeviceIsDenied(t *testing.T) {
	t.Parallel()
	inFakeTime(t, nil, byDevice, func(f *fixture) {
		told := f.abandonDevice(nil)
		if _, err := (&authtest.Browser{Deny: true, Transport: f.browser.Transport}).Visit(f.t.Context(), told.URL+"?user_code="+told.Code); err != nil {
			f.t.Fatal(err)
		}
		wantError(f.t, f.call(), "access_denied")
		if n := f.as.Count("POST /device_authorization"); n != 1 {
			f.t.Errorf("%d codes, want 1\n%s", n, f.story())
		}
		if rec := f.record(); rec != nil {
			f.t.Errorf("the record is %+v", rec)
		}
	})
}
