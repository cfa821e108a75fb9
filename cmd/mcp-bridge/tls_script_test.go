package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// writeClientCert writes a client's certificate and key to the files $CLIENT_CERT and $CLIENT_KEY,
// and another certificate with the same key to $OTHER_CERT. It returns the pool with the first one.
func writeClientCert(ts *testscript.TestScript) *x509.CertPool {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	write := func(variable, name, kind string, der []byte) {
		file := ts.MkAbs(name)
		ts.Check(os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
		ts.Setenv(variable, file)
	}
	write("CLIENT_KEY", "client-key.pem", "PRIVATE KEY", der)
	pool := x509.NewCertPool()
	for i, name := range []string{"client", "other"} {
		template := &x509.Certificate{
			SerialNumber: big.NewInt(int64(i)), Subject: pkix.Name{CommonName: name},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
			IsCA: true, BasicConstraintsValid: true, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		ts.Check(err)
		if i > 0 {
			write("OTHER_CERT", "other.pem", "CERTIFICATE", der)
			continue
		}
		write("CLIENT_CERT", "client.pem", "CERTIFICATE", der)
		cert, err := x509.ParseCertificate(der)
		ts.Check(err)
		pool.AddCert(cert)
	}
	return pool
}

// A tlsListener is a TLS listener that lets a client read why its handshake failed: to close a
// connection with unread bytes resets it, and what was sent before may be lost.
type tlsListener struct {
	net.Listener
	config *tls.Config
}

func (l tlsListener) Accept() (net.Conn, error) {
	for {
		raw, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		conn := tls.Server(raw, l.config)
		if conn.Handshake() == nil {
			return conn, nil
		}
		_ = raw.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, raw) // ends when the client closes the connection
		raw.Close()
	}
}
