package auth_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"mcp-bridge/auth"
	"mcp-bridge/auth/authtest"
)

const (
	suffixedPRM = "/.well-known/oauth-protected-resource/mcp"
	rootPRM     = "/.well-known/oauth-protected-resource"
	oauthDoc    = "/.well-known/oauth-authorization-server"
	openIDDoc   = "/.well-known/openid-configuration"
)

// resourcesSent returns the resource parameter of every authorization and token request, each once.
func (f *fixture) resourcesSent() []string {
	var sent []string
	for _, r := range f.as.Requests() {
		if r.URL.Path == "/authorize" || r.URL.Path == "/token" {
			for _, resource := range append([]string{}, r.Form["resource"]...) {
				if !slices.Contains(sent, resource) {
					sent = append(sent, resource)
				}
			}
			if !r.Form.Has("resource") {
				sent = append(sent, "none in "+r.String())
			}
		}
	}
	return sent
}

// D1: the resource's metadata is where the challenge says, else below the endpoint's well-known place,
// else at the origin's.
func TestD1_ResourceMetadataPlaces(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		server  func(*authtest.Config)
		reached []string // between the two POSTs
	}{
		{"only suffixed, no challenge", func(c *authtest.Config) {
			c.NoChallenge = true
		}, []string{"GET " + suffixedPRM}},
		{"only root, no challenge", func(c *authtest.Config) {
			c.NoChallenge, c.ResourceMetadataAt = true, []string{rootPRM}
		}, []string{"GET " + suffixedPRM, "GET " + rootPRM}},
		{"only where the challenge says", func(c *authtest.Config) {
			c.ResourceMetadataAt = []string{"/odd/prm"}
		}, []string{"GET /odd/prm"}},
		{"not where the challenge says", func(c *authtest.Config) {
			c.Challenge, c.Faults = `Bearer resource_metadata="{metadata}/not"`, []authtest.Fault{{Path: suffixedPRM + "/not", Status: 404}}
		}, []string{"GET " + suffixedPRM + "/not", "GET " + suffixedPRM}},
		{"a challenge that does not say", func(c *authtest.Config) {
			c.Challenge = `Bearer realm="x"`
		}, []string{"GET " + suffixedPRM}},
		{"another challenge", func(c *authtest.Config) {
			c.Challenge = `Basic realm="x"`
		}, []string{"GET " + suffixedPRM}},
		{"405 for the first", func(c *authtest.Config) {
			c.NoChallenge, c.ResourceMetadataAt = true, []string{rootPRM}
			c.Faults = []authtest.Fault{{Path: suffixedPRM, Status: 405}}
		}, []string{"GET " + suffixedPRM, "GET " + rootPRM}},
		{"401 for the first", func(c *authtest.Config) {
			c.NoChallenge, c.ResourceMetadataAt = true, []string{rootPRM}
			c.Faults = []authtest.Fault{{Path: suffixedPRM, Status: 401, Header: http.Header{"Www-Authenticate": {"Bearer"}}}}
		}, []string{"GET " + suffixedPRM, "GET " + rootPRM}},
		{"500 for the first", func(c *authtest.Config) {
			c.NoChallenge, c.ResourceMetadataAt = true, []string{rootPRM}
			c.Faults = []authtest.Fault{{Path: suffixedPRM, Status: 500}}
		}, []string{"GET " + suffixedPRM, "GET " + rootPRM}},
		{"a redirect on the same origin", func(c *authtest.Config) {
			c.NoChallenge, c.ResourceMetadataAt = true, []string{"/moved"}
			c.Faults = []authtest.Fault{{Path: suffixedPRM, Status: 301, Header: http.Header{"Location": {"/moved"}}}}
		}, []string{"GET " + suffixedPRM, "GET /moved"}},
		{"an endpoint with a slash at the end", func(c *authtest.Config) {
			c.NoChallenge, c.Endpoint, c.ResourceMetadataAt = true, "/mcp/", []string{suffixedPRM}
		}, []string{"GET " + suffixedPRM}},
		{"a deep endpoint", func(c *authtest.Config) {
			c.NoChallenge, c.Endpoint = true, "/a/b"
		}, []string{"GET " + rootPRM + "/a/b"}},
		{"an endpoint at the root", func(c *authtest.Config) { // spec 4.12
			c.NoChallenge, c.Endpoint, c.ResourceMetadataAt = true, "/", []string{rootPRM}
		}, []string{"GET " + rootPRM}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, test.server, nil)
			f.mustCall()
			f.wantCounts(1, 1, 1)
			if got := f.reached(); len(got) < 2 || !slices.Equal(got[1:len(got)-1], test.reached) {
				t.Errorf("asked %q, want %q", got, test.reached)
			}
			if got := f.resourcesSent(); !slices.Equal(got, []string{f.url}) {
				t.Errorf("resources sent: %q, want %q", got, f.url)
			}
		})
	}
}

