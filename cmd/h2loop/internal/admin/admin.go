// Package admin serves what an operator asks of a running server: metrics, health,
// profiles and what goes on on its connections.
//
// It is a net/http server of its own, and not routes of the one that it tells about:
// it has to answer when the loops do not, and outlives them until the drain is over.
package admin

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"

	"github.com/h2loop/h2loop/loop"
)

// Options say where to listen, and of what to tell.
type Options struct {
	// Addr is host:port, :port for the loopback address, or unix:PATH.
	Addr     string
	Registry *prometheus.Registry
	Logger   *zerolog.Logger
}

// A Server is the admin server.
type Server struct {
	opts   Options
	ln     net.Listener
	http   *http.Server
	ended  chan struct{}
	public bool // the address is no loopback address

	mu      sync.Mutex
	subject *loop.Server // nil until Watch
	leaving bool
}

// turnPatience is how long a loop has to come to a task: after that it counts as stuck.
const turnPatience = time.Second

// Listen opens the listener and begins to serve. Until [Server.Watch], the server is
// not ready.
func Listen(opts Options) (*Server, error) {
	s := &Server{opts: opts, ended: make(chan struct{})}
	network, addr := "tcp", opts.Addr
	if path, ok := strings.CutPrefix(opts.Addr, "unix:"); ok {
		network, addr = "unix", path
		removeStale(path)
	} else if strings.HasPrefix(addr, ":") {
		addr = "127.0.0.1" + addr // never the world, unless it is said
	}
	ln, err := net.Listen(network, addr)
	if err != nil {
		return nil, err
	}
	s.ln = ln
	if a, ok := ln.Addr().(*net.TCPAddr); ok {
		s.public = !a.IP.IsLoopback()
	}
	s.http = &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          log.New(opts.Logger.With().Str("from", "admin").Logger(), "", 0),
	}
	go func() {
		defer close(s.ended)
		if err := s.http.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			opts.Logger.Error().Err(err).Msg("the admin listener has ended")
		}
	}()
	return s, nil
}

// removeStale removes the unix socket of a server that is gone.
func removeStale(path string) {
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&os.ModeSocket == 0 {
		return
	}
	if c, err := net.Dial("unix", path); err == nil {
		_ = c.Close()
	} else if errors.Is(err, syscall.ECONNREFUSED) {
		_ = os.Remove(path)
	}
}

// Addr returns where it listens.
func (s *Server) Addr() net.Addr { return s.ln.Addr() }

// IsPublic reports whether others than this host may reach it.
func (s *Server) IsPublic() bool { return s.public }

// Watch makes srv the server to tell of.
func (s *Server) Watch(srv *loop.Server) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subject = srv
}

// Leave makes the server not ready: it has been told to end.
func (s *Server) Leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leaving = true
}

// Close ends the admin server: requests have a moment to end.
func (s *Server) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close()
	}
	<-s.ended
}

// watched returns the server to tell of; nil while there is none.
func (s *Server) watched() *loop.Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.subject
}

func (s *Server) handler() http.Handler {
	open := http.NewServeMux()
	metrics := promhttp.HandlerFor(s.opts.Registry, promhttp.HandlerOpts{Registry: s.opts.Registry})
	open.Handle("GET /metrics", metrics)
	open.HandleFunc("GET /healthz", s.healthz)
	open.HandleFunc("GET /readyz", s.readyz)

	debug := http.NewServeMux()
	debug.HandleFunc("GET /debug/pprof/", pprof.Index)
	debug.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	debug.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	debug.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	debug.HandleFunc("POST /debug/pprof/symbol", pprof.Symbol)
	debug.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	s.addDebug(debug)
	guarded := s.guard(debug, false)
	open.Handle("GET /debug/", guarded)
	open.Handle("POST /debug/", guarded)
	open.HandleFunc("GET /{$}", index)
	return s.guard(open, s.public)
}

// guard keeps web pages that a browser on this host shows from reaching h: those whose
// name leads here (DNS rebinding), unless names are allowed, and those that send
// requests across origins. The address of a page that is served from here, and curl,
// are let through.
func (s *Server) guard(h http.Handler, names bool) http.Handler {
	cross := http.NewCrossOriginProtection() // for what changes state
	h = cross.Handler(h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		site := r.Header.Get("Sec-Fetch-Site")
		switch {
		case !names && !isLiteral(r.Host) && s.ln.Addr().Network() != "unix":
			http.Error(w, "The Host must be localhost or an IP address: a name may lead anywhere.", http.StatusMisdirectedRequest)
		case site == "cross-site" || site == "same-site":
			http.Error(w, "This is not for pages of other origins.", http.StatusForbidden)
		default:
			w.Header().Set("X-Content-Type-Options", "nosniff")
			w.Header().Set("Cache-Control", "no-store")
			h.ServeHTTP(w, r)
		}
	})
}

// isLiteral reports whether the host of a Host field is an IP address or localhost.
func isLiteral(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	_, err := netip.ParseAddr(host)
	return err == nil || strings.EqualFold(host, "localhost")
}

const indexPage = `<!doctype html><meta charset="utf-8"><title>h2loop</title><meta name="color-scheme" content="light dark">
<style>body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:40rem;padding:0 1rem}</style>
<h1>h2loop</h1><ul>
<li><a href="/debug/connections">Connections</a> and their streams, and traces of their frames
<li><a href="/metrics">Metrics</a> <li><a href="/debug/pprof/">Profiles</a>
<li><a href="/healthz">Health</a> <li><a href="/readyz">Readiness</a></ul>
`

func index(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(indexPage))
}

// healthz tells whether every loop still turns.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	if srv := s.watched(); srv != nil {
		if stuck := srv.Stuck(turnPatience); len(stuck) > 0 && !s.isOver(srv) {
			http.Error(w, fmt.Sprintf("stuck: loops %d do not turn", stuck), http.StatusServiceUnavailable)
			return
		}
	}
	_, _ = w.Write([]byte("ok\n"))
}

// isOver reports whether the loops may have ended because the server does.
func (s *Server) isOver(srv *loop.Server) bool {
	st := srv.Stats()
	return st.Draining && st.Connections == 0
}

// readyz tells whether new connections are welcome.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	srv, leaving := s.subject, s.leaving
	s.mu.Unlock()
	switch {
	case srv == nil || srv.Stats().Loops == 0:
		http.Error(w, "not listening yet", http.StatusServiceUnavailable)
	case leaving || srv.Stats().Draining:
		http.Error(w, "draining", http.StatusServiceUnavailable)
	default:
		_, _ = w.Write([]byte("ok\n"))
	}
}
