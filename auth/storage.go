package auth

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"
)

// Storage keeps the Record of one server. Its methods may be called at any time; Save and Clear
// only by the holder of the lock.
type Storage interface {
	// Load returns nil when there is nothing, or nothing that can be read.
	Load() (*Record, error)
	// Save replaces the record as a whole.
	Save(*Record) error
	// Clear forgets everything. Clearing nothing is no error.
	Clear() error
	// Lock excludes other holders, in this process and others, until unlock is called or the
	// process dies. What was loaded before may be out of date once it returns.
	Lock(ctx context.Context) (unlock func(), err error)
}

// HomeVariable names the environment variable that says where logins are kept.
const HomeVariable = "MCP_BRIDGE_HOME"

// DefaultDir returns the folder where logins are kept: $MCP_BRIDGE_HOME, else the folder
// mcp-bridge in the user's configuration folder.
func DefaultDir() (string, error) {
	if dir := os.Getenv(HomeVariable); dir != "" {
		return dir, nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("finding a folder for logins (%s can name one): %w", HomeVariable, err)
	}
	return filepath.Join(dir, "mcp-bridge"), nil
}

// An Identity is everything that makes one login another than the next: the server, who signs
// in, and for what.
type Identity struct {
	Server   string // MCP endpoint
	Profile  string
	ClientID string // configured client ID or client metadata URL
	Scopes   []string
	Resource string
	Grant    string // grant type by which a token is had without the user, "" if there is a user, or nothing else to tell it by
}

// Identity returns what a login by this configuration is kept under.
func (c *Config) Identity() Identity {
	resource := c.Resource
	if c.OmitResource {
		resource = "-"
	}
	id := Identity{Server: c.ServerURL, Profile: c.Profile, ClientID: cmp.Or(c.ClientID, c.ClientMetadataURL), Scopes: c.Scopes, Resource: resource}
	switch {
	case c.IdentityProvider != nil:
		id.Grant = grantTokenExchange
	case c.isWorkload():
		id.Grant = grantJWTBearer
	}
	return id
}

// fileName returns the name of the identity's file: the host for people, a hash for everything.
func (id Identity) fileName() string {
	host, server := "server", id.Server
	if u, err := url.Parse(id.Server); err == nil {
		u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
		u.User, u.Fragment = nil, ""
		if u.Port() == "443" && u.Scheme == "https" || u.Port() == "80" && u.Scheme == "http" {
			u.Host = strings.TrimSuffix(u.Host, ":"+u.Port())
		}
		host, server = u.Hostname(), u.Scheme+"://"+u.Host+strings.TrimSuffix(u.EscapedPath(), "/")
		if u.RawQuery != "" {
			server += "?" + u.RawQuery
		}
	}
	sum := sha256.New()
	parts := []string{server, id.Profile, id.ClientID, strings.Join(id.Scopes, " "), id.Resource}
	if id.Grant != "" {
		parts = append(parts, id.Grant)
	}
	for _, part := range parts {
		fmt.Fprintf(sum, "%d:%s,", len(part), part)
	}
	host = strings.Map(func(c rune) rune {
		if c == '.' || c == '-' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' {
			return c
		}
		return '_'
	}, host)
	return host + "-" + hex.EncodeToString(sum.Sum(nil)[:8]) + ".json"
}

// FileStorage keeps a record in a file of its own, readable by the user only (0600 in a folder of
// 0700; spec 4.81). The lock is the kernel's, on a file beside: it is free at once when its holder
// dies, and never on the record itself, which is replaced by renaming.
//
// The record may be sealed with a key that is in the user's keychain, so that the file alone is of
// no use to anybody. A login that is kept in clear is sealed when it is next saved, and the other
// way round, as Sealing says. The keychain is not asked unless there is something to open or to
// seal.
type FileStorage struct {
	Dir      string
	Identity Identity
	Sealing  Sealing
	Log      *slog.Logger // may be nil

	name string // of the file, if it is not to be made from Identity

	sealed   atomic.Bool // the record was sealed when it was read
	keyMu    sync.Mutex  // held while the keychain is asked
	key      []byte      // nil before
	keyErr   error       // of the last question, nil if there was none
	keyErrAt time.Time
}

func (s *FileStorage) path() string {
	return filepath.Join(s.Dir, cmp.Or(s.name, s.Identity.fileName()))
}

// Load reads the record. One that is sealed and can't be opened is a SealedError, unless nothing is
// to be sealed any more: then it is as good as none. Load also takes from others what they may do with the
// file and the folder, and has that logged. Where that can't be done it returns an error: such a login may
// have been put there by somebody else.
func (s *FileStorage) Load() (*Record, error) {
	if err := s.makePrivate(); err != nil {
		return nil, err
	}
	r, err := loadRecord(s.path(), s.Log)
	if err != nil || r == nil || !r.Sealed {
		return r, err
	}
	r, err = s.open(r)
	if err != nil && s.Sealing == SealNever {
		if s.Log != nil {
			s.Log.Warn("a login that is sealed can't be opened, and counts as none", "error", err)
		}
		return nil, nil
	}
	return r, err
}

// errCorrupt means that the file of a login holds none.
var errCorrupt = errors.New("the file of the login can't be read")

