package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
)

// flushTimeout bounds how long the end of the program waits for the log to be read.
const flushTimeout = 500 * time.Millisecond

// levels has the name that --log-level knows a level by, and the word that stands in the log.
var levels = []struct {
	name, word string
	level      slog.Level
}{
	{"error", "error", slog.LevelError},
	{"warn", "warning", slog.LevelWarn},
	{"info", "info", slog.LevelInfo},
	{"debug", "debug", slog.LevelDebug},
}

// notice is the level of what a person has to know now, such as where to sign in. It is above all
// that --log-level can name. It is written as it is: an address must not be altered.
const notice = slog.LevelError + 4

func (o *options) setLogLevel(s string) error {
	for _, l := range levels {
		if l.name == s {
			o.logLevel = l.level
			return nil
		}
	}
	return errors.New("must be error, warn, info or debug")
}

func (o *options) setLogFile(name string) error {
	f, err := openLogFile(name, longestLog)
	if err != nil {
		return err
	}
	o.logFile = f
	return nil
}

// newLogger returns a logger that writes to stderr, and to the file that --log-file names. It
// never blocks. Call flush before the program ends; it takes no longer than flushTimeout.
func newLogger(o *options, stderr io.Writer) (log *slog.Logger, flush func()) {
	o.redactor = newRedactor(o.secrets())
	h := &logHandler{level: o.logLevel, redactor: o.redactor}
	h.to = append(h.to, newLineQueue(stderr, func(time.Time) string { return "mcp-bridge: " }))
	if o.logFile != nil {
		pid := os.Getpid() // several bridges may share the file
		h.to = append(h.to, newLineQueue(o.logFile, func(t time.Time) string {
			return fmt.Sprintf("%s mcp-bridge[%d]: ", t.Format(time.RFC3339), pid)
		}))
	}
	log = slog.New(h)
	for _, w := range o.warnings {
		log.Warn(w)
	}
	return log, func() {
		timeout := time.After(flushTimeout)
		for _, q := range h.to {
			q.close(timeout)
		}
	}
}

// A logHandler is a [slog.Handler] that writes lines for people: "warning: text key=value".
type logHandler struct {
	level    slog.Level
	redactor *redactor
	to       []*lineQueue
	attrs    string // " key=value" for each attribute from WithAttrs
	group    string // "name." for each name from WithGroup
}

func (h *logHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level }

func (h *logHandler) Handle(_ context.Context, r slog.Record) error {
	line := oneLine(r.Message)
	if r.Level < notice {
		line = word(r.Level) + ": " + oneLine(h.redactor.Replace(r.Message)) + h.attrs
	}
	r.Attrs(func(a slog.Attr) bool {
		line += h.format(h.group, a)
		return true
	})
	for _, q := range h.to {
		q.put(r.Time, line)
	}
	return nil
}

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	for _, a := range attrs {
		with.attrs += h.format(h.group, a)
	}
	return &with
}

func (h *logHandler) WithGroup(name string) slog.Handler {
	with := *h
	if name != "" {
		with.group += name + "."
	}
	return &with
}

// format returns " key=value" for an attribute, and for all within it if it is a group.
func (h *logHandler) format(group string, a slog.Attr) string {
	a.Value = a.Value.Resolve()
	if a.Equal(slog.Attr{}) {
		return ""
	}
	if a.Value.Kind() == slog.KindGroup {
		if a.Key != "" {
			group += a.Key + "."
		}
		var all string
		for _, member := range a.Value.Group() {
			all += h.format(group, member)
		}
		return all
	}
	value := h.redactor.Replace(a.Value.String())
	if value == "" || strings.ContainsFunc(value, func(c rune) bool {
		return c == ' ' || c == '"' || c == '=' || !unicode.IsPrint(c)
	}) {
		value = strconv.Quote(value)
	}
	return " " + group + a.Key + "=" + value
}

// word returns what the log calls a level.
func word(level slog.Level) string {
	for _, l := range levels {
		if level >= l.level {
			return l.word
		}
	}
	return "debug"
}

// secrets returns what the log must not show: the values of headers, passwords, the client's secret,
// and the query of the URL, where some servers expect a key.
func (o *options) secrets() []string {
	all := []string{o.auth.clientSecret}
	for _, given := range []http.Header{o.header, o.headerFile, o.configHeader} {
		all = append(all, headerSecrets(given)...)
	}
	target, _ := url.Parse(o.url) // has been parsed before
	for _, u := range []*url.URL{target, o.proxy} {
		if u != nil {
			password, _ := u.User.Password()
			escaped := url.UserPassword("", password).String()[1:]
			all = append(all, password, escaped, u.RawQuery)
		}
	}
	return all
}

// headerSecrets returns the values of headers, and what follows the scheme in "Bearer credentials".
func headerSecrets(header http.Header) []string {
	var all []string
	for _, values := range header {
		for _, v := range values {
			_, credentials, _ := strings.Cut(v, " ")
			all = append(all, v, credentials)
		}
	}
	return all
}

// A redactor hides secrets, as they are and as %q writes them. A secret of up to three characters
// is none: to hide it would only make the log unreadable. Its methods may be called concurrently.
type redactor struct {
	mu       sync.Mutex
	secrets  []string
	replacer atomic.Pointer[strings.Replacer]
}

func newRedactor(secrets []string) *redactor {
	r := new(redactor)
	r.add(secrets)
	return r
}

// add adds secrets that have come up only now.
func (r *redactor) add(secrets []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range secrets {
		if len(s) > 3 && !slices.Contains(r.secrets, s) {
			r.secrets = append(r.secrets, s)
		}
	}
	slices.SortFunc(r.secrets, func(a, b string) int { return len(b) - len(a) }) // the longest first
	var pairs []string
	for _, s := range r.secrets {
		quoted := strconv.Quote(s)
		pairs = append(pairs, s, "[secret]", quoted[1:len(quoted)-1], "[secret]")
	}
	r.replacer.Store(strings.NewReplacer(pairs...))
}

func (r *redactor) Replace(text string) string { return r.replacer.Load().Replace(text) }
