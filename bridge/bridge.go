package bridge

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"
)

// How long the parts of the end may take. All in all it is less than five seconds.
const (
	// DrainLimit bounds the wait for answers that are still due when the input has ended.
	DrainLimit = 3 * time.Second

	// stopLimit bounds the same wait when the bridge is told to stop.
	stopLimit = 500 * time.Millisecond

	// goodbyeLimit bounds the request that ends the session.
	goodbyeLimit = time.Second

	// leaveLimit bounds the wait for goroutines to end. Only one that can't write to a host that
	// does not read will not be in time.
	leaveLimit = 250 * time.Millisecond
)

// Run relays messages between the host, which writes JSON-RPC messages to in and reads them from
// out, one a line, and the server of cfg. It returns when in ends, when ctx is done, or when
// it can't go on.
//
// At the end answers that are still due are written, within DrainLimit, and less when ctx is
// done; requests that have none by then are answered with an error. Then the session is ended.
// Run returns nil in both cases, ErrOutputClosed when the host no longer reads, and
// ErrSessionChanged when the host has to start anew. When it returns, its goroutines have ended,
// but for one that may wait for input: there is no portable way to interrupt that.
func Run(ctx context.Context, in io.Reader, out io.Writer, cfg Config) error {
	r, err := newRelay(out, cfg)
	if err != nil {
		return err
	}
	f := &front{legacy: r}
	input := make(chan error, 1)
	// Ends with the input.
	go func() { input <- readLines(in, r.cfg.MaxMessage, f.fromHost, f.fromHostTooLong) }()
	r.start()

	limit := DrainLimit
	select {
	case err = <-input:
		if err != nil {
			err = fmt.Errorf("reading from the host: %w", err)
		}
	case <-ctx.Done():
		limit = stopLimit
		r.log.Info("told to stop")
	case err = <-r.out.broken:
		limit = 0
	case err = <-r.failed:
		limit = 0
	}
	if cfg.InputEnded != nil {
		cfg.InputEnded()
	}
	f.drain(ctx, limit)
	f.leave()
	return err
}

func newRelay(out io.Writer, cfg Config) (*relay, error) {
	cfg.Transport = cmp.Or(cfg.Transport, TransportAuto)
	cfg.MaxMessage = cmp.Or(cfg.MaxMessage, DefaultMaxMessage)
	cfg.MaxInFlight = cmp.Or(cfg.MaxInFlight, DefaultMaxInFlight)
	cfg.InputTimeout = cmp.Or(cfg.InputTimeout, DefaultInputTimeout)
	ep, err := newEndpoint(&cfg)
	if err != nil {
		return nil, err
	}
	r := &relay{
		cfg:      cfg,
		log:      slog.New(hidingHandler{cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler)).Handler(), ep.secrets}),
		secrets:  ep.secrets,
		endpoint: ep,
		out:      newOutput(out),
		memory:   newBudget(memoryForLongMessages),
		work:     new(sync.WaitGroup),
		failed:   make(chan error, 1),
		ending:   make(chan struct{}),
	}
	if r.gate, err = newGate(cfg.Policy, r.log); err != nil {
		return nil, err
	}
	r.memory.congested, r.out.eased = r.out.congested, r.memory.eased
	r.ctx, r.cancel = context.WithCancelCause(context.Background())
	r = r.sibling()
	r.server = newHandshakeHostServer(r)
	return r, nil
}

// sibling returns a relay of its own that shares with r the way to the host and to the server, and its
// life.
func (r *relay) sibling() *relay {
	return &relay{
		cfg: r.cfg, log: r.log, secrets: r.secrets, endpoint: r.endpoint, gate: r.gate, out: r.out, to: r.out, memory: r.memory,
		ctx: r.ctx, cancel: r.cancel, work: r.work, failed: r.failed, ending: r.ending,
		lane:      make(chan outgoing, laneLength),
		slots:     make(chan struct{}, r.cfg.MaxInFlight),
		laneEmpty: make(chan struct{}),
	}
}

// start starts what a relay of the host's does by itself.
func (r *relay) start() {
	r.work.Go(r.runLane)    // ends when the relay takes no more input
	r.work.Go(r.watchClock) // ends with the relay
	if r.cfg.KeepAlive > 0 {
		r.work.Go(func() { r.keepAlive(r.cfg.KeepAlive) }) // ends with the relay
	}
}