// D1: of two documents the one that the challenge names counts, and its resource is sent byte for
// byte (spec 4.77).
func TestD1_ChallengeWinsOverRoot(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	f.as.Set(func(c *authtest.Config) {
		c.Faults = []authtest.Fault{{Path: rootPRM, Body: fmt.Sprintf(`{"resource":%q,"authorization_servers":["https://evil.example"]}`, f.origin)}}
	})
	f.mustCall()
	if got := f.resourcesSent(); !slices.Equal(got, []string{f.url}) {
		t.Errorf("resources sent: %q, want %q", got, f.url)
	}
}

// D1, spec 4.30–4.35: without any resource metadata the server's origin authorizes, the 2025-03-26
// way.
func TestD1_NoResourceMetadata(t *testing.T) {
	t.Parallel()
	for name, server := range map[string]func(*authtest.Config){
		"with server metadata":    func(c *authtest.Config) { c.NoChallenge, c.AtResource = true, true },
		"with a challenge":        func(c *authtest.Config) { c.AtResource = true },
		"with other endpoints":    func(c *authtest.Config) { c.AtResource = true; c.Handle = move("/oauth2") },
		"without server metadata": func(c *authtest.Config) { c.NoChallenge, c.AtResource, c.MetadataAt = true, true, []string{} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, server, nil)
			f.mustCall()
			f.wantCounts(1, 1, 1)
			if got := f.resourcesSent(); !slices.Equal(got, []string{f.url}) {
				t.Errorf("resources sent: %q, want %q", got, f.url)
			}
			for _, r := range f.as.Requests() {
				if r.Host != strings.TrimPrefix(f.origin, "http://") {
					t.Errorf("%s was sent to %s", r, r.Host)
				}
				if name == "with other endpoints" && r.URL.Path == "/authorize" && r.Header.Get("X-Moved") == "" {
					t.Errorf("%s went to the fixed place although metadata names another (spec 4.35)", r)
				}
				if r.URL.Path == "/authorize" && r.Form.Get("code_challenge_method") != "S256" { // spec 4.33
					t.Errorf("%s without PKCE", r)
				}
			}
		})
	}
}

// move puts the endpoints below a folder, and says so in the metadata.
func move(folder string) func(http.ResponseWriter, *authtest.Request) bool {
	return func(w http.ResponseWriter, r *authtest.Request) bool {
		if path, ok := strings.CutPrefix(r.URL.Path, folder); ok {
			r.URL.Path = path
			r.Header.Set("X-Moved", folder)
			return false
		}
		if r.URL.Path != oauthDoc {
			return false
		}
		rec := httptest.NewRecorder()
		r.Serve(rec)
		text := strings.NewReplacer("/authorize\"", folder+"/authorize\"", "/token\"", folder+"/token\"", "/register\"", folder+"/register\"").Replace(rec.Body.String())
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, text)
		return true
	}
}

