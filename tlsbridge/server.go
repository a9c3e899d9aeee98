package tlsbridge

import (
	"crypto/tls"
	"errors"
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
}

// NewServer returns a Server with a clone of cfg.
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
	s := &Server{config: withFullRecords(cfg), maxHandshake: opts.MaxHandshakeBytes}
	if s.maxHandshake == 0 {
		s.maxHandshake = defaultMaxHandshakeBytes
	}
	if get := cfg.GetConfigForClient; get != nil {
		s.config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			cfg, err := get(hello)
			if cfg == nil || err != nil || cfg.DynamicRecordSizingDisabled {
				return cfg, err
			}
			// Ticket keys survive: those that were set explicitly are
			// cloned, automatic ones are always those of s.config.
			return withFullRecords(cfg), nil
		}
	}
	return s, nil
}

// withFullRecords returns a clone of cfg with which crypto/tls fills its records
// from the first one on.
func withFullRecords(cfg *tls.Config) *tls.Config {
	cfg = cfg.Clone()
	cfg.DynamicRecordSizingDisabled = true
	return cfg
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
