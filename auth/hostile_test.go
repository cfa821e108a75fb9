package auth_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"runtime/metrics"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode"

	"mcp-bridge/auth"
	"mcp-bridge/auth/authtest"
)

// Malicious servers, a case each: what they may answer where authorization is looked for. What else they may
// do is in the tests of what it meets: URLs of other kinds in TestD9_AuthorizationEndpoint,
// TestD9_OtherEndpoints and TestD9_MetadataURLs, private addresses in TestD9_PrivateAddresses,
// TestD9_PrivateAddressesByName and TestD9_Rebinding, redirects in TestD9_RedirectsOfMetadata,
// TestF9_RedirectedTokenEndpoint and TestR8_RegistrationRedirected, other issuers in TestD6_ResourceMismatch,
// TestD7_OtherIssuer and TestC7_Issuer, forged callbacks in TestC3_StrayCallbacks, text that is a script or
// controls a terminal in TestC2_ServerTextIsEscaped and TestD6_QuotedValuesAreShort, secrets that are repeated
// in TestT9_ServersThatQuoteSecrets. What an MCP server may do is in package bridge.
//
// In each case the request fails with one line that says why, or goes another way; no page is opened for
// what can't be trusted, nothing is stored, and the memory in use stays within bounds that are far from what
// was sent. The tests are not parallel for that.

const hostileMemory = 24 << 20 // by how much memory in use may grow on the way, garbage included

func TestHostile(t *testing.T) {
	bomb := gzipped(t, `{"issuer":"`, 64<<20)
	long := strings.Repeat("x", 64<<10)
	json := func(body string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { _, _ = io.WriteString(w, body) }
	}
	raw := func(begin, more string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer conn.Close()
			for text := begin; err == nil; text = more {
				_, err = io.WriteString(conn, text)
			}
		}
	}
	for name, answer := range map[string]func(http.ResponseWriter){
		"heads without end":    raw("HTTP/1.1 200 OK\r\n", "X: "+long[:1000]+"\r\n"),
		"a header without end": raw("HTTP/1.1 200 OK\r\nX: ", long),
		"chunks without end":   raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n", "1\r\n[\r\n"),
		"a gzip bomb": func(w http.ResponseWriter) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb)
		},
		"100,000 levels":      json(strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)),
		"100,000 members":     json("{" + strings.Repeat(`"a":1,`, 100_000) + `"b":1}`),
		"a string of a MiB":   json(`{"issuer":"` + strings.Repeat("x", 1<<20) + `"}`),
		"terminal sequences":  json(`{"issuer":"https://evil.example/\u001b[2J\u009b31m\u202e","error":"\u001b[2J","error_description":"\u009b2J\r\nfake: line"}`),
		"half a document":     json(`{"issuer":"https://evil.exam`),
		"another's documents": json(`{"issuer":"https://evil.example","resource":"https://evil.example/mcp","authorization_servers":["https://evil.example"],"authorization_endpoint":"https://evil.example/a","token_endpoint":"https://evil.example/t"}`),
	} {
		for _, path := range []string{suffixedPRM, oauthDoc, "/register", "/token"} {
			t.Run(name+" at "+path, func(t *testing.T) {
				var asked atomic.Int32
				var f *fixture
				begin := func(w http.ResponseWriter, r *http.Request) bool {
					if r.URL.Path != path {
						return false
					}
					w.Header().Set("Content-Type", "application/json")
					asked.Add(1)
					answer(w)
					return true
				}
				f = setup(t, func(c *authtest.Config) {
					c.Handle = func(w http.ResponseWriter, r *authtest.Request) bool { return begin(w, r.Request) }
				}, nil)
				front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if !begin(w, r) {
						f.serve(w, r)
					}
				}))
				t.Cleanup(front.Close)
				t.Cleanup(front.CloseClientConnections)
				f.url, f.origin = front.URL+"/mcp", front.URL
				f.again(func(c *auth.Config) {
					c.ServerURL = f.url
					c.Base.(*http.Transport).MaxResponseHeaderBytes = 1 << 20 // as cmd/mcp-bridge has it
				})
				var err error
				boundedMemory(t, func() { err = f.call() })
				if asked.Load() == 0 {
					t.Error("it was not asked")
				}
				if err == nil { // there may be another place for a document
					if path != suffixedPRM && path != oauthDoc {
						t.Error("it was taken for an answer")
					}
					return
				}
				if text := err.Error(); len(text) > 1000 || strings.ContainsFunc(text, unicode.IsControl) || strings.Contains(text, "\u202e") {
					t.Errorf("the error is %q", text)
				}
				if most := map[string]int{"/token": 1}[path]; f.tabs() > most {
					t.Errorf("%d pages were opened", f.tabs())
				}
				if rec := f.record(); rec != nil && rec.Token != nil {
					t.Errorf("this is stored: %+v", rec.Token)
				}
			})
		}
	}
}

