package main

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
)

// loadClientCert reads what --tls-cert and --tls-key name. It is shown to every server that asks
// for a certificate in the TLS handshake, the authorization server included (RFC 8705): both are
// behind the same gate where certificates are wanted at all, and the key never leaves this machine.
func (o *options) loadClientCert() error {
	switch {
	case o.tlsCertFile == "" && o.tlsKeyFile == "":
		return nil
	case o.tlsCertFile == "":
		return errors.New("--tls-key is the key of a certificate, which --tls-cert has to name")
	}
	certs, err := os.ReadFile(o.tlsCertFile)
	if err != nil {
		return fmt.Errorf("--tls-cert: %w", err)
	}
	keyFile := cmp.Or(o.tlsKeyFile, o.tlsCertFile) // one file may hold both
	key := certs
	if keyFile != o.tlsCertFile {
		if key, err = os.ReadFile(keyFile); err != nil {
			return fmt.Errorf("--tls-key: %w", err)
		}
	}
	switch kind := keyBlock(key); {
	case !hasBlock(certs, "CERTIFICATE"):
		return fmt.Errorf("--tls-cert: %s holds no certificate in PEM form", o.tlsCertFile)
	case kind == "" && o.tlsKeyFile == "":
		return fmt.Errorf("--tls-cert needs --tls-key, since %s holds no private key", o.tlsCertFile)
	case kind == "":
		return fmt.Errorf("--tls-key: %s holds no private key in PEM form", o.tlsKeyFile)
	case kind == encryptedKey:
		return fmt.Errorf("the private key in %s is encrypted; 'openssl pkey -in %s' decrypts it, to a file that only you may read", keyFile, keyFile)
	}
	cert, err := tls.X509KeyPair(certs, key)
	if err != nil {
		return fmt.Errorf("the certificate of --tls-cert can't be used: %s", strings.TrimPrefix(err.Error(), "tls: "))
	}
	o.clientCert = &cert
	return nil
}

// encryptedKey is the type of a PEM block with an encrypted key (RFC 5958 3).
const encryptedKey = "ENCRYPTED PRIVATE KEY"

// keyBlock returns the type of the first block that holds a private key, "" if there is none.
func keyBlock(text []byte) string {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			continue
		}
		if strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") { // as openssl wrote it before PKCS #8
			return encryptedKey
		}
		return block.Type
	}
	return ""
}

func hasBlock(text []byte, kind string) bool {
	return bytes.Contains(text, []byte("-----BEGIN "+kind+"-----"))
}

// withClientCertHint adds to the error of a server that refuses to go on without a client
// certificate what helps against it.
func (o *options) withClientCertHint(err error) error {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || op.Op != "remote error" || op.Err == nil {
		return err
	}
	text := op.Err.Error()
	switch {
	// RFC 8446 6.2. With TLS 1.2, the alert is the one for any failed handshake.
	case strings.Contains(text, "certificate required"), o.clientCert == nil && strings.Contains(text, "bad certificate"):
		return fmt.Errorf("%w; the server wants a client certificate: name yours by --tls-cert and --tls-key", err)
	case o.clientCert != nil && strings.Contains(text, "certificate"):
		return fmt.Errorf("%w; the server does not take the client certificate in %s", err, o.tlsCertFile)
	}
	return err
}
