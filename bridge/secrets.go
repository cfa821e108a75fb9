package bridge

import (
	"cmp"
	"context"
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
)

const (
	shortestSecret = 8        // bytes; what is shorter is no secret, and too common in other text
	longestQuoted  = 64 << 10 // bytes of a server's text that are looked at for an excerpt
	mostSecrets    = 256      // of those that come and go: session ids and tokens, the latest
)

// secrets are the strings that may not appear in an error or a log, though a server may repeat what
// it was sent: header values, credentials, what the URL's query says, session ids.
type secrets struct {
	mu       sync.RWMutex
	values   []string // in the order in which they came
	fixed    int      // how many of them, the first ones, are the user's
	replacer *strings.Replacer
}

func newSecrets(header http.Header, at *url.URL) *secrets {
	s := &secrets{}
	s.addHeader(header)
	s.addURL(at)
	s.fixed = len(s.values)
	return s
}

// addHeader adds the values of a request's headers, but for those that are no secret.
func (s *secrets) addHeader(header http.Header) {
	for name, values := range header {
		switch name {
		case "Accept", "Accept-Encoding", "Content-Length", "Content-Type", "Host", "Last-Event-Id", "User-Agent":
			continue
		}
		if strings.HasPrefix(name, "Mcp-") { // of these, the session id is added elsewhere
			continue
		}
		s.addValues(values)
	}
}

// addValues adds header values, and what follows the scheme in them.
func (s *secrets) addValues(values []string) {
	for _, value := range values {
		_, credential, _ := strings.Cut(value, " ")
		s.add(value, credential)
	}
}

// addURL adds what is secret in a URL.
func (s *secrets) addURL(u *url.URL) {
	s.add(u.RawQuery)
	for _, values := range u.Query() {
		s.add(values...)
	}
	if u.User != nil {
		password, _ := u.User.Password()
		s.add(password, u.User.String(), base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password)))
	}
}

// add adds secrets. Of those that come and go the oldest give way: a server may have no end of them.
func (s *secrets) add(values ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.values)
	for _, value := range values {
		if len(value) >= shortestSecret && !slices.Contains(s.values, value) {
			s.values = append(s.values, value)
		}
	}
	if len(s.values) == before && s.replacer != nil {
		return
	}
	if more := len(s.values) - s.fixed - mostSecrets; more > 0 {
		s.values = slices.Delete(s.values, s.fixed, s.fixed+more)
	}
	// Where one is part of another, the longer one goes first.
	longest := slices.SortedStableFunc(slices.Values(s.values), func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	var pairs []string
	for _, value := range longest {
		pairs = append(pairs, value, "[hidden]")
	}
	s.replacer = strings.NewReplacer(pairs...)
}

func (s *secrets) hide(text string) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.replacer.Replace(text)
}

// excerpt returns the gist of a server's text without secrets. They are hidden before the text is
// shortened, or a part of one could be left.
func (s *secrets) excerpt(body []byte, contentType string) string {
	text := strings.ToValidUTF8(string(body[:min(len(body), longestQuoted)]), "\uFFFD")
	return gist(s.hide(text), contentType)
}

// A hidingHandler hides secrets from a log.
type hidingHandler struct {
	slog.Handler
	secrets *secrets
}

func (h hidingHandler) Handle(ctx context.Context, r slog.Record) error {
	clean := slog.NewRecord(r.Time, r.Level, h.secrets.hide(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		switch v := a.Value.Any().(type) {
		case string:
			a.Value = slog.StringValue(h.secrets.hide(v))
		case error:
			a.Value = slog.StringValue(h.secrets.hide(v.Error()))
		}
		clean.AddAttrs(a)
		return true
	})
	return h.Handler.Handle(ctx, clean)
}
