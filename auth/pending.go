package auth

import (
	"encoding/json"
	"slices"
	"time"
)

// A pendingSignIn is a sign-in that waits for the user: all that another process needs to go on with
// it when this one is killed, as hosts do. It is part of the Record while it waits, since it is as
// secret, and since whoever ends the login ends it too. Any orderly end takes it out.
//
// An answer that comes while no process listens is lost by nature: the browser shows a page of its
// own that nobody is there. The user may reload it once the next process is, or sign in again at the
// page that this one tells.
type pendingSignIn struct {
	Began    time.Time `json:"began"`
	Issuer   string    `json:"issuer"`
	Resource string    `json:"resource,omitempty"`
	Scopes   []string  `json:"scopes,omitempty"`
	Client   *Client   `json:"client"` // a configured one without its secret
	Page     string    `json:"page"`   // where the user is

	// In the browser.
	State    string `json:"state,omitempty"`
	Verifier string `json:"verifier,omitempty"` // PKCE (RFC 7636)

	// By device code (RFC 8628 3.2).
	DeviceCode string        `json:"device_code,omitempty"`
	UserCode   string        `json:"user_code,omitempty"`
	Interval   time.Duration `json:"interval,omitempty"` // between two looks
	Expiry     time.Time     `json:"expiry,omitzero"`    // zero: unknown

	// openAfter is how long to wait for an answer before the page is opened: the user of one that
	// another process has left has it before him, and is opened no other beside it for nothing.
	openAfter time.Duration
}

// newPending returns a sign-in that begins now.
func newPending(d *discovery, client *Client, scopes []string) *pendingSignIn {
	return &pendingSignIn{Began: time.Now().UTC().Round(0), Issuer: d.server.Issuer, Resource: d.resource, Scopes: scopes, Client: client.kept()}
}

// readPending returns what is kept of a sign-in, nil if it is none that can still end well: one that
// is older than its time limit is given up. So a state is good for twice that time at most.
func (t *Transport) readPending(text json.RawMessage) *pendingSignIn {
	var p pendingSignIn
	if json.Unmarshal(text, &p) != nil || p.Client == nil {
		return nil
	}
	if age := time.Since(p.Began); age < 0 || age >= t.cfg.SignInTimeout || !p.Expiry.IsZero() && time.Now().After(p.Expiry) {
		return nil
	}
	p.openAfter = min(calm, t.cfg.SignInTimeout/2)
	return &p
}

// resumable returns the sign-in that a process has left which was killed, as only the holder of the
// lock sees one that is not its own. It returns nil if there is none, or if it is not what would be
// begun now: another authorization server, client, resource, or scopes.
func (t *Transport) resumable(d *discovery, scopes []string) *pendingSignIn {
	rec, err := t.cfg.Storage.Load()
	if err != nil || rec == nil {
		return nil
	}
	p := t.readPending(rec.Pending)
	if p == nil || p.Issuer != d.server.Issuer || p.Resource != d.resource {
		return nil
	}
	if !slices.Equal(p.Scopes, scopes) && !slices.Equal(p.Scopes, without(scopes, offlineAccess)) { // it may have been refused
		return nil
	}
	client := t.knownClient(&d.server, p.Client, p.Client.RedirectURI)
	if client == nil || client.ID != p.Client.ID {
		return nil
	}
	if t.cfg.DeviceCode {
		if p.DeviceCode == "" || p.Interval <= 0 {
			return nil
		}
	} else if p.State == "" || p.Page != t.authorizationURL(client, d, p.Scopes, p.State, p.Verifier) {
		return nil // it asks for something else, or for the same somewhere else
	}
	t.cfg.Log.Info("going on with the sign-in that another process has left")
	return p
}

// resume returns the sign-in that a killed process has left, and listens where its answer will come
// to. Without the one there is not the other.
func (t *Transport) resume(d *discovery, scopes []string) (*pendingSignIn, *callback) {
	p := t.resumable(d, scopes)
	if p == nil {
		return nil, nil
	}
	host, path, port := t.cfg.CallbackHost, t.cfg.CallbackPath, t.callbackPort(&Record{Client: p.Client})
	if redirectURI(host, port, path) != p.Client.RedirectURI {
		return nil, nil // the configuration has changed
	}
	cb, err := listenCallback(host, port, path)
	if err != nil {
		t.cfg.Log.Info("the callback port of that sign-in is taken, so another begins", "port", port)
		return nil, nil
	}
	return p, cb
}

// leavePending keeps a sign-in while it waits, and returns a function that takes it back.
func (t *Transport) leavePending(p *pendingSignIn) func() {
	text, err := json.Marshal(p)
	if err == nil {
		err = t.setPending(text)
	}
	if err != nil {
		t.cfg.Log.Warn("the sign-in can't be kept, and would be lost with this process", "error", err)
		return func() {}
	}
	return func() {
		if err := t.setPending(nil); err != nil {
			t.cfg.Log.Warn("what was kept of the sign-in can't be removed", "error", err)
		}
	}
}

// setPending changes what the record says of a sign-in that waits, and nothing else in it.
func (t *Transport) setPending(text json.RawMessage) error {
	rec, err := t.cfg.Storage.Load()
	if err != nil {
		return err
	}
	if rec == nil {
		if text == nil {
			return nil
		}
		rec = &Record{Server: display(t.server), Profile: t.cfg.Profile}
	}
	changed := *rec
	changed.Pending = text
	if text == nil && rec.Issuer == "" && rec.Client == nil && rec.Token == nil {
		return t.cfg.Storage.Clear() // there is nothing else in it
	}
	return t.cfg.Storage.Save(&changed)
}
