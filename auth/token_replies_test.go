package auth_test

import (
	"strings"
	"testing"
	"time"

	"mcp-bridge/auth/authtest"
)

// lifetimes are what servers say about the end of a token, and what is to be made of it.
var lifetimes = []struct {
	name      string
	expiresIn any
	seconds   float64 // that it then lives; 0: it has ended, below: unknown
}{
	{"number", 3600, 3600},
	{"string", "3600", 3600},
	{"string with spaces", " 3600 ", 3600},
	{"fraction", 3599.5, 3599.5},
	{"fraction in a string", "3599.5", 3599.5},
	{"zero", 0, 0},
	{"zero in a string", "0", 0},
	{"negative", -5, 0},
	{"garbage", "abc", -1},
	{"empty", "", -1},
	{"NaN", "NaN", -1},
	{"null", nil, -1},
	{"absent", authtest.Absent, -1},
	{"true", true, -1},
	{"list", []int{3600}, -1},
	{"object", map[string]int{"s": 3600}, -1},
}

// checkLifetime calls twice and looks at what is known of the token in between.
func checkLifetime(f *fixture, seconds float64) {
	f.t.Helper()
	f.mustCall()
	rec := f.record()
	if rec == nil || rec.Token == nil {
		f.t.Fatalf("no token is stored\n%s", f.story())
	}
	switch left := time.Until(rec.Token.Expiry); {
	case seconds < 0:
		if !rec.Token.Expiry.IsZero() {
			f.t.Errorf("the token ends at %v, want unknown", rec.Token.Expiry)
		}
	case rec.Token.Expiry.IsZero() || left > time.Duration(seconds*float64(time.Second)) || left < time.Duration((seconds-30)*float64(time.Second)):
		f.t.Errorf("the token ends in %v, want %v s", left, seconds)
	}
	refreshes, posts := f.as.Refreshes(), f.posts()
	f.mustCall()
	want := 0
	if seconds == 0 {
		want = 1
	}
	if got := f.as.Refreshes() - refreshes; got != want {
		f.t.Errorf("the second call refreshed %d times, want %d\n%s", got, want, f.story())
	}
	if got := f.posts() - posts; got != 1 {
		f.t.Errorf("the second call was posted %d times, want once\n%s", got, f.story())
	}
	if f.tabs() != 1 {
		f.t.Errorf("%d tabs\n%s", f.tabs(), f.story())
	}
}

func TestT1_ExpiresIn(t *testing.T) {
	t.Parallel()
	for _, test := range lifetimes {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, func(c *authtest.Config) { c.Token = authtest.Edit{"expires_in": test.expiresIn} }, nil)
			checkLifetime(f, test.seconds)
		})
	}
}

// The same in the answer to a refresh.
func TestT1_ExpiresInOfARefresh(t *testing.T) {
	t.Parallel()
	for _, test := range lifetimes {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, nil, nil)
			f.signIn()
			f.expire()
			f.as.Set(func(c *authtest.Config) { c.Token = authtest.Edit{"expires_in": test.expiresIn} })
			checkLifetime(f, test.seconds)
		})
	}
}

func TestT1_TokenTypeAndOddMembers(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]authtest.Edit{
		"absent":        {"token_type": authtest.Absent},
		"null":          {"token_type": nil},
		"lower case":    {"token_type": "bearer"},
		"upper case":    {"token_type": "BEARER"},
		"extra members": {"ext": map[string]any{"a": []any{1, nil}}, "id_token": "x", "ext_expires_in": "3600", "not_before": 1.5},
		"scope is null": {"scope": nil},
		"scope is list": {"scope": []string{"a", "b"}},
		"error is null": {"error": nil, "error_description": nil},
		"error is ''":   {"error": ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, func(c *authtest.Config) { c.Token = edit }, nil)
			f.signIn()
			f.expire()
			f.mustCall()
			f.wantTokenCalls(1, 1, 1)
		})
	}
}

// A token of another type can't be used as a bearer's (auth-behaviour 6.4.12).
func TestT1_OtherTokenType(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"DPoP", "MAC", "N_A"} {
		f := setup(t, func(c *authtest.Config) { c.Token = authtest.Edit{"token_type": kind} }, nil)
		wantError(t, f.call(), kind)
		if rec := f.record(); rec != nil && rec.Token != nil {
			t.Errorf("the token is kept: %+v", rec)
		}
	}
}

