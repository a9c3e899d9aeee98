package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
)

// clientCertSites has a site for each way to ask for certificates of clients.
const clientCertSites = `
[tls]
%s
[[sites]]
hosts = ["open.test"]
root = "www"
certificates = [{cert = "all.crt", key = "all.key"}]
[[sites]]
hosts = ["closed.test"]
root = "www"
certificates = [{cert = "all.crt", key = "all.key"}]
tls = {client_auth = "require_and_verify", client_ca = "ca.pem"}
[[sites]]
hosts = ["other.test"]
root = "www"
certificates = [{cert = "all.crt", key = "all.key"}]
tls = {client_auth = "require_and_verify", client_ca = "other.pem"}
[[sites]]
hosts = ["given.test"]
root = "www"
certificates = [{cert = "all.crt", key = "all.key"}]
tls = {client_auth = "verify_if_given", client_ca = "ca.pem"}
[[sites]]
hosts = ["any.test"]
root = "www"
certificates = [{cert = "all.crt", key = "all.key"}]
tls = {client_auth = "require_any"}
[[sites]]
hosts = ["like.test"]
root = "www"
certificates = [{cert = "all.crt", key = "all.key"}]
`

// installClientCerts returns also certificates of clients: one of the first CA and one of
// the second.
func installClientCerts(t *testing.T) (in *installation, mine, others tls.Certificate) {
	in = install(t)
	in.certificate("all", "open.test", "closed.test", "other.test", "given.test", "any.test", "like.test")
	other := newAuthority(t, "the other CA")
	in.write("ca.pem", encodePEM("CERTIFICATE", in.ca.cert.Raw))
	in.write("other.pem", encodePEM("CERTIFICATE", other.cert.Raw))
	in.write("www/index.html", "hello")
	return in, in.ca.issue(t, "a client"), other.issue(t, "a client of others")
}

func with(certs ...tls.Certificate) func(*tls.Config) {
	return func(cfg *tls.Config) {
		if len(certs) > 0 { // also if the server does not name its CA
			cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certs[0], nil }
		}
	}
}

// TestClientCertificates has clients with and without certificates ask for each site, and
// for others on the same connection.
func TestClientCertificates(t *testing.T) {
	in, mine, others := installClientCerts(t)
	p := start(t, in.configure(strings.Replace(clientCertSites, "%s", "", 1))...)
	for _, http2 := range []bool{true, false} {
		for _, tt := range []struct {
			site  string
			certs []tls.Certificate
			want  string // "" for a handshake that fails
		}{
			{"open.test", nil, "200 hello"},
			{"closed.test", []tls.Certificate{mine}, "200 hello"},
			{"closed.test", nil, ""},
			{"closed.test", []tls.Certificate{others}, ""},
			{"other.test", []tls.Certificate{others}, "200 hello"},
			{"other.test", []tls.Certificate{mine}, ""},
			{"given.test", nil, "200 hello"},
			{"given.test", []tls.Certificate{mine}, "200 hello"},
			{"given.test", []tls.Certificate{others}, ""},
			{"any.test", []tls.Certificate{others}, "200 hello"},
			{"any.test", nil, ""},
		} {
			c := in.client(p, http2, with(tt.certs...))
			resp, err := c.Get("https://" + tt.site + "/")
			if tt.want == "" {
				if err == nil {
					resp.Body.Close()
					t.Errorf("%s with %d certificates: %s", tt.site, len(tt.certs), resp.Status)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s with %d certificates: %v", tt.site, len(tt.certs), err)
				continue
			}
			resp.Body.Close()
			if got, _ := fetch(t, c, "https://"+tt.site+"/"); got != tt.want {
				t.Errorf("%s: %q, want %q", tt.site, got, tt.want)
			}
			for _, other := range []string{"open.test", "closed.test", "other.test", "given.test", "any.test", "like.test"} {
				isAlike := other == tt.site || tt.site == "open.test" && other == "like.test"
				got, _ := fetch(t, c, "https://"+tt.site+"/", func(r *http.Request) { r.Host = other })
				if strings.HasPrefix(got, "200 ") != isAlike || strings.HasPrefix(got, "421 ") == isAlike {
					t.Errorf("%s on a connection for %s: %q", other, tt.site, got)
				}
			}
		}
	}
}

// TestClientCertificatesInCleartext asks for each site where nobody can show a certificate.
func TestClientCertificatesInCleartext(t *testing.T) {
	in, _, _ := installClientCerts(t)
	args := in.configure(strings.Replace(clientCertSites, "%s", "", 1))
	socket := in.path("socket")
	p := start(t, append(args, "--listen-cleartext", "127.0.0.1:0", "--listen-cleartext", "unix:"+socket)...)
	for _, http2 := range []bool{true, false} {
		overTCP, overUnix := in.client(p, http2), in.client(p, http2)
		overUnix.Transport.(*http.Transport).DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		}
		for site, want := range map[string]string{
			"open.test": "200 hello", "given.test": "200 hello", "closed.test": "421 ", "other.test": "421 ", "any.test": "421 ",
		} {
			for name, c := range map[string]*http.Client{"TCP": overTCP, "a unix socket": overUnix} {
				if got, resp := fetch(t, c, "http://"+site+"/"); !strings.HasPrefix(got, want) {
					t.Errorf("%s on %s, %s: %q, want %q", site, name, resp.Proto, got, want)
				}
			}
		}
	}
}

