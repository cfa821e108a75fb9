//go:build unix

package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func newHeaderCommand(t *testing.T, command, server string) *headerCommand {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &headerCommand{command: command, server: u, base: transport, keep: func([]string) {}, timeout: time.Minute}
}

// Requests that come at once share a run, and the one after a refusal.
func TestHeaderCommandIsShared(t *testing.T) {
	var mu sync.Mutex
	got := make(map[string]int)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		got[r.Header.Get("X-Run")]++
		mu.Unlock()
		if r.Header.Get("X-Run") == "1" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer server.Close()
	runs := filepath.Join(t.TempDir(), "runs")
	c := newHeaderCommand(t, "echo run >>'"+runs+"'; echo X-Run: $(wc -l <'"+runs+"')", server.URL)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			res, err := (&http.Client{Transport: c}).Post(server.URL, "text/plain", strings.NewReader("body"))
			if err != nil {
				t.Error(err)
				return
			}
			res.Body.Close()
			if res.StatusCode != http.StatusOK {
				t.Errorf("HTTP %d", res.StatusCode)
			}
		})
	}
	all.Wait()
	if len(got) > 2 || got["2"] != 20 {
		t.Errorf("requests by the run that they came with: %v", got)
	}
}

// Another origin gets nothing, and needs no run.
func TestHeaderCommandElsewhere(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Key") != "" {
			t.Error("the header went elsewhere")
		}
	}))
	defer elsewhere.Close()
	c := newHeaderCommand(t, "echo X-Key: 1", "http://127.0.0.1:1/")
	res, err := (&http.Client{Transport: c}).Get(elsewhere.URL)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if c.printed != nil {
		t.Error("the command ran")
	}
}

// A command that takes too long is stopped.
func TestHeaderCommandTimeout(t *testing.T) {
	c := newHeaderCommand(t, "sleep 1000", "http://127.0.0.1:1/")
	c.timeout = time.Millisecond
	if _, err := c.get(t.Context(), nil); err == nil || err.Error() != "the command of --header-command took longer than 1ms" {
		t.Errorf("the error is %v", err)
	}
}

// When nobody waits for it any more, the command is stopped, and the next one who asks gets a new run.
func TestHeaderCommandIsStopped(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	c := newHeaderCommand(t, "test -e '"+file+"' && echo X: 1 && exit; echo $$ >'"+file+".new'; mv '"+file+".new' '"+file+"'; exec sleep 1000", "http://127.0.0.1:1/")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { // ends with ctx
		_, err := c.get(ctx, nil)
		done <- err
	}()
	var text []byte
	for end := time.Now().Add(20 * time.Second); len(text) == 0; time.Sleep(time.Millisecond) {
		if text, _ = os.ReadFile(file); time.Now().After(end) {
			t.Fatal("the command does not begin")
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the command is still there: %v", err)
	}
	if h, err := c.get(t.Context(), nil); err != nil || h.Get("X") != "1" {
		t.Errorf("%v, %v", h, err)
	}
}
