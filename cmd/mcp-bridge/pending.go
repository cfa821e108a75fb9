package main

import (
	"sync"

	"mcp-bridge/auth"
	"mcp-bridge/bridge"
)

// pending knows what the user is to do, from what package auth tells.
type pending struct {
	mu  sync.Mutex
	now *bridge.Pending
}

// see takes an event of package auth.
func (p *pending) see(e auth.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e.Kind {
	case auth.SignInStarted, auth.DeviceStarted:
		p.now = &bridge.Pending{URL: e.URL, Code: e.Code}
	case auth.SignInElsewhere:
		if e.URL != "" {
			p.now = &bridge.Pending{URL: e.URL}
		}
	case auth.SignInDone:
		p.now = nil
	}
}

// over is called when nobody waits for the user any more.
func (p *pending) over() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = nil
}

// get returns what the user is to do, nil if nothing.
func (p *pending) get() *bridge.Pending {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}
