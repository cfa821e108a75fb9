package auth_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"mcp-bridge/auth"
	"mcp-bridge/auth/authtest"

	"github.com/zalando/go-keyring"
)

// newKeychain makes a keychain for a test, which must not run beside others.
func newKeychain(t *testing.T) {
	t.Helper()
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/not/used") // it looks as if there were a session
	keyring.MockInit()
}

func seal(c *auth.Config) { c.Sealing = auth.SealAlways }

// wantSealed checks that nothing in the folder tells a secret, or that something does.
func (f *fixture) wantSealed(sealed bool) {
	f.t.Helper()
	told := false
	for _, path := range f.files() {
		told = told || strings.Contains(readFile(f.t, path), "secret-")
	}
	if told == sealed {
		f.t.Errorf("secrets can be read in the folder: %t", told)
	}
}

// A sealed login works as any other does: it is used, renewed, found by another start and ended.
func TestSealedLogin(t *testing.T) {
	newKeychain(t)
	f := setup(t, nil, nil)
	again := func(change func(*auth.Config)) {
		f.again(func(c *auth.Config) {
			if change != nil {
				change(c)
			}
			c.Storage = &auth.FileStorage{Dir: f.dir, Identity: c.Identity(), Sealing: c.Sealing, Log: c.Log}
		})
	}
	again(seal)
	f.mustCall()
	f.wantSealed(true)
	rec := f.record()
	if rec == nil || rec.Token == nil || !rec.Sealed {
		t.Fatalf("the record is %+v", rec)
	}
	again(nil)
	f.as.RevokeAccessTokens()
	f.mustCall()
	f.wantTokenCalls(1, 1, 1)
	f.wantSealed(true)

	// It stays sealed where nothing is said of it, and is opened where it is not wanted any more.
	again(func(c *auth.Config) { c.Sealing = auth.SealAsBefore })
	f.as.RevokeAccessTokens()
	f.mustCall()
	f.wantSealed(true)
	again(func(c *auth.Config) { c.Sealing = auth.SealNever })
	f.as.RevokeAccessTokens()
	f.mustCall()
	f.wantSealed(false)
	again(seal)
	f.as.RevokeAccessTokens()
	f.mustCall()
	f.wantSealed(true)
	f.wantTokenCalls(4, 1, 1)

	// Nor does a registration that has to be replaced unseal it.
	again(func(c *auth.Config) { c.Sealing = auth.SealAsBefore })
	f.as.RevokeAll()
	f.as.ForgetClients()
	f.mustCall()
	f.wantSealed(true)

	all, err := auth.List(f.dir)
	if err != nil || len(all) != 1 || all[0].Server != f.url || !all[0].Sealed || all[0].Token != nil {
		t.Fatalf("listed are %+v, %v", all, err)
	}
	if opened, err := auth.StorageOf(all[0]).Load(); err != nil || opened.Token == nil {
		t.Errorf("opened: %+v, %v", opened, err)
	}
	if err := f.transport.Logout(t.Context()); err != nil {
		t.Fatal(err)
	}
	if f.record() != nil || f.as.Revoked() == 0 {
		t.Errorf("after the logout there is %+v, and %d tokens are revoked", f.record(), f.as.Revoked())
	}
}

// Without a keychain nobody signs in for nothing: it is told before.
func TestSealedWithoutKeychain(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T){
		"no session": func(t *testing.T) {
			t.Setenv("DBUS_SESSION_BUS_ADDRESS", "")
			t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
			keyring.MockInitWithError(errors.New("no session"))
		},
		"refused": func(t *testing.T) {
			newKeychain(t)
			keyring.MockInitWithError(errors.New("refused"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			prepare(t)
			f := setup(t, nil, nil)
			f.again(func(c *auth.Config) {
				c.Storage = &auth.FileStorage{Dir: f.dir, Identity: c.Identity(), Sealing: auth.SealAlways}
			})
			err := f.call()
			wantError(t, err, "the keychain can't be used: ")
			if _, ok := errors.AsType[*auth.KeychainError](err); !ok {
				t.Errorf("the error is %v", err)
			}
			f.wantCounts(0, 0, 0)
		})
	}
}

