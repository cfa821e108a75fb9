package bridge_test

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mcp-bridge/bridge"
	"mcp-bridge/bridge/bridgetest"
)

// A person stands for somebody who is to sign in, as a RoundTripper: requests wait for that.
type person struct {
	http.RoundTripper
	done    chan struct{} // closed when it is done
	refuses atomic.Bool   // then requests fail
	asked   atomic.Bool   // there is a page to go to
}

func (p *person) RoundTrip(req *http.Request) (*http.Response, error) {
	if p.refuses.Load() {
		return nil, errors.New("the user said no")
	}
	select {
	case <-p.done:
	default:
		p.asked.Store(true)
		defer p.asked.Store(false)
		select {
		case <-p.done:
		case <-req.Context().Done():
			return nil, req.Context().Err()
		}
		if p.refuses.Load() {
			return nil, errors.New("the user said no")
		}
	}
	return p.RoundTripper.RoundTrip(req)
}

func (p *person) CloseIdleConnections() { p.RoundTripper.(*http.Transport).CloseIdleConnections() }

func (p *person) pending() *bridge.Pending {
	if !p.asked.Load() {
		return nil
	}
	return &bridge.Pending{URL: "https://as.example/authorize"}
}

// withPerson lets cfg wait for somebody.
func withPerson(cfg *bridge.Config) *person {
	p := &person{RoundTripper: cfg.HTTPClient.Transport, done: make(chan struct{})}
	cfg.HTTPClient = &http.Client{Transport: p}
	cfg.Pending = p.pending
	cfg.InitializeGrace = 5 * time.Second
	return p
}

// A greeting keeps what a server said in memory.
type greeting struct{ kept atomic.Pointer[[]byte] }

func (g *greeting) Load() []byte {
	if kept := g.kept.Load(); kept != nil {
		return *kept
	}
	return nil
}
func (g *greeting) Save(result []byte) { g.kept.Store(&result) }

// Who signs in within the grace is not noticed: the host has the server's answer, byte for byte, and no word more.
func TestEarly_InTime(t *testing.T) {
	inFakeTime(t, bridgetest.Config{}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
		p := withPerson(&cfg)
		g := new(greeting)
		cfg.Greeting = g
		h := startHost(t, cfg)
		h.send(initialize("1", "2025-11-25"))
		time.Sleep(4 * time.Second)
		close(p.done)
		answer := string(h.answer("1"))
		if !strings.Contains(answer, `"name":"bridgetest"`) {
			t.Errorf("the host got %s", answer)
		}
		h.send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
		h.send(listTools("2"))
		wantResult(t, h, "2")
		wantNothingMore(t, h)
		if want := string(member([]byte(answer), "result")); string(g.Load()) != want {
			t.Errorf("kept is %s, want %s", g.Load(), want)
		}
	})
}

// When the grace is over the host gets an answer, at that moment, and the server's tools when the sign-in is
// done; what came meanwhile is not lost.
func TestEarly_Late(t *testing.T) {
	inFakeTime(t, bridgetest.Config{}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
		p := withPerson(&cfg)
		h := startHost(t, cfg)
		began := time.Now()
		h.send(initialize("1", "2025-06-18"))
		answer := string(h.answer("1"))
		if took := time.Since(began); took < 5*time.Second || took > 6*time.Second {
			t.Errorf("the answer came after %v", took)
		}
		if !strings.Contains(answer, "https://as.example/authorize") || !strings.Contains(answer, `"protocolVersion":"2025-06-18"`) {
			t.Errorf("the host got %s", answer)
		}
		h.send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
		h.send(callEcho("2"))
		h.send(`{"jsonrpc":"2.0","id":3,"method":"ping"}`)
		wantResult(t, h, "3")
		time.Sleep(4 * time.Minute)
		close(p.done)
		wantResult(t, h, "2")
		h.send(listTools("4"))
		if got := string(h.answer("4")); strings.Contains(got, bridge.SignInTool) {
			t.Errorf("the tools are %s", got)
		}
		if got := strings.Join(append(h.others, h.end()...), "\n"); strings.Count(got, "tools/list_changed") != 1 {
			t.Errorf("besides, the host got %s", got)
		}
		if n := s.Count("initialize"); n != 1 {
			t.Errorf("the server got %d initialize", n)
		}
	})
}

