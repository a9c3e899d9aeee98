package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"embed"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A ground is what all servers stand on: the same files to serve and the same
// certificate, in a directory that lives as long as the benchmark.
type ground struct {
	module string // root of this module
	pgo    string // the profile that h2loop is built with, or off
	dir    string
	docs   string // document root: bench/hello, bench/64k …
	cert   string // self-signed, ECDSA P-256, for 127.0.0.1
	key    string
	both   string // certificate and key

	variedURLs     string // input of h2load -i
	variedRequests string // input of wrk/varied.lua
	h2loadLog      string // what h2load tells of each request, if it is asked to
	openssl        string // configuration that offers one protocol and one cipher
}

// onlyCipher is what all connections over TLS use, so that all servers do the
// same work.
const onlyCipher = "TLS_AES_128_GCM_SHA256"

// opensslConf is for clients that cannot be told by flags, which is wrk.
const opensslConf = `openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = only
[only]
MinProtocol = TLSv1.3
Ciphersuites = ` + onlyCipher + `
Groups = X25519:P-256
`

//go:embed wrk/*.lua
var luaScripts embed.FS

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
		pgo:    filepath.Join(module, "cmd", "h2loop", "h2loop.pgo"),
		dir:    dir,
		docs:   filepath.Join(dir, "docs"),
		cert:   filepath.Join(dir, "cert.pem"),
		key:    filepath.Join(dir, "key.pem"),
		both:   filepath.Join(dir, "both.pem"),

		variedURLs:     filepath.Join(dir, "varied.urls"),
		variedRequests: filepath.Join(dir, "varied.requests"),
		h2loadLog:      filepath.Join(dir, "h2load.log"),
		openssl:        filepath.Join(dir, "openssl.cnf"),
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

// body names the file of size octets that is posted.
func (g *ground) body(size int) string { return filepath.Join(g.dir, "body-"+strconv.Itoa(size)) }

// lua names a script for wrk.
func (g *ground) lua(name string) string { return filepath.Join(g.dir, "wrk", name+".lua") }

// writeFiles makes the documents, readable for servers that give up root, and
// what the tools need.
func (g *ground) writeFiles() error {
	hello := []byte("Hello, World!")
	files := map[string][]byte{
		filepath.Join(g.docs, "bench/hello"): hello,
		filepath.Join(g.docs, "bench/1k"):    filler(kilo),
		filepath.Join(g.docs, "bench/64k"):   filler(64 * kilo),
		filepath.Join(g.docs, "bench/10m"):   filler(10 * mega),
		// What nghttpd answers an upload with.
		filepath.Join(g.docs, "bench/upload"): nil,

		g.variedURLs:     variedURLs(),
		g.variedRequests: variedRequests(),
		g.openssl:        []byte(opensslConf),
	}
	for _, name := range variedNames() {
		files[filepath.Join(g.docs, variedPrefix, name)] = hello
	}
	for _, w := range workloads {
		if w.upload {
			files[g.body(w.size)] = filler(w.size)
		}
	}
	for name, body := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(name, body, 0o644); err != nil {
			return err
		}
	}
	return os.CopyFS(g.dir, luaScripts)
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
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	return errors.Join(
		os.WriteFile(g.cert, certPEM, 0o644),
		os.WriteFile(g.key, keyPEM, 0o600),
		os.WriteFile(g.both, slices.Concat(certPEM, keyPEM), 0o600),
	)
}