// A login that can't be opened is not lost, unless it is given up by the user.
func TestSealedAndLocked(t *testing.T) {
	for name, lock := range map[string]func(){
		"locked":      func() { keyring.MockInitWithError(errors.New("locked")) },
		"no key":      func() { keyring.MockInit() },
		"another key": func() { keyring.MockInit(); _ = keyring.Set("mcp-bridge", "logins", strings.Repeat("A", 43)+"=") },
		"no real key": func() { keyring.MockInit(); _ = keyring.Set("mcp-bridge", "logins", "hello") },
	} {
		t.Run(name, func(t *testing.T) {
			newKeychain(t)
			f := setup(t, nil, nil)
			storage := func(s auth.Sealing) func(*auth.Config) {
				return func(c *auth.Config) {
					c.Storage = &auth.FileStorage{Dir: f.dir, Identity: c.Identity(), Sealing: s, Log: c.Log}
				}
			}
			f.again(storage(auth.SealAlways))
			f.mustCall()
			before := readFile(t, f.files(".json")[0])
			lock()
			f.again(storage(auth.SealAsBefore))
			err := f.call()
			if _, ok := errors.AsType[*auth.SealedError](err); !ok {
				t.Errorf("the error is %v", err)
			}
			wantError(t, err, "is sealed: ")
			f.wantCounts(1, 1, 1)
			if readFile(t, f.files(".json")[0]) != before {
				t.Error("the file has changed")
			}

			// The user wants no keychain any more.
			f.again(storage(auth.SealNever))
			f.mustCall()
			f.wantCounts(2, 2, 2)
			f.wantSealed(false)

			// The user wants no login any more.
			writeFile(t, f.files(".json")[0], before)
			f.again(storage(auth.SealAsBefore))
			wantError(t, f.transport.Logout(t.Context()), "its tokens are not revoked")
			if left := f.files(".json"); len(left) != 0 {
				t.Errorf("after the logout there is %q", left)
			}
		})
	}
}

// The file of one server in the place of another's is not opened: its tokens would go to the wrong
// one.
func TestSealedFileIsBound(t *testing.T) {
	newKeychain(t)
	dir := t.TempDir()
	of := func(server string) *auth.FileStorage {
		return &auth.FileStorage{Dir: dir, Identity: auth.Identity{Server: server}, Sealing: auth.SealAlways}
	}
	want := &auth.Record{Server: "https://a.example/", Token: &auth.Token{Access: "secret-a"}}
	if err := of("https://a.example/").Save(want); err != nil {
		t.Fatal(err)
	}
	got, err := of("https://a.example/").Load()
	want.Sealed = true
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%+v, %v", got, err)
	}
	if err := of("https://b.example/").Save(&auth.Record{}); err != nil {
		t.Fatal(err)
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(paths) != 2 {
		t.Fatalf("%q, %v", paths, err)
	}
	if err := os.Rename(paths[0], paths[1]); err != nil {
		t.Fatal(err)
	}
	if rec, err := of("https://b.example/").Load(); err == nil {
		t.Errorf("opened: %+v", rec)
	}
}

// Many who seal at once make one key.
func TestSealedKeyIsMadeOnce(t *testing.T) {
	newKeychain(t)
	f := setup(t, func(c *authtest.Config) { c.AutoApprove = true }, nil)
	var all sync.WaitGroup
	for range 8 {
		cfg := f.cfg
		cfg.Storage = &auth.FileStorage{Dir: f.dir, Identity: cfg.Identity(), Sealing: auth.SealAlways}
		transport := f.another(cfg)
		all.Go(func() {
			if resp, err := f.do(transport, http.MethodPost, f.url); err != nil || resp.StatusCode != http.StatusOK {
				t.Errorf("%v, %v", resp, err)
			}
		})
	}
	all.Wait()
	f.wantCounts(1, 1, 1)
	if rec := f.record(); rec == nil || rec.Token == nil {
		t.Errorf("the record is %+v", rec)
	}
}
