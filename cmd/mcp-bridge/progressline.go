package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// A progressLine shows how far a call is, on one line of a terminal. The nil progressLine shows nothing.
type progressLine struct {
	out   io.Writer
	what  string
	begun time.Time
	stop  chan struct{}
	done  chan struct{} // closed when nothing more is written

	mu     sync.Mutex
	said   string // by the server
	shown  int    // how many characters there are to clear
	paused bool
}

// newProgressLine returns nil unless out is a terminal.
func newProgressLine(out io.Writer, what string) *progressLine {
	if !isTerminal(out) {
		return nil
	}
	return startProgressLine(out, what)
}

func startProgressLine(out io.Writer, what string) *progressLine {
	p := &progressLine{out: out, what: oneLine(what), begun: time.Now(), stop: make(chan struct{}), done: make(chan struct{})}
	go func() { // ends with close
		defer close(p.done)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				p.show()
			case <-p.stop:
				return
			}
		}
	}()
	return p
}

// isTerminal tells whether a reader or writer is a terminal.
func isTerminal(v any) bool {
	f, ok := v.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// take takes the params of a progress notification.
func (p *progressLine) take(params json.RawMessage) {
	if p == nil {
		return
	}
	p.mu.Lock()
	p.said = progressText(params)
	p.mu.Unlock()
	p.show()
}

// progressText puts a progress notification into words.
func progressText(params json.RawMessage) string {
	var progress struct {
		Progress float64
		Total    float64
		Message  string
	}
	if json.Unmarshal(params, &progress) != nil {
		return ""
	}
	text := ": " + strconv.FormatFloat(progress.Progress, 'f', -1, 64)
	if progress.Total > 0 {
		text += " of " + strconv.FormatFloat(progress.Total, 'f', -1, 64)
	}
	if progress.Message != "" {
		text += ", " + progress.Message
	}
	return oneLine(text)
}

// longestLine is how many characters are shown, so that the line does not wrap on a small terminal.
const longestLine = 72

func (p *progressLine) show() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.paused {
		return
	}
	line := fmt.Sprintf("%s (%d s)", shorten(p.what+p.said, longestLine), int(time.Since(p.begun).Seconds()))
	length := utf8.RuneCountInString(line)
	fmt.Fprint(p.out, "\r", line, strings.Repeat(" ", max(p.shown-length, 0)))
	p.shown = length
}

// pause takes the line away, so that something else can be written, until it is called with false.
func (p *progressLine) pause(on bool) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown > 0 {
		fmt.Fprint(p.out, "\r", strings.Repeat(" ", p.shown), "\r")
	}
	p.shown, p.paused = 0, on
}

// close takes the line away for good.
func (p *progressLine) close() {
	if p == nil {
		return
	}
	close(p.stop)
	<-p.done
	p.pause(true)
}
