package auth_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"mcp-bridge/auth"
)

// What authorization costs a message, where the token is good: no file is read, no lock is waited
// for, and nothing is sent but the message.
func BenchmarkRoundTrip(b *testing.B) {
	const url = "https://mcp.example/mcp"
	storage := &auth.FileStorage{Dir: b.TempDir(), Identity: auth.Identity{Server: url}}
	if err := storage.Save(&auth.Record{Issuer: "https://as.example", TokenURL: "https://as.example/token",
		Client: &auth.Client{ID: "c", AuthMethod: "none"},
		Token:  &auth.Token{Access: "secret-at", Refresh: "secret-rt", Expiry: time.Now().Add(24 * time.Hour)}}); err != nil {
		b.Fatal(err)
	}
	answer := &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody}
	base := roundTripper(func(req *http.Request) (*http.Response, error) {
		if req.Header.Get("Authorization") != "Bearer secret-at" {
			b.Error("a message without the token")
		}
		return answer, nil
	})
	newTransport := func(base http.RoundTripper) *auth.Transport {
		t, err := auth.New(auth.Config{ServerURL: url, Storage: storage, Base: base})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { t.Close() })
		return t
	}
	newRequest := func() *http.Request {
		req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(message))
		if err != nil {
			b.Fatal(err)
		}
		for _, name := range []string{"Accept", "Content-Type", "Mcp-Session-Id", "Mcp-Protocol-Version"} {
			req.Header.Set(name, "x")
		}
		return req
	}
	post := func(t http.RoundTripper, req *http.Request) {
		resp, err := t.RoundTrip(req)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
	}
	b.Run("one", func(b *testing.B) {
		t, req := newTransport(base), newRequest()
		post(t, req) // reads the file
		b.ReportAllocs()
		for b.Loop() {
			post(t, req)
		}
	})
	b.Run("bound to a key", func(b *testing.B) {
		rec, err := storage.Load()
		if err != nil {
			b.Fatal(err)
		}
		rec.Token.Key = new(auth.ProofKey)
		if err := rec.Token.Key.UnmarshalText([]byte(benchmarkKey)); err != nil {
			b.Fatal(err)
		}
		bound := &auth.MemoryStorage{}
		if err := bound.Save(rec); err != nil {
			b.Fatal(err)
		}
		t, err := auth.New(auth.Config{ServerURL: url, Storage: bound, Base: roundTripper(func(req *http.Request) (*http.Response, error) {
			if req.Header.Get("DPoP") == "" {
				b.Error("a message without a proof")
			}
			return answer, nil
		})})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { t.Close() })
		req := newRequest()
		b.ReportAllocs()
		for b.Loop() {
			post(t, req)
		}
	})
	b.Run("many at once", func(b *testing.B) {
		t := newTransport(base)
		post(t, newRequest())
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			req := newRequest()
			for pb.Next() {
				post(t, req)
			}
		})
	})
	b.Run("own Authorization", func(b *testing.B) {
		t, req := newTransport(roundTripper(func(*http.Request) (*http.Response, error) { return answer, nil })), newRequest()
		req.Header.Set("Authorization", "Basic x")
		b.ReportAllocs()
		for b.Loop() {
			post(t, req)
		}
	})
}

// benchmarkKey is a key as a file has it.
const benchmarkKey = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgSN/wUF+yzl8br44KycWr1j8OipGH0ZS2f/kv2xtltOKhRANCAAQ9olnwgZd0l5gBnhxNA1GV/eCFHAqRD+HUAY0Dq18+QwqDnS9qCVAG3h8ck1fGr46rfEL3swcq4UZc4A5o8R1B"

// No file is read twice, and no lock is taken, for messages that need no new token.
func TestRoundTripTouchesNoStorage(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	f.signIn()
	counting := &countingStorage{Storage: f.storage()}
	f.again(func(c *auth.Config) { c.Storage = counting })
	for range 10 {
		f.mustCall()
	}
	if counting.loads != 1 || counting.others != 0 {
		t.Errorf("%d reads, %d others", counting.loads, counting.others)
	}
}

// countingStorage counts what is done with it, by one goroutine.
type countingStorage struct {
	auth.Storage
	loads, others int
}

func (s *countingStorage) Load() (*auth.Record, error) {
	s.loads++
	return s.Storage.Load()
}

func (s *countingStorage) Save(r *auth.Record) error {
	s.others++
	return s.Storage.Save(r)
}

func (s *countingStorage) Lock(ctx context.Context) (func(), error) {
	s.others++
	return s.Storage.Lock(ctx)
}
