package auth

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// Sealing says whether a FileStorage seals what it writes with a key that is in the user's
// keychain. What it reads says by itself whether it is sealed.
type Sealing int

const (
	SealAsBefore Sealing = iota // a record that is sealed stays sealed
	SealAlways
	SealNever
)

// sealedVersion is the layout of a file that holds a sealed record. Its number is above
// recordVersion, so that programs which do not know it leave the file alone.
const sealedVersion = 2

// A sealedFile is what is in the file of a sealed record. The server and the profile are there for
// the person reading it; what counts is within.
type sealedFile struct {
	Version int    `json:"version"`
	Server  string `json:"server"`
	Profile string `json:"profile,omitempty"`
	Sealed  []byte `json:"sealed"` // AES-256-GCM: nonce and ciphertext of the record as JSON
}

// A SealedError means that there is a login, but that it can't be opened.
type SealedError struct {
	File string
	Err  error // a KeychainError, or that the key is another one
}

func (e *SealedError) Error() string {
	return fmt.Sprintf("the login in %s is sealed: %v", e.File, e.Err)
}
func (e *SealedError) Unwrap() error { return e.Err }

// seal returns the content of a file for a record. The name of the file is sealed in: the file of
// one server in the place of another's would send tokens to the wrong one.
func (s *FileStorage) seal(r *Record, text []byte) ([]byte, error) {
	aead, err := s.aead(context.Background(), true)
	if err != nil {
		return nil, err
	}
	return json.MarshalIndent(sealedFile{
		Version: sealedVersion, Server: r.Server, Profile: r.Profile,
		Sealed: aead.Seal(nil, nil, text, []byte(filepath.Base(s.path()))),
	}, "", "\t")
}

// open returns the record that is within a sealed one.
func (s *FileStorage) open(outer *Record) (*Record, error) {
	s.sealed.Store(true)
	aead, err := s.aead(context.Background(), false)
	if err != nil {
		return nil, &SealedError{s.path(), err}
	}
	text, err := aead.Open(nil, nil, outer.sealed, []byte(filepath.Base(s.path())))
	if err != nil {
		return nil, &SealedError{s.path(), errors.New("it is for another key than the one in the keychain, or was changed")}
	}
	var r Record
	if err := json.Unmarshal(text, &r); err != nil || r.Version < 1 || r.Version > recordVersion {
		return nil, &SealedError{s.path(), errors.New("it was sealed by a later version of the program")}
	}
	r.Sealed = true
	return &r, nil
}

// askAgain is how long after a failure the keychain is not asked another time: the user would get
// one prompt after the other.
const askAgain = 10 * time.Second

// aead returns the cipher with the key in the keychain, which is asked once.
func (s *FileStorage) aead(ctx context.Context, create bool) (cipher.AEAD, error) {
	s.keyMu.Lock()
	defer s.keyMu.Unlock()
	if s.key == nil {
		if s.keyErr != nil && time.Since(s.keyErrAt) < askAgain {
			return nil, s.keyErr
		}
		key, err := keychainKey(ctx, s.Dir, create)
		if err != nil {
			if ctx.Err() == nil && !errors.Is(err, errNoKey) {
				s.keyErr, s.keyErrAt = err, time.Now()
			}
			return nil, err
		}
		s.key = key
	}
	block, err := aes.NewCipher(s.key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// sealing tells whether the next record is to be sealed.
func (s *FileStorage) sealing() bool {
	switch s.Sealing {
	case SealAlways:
		return true
	case SealNever:
		return false
	}
	return s.isSealed()
}

// isSealed tells whether the record is sealed now, or was when it was read.
func (s *FileStorage) isSealed() bool {
	if s.sealed.Load() {
		return true
	}
	r, err := readRecord(s.path())
	return err == nil && r != nil && r.Sealed
}

// prepare asks the keychain for what it is needed for, while there is a context to give up with,
// and before the user signs in for nothing. Where that fails and the user does not insist on
// sealing, Load tells it.
func (s *FileStorage) prepare(ctx context.Context) error {
	if s.Sealing != SealAlways && !s.isSealed() {
		return nil
	}
	_, err := s.aead(ctx, s.Sealing == SealAlways)
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if s.Sealing != SealAlways {
		return nil
	}
	return err
}

// sealedRecord returns what can be known of the record in a file that is sealed, nil if the file is
// not.
func sealedRecord(text []byte) *Record {
	var f sealedFile
	if err := json.Unmarshal(text, &f); err != nil || f.Version != sealedVersion || f.Sealed == nil {
		return nil
	}
	return &Record{Server: f.Server, Profile: f.Profile, Sealed: true, sealed: f.Sealed}
}
