package loop_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/loop"
)

// tlsListener is a listener with a tls.Config that change has changed.
func tlsListener(change func(cfg *tls.Config)) []loop.Listener {
	cfg := serverTLS()
	change(cfg)
	return []loop.Listener{{Address: "127.0.0.1:0"}, {Address: "127.0.0.1:0", TLS: cfg}}
}

// testCertificate is a GetCertificate.
func testCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	cert := identity().cert
	return &cert, nil
}

// stalledHandshake begins a handshake and does not go on.
func stalledHandshake(t *testing.T, ts *testServer) net.Conn {
	t.Helper()
	nc := ts.dial(overTLS)
	_ = tls.Client(onlyWrites{nc}, clientTLS("h2")).Handshake()
	return nc
}

// TestHandshakeOffLoop has a callback of the tls.Config block. The loop goes on,
// and so does the handshake later.
func TestHandshakeOffLoop(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(cfg *tls.Config, block func()){
		"GetCertificate": func(cfg *tls.Config, block func()) {
			cfg.Certificates = nil
			cfg.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
				block()
				return testCertificate(nil)
			}
		},
		"VerifyConnection": func(cfg *tls.Config, block func()) {
			cfg.VerifyConnection = func(tls.ConnectionState) error { block(); return nil }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			called, goOn := make(chan struct{}, 1), make(chan struct{})
			ts := newServer(t, loop.Config{
				Loops: 1,
				Listeners: tlsListener(func(cfg *tls.Config) {
					change(cfg, func() { called <- struct{}{}; <-goOn })
				}),
			}, hello)
			nc := ts.connect(overTLS)
			shaken := make(chan error, 1)
			go func() { shaken <- nc.(*tls.Conn).Handshake() }()
			wait(t, "the callback", called)
			ts.open(cleartext).fetch("/").want(t, "200", "hello") // on the same loop
			left := stalledHandshake(t, ts)                       // one that leaves meanwhile
			wait(t, "the callback", called)
			_ = left.Close()
			close(goOn)
			if err := wait(t, "the handshake", shaken); err != nil {
				t.Fatal(err)
			}
			openOn(t, nc).fetch("/").want(t, "200", "hello")
			eventually(t, "no handshake is in progress", func() bool { return ts.srv.Stats().Handshakes == 0 })
		})
	}
}

// TestHandshakeCallbackPanics costs the connection, wherever the handshake runs.
func TestHandshakeCallbackPanics(t *testing.T) {
	t.Parallel()
	for name, where := range map[string]loop.Handshakes{"on the loop": loop.HandshakesOnLoop, "off it": loop.HandshakesOffLoop} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			listeners := tlsListener(func(cfg *tls.Config) {
				cfg.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
					if hello.ServerName == "localhost" {
						panic("on purpose")
					}
					return nil, nil
				}
			})
			listeners[1].Handshakes = where
			ts := newServer(t, loop.Config{Loops: 1, Listeners: listeners}, hello)
			ts.expectLog("on purpose")
			cfg := clientTLS("h2")
			cfg.ServerName = "localhost"
			if err := tls.Client(ts.dial(overTLS), cfg).Handshake(); err == nil {
				t.Error("the handshake succeeds")
			}
			ts.open(overTLS).fetch("/").want(t, "200", "hello")
			eventually(t, "it is counted", func() bool { return ts.srv.Stats().Panics == 1 })
		})
	}
}

// TestMaxHandshakes stalls as many handshakes as may be in progress. Those that
// come then wait, and silent ones make room for them; another address does not
// even wait.
func TestMaxHandshakes(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]loop.Config{
		"of one address": {MaxHandshakesPerAddr: 2},
		"of the process": {MaxHandshakes: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg.Loops = 2
			ts := newServer(t, cfg, hello)
			var stalled []net.Conn
			for range 2 {
				stalled = append(stalled, stalledHandshake(t, ts))
			}
			eventually(t, "two handshakes in progress", func() bool { return ts.srv.Stats().Handshakes == 2 })
			if cfg.MaxHandshakesPerAddr > 0 {
				d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
				nc, err := d.Dial("tcp", ts.addr(overTLS))
				if err != nil {
					t.Fatal(err)
				}
				openOn(t, tls.Client(nc, clientTLS("h2"))).fetch("/").want(t, "200", "hello")
				_ = nc.Close()
				if n := ts.srv.Stats().Limits["handshakes"]; n != 0 {
					t.Errorf("%d handshakes had to wait", n)
				}
			}
			ts.open(overTLS).fetch("/").want(t, "200", "hello")
			eventually(t, "it is counted", func() bool {
				s := ts.srv.Stats()
				return s.Limits["handshakes"] >= 1 && s.Limits["handshake_slow"] >= 1 && s.Handshakes <= 1
			})
			_ = readAll(t, stalled[0]) // the one that was silent for longest
		})
	}
}

