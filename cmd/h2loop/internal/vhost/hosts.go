package vhost

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/rs/zerolog"

	"github.com/h2loop/h2loop/cmd/h2loop/internal/config"
	"github.com/h2loop/h2loop/loop"
)

// Hosts are the sites that are served. Its methods may be called from any goroutine.
type Hosts struct {
	log     zerolog.Logger
	current atomic.Pointer[set]

	mu      sync.Mutex // held while current is exchanged
	dev     *tls.Certificate
	secrets []config.TicketKey // of our own, the newest first
}

// A set is what is served at one time. It does not change.
type set struct {
	cfg   *config.Config
	sites []*site
	exact map[string]*site
	below map[string]*site // by the name that "*." stands before
	other *site            // for all other names; may be nil
	isOne bool             // there is no site but other, and that has no names
}

// New returns hosts as cfg says, which has been checked. dev is the certificate of sites
// without one; it may be nil.
func New(cfg *config.Config, dev *tls.Certificate, log zerolog.Logger) (*Hosts, error) {
	h := &Hosts{log: log, dev: dev, secrets: []config.TicketKey{newSecret()}}
	next, err := h.build(cfg, nil)
	if err != nil {
		return nil, err
	}
	h.current.Store(next)
	return h, nil
}

// Update has cfg, which has been checked, hold from now on. Requests that are being
// served end as they began: the directories of sites that are gone are closed after the
// last of them. If that fails, nothing changes.
func (h *Hosts) Update(cfg *config.Config) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	old := h.current.Load()
	next, err := h.build(cfg, old)
	if err != nil {
		return err
	}
	h.current.Store(next)
	old.drop()
	return nil
}

// Close closes what is served, when nothing asks for it any more.
func (h *Hosts) Close() { h.current.Load().drop() }

// Handshakes returns where handshakes are to run: on the loops, as nothing here blocks,
// unless there is much arithmetic to do.
func (h *Hosts) Handshakes() loop.Handshakes {
	for _, s := range h.current.Load().sites {
		if s.rules.auth != tls.NoClientCert || slices.ContainsFunc(s.tls.Certificates, isSlow) {
			return loop.HandshakesOffLoop
		}
	}
	return loop.HandshakesOnLoop
}

// isSlow reports whether signing with the key of a certificate takes long.
func isSlow(cert tls.Certificate) bool {
	switch cert.PrivateKey.(type) {
	case *ecdsa.PrivateKey, ed25519.PrivateKey:
		return false
	default:
		return true
	}
}

// build makes a set; what is the same in old is used again.
func (h *Hosts) build(cfg *config.Config, old *set) (*set, error) {
	secrets := h.secrets
	if name := cfg.TLS.TicketKeys; name != "" {
		var err error
		if secrets, err = config.ReadTicketKeys(name); err != nil {
			return nil, fmt.Errorf("tls.ticket_keys: %w", err)
		}
	}
	next := &set{cfg: cfg, exact: map[string]*site{}, below: map[string]*site{}}
	described := cfg.Sites
	if len(described) == 0 {
		described = []config.Site{{}} // which has no directory
	}
	for i := range described {
		s, err := h.newSite(cfg, &described[i], old)
		if err != nil {
			next.drop()
			return nil, fmt.Errorf("sites[%d]: %w", i, err)
		}
		next.add(s, &described[i])
	}
	if err := next.shareCertificates(cfg, h.dev); err != nil {
		next.drop()
		return nil, err
	}
	next.isOne = len(next.exact) == 0 && len(next.below) == 0
	for _, s := range next.sites {
		s.setTicketKeys(secrets)
	}
	return next, nil
}

// add adds a site under its names.
func (set *set) add(s *site, described *config.Site) {
	set.sites = append(set.sites, s)
	for _, host := range described.Hosts {
		if name, ok := cutStar(string(host)); ok {
			set.below[name] = s
		} else {
			set.exact[string(host)] = s
		}
	}
	if described.IsDefault() {
		set.other = s
	}
}

// shareCertificates gives sites that have none those of the default site, or dev.
func (set *set) shareCertificates(cfg *config.Config, dev *tls.Certificate) error {
	if !cfg.ServesTLS() {
		return nil
	}
	for _, s := range set.sites {
		switch {
		case len(s.tls.Certificates) > 0:
		case set.other != nil && len(set.other.tls.Certificates) > 0:
			s.tls.Certificates = set.other.tls.Certificates
		case dev != nil && cfg.IsForDevelopment():
			s.tls.Certificates = []tls.Certificate{*dev}
		default:
			return errors.New("a site has no certificate")
		}
	}
	return nil
}

// drop lets go of what the sites hold.
func (set *set) drop() {
	for _, s := range set.sites {
		if s.dir != nil {
			s.dir.release()
		}
	}
}
