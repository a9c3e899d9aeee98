package tlsbridge

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"strings"
	"sync"
	"testing"
)

// connect runs a handshake and a request both ways, so that the client has a
// ticket, and returns the states of the client and of the server.
func connect(t *testing.T, s *Server, client *tls.Config, set func(*link)) (c tls.ConnectionState, srv *tls.ConnectionState) {
	t.Helper()
	l := newLinkOn(t, s, NewBuffers(), client)
	set(l)
	l.handshake()
	l.serverSends([]byte("the client reads its ticket on the way"))
	l.clientSends([]byte("hello"))
	defer l.end()
	return l.p.conn.ConnectionState(), l.b.ConnectionState()
}

func inline(*link) {}

// TestSetCertificates wants later handshakes to have the new certificate, and
// sessions from before to be resumed.
func TestSetCertificates(t *testing.T) {
	second := ca().issue(newECDSA(), "server", 1)
	versions(t, func(t *testing.T, v uint16) {
		ways(t, func(t *testing.T, set func(*link)) {
			s := newServer(t, serverConfig(), Options{})
			session := clientConfig(v)
			session.ClientSessionCache = tls.NewLRUClientSessionCache(1)
			nameless := clientConfig(v) // crypto/tls treats clients without SNI otherwise
			nameless.ServerName = ""
			nameless.InsecureSkipVerify = true
			wants := func(client *tls.Config, want tls.Certificate, resumed bool) {
				t.Helper()
				c, srv := connect(t, s, client, set)
				if !c.PeerCertificates[0].Equal(want.Leaf) || srv.DidResume != resumed {
					t.Errorf("resumed %v, want %v; certificate of %v", srv.DidResume, resumed, c.PeerCertificates[0].Subject)
				}
			}
			wants(session, ecdsaCert(), false)
			wants(clientConfig(v), ecdsaCert(), false)
			wants(nameless, ecdsaCert(), false)

			waiting := newLinkOn(t, s, NewBuffers(), clientConfig(v)) // has chosen before
			set(waiting)
			waiting.p.start((*tls.Conn).Handshake)
			waiting.recv(waiting.p.settle())

			if err := s.SetCertificates([]tls.Certificate{second}); err != nil {
				t.Fatal(err)
			}
			wants(session, ecdsaCert(), true) // the client remembers the one of its session
			wants(session, ecdsaCert(), true)
			wants(clientConfig(v), second, false)
			wants(nameless, second, false)
			s.SetSessionTicketKeys([][32]byte{{1}})
			wants(session, second, false)

			waiting.flush()
			waiting.run()
			if err := waiting.p.result(); err != nil || waiting.err != nil {
				t.Errorf("a handshake in progress: client %v, server %v", err, waiting.err)
			}
		})
	})
}

