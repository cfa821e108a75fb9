package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strings"
	"time"
)

// A checkResult is how a step of a checkup went.
type checkResult string

// The names in JSON. They and those of the steps and of a report's members stay as they are.
const (
	checkOK      checkResult = "ok"
	checkWarning checkResult = "warning" // it works, but not well, or not for long
	checkError   checkResult = "error"   // it can't work that way
	checkSkipped checkResult = "skipped" // a step before failed, or there is no need
)

// A checkStep is one thing that was looked at.
type checkStep struct {
	Step   string         `json:"step"`
	Result checkResult    `json:"result"`
	Seen   string         `json:"seen"`             // or why it was skipped
	Advice string         `json:"advice,omitempty"` // what to do
	Facts  map[string]any `json:"facts,omitempty"`  // the same for programs
}

// A checkReport is all that was seen of a server. It is fit for a bug report: no secret is in it.
type checkReport struct {
	Version int         `json:"version"` // of this layout
	Program string      `json:"program"`
	System  string      `json:"system"`
	Time    time.Time   `json:"time"`
	Server  string      `json:"server"`
	OK      bool        `json:"ok"` // no step is an error
	Steps   []checkStep `json:"steps"`

	redact func(string) string
}

func newCheckReport(o *options) *checkReport {
	return &checkReport{Version: 1, Program: "mcp-bridge " + versionText(), System: runtime.GOOS + "/" + runtime.GOARCH,
		Time: time.Now().UTC().Truncate(time.Second), Server: withoutSecrets(o.url), OK: true, redact: newRedactor(o.secrets()).Replace}
}

// add takes a step, with whatever is secret hidden.
func (r *checkReport) add(s checkStep) {
	s.Seen, s.Advice = oneLine(r.redact(s.Seen)), oneLine(r.redact(s.Advice))
	for name, value := range s.Facts {
		switch v := value.(type) {
		case string:
			s.Facts[name] = r.redact(v)
		case []string:
			hidden := make([]string, len(v)) // never null in JSON
			for i := range v {
				hidden[i] = r.redact(v[i])
			}
			s.Facts[name] = hidden
		}
	}
	r.OK = r.OK && s.Result != checkError
	r.Steps = append(r.Steps, s)
}

func (r *checkReport) ok(step string, facts map[string]any, format string, args ...any) {
	r.add(checkStep{Step: step, Result: checkOK, Seen: fmt.Sprintf(format, args...), Facts: facts})
}

func (r *checkReport) warn(step, advice string, facts map[string]any, format string, args ...any) {
	r.add(checkStep{step, checkWarning, fmt.Sprintf(format, args...), advice, facts})
}

func (r *checkReport) fail(step, advice string, facts map[string]any, format string, args ...any) {
	r.add(checkStep{step, checkError, fmt.Sprintf(format, args...), advice, facts})
}

func (r *checkReport) skip(why string, steps ...string) {
	for _, step := range steps {
		r.add(checkStep{Step: step, Result: checkSkipped, Seen: why})
	}
}

// result returns how a step went, "" if it was not come to.
func (r *checkReport) result(step string) checkResult {
	for _, s := range r.Steps {
		if s.Step == step {
			return s.Result
		}
	}
	return ""
}

// count returns how many steps went that way, and the first of them.
func (r *checkReport) count(result checkResult) (n int, first checkStep) {
	for _, s := range r.Steps {
		if s.Result == result {
			if n++; n == 1 {
				first = s
			}
		}
	}
	return n, first
}

func (r *checkReport) writeJSON(out io.Writer) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// checkTitles are the steps' names for people, where they differ.
var checkTitles = map[string]string{
	stepDNS: "name", stepTCP: "connection", stepTLS: "TLS", stepHTTP: "HTTP", stepPKCE: "PKCE", stepSignIn: "sign-in",
	stepResource: "resource metadata", stepServer: "authorization server", stepPage: "sign-in page",
}

func checkTitle(step string) string {
	if title := checkTitles[step]; title != "" {
		return title
	}
	return step
}

// A checkStyle is how results look.
type checkStyle struct {
	utf8, colour bool
}

var (
	utf8Marks  = map[checkResult]string{checkOK: "✓", checkWarning: "!", checkError: "✗", checkSkipped: "–"}
	asciiMarks = map[checkResult]string{checkOK: "ok  ", checkWarning: "warn", checkError: "FAIL", checkSkipped: "skip"}
	colours    = map[checkResult]string{checkOK: "\x1b[32m", checkWarning: "\x1b[33m", checkError: "\x1b[31m", checkSkipped: "\x1b[2m"}
)

// checkStyleFor returns the style for what out is, and the environment wants.
func checkStyleFor(out io.Writer, getenv func(string) string) checkStyle {
	return checkStyle{
		utf8:   speaksUTF8(getenv),
		colour: getenv("NO_COLOR") == "" && getenv("TERM") != "dumb" && isColourTerminal(out), // no-color.org
	}
}

// text returns s as the terminal can show it.
func (style checkStyle) text(s string) string {
	if style.utf8 {
		return s
	}
	return strings.Map(func(c rune) rune {
		if c > '~' {
			return '?'
		}
		return c
	}, strings.ReplaceAll(s, "…", "..."))
}

// writeText writes the report for a person.
func (r *checkReport) writeText(out io.Writer, style checkStyle) {
	const width = 21
	marks, arrow := asciiMarks, "->"
	if style.utf8 {
		marks, arrow = utf8Marks, "→"
	}
	for _, s := range r.Steps {
		mark := marks[s.Result]
		if style.colour {
			mark = colours[s.Result] + mark + "\x1b[0m"
		}
		seen := s.Seen
		if s.Result == checkSkipped {
			seen = "skipped: " + seen
		}
		fmt.Fprintf(out, "%s %-*s %s\n", mark, width, checkTitle(s.Step), style.text(seen))
		if s.Advice != "" {
			fmt.Fprintf(out, "%*s%s %s\n", len([]rune(marks[s.Result]))+width+2, "", arrow, style.text(s.Advice))
		}
	}
	errors, first := r.count(checkError)
	warnings, _ := r.count(checkWarning)
	fmt.Fprintf(out, "\n%s, %s, %s: ", r.Program, r.System, r.Server)
	switch {
	case errors > 0:
		fmt.Fprintf(out, "%s, %s; begin with this one: %s: %s\n", plural(errors, "problem"), plural(warnings, "warning"), checkTitle(first.Step), style.text(first.Seen))
	case warnings > 0:
		fmt.Fprintf(out, "no problem, %s\n", plural(warnings, "warning"))
	default:
		fmt.Fprint(out, "all is well\n")
	}
}

// plural returns "1 thing" or "2 things".
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// speaksUTF8 tells whether the terminal shows more than ASCII, as POSIX has it: the first of these
// variables that is set counts.
func speaksUTF8(getenv func(string) string) bool {
	if runtime.GOOS == "windows" {
		return true // its console takes any character, whatever the code page
	}
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if value := getenv(name); value != "" {
			value = strings.ToLower(value)
			return strings.Contains(value, "utf-8") || strings.Contains(value, "utf8")
		}
	}
	return false
}