// Spec 4.34: the 2025-03-26 way is for servers without resource metadata, not for those where it is
// broken or not to be had at the moment.
func TestD1_BrokenResourceMetadataIsNotNone(t *testing.T) {
	t.Parallel()
	for name, server := range map[string]func(*authtest.Config){
		"no authorization server": func(c *authtest.Config) { c.ResourceMetadata = authtest.Edit{"authorization_servers": authtest.Absent} },
		"an empty list":           func(c *authtest.Config) { c.ResourceMetadata = authtest.Edit{"authorization_servers": []string{}} },
		"another resource":        func(c *authtest.Config) { c.ResourceMetadata = authtest.Edit{"resource": "https://other.example/mcp"} },
		"503":                     func(c *authtest.Config) { c.Faults = []authtest.Fault{{Path: suffixedPRM, Status: 503}} },
		"a cut connection":        func(c *authtest.Config) { c.Faults = []authtest.Fault{{Path: suffixedPRM, Reset: true}} },
		"a server without metadata": func(c *authtest.Config) {
			c.ResourceMetadata = authtest.Edit{"authorization_servers": []string{"http://127.0.0.1:1"}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, func(c *authtest.Config) {
				c.AtResource, c.MetadataAt, c.ResourceMetadataAt = true, []string{}, []string{suffixedPRM}
				server(c)
			}, nil)
			err := f.call()
			wantError(t, err, map[string]string{"no authorization server": "names no authorization server", "an empty list": "names no authorization server"}[name])
			f.wantCounts(0, 0, 0)
			for _, name := range f.asked() {
				if name != "GET "+rootPRM { // all of the origin is its own authorization server here
					t.Errorf("asked %s after %v", name, err)
				}
			}
			if !isUnsent(err) {
				t.Errorf("the error does not say that the request was not acted on: %v", err)
			}
		})
	}
}

// Spec 4.12: the well-known place is inserted before path and query.
func TestD1_QueryOfTheEndpoint(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) { c.NoChallenge = true }, nil)
	f.url += "?tenant=1"
	f.as.Set(func(c *authtest.Config) { c.ResourceMetadata = authtest.Edit{"resource": f.url} })
	f.again(func(c *auth.Config) { c.ServerURL = f.url })
	f.mustCall()
	f.mu.Lock()
	defer f.mu.Unlock()
	if got := f.requests[1].URL.RequestURI(); got != suffixedPRM+"?tenant=1" {
		t.Errorf("asked for %s, want %s?tenant=1", got, suffixedPRM)
	}
}

// D2: all well-known places, in the spec's order (spec 4.20, 4.21), whatever kind of no the others say.
func TestD2_ServerMetadataPlaces(t *testing.T) {
	t.Parallel()
	withPath := []string{oauthDoc + "/t1", openIDDoc + "/t1", "/t1" + openIDDoc}
	atRoot := []string{oauthDoc, openIDDoc}
	for _, places := range [][]string{withPath, atRoot} {
		for i, place := range places {
			for _, miss := range []authtest.Fault{
				{Status: 404}, {Status: 400}, {Status: 405}, {Status: 500}, {Reset: true},
				{Body: "<!DOCTYPE html><title>Welcome</title>"}, {Body: "{}"}, {Body: "[]"}, {Body: "null"}, {Body: `{"issuer":1}`}, {Body: "{"},
			} {
				name := fmt.Sprintf("%s after %d %s", place, miss.Status, miss.Body)
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					f := setup(t, func(c *authtest.Config) {
						if len(places) == len(withPath) {
							c.IssuerPath = "/t1"
						}
						c.MetadataAt = []string{place}
						for _, other := range places[:i] {
							fault := miss
							fault.Path = other
							c.Faults = append(c.Faults, fault)
						}
					}, nil)
					f.mustCall()
					f.wantCounts(1, 1, 1)
					var want []string
					for _, asked := range places[:i+1] {
						want = append(want, "GET "+asked)
					}
					got := slices.DeleteFunc(f.asked(), func(name string) bool { return !strings.Contains(name, "/.well-known/") })
					if got = slices.Compact(got); !slices.Equal(got, want) { // the HTTP client may ask again when it is cut off
						t.Errorf("asked %q, want %q", got, want)
					}
				})
				if i == 0 {
					break // there is nothing before it
				}
			}
		}
	}
}

