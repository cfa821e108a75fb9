package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// What a server says can't control the terminal it is shown on: no escape sequence, be it of one byte or of
// two, no line of its own, and no order of its own.
func TestTerminalIsNotControlled(t *testing.T) {
	const (
		start = "bad\x1b[2J\x1b]0;title\x07\u009b2J\u009d0;x\u009c\x00\x7f\r\u0085"
		turn  = "\u202eegrahc\u202c \u2066x\u2069"
	)
	quoted, err := json.Marshal(start + turn)
	if err != nil {
		t.Fatal(err)
	}
	var shown, logged bytes.Buffer
	showText(&shown, start+turn, "")
	log, flush := newLogger(&options{logLevel: slog.LevelDebug}, &logged)
	log.Warn(start+turn, "name", start+turn)
	tell(log, start+turn)
	flush()
	for name, text := range map[string]string{
		"a line":     oneLine(start + turn),
		"an excerpt": shortened(start + turn),
		"progress":   progressText(json.RawMessage(fmt.Sprintf(`{"progress":1,"message":%s}`, quoted))),
		"a text":     strings.TrimSuffix(shown.String(), "\n"),
		"the log":    strings.ReplaceAll(strings.TrimSuffix(logged.String(), "\n"), "\nmcp-bridge: ", " "),
	} {
		if !strings.Contains(text, "bad") || strings.ContainsFunc(text, isControl) {
			t.Errorf("%s: %q", name, text)
		}
	}
}
