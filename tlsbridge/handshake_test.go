package tlsbridge

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestHandshake(t *testing.T) {
	certs := map[string]tls.Certificate{"ECDSA": ecdsaCert(), "RSA": rsaCert(), "Ed25519": ed25519Cert()}
	versions(t, func(t *testing.T, v uint16) {
		for name, cert := range certs {
			for _, step := range []int{0, 1, 7} {
				t.Run(fmt.Sprintf("%s/step %d", name, step), func(t *testing.T) {
					leak := noLeak(t)
					cfg := serverConfig()
					cfg.Certificates = []tls.Certificate{cert}
					l := newLink(t, cfg, clientConfig(v))
					l.step = step
					if l.b.ConnectionState() != nil || l.b.HandshakeComplete() || l.b.Protocol() != "" {
						t.Error("there is a state before the handshake")
					}
					l.handshake()
					l.clientSends([]byte("hello"))
					l.serverSends([]byte("you"))
					st := l.b.ConnectionState()
					if st == nil || !st.HandshakeComplete || st.Version != v || st.NegotiatedProtocol != "h2" || st.ServerName != "server" {
						t.Errorf("connection state %+v", st)
					}
					if l.b.ConnectionState() != st {
						t.Error("a second connection state")
					}
					if l.b.Protocol() != "h2" {
						t.Errorf("protocol %q, want h2", l.b.Protocol())
					}
					l.end()
					leak()
				})
			}
		}
	})
}

// TestSplitFirstFlight cuts the client's first flight in two, at every octet.
func TestSplitFirstFlight(t *testing.T) {
	versions(t, func(t *testing.T, v uint16) {
		cfg := clientConfig(v)
		cfg.CurvePreferences = []tls.CurveID{tls.X25519} // a short hello, for a fast test
		s := newServer(t, serverConfig(), Options{})
		bufs := NewBuffers()
		for cut := 1; ; cut++ {
			l := newLinkOn(t, s, bufs, cfg)
			l.p.start((*tls.Conn).Handshake)
			hello := l.p.settle()
			if cut == len(hello) {
				l.end()
				break
			}
			l.recv(hello[:cut])
			if l.b.wire.hs != nil {
				t.Fatalf("there is a coroutine after %d of %d octets", cut, len(hello))
			}
			l.recv(hello[cut:])
			l.run()
			if err := l.p.result(); err != nil || l.err != nil {
				t.Fatalf("cut after %d: client %v, server %v", cut, err, l.err)
			}
			l.clientSends([]byte("hello"))
			l.end()
		}
	})
}

// TestAbandoned stops the bridge after every number of octets that a client sends
// in its handshake.
func TestAbandoned(t *testing.T) {
	versions(t, func(t *testing.T, v uint16) {
		cfg := clientConfig(v)
		cfg.CurvePreferences = []tls.CurveID{tls.X25519}
		s := newServer(t, serverConfig(), Options{})
		bufs := NewBuffers()
		hello := clientHello(cfg)
		leak := noLeak(t)
		for n := range len(hello) + 1 {
			b := s.NewBridge(bufs)
			if err := b.Receive(hello[:n], noPlaintext(t)); err != nil {
				t.Fatal(err)
			}
			if coroutine := b.wire.hs != nil; coroutine != (n == len(hello)) {
				t.Fatalf("coroutine exists after %d of %d octets: %v", n, len(hello), coroutine)
			}
			b.Stop()
			checkStopped(t, b)
		}
		leak()

		for n := 0; ; n++ {
			l := newLinkOn(t, s, bufs, cfg)
			l.p.start((*tls.Conn).Handshake)
			l.recv(l.p.settle())
			l.flush()
			finished := l.p.settle()
			if n > len(finished) {
				l.end()
				break
			}
			l.recv(finished[:n])
			if complete := l.b.HandshakeComplete(); complete != (n == len(finished)) {
				t.Fatalf("complete after %d of %d octets of the second flight: %v", n, len(finished), complete)
			}
			l.b.Stop()
			checkStopped(t, l.b)
			l.end()
		}
		leak()
	})
}

