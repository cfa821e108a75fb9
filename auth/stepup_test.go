package auth_test

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"mcp-bridge/auth"
	"mcp-bridge/auth/authtest"
)

// scopedTools makes a server whose tools want a scope each, and whose tokens have a at first.
func scopedTools(c *authtest.Config) {
	c.ChallengeScope = "a"
	c.ToolScopes = map[string]string{"echo": "", "b": "b", "c": "c"}
}

// callTool calls a tool, and returns the answer's status.
func (f *fixture) callTool(name string) int {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.t.Context(), http.MethodPost, f.url, strings.NewReader(strings.Replace(message, "echo", name, 1)))
	if err != nil {
		f.t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: f.transport}).Do(req)
	if err != nil {
		f.t.Logf("calling %s: %v", name, err)
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

// scope returns the scopes of the last authorization request, in order.
func (f *fixture) scope() string {
	scopes := strings.Fields(f.last("GET /authorize").Get("scope"))
	slices.Sort(scopes)
	return strings.Join(scopes, " ")
}

// A tool that wants another scope costs a sign-in for what was granted and that, not a refresh.
func TestF8_StepUp(t *testing.T) {
	t.Parallel()
	f := setup(t, scopedTools, nil)
	f.signIn()
	for i, step := range []struct{ tool, scope string }{{"b", "a b"}, {"c", "a b c"}} {
		if status := f.callTool(step.tool); status != http.StatusOK {
			t.Errorf("%s: HTTP %d\n%s", step.tool, status, f.story())
		}
		if got := f.scope(); got != step.scope {
			t.Errorf("%s: asked for %q, want %q", step.tool, got, step.scope)
		}
		f.wantTokenCalls(0, i+2, i+2)
	}
	for _, tool := range []string{"echo", "b", "c"} {
		if status := f.callTool(tool); status != http.StatusOK {
			t.Errorf("afterwards %s: HTTP %d", tool, status)
		}
	}
	f.wantCounts(1, 3, 3)
	if rec := f.record(); rec.Scope != "a b c" {
		t.Errorf("granted %q", rec.Scope)
	}
}

// A process that starts later knows what was granted.
func TestF8_StepUpAfterARestart(t *testing.T) {
	t.Parallel()
	f := setup(t, scopedTools, nil)
	f.signIn()
	f.again(nil)
	if status := f.callTool("b"); status != http.StatusOK || f.scope() != "a b" {
		t.Errorf("HTTP %d, asked for %q", status, f.scope())
	}
}

// A server that is never content gets one sign-in, and its answer, which names the scope, comes
// back: at once the next time.
func TestF8_NeverContent(t *testing.T) {
	t.Parallel()
	f := setup(t, scopedTools, nil)
	f.signIn()
	f.as.Set(func(c *authtest.Config) {
		c.Faults = []authtest.Fault{{Path: "/mcp", Status: 403, Body: "{}", Header: http.Header{"WWW-Authenticate": {`Bearer error="insufficient_scope", scope="b"`}}}}
	})
	for range 5 {
		resp, err := f.do(f.transport, http.MethodPost, f.url)
		if err != nil {
			t.Fatal(err)
		}
		if c := resp.Header.Get("WWW-Authenticate"); resp.StatusCode != 403 || !strings.Contains(c, `scope="b"`) {
			t.Errorf("HTTP %d, %s", resp.StatusCode, c)
		}
	}
	f.wantTokenCalls(0, 2, 2)
}

// An authorization server that does not grant the scope is asked once, not at each call (spec
// 4.54).
func TestF8_ScopeIsNotGranted(t *testing.T) {
	t.Parallel()
	f := setup(t, scopedTools, nil)
	f.as.Set(func(c *authtest.Config) { c.Granted = "a" })
	f.signIn()
	for range 5 {
		if status := f.callTool("b"); status != http.StatusForbidden {
			t.Errorf("HTTP %d", status)
		}
	}
	f.wantTokenCalls(0, 2, 2)
}

// Any other 403 is an answer like others (spec 4.56).
func TestF8_Plain403(t *testing.T) {
	t.Parallel()
	for name, header := range map[string]http.Header{
		"without challenge": nil,
		"Bearer":            {"WWW-Authenticate": {"Bearer"}},
		"invalid_token":     {"WWW-Authenticate": {`Bearer error="invalid_token", scope="b"`}},
		"another scheme":    {"WWW-Authenticate": {`DPoP error="insufficient_scope", scope="b"`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, scopedTools, nil)
			f.signIn()
			f.as.Set(func(c *authtest.Config) {
				c.Faults = []authtest.Fault{{Path: "/mcp", Status: 403, Body: "{}", Header: header}}
			})
			posts := f.posts()
			if status := f.callTool("echo"); status != http.StatusForbidden {
				t.Errorf("HTTP %d", status)
			}
			if n := f.posts() - posts; n != 1 {
				t.Errorf("posted %d times", n)
			}
			f.wantTokenCalls(0, 1, 1)
		})
	}
}

