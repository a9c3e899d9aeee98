package route

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// A pair is a Table and a ServeMux with the same patterns.
type pair struct {
	table Table[string] // the value of a pattern is the pattern
	mux   *http.ServeMux
	match Match[string]

	served []string // path values that the mux gave, by the names asked
}

// add registers p in both, which must agree on whether they can. What has an
// empty segment is left out: the package comment says why.
func (d *pair) add(t *testing.T, p string) {
	t.Helper()
	if strings.Contains(p, "//") {
		return
	}
	if d.mux == nil {
		d.mux = http.NewServeMux()
	}
	parsed, _ := parsePattern(p)
	var why any
	func() {
		defer func() { why = recover() }()
		d.mux.HandleFunc(p, func(_ http.ResponseWriter, r *http.Request) {
			d.served = nil
			for _, name := range parsed.names {
				d.served = append(d.served, name, r.PathValue(name))
			}
		})
	}()
	err := d.table.Add(p, p)
	if (err == nil) != (why == nil) {
		t.Fatalf("adding %q to %q:\nTable    %v\nServeMux %v", p, d.table.Patterns(), err, why)
	}
}

// A request is what both are asked.
type request struct{ method, host, path, query string }

func (r request) String() string {
	return fmt.Sprintf("%s %q %q ?%q", r.method, r.host, r.path, r.query)
}

// ask asks both and compares all that can be seen of the answers.
func (d *pair) ask(t *testing.T, r request) {
	t.Helper()
	d.table.Match(&d.match, r.method, r.host, r.path, r.query)
	m := &d.match
	fail := func(format string, args ...any) {
		t.Helper()
		t.Fatalf("%s\npatterns %q\nTable %+v\n"+format, append([]any{r, d.table.Patterns(), *m}, args...)...)
	}

	hr := &http.Request{Method: r.method, Host: r.host, ProtoMajor: 2, Header: http.Header{}}
	if r.path == "" && r.method == "CONNECT" {
		hr.URL, hr.RequestURI = &url.URL{Host: r.host}, r.host
	} else {
		hr.RequestURI = r.path
		if r.path == "" {
			hr.RequestURI = "http://example.com"
		}
		if r.query != "" {
			hr.RequestURI += "?" + r.query
		}
		u, err := url.ParseRequestURI(hr.RequestURI)
		if err != nil {
			if !m.BadPath {
				fail("the URL does not parse: %v", err)
			}
			return
		}
		hr.URL = u
	}
	if r.method == "CONNECT" && strings.Contains(hr.URL.EscapedPath(), "//") {
		return // ServeMux forgets values, and PathValue panics
	}

	w := httptest.NewRecorder()
	d.served = nil
	d.mux.ServeHTTP(w, hr)
	switch {
	case r.path == "*":
		if m.ServerOptions != (r.method == "OPTIONS" && r.query == "") || m.BadPath == m.ServerOptions || w.Code != 400 {
			fail("status %d", w.Code)
		}
		return
	case m.BadPath || m.ServerOptions:
		fail("status %d", w.Code)
	}

	if got := m.status(); got != w.Code {
		fail("status %d, want %d", got, w.Code)
	}
	if want := w.Header().Get("Allow"); m.Allow != want {
		fail("Allow %q, want %q", m.Allow, want)
	}
	if want := w.Header().Get("Location"); servemuxLocation(m.Redirect, r, hr.URL) != want {
		fail("Location %q, want %q", m.Redirect, want)
	}
	_, pattern := d.mux.Handler(hr)
	if r.method != "CONNECT" || m.Redirect == "" {
		if m.Pattern != pattern {
			fail("pattern %q, want %q", m.Pattern, pattern)
		}
	}
	if m.Found && m.Value != pattern {
		fail("value %q of another pattern", m.Value)
	}
	var values []string
	for name, value := range m.PathValues() {
		if m.PathValue(name) != value {
			fail("PathValue(%q) = %q, but PathValues has %q", name, m.PathValue(name), value)
		}
		values = append(values, name, value)
	}
	if fmt.Sprint(values) != fmt.Sprint(d.served) {
		fail("path values %q, want %q", values, d.served)
	}
}

// status returns the status that a server answers m with.
func (m *Match[T]) status() int {
	switch {
	case m.Found:
		return 200
	case m.Redirect != "":
		return m.RedirectStatus
	case m.Allow != "":
		return 405
	default:
		return 404
	}
}

