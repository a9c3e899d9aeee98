package looptest

import (
	"context"
	"crypto/tls"
	"net/http"
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"github.com/h2loop/h2loop/loop"
)

// A Server is a server in the process of a test.
type Server struct {
	// Config is that of the server, as it is used.
	Config loop.Config

	t      testing.TB
	srv    *loop.Server
	scheme string
	stop   context.CancelFunc
	ended  chan struct{}
	err    error // what Run has returned, once ended is closed
	closed sync.Once

	mu      sync.Mutex
	clients map[string]*http.Client // by version
}

// New runs a server with the routes that register adds, in cleartext, until the test
// ends.
func New(t testing.TB, register func(srv *loop.Server)) *Server {
	t.Helper()
	return start(t, loop.Config{}, nil, register)
}

// NewTLS is New over TLS, with a certificate for 127.0.0.1, ::1, localhost and
// example.com that [Server.Client] trusts.
func NewTLS(t testing.TB, register func(srv *loop.Server)) *Server {
	t.Helper()
	return start(t, loop.Config{}, &tls.Config{Certificates: []tls.Certificate{identity().cert}}, register)
}

// NewConfig is New with a config. If it has listeners, the first is the one that
// [Server.URL] tells; one with a TLS config that has no certificate gets that of NewTLS.
// The log goes to the test, warnings and above, unless the config has a logger.
func NewConfig(t testing.TB, cfg loop.Config, register func(srv *loop.Server)) *Server {
	t.Helper()
	return start(t, cfg, nil, register)
}

func start(t testing.TB, cfg loop.Config, secure *tls.Config, register func(srv *loop.Server)) *Server {
	t.Helper()
	s := &Server{t: t, scheme: "http", ended: make(chan struct{}), clients: map[string]*http.Client{}}
	if len(cfg.Listeners) == 0 {
		cfg.Listeners = []loop.Listener{{Address: "127.0.0.1:0", TLS: secure}}
	}
	cfg.Listeners = withCertificates(cfg.Listeners)
	if cfg.Listeners[0].TLS != nil {
		s.scheme = "https"
	}
	if cfg.Logger == nil {
		log := zerolog.New(testLog{t}).Level(zerolog.WarnLevel)
		cfg.Logger = &log
	}
	cfg.IsolateCallbacks, cfg.DebugExchanges = true, true
	s.Config = cfg
	srv, err := loop.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.srv = srv
	if register != nil {
		register(srv)
	}
	// The context of the test ends before what it has left to clean up.
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	go func() {
		defer close(s.ended)
		s.err = srv.Run(ctx)
	}()
	t.Cleanup(s.Close)
	return s
}

// Close ends the server, after the requests that are open, and fails the test if it
// does not end well. The end of the test does so too.
func (s *Server) Close() {
	s.closed.Do(func() {
		s.t.Helper()
		s.mu.Lock()
		for _, c := range s.clients {
			c.CloseIdleConnections()
		}
		s.mu.Unlock()
		s.stop()
		<-s.ended
		if s.err != nil {
			s.t.Errorf("looptest: Run: %v", s.err)
		}
	})
}

// Server returns the server itself.
func (s *Server) Server() *loop.Server { return s.srv }

// Addr returns the address of the server, with its port.
func (s *Server) Addr() string { return s.srv.Addrs()[0].String() }

// URL returns what the URLs of the server begin with, "http://127.0.0.1:34567" for
// example, without a slash at the end.
func (s *Server) URL() string { return s.scheme + "://" + s.Addr() }

// Client returns a client for the server that speaks HTTP/2 only, in cleartext by
// prior knowledge, and trusts its certificate. It follows no redirects.
func (s *Server) Client() *http.Client {
	var protocols http.Protocols
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return s.client("HTTP/2", &protocols)
}

// Client1 is Client for HTTP/1.1.
func (s *Server) Client1() *http.Client {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return s.client("HTTP/1.1", &protocols)
}

func (s *Server) client(version string, protocols *http.Protocols) *http.Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clients[version]
	if c == nil {
		c = &http.Client{
			Transport:     &http.Transport{Protocols: protocols, TLSClientConfig: &tls.Config{RootCAs: identity().roots}},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
		s.clients[version] = c
	}
	return c
}

// A testLog hands what is logged to a test.
type testLog struct{ t testing.TB }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Logf("server: %s", p)
	return len(p), nil
}
