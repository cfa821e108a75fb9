package auth

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"github.com/zalando/go-keyring"
)

// The one entry that is ours in the user's keychain: the key that logins are sealed with. The
// logins themselves are too large for it (Windows and macOS limit an entry to 2.5 to 3 KB).
const (
	keychainService = "mcp-bridge"
	keychainUser    = "logins"
	keyLength       = 32 // bytes: AES-256
)

// keychainTimeout bounds a question to the keychain, which may ask the user to unlock it.
const keychainTimeout = time.Minute

// A KeychainError means that the keychain of this machine can't be used.
type KeychainError struct{ Err error }

func (e *KeychainError) Error() string { return "the keychain can't be used: " + e.Err.Error() }
func (e *KeychainError) Unwrap() error { return e.Err }

// errNoKey means that the keychain has no key of ours.
var errNoKey = errors.New("the keychain has no key of mcp-bridge")

// keychainKey returns the key in the keychain, or makes one if that is wanted and there is none.
// Dir is where those who make one at the same time exclude each other.
func keychainKey(ctx context.Context, dir string, create bool) ([]byte, error) {
	if err := hasKeychain(); err != nil {
		return nil, &KeychainError{err}
	}
	key, err := readKey(ctx)
	if errors.Is(err, errNoKey) && create {
		key, err = makeKey(ctx, dir)
	}
	if err != nil && !errors.Is(err, errNoKey) {
		return nil, &KeychainError{err}
	}
	return key, err
}

func readKey(ctx context.Context) ([]byte, error) {
	text, err := inTime(ctx, func() (string, error) { return keyring.Get(keychainService, keychainUser) })
	if errors.Is(err, keyring.ErrNotFound) {
		return nil, errNoKey
	}
	if err != nil {
		return nil, err
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(key) != keyLength {
		return nil, fmt.Errorf("its entry %s of %s is no key", keychainUser, keychainService)
	}
	return key, nil
}

func makeKey(ctx context.Context, dir string) ([]byte, error) {
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	lock := flock.New(filepath.Join(dir, "keychain.lock"), flock.SetPermissions(0o600))
	if _, err := lock.TryLockContext(ctx, 50*time.Millisecond); err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, err
	}
	defer func() { _ = lock.Unlock() }()
	if key, err := readKey(ctx); !errors.Is(err, errNoKey) {
		return key, err // somebody was faster
	}
	key := make([]byte, keyLength)
	_, _ = rand.Read(key) // never fails
	_, err := inTime(ctx, func() (struct{}, error) {
		return struct{}{}, keyring.Set(keychainService, keychainUser, base64.StdEncoding.EncodeToString(key))
	})
	return key, err
}

// oneAtATime is held by who asks the keychain: the user should see one prompt, not several.
var oneAtATime sync.Mutex

// inTime bounds a call that knows no context.
func inTime[T any](ctx context.Context, ask func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer, 1)
	go func() { // ends with the answer, or with the program
		oneAtATime.Lock()
		defer oneAtATime.Unlock()
		value, err := ask()
		answers <- answer{value, err}
	}()
	ctx, cancel := context.WithTimeoutCause(ctx, keychainTimeout,
		fmt.Errorf("it did not answer within %v, and may be waiting for you to unlock it", keychainTimeout))
	defer cancel()
	select {
	case a := <-answers:
		return a.value, a.err
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}

// hasKeychain looks whether there is a keychain where one would be started for the question
// otherwise: godbus runs dbus-launch where there is no session, and that stays.
func hasKeychain() error {
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" || os.Getenv("DBUS_SESSION_BUS_ADDRESS") != "" {
		return nil
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		if _, err := os.Stat(filepath.Join(dir, "bus")); err == nil {
			return nil
		}
	}
	return errors.New("there is no desktop session (D-Bus) here")
}
