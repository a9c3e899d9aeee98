package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/h2loop/h2loop/cmd/h2loop/internal/privileges"
	"github.com/h2loop/h2loop/cmd/h2loop/internal/redirect"
	"github.com/h2loop/h2loop/loop"
)

// A checker gathers what is wrong with a configuration.
type checker struct {
	cfg      *Config
	problems Problems
}

// Check finds what does not go together, and which of the files that cfg names are of no
// use. It returns nil if there is nothing.
func (cfg *Config) Check() Problems {
	c := &checker{cfg: cfg}
	if _, err := privileges.Find(cfg.User, cfg.Group); err != nil {
		field := "user"
		if cfg.User == "" || strings.Contains(err.Error(), "no group") {
			field = "group"
		}
		c.add(field, "%v", err)
	}
	c.listeners()
	c.admin()
	c.siteTLS("tls", &cfg.TLS.SiteTLS, cfg.TLS.SiteTLS)
	if cfg.TLS.TicketKeys != "" {
		if _, err := ReadTicketKeys(cfg.TLS.TicketKeys); err != nil {
			c.add("tls.ticket_keys", "%v", err)
		}
	}
	c.limits()
	c.names()
	for i := range cfg.Sites {
		c.site(fmt.Sprintf("sites[%d]", i), &cfg.Sites[i])
	}
	return c.problems
}

func (c *checker) add(field, format string, args ...any) {
	c.problems = append(c.problems, c.cfg.Problem(field, format, args...))
}

// Problem returns what is wrong with field, and where that comes from.
func (cfg *Config) Problem(field, format string, args ...any) Problem {
	return Problem{cfg.origins.of(field), field, fmt.Sprintf(format, args...)}
}

// ServesTLS reports whether there is a listener for TLS.
func (cfg *Config) ServesTLS() bool {
	return slices.ContainsFunc(cfg.Listeners, func(l Listener) bool { return l.TLS })
}

// RedirectPort returns the port to which what comes to l in cleartext is redirected, or 0.
func (cfg *Config) RedirectPort(l *Listener) int {
	if !l.RedirectHTTPS.On || l.RedirectHTTPS.Port > 0 {
		return l.RedirectHTTPS.Port
	}
	for _, other := range cfg.Listeners {
		if port := other.Address.Port(); other.TLS && port > 0 {
			return port
		}
	}
	return 0
}

func (c *checker) listeners() {
	for i := range c.cfg.Listeners {
		l := &c.cfg.Listeners[i]
		field := fmt.Sprintf("listeners[%d]", i)
		before := c.cfg.Listeners[:i]
		first := slices.IndexFunc(before, func(other Listener) bool { return l.Address.clashes(other.Address) })
		switch {
		case l.Address == "":
			c.add(field, "it needs an address")
		case first >= 0 && before[first].Address == l.Address:
			c.add(field+".address", "%q is that of listeners[%d] too", l.Address, first)
		case first >= 0:
			c.add(field+".address", "%q has addresses in common with listeners[%d], which is %q", l.Address, first, before[first].Address)
		}
		if _, isFile := socketFile(string(l.Address)); l.Mode != 0 && !isFile {
			c.add(field+".mode", "it is for the file of a unix socket, as unix:/run/h2loop.sock")
		}
		switch {
		case l.RedirectHTTPS.On && l.TLS:
			c.add(field+".redirect_https", "it is of no use on a listener for TLS")
		case l.RedirectHTTPS.On && c.cfg.RedirectPort(l) == 0:
			c.add(field+".redirect_https", "it needs a PORT, or a listener for TLS that has one")
		}
	}
}

// TLSOf returns how TLS is to be spoken for s: as it says, or else as all of cfg does.
func (cfg *Config) TLSOf(s *Site) SiteTLS {
	t, all := s.TLS, &cfg.TLS
	if t.MinVersion == 0 {
		t.MinVersion = all.MinVersion
	}
	if t.Curves == nil {
		t.Curves = all.Curves
	}
	if t.SessionTickets == "" {
		t.SessionTickets = all.SessionTickets
	}
	if t.ClientAuth == 0 {
		t.ClientAuth = all.ClientAuth
	}
	if t.ClientCA == "" {
		t.ClientCA = all.ClientCA
	}
	return t
}

