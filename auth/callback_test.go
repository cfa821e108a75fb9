package auth_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"mcp-bridge/auth"
	"mcp-bridge/auth/authtest"
)

// patience is how long a test waits for what should come at once.
const patience = 10 * time.Second

// soon returns what comes on a channel.
func soon[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
		panic("not reached")
	}
}

// A signIn is one that waits for the user.
type signIn struct {
	page     string     // that the user is sent to
	callback *url.URL   // where the answer is waited for
	state    string     // of the answer
	result   chan error // of the call that led to it
}

// begin makes a call, and returns once the user is sent to a page. Nobody opens it.
func (f *fixture) begin() *signIn {
	f.t.Helper()
	opened := make(chan string, 10)
	f.again(func(c *auth.Config) {
		c.Open = func(page string) error { opened <- page; return nil }
	})
	s := &signIn{result: make(chan error, 1)}
	go func() { s.result <- f.call() }() // ends with the Transport
	select {
	case s.page = <-opened:
	case err := <-s.result:
		f.t.Fatalf("no sign-in began: %v\n%s", err, f.story())
	case <-time.After(patience):
		f.t.Fatalf("no sign-in began\n%s", f.story())
	}
	u, err := url.Parse(s.page)
	if err != nil {
		f.t.Fatal(err)
	}
	s.callback, s.state = redirectURI(f.t, s.page), u.Query().Get("state")
	return s
}

// end returns what the call that led to the sign-in ended with.
func (s *signIn) end(t *testing.T) error {
	t.Helper()
	return soon(t, s.result, "the end of the sign-in")
}

// hit sends a request to the callback, with these parameters. STATE stands for the right state.
func (s *signIn) hit(t *testing.T, method, query string) *response {
	t.Helper()
	u := *s.callback
	u.RawQuery = strings.ReplaceAll(query, "STATE", s.state)
	return hit(t, method, u.String())
}

// hit sends a request without following redirects. The status is 0 if there is no answer.
func hit(t *testing.T, method, url string) *response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	fresh := &http.Transport{DisableKeepAlives: true}
	resp, err := fresh.RoundTrip(req)
	if err != nil {
		return &response{Body: err.Error()}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	checkPage(t, resp.Header, string(body))
	return &response{resp.StatusCode, resp.Header, string(body)}
}

// checkPage holds every page to what it may do: nothing, and nothing may be done with it.
func checkPage(t *testing.T, header http.Header, body string) {
	t.Helper()
	if strings.Contains(body, "secret-") {
		t.Errorf("a page tells a secret: %s", body)
	}
	if !strings.HasPrefix(header.Get("Content-Type"), "text/html") {
		return
	}
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff",
	} {
		if got := header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	csp := header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"} {
		if !strings.Contains(csp, want) {
			t.Errorf("Content-Security-Policy %q lacks %q", csp, want)
		}
	}
	for _, bad := range []string{"<script", "<img", "<link", "<iframe", "src=", "@import", "url("} {
		if strings.Contains(strings.ToLower(body), bad) {
			t.Errorf("a page with %s: %s", bad, body)
		}
	}
}

// refusesConnections tells whether nobody listens on an address.
func refusesConnections(address string) bool {
	conn, err := (&net.Dialer{Timeout: 2 * time.Second}).Dial("tcp", address)
	if err != nil {
		return true
	}
	conn.Close()
	return false
}

// C1: a port that somebody else has is no reason to give up, if the user has not fixed it.
func TestC1_StoredPortIsTaken(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	port := strconv.Itoa(freePort(t))
	f.save(&auth.Record{Issuer: f.as.URL(), Client: &auth.Client{ID: "old", AuthMethod: "none", Registered: true, RedirectURI: "http://localhost:" + port + "/callback"}})
	occupy(t, "127.0.0.1:"+port)
	occupy(t, "[::1]:"+port)
	f.mustCall()
	f.wantCounts(1, 1, 1)
	if back := redirectURI(t, f.browser.Opened()[0]); back.Port() == port || back.Hostname() != "localhost" {
		t.Errorf("the redirect URI is %s", back)
	}
}

