package config

import (
	"crypto/x509"
	"fmt"
	"os"
	"time"
)

// Notes finds what is not wrong, and likely not meant: certificates that have expired or
// are not for a host of their site, secrets that everybody may read. cfg has been checked.
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
	return c.problems
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