// TestClientRulesReloaded asks for certificates of a site that did not: connections that
// there are do not do any more.
func TestClientRulesReloaded(t *testing.T) {
	in, mine, _ := installClientCerts(t)
	text := "[[sites]]\nroot = 'www'\ncertificates = [{cert = 'all.crt', key = 'all.key'}]\n"
	p := start(t, in.configure(text)...)
	c := in.client(p, true)
	if got, _ := fetch(t, c, "https://open.test/"); got != "200 hello" {
		t.Fatal(got)
	}
	in.configure(text + "tls = {client_auth = 'require_and_verify', client_ca = 'ca.pem'}\n")
	p.signal(syscall.SIGHUP)
	p.waitFor("reloaded")
	if got, _ := fetch(t, c, "https://open.test/"); !strings.HasPrefix(got, "421 ") {
		t.Errorf("an old connection: %q", got)
	}
	c2 := in.client(p, true, with(mine))
	if got, _ := fetch(t, c2, "https://open.test/"); got != "200 hello" {
		t.Errorf("with a certificate: %q", got)
	}
	for _, auth := range []string{"require_and_verify", "verify_if_given"} {
		in.configure(text + "tls = {client_auth = '" + auth + "', client_ca = 'other.pem'}\n")
		p.signal(syscall.SIGHUP)
		p.waitFor("reloaded")
		if got, _ := fetch(t, c2, "https://open.test/"); !strings.HasPrefix(got, "421 ") {
			t.Errorf("%s: a connection with a certificate of a CA that is not trusted any more: %q", auth, got)
		}
	}
}

// A ticketDrawer is a cache of sessions that has one, whoever asks.
type ticketDrawer struct{ state *tls.ClientSessionState }

func (d *ticketDrawer) Get(string) (*tls.ClientSessionState, bool)    { return d.state, d.state != nil }
func (d *ticketDrawer) Put(_ string, session *tls.ClientSessionState) { d.state = session }

// resumes makes a connection to a site, and reports whether it went on with the ticket of
// the one before. A handshake that is refused is an error.
func (d *ticketDrawer) resumes(t *testing.T, in *installation, addr, site string, version uint16, certs ...tls.Certificate) (bool, error) {
	t.Helper()
	cfg := &tls.Config{
		RootCAs: in.ca.pool(), ServerName: site, NextProtos: []string{"http/1.1"}, ClientSessionCache: d,
		MaxVersion: version,
	}
	with(certs...)(cfg)
	c, err := tls.Dial("tcp", addr, cfg)
	if err != nil {
		return false, err
	}
	defer c.Close()
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", site)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil) // tickets come before it
	if err != nil {
		return false, err
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("%s: %s", site, resp.Status)
	}
	return c.ConnectionState().DidResume, nil
}