// checkStopped calls everything there is on a stopped bridge.
func checkStopped(t testing.TB, b *Bridge) {
	t.Helper()
	b.Stop()
	if err := b.Receive([]byte("x"), noPlaintext(t)); err == nil {
		t.Error("Receive after Stop: no error")
	}
	if err := b.Seal([][]byte{[]byte("x")}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Seal after Stop: %v", err)
	}
	b.CloseNotify()
	if p := b.Pending(); len(p) != 0 {
		t.Errorf("%d octets pending after Stop", len(p))
	}
	b.Sent()
	b.Stop()
	if b.HandshakeComplete() {
		t.Error("HandshakeComplete after Stop")
	}
	_, _ = b.ConnectionState(), b.Protocol()
	if b.wire.hs != nil || b.conn != nil || b.first != nil || b.wire.out != nil || b.wire.in != nil {
		t.Error("the stopped bridge holds on to something")
	}
	if n, err := b.wire.Write([]byte("x")); n != 1 || err != nil || b.wire.out != nil {
		t.Error("Write after Stop is not discarded")
	}
	if _, err := b.wire.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Read after Stop: %v", err)
	}
}

func noPlaintext(t testing.TB) func([]byte) error {
	return func(p []byte) error {
		t.Errorf("opened %d octets of plaintext, want none", len(p))
		return nil
	}
}

