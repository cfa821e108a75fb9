package auth_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"mcp-bridge/auth"
	"mcp-bridge/auth/authtest"
)

// After a sign-in that failed there is no other for a minute, and requests fail at once, with the
// reason. Then there is one more.
func TestF10_CoolDown(t *testing.T) {
	t.Parallel()
	inFakeTime(t, nil, nil, func(f *fixture) {
		f.browser.Deny = true
		for round := 1; round <= 3; round++ {
			wantError(f.t, f.call(), "access_denied", "The user said no")
			tries := f.as.Registrations() + f.as.Authorizations()
			for _, wait := range []time.Duration{0, time.Second, 30 * time.Second, 28 * time.Second} {
				time.Sleep(wait)
				err := f.call()
				wantError(f.t, err, "access_denied", "The user said no")
				if !isUnsent(err) {
					f.t.Errorf("the error does not say that the message was not acted on: %v", err)
				}
			}
			if n := f.tabs(); n != round || f.as.Registrations()+f.as.Authorizations() != tries {
				f.t.Errorf("round %d: %d tabs\n%s", round, n, f.story())
			}
			time.Sleep(time.Minute)
		}
		f.browser.Deny = false
		f.mustCall()
		f.wantCounts(1, 4, 1)
	})
}

// The same after one that nobody finished, in real time.
func TestF10_CoolDownAfterATimeout(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, func(c *auth.Config) { c.SignInTimeout = time.Second })
	f.browser.Delay = 3 * time.Second
	for range 3 {
		if err := f.call(); !errors.Is(err, auth.ErrSignInTimeout) {
			t.Errorf("error %v", err)
		}
	}
	if n := f.tabs(); n != 1 {
		t.Errorf("%d tabs", n)
	}
}

// A refused sign-in for more says nothing about the token at hand: that one is renewed as ever.
func TestF10_CoolDownDoesNotKeepFromRefreshing(t *testing.T) {
	t.Parallel()
	f := setup(t, scopedTools, nil)
	f.signIn()
	f.browser.Deny = true
	if status := f.callTool("b"); status != 0 {
		t.Errorf("HTTP %d", status)
	}
	f.as.RevokeAccessTokens()
	f.mustCall()
	f.wantTokenCalls(1, 1, 2)
}

// The user has signed in by another program meanwhile: that login is taken at once.
func TestF10_CoolDownDoesNotKeepFromAdopting(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	f.browser.Deny = true
	wantError(t, f.call(), "access_denied")
	f.browser.Pages()
	f.browser.Deny = false
	if err := f.another(f.cfgAlone()).Login(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.mustCall()
	f.wantCounts(1, 2, 1)
}

// cfgAlone returns the fixture's configuration for a Transport of another process.
func (f *fixture) cfgAlone() auth.Config {
	cfg := f.cfg
	cfg.Storage = nil
	return cfg
}

// A server that refuses background requests for ever is not asked for a token at each of them, but
// now and then.
func TestF10_BackgroundRequestsTryAgainLater(t *testing.T) {
	t.Parallel()
	inFakeTime(t, nil, nil, func(f *fixture) {
		f.signIn()
		get := func() int {
			resp, err := f.do(f.transport, http.MethodGet, f.url)
			if err != nil {
				return 0
			}
			return resp.StatusCode
		}
		f.as.Set(func(c *authtest.Config) {
			c.Faults = []authtest.Fault{{Path: "/mcp", Status: 401, Body: "{}", Header: http.Header{"WWW-Authenticate": {"Bearer"}}}}
		})
		for range 5 {
			get()
		}
		if n := f.as.Refreshes(); n < 1 || n > 2 {
			f.t.Errorf("%d refreshes for 5 GETs within moments", n)
		}
		f.as.Set(func(c *authtest.Config) { c.Faults = nil })
		if status := get(); status != http.StatusOK {
			f.t.Errorf("when the server has changed its mind: HTTP %d\n%s", status, f.story())
		}
		f.as.RevokeAccessTokens()
		time.Sleep(2 * time.Minute)
		if status := get(); status != http.StatusOK {
			f.t.Errorf("later: HTTP %d\n%s", status, f.story())
		}
		if n := f.tabs(); n != 1 {
			f.t.Errorf("%d tabs", n)
		}
	})
}

// A token of an hour is used for most of it, and renewed before the server refuses it.
func TestF1_Hours(t *testing.T) {
	t.Parallel()
	inFakeTime(t, nil, nil, func(f *fixture) {
		f.mustCall()
		posts := f.posts()
		for range 12 * 24 {
			time.Sleep(5 * time.Minute)
			f.mustCall()
		}
		if n := f.as.Refreshes(); n < 24 || n > 26 || f.tabs() != 1 {
			f.t.Errorf("%d refreshes in a day, %d tabs", n, f.tabs())
		}
		if n := f.posts() - posts; n != 12*24 {
			f.t.Errorf("%d messages were posted, want %d: none of them refused", n, 12*24)
		}
	})
}

// After a night's sleep the first message costs a refresh, and nothing else.
func TestF10_AfterANightsSleep(t *testing.T) {
	t.Parallel()
	inFakeTime(t, nil, nil, func(f *fixture) {
		f.mustCall()
		time.Sleep(9 * time.Hour)
		results := make(chan error, 10)
		for range 10 {
			go func() { results <- f.call() }() // ends with its answer
		}
		for range 10 {
			if err := <-results; err != nil {
				f.t.Error(err)
			}
		}
		f.wantTokenCalls(1, 1, 1)
	})
}