// gzipped returns a beginning and so many zeros, compressed.
func gzipped(t *testing.T, begin string, zeros int) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, err := io.WriteString(z, begin)
	for block := []byte(strings.Repeat("0", 1<<20)); err == nil && zeros > 0; zeros -= len(block) {
		_, err = z.Write(block)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// boundedMemory fails the test if more memory is in use while f runs than should be.
func boundedMemory(t *testing.T, f func()) {
	t.Helper()
	runtime.GC()
	runtime.GC()
	inUse := func() uint64 {
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	before := inUse()
	var most atomic.Uint64
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() { // ends with f
		defer close(stopped)
		for tick := time.NewTicker(time.Millisecond); ; {
			most.Store(max(most.Load(), inUse()))
			select {
			case <-tick.C:
			case <-stop:
				tick.Stop()
				return
			}
		}
	}()
	f()
	close(stop)
	<-stopped
	if peak := most.Load(); peak > before+hostileMemory {
		t.Errorf("%d KiB were in use, before it was %d KiB", peak>>10, before>>10)
	}
}

// A flood of forged callbacks, as a page in the user's browser could send it, ends no sign-in and gets in the
// way of none.
func TestHostileCallbacks(t *testing.T) {
	f := setup(t, func(c *authtest.Config) { c.AutoApprove = true }, nil)
	page, result := f.signingIn()
	u, err := url.Parse(page)
	if err != nil {
		t.Fatal(err)
	}
	back, state := u.Query().Get("redirect_uri"), u.Query().Get("state")
	forged := []string{
		"?code=secret-forged", "?code=secret-forged&state=", "?code=secret-forged&state=" + state[1:], "?code=secret-forged&state=" + state + "x", "?code=secret-forged&state=x&state=" + state,
		"?error=access_denied&state=x", "?state=" + state, "?code=&state=" + state, "/../callback?code=secret-forged&state=" + state + "%00", "?" + strings.Repeat("x", 50_000), "?code=secret-forged&state=" + strings.Repeat("x", 50_000),
	}
	boundedMemory(t, func() {
		client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 20}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		defer client.CloseIdleConnections()
		var work sync.WaitGroup
		for worker := range 20 {
			work.Go(func() {
				for i := range 100 {
					resp, err := client.Get(back + forged[(worker+i)%len(forged)])
					if err != nil {
						continue // the head was too large, and the connection is cut
					}
					if text, _ := io.ReadAll(resp.Body); resp.StatusCode/100 == 2 || strings.Contains(string(text), "secret-") {
						t.Errorf("%s: %d %s", forged[(worker+i)%len(forged)], resp.StatusCode, text)
					}
					resp.Body.Close()
				}
			})
		}
		work.Wait()
	})
	select {
	case err := <-result:
		t.Fatalf("the sign-in ended: %v", err)
	default:
	}
	if _, err := authtest.Browse(t.Context(), page); err != nil {
		t.Fatal(err)
	}
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	if f.as.Exchanges() != 1 {
		t.Errorf("%d codes were exchanged", f.as.Exchanges())
	}
	if _, err := http.Get(back + "?code=x&state=" + fmt.Sprint(state)); err == nil {
		t.Error("somebody listens still")
	}
}
