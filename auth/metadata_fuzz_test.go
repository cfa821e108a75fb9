package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
)

// documents is a RoundTripper that has one document for resources and one for authorization servers, and
// notes whom it is asked to call.
type documents struct {
	resource, server []byte
	status           int // of those about the resource
	called           []*url.URL
}

func (d *documents) RoundTrip(req *http.Request) (*http.Response, error) {
	d.called = append(d.called, req.URL)
	body, status := d.server, http.StatusOK
	if strings.Contains(req.URL.Path, "/oauth-protected-resource") {
		body, status = d.resource, d.status
	}
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body)), Request: req}, nil
}

// Whatever metadata says, what is believed of it can be used: https, nothing private, the issuer that was
// named, PKCE. Nobody else is called on the way, and what is said of the rest is one line.
func FuzzMetadata(f *testing.F) {
	const server = `{"issuer":"https://as.example","authorization_endpoint":"https://as.example/authorize","token_endpoint":"https://as.example/token","registration_endpoint":"https://as.example/register","code_challenge_methods_supported":["S256"]}`
	const resource = `{"resource":"https://mcp.example/mcp","authorization_servers":["https://as.example"]}`
	resources := []string{resource, `{"resource":"https://mcp.example","authorization_servers":["https://as.example/"]}`, `{"resource":"http://mcp.example/mcp","authorization_servers":["https://as.example"]}`,
		`{"resource":"https://evil.example/mcp","authorization_servers":["https://evil.example"]}`, `{"authorization_servers":["http://as.example","https://127.0.0.1","https://[::1]","file:///etc/passwd","javascript:1","","https://as.example"]}`,
		`{"resource":"https://mcp.example/mcp","authorization_servers":null}`, `{"resource":5}`, `{"authorization_servers":["https://user:pw@as.example#x"]}`, `{"authorization_servers":["https://as.example/t1"]}`, `[]`, `null`, `<html>`, ``,
		"{\"authorization_servers\":[\"https://as.example\\u001b[2J\"]}", `{"authorization_servers":["https://as.example\u0000"]}`}
	servers := []string{server, strings.Replace(server, `"https://as.example"`, `"https://as.example/"`, 1), strings.Replace(server, `"https://as.example"`, `"https://evil.example"`, 1),
		strings.Replace(server, "https://as.example/token", "http://as.example/token", 1), strings.Replace(server, "https://as.example/token", "https://169.254.169.254/token", 1), strings.Replace(server, "https://as.example/token", "javascript:1", 1),
		strings.Replace(server, `["S256"]`, `["plain"]`, 1), strings.Replace(server, `["S256"]`, `null`, 1), `{"issuer":null}`, `{"issuer":["a"]}`, `{}`, `null`, ``, `<title>x</title>`}
	for _, r := range resources {
		f.Add([]byte(r), []byte(server), true)
	}
	for _, s := range servers {
		f.Add([]byte(resource), []byte(s), true)
		f.Add([]byte(nil), []byte(s), false) // 2025-03-26
	}
	f.Fuzz(func(t *testing.T, resource, server []byte, found bool) {
		net := &documents{resource: resource, server: server, status: http.StatusNotFound}
		if found {
			net.status = http.StatusOK
		}
		transport, err := New(Config{ServerURL: "https://mcp.example/mcp", Storage: &FileStorage{}, Base: net})
		if err != nil {
			t.Fatal(err)
		}
		defer transport.Close()
		d, err := transport.discover(t.Context(), challenge{})
		for _, u := range net.called {
			if u.Scheme != "https" || isInternalHost(u.Hostname()) || u.User != nil || u.Fragment != "" {
				t.Errorf("%s was called", u)
			}
		}
		if err != nil {
			if text := err.Error(); strings.ContainsFunc(text, isControl) || len(text) > 2000 {
				t.Errorf("the error is %q", text)
			}
			return
		}
		if u, err := url.Parse(d.server.TokenEndpoint); err != nil || u.Scheme != "https" || isInternalHost(u.Hostname()) {
			t.Errorf("token endpoint %q", d.server.TokenEndpoint)
		}
		if d.document == nil {
			if u, err := url.Parse(d.server.Issuer); err != nil || u.Host != "mcp.example" {
				t.Errorf("issuer %q", d.server.Issuer)
			}
			return
		}
		named := false
		for _, issuer := range d.document.AuthorizationServers {
			named = named || strings.TrimSuffix(issuer, "/") == strings.TrimSuffix(d.server.Issuer, "/")
		}
		if !named {
			t.Errorf("issuer %q is none of %q", d.server.Issuer, d.document.AuthorizationServers)
		}
	})
}

// Whatever is in the file of a login, it is a login that is written as it was read, or an error that says
// what to do.
func FuzzRecord(f *testing.F) {
	for _, text := range []string{
		`{"version":1,"server":"https://mcp.example/mcp","issuer":"https://as.example","token_url":"https://as.example/token","client":{"id":"c","auth_method":"none","redirect_uri":"http://localhost:1/callback"},"token":{"access_token":"a","refresh_token":"r","issued":"2026-01-01T00:00:00Z","expiry":"2026-01-01T01:00:00Z"}}`,
		`{"version":1}`, `{"version":0}`, `{"version":2,"token":5}`, `{"version":1,"token":null,"client":null}`, `{"version":1,"token":{"expiry":"never"}}`, `{"version":1e3}`, `{"version":"1"}`, `null`, `[]`, ``, `{`, "\x00",
		`{"version":1,"token":{}}`, `{"version":1,"client":{}}`, `{"version":1,"token":{"access_token":"a\r\nX: y"}}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := parseRecord("FILE", text)
		if (r == nil) == (err == nil) {
			t.Fatalf("%v, %v", r, err)
		}
		if err != nil {
			if !errors.Is(err, errCorrupt) && !strings.Contains(err.Error(), "FILE") {
				t.Errorf("%v does not say which file", err)
			}
			return
		}
		again, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := parseRecord("FILE", again); err != nil || !reflect.DeepEqual(r, back) {
			t.Errorf("%s became %+v, %v", again, back, err)
		}
		_ = r.hasToken() && (r.Token.expired() || r.Token.ending()) || r.canRefresh() // with whatever is missing
	})
}