// TestManyHandshakes has many more at once than may be in progress, some of which
// are given up. All others succeed, but for those that had to make room on a
// machine so slow that they were silent for long.
func TestManyHandshakes(t *testing.T) {
	t.Parallel()
	for name, where := range map[string]loop.Handshakes{"on the loop": loop.HandshakesOnLoop, "off it": loop.HandshakesOffLoop} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			listeners := tlsListener(func(*tls.Config) {})
			listeners[1].Handshakes = where
			ts := newServer(t, loop.Config{Listeners: listeners, MaxHandshakes: 3, MaxHandshakesPerAddr: 2, HandshakeTimeout: 10 * patience}, hello)
			var failed atomic.Uint64
			var wg sync.WaitGroup
			for i := range 200 {
				wg.Go(func() {
					nc, err := net.Dial("tcp", ts.addr(overTLS))
					if err != nil {
						t.Error(err)
						return
					}
					defer func() { _ = nc.Close() }()
					_ = nc.SetDeadline(time.Now().Add(patience))
					if i%5 == 0 {
						_ = tls.Client(onlyWrites{nc}, clientTLS("h2")).Handshake()
						return
					}
					if tls.Client(nc, clientTLS("h2")).Handshake() != nil {
						failed.Add(1)
					}
				})
			}
			wg.Wait()
			if n := failed.Load(); n > 0 {
				eventually(t, "those that failed had to make room", func() bool { return ts.srv.Stats().Limits["handshake_slow"] >= n })
			}
			eventually(t, "no handshake is in progress", func() bool { return ts.srv.Stats().Handshakes == 0 })
		})
	}
}

// TestHandshakeTooLarge sends a ClientHello that is longer than a handshake may
// be.
func TestHandshakeTooLarge(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{MaxHandshakeBytes: 300}, hello)
	nc := stalledHandshake(t, ts)
	_ = readAll(t, nc)
	eventually(t, "it is counted", func() bool { return ts.srv.Stats().Limits["handshake_bytes"] == 1 })
}

// TestHandshakeTooLargeWhileStepping has too much come while a step of the handshake runs
// off the loop: that is counted once, and not when the step has ended too.
func TestHandshakeTooLargeWhileStepping(t *testing.T) {
	t.Parallel()
	called, goOn := make(chan struct{}, 2), make(chan struct{})
	ts := newServer(t, loop.Config{
		Loops: 1, HandshakeWorkers: 1, MaxHandshakeBytes: 8 << 10,
		Listeners: tlsListener(func(cfg *tls.Config) {
			cfg.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
				called <- struct{}{}
				<-goOn
				return nil, nil // which changes nothing
			}
		}),
	}, hello)
	nc := stalledHandshake(t, ts)
	wait(t, "the callback", called)
	if _, err := nc.Write(make([]byte, 16<<10)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is counted", func() bool { return ts.srv.Stats().Limits["handshake_bytes"] == 1 })
	close(goOn)
	// With one worker this comes to the loop behind the step.
	ts.open(overTLS).fetch("/").want(t, "200", "hello")
	var s loop.Stats
	eventually(t, "the other is counted", func() bool { s = ts.srv.Stats(); return s.HandshakesDone == 1 })
	if s.Limits["handshake_bytes"] != 1 || s.HandshakesFailed != 1 {
		t.Errorf("limit crossed %d times, %d handshakes failed", s.Limits["handshake_bytes"], s.HandshakesFailed)
	}
}

// TestSetCertificates replaces certificates under a client that stays and others
// that come, one of which resumes its session.
func TestSetCertificates(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{}, hello)
	old := ts.open(overTLS)
	resuming := clientTLS("h2")
	resuming.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	// The session is kept once its ticket has been read.
	openOn(t, tls.Client(ts.dial(overTLS), resuming)).fetch("/").want(t, "200", "hello")

	rsaCert := newRSACertificate(t)
	if err := ts.srv.SetCertificates([]tls.Certificate{rsaCert}); err != nil {
		t.Fatal(err)
	}
	old.fetch("/").want(t, "200", "hello")
	if err := tls.Client(ts.dial(overTLS), clientTLS("h2")).Handshake(); err == nil {
		t.Error("a client that trusts the old certificate only is content")
	}
	cfg := clientTLS("h2")
	cfg.RootCAs = x509.NewCertPool()
	cfg.RootCAs.AddCert(rsaCert.Leaf)
	nc := tls.Client(ts.dial(overTLS), cfg)
	openOn(t, nc).fetch("/").want(t, "200", "hello")
	resuming.InsecureSkipVerify = true // else the client looks at the certificate
	nc = tls.Client(ts.dial(overTLS), resuming)
	openOn(t, nc).fetch("/").want(t, "200", "hello")
	if !nc.ConnectionState().DidResume {
		t.Error("a session from before is not resumed")
	}

	if err := ts.srv.SetCertificates([]tls.Certificate{{}}); err == nil {
		t.Error("an empty certificate is taken")
	}
	openOn(t, tls.Client(ts.dial(overTLS), cfg)).fetch("/").want(t, "200", "hello")
}

