package bridge_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"mcp-bridge/bridge"
	"mcp-bridge/bridge/bridgetest"
)

// What must not be seen in any answer of the bridge's, in its log, or in its error.
const (
	secretToken   = "tok-5f1c0ffee5f1c0ffee"
	secretKey     = "key-0123456789abcdef"
	secretQuery   = "query-fedcba9876543210"
	secretUser    = "user-aaaabbbbcccc"
	secretPass    = "pass-ddddeeeeffff"
	secretSession = "session-11112222-3333"
)

// secretsIn returns the secrets that text holds, in the forms in which a server may repeat them.
func secretsIn(text string) []string {
	var found []string
	basic := base64.StdEncoding.EncodeToString([]byte(secretUser + ":" + secretPass))
	for _, secret := range []string{secretToken, secretKey, secretQuery, secretUser, secretPass, secretSession, basic} {
		if strings.Contains(text, secret) {
			found = append(found, secret)
		}
	}
	return found
}

// echo says what a careless server says of a request that it does not like.
func echo(r *bridgetest.Request) string {
	return fmt.Sprintf("bad request %s Authorization=%s X-Api-Key=%s session=%s", r.URL, r.Header.Get("Authorization"), r.Header.Get("X-Api-Key"), r.Header.Get("Mcp-Session-Id"))
}

// startSecret starts a host whose URL, headers and session are secret.
func startSecret(t *testing.T, sc bridgetest.Config, bc bridge.Config) (*host, *bridgetest.Server) {
	t.Helper()
	s := bridgetest.NewServer(sc)
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	u.RawQuery = "key=" + secretQuery
	if bc.Header == nil { // an Authorization header of the user's wins over the URL's
		u.User = url.UserPassword(secretUser, secretPass)
		bc.Header = http.Header{"X-Api-Key": {secretKey}}
	}
	bc.URL = u.String()
	return startHost(t, bc), s
}

// checkSecrets ends the bridge and looks at all that can be seen of it.
func checkSecrets(t *testing.T, h *host, lines ...string) {
	t.Helper()
	lines = append(lines, h.others...)
	lines = append(lines, h.end()...)
	if found := secretsIn(strings.Join(lines, "\n")); found != nil {
		t.Errorf("answers hold %q: %q", found, lines)
	}
	if found := secretsIn(h.logs()); found != nil {
		t.Errorf("the log holds %q", found)
	}
	if err := h.err(); err != nil && secretsIn(err.Error()) != nil {
		t.Errorf("the error holds a secret: %v", err)
	}
}

