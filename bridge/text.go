package bridge

import (
	"cmp"
	"html"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	longestExcerpt = 200 // bytes of a server's text that an error quotes
	longestError   = 480 // bytes of an error message
)

// clip shortens text to at most n bytes, whole characters, on one line.
func clip(text string, n int) string {
	text = strings.Join(strings.FieldsFunc(text, func(c rune) bool { return unicode.IsSpace(c) || unicode.IsControl(c) }), " ")
	if len(text) <= n {
		return text
	}
	n -= len("…")
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n] + "…"
}

var (
	htmlHeading = regexp.MustCompile(`(?is)<(title|h1)[^>]*>(.*?)</`)
	htmlTag     = regexp.MustCompile(`(?s)<[^>]*>`)
)

// excerpt returns the gist of a server's text: of a web page its title.
func excerpt(body []byte, contentType string) string {
	text := strings.ToValidUTF8(string(body[:min(len(body), 64<<10)]), "�")
	if isHTML(contentType) || strings.HasPrefix(strings.TrimSpace(text), "<") {
		if m := htmlHeading.FindStringSubmatch(text); m != nil {
			text = m[2]
		}
		text = html.UnescapeString(htmlTag.ReplaceAllString(text, " "))
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

// secrets are strings that may not appear in an error or a log, as a server may repeat what it
// was sent.
type secrets struct{ replacer *strings.Replacer }

// headerSecrets returns the values of the user's headers, and the credentials in them.
func headerSecrets(header http.Header) secrets {
	var found []string
	for _, values := range header {
		for _, value := range values {
			found = append(found, value)
			if _, credential, ok := strings.Cut(value, " "); ok {
				found = append(found, credential)
			}
		}
	}
	return secretsOf(found)
}

func secretsOf(found []string) secrets {
	found = slices.DeleteFunc(found, func(s string) bool { return len(s) < 8 })
	slices.SortFunc(found, func(a, b string) int { return cmp.Compare(len(b), len(a)) }) // the longest first
	var pairs []string
	for _, secret := range found {
		pairs = append(pairs, secret, "[hidden]")
	}
	return secrets{strings.NewReplacer(pairs...)}
}

func (s secrets) hide(text string) string { return s.replacer.Replace(text) }
