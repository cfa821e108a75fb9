package authtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// What one server says of somebody to another: ID tokens and ID-JAGs of users, and JWTs of workloads.

const (
	grantExchange = "urn:ietf:params:oauth:grant-type:token-exchange"
	grantBearer   = "urn:ietf:params:oauth:grant-type:jwt-bearer"

	typeIDToken = "urn:ietf:params:oauth:token-type:id_token"
	typeIDJAG   = "urn:ietf:params:oauth:token-type:id-jag"

	headerIDJAG = "oauth-id-jag+jwt" // typ of an ID-JAG
)

// newSigningKey makes the key that a server signs with. There is always enough randomness.
func newSigningKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic("authtest: " + err.Error())
	}
	return key
}

// Key returns the key that verifies what the server signs, for the Config.Issuers of another.
func (s *Server) Key() crypto.PublicKey { return s.key().Public() }

// Sign returns a JWT that the server, as the issuer, signs: it begins now, and ends after so much time.
// The claims are added; typ is "" for a plain one.
func (s *Server) Sign(typ string, lifetime time.Duration, claims map[string]any) string {
	all := jwt.MapClaims{"iss": s.url, "iat": time.Now().Unix(), "exp": time.Now().Add(lifetime).Unix(), "jti": "secret-jti-" + rand.Text()}
	for name, value := range claims {
		all[name] = value
	}
	t := jwt.NewWithClaims(jwt.SigningMethodES256, all)
	if typ != "" {
		t.Header["typ"] = typ
	}
	text, err := t.SignedString(s.key())
	if err != nil {
		panic("authtest: " + err.Error())
	}
	return text
}

// IDToken returns an ID token for a user who is signed in at the server by a client of its own
// (OpenID Connect Core 2). It lasts an hour.
func (s *Server) IDToken(client, user string) string {
	return s.Sign("", time.Hour, map[string]any{"sub": user, "aud": client})
}

// exchangeToken gives an ID-JAG for an ID token (RFC 8693 2, Identity Assertion Authorization Grant 4). The
// IdP knows the client by its own id, and by another at the audience: Config.IDJAG says which.
func (s *Server) exchangeToken(c *Client, r *Request, cfg *Config) (map[string]any, *oauthError) {
	form := r.PostForm
	for _, p := range [][2]string{{"requested_token_type", typeIDJAG}, {"subject_token_type", typeIDToken}} {
		if form.Get(p[0]) != p[1] {
			return nil, refuse("invalid_request", p[0]+" is "+form.Get(p[0]))
		}
	}
	for _, name := range []string{"audience", "resource"} {
		if form.Get(name) == "" {
			return nil, refuse("invalid_request", name+" is missing")
		}
	}
	var user jwt.RegisteredClaims
	if _, err := jwt.ParseWithClaims(form.Get("subject_token"), &user, func(*jwt.Token) (any, error) { return s.Key(), nil },
		jwt.WithValidMethods(signingMethods()), jwt.WithIssuer(s.url), jwt.WithAudience(c.ID), jwt.WithExpirationRequired()); err != nil {
		return nil, refuse("invalid_grant", "The ID token: "+err.Error())
	}
	claims := cfg.IDJAG.apply(map[string]any{"sub": user.Subject, "aud": form.Get("audience"), "resource": form.Get("resource"), "client_id": c.ID, "scope": form.Get("scope")})
	return map[string]any{
		"access_token": s.Sign(headerIDJAG, 5*time.Minute, claims), "issued_token_type": typeIDJAG, "token_type": "N_A", "expires_in": 300,
	}, nil
}

// A vouched is what an assertion says, of a workload or in an ID-JAG.
type vouched struct {
	jwt.RegisteredClaims
	ClientID string `json:"client_id"`
	Resource string `json:"resource"`
}

// assertionGrant takes a JWT as a grant (RFC 7523 2.1). An ID-JAG is good for the client that it was given
// to, one time; the JWT of a workload for whoever has it, as it is the workload. The caller holds mu.
func (s *Server) assertionGrant(c *Client, r *Request, cfg *Config) (*grant, *oauthError) {
	var v vouched
	t, err := jwt.ParseWithClaims(r.PostForm.Get("assertion"), &v, func(*jwt.Token) (any, error) {
		if key, ok := cfg.Issuers[v.Issuer]; ok {
			return key, nil
		}
		return nil, jwt.ErrTokenUnverifiable
	}, jwt.WithValidMethods(signingMethods()), jwt.WithAudience(cfg.issuer(r.Request)), jwt.WithExpirationRequired(), jwt.WithIssuedAt())
	if err != nil {
		return nil, refuse("invalid_grant", "The assertion: "+err.Error())
	}
	if t.Header["typ"] == headerIDJAG {
		switch {
		case c.ID == "" || v.ClientID != c.ID:
			return nil, refuse("invalid_grant", "The ID-JAG is for the client "+v.ClientID)
		case v.Resource != r.PostForm.Get("resource"):
			return nil, refuse("invalid_grant", "The ID-JAG is for the resource "+v.Resource)
		case v.ID == "" || s.seenLocked("id-jag "+v.ID, v.ExpiresAt.Time):
			return nil, refuse("invalid_grant", "The ID-JAG has been used")
		}
	}
	g, refused := cfg.grantFor(r.PostForm)
	if refused == nil {
		g.client = c.ID
	}
	return g, refused
}
