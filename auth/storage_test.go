package auth_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"mcp-bridge/auth"
	"mcp-bridge/auth/authtest"
)

// fileOf returns the name of the file that a configuration's login is kept in.
func fileOf(t *testing.T, cfg auth.Config) string {
	t.Helper()
	dir := t.TempDir()
	if err := (&auth.FileStorage{Dir: dir, Identity: cfg.Identity()}).Save(&auth.Record{}); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Fatalf("%v, %v", entries, err)
	}
	return entries[0].Name()
}

// Whatever makes a login another one makes another file.
func TestT11_FilesDiffer(t *testing.T) {
	t.Parallel()
	base := auth.Config{ServerURL: "https://mcp.example/mcp"}
	names := map[string]string{fileOf(t, base): "nothing"}
	for what, change := range map[string]func(*auth.Config){
		"path":               func(c *auth.Config) { c.ServerURL = "https://mcp.example/other" },
		"case of the path":   func(c *auth.Config) { c.ServerURL = "https://mcp.example/MCP" },
		"query":              func(c *auth.Config) { c.ServerURL = "https://mcp.example/mcp?tenant=1" },
		"another query":      func(c *auth.Config) { c.ServerURL = "https://mcp.example/mcp?tenant=2" },
		"host":               func(c *auth.Config) { c.ServerURL = "https://mcp2.example/mcp" },
		"port":               func(c *auth.Config) { c.ServerURL = "https://mcp.example:8443/mcp" },
		"scheme":             func(c *auth.Config) { c.ServerURL = "http://mcp.example/mcp" },
		"two segments":       func(c *auth.Config) { c.ServerURL = "https://mcp.example/a/b" },
		"an escaped slash":   func(c *auth.Config) { c.ServerURL = "https://mcp.example/a%2Fb" },
		"client ID":          func(c *auth.Config) { c.ClientID = "x" },
		"client document":    func(c *auth.Config) { c.ClientMetadataURL = "https://client.example/id.json" },
		"scopes":             func(c *auth.Config) { c.Scopes = []string{"a", "b"} },
		"other scopes":       func(c *auth.Config) { c.Scopes = []string{"ab"} },
		"resource":           func(c *auth.Config) { c.Resource = "x" },
		"no resource":        func(c *auth.Config) { c.OmitResource = true },
		"profile":            func(c *auth.Config) { c.Profile = "x" },
		"profile with slash": func(c *auth.Config) { c.Profile = "../x" },
		"workload":           func(c *auth.Config) { c.ClientAssertion = func() (string, error) { return "", nil } },
		"identity provider":  func(c *auth.Config) { c.IdentityProvider = &auth.IdentityProvider{} },
	} {
		cfg := base
		change(&cfg)
		name := fileOf(t, cfg)
		if other, taken := names[name]; taken {
			t.Errorf("%s and %s share %s", what, other, name)
		}
		names[name] = what
		if strings.ContainsAny(name, `/\:*?"<>|`) || !strings.HasSuffix(name, ".json") {
			t.Errorf("%s: the file's name is %q", what, name)
		}
	}
}

// Whatever doesn't, doesn't: another spelling of the URL, another secret, another port to listen on.
func TestT11_FilesAreShared(t *testing.T) {
	t.Parallel()
	base := auth.Config{ServerURL: "https://mcp.example/mcp"}
	want := fileOf(t, base)
	for what, change := range map[string]func(*auth.Config){
		"case of the host":   func(c *auth.Config) { c.ServerURL = "HTTPS://MCP.example/mcp" },
		"default port":       func(c *auth.Config) { c.ServerURL = "https://mcp.example:443/mcp" },
		"trailing slash":     func(c *auth.Config) { c.ServerURL = "https://mcp.example/mcp/" },
		"fragment":           func(c *auth.Config) { c.ServerURL = "https://mcp.example/mcp#top" },
		"user":               func(c *auth.Config) { c.ServerURL = "https://me@mcp.example/mcp" },
		"client name":        func(c *auth.Config) { c.ClientName = "x" },
		"client secret":      func(c *auth.Config) { c.ClientSecret = "x" },
		"callback":           func(c *auth.Config) { c.CallbackHost, c.CallbackPort, c.CallbackPath = "127.0.0.1", 1, "/x" },
		"client credentials": func(c *auth.Config) { c.ClientCredentials = true },
		"device code":        func(c *auth.Config) { c.DeviceCode = true },
		"bound tokens":       func(c *auth.Config) { c.DPoP = auth.DPoPAlways },
		"metadata":           func(c *auth.Config) { c.ClientMetadata = map[string]any{"a": 1} },
		"authorize params":   func(c *auth.Config) { c.AuthorizeParams = map[string][]string{"a": {"b"}} },
		"time limit":         func(c *auth.Config) { c.SignInTimeout = time.Second },
	} {
		cfg := base
		change(&cfg)
		if name := fileOf(t, cfg); name != want {
			t.Errorf("%s: the file is %s, without it %s", what, name, want)
		}
	}
}

