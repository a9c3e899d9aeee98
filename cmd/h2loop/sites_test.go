package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// An installation is a directory with a configuration and what it names.
type installation struct {
	t   *testing.T
	dir string
	ca  *authority
}

func install(t *testing.T) *installation {
	return &installation{t: t, dir: t.TempDir(), ca: newAuthority(t, "the CA")}
}

func (in *installation) path(name string) string { return filepath.Join(in.dir, name) }

func (in *installation) write(name, text string) {
	in.t.Helper()
	name = in.path(name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		in.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		in.t.Fatal(err)
	}
}

// certificate writes name.crt and name.key, for hosts.
func (in *installation) certificate(name string, hosts ...string) {
	in.t.Helper()
	cert := in.ca.issue(in.t, name, hosts...)
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		in.t.Fatal(err)
	}
	in.write(name+".crt", encodePEM("CERTIFICATE", cert.Certificate[0]))
	in.write(name+".key", encodePEM("PRIVATE KEY", key))
}

func encodePEM(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// configure writes the configuration, behind listeners for TLS and in cleartext.
func (in *installation) configure(text string) (args []string) {
	in.t.Helper()
	in.write("h2loop.toml", "listeners = [{address = '127.0.0.1:0', tls = true}, {address = '127.0.0.1:0'}]\nlog.format = 'json'\n"+text)
	return []string{"--config", in.path("h2loop.toml")}
}

// An authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a := &authority{key: key}
	a.cert = a.sign(t, template, template, key)
	return a
}

