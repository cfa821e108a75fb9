package auth_test

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"mcp-bridge/auth"
	"mcp-bridge/auth/authtest"
)

// authGoroutines returns the goroutines that are in package auth. Its tests that wait for their turn
// don't count.
func authGoroutines() []string {
	stacks := make([]byte, 4<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	var found []string
	for stack := range strings.SplitSeq(string(stacks), "\n\n") {
		if strings.Contains(stack, "mcp-bridge/auth.") && !strings.Contains(stack, "testing.tRunner(") {
			found = append(found, stack)
		}
	}
	return found
}

// wantNoGoroutines waits until no goroutine of package auth is left. It is for tests that don't run
// beside others.
func wantNoGoroutines(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		left := authGoroutines()
		if len(left) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d goroutines are left:\n%s", len(left), strings.Join(left, "\n\n"))
		}
	}
}

// signingIn begins a sign-in that nobody finishes, and returns its page and what the call will get.
func (f *fixture) signingIn() (page string, result <-chan error) {
	f.t.Helper()
	opened, got := make(chan string, 10), make(chan error, 1)
	f.again(func(c *auth.Config) {
		c.Open = func(page string) error { opened <- page; return nil }
	})
	go func() { got <- f.call() }() // ends with the Transport
	select {
	case page = <-opened:
	case err := <-got:
		f.t.Fatalf("no sign-in began: %v\n%s", err, f.story())
	}
	return page, got
}

// wantPortFree checks that the port that a page redirects to can be had, on both loopbacks.
func wantPortFree(t *testing.T, page string) {
	t.Helper()
	u, err := url.Parse(page)
	if err != nil {
		t.Fatal(err)
	}
	back, err := url.Parse(u.Query().Get("redirect_uri"))
	if err != nil || back.Port() == "" {
		t.Fatalf("redirect_uri of %s: %v", page, err)
	}
	for _, host := range []string{"127.0.0.1", "::1"} {
		l, err := net.Listen("tcp", net.JoinHostPort(host, back.Port()))
		if err != nil {
			t.Errorf("the port is still taken: %v", err)
			continue
		}
		l.Close()
	}
}

// The host ends while the user signs in: the sign-in is given up, its port is free, and nothing runs
// on. Not parallel, as it counts goroutines.
func TestEndDuringSignIn(t *testing.T) {
	for name, end := range map[string]func(*auth.Transport){
		"StopAsking": (*auth.Transport).StopAsking,
		"Close":      func(t *auth.Transport) { t.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			f := setup(t, nil, nil)
			page, result := f.signingIn()
			began := time.Now()
			end(f.transport)
			err := <-result
			if !errors.Is(err, auth.ErrClosed) || !isUnsent(err) {
				t.Errorf("the call got: %v", err)
			}
			if d := time.Since(began); d > time.Second {
				t.Errorf("it took %v", d)
			}
			wantPortFree(t, page)
			wantNoGoroutines(t)
			// Nothing begins any more.
			if err := f.call(); !errors.Is(err, auth.ErrClosed) {
				t.Errorf("the next call got: %v", err)
			}
			if n := f.as.Authorizations() + f.as.Exchanges(); n != 0 {
				t.Errorf("%d requests for authorization", n)
			}
			if rest := f.files(".page", ".tmp"); len(rest) != 0 {
				t.Errorf("left behind: %q", rest)
			}
			f.transport.Close()
			wantNoGoroutines(t)
		})
	}
}

// After StopAsking tokens are still used, and renewed.
func TestStopAskingKeepsTokens(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	f.signIn()
	f.transport.StopAsking()
	f.mustCall()
	f.as.RevokeAccessTokens()
	f.mustCall()
	f.wantTokenCalls(1, 1, 1)
	f.as.RevokeAll()
	if err := f.call(); !errors.Is(err, auth.ErrClosed) {
		t.Errorf("a dead login: %v", err)
	}
	f.wantTokenCalls(2, 1, 1)
}

// The host ends while we look at the authorization endpoint: no tab opens for nobody.
func TestStopAskingDuringPreflight(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	f.signIn()
	f.as.RevokeAll()
	asked := f.holdFirst("/authorize", func(*authtest.Request) {})
	result := make(chan error, 1)
	go func() { result <- f.call() }() // ends with its answer
	<-asked
	f.transport.StopAsking()
	if err := <-result; !errors.Is(err, auth.ErrClosed) {
		t.Errorf("the call got: %v", err)
	}
	if n, told := f.tabs(), len(f.told(auth.SignInStarted)); n != 1 || told != 1 {
		t.Errorf("%d tabs, %d times told of one; want the first only", n, told)
	}
}

