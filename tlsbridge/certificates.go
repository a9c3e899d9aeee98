package tlsbridge

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// certificates are those of one time. They do not change.
type certificates struct {
	list   []tls.Certificate // with leafs
	byName map[string]*tls.Certificate
	slow   bool // a key signs slowly, or elsewhere
}

// SetCertificates replaces the certificates of all handshakes that begin from now
// on. Connections stay as they are, and so do the keys of session tickets:
// sessions from before can be resumed. It copies certs, but not what lies behind
// it. It may be called at any time, from any goroutine.
//
// It returns an error, and the old certificates stay, if certs is empty or one of
// them has no key, a leaf that cannot be parsed or a key that does not belong to
// the leaf. It also does if the tls.Config has a GetCertificate or a
// GetConfigForClient: certificates are then to be exchanged behind these.
func (s *Server) SetCertificates(certs []tls.Certificate) error {
	if s.certs.Load() == nil {
		return errors.New("tlsbridge: the tls.Config has a GetCertificate or a GetConfigForClient: exchange certificates behind it")
	}
	set, err := newCertificates(certs)
	if err != nil {
		return err
	}
	s.certs.Store(set)
	return nil
}

func newCertificates(certs []tls.Certificate) (*certificates, error) {
	if len(certs) == 0 {
		return nil, errors.New("tlsbridge: no certificates")
	}
	set := &certificates{list: slices.Clone(certs)}
	for i := range set.list {
		if err := check(&set.list[i]); err != nil {
			return nil, fmt.Errorf("tlsbridge: certificate %d: %w", i, err)
		}
		set.slow = set.slow || isSlow(set.list[i].PrivateKey)
	}
	return set, nil
}

// check returns an error if no handshake could succeed with c. It sets the leaf,
// which crypto/tls would parse in each handshake otherwise.
func check(c *tls.Certificate) error {
	if len(c.Certificate) == 0 {
		return errors.New("it is empty")
	}
	if c.PrivateKey == nil {
		return errors.New("it has no private key")
	}
	if c.Leaf == nil {
		leaf, err := x509.ParseCertificate(c.Certificate[0])
		if err != nil {
			return fmt.Errorf("its leaf: %w", err)
		}
		c.Leaf = leaf
	}
	key, ok := c.PrivateKey.(interface{ Public() crypto.PublicKey })
	if !ok {
		return fmt.Errorf("a private key of type %T is of no use", c.PrivateKey)
	}
	// Every public key of the standard library has Equal.
	if leaf, ok := c.Leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); ok && !leaf.Equal(key.Public()) {
		return errors.New("the private key does not belong to it")
	}
	return nil
}

// isSlow reports whether signing with key may keep a loop: it takes 1 to 2 ms with
// RSA, and any time with a key that is kept elsewhere.
func isSlow(key crypto.PrivateKey) bool {
	switch key.(type) {
	case *ecdsa.PrivateKey, ed25519.PrivateKey:
		return false
	default:
		return true
	}
}

// choose returns the certificate that crypto/tls would choose if the list were
// that of the tls.Config.
func (c *certificates) choose(hello *tls.ClientHelloInfo) *tls.Certificate {
	if len(c.list) == 1 {
		return &c.list[0]
	}
	if c.byName != nil {
		name := strings.ToLower(hello.ServerName)
		if cert, ok := c.byName[name]; ok {
			return cert
		}
		wildcard := "*"
		if i := strings.IndexByte(name, '.'); i >= 0 {
			wildcard += name[i:]
		}
		if cert, ok := c.byName[wildcard]; ok && name != "" {
			return cert
		}
	}
	for i := range c.list {
		if hello.SupportsCertificate(&c.list[i]) == nil {
			return &c.list[i]
		}
	}
	return &c.list[0]
}
