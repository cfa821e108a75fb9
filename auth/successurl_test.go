package auth_test

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"mcp-bridge/auth"
	"mcp-bridge/auth/authtest"
)

// After a sign-in that worked, and only then, the browser goes to the page that was named for that,
// and takes nothing along.
func TestSuccessURL(t *testing.T) {
	t.Parallel()
	var visits atomic.Int32
	done := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		visits.Add(1)
		if r.RequestURI != "/done" {
			t.Errorf("the browser came to %s", r.RequestURI)
		}
	}))
	defer done.Close()
	f := setup(t, nil, func(c *auth.Config) { c.SuccessURL = done.URL + "/done" })
	f.as.Set(func(c *authtest.Config) { c.Token = authtest.Edit{"token_type": "mac"} })
	if err := f.call(); err == nil || visits.Load() != 0 {
		t.Errorf("%d visits after the failure %v", visits.Load(), err)
	}
	f.as.Set(func(c *authtest.Config) { c.Token = nil })
	if err := f.transport.Login(t.Context()); err != nil {
		t.Fatal(err)
	}
	within(t, "the browser to arrive", func() bool { return visits.Load() == 1 })
}

func TestSuccessURLIsChecked(t *testing.T) {
	t.Parallel()
	for page, good := range map[string]bool{
		"https://app.example/done": true, "http://localhost:1/": true,
		"http://app.example/": false, "https://app.example/?a=b": false, "https://app.example/#a": false, "https://me@app.example/": false, "app.example": false,
	} {
		if _, err := auth.New(auth.Config{ServerURL: "https://mcp.example/mcp", SuccessURL: page}); (err == nil) != good {
			t.Errorf("%s: error %v", page, err)
		}
	}
}
