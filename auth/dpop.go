package auth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// DPoPMode says whether tokens are bound to a key, so that they are of no use to a thief (RFC 9449).
type DPoPMode int

const (
	DPoPAuto   DPoPMode = iota // where the MCP server asks for it, or both servers say that they know it
	DPoPAlways                 // nothing else will do
	DPoPNever
)

// proofAlgorithm is the one that proofs are signed with.
const proofAlgorithm = "ES256"

// allows tells whether a token may be used as it is, bound or not.
func (m DPoPMode) allows(t *Token) bool {
	switch m {
	case DPoPAlways:
		return t.Key != nil
	case DPoPNever:
		return t.Key == nil
	}
	return true
}

// A binding says whether a token is to be bound to a key.
type binding int

const (
	unbound  binding = iota
	mayBind          // if the authorization server does not bind it, it is good all the same
	mustBind         // it is of no use then
)

// decideBinding finds out whether tokens for the server are to be bound to a key. What the authorization
// server alone says is not enough: it is the MCP server that has to understand such a token.
func (t *Transport) decideBinding(d *discovery, c challenge) (binding, error) {
	var atResource []string
	wanted := t.cfg.DPoP == DPoPAlways || c.dpop == dpopOnly
	if d.document != nil {
		wanted = wanted || d.document.DPoPRequired
		atResource = d.document.DPoPAlgorithms
	}
	known := len(d.server.DPoPAlgorithms) > 0 && (c.dpop != dpopUnknown || len(atResource) > 0)
	if t.cfg.DPoP == DPoPNever || t.cfg.UseIDToken || !wanted && !known {
		return unbound, nil
	}
	for _, algorithms := range [][]string{d.server.DPoPAlgorithms, atResource, strings.Fields(c.algorithms)} {
		if len(algorithms) == 0 || slices.Contains(algorithms, proofAlgorithm) {
			continue
		}
		if !wanted {
			return unbound, nil
		}
		return unbound, untrusted("the server wants proofs of possession (DPoP) that are signed with %s, and only %s is known here", strings.Join(algorithms, ", "), proofAlgorithm)
	}
	if wanted {
		return mustBind, nil
	}
	return mayBind, nil
}

// A ProofKey is the private key that a token is bound to. Its text is PKCS #8 in base64.
type ProofKey struct {
	private *ecdsa.PrivateKey
	public  map[string]string // as a JWK (RFC 7517)
}

func newProofKey() (*ProofKey, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key for the token: %w", err)
	}
	k := &ProofKey{}
	return k, k.set(private)
}

func (k *ProofKey) set(private *ecdsa.PrivateKey) error {
	point, err := private.PublicKey.Bytes() // 4, x, y (SEC 1, 2.3.3)
	if err != nil {
		return err
	}
	k.private = private
	k.public = map[string]string{"kty": "EC", "crv": "P-256",
		"x": base64.RawURLEncoding.EncodeToString(point[1:33]), "y": base64.RawURLEncoding.EncodeToString(point[33:])}
	return nil
}

// MarshalText is for the file of the login.
func (k *ProofKey) MarshalText() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k.private)
	return base64.StdEncoding.AppendEncode(nil, der), err
}

// UnmarshalText takes what MarshalText made.
func (k *ProofKey) UnmarshalText(text []byte) error {
	der, err := base64.StdEncoding.DecodeString(string(text))
	if err != nil {
		return err
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return err
	}
	private, ok := key.(*ecdsa.PrivateKey)
	if !ok || private.Curve != elliptic.P256() {
		return errors.New("the key is not on P-256")
	}
	return k.set(private)
}

// String keeps the key out of logs.
func (k *ProofKey) String() string { return "[hidden]" }

// authorizeRequest adds a token to a request, with what has to come with it.
func (t *Transport) authorizeRequest(req *http.Request, token *Token) error {
	if token.Key == nil {
		req.Header["Authorization"] = []string{"Bearer " + t.cfg.credential(token)} // spec 4.78
		return nil
	}
	req.Header["Authorization"] = []string{"DPoP " + token.Access} // RFC 9449 7.1
	return t.prove(req, token.Key, token.Access)
}

// prove adds to a request the proof that the key is here (RFC 9449 4.2), with the last nonce of the server
// that it goes to. Access is the token that the request carries, "" if it asks for one.
func (t *Transport) prove(req *http.Request, k *ProofKey, access string) error {
	claims := jwt.MapClaims{"jti": rand.Text(), "htm": req.Method, "htu": proofURL(req.URL), "iat": time.Now().Unix()}
	if access != "" {
		sum := sha256.Sum256([]byte(access))
		claims["ath"] = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	if nonce := t.nonces.of(req.URL); nonce != "" {
		claims["nonce"] = nonce
	}
	proof := jwt.NewWithClaims(jwt.SigningMethodES256, claims)
	proof.Header["typ"], proof.Header["jwk"] = "dpop+jwt", k.public
	signed, err := proof.SignedString(k.private)
	if err != nil {
		return fmt.Errorf("signing a proof for the token: %w", err)
	}
	req.Header.Set("DPoP", signed)
	return nil
}

// proofURL returns a URL as a proof has it: without query and fragment, which are not signed, and
// normalized (RFC 9449 4.2, RFC 3986 6.2.3).
func proofURL(u *url.URL) string {
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	return originOf(u) + path
}

func originOf(u *url.URL) string {
	host := strings.ToLower(u.Host)
	if u.Scheme == "https" {
		host = strings.TrimSuffix(host, ":443")
	} else {
		host = strings.TrimSuffix(host, ":80")
	}
	return u.Scheme + "://" + host
}

// nonces are the last ones that servers gave, by origin. Each goes into the proofs for its server until
// another comes (RFC 9449 8.2).
type nonces struct {
	mu   sync.Mutex
	last map[string]string
}

func (n *nonces) of(u *url.URL) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.last[originOf(u)]
}

// take remembers the nonce in a response from u, if there is one.
func (n *nonces) take(u *url.URL, h http.Header) {
	nonce := h.Get("DPoP-Nonce")
	if nonce == "" {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.last == nil {
		n.last = make(map[string]string)
	}
	n.last[originOf(u)] = nonce
}

// The errors that are about a proof, and say nothing of the token that it came with (RFC 9449 5, 7.1).
const (
	useNonce     = "use_dpop_nonce"
	invalidProof = "invalid_dpop_proof"
)

// isAboutProof tells whether an error is about a proof.
func isAboutProof(code string) bool { return code == useNonce || code == invalidProof }
