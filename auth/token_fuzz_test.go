package auth

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// replyWith is a RoundTripper that gives one answer to everything.
type replyWith struct {
	status      int
	contentType string
	body        []byte
}

func (r replyWith) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: r.status, Status: http.StatusText(r.status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {r.contentType}}, Body: io.NopCloser(bytes.NewReader(r.body)), ContentLength: int64(len(r.body)), Request: req}, nil
}

// Whatever a token endpoint answers, there is either an access token and no error, or an error in our
// own terms and no token; and nothing that was sent is told.
func FuzzTokenReply(f *testing.F) {
	for _, body := range []string{
		`{"access_token":"a","token_type":"Bearer","expires_in":3600,"refresh_token":"r","scope":"x y"}`,
		`{"access_token":"a","expires_in":"3599.5"}`, `{"access_token":"a","expires_in":1e400}`, `{"access_token":"a","expires_in":-1e9}`,
		`{"access_token":"a","expires_in":null,"token_type":null,"refresh_token":null,"scope":null}`,
		`{"access_token":"","token_type":"bearer"}`, `{"access_token":5}`, `{"access_token":["a"]}`, `{"error":"invalid_grant"}`,
		`{"access_token":"a","error":"x"}`, `{"error":5,"access_token":"a"}`, `access_token=a&token_type=bearer&expires_in=5`, `error=x&access_token=a`,
		`access_token=`, `null`, `[]`, `{}`, ``, `"a"`, `<html></html>`, `{"access_token":"a"`, `{"access_token":"a"} trailing`, "\x00\xff", `%zz=1`,
		`{"access_token":"a","token_type":"mac"}`, `{"access_token":"a","token_type":"DPoP"}`, `{"error":"use_dpop_nonce"}`, `{"access_token":"a","ACCESS_TOKEN":"b"}`, `{"access_token":"a","access_token":""}`,
	} {
		f.Add(200, "application/json", []byte(body))
		f.Add(400, "application/json", []byte(body))
	}
	f.Add(200, "application/x-www-form-urlencoded", []byte(`access_token=a&token_type=bearer`))
	f.Add(200, "text/html; charset=utf-8", []byte(`<title>x</title>`))
	f.Add(200, "text/plain", []byte(`access_token=a`))
	f.Add(204, "", []byte(nil))
	f.Add(307, "", []byte(nil))
	f.Add(500, "text/plain", []byte("grant_type=refresh_token&refresh_token=the-refresh-token"))
	f.Fuzz(func(t *testing.T, status int, contentType string, body []byte) {
		if status < 200 || status > 599 {
			t.Skip("not an answer")
		}
		transport, err := New(Config{ServerURL: "https://mcp.example/mcp", Storage: &FileStorage{}, Base: replyWith{status, contentType, body}})
		if err != nil {
			t.Fatal(err)
		}
		defer transport.Close()
		g := &grant{t: transport, client: &Client{ID: "c", AuthMethod: methodNone}, issuer: "https://as.example", tokenURL: "https://as.example/token"}
		reply, err := g.refresh(t.Context(), "the-refresh-token", "https://mcp.example/mcp", "")
		if (reply == nil) == (err == nil) {
			t.Fatalf("reply %v, error %v", reply, err)
		}
		if err != nil {
			if _, ok := errors.AsType[*TokenError](err); !ok {
				t.Errorf("an error of another kind: %v", err)
			}
			if text := err.Error(); strings.Contains(text, "the-refresh-token") || strings.ContainsAny(text, "\r\n\x00") {
				t.Errorf("the error is %q", text)
			}
			return
		}
		if reply.Access == "" || reply.Refresh == "" {
			t.Errorf("tokens %q, %q", reply.Access, reply.Refresh)
		}
		if status/100 != 2 {
			t.Errorf("success with %d", status)
		}
		if century := time.Now().AddDate(101, 0, 0); reply.Expiry.After(century) || !reply.Expiry.IsZero() && reply.Expiry.Before(time.Now().Add(-time.Minute)) {
			t.Errorf("the token ends at %v", reply.Expiry)
		}
	})
}

// What is canonical about a server's URL: no fragment, no user, and no slash that wasn't there (T4,
// spec 4.76).
func TestT4_CanonicalResource(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"https://mcp.example":           "https://mcp.example",
		"https://mcp.example/":          "https://mcp.example/",
		"https://mcp.example/mcp":       "https://mcp.example/mcp",
		"https://mcp.example/mcp/":      "https://mcp.example/mcp/",
		"HTTPS://MCP.example:8443/Mcp":  "https://mcp.example:8443/Mcp",
		"https://me:pw@mcp.example/mcp": "https://mcp.example/mcp",
		"https://mcp.example/mcp#part":  "https://mcp.example/mcp",
		"https://mcp.example/mcp?a=b#c": "https://mcp.example/mcp", // a query may be a secret
		"https://mcp.example/a%2Fb":     "https://mcp.example/a%2Fb",
		"http://127.0.0.1:1234":         "http://127.0.0.1:1234",
	} {
		u, err := url.Parse(in)
		if err != nil {
			if want != "" {
				t.Error(err)
			}
			continue
		}
		if got := canonicalResource(u); got != want {
			t.Errorf("%s is %s, want %s", in, got, want)
		}
	}
}
