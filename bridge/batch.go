package bridge

import (
	"bytes"
	"slices"
	"sync"

	"github.com/mark3labs/mcp-go/mcp"
)

// acceptBatch takes an array of messages. Only 2025-03-26 knows batches; there each message is
// relayed by itself, as most servers never learned to take an array, and the answers are
// returned as one array when all are there (spec 1.16, 1.19). In any other revision every
// request in it is refused (spec 1.18).
func (r *relay) acceptBatch(b *message) {
	if r.handshake.agreed() != mcp.ProtocolVersion20250326 || len(b.items) == 0 {
		r.refuseBatch(b)
		return
	}
	answers := &answers{left: 1, write: r.out.write}
	for _, item := range b.items {
		m, err := parse(item)
		switch {
		case err != nil || m.kind == odd || m.kind == batch:
			answers.add(errorAnswer(m.id, codeInvalidRequest, notJSONRPC, answerData{}))
		case m.kind == request && m.is(mcp.MethodInitialize): // spec 1.17
			answers.add(errorAnswer(m.id, codeInvalidRequest, "initialize must not be part of a batch", answerData{}))
		case m.kind == request:
			answers.expect()
			r.accept(m, answers.done)
		default:
			r.accept(m, r.toHost)
		}
	}
	answers.done(nil)
}

func (r *relay) refuseBatch(b *message) {
	const text = "batches are not part of the protocol revision in use"
	refused := false
	for _, item := range b.items {
		if m, err := parse(item); err == nil && m.kind != response && m.id != nil {
			r.refuse(m.id, codeInvalidRequest, text)
			refused = true
		}
	}
	if !refused {
		r.refuse(nil, codeInvalidRequest, text)
	}
}

// answers collects the answers to a batch.
type answers struct {
	write func([]byte)

	mu   sync.Mutex
	got  [][]byte
	left int // requests that are not answered yet, and one while the batch is being read
}

func (a *answers) expect() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.left++
}

func (a *answers) add(answer []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.got = append(a.got, bytes.Clone(answer))
}

// done takes the answer to one request, nil if there will be none, and writes them all with the
// last one.
func (a *answers) done(answer []byte) {
	if answer != nil {
		a.add(answer)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.left--; a.left == 0 && len(a.got) > 0 {
		a.write(slices.Concat([]byte("["), bytes.Join(a.got, []byte(",")), []byte("]")))
	}
}
