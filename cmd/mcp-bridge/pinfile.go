package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"mcp-bridge/auth"
	"mcp-bridge/bridge"
)

// A pinFile keeps the pinned tools of one server, in a file in the folder pins beside the logins. It is
// replaced as a whole.
type pinFile struct {
	path   string
	server string // for a person who looks into the file
	again  string // what to do when it can't be read
}

// pinned is what stands in a pinFile.
type pinned struct {
	Server string             `json:"server"`
	Tools  bridge.PinnedTools `json:"tools"`
}

// pinFile returns the file for the server and the profile that o names: who signs in may decide which
// tools there are.
func (o *options) pinFile() (*pinFile, error) {
	dir, err := auth.DefaultDir()
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(o.url)
	if err != nil {
		return nil, withoutURL(err)
	}
	u.User, u.Fragment = nil, ""
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	sum := sha256.Sum256([]byte(u.String() + "\n" + o.auth.profile))
	host := strings.Map(func(c rune) rune {
		if c == '.' || c == '-' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' {
			return c
		}
		return '_'
	}, u.Hostname())
	return &pinFile{
		path:   filepath.Join(dir, "pins", host+"-"+hex.EncodeToString(sum[:8])+".json"),
		server: withoutSecrets(o.url),
		again:  o.commandHint("pins accept"),
	}, nil
}

// Load refuses a file that can't be understood: to take it for none would pin whatever the server has
// now.
func (f *pinFile) Load() (bridge.PinnedTools, error) {
	text, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the pinned tools: %w", err)
	}
	var p pinned
	if err := json.Unmarshal(text, &p); err != nil || p.Tools == nil {
		return nil, fmt.Errorf("the pinned tools in %s can't be read; to pin them as they are now, %s", f.path, f.again)
	}
	return p.Tools, nil
}

func (f *pinFile) Save(tools bridge.PinnedTools) (err error) {
	text, err := json.MarshalIndent(pinned{f.server, tools}, "", "\t")
	if err != nil {
		return fmt.Errorf("encoding the pinned tools: %w", err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("saving the pinned tools: %w", err)
		}
	}()
	dir := filepath.Dir(f.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	beside, err := os.CreateTemp(dir, filepath.Base(f.path)+".*.tmp") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		beside.Close()
		if err != nil {
			_ = os.Remove(beside.Name())
		}
	}()
	if _, err = beside.Write(append(text, '\n')); err != nil {
		return err
	}
	if err = errors.Join(beside.Sync(), beside.Close()); err != nil {
		return err
	}
	return os.Rename(beside.Name(), f.path)
}