func TestSilentPeer(t *testing.T) {
	s := newServer(t, serverConfig(), Options{})
	bufs := NewBuffers()
	b := s.NewBridge(bufs)
	for range 3 {
		if err := b.Receive(nil, noPlaintext(t)); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Seal([][]byte{[]byte("x")}); err == nil {
		t.Error("Seal before the handshake: no error")
	}
	b.CloseNotify()
	if len(b.Pending()) != 0 {
		t.Error("there is something to say to a silent peer")
	}
	if n := coroutines(); n != 0 {
		t.Errorf("%d coroutines are left", n)
	}
	b.Stop()
	checkStopped(t, b)
}

// TestWaitingHandshake calls what may be called while the coroutine waits, with
// the tls.Conn's locks held: all of it must return.
func TestWaitingHandshake(t *testing.T) {
	b := newServer(t, serverConfig(), Options{}).NewBridge(NewBuffers())
	if err := b.Receive(clientHello(clientConfig(tls.VersionTLS13)), noPlaintext(t)); err != nil {
		t.Fatal(err)
	}
	if b.HandshakeComplete() || b.ConnectionState() != nil || b.Protocol() != "" {
		t.Error("complete in the middle")
	}
	if err := b.Seal([][]byte{[]byte("x")}); err == nil {
		t.Error("Seal in the middle of the handshake: no error")
	}
	n := len(b.Pending())
	b.CloseNotify()
	if n == 0 || len(b.Pending()) != n {
		t.Errorf("%d octets pending, then %d", n, len(b.Pending()))
	}
	b.Sent()
	if err := b.Receive(nil, noPlaintext(t)); err != nil || len(b.Pending()) != 0 {
		t.Errorf("Receive of nothing: %v, %d octets pending", err, len(b.Pending()))
	}
	b.Stop()
	checkStopped(t, b)
}

// TestEarlyApplicationData has the client's request in the same segment as its
// Finished, and behind it, cut anywhere.
func TestEarlyApplicationData(t *testing.T) {
	versions(t, func(t *testing.T, v uint16) {
		for _, step := range []int{0, 1, 100} {
			request := bytes.Repeat([]byte("request "), 5000)
			l := newLink(t, serverConfig(), clientConfig(v))
			l.step = step
			l.p.start(func(c *tls.Conn) error {
				_, err := c.Write(request)
				return err
			})
			l.run()
			if err := l.p.result(); err != nil || l.err != nil {
				t.Fatalf("client %v, server %v", err, l.err)
			}
			if !bytes.Equal(l.opened.Bytes(), request) {
				t.Errorf("opened %d octets, want %d", l.opened.Len(), len(request))
			}
		}
	})
}

func TestNotTLS(t *testing.T) {
	const get = "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"
	s := newServer(t, serverConfig(), Options{})
	for _, tt := range []struct{ in, prefix string }{
		{get, get[:16]},
		{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "PRI * HTTP/2.0\r\n"},
		{"G", "G"},
		{"\x80\x2e\x01\x00\x02", "\x80\x2e\x01\x00\x02"}, // SSL 2.0
		{"\x16GARBAGE", "\x16GARBAGE"},
		{"\x17\x03\x03\x00\x01\x00", "\x17\x03\x03\x00\x01\x00"},
	} {
		b := s.NewBridge(NewBuffers())
		err := b.Receive([]byte(tt.in), noPlaintext(t))
		nt, ok := errors.AsType[NotTLSError](err)
		if !ok || string(nt.Prefix) != tt.prefix {
			t.Errorf("%q: %v, want NotTLSError with %q", tt.in, err, tt.prefix)
		}
		if len(b.Pending()) != 0 || b.wire.hs != nil {
			t.Errorf("%q was answered", tt.in)
		}
		if again := b.Receive([]byte("more"), noPlaintext(t)); again == nil || again.Error() != err.Error() {
			t.Errorf("%q: then %v", tt.in, again)
		}
		b.Stop()
		checkStopped(t, b)
	}

	// Octet by octet it is known at the first wrong one.
	b := s.NewBridge(NewBuffers())
	if err := b.Receive([]byte("\x16"), noPlaintext(t)); err != nil {
		t.Fatal(err)
	}
	nt, ok := errors.AsType[NotTLSError](b.Receive([]byte("G"), noPlaintext(t)))
	if !ok || string(nt.Prefix) != "\x16G" {
		t.Errorf("prefix %q, want \\x16G", nt.Prefix)
	}
}

// TestBadHellos wants an alert for what begins like TLS and is not.
func TestBadHellos(t *testing.T) {
	s := newServer(t, serverConfig(), Options{})
	oversized := append([]byte("\x16\x03\x01\xff\xff"), make([]byte, 1<<16)...)
	over := append([]byte("\x16\x03\x01\x40\x01"), make([]byte, 16385)...)
	for _, tt := range []struct {
		name  string
		in    []byte
		alert byte
	}{
		{"garbage", append([]byte("\x16\x03\x01\x00\x40"), bytes.Repeat([]byte("g"), 64)...), 80},
		{"unknown message", []byte("\x16\x03\x01\x00\x05\xff\x00\x00\x01x"), 10},
		{"empty", []byte("\x16\x03\x01\x00\x00"), 10},
		{"oversized record", oversized, 22},
		{"record one octet over", over, 22},
		{"bad hello", []byte("\x16\x03\x01\x00\x04\x01\x00\x00\x00"), 50},
		{"unsupported version", helloWithVersion(tls.VersionTLS10), 70},
	} {
		for _, step := range []int{0, 1} {
			t.Run(fmt.Sprintf("%s/step %d", tt.name, step), func(t *testing.T) {
				l := &link{t: t, b: s.NewBridge(NewBuffers()), step: step}
				l.recv(bytes.Clone(tt.in))
				if l.err == nil {
					t.Fatal("no error")
				}
				rs := records(t, l.b.Pending())
				if len(rs) != 1 || rs[0].typ != typeAlert || !bytes.Equal(rs[0].payload, []byte{2, tt.alert}) {
					t.Errorf("pending %x, want alert %d; error %v", l.b.Pending(), tt.alert, l.err)
				}
				if err := l.b.Receive([]byte("x"), noPlaintext(t)); !errors.Is(err, l.err) {
					t.Errorf("then %v, want %v", err, l.err)
				}
				if err := l.b.Seal([][]byte{{1}}); !errors.Is(err, l.err) {
					t.Errorf("Seal: %v, want %v", err, l.err)
				}
				l.b.CloseNotify()
				if len(l.b.Pending()) != recordHeaderLen+2 {
					t.Error("close_notify behind a fatal alert")
				}
				if n := coroutines(); n != 0 {
					t.Errorf("%d coroutines are left", n)
				}
				l.b.Stop()
				checkStopped(t, l.b)
			})
		}
	}
}

func helloWithVersion(v uint16) []byte { return clientHello(clientConfig(v)) }

// TestAlertFirst wants the error of a peer that starts with an alert, or that
// closes in the middle.
func TestAlertFirst(t *testing.T) {
	s := newServer(t, serverConfig(), Options{})
	b := s.NewBridge(NewBuffers())
	err := b.Receive([]byte("\x15\x03\x01\x00\x02\x02\x28"), noPlaintext(t))
	if err == nil || !strings.Contains(err.Error(), "handshake failure") {
		t.Errorf("%v, want the peer's alert", err)
	}
	b.Stop()

	b = s.NewBridge(NewBuffers())
	err = b.Receive([]byte("\x15\x03\x01\x00\x02\x01\x00"), noPlaintext(t))
	if !errors.Is(err, io.EOF) || b.HandshakeComplete() {
		t.Errorf("%v, want io.EOF after close_notify", err)
	}
	b.Stop()
	checkStopped(t, b)
}

func TestHandshakeTooLarge(t *testing.T) {
	cfg := clientConfig(tls.VersionTLS13)
	whole := len(clientHello(cfg))
	for _, limit := range []int{1, 100, whole - 1} {
		for _, step := range []int{0, 1} {
			s := newServer(t, serverConfig(), Options{MaxHandshakeBytes: limit})
			l := &link{t: t, b: s.NewBridge(NewBuffers()), step: step}
			l.recv(clientHello(cfg))
			if !errors.Is(l.err, ErrHandshakeTooLarge) {
				t.Errorf("limit %d of %d: %v, want ErrHandshakeTooLarge", limit, whole, l.err)
			}
			if held := len(l.b.first); held > 0 {
				t.Errorf("limit %d: still holds %d octets", limit, held)
			}
			if n := coroutines(); n != 0 {
				t.Errorf("%d coroutines are left", n)
			}
			l.b.Stop()
		}
	}
}

// TestFirstRecordTooLarge wants a record that would go over the limit refused
// when its header is there, before any of it is gathered.
func TestFirstRecordTooLarge(t *testing.T) {
	b := newServer(t, serverConfig(), Options{MaxHandshakeBytes: 100}).NewBridge(NewBuffers())
	if err := b.Receive([]byte("\x16\x03\x01\x00"), noPlaintext(t)); err != nil {
		t.Fatal(err)
	}
	if err := b.Receive([]byte("\x60"), noPlaintext(t)); !errors.Is(err, ErrHandshakeTooLarge) {
		t.Errorf("%v, want ErrHandshakeTooLarge", err)
	}
	b.Stop()
}

// TestHandshakeTooLargeExactly finds how much a client sends in all, and that
// this is allowed and one octet less is not. Application data in the same
// segment as the Finished does not count.
func TestHandshakeTooLargeExactly(t *testing.T) {
	versions(t, func(t *testing.T, v uint16) {
		whole := 0
		try := func(limit int) error {
			l := newLinkOn(t, newServer(t, serverConfig(), Options{MaxHandshakeBytes: limit}), NewBuffers(), clientConfig(v))
			l.p.start((*tls.Conn).Handshake)
			hello := l.p.settle()
			whole = len(hello)
			l.recv(hello)
			l.flush()
			finished := l.p.settle()
			whole += len(finished)
			if v == tls.VersionTLS13 {
				l.p.start(func(c *tls.Conn) error {
					_, err := c.Write(make([]byte, 100000))
					return err
				})
				finished = append(finished, l.p.settle()...)
			}
			l.recv(finished)
			if l.err == nil && v == tls.VersionTLS13 && l.opened.Len() != 100000 {
				t.Errorf("opened %d octets", l.opened.Len())
			}
			l.end()
			return l.err
		}
		if err := try(0); err != nil {
			t.Fatal(err)
		}
		enough := whole
		if err := try(enough); err != nil {
			t.Errorf("%d octets with a limit of as many: %v", whole, err)
		}
		if err := try(enough - 1); !errors.Is(err, ErrHandshakeTooLarge) {
			t.Errorf("%d octets with a limit of one less: %v", whole, err)
		}
	})
}

// TestEndlessHello sends a ClientHello in endless tiny records: the octets are
// counted, whatever crypto/tls makes of them.
func TestEndlessHello(t *testing.T) {
	b := newServer(t, serverConfig(), Options{MaxHandshakeBytes: 30000}).NewBridge(NewBuffers())
	err := b.Receive([]byte("\x16\x03\x01\x00\x04\x01\x00\xff\xff"), noPlaintext(t))
	sent := 9
	for ; err == nil && sent < 1<<20; sent += 6 {
		err = b.Receive([]byte("\x16\x03\x01\x00\x01x"), noPlaintext(t))
	}
	if !errors.Is(err, ErrHandshakeTooLarge) || sent < 30000 || sent > 30010 {
		t.Errorf("after %d octets: %v", sent, err)
	}
	if n := coroutines(); n != 0 {
		t.Errorf("%d coroutines are left", n)
	}
	b.Stop()
}

func TestClientCertificate(t *testing.T) {
	versions(t, func(t *testing.T, v uint16) {
		for _, size := range []int{0, 20000} { // the second takes several records
			for _, step := range []int{0, 1} {
				server := serverConfig()
				server.ClientAuth = tls.RequireAndVerifyClientCert
				server.ClientCAs = ca().pool
				verified := false
				server.VerifyPeerCertificate = func(_ [][]byte, chains [][]*x509.Certificate) error {
					verified = len(chains) == 1
					return nil
				}
				client := clientConfig(v)
				client.Certificates = []tls.Certificate{ca().issue(newECDSA(), "client", size)}
				l := newLink(t, server, client)
				l.step = step
				l.handshake()
				l.clientSends([]byte("hello"))
				l.serverSends([]byte("you"))
				st := l.b.ConnectionState()
				if !verified || len(st.PeerCertificates) != 2 || st.PeerCertificates[0].Subject.CommonName != "client" {
					t.Errorf("verified %v, certificates %d", verified, len(st.PeerCertificates))
				}
			}
		}
	})
}

// TestClientCertificateRefused wants the client told why.
func TestClientCertificateRefused(t *testing.T) {
	stranger := newAuthority("another authority")
	own := ca().issue(newECDSA(), "client", 0)
	expired := ca().issueUntil(newECDSA(), "client", 0, time.Now().Add(-time.Hour))
	for _, tt := range []struct {
		name   string
		cert   *tls.Certificate
		auth   tls.ClientAuthType
		alerts map[uint16]string // by version
	}{
		{"missing", nil, tls.RequireAndVerifyClientCert, map[uint16]string{tls.VersionTLS12: "handshake failure", tls.VersionTLS13: "certificate required"}},
		{"missing, any", nil, tls.RequireAnyClientCert, map[uint16]string{tls.VersionTLS12: "handshake failure", tls.VersionTLS13: "certificate required"}},
		{"unknown authority", new(stranger.issue(newECDSA(), "client", 0)), tls.RequireAndVerifyClientCert, map[uint16]string{tls.VersionTLS12: "unknown certificate authority", tls.VersionTLS13: "unknown certificate authority"}},
		{"expired", &expired, tls.RequireAndVerifyClientCert, map[uint16]string{tls.VersionTLS12: "expired certificate", tls.VersionTLS13: "expired certificate"}},
		{"good", &own, tls.RequireAndVerifyClientCert, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			versions(t, func(t *testing.T, v uint16) {
				ways(t, func(t *testing.T, set func(*link)) {
					server := serverConfig()
					server.ClientAuth = tt.auth
					server.ClientCAs = ca().pool
					client := clientConfig(v)
					if tt.cert != nil {
						client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return tt.cert, nil }
					}
					l := newLink(t, server, client)
					set(l)
					if tt.alerts == nil {
						l.handshake()
						l.clientSends([]byte("hello"))
						return
					}
					l.p.start(func(c *tls.Conn) error {
						_, err := c.Read(make([]byte, 1)) // TLS 1.3 clients are told after their handshake
						return err
					})
					l.run()
					if l.err == nil || l.b.HandshakeComplete() {
						t.Errorf("server: %v, complete %v", l.err, l.b.HandshakeComplete())
					}
					want := "remote error: tls: " + tt.alerts[v]
					if err := l.p.result(); err == nil || !strings.Contains(err.Error(), want) {
						t.Errorf("client: %v, want %q", err, want)
					}
				})
			})
		})
	}
}