// TestSetCertificatesRefused wants an error that tells, and the old certificate.
func TestSetCertificatesRefused(t *testing.T) {
	good, other := ecdsaCert(), ca().issue(newECDSA(), "server", 0)
	with := func(change func(c *tls.Certificate)) []tls.Certificate {
		c := other
		change(&c)
		return []tls.Certificate{good, c}
	}
	bad := map[string][]tls.Certificate{
		"no certificates":         nil,
		"1: it is empty":          with(func(c *tls.Certificate) { c.Certificate = nil }),
		"1: it has no private":    with(func(c *tls.Certificate) { c.PrivateKey = nil }),
		"1: its leaf: x509":       with(func(c *tls.Certificate) { c.Certificate, c.Leaf = [][]byte{[]byte("junk")}, nil }),
		"1: the private key does": with(func(c *tls.Certificate) { c.PrivateKey = newECDSA() }),
		"key of type string":      with(func(c *tls.Certificate) { c.PrivateKey = "key" }),
	}
	s := newServer(t, serverConfig(), Options{})
	for want, certs := range bad {
		if err := s.SetCertificates(certs); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("SetCertificates: %v, want %q", err, want)
		}
		cfg := serverConfig()
		cfg.Certificates = certs
		if certs != nil {
			if _, err := NewServer(cfg, Options{}); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("NewServer: %v, want %q", err, want)
			}
		}
	}
	c, _ := connect(t, s, clientConfig(tls.VersionTLS13), inline)
	if !c.PeerCertificates[0].Equal(good.Leaf) {
		t.Error("the old certificate is gone")
	}

	for name, cfg := range map[string]*tls.Config{
		"GetCertificate": {
			Certificates:   []tls.Certificate{good},
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &other, nil },
		},
		"GetConfigForClient": {
			Certificates:       []tls.Certificate{good},
			GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, nil },
		},
	} {
		s := newServer(t, cfg, Options{})
		if err := s.SetCertificates([]tls.Certificate{good}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		want := map[string]tls.Certificate{"GetCertificate": other, "GetConfigForClient": good}[name]
		c, _ := connect(t, s, &tls.Config{RootCAs: ca().pool, ServerName: "server"}, inline)
		if !c.PeerCertificates[0].Equal(want.Leaf) {
			t.Errorf("%s: the certificate is another", name)
		}
	}
}

// TestSetCertificatesCopies wants the caller's slice left alone and not kept.
func TestSetCertificatesCopies(t *testing.T) {
	mine := []tls.Certificate{ecdsaCert()}
	mine[0].Leaf = nil
	s := newServer(t, serverConfig(), Options{})
	if err := s.SetCertificates(mine); err != nil {
		t.Fatal(err)
	}
	if mine[0].Leaf != nil {
		t.Error("the caller's certificate was changed")
	}
	if s.certs.Load().list[0].Leaf == nil {
		t.Error("the leaf will be parsed in each handshake")
	}
	mine[0] = tls.Certificate{}
	connect(t, s, clientConfig(tls.VersionTLS13), inline)
}

// TestChoice wants of several certificates the one that crypto/tls itself would
// choose: a tls.Server with the same tls.Config is asked.
func TestChoice(t *testing.T) {
	named := func(cn string, key crypto.Signer, names ...string) tls.Certificate {
		c := ca().issue(key, cn, 0)
		leaf := *c.Leaf
		leaf.DNSNames = names
		der := must(x509.CreateCertificate(nil, &leaf, ca().cert, key.Public(), ca().key))
		return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	}
	rsaKey := rsaCert().PrivateKey.(*rsa.PrivateKey)
	ecdsaKey := ecdsaCert().PrivateKey.(*ecdsa.PrivateKey)
	certs := []tls.Certificate{
		named("first", ecdsaKey, "first.example"),
		named("exact RSA", rsaKey, "www.example.com"),
		named("exact ECDSA", ecdsaKey, "www.example.com"),
		named("wildcard", ecdsaKey, "*.example.com", "*.example.org"),
		named("Ed25519", ed25519Cert().PrivateKey.(crypto.Signer), "ed.example"),
	}
	byName := map[string]*tls.Certificate{"www.example.com": &certs[4], "*.example.com": &certs[1], "*": &certs[2], "": &certs[3]}
	unnamed := map[string]*tls.Certificate{"*": &certs[2]}
	chosen := map[string]bool{}
	for _, names := range []map[string]*tls.Certificate{nil, byName, unnamed} {
		for _, list := range [][]tls.Certificate{certs, certs[1:], certs[:1]} {
			cfg := &tls.Config{Certificates: list, NameToCertificate: names} //nolint:staticcheck // deprecated, but honoured
			s := newServer(t, cfg, Options{})
			versions(t, func(t *testing.T, v uint16) {
				for _, name := range []string{
					"", "first.example", "www.example.com", "WWW.Example.com", "other.example.com", "a.b.example.com",
					"x.example.org", "example.com", "ed.example", "nobody.example", "localhost",
				} {
					for _, suites := range [][]uint16{nil, {tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}} {
						client := &tls.Config{ServerName: name, InsecureSkipVerify: true, MinVersion: v, MaxVersion: v, CipherSuites: suites}
						want, wantErr := chosenByCryptoTLS(cfg, client)
						got, gotErr := chosenBy(s, client)
						if got != want || gotErr != wantErr {
							t.Errorf("%q, suites %x, %d certificates: %q, failed %v; want %q, failed %v", name, suites, len(list), got, gotErr, want, wantErr)
						}
						chosen[want] = true
					}
				}
			})
		}
	}
	for _, want := range []string{"first", "exact RSA", "exact ECDSA", "wildcard", "Ed25519"} {
		if !chosen[want] {
			t.Errorf("%q was never chosen: the test shows nothing", want)
		}
	}
}

