package auth

import (
	"errors"
	"fmt"
)

var (
	// ErrClientNotFound means that the authorization server does not accept our client. For a
	// dynamic registration it is returned only after a fresh one was refused too.
	ErrClientNotFound = errors.New("the authorization server does not accept the client")

	// ErrNoRegistration means that the authorization server offers neither registration nor
	// client ID metadata documents, and that no client ID is configured.
	ErrNoRegistration = errors.New("the authorization server offers no client registration")

	// ErrIssuerChanged means that the MCP server names another authorization server than the one
	// that the configured client was used at.
	ErrIssuerChanged = errors.New("the authorization server has changed")

	// ErrNotVouched means that the identity provider does not vouch for the user.
	ErrNotVouched = errors.New("the identity provider does not vouch for the user")

	// ErrSignInRequired means that the user has to sign in, and that the request at hand may not
	// lead to that.
	ErrSignInRequired = errors.New("sign-in is required")

	// ErrSignInTimeout means that the user did not finish signing in.
	ErrSignInTimeout = errors.New("the sign-in was not finished in time")

	// ErrClosed means that the Transport was closed while a token was being obtained.
	ErrClosed = errors.New("authorization was given up, as the program ends")
)

// A NotAuthorizedError means that a request was not carried out because no token could be had for
// it; the wrapped error says why.
type NotAuthorizedError struct{ cause error }

func (e *NotAuthorizedError) Error() string { return e.cause.Error() }
func (e *NotAuthorizedError) Unwrap() error { return e.cause }

// Unsent tells whoever sent the request that the server did not act on it.
func (e *NotAuthorizedError) Unsent() bool { return true }

// A PortInUseError means that the configured callback port is taken.
type PortInUseError struct {
	Port  int
	cause error
}

func (e *PortInUseError) Error() string {
	return fmt.Sprintf("the callback port %d is in use: %v", e.Port, e.cause)
}

func (e *PortInUseError) Unwrap() error { return e.cause }

// An AuthorizationError is a refusal of the authorization server's, at the authorization endpoint
// or in the callback (RFC 6749 4.1.2.1), in its own words.
type AuthorizationError struct{ Code, Description string }

func (e *AuthorizationError) Error() string {
	return "the authorization server refused the sign-in: " + words(e.Code, e.Description)
}

// A RegistrationError is a refused dynamic client registration (RFC 7591 3.2.2).
type RegistrationError struct {
	Status            int // HTTP
	Code, Description string
}

func (e *RegistrationError) Error() string {
	return fmt.Sprintf("client registration was refused (%d): %s", e.Status, words(e.Code, e.Description))
}

// A TokenError is a refusal of the token endpoint (RFC 6749 5.2). Code is "" when the answer was
// none of OAuth's.
type TokenError struct {
	Endpoint          string // "token endpoint", or another that knows the client in the same way
	Status            int    // HTTP
	Code, Description string
}

func (e *TokenError) Error() string {
	return fmt.Sprintf("the %s answered %d: %s", e.Endpoint, e.Status, words(e.Code, e.Description))
}

// A MetadataError means that what a server says of itself can't be trusted or used.
type MetadataError struct {
	Reason  string
	Private bool // it is a private address, which Config.AllowPrivate lets pass
}

func (e *MetadataError) Error() string { return e.Reason }

// untrusted returns a MetadataError. What a server says is quoted in it, but not at any length.
func untrusted(format string, args ...any) *MetadataError {
	for i, arg := range args {
		if text, ok := arg.(string); ok {
			args[i] = clip(text, longestText)
		}
	}
	return &MetadataError{Reason: fmt.Sprintf(format, args...)}
}

// private returns a MetadataError for a private address.
func private(format string, args ...any) *MetadataError {
	err := untrusted(format, args...)
	err.Private = true
	return err
}

func words(code, description string) string {
	switch {
	case code == "" && description == "":
		return "no reason given"
	case description == "":
		return code
	case code == "":
		return description
	}
	return code + ": " + description
}
