package auth_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mcp-bridge/auth"
	"mcp-bridge/auth/authtest"
)

// wrongAudience makes the MCP server refuse every token.
func wrongAudience(f *fixture) {
	f.as.Set(func(c *authtest.Config) {
		c.Faults = []authtest.Fault{{Path: "/mcp", Status: http.StatusUnauthorized, Body: "{}", Header: http.Header{"WWW-Authenticate": {
			`Bearer resource_metadata="` + f.origin + `/.well-known/oauth-protected-resource/mcp", error="invalid_token", error_description="wrong audience"`}}}}
	})
}

// wantRefusal posts, and checks that the answer is the server's own 401.
func (f *fixture) wantRefusal() {
	f.t.Helper()
	resp, err := f.do(f.transport, http.MethodPost, f.url)
	if err != nil {
		f.t.Errorf("%v\n%s", err, f.story())
		return
	}
	if c := resp.Header.Get("WWW-Authenticate"); resp.StatusCode != 401 || !strings.Contains(c, "wrong audience") {
		f.t.Errorf("HTTP %d, %s", resp.StatusCode, c)
	}
}

// A server that takes no token gets one sign-in out of us, and its reason comes back.
func TestF6_FreshTokenRefused(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	wrongAudience(f)
	for range 11 {
		f.wantRefusal()
	}
	f.wantTokenCalls(0, 1, 1)
}

// The same with a login that is there: a refresh, a sign-in, and that's it.
func TestF6_RefreshedTokenRefused(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	f.signIn()
	f.again(nil)
	wrongAudience(f)
	for range 11 {
		f.wantRefusal()
	}
	f.wantTokenCalls(1, 2, 2) // the first of each is signIn's
}

// The same with many requests at once, one of which is answered when all is over for the others.
func TestF6_FreshTokenRefusedInParallel(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	f.signIn()
	f.again(nil)
	wrongAudience(f)
	// The slow one's second answer, to the refreshed token, comes after the sign-in.
	signedIn := make(chan struct{})
	var later atomic.Bool
	slow := roundTripper(func(req *http.Request) (*http.Response, error) {
		resp, err := f.cfg.Base.RoundTrip(req)
		rec := f.record()
		if req.URL.Path == "/mcp" && req.Header.Get("X-Slow") != "" && f.as.Refreshes() == 1 && rec.Token != nil && req.Header.Get("Authorization") == "Bearer "+rec.Token.Access && !later.Swap(true) {
			<-signedIn
		}
		return resp, err
	})
	cfg := f.cfg
	cfg.Base = slow
	cfg.Storage = nil
	transport := f.another(cfg)
	post := func(header string) (*http.Response, error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.url, strings.NewReader(message))
		if err != nil {
			return nil, err
		}
		if header != "" {
			req.Header.Set(header, "1")
		}
		resp, err := (&http.Client{Transport: transport}).Do(req)
		if err == nil {
			resp.Body.Close()
		}
		return resp, err
	}
	var work sync.WaitGroup
	work.Go(func() { // ends with its answer
		if resp, err := post("X-Slow"); err != nil || resp.StatusCode != 401 {
			t.Errorf("the slow one: %v, %v", resp, err)
		}
	})
	within(t, "the slow one", later.Load)
	for range 5 {
		work.Go(func() { // ends with its answer
			if resp, err := post(""); err != nil || resp.StatusCode != 401 {
				t.Errorf("%v, %v", resp, err)
			}
		})
	}
	if resp, err := post(""); err != nil || resp.StatusCode != 401 {
		t.Errorf("%v, %v", resp, err)
	}
	close(signedIn)
	work.Wait()
	for range 5 {
		if resp, err := post(""); err != nil || resp.StatusCode != 401 {
			t.Errorf("%v, %v", resp, err)
		}
	}
	f.wantTokenCalls(1, 2, 2)
}

