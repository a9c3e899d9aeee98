package looptest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/h2loop/h2loop/loop"
)

// An authority is a certificate, and who trusts it.
type authority struct {
	cert  tls.Certificate
	roots *x509.CertPool
}

// identity is the certificate of all servers of a process.
var identity = sync.OnceValue(func() authority {
	id, err := newAuthority()
	if err != nil {
		panic(fmt.Sprintf("looptest: making a certificate: %v", err))
	}
	return id
})

func newAuthority() (id authority, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return id, err
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "looptest"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		DNSNames:              []string{"localhost", "example.com"},
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return id, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return id, err
	}
	id.cert = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
	id.roots = x509.NewCertPool()
	id.roots.AddCert(leaf)
	return id, nil
}

// withCertificates returns listeners with a certificate for those that want one.
func withCertificates(listeners []loop.Listener) []loop.Listener {
	listeners = slices.Clone(listeners)
	for i, ln := range listeners {
		if c := ln.TLS; c != nil && len(c.Certificates) == 0 && c.GetCertificate == nil && c.GetConfigForClient == nil {
			c = c.Clone()
			c.Certificates = []tls.Certificate{identity().cert}
			listeners[i].TLS = c
		}
	}
	return listeners
}
