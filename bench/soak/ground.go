package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/h2loop/h2loop/bench/freeport"
)

// A ground is where the server is started: its program, its configuration, what it
// serves, and who vouches for it.
type ground struct {
	dir      string
	server   string // programs
	attacker string // "" for none
	attacks  []string
	attack   atomic.Int64 // the last one
	sites    []*site
	at       targets
	ca       *x509.Certificate
	caKey    *ecdsa.PrivateKey
	serial   atomic.Int64 // of the last certificate
	turn     atomic.Int64 // of the configuration
	oldLog   string       // that was moved away and is not counted yet, or ""
}

// targets are the addresses of the server.
type targets struct{ tls, cleartext, admin string }

func prepare(ctx context.Context, s settings) (_ *ground, err error) {
	dir, err := os.MkdirTemp("", "h2loop-soak-")
	if err != nil {
		return nil, err
	}
	g := &ground{dir: dir, server: s.binary}
	defer func() {
		if err != nil {
			g.remove()
		}
	}()
	if g.server == "" {
		if g.server, err = build(ctx, dir, "cmd/h2loop"); err != nil {
			return nil, err
		}
	}
	if s.attacks {
		if g.attacker, err = build(ctx, dir, "bench/attack"); err != nil {
			return nil, err
		}
		if g.attacks, err = attacksOf(ctx, g.attacker); err != nil {
			return nil, err
		}
	}
	for i := range hosts {
		g.sites = append(g.sites, newSite(i))
		if err := g.sites[i].write(dir); err != nil {
			return nil, err
		}
	}
	// What attackers ask for.
	for name, size := range map[string]int{"small": 1000, "large": 4 << 20} {
		if err := os.WriteFile(filepath.Join(dir, hosts[1], name), make([]byte, size), 0o644); err != nil {
			return nil, err
		}
	}
	if err := g.makeCA(); err != nil {
		return nil, err
	}
	for _, host := range hosts {
		if err := g.issue(host); err != nil {
			return nil, err
		}
	}
	addrs, err := freeport.Addrs(3)
	if err != nil {
		return nil, err
	}
	g.at.tls, g.at.cleartext, g.at.admin = addrs[0], addrs[1], addrs[2]
	return g, g.configure()
}

func build(ctx context.Context, dir, pkg string) (string, error) {
	program := filepath.Join(dir, filepath.Base(pkg))
	cmd := exec.CommandContext(ctx, "go", "build", "-o", program, "github.com/h2loop/h2loop/"+pkg)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w: %s", pkg, err, out)
	}
	return program, nil
}

func (g *ground) remove() { _ = os.RemoveAll(g.dir) }

// configure writes the next turn of the configuration.
func (g *ground) configure() error {
	var b strings.Builder
	fmt.Fprintf(&b, `drain_timeout = "10s"
admin = %q
[log]
level = "warn"
format = "json"
[access_log]
file = %q
[limits]
max_conn_age = "3m"
[[listeners]]
address = %q
tls = true
[[listeners]]
address = %q
`, g.at.admin, g.log(), g.at.tls, g.at.cleartext)
	turn := g.turn.Add(1)
	for i, host := range hosts {
		fmt.Fprintf(&b, `[[sites]]
hosts = [%q]
default = %v
root = %q
compress = true
certificates = [{cert = "%s.crt", key = "%s.key"}]
headers = {X-Turn = "%d"}
[[sites.redirects]]
from = "/old/{path...}"
to = "/{path...}"
`, host, i == 1, host, host, host, turn)
	}
	return replace(g.config(), []byte(b.String()), 0o644)
}

func (g *ground) config() string { return filepath.Join(g.dir, "h2loop.toml") }

// replace writes a file that comes into being as a whole.
func replace(name string, p []byte, mode os.FileMode) error {
	if err := os.WriteFile(name+".new", p, mode); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

func (g *ground) makeCA() (err error) {
	if g.caKey, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return err
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "soak"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(30 * 24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &g.caKey.PublicKey, g.caKey)
	if err != nil {
		return err
	}
	g.ca, err = x509.ParseCertificate(der)
	return err
}

// issue makes a certificate for a host, with a key of its own, and puts both where the
// server reads them.
func (g *ground) issue(host string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1000 + g.serial.Add(1)), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	cert, err1 := x509.CreateCertificate(rand.Reader, t, g.ca, &key.PublicKey, g.caKey)
	secret, err2 := x509.MarshalPKCS8PrivateKey(key)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	return errors.Join(
		replace(filepath.Join(g.dir, host+".crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o644),
		replace(filepath.Join(g.dir, host+".key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
}

// commit names the commit of the tree that the server is built of.
func commit(ctx context.Context) string {
	head, err := exec.CommandContext(ctx, "git", "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	name := strings.TrimSpace(string(head))
	changed, err := exec.CommandContext(ctx, "git", "status", "--porcelain", "--untracked-files=no").Output()
	if err != nil || len(changed) > 0 {
		name += "+modified"
	}
	return name
}
