package auth

import (
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// openID is the scope that an ID token is given for (OpenID Connect Core 1.0 3.1.2.1).
const openID = "openid"

// credential returns what a server is sent of a token.
func (c *Config) credential(t *Token) string {
	if c.UseIDToken && t.ID != "" {
		return t.ID
	}
	return t.Access
}

// takeIDToken puts the ID token of a reply into the token, if it is wanted. The token then ends
// when the ID token does: that is the one which is sent. A renewal may bring none (OpenID Connect
// Core 1.0 12.2); the one before is not kept then, since it was near its end or refused, and a
// sign-in brings another.
func (t *Transport) takeIDToken(token *Token, id string) {
	if !t.cfg.UseIDToken {
		return
	}
	if id == "" {
		t.cfg.Log.Warn("the authorization server gave no ID token, so the server is sent the access token")
		return
	}
	token.ID = id
	token.Expiry = time.Time{}
	// The server judges it, so its signature is not looked at here.
	var claims jwt.RegisteredClaims
	if _, _, err := jwt.NewParser().ParseUnverified(id, &claims); err == nil && claims.ExpiresAt != nil {
		token.Expiry = claims.ExpiresAt.UTC()
	}
}
