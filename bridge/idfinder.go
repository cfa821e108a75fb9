package bridge

// longestID is the size in bytes up to which the id of a message that is too long to keep is
// remembered.
const longestID = 1 << 10

// An idFinder reads the id out of a JSON-RPC message that is not kept, from as many pieces as it
// comes in: the message is over the limit, but whoever sent it waits for an answer. Members may
// stand in any order; many hosts write the id last. It does not check that the text is JSON.
type idFinder struct {
	depth    int
	inString bool
	escaped  bool
	isID     bool   // the member being read at depth 1 is the id
	token    []byte // the string, number or word being read at depth 1
	id       []byte
}

// Write takes the next piece. It never fails.
func (f *idFinder) Write(p []byte) (int, error) {
	for _, c := range p {
		if f.inString {
			f.keep(c)
			switch {
			case f.escaped:
				f.escaped = false
			case c == '\\':
				f.escaped = true
			case c == '"':
				f.inString = false
			}
			continue
		}
		switch c {
		case '"':
			f.token = f.token[:0]
			f.keep(c)
			f.inString = true
		case '{', '[':
			f.depth++
			f.token = f.token[:0]
		case '}', ']':
			f.member()
			f.depth--
		case ',':
			f.member()
		case ':':
			if f.depth == 1 {
				f.isID = string(plain(f.token)) == "id"
				f.token = f.token[:0]
			}
		case ' ', '\t', '\r', '\n':
		default:
			f.keep(c)
		}
	}
	return len(p), nil
}

func (f *idFinder) keep(c byte) {
	if f.depth == 1 && len(f.token) < longestID {
		f.token = append(f.token, c)
	}
}

// member ends a member of the message.
func (f *idFinder) member() {
	if f.depth == 1 && f.isID {
		f.id = append(f.id[:0], f.token...)
		f.isID = false
	}
}

// ID returns the raw JSON of the id, and nil when there is none that could be answered.
func (f *idFinder) ID() []byte {
	s := scanner{b: f.id}
	if len(f.id) == 0 || len(f.id) >= longestID || !s.value() || s.i != len(f.id) {
		return nil
	}
	if c := f.id[0]; c == '"' || c == '-' || '0' <= c && c <= '9' {
		return f.id
	}
	return nil
}
