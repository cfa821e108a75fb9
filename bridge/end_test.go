package bridge_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"mcp-bridge/bridge"
	"mcp-bridge/bridge/bridgetest"
)

// longestEnd is how long Run may take to return, whatever goes on.
const longestEnd = 5 * time.Second

// answerAfter makes a server that answers requests of the method "slow" after a while, and "never"
// not at all.
func answerAfter(d time.Duration) func(http.ResponseWriter, *bridgetest.Request) bool {
	return func(w http.ResponseWriter, r *bridgetest.Request) bool {
		switch r.Method {
		case "slow":
			time.Sleep(d)
			r.Answer(w, `"slow"`)
		case "never":
			<-r.Context().Done()
		default:
			return false
		}
		return true
	}
}

var transports = map[string]bridgetest.Config{
	"JSON":       {},
	"SSE":        {SSE: true},
	"GET stream": {Stream: true},
	"HTTP+SSE":   {HTTPSSE: true},
}

// wantSession checks that all sessions were ended the way they should: by a DELETE in the session
// and at its revision, after everything else (spec 1.64, 2.12, 2.16, 2.34).
func wantSession(t *testing.T, s *bridgetest.Server) {
	t.Helper()
	eventually(t, "the session ends", func() bool { return s.Sessions() == 0 && s.Streams() == 0 })
	requests := s.Requests()
	last := requests[len(requests)-1]
	if strings.HasSuffix(last.URL.Path, "/messages") {
		return // of HTTP+SSE, which knows no DELETE
	}
	if last.String() != http.MethodDelete || last.Header.Get("Mcp-Session-Id") != "S1" || last.Header.Get("Mcp-Protocol-Version") != "2025-11-25" || s.Count("DELETE") != 1 {
		t.Errorf("the last of the requests %v should be a DELETE with session and version, its header is %v", requests, last.Header)
	}
}

// Everything in one go, and then the end of the input: every answer is written.
func TestEnd_AnswersStillDue(t *testing.T) {
	for name, sc := range transports {
		sc.Handle = answerAfter(2 * time.Second)
		t.Run(name, func(t *testing.T) {
			inFakeTime(t, sc, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
				h := startHost(t, cfg)
				h.sendRaw([]byte(initialize("0", "2025-11-25") + "\n" + initialized + "\n" +
					`{"jsonrpc":"2.0","id":1,"method":"slow"}` + "\n" +
					`{"jsonrpc":"2.0","id":2,"method":"ping"}` + "\n" +
					`{"jsonrpc":"2.0","method":"notifications/x"}` + "\n" +
					`{"jsonrpc":"2.0","id":3,"method":"slow"}`)) // and no line end
				start := time.Now()
				got := h.end()
				took := time.Since(start)
				slices.Sort(got)
				want := []string{`{"jsonrpc":"2.0","id":1,"result":"slow"}`, `{"jsonrpc":"2.0","id":2,"result":{}}`, `{"jsonrpc":"2.0","id":3,"result":"slow"}`}
				if len(got) != 4 || !strings.HasPrefix(got[0], `{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-11-25"`) || !slices.Equal(got[1:], want) {
					t.Errorf("the host got\n%q", got)
				}
				if err := h.err(); err != nil || took > longestEnd {
					t.Errorf("Run returned %v after %v", err, took)
				}
				if s.Count("notifications/x") != 1 {
					t.Error("the notification was lost")
				}
				wantSession(t, s)
			})
		})
	}
}

