package bridge

import (
	"encoding/binary"
	"errors"
	"math/bits"
)

// maxDepth is how deep values may be nested, as in encoding/json.
const maxDepth = 10000

var errSyntax = errors.New("not valid JSON")

// A scanner walks JSON text once and checks it, without decoding or copying anything. It stands
// in for encoding/json where every byte of every message passes: that decodes, and reads each
// byte at least twice. FuzzScan holds the two to the same verdict.
type scanner struct {
	b         []byte
	more      func([]byte) ([]byte, bool) // returns b with more of the text behind it, false at its end; nil if b is all
	i         int                         // next byte to read
	depth     int
	metaAt    int // where the last _meta one level down begins and ends; 0 if there was none
	metaEnd   int
	lineBreak bool // a raw CR or LF was seen; in valid JSON it stands between tokens
}

// has tells whether there are n bytes more to read, if need be after waiting for them.
func (s *scanner) has(n int) bool { return len(s.b)-s.i >= n || s.await(n) }

func (s *scanner) await(n int) bool {
	for len(s.b)-s.i < n {
		ok := false
		if s.more != nil {
			s.b, ok = s.more(s.b)
		}
		if !ok {
			return false
		}
	}
	return true
}

// space skips white space and returns the byte after it, 0 at the end.
func (s *scanner) space() byte {
	if s.i < len(s.b) && s.b[s.i] > ' ' {
		return s.b[s.i] // mostly there is none
	}
	return s.skipSpace()
}

func (s *scanner) skipSpace() byte {
	for ; s.has(1); s.i++ {
		switch c := s.b[s.i]; c {
		case ' ', '\t':
		case '\n', '\r':
			s.lineBreak = true
		default:
			return c
		}
	}
	return 0
}

// value skips one value. When it returns false, i is where the text went wrong.
func (s *scanner) value() bool { return s.valueAt(s.space()) }

// valueAt skips a value that begins with c.
func (s *scanner) valueAt(c byte) bool {
	switch {
	case c == '"':
		return s.string()
	case c == '{':
		return s.object(nil)
	case c == '[':
		return s.array(nil)
	case c == '-' || '0' <= c && c <= '9':
		return s.number()
	case c == 't':
		return s.literal("true")
	case c == 'f':
		return s.literal("false")
	case c == 'n':
		return s.literal("null")
	}
	return false
}

// object skips an object and hands each member to visit: the raw key with its quotes, and where
// the value begins and ends.
func (s *scanner) object(visit func(key []byte, start, end int)) bool {
	if s.depth++; s.depth > maxDepth {
		return false
	}
	s.i++ // the brace
	for more := s.space() != '}'; more; {
		if s.space() != '"' {
			return false
		}
		from := s.i
		if !s.string() {
			return false
		}
		key := s.b[from:s.i]
		if s.space() != ':' {
			return false
		}
		s.i++
		c := s.space()
		start := s.i
		if !s.valueAt(c) {
			return false
		}
		if visit != nil {
			visit(key, start, s.i)
		} else if s.depth == 2 && len(key) >= len(`"_meta"`) && string(plain(key)) == "_meta" {
			s.metaAt, s.metaEnd = start, s.i
		}
		if more = s.space() == ','; more {
			s.i++
		}
	}
	return s.close('}')
}

// array skips an array and hands each element's position to visit.
func (s *scanner) array(visit func(start, end int)) bool {
	if s.depth++; s.depth > maxDepth {
		return false
	}
	s.i++ // the bracket
	for more := s.space() != ']'; more; {
		c := s.space()
		start := s.i
		if !s.valueAt(c) {
			return false
		}
		if visit != nil {
			visit(start, s.i)
		}
		if more = s.space() == ','; more {
			s.i++
		}
	}
	return s.close(']')
}

func (s *scanner) close(c byte) bool {
	if !s.has(1) || s.b[s.i] != c {
		return false
	}
	s.i++
	s.depth--
	return true
}

// string skips a string, eight bytes at a time where nothing needs a look.
func (s *scanner) string() bool {
	b := s.b
	for i := s.i + 1; ; {
		for i+8 <= len(b) {
			if m := special(binary.LittleEndian.Uint64(b[i:])); m != 0 {
				i += bits.TrailingZeros64(m) / 8
				break
			}
			i += 8
		}
		const longestEscape = len(`\u0000`)
		if i+longestEscape > len(b) {
			s.i = i
			s.has(longestEscape)
			if b = s.b; i >= len(b) {
				return false
			}
		}
		switch c := b[i]; {
		case c == '"':
			s.i = i + 1
			return true
		case c == '\\' && i+1 < len(b) && shortEscapes[b[i+1]]:
			i += 2
		case c == '\\' && isUnicodeEscape(b[i:]):
			i += 6
		case c == '\\', c < ' ':
			s.i = i
			return false
		default:
			i++
		}
	}
}

// special returns a word whose lowest set bit stands in the first byte of w that is a quote, a
// backslash or a control character, and 0 when there is none.
func special(w uint64) uint64 {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	// To flip one bit takes a quote down to where the control characters begin, and leaves those
	// below it.
	const flip = '"' ^ ' '
	return ((w ^ (ones * flip) - ones*(' '+1)) | (w ^ (ones * '\\') - ones)) &^ w & highs
}

// shortEscapes are the characters that make an escape sequence with the backslash before them.
var shortEscapes = [256]bool{'"': true, '\\': true, '/': true, 'b': true, 'f': true, 'n': true, 'r': true, 't': true}

// isUnicodeEscape tells whether b begins with \u and four hexadecimal digits.
func isUnicodeEscape(b []byte) bool {
	if len(b) < 6 || b[1] != 'u' {
		return false
	}
	for _, c := range b[2:6] {
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F') {
			return false
		}
	}
	return true
}

func (s *scanner) number() bool {
	if s.b[s.i] == '-' {
		s.i++
	}
	if s.has(1) && s.b[s.i] == '0' {
		s.i++
	} else if !s.digits() {
		return false
	}
	if s.has(1) && s.b[s.i] == '.' {
		s.i++
		if !s.digits() {
			return false
		}
	}
	if s.has(1) && s.b[s.i]|0x20 == 'e' {
		s.i++
		if s.has(1) && (s.b[s.i] == '+' || s.b[s.i] == '-') {
			s.i++
		}
		return s.digits()
	}
	return true
}

// digits skips one or more digits.
func (s *scanner) digits() bool {
	from := s.i
	for {
		b, i := s.b, s.i
		for i < len(b) && '0' <= b[i] && b[i] <= '9' {
			i++
		}
		if s.i = i; i < len(b) || !s.await(1) {
			return i > from
		}
	}
}

func (s *scanner) literal(word string) bool {
	if !s.has(len(word)) || string(s.b[s.i:s.i+len(word)]) != word {
		return false
	}
	s.i += len(word)
	return true
}
