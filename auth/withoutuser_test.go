package auth_test

import (
	"errors"
	"net/http"
	"testing"

	"mcp-bridge/auth"
)

// A request that may not lead to a question to the user opens no browser: it fails when there is no login,
// and profits from one that there is.
func TestWithoutUser(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	quiet := quietly{f.transport}
	err := f.callThrough(quiet)
	if _, ok := errors.AsType[*auth.NotAuthorizedError](err); !ok || !isUnsent(err) {
		t.Errorf("error %v", err)
	}
	if n := f.tabs(); n != 0 || f.as.Registrations() != 0 {
		t.Errorf("%d tabs\n%s", n, f.story())
	}
	f.mustCall()
	if err := f.callThrough(quiet); err != nil {
		t.Errorf("after a sign-in: %v", err)
	}
	f.wantCounts(1, 1, 1)
}

// quietly sends requests without asking the user.
type quietly struct{ http.RoundTripper }

func (q quietly) RoundTrip(req *http.Request) (*http.Response, error) {
	return q.RoundTripper.RoundTrip(req.WithContext(auth.WithoutUser(req.Context())))
}
