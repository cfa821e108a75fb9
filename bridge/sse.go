package bridge

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strconv"
	"sync"
	"time"
)

// unfinishedPause is how long an event whose data is a whole JSON text may lack its blank line,
// on a stream that stays open, before it is delivered all the same.
const unfinishedPause = 2 * time.Second

// An event is one server-sent event that carries data.
type event struct {
	name   string // "" stands for "message"
	data   []byte // valid until the next call of next; a line break can be appended without a copy
	broken bool   // the stream ended before its blank line, and it has no id so far
	over   *idFinder
	size   int64 // of the data; where it was over the limit, over is what is left of it
}

// An eventReader reads an event stream as the WHATWG HTML standard says ("Server-sent events";
// spec 2.68–2.71) but for one thing: the last event counts without its blank line if its data
// is a whole JSON text, as that is what servers mean by it.
type eventReader struct {
	// What a request to resume the stream needs: the last event id, and the reconnection time,
	// 0 as long as the server named none.
	id    string
	retry time.Duration

	events int // ended so far, those without data too

	ctx   context.Context // bounds the waiting for claim
	in    io.Reader
	limit int64  // bytes of data that are kept
	claim *claim // on the memory for long events

	// buf[pos:end] was read and not yet looked at, and holds no line end before scanned.
	buf               []byte
	pos, scanned, end int
	skipLF            bool // the last line ended in CR
	fresh             bool // at the start of the stream, where a byte order mark may stand
	err               error

	reading chan readResult // a Read under way on a goroutine of its own, see await
	paused  bool

	// The event being read.
	name, newID string
	hasID       bool
	lines       int   // of data
	size        int64 // of data
	inBuf       bool  // the data is one line so far, and stands in buf[from:to]
	from, to    int
	joined      []byte // the data otherwise
	over        *idFinder
}

type readResult struct {
	n   int
	err error
}

// An event that has so many times the limit, and so many times a MiB, counts as one without end, and is
// waited for no longer.
const endless = 8

// errEndless means that an event does not seem to end.
var errEndless = errors.New("an event of the stream does not end")

// errPause means that a whole event has waited long enough for its blank line.
var errPause = errors.New("the stream pauses inside an event")

func newEventReader(ctx context.Context, in io.Reader, limit int64, c *claim) *eventReader {
	return &eventReader{ctx: ctx, in: in, limit: limit, claim: c, buf: eventBuffers.Get().(*[readBuffer]byte)[:], fresh: true}
}

// eventBuffers are for the streams to come: most are read to the end in a moment.
var eventBuffers = sync.Pool{New: func() any { return new([readBuffer]byte) }}

// close gives the buffer back. What next has returned is not valid any more.
func (e *eventReader) close() {
	switch {
	case e.reading != nil: // and may write to it still
		e.claim.abandon()
	case len(e.buf) == readBuffer:
		eventBuffers.Put((*[readBuffer]byte)(e.buf))
	}
	e.buf = nil
}

// next returns the next event that has data. The error is io.EOF at a clean end,
// io.ErrUnexpectedEOF when the stream ended inside an event, else that of the reader.
func (e *eventReader) next() (event, error) {
	e.shed()
	for {
		from, to, err := e.line()
		if from < to && (err == nil || bytes.HasPrefix(e.buf[from:to], []byte("data:"))) { // half of another field is worth nothing
			e.field(from, to)
		} else if err == nil {
			if ev, ok := e.dispatch(); ok {
				return ev, nil
			}
		}
		if err == nil {
			continue
		}
		if e.over != nil || e.lines > 0 && wholeJSON(e.data()) {
			named := e.hasID
			if ev, ok := e.dispatch(); ok {
				ev.broken = err != errPause && !named
				return ev, nil // and err, if it was no pause, again at the next call
			}
		}
		if err == errPause {
			continue
		}
		if err == io.EOF && e.lines > 0 {
			err = io.ErrUnexpectedEOF
		}
		return event{}, err
	}
}

// wholeJSON tells whether b is a whole JSON text.
func wholeJSON(b []byte) bool {
	s := scanner{b: b}
	return s.value() && s.space() == 0 && s.i == len(b)
}