// roundTripper is a function as an http.RoundTripper.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// A server that is in trouble now and then between its refusals has not taken the token.
func TestF6_TroubleIsNoAcceptance(t *testing.T) {
	t.Parallel()
	for _, status := range []int{429, 500, 502, 503, 504} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			f := setup(t, nil, nil)
			wrongAudience(f)
			f.wantRefusal()
			f.as.Set(func(c *authtest.Config) {
				c.Faults = append([]authtest.Fault{{Path: "/mcp", Status: status, Times: 1}}, c.Faults...)
			})
			if resp, err := f.do(f.transport, http.MethodPost, f.url); err != nil || resp.StatusCode != status {
				t.Errorf("%v, %v", resp, err)
			}
			for range 3 {
				f.wantRefusal()
			}
			if n := f.tabs(); n != 1 {
				t.Errorf("%d tabs within moments\n%s", n, f.story())
			}
		})
	}
}

// Many requests meet a refused token at once: one of them refreshes it, and all are answered.
func TestF7_ParallelRefusalsRefreshOnce(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	f.signIn()
	f.as.RevokeAccessTokens()
	f.as.Set(func(c *authtest.Config) {
		c.Faults = []authtest.Fault{{Path: "/token", Delay: 50 * time.Millisecond}}
	})
	var work sync.WaitGroup
	for range 20 {
		work.Go(func() { // ends with its answer
			if err := f.call(); err != nil {
				t.Error(err)
			}
		})
	}
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		work.Go(func() { // ends with its answer
			if resp, err := f.do(f.transport, method, f.url); err != nil || resp.StatusCode != 200 {
				t.Errorf("%s: %v, %v", method, resp, err)
			}
		})
	}
	work.Wait()
	f.wantTokenCalls(1, 1, 1)
	if n := f.as.ReuseDetected(); n != 0 {
		t.Errorf("reuse %d times", n)
	}
}

// They share one attempt: none of them goes through the lock, the file and the metadata by itself.
func TestF7_ParallelRefusalsShareAnAttempt(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	f.signIn()
	locks := &lockCounter{Storage: f.storage()}
	f.again(func(c *auth.Config) { c.Storage = locks })
	f.as.RevokeAccessTokens()
	f.as.Set(func(c *authtest.Config) {
		c.Faults = []authtest.Fault{{Path: "/token", Delay: 50 * time.Millisecond}}
	})
	var work sync.WaitGroup
	for range 20 {
		work.Go(func() { // ends with its answer
			if err := f.call(); err != nil {
				t.Error(err)
			}
		})
	}
	work.Wait()
	if n := locks.n.Load(); n != 1 {
		t.Errorf("the lock was taken %d times, want once", n)
	}
}

// lockCounter counts how often the lock is asked for.
type lockCounter struct {
	auth.Storage
	n atomic.Int32
}

func (s *lockCounter) Lock(ctx context.Context) (func(), error) {
	s.n.Add(1)
	return s.Storage.Lock(ctx)
}

// Many cold requests: one sign-in.
func TestF7_ParallelColdRequestsSignInOnce(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	f.browser.Delay = 50 * time.Millisecond
	var work sync.WaitGroup
	for range 20 {
		work.Go(func() { // ends with its answer
			if err := f.call(); err != nil {
				t.Error(err)
			}
		})
	}
	work.Wait()
	f.wantCounts(1, 1, 1)
}

// A 401 to a token that is not the current one any more asks nobody: the current one is sent.
func TestF7_RefusedOldTokenTriesTheCurrentOne(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	f.signIn()
	f.as.RevokeAccessTokens()
	// The first request's 401 is held back until the second has got its answer.
	answered := make(chan struct{})
	held := make(chan struct{})
	var later atomic.Bool
	f.again(func(c *auth.Config) {
		base := c.Base
		c.Base = roundTripper(func(req *http.Request) (*http.Response, error) {
			resp, err := base.RoundTrip(req)
			if req.URL.Path == "/mcp" && !later.Swap(true) {
				close(held)
				<-answered
			}
			return resp, err
		})
	})
	first := make(chan error, 1)
	go func() { first <- f.call() }() // ends with its answer
	<-held
	f.mustCall()
	asked := len(f.asked())
	close(answered)
	if err := <-first; err != nil {
		t.Errorf("the first: %v", err)
	}
	f.wantTokenCalls(1, 1, 1)
	if n := len(f.asked()); n != asked {
		t.Errorf("the authorization server was asked: %q", f.asked()[asked:])
	}
}

