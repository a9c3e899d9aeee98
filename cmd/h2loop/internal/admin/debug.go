package admin

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/h2loop/h2loop/loop"
)

//go:embed connections.html
var connectionsHTML string

var connectionsPage = template.Must(template.New("connections").Funcs(template.FuncMap{
	"octets": octets, "ago": ago, "addr": addrText,
}).Parse(connectionsHTML))

const (
	defaultPage = 100
	maxPage     = 1000

	// refreshMost bounds how rarely the page reloads itself, in seconds.
	refreshMost = 3600
)

func (s *Server) addDebug(mux *http.ServeMux) {
	mux.HandleFunc("GET /debug/connections", s.connections)
	mux.HandleFunc("POST /debug/trace", s.trace)
	mux.HandleFunc("GET /debug/trace", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Allow", "POST")
		http.Error(w, "A trace is begun with POST: curl -N -d remote=192.0.2.0/24 .../debug/trace", http.StatusMethodNotAllowed)
	})
}

// A page is what the page about connections shows.
type page struct {
	Query   query
	Conns   []loop.ConnState
	Stuck   []int
	Stats   loop.Stats
	Next    uint64 // Below of the next page; 0 if this is the last
	Now     time.Time
	Path    string
	Loading bool // there is no server yet
}

// A query is what a request asks for.
type query struct {
	Remote, ID string
	Sort       string
	Limit      int
	Refresh    int // seconds; 0 for never
	Below      uint64
}

// parseQuery reads a query. Its error is for the client.
func parseQuery(r *http.Request) (q query, cq loop.ConnQuery, err error) {
	v := r.URL.Query()
	q = query{Remote: v.Get("remote"), ID: v.Get("id"), Sort: v.Get("sort"), Limit: defaultPage}
	if q.Remote != "" {
		if cq.Remote, err = parsePrefix(q.Remote); err != nil {
			return q, cq, err
		}
	}
	if q.ID != "" {
		if cq.ID, err = strconv.ParseUint(q.ID, 10, 64); err != nil {
			return q, cq, fmt.Errorf("id is %q: it must be the number of a connection", q.ID)
		}
	}
	if s := v.Get("below"); s != "" {
		if q.Below, err = strconv.ParseUint(s, 10, 64); err != nil {
			return q, cq, fmt.Errorf("below is %q: it must be the number of a connection", s)
		}
	}
	for name, to := range map[string]*int{"limit": &q.Limit, "refresh": &q.Refresh} {
		s := v.Get(name)
		if s == "" {
			continue
		}
		if *to, err = strconv.Atoi(s); err != nil || *to < 0 {
			return q, cq, fmt.Errorf("%s is %q: it must be a number", name, s)
		}
	}
	if _, ok := orders[q.Sort]; !ok {
		return q, cq, fmt.Errorf("sort is %q: it must be one of %s", q.Sort, orderNames)
	}
	q.Limit, q.Refresh = min(max(q.Limit, 1), maxPage), min(q.Refresh, refreshMost)
	cq.Limit, cq.Below, cq.Wait = q.Limit, q.Below, turnPatience
	return q, cq, nil
}

// parsePrefix reads an address, or a network in CIDR notation.
func parsePrefix(s string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p.Masked(), nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("remote is %q: it must be an IP address or a network, as 192.0.2.0/24", s)
	}
	a = a.Unmap()
	return netip.PrefixFrom(a, a.BitLen()), nil
}

