package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// A ground is what all servers stand on: the same files to serve and the same
// certificate, in a directory that lives as long as the benchmark.
type ground struct {
	module string // root of this module
	dir    string
	docs   string // document root: bench/hello, bench/64k …
	cert   string // self-signed, ECDSA P-256, for 127.0.0.1
	key    string
	upload string // the body that is posted
}

func newGround() (*ground, error) {
	gomod, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return nil, fmt.Errorf("go env GOMOD: %w", err)
	}
	module := filepath.Dir(strings.TrimSpace(string(gomod)))
	if _, err := os.Stat(filepath.Join(module, "bench", "peers")); err != nil {
		return nil, fmt.Errorf("run this in h2loop's module: %w", err)
	}
	dir, err := os.MkdirTemp("", "h2loop-bench-")
	if err != nil {
		return nil, err
	}
	g := &ground{
		module: module,
		dir:    dir,
		docs:   filepath.Join(dir, "docs"),
		cert:   filepath.Join(dir, "cert.pem"),
		key:    filepath.Join(dir, "key.pem"),
		upload: filepath.Join(dir, "upload"),
	}
	if err := errors.Join(os.Chmod(dir, 0o755), g.writeFiles(), g.writeCertificate()); err != nil {
		g.remove()
		return nil, err
	}
	return g, nil
}

func (g *ground) remove() {
	if err := os.RemoveAll(g.dir); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
}

// writeFiles makes the documents, readable for servers that give up root.
func (g *ground) writeFiles() error {
	if err := os.MkdirAll(filepath.Join(g.docs, "bench"), 0o755); err != nil {
		return err
	}
	for name, body := range map[string][]byte{
		"hello": []byte("Hello, world!"),
		"1k":    filler(kilo),
		"64k":   filler(64 * kilo),
		"10m":   filler(10 * mega),
		// What nghttpd answers an upload with.
		"upload": nil,
	} {
		if err := os.WriteFile(filepath.Join(g.docs, "bench", name), body, 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(g.upload, filler(64*kilo), 0o644)
}

// filler returns n octets that do not repeat soon.
func filler(n int) []byte {
	b := make([]byte, n)
	x := uint32(1)
	for i := range b {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		b[i] = byte(x)
	}
	return b
}

func (g *ground) writeCertificate() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "h2loop bench"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(48 * time.Hour),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(g.cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o644),
		os.WriteFile(g.key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600),
	)
}