// loadRecord reads one file. One that can't be understood is put aside: nobody should have to
// find and delete it by hand.
func loadRecord(path string, log *slog.Logger) (*Record, error) {
	r, err := readRecord(path)
	if !errors.Is(err, errCorrupt) {
		return r, err
	}
	aside := path + ".corrupt"
	if log != nil {
		log.Warn("the file of a login can't be read and is put aside", "file", aside)
	}
	if err := os.Rename(path, aside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("putting the unreadable file of a login aside: %w", err)
	}
	return nil, nil
}

// readRecord reads one file, and changes nothing. It returns nil where there is none. A record that
// is sealed is returned as it is, for FileStorage to open.
func readRecord(path string) (*Record, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the login: %w", err)
	}
	return parseRecord(path, text)
}

// parseRecord returns the login that the file of this name holds.
func parseRecord(path string, text []byte) (*Record, error) {
	if r := sealedRecord(text); r != nil {
		return r, nil
	}
	var layout struct {
		Version int `json:"version"`
	}
	if json.Unmarshal(text, &layout) == nil && layout.Version > recordVersion {
		return nil, fmt.Errorf("the login in %s was written by a later version of the program", path)
	}
	var r Record
	if err := json.Unmarshal(text, &r); err != nil || r.Version < 1 {
		return nil, errCorrupt
	}
	return &r, nil
}

func (s *FileStorage) Save(r *Record) error {
	r.Version = recordVersion
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return fmt.Errorf("encoding the login: %w", err)
	}
	if s.sealing() {
		if text, err = s.seal(r, text); err != nil {
			return fmt.Errorf("sealing the login: %w", err)
		}
	}
	if err := replaceFile(s.path(), append(text, '\n')); err != nil {
		return fmt.Errorf("saving the login: %w", err)
	}
	return nil
}

func (s *FileStorage) Clear() error {
	if err := os.Remove(s.path()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("deleting the login: %w", err)
	}
	return nil
}

func (s *FileStorage) Lock(ctx context.Context) (func(), error) {
	if err := makeDir(s.Dir); err != nil {
		return nil, err
	}
	if err := s.prepare(ctx); err != nil {
		return nil, err
	}
	lock := flock.New(s.path()+".lock", flock.SetPermissions(0o600))
	if _, err := lock.TryLockContext(ctx, 50*time.Millisecond); err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, fmt.Errorf("locking the login: %w", err)
	}
	// What a holder left that was killed.
	_ = os.Remove(s.path() + ".page")
	removeLeftovers(s.path())
	return func() { _ = lock.Unlock() }, nil
}

// leavePage tells others where the user can sign in while this process waits for that, and
// returns a function that takes it back.
func (s *FileStorage) leavePage(page string) func() {
	path := s.path() + ".page"
	if err := replaceFile(path, []byte(page)); err != nil {
		return func() {}
	}
	return func() { _ = os.Remove(path) }
}

// page returns what the holder of the lock left, "" if nothing.
func (s *FileStorage) page() string {
	text, err := os.ReadFile(s.path() + ".page")
	if err != nil {
		return ""
	}
	return string(text)
}

// removeLeftovers removes what a process left that was killed while it wrote. Only the holder of the
// lock writes, so to the next one it is nobody's.
func removeLeftovers(path string) {
	entries, _ := os.ReadDir(filepath.Dir(path)) // no folder, no leftovers
	for _, entry := range entries {
		if name := entry.Name(); strings.HasPrefix(name, filepath.Base(path)+".") && strings.HasSuffix(name, ".tmp") {
			_ = os.Remove(filepath.Join(filepath.Dir(path), name))
		}
	}
}

// replaceFile writes a file beside and renames it, so that there is always the old one or the
// new one.
func replaceFile(path string, text []byte) (err error) {
	if err := makeDir(filepath.Dir(path)); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if _, err := f.Write(text); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// MemoryStorage keeps a record for as long as the process lives.
type MemoryStorage struct {
	mu     sync.Mutex
	record *Record
	once   sync.Once
	locked chan struct{} // holds an element while the lock is held
}

func (s *MemoryStorage) Load() (*Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.record, nil
}

func (s *MemoryStorage) Save(r *Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := *r
	s.record = &kept
	return nil
}

func (s *MemoryStorage) Clear() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.record = nil
	return nil
}

func (s *MemoryStorage) Lock(ctx context.Context) (func(), error) {
	s.once.Do(func() { s.locked = make(chan struct{}, 1) })
	select {
	case s.locked <- struct{}{}:
		return func() { <-s.locked }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// List returns the records in a folder, those of later layouts left out. Of one that is sealed,
// only the server and the profile are there: StorageOf opens it.
func List(dir string) ([]*Record, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the folder of logins: %w", err)
	}
	var all []*Record
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		if filepath.Ext(path) != ".json" {
			continue
		}
		if r, err := loadRecord(path, nil); err == nil && r != nil {
			r.File = path
			all = append(all, r)
		}
	}
	return all, nil
}

// StorageOf returns the storage that List found a record in.
func StorageOf(r *Record) Storage {
	return &FileStorage{Dir: filepath.Dir(r.File), name: filepath.Base(r.File)}
}