// chosenByCryptoTLS returns the name of the certificate that a server of crypto/tls
// shows the client.
func chosenByCryptoTLS(server, client *tls.Config) (name string, failed bool) {
	c, transport := newPeer(client), newPeer(nil)
	conn := tls.Server(transport, server)
	c.start((*tls.Conn).Handshake)
	transport.start(func(*tls.Conn) error { return conn.Handshake() })
	for up, down := []byte{0}, []byte(nil); len(up)+len(down) > 0; {
		up = c.settle()
		transport.deliver(up)
		down = transport.settle()
		c.deliver(down)
	}
	return shown(c, transport.hangUp, transport.result)
}

func chosenBy(s *Server, client *tls.Config) (name string, failed bool) {
	b, c := s.NewBridge(NewBuffers()), newPeer(client)
	c.start((*tls.Conn).Handshake)
	var err error
	for {
		in := c.settle()
		if err == nil && len(in) > 0 {
			err = b.Receive(in, func([]byte) error { return nil })
		}
		out := b.Pending()
		if len(in)+len(out) == 0 {
			break
		}
		c.deliver(out)
		b.Sent()
	}
	return shown(c, b.Stop, func() error { return err })
}

func shown(c *peer, hangUp func(), result func() error) (name string, failed bool) {
	c.hangUp()
	failed = c.result() != nil
	hangUp()
	failed = result() != nil || failed
	if certs := c.conn.ConnectionState().PeerCertificates; len(certs) > 0 {
		name = certs[0].Subject.CommonName
	}
	return name, failed
}

// TestSetCertificatesConcurrently swaps while several loops run handshakes: each
// has one of the two.
func TestSetCertificatesConcurrently(t *testing.T) {
	leak := noLeak(t)
	pair := []tls.Certificate{ecdsaCert(), ca().issue(newECDSA(), "server", 1)}
	s := newServer(t, serverConfig(), Options{})
	stop, swapped := make(chan bool), make(chan bool)
	go func() {
		defer close(swapped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if err := s.SetCertificates(pair[i%2 : i%2+1]); err != nil {
				t.Error(err)
			}
			s.Blocking()
		}
	}()
	var loops sync.WaitGroup
	for _, set := range []func(*link){inline, (*link).hold} {
		loops.Go(func() {
			for i := range 30 {
				v := []uint16{tls.VersionTLS12, tls.VersionTLS13}[i%2]
				l := newLinkOn(t, s, NewBuffers(), clientConfig(v))
				set(l)
				l.p.start((*tls.Conn).Handshake)
				l.run()
				if err := l.p.result(); err != nil || l.err != nil {
					t.Errorf("client %v, server %v", err, l.err)
				}
				l.end()
			}
		})
	}
	loops.Wait()
	close(stop)
	<-swapped
	leak()
}