// Some answer with a form, as GitHub does.
func TestT1_FormEncoded(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) { c.FormTokens = true }, nil)
	rec := f.signIn()
	if left := time.Until(rec.Token.Expiry); left < 50*time.Minute || left > time.Hour {
		t.Errorf("the token ends in %v", left)
	}
	f.expire()
	f.mustCall()
	f.wantTokenCalls(1, 1, 1)
}

// A 200 that holds no token is no success, whatever else it holds.
func TestT1_NoToken(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fault authtest.Fault
		want  string
	}{
		"error inside":          {authtest.Fault{Error: "bad_verification_code", Status: 200}, "bad_verification_code"},
		"error inside, as form": {authtest.Fault{Body: "error=bad_verification_code&error_description=The+code+passed+is+incorrect."}, "The code passed is incorrect."},
		"error beside a token":  {authtest.Fault{Body: `{"access_token":"x","token_type":"bearer","error":"server_error"}`}, "server_error"},
		"web page":              {authtest.Fault{Body: "<!doctype html><title>Welcome</title>"}, "no token"},
		"empty":                 {authtest.Fault{Status: 200}, "no token"},
		"null":                  {authtest.Fault{Body: "null"}, "no token"},
		"list":                  {authtest.Fault{Body: "[]"}, "no token"},
		"empty object":          {authtest.Fault{Body: "{}"}, "no token"},
		"empty token":           {authtest.Fault{Body: `{"access_token":"","token_type":"bearer"}`}, "no token"},
		"token is null":         {authtest.Fault{Body: `{"access_token":null,"token_type":"bearer"}`}, "no token"},
		"token is a number":     {authtest.Fault{Body: `{"access_token":5,"token_type":"bearer"}`}, "no token"},
		"cut off":               {authtest.Fault{Body: `{"access_token":"x","token_ty`}, "no token"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.fault.Path = "/token"
			f := setup(t, func(c *authtest.Config) { c.Faults = []authtest.Fault{test.fault} }, nil)
			wantError(t, f.call(), test.want)
			if rec := f.record(); rec != nil && rec.Token != nil {
				t.Errorf("a token is kept: %+v", rec.Token)
			}
			if n := f.as.Exchanges(); n != 1 {
				t.Errorf("the code was sent %d times", n)
			}
		})
	}
}

// GitHub refuses a refresh with a 200. That is a refusal all the same, and not the end of the road.
func TestT1_RefreshRefusedWith200(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"invalid_grant", "bad_refresh_token"} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			f := setup(t, nil, nil)
			f.signIn()
			f.expire()
			f.as.RevokeAccessTokens()
			f.as.Set(func(c *authtest.Config) {
				c.Faults = []authtest.Fault{{Path: "/token", Form: map[string]string{"grant_type": "refresh_token"}, Error: code, Status: 200}}
			})
			if err := f.call(); err != nil {
				t.Errorf("%v\n%s", err, f.story())
			}
			f.wantCounts(1, 2, 2)
		})
	}
}

// A web page with 200 in place of a refreshed token says nothing about the login.
func TestT1_RefreshAnsweredByAWebPage(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) {
		c.Faults = []authtest.Fault{{Path: "/token", Form: map[string]string{"grant_type": "refresh_token"}, Times: 1, Body: "<html>captive portal</html>"}}
	}, nil)
	rec := f.signIn()
	f.as.RevokeAccessTokens()
	wantError(t, f.call())
	f.wantRecord(rec)
	f.mustCall()
	f.wantTokenCalls(2, 1, 1)
}

// A token goes into the header as it was given, and nowhere else (spec 4.78).
func TestT1_TokenUnchanged(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	rec := f.signIn()
	f.mu.Lock()
	defer f.mu.Unlock()
	last := f.requests[len(f.requests)-1]
	if got := last.Header["Authorization"]; len(got) != 1 || got[0] != "Bearer "+rec.Token.Access {
		t.Errorf("Authorization: %q, want Bearer %q", got, rec.Token.Access)
	}
	for _, r := range f.requests {
		if strings.Contains(r.URL.String(), "secret-") {
			t.Errorf("a token is in a URL: %s", r.URL)
		}
	}
}