// Names of files are for ever: after an upgrade the login has to be found (T10).
func TestT10_FileNamesStay(t *testing.T) {
	t.Parallel()
	for want, cfg := range map[string]auth.Config{
		"mcp.example-3d6519494dbd351a.json": {ServerURL: "https://mcp.example/mcp"},
		"mcp.example-56796eecdd4c27d4.json": {ServerURL: "https://mcp.example/mcp?a=b", Profile: "work", ClientID: "id",
			Scopes: []string{"a", "b"}, Resource: "https://mcp.example/"},
		"__1-71d350d8abb7318a.json": {ServerURL: "http://[::1]:8080/mcp", OmitResource: true},
	} {
		if got := fileOf(t, cfg); got != want {
			t.Errorf("%+v is kept in %s, want %s", cfg.Identity(), got, want)
		}
	}
}

// What version 1 wrote is read as long as there are such files (T10). Members that it doesn't know do
// no harm.
func TestT10_Version1IsRead(t *testing.T) {
	t.Parallel()
	const text = `{
	"version": 1,
	"server": "https://mcp.example/mcp",
	"profile": "work",
	"issuer": "https://as.example",
	"token_url": "https://as.example/token",
	"revoke_url": "https://as.example/revoke",
	"resource": "https://mcp.example/",
	"scope": "a b",
	"client": {
		"id": "c1",
		"secret": "s1",
		"secret_expiry": "2030-01-02T03:04:05Z",
		"auth_method": "client_secret_basic",
		"redirect_uri": "http://localhost:1234/callback",
		"registered": true
	},
	"token": {
		"access_token": "a1",
		"refresh_token": "r1",
		"expiry": "2030-01-02T03:04:05Z",
		"unknown": [1, 2]
	},
	"unknown": {"a": null}
}`
	f := setup(t, nil, nil)
	f.save(&auth.Record{})
	path := f.files(".json")[0]
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	end := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	want := &auth.Record{Version: 1, Server: "https://mcp.example/mcp", Profile: "work", Issuer: "https://as.example",
		TokenURL: "https://as.example/token", RevokeURL: "https://as.example/revoke", Resource: "https://mcp.example/", Scope: "a b",
		Client: &auth.Client{ID: "c1", Secret: "s1", SecretExpiry: end, AuthMethod: "client_secret_basic", RedirectURI: "http://localhost:1234/callback", Registered: true},
		Token:  &auth.Token{Access: "a1", Refresh: "r1", Expiry: end}}
	if got := f.record(); !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v\nwant %+v", got, want)
	}
}

// What is saved comes back.
func TestT9_SaveAndLoad(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	if got := f.record(); got != nil {
		t.Errorf("nothing is %+v", got)
	}
	if err := f.storage().Clear(); err != nil {
		t.Errorf("clearing nothing: %v", err)
	}
	want := &auth.Record{Server: "s", Issuer: "i", Client: &auth.Client{ID: "c", AuthMethod: "none"}, Token: &auth.Token{Access: "a"}}
	f.save(want)
	if got := f.record(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v has become %+v", want, got)
	}
	if err := f.storage().Clear(); err != nil {
		t.Error(err)
	}
	if got := f.record(); got != nil {
		t.Errorf("after Clear there is %+v", got)
	}
}

