package auth_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"mcp-bridge/auth"
	"mcp-bridge/auth/authtest"
)

// A body is one that tells how it was treated.
type body struct {
	io.Reader
	closed atomic.Int32
}

func (b *body) Close() error {
	b.closed.Add(1)
	return nil
}

// A message is sent again as it was, whether or not its body can be had twice, and its body is
// closed (auth-behaviour 6.4.4).
func TestBodyIsSentAgain(t *testing.T) {
	t.Parallel()
	long := strings.Repeat(message, 10_000)
	for name, text := range map[string]string{"short": message, "long": long} {
		for _, replayable := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, GetBody %v", name, replayable), func(t *testing.T) {
				t.Parallel()
				f := setup(t, nil, nil)
				b := &body{Reader: strings.NewReader(text)}
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.url, b)
				if err != nil {
					t.Fatal(err)
				}
				req.ContentLength = int64(len(text))
				if replayable {
					req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
				}
				before := req.Clone(t.Context())
				resp, err := f.transport.RoundTrip(req)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				if got, err := io.ReadAll(resp.Body); err != nil || string(got) != text {
					t.Errorf("%d bytes came back, want %d (%v)", len(got), len(text), err)
				}
				if b.closed.Load() == 0 {
					t.Error("the original body is not closed")
				}
				if len(req.Header) != len(before.Header) || req.Header.Get("Authorization") != "" {
					t.Errorf("the caller's request has become %v", req.Header)
				}
				var sent []string
				f.mu.Lock()
				defer f.mu.Unlock()
				for _, r := range f.requests {
					if r.Method == http.MethodPost {
						got, _ := io.ReadAll(r.Body)
						sent = append(sent, string(got))
					}
				}
				if len(sent) != 2 || sent[0] != text || sent[1] != text {
					t.Errorf("%d messages were sent, not all of them whole", len(sent))
				}
			})
		}
	}
}

// The body is closed where nothing can be sent, too.
func TestBodyIsClosedOnErrors(t *testing.T) {
	t.Parallel()
	failing := errors.New("broken pipe")
	for name, test := range map[string]struct {
		reader  io.Reader
		getBody func() (io.ReadCloser, error)
		base    http.RoundTripper
		header  string
	}{
		"body can't be read":       {reader: io.MultiReader(strings.NewReader("{"), errReader{failing})},
		"body can't be read again": {reader: strings.NewReader(message), getBody: func() (io.ReadCloser, error) { return nil, failing }},
		"request can't be sent": {reader: strings.NewReader(message), base: roundTripper(func(r *http.Request) (*http.Response, error) {
			r.Body.Close()
			return nil, failing
		})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, nil, func(c *auth.Config) {
				if test.base != nil {
					c.Base = test.base
				}
			})
			b := &body{Reader: test.reader}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.url, b)
			if err != nil {
				t.Fatal(err)
			}
			req.GetBody = test.getBody
			if _, err := f.transport.RoundTrip(req); !errors.Is(err, failing) {
				t.Errorf("error %v", err)
			}
			if b.closed.Load() == 0 {
				t.Error("the body is not closed")
			}
		})
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

