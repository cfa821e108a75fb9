package bridge

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestClip(t *testing.T) {
	for _, tt := range []struct {
		text string
		n    int
		want string
	}{
		{"", 10, ""},
		{"short", 10, "short"},
		{"exactly 10", 10, "exactly 10"},
		{"eleven byte", 10, "eleven …"},
		{" a\r\n\tb\x00\u2028c\u00a0 ", 20, "a b c"},
		{"a\x1b[2J\u009b2J\u202eb\u2066c", 40, "a [2J 2J b c"},
		{"ééééé", 10, "ééééé"},
		{"éééééé", 10, "ééé…"},
		{"a😀😀", 8, "a😀…"},
		{"a😀😀", 7, "a…"},
		{"😀😀", 5, "…"},
	} {
		if got := clip(tt.text, tt.n); got != tt.want {
			t.Errorf("clip(%q, %d) is %q, want %q", tt.text, tt.n, got, tt.want)
		}
	}
}

// What is clipped is short enough, on one line, of whole characters, and begins as the text does.
func FuzzClip(f *testing.F) {
	f.Add("some\ntext", uint(7))
	f.Add("😀😀\u2028😀", uint(9))
	f.Fuzz(func(t *testing.T, text string, n uint) {
		limit := 3 + int(n%500)
		got := clip(text, limit)
		if len(got) > limit || strings.ContainsAny(got, "\r\n\u2028\u0085") || utf8.ValidString(text) && !utf8.ValidString(got) {
			t.Errorf("clip(%q, %d) is %q", text, limit, got)
		}
		if whole := clip(text, len(text)); !strings.HasPrefix(whole, strings.TrimSuffix(got, "…")) {
			t.Errorf("clip(%q, %d) is %q", text, limit, got)
		}
	})
}

func TestExcerpt(t *testing.T) {
	long := strings.Repeat("long ", 100)
	for name, tt := range map[string]struct{ body, kind, want string }{
		"plain":              {"bad\n gateway", "text/plain", "bad gateway"},
		"JSON":               {`{"message": "slow down"}`, "application/json", `{"message": "slow down"}`},
		"nothing":            {"", "", ""},
		"title":              {"<!doctype html><html><head><title>\n 502 Bad &amp; Gateway </title></head><body><h1>nginx</h1></body></html>", "text/html; charset=utf-8", "502 Bad & Gateway"},
		"heading":            {`<body><H1 class="x">Not <b>here</b></H1><p>more</p>`, "Text/HTML", "Not here"},
		"neither":            {"<html><body><p>Some</p><p>words</p></body></html>", "text/html", "Some words"},
		"a page in disguise": {"  <html><title>Login</title></html>", "application/json", "Login"},
		"HTML in name only":  {"just words", "text/html", "just words"},
		"no UTF-8":           {"caf\xe9", "text/plain", "caf�"},
		"long":               {long, "text/plain", long[:197] + "…"},
	} {
		if got := excerptOf(tt.body, tt.kind); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
	if got := excerptOf(strings.Repeat("é\n", 1<<20), ""); len(got) > longestExcerpt || !utf8.ValidString(got) {
		t.Errorf("of two megabytes %q", got)
	}
}

func excerptOf(body, contentType string) string {
	return newSecrets(nil, &url.URL{}).excerpt([]byte(body), contentType)
}

func TestMediaType(t *testing.T) {
	for header, want := range map[string]string{
		"application/json":                  "application/json",
		"Application/JSON; Charset=UTF-8":   "application/json",
		" text/event-stream ;charset=utf-8": "text/event-stream",
		"":                                  "",
		";":                                 "",
	} {
		if got := mediaType(header); got != want {
			t.Errorf("%q: %q, want %q", header, got, want)
		}
	}
}

// Header values, and the credentials in them, are hidden wherever they turn up.
func TestSecrets(t *testing.T) {
	s := newSecrets(http.Header{
		"Authorization": {"Bearer secret-token-1"},
		"X-Keys":        {"secret-token-1-longer", "another-secret"},
		"X-Tenant":      {"acme"},
	}, &url.URL{})
	for text, want := range map[string]string{
		"nothing here":                           "nothing here",
		"got Bearer secret-token-1!":             "got [hidden]!",
		"got 'secret-token-1'":                   "got '[hidden]'",
		"secret-token-1-longer":                  "[hidden]",
		"secret-token-1secret-token-1":           "[hidden][hidden]",
		"another-secret and secret-token-1, too": "[hidden] and [hidden], too",
		"acme is known to everybody":             "acme is known to everybody",
	} {
		if got := s.hide(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
	if got := newSecrets(nil, &url.URL{}).hide("as it is"); got != "as it is" {
		t.Errorf("without secrets: %q", got)
	}
}
