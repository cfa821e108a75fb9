package authtest

import (
	"bytes"
	"crypto/rand"
	_ "embed"
	"html/template"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"
)

//go:embed consent.html
var pageText string

// pages are parsed when the first is shown, not when the program starts.
var pages = sync.OnceValue(func() *template.Template { return template.Must(template.New("").Parse(pageText)) })

// A pending is a question on a consent page.
type pending struct {
	expires time.Time
	decide  func(w http.ResponseWriter, allow bool)
}

// ask shows the consent page. decide gets the user's answer, once.
func (s *Server) ask(w http.ResponseWriter, c *Client, g *grant, redirectURI, userCode string, decide func(http.ResponseWriter, bool)) {
	ticket := rand.Text()
	s.mu.Lock()
	now := time.Now()
	maps.DeleteFunc(s.pending, func(_ string, p *pending) bool { return now.After(p.expires) })
	maps.DeleteFunc(s.codes, func(_ string, k *code) bool { return now.After(k.expires) })
	s.pending[ticket] = &pending{now.Add(consentTime), decide}
	s.mu.Unlock()
	writePage(w, http.StatusOK, "consent", struct {
		Client, ClientID, Resource, RedirectURI, UserCode, Action, Ticket string
		Scopes                                                            []string
	}{c.title(), c.ID, g.resource, redirectURI, userCode, pathConsent, ticket, strings.Fields(g.scope)})
}

// consent takes the answer of the consent page. The ticket is what another site can't know, and
// what makes a second press of the button harmless.
func (s *Server) consent(w http.ResponseWriter, r *Request) {
	if err := http.NewCrossOriginProtection().Check(r.Request); err != nil {
		http.Error(w, "Forbidden", http.StatusForbidden)
		return
	}
	ticket, decision := r.PostForm.Get("ticket"), r.PostForm.Get("decision")
	if decision != "allow" && decision != "deny" {
		s.problem(w, r, "invalid_request", "There was no answer")
		return
	}
	s.mu.Lock()
	p := s.pending[ticket]
	delete(s.pending, ticket)
	s.mu.Unlock()
	if p == nil || time.Now().After(p.expires) {
		s.problem(w, r, "invalid_request", "This question has been answered already, or is too old")
		return
	}
	p.decide(w, decision == "allow")
}

// problem tells a browser, or a client that looks ahead, why it can't go on.
func (s *Server) problem(w http.ResponseWriter, r *Request, code, description string) {
	err := refuse(code, description)
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		writePage(w, http.StatusBadRequest, "problem", err.description)
		return
	}
	writeJSON(w, http.StatusBadRequest, map[string]any{"error": err.code, "error_description": err.description})
}

// writePage shows a page of consent.html.
func writePage(w http.ResponseWriter, status int, name string, data any) {
	var b bytes.Buffer
	if err := pages().ExecuteTemplate(&b, name, data); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	// No form-action: browsers hold redirects that answer a form to it, too.
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = b.WriteTo(w)
}