func TestClientCertificateOverCap(t *testing.T) {
	versions(t, func(t *testing.T, v uint16) {
		leak := noLeak(t)
		server := serverConfig()
		server.ClientAuth = tls.RequireAnyClientCert
		client := clientConfig(v)
		client.Certificates = []tls.Certificate{ca().issue(newECDSA(), "client", 60000)}
		l := newLinkOn(t, newServer(t, server, Options{MaxHandshakeBytes: 20000}), NewBuffers(), client)
		l.p.start((*tls.Conn).Handshake)
		l.run()
		if !errors.Is(l.err, ErrHandshakeTooLarge) {
			t.Errorf("%v, want ErrHandshakeTooLarge", l.err)
		}
		l.end()
		leak()
	})
}

func TestResumption(t *testing.T) {
	versions(t, func(t *testing.T, v uint16) {
		fromCallback := serverConfig()
		withCallback := serverConfig()
		withCallback.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return fromCallback, nil }
		for name, cfg := range map[string]*tls.Config{"plain": serverConfig(), "GetConfigForClient": withCallback} {
			t.Run(name, func(t *testing.T) {
				s := newServer(t, cfg, Options{})
				client := clientConfig(v)
				client.ClientSessionCache = tls.NewLRUClientSessionCache(4)
				for i, want := range []bool{false, true, true, false} {
					if i == 3 {
						s.SetSessionTicketKeys([][32]byte{{1, 2, 3}})
					}
					l := newLinkOn(t, s, NewBuffers(), client)
					l.step = i % 2
					l.handshake()
					l.serverSends([]byte("the client reads its ticket on the way"))
					l.clientSends([]byte("hello"))
					if got := l.b.ConnectionState().DidResume; got != want {
						t.Errorf("connection %d: resumed %v, want %v", i, got, want)
					}
				}
			})
		}
	})
}