// connections tells of connections and streams, in JSON or as a page.
func (s *Server) connections(w http.ResponseWriter, r *http.Request) {
	q, cq, err := parseQuery(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	p := page{Query: q, Now: time.Now(), Path: r.URL.Path, Loading: true}
	if srv := s.watched(); srv != nil && srv.Stats().Loops > 0 {
		p.Loading = false
		p.Conns, p.Stuck = srv.Connections(cq)
		p.Stats = srv.Stats()
		if len(p.Conns) == cq.Limit {
			p.Next = p.Conns[len(p.Conns)-1].ID
		}
		sortBy(p.Conns, q.Sort)
	}
	if r.URL.Query().Get("format") == "json" || strings.Contains(r.Header.Get("Accept"), "application/json") {
		w.Header().Set("Content-Type", "application/json")
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		_ = e.Encode(document(&p))
		return
	}
	var b bytes.Buffer
	if err := connectionsPage.Execute(&b, &p); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy",
		"default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	_, _ = w.Write(b.Bytes())
}

// octets returns n in units that are easy to read.
func octets(n any) string {
	var f float64
	switch n := n.(type) {
	case int:
		f = float64(n)
	case int64:
		f = float64(n)
	case uint64:
		f = float64(n)
	case uint32:
		f = float64(n)
	}
	for _, unit := range []string{"", " KiB", " MiB", " GiB"} {
		if f < 1024 && f > -1024 || unit == " GiB" {
			if unit == "" || f == float64(int64(f)) {
				return fmt.Sprintf("%.0f%s", f, unit)
			}
			return fmt.Sprintf("%.1f%s", f, unit)
		}
		f /= 1024
	}
	return ""
}

// ago returns d to three digits or so.
func ago(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	default:
		return d.Round(time.Second).String()
	}
}

func addrText(a netip.AddrPort) string {
	if !a.IsValid() {
		return "unix"
	}
	return a.String()
}

// trace streams the frames of some connections until the client leaves, or the trace ends
// by itself.
func (s *Server) trace(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	tq, err := parseTrace(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	srv := s.watched()
	if srv == nil {
		http.Error(w, "not listening yet", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	out := http.NewResponseController(w)
	begun, lines := false, 0
	tq.Begun = func() {
		begun = true
		s.opts.Logger.Warn().Uint64("connection", tq.ConnID).Stringer("remote", tq.Remote).Bool("secrets", tq.Secrets).Msg("a trace of frames has begun")
		fmt.Fprintf(w, "# time, connection, client, recv by the server or send; ends after %d lines or %v\n", tq.Frames, tq.For)
		_ = out.Flush()
	}
	dropped, err := srv.Trace(r.Context(), tq, func(l loop.TraceLine) error {
		lines++
		_ = out.SetWriteDeadline(time.Now().Add(10 * time.Second))
		if _, err := fmt.Fprintf(w, "%s %d %s %s %s\n",
			l.Time.Format("15:04:05.000000"), l.ConnID, addrText(l.Remote), direction(l.Sent), l.Text); err != nil {
			return err
		}
		return out.Flush()
	})
	if !begun {
		http.Error(w, strings.TrimPrefix(err.Error(), "loop: "), http.StatusConflict)
		return
	}
	_ = out.SetWriteDeadline(time.Time{})
	fmt.Fprintf(w, "# ended: %d lines, %d dropped\n", lines, dropped)
}

func direction(sent bool) string {
	if sent {
		return "send"
	}
	return "recv"
}

// parseTrace reads what is to be traced. Its error is for the client.
func parseTrace(r *http.Request) (q loop.TraceQuery, err error) {
	if err := r.ParseForm(); err != nil {
		return q, err
	}
	v := r.Form
	if s := v.Get("remote"); s != "" {
		if q.Remote, err = parsePrefix(s); err != nil {
			return q, err
		}
	}
	if s := v.Get("id"); s != "" {
		if q.ConnID, err = strconv.ParseUint(s, 10, 64); err != nil || q.ConnID == 0 {
			return q, fmt.Errorf("id is %q: it must be the number of a connection", s)
		}
	}
	if q.ConnID == 0 && !q.Remote.IsValid() {
		return q, fmt.Errorf("which connections? id=NUMBER or remote=ADDRESS, which may be a network")
	}
	if s := v.Get("frames"); s != "" {
		if q.Frames, err = strconv.Atoi(s); err != nil || q.Frames <= 0 {
			return q, fmt.Errorf("frames is %q: it must be a number", s)
		}
	}
	if s := v.Get("for"); s != "" {
		if q.For, err = time.ParseDuration(s); err != nil || q.For <= 0 {
			return q, fmt.Errorf("for is %q: it must be a time, as 30s", s)
		}
	}
	if s := v.Get("secrets"); s != "" {
		if q.Secrets, err = strconv.ParseBool(s); err != nil {
			return q, fmt.Errorf("secrets is %q: it must be true or false", s)
		}
	}
	return q.WithDefaults(), nil
}
