package authtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// proofTime is how old a proof may be, or how young, as clocks differ.
const proofTime = time.Minute

// proofAlgorithms are those that proofs may be signed with.
func proofAlgorithms() []string { return []string{"ES256"} }

// A proof is what a DPoP proof says beside the claims of any JWT (RFC 9449 4.2).
type proof struct {
	jwt.RegisteredClaims
	Method string `json:"htm"`
	URL    string `json:"htu"`
	Access string `json:"ath"` // hash of the access token
	Nonce  string `json:"nonce"`
}

// RenewNonces has the server and the guard want other nonces than so far.
func (s *Server) RenewNonces() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nonces++
}

// nonce returns what proofs have to hold at one of the two places, "" if nothing.
func (s *Server) nonce(place string, cfg *Config) string {
	if !cfg.DPoPNonces {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprintf("nonce-%s-%d", place, s.nonces)
}

// checkProof verifies the proof that comes with a request (RFC 9449 4.3), and returns the thumbprint
// of its key, "" if there is no proof. At a resource, access is the token that came too.
func (s *Server) checkProof(r *http.Request, access, nonce string) (jkt string, _ *oauthError) {
	headers := r.Header.Values("DPoP")
	if len(headers) == 0 {
		return "", nil
	}
	if len(headers) > 1 {
		return "", refuse("invalid_dpop_proof", "There are several proofs")
	}
	var p proof
	token, err := jwt.ParseWithClaims(headers[0], &p, func(t *jwt.Token) (any, error) {
		if t.Header["typ"] != "dpop+jwt" {
			return nil, errors.New("typ is not dpop+jwt")
		}
		return proofKey(t.Header["jwk"])
	}, jwt.WithValidMethods(proofAlgorithms()))
	sum := sha256.Sum256([]byte(access))
	switch {
	case err != nil:
		return "", refuse("invalid_dpop_proof", err.Error())
	case p.Method != r.Method:
		return "", refuse("invalid_dpop_proof", "htm is "+p.Method)
	case p.URL != origin(r)+r.URL.EscapedPath():
		return "", refuse("invalid_dpop_proof", "htu is "+p.URL)
	case p.IssuedAt == nil || time.Since(p.IssuedAt.Time).Abs() > proofTime:
		return "", refuse("invalid_dpop_proof", "iat is not now")
	case access != "" && p.Access != base64.RawURLEncoding.EncodeToString(sum[:]):
		return "", refuse("invalid_dpop_proof", "ath is not of this token")
	case access == "" && p.Access != "":
		return "", refuse("invalid_dpop_proof", "ath, but no token")
	case p.ID == "" || s.seen("proof "+p.ID, p.IssuedAt.Add(proofTime)):
		return "", refuse("invalid_dpop_proof", "The proof has no jti, or one that was there before")
	case p.Nonce != nonce:
		return "", refuse("use_dpop_nonce", "The nonce is not the one of the moment")
	}
	return thumbprint(token.Header["jwk"].(map[string]any)), nil
}

// proofKey reads the public key in the header of a proof.
func proofKey(header any) (*ecdsa.PublicKey, error) {
	jwk, _ := header.(map[string]any)
	if jwk["kty"] != "EC" || jwk["crv"] != "P-256" || jwk["d"] != nil {
		return nil, errors.New("jwk is no public key on P-256")
	}
	point := []byte{4} // uncompressed (SEC 1, 2.3.3)
	for _, name := range []string{"x", "y"} {
		text, _ := jwk[name].(string)
		b, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil {
			return nil, err
		}
		point = append(point, b...)
	}
	return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
}

// thumbprint names a key (RFC 7638 3).
func thumbprint(jwk map[string]any) string {
	sum := sha256.Sum256(fmt.Appendf(nil, `{"crv":"P-256","kty":"EC","x":%q,"y":%q}`, jwk["x"], jwk["y"]))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// seen is seenLocked for those who do not hold mu.
func (s *Server) seen(id string, expires time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seenLocked(id, expires)
}

// seenLocked tells whether something that is good for one time was there before. It is remembered until
// it would be of no use anyway. The caller holds mu.
func (s *Server) seenLocked(id string, expires time.Time) bool {
	for id, expires := range s.shown {
		if time.Now().After(expires) {
			delete(s.shown, id)
		}
	}
	_, before := s.shown[id]
	s.shown[id] = expires
	return before
}

// tokenProof verifies the proof of a token request, if proofs are known here at all.
func (s *Server) tokenProof(w http.ResponseWriter, r *Request, cfg *Config) (jkt string, _ *oauthError) {
	if !cfg.DPoP && !cfg.DPoPRequired {
		return "", nil
	}
	nonce := s.nonce("as", cfg)
	if nonce != "" {
		w.Header().Set("DPoP-Nonce", nonce)
	}
	jkt, err := s.checkProof(r.Request, "", nonce)
	if err == nil && jkt == "" && cfg.DPoPRequired {
		err = refuse("invalid_dpop_proof", "There is no proof")
	}
	return jkt, err
}

// bind binds the tokens of a reply to a key. The refresh token of a client that can prove who it is
// needs no key (RFC 9449 5). The caller holds mu.
func (s *Server) bind(reply map[string]any, c *Client, jkt string) {
	if jkt == "" {
		return
	}
	reply["token_type"] = "DPoP"
	for _, name := range []string{"access_token", "refresh_token"} {
		text, _ := reply[name].(string)
		if t := s.tokens[text]; t != nil && (!t.refresh || c.Secret == "" && c.Key == nil) {
			t.jkt = jkt
		}
	}
}

// checkPossession verifies that a token came in the way that it has to, and returns what is wrong.
func (s *Server) checkPossession(w http.ResponseWriter, r *http.Request, scheme, sent string, t *token, cfg *Config) *oauthError {
	if !strings.EqualFold(scheme, "DPoP") {
		if t.jkt != "" || cfg.DPoPRequired {
			return refuse("invalid_token", "the token has to come with a proof")
		}
		return nil
	}
	nonce := s.nonce("rs", cfg)
	if nonce != "" {
		w.Header().Set("DPoP-Nonce", nonce)
	}
	jkt, err := s.checkProof(r, sent, nonce)
	switch {
	case err != nil:
		return err
	case jkt == "":
		return refuse("invalid_dpop_proof", "there is no proof")
	case jkt != t.jkt:
		return refuse("invalid_token", "the token is bound to another key")
	}
	return nil
}
