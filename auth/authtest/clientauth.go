package authtest

import (
	"net/url"
	"slices"

	"github.com/golang-jwt/jwt/v5"
)

// The ways in which a client proves who it is (RFC 7591 2, OpenID Connect Core 9).
const (
	methodNone  = "none"
	methodPost  = "client_secret_post"
	methodBasic = "client_secret_basic"
	methodJWT   = "private_key_jwt"
)

func (c *Config) authMethods() []string {
	if c.AuthMethods == nil {
		return []string{methodNone, methodPost, methodBasic, methodJWT}
	}
	return c.AuthMethods
}

func signingMethods() []string { return []string{"RS256", "ES256"} }

// authenticate returns the client that a request to the token endpoint, or one like it, is from.
func (s *Server) authenticate(r *Request, cfg *Config) (*Client, *oauthError) {
	id, secret, method := r.PostForm.Get("client_id"), "", methodNone
	methods := 0
	if user, password, ok := r.BasicAuth(); ok {
		var err1, err2 error
		user, err1 = url.QueryUnescape(user) // RFC 6749 2.3.1
		secret, err2 = url.QueryUnescape(password)
		if err1 != nil || err2 != nil || id != "" && id != user {
			return nil, refuse("invalid_client", "The Authorization header can't be used")
		}
		id, method = user, methodBasic
		methods++
	}
	if r.PostForm.Has("client_secret") {
		secret, method = r.PostForm.Get("client_secret"), methodPost
		methods++
	}
	if r.PostForm.Has("client_assertion") {
		method = methodJWT
		methods++
	}
	if methods > 1 {
		return nil, refuse("invalid_request", "One way of client authentication is enough")
	}
	if id == "" && methods == 0 && r.PostForm.Get("grant_type") == grantBearer {
		return &Client{}, nil // the assertion says enough (RFC 7523 3.1)
	}
	c := s.client(cfg, id)
	switch offered := cfg.authMethods(); {
	case c == nil:
		return nil, refuse("invalid_client", "Unknown client")
	case !slices.Contains(offered, method):
		return nil, refuse("invalid_client", "No "+method+" here")
	case c.AuthMethod != "" && c.AuthMethod != method && slices.Contains(offered, c.AuthMethod):
		return nil, refuse("invalid_client", "The client has to use "+c.AuthMethod)
	case method == methodJWT:
		return c, s.checkAssertion(r, cfg, c)
	case c.Key != nil || secret != c.Secret:
		return nil, refuse("invalid_client", "The client has not proved who it is")
	}
	return c, nil
}

// checkAssertion verifies a client's JWT (RFC 7523 3).
func (s *Server) checkAssertion(r *Request, cfg *Config, c *Client) *oauthError {
	if r.PostForm.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" || c.Key == nil {
		return refuse("invalid_client", "A client assertion is not expected, or not of this type")
	}
	issuer := c.ID
	if c.Issuer != "" {
		issuer = c.Issuer
	}
	var claims jwt.RegisteredClaims
	_, err := jwt.ParseWithClaims(r.PostForm.Get("client_assertion"), &claims,
		func(*jwt.Token) (any, error) { return c.Key, nil },
		jwt.WithValidMethods(signingMethods()), jwt.WithIssuer(issuer), jwt.WithSubject(c.ID),
		jwt.WithAudience(cfg.issuer(r.Request), origin(r.Request)+pathToken),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt())
	if err != nil {
		return refuse("invalid_client", err.Error())
	}
	if c.Issuer == "" && (claims.ID == "" || s.seen(c.ID+" "+claims.ID, claims.ExpiresAt.Time)) {
		return refuse("invalid_client", "The assertion has no jti, or one that was there before")
	}
	return nil
}