// Only the server's own origin sees the token (spec 4.79).
func TestTokenStaysAtItsOrigin(t *testing.T) {
	t.Parallel()
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		elsewhere.Add(1)
		if got := r.Header.Get("Authorization"); got != "" {
			t.Errorf("another origin got %q", got)
		}
		if r.URL.Path == "/guarded" {
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer other.Close()
	f := setup(t, nil, nil)
	f.signIn()
	asked := len(f.asked())

	// Asked directly, and by a redirect, of POST and of GET.
	if _, err := f.do(f.transport, http.MethodPost, other.URL+"/mcp"); err != nil {
		t.Error(err)
	}
	for _, status := range []int{302, 307, 308} {
		for _, path := range []string{"/mcp", "/guarded"} {
			f.as.Set(func(c *authtest.Config) {
				c.Faults = []authtest.Fault{{Path: "/mcp", Status: status, Header: http.Header{"Location": {other.URL + path}}}}
			})
			want := map[string]int{"/mcp": 200, "/guarded": 401}[path]
			if resp, err := f.do(f.transport, http.MethodPost, f.url); err != nil || resp.StatusCode != want {
				t.Errorf("%d to %s: %v, %v", status, path, resp, err)
			}
		}
	}
	if n := elsewhere.Load(); n != 7 {
		t.Errorf("the other origin was asked %d times, want 7", n)
	}
	if n := len(f.asked()); n != asked || f.tabs() != 1 {
		t.Errorf("another origin's 401 led to %q, %d tabs", f.asked()[asked:], f.tabs())
	}
}

// Neither the host's name nor the port nor the scheme may differ.
func TestTokenStaysAtItsOriginExactly(t *testing.T) {
	t.Parallel()
	var sent http.Header
	base := roundTripper(func(r *http.Request) (*http.Response, error) {
		sent = r.Header.Clone()
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
	})
	for _, test := range []struct {
		server, url string
		token       bool
	}{
		{"https://mcp.example/mcp", "https://mcp.example/mcp", true},
		{"https://mcp.example/mcp", "https://mcp.example/other?a=b", true},
		{"https://mcp.example/mcp", "https://MCP.example:443/mcp", true},
		{"https://mcp.example:8443/mcp", "https://mcp.example:8443/mcp", true},
		{"https://mcp.example/mcp", "http://mcp.example/mcp", false},
		{"https://mcp.example/mcp", "http://mcp.example:443/mcp", false},
		{"https://mcp.example/mcp", "https://mcp.example:444/mcp", false},
		{"https://mcp.example:8443/mcp", "https://mcp.example/mcp", false},
		{"https://mcp.example/mcp", "https://mcp.example.evil/mcp", false},
		{"https://mcp.example/mcp", "https://evil/mcp.example/mcp", false},
		{"https://mcp.example/mcp", "https://mcp.example@evil/mcp", false},
		{"https://mcp.example/mcp", "https://sub.mcp.example/mcp", false},
		{"http://127.0.0.1:80/mcp", "http://127.0.0.1/mcp", true},
		{"http://127.0.0.1/mcp", "http://localhost/mcp", false},
		{"http://[::1]:8080/mcp", "http://[::1]:8080/mcp", true},
		{"http://[::1]:8080/mcp", "http://[::1]:8081/mcp", false},
	} {
		storage := &auth.FileStorage{Dir: t.TempDir(), Identity: auth.Identity{Server: test.server}}
		if err := storage.Save(&auth.Record{Token: &auth.Token{Access: "secret-at"}}); err != nil {
			t.Fatal(err)
		}
		transport, err := auth.New(auth.Config{ServerURL: test.server, Base: base, Storage: storage})
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, test.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := sent.Get("Authorization"); (got != "") != test.token {
			t.Errorf("%s of %s: Authorization %q", test.url, test.server, got)
		}
		transport.Close()
	}
}

// A user's own Authorization header switches all this off, and its 401 is the answer.
func TestOwnAuthorizationHeader(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.url, strings.NewReader(message))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Basic dXNlcjpwYXNz")
	resp, err := f.transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, err := io.ReadAll(resp.Body); resp.StatusCode != 401 || err != nil || len(got) == 0 {
		t.Errorf("HTTP %d, %q, %v", resp.StatusCode, got, err)
	}
	f.mu.Lock()
	got := f.requests[0].Header["Authorization"]
	f.mu.Unlock()
	if len(got) != 1 || got[0] != "Basic dXNlcjpwYXNz" {
		t.Errorf("Authorization: %q", got)
	}
	if f.posts() != 1 || len(f.asked()) != 0 || f.tabs() != 0 {
		t.Error(f.story())
	}
}

// Who waits for a sign-in may leave. The sign-in goes on, and the next request profits from it
// (auth-behaviour 6.4.7).
func TestWaiterLeaves(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	opened := make(chan string, 1)
	f.again(func(c *auth.Config) {
		c.Open = func(page string) error { opened <- page; return nil }
	})
	ctx, leave := context.WithCancelCause(t.Context())
	left := make(chan error, 1)
	go func() { // ends when it leaves
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.url, strings.NewReader(message))
		if err != nil {
			left <- err
			return
		}
		resp, err := f.transport.RoundTrip(req)
		if err == nil {
			resp.Body.Close()
		}
		left <- err
	}()
	page := <-opened
	reason := errors.New("the host has no more patience")
	leave(reason)
	if err := <-left; !errors.Is(err, reason) || !isUnsent(err) {
		t.Errorf("who left got: %v", err)
	}
	next := make(chan error, 1)
	go func() { next <- f.call() }() // ends with its answer
	if _, err := authtest.Browse(t.Context(), page); err != nil {
		t.Fatal(err)
	}
	if err := <-next; err != nil {
		t.Error(err)
	}
	f.mustCall()
	if r, e := f.as.Registrations(), f.as.Exchanges(); r != 1 || e != 1 {
		t.Errorf("%d registrations, %d exchanges\n%s", r, e, f.story())
	}
}

// The same during a refresh: the new token is kept.
func TestWaiterLeavesARefresh(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	old := f.signIn()
	f.as.RevokeAccessTokens()
	entered, release := make(chan struct{}), make(chan struct{})
	f.as.Set(func(c *authtest.Config) {
		c.Handle = func(_ http.ResponseWriter, r *authtest.Request) bool {
			if r.Form.Get("grant_type") == "refresh_token" {
				close(entered)
				<-release
			}
			return false
		}
	})
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() { // ends when it leaves
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.url, bytes.NewReader([]byte(message)))
		if err != nil {
			left <- err
			return
		}
		resp, err := f.transport.RoundTrip(req)
		if err == nil {
			resp.Body.Close()
		}
		left <- err
	}()
	<-entered
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("who left got: %v", err)
	}
	close(release)
	f.mustCall()
	f.wantTokenCalls(1, 1, 1)
	if n := f.as.ReuseDetected(); n != 0 || f.record().Token.Refresh == old.Token.Refresh {
		t.Errorf("reuse %d times; the record is %+v", n, f.record())
	}
}
