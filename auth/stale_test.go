package auth_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"mcp-bridge/auth"
	"mcp-bridge/auth/authtest"
)

// A stale client: everything of it is cleared, a fresh one registered, and the sign-in works, all
// within one request, with exactly two registrations over the whole life.
func TestStaleClientIsReplaced(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) { c.NoRefresh = true }, nil)
	f.mustCall()
	before := f.record()
	f.as.ForgetClients()
	f.as.RevokeAll()
	f.again(nil)
	f.mustCall()
	f.wantCounts(2, 2, 2)
	after := f.record()
	if after.Client.ID == before.Client.ID || after.Token.Access == before.Token.Access {
		t.Errorf("record before: %+v, after: %+v", before, after)
	}
	if _, ok := f.as.Clients()[after.Client.ID]; !ok {
		t.Errorf("the server doesn't know %s", after.Client.ID)
	}
	f.again(nil)
	f.mustCall() // with the stored token
	f.wantCounts(2, 2, 2)
}

// The fresh registration is kept before the user is asked, so that a sign-in that is not finished
// leads to no other (R5).
func TestStaleClientsSuccessorIsKept(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) { c.NoRefresh = true }, nil)
	f.mustCall()
	f.as.ForgetClients()
	f.as.RevokeAll()
	s := f.begin()
	f.transport.Close() // as when the host ends
	wantError(t, s.end(t))
	f.again(func(c *auth.Config) { c.Open = f.browser.Open })
	f.mustCall()
	f.wantCounts(2, 2, 2)
}

// While the fresh registration is under way nothing is left of the old one.
func TestStaleClientIsCleared(t *testing.T) {
	t.Parallel()
	var f *fixture
	var left atomic.Pointer[auth.Record]
	var again atomic.Bool
	f = setup(t, func(c *authtest.Config) {
		c.NoRefresh = true
		c.Handle = func(_ http.ResponseWriter, r *authtest.Request) bool {
			if again.Load() && r.URL.Path == "/register" {
				left.Store(f.record())
			}
			return false
		}
	}, nil)
	f.mustCall()
	f.as.ForgetClients()
	f.as.RevokeAll()
	again.Store(true)
	f.again(nil)
	f.mustCall()
	if rec := left.Load(); rec != nil {
		t.Errorf("at the second registration there was still %+v", rec)
	}
}

// If the fresh client is refused as well, that is it: two registrations, and the server's words.
func TestStaleClientTwice(t *testing.T) {
	t.Parallel()
	for name, refuse := range map[string]func(http.ResponseWriter, *authtest.Request){
		"by status": status(400),
		"by redirect": func(w http.ResponseWriter, r *authtest.Request) {
			back(w, r, url.Values{"error": {"invalid_client"}, "error_description": {"The server's words"}, "iss": {"http://" + r.Host}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var wiped atomic.Bool
			f := setup(t, func(c *authtest.Config) {
				c.NoRefresh = true
				c.Handle = func(w http.ResponseWriter, r *authtest.Request) bool {
					if !wiped.Load() || r.URL.Path != "/authorize" {
						return false
					}
					refuse(w, r)
					return true
				}
			}, nil)
			f.mustCall()
			f.as.RevokeAll()
			wiped.Store(true)
			f.again(nil)
			err := f.call()
			wantError(t, err, "The server's words")
			if !errors.Is(err, auth.ErrClientNotFound) || !isUnsent(err) {
				t.Errorf("%v", err)
			}
			f.wantCounts(2, 1, 1)
			if !strings.Contains(f.log.String(), "registering anew") {
				t.Errorf("nothing is said about it:\n%s", f.log)
			}
		})
	}
}

// A client that the authorization endpoint takes, and the token endpoint doesn't: the same retry.
func TestStaleClientAtTheExchange(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) { c.NoRefresh = true }, nil)
	f.mustCall()
	old := f.record().Client.ID
	f.as.RevokeAll()
	f.as.Set(func(c *authtest.Config) {
		c.Faults = []authtest.Fault{{Path: "/token", Form: map[string]string{"client_id": old}, Error: "invalid_client"}}
	})
	f.again(nil)
	f.mustCall()
	f.wantCounts(2, 3, 3)
	if used := f.clientsUsed(); used[1] != old || used[2] == old {
		t.Errorf("clients: %q", used)
	}
	for _, page := range f.browser.Pages() {
		if page.Status != http.StatusOK || !strings.Contains(page.Body, "Signed in") { // all know how it ended
			t.Errorf("a page with %d: %s", page.Status, page.Body)
		}
	}
}

// So it is for one that was registered a moment ago: one retry, then the server's words.
func TestFreshClientRefusedAtTheExchange(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) {
		c.Faults = []authtest.Fault{{Path: "/token", Status: 401, Body: `{"error":"invalid_client","error_description":"The server's words"}`}}
	}, nil)
	err := f.call()
	wantError(t, err, "invalid_client", "The server's words")
	if !errors.Is(err, auth.ErrClientNotFound) {
		t.Errorf("%v", err)
	}
	f.wantCounts(2, 2, 2)
	for _, page := range f.browser.Pages() {
		if page.Status != http.StatusBadRequest || !strings.Contains(page.Body, "failed") {
			t.Errorf("a page with %d: %s", page.Status, page.Body)
		}
	}
}

// The state of the first try is void in the second.
func TestStaleStateIsVoid(t *testing.T) {
	t.Parallel()
	var f *fixture
	var late []response
	f = setup(t, func(c *authtest.Config) {
		c.Faults = []authtest.Fault{{Path: "/token", Error: "invalid_client", Times: 1}}
	}, func(c *auth.Config) {
		first, open := "", c.Open
		c.Open = func(page string) error { // one after the other
			if first != "" {
				u, _ := url.Parse(first)
				resp, err := f.do(http.DefaultTransport, http.MethodGet, redirectURI(f.t, page).String()+"?code=x&state="+u.Query().Get("state"))
				if err != nil {
					return err
				}
				late = append(late, *resp)
			}
			first = page
			return open(page)
		}
	})
	f.mustCall()
	f.wantCounts(2, 2, 2)
	if len(late) != 1 || late[0].StatusCode != http.StatusBadRequest {
		t.Errorf("a late answer to the first try got %+v", late)
	}
}

// A sign-in for more scopes that ends badly is no reason to lose the token in use, not even where it
// needed another registration.
func TestR5_BusyPortAndRefusedStepUpKeepTheLogin(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) { c.ChallengeScope = "a" }, nil)
	f.mustCall()
	before := f.record()
	f.as.Set(func(c *authtest.Config) { c.ToolScopes = map[string]string{"echo": "b"} })
	f.browser.Deny = true
	occupy(t, "127.0.0.1:"+redirectURI(t, f.browser.Opened()[0]).Port())
	wantError(t, f.call(), "access_denied")
	f.as.Set(func(c *authtest.Config) { c.ToolScopes = nil })
	f.again(nil)
	if after := f.record(); after == nil || after.Token == nil || after.Token.Access != before.Token.Access {
		t.Errorf("the token is gone from the disk: %+v", after)
	}
	if err := f.call(); err != nil {
		t.Errorf("after a restart: %v", err)
	}
}