// field takes one line of an event, buf[from:to].
func (e *eventReader) field(from, to int) {
	name, value, _ := bytes.Cut(e.buf[from:to], []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(name) {
	case "data":
		e.add(to-len(value), to)
	case "event":
		if e.name = "message"; string(value) != e.name { // the usual one needs no copy
			e.name = string(value)
		}
	case "id":
		if bytes.IndexByte(value, 0) < 0 {
			e.newID, e.hasID = string(value), true
		}
	case "retry":
		if ms, err := strconv.ParseUint(string(value), 10, 31); err == nil {
			e.retry = time.Duration(ms) * time.Millisecond
		}
	}
}

// add takes a line of data. A single one stays where it is.
func (e *eventReader) add(from, to int) {
	if e.lines > 0 {
		e.size++ // the line break between two lines
	}
	if e.size += int64(to - from); e.size > e.limit && e.over == nil {
		e.giveUp()
	}
	e.lines++
	switch {
	case e.over != nil:
		e.over.Write(e.buf[from:to])
		e.endWithout()
	case e.lines == 1:
		e.from, e.to, e.inBuf = from, to, true
	default:
		e.unpin()
		e.joined = append(append(e.joined, '\n'), e.buf[from:to]...)
	}
}

// unpin takes the data out of buf.
func (e *eventReader) unpin() {
	if e.inBuf {
		e.joined = append(e.joined[:0], e.buf[e.from:e.to]...)
		e.inBuf = false
	}
}

// giveUp keeps only the id of an event that turns out to be over the limit, and of what has come of
// it so far.
func (e *eventReader) giveUp() {
	kept := e.data()
	e.over = new(idFinder)
	e.over.Write(kept)
	e.inBuf, e.joined = false, nil
}

// endWithout ends the stream where an event goes on and on.
func (e *eventReader) endWithout() {
	if e.size/endless > max(e.limit, 1<<20) && e.err == nil {
		e.err = errEndless
	}
}

// data returns what was kept of the event's data so far.
func (e *eventReader) data() []byte {
	switch {
	case e.lines == 0 || e.over != nil:
		return nil
	case e.inBuf:
		// The line end behind the data was consumed, so its place is free for another one.
		return e.buf[e.from:e.to:min(e.to+1, len(e.buf))]
	}
	return e.joined
}

// dispatch ends the event, and returns it if there is something in it.
func (e *eventReader) dispatch() (event, bool) {
	ev := event{name: e.name, data: e.data(), over: e.over, size: e.size}
	if e.hasID {
		e.id = e.newID
	}
	if e.hasID || e.lines > 0 {
		e.events++
	}
	e.name, e.hasID, e.lines, e.size, e.inBuf, e.over = "", false, 0, 0, false, nil
	return ev, ev.over != nil || len(bytes.TrimSpace(ev.data)) > 0
}

// line returns the next line as buf[from:to]. With an error it returns what stands before the
// end of the stream.
func (e *eventReader) line() (from, to int, err error) {
	for {
		if e.skipLF && e.pos < e.end {
			if e.skipLF = false; e.buf[e.pos] == '\n' {
				e.pos++
			}
			e.scanned = max(e.scanned, e.pos)
		}
		if e.fresh && e.end >= len(byteOrderMark) {
			if e.fresh = false; bytes.HasPrefix(e.buf[:e.end], byteOrderMark) {
				e.pos, e.scanned = len(byteOrderMark), len(byteOrderMark)
			}
		}
		if i := lineEnd(e.buf[e.scanned:e.end]); i >= 0 && !e.fresh {
			from, to = e.pos, e.scanned+i
			e.skipLF = e.buf[to] == '\r'
			e.pos, e.scanned = to+1, to+1
			return from, to, nil
		}
		if !e.fresh {
			e.scanned = e.end
		}
		if int64(e.end-e.pos) > e.limit+readBuffer {
			e.skipLong()
			continue
		}
		if err := e.fill(); err != nil {
			if e.fresh && err != errPause { // shorter than a byte order mark
				e.fresh = false
				continue
			}
			from, to = e.pos, e.pos
			if err != errPause {
				to, e.pos, e.scanned = e.end, e.end, e.end
			}
			return from, to, err
		}
	}
}

// lineEnd returns where the first CR or LF stands in b, -1 if there is none.
func lineEnd(b []byte) int {
	lf := bytes.IndexByte(b, '\n')
	if lf >= 0 {
		b = b[:lf]
	}
	if cr := bytes.IndexByte(b, '\r'); cr >= 0 {
		return cr
	}
	return lf
}

// skipLong drops what has come of a line that is over the limit, and the rest of it as it comes.
func (e *eventReader) skipLong() {
	isData := bytes.HasPrefix(e.buf[e.pos:e.end], []byte("data:"))
	if isData {
		if e.over == nil {
			e.giveUp()
		}
		e.lines++
		e.pos += len("data:")
	}
	for {
		i := lineEnd(e.buf[e.pos:e.end])
		to := e.end
		if i >= 0 {
			to = e.pos + i
		}
		if isData {
			e.over.Write(e.buf[e.pos:to])
			e.size += int64(to - e.pos)
			e.endWithout()
		}
		e.pos, e.scanned = to, to
		if i >= 0 || e.fill() != nil {
			return // at the line end, or at the end of the stream: the error comes again
		}
	}
}

// fill reads more into buf, after making room for it.
func (e *eventReader) fill() error {
	if e.err != nil {
		return e.err
	}
	if e.reading == nil && e.end == len(e.buf) {
		if err := e.room(); err != nil {
			return err
		}
	}
	n, err := e.await()
	if err == errPause {
		return err
	}
	e.end += n
	if e.err = err; n > 0 {
		return nil
	}
	return err
}

// await reads once. While the data of an event is there and only its blank line is missing, it
// returns errPause after a while; the Read then goes on, on a goroutine that ends with it, and
// the next call takes its result.
func (e *eventReader) await() (int, error) {
	waiting := e.lines > 0 && e.over == nil && e.pos == e.end
	if e.reading == nil {
		if !waiting {
			return e.in.Read(e.buf[e.end:])
		}
		e.reading = make(chan readResult, 1)
		go func(done chan<- readResult, into []byte) {
			n, err := e.in.Read(into)
			done <- readResult{n, err}
		}(e.reading, e.buf[e.end:])
	}
	var pause <-chan time.Time
	if waiting && !e.paused {
		t := time.NewTimer(unfinishedPause)
		defer t.Stop()
		pause = t.C
	}
	select {
	case r := <-e.reading:
		e.reading, e.paused = nil, false
		return r.n, r.err
	case <-pause:
		e.paused = true
		return 0, errPause
	}
}

// room makes room behind end: by moving what is still needed to the front, or by a larger buffer.
func (e *eventReader) room() error {
	if e.inBuf && e.pos-e.to > readBuffer {
		e.unpin() // so much has come behind it that is no data
	}
	keep := e.pos
	if e.inBuf {
		keep = e.from
	}
	buf := e.buf
	if used := e.end - keep; used > len(buf)/2 {
		size := 2 * len(buf)
		switch {
		case cap(buf) > len(buf): // it is reserved
			size = min(len(buf)+claimStep, cap(buf))
		case len(buf) >= longMessage:
			size = len(buf) + len(buf)/2
		}
		if err := e.claim.grow(e.ctx, int64(size)); err != nil {
			return err
		}
		if size <= cap(buf) {
			e.buf = buf[:size]
			return nil
		}
		if size > longMessage {
			buf = e.claim.reserve(min(e.limit, mostReserved) + 2*readBuffer)
		}
		if cap(buf) < size {
			buf = make([]byte, size)
		}
		buf = buf[:size]
	}
	copy(buf, e.buf[keep:e.end])
	e.buf = buf
	e.pos, e.scanned, e.end, e.from, e.to = e.pos-keep, e.scanned-keep, e.end-keep, e.from-keep, e.to-keep
	return nil
}

// shed gives back the memory that a long event took.
func (e *eventReader) shed() {
	if e.reading != nil {
		return
	}
	if e.pos == e.end && len(e.buf) == readBuffer {
		e.pos, e.scanned, e.end = 0, 0, 0
	}
	if len(e.buf) > readBuffer && e.end-e.pos <= readBuffer/2 {
		buf := make([]byte, readBuffer)
		e.end = copy(buf, e.buf[e.pos:e.end])
		e.buf, e.pos, e.scanned = buf, 0, 0
		e.joined = nil
		e.claim.release()
	}
}