// GET and DELETE carry the current token, and renew it, but never open a browser.
func TestF10_BackgroundRequestsOpenNothing(t *testing.T) {
	t.Parallel()
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			f := setup(t, nil, nil)
			_, err := f.do(f.transport, method, f.url)
			if !errors.Is(err, auth.ErrSignInRequired) || !isUnsent(err) {
				t.Errorf("without a login: %v", err)
			}
			f.signIn()
			f.as.RevokeAccessTokens()
			if resp, err := f.do(f.transport, method, f.url); err != nil || resp.StatusCode != 200 {
				t.Errorf("with a refused token: %v, %v", resp, err)
			}
			f.wantTokenCalls(1, 1, 1)
			f.as.RevokeAll()
			if _, err := f.do(f.transport, method, f.url); !errors.Is(err, auth.ErrSignInRequired) {
				t.Errorf("with a dead login: %v", err)
			}
			f.wantTokenCalls(2, 1, 1)
		})
	}
}

// A server that refuses GET alone, again and again, costs the login nothing.
func TestF10_GETAloneRefused(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	f.signIn()
	f.again(func(c *auth.Config) {
		base := c.Base
		c.Base = roundTripper(func(req *http.Request) (*http.Response, error) {
			if req.Method == http.MethodGet && req.URL.Path == "/mcp" {
				req = req.Clone(req.Context())
				req.Header.Del("Authorization")
			}
			return base.RoundTrip(req)
		})
	})
	for range 10 {
		if resp, err := f.do(f.transport, http.MethodGet, f.url); err == nil && resp.StatusCode == 200 {
			t.Fatal("the GET was answered")
		}
		f.mustCall()
	}
	if n := f.tabs(); n != 1 {
		t.Errorf("%d tabs\n%s", n, f.story())
	}
	if n := f.as.Refreshes(); n > 2 {
		t.Errorf("%d refreshes for 10 GETs of a server that never takes one", n)
	}
}

// A link that is down is not a reason to sign in, nor for anything else.
func TestF10_NetworkErrorsOpenNothing(t *testing.T) {
	t.Parallel()
	var down atomicBase
	f := setup(t, nil, nil)
	f.again(func(c *auth.Config) {
		down.base = c.Base
		c.Base = &down
	})
	rec := f.signIn()
	asked := len(f.asked())
	down.refuse("/mcp")
	for range 5 {
		if err := f.call(); err == nil || isUnsent(err) {
			t.Errorf("a message over a dead link: %v", err)
		}
		if _, err := f.do(f.transport, http.MethodGet, f.url); err == nil {
			t.Error("a GET over a dead link is answered")
		}
	}
	down.refuse("")
	f.mustCall()
	f.wantRecord(rec)
	if n := len(f.asked()); n != asked {
		t.Errorf("the authorization server was asked: %q", f.asked()[asked:])
	}
}

