package auth_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mcp-bridge/auth"
	"mcp-bridge/auth/authtest"
)

// processVariable makes this test binary one of several programs that share a folder of logins.
const processVariable = "AUTH_TEST_PROCESS"

func TestMain(m *testing.M) {
	if text := os.Getenv(processVariable); text != "" {
		os.Exit(runProcess(text))
	}
	os.Exit(m.Run())
}

// A program is what a process of its own does: it waits for a line on its standard input, then
// posts a message, once or until it is killed.
type program struct {
	URL, Dir string
	Profile  string
	Browse   bool // a robot signs in; else a page is only reported
	Device   bool // by device code
	Loop     bool
}

// runProcess is the main of such a process. It reports in lines: what it is told, the pages that it
// opens, and in the end "ok" or the error.
func runProcess(text string) int {
	var p program
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		fmt.Println(err)
		return 2
	}
	var mu sync.Mutex
	say := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Printf(format+"\n", args...)
	}
	browser := &authtest.Browser{}
	cfg := auth.Config{ServerURL: p.URL, Profile: p.Profile, DeviceCode: p.Device}
	cfg.Tell = func(e auth.Event) { say("%s", strings.TrimSpace(fmt.Sprintf("told %d %s %s", e.Kind, e.URL, e.Code))) }
	cfg.Open = func(page string) error {
		say("opened %s", page)
		if !p.Browse {
			return nil
		}
		return browser.Open(page)
	}
	cfg.Storage = &auth.FileStorage{Dir: p.Dir, Identity: cfg.Identity()}
	t, err := auth.New(cfg)
	if err != nil {
		say("%v", err)
		return 2
	}
	defer t.Close()
	say("ready")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return 2
	}
	for {
		err := postThrough(t, p.URL)
		if p.Loop {
			continue
		}
		if err != nil {
			say("failed: %v", err)
			return 1
		}
		say("ok")
		return 0
	}
}

func postThrough(t http.RoundTripper, url string) error {
	resp, err := (&http.Client{Transport: t}).Post(url, "application/json", strings.NewReader(message))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != message {
		return fmt.Errorf("HTTP %d: %s (%v)", resp.StatusCode, body, err)
	}
	return nil
}

// A process is one that has been started. It is killed at the end of the test at the latest.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines chan string // what it reports; closed when it has ended

	mu   sync.Mutex
	said []string
}

// start starts a program on the fixture's server and folder, and waits until it is ready.
func (f *fixture) start(p program) *process {
	f.t.Helper()
	p.URL, p.Dir = f.url, f.dir
	text, err := json.Marshal(p)
	if err != nil {
		f.t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), processVariable+"="+string(text), "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		f.t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		f.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	pr := &process{t: f.t, cmd: cmd, stdin: stdin, lines: make(chan string, 1000)}
	go func() { // ends with the process
		defer close(pr.lines)
		for in := bufio.NewScanner(stdout); in.Scan(); {
			pr.mu.Lock()
			pr.said = append(pr.said, in.Text())
			pr.mu.Unlock()
			pr.lines <- in.Text()
		}
		_ = cmd.Wait()
	}()
	f.t.Cleanup(pr.kill)
	pr.wait("ready")
	return pr
}

// goOn lets the process post.
func (p *process) goOn() { _, _ = io.WriteString(p.stdin, "\n") }

// wait waits for a line that begins so, and returns it.
func (p *process) wait(prefix string) string {
	p.t.Helper()
	limit := time.After(15 * time.Second)
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				p.t.Fatalf("process %d has ended without %q:\n%s", p.cmd.Process.Pid, prefix, strings.Join(p.report(), "\n"))
			}
			if strings.HasPrefix(line, prefix) {
				return line
			}
		case <-limit:
			p.t.Fatalf("process %d does not say %q:\n%s", p.cmd.Process.Pid, prefix, strings.Join(p.report(), "\n"))
		}
	}
}

// report returns all that the process has said so far.
func (p *process) report() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.said)
}

// opened returns how many pages the process opened.
func (p *process) opened() int {
	n := 0
	for _, line := range p.report() {
		if strings.HasPrefix(line, "opened ") {
			n++
		}
	}
	return n
}

// kill is kill -9, and waits until the process is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	for range p.lines {
	}
}

// Four programs find the same expired token. One refreshes it, the others take what it got; the
// server sees no refresh token twice.
func TestM1_ProcessesRefreshOnce(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	f.signIn()
	f.expire()
	f.fourAtOnce()
}

// The same after a 401: the tokens look good, but the server does not take them any more.
func TestM1_ProcessesWithARefusedTokenRefreshOnce(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	f.signIn()
	f.as.RevokeAccessTokens()
	f.fourAtOnce()
}

