package bridge

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

const (
	// readBuffer is the size in bytes of the buffers that stdin and event streams are read into.
	readBuffer = 64 << 10

	// longestChunk is the size in bytes of the pieces that a long line is kept in until it is whole.
	longestChunk = 1 << 20
)

var byteOrderMark = []byte("\xef\xbb\xbf")

// readLines hands every line of in to line, without its line break, until in ends, and returns
// nil then. The slice belongs to line. A byte order mark at the start, CR before LF and blank
// lines are passed over; the last line needs no line break. A line of more than limit bytes is
// read to its end without being kept, and tooLong hears its size and, where it could be found,
// its JSON-RPC id (spec 1.01, 1.08).
func readLines(in io.Reader, limit int64, line func([]byte), tooLong func(id []byte, size int64)) error {
	r := bufio.NewReaderSize(in, readBuffer)
	if start, _ := r.Peek(len(byteOrderMark)); bytes.Equal(start, byteOrderMark) {
		r.Discard(len(byteOrderMark))
	}
	for {
		part, err := r.ReadSlice('\n')
		text := bytes.Clone(part)
		var chunks [][]byte // of a long line, before text
		var over *idFinder
		size := int64(len(part))
		torn := false // a CR stands at the end of one part, its LF in the next
		for errors.Is(err, bufio.ErrBufferFull) {
			torn = part[len(part)-1] == '\r'
			part, err = r.ReadSlice('\n')
			size += int64(len(part))
			if over == nil && size > limit+2 { // a CR and an LF are no part of the message
				over = new(idFinder)
				for _, chunk := range append(chunks, text) {
					over.Write(chunk)
				}
				chunks, text = nil, nil
			}
			if over != nil {
				over.Write(part)
				continue
			}
			if len(text)+len(part) > cap(text) {
				chunks = append(chunks, text)
				text = make([]byte, 0, max(min(2*len(text), longestChunk), len(part)))
			}
			text = append(text, part...)
		}
		if chunks != nil {
			text = bytes.Join(append(chunks, text), nil)
		}
		size -= int64(len(part) - len(trimBreak(part)))
		if torn && string(part) == "\n" {
			size--
		}
		text = trimBreak(text)
		if over == nil && size > limit {
			over = new(idFinder)
			over.Write(text)
		}
		switch {
		case over != nil:
			tooLong(over.ID(), size)
		case len(bytes.TrimSpace(text)) > 0:
			line(text)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// trimBreak returns a line without its line break.
func trimBreak(line []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
}
