package bridge

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"testing"
)

// Messages of the size that most have.
const (
	smallCall         = `{"jsonrpc":"2.0","id":4711,"method":"tools/call","params":{"name":"echo","arguments":{"text":"The quick brown fox jumps over the lazy dog, and the dog does not mind at all."},"_meta":{"progressToken":4711}}}`
	smallNotification = `{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","logger":"bench","data":{"n":4711,"text":"The quick brown fox jumps over the lazy dog."}}}`
)

// One request with its headers, up to the RoundTripper.
func BenchmarkRequestHeaders(b *testing.B) {
	r := benchRelay(b, "http://mcp.example/mcp?key=secret", io.Discard, http.Header{"X-Team": {"blue"}, "Authorization": {"Bearer secret"}})
	sess := &session{id: "0123456789abcdef", version: "2025-11-25"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.endpoint.newRequest(b.Context(), http.MethodPost, r.endpoint.at.Load(), []byte(smallCall), sess.postHeader()); err != nil {
			b.Fatal(err)
		}
	}
}

// A call from the line of input to the line of output, over a real connection to a server that costs
// next to nothing.
func BenchmarkCall(b *testing.B) {
	for _, events := range []bool{false, true} {
		for _, inFlight := range []int{1, 64, 1000} {
			b.Run(fmt.Sprintf("events=%t/%dInFlight", events, inFlight), func(b *testing.B) {
				answered := make(chan struct{}, inFlight)
				r := benchRelay(b, echoServer(b, events), writerFunc(func(p []byte) (int, error) {
					if bytes.Contains(p, []byte(`"error"`)) {
						b.Errorf("an error: %s", p)
					}
					answered <- struct{}{}
					return len(p), nil
				}), nil)
				for range inFlight {
					answered <- struct{}{}
				}
				f := &front{legacy: r}
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					<-answered
					f.fromHost(fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"echo"}}`, i))
				}
				for range inFlight {
					<-answered
				}
			})
		}
	}
}

// Notifications that come as fast as they go, from the event stream to a pipe that is read.
func BenchmarkNotifications(b *testing.B) {
	const event = "event: message\ndata: " + smallNotification + "\n\n"
	in, out, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	read := make(chan struct{})
	go func() { // ends when out is closed
		defer close(read)
		_, _ = io.CopyBuffer(writerFunc(func(p []byte) (int, error) { return len(p), nil }), in, make([]byte, 64<<10))
	}()
	r := benchRelay(b, "http://mcp.example/mcp", out, nil)
	stream := io.LimitReader(&repeat{text: event}, int64(b.N)*int64(len(event)))
	b.SetBytes(int64(len(event)))
	b.ReportAllocs()
	b.ResetTimer()
	if had, err := r.pump(b.Context(), stream, &position{}, nil); err != io.EOF || had != b.N {
		b.Fatalf("got %d notifications and the error %v, want %d", had, err, b.N)
	}
	b.StopTimer()
	out.Close()
	<-read
	in.Close()
}

// benchRelay returns a relay after its handshake, so to speak.
func benchRelay(b *testing.B, url string, out io.Writer, header http.Header) *relay {
	transport := &http.Transport{MaxIdleConnsPerHost: 4096}
	r, err := newRelay(out, Config{URL: url, Transport: TransportHTTP, Header: header, HTTPClient: &http.Client{Transport: transport}})
	if err != nil {
		b.Fatal(err)
	}
	r.hostReady.Store(true)
	r.work.Go(r.runLane) // ends with the benchmark
	b.Cleanup(func() {
		close(r.ending)
		r.work.Wait()
		r.cancel(nil)
		transport.CloseIdleConnections()
	})
	return r
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// echoServer answers every POST with an empty result, and returns its URL. It allocates nothing for a
// request, so that what a benchmark reports is the bridge's.
func echoServer(b *testing.B, events bool) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	go func() { // ends when l is closed
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go echo(conn, events) // ends when the client closes the connection
		}
	}()
	return "http://" + l.Addr().String() + "/mcp"
}

func echo(conn net.Conn, events bool) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	var body, answer []byte
	for {
		size := 0
		for {
			line, err := in.ReadSlice('\n')
			if err != nil {
				return
			}
			if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
				for _, c := range bytes.TrimRight(value, "\r\n") {
					size = 10*size + int(c-'0')
				}
			}
			if len(line) == len("\r\n") {
				break
			}
		}
		body = append(body[:0], make([]byte, size)...)
		if _, err := io.ReadFull(in, body); err != nil {
			return
		}
		id := body[bytes.Index(body, []byte(`"id":`))+len(`"id":`):]
		id = id[:bytes.IndexByte(id, ',')]
		kind, before, behind := "application/json", `{"jsonrpc":"2.0","id":`, `,"result":{}}`
		if events {
			kind, before, behind = "text/event-stream", "event: message\ndata: "+before, behind+"\n\n"
		}
		answer = append(answer[:0], "HTTP/1.1 200 OK\r\nContent-Type: "...)
		answer = append(append(answer, kind...), "\r\nContent-Length: "...)
		answer = strconv.AppendInt(answer, int64(len(before)+len(id)+len(behind)), 10)
		answer = append(append(append(append(answer, "\r\n\r\n"...), before...), id...), behind...)
		if _, err := conn.Write(answer); err != nil {
			return
		}
	}
}
