package bridgetest

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// An eventLog keeps the events of a stream, so that a client that lost the connection can go on
// where it left off. Event n has the id NAME.n.
type eventLog struct {
	name   string
	idLast bool // the id stands behind the data, which is as good

	mu      sync.Mutex
	events  []string
	closed  bool
	changed chan struct{} // closed, and replaced, when anything of the above changes
}

func newEventLog(name string, idLast int) *eventLog {
	return &eventLog{name: name, idLast: idLast > 0, changed: make(chan struct{})}
}

// splitEventID returns the log and the number of an event.
func splitEventID(id string) (name string, n int) {
	name, number, _ := strings.Cut(id, ".")
	n, _ = strconv.Atoi(number)
	return name, n
}

// add adds an event with a message, raw one with these fields.
func (l *eventLog) add(message string) { l.raw("event: message\ndata: " + message + "\n\n") }

func (l *eventLog) raw(fields string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	id := fmt.Sprintf("id: %s.%d\n", l.name, len(l.events))
	if l.idLast {
		fields = strings.TrimSuffix(fields, "\n") + id + "\n"
	} else {
		fields = id + fields
	}
	l.events = append(l.events, fields)
	l.change()
}

// close tells that there will be no more events.
func (l *eventLog) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.change()
}

func (l *eventLog) change() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// after returns the events from the nth on, whether that is all, and a channel that is closed when
// there is news.
func (l *eventLog) after(n int) (events []string, closed bool, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.events[min(n, len(l.events)):], l.closed, l.changed
}

// until returns the first n events as a log of their own, which is closed.
func (l *eventLog) until(n int) *eventLog {
	events, _, _ := l.after(0)
	return &eventLog{name: l.name, events: events[:n], closed: true}
}

// A logWriter is a ResponseWriter that puts messages, or events of one message each, into a log.
type logWriter struct {
	log    *eventLog
	header http.Header
}

func (w *logWriter) Header() http.Header {
	if w.header == nil {
		w.header = make(http.Header)
	}
	return w.header
}

func (w *logWriter) WriteHeader(int) {}
func (w *logWriter) Flush()          {}

func (w *logWriter) Write(p []byte) (int, error) {
	message := strings.TrimSuffix(strings.TrimPrefix(string(p), "event: message\ndata: "), "\n\n")
	w.log.add(message)
	return len(p), nil
}
