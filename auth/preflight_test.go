package auth_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"mcp-bridge/auth"
	"mcp-bridge/auth/authtest"
)

// isPreflight tells our look at the authorization endpoint from a browser's.
func isPreflight(r *authtest.Request) bool {
	return r.URL.Path == "/authorize" && !strings.HasPrefix(r.Header.Get("Accept"), "text/html")
}

// back answers with a redirect to the client.
func back(w http.ResponseWriter, r *authtest.Request, params url.Values) {
	if !params.Has("state") {
		params.Set("state", r.Form.Get("state"))
	}
	w.Header().Set("Location", r.Form.Get("redirect_uri")+"?"+params.Encode())
	w.WriteHeader(http.StatusFound)
}

// status answers with a status and a reason.
func status(code int) func(http.ResponseWriter, *authtest.Request) {
	return func(w http.ResponseWriter, _ *authtest.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		fmt.Fprint(w, `{"error":"some_error","error_description":"The server's words"}`)
	}
}

// The table of what the authorization endpoint may say in advance, cell by cell: each answer for each
// kind of client.
func TestPreflight(t *testing.T) {
	t.Parallel()
	const (
		opens   = "the browser opens, and the sign-in works"
		stale   = "a fresh client takes the place of the stale one, and the sign-in works"
		unknown = "ErrClientNotFound with the server's words, and no browser"
		refused = "an AuthorizationError with the server's words, and no browser"
	)
	const document = "https://app.example/client.json"
	columns := []string{"cached", "fresh after stale", "static", "document"}
	for _, row := range []struct {
		name   string
		answer func(w http.ResponseWriter, r *authtest.Request)
		want   [4]string // by column
		words  string    // of the server, in an error
	}{
		{"200", status(200), [4]string{opens, opens, opens, opens}, ""},
		{"web page", func(w http.ResponseWriter, _ *authtest.Request) { _, _ = io.WriteString(w, "<html>Sign in") }, [4]string{opens, opens, opens, opens}, ""},
		{"204", func(w http.ResponseWriter, _ *authtest.Request) { w.WriteHeader(204) }, [4]string{opens, opens, opens, opens}, ""},
		{"302 elsewhere", func(w http.ResponseWriter, r *authtest.Request) {
			w.Header().Set("Location", "/login?error=invalid_client&state="+url.QueryEscape(r.Form.Get("state")))
			w.WriteHeader(302)
		}, [4]string{opens, opens, opens, opens}, ""},
		{"302 without Location", func(w http.ResponseWriter, _ *authtest.Request) { w.WriteHeader(302) }, [4]string{opens, opens, opens, opens}, ""},
		{"302 back with a code", func(w http.ResponseWriter, r *authtest.Request) { back(w, r, url.Values{"code": {"x"}}) }, [4]string{opens, opens, opens, opens}, ""},
		{"302 back with error and another state", func(w http.ResponseWriter, r *authtest.Request) {
			back(w, r, url.Values{"error": {"invalid_client"}, "state": {"x"}})
		}, [4]string{opens, opens, opens, opens}, ""},
		{"302 back with invalid_client", func(w http.ResponseWriter, r *authtest.Request) {
			back(w, r, url.Values{"error": {"invalid_client"}, "error_description": {"The server's words"}, "iss": {"http://" + r.Host}})
		}, [4]string{stale, unknown, unknown, unknown}, "invalid_client: The server's words"},
		{"302 back with unauthorized_client", func(w http.ResponseWriter, r *authtest.Request) {
			back(w, r, url.Values{"error": {"unauthorized_client"}, "error_description": {"The server's words"}, "iss": {"http://" + r.Host}})
		}, [4]string{stale, unknown, unknown, unknown}, "unauthorized_client: The server's words"},
		{"302 back with access_denied", func(w http.ResponseWriter, r *authtest.Request) {
			back(w, r, url.Values{"error": {"access_denied"}, "error_description": {"The server's words"}, "iss": {"http://" + r.Host}})
		}, [4]string{refused, refused, refused, refused}, "access_denied: The server's words"},
		{"400", status(400), [4]string{stale, unknown, unknown, unknown}, "some_error: The server's words"},
		{"401", status(401), [4]string{stale, unknown, unknown, unknown}, "some_error: The server's words"},
		{"400 web page", func(w http.ResponseWriter, _ *authtest.Request) {
			w.WriteHeader(400)
			_, _ = io.WriteString(w, "<html><h1>Who?")
		}, [4]string{stale, unknown, unknown, unknown}, "400"},
		{"400 text", func(w http.ResponseWriter, _ *authtest.Request) {
			w.WriteHeader(400)
			_, _ = io.WriteString(w, "Unknown client, says the server")
		}, [4]string{stale, unknown, unknown, unknown}, "Unknown client, says the server"},
		{"403", status(403), [4]string{stale, opens, opens, opens}, ""},
		{"404", status(404), [4]string{stale, opens, opens, opens}, ""},
		{"429", status(429), [4]string{opens, opens, opens, opens}, ""},
		{"500", status(500), [4]string{stale, opens, opens, opens}, ""},
		{"503", status(503), [4]string{opens, opens, opens, opens}, ""},
		{"network error", func(http.ResponseWriter, *authtest.Request) { panic(http.ErrAbortHandler) }, [4]string{opens, opens, opens, opens}, ""},
	} {
		for i, column := range columns {
			t.Run(row.name+"/"+column, func(t *testing.T) {
				t.Parallel()
				var stop atomic.Bool      // what the first run got is let through
				var staleID atomic.Value  // the client that the cell is about, in the second column the one before it
				var answered atomic.Int32 // by the row's answer
				var lookedAt atomic.Int32 // pre-flights in all, after the first run
				staleID.Store("")
				f := setup(t, func(c *authtest.Config) {
					c.NoRefresh = true
					c.Clients = []authtest.Client{{ID: "stat1"}, {ID: document}}
					c.Handle = func(w http.ResponseWriter, r *authtest.Request) bool {
						if !stop.Load() || !isPreflight(r) {
							return false
						}
						lookedAt.Add(1)
						old := r.Form.Get("client_id") == staleID.Load().(string)
						switch {
						case column == "fresh after stale" && old:
							status(400)(w, r)
							return true
						case column == "cached" && !old: // the fresh one is fine
							return false
						}
						answered.Add(1)
						row.answer(w, r)
						return true
					}
				}, func(c *auth.Config) {
					switch column {
					case "static":
						c.ClientID = "stat1"
					case "document":
						c.ClientMetadataURL = document
					}
				})
				f.mustCall()
				registeredBefore := f.as.Registrations()
				staleID.Store(f.record().Client.ID)
				f.as.RevokeAll()
				stop.Store(true)
				f.again(nil)
				err := f.call()

				if answered.Load() == 0 {
					t.Errorf("there was no pre-flight to answer\n%s", f.story())
				}
				registered, tabs := f.as.Registrations()-registeredBefore, f.tabs()-1
				wantRegistered, wantTabs := 0, 0
				switch row.want[i] {
				case opens:
					wantTabs = 1
				case stale:
					wantRegistered, wantTabs = 1, 1
				}
				if column == "fresh after stale" {
					wantRegistered = 1
				}
				if registered != wantRegistered || tabs != wantTabs {
					t.Errorf("%d registrations, %d tabs; want %d, %d", registered, tabs, wantRegistered, wantTabs)
				}
				switch row.want[i] {
				case opens, stale:
					if err != nil {
						t.Errorf("call: %v\n%s", err, f.story())
					} else if rec := f.record(); rec.Token == nil || (rec.Client.ID == staleID.Load()) != (wantRegistered == 0) {
						t.Errorf("record: %+v", rec)
					}
				default:
					wantError(t, err, row.words)
					if !isUnsent(err) {
						t.Errorf("%v does not say that the request was not acted on", err)
					}
					if is := errors.Is(err, auth.ErrClientNotFound); is != (row.want[i] == unknown) {
						t.Errorf("ErrClientNotFound: %v, for %v", is, err)
					}
					if _, ok := errors.AsType[*auth.AuthorizationError](err); !ok {
						t.Errorf("%v is no AuthorizationError", err)
					}
					if column == "static" && row.want[i] == unknown && !strings.Contains(err.Error(), "stat1") {
						t.Errorf("%v does not name the client", err)
					}
				}
			})
		}
	}
}

