package bridge_test

import (
	"net/http"
	"strings"
	"testing"

	"mcp-bridge/bridge"
	"mcp-bridge/bridge/bridgetest"
)

// A server may take initialize and name a revision that has no handshake in the result: the servers of
// the official conformance suite do. It is asked whether it is of that revision, and the host, which could
// do nothing with it, gets one of its own.
func TestDetect_InitializeWithAModernVersion(t *testing.T) {
	t.Parallel()
	const sloppy = `{"resultType":"complete","protocolVersion":"2026-07-28","serverInfo":{"name":"s","version":"1"},"capabilities":{"tools":{}}}`
	for name, modern := range map[string]bool{"of that revision": true, "not of that revision": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, s := startWith(t, bridgetest.Config{Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
				switch {
				case r.Method == "initialize":
					r.Answer(w, sloppy)
				case r.Method == "server/discover" && modern:
					r.Answer(w, `{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"ttlMs":0,"cacheScope":"private","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s","version":"1"}}}`)
				case r.Method == "tools/list":
					r.Answer(w, `{"resultType":"complete","tools":[],"ttlMs":0,"cacheScope":"private"}`)
				default:
					return false
				}
				return true
			}}, bridge.Config{}, "")
			h.send(initialize("1", "2025-11-25"))
			answer := string(h.answer("1"))
			if !modern {
				if answer != `{"jsonrpc":"2.0","id":1,"result":`+sloppy+`}` {
					t.Errorf("initialize was answered %s, want what the server said", answer)
				}
				return
			}
			if !strings.Contains(answer, `"protocolVersion":"2025-11-25"`) {
				t.Errorf("initialize was answered %s", answer)
			}
			h.send(initialized)
			h.send(`{"jsonrpc":"2.0","id":2,"method":"tools/list"}`)
			if got := string(h.answer("2")); got != `{"jsonrpc":"2.0","id":2,"result":{"tools":[]}}` {
				t.Errorf("tools/list was answered %s", got)
			}
			for _, r := range s.Requests() {
				if r.Method == "tools/list" && r.Header.Get("Mcp-Method") != "tools/list" {
					t.Errorf("tools/list has the headers %v", r.Header)
				}
			}
		})
	}
}
