package vhost

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/h2loop/h2loop/cmd/h2loop/internal/config"
	"github.com/h2loop/h2loop/loop"
)

// writePair writes a certificate for a.test, signed by itself, and its key.
func writePair(t *testing.T, key crypto.Signer) config.Certificate {
	t.Helper()
	dir := t.TempDir()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"a.test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	pair := config.Certificate{Cert: filepath.Join(dir, "cert"), Key: filepath.Join(dir, "key")}
	for name, block := range map[string]*pem.Block{
		pair.Cert: {Type: "CERTIFICATE", Bytes: cert}, pair.Key: {Type: "PRIVATE KEY", Bytes: secret},
	} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return pair
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newHosts(t *testing.T, sites ...config.Site) *Hosts {
	t.Helper()
	cfg := &config.Config{Listeners: []config.Listener{{Address: ":1", TLS: true}}, Sites: sites}
	h, err := New(cfg, nil, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

// TestHandshakes keeps handshakes on the loops if they are short.
func TestHandshakes(t *testing.T) {
	slow, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	quick, rsaPair := writePair(t, newKey(t)), writePair(t, slow)
	for _, tt := range []struct {
		name  string
		sites []config.Site
		want  loop.Handshakes
	}{
		{"ECDSA", []config.Site{{Certificates: []config.Certificate{quick}}}, loop.HandshakesOnLoop},
		{"RSA", []config.Site{{Certificates: []config.Certificate{rsaPair}}}, loop.HandshakesOffLoop},
		{"RSA too", []config.Site{
			{Certificates: []config.Certificate{quick}},
			{Hosts: []config.Host{"b"}, Certificates: []config.Certificate{quick, rsaPair}},
		}, loop.HandshakesOffLoop},
		{"certificates of clients", []config.Site{{
			Certificates: []config.Certificate{quick}, TLS: config.SiteTLS{ClientAuth: config.ClientAuth(tls.RequestClientCert) + 1},
		}}, loop.HandshakesOffLoop},
	} {
		if got := newHosts(t, tt.sites...).Handshakes(); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

// A drawer is a cache of one session.
type drawer struct{ state *tls.ClientSessionState }

func (d *drawer) Get(string) (*tls.ClientSessionState, bool)    { return d.state, d.state != nil }
func (d *drawer) Put(_ string, session *tls.ClientSessionState) { d.state = session }

// resumes makes a connection, and reports whether it went on with the session in d. It
// has the ticket replaced if keep is not set.
func resumes(t *testing.T, h *Hosts, d *drawer, keep bool) bool {
	t.Helper()
	before := d.state
	ln, err := tls.Listen("tcp", "127.0.0.1:0", h.TLS()) // a net.Pipe has no room for tickets
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	done := make(chan error, 1)
	go func() {
		s, err := ln.Accept()
		if err == nil {
			_, err = s.Write([]byte("x"))
			_ = s.Close()
		}
		done <- err
	}()
	c, err := tls.Dial("tcp", ln.Addr().String(), &tls.Config{ServerName: "a.test", InsecureSkipVerify: true, ClientSessionCache: d})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.ReadAll(c); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if keep {
		d.state = before
	}
	return c.ConnectionState().DidResume
}

// TestRotate rotates secrets: a ticket is good for six rotations, and not for the
// seventh. What reads the configuration anew changes nothing about that.
func TestRotate(t *testing.T) {
	site := config.Site{Certificates: []config.Certificate{writePair(t, newKey(t))}}
	h := newHosts(t, site)
	var d drawer
	if resumes(t, h, &d, false) {
		t.Error("there was nothing to resume")
	}
	for i := range keptSecrets - 1 {
		h.Rotate()
		if !resumes(t, h, &d, true) {
			t.Errorf("a ticket is of no use after %d rotations", i+1)
		}
		if err := h.Update(h.current.Load().cfg); err != nil {
			t.Fatal(err)
		}
		if !resumes(t, h, &d, true) {
			t.Errorf("a ticket is of no use after %d rotations and a reload", i+1)
		}
	}
	h.Rotate()
	if resumes(t, h, &d, true) {
		t.Errorf("a ticket is good after %d rotations", keptSecrets)
	}
}

// TestDirectoryIsKept uses a directory again that is the same, and opens one that is not,
// although its name is.
func TestDirectoryIsKept(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"1", "2"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(dir, "current")
	point := func(to string) {
		t.Helper()
		_ = os.Remove(link)
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
	}
	point("1")
	cfg := &config.Config{Sites: []config.Site{{Root: link}, {Root: link, Hosts: []config.Host{"a"}}}}
	h, err := New(cfg, nil, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	first := h.current.Load().other.dir
	update := func() *directory {
		t.Helper()
		if err := h.Update(cfg); err != nil {
			t.Fatal(err)
		}
		return h.current.Load().other.dir
	}
	if update() != first || first.users.Load() == 0 {
		t.Error("the directory is another, although nothing has changed")
	}
	if !first.take() { // a request
		t.Fatal("closed")
	}
	point("2")
	second := update()
	if second == first {
		t.Error("the directory is the same, although the link leads elsewhere")
	}
	if n := first.users.Load(); n != 1 && n != 2 { // the request, and perhaps the other site
		t.Errorf("%d users of the first", n)
	}
	cfg = &config.Config{Sites: []config.Site{{Root: link, List: true}}}
	if third := update(); third == second {
		t.Error("the directory is the same, although it is to be listed")
	}
	if second.take() {
		t.Error("a directory that nobody uses was not closed")
	}
	if !first.take() {
		t.Error("a directory was closed under a request")
	}
	first.drop()
	first.drop()
	if first.take() {
		t.Error("a directory was not closed after its last request")
	}
}
