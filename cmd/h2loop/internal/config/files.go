package config

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// A keyError is about the key of a certificate, and not about the certificate.
type keyError struct{ error }

// Load reads the certificate and its key.
func (p *Certificate) Load() (cert tls.Certificate, err error) {
	certPEM, err := os.ReadFile(p.Cert)
	if err != nil {
		return cert, err
	}
	keyPEM, err := os.ReadFile(p.Key)
	if err != nil {
		return cert, keyError{err}
	}
	if isEncrypted(keyPEM) {
		return cert, keyError{fmt.Errorf("%s is encrypted, and nobody is asked for a passphrase: openssl pkey -in %[1]s -out FILE writes it without one", p.Key)}
	}
	if cert, err = tls.X509KeyPair(certPEM, keyPEM); err != nil {
		return cert, fmt.Errorf("%s with %s: %w", p.Cert, p.Key, err)
	}
	return cert, nil
}

// isEncrypted reports whether the first private key is, by itself (RFC 5958) or as PEM
// (RFC 1421).
func isEncrypted(keyPEM []byte) bool {
	for {
		var block *pem.Block
		if block, keyPEM = pem.Decode(keyPEM); block == nil {
			return false
		}
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			return strings.HasPrefix(block.Type, "ENCRYPTED") || block.Headers["DEK-Info"] != ""
		}
	}
}

// ReadCAs reads certificates in PEM, one after the other.
func ReadCAs(name string) (cas []*x509.Certificate, err error) {
	rest, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("%s has a %s, and is for certificates only", name, block.Type)
		}
		ca, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		cas = append(cas, ca)
	}
	if len(cas) == 0 {
		return nil, fmt.Errorf("%s has no certificate in PEM", name)
	}
	return cas, nil
}

// A TicketKey is a secret from which keys of session tickets come.
type TicketKey = [32]byte

// maxTicketKeys is how many keys there may be: each is tried for each ticket.
const maxTicketKeys = 16

// ReadTicketKeys reads keys of 32 octets each, one after the other; the first is that
// with which tickets are made.
func ReadTicketKeys(name string) (keys []TicketKey, err error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	const size = len(TicketKey{})
	isText := len(b) > 0 && !strings.ContainsFunc(string(b), func(r rune) bool { return (r < ' ' && r != '\n') || r > '~' })
	switch {
	case isText:
		return nil, fmt.Errorf("%s is text: keys are %d random octets each, as openssl rand %d makes them", name, size, size)
	case len(b) == 0 || len(b)%size != 0:
		return nil, fmt.Errorf("%s has %d octets: it must be one key or more of %d octets each", name, len(b), size)
	case len(b) > maxTicketKeys*size:
		return nil, fmt.Errorf("%s has more than %d keys", name, maxTicketKeys)
	}
	for ; len(b) > 0; b = b[size:] {
		keys = append(keys, TicketKey(b))
	}
	return keys, nil
}

// Files returns the files that hold secrets and certificates: those that change while
// the configuration does not.
func (cfg *Config) Files() (names []string) {
	add := func(name string) {
		if name != "" {
			names = append(names, name)
		}
	}
	add(cfg.TLS.TicketKeys)
	add(cfg.TLS.ClientCA)
	for i := range cfg.Sites {
		s := &cfg.Sites[i]
		add(s.TLS.ClientCA)
		for _, p := range s.Certificates {
			add(p.Cert)
			add(p.Key)
		}
	}
	return names
}

// anchor has names of files be relative to dir, and not to the working directory.
func (cfg *Config) anchor(dir string) {
	at := func(name *string) {
		if *name != "" && !filepath.IsAbs(*name) {
			*name = filepath.Join(dir, *name)
		}
	}
	at(&cfg.TLS.TicketKeys)
	at(&cfg.TLS.ClientCA)
	for i := range cfg.Sites {
		s := &cfg.Sites[i]
		at(&s.Root)
		at(&s.TLS.ClientCA)
		for j := range s.Certificates {
			at(&s.Certificates[j].Cert)
			at(&s.Certificates[j].Key)
		}
	}
	socket := func(addr *string) {
		if path, ok := socketFile(*addr); ok {
			at(&path)
			*addr = UnixPrefix + path
		}
	}
	for i := range cfg.Listeners {
		socket((*string)(&cfg.Listeners[i].Address))
	}
	socket(&cfg.Admin)
	if cfg.AccessLog.File != "-" {
		at(&cfg.AccessLog.File)
	}
}

// socketFile returns the file of a unix socket. One whose name begins with "@" has none.
func socketFile(addr string) (path string, ok bool) {
	path, ok = strings.CutPrefix(addr, UnixPrefix)
	return path, ok && !strings.HasPrefix(path, "@")
}

// Identity tells sets of CAs apart.
func Identity(cas []*x509.Certificate) [sha256.Size]byte {
	h := sha256.New()
	for _, ca := range cas {
		sum := sha256.Sum256(ca.Raw)
		h.Write(sum[:])
	}
	return [sha256.Size]byte(h.Sum(nil))
}