// TestSessionTickets goes on with sessions: in another process that has the same file of
// keys, after a reload with another key before it, but never at another site.
func TestSessionTickets(t *testing.T) {
	in, mine, _ := installClientCerts(t)
	key := func() string {
		b := make([]byte, 32)
		_, _ = rand.Read(b)
		return string(b)
	}
	first := key()
	in.write("tickets", first)
	shared := in.configure(fmt.Sprintf(clientCertSites, "ticket_keys = 'tickets'"))
	one, two := start(t, shared...), start(t, shared...)
	alone := []string{"--config", in.path("alone.toml")}
	in.write("alone.toml", "listeners = [{address = '127.0.0.1:0', tls = true}]\n"+strings.Replace(clientCertSites, "%s", "", 1))
	three, four := start(t, alone...), start(t, alone...)
	in.write("without.toml", "listeners = [{address = '127.0.0.1:0', tls = true}]\n"+fmt.Sprintf(clientCertSites, "session_tickets = false"))
	without := start(t, "--config", in.path("without.toml"))
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, tt := range []struct {
			name       string
			from, to   *process
			site, then string
			certs      []tls.Certificate
			want       bool
		}{
			{"the same process", three, three, "open.test", "open.test", nil, true},
			{"another without a file", three, four, "open.test", "open.test", nil, false},
			{"another that shares the file", one, two, "open.test", "open.test", nil, true},
			{"with a certificate", one, two, "closed.test", "closed.test", []tls.Certificate{mine}, true},
			{"a site like it", one, one, "open.test", "like.test", nil, false},
			{"a site that asks for a certificate", one, one, "given.test", "closed.test", []tls.Certificate{mine}, false},
			{"a site without tickets", without, without, "open.test", "open.test", nil, false},
		} {
			var drawer ticketDrawer
			if _, err := drawer.resumes(t, in, tt.from.addr(0), tt.site, version, tt.certs...); err != nil {
				t.Errorf("%s: %v", tt.name, err)
				continue
			}
			got, err := drawer.resumes(t, in, tt.to.addr(0), tt.then, version, tt.certs...)
			if err != nil || got != tt.want {
				t.Errorf("TLS %x, %s: resumed %v, %v, want %v", version, tt.name, got, err, tt.want)
			}
		}
		// A client that was believed by one CA has a ticket of its site, and no
		// certificate for the other.
		var drawer ticketDrawer
		if _, err := drawer.resumes(t, in, one.addr(0), "closed.test", version, mine); err != nil {
			t.Error(err)
		}
		if resumed, err := drawer.resumes(t, in, one.addr(0), "other.test", version); err == nil {
			t.Errorf("TLS %x: a ticket of closed.test opens other.test (resumed %v)", version, resumed)
		}
		// Another key goes before the first, in one of them.
		drawer = ticketDrawer{}
		if _, err := drawer.resumes(t, in, one.addr(0), "open.test", version); err != nil {
			t.Error(err)
		}
		in.write("tickets", key()+first)
		one.signal(syscall.SIGHUP)
		one.waitFor("reloaded")
		if got, err := drawer.resumes(t, in, one.addr(0), "open.test", version); err != nil || !got {
			t.Errorf("TLS %x: after a reload with another key before it: %v, %v", version, got, err)
		}
		two.signal(syscall.SIGHUP)
		two.waitFor("reloaded")
		if got, err := drawer.resumes(t, in, two.addr(0), "open.test", version); err != nil || !got {
			t.Errorf("TLS %x: with the new key in the other process: %v, %v", version, got, err)
		}
		in.write("tickets", key())
		one.signal(syscall.SIGHUP)
		one.waitFor("reloaded")
		if got, err := drawer.resumes(t, in, one.addr(0), "open.test", version); err != nil || got {
			t.Errorf("TLS %x: with a key that is gone: %v, %v", version, got, err)
		}
		in.write("tickets", first)
		for _, p := range []*process{one, two} {
			p.signal(syscall.SIGHUP)
			p.waitFor("reloaded")
		}
	}
}