// TestSetCertificatesRefused is for servers whose certificates are not ours to
// replace.
func TestSetCertificatesRefused(t *testing.T) {
	t.Parallel()
	for name, listeners := range map[string][]loop.Listener{
		"no TLS": {{Address: "127.0.0.1:0"}},
		"a callback": tlsListener(func(cfg *tls.Config) {
			cfg.GetCertificate = testCertificate
		}),
	} {
		srv, err := loop.New(loop.Config{Listeners: listeners})
		if err != nil {
			t.Fatal(err)
		}
		if err := srv.SetCertificates([]tls.Certificate{identity().cert}); err == nil {
			t.Errorf("%s: no error", name)
		}
		_ = srv.Shutdown(context.Background())
	}
}

func newRSACertificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(2),
		Subject:               pkix.Name{CommonName: "127.0.0.1"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// TestSection9_2_2_Suites lets TLS 1.2 have the suites that HTTP/2 allows. A
// config that asks for others gets them, and INADEQUATE_SECURITY.
func TestSection9_2_2_Suites(t *testing.T) {
	t.Parallel()
	const cbc = tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA
	tls12 := func(suites ...uint16) *tls.Config {
		cfg := clientTLS("h2")
		cfg.MaxVersion, cfg.CipherSuites = tls.VersionTLS12, suites
		return cfg
	}
	ts := newServer(t, loop.Config{}, hello)
	openOn(t, tls.Client(ts.dial(overTLS), tls12())).fetch("/").want(t, "200", "hello")
	if err := tls.Client(ts.dial(overTLS), tls12(cbc)).Handshake(); err == nil {
		t.Error("a suite that HTTP/2 prohibits is taken")
	}
	for name, change := range map[string]func(cfg *tls.Config){
		"CipherSuites": func(cfg *tls.Config) { cfg.CipherSuites = []uint16{cbc} },
		"GetConfigForClient": func(cfg *tls.Config) {
			cfg.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
				other := serverTLS()
				other.NextProtos = []string{"h2"}
				other.CipherSuites = []uint16{cbc}
				return other, nil
			}
		},
	} {
		ts := newServer(t, loop.Config{Listeners: tlsListener(change)}, hello)
		p := newPeer(t, tls.Client(ts.dial(overTLS), tls12(cbc)))
		p.out = append(p.out, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"...)
		p.configure()
		p.untilClosed()
		if len(p.goAways) != 1 || p.goAways[0].code != frames.ErrCodeInadequateSecurity {
			t.Errorf("%s: %v, want GOAWAY(INADEQUATE_SECURITY)", name, p.goAways)
		}
		// TLS 1.3 has no such suites.
		ts.open(overTLS).fetch("/").want(t, "200", "hello")
	}
}

// TestClientCertificates asks for one.
func TestClientCertificates(t *testing.T) {
	t.Parallel()
	names := make(chan string, 1)
	ts := newServer(t, loop.Config{Listeners: tlsListener(func(cfg *tls.Config) {
		cfg.ClientAuth, cfg.ClientCAs = tls.RequireAndVerifyClientCert, identity().roots
	})}, func(srv *loop.Server) {
		srv.Handle("/", func(x *loop.Exchange) {
			names <- x.TLS().PeerCertificates[0].Subject.CommonName
			_ = x.SendString(200, "hello")
		})
	})
	cfg := clientTLS("h2")
	cfg.Certificates = []tls.Certificate{identity().cert}
	openOn(t, tls.Client(ts.dial(overTLS), cfg)).fetch("/").want(t, "200", "hello")
	if name := wait(t, "the name", names); name != "127.0.0.1" {
		t.Errorf("the client is %q", name)
	}
	nc := tls.Client(ts.dial(overTLS), clientTLS("h2"))
	if err := nc.Handshake(); err == nil { // TLS 1.3 tells with the first octets read
		_, err = nc.Read(make([]byte, 1))
		if _, ok := errors.AsType[tls.AlertError](err); !ok && errors.Is(err, io.EOF) {
			t.Errorf("without a certificate: %v, want an alert", err)
		}
	}
}

// A dribble writes octet by octet.
type dribble struct{ net.Conn }

func (d dribble) Write(b []byte) (n int, err error) {
	for i := range b {
		if _, err := d.Conn.Write(b[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(b), nil
}

// TestHandshakeOffLoopInPieces has the flights of clients come in pieces while a step of
// their handshakes waits or runs off the loop: the next one waits for it.
func TestHandshakeOffLoopInPieces(t *testing.T) {
	t.Parallel()
	listeners := tlsListener(func(cfg *tls.Config) { cfg.ClientAuth = tls.RequireAnyClientCert })
	for i := range listeners {
		listeners[i].Handshakes = loop.HandshakesOffLoop
	}
	ts := newServer(t, loop.Config{Loops: 2, Listeners: listeners, HandshakeWorkers: 8}, hello)
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			cfg := clientTLS("h2")
			cfg.Certificates = serverTLS().Certificates
			for range 25 {
				nc, err := net.Dial("tcp", ts.addr(overTLS))
				if err != nil {
					t.Error(err)
					return
				}
				c := tls.Client(dribble{nc}, cfg)
				if err = c.Handshake(); err == nil {
					_, err = c.Read(make([]byte, 1)) // of SETTINGS: the server is there too
				}
				if err != nil {
					t.Error(err)
				}
				_ = nc.Close()
			}
		})
	}
	clients.Wait()
}
