package bridge

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"
)

// A Transport names the way an MCP server is reached.
type Transport string

const (
	TransportAuto Transport = "auto" // streamable HTTP, or HTTP+SSE where the server turns out to be an old one
	TransportHTTP Transport = "http" // streamable HTTP (2025-03-26 and later)
	TransportSSE  Transport = "sse"  // HTTP+SSE (2024-11-05)
)

// An Era is a family of protocol revisions that work alike.
type Era string

const (
	EraAuto   Era = "auto"   // what fits the host, if the server speaks it, else the other one
	EraLegacy Era = "legacy" // with a handshake: 2024-11-05 to 2025-11-25
	EraModern Era = "modern" // without: 2026-07-28
)

// A Verdict is what was found out about a server: the era that it speaks, where it does not speak
// that of the host, and when that was found.
type Verdict struct {
	Era   Era       `json:"era"`
	Found time.Time `json:"found"`
}

// Verdicts keeps what was found out about the server of a [Config] from one run to the next. Load
// returns the zero Verdict when there is none; both may be called from any goroutine.
type Verdicts interface {
	Load() Verdict
	Save(Verdict)
}

// A Pending is what the user is to do before a server can be used.
type Pending struct {
	URL  string // of the page to go to
	Code string // to be entered there; "" if there is none
}

// Greeting keeps what a server said to initialize, raw JSON, from one run to the next. Load returns nil when
// there is nothing; both may be called from any goroutine.
type Greeting interface {
	Load() []byte
	Save([]byte)
}

// The values that a zero [Config] stands for.
const (
	DefaultMaxMessage  = 256 << 20 // bytes
	DefaultMaxInFlight = 1024      // requests

	DefaultInputTimeout = 10 * time.Minute
)

// Config says which server to reach, and how. Only URL is required.
type Config struct {
	// URL is the server's MCP endpoint, or the SSE endpoint of a 2024-11-05 server.
	URL string

	// Transport is the way to reach it. The zero value means TransportAuto.
	Transport Transport

	// Era is the era to speak with the server. The zero value means EraAuto.
	Era Era

	// ProtocolVersion, if set, is the protocol revision to speak with the server: with a handshake
	// era server that of initialize, with a modern one that of each request.
	ProtocolVersion string

	// Verdicts remembers the server's era. Nil means that it is found out each time.
	Verdicts Verdicts

	// Quiet returns a context for requests that must not lead to a question to the user, as the
	// RoundTripper of HTTPClient understands it. Nil means that there are no such questions.
	Quiet func(context.Context) context.Context

	// Header is sent with every request, to the server's own origin only. Headers that the
	// protocol defines win over it. A Host entry sets the request's host.
	Header http.Header

	// HTTPClient supplies the RoundTripper and the cookie jar. Redirects and time limits are
	// the bridge's own. Nil means a plain client.
	HTTPClient *http.Client

	// MaxMessage is the size in bytes above which a message, from either side, is refused
	// with an error answer. 0 means DefaultMaxMessage.
	MaxMessage int64

	// MaxInFlight is how many requests may be under way towards the server at once; others
	// wait for their turn. 0 means DefaultMaxInFlight.
	MaxInFlight int

	// ResponseTimeout is how long the first byte of an answer may take. 0 means no limit.
	ResponseTimeout time.Duration

	// InputTimeout is how long a call that was translated from one era to the other waits for what a
	// person has to enter or to do (spec 6.50). 0 means DefaultInputTimeout.
	InputTimeout time.Duration

	// KeepAlive is how long nothing may be under way before the server is pinged. 0 means that it
	// is not pinged.
	KeepAlive time.Duration

	// Policy, if set, withholds some of the server's tools from the host. Nil means that everything
	// goes.
	Policy *Policy

	// InitializeGrace is how long the host waits for the answer to initialize while the user is to sign
	// in; then it gets one from the bridge. 0 means DefaultInitializeGrace.
	InitializeGrace time.Duration

	// Pending tells what the user is waited for to do, nil if nothing. If it is nil itself, the host
	// always waits for the server.
	Pending func() *Pending

	// OfflineStart lets the host start, as after InitializeGrace, also while the server is down or slow.
	OfflineStart bool

	// Greeting remembers what the server said to initialize. Nil means that nothing is remembered.
	Greeting Greeting

	// InputEnded, if set, is called when the input has ended or ctx is done: whoever works for
	// requests under way may give up what would take long.
	InputEnded func()

	// Logger hears of what no answer can tell. Nil means silence. Messages, header values and
	// session ids are not logged, at no level.
	Logger *slog.Logger
}

var (
	// ErrOutputClosed means that the host no longer reads what the bridge writes.
	ErrOutputClosed = errors.New("the host closed its end of standard output")

	// ErrSessionChanged means that the server forgot the session, and that the one it gave
	// instead has another protocol version or other capabilities than the host was told of.
	// The host has to start the bridge anew (spec 2.19).
	ErrSessionChanged = errors.New("the server changed while it was in use")
)