// siteTLS checks what is said in field, with what holds together with all else.
func (c *checker) siteTLS(field string, said *SiteTLS, holds SiteTLS) {
	if said.ClientAuth.NeedsCA() && holds.ClientCA == "" {
		c.add(field+".client_auth", "it needs a client_ca: the file of those who sign certificates of clients")
	}
	if said.ClientCA != "" {
		if _, err := ReadCAs(said.ClientCA); err != nil {
			c.add(field+".client_ca", "%v", err)
		}
	}
}

// names finds hosts that are named twice, and more than one default.
func (c *checker) names() {
	seen := map[Host]string{}
	def := ""
	for i := range c.cfg.Sites {
		s := &c.cfg.Sites[i]
		field := fmt.Sprintf("sites[%d]", i)
		for j, h := range s.Hosts {
			at := fmt.Sprintf("%s.hosts[%d]", field, j)
			if first, isTwice := seen[h]; isTwice {
				c.add(at, "%q is one of %s too", h, first)
				continue
			}
			seen[h] = field + ".hosts"
		}
		if !s.IsDefault() {
			continue
		}
		if def != "" {
			c.add(field, "%s is the default already: this one needs hosts", def)
		}
		def = field
	}
}

// DefaultSite returns the site for names that no other has, or nil.
func (cfg *Config) DefaultSite() *Site {
	for i := range cfg.Sites {
		if cfg.Sites[i].IsDefault() {
			return &cfg.Sites[i]
		}
	}
	return nil
}

// MakeDefaultSite returns the default site, which is made if there is none, and its
// number.
func (cfg *Config) MakeDefaultSite() (i int, s *Site) {
	for i := range cfg.Sites {
		if cfg.Sites[i].IsDefault() {
			return i, &cfg.Sites[i]
		}
	}
	cfg.Sites = append(cfg.Sites, Site{})
	i = len(cfg.Sites) - 1
	return i, &cfg.Sites[i]
}

func (c *checker) site(field string, s *Site) {
	c.certificates(field, s)
	c.siteTLS(field+".tls", &s.TLS, c.cfg.TLSOf(s))
	c.directory(field, s)
	for i, rule := range s.Cache {
		at := fmt.Sprintf("%s.cache[%d]", field, i)
		if _, err := path.Match(rule.Match, ""); err != nil {
			c.add(at+".match", "%q is no pattern", rule.Match)
		}
		if rule.Value == "" || !isFieldValue(rule.Value) {
			c.add(at+".value", "%q cannot be the value of a header", rule.Value)
		}
	}
	for _, ext := range slices.Sorted(maps.Keys(s.Types)) {
		if kind := s.Types[ext]; !strings.HasPrefix(ext, ".") || ext != strings.ToLower(ext) {
			c.add(join(field+".types", ext), "%q is no extension in lower case, with the dot", ext)
		} else if !isFieldValue(kind) || !strings.Contains(kind, "/") {
			c.add(join(field+".types", ext), "%q is no content type", kind)
		}
	}
	c.headers(field+".headers", s.Headers)
	c.redirects(field, s.Redirects)
	c.hsts(field+".hsts", &s.HSTS)
}

func (c *checker) certificates(field string, s *Site) {
	for i, pair := range s.Certificates {
		at := fmt.Sprintf("%s.certificates[%d]", field, i)
		switch {
		case pair.Cert == "" && pair.Key == "":
			c.add(at, "it needs cert and key")
		case pair.Key == "":
			c.add(at+".cert", "it needs a key")
		case pair.Cert == "":
			c.add(at+".key", "it needs a cert")
		default:
			if _, err := pair.Load(); err != nil {
				if e, ok := errors.AsType[keyError](err); ok {
					c.add(at+".key", "%v", e.error)
				} else {
					c.add(at+".cert", "%v", err)
				}
			}
		}
	}
	if len(s.Certificates) > 0 || !c.cfg.ServesTLS() {
		return
	}
	if def := c.cfg.DefaultSite(); (def == nil || len(def.Certificates) == 0) && !c.cfg.IsForDevelopment() {
		c.add(field, "it needs certificates: there is a listener for TLS, and the default site has none that it could use")
	}
}

