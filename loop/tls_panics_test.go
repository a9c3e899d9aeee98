package loop_test

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"io"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"github.com/h2loop/h2loop/loop"
)

// tlsPanics has, for what an application may put into a tls.Config to be called, how to
// have it call when.
var tlsPanics = map[string]func(cfg *tls.Config, when func()){
	"GetCertificate": func(cfg *tls.Config, when func()) {
		cfg.Certificates = nil
		cfg.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { when(); return testCertificate(nil) }
	},
	"GetConfigForClient": func(cfg *tls.Config, when func()) {
		cfg.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { when(); return nil, nil }
	},
	"VerifyPeerCertificate": func(cfg *tls.Config, when func()) {
		cfg.VerifyPeerCertificate = func([][]byte, [][]*x509.Certificate) error { when(); return nil }
	},
	"VerifyConnection": func(cfg *tls.Config, when func()) {
		cfg.VerifyConnection = func(tls.ConnectionState) error { when(); return nil }
	},
	"WrapSession": func(cfg *tls.Config, when func()) {
		cfg.WrapSession = func(cs tls.ConnectionState, ss *tls.SessionState) ([]byte, error) {
			when()
			return cfg.EncryptTicket(cs, ss)
		}
	},
	"UnwrapSession": func(cfg *tls.Config, when func()) {
		cfg.UnwrapSession = func(ticket []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
			when()
			return cfg.DecryptTicket(ticket, cs)
		}
	},
	"GetEncryptedClientHelloKeys": func(cfg *tls.Config, when func()) {
		cfg.GetEncryptedClientHelloKeys = func(*tls.ClientHelloInfo) ([]tls.EncryptedClientHelloKey, error) { when(); return nil, nil }
	},
	"Time":         func(cfg *tls.Config, when func()) { cfg.Time = func() time.Time { when(); return time.Now() } },
	"KeyLogWriter": func(cfg *tls.Config, when func()) { cfg.KeyLogWriter = writerFunc(func([]byte) { when() }) },
	"Certificates": func(cfg *tls.Config, when func()) {
		cert := cfg.Certificates[0]
		cert.PrivateKey = signer{cert.PrivateKey.(crypto.Signer), when}
		cfg.Certificates = []tls.Certificate{cert}
	},
}

// tlsNotCalled has the other fields of a tls.Config that could call something, and why
// there is nothing to be seen of it.
var tlsNotCalled = map[string]string{
	"Rand":                                "it is not called everywhere, and whoever reads randomness with a panic is lost",
	"GetClientCertificate":                "clients have it called",
	"ClientSessionCache":                  "clients have it called",
	"EncryptedClientHelloRejectionVerify": "clients have it called",
}

type writerFunc func(p []byte)

func (f writerFunc) Write(p []byte) (int, error) { f(p); return len(p), nil }

// A signer calls when it signs.
type signer struct {
	crypto.Signer
	when func()
}

func (s signer) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	s.when()
	return s.Signer.Sign(rand, digest, opts)
}

// TestTLSCallbacksPanic has each of them panic, on the loop and off it: it costs its
// connection. One that there is goes on, and another one begins.
func TestTLSCallbacksPanic(t *testing.T) {
	t.Parallel()
	for name, set := range tlsPanics {
		for where, handshakes := range map[string]loop.Handshakes{"on the loop": loop.HandshakesOnLoop, "off it": loop.HandshakesOffLoop} {
			t.Run(name+" "+where, func(t *testing.T) {
				t.Parallel()
				var armed atomic.Bool
				listeners := tlsListener(func(cfg *tls.Config) {
					cfg.ClientAuth = tls.RequestClientCert
					set(cfg, func() {
						if armed.Load() {
							panic("on purpose")
						}
					})
				})
				listeners[1].Handshakes = handshakes
				ts := newServer(t, loop.Config{Loops: 1, Listeners: listeners}, hello)
				ts.expectLog("on purpose")
				cfg := clientTLS("h2")
				cfg.Certificates = []tls.Certificate{identity().cert}
				cfg.ClientSessionCache = tls.NewLRUClientSessionCache(1)
				neighbour := openOn(t, tls.Client(ts.dial(overTLS), cfg))
				neighbour.fetch("/").want(t, "200", "hello") // and its ticket is read

				armed.Store(true)
				cfg = cfg.Clone()
				if name != "UnwrapSession" {
					cfg.ClientSessionCache = tls.NewLRUClientSessionCache(1)
				}
				nc := tls.Client(ts.dial(overTLS), cfg)
				err := nc.Handshake()
				if err == nil { // the server's part of it may not have been over
					var b []byte
					if b, err = io.ReadAll(nc); len(b) > 0 {
						t.Errorf("%d octets behind a handshake that has failed", len(b))
					}
				}
				if isTimeout(err) {
					t.Error("the connection does not end")
				}
				eventually(t, "it is counted", func() bool { return ts.srv.Stats().Panics == 1 })
				neighbour.fetch("/").want(t, "200", "hello")
				armed.Store(false)
				openOn(t, tls.Client(ts.dial(overTLS), cfg)).fetch("/").want(t, "200", "hello")
				eventually(t, "no handshake is in progress", func() bool { return ts.srv.Stats().Handshakes == 0 })
			})
		}
	}
}

// TestEachTLSCallbackPanics looks for fields of a tls.Config that nobody thought of above.
func TestEachTLSCallbackPanics(t *testing.T) {
	for f := range reflect.TypeFor[tls.Config]().Fields() {
		if kind := f.Type.Kind(); !f.IsExported() || kind != reflect.Func && kind != reflect.Interface {
			continue
		}
		if tlsPanics[f.Name] == nil && tlsNotCalled[f.Name] == "" {
			t.Errorf("nothing has %s panic", f.Name)
		}
	}
}