func (a *authority) sign(t *testing.T, template, parent *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func (a *authority) issue(t *testing.T, name string, hosts ...string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	leaf := a.sign(t, &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, DNSNames: hosts,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.cert, key)
	return tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// client speaks HTTP/2, or HTTP/1.1, with the process, whatever host a URL names.
func (in *installation) client(p *process, http2 bool, change ...func(*tls.Config)) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!http2)
	protocols.SetHTTP2(http2)
	protocols.SetUnencryptedHTTP2(http2)
	cfg := &tls.Config{RootCAs: in.ca.pool()}
	for _, f := range change {
		f(cfg)
	}
	tr := &http.Transport{
		Protocols: protocols, TLSClientConfig: cfg, DisableCompression: true,
		DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
			i := 0
			if strings.HasSuffix(addr, ":80") {
				i = 1
			}
			return new(net.Dialer).DialContext(ctx, "tcp", p.addr(i))
		},
	}
	in.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{
		Transport: tr, Timeout: long,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// addr returns the address of listener i.
func (p *process) addr(i int) string {
	u, err := url.Parse(p.urls[i])
	if err != nil {
		p.t.Fatal(err)
	}
	return u.Host
}

// fetch returns a response, as "status body" and whole.
func fetch(t *testing.T, c *http.Client, url string, change ...func(*http.Request)) (string, *http.Response) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range change {
		f(req)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	return fmt.Sprint(resp.StatusCode, " ", strings.TrimSpace(string(body))), resp
}

const twoSites = `
[[sites]]
hosts = ["one.test", "*.one.test"]
root = "one"
certificates = [{cert = "one.crt", key = "one.key"}]
headers = {X-Site = "one"}
hsts = {max_age = "365d", include_subdomains = true, preload = true}
[[sites.redirects]]
from = "/old/{rest...}"
to = "/new/{rest...}"
[[sites.redirects]]
from = "/away"
to = "https://two.test/"
status = 302
[[sites.cache]]
match = "*.css"
value = "max-age=60"

[[sites]]
hosts = ["Two.test."]
root = "two"
index = "home.htm"
not_found = ".404.html"
certificates = [{cert = "two.crt", key = "two.key"}]
tls.min_version = "1.3"
`

func installTwoSites(t *testing.T) *installation {
	in := install(t)
	in.certificate("one", "one.test", "*.one.test", "*.deep.one.test")
	in.certificate("two", "two.test")
	in.write("one/index.html", "one")
	in.write("one/a.css", "css")
	in.write("two/home.htm", "two")
	in.write("two/.404.html", "nothing")
	return in
}

// TestSites serves two sites, with all that they have of their own.
func TestSites(t *testing.T) {
	in := installTwoSites(t)
	p := start(t, in.configure(twoSites)...)
	for _, http2 := range []bool{true, false} {
		c := in.client(p, http2)
		for _, tt := range []struct {
			url, want string
			header    string // "name: value"
		}{
			{"https://one.test/", "200 one", "X-Site: one"},
			{"https://one.test/", "200 one", "Strict-Transport-Security: max-age=31536000; includeSubDomains; preload"},
			{"http://one.test/", "200 one", "Strict-Transport-Security: "},
			{"http://one.test/", "200 one", "X-Site: one"},
			{"https://ONE.test/a.css", "200 css", "Cache-Control: max-age=60"},
			{"https://www.one.test/", "200 one", ""},
			{"https://x.deep.one.test/", "200 one", ""},
			{"https://one.test/missing", "404 404 page not found", "X-Site: one"},
			{"https://one.test/old/a%20b?c=d", "301", "Location: /new/a%20b?c=d"},
			{"https://one.test/old?c=d", "307", "Location: /old/?c=d"},
			{"https://one.test/away", "302", "Location: https://two.test/"},
			{"http://one.test/old/x", "301", "Location: /new/x"},
			{"https://two.test/", "200 two", "X-Site: "},
			{"https://two.test/old/x", "404 nothing", "Strict-Transport-Security: "},
			{"http://two.test:80/", "200 two", ""},
			{"http://three.test/", "421 Misdirected", ""},
			{"http://127.0.0.1/", "421 Misdirected", ""},
		} {
			got, resp := fetch(t, c, tt.url)
			name, value, _ := strings.Cut(tt.header, ": ")
			if !strings.HasPrefix(got, tt.want) || resp.Header.Get(name) != value {
				t.Errorf("%s (%s): %q, %s %q, want %q, %q", tt.url, resp.Proto, got, name, resp.Header.Get(name), tt.want, value)
			}
			if resp.TLS != nil && resp.TLS.PeerCertificates[0].VerifyHostname(resp.Request.URL.Hostname()) != nil {
				t.Errorf("%s: another certificate", tt.url)
			}
		}
		if got, _ := fetch(t, c, "http://one.test/", func(r *http.Request) { r.Host = "TWO.test.:8080" }); got != "200 two" {
			t.Errorf("with another Host: %q", got)
		}
		resp, err := c.Post("https://one.test/old/x", "text/plain", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 308 {
			t.Errorf("a POST is redirected with %d", resp.StatusCode)
		}
	}
	// Names that no site has, and versions that one does not take, end the handshake.
	for _, tt := range []struct {
		name    string
		version uint16
		want    string
	}{
		{"three.test", tls.VersionTLS13, "unrecognized name"},
		{"", tls.VersionTLS13, "unrecognized name"},
		{"two.test", tls.VersionTLS12, "protocol version"},
		{"one.test", tls.VersionTLS12, ""},
		{"one.test", tls.VersionTLS11, "protocol version"},
	} {
		c, err := tls.Dial("tcp", p.addr(0), &tls.Config{ServerName: tt.name, InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tt.version})
		if err == nil {
			_ = c.Close()
		}
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s with TLS %x: %v, want %q", tt.name, tt.version, err, tt.want)
		}
	}
	p.signal(syscall.SIGTERM)
	if status := p.wait(); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

// TestExample checks and serves the example in docs, beside the files that it names.
func TestExample(t *testing.T) {
	in := install(t)
	text, err := os.ReadFile("../../docs/h2loop.example.toml")
	if err != nil {
		t.Fatal(err)
	}
	in.write("h2loop.toml", string(text))
	in.certificate("example.org", "example.org", "www.example.org", "*.pages.example.org")
	in.certificate("intern.example.org", "intern.example.org")
	in.write("clients.pem", encodePEM("CERTIFICATE", in.ca.cert.Raw))
	in.write("tickets.keys", strings.Repeat("\x01", 32))
	in.write("www/.404.html", "nothing")
	in.write("www/index.html", "www")
	in.write("intern/index.html", "intern")
	if stdout, stderr, status := runOnce(t, "check", "--config", in.path("h2loop.toml")); status != 0 || stderr != "" {
		t.Errorf("status %d\n%s%s", status, stdout, stderr)
	}
	p := start(t, "--config", in.path("h2loop.toml"), "--listen", "127.0.0.1:0", "--listen-cleartext", "unix:"+in.path("socket"), "--redirect-https=false")
	c := in.client(p, true, with(in.ca.issue(t, "a client")))
	for url, want := range map[string]string{
		"https://example.org/":           "200 www",
		"https://example.org/missing":    "404 nothing",
		"https://www.example.org/blog/a": "301",
		"https://intern.example.org/":    "200 intern",
	} {
		if got, _ := fetch(t, c, url); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
	}
}