// A server that repeats what it was sent gives nothing away, however it does so.
func TestSecretsThatTheServerRepeats(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(http.ResponseWriter, *bridgetest.Request){
		"400 with text": func(w http.ResponseWriter, r *bridgetest.Request) { answerWith(w, 400, "text/plain", echo(r)) },
		"500 with JSON": func(w http.ResponseWriter, r *bridgetest.Request) {
			answerWith(w, 500, "application/json", fmt.Sprintf(`{"error":%q}`, echo(r)))
		},
		"502 with HTML": func(w http.ResponseWriter, r *bridgetest.Request) {
			answerWith(w, 502, "text/html", "<title>"+echo(r)+"</title>")
		},
		"404 for the session": func(w http.ResponseWriter, r *bridgetest.Request) {
			answerWith(w, 404, "text/plain", "no session "+r.Header.Get("Mcp-Session-Id"))
		},
		"200 with text":    func(w http.ResponseWriter, r *bridgetest.Request) { answerWith(w, 200, "text/plain", echo(r)) },
		"200 with no JSON": func(w http.ResponseWriter, r *bridgetest.Request) { answerJSON(w, echo(r)) },
		"200 with other JSON": func(w http.ResponseWriter, r *bridgetest.Request) {
			answerJSON(w, fmt.Sprintf(`{"echo":%q}`, echo(r)))
		},
		"200 for another id": func(w http.ResponseWriter, r *bridgetest.Request) {
			answerJSON(w, fmt.Sprintf(`{"jsonrpc":"2.0","id":99,"result":%q}`, echo(r)))
		},
		"an odd event": func(w http.ResponseWriter, r *bridgetest.Request) { answerEvents(w, "data: "+echo(r)+"\n\n") },
		"a JSON event": func(w http.ResponseWriter, r *bridgetest.Request) {
			answerEvents(w, fmt.Sprintf("data: {\"echo\":%q}\n\n", echo(r)))
		},
		"a content type": func(w http.ResponseWriter, r *bridgetest.Request) {
			answerWith(w, 200, "text/plain; echo="+r.Header.Get("X-Api-Key"), "x")
		},
		"a content type of 500": func(w http.ResponseWriter, r *bridgetest.Request) {
			answerWith(w, 500, "x/"+r.Header.Get("X-Api-Key"), "x")
		},
		"a redirect": func(w http.ResponseWriter, r *bridgetest.Request) {
			w.Header().Set("Location", "http://"+secretUser+":"+secretPass+"@elsewhere.example/?key="+secretQuery+"&"+r.Header.Get("X-Api-Key"))
			w.WriteHeader(307)
		},
		"a redirect to a path": func(w http.ResponseWriter, r *bridgetest.Request) {
			w.Header().Set("Location", "http://elsewhere.example/"+r.Header.Get("X-Api-Key"))
			w.WriteHeader(307)
		},
		"a broken redirect": func(w http.ResponseWriter, r *bridgetest.Request) {
			w.Header().Set("Location", "http://[::1/"+echo(r))
			answerWith(w, 307, "text/plain", echo(r))
		},
		"the reason phrase": func(w http.ResponseWriter, r *bridgetest.Request) {
			c, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer c.Close()
			fmt.Fprintf(rw, "HTTP/1.1 500 %s\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", r.Header.Get("X-Api-Key"))
			rw.Flush()
		},
		"no HTTP": func(w http.ResponseWriter, r *bridgetest.Request) {
			c, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer c.Close()
			fmt.Fprintf(rw, "%s\r\n\r\n", echo(r))
			rw.Flush()
		},
		"at the edge of what is quoted": func(w http.ResponseWriter, r *bridgetest.Request) {
			answerWith(w, 400, "text/plain", strings.Repeat("x", 200-len(secretKey))+r.Header.Get("X-Api-Key"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, method := range []string{"initialize", "tools/call", "GET", "notifications/x", "DELETE"} {
				h, s := startSecret(t, bridgetest.Config{Stream: true, Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
					if r.Method == "initialize" {
						w.Header().Set("Mcp-Session-Id", secretSession)
					}
					switch r.String() {
					case method:
						answer(w, r)
					case "initialize":
						r.Answer(w, `{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"s","version":"1"}}`)
					case "GET":
						w.WriteHeader(405)
					default:
						if r.ID == nil {
							w.WriteHeader(202)
						} else {
							r.Answer(w, `{}`)
						}
					}
					return true
				}}, bridge.Config{})
				h.send(initialize("1", "2025-11-25"))
				lines := []string{string(h.answer("1"))}
				h.send(initialized)
				h.send(`{"jsonrpc":"2.0","method":"notifications/x"}`)
				h.send(callEcho("2"))
				lines = append(lines, string(h.answer("2")))
				if method != "initialize" {
					eventually(t, "the GET stream is asked for", func() bool { return countHTTP(s, "GET") > 0 })
				}
				if method == "GET" { // give it time to be logged
					h.send(callEcho("3"))
					h.answer("3")
				}
				checkSecrets(t, h, lines...)
			}
		})
	}
}

// No part of a secret is shown because the rest was cut off.
func TestSecretsAreNotCutInHalf(t *testing.T) {
	t.Parallel()
	shown := 0
	for _, shift := range []int{4, 9, 14, 19} {
		h, _ := startSecret(t, bridgetest.Config{Stateless: true, Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
			answerWith(w, 400, "text/plain", strings.Repeat("x", 200-shift)+r.Header.Get("X-Api-Key")+" and more")
			return true
		}}, bridge.Config{Transport: bridge.TransportHTTP})
		h.send(listTools("1"))
		seen := string(h.answer("1")) + h.logs()
		for n := 8; n <= len(secretKey); n++ {
			if strings.Contains(seen, secretKey[:n]) {
				shown = max(shown, n)
			}
		}
		h.end()
	}
	if shown > 0 {
		t.Errorf("%d characters of %d of the key are shown", shown, len(secretKey))
	}
}

