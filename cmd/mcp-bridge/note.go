package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"

	"mcp-bridge/auth"
	"mcp-bridge/bridge"
)

// A note is a small file about one server in the folder where logins are kept. To lose it costs no more than
// finding out again.
type note struct {
	kind string // of the note; a folder
	url  string
	log  *slog.Logger
}

// path does not name the server, whose URL may hold a secret.
func (n note) path() (string, error) {
	dir, err := auth.DefaultDir()
	hash := sha256.Sum256([]byte(n.url))
	return filepath.Join(dir, n.kind, hex.EncodeToString(hash[:12])), err
}

// Load returns nil when there is nothing.
func (n note) Load() []byte {
	path, err := n.path()
	if err != nil {
		return nil
	}
	content, _ := os.ReadFile(path) // what can't be read is not there
	return content
}

// Save replaces the note; no content removes it.
func (n note) Save(content []byte) {
	if err := n.save(content); err != nil {
		n.log.Debug("a note about the server could not be kept", "kind", n.kind, "error", err)
	}
}

// verdictNote keeps what was found out about the server's era. There is none for a server that speaks its host's.
type verdictNote struct{ note }

func (v verdictNote) Load() bridge.Verdict {
	var verdict bridge.Verdict
	if json.Unmarshal(v.note.Load(), &verdict) != nil {
		return bridge.Verdict{}
	}
	return verdict
}

func (v verdictNote) Save(verdict bridge.Verdict) {
	if verdict.Era == "" {
		v.note.Save(nil)
		return
	}
	content, _ := json.Marshal(verdict) // a string and a time can't fail to encode
	v.note.Save(content)
}

func (n note) save(content []byte) error {
	path, err := n.path()
	if err != nil {
		return err
	}
	if content == nil {
		return os.Remove(path)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