// A call that the server never answers is answered with an error at the end, once.
func TestEnd_CallThatNeverEnds(t *testing.T) {
	for name, sc := range transports {
		sc.Handle = answerAfter(0)
		for how, end := range map[string]func(*host){
			"end of input": func(h *host) { h.in.Close() },
			"told to stop": func(h *host) { h.cancel() },
		} {
			t.Run(name+"/"+how, func(t *testing.T) {
				inFakeTime(t, sc, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
					h := startHost(t, cfg)
					h.handshake("2025-11-25")
					for _, id := range []string{"1", `"1"`} {
						h.send(`{"jsonrpc":"2.0","id":` + id + `,"method":"never"}`)
					}
					eventually(t, "the calls arrive", func() bool { return s.Count("never") == 2 })
					start := time.Now()
					end(h)
					if err := h.err(); err != nil {
						t.Errorf("Run returned %v", err)
					}
					took := time.Since(start)
					if took > longestEnd || how == "told to stop" && took > 2*time.Second {
						t.Errorf("Run took %v to return", took)
					}
					got := h.end()
					wantIDs(t, got, `"1"`, "1")
					for _, line := range got {
						if e := errorOf(t, []byte(line)); e.Code != -32603 || e.Data.Source != "mcp-bridge" || !strings.Contains(e.Message, "stop") {
							t.Errorf("the answer is %s", line)
						}
					}
					wantSession(t, s)
				})
			})
		}
	}
}

// wantIDs checks that lines are answers to these requests, one to each.
func wantIDs(t *testing.T, lines []string, want ...string) {
	t.Helper()
	var got []string
	for _, line := range lines {
		got = append(got, rawID(line))
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("the answers are to %q, want %q: %.500q", got, want, lines)
	}
}

// Told to stop, the bridge still writes the answers that are nearly there.
func TestEnd_ToldToStop(t *testing.T) {
	for name, before := range map[string]func(*host){
		"while the input is open":    func(*host) {},
		"after the end of the input": func(h *host) { h.in.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			inFakeTime(t, bridgetest.Config{Handle: answerAfter(300 * time.Millisecond)}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
				h := startHost(t, cfg)
				h.handshake("2025-11-25")
				h.send(`{"jsonrpc":"2.0","id":1,"method":"slow"}`)
				h.send(`{"jsonrpc":"2.0","id":2,"method":"never"}`)
				eventually(t, "the calls arrive", func() bool { return s.Count("slow")+s.Count("never") == 2 })
				before(h)
				time.Sleep(200 * time.Millisecond)
				start := time.Now()
				h.cancel()
				if err := h.err(); err != nil {
					t.Errorf("Run returned %v", err)
				}
				if took := time.Since(start); took > time.Second {
					t.Errorf("Run took %v to return", took)
				}
				if got := string(h.answer("1")); got != `{"jsonrpc":"2.0","id":1,"result":"slow"}` {
					t.Errorf("the answer to 1 is %s", got)
				}
				errorOf(t, h.answer("2"))
				wantSession(t, s)
			})
		})
	}
}

// S1: with nothing under way the end takes no time, be the GET stream open or not.
func TestS1_EndsAtOnce(t *testing.T) {
	for name, sc := range transports {
		for how, end := range map[string]func(*host){
			"end of input": func(h *host) { h.in.Close() },
			"told to stop": func(h *host) { h.cancel() },
		} {
			t.Run(name+"/"+how, func(t *testing.T) {
				inFakeTime(t, sc, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
					h := startHost(t, cfg)
					h.handshake("2025-11-25")
					if sc.Stream || sc.HTTPSSE {
						eventually(t, "the stream opens", func() bool { return s.Streams() == 1 })
					}
					time.Sleep(time.Minute)
					start := time.Now()
					end(h)
					if err := h.err(); err != nil {
						t.Errorf("Run returned %v", err)
					}
					if took := time.Since(start); took > 0 {
						t.Errorf("Run took %v to return", took)
					}
					wantSession(t, s)
				})
			})
		}
	}
}

// S1: a server that says nothing, wherever it does so, does not keep the bridge alive, and every
// request has its answer.
func TestS1_ServerHangs(t *testing.T) {
	for _, at := range []string{"initialize", "notifications/initialized", "DELETE", "GET", "ping", "notifications/x"} {
		for how, end := range map[string]func(*host){
			"end of input": func(h *host) { h.in.Close() },
			"told to stop": func(h *host) { h.cancel() },
		} {
			t.Run(at+"/"+how, func(t *testing.T) {
				inFakeTime(t, bridgetest.Config{Stream: true, Handle: func(_ http.ResponseWriter, r *bridgetest.Request) bool {
					if r.String() == at {
						<-r.Context().Done()
					}
					return r.String() == at
				}}, func(t *testing.T, _ *bridgetest.Server, cfg bridge.Config) {
					h := startHost(t, cfg)
					h.send(initialize(`"i"`, "2025-11-25"))
					h.send(initialized)
					h.send(`{"jsonrpc":"2.0","method":"notifications/x"}`)
					h.send(`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`)
					h.send(`{"jsonrpc":"2.0","id":2,"method":"ping"}`)
					h.send(`{"jsonrpc":"2.0","method":"notifications/x"}`)
					start := time.Now()
					end(h)
					if err := h.err(); err != nil {
						t.Errorf("Run returned %v", err)
					}
					if took := time.Since(start); took > longestEnd {
						t.Errorf("Run took %v to return", took)
					}
					wantIDs(t, h.end(), `"i"`, "1", "2")
				})
			})
		}
	}
}

