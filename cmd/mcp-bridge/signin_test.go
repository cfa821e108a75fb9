package main

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"mcp-bridge/auth"
)

// What helps against a sign-in that failed. The errors themselves are real in testdata/script.
func TestSignInHint(t *testing.T) {
	refused := func(code string) error { return fmt.Errorf("signing in: %w", &auth.AuthorizationError{Code: code}) }
	for _, test := range []struct {
		err  error
		want string // a part of the hint; "" if there is to be none
	}{
		{auth.ErrSignInTimeout, "try again"},
		{auth.ErrSignInRequired, "try again"},
		{auth.ErrClosed, ""},
		{errors.New("dial tcp: no such host"), ""},
		{&auth.PortInUseError{Port: 1}, "--callback-port"},
		{auth.ErrIssuerChanged, "run 'mcp-bridge logout "},
		{auth.ErrNoRegistration, "--client-id"},
		{&auth.RegistrationError{Status: http.StatusForbidden}, "--client-id"},
		{refused("access_denied"), "to be asked again, try again"},
		{refused("invalid_scope"), "--scope"},
		{refused("invalid_target"), "--no-resource"},
		{&auth.TokenError{Code: "invalid_target"}, "--no-resource"},
		{&auth.TokenError{Code: "invalid_grant"}, ""},
		{&auth.TokenError{Code: "invalid_dpop_proof"}, "clock"},
		{fmt.Errorf("%w: %w", auth.ErrNotVouched, &auth.TokenError{Code: "invalid_client"}), "--idp-id-token-file"},
		{fmt.Errorf("signing in: %w", &auth.MetadataError{Reason: "no metadata"}), "'mcp-bridge doctor URL'"},
		{fmt.Errorf("%w: %w", auth.ErrClientNotFound, refused("invalid_client")), "to be asked again"},
	} {
		got := new(options).signInHint(test.err, "try again")
		if !strings.Contains(got, test.want) || (got == "") != (test.want == "") {
			t.Errorf("%v: got the hint %q, want %q", test.err, got, test.want)
		}
	}
	o := options{auth: authOptions{clientID: "app"}}
	if got := o.signInHint(fmt.Errorf("%w: %w", auth.ErrClientNotFound, refused("invalid_client")), "try again"); !strings.Contains(got, "--client-id") {
		t.Errorf("a configured client: got the hint %q", got)
	}
	if err := withHint(auth.ErrSignInTimeout, "try again"); !errors.Is(err, auth.ErrSignInTimeout) {
		t.Errorf("%v hides its cause", err)
	}
}

// A URL that may hold a key is not repeated.
func TestCommandHint(t *testing.T) {
	for url, want := range map[string]string{
		"https://example.com/mcp":          "login https://example.com/mcp'",
		"https://example.com/mcp?key=k":    "login URL'",
		"https://user:pw@example.com/mcp/": "login URL'",
	} {
		o := options{url: url}
		if got := o.commandHint("login"); !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", url, got, want)
		}
	}
}

func TestLoginState(t *testing.T) {
	now := time.Now()
	soon, past := now.Add(time.Hour), now.Add(-time.Hour)
	const layout = "2006-01-02 15:04"
	for _, test := range []struct {
		token *auth.Token
		want  string
	}{
		{nil, "not signed in"},
		{&auth.Token{Access: "a"}, "signed in, for as long as the server accepts it"},
		{&auth.Token{Access: "a", Expiry: soon}, "signed in until " + soon.Format(layout)},
		{&auth.Token{Access: "a", Expiry: past}, "ended at " + past.Format(layout)},
		{&auth.Token{Access: "a", Expiry: soon.UTC(), Refresh: "r"}, "signed in; the token is renewed after " + soon.Format(layout)},
		{&auth.Token{Access: "a", Expiry: past, Refresh: "r"}, "signed in; the token is renewed when it is needed"},
	} {
		if got := loginState(test.token, now); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}
