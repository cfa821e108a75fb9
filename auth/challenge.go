package auth

import (
	"net/http"
	"strings"
)

// A challenge is what a protected resource says in a WWW-Authenticate header to Bearer, or to DPoP: the
// parameters, in lower case, "" for those that are missing (RFC 9110 11.6.1, RFC 6750 3, RFC 9728
// 5.1, RFC 9449 7.1).
type challenge struct {
	resourceMetadata string
	scope            string
	errorCode        string
	description      string

	dpop       dpopOffer
	algorithms string // that proofs may be signed with, with spaces between
}

// A dpopOffer is what a resource says of tokens that are bound to a key.
type dpopOffer int

const (
	dpopUnknown dpopOffer = iota
	dpopToo               // it takes them beside others
	dpopOnly
)

// tokenChallenge returns the challenge of a response that is about tokens: the one to Bearer, or the one to
// DPoP for who has sent a token that is bound to a key, or where there is no other. A header may come
// several times, and hold several challenges; ok is false when none is of these (spec 4.03).
func tokenChallenge(h http.Header, bound bool) (c challenge, ok bool) {
	if len(h.Values("WWW-Authenticate")) == 0 {
		return c, false // as nearly always
	}
	bearer, isBearer := challengeTo("bearer", h)
	dpop, isDPoP := challengeTo("dpop", h)
	switch {
	case !isDPoP:
		return bearer, isBearer
	case !isBearer:
		dpop.dpop = dpopOnly
		return dpop, true
	case bound:
		c, c.dpop = dpop, dpopToo
		if c.resourceMetadata == "" {
			c.resourceMetadata = bearer.resourceMetadata
		}
		return c, true
	}
	c, c.dpop, c.algorithms = bearer, dpopToo, dpop.algorithms
	if c.resourceMetadata == "" {
		c.resourceMetadata = dpop.resourceMetadata
	}
	return c, true
}

// challengeTo returns the challenge to a scheme.
func challengeTo(scheme string, h http.Header) (c challenge, ok bool) {
	for _, line := range h.Values("WWW-Authenticate") {
		for _, one := range parseChallenges(line) {
			if one.scheme != scheme {
				continue
			}
			// Of several the one that says where to go counts.
			if found := (challenge{
				resourceMetadata: one.params["resource_metadata"],
				scope:            one.params["scope"],
				errorCode:        one.params["error"],
				description:      one.params["error_description"],
				algorithms:       one.params["algs"],
			}); !ok || c.resourceMetadata == "" && found.resourceMetadata != "" {
				c, ok = found, true
			}
		}
	}
	return c, ok
}

// A schemeParams is one challenge of any scheme.
type schemeParams struct {
	scheme string
	params map[string]string
}

// parseChallenges reads a WWW-Authenticate header value. What can't be read is passed over: half a
// challenge is more use than none.
func parseChallenges(s string) []schemeParams {
	var all []schemeParams
	p := &headerParser{s: s}
	for {
		p.skip(" \t,")
		word := p.token()
		if word == "" {
			if p.done() {
				return all
			}
			p.i++ // not a token: no challenge starts here
			continue
		}
		p.skip(" \t")
		if !p.have('=') { // a scheme
			all = append(all, schemeParams{strings.ToLower(word), map[string]string{}})
			continue
		}
		p.i++
		p.skip(" \t")
		value := p.value()
		if len(all) > 0 {
			if name, last := strings.ToLower(word), all[len(all)-1].params; last[name] == "" {
				last[name] = value
			}
		}
	}
}

type headerParser struct {
	s string
	i int
}

func (p *headerParser) done() bool       { return p.i >= len(p.s) }
func (p *headerParser) have(c byte) bool { return !p.done() && p.s[p.i] == c }

func (p *headerParser) skip(set string) {
	for !p.done() && strings.IndexByte(set, p.s[p.i]) >= 0 {
		p.i++
	}
}

// token reads an RFC 9110 token.
func (p *headerParser) token() string {
	from := p.i
	for !p.done() && isTokenByte(p.s[p.i]) {
		p.i++
	}
	return p.s[from:p.i]
}

func isTokenByte(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || strings.IndexByte("!#$%&*+-.^_`|~", c) >= 0
}

// value reads a quoted string or a token. Servers also write single quotes, and URLs without any.
func (p *headerParser) value() string {
	if p.done() || p.s[p.i] != '"' && p.s[p.i] != '\'' {
		from := p.i
		for !p.done() && strings.IndexByte(" \t,", p.s[p.i]) < 0 {
			p.i++
		}
		return p.s[from:p.i]
	}
	quote := p.s[p.i]
	p.i++
	var b strings.Builder
	for ; !p.done() && p.s[p.i] != quote; p.i++ {
		if p.s[p.i] == '\\' && p.i+1 < len(p.s) {
			p.i++
		}
		b.WriteByte(p.s[p.i])
	}
	if !p.done() {
		p.i++ // the closing quote
	}
	return b.String()
}