// A sign-in that fails is told to those who wait for it, and can be tried again with the tool.
func TestEarly_Refused(t *testing.T) {
	inFakeTime(t, bridgetest.Config{}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
		p := withPerson(&cfg)
		h := startHost(t, cfg)
		h.send(initialize("1", "2025-11-25"))
		h.answer("1")
		h.send(callEcho("2"))
		h.send(callTool("3", bridge.SignInTool, `{}`))
		time.Sleep(time.Minute)
		p.refuses.Store(true)
		close(p.done)
		wantFailure(t, h, "2", "the user said no")
		if got := string(h.answerOf(t, "3")); !strings.Contains(got, `"isError":true`) || !strings.Contains(got, "the user said no") {
			t.Errorf("the tool says %s", got)
		}
		h.send(callEcho("4"))
		wantFailure(t, h, "4", "the user said no")
		p.refuses.Store(false)
		h.send(callTool("5", bridge.SignInTool, `{}`))
		wantResult(t, h, "5")
		h.send(callEcho("6"))
		wantResult(t, h, "6")
	})
}

// A server that is not what the host was told, since it has changed since the last run, ends the bridge, so that
// the host starts anew.
func TestEarly_Contradiction(t *testing.T) {
	for name, kept := range map[string]string{
		"capabilities": `{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"before","version":"1"}}`,
		"revision":     `{"protocolVersion":"2025-06-18","capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"before","version":"1"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			inFakeTime(t, bridgetest.Config{}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
				p := withPerson(&cfg)
				g := new(greeting)
				g.Save([]byte(kept))
				cfg.Greeting = g
				h := startHost(t, cfg)
				h.send(initialize("1", "2025-11-25"))
				if got := string(member(h.answer("1"), "result")); got != kept {
					t.Errorf("the host got %s, want %s", got, kept)
				}
				close(p.done)
				if err := h.err(); !errors.Is(err, bridge.ErrSessionChanged) {
					t.Errorf("Run returned %v", err)
				}
			})
		})
	}
}

// A server that is down at the start is there when it is up again, without anybody's doing.
func TestEarly_OfflineStart(t *testing.T) {
	down := new(atomic.Bool)
	down.Store(true)
	inFakeTime(t, bridgetest.Config{Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
		if down.Load() {
			w.WriteHeader(http.StatusBadGateway)
		}
		return down.Load()
	}}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
		cfg.OfflineStart = true
		h := startHost(t, cfg)
		h.send(initialize("1", "2025-11-25"))
		if got := string(h.answer("1")); !strings.Contains(got, "can't be reached") {
			t.Errorf("the host got %s", got)
		}
		h.send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
		time.Sleep(time.Hour)
		if n := s.Count("initialize"); n < 10 || n > 100 {
			t.Errorf("in an hour the server was asked %d times", n)
		}
		down.Store(false)
		time.Sleep(2 * time.Minute)
		h.send(listTools("2"))
		if got := string(h.answer("2")); strings.Contains(got, bridge.SignInTool) {
			t.Errorf("the tools are %s", got)
		}
		if got := strings.Join(append(h.others, h.end()...), "\n"); !strings.Contains(got, "tools/list_changed") {
			t.Errorf("besides, the host got %s", got)
		}
	})
}

// A host that leaves while somebody is to sign in has its answers, and the bridge ends.
func TestEarly_End(t *testing.T) {
	inFakeTime(t, bridgetest.Config{}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
		withPerson(&cfg)
		h := startHost(t, cfg)
		h.send(initialize("1", "2025-11-25"))
		h.answer("1")
		h.send(callEcho("2"))
		began := time.Now()
		h.in.Close()
		wantFailure(t, h, "2")
		if err := h.err(); err != nil {
			t.Errorf("Run returned %v", err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("the end took %v", took)
		}
	})
}