// C1: a port that is fixed is used, and if it is taken, on either loopback, the error says which it is.
func TestC1_FixedPort(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	f := setup(t, nil, func(c *auth.Config) { c.CallbackPort = port })
	f.mustCall()
	if back := redirectURI(t, f.browser.Opened()[0]); back.Port() != strconv.Itoa(port) {
		t.Errorf("the redirect URI is %s", back)
	}
	for _, loopback := range []string{"127.0.0.1", "::1"} {
		t.Run(loopback, func(t *testing.T) {
			f := setup(t, nil, nil)
			busy, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
			if err != nil {
				t.Fatal(err)
			}
			defer busy.Close()
			port := busy.Addr().(*net.TCPAddr).Port
			f.again(func(c *auth.Config) { c.CallbackPort = port })
			err = f.call()
			wantError(t, err, strconv.Itoa(port), "in use")
			if taken, ok := errors.AsType[*auth.PortInUseError](err); !ok || taken.Port != port {
				t.Errorf("%v is no PortInUseError", err)
			}
			if !isUnsent(err) {
				t.Errorf("%v does not say that the request was not acted on", err)
			}
			f.wantCounts(0, 0, 0)
			wantError(t, f.call(), strconv.Itoa(port)) // still there to answer
			busy.Close()
			f.again(nil)
			f.mustCall()
		})
	}
}

// C1: with a good token nobody listens, so a taken port does no harm.
func TestC1_NoListenerWithAGoodToken(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	f := setup(t, nil, func(c *auth.Config) { c.CallbackPort = port })
	f.mustCall()
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	if !refusesConnections(address) {
		t.Error("it still listens after the sign-in")
	}
	occupy(t, address)
	f.again(nil)
	f.mustCall()
	f.as.RevokeAccessTokens()
	f.mustCall() // a refresh needs no port either
	f.wantCounts(1, 1, 1)
}

// C2: a refusal in the browser ends the wait at once, with the server's words, on a page too.
func TestC2_Refused(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	f.browser.Deny = true
	err := f.call()
	wantError(t, err, "access_denied", "The user said no")
	if refused, ok := errors.AsType[*auth.AuthorizationError](err); !ok || refused.Code != "access_denied" || !isUnsent(err) {
		t.Errorf("%v is no AuthorizationError", err)
	}
	f.wantCounts(1, 1, 0)
	pages := f.browser.Pages()
	if len(pages) != 1 || pages[0].Status != http.StatusBadRequest || !strings.Contains(pages[0].Body, "failed") ||
		!strings.Contains(pages[0].Body, "The user said no") || strings.Contains(pages[0].Body, "Signed in") {
		t.Errorf("pages: %+v", pages)
	}

	// No other tab for a minute, but a new start may try again, with the same registration.
	wantError(t, f.call(), "access_denied")
	f.wantCounts(1, 1, 0)
	f.browser.Deny = false
	f.again(nil)
	f.mustCall()
	f.wantCounts(1, 2, 1)
}

// C2: what the server says is text, whatever is in it, and not more than a little.
func TestC2_ServerTextIsEscaped(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	s := f.begin()
	text := "<script>alert(1)</script>\n\x1b[2J\"'&" + strings.Repeat("x", 5000)
	page := s.hit(t, "GET", "state=STATE&iss="+url.QueryEscape(f.as.URL())+"&error="+url.QueryEscape("<b>code")+"&error_description="+url.QueryEscape(text))
	if page.StatusCode != http.StatusBadRequest || !strings.Contains(page.Body, "&lt;script&gt;") || !strings.Contains(page.Body, "&lt;b&gt;code") {
		t.Errorf("page %d: %s", page.StatusCode, page.Body)
	}
	if len(page.Body) > 4000 {
		t.Errorf("a page of %d bytes", len(page.Body))
	}
	err := s.end(t)
	wantError(t, err, "<script>")
	if strings.ContainsAny(err.Error(), "\n\x1b") || len(err.Error()) > 700 {
		t.Errorf("error: %q", err)
	}
}

