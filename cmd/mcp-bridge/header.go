package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
)

// The errors of this file never show a value, and a name only if it is a valid one: with a colon
// forgotten or misplaced, anything may be part of a secret.

// addHeader adds a header written as "Name: value" or "Name:value" to h. In the value, ${VAR}
// stands for an environment variable; a $ that begins no such reference stands for itself.
func addHeader(h http.Header, s string) error { return parseHeader(h, s, expandVariables) }

// addPlainHeader is addHeader for a value in which a $ is nothing but a $.
func addPlainHeader(h http.Header, s string) error {
	return parseHeader(h, s, func(value string) (string, error) { return value, nil })
}

func parseHeader(h http.Header, s string, expand func(string) (string, error)) error {
	name, value, ok := strings.Cut(s, ":")
	if !ok {
		return errors.New("a header has to look like NAME: VALUE, with a colon")
	}
	name = strings.TrimSpace(name)
	if name == "" {
		return errors.New("the header has no name")
	}
	for _, c := range name {
		if !isTokenChar(c) {
			return fmt.Errorf("%q can't be part of a header's name", c)
		}
	}
	value, err := expand(value)
	if err != nil {
		return fmt.Errorf("header %s: %w", name, err)
	}
	value = strings.TrimSpace(value)
	for _, c := range value {
		if c < ' ' && c != '\t' || c == 0x7f {
			return fmt.Errorf("header %s: the value has a line break or another control character in it", name)
		}
	}
	h.Add(name, value)
	return nil
}

// addHeaderLines adds the headers in text, one a line. Blank lines and those that begin with #
// are skipped.
func addHeaderLines(h http.Header, text string) error {
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if err := addHeader(h, line); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	return nil
}

// readHeaderFile adds the headers in the named file to h.
func readHeaderFile(h http.Header, name string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if err := addHeaderLines(h, strings.TrimPrefix(string(text), "\ufeff")); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// An unsetError names a variable that is referred to and not set.
type unsetError string

func (e unsetError) Error() string { return "the environment variable " + string(e) + " is not set" }

// expandVariables replaces each ${VAR} in s by the environment variable VAR. What comes from a
// variable is not expanded again.
func expandVariables(s string) (string, error) {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(s, "${")
		name, after, closed := strings.Cut(rest, "}")
		if !ok || !closed {
			b.WriteString(s)
			return b.String(), nil
		}
		value, set := os.LookupEnv(name)
		switch {
		case name == "":
			value = "${}"
		case !set:
			return "", unsetError(name)
		}
		b.WriteString(before)
		b.WriteString(value)
		s = after
	}
}

// isTokenChar tells whether c may be part of a token (RFC 9110 section 5.6.2).
func isTokenChar(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		strings.ContainsRune("!#$%&'*+-.^_`|~", c)
}