func TestALPN(t *testing.T) {
	versions(t, func(t *testing.T, v uint16) {
		for _, tt := range []struct {
			offer []string
			want  string
		}{
			{[]string{"h2"}, "h2"},
			{[]string{"http/1.1"}, "http/1.1"},
			{[]string{"http/1.1", "h2"}, "h2"},
			{nil, ""},
		} {
			client := clientConfig(v)
			client.NextProtos = tt.offer
			l := newLink(t, serverConfig(), client)
			l.handshake()
			if got := l.b.Protocol(); got != tt.want {
				t.Errorf("%q: %q, want %q", tt.offer, got, tt.want)
			}
			l.b.Stop()
			if got := l.b.Protocol(); got != tt.want {
				t.Errorf("%q: %q after Stop, want %q", tt.offer, got, tt.want)
			}
		}
		ways(t, func(t *testing.T, set func(*link)) {
			client := clientConfig(v)
			client.NextProtos = []string{"spdy/3"}
			l := newLink(t, serverConfig(), client)
			set(l)
			l.p.start((*tls.Conn).Handshake)
			l.run()
			if err := l.p.result(); err == nil || !strings.Contains(err.Error(), "no application protocol") || l.err == nil {
				t.Errorf("client %v, server %v, want no_application_protocol", err, l.err)
			}
		})
	})
}