// S1: so does a server that can't be connected to.
func TestS1_NoConnection(t *testing.T) {
	inFakeTime(t, bridgetest.Config{}, func(t *testing.T, _ *bridgetest.Server, cfg bridge.Config) {
		cfg.HTTPClient.Transport.(*http.Transport).DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		h := startHost(t, cfg)
		h.send(initialize("0", "2025-11-25"))
		time.Sleep(time.Second)
		start := time.Now()
		h.in.Close()
		if err := h.err(); err != nil {
			t.Errorf("Run returned %v", err)
		}
		if took := time.Since(start); took > longestEnd {
			t.Errorf("Run took %v to return", took)
		}
		errorOf(t, h.answer("0"))
	})
}

// S1: a host that is alive, but does not read any more, does not keep the bridge alive either.
func TestS1_HostDoesNotRead(t *testing.T) {
	t.Parallel()
	for how, end := range map[string]func(*host){
		"end of input": func(h *host) { h.in.Close() },
		"told to stop": func(h *host) { h.cancel() },
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			h, s := startWith(t, bridgetest.Config{Handle: answerAfter(0)}, bridge.Config{}, "2025-11-25")
			h.pause()
			for _, id := range []string{"1", "2", "3", "4"} {
				h.send(`{"jsonrpc":"2.0","id":` + id + `,"method":"slow"}`)
			}
			h.send(`{"jsonrpc":"2.0","id":5,"method":"never"}`)
			eventually(t, "the calls arrive", func() bool { return s.Count("slow")+s.Count("never") == 5 })
			start := time.Now()
			end(h)
			await(t, "Run returns", h.ended)
			if took := time.Since(start); took > longestEnd+time.Second { // the machine may be slow
				t.Errorf("Run took %v to return", took)
			}
			wantSession(t, s)
		})
	}
}

// A server that refuses to end the session, or has none, is no failure, and neither is a host that
// says nothing: then the server isn't asked anything at all.
func TestEnd_Goodbye(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusMethodNotAllowed, http.StatusNotFound, http.StatusInternalServerError, http.StatusNoContent} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			h, s := startWith(t, bridgetest.Config{Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
				if r.String() == http.MethodDelete {
					w.WriteHeader(status)
				}
				return r.String() == http.MethodDelete
			}}, bridge.Config{}, "2025-11-25")
			if got, err := h.end(), h.err(); err != nil || len(got) > 0 || s.Count("DELETE") != 1 {
				t.Errorf("Run returned %v and wrote %q; the server got %v", err, got, s.Requests())
			}
		})
	}
	t.Run("no session", func(t *testing.T) {
		t.Parallel()
		h, s := startWith(t, bridgetest.Config{Stateless: true}, bridge.Config{}, "2025-11-25")
		if err := h.end(); h.err() != nil || s.Count("DELETE") != 0 {
			t.Errorf("Run returned %v; the server got %v", err, s.Requests())
		}
	})
	t.Run("no input", func(t *testing.T) {
		t.Parallel()
		h, s := startWith(t, bridgetest.Config{}, bridge.Config{}, "")
		h.sendRaw([]byte("\n\n"))
		if got, err := h.end(), h.err(); err != nil || len(got) > 0 || len(s.Requests()) > 0 {
			t.Errorf("Run returned %v and wrote %q; the server got %v", err, got, s.Requests())
		}
	})
}