// TestBlocking wants those servers found whose handshakes take long.
func TestBlocking(t *testing.T) {
	type foreign struct{ crypto.Signer } // a key that is kept elsewhere
	key := func(c tls.Certificate) []tls.Certificate { return []tls.Certificate{c} }
	elsewhere := ecdsaCert()
	elsewhere.PrivateKey = foreign{elsewhere.PrivateKey.(crypto.Signer)}
	for name, tt := range map[string]struct {
		change func(c *tls.Config)
		want   bool
	}{
		"plain":            {func(*tls.Config) {}, false},
		"Ed25519":          {func(c *tls.Config) { c.Certificates = key(ed25519Cert()) }, false},
		"RSA":              {func(c *tls.Config) { c.Certificates = key(rsaCert()) }, true},
		"RSA among others": {func(c *tls.Config) { c.Certificates = []tls.Certificate{ecdsaCert(), rsaCert()} }, true},
		"a foreign signer": {func(c *tls.Config) { c.Certificates = key(elsewhere) }, true},
		"client certificates": {func(c *tls.Config) {
			c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, ca().pool
		}, false},
		"GetCertificate": {func(c *tls.Config) {
			c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, nil }
		}, true},
		"GetConfigForClient": {func(c *tls.Config) {
			c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, nil }
		}, true},
		"VerifyPeerCertificate": {func(c *tls.Config) {
			c.VerifyPeerCertificate = func([][]byte, [][]*x509.Certificate) error { return nil }
		}, true},
		"VerifyConnection": {func(c *tls.Config) {
			c.VerifyConnection = func(tls.ConnectionState) error { return nil }
		}, true},
		"GetEncryptedClientHelloKeys": {func(c *tls.Config) {
			c.GetEncryptedClientHelloKeys = func(*tls.ClientHelloInfo) ([]tls.EncryptedClientHelloKey, error) { return nil, nil }
		}, true},
		"WrapSession": {func(c *tls.Config) {
			c.WrapSession = func(tls.ConnectionState, *tls.SessionState) ([]byte, error) { return nil, nil }
		}, true},
		"UnwrapSession": {func(c *tls.Config) {
			c.UnwrapSession = func([]byte, tls.ConnectionState) (*tls.SessionState, error) { return nil, nil }
		}, true},
	} {
		cfg := serverConfig()
		tt.change(cfg)
		if got := newServer(t, cfg, Options{}).Blocking(); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}

	s := newServer(t, serverConfig(), Options{})
	for _, tt := range []struct {
		cert tls.Certificate
		want bool
	}{{rsaCert(), true}, {ecdsaCert(), false}, {rsaCert(), true}} {
		if err := s.SetCertificates(key(tt.cert)); err != nil {
			t.Fatal(err)
		}
		if got := s.Blocking(); got != tt.want {
			t.Errorf("after SetCertificates of %T: %v, want %v", tt.cert.PrivateKey, got, tt.want)
		}
	}
}

// TestSharedTicketKeys has a session of one server resumed by another, as behind a
// load balancer, and not by one with other keys.
func TestSharedTicketKeys(t *testing.T) {
	versions(t, func(t *testing.T, v uint16) {
		ways(t, func(t *testing.T, set func(*link)) {
			servers := make([]*Server, 3)
			for i := range servers {
				servers[i] = newServer(t, serverConfig(), Options{})
				servers[i].SetSessionTicketKeys([][32]byte{{byte(i / 2)}})
			}
			client := clientConfig(v)
			client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
			for i, tt := range []struct {
				server  int
				resumed bool
			}{{0, false}, {1, true}, {0, true}, {2, false}, {2, true}, {1, false}} {
				_, st := connect(t, servers[tt.server], client, set)
				if st.DidResume != tt.resumed {
					t.Errorf("connection %d, of server %d: resumed %v, want %v", i, tt.server, st.DidResume, tt.resumed)
				}
			}
			// The next key after a rotation: sessions of the old one are good still.
			servers[1].SetSessionTicketKeys([][32]byte{{9}, {0}})
			for i, resumed := range []bool{true, true} {
				if _, st := connect(t, servers[1], client, set); st.DidResume != resumed {
					t.Errorf("after the rotation, connection %d: resumed %v", i, st.DidResume)
				}
			}
		})
	})
}