// TestGetConfigForClient wants full records and the addresses of the connection
// also where a callback chooses the configuration.
func TestGetConfigForClient(t *testing.T) {
	chosen := serverConfig()
	remote := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}
	local := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 2), Port: 2}
	var hello *tls.ClientHelloInfo
	l := newLink(t, &tls.Config{
		GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			hello = h
			if h.Conn.RemoteAddr() != net.Addr(remote) || h.Conn.LocalAddr() != net.Addr(local) {
				t.Errorf("addresses %v and %v", h.Conn.LocalAddr(), h.Conn.RemoteAddr())
			}
			return chosen, nil
		},
	}, clientConfig(tls.VersionTLS13))
	l.b.SetAddrs(local, remote)
	l.handshake()
	if hello == nil {
		t.Fatal("the callback was not called")
	}
	if hello.Context().Err() == nil {
		t.Error("the context is not over with the handshake")
	}
	if chosen.DynamicRecordSizingDisabled {
		t.Error("the caller's configuration was changed")
	}
	l.sent.Reset()
	l.serverSends(make([]byte, 3*MaxRecordPayload))
	if n := len(records(t, l.sent.Bytes())); n != 3 {
		t.Errorf("%d records, want 3", n)
	}
}

func TestNoAddrs(t *testing.T) {
	cfg := serverConfig()
	cert := cfg.Certificates[0]
	cfg.GetCertificate = func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if h.Conn.RemoteAddr().String() == "" || h.Conn.LocalAddr().Network() == "" || h.Conn.Close() != nil {
			t.Error("no addresses")
		}
		return &cert, nil
	}
	cfg.Certificates = nil
	newLink(t, cfg, clientConfig(tls.VersionTLS12)).handshake()
}