// D2: the first authorization server that has metadata is used.
func TestD2_SecondAuthorizationServer(t *testing.T) {
	t.Parallel()
	empty := httptest.NewServer(http.NotFoundHandler())
	defer empty.Close()
	f := setup(t, nil, nil)
	f.as.Set(func(c *authtest.Config) {
		c.ResourceMetadata = authtest.Edit{"authorization_servers": []string{empty.URL, "ftp://x.example", f.as.URL()}}
	})
	f.mustCall()
	f.wantCounts(1, 1, 1)
}

// D2: with no metadata anywhere there is an error that says whose is missing, and no browser.
func TestD2_NoServerMetadata(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) { c.MetadataAt = []string{} }, nil)
	wantError(t, f.call(), f.as.URL())
	f.wantCounts(0, 0, 0)
}

// D3: WWW-Authenticate in unusual but legal forms, over HTTP.
func TestD3_Challenges(t *testing.T) {
	t.Parallel()
	for _, header := range []string{
		`bearer Resource_Metadata = "{metadata}"`,
		`Bearer error_description="a, \"b\"", resource_metadata={metadata}`,
		`Bearer resource_metadata='{metadata}'`,
		`BEARER  scope="x y" , RESOURCE_METADATA="{metadata}"`,
		`Basic realm="a, b", Bearer error="invalid_token", resource_metadata="{metadata}"`,
		`Bearer resource_metadata="{metadata}", Negotiate`,
	} {
		t.Run(header, func(t *testing.T) {
			t.Parallel()
			f := setup(t, func(c *authtest.Config) { c.Challenge, c.ResourceMetadataAt = header, []string{"/odd/prm"} }, nil)
			f.mustCall()
			if got := f.reached(); got[1] != "GET /odd/prm" {
				t.Errorf("asked %q, want /odd/prm first", got)
			}
		})
	}
}

// D3, spec 4.03: several header lines, and lines that are folded.
func TestD3_HeaderLines(t *testing.T) {
	t.Parallel()
	for name, lines := range map[string]string{
		"several": "WWW-Authenticate: Basic realm=\"x\"\r\nWWW-Authenticate: Bearer resource_metadata=\"%s\"\r\n",
		"folded":  "WWW-Authenticate: Bearer error=\"invalid_token\",\r\n    resource_metadata=\"%s\",\r\n\tscope=\"a\"\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, func(c *authtest.Config) { c.ResourceMetadataAt = []string{"/odd/prm"} }, nil)
			var refused atomic.Bool
			front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/mcp" || !refused.CompareAndSwap(false, true) {
					f.serve(w, r)
					return
				}
				conn, _, err := w.(http.Hijacker).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				fmt.Fprintf(conn, "HTTP/1.1 401 Unauthorized\r\n"+lines+"Content-Length: 0\r\nConnection: close\r\n\r\n", "http://"+r.Host+"/odd/prm")
			}))
			defer front.Close()
			f.url, f.origin = front.URL+"/mcp", front.URL
			f.again(func(c *auth.Config) { c.ServerURL = f.url })
			f.mustCall()
			if got := f.reached(); got[0] != "GET /odd/prm" {
				t.Errorf("asked %q, want /odd/prm first", got)
			}
		})
	}
}

// D3: a header that is cut short is no reason to end the program.
func TestD3_BrokenChallenge(t *testing.T) {
	t.Parallel()
	for _, header := range []string{`Bearer error_description="a`, `Bearer x='`, `Bearer x="\`, `Bearer =`, `"`, `=`, "Bearer \x80"} {
		t.Run(header, func(t *testing.T) {
			t.Parallel()
			f := setup(t, func(c *authtest.Config) { c.Challenge = header }, nil)
			defer func() {
				if trouble := recover(); trouble != nil {
					t.Errorf("panic: %v", trouble)
				}
			}()
			f.mustCall()
		})
	}
}

