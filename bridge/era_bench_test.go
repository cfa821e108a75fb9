package bridge

import (
	"log/slog"
	"testing"
)

const (
	benchRequest  = `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"route","arguments":{"region":"us west 1","n":42,"text":"Hello, 世界"},"_meta":{"progressToken":"p"}}}`
	benchResult   = `{"resultType":"complete","content":[{"type":"text","text":"a line of some length, as tools answer it"}],"structuredContent":{"n":1.0},"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s","version":"1"}}}`
	benchModern   = `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"route","arguments":{"region":"us west 1","n":42,"text":"Hello, 世界"},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"progressToken":"p"}}}`
	benchToolList = `{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"route","inputSchema":{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"},"n":{"type":"integer","x-mcp-header":"N"},"text":{"type":"string","x-mcp-header":"Text"}}}}]}}`
)

// What translating a call of a handshake host's and its result costs.
func BenchmarkToModern(b *testing.B) {
	r := benchRelay(b, "http://mcp.example/mcp", writerFunc(func(p []byte) (int, error) { return len(p), nil }), nil)
	t := newToModern(r)
	hello := built([]byte(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{"roots":{},"elicitation":{}},"clientInfo":{"name":"t","version":"1"}}}`))
	t.hello(&call{message: hello})
	c := &call{message: built([]byte(benchRequest))}
	result := []byte(benchResult)
	b.ReportAllocs()
	for b.Loop() {
		m := t.inner.newRequest("tools/call", t.params(c))
		if raw := rawResult(c.id, fitResult(c.message, readObject(result), "2025-06-18").raw()); len(raw) == 0 || len(m.raw) == 0 {
			b.Fatal("nothing came out")
		}
	}
}

// What the headers of a request of 2026-07-28 cost: with values to encode, from arguments that a tool
// annotates.
func BenchmarkModernHeaders(b *testing.B) {
	r := benchRelay(b, "http://mcp.example/mcp", writerFunc(func(p []byte) (int, error) { return len(p), nil }), nil)
	s := newModern(r, r.endpoint)
	s.tools.learn(built([]byte(benchToolList)), slog.New(slog.DiscardHandler))
	m := built([]byte(benchModern))
	b.ReportAllocs()
	for b.Loop() {
		h, err := s.header(m)
		if err != nil || h.Get("Mcp-Param-Text") != "=?base64?SGVsbG8sIOS4lueVjA==?=" {
			b.Fatal(h, err)
		}
	}
}

// What telling the eras apart costs each message of the host's, short or long.
func BenchmarkIsModern(b *testing.B) {
	long := built(append(append([]byte(`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"x","arguments":{"text":"`), make1MiB()...), `"}}}`...))
	for name, m := range map[string]*message{"200B": built([]byte(benchRequest)), "1MiB": long} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(m.raw)))
			b.ReportAllocs()
			for b.Loop() {
				if isModern(m) {
					b.Fatal("it is not")
				}
			}
		})
	}
}

func make1MiB() []byte {
	text := make([]byte, 1<<20)
	for i := range text {
		text[i] = byte('a' + i%26)
	}
	return text
}
