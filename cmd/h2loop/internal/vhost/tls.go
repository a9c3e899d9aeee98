package vhost

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	"github.com/h2loop/h2loop/cmd/h2loop/internal/config"
)

// rules are what is asked of clients. Connections that were made under other rules do not
// do for a site (RFC 9110, Section 7.4).
type rules struct {
	auth    tls.ClientAuthType
	cas     [sha256.Size]byte // identity of the CAs; 0 for none
	version uint16            // at least
}

// protocols are those that ALPN offers.
var protocols = []string{"h2", "http/1.1", "http/1.0"}

// suites are the cipher suites of TLS 1.2 that HTTP/2 allows (RFC 9113, Section 9.2.2).
// Named here, no config need be cloned for each handshake.
var suites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

func newConfig() *tls.Config {
	return &tls.Config{
		NextProtos: protocols, MinVersion: tls.VersionTLS12, CipherSuites: suites, DynamicRecordSizingDisabled: true,
	}
}

// nobody is for names that no site has: without a certificate, the handshake ends with
// the alert unrecognized_name (RFC 6066, Section 3).
var nobody = newConfig()

// TLS returns the config of listeners. It asks for the site by what the client calls us,
// and does not block.
func (h *Hosts) TLS() *tls.Config {
	cfg := newConfig()
	cfg.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if s := h.current.Load().of(hello.ServerName); s != nil {
			return s.tls, nil
		}
		return nobody, nil
	}
	return cfg
}

// initTLS reads what TLS needs.
func (s *site) initTLS(cfg *config.Config, described *config.Site) error {
	said := cfg.TLSOf(described)
	s.tls = newConfig()
	for i, pair := range described.Certificates {
		cert, err := pair.Load()
		if err != nil {
			return fmt.Errorf("certificates[%d]: %w", i, err)
		}
		s.tls.Certificates = append(s.tls.Certificates, cert)
	}
	if said.MinVersion != 0 {
		s.tls.MinVersion = uint16(said.MinVersion)
	}
	for _, c := range said.Curves {
		s.tls.CurvePreferences = append(s.tls.CurvePreferences, tls.CurveID(c))
	}
	s.tls.SessionTicketsDisabled = said.SessionTickets == "off"
	s.tls.ClientAuth = said.ClientAuth.Type()
	s.rules = rules{auth: s.tls.ClientAuth, version: s.tls.MinVersion}
	if said.ClientCA != "" && s.tls.ClientAuth != tls.NoClientCert {
		cas, err := config.ReadCAs(said.ClientCA)
		if err != nil {
			return fmt.Errorf("tls.client_ca: %w", err)
		}
		s.tls.ClientCAs = x509.NewCertPool()
		for _, ca := range cas {
			s.tls.ClientCAs.AddCert(ca)
			s.roots = append(s.roots, ca.Raw)
		}
		s.rules.cas = config.Identity(cas)
	}
	hosts := make([]string, len(described.Hosts))
	for i, host := range described.Hosts {
		hosts[i] = string(host)
	}
	slices.Sort(hosts)
	s.identity = fmt.Sprintf("%s/%d/%x", strings.Join(hosts, ","), s.rules.auth, s.rules.cas)
	return nil
}

// admits reports whether a connection, whose TLS is nil in cleartext, will do for requests
// to s: it was not made under the rules of another site, and s would accept what the client
// has shown. The latter also holds for connections that were made before a reload.
func (s *site) admits(c *tls.ConnectionState, set *set) bool {
	if c == nil {
		return !config.NeedsCertificate(s.rules.auth)
	}
	if made := set.of(c.ServerName); made != nil && made.rules != s.rules {
		return false
	}
	if c.Version < s.rules.version {
		return false
	}
	switch s.rules.auth {
	case tls.RequireAnyClientCert:
		return len(c.PeerCertificates) > 0
	case tls.VerifyClientCertIfGiven:
		return len(c.PeerCertificates) == 0 || s.trusts(c.VerifiedChains)
	case tls.RequireAndVerifyClientCert:
		return s.trusts(c.VerifiedChains)
	default:
		return true
	}
}

// trusts reports whether one of the chains ends in a CA of s.
func (s *site) trusts(chains [][]*x509.Certificate) bool {
	for _, chain := range chains {
		root := chain[len(chain)-1]
		if slices.ContainsFunc(s.roots, func(raw []byte) bool { return bytes.Equal(raw, root.Raw) }) {
			return true
		}
	}
	return false
}

// keptSecrets is how many secrets of our own are kept: with one a day, a ticket is good
// for a week, as those of crypto/tls are.
const keptSecrets = 7

func newSecret() (secret config.TicketKey) {
	_, _ = rand.Read(secret[:]) // it never fails
	return secret
}

// Rotate makes a new secret for session tickets, unless they come from a file. Tickets
// that were given out are honoured until it was called seven times.
func (h *Hosts) Rotate() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.secrets = append([]config.TicketKey{newSecret()}, h.secrets[:min(len(h.secrets), keptSecrets-1)]...)
	set := h.current.Load()
	if set.cfg.TLS.TicketKeys != "" {
		return
	}
	for _, s := range set.sites {
		s.setTicketKeys(h.secrets)
	}
}

// setTicketKeys derives the keys of the site's tickets. Each site has others, and others
// again if it asks something else of clients: a certificate that a client has shown is
// not looked at again when it comes back with a ticket.
func (s *site) setTicketKeys(secrets []config.TicketKey) {
	keys := make([][32]byte, len(secrets))
	for i, secret := range secrets {
		key, err := hkdf.Key(sha256.New, secret[:], nil, "h2loop session tickets "+s.identity, 32)
		if err != nil {
			panic(err) // of lengths that are constant
		}
		keys[i] = [32]byte(key)
	}
	s.tls.SetSessionTicketKeys(keys)
}