// D6: a resource that covers the endpoint is accepted, and sent byte for byte.
func TestD6_ResourceCoversTheEndpoint(t *testing.T) {
	t.Parallel()
	for _, resource := range []string{"", "/", "/mcp/", "/mcp"} {
		t.Run(resource, func(t *testing.T) {
			t.Parallel()
			f := setup(t, nil, nil)
			f.as.Set(func(c *authtest.Config) { c.ResourceMetadata = authtest.Edit{"resource": f.origin + resource} })
			f.mustCall()
			if got := f.resourcesSent(); !slices.Equal(got, []string{f.origin + resource}) {
				t.Errorf("resources sent: %q, want %q", got, f.origin+resource)
			}
		})
	}
}

// D6, spec 4.14: any other resource ends it before an authorization server is asked anything.
func TestD6_ResourceMismatch(t *testing.T) {
	t.Parallel()
	for _, resource := range []string{
		"https://evil.example/mcp", "{origin}/other", "{origin}/mcp/deeper", "{origin}/mc", "{origin}/MCP", "{origin}1/mcp",
		"http://localhost/mcp", "{tls}/mcp", "/mcp", "mcp", "urn:mcp", "http://[::1", "{origin}@evil.example/mcp",
	} {
		t.Run(resource, func(t *testing.T) {
			t.Parallel()
			f := setup(t, nil, nil)
			resource = strings.NewReplacer("{origin}", f.origin, "{tls}", strings.Replace(f.origin, "http:", "https:", 1)).Replace(resource)
			f.as.Set(func(c *authtest.Config) { c.ResourceMetadata = authtest.Edit{"resource": resource} })
			err := f.call()
			wantError(t, err, resource, f.url) // both values
			if _, ok := errors.AsType[*auth.MetadataError](err); !ok {
				t.Errorf("%v is no MetadataError", err)
			}
			if len(f.asked()) != 0 || f.tabs() != 0 {
				t.Errorf("%d tabs, and the authorization server was asked %q", f.tabs(), f.asked())
			}
		})
	}
}

// D6: http for https of the same host is what a proxy leads to that does not say X-Forwarded-Proto.
func TestD6_ProxyIsNamed(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	f.public()
	f.as.Set(func(c *authtest.Config) { c.ResourceMetadata = authtest.Edit{"resource": "http://mcp.example/mcp"} })
	wantError(t, f.call(), "http://mcp.example/mcp", "https://mcp.example/mcp", "proxy", "X-Forwarded-Proto")
	f.wantCounts(0, 0, 0)
}

// D6, R8: what is quoted of a server is one short line.
func TestD6_QuotedValuesAreShort(t *testing.T) {
	t.Parallel()
	long := "https://evil.example/\x1b[2J\u009b2J\u202e\n" + strings.Repeat("x", 50_000)
	for name, edit := range map[string]func(*authtest.Config){
		"resource": func(c *authtest.Config) { c.ResourceMetadata = authtest.Edit{"resource": long} },
		"issuer":   func(c *authtest.Config) { c.Metadata = authtest.Edit{"issuer": long} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, edit, nil)
			err := f.call()
			wantError(t, err, "https://evil.example/")
			if text := err.Error(); len(text) > 1000 || strings.ContainsAny(text, "\x1b\u009b\u202e\n") {
				t.Errorf("the error has %d bytes, and begins with %.150q", len(text), text)
			}
		})
	}
}

// D7: one trailing slash between what the resource names and what the document says is nothing.
func TestD7_IssuerAndSlash(t *testing.T) {
	t.Parallel()
	for _, test := range [][2]string{{"", "/"}, {"/", ""}, {"/", "/"}, {"/t1", "/t1/"}, {"/t1/", "/t1"}} {
		t.Run(test[0]+" "+test[1], func(t *testing.T) {
			t.Parallel()
			f := setup(t, nil, nil)
			f.as.Set(func(c *authtest.Config) {
				c.MetadataAt = []string{oauthDoc + strings.TrimSuffix(test[0], "/")}
				c.ResourceMetadata = authtest.Edit{"authorization_servers": []string{f.as.URL() + test[0]}}
				c.Metadata = authtest.Edit{"issuer": f.as.URL() + test[1]}
			})
			f.mustCall()
			f.wantCounts(1, 1, 1)
		})
	}
}