// An attempt that a GET has begun, and that may not ask the user, does not answer for a POST that
// joins it.
func TestF10_PostThatJoinsAGetSignsIn(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	f.signIn()
	f.as.RevokeAll()
	entered, release := make(chan struct{}), make(chan struct{})
	var later atomic.Bool
	f.as.Set(func(c *authtest.Config) {
		c.Handle = func(_ http.ResponseWriter, r *authtest.Request) bool {
			if r.Form.Get("grant_type") == "refresh_token" && !later.Swap(true) {
				close(entered)
				<-release
			}
			return false
		}
	})
	got := make(chan error, 2)
	go func() { // ends with its answer
		_, err := f.do(f.transport, http.MethodGet, f.url)
		got <- err
	}()
	<-entered
	posts := f.posts()
	posted := make(chan error, 1)
	go func() { posted <- f.call() }() // ends with its answer
	within(t, "the POST", func() bool { return f.posts() > posts })
	time.Sleep(10 * time.Millisecond) // it is about to join; if it doesn't in time, nothing is tested, and nothing fails
	close(release)
	if err := <-got; !errors.Is(err, auth.ErrSignInRequired) {
		t.Errorf("the GET: %v", err)
	}
	if err := <-posted; err != nil {
		t.Errorf("the POST: %v", err)
	}
	f.wantCounts(1, 2, 2)
}

// A 401 that speaks of the session is none of ours while the token is good: it goes to whoever sent
// the request, body and all.
func TestN4_SessionIn401(t *testing.T) {
	t.Parallel()
	const body = "401 unknown session S1"
	f := setup(t, nil, nil)
	f.signIn()
	var looked []byte
	f.again(func(c *auth.Config) {
		c.Ignore = func(resp *http.Response, start []byte) bool {
			looked = bytes.Clone(start)
			return resp.StatusCode == 401 && bytes.Contains(start, []byte("unknown session"))
		}
	})
	asked := len(f.asked())
	long := body + strings.Repeat(" ", 10_000) + "end"
	f.as.Set(func(c *authtest.Config) {
		c.Faults = []authtest.Fault{{Path: "/mcp", Status: 401, Body: long, Times: 1}}
	})
	resp, err := f.do(f.transport, http.MethodPost, f.url)
	if err != nil || resp.StatusCode != 401 || resp.Body != long {
		t.Errorf("%v, %v", resp, err)
	}
	if !bytes.HasPrefix(looked, []byte(body)) {
		t.Errorf("the beginning of the body was %q", looked)
	}
	f.mustCall()
	if n := len(f.asked()); n != asked || f.tabs() != 1 {
		t.Errorf("the authorization server was asked: %q, %d tabs", f.asked()[asked:], f.tabs())
	}
}

// Any other 401 without a challenge is about authorization, and so is one with a challenge,
// whatever its body says.
func TestN4_Other401(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]authtest.Fault{
		"without challenge": {Status: 401, Body: "who are you?"},
		"with challenge":    {Status: 401, Body: "unknown session", Header: http.Header{"WWW-Authenticate": {"Bearer"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, nil, func(c *auth.Config) {
				c.Ignore = func(_ *http.Response, start []byte) bool { return bytes.Contains(start, []byte("unknown session")) }
			})
			f.signIn()
			fault.Path, fault.Times = "/mcp", 1
			f.as.Set(func(c *authtest.Config) { c.Faults = []authtest.Fault{fault} })
			f.mustCall()
			f.wantTokenCalls(1, 1, 1)
		})
	}
}

// The refused answer is read and closed before the next request, so that the connection is used
// again.
func TestF1_RefusedAnswerIsClosed(t *testing.T) {
	t.Parallel()
	var opened, closed int
	var mu sync.Mutex
	f := setup(t, nil, nil)
	f.again(func(c *auth.Config) {
		base := c.Base
		c.Base = roundTripper(func(req *http.Request) (*http.Response, error) {
			resp, err := base.RoundTrip(req)
			if err == nil && req.URL.Path == "/mcp" {
				mu.Lock()
				opened++
				mu.Unlock()
				resp.Body = closer{resp.Body, func() {
					mu.Lock()
					closed++
					mu.Unlock()
				}}
			}
			return resp, err
		})
	})
	f.mustCall()
	mu.Lock()
	defer mu.Unlock()
	if opened != 2 || closed < opened {
		t.Errorf("%d answers, %d closed", opened, closed)
	}
}

// closer tells of Close.
type closer struct {
	io.ReadCloser
	told func()
}

func (c closer) Close() error {
	c.told()
	return c.ReadCloser.Close()
}