// IsForDevelopment reports whether TLS is to be served and there is no certificate, and
// nobody has said what is to be served under which names: then one can be made.
func (cfg *Config) IsForDevelopment() bool {
	for i := range cfg.Sites {
		if s := &cfg.Sites[i]; len(s.Certificates) > 0 || len(s.Hosts) > 0 {
			return false
		}
	}
	return cfg.ServesTLS()
}

func (c *checker) directory(field string, s *Site) {
	if s.Root == "" {
		used := c.aboutDirectory(field, s)
		if !used && len(s.Redirects) == 0 && !c.cfg.IsDemo() {
			c.add(field, "it needs a root, the directory to serve, or nothing but redirects")
		}
		return
	}
	info, err := os.Stat(s.Root)
	switch {
	case err != nil:
		c.add(field+".root", "%v", err)
		return
	case !info.IsDir():
		c.add(field+".root", "%s is not a directory", s.Root)
		return
	}
	if s.NotFound != "" {
		c.notFound(field+".not_found", s)
	}
	if strings.Contains(s.Index, "/") || strings.HasPrefix(s.Index, ".") {
		c.add(field+".index", "%q cannot be the name of a file that is served", s.Index)
	}
	if s.Compress && s.MemoryCache < 0 {
		c.add(field+".compress", "it needs the memory_cache, which is off")
	}
}

// maxNotFound is how long the page for what is not there may be, as package files has it.
const maxNotFound = 256 << 10

func (c *checker) notFound(field string, s *Site) {
	if !filepath.IsLocal(s.NotFound) {
		c.add(field, "%q is not in the root: name it as it is called there", s.NotFound)
		return
	}
	root, err := os.OpenRoot(s.Root)
	if err != nil {
		return // CheckStart tells of that; who has opened it before may go on with it
	}
	defer root.Close()
	switch info, err := root.Stat(s.NotFound); {
	case errors.Is(err, fs.ErrNotExist):
		c.add(field, "%s: no such file in %s", s.NotFound, s.Root)
	case err != nil && strings.Contains(err.Error(), "escapes"): // package os does not export that
		c.add(field, "%s leads out of the root: put the page there itself", s.NotFound)
	case err != nil:
		c.add(field, "%v", err)
	case !info.Mode().IsRegular():
		c.add(field, "%s is no file", s.NotFound)
	case info.Size() > maxNotFound:
		c.add(field, "%s is longer than %d KiB", s.NotFound, maxNotFound>>10)
	}
}

// aboutDirectory says what is of no use because there is no directory, and whether there
// is any.
func (c *checker) aboutDirectory(field string, s *Site) (found bool) {
	for _, f := range []struct {
		name   string
		isUsed bool
	}{
		{"index", s.Index != ""},
		{"list", s.List},
		{"compress", s.Compress},
		{"not_found", s.NotFound != ""},
		{"memory_cache", s.MemoryCache != 0},
		{"types", len(s.Types) > 0},
		{"cache", len(s.Cache) > 0},
	} {
		if f.isUsed {
			c.add(field+"."+f.name, "it is about a directory, and there is no root to serve")
			found = true
		}
	}
	return found
}

// IsDemo reports whether nobody has said what is to be served, so that the program serves
// a page about itself.
func (cfg *Config) IsDemo() bool {
	for i := range cfg.Sites {
		if s := &cfg.Sites[i]; s.Root != "" || len(s.Hosts) > 0 || len(s.Redirects) > 0 {
			return false
		}
	}
	return true
}