// D7, spec 4.23: the document of another issuer is a hard stop, and not looked for at other places.
func TestD7_OtherIssuer(t *testing.T) {
	t.Parallel()
	for _, issuer := range []string{"http://evil.example", "{as}/t1", "{as}//", "{as}?x", "", "{upper}"} {
		t.Run(issuer, func(t *testing.T) {
			t.Parallel()
			f := setup(t, nil, nil)
			told := strings.NewReplacer("{as}", f.as.URL(), "{upper}", strings.Replace(f.as.URL(), "http", "HTTP", 1)).Replace(issuer)
			f.as.Set(func(c *authtest.Config) { c.Metadata = authtest.Edit{"issuer": told} })
			wantError(t, f.call(), f.as.URL())
			f.wantCounts(0, 0, 0)
			if issuer != "" && !slices.Equal(f.asked(), []string{"GET " + oauthDoc}) {
				t.Errorf("asked %q, want nothing after the first document", f.asked())
			}
		})
	}
}

// D7: neither may the document at an MCP server's own origin be that of another (2025-03-26).
func TestD7_OtherIssuerAtTheOrigin(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) {
		c.AtResource, c.Metadata = true, authtest.Edit{"issuer": "http://evil.example"}
	}, nil)
	wantError(t, f.call(), "http://evil.example", f.origin)
	f.wantCounts(0, 0, 0)
}

// D8: no word about PKCE in the metadata means S256 all the same, said in the log, unless that is
// not wanted.
func TestD8_PKCENotMentioned(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]any{"absent": authtest.Absent, "null": nil, "empty": []string{}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, func(c *authtest.Config) { c.Metadata = authtest.Edit{"code_challenge_methods_supported": value} }, nil)
			f.mustCall()
			for _, r := range f.as.Requests() {
				if r.URL.Path == "/authorize" && (r.Form.Get("code_challenge_method") != "S256" || len(r.Form.Get("code_challenge")) != 43) {
					t.Errorf("%s: %v", r, r.Form)
				}
			}
			if !strings.Contains(f.log.String(), "level=WARN") || !strings.Contains(f.log.String(), "PKCE") {
				t.Errorf("nothing in the log about PKCE:\n%s", f.log)
			}
		})
	}
	t.Run("required", func(t *testing.T) {
		t.Parallel()
		f := setup(t, func(c *authtest.Config) {
			c.Metadata = authtest.Edit{"code_challenge_methods_supported": authtest.Absent}
		}, func(c *auth.Config) { c.RequirePKCEMetadata = true })
		wantError(t, f.call(), "PKCE", f.as.URL())
		f.wantCounts(0, 0, 0)
	})
}

// D8, spec 4.27: a list without S256 is a no.
func TestD8_PKCEWithoutS256(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) {
		c.Metadata = authtest.Edit{"code_challenge_methods_supported": []string{"plain"}}
	}, nil)
	wantError(t, f.call(), "PKCE", "S256", f.as.URL())
	f.wantCounts(0, 0, 0)
}

// D9: an authorization endpoint that could be anything but a web page never reaches the opener.
func TestD9_AuthorizationEndpoint(t *testing.T) {
	t.Parallel()
	for _, endpoint := range []any{
		"file:///etc/passwd", "javascript:1", "smb://evil.example/x", "a:$(touch pwned)?", "http://evil.example/", "data:text/html,x", "/authorize", "", nil,
	} {
		t.Run(fmt.Sprint(endpoint), func(t *testing.T) {
			t.Parallel()
			f := setup(t, func(c *authtest.Config) { c.Metadata = authtest.Edit{"authorization_endpoint": endpoint} }, nil)
			wantError(t, f.call(), "authorization endpoint")
			f.wantCounts(0, 0, 0)
			if told := f.told(auth.SignInStarted); len(told) != 0 {
				t.Errorf("the user is told to open %v", told)
			}
		})
	}
}

