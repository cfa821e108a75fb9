package auth_test

import (
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mcp-bridge/auth"
)

// More of the fixture, for what is about tokens.

// signIn makes a first call, with all that belongs to it, and returns what is stored then.
func (f *fixture) signIn() *auth.Record {
	f.t.Helper()
	f.mustCall()
	rec := f.record()
	if rec == nil || rec.Token == nil || rec.Client == nil {
		f.t.Fatalf("after the sign-in the record is %+v\n%s", rec, f.story())
	}
	return rec
}

// expire puts the end of the stored token into the past and starts anew.
func (f *fixture) expire() {
	f.t.Helper()
	f.expireIn(-time.Minute)
}

// expireIn says when the stored token ends, and starts anew.
func (f *fixture) expireIn(d time.Duration) {
	f.t.Helper()
	rec := f.record()
	if rec == nil || rec.Token == nil {
		f.t.Fatalf("there is no token to expire: %+v\n%s", rec, f.story())
	}
	rec.Token.Expiry = time.Now().Add(d).UTC()
	rec.Token.Issued = rec.Token.Expiry.Add(-time.Hour)
	f.save(rec)
	f.again(nil)
}

// storage is what the Transport uses.
func (f *fixture) storage() *auth.FileStorage {
	return &auth.FileStorage{Dir: f.dir, Identity: f.cfg.Identity()}
}

// files returns the files in the folder that end in one of these ways, all if none is given.
func (f *fixture) files(ends ...string) []string {
	f.t.Helper()
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		f.t.Fatal(err)
	}
	var paths []string
	for _, entry := range entries {
		if len(ends) == 0 || slices.ContainsFunc(ends, func(end string) bool { return strings.HasSuffix(entry.Name(), end) }) {
			paths = append(paths, filepath.Join(f.dir, entry.Name()))
		}
	}
	return paths
}

// forms returns the parameters of the requests to the authorization server with a name as in
// authtest.Server.Count, in order.
func (f *fixture) forms(name string) []url.Values {
	var all []url.Values
	for _, r := range f.as.Requests() {
		if r.String() == name || r.String()+" "+r.Form.Get("grant_type") == name {
			all = append(all, r.Form)
		}
	}
	return all
}

// last returns the parameters of the last such request.
func (f *fixture) last(name string) url.Values {
	f.t.Helper()
	all := f.forms(name)
	if len(all) == 0 {
		f.t.Fatalf("there was no %s\n%s", name, f.story())
	}
	return all[len(all)-1]
}

// wantTokenCalls checks how many refreshes and exchanges there were, and how many tabs.
func (f *fixture) wantTokenCalls(refreshes, exchanges, tabs int) {
	f.t.Helper()
	if r, e, o := f.as.Refreshes(), f.as.Exchanges(), f.tabs(); r != refreshes || e != exchanges || o != tabs {
		f.t.Errorf("%d refreshes, %d exchanges, %d tabs; want %d, %d, %d\n%s", r, e, o, refreshes, exchanges, tabs, f.story())
	}
}

// wantRecord checks that what is stored has not changed.
func (f *fixture) wantRecord(want *auth.Record) {
	f.t.Helper()
	got := f.record()
	if got == nil || got.Token == nil || got.Client == nil || *got.Token != *want.Token || *got.Client != *want.Client {
		f.t.Errorf("the record is %+v, want %+v", got, want)
	}
}

// posts returns how many messages reached the MCP server, refused ones too.
func (f *fixture) posts() int {
	n := 0
	for _, name := range f.reached() {
		if strings.HasPrefix(name, http.MethodPost+" ") {
			n++
		}
	}
	return n
}

// within waits for something that has to happen soon.
func within(t *testing.T, what string, happened func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !happened(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// readFile returns what is in a file.
func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// writeFile replaces what is in a file.
func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// atomicBase is a RoundTripper that can be told to send requests for a path to where nobody listens.
type atomicBase struct {
	base http.RoundTripper
	path atomic.Value
}

func (b *atomicBase) refuse(path string) { b.path.Store(path) }

func (b *atomicBase) RoundTrip(req *http.Request) (*http.Response, error) {
	if path, _ := b.path.Load().(string); path != "" && req.URL.Path == path {
		req = req.Clone(req.Context())
		req.URL.Host = "127.0.0.1:1"
	}
	return b.base.RoundTrip(req)
}

// brokenStorage can be told to save nothing.
type brokenStorage struct {
	auth.Storage
	fail atomic.Bool
}

func (s *brokenStorage) Save(r *auth.Record) error {
	if s.fail.Load() {
		return errors.New("disk full")
	}
	return s.Storage.Save(r)
}
