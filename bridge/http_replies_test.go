package bridge_test

import (
	"net/http"
	"strings"
	"testing"

	"mcp-bridge/bridge"
	"mcp-bridge/bridge/bridgetest"
)

// Any 2xx settles a notification, whatever comes with it (spec 2.06); the handshake goes on.
func TestH3_RepliesToNotifications(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(w http.ResponseWriter){
		"200 empty":         func(w http.ResponseWriter) { w.WriteHeader(200) },
		"200 chunked empty": func(w http.ResponseWriter) { answerWith(w, 200, "application/json", "") },
		"200 null":          func(w http.ResponseWriter) { answerJSON(w, "null") },
		"200 HTML, empty":   func(w http.ResponseWriter) { answerWith(w, 200, "text/html", "") },
		"200 JSON-RPC":      func(w http.ResponseWriter) { answerJSON(w, `{"jsonrpc":"2.0","id":null,"result":{}}`) },
		"200 events":        func(w http.ResponseWriter) { answerEvents(w, ": nothing\n\n") },
		"200 half JSON":     func(w http.ResponseWriter) { answerJSON(w, `{"jsonrpc":`) },
		"202 text":          func(w http.ResponseWriter) { answerWith(w, 202, "text/plain", "ok") },
		"202, 1 MiB":        func(w http.ResponseWriter) { answerWith(w, 202, "text/plain", strings.Repeat("x", 1<<20)) },
		"204":               func(w http.ResponseWriter) { w.WriteHeader(204) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, s := startWith(t, bridgetest.Config{Stream: true, Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
				if r.Method != "notifications/initialized" {
					return false
				}
				answer(w)
				return true
			}}, bridge.Config{}, "2025-11-25")
			h.send(listTools("1"))
			wantResult(t, h, "1")
			eventually(t, "the GET stream opens", func() bool { return s.Streams() == 1 })
			wantNothingMore(t, h)
		})
	}
}

// Content types are compared without parameters and case (spec 2.04), and an answer is one whatever
// its type.
func TestH3_ContentTypes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ contentType, body string }{
		{"application/json", result("1")},
		{"Application/JSON; charset=utf-8", result("1")},
		{"application/json;charset=UTF-8", result("1")},
		{" application/json ; x=y", result("1")},
		{"text/event-stream;charset=UTF-8", "data: " + result("1") + "\n\n"},
		{"TEXT/Event-Stream; charset=utf-8", "data: " + result("1") + "\n\n"},
		{"text/event-stream ; x", "data: " + result("1") + "\n\n"},
		{"text/plain", result("1")},
		{"application/json-rpc", result("1")},
		{"text/html", result("1")},
		{"", result("1")},
	} {
		t.Run(tt.contentType, func(t *testing.T) {
			t.Parallel()
			for _, status := range []int{200, 201, 203} {
				h, _ := startWith(t, bridgetest.Config{Handle: once("tools/list", func(w http.ResponseWriter, r *bridgetest.Request) {
					answerWith(w, status, tt.contentType, tt.body)
				})}, bridge.Config{}, "2025-11-25")
				h.send(listTools("1"))
				if got := string(h.answer("1")); got != result("1") {
					t.Errorf("status %d: got %s, want %s", status, got, result("1"))
				}
				wantNothingMore(t, h)
			}
		})
	}
}

// A web page is told from an answer, and is not quoted at length.
func TestH11_WebPage(t *testing.T) {
	t.Parallel()
	page := "<!DOCTYPE html>\n<html><head><title>Sign in to\n ACME &amp; Co</title><script>var x = '" + strings.Repeat("secret", 200) + "'</script></head><body>" +
		strings.Repeat("<p>Lorem ipsum</p>", 1000) + "</body></html>"
	for name, tt := range map[string]struct {
		status      int
		contentType string
	}{
		"200":            {200, "text/html"},
		"200 with utf-8": {200, "Text/HTML; charset=utf-8"},
		"503":            {503, "text/html; charset=iso-8859-1"},
		"404":            {404, "text/html"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, _ := startWith(t, bridgetest.Config{Stateless: true, Handle: once("tools/list", func(w http.ResponseWriter, r *bridgetest.Request) {
				answerWith(w, tt.status, tt.contentType, page)
			})}, bridge.Config{}, "2025-11-25")
			h.send(listTools("1"))
			line := wantFailure(t, h, "1", "text/html", http.StatusText(tt.status), "web page", "Sign in to ACME & Co")
			if strings.ContainsAny(line, "<>") || strings.Contains(line, "Lorem") || strings.Contains(line, "secret") {
				t.Errorf("the answer holds HTML: %s", line)
			}
			h.send(listTools("2"))
			wantResult(t, h, "2")
			wantNothingMore(t, h)
		})
	}
}
