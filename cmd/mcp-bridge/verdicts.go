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

// verdictFile keeps what was found out about one server's era: a small file in the folder where logins
// are kept. There is none for a server that speaks its host's era. To lose it costs a request.
type verdictFile struct {
	url string
	log *slog.Logger
}

// path does not name the server, whose URL may hold a secret.
func (v verdictFile) path() (string, error) {
	dir, err := auth.DefaultDir()
	hash := sha256.Sum256([]byte(v.url))
	return filepath.Join(dir, "eras", hex.EncodeToString(hash[:12])), err
}

func (v verdictFile) Load() bridge.Verdict {
	var verdict bridge.Verdict
	path, err := v.path()
	if err != nil {
		return verdict
	}
	content, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(content, &verdict) != nil {
		return bridge.Verdict{}
	}
	return verdict
}

func (v verdictFile) Save(verdict bridge.Verdict) {
	if err := v.save(verdict); err != nil {
		v.log.Debug("the server's era could not be kept", "error", err)
	}
}

func (v verdictFile) save(verdict bridge.Verdict) error {
	path, err := v.path()
	if err != nil {
		return err
	}
	if verdict.Era == "" {
		return os.Remove(path)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	content, _ := json.Marshal(verdict) // a string and a time can't fail to encode
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