// own are header fields that are not for the configuration to set: those of the connection,
// and those that are another thing in each response.
var own = []string{
	"accept-ranges", "allow", "connection", "content-encoding", "content-length", "content-range", "date", "etag", "keep-alive",
	"last-modified", "location", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
}

func (c *checker) headers(field string, headers map[string]string) {
	seen := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		lower := strings.ToLower(name)
		switch at := join(field, name); {
		case !isToken(name):
			c.add(at, "%q cannot be the name of a header", name)
		case slices.Contains(own, lower):
			c.add(at, "it is for the server to say, of each response by itself")
		case lower == "content-type":
			c.add(at, "write it as [sites.types], by extension: it is not that of all responses")
		case lower == "strict-transport-security":
			c.add(at, "write it as [sites.hsts]: it is not for cleartext")
		case seen[lower]:
			c.add(at, "it is there twice")
		case !isFieldValue(headers[name]):
			c.add(at, "%q cannot be the value of a header", headers[name])
		}
		seen[lower] = true
	}
}

func isToken(s string) bool {
	return s != "" && strings.Trim(s, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// isFieldValue reports whether s may be sent in a header.
func isFieldValue(s string) bool {
	return s == strings.TrimSpace(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

func (c *checker) redirects(field string, rules []RedirectRule) {
	var table redirect.Table
	for i, r := range rules {
		at := fmt.Sprintf("%s.redirects[%d]", field, i)
		switch err := table.Add(r.From, r.To, int(r.Status)).(type) { //nolint:errorlint // it is one of these
		case redirect.FromError:
			c.add(at+".from", "%v", err)
		case redirect.ToError:
			c.add(at+".to", "%v", err)
		}
	}
}

// preloadAge is how long those who preload want it to be (hstspreload.org).
const preloadAge = Age(365 * 24 * time.Hour)

func (c *checker) hsts(field string, h *HSTS) {
	switch {
	case h.MaxAge == 0 && (h.IncludeSubdomains || h.Preload):
		c.add(field, "it needs a max_age")
	case h.Preload && !h.IncludeSubdomains:
		c.add(field+".preload", "it needs include_subdomains")
	case h.Preload && h.MaxAge < preloadAge:
		c.add(field+".preload", "it needs a max_age of 365d or more")
	}
}

// limits finds numbers that are too large for where they go, and limits that contradict
// each other, or what the others are by default.
func (c *checker) limits() {
	before := len(c.problems)
	_, err := c.cfg.Limits.loopConfig()
	for _, e := range err {
		c.add(e.field, "%s", e.text)
	}
	if r := c.cfg.Limits.AcceptRate; r.Burst > 0 && r.PerSecond == 0 {
		c.add("limits.accept_rate.burst", "it needs a per_second: how many there may be in the long run")
	}
	all := c.cfg.Loop()
	all.Listeners = []loop.Listener{{}}
	if _, err := all.WithDefaults(); err != nil && len(c.problems) == before {
		c.add("limits", "%s", strings.TrimPrefix(err.Error(), "loop: "))
	}
	http2 := all.HTTP2.WithDefaults()
	h := &c.cfg.Limits.HTTP2
	if h.ConnWindow > 0 && h.ConnWindow < 65535 {
		c.add("limits.http2.conn_window", "it must be 65535 or more (RFC 9113, Section 6.9.2)")
	}
	if window := http2.StreamWindow; h.MaxStreamWindow > 0 && int64(h.MaxStreamWindow) < int64(window) {
		c.add("limits.http2.max_stream_window", "it must not be less than stream_window, which is %d", window)
	}
	if h.EncoderTableSize > 4096 {
		c.add("limits.http2.encoder_table_size", "it must not be more than 4096")
	}
	if u, stall := time.Duration(c.cfg.Limits.UserTimeout), http2.StallTimeout; u > 0 && stall > 0 && u <= stall {
		c.add("limits.user_timeout", "it must be longer than limits.http2.stall_timeout, which is %v: until then a download may pause", stall)
	}
}
