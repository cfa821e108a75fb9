package authtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Protect puts a handler behind the server's guard. See Guard.
func (s *Server) Protect(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.Guard(w, r) {
			h.ServeHTTP(w, r)
		}
	})
}

// Guard stands before an MCP server. It lets requests with one of the authorization server's
// tokens through, if the token is for this resource, and returns false. It answers all others
// itself, as well as those for the resource's metadata, and returns true. One server can guard
// any number of resources, each on an origin of its own. It goes into a bridgetest.Config:
//
//	Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool { return s.Guard(w, r.Request) }
func (s *Server) Guard(w http.ResponseWriter, r *http.Request) bool {
	cfg := s.config()
	isMetadata := slices.Contains(cfg.resourceMetadataAt(), r.URL.Path)
	if cfg.AtResource && !isMetadata && strings.TrimSuffix(r.URL.Path, "/") != cfg.endpoint() {
		s.ServeHTTP(w, r)
		return true
	}
	if s.fault(w, r) {
		return true
	}
	doc := cfg.resourceMetadata(r, s.url)
	switch {
	case isMetadata:
		writeJSON(w, http.StatusOK, doc)
		return true
	case strings.HasPrefix(r.URL.Path, "/.well-known/"):
		http.NotFound(w, r)
		return true
	}

	scheme, sent, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	bearer := strings.EqualFold(scheme, "Bearer")
	if sent == "" || !bearer && !(strings.EqualFold(scheme, "DPoP") && (cfg.DPoP || cfg.DPoPRequired)) {
		cfg.challenge(w, r, http.StatusUnauthorized, "", cfg.ChallengeScope, "")
		return true
	}
	t, trouble := s.check(sent, fmt.Sprint(doc["resource"]), cfg)
	if trouble != "" {
		cfg.challenge(w, r, http.StatusUnauthorized, "invalid_token", cfg.ChallengeScope, trouble)
		return true
	}
	if err := s.checkPossession(w, r, scheme, sent, &t, cfg); err != nil {
		cfg.challenge(w, r, http.StatusUnauthorized, err.code, cfg.ChallengeScope, err.description)
		return true
	}
	if missing := cfg.missingScope(r, t.scope); missing != "" {
		cfg.challenge(w, r, http.StatusForbidden, "insufficient_scope", missing, "the token lacks a scope")
		return true
	}
	return false
}

// check returns an access token that is good for a resource, or what is wrong with it.
func (s *Server) check(sent, resource string, cfg *Config) (t token, trouble string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.tokens[sent]
	switch {
	case found == nil || found.refresh:
		return t, "unknown token"
	case found.revoked || found.grant.revoked:
		return t, "revoked token"
	case time.Now().After(found.expires):
		return t, "expired token"
	case cfg.IDTokens && !found.id:
		return t, "not an ID token"
	case found.grant.resource == resource:
	case found.grant.resource == "" && cfg.ResourceOptional:
	default:
		return t, "wrong audience" // spec 4.95
	}
	return *found, ""
}

// missingScope returns the scope that a tool call wants and the token doesn't have.
func (c *Config) missingScope(r *http.Request, scope string) string {
	if len(c.ToolScopes) == 0 || r.Method != http.MethodPost {
		return ""
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return "" // the one behind the guard will notice
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	var message struct {
		Params struct {
			Name string `json:"name"`
		} `json:"params"`
	}
	_ = json.Unmarshal(body, &message) // what can't be read calls no tool
	if want := c.ToolScopes[message.Params.Name]; !scopesIn(want, scope) {
		return want
	}
	return ""
}

// challenge refuses a request (RFC 6750 3, RFC 9728 5.1).
func (c *Config) challenge(w http.ResponseWriter, r *http.Request, status int, code, scope, description string) {
	metadata := ""
	if at := c.resourceMetadataAt(); len(at) > 0 {
		metadata = origin(r) + at[0]
	}
	var params []string
	for _, p := range [][2]string{{"resource_metadata", metadata}, {"error", code}, {"error_description", description}, {"scope", scope}} {
		if p[1] != "" {
			params = append(params, fmt.Sprintf("%s=%q", p[0], p[1]))
		}
	}
	header := strings.TrimSpace("Bearer " + strings.Join(params, ", "))
	switch algorithms := fmt.Sprintf("algs=%q", strings.Join(proofAlgorithms(), " ")); {
	case c.DPoPRequired || strings.Contains(code, "dpop"):
		header = "DPoP " + strings.Join(append(params, algorithms), ", ")
	case c.DPoP:
		header += ", DPoP " + algorithms // RFC 9449 7.2
	}
	if c.Challenge != "" && status == http.StatusUnauthorized {
		header = strings.ReplaceAll(c.Challenge, "{metadata}", metadata)
	}
	if !c.NoChallenge || status != http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", header)
	}
	writeJSON(w, status, map[string]any{"error": code, "error_description": description})
}
