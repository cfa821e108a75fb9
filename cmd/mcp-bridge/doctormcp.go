package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"

	"mcp-bridge/auth"
)

const (
	// doctorRevision is the protocol revision that the doctor asks for.
	doctorRevision = "2025-11-25"

	// mostPages bounds how many pages of a list are counted.
	mostPages = 100
)

// A sessionTap is a RoundTripper that watches the session.
type sessionTap struct {
	base http.RoundTripper

	mu      sync.Mutex
	opened  bool            // the server gave a session id
	ended   int             // HTTP status of the DELETE, 0 if there was none
	refused *auth.Challenge // of the last 403 for want of a scope
}

func (s *sessionTap) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := s.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened = s.opened || resp.Header.Get("Mcp-Session-Id") != ""
	if req.Method == http.MethodDelete {
		s.ended = resp.StatusCode
	}
	if resp.StatusCode == http.StatusForbidden && resp.Request != nil {
		_, token, _ := strings.Cut(resp.Request.Header.Get("Authorization"), " ")
		if ch := auth.ReadChallenge(resp.Header, token); ch.Error == "insufficient_scope" {
			s.refused = &ch
		}
	}
	return resp, nil
}

// takeRefusal returns the last refusal, once.
func (s *sessionTap) takeRefusal() *auth.Challenge {
	s.mu.Lock()
	defer s.mu.Unlock()
	refused := s.refused
	s.refused = nil
	return refused
}

// A serverSight is what an initialize request brought.
type serverSight struct {
	Revision     string                     `json:"protocolVersion"`
	Capabilities map[string]json.RawMessage `json:"capabilities"`
	Info         struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	} `json:"serverInfo"`
}

// A listSight is what was seen of a list.
type listSight struct {
	offered, more bool
	count, pages  int
	err           error
	refused       *auth.Challenge // why, if it is for want of a scope
}

// checkMCP speaks MCP with the server through a bridge, as a host would, and leaves no session behind.
func (c *checkup) checkMCP(ctx context.Context, client *http.Client, log *slog.Logger) {
	lists := []string{stepTools, stepPrompts, stepResources}
	if why := c.whyNoMCP(); why != "" {
		c.skip(why, append([]string{stepProtocol, stepSession}, lists...)...)
		return
	}
	tap := &sessionTap{base: c.transport(client)}
	cfg := c.o.bridgeConfig(&http.Client{Transport: tap, Jar: client.Jar}, log)
	cfg.KeepAlive, cfg.ResponseTimeout = 0, c.answerTimeout()
	ctx, cancel := context.WithTimeout(ctx, 2*c.answerTimeout()) // some begin an answer, and do not end it
	defer cancel()
	host := startDoctorHost(ctx, cfg)
	var server serverSight
	err := host.request("initialize", map[string]any{"protocolVersion": doctorRevision, "capabilities": struct{}{},
		"clientInfo": map[string]any{"name": "mcp-bridge doctor", "version": versionText()}}, &server)
	seen := make(map[string]listSight)
	if err == nil {
		err = host.send(map[string]any{"method": "notifications/initialized"})
	}
	if err == nil {
		for _, list := range lists {
			one := countList(host, list, server.Capabilities)
			one.refused = tap.takeRefusal()
			seen[list] = one
		}
	}
	endErr := host.close()
	if err != nil {
		c.failProtocol(err)
		c.skip("the server does not answer initialize", append([]string{stepSession}, lists...)...)
		return
	}
	c.ok(stepProtocol, map[string]any{"revision": server.Revision, "server": server.Info.Name, "server_version": server.Info.Version},
		"revision %s, server %s", shortened(server.Revision), shortened(server.Info.Name+" "+server.Info.Version))
	c.checkSession(tap, endErr)
	for _, list := range lists {
		c.checkList(list, seen[list])
	}
}

// whyNoMCP returns why there is no sense in speaking MCP with the server, "" if there is.
func (c *checkup) whyNoMCP() string {
	login := c.look.Login
	switch {
	case c.result(stepHTTP) == checkSkipped:
		return "there is no connection"
	case c.result(stepHTTP) == checkError:
		return "the server does not answer as an MCP server"
	case !c.look.Wanted || login.Usable() && !c.o.hasAuthorization():
		return ""
	case c.o.hasAuthorization():
		return "the server refuses the Authorization header that you give"
	case login.Refusal != nil:
		return "the server refuses the token that is kept"
	case login.Expired && login.Refreshable:
		return "the token has to be renewed first, which a doctor does not do; --login signs in anew"
	}
	return "you have to sign in first; --login does"
}