// fourAtOnce has four programs post at once, and checks that one of them refreshed.
func (f *fixture) fourAtOnce() {
	f.t.Helper()
	f.as.Set(func(c *authtest.Config) {
		c.Faults = []authtest.Fault{{Path: "/token", Delay: 300 * time.Millisecond}}
	})
	var all []*process
	for range 4 {
		all = append(all, f.start(program{}))
	}
	for _, p := range all {
		p.goOn()
	}
	for _, p := range all {
		p.wait("ok")
		if p.opened() != 0 {
			f.t.Errorf("a page was opened: %q", p.report())
		}
	}
	if n, reused := f.as.Refreshes(), f.as.ReuseDetected(); n != 1 || reused != 0 {
		f.t.Errorf("%d refreshes, %d times reuse; want 1, 0\n%s", n, reused, f.story())
	}
}

// Three programs start with nothing. The user signs in once, and those who wait are told where.
func TestM3_ColdStartsSignInOnce(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	leader := f.start(program{})
	leader.goOn()
	page := strings.TrimPrefix(leader.wait("opened "), "opened ")
	waiters := []*process{f.start(program{Browse: true}), f.start(program{Browse: true})}
	for _, p := range waiters {
		p.goOn()
	}
	for _, p := range waiters {
		if got, want := p.wait("told "), fmt.Sprintf("told %d %s", auth.SignInElsewhere, page); got != want {
			t.Errorf("a waiter was told %q, want %q", got, want)
		}
	}
	if _, err := authtest.Browse(t.Context(), page); err != nil {
		t.Fatal(err)
	}
	for _, p := range append(waiters, leader) {
		p.wait("ok")
	}
	for _, p := range waiters {
		if p.opened() != 0 {
			t.Errorf("a waiter opened a page: %q", p.report())
		}
	}
	if r, e := f.as.Registrations(), f.as.Exchanges(); r != 1 || e != 1 {
		t.Errorf("%d registrations, %d exchanges; want 1, 1\n%s", r, e, f.story())
	}
}

// Three at the same moment, as a host starts them: whoever is first leads.
func TestM3_ColdStartsAtOnce(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	var all []*process
	for range 3 {
		all = append(all, f.start(program{Browse: true}))
	}
	for _, p := range all {
		p.goOn()
	}
	opened := 0
	for _, p := range all {
		p.wait("ok")
		opened += p.opened()
	}
	if r, e := f.as.Registrations(), f.as.Exchanges(); opened != 1 || r != 1 || e != 1 {
		t.Errorf("%d pages opened, %d registrations, %d exchanges; want 1, 1, 1\n%s", opened, r, e, f.story())
	}
}

// The leader's user says no: one of those who wait takes over.
func TestM3_AWaiterTakesOver(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	leader := f.start(program{})
	leader.goOn()
	page := strings.TrimPrefix(leader.wait("opened "), "opened ")
	waiter := f.start(program{Browse: true})
	waiter.goOn()
	waiter.wait(fmt.Sprintf("told %d", auth.SignInElsewhere))
	if _, err := (&authtest.Browser{Deny: true}).Visit(t.Context(), page); err != nil {
		t.Fatal(err)
	}
	leader.wait("failed: ")
	waiter.wait("ok")
	if r := f.as.Registrations(); r != 1 {
		t.Errorf("%d registrations, want 1: the second uses what the first has registered\n%s", r, f.story())
	}
}

// A program that is killed while it refreshes leaves no lock behind, and its login as it was.
func TestM4_KilledDuringRefresh(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	before := f.signIn()
	f.expire()
	victim := f.start(program{})
	reached := f.holdFirst("/token", func(*authtest.Request) {}) // before the server does anything
	victim.goOn()
	<-reached
	victim.kill()
	killed := time.Now()
	if rec := f.record(); rec == nil || rec.Token == nil || rec.Token.Refresh != before.Token.Refresh {
		t.Errorf("after the kill the record is %+v", rec)
	}
	next := f.start(program{})
	next.goOn()
	next.wait("ok")
	if d := time.Since(killed); d > 3*time.Second {
		t.Errorf("the next program needed %v", d)
	}
	if n := f.as.ReuseDetected(); n != 0 || next.opened() != 0 {
		t.Errorf("reuse %d times, %d pages; want none", n, next.opened())
	}
}

// The same after the server has turned the token over: that login is lost, and the next start
// signs in with the client that is there.
func TestM4_KilledAfterRotation(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	f.signIn()
	f.expire()
	victim := f.start(program{})
	reached := f.holdFirst("/token", func(r *authtest.Request) { r.Serve(discard{}) })
	victim.goOn()
	<-reached
	victim.kill()
	killed := time.Now()
	next := f.start(program{Browse: true})
	next.goOn()
	next.wait("ok")
	if d := time.Since(killed); d > 3*time.Second {
		t.Errorf("the next program needed %v", d)
	}
	if r := f.as.Registrations(); next.opened() != 1 || r != 1 {
		t.Errorf("%d pages, %d registrations; want 1, 1\n%s", next.opened(), r, f.story())
	}
}

