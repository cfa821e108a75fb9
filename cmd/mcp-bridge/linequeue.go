package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// queueLength is how many lines a lineQueue keeps for a reader that is slow.
const queueLength = 1024

// A lineQueue writes lines to a writer that may block, such as a standard error that nobody
// reads, and never blocks itself. When the queue is full, lines are dropped and counted.
type lineQueue struct {
	head  func(time.Time) string // what each line begins with
	lines chan string
	done  chan struct{} // closed when everything is written

	mu      sync.Mutex
	dropped int  // lines since the last one that found room
	closed  bool // and lines with it
}

func newLineQueue(w io.Writer, head func(time.Time) string) *lineQueue {
	q := &lineQueue{head: head, lines: make(chan string, queueLength), done: make(chan struct{})}
	// Ends when close has been called, or with the program if w blocks for good.
	go func() {
		defer close(q.done)
		for line := range q.lines {
			_, _ = io.WriteString(w, line) // there is nowhere to complain
		}
	}()
	return q
}

// put queues a line.
func (q *lineQueue) put(t time.Time, line string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	line = q.head(t) + line + "\n"
	if q.dropped > 0 {
		line = q.head(t) + fmt.Sprintf("warning: %d lines of the log were dropped here, as nobody read them\n", q.dropped) + line
	}
	select {
	case q.lines <- line:
		q.dropped = 0
	default:
		q.dropped++
	}
}

// close ends the queue, and waits until all lines are written or timeout fires.
func (q *lineQueue) close(timeout <-chan time.Time) {
	q.mu.Lock()
	q.closed = true
	close(q.lines)
	q.mu.Unlock()
	select {
	case <-q.done:
	case <-timeout:
	}
}
