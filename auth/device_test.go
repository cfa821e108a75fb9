package auth_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"mcp-bridge/auth"
	"mcp-bridge/auth/authtest"
)

// polls returns how often a device has asked for its token.
func (f *fixture) polls() int {
	return f.as.Count("POST /token urn:ietf:params:oauth:grant-type:device_code")
}

// byDevice makes a Transport sign in by device code.
func byDevice(c *auth.Config) { c.DeviceCode = true }

// U4: a code and a link are told; looks are as far apart as the server wants; and when the user has
// entered the code, elsewhere, the call is answered.
func TestU4_DeviceCode(t *testing.T) {
	t.Parallel()
	inFakeTime(t, func(c *authtest.Config) {
		c.AutoApprove, c.DevicePolls, c.DeviceInterval = true, 3, 7*time.Second
		c.ChallengeScope = "a"
	}, byDevice, func(f *fixture) {
		began := time.Now()
		f.mustCall()
		if d := time.Since(began); d < 28*time.Second || d > 29*time.Second {
			f.t.Errorf("it took %v, want 4 looks, 7 s apart", d)
		}
		told := f.told(auth.DeviceStarted)
		if len(told) != 1 || told[0].URL != f.as.URL()+"/device" || len(told[0].Code) != 9 {
			f.t.Errorf("told: %+v", told)
		}
		if len(f.told(auth.SignInDone)) != 1 || f.polls() != 4 || f.tabs() != 0 {
			f.t.Errorf("%d looks, %d tabs\n%s", f.polls(), f.tabs(), f.story())
		}
		form := f.last("POST /device_authorization")
		if form.Get("scope") != "a" || form.Get("resource") != f.url {
			f.t.Errorf("asked for %v", form)
		}
		if got := f.last("POST /token urn:ietf:params:oauth:grant-type:device_code").Get("resource"); got != f.url {
			f.t.Errorf("resource is %q", got)
		}
		// What came of it is a login like any other.
		time.Sleep(2 * time.Hour)
		f.mustCall()
		if f.as.Refreshes() != 1 || f.as.Count("POST /device_authorization") != 1 {
			f.t.Error(f.story())
		}
	})
}

// The user enters the code on a page of the server's, on another machine.
func TestU4_DeviceCodeIsEnteredElsewhere(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, byDevice)
	done := make(chan error, 1)
	go func() { done <- f.call() }() // ends with its answer
	within(t, "a code", func() bool { return len(f.told(auth.DeviceStarted)) == 1 })
	told := f.told(auth.DeviceStarted)[0]
	if _, err := f.browser.Visit(t.Context(), told.URL+"?user_code="+told.Code); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// The server wants it slower: 5 seconds more, from then on (RFC 8628 3.5).
func TestU4_DeviceSlowDown(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]authtest.Fault{"slow_down": {Error: "slow_down"}, "429": {Status: 429}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fault.Path, fault.Times = "/token", 2
			inFakeTime(t, func(c *authtest.Config) {
				c.AutoApprove, c.DevicePolls, c.DeviceInterval = true, 1, time.Second
				c.Faults = []authtest.Fault{fault}
			}, byDevice, func(f *fixture) {
				began := time.Now()
				f.mustCall()
				// 1 s, 6 s, 11 s for pending, 11 s for the token.
				if d := time.Since(began).Round(time.Second); d != 29*time.Second || f.polls() != 4 {
					f.t.Errorf("it took %v and %d looks, want 29 s and 4", d, f.polls())
				}
			})
		})
	}
}

// A server that names no interval is asked every 5 seconds (RFC 8628 3.2).
func TestU4_DeviceDefaultInterval(t *testing.T) {
	t.Parallel()
	inFakeTime(t, func(c *authtest.Config) {
		c.AutoApprove, c.DevicePolls, c.Device = true, 1, authtest.Edit{"interval": authtest.Absent}
	}, byDevice, func(f *fixture) {
		began := time.Now()
		f.mustCall()
		if d := time.Since(began).Round(time.Second); d != 10*time.Second {
			f.t.Errorf("it took %v, want two looks, 5 s apart", d)
		}
	})
}

// Passing failures are no answer: the code is still good (F4).
func TestU4_DevicePassingFailures(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]authtest.Fault{
		"500":                     {Status: 500},
		"502 page":                {Status: 502, Body: "<html>Bad Gateway</html>"},
		"503 with an OAuth error": {Status: 503, Error: "temporarily_unavailable"},
		"500 with an OAuth error": {Status: 500, Error: "server_error"},
		"temporarily_unavailable": {Error: "temporarily_unavailable"},
		"408":                     {Status: 408},
		"reset":                   {Reset: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fault.Path, fault.Times = "/token", 1
			inFakeTime(t, func(c *authtest.Config) {
				c.AutoApprove, c.Faults = true, []authtest.Fault{fault}
			}, byDevice, func(f *fixture) {
				f.mustCall()
				if n := f.as.Count("POST /device_authorization"); n != 1 {
					f.t.Errorf("%d codes", n)
				}
			})
		})
	}
}

// What ends it, ends it at once, in the server's words, and without another code.
func TestU4_DeviceEnds(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"access_denied", "expired_token", "invalid_grant"} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			inFakeTime(t, func(c *authtest.Config) {
				c.AutoApprove, c.Faults = true, []authtest.Fault{{Path: "/token", Error: code}}
			}, byDevice, func(f *fixture) {
				wantError(f.t, f.call(), code)
				wantError(f.t, f.call(), code) // the cool-down
				if n := f.as.Count("POST /device_authorization"); n != 1 || f.polls() != 1 {
					f.t.Errorf("%d codes, %d looks", n, f.polls())
				}
			})
		})
	}
}