// GET never steps up: the 403 is its answer.
func TestF8_GETDoesNotStepUp(t *testing.T) {
	t.Parallel()
	f := setup(t, scopedTools, nil)
	f.signIn()
	f.as.Set(func(c *authtest.Config) {
		c.Faults = []authtest.Fault{{Path: "/mcp", Status: 403, Body: "{}", Header: http.Header{"WWW-Authenticate": {`Bearer error="insufficient_scope", scope="b"`}}}}
	})
	if resp, err := f.do(f.transport, http.MethodGet, f.url); err != nil || resp.StatusCode != 403 {
		t.Errorf("%v, %v", resp, err)
	}
	f.wantTokenCalls(0, 1, 1)
}

// A message that has met a 401 first may need a scope all the same.
func TestF8_StepUpAfterARefresh(t *testing.T) {
	t.Parallel()
	f := setup(t, scopedTools, nil)
	f.signIn()
	f.as.RevokeAccessTokens()
	if status := f.callTool("b"); status != http.StatusOK {
		t.Errorf("HTTP %d\n%s", status, f.story())
	}
	f.wantTokenCalls(1, 2, 2)
}

// Two tools at once, with a scope each: both get theirs.
func TestF8_TwoStepUpsAtOnce(t *testing.T) {
	t.Parallel()
	f := setup(t, scopedTools, nil)
	f.signIn()
	// Both 403s are there before either goes on.
	var both sync.WaitGroup
	both.Add(2)
	var seen atomic.Int32
	base := f.cfg.Base
	cfg := f.cfg
	cfg.Storage = nil
	cfg.Base = roundTripper(func(req *http.Request) (*http.Response, error) {
		resp, err := base.RoundTrip(req)
		if err == nil && resp.StatusCode == http.StatusForbidden && seen.Add(1) <= 2 {
			both.Done()
			both.Wait()
		}
		return resp, err
	})
	f.transport = f.another(cfg)
	var work sync.WaitGroup
	for _, tool := range []string{"b", "c"} {
		work.Go(func() { // ends with its answer
			if status := f.callTool(tool); status != http.StatusOK {
				t.Errorf("%s: HTTP %d", tool, status)
			}
		})
	}
	work.Wait()
	if got := f.scope(); got != "a b c" {
		t.Errorf("asked for %q in the end\n%s", got, f.story())
	}
}

// The same scope for many calls at once costs one sign-in.
func TestF8_OneStepUpForMany(t *testing.T) {
	t.Parallel()
	f := setup(t, scopedTools, nil)
	f.signIn()
	var work sync.WaitGroup
	for range 10 {
		work.Go(func() { // ends with its answer
			if status := f.callTool("b"); status != http.StatusOK {
				t.Errorf("HTTP %d", status)
			}
		})
	}
	work.Wait()
	f.wantCounts(1, 2, 2)
}

// A 403 to a token of before the step-up is none to the one of after it: that one is sent.
func TestF8_LateRefusalUsesTheNewToken(t *testing.T) {
	t.Parallel()
	f := setup(t, scopedTools, nil)
	f.signIn()
	held, release := make(chan struct{}), make(chan struct{})
	var later atomic.Bool
	f.again(func(c *auth.Config) {
		base := c.Base
		c.Base = roundTripper(func(req *http.Request) (*http.Response, error) {
			resp, err := base.RoundTrip(req)
			if err == nil && resp.StatusCode == http.StatusForbidden && !later.Swap(true) {
				close(held)
				<-release
			}
			return resp, err
		})
	})
	first := make(chan int, 1)
	go func() { first <- f.callTool("b") }() // ends with its answer
	<-held
	if status := f.callTool("b"); status != http.StatusOK {
		t.Errorf("HTTP %d", status)
	}
	close(release)
	if status := <-first; status != http.StatusOK {
		t.Errorf("the first: HTTP %d\n%s", status, f.story())
	}
	f.wantCounts(1, 2, 2)
}

// Who says no to more keeps what there is: the token is as good as before, now and after a restart.
func TestF8_DeniedStepUpKeepsTheLogin(t *testing.T) {
	t.Parallel()
	for _, taken := range []bool{false, true} {
		name := map[bool]string{false: "port free", true: "port taken"}[taken]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, scopedTools, nil)
			rec := f.signIn()
			if taken { // so that another port means another registration
				u, err := url.Parse(rec.Client.RedirectURI)
				if err != nil {
					t.Fatal(err)
				}
				l, err := net.Listen("tcp", "127.0.0.1:"+u.Port())
				if err != nil {
					t.Skip("somebody else has the port")
				}
				defer l.Close()
			}
			f.browser.Deny = true
			if status := f.callTool("b"); status != 0 {
				t.Errorf("HTTP %d", status)
			}
			f.mustCall()
			f.wantTokenCalls(0, 1, 2)
			if got := f.record(); got == nil || got.Token == nil || *got.Token != *rec.Token {
				t.Errorf("the token is not kept: %+v", got)
			}
			f.again(nil)
			f.mustCall()
			f.wantTokenCalls(0, 1, 2)
		})
	}
}