// Nobody else reads the files, though the folder may have been there before, and open to all.
func TestT9_Modes(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("no modes on Windows")
	}
	f := setup(t, nil, nil)
	f.dir = filepath.Join(f.dir, "sub", "logins")
	if err := os.MkdirAll(f.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(f.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	page, result := f.signingIn() // while the page is there, too
	check := func(when string) {
		t.Helper()
		paths := f.files()
		if len(paths) < 2 {
			t.Errorf("%s: %q", when, paths)
		}
		for _, path := range append(paths, f.dir) {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			want := os.FileMode(0o600)
			if info.IsDir() {
				want = 0o700
			}
			if info.Mode().Perm() != want {
				t.Errorf("%s: %s has mode %o, want %o", when, path, info.Mode().Perm(), want)
			}
		}
	}
	check("during the sign-in")
	if _, err := authtest.Browse(t.Context(), page); err != nil {
		t.Fatal(err)
	}
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	check("afterwards")

	// A file that others could read is replaced by one that they can't.
	path := f.files(".json")[0]
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	f.as.RevokeAccessTokens()
	f.mustCall()
	check("after a refresh")
}

// A login that others could get at is made private by the next start, which says so. One that can't be is
// refused.
func TestT9_ModesAtStart(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("no modes on Windows")
	}
	for _, test := range []struct {
		name      string
		dir, file os.FileMode
		told      string
	}{
		{"private", 0o700, 0o600, ""},
		{"file that all can read", 0o700, 0o644, "could get at the login"},
		{"file that the group can write", 0o700, 0o620, "could get at the login"},
		{"folder that all can see into", 0o755, 0o600, "could see into the folder"},
		{"folder that all can write to", 0o777, 0o600, "could change the logins"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, nil, nil)
			f.mustCall()
			file := f.files(".json")[0]
			if err := errors.Join(os.Chmod(file, test.file), os.Chmod(f.dir, test.dir)); err != nil {
				t.Fatal(err)
			}
			before := f.log.String()
			f.again(nil)
			f.mustCall()
			if f.tabs() != 1 {
				t.Errorf("%d pages were opened", f.tabs())
			}
			for path, want := range map[string]os.FileMode{file: 0o600, f.dir: 0o700} {
				if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
					t.Errorf("%s: %v, %v", path, info.Mode(), err)
				}
			}
			said := strings.TrimPrefix(f.log.String(), before)
			if warned := strings.Contains(said, "others on this machine"); warned != (test.told != "") || !strings.Contains(said, test.told) {
				t.Errorf("said %q", said)
			}
		})
	}
	t.Run("folder for everybody", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		if err := os.Chmod(dir, 0o777|os.ModeSticky); err != nil {
			t.Fatal(err)
		}
		s := &auth.FileStorage{Dir: dir}
		_, err := s.Load()
		wantError(t, err, dir, "everybody", "MCP_BRIDGE_HOME")
		wantError(t, s.Save(&auth.Record{}), dir, "everybody", "MCP_BRIDGE_HOME")
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o777 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
	})
}

// A folder that isn't there is made, private from the beginning.
func TestT9_FolderIsMade(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "b")
	if err := (&auth.FileStorage{Dir: dir}).Save(&auth.Record{}); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(dir)
	if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
}