// C3: nothing but an answer with the state of this sign-in counts, and the first one does.
func TestC3_StrayCallbacks(t *testing.T) {
	t.Parallel()
	exchanging, release := make(chan struct{}), make(chan struct{})
	f := setup(t, func(c *authtest.Config) {
		c.AutoApprove = true
		c.Handle = func(_ http.ResponseWriter, r *authtest.Request) bool {
			if r.URL.Path == "/token" {
				close(exchanging)
				select {
				case <-release:
				case <-r.Context().Done():
				}
			}
			return false
		}
	}, nil)
	s := f.begin()
	for _, stray := range []struct {
		method, query string
		want          int
	}{
		{"GET", "", 400},
		{"GET", "code=x", 400},
		{"GET", "code=x&state=", 400},
		{"GET", "code=x&state=bad", 400},
		{"GET", "code=x&state=STATEx", 400},
		{"GET", "error=x", 400},
		{"GET", "error=access_denied&state=bad", 400},
		{"GET", "state=STATE", 400}, // neither a code nor an error
		{"HEAD", "code=x&state=STATE", 405},
		{"POST", "code=x&state=STATE", 405},
		{"PUT", "code=x&state=STATE", 405},
		{"OPTIONS", "code=x&state=STATE", 405},
	} {
		if got := s.hit(t, stray.method, stray.query); got.StatusCode != stray.want || strings.Contains(got.Body, "Signed in") {
			t.Errorf("%s ?%s: %d, want %d; %s", stray.method, stray.query, got.StatusCode, stray.want, got.Body)
		}
	}
	for _, path := range []string{"/", "/favicon.ico", "/callback/", "/callback/x", "/call"} {
		u := *s.callback
		u.Path, u.RawQuery = path, "code=x&state="+s.state
		if got := hit(t, "GET", u.String()); got.StatusCode != http.StatusNotFound {
			t.Errorf("GET %s: %d, want 404", path, got.StatusCode)
		}
	}
	if n := f.as.Exchanges(); n != 0 {
		t.Fatalf("%d exchanges after strays only", n)
	}

	// The good one, and others after it, while its code is exchanged.
	redirect := hit(t, "GET", s.page).Header.Get("Location")
	first := make(chan *response, 1)
	go func() { first <- hit(t, "GET", redirect) }() // ends with the sign-in
	soon(t, exchanging, "the exchange")
	for _, again := range []string{redirect, s.callback.String() + "?error=access_denied&state=" + s.state} {
		if got := hit(t, "GET", again); got.StatusCode != http.StatusOK || !strings.Contains(got.Body, "Already received") {
			t.Errorf("a second answer: %d, %s", got.StatusCode, got.Body)
		}
	}
	select {
	case page := <-first:
		t.Errorf("there is a page before the exchange: %s", page.Body)
	default:
	}
	close(release)
	if page := soon(t, first, "the page"); page.StatusCode != http.StatusOK || !strings.Contains(page.Body, "Signed in") {
		t.Errorf("page %d: %s", page.StatusCode, page.Body)
	}
	if err := s.end(t); err != nil {
		t.Error(err)
	}
	if n := f.as.Exchanges(); n != 1 {
		t.Errorf("%d exchanges, want 1", n)
	}
}