// D9: nothing is sent to a token or registration endpoint that is not https or on loopback.
func TestD9_OtherEndpoints(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"token_endpoint", "registration_endpoint"} {
		for _, endpoint := range []string{"http://evil.example/x", "file:///etc/passwd", "ftp://evil.example/x"} {
			t.Run(name+" "+endpoint, func(t *testing.T) {
				t.Parallel()
				f := setup(t, func(c *authtest.Config) { c.Metadata = authtest.Edit{name: endpoint} }, nil)
				net := f.watchNet()
				wantError(t, f.call(), strings.ReplaceAll(name, "_", " "))
				if f.as.Exchanges() != 0 || net.asked("evil.example") {
					t.Errorf("it was asked\n%s", f.story())
				}
				if f.tabs() != 0 {
					t.Errorf("the user was asked to sign in, for nothing")
				}
			})
		}
	}
}

// D9: neither is anything asked of a bad place for metadata.
func TestD9_MetadataURLs(t *testing.T) {
	t.Parallel()
	for name, server := range map[string]func(*authtest.Config){
		"challenge": func(c *authtest.Config) { c.Challenge = `Bearer resource_metadata="http://evil.example/prm"` },
		"issuer": func(c *authtest.Config) {
			c.ResourceMetadata = authtest.Edit{"authorization_servers": []string{"http://evil.example"}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, server, nil)
			net := f.watchNet()
			wantError(t, f.call(), "evil.example", "https")
			f.wantCounts(0, 0, 0)
			if net.asked("evil.example") {
				t.Error("it was asked")
			}
		})
	}
}

// D9, spec 4.92: a server out there can't have this machine and its network asked.
func TestD9_PrivateAddresses(t *testing.T) {
	t.Parallel()
	for name, server := range map[string]func(*authtest.Config, *fixture){
		"challenge": func(c *authtest.Config, _ *fixture) {
			c.Challenge = `Bearer resource_metadata="http://127.0.0.1:1/prm"`
		},
		"issuer": func(c *authtest.Config, f *fixture) {
			c.ResourceMetadata = authtest.Edit{"authorization_servers": []string{f.as.URL()}}
		},
		"issuer in the network": func(c *authtest.Config, f *fixture) {
			c.ResourceMetadata = authtest.Edit{"authorization_servers": []string{"https://192.168.0.1"}}
		},
		"authorization endpoint": func(c *authtest.Config, f *fixture) {
			c.Metadata = authtest.Edit{"authorization_endpoint": f.as.URL() + "/authorize"}
		},
		"registration endpoint": func(c *authtest.Config, f *fixture) {
			c.Metadata = authtest.Edit{"registration_endpoint": f.as.URL() + "/register"}
		},
		"token endpoint": func(c *authtest.Config, f *fixture) {
			c.Metadata = authtest.Edit{"token_endpoint": f.as.URL() + "/token"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, nil, nil)
			net := f.public()
			f.as.Set(func(c *authtest.Config) { server(c, f) })
			wantError(t, f.call(), "private address")
			if net.asked("127.0.0.1") || net.asked("192.168.0.1") {
				t.Errorf("it was asked: %q", net.hosts())
			}
		})
	}
	t.Run("none of them", func(t *testing.T) {
		t.Parallel()
		f := setup(t, nil, nil)
		f.public()
		f.mustCall()
		f.wantCounts(1, 1, 1)
	})
}

// Spec 4.92: a redirect to another origin is not followed.
func TestD9_RedirectsOfMetadata(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer other.Close()
	for _, path := range []string{suffixedPRM, oauthDoc, "/register"} {
		t.Run(path, func(t *testing.T) {
			f := setup(t, func(c *authtest.Config) {
				c.Faults = []authtest.Fault{{Path: path, Status: http.StatusTemporaryRedirect, Header: http.Header{"Location": {other.URL + path}}}}
			}, nil)
			if path == suffixedPRM {
				f.as.Set(func(c *authtest.Config) { c.ResourceMetadataAt = []string{suffixedPRM, rootPRM} })
				f.mustCall() // there is another place
			} else {
				wantError(t, f.call())
			}
			if n := asked.Load(); n != 0 {
				t.Errorf("%d requests were redirected", n)
			}
		})
	}
}