// Whoever reads while another writes sees one record or the other, never a part.
func TestT9_Atomic(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	write := func(name string) error {
		big := strings.Repeat(name, 50_000)
		return f.storage().Save(&auth.Record{Server: big, Token: &auth.Token{Access: big}})
	}
	if err := write("a"); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var work sync.WaitGroup
	work.Go(func() { // ends with the test
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				if err := write([]string{"a", "b"}[i%2]); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	for range 300 {
		rec := f.record()
		if rec == nil || rec.Token == nil || rec.Server != rec.Token.Access || len(rec.Server) != 50_000 {
			t.Errorf("a part of a record was read: %d bytes", len(fmt.Sprint(rec)))
			break
		}
	}
	close(stop)
	work.Wait()
	if rest := f.files(".tmp", ".corrupt"); len(rest) != 0 {
		t.Errorf("left behind: %q", rest)
	}
}

// What a program that was killed in the middle of a write left, tokens and all, does not stay: not
// when the next one writes, and not after a logout.
func TestT9_HalfWrittenFilesAreRemoved(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	f.signIn()
	leave := func() {
		writeFile(t, f.files(".json")[0]+".123456.tmp", `{"version": 1, "token": {"access_token": "secret-at-half`)
	}
	leave()
	f.expire()
	f.mustCall()
	if rest := f.files(".tmp"); len(rest) != 0 {
		t.Errorf("after a refresh there is still %q", rest)
	}
	leave()
	if err := f.transport.Logout(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, path := range f.files() {
		if strings.Contains(readFile(t, path), "secret-") {
			t.Errorf("after the logout a token is in %s", path)
		}
	}
}

// A file that can't be understood is put aside, with a word in the log, and the user signs in.
func TestT9_UnreadableFile(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func([]byte) []byte{
		"half":          func(b []byte) []byte { return b[:len(b)/2] },
		"empty":         func([]byte) []byte { return nil },
		"garbage":       func([]byte) []byte { return []byte("\x00\x01\x02") },
		"null":          func([]byte) []byte { return []byte("null") },
		"list":          func([]byte) []byte { return []byte("[]") },
		"empty object":  func([]byte) []byte { return []byte("{}") },
		"no version":    func(b []byte) []byte { return bytes.Replace(b, []byte(`"version": 1`), []byte(`"version": 0`), 1) },
		"another shape": func([]byte) []byte { return []byte(`{"version":1,"token":"x"}`) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, nil, nil)
			f.signIn()
			path := f.files(".json")[0]
			damaged := damage([]byte(readFile(t, path)))
			if err := os.WriteFile(path, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			f.again(nil)
			f.mustCall()
			f.wantTokenCalls(0, 2, 2)
			aside := f.files(".corrupt")
			if len(aside) != 1 || readFile(t, aside[0]) != string(damaged) {
				t.Errorf("put aside: %q", aside)
			}
			if !strings.Contains(f.log.String(), "put aside") {
				t.Error("the log says nothing")
			}
			f.again(nil)
			f.mustCall()
			f.wantTokenCalls(0, 2, 2)
		})
	}
}

// What a later version wrote is left alone, whatever it looks like: whoever goes back to the later
// version finds it.
func TestT10_LaterVersion(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"same shape":    `{"version": 2, "token": {"access_token": "x"}}`,
		"another shape": `{"version": 2, "token": "sealed", "client": ["x"], "server": {"url": "y"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, nil, nil)
			f.save(&auth.Record{})
			path := f.files(".json")[0]
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			wantError(t, f.call(), "later version")
			if rec, err := auth.List(f.dir); err != nil || len(rec) != 0 {
				t.Errorf("listed: %v, %v", rec, err)
			}
			if _, err := os.Stat(path); err != nil {
				t.Fatalf("the file is gone: %v; there is %q", err, f.files())
			}
			if got := readFile(t, path); got != text {
				t.Errorf("the file has become %s", got)
			}
			f.wantCounts(0, 0, 0)
		})
	}
}

// The folder is the variable's, else one in the user's configuration, and has no version in its name
// (T10).
func TestT10_DefaultDir(t *testing.T) {
	config, home := t.TempDir(), t.TempDir()
	for _, name := range []string{"XDG_CONFIG_HOME", "AppData", "HOME"} {
		t.Setenv(name, config)
	}
	t.Setenv(auth.HomeVariable, "")
	dir, err := auth.DefaultDir()
	if err != nil || filepath.Base(dir) != "mcp-bridge" || !strings.HasPrefix(dir, config) {
		t.Errorf("%q, %v", dir, err)
	}
	t.Setenv(auth.HomeVariable, home)
	if dir, err := auth.DefaultDir(); err != nil || dir != home || auth.HomeVariable != "MCP_BRIDGE_HOME" {
		t.Errorf("%q, %v", dir, err)
	}
	// And that is where a Transport keeps its login.
	f := setup(t, nil, nil)
	transport, err := auth.New(auth.Config{ServerURL: f.url, Open: f.browser.Open})
	if err != nil {
		t.Fatal(err)
	}
	defer transport.Close()
	if err := f.callThrough(transport); err != nil {
		t.Fatal(err)
	}
	if all, err := auth.List(home); err != nil || len(all) != 1 {
		t.Errorf("%v, %v", all, err)
	}
}

// Two profiles are two logins, in two files, and neither takes the other's token.
func TestT11_Profiles(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, func(c *auth.Config) { c.Profile = "work" })
	f.mustCall()
	work := f.record()
	f.again(func(c *auth.Config) { c.Profile = "home" })
	f.mustCall()
	home := f.record()
	if work.Token.Access == home.Token.Access || work.Profile != "work" || home.Profile != "home" || len(f.files(".json")) != 2 {
		t.Errorf("%+v, %+v in %q", work, home, f.files(".json"))
	}
	f.again(func(c *auth.Config) { c.Profile = "work" })
	f.mustCall()
	f.wantCounts(2, 2, 2)
}

// Two servers behind one authorization server see their own tokens only.
func TestT11_TwoServers(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	second := setup(t, nil, nil)
	second.guard.Store(f.as) // its own is idle
	second.dir = f.dir
	second.again(nil)
	for range 2 {
		f.mustCall()
		second.mustCall()
	}
	seen := func(f *fixture) map[string]bool {
		tokens := make(map[string]bool)
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, r := range f.requests {
			if token := r.Header.Get("Authorization"); token != "" {
				tokens[token] = true
			}
		}
		return tokens
	}
	first, other := seen(f), seen(second)
	if len(first) != 1 || len(other) != 1 || reflect.DeepEqual(first, other) {
		t.Errorf("the servers saw %v and %v", first, other)
	}
}

// The lock excludes in one process as well, and a wait for it ends with its context.
func TestM4_LockExcludes(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	unlock, err := f.storage().Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	reason := errors.New("enough")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, reason)
	defer cancel()
	if _, err := f.storage().Lock(ctx); !errors.Is(err, reason) {
		t.Errorf("error %v", err)
	}
	unlock()
	again, err := f.storage().Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	again()
	other := &auth.FileStorage{Dir: f.dir, Identity: auth.Identity{Server: "https://other.example"}}
	hold, err := f.storage().Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer hold()
	free, err := other.Lock(t.Context())
	if err != nil {
		t.Fatalf("one server's lock keeps another's: %v", err)
	}
	free()
}

// A loser does not delete what a winner has stored: a refused refresh token ends the login that it
// belongs to, and no other (peers 2.1.2).
func TestM1_LoserKeepsTheWinnersLogin(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	old := f.signIn()
	// While the loser waits for the lock with the old token, the winner refreshes.
	unlock, err := f.storage().Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f.as.RevokeAccessTokens()
	loser := make(chan error, 1)
	posts := f.posts()
	go func() { loser <- f.call() }() // ends with its answer
	within(t, "the loser's refusal", func() bool { return f.posts() > posts })
	winner := setup(t, nil, nil) // its storage is another, so that it needs no lock
	winner.guard.Store(f.as)
	winner.save(old)
	cfg := winner.cfg
	cfg.ServerURL, cfg.Storage = f.url, winner.storage()
	if err := f.callThrough(winner.another(cfg)); err != nil {
		t.Fatal(err)
	}
	won := winner.record()
	f.save(won)
	unlock()
	if err := <-loser; err != nil {
		t.Errorf("the loser: %v", err)
	}
	f.wantRecord(won)
	f.wantTokenCalls(1, 1, 1)
	if n := f.as.ReuseDetected(); n != 0 {
		t.Errorf("reuse %d times", n)
	}
}

// List shows what there is, by file, and StorageOf finds it again.
func TestListAndStorageOf(t *testing.T) {
	t.Parallel()
	if all, err := auth.List(filepath.Join(t.TempDir(), "none")); err != nil || len(all) != 0 {
		t.Errorf("of no folder: %v, %v", all, err)
	}
	f := setup(t, nil, func(c *auth.Config) { c.Profile = "work" })
	f.signIn()
	for name, text := range map[string]string{"notes.txt": "{}", "broken.json": "{", "later.json": `{"version":9}`} {
		if err := os.WriteFile(filepath.Join(f.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	all, err := auth.List(f.dir)
	if err != nil || len(all) != 1 {
		t.Fatalf("%+v, %v", all, err)
	}
	rec := all[0]
	if rec.Server != f.url || rec.Profile != "work" || rec.Token == nil || rec.File == "" {
		t.Errorf("%+v", rec)
	}
	storage := auth.StorageOf(rec)
	unlock, err := storage.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := f.storage().Lock(ctx); err == nil {
		t.Error("it is not the same lock")
	}
	unlock()
	if err := storage.Clear(); err != nil || f.record() != nil {
		t.Errorf("%v; there is still %+v", err, f.record())
	}
}

// What is for the person reading the file has no query, which may hold a key.
func TestT9_FileIsReadable(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	f.again(func(c *auth.Config) { c.ServerURL = f.url + "?key=secret-key" })
	f.signIn()
	text := readFile(t, f.files(".json")[0])
	var doc map[string]any
	if err := json.Unmarshal([]byte(text), &doc); err != nil || doc["server"] != f.url || doc["version"] != 1.0 {
		t.Errorf("%v, %s", err, text)
	}
	if strings.Contains(text, "secret-key") {
		t.Errorf("the key is in the file: %s", text)
	}
	if strings.Contains(f.files(".json")[0], "secret-key") {
		t.Error("the key is in the file's name")
	}
}

// A log that isn't there is none.
func TestT9_NoLog(t *testing.T) {
	t.Parallel()
	storage := &auth.FileStorage{Dir: t.TempDir()}
	if err := storage.Save(&auth.Record{}); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(storage.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(storage.Dir, entries[0].Name()), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if rec, err := storage.Load(); rec != nil || err != nil {
		t.Errorf("%v, %v", rec, err)
	}
	storage.Log = slog.New(slog.DiscardHandler)
	if rec, err := storage.Load(); rec != nil || err != nil {
		t.Errorf("%v, %v", rec, err)
	}
}