// holdFirst keeps the next request for a path without an answer until whoever sent it is gone. The
// channel is closed when it is there, and before has been done.
func (f *fixture) holdFirst(path string, before func(*authtest.Request)) <-chan struct{} {
	reached := make(chan struct{})
	var once sync.Once
	f.as.Set(func(c *authtest.Config) {
		c.Handle = func(_ http.ResponseWriter, r *authtest.Request) bool {
			first := false
			if r.URL.Path == path {
				once.Do(func() { first = true })
			}
			if first {
				before(r)
				close(reached)
				<-r.Context().Done()
			}
			return first
		}
	})
	return reached
}

// discard is a ResponseWriter whose answer nobody gets.
type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) WriteHeader(int)             {}
func (discard) Write(p []byte) (int, error) { return len(p), nil }

// A program that is killed while its user signs in leaves no lock, and no page for others to be sent
// to while nobody waits there. The next one goes on with that sign-in: the user needs no other tab.
func TestM4_KilledDuringSignIn(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	victim := f.start(program{})
	victim.goOn()
	dead := strings.TrimPrefix(victim.wait("opened "), "opened ")
	victim.kill()
	// Whoever has the lock next takes the page away, before anybody else waits for that lock.
	if rest := f.files(".page"); len(rest) != 1 {
		t.Errorf("the victim left %q", rest)
	}
	unlock, err := f.storage().Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if rest := f.files(".page"); len(rest) != 0 {
		t.Errorf("under the lock there is still %q", rest)
	}
	unlock()
	next := f.start(program{Browse: true})
	next.goOn()
	next.wait(fmt.Sprintf("told %d %s", auth.SignInStarted, dead))
	f.allow(dead)
	next.wait("ok")
	f.wantOne(next)
	if rest := f.files(".page", ".tmp"); len(rest) != 0 {
		t.Errorf("left behind: %q", rest)
	}
}

// A lock file of long ago, with another program's number in it, is no lock.
func TestM4_OldLockFile(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	f.signIn()
	f.expire()
	locks := f.files(".lock")
	if len(locks) == 0 {
		t.Fatalf("no lock file: %q", f.files())
	}
	for _, path := range locks {
		if err := os.WriteFile(path, []byte("1\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Unix(0, 0), time.Unix(0, 0)); err != nil {
			t.Fatal(err)
		}
	}
	f.mustCall()
	f.wantTokenCalls(1, 1, 1)
}

// A host starts copies and kills them quickly: whatever they were at, the next start works, and
// needs the user once, at a page that was opened once at most.
func TestM6_CopiesKilledQuickly(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	opened := 0
	for range 10 {
		p := f.start(program{})
		p.goOn()
		time.Sleep(rand.N(60 * time.Millisecond)) // wherever that is
		p.kill()
		opened += p.opened()
	}
	last := f.start(program{})
	last.goOn()
	f.allow(last.page())
	last.wait("ok")
	if opened += last.opened(); opened > 1 || f.as.Exchanges() != 1 {
		t.Errorf("%d pages, %d exchanges; want at most 1, and 1\n%s", opened, f.as.Exchanges(), f.story())
	}
	if rest := f.files(".page", ".corrupt"); len(rest) != 0 {
		t.Errorf("left behind: %q", rest)
	}
}

// Whenever a program is killed in the middle of refreshes, what is stored can be read, and is a
// whole record.
func TestT9_KilledAtAnyTimeTheRecordIsReadable(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) { c.Token = authtest.Edit{"expires_in": 0} }, nil)
	f.signIn()
	for round := range 20 {
		p := f.start(program{Loop: true})
		before := f.as.Refreshes()
		p.goOn()
		within(t, "a refresh", func() bool { return f.as.Refreshes() > before })
		time.Sleep(rand.N(20 * time.Millisecond)) // wherever that is
		p.kill()
		rec := f.record()
		if rec == nil || rec.Client == nil || rec.Issuer == "" || rec.TokenURL == "" {
			t.Fatalf("round %d: the record is %+v", round, rec)
		}
		if rec.Token == nil { // a kill came between the rotation and the saving, and this round found out
			f.again(nil)
			if err := f.transport.Login(t.Context()); err != nil { // the page may be thought to be open
				t.Fatal(err)
			}
		}
	}
	if rest := f.files(".corrupt"); len(rest) != 0 {
		t.Errorf("unreadable files: %q", rest)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	unlock, err := f.storage().Lock(ctx)
	if err != nil {
		t.Fatalf("the lock is not free: %v", err)
	}
	unlock()
}