// Web pages and garbage at well-known places are no documents.
func TestD2_GarbageIsNoDocument(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "<html>", "Not Found", "[]", "null", "1", `"x"`, `{"resource":`, `{"resource":1}`, "{}", `{"error":"not_found"}`, "\xff\xfe{}"} {
		t.Run(body, func(t *testing.T) {
			t.Parallel()
			f := setup(t, func(c *authtest.Config) {
				c.NoChallenge, c.ResourceMetadataAt = true, []string{rootPRM}
				c.Faults = []authtest.Fault{
					{Path: suffixedPRM, Status: 200, Body: body},
					{Path: oauthDoc, Status: 200, Body: body},
				}
				c.MetadataAt = []string{openIDDoc}
			}, nil)
			f.mustCall()
			f.wantCounts(1, 1, 1)
		})
	}
}

// Spec 4.94: no document is read without end.
func TestD2_BodiesAreCapped(t *testing.T) {
	t.Parallel()
	for _, path := range []string{suffixedPRM, oauthDoc, "/register"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			var sent atomic.Int64
			endless := func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				if path == "/register" {
					w.WriteHeader(http.StatusCreated)
				}
				_, _ = io.WriteString(w, `{"client_id":"x","x":"`)
				for block := []byte(strings.Repeat("x", 64<<10)); r.Context().Err() == nil; {
					n, err := w.Write(block)
					if sent.Add(int64(n)); err != nil || sent.Load() > 100<<20 {
						return
					}
				}
			}
			f := setup(t, func(c *authtest.Config) {
				c.ResourceMetadataAt, c.NoChallenge = []string{rootPRM}, true
				c.MetadataAt = []string{openIDDoc}
				c.Handle = func(w http.ResponseWriter, r *authtest.Request) bool {
					if r.URL.Path != path {
						return false
					}
					endless(w, r.Request)
					return true
				}
			}, nil)
			front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == path {
					endless(w, r)
					return
				}
				f.serve(w, r)
			}))
			t.Cleanup(front.Close)
			f.url, f.origin = front.URL+"/mcp", front.URL
			f.again(func(c *auth.Config) { c.ServerURL = f.url })
			switch err := f.call(); {
			case path == "/register":
				wantError(t, err, "registration")
			case err != nil:
				t.Errorf("%v\n%s", err, f.story())
			}
			if n := sent.Load(); n == 0 || n > 32<<20 { // what systems buffer on the way counts, too
				t.Errorf("%d bytes were sent", n)
			}
		})
	}
}

// What is configured wins over what the server says; in particular, there may be no resource at all.
func TestD6_ConfiguredResource(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) { c.ResourceOptional = true }, func(c *auth.Config) { c.OmitResource = true })
	f.mustCall()
	for _, r := range f.as.Requests() {
		if r.Form.Has("resource") {
			t.Errorf("%s with a resource", r)
		}
	}
	const own = "https://own.example/"
	f = setup(t, nil, func(c *auth.Config) { c.Resource = own })
	_ = f.call() // a token for another resource is refused
	if got := f.resourcesSent(); !slices.Equal(got, []string{own}) {
		t.Errorf("resources sent: %q, want %q", got, own)
	}
}

// Parameters that the endpoint's own URL has are kept (RFC 6749 3.1).
func TestD9_QueryOfTheAuthorizationEndpoint(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, func(c *auth.Config) { c.AuthorizeParams = url.Values{"prompt": {"a b"}} })
	f.as.Set(func(c *authtest.Config) {
		c.Metadata = authtest.Edit{"authorization_endpoint": f.as.URL() + "/authorize?a=b&c=%20&p=%25^"}
	})
	f.mustCall()
	for _, page := range f.browser.Opened() {
		if !strings.Contains(page, "/authorize?a=b&c=%20&p=%25^&") || !strings.Contains(page, "prompt=a+b") {
			t.Errorf("opened %s", page)
		}
	}
}
