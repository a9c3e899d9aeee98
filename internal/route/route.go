package route

import (
	"fmt"
	"iter"
	"slices"
)

// The methods that are not like the others.
const (
	methodConnect = "CONNECT"
	methodGet     = "GET"
	methodHead    = "HEAD"
	methodOptions = "OPTIONS"
)

// temporaryRedirect is what ServeMux answers since Go 1.26: unlike 301, it has
// clients repeat the method (RFC 9110, Section 15.4.8).
const temporaryRedirect = 307

// A Table maps patterns to values of type T. Add everything first; Match may
// then be called from many goroutines. The zero Table is empty.
type Table[T any] struct {
	router router
	values []T // by pattern.index
}

// Add registers v under pattern. It returns an error, and leaves t alone, if
// pattern is malformed or conflicts with one that is registered.
func (t *Table[T]) Add(pattern string, v T) error {
	p, err := parsePattern(pattern)
	if err != nil {
		return fmt.Errorf("route: pattern %q: %w", pattern, err)
	}
	if q := t.router.conflict(p); q != nil {
		return fmt.Errorf("route: pattern %q conflicts with %q: %s", pattern, q.text, conflictReason(p, q))
	}
	t.router.add(p)
	t.values = append(t.values, v)
	return nil
}

// Values lends the values, in order of registration. They may be changed until the
// first Match.
func (t *Table[T]) Values() []T { return t.values }

// Patterns returns the patterns in order of registration.
func (t *Table[T]) Patterns() []string {
	texts := make([]string, len(t.router.patterns))
	for i, p := range t.router.patterns {
		texts[i] = p.text
	}
	return texts
}

// A Match is the outcome of one look-up, and the memory for the next: path
// values cost an allocation only the first time that a table needs it. The zero
// Match is ready. It keeps its strings until the next look-up or Reset.
//
// One of Found, Redirect, Allow, BadPath and ServerOptions is set; if none is,
// the path is not known.
type Match[T any] struct {
	Value   T
	Found   bool
	Pattern string // that was found, or that Redirect leads to

	Redirect       string // where to go instead: a Location
	RedirectStatus int    // the status to say so, if Redirect is set

	Allow string // the methods the path is known under: 405, with this Allow

	BadPath       bool // no URL: 400
	ServerOptions bool // OPTIONS *, which net/http answers with an empty 200

	pattern *pattern
	search  search // search.values are those of pattern.names
}

// PathValue returns the value of the wildcard with that name in the pattern
// found, or "".
func (m *Match[T]) PathValue(name string) string {
	if m.Found {
		if i := slices.Index(m.pattern.names, name); i >= 0 {
			return m.search.values[i]
		}
	}
	return ""
}

// PathValues returns the names and values of the wildcards in the pattern
// found, in order.
func (m *Match[T]) PathValues() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		if !m.Found {
			return
		}
		for i, n := range m.pattern.names {
			if !yield(n, m.search.values[i]) {
				return
			}
		}
	}
}

// Reset empties m, so that it keeps nothing of the request alive.
func (m *Match[T]) Reset() {
	values := m.search.values
	clear(values[:cap(values)])
	*m = Match[T]{search: search{values: values[:0]}}
}

// Clone returns a copy of m that shares no memory with it.
func (m *Match[T]) Clone() Match[T] {
	c := *m
	c.search = search{values: slices.Clone(m.search.values)}
	return c
}

// Match looks up a request and puts the outcome in m.
//
// host is that of :authority or Host, path and rawQuery the two sides of the
// first ? of the target, as they came. The path is "*" for a request about the
// server, and "" for a CONNECT that has none or an absolute URL without one.
func (t *Table[T]) Match(m *Match[T], method, host, path, rawQuery string) {
	*m = Match[T]{search: search{values: m.search.values[:0]}}
	if !validQuery(rawQuery) {
		m.BadPath = true
		return
	}
	if method != methodConnect {
		if p := t.router.findPlain(host, method, path); p != nil {
			t.found(m, p)
			return
		}
	}
	t.match(m, method, host, path, rawQuery)
}

// match is Match without its short cut.
func (t *Table[T]) match(m *Match[T], method, host, path, rawQuery string) {
	if path == "*" {
		m.ServerOptions = method == methodOptions && rawQuery == ""
		m.BadPath = !m.ServerOptions
		return
	}
	escaped, traits := path, maybeDirty
	if path != "" {
		var ok bool
		if escaped, traits, ok = escapedPath(path); !ok {
			m.BadPath = true
			return
		}
	}
	s := &m.search
	s.escaped = traits&hasPercent != 0
	if need := 2 * t.router.maxNames; cap(s.values) < need { // for findSlash looks a second time
		s.values = make([]string, 0, need)
	}
	if method == methodConnect {
		t.matchConnect(m, host, escaped, rawQuery)
		return
	}

	clean := escaped
	if traits&maybeDirty != 0 {
		clean = cleanPath(escaped)
	}
	if t.router.hosts != nil {
		host = withoutPort(host)
	}
	p := t.router.find(host, method, clean, s)
	if q := t.router.findSlash(host, method, clean, p, s); q != nil {
		m.redirect(q, clean+"/", rawQuery)
		return
	}
	if clean != escaped {
		m.redirect(p, clean, rawQuery)
		return
	}
	if p != nil {
		t.found(m, p)
		return
	}
	m.Allow = t.router.allow(host, clean, s)
}

// matchConnect is match for CONNECT, whose path is not cleaned and whose host
// keeps its port. A request with a path is asked for its missing slash as if
// it had no host, for ServeMux looks at the host of its URL.
func (t *Table[T]) matchConnect(m *Match[T], host, path, rawQuery string) {
	s := &m.search
	urlHost := ""
	if path == "" {
		urlHost = host
	} else {
		p := t.router.find(urlHost, methodConnect, path, s)
		if q := t.router.findSlash(urlHost, methodConnect, path, p, s); q != nil {
			to := cleanPath(path)
			if to != "/" {
				to += "/"
			}
			m.redirect(q, to, rawQuery)
			return
		}
		s.values = s.values[:0]
		p = t.router.find(host, methodConnect, path, s)
		if p != nil {
			t.found(m, p)
			return
		}
	}
	m.Allow = t.router.allow(urlHost, path, s)
}

func (t *Table[T]) found(m *Match[T], p *pattern) {
	m.Found, m.Value, m.Pattern, m.pattern = true, t.values[p.index], p.text, p
}

func (m *Match[T]) redirect(p *pattern, path, rawQuery string) {
	m.Redirect, m.RedirectStatus = Location(path, rawQuery), temporaryRedirect
	if p != nil {
		m.Pattern = p.text
	}
}
