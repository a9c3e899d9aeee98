package tlsbridge

import (
	"crypto/tls"
	"errors"
	"io"
	"runtime/debug"
	"sync/atomic"
)

// defaultMaxHandshakeBytes leaves room for a client certificate chain of a
// dozen RSA certificates. A handshake without client certificates takes 2 KiB.
const defaultMaxHandshakeBytes = 64 << 10

// Options are the settings of a Server that are not in the tls.Config.
type Options struct {
	// MaxHandshakeBytes is how much a peer may send before the handshake
	// ends, record headers included. The default is 64 KiB.
	MaxHandshakeBytes int
}

// A Server is what all bridges of one listener share. It is safe for
// concurrent use: the bridges of several loops may have it in common.
type Server struct {
	config       *tls.Config
	maxHandshake int
	callbacks    bool // the tls.Config has some that may take their time

	certs atomic.Pointer[certificates] // nil if a callback of the tls.Config chooses
}

// NewServer returns a Server with a clone of cfg. If cfg has no CipherSuites, the
// clone has those of TLS 1.2 that HTTP/2 allows.
//
// It returns an error for certificates that SetCertificates would refuse, unless
// a callback of cfg chooses the certificate.
func NewServer(cfg *tls.Config, opts Options) (*Server, error) {
	if cfg == nil {
		return nil, errors.New("tlsbridge: no tls.Config")
	}
	if len(cfg.Certificates) == 0 && cfg.GetCertificate == nil && cfg.GetConfigForClient == nil {
		return nil, errors.New("tlsbridge: the tls.Config has none of Certificates, GetCertificate and GetConfigForClient")
	}
	if opts.MaxHandshakeBytes < 0 {
		return nil, errors.New("tlsbridge: MaxHandshakeBytes is negative")
	}
	s := &Server{config: forHTTP2(cfg), maxHandshake: opts.MaxHandshakeBytes, callbacks: hasCallbacks(cfg)}
	if s.maxHandshake == 0 {
		s.maxHandshake = defaultMaxHandshakeBytes
	}
	if get := cfg.GetConfigForClient; get != nil {
		s.config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			cfg, err := get(hello)
			if cfg == nil || err != nil || isForHTTP2(cfg) {
				return cfg, err
			}
			// Ticket keys survive: those that were set explicitly are
			// cloned, automatic ones are always those of s.config.
			return forHTTP2(cfg), nil
		}
	}
	if cfg.GetConfigForClient == nil && cfg.GetCertificate == nil {
		set, err := newCertificates(cfg.Certificates)
		if err != nil {
			return nil, err
		}
		set.byName = cfg.NameToCertificate //nolint:staticcheck // it is deprecated, but crypto/tls honours it
		s.certs.Store(set)
		// crypto/tls does not ask GetCertificate for a client that names no
		// server if there are Certificates.
		s.config.Certificates = nil
		s.config.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			return s.certs.Load().choose(hello), nil
		}
	}
	return s, nil
}

// isForHTTP2 reports whether forHTTP2 would change nothing.
func isForHTTP2(cfg *tls.Config) bool {
	return cfg.DynamicRecordSizingDisabled && cfg.CipherSuites != nil && isGuarded(cfg.KeyLogWriter)
}

// forHTTP2 returns a clone of cfg with which crypto/tls fills its records from the
// first one on, and chooses no cipher suite that HTTP/2 prohibits unless cfg names
// it.
func forHTTP2(cfg *tls.Config) *tls.Config {
	cfg = cfg.Clone()
	cfg.DynamicRecordSizingDisabled = true
	if cfg.CipherSuites == nil {
		cfg.CipherSuites = suitesTLS12
	}
	if !isGuarded(cfg.KeyLogWriter) {
		cfg.KeyLogWriter = keyLog{cfg.KeyLogWriter}
	}
	return cfg
}

// A keyLog stands before a KeyLogWriter and makes an error of its panic: crypto/tls
// would go on holding the lock of all of them, for which every other handshake would
// wait.
type keyLog struct{ w io.Writer }

func (k keyLog) Write(p []byte) (n int, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return k.w.Write(p)
}

// isGuarded reports whether w needs no keyLog before it.
func isGuarded(w io.Writer) bool {
	_, ok := w.(keyLog)
	return w == nil || ok
}

func hasCallbacks(cfg *tls.Config) bool {
	return cfg.GetCertificate != nil || cfg.GetConfigForClient != nil ||
		cfg.VerifyPeerCertificate != nil || cfg.VerifyConnection != nil ||
		cfg.GetEncryptedClientHelloKeys != nil ||
		cfg.WrapSession != nil || cfg.UnwrapSession != nil
}

// HasCallbacks reports whether the tls.Config has callbacks that a handshake
// calls, which may do I/O.
func (s *Server) HasCallbacks() bool { return s.callbacks }

// Blocking reports whether a handshake that begins now may keep the goroutine that
// runs it for long, so that it is better held and run off the loop: the
// tls.Config has callbacks, which may do I/O, or a certificate has a key that is
// neither ECDSA nor Ed25519 of the standard library, such as RSA, which takes 1 to
// 2 ms. It changes with SetCertificates. It may be called from any goroutine.
func (s *Server) Blocking() bool {
	if s.callbacks {
		return true
	}
	set := s.certs.Load()
	return set != nil && set.slow
}

// SetSessionTicketKeys replaces the keys of session tickets, as the method of
// tls.Config does. It may be called at any time.
func (s *Server) SetSessionTicketKeys(keys [][32]byte) {
	s.config.SetSessionTicketKeys(keys)
}

// NewBridge returns the bridge of a new connection.
func (s *Server) NewBridge(bufs *Buffers) *Bridge {
	return &Bridge{srv: s, wire: wire{bufs: bufs}}
}
