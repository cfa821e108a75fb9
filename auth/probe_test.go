package auth_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"mcp-bridge/auth"
)

// Whether an endpoint wants authorization, by what it answers to one look.
func TestRequired(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		status int
		header string
		want   bool
	}{
		{"200", 200, "", false},
		{"401", 401, "", true},
		{"401 with a challenge", 401, "Bearer", true},
		{"403", 403, "", true},
		{"a challenge on 200", 200, "Bearer", true},
		{"a challenge on 405", 405, "Bearer", true},
		{"404", 404, "", false},
		{"405", 405, "", false}, // an MCP server without a GET stream
		{"406", 406, "", false},
		{"500", 500, "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodGet || r.Header.Get("Authorization") != "" {
					t.Errorf("%s with %v", r.Method, r.Header)
				}
				if test.header != "" {
					w.Header().Set("WWW-Authenticate", test.header)
				}
				w.WriteHeader(test.status)
			}))
			defer s.Close()
			if got := auth.Required(t.Context(), s.Client(), s.URL); got != test.want {
				t.Errorf("Required: %v, want %v", got, test.want)
			}
		})
	}
}

// What can't be reached may want authorization.
func TestRequiredUnreachable(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	for _, url := range []string{s.URL, "http://[::1", "http://127.0.0.1:1/"} {
		if !auth.Required(t.Context(), http.DefaultClient, url) {
			t.Errorf("%s: not required", url)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if !auth.Required(ctx, http.DefaultClient, s.URL) {
		t.Error("not required although nobody could look")
	}
}

// An endless event stream is not read.
func TestRequiredOfAStream(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.(http.Flusher).Flush()
		<-r.Context().Done() // until the client closes it
		close(gone)
	}))
	defer s.Close()
	began := time.Now()
	if auth.Required(t.Context(), s.Client(), s.URL) {
		t.Error("required")
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("it took %v", took)
	}
	soon(t, gone, "the end of the stream")
}