// A refresh that is under way when the host ends is finished and kept: the server has turned the
// token over.
func TestCloseDuringRefresh(t *testing.T) {
	f := setup(t, nil, nil)
	old := f.signIn()
	f.as.RevokeAccessTokens()
	f.as.Set(func(c *authtest.Config) {
		c.Handle = func(w http.ResponseWriter, r *authtest.Request) bool {
			if r.URL.Path != "/token" {
				return false
			}
			rec := &recorder{header: http.Header{}}
			r.Serve(rec) // the token is turned over now
			select {
			case <-time.After(300 * time.Millisecond):
			case <-r.Context().Done():
				return true
			}
			for name, values := range rec.header {
				w.Header()[name] = values
			}
			_, _ = w.Write([]byte(rec.text.String()))
			return true
		}
	})
	result := make(chan error, 1)
	go func() { result <- f.call() }() // ends with its answer
	within(t, "the refresh", func() bool { return f.as.Refreshes() == 1 })
	f.transport.Close()
	<-result
	wantNoGoroutines(t)
	rec := f.record()
	if rec == nil || rec.Token == nil || rec.Token.Refresh == old.Token.Refresh {
		t.Fatalf("the new token is not kept: %+v", rec)
	}
	f.as.Set(func(c *authtest.Config) { c.Handle = nil })
	f.again(nil)
	f.mustCall()
	f.wantTokenCalls(1, 1, 1)
}

// recorder is a ResponseWriter that keeps an answer.
type recorder struct {
	header http.Header
	text   strings.Builder
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(int)             {}
func (r *recorder) Write(p []byte) (int, error) { return r.text.Write(p) }

// A server that never answers does not keep the program from ending.
func TestCloseDuringEndlessRefresh(t *testing.T) {
	t.Parallel()
	inFakeTime(t, nil, nil, func(f *fixture) {
		rec := f.signIn()
		f.as.RevokeAccessTokens()
		reached := f.holdFirst("/token", func(*authtest.Request) {})
		result := make(chan error, 1)
		go func() { result <- f.call() }() // ends with its answer
		<-reached
		began := time.Now()
		f.transport.Close()
		if d := time.Since(began); d > 2*time.Second {
			f.t.Errorf("closing took %v", d)
		}
		if err := <-result; err == nil {
			f.t.Error("the call was answered")
		}
		f.wantRecord(rec)
	})
}

// Close waits for another process no longer than for anything else.
func TestCloseWhileAnotherProcessHasTheLock(t *testing.T) {
	t.Parallel()
	inFakeTime(t, nil, nil, func(f *fixture) {
		unlock, err := f.storage().Lock(f.t.Context())
		if err != nil {
			f.t.Fatal(err)
		}
		defer unlock()
		result := make(chan error, 1)
		go func() { result <- f.call() }() // ends with its answer
		time.Sleep(10 * time.Second)
		if told := f.told(auth.SignInElsewhere); len(told) != 1 {
			f.t.Errorf("told: %+v", told)
		}
		began := time.Now()
		f.transport.Close()
		if d := time.Since(began); d > 2*time.Second {
			f.t.Errorf("closing took %v", d)
		}
		if err := <-result; !errors.Is(err, auth.ErrClosed) {
			f.t.Errorf("the call got: %v", err)
		}
	})
}

// Requests that meet a 401 just as the program ends get an answer, and nothing runs on.
func TestCloseWhileRequestsBegin(t *testing.T) {
	f := setup(t, nil, nil)
	f.signIn()
	base := f.cfg.Base
	for range 20 {
		f.as.RevokeAccessTokens()
		refused, gate := make(chan struct{}, 10), make(chan struct{})
		f.again(func(c *auth.Config) {
			c.Base = roundTripper(func(req *http.Request) (*http.Response, error) {
				resp, err := base.RoundTrip(req)
				if err == nil && resp.StatusCode == http.StatusUnauthorized {
					select {
					case refused <- struct{}{}:
					default:
					}
					<-gate
				}
				return resp, err
			})
		})
		var work sync.WaitGroup
		for range 10 {
			work.Go(func() { _ = f.call() }) // ends with its answer
		}
		for range 10 {
			<-refused
		}
		work.Go(func() { f.transport.Close() }) // ends when all has ended
		close(gate)
		work.Wait()
		wantNoGoroutines(t)
	}
	f.again(func(c *auth.Config) { c.Base = base })
	f.mustCall()
	if n := f.as.ReuseDetected(); n != 0 || f.tabs() != 1 {
		t.Errorf("reuse %d times, %d tabs", n, f.tabs())
	}
}
