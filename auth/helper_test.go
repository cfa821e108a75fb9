package auth_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mcp-bridge/auth"
	"mcp-bridge/auth/authtest"
)

// message is what a call sends.
const message = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}`

// A fixture is an MCP server that wants authorization, the authorization server, a user with a
// browser, and a Transport.
type fixture struct {
	t         *testing.T
	as        *authtest.Server
	url       string // of the MCP endpoint
	origin    string // of the MCP server
	dir       string // where logins are kept
	browser   *authtest.Browser
	cfg       auth.Config // of the Transport
	transport *auth.Transport
	log       *buffer                         // everything that the Transport logs, at every level
	guard     atomic.Pointer[authtest.Server] // whose tokens the MCP server takes; as at first

	mu       sync.Mutex
	requests []*http.Request // to the MCP server and its metadata, in order
	events   []auth.Event
}

// setup starts the servers and makes a Transport. Either function may be nil; the auth.Config that
// the second one sees is complete.
func setup(t *testing.T, server func(*authtest.Config), client func(*auth.Config)) *fixture {
	t.Helper()
	var cfg authtest.Config
	if server != nil {
		server(&cfg)
	}
	f := &fixture{t: t, as: authtest.NewServer(cfg), dir: t.TempDir(), browser: &authtest.Browser{}, log: &buffer{}}
	t.Cleanup(f.as.Close)
	f.guard.Store(f.as)
	mcp := httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(mcp.Close)
	f.origin = mcp.URL
	f.url = mcp.URL + "/mcp"
	if cfg.Endpoint != "" {
		f.url = mcp.URL + cfg.Endpoint
	}
	base := &http.Transport{}
	t.Cleanup(base.CloseIdleConnections)
	f.cfg = auth.Config{
		ServerURL: f.url,
		Base:      base,
		Open:      f.browser.Open,
		Tell:      f.tell,
		Log:       slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug})),

		SignInTimeout: 20 * time.Second, // one that gets stuck is a failure, not the end of all tests
	}
	f.again(client)
	return f
}

// again closes the Transport, if there is one, and makes another on the same folder, as a new start
// of the program would. The change to its configuration may be nil, and stays.
func (f *fixture) again(change func(*auth.Config)) {
	f.t.Helper()
	if f.transport != nil {
		f.transport.Close()
	}
	f.cfg.Storage = nil
	if change != nil {
		change(&f.cfg)
	}
	f.transport = f.another(f.cfg)
}

// another makes one more Transport, as another process would. It is closed at the end.
func (f *fixture) another(cfg auth.Config) *auth.Transport {
	f.t.Helper()
	if cfg.Storage == nil {
		cfg.Storage = &auth.FileStorage{Dir: f.dir, Identity: cfg.Identity(), Log: cfg.Log}
	}
	transport, err := auth.New(cfg)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { transport.Close() })
	return transport
}

// serve is the MCP server. It echoes the body of what the guard lets through.
func (f *fixture) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	seen := r.Clone(r.Context())
	seen.Body = io.NopCloser(bytes.NewReader(body))
	f.mu.Lock()
	f.requests = append(f.requests, seen)
	f.mu.Unlock()
	r.Body = io.NopCloser(bytes.NewReader(body))
	if !f.guard.Load().Guard(w, r) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	}
}

func (f *fixture) tell(e auth.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, e)
}

// told returns the events of a kind.
func (f *fixture) told(kind auth.EventKind) []auth.Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.events), func(e auth.Event) bool { return e.Kind != kind })
}

// call posts a message through the Transport. The error is RoundTrip's, or says that the answer was
// not the MCP server's own.
func (f *fixture) call() error { return f.callThrough(f.transport) }

func (f *fixture) callThrough(transport http.RoundTripper) error {
	resp, err := f.do(transport, http.MethodPost, f.url)
	switch {
	case err != nil:
		return err
	case resp.StatusCode != http.StatusOK || resp.Body != message:
		return fmt.Errorf("HTTP %d: %s", resp.StatusCode, resp.Body)
	}
	return nil
}

// mustCall is call, where it has to work.
func (f *fixture) mustCall() {
	f.t.Helper()
	if err := f.call(); err != nil {
		f.t.Fatalf("call: %v\n%s", err, f.story())
	}
}

// A response is one that has been read.
type response struct {
	StatusCode int
	Header     http.Header
	Body       string
}

// do sends a request through a RoundTripper.
func (f *fixture) do(through http.RoundTripper, method, url string) (*response, error) {
	var body io.Reader
	if method == http.MethodPost {
		body = strings.NewReader(message)
	}
	req, err := http.NewRequestWithContext(f.t.Context(), method, url, body)
	if err != nil {
		return nil, err
	}
	resp, err := (&http.Client{Transport: through}).Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return &response{resp.StatusCode, resp.Header, string(text)}, err
}

// record returns what is stored, or nil.
func (f *fixture) record() *auth.Record {
	f.t.Helper()
	rec, err := (&auth.FileStorage{Dir: f.dir, Identity: f.cfg.Identity()}).Load()
	if err != nil {
		f.t.Fatal(err)
	}
	return rec
}

// save stores a record.
func (f *fixture) save(rec *auth.Record) {
	f.t.Helper()
	if err := (&auth.FileStorage{Dir: f.dir, Identity: f.cfg.Identity()}).Save(rec); err != nil {
		f.t.Fatal(err)
	}
}

// tabs returns how many pages were opened in the browser.
func (f *fixture) tabs() int { return len(f.browser.Opened()) }

// asked returns the names of all requests to the authorization server, in order.
func (f *fixture) asked() []string {
	var names []string
	for _, r := range f.as.Requests() {
		name := r.String()
		if grant := r.Form.Get("grant_type"); grant != "" {
			name += " " + grant
		}
		names = append(names, name)
	}
	return names
}

// reached returns the names of all requests to the MCP server's origin, in order.
func (f *fixture) reached() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var names []string
	for _, r := range f.requests {
		names = append(names, r.Method+" "+r.URL.Path)
	}
	return names
}

// story is what a failed test shows.
func (f *fixture) story() string {
	return fmt.Sprintf("MCP server: %q\nauthorization server: %q\ntabs: %d\nlog:\n%s", f.reached(), f.asked(), f.tabs(), f.log)
}

// wantCounts checks how many registrations, tabs and code exchanges there were.
func (f *fixture) wantCounts(registrations, tabs, exchanges int) {
	f.t.Helper()
	if r, o, e := f.as.Registrations(), f.tabs(), f.as.Exchanges(); r != registrations || o != tabs || e != exchanges {
		f.t.Errorf("%d registrations, %d tabs, %d exchanges; want %d, %d, %d\n%s", r, o, e, registrations, tabs, exchanges, f.story())
	}
}

// wantError checks an error's text, and that it is none of the user's secrets that it tells.
func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error; want one with %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q lacks %q", err, part)
		}
	}
	if strings.Contains(err.Error(), "secret-") {
		t.Errorf("the error tells a secret: %v", err)
	}
}

// isUnsent tells whether an error says that the request was not acted on.
func isUnsent(err error) bool {
	unsent, ok := errors.AsType[interface {
		error
		Unsent() bool
	}](err)
	return ok && unsent.Unsent()
}

// A buffer is written to by many.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