// servemuxLocation returns the Location that ServeMux gives where ours is loc:
// it escapes a cleaned path again, and forgets the escapes of one that gets a
// slash. It returns loc, with a mark, if loc itself is wrong.
func servemuxLocation(loc string, r request, u *url.URL) string {
	if loc == "" {
		return ""
	}
	p, query, hasQuery := strings.Cut(loc, "?")
	clean := cleanPath(u.EscapedPath())
	switch {
	case r.method != "CONNECT" && p == clean:
	case p == withSlash(clean):
		p = withSlash(cleanPath(u.Path))
	default:
		return "neither cleaned nor with a slash: " + loc
	}
	p = (&url.URL{Path: p}).EscapedPath()
	if hasQuery {
		p += "?" + query
	}
	return p
}

func withSlash(p string) string { return strings.TrimSuffix(p, "/") + "/" }

// comparable reports whether ServeMux has an answer to r to compare with.
func (r request) comparable() bool {
	switch {
	case r.path == "" && r.method == "CONNECT":
		return r.query == ""
	case r.path == "" || r.path == "*" || r.path[0] == '/':
	default:
		return false // not of the form that a Table is asked
	}
	return !strings.Contains(r.path, "?") &&
		!strings.Contains(r.path+r.query, "#") // a fragment: http.Redirect may fail to parse it
}

// A generator makes patterns and requests of few words, so that they often
// have to do with each other.
type generator struct{ *rand.Rand }

func (g generator) pick(words ...string) string { return words[g.IntN(len(words))] }

func (g generator) pattern() string {
	var b strings.Builder
	b.WriteString(g.pick("", "", "", "GET ", "GET ", "POST ", "HEAD ", "CONNECT ", "GET\t ", "get ", "G(T "))
	b.WriteString(g.pick("", "", "", "", "a.com", "b.com", "a.com:80", "::1", "[::1]"))
	names := g.Perm(4)
	for i := range g.IntN(4) {
		b.WriteString("/")
		b.WriteString(g.pick("a", "a", "b", "c", "%61", "%2F", "a%2fb", "é", "%C3%A9", "a b", "a+(b)",
			fmt.Sprintf("{w%d}", names[i]), fmt.Sprintf("{w%d}", names[i]), fmt.Sprintf("{w%d}", names[i]),
			fmt.Sprintf("{w%d}", i), "{a", "a}", "a{b}", "{}", "{$}", "..", ".", "{1}", "%zz"))
	}
	b.WriteString(g.pick("", "", "/", "/", "/{$}", "/{rest...}", "/{a}", "/{...}"))
	return b.String()
}

func (g generator) request() request {
	r := request{
		method: g.pick("GET", "GET", "HEAD", "POST", "CONNECT", "OPTIONS", "get"),
		host:   g.pick("a.com", "a.com:80", "a.com:", "b.com:1", "c.com", "", "[::1]", "[::1]:80", "::1", "a.com:80:80", "[a", "a.com]:80"),
		query:  g.pick("", "", "q=1", "a?b", "é", "%zz", "\x01"),
	}
	if g.IntN(50) == 0 {
		r.path = g.pick("*", "", "/%", "/%2", "/a%zz", "/\x7f")
		return r
	}
	var b strings.Builder
	for range g.IntN(4) {
		b.WriteString(g.pick("/", "/", "/", "/", "/", "/", "/", "/", "/", "//", "/./", "/../"))
		b.WriteString(g.pick("a", "a", "a", "b", "b", "c", "%61", "%2F", "%2f", "a%2Fb", "é", "%C3%A9", "a b", "a+(b)", "x", ".", "..", "%2e%2E", ".a", "a{"))
	}
	b.WriteString(g.pick("", "", "/"))
	r.path = b.String()
	if r.path == "" {
		r.path = "/"
	}
	return r
}

// TestServeMux compares many small tables with a ServeMux.
func TestServeMux(t *testing.T) {
	const tables, requests = 1000, 100
	g := generator{rand.New(rand.NewPCG(1, 2))}
	seen := make(map[int]int)
	patterns, asked := 0, 0
	for range tables {
		var d pair
		for range 1 + g.IntN(12) {
			d.add(t, g.pattern())
		}
		if d.mux == nil {
			continue
		}
		patterns += len(d.table.Patterns())
		for range requests {
			r := g.request()
			if !r.comparable() {
				continue
			}
			asked++
			d.ask(t, r)
			seen[d.match.status()]++
		}
	}
	t.Logf("%d patterns, %d requests, by status %v", patterns, asked, seen)
	for _, status := range []int{200, 307, 404, 405} {
		if seen[status] < asked/50 {
			t.Errorf("status %d came only %d times: the requests test little", status, seen[status])
		}
	}
}
