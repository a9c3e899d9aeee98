package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"time"

	"github.com/h2loop/h2loop/loop"
)

// listenerTLS returns a listener on a port of 127.0.0.1, with a key of that kind
// and handshakes as the flag says.
func listenerTLS(kind, handshakes string) (ln loop.Listener, err error) {
	cert, err := certificate(kind)
	if err != nil {
		return ln, err
	}
	ln = loop.Listener{Address: "127.0.0.1:0", TLS: &tls.Config{Certificates: []tls.Certificate{cert}}}
	switch handshakes {
	case "auto":
	case "loop":
		ln.Handshakes = loop.HandshakesOnLoop
	case "off":
		ln.Handshakes = loop.HandshakesOffLoop
	default:
		return ln, fmt.Errorf("handshakes are auto, loop or off, and not %q", handshakes)
	}
	return ln, nil
}

// certificate makes a key, ecdsa (P-256) or rsa (2048 bits), and signs for it.
func certificate(kind string) (cert tls.Certificate, err error) {
	var key crypto.Signer
	switch kind {
	case "ecdsa":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "rsa":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	default:
		err = fmt.Errorf("keys are ecdsa or rsa, and not %q", kind)
	}
	if err != nil {
		return cert, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "127.0.0.1"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// clientTLS is the config of all clients: they offer what crypto/tls offers, do
// not resume, and believe everything.
func clientTLS() *tls.Config {
	return &tls.Config{
		InsecureSkipVerify: true, //nolint:gosec // the server is our child, its certificate made by itself
		NextProtos:         []string{"h2"},
	}
}

// clientHello returns the record that a client begins with.
func clientHello() ([]byte, error) {
	var conn helloConn
	err := tls.Client(&conn, clientTLS()).Handshake()
	if !errors.Is(err, errHelloSent) {
		return nil, fmt.Errorf("a ClientHello cannot be made: %w", err)
	}
	return conn.written, nil
}

// A helloConn keeps what is written and has nothing to read.
type helloConn struct {
	net.Conn
	written []byte
}

var errHelloSent = errors.New("nothing comes back")

func (c *helloConn) Write(b []byte) (int, error) {
	c.written = append(c.written, b...)
	return len(b), nil
}

func (*helloConn) Read([]byte) (int, error) { return 0, errHelloSent }
func (*helloConn) Close() error             { return nil }