func TestNewServer(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg  *tls.Config
		opts Options
	}{
		"no tls.Config": {nil, Options{}},
		"Certificates":  {&tls.Config{}, Options{}},
		"MaxHandshake":  {serverConfig(), Options{MaxHandshakeBytes: -1}},
	} {
		if _, err := NewServer(tt.cfg, tt.opts); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	cfg := serverConfig()
	s := newServer(t, cfg, Options{})
	if s.config == cfg || cfg.DynamicRecordSizingDisabled || !s.config.DynamicRecordSizingDisabled {
		t.Error("the configuration was not cloned")
	}
}

// TestCallbackError wants the callback's own error from Receive, and an alert.
func TestCallbackError(t *testing.T) {
	mine := errors.New("mine")
	l := newLink(t, &tls.Config{
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, mine },
	}, clientConfig(tls.VersionTLS13))
	l.p.start((*tls.Conn).Handshake)
	l.run()
	if !errors.Is(l.err, mine) {
		t.Errorf("%v, want %v", l.err, mine)
	}
	if err := l.p.result(); err == nil || !strings.Contains(err.Error(), "internal error") {
		t.Errorf("client: %v", err)
	}
}

// misbehaving returns configurations whose callbacks do act, at the first flight
// and at the second.
func misbehaving(act func()) map[string]*tls.Config {
	first := serverConfig()
	first.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		act()
		return nil, nil
	}
	second := serverConfig()
	second.ClientAuth = tls.RequestClientCert
	second.VerifyConnection = func(tls.ConnectionState) error {
		act()
		return nil
	}
	return map[string]*tls.Config{"first flight": first, "second flight": second}
}

func TestPanic(t *testing.T) {
	versions(t, func(t *testing.T, v uint16) {
		for _, value := range []any{"oops", io.ErrNoProgress, nil} {
			for name, cfg := range misbehaving(func() { panic(value) }) {
				t.Run(fmt.Sprintf("%s/%v", name, value), func(t *testing.T) {
					leak := noLeak(t)
					l := newLink(t, cfg, clientConfig(v))
					l.p.start((*tls.Conn).Handshake)
					l.run()
					pe, ok := errors.AsType[PanicError](l.err)
					if !ok {
						t.Fatalf("%v, want PanicError", l.err)
					}
					if value != nil && pe.Value != value {
						t.Errorf("value %v, want %v", pe.Value, value)
					}
					if !strings.Contains(string(pe.Stack), "misbehaving") {
						t.Errorf("the stack does not show the callback:\n%s", pe.Stack)
					}
					if value == any(io.ErrNoProgress) && !errors.Is(l.err, io.ErrNoProgress) {
						t.Error("an error that was panicked with is not unwrapped")
					}
					if !l.b.wire.stopped || l.b.Pending() != nil {
						t.Error("the bridge is not stopped")
					}
					checkStopped(t, l.b)
					if err := l.b.Receive(nil, nil); !errors.As(err, &pe) {
						t.Errorf("then %v", err)
					}
					l.end()
					leak()
				})
			}
		}
	})
}