// The user says no.
func TestU4_DeviceDenied(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, byDevice)
	done := make(chan error, 1)
	go func() { done <- f.call() }() // ends with its answer
	within(t, "a code", func() bool { return len(f.told(auth.DeviceStarted)) == 1 })
	told := f.told(auth.DeviceStarted)[0]
	if _, err := (&authtest.Browser{Deny: true}).Visit(t.Context(), told.URL+"?user_code="+told.Code); err != nil {
		t.Fatal(err)
	}
	err := <-done
	if refused, ok := errors.AsType[*auth.AuthorizationError](err); !ok || refused.Code != "access_denied" {
		t.Errorf("error %v", err)
	}
}

// Nobody enters the code: the end is the code's, or the configured one, whichever is first.
func TestU4_DeviceTimeout(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		expiresIn any
		limit     time.Duration
		want      time.Duration
	}{
		"the code's":     {60, time.Hour, time.Minute},
		"configured":     {6000, 2 * time.Minute, 2 * time.Minute},
		"not said":       {authtest.Absent, 2 * time.Minute, 2 * time.Minute},
		"as a string":    {"60", time.Hour, time.Minute},
		"not configured": {6000, 0, 5 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inFakeTime(t, func(c *authtest.Config) { c.Device = authtest.Edit{"expires_in": test.expiresIn} },
				func(c *auth.Config) { c.DeviceCode, c.SignInTimeout = true, test.limit }, func(f *fixture) {
					began := time.Now()
					if err := f.call(); !errors.Is(err, auth.ErrSignInTimeout) {
						f.t.Errorf("error %v", err)
					}
					if d := time.Since(began).Round(time.Second); d != test.want {
						f.t.Errorf("it took %v, want %v", d, test.want)
					}
				})
		})
	}
}

// The host ends while the user looks for the other device.
func TestU4_DeviceStopAsking(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, byDevice)
	done := make(chan error, 1)
	go func() { done <- f.call() }() // ends with its answer
	within(t, "a code", func() bool { return len(f.told(auth.DeviceStarted)) == 1 })
	f.transport.StopAsking()
	if err := <-done; !errors.Is(err, auth.ErrClosed) {
		t.Errorf("error %v", err)
	}
}

// The client proves who it is in either way, at both endpoints.
func TestU4_DeviceClientAuthentication(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"client_secret_post", "client_secret_basic"} {
		for _, registered := range []bool{true, false} {
			name := method + map[bool]string{true: ", registered", false: ", configured"}[registered]
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				inFakeTime(t, func(c *authtest.Config) {
					c.AutoApprove, c.AuthMethods = true, []string{method}
					c.Clients = []authtest.Client{{ID: "known", Secret: "secret-known", AuthMethod: method}}
				}, func(c *auth.Config) {
					c.DeviceCode = true
					if !registered {
						c.ClientID, c.ClientSecret = "known", "secret-known"
					}
				}, func(f *fixture) {
					f.mustCall()
					for _, r := range f.as.Requests() {
						if path := r.URL.Path; path != "/token" && path != "/device_authorization" {
							continue
						}
						_, _, basic := r.BasicAuth()
						if post := r.Form.Has("client_secret"); basic != (method == "client_secret_basic") || post == basic {
							f.t.Errorf("%s: basic %v, post %v", r, basic, post)
						}
					}
				})
			})
		}
	}
}

// A client that the server has forgotten is replaced, once.
func TestU4_DeviceForgottenClient(t *testing.T) {
	t.Parallel()
	inFakeTime(t, func(c *authtest.Config) { c.AutoApprove = true }, byDevice, func(f *fixture) {
		f.signIn()
		f.as.RevokeAll()
		f.as.ForgetClients()
		time.Sleep(2 * time.Hour)
		f.mustCall()
		if n := f.as.Registrations(); n != 2 {
			f.t.Errorf("%d registrations, want 2\n%s", n, f.story())
		}
	})
}

// A server without that endpoint is not asked for what it hasn't.
func TestU4_DeviceIsNotOffered(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) {
		c.Metadata = authtest.Edit{"device_authorization_endpoint": authtest.Absent}
	}, byDevice)
	wantError(t, f.call(), "device code")
	f.wantCounts(0, 0, 0)
}

// U4: no program opens a page here. The page is told, and whoever gets there can sign in.
func TestU4_OpenerFails(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, func(c *auth.Config) {
		c.Open = func(string) error { return errors.New("exec: xdg-open: not found") }
	})
	done := make(chan error, 1)
	go func() { done <- f.call() }() // ends with its answer
	within(t, "the page", func() bool { return len(f.told(auth.SignInStarted)) == 1 })
	page := f.told(auth.SignInStarted)[0].URL
	if strings.ContainsAny(page, "\r\n ") {
		t.Errorf("the page %q is not on one line", page)
	}
	if got, err := authtest.Browse(t.Context(), page); err != nil || got.Status != http.StatusOK {
		t.Fatalf("%+v, %v", got, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	within(t, "the log", func() bool { return strings.Contains(f.log.String(), "xdg-open: not found") })
}