// A client that was registered a moment ago, in a first sign-in, is not looked at in advance.
func TestPreflightOnlyForOldClients(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, nil)
	f.mustCall()
	if slices.ContainsFunc(f.as.Requests(), isPreflight) {
		t.Errorf("there was one: %q", f.asked())
	}
}

// The pre-flight takes the very page that the user is sent to, follows no redirect, and asks for a
// reason that can be read, of servers too that send a page to whoever takes one.
func TestPreflightRequest(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *authtest.Config) {
		c.NoRefresh = true
		c.Handle = func(w http.ResponseWriter, r *authtest.Request) bool {
			if isPreflight(r) {
				http.Redirect(w, r.Request, "/login", http.StatusFound)
				return true
			}
			return false
		}
	}, nil)
	f.mustCall()
	f.as.RevokeAll()
	f.again(nil)
	f.mustCall()
	if slices.Contains(f.asked(), "GET /login") {
		t.Error("it followed a redirect")
	}
	looks := slices.DeleteFunc(f.as.Requests(), func(r *authtest.Request) bool { return !isPreflight(r) })
	if len(looks) != 1 {
		t.Fatalf("%d pre-flights, want 1", len(looks))
	}
	look := looks[0]
	if page := f.browser.Opened()[1]; f.as.URL()+look.URL.RequestURI() != page {
		t.Errorf("looked at %s, opened %s", look.URL.RequestURI(), page)
	}
	if accept := look.Header.Get("Accept"); !strings.HasPrefix(accept, "application/json") {
		t.Errorf("Accept: %s", accept)
	}
	if look.Method != http.MethodGet || look.Header.Get("Authorization") != "" || look.Header.Get("Cookie") != "" {
		t.Errorf("%s with %v", look, look.Header)
	}
}

// Servers that show people a page, and programs the reason, have to see that a program asks: many
// look for nothing but "text/html".
func TestPreflightLearnsTheReason(t *testing.T) {
	t.Parallel()
	f := setup(t, nil, func(c *auth.Config) { c.ClientID = "stat1" })
	wantError(t, f.call(), "invalid_client", "Unrecognized client_id")
}
