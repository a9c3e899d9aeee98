package vhost

import (
	"crypto/tls"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/h2loop/h2loop/cmd/h2loop/internal/config"
	"github.com/h2loop/h2loop/cmd/h2loop/internal/redirect"
	"github.com/h2loop/h2loop/loop"
)

// A site is what is served under some names. It does not change once it is in use, but
// for its ticket keys.
type site struct {
	dir       *directory // nil without one
	headers   []header
	hsts      string // "" for none
	redirects redirect.Table

	redirectsSome bool

	tls      *tls.Config
	rules    rules
	roots    [][]byte // of certificates of clients
	identity string   // of its session tickets
}

type header struct{ name, value string }

// newSite makes the site that is described, or uses what is the same in old.
func (h *Hosts) newSite(cfg *config.Config, described *config.Site, old *set) (*site, error) {
	s := &site{}
	for _, name := range slices.Sorted(maps.Keys(described.Headers)) {
		s.headers = append(s.headers, header{strings.ToLower(name), described.Headers[name]})
	}
	s.hsts = hstsOf(&described.HSTS)
	for _, r := range described.Redirects {
		if err := s.redirects.Add(r.From, r.To, int(r.Status)); err != nil {
			return nil, fmt.Errorf("redirects: %w", err)
		}
	}
	s.redirectsSome = len(described.Redirects) > 0
	if err := s.initTLS(cfg, described); err != nil {
		return nil, err
	}
	if described.Root == "" {
		return s, nil
	}
	var err error
	s.dir, err = h.openDirectory(described, old)
	return s, err
}

// hstsOf returns the value of Strict-Transport-Security (RFC 6797, Section 6.1).
func hstsOf(h *config.HSTS) string {
	if h.MaxAge == 0 {
		return ""
	}
	value := "max-age=" + strconv.FormatInt(int64(time.Duration(h.MaxAge)/time.Second), 10)
	if h.IncludeSubdomains {
		value += "; includeSubDomains"
	}
	if h.Preload {
		value += "; preload"
	}
	return value
}

// pattern is the route of all that a directory may have; wildcard is the path in it.
const (
	pattern  = "/{path...}"
	wildcard = "path"
)

// Register has srv serve the hosts, but for what other routes take.
func (h *Hosts) Register(srv *loop.Server) {
	srv.Use(h.serve)
	srv.Handle(pattern, notFound) // what serve leaves
}

// RegisterOnly has srv hold requests to the rules of their sites, and set their header
// fields; what is served is for other routes.
func (h *Hosts) RegisterOnly(srv *loop.Server) { srv.Use(h.serve) }

func notFound(x *loop.Exchange) { _ = x.SendError(404, "404 page not found") }

// serve is the middleware that finds the site of a request.
func (h *Hosts) serve(next loop.Handler) loop.Handler {
	return func(x *loop.Exchange) {
		s, dir := h.take(x)
		if s == nil {
			_ = x.SendError(421, "Misdirected Request: nothing is served here under that name, or not on this connection")
			return
		}
		if dir != nil {
			_ = x.OnDone(dir.release)
		}
		for _, f := range s.headers {
			_ = x.SetHeader(f.name, f.value)
		}
		// "An HSTS Host MUST NOT include the STS header field in HTTP responses
		// conveyed over non-secure transport." RFC 6797, Section 7.2.
		if s.hsts != "" && x.TLS() != nil {
			_ = x.SetHeader("strict-transport-security", s.hsts)
		}
		if s.redirectsSome && s.redirect(x) {
			return
		}
		if dir == nil || x.Pattern() != pattern {
			next(x)
			return
		}
		dir.serve(x)
	}
}

// redirect sends the client elsewhere, and reports whether that is to be done.
func (s *site) redirect(x *loop.Exchange) bool {
	location, status, ok := s.redirects.Find(x.Method(), x.Path(), x.RawQuery())
	if ok {
		_ = x.SetHeader("location", location)
		_ = x.Send(status, nil)
	}
	return ok
}

// take returns the site of a request, nil if it is misdirected, and its directory, nil if
// it has none, for whoever calls to release.
func (h *Hosts) take(x *loop.Exchange) (*site, *directory) {
	for {
		set := h.current.Load()
		s := set.of(x.Host())
		if s == nil || !s.admits(x.TLS(), set) {
			return nil, nil
		}
		if s.dir == nil || s.dir.take() {
			return s, s.dir
		}
		// The set was exchanged in between.
	}
}