// The token of an Authorization header is hidden without its scheme too.
func TestSecretsOfAuthorization(t *testing.T) {
	t.Parallel()
	h, _ := startSecret(t, bridgetest.Config{Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
		answerWith(w, 400, "text/plain", "invalid token "+strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		return true
	}}, bridge.Config{Header: http.Header{"Authorization": {"Bearer " + secretToken}}})
	h.send(initialize("1", "2025-11-25"))
	line := wantFailure(t, h, "1", "invalid token")
	checkSecrets(t, h, line)
}

// What HTTP itself has to say gives nothing away either.
func TestSecretsInNetworkErrors(t *testing.T) {
	t.Parallel()
	secure := httptest.NewUnstartedServer(nil)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	with := func(base string) string {
		return strings.Replace(base, "://", "://"+secretUser+":"+secretPass+"@", 1) + "/mcp?key=" + secretQuery
	}
	for name, address := range map[string]string{
		"refused":      with("http://" + nobodyAt(t)),
		"no such host": with("http://no-such-host.invalid"),
		"unknown CA":   with(secure.URL),
		"plain to TLS": with(strings.Replace(secure.URL, "https", "http", 1)),
		"bad port":     with("http://127.0.0.1:99999"),
		"bad scheme":   with("ftp://127.0.0.1"),
	} {
		for _, transport := range []bridge.Transport{bridge.TransportAuto, bridge.TransportSSE} {
			t.Run(name+", "+string(transport), func(t *testing.T) {
				t.Parallel()
				h := startHost(t, bridge.Config{URL: address, Transport: transport, Header: http.Header{"X-Api-Key": {secretKey}}})
				h.send(initialize("1", "2025-11-25"))
				checkSecrets(t, h, string(h.answer("1")))
			})
		}
	}
}

// A URL that can't be read is not repeated.
func TestSecretsInABrokenURL(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"http://" + secretUser + ":" + secretPass + "@[::1/mcp?key=" + secretQuery,
		"http://127.0.0.1:x/mcp?key=" + secretQuery,
		"http://127.0.0.1/%zz?key=" + secretQuery,
		":" + secretQuery,
		"http://127.0.0.1/\x7f" + secretQuery,
	} {
		err := bridge.Run(context.Background(), strings.NewReader(""), &strings.Builder{}, bridge.Config{URL: address})
		if err != nil && secretsIn(err.Error()) != nil {
			t.Errorf("the error holds a secret: %v", err)
		}
	}
}

// An HTTP+SSE server gets no secrets out of the bridge either.
func TestSecretsOverHTTPSSE(t *testing.T) {
	t.Parallel()
	for name, handle := range map[string]func(http.ResponseWriter, *bridgetest.Request) bool{
		"refused": func(w http.ResponseWriter, r *bridgetest.Request) bool {
			answerWith(w, 403, "text/plain", echo(r))
			return true
		},
		"endpoint elsewhere": func(w http.ResponseWriter, r *bridgetest.Request) bool {
			r.Events(w).Raw("event: endpoint\ndata: http://" + secretUser + ":" + secretPass + "@elsewhere.example/m?key=" + secretQuery + "\n\n")
			return true
		},
		"endpoint broken": func(w http.ResponseWriter, r *bridgetest.Request) bool {
			r.Events(w).Raw("event: endpoint\ndata: http://[::1/m?key=" + secretQuery + "\n\n")
			return true
		},
		"POST refused": func(w http.ResponseWriter, r *bridgetest.Request) bool {
			if r.Request.Method == http.MethodPost {
				answerWith(w, 400, "text/plain", echo(r))
				return true
			}
			r.Events(w).Raw("event: endpoint\ndata: /m?key=" + secretQuery + "\n\n")
			<-r.Context().Done()
			return true
		},
		"odd events": func(w http.ResponseWriter, r *bridgetest.Request) bool {
			r.Events(w).Raw("data: " + echo(r) + "\n\ndata: {\"echo\":\"" + r.Header.Get("X-Api-Key") + "\"}\n\n")
			return true
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, _ := startSecret(t, bridgetest.Config{Handle: handle}, bridge.Config{Transport: bridge.TransportSSE})
			h.send(initialize("1", "2025-11-25"))
			checkSecrets(t, h, string(h.answer("1")))
		})
	}
}
