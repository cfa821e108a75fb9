package auth

import (
	"encoding/json"
	"time"
)

// recordVersion is that of the layout of a Record. Files of later layouts are left alone.
const recordVersion = 1

// A Record is all that is kept about one server, and replaced as a whole, so that a token is
// never paired with a client or an authorization server that it was not issued to.
type Record struct {
	Version   int     `json:"version"`
	Server    string  `json:"server"` // MCP endpoint without query, for the person reading the file
	Profile   string  `json:"profile,omitempty"`
	Issuer    string  `json:"issuer,omitempty"` // authorization server that knows Client and issued Token
	TokenURL  string  `json:"token_url,omitempty"`
	RevokeURL string  `json:"revoke_url,omitempty"`
	Resource  string  `json:"resource,omitempty"` // RFC 8707, sent with every grant
	Scope     string  `json:"scope,omitempty"`    // granted
	Client    *Client `json:"client,omitempty"`   // used for Token; a configured one without its secret
	Token     *Token  `json:"token,omitempty"`

	// Pending is a sign-in that waits for the user, for another process to go on with if this one is
	// killed. It is secret: with it an answer to that sign-in is worth a token.
	Pending json.RawMessage `json:"pending,omitempty"`

	unsaved bool // storage could not keep it

	// File is where List found the record, and Sealed tells whether it is sealed there.
	File   string `json:"-"`
	Sealed bool   `json:"-"`
	sealed []byte // what it is sealed in, until it is opened
}

// A Client is what the authorization server knows us as.
type Client struct {
	ID           string    `json:"id"`
	Secret       string    `json:"secret,omitempty"`
	SecretExpiry time.Time `json:"secret_expiry,omitzero"` // zero: never
	AuthMethod   string    `json:"auth_method"`            // token_endpoint_auth_method (RFC 7591 2)
	RedirectURI  string    `json:"redirect_uri,omitempty"`
	Registered   bool      `json:"registered,omitempty"` // dynamically: it may be replaced by another
}

// kept returns what is written of a client: a configured secret stays where it was configured.
func (c *Client) kept() *Client {
	kept := *c
	if !kept.Registered {
		kept.Secret = ""
	}
	return &kept
}

// expired tells whether the client's secret is of no use any more (spec 4.71).
func (c *Client) expired() bool {
	return !c.SecretExpiry.IsZero() && !time.Now().Before(c.SecretExpiry)
}

// A Token is an access token and what belongs to it.
type Token struct {
	Access  string    `json:"access_token"`
	Refresh string    `json:"refresh_token,omitempty"`
	ID      string    `json:"id_token,omitempty"` // only where it is wanted; Expiry is its own then
	Issued  time.Time `json:"issued,omitzero"`
	Expiry  time.Time `json:"expiry,omitzero"`    // zero: unknown, so it is used until it is refused
	Key     *ProofKey `json:"dpop_key,omitempty"` // that the tokens are bound to (RFC 9449); nil: to none
}

// A token is not used any more some time before its end, as the request has to arrive, and clocks
// differ; and it is renewed some time before that. Both are small parts of a short life.
const (
	expiryMargin = 10 * time.Second
	renewMargin  = time.Minute
)

// expired tells whether the token is of no use any more.
func (t *Token) expired() bool { return t.endsWithin(expiryMargin, 10) }

// ending tells whether it is time to renew the token.
func (t *Token) ending() bool { return t.endsWithin(renewMargin, 4) }

// endsWithin tells whether no more is left of the token's life than margin, or the given part of its
// life if that is less.
func (t *Token) endsWithin(margin time.Duration, part int) bool {
	if t.Expiry.IsZero() {
		return false
	}
	if !t.Issued.IsZero() {
		margin = min(margin, t.Expiry.Sub(t.Issued)/time.Duration(part))
	}
	return time.Until(t.Expiry) <= margin
}

// setEndpoints takes over where the authorization server is asked. One that knows the client by no name can
// not be told to revoke its token (RFC 7009 2.1).
func (r *Record) setEndpoints(d *discovery) {
	r.TokenURL, r.RevokeURL = d.server.TokenEndpoint, d.server.RevocationEndpoint
	if r.Client != nil && r.Client.ID == "" {
		r.RevokeURL = ""
	}
}

func (r *Record) hasToken() bool { return r != nil && r.Token != nil && r.Token.Access != "" }

// isBound tells whether the token has to come with a proof.
func (r *Record) isBound() bool { return r.hasToken() && r.Token.Key != nil }

func (r *Record) canRefresh() bool {
	return r != nil && r.Token != nil && r.Token.Refresh != "" && r.TokenURL != "" && r.Client != nil
}
