package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// assertionType is the client_assertion_type of private_key_jwt (RFC 7523 2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// ParseKey reads a private key for private_key_jwt: RSA or P-256, in PEM (PKCS #8, PKCS #1 or SEC 1).
func ParseKey(text []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("there is no PEM block")
	}
	for _, parse := range []func([]byte) (any, error){
		x509.ParsePKCS8PrivateKey,
		func(der []byte) (any, error) { return x509.ParsePKCS1PrivateKey(der) },
		func(der []byte) (any, error) { return x509.ParseECPrivateKey(der) },
	} {
		key, err := parse(block.Bytes)
		if err != nil {
			continue
		}
		switch key := key.(type) {
		case *rsa.PrivateKey:
			return key, nil
		case *ecdsa.PrivateKey:
			if key.Curve == elliptic.P256() {
				return key, nil
			}
		}
		return nil, fmt.Errorf("a key of type %T can't be used, only RSA and P-256", key)
	}
	return nil, errors.New("there is no private key in the PEM block")
}

// clientAssertion returns the JWT that authenticates the client: one that its platform has made for it, or
// one that is signed with its own key.
func (t *Transport) clientAssertion(clientID, audience string) (string, error) {
	switch {
	case t.cfg.ClientAssertion != nil && !t.cfg.isWorkload():
		return t.cfg.ClientAssertion()
	case t.cfg.ClientKey != nil:
		return assertion(t.cfg.ClientKey, clientID, audience)
	}
	return "", errors.New("the client authenticates with a key, and none is given")
}

// assertion proves that the client is ours (RFC 7523 3). The audience is the issuer.
func assertion(key crypto.Signer, clientID, audience string) (string, error) {
	var method jwt.SigningMethod = jwt.SigningMethodRS256
	if _, ok := key.(*ecdsa.PrivateKey); ok {
		method = jwt.SigningMethodES256
	}
	now := time.Now()
	signed, err := jwt.NewWithClaims(method, jwt.RegisteredClaims{
		Issuer: clientID, Subject: clientID, Audience: jwt.ClaimStrings{audience},
		IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(5 * time.Minute)), ID: rand.Text(),
	}).SignedString(key)
	if err != nil {
		return "", fmt.Errorf("signing the client assertion: %w", err)
	}
	return signed, nil
}
