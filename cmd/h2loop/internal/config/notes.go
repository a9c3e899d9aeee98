package config

import (
	"crypto/x509"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// Notes finds what is not wrong, and likely not meant: certificates that have expired or
// are not for a host of their site, secrets that everybody may read, listeners on which a
// site is never served. cfg has been checked.
func (cfg *Config) Notes(now time.Time) Problems {
	c := &checker{cfg: cfg}
	c.secret("tls.ticket_keys", cfg.TLS.TicketKeys)
	for i := range cfg.Sites {
		s := &cfg.Sites[i]
		var leaves []*x509.Certificate
		for j, pair := range s.Certificates {
			at := fmt.Sprintf("sites[%d].certificates[%d]", i, j)
			c.secret(at+".key", pair.Key)
			cert, err := pair.Load()
			if err != nil {
				continue // it has changed since it was checked
			}
			leaves = append(leaves, cert.Leaf)
			if now.After(cert.Leaf.NotAfter) {
				c.add(at+".cert", "it has expired on %s", cert.Leaf.NotAfter.UTC().Format(time.DateOnly))
			} else if now.Before(cert.Leaf.NotBefore) {
				c.add(at+".cert", "it is not valid before %s", cert.Leaf.NotBefore.UTC().Format(time.DateTime))
			}
		}
		for j, host := range s.Hosts {
			if len(leaves) > 0 && cfg.ServesTLS() && !covers(leaves, string(host)) {
				c.add(fmt.Sprintf("sites[%d].hosts[%d]", i, j), "no certificate of the site is for %q", host)
			}
		}
	}
	c.certificatesInCleartext()
	return c.problems
}

// certificatesInCleartext notes sites that need certificates of clients beside listeners
// where these cannot show any, and are not sent elsewhere.
func (c *checker) certificatesInCleartext() {
	var open []string
	for i := range c.cfg.Listeners {
		if l := &c.cfg.Listeners[i]; !l.TLS && c.cfg.RedirectPort(l) == 0 {
			open = append(open, fmt.Sprintf("listeners[%d]", i))
		}
	}
	if len(open) == 0 {
		return
	}
	needs := func(field string, auth ClientAuth) {
		if NeedsCertificate(auth.Type()) {
			c.add(field, "clients cannot show a certificate in cleartext: what needs one is not served on %s", strings.Join(open, ", "))
		}
	}
	if len(c.cfg.Sites) == 0 || slices.ContainsFunc(c.cfg.Sites, func(s Site) bool { return s.TLS.ClientAuth == 0 }) {
		needs("tls.client_auth", c.cfg.TLS.ClientAuth)
	}
	for i := range c.cfg.Sites {
		needs(fmt.Sprintf("sites[%d].tls.client_auth", i), c.cfg.Sites[i].TLS.ClientAuth)
	}
}

// secret notes a file that everybody may read.
func (c *checker) secret(field, name string) {
	if name == "" {
		return
	}
	if info, err := os.Stat(name); err == nil && info.Mode().Perm()&0o004 != 0 {
		c.add(field, "everybody may read %s", name)
	}
}

// covers reports whether a certificate is for host, or for the names below it that a star
// in a certificate can stand for.
func covers(leaves []*x509.Certificate, host string) bool {
	if len(host) > 1 && host[0] == '*' {
		host = "any" + host[1:]
	}
	for _, leaf := range leaves {
		if leaf.VerifyHostname(host) == nil {
			return true
		}
	}
	return false
}