// The page says what came of it, and so it comes after the exchange.
func TestC3_PageIsTruthful(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]authtest.Fault{
		"refused":  {Status: 400, Body: `{"error":"invalid_grant","error_description":"The <server's> words"}`},
		"broken":   {Status: 500, Body: "The <server's> words"},
		"no token": {Status: 200, Body: `{"error":"server_error","error_description":"The <server's> words"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fault.Path = "/token"
			f := setup(t, func(c *authtest.Config) { c.AutoApprove, c.Faults = true, []authtest.Fault{fault} }, nil)
			s := f.begin()
			page := hit(t, "GET", hit(t, "GET", s.page).Header.Get("Location"))
			if page.StatusCode != http.StatusBadRequest || !strings.Contains(page.Body, "failed") || strings.Contains(page.Body, "Signed in") ||
				!strings.Contains(page.Body, "The &lt;server&#39;s&gt; words") {
				t.Errorf("page %d: %s", page.StatusCode, page.Body)
			}
			wantError(t, s.end(t), "The <server's> words")
		})
	}
	t.Run("good", func(t *testing.T) {
		t.Parallel()
		f := setup(t, func(c *authtest.Config) { c.AutoApprove = true }, nil)
		s := f.begin()
		page := hit(t, "GET", hit(t, "GET", s.page).Header.Get("Location"))
		if page.StatusCode != http.StatusOK || !strings.Contains(page.Body, "Signed in") || strings.Contains(page.Body, "failed") {
			t.Errorf("page %d: %s", page.StatusCode, page.Body)
		}
		if err := s.end(t); err != nil {
			t.Error(err)
		}
	})
}

// C5: the listener is there until the user is done, whoever asked first and has left meanwhile.
func TestC5_WaitOutlivesTheRequest(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	opened := make(chan string, 2)
	f.again(func(c *auth.Config) {
		c.Open = func(page string) error { opened <- page; return nil }
	})
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.url, strings.NewReader(message))
	if err != nil {
		t.Fatal(err)
	}
	left := make(chan error, 1)
	go func() { // ends with the request
		resp, err := f.transport.RoundTrip(req)
		if err == nil {
			resp.Body.Close()
		}
		left <- err
	}()
	page := soon(t, opened, "the page")
	cancel()
	if err := soon(t, left, "the request that left"); !errors.Is(err, context.Canceled) {
		t.Errorf("the request that left got %v", err)
	}
	if refusesConnections(redirectURI(t, page).Host) {
		t.Fatal("nobody listens any more")
	}
	next := make(chan error, 1)
	go func() { next <- f.call() }() // ends with the sign-in
	if err := f.browser.Open(page); err != nil {
		t.Fatal(err)
	}
	if err := soon(t, next, "the next request"); err != nil {
		t.Errorf("the next request: %v\n%s", err, f.story())
	}
	if pages := f.browser.Pages(); pages[0].Status != http.StatusOK {
		t.Errorf("page: %+v", pages[0])
	}
	if len(opened) != 0 || f.as.Registrations() != 1 {
		t.Errorf("%d more tabs, %d registrations", len(opened), f.as.Registrations())
	}
}

// C5: nobody waits for ever. The time limit bounds all of a sign-in, and frees the port.
func TestC5_TimeLimit(t *testing.T) {
	t.Parallel()
	t.Run("the user", func(t *testing.T) {
		t.Parallel()
		var pages []string
		f := setup(t, nil, func(c *auth.Config) {
			c.SignInTimeout = 300 * time.Millisecond
			c.Open = func(string) error { return nil }
		})
		err := f.call()
		if !errors.Is(err, auth.ErrSignInTimeout) || !isUnsent(err) {
			t.Errorf("%v is not ErrSignInTimeout", err)
		}
		for _, e := range f.told(auth.SignInStarted) {
			pages = append(pages, e.URL)
			if !refusesConnections(redirectURI(t, e.URL).Host) {
				t.Error("it still listens")
			}
		}
		if len(pages) > 1 {
			t.Errorf("the user is sent to %q", pages)
		}
	})
	for _, path := range []string{"/token", "/register"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			f := setup(t, func(c *authtest.Config) { c.Faults = []authtest.Fault{{Path: path, Delay: time.Minute}} },
				func(c *auth.Config) { c.SignInTimeout = 500 * time.Millisecond })
			began := time.Now()
			err := f.call()
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("it took %v", took)
			}
			if !errors.Is(err, auth.ErrSignInTimeout) {
				t.Errorf("%v is not ErrSignInTimeout", err)
			}
		})
	}
}

// The end of the program ends a sign-in, and frees its port.
func TestC5_CloseFreesThePort(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*auth.Transport){
		"Close":      func(transport *auth.Transport) { transport.Close() },
		"StopAsking": func(transport *auth.Transport) { transport.StopAsking() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, nil, nil)
			s := f.begin()
			end(f.transport)
			if err := s.end(t); !errors.Is(err, auth.ErrClosed) {
				t.Errorf("%v is not ErrClosed", err)
			}
			if !refusesConnections(s.callback.Host) {
				t.Error("it still listens")
			}
		})
	}
}

// C5: neither does a connection on which nothing ever comes, as browsers make them in advance, keep
// anything alive.
func TestC5_IdleConnectionIsCut(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	s := f.begin()
	idle, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", s.callback.Port()))
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	if err := f.browser.Open(s.page); err != nil {
		t.Fatal(err)
	}
	if err := s.end(t); err != nil {
		t.Error(err)
	}
	if err := idle.SetReadDeadline(time.Now().Add(3 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := idle.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !isReset(err) {
		t.Errorf("the connection is still there: %v", err)
	}
}

// isReset tells whether the other side has cut a connection, not waited for too long.
func isReset(err error) bool {
	failed, ok := errors.AsType[net.Error](err)
	return ok && !failed.Timeout()
}

// C6: the listener is reachable at exactly the host of the redirect URI, on both loopbacks for a
// name, and from nowhere else.
func TestC6_Hosts(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		host, uriHost string
		four, six     bool // listens on 127.0.0.1, on ::1
	}{
		{"", "localhost", true, true},
		{"localhost", "localhost", true, true},
		{"127.0.0.1", "127.0.0.1", true, false},
		{"::1", "[::1]", false, true},
		{"[::1]", "[::1]", false, true},
	} {
		t.Run(test.host, func(t *testing.T) {
			t.Parallel()
			f := setup(t, nil, func(c *auth.Config) { c.CallbackHost, c.CallbackPath = test.host, "/oauth/back" })
			s := f.begin()
			port := s.callback.Port()
			if want := "http://" + test.uriHost + ":" + port + "/oauth/back"; s.callback.String() != want {
				t.Errorf("redirect URI %s, want %s", s.callback, want)
			}
			for address, want := range map[string]bool{"127.0.0.1": test.four, "::1": test.six} {
				got := hit(t, "GET", "http://"+net.JoinHostPort(address, port)+"/oauth/back").StatusCode == http.StatusBadRequest
				if got != want {
					t.Errorf("reachable at %s: %v, want %v", address, got, want)
				}
			}
			outside, err := net.InterfaceAddrs()
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range outside {
				ip := a.(*net.IPNet).IP
				if !ip.IsLoopback() && !ip.IsLinkLocalUnicast() && !refusesConnections(net.JoinHostPort(ip.String(), port)) {
					t.Errorf("reachable at %s", ip)
				}
			}
			if got := s.hit(t, "GET", "state=STATE&error=x&iss="+url.QueryEscape(f.as.URL())).StatusCode; got != http.StatusBadRequest {
				t.Errorf("the end: %d", got)
			}
			wantError(t, s.end(t), "x")
		})
	}
}

// C6: a path that has to be escaped is the same in the redirect URI and on the listener.
func TestC6_EscapedPath(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, func(c *auth.Config) { c.CallbackPath = "/a%20b" })
	s := f.begin()
	if got := hit(t, "GET", s.callback.String()).StatusCode; got != http.StatusBadRequest {
		t.Errorf("GET %s: %d, want 400", s.callback, got)
	}
}

// The browser may be as fast as it likes: somebody listens before it is opened.
func TestC6_ListensBeforeTheBrowserOpens(t *testing.T) {
	t.Parallel()
	var f *fixture
	f = setup(t, nil, func(c *auth.Config) {
		open := c.Open
		c.Open = func(page string) error {
			back := redirectURI(f.t, page)
			for _, loopback := range []string{"127.0.0.1", "::1"} {
				if refusesConnections(net.JoinHostPort(loopback, back.Port())) {
					f.t.Errorf("nobody listens on %s", loopback)
				}
			}
			return open(page)
		}
	})
	f.mustCall()
	f.wantCounts(1, 1, 1)
}

// C7, spec 4.43–4.45: an answer of another authorization server goes no further, nor does what it says.
func TestC7_Issuer(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name      string
		iss       any // in the callback; AS stands for the right one
		supported any // authorization_response_iss_parameter_supported
		good      bool
	}{
		{"right", "AS", true, true},
		{"right, not advertised", "AS", authtest.Absent, true},
		{"missing, not advertised", authtest.Absent, authtest.Absent, true},
		{"missing, advertised as not there", authtest.Absent, false, true},
		{"missing, advertised as null", authtest.Absent, nil, true},
		{"missing", authtest.Absent, true, false},
		{"empty", "", true, false},
		{"wrong", "http://evil.example", true, false},
		{"wrong, not advertised", "http://evil.example", authtest.Absent, false},
		{"with a slash", "AS/", true, false}, // spec 4.44: no normalization
		{"in upper case", "UPPER", true, false},
		{"escaped twice", "ESCAPED", true, false},
	} {
		for _, refused := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, error %v", test.name, refused), func(t *testing.T) {
				t.Parallel()
				f := setup(t, nil, nil)
				f.as.Set(func(c *authtest.Config) {
					c.Metadata = authtest.Edit{"authorization_response_iss_parameter_supported": test.supported}
					iss := test.iss
					if text, ok := iss.(string); ok {
						iss = strings.NewReplacer("AS", f.as.URL(), "UPPER", strings.ToUpper(f.as.URL()), "ESCAPED", url.QueryEscape(f.as.URL())).Replace(text)
					}
					c.Callback = authtest.Edit{"iss": iss}
					if refused {
						c.Callback["code"], c.Callback["error"], c.Callback["error_description"] = authtest.Absent, "some_error", "evil words"
					}
				})
				err := f.call()
				page := f.browser.Pages()[0]
				switch {
				case test.good && !refused:
					if err != nil || page.Status != http.StatusOK {
						t.Errorf("%v, page %d", err, page.Status)
					}
					return
				case test.good:
					wantError(t, err, "some_error", "evil words")
				default:
					wantError(t, err, "the answer to the sign-in", f.as.URL())
					if _, ok := errors.AsType[*auth.MetadataError](err); !ok {
						t.Errorf("%v is no MetadataError", err)
					}
					if strings.Contains(err.Error()+page.Body, "evil") || strings.Contains(err.Error()+page.Body, "some_error") {
						t.Errorf("what another server says is told: %v; %s", err, page.Body)
					}
				}
				if f.as.Exchanges() != 0 {
					t.Error("the code was sent to the token endpoint")
				}
				if page.Status != http.StatusBadRequest || !strings.Contains(page.Body, "failed") {
					t.Errorf("page %d: %s", page.Status, page.Body)
				}
			})
		}
	}
}

// The user is told where to go, in any case: also if no browser can be opened.
func TestC2_NoBrowser(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	f.again(func(c *auth.Config) {
		c.Open = func(string) error { return errors.New("there is no browser") }
		c.Tell = func(e auth.Event) {
			f.tell(e)
			if e.Kind == auth.SignInStarted {
				_ = f.browser.Open(e.URL) // on another machine, say
			}
		}
	})
	f.mustCall()
	if len(f.told(auth.SignInStarted)) != 1 || len(f.told(auth.SignInDone)) != 1 {
		t.Errorf("told %v", f.events)
	}
	if !strings.Contains(f.log.String(), "there is no browser") {
		t.Errorf("nothing in the log:\n%s", f.log)
	}
}