// TestGoexit wants the goroutine that called Receive to live.
func TestGoexit(t *testing.T) {
	versions(t, func(t *testing.T, v uint16) {
		for name, cfg := range misbehaving(runtime.Goexit) {
			t.Run(name, func(t *testing.T) {
				leak := noLeak(t)
				returned := false
				done := make(chan bool)
				go func() {
					defer close(done)
					l := newLink(t, cfg, clientConfig(v))
					defer l.end()
					l.p.start((*tls.Conn).Handshake)
					l.run()
					returned = true
					pe, ok := errors.AsType[PanicError](l.err)
					if !ok || !errors.Is(l.err, ErrGoexit) || !strings.Contains(string(pe.Stack), "misbehaving") {
						t.Errorf("%v, want PanicError with ErrGoexit and the stack", l.err)
					}
					checkStopped(t, l.b)
				}()
				<-done
				if !returned {
					t.Error("Goexit ended the goroutine that called Receive")
				}
				leak()
			})
		}
	})
}

// TestPanicInStop has a deferred function of a callback misbehave while the
// coroutine is being stopped: the callback reads from the connection, waits, and
// is unwound.
func TestPanicInStop(t *testing.T) {
	for name, act := range map[string]func(){
		"panic":  func() { panic("oops") },
		"goexit": runtime.Goexit,
	} {
		t.Run(name, func(t *testing.T) {
			cfg := serverConfig()
			cfg.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
				defer act()
				_, err := h.Conn.Read(make([]byte, 1))
				return nil, err
			}
			b := newServer(t, cfg, Options{}).NewBridge(NewBuffers())
			if err := b.Receive(clientHello(clientConfig(tls.VersionTLS13)), noPlaintext(t)); err != nil {
				t.Fatal(err)
			}
			b.Stop()
			checkStopped(t, b)
			if n := coroutines(); n != 0 {
				t.Errorf("%d coroutines are left", n)
			}
		})
	}
}

// TestStopInCallback has a callback of the tls.Config stop its own bridge, from
// inside the coroutine.
func TestStopInCallback(t *testing.T) {
	versions(t, func(t *testing.T, v uint16) {
		for _, name := range []string{"first flight", "second flight"} {
			leak := noLeak(t)
			var l *link
			cfg := misbehaving(func() { l.b.Stop() })[name]
			l = newLink(t, cfg, clientConfig(v))
			l.p.start((*tls.Conn).Handshake)
			l.recv(l.p.settle())
			l.p.deliver(l.b.Pending()) // without Sent, so that the bridge has it still
			l.recv(l.p.settle())
			if !errors.Is(l.err, net.ErrClosed) {
				t.Errorf("%s: %v, want net.ErrClosed", name, l.err)
			}
			checkStopped(t, l.b)
			l.end()
			leak()
		}
	})
}

// TestLockedThread runs connections on a locked thread: coroutines work there, if
// they are made there.
func TestLockedThread(t *testing.T) {
	versions(t, func(t *testing.T, v uint16) {
		leak := noLeak(t)
		done := make(chan bool)
		go func() {
			defer close(done)
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			l := newLink(t, serverConfig(), clientConfig(v))
			defer l.end()
			l.step = 1
			l.p.start(func(c *tls.Conn) error {
				_, err := c.Write([]byte("hello"))
				return err
			})
			l.run()
			if l.err != nil || l.opened.String() != "hello" {
				t.Errorf("%q, %v", l.opened.String(), l.err)
			}

			abandoned := newLink(t, serverConfig(), clientConfig(v))
			defer abandoned.end()
			abandoned.p.start((*tls.Conn).Handshake)
			abandoned.recv(abandoned.p.settle())
			abandoned.b.Stop()
			checkStopped(t, abandoned.b)
		}()
		<-done
		leak()
	})
}

// TestOtherGoroutine resumes a handshake on goroutines other than the one that
// made the coroutine, one at a time, none of them locked.
func TestOtherGoroutine(t *testing.T) {
	l := newLink(t, serverConfig(), clientConfig(tls.VersionTLS13))
	l.p.start((*tls.Conn).Handshake)
	in := l.p.settle()
	for len(in) > 0 {
		for piece := range slices.Chunk(in, 50) {
			done := make(chan bool)
			go func() {
				defer close(done)
				l.recv(piece)
			}()
			<-done
		}
		l.flush()
		in = l.p.settle()
	}
	if l.err != nil || !l.b.HandshakeComplete() {
		t.Errorf("complete %v, %v", l.b.HandshakeComplete(), l.err)
	}
}