// Notifications that the host has sent arrive, one after the other, before the session ends.
func TestEnd_NotificationsArrive(t *testing.T) {
	inFakeTime(t, bridgetest.Config{Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
		if r.Method == "notifications/x" {
			time.Sleep(time.Second / 2)
		}
		return false
	}}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
		h := startHost(t, cfg)
		h.handshake("2025-11-25")
		var want []string
		for _, n := range []string{"1", "2", "3", "4"} {
			want = append(want, `{"jsonrpc":"2.0","method":"notifications/x","params":{"n":`+n+`}}`)
			h.send(want[len(want)-1])
		}
		if got := h.end(); len(got) > 0 {
			t.Errorf("this came: %q", got)
		}
		if got := bodies(s, "notifications/x"); !slices.Equal(got, want) {
			t.Errorf("the server got\n%q, want\n%q", got, want)
		}
		wantSession(t, s)
	})
}

// A host that closed its end is told to Run's caller, and the server that it is over.
func TestEnd_OutputFails(t *testing.T) {
	t.Parallel()
	for name, sc := range transports {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sc.Handle = answerAfter(0)
			h, s := startWith(t, sc, bridge.Config{}, "2025-11-25")
			h.send(`{"jsonrpc":"2.0","id":1,"method":"never"}`)
			eventually(t, "the call arrives", func() bool { return s.Count("never") == 1 })
			h.out.Close()
			h.send(`{"jsonrpc":"2.0","id":2,"method":"ping"}`)
			if err := h.err(); !errors.Is(err, bridge.ErrOutputClosed) || !errors.Is(err, io.ErrClosedPipe) {
				t.Errorf("Run returned %v, want ErrOutputClosed and why", err)
			}
			wantSession(t, s)
		})
	}
}

// An input that fails ends the bridge as its end does, and Run says why.
func TestEnd_InputFails(t *testing.T) {
	t.Parallel()
	h, s := startWith(t, bridgetest.Config{Handle: answerAfter(100 * time.Millisecond)}, bridge.Config{}, "2025-11-25")
	h.send(`{"jsonrpc":"2.0","id":1,"method":"slow"}`)
	cause := errors.New("the terminal is gone")
	h.in.CloseWithError(cause)
	if err := h.err(); !errors.Is(err, cause) {
		t.Errorf("Run returned %v, want %v", err, cause)
	}
	if got := string(h.answer("1")); got != `{"jsonrpc":"2.0","id":1,"result":"slow"}` {
		t.Errorf("the answer is %s", got)
	}
	wantSession(t, s)
}

// When Run returns only what waits for input is left, and what comes then goes nowhere.
func TestEnd_NothingIsLeft(t *testing.T) {
	t.Parallel()
	h, s := startWith(t, bridgetest.Config{Stream: true, Handle: answerAfter(0)}, bridge.Config{}, "2025-11-25")
	h.send(`{"jsonrpc":"2.0","id":1,"method":"never"}`)
	eventually(t, "the call and the stream arrive", func() bool { return s.Count("never") == 1 && s.Streams() == 1 })
	h.cancel()
	<-h.ended
	// One that has just said that it is done still has to return.
	for deadline := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		left := slices.DeleteFunc(bridgeGoroutines(h.number), func(stack string) bool {
			return !strings.Contains(stack, "mcp-bridge/bridge.") || strings.Contains(stack, "bridge.readLines")
		})
		if len(left) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("this is left:\n%s", strings.Join(left, "\n\n"))
		}
	}
	n := len(s.Requests())
	h.send(`{"jsonrpc":"2.0","id":2,"method":"ping"}`)
	h.send(`{"jsonrpc":"2.0","method":"notifications/x"}`)
	h.in.Close()
	errorOf(t, h.answer("1"))
	if rest := h.end(); len(rest) > 0 || len(s.Requests()) > n {
		t.Errorf("after the end the host got %q, the server %v", rest, s.Requests()[n:])
	}
}

// A Config that can't work is refused without touching input or output.
func TestRunRefusesConfig(t *testing.T) {
	t.Parallel()
	err := bridge.Run(context.Background(), nil, nil, bridge.Config{URL: "http://[::1"})
	if err == nil || !strings.Contains(err.Error(), "URL") {
		t.Errorf("Run returned %v", err)
	}
}
