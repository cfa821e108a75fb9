package auth

import (
	"context"
	"net/http"
	"strings"
	"time"
)

// probeTimeout bounds one look at an endpoint.
const probeTimeout = 5 * time.Second

// Required reports whether the endpoint seems to want authorization: it answers 401 or 403, sends a
// WWW-Authenticate header, or can't be reached. Only the response's header is read, so an endless
// event stream does no harm.
func Required(ctx context.Context, client *http.Client, endpoint string) bool {
	resp, err := probe(ctx, client, http.MethodGet, endpoint)
	if err != nil {
		return true
	}
	return resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden || resp.Header.Get("WWW-Authenticate") != ""
}

// probe sends one request without token or content of consequence, and returns the response with
// its body closed.
func probe(ctx context.Context, client *http.Client, method, endpoint string) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	body := ""
	if method == http.MethodPost {
		body = `{"jsonrpc":"2.0","id":0,"method":"ping"}`
	}
	req, err := http.NewRequestWithContext(ctx, method, endpoint, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json, text/event-stream")
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, stripURL(err)
	}
	resp.Body.Close()
	return resp, nil
}
