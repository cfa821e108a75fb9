package bridge

import (
	"html"
	"regexp"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

const (
	longestExcerpt = 200 // bytes of a server's text that an error quotes
	longestError   = 480 // bytes of an error message
)

// clip shortens text to at most n bytes, whole characters, on one line.
func clip(text string, n int) string {
	text = strings.Join(strings.FieldsFunc(text, func(c rune) bool { return unicode.IsSpace(c) || isControl(c) }), " ")
	if len(text) <= n {
		return text
	}
	n -= len("…")
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n] + "…"
}

// isControl tells whether a character controls the terminal that it is shown on, or puts what follows it
// in another order.
func isControl(c rune) bool {
	return unicode.IsControl(c) || '\u202a' <= c && c <= '\u202e' || '\u2066' <= c && c <= '\u2069'
}

var (
	htmlHeading = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?is)<(title|h1)[^>]*>(.*?)</`) })
	htmlTag     = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?s)<[^>]*>`) })
)

// gist returns what a server's text says, on one line: of a web page its title.
func gist(text, contentType string) string {
	if isHTML(contentType) || strings.HasPrefix(strings.TrimSpace(text), "<") {
		if m := htmlHeading().FindStringSubmatch(text); m != nil {
			text = m[2]
		}
		text = html.UnescapeString(htmlTag().ReplaceAllString(text, " "))
	}
	return clip(text, longestExcerpt)
}

func isHTML(contentType string) bool { return mediaType(contentType) == "text/html" }

// mediaType returns the media type of a Content-Type header: without parameters, in lower case
// (spec 2.04).
func mediaType(contentType string) string {
	kind, _, _ := strings.Cut(contentType, ";")
	return strings.ToLower(strings.TrimSpace(kind))
}
