package bridge

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
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
	input := make(chan error, 1)
	// Ends with the input.
	go func() { input <- readLines(in, r.cfg.MaxMessage, r.fromHost, r.fromHostTooLong) }()
	r.work.Go(r.runLane)    // ends when the relay takes no more input
	r.work.Go(r.watchClock) // ends with the relay
	if cfg.KeepAlive > 0 {
		r.work.Go(func() { r.keepAlive(cfg.KeepAlive) }) // ends with the relay
	}

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
	r.drain(ctx, limit)
	r.leave()
	return err
}

func newRelay(out io.Writer, cfg Config) (*relay, error) {
	cfg.Transport = cmp.Or(cfg.Transport, TransportAuto)
	cfg.MaxMessage = cmp.Or(cfg.MaxMessage, DefaultMaxMessage)
	cfg.MaxInFlight = cmp.Or(cfg.MaxInFlight, DefaultMaxInFlight)
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
		lane:     make(chan outgoing, laneLength),
		slots:    make(chan struct{}, cfg.MaxInFlight),
		memory:   newBudget(memoryForLongMessages),
		failed:   make(chan error, 1),
		ending:   make(chan struct{}),

		laneEmpty: make(chan struct{}),
	}
	r.memory.congested, r.out.eased = r.out.congested, r.memory.eased
	r.ctx, r.cancel = context.WithCancelCause(context.Background())
	switch cfg.Transport {
	case TransportHTTP:
		r.server = newStreamable(r, ep)
	case TransportSSE:
		r.server = newHTTPSSE(r, ep)
	default:
		d := &detecting{http: newStreamable(r, ep), old: newHTTPSSE(r, ep)}
		d.http.detecting = true
		r.server = d
	}
	return r, nil
}

// drain takes no more input, and waits until what was taken has been dealt with.
func (r *relay) drain(ctx context.Context, limit time.Duration) {
	over := time.NewTimer(limit)
	defer over.Stop()
	stopped := ctx.Done()
	if limit <= stopLimit {
		stopped = nil
	}
	// Each step is over when its channel is closed.
	for _, step := range []func() <-chan struct{}{r.closeInput, func() <-chan struct{} { return r.laneEmpty }, r.calls.none} {
		for done := step(); !isOpen(done); {
			select {
			case <-done:
			case <-over.C:
				return
			case <-stopped:
				stopped = nil
				over.Reset(stopLimit)
			}
		}
	}
}

// closeInput takes no further line of input. The channel is closed when no line is being taken any
// more: one may wait for the host to read an error answer.
func (r *relay) closeInput() <-chan struct{} {
	close(r.ending)
	done := make(chan struct{})
	go func() { // ends when the line at hand has been taken
		r.inputMu.Lock()
		r.ended = true
		r.inputMu.Unlock()
		close(done)
	}()
	return done
}

// leave ends whatever is still under way, and the session.
func (r *relay) leave() {
	answered := make(chan struct{})
	go func() { // ends when the host has read the answers
		defer close(answered)
		for _, c := range r.calls.all() {
			r.giveUp(c, errStopped)
		}
	}()
	bound := time.NewTimer(leaveLimit)
	select {
	case <-answered:
	case <-bound.C:
	}
	goodbye, cancel := context.WithTimeout(context.Background(), goodbyeLimit)
	defer cancel()
	r.server.close(goodbye)
	r.cancel(errStopped)
	ended := make(chan struct{})
	go func() { // ends with the last goroutine
		defer close(ended)
		r.work.Wait()
	}()
	bound.Reset(leaveLimit)
	select {
	case <-ended:
	case <-bound.C:
	}
	r.endpoint.closeIdleConnections()
}