func (c *checkup) failProtocol(err error) {
	advice := "this is the server's answer to a host's first message: tell those who run it"
	facts := map[string]any{}
	if failed, ok := errors.AsType[*answerError](err); ok {
		facts["code"] = failed.Code
		if failed.Data.HTTPStatus != 0 {
			facts["status"] = failed.Data.HTTPStatus
		}
	}
	c.fail(stepProtocol, advice, facts, "no answer to initialize: %s", shortened(err.Error()))
}

func (c *checkup) checkSession(tap *sessionTap, err error) {
	tap.mu.Lock()
	opened, ended := tap.opened, tap.ended
	tap.mu.Unlock()
	facts := map[string]any{"kept": opened}
	if ended != 0 {
		facts["end_status"] = ended
	}
	switch {
	case err != nil:
		c.warn(stepSession, "a host would have to start the bridge anew when this happens", facts, "%s", shortened(err.Error()))
	case !opened:
		c.ok(stepSession, facts, "the server keeps none")
	case ended == http.StatusMethodNotAllowed:
		c.ok(stepSession, facts, "kept by the server, which lets nobody end it")
	case ended/100 == 2:
		c.ok(stepSession, facts, "opened, and ended")
	case ended == 0:
		c.warn(stepSession, "", facts, "opened; the server did not answer to its end")
	default:
		c.warn(stepSession, "", facts, "opened; its end was answered with HTTP %d", ended)
	}
}

// countList reads a list to its end, if the server offers it.
func countList(host *doctorHost, list string, capabilities map[string]json.RawMessage) listSight {
	var seen listSight
	if _, seen.offered = capabilities[list]; !seen.offered {
		return seen
	}
	cursor := ""
	for seen.pages < mostPages {
		params := map[string]any{}
		if cursor != "" {
			params["cursor"] = cursor
		}
		var page map[string]json.RawMessage
		if seen.err = host.request(list+"/list", params, &page); seen.err != nil {
			return seen
		}
		var items []json.RawMessage
		if err := json.Unmarshal(page[list], &items); err != nil {
			seen.err = fmt.Errorf("there are no %s in the answer", list)
			return seen
		}
		seen.pages++
		seen.count += len(items)
		last := cursor
		cursor = ""
		_ = json.Unmarshal(page["nextCursor"], &cursor) // null and missing are the end
		if cursor == "" || cursor == last {
			return seen
		}
	}
	seen.more = true
	return seen
}

func (c *checkup) checkList(list string, seen listSight) {
	facts := map[string]any{"count": seen.count, "pages": seen.pages}
	switch {
	case !seen.offered:
		c.ok(list, nil, "not offered")
	case seen.err != nil && seen.refused != nil:
		c.refusedList(list, seen.refused)
	case seen.err != nil:
		c.fail(list, "the server says that it has them, and does not list them: tell those who run it", facts, "%s/list fails: %s", list, shortened(seen.err.Error()))
	case seen.more:
		c.warn(list, "hosts will hardly use so many", facts, "more than %d, on more than %d pages", seen.count, seen.pages)
	case seen.pages > 1:
		c.ok(list, facts, "%d, on %d pages", seen.count, seen.pages)
	default:
		c.ok(list, facts, "%d", seen.count)
	}
}

// refusedList says that a list is refused for want of a scope. The relay then has the user sign in for
// that, unless the login has it already.
func (c *checkup) refusedList(list string, ch *auth.Challenge) {
	facts := map[string]any{"scope": ch.Scope}
	var has []string
	if r := c.look.Login.Record; r != nil {
		has = strings.Fields(r.Scope)
	}
	missing := slices.DeleteFunc(strings.Fields(ch.Scope), func(scope string) bool { return slices.Contains(has, scope) })
	if c.o.hasAuthorization() || !c.look.Wanted || len(missing) == 0 {
		c.fail(list, "the token may be for somebody who may not do that; ask those who run the server", facts, "%s/list is refused%s", list, challengeWords(ch))
		return
	}
	c.warn(list, "you are asked to sign in for it when a host needs it", facts, "%s/list needs the scope %s, which the login does not have", list, shortened(strings.Join(missing, " ")))
}
