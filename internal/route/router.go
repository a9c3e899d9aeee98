package route

import (
	"slices"
	"strings"
)

// A router finds patterns. It is what a Table has apart from its values.
type router struct {
	patterns []*pattern // in order of registration
	anyHost  hostRoutes
	hosts    map[string]*hostRoutes
	maxNames int // of one pattern
}

// hostRoutes holds the patterns of one host.
type hostRoutes struct {
	anyMethod *methodRoutes
	methods   []*methodRoutes
}

// methodRoutes holds the patterns of one host and method.
type methodRoutes struct {
	method string
	root   node
	// plain finds the patterns without wildcards by the whole path, where
	// only one spelling of the path matches: nothing is more specific.
	plain map[string]*pattern
}

// host returns the routes of a host, or nil.
func (r *router) host(host string) *hostRoutes {
	if host == "" {
		return &r.anyHost
	}
	return r.hosts[host]
}

// method returns the routes of a method, or nil.
func (h *hostRoutes) method(method string) *methodRoutes {
	if method == "" {
		return h.anyMethod
	}
	for _, m := range h.methods {
		if m.method == method {
			return m
		}
	}
	return nil
}

// add puts p, which conflicts with nothing there, in its place.
func (r *router) add(p *pattern) {
	h := r.host(p.host)
	if h == nil {
		if r.hosts == nil {
			r.hosts = make(map[string]*hostRoutes)
		}
		h = new(hostRoutes)
		r.hosts[p.host] = h
	}
	m := h.method(p.method)
	switch {
	case m != nil:
	case p.method == "":
		m = new(methodRoutes)
		h.anyMethod = m
	default:
		m = &methodRoutes{method: p.method}
		h.methods = append(h.methods, m)
	}
	p.index = len(r.patterns)
	r.patterns = append(r.patterns, p)
	r.maxNames = max(r.maxNames, len(p.names))
	m.root.add(p)
	if path, ok := p.plainPath(); ok {
		if m.plain == nil {
			m.plain = make(map[string]*pattern)
		}
		m.plain[path] = p
	}
}

// plainPath returns the path that p matches if there is but one, and if it is
// clean and needs no escapes, so that a request that matches must spell it so.
func (p *pattern) plainPath() (string, bool) {
	var b strings.Builder
	for i, s := range p.segs {
		b.WriteByte('/')
		switch {
		case s.kind != literal:
			return "", false
		case s.text == endOfPath && i == len(p.segs)-1:
		case strings.IndexByte(s.text, '/') >= 0:
			return "", false
		default:
			b.WriteString(s.text)
		}
	}
	path := b.String()
	return path, scan(path)&(hasPercent|hasOdd|hasControl) == 0 && cleanPath(path) == path
}

// conflict returns the first pattern registered with which p conflicts, or nil.
func (r *router) conflict(p *pattern) *pattern {
	var first *pattern
	check := func(q *pattern) {
		if (first == nil || q.index < first.index) && p.conflicts(q) {
			first = q
		}
	}
	h := r.host(p.host)
	if h == nil {
		return nil
	}
	if h.anyMethod != nil {
		h.anyMethod.root.visitOverlaps(p.segs, check)
	}
	for _, m := range h.methods {
		if compareMethods(p.method, m.method) != disjoint {
			m.root.visitOverlaps(p.segs, check)
		}
	}
	return first
}

// findPlain returns the pattern that is spelled like path, if its method is
// the first to be asked. Then find would return it too, and more slowly.
func (r *router) findPlain(host, method, path string) *pattern {
	h := &r.anyHost
	if r.hosts != nil {
		if named := r.hosts[withoutPort(host)]; named != nil {
			h = named
		}
	}
	m := h.method(method)
	if m == nil && method == methodHead {
		m = h.method(methodGet)
	}
	if m == nil {
		m = h.anyMethod
	}
	if m == nil {
		return nil
	}
	return m.plain[path]
}

// find returns the most specific pattern that matches. A host, and then a
// method, that a pattern names wins over one that it leaves open.
func (r *router) find(host, method, path string, s *search) *pattern {
	if host != "" {
		if h := r.hosts[host]; h != nil {
			if p := h.find(method, path, s); p != nil {
				return p
			}
		}
	}
	return r.anyHost.find(method, path, s)
}

func (h *hostRoutes) find(method, path string, s *search) *pattern {
	mark := len(s.values)
	if m := h.method(method); m != nil {
		if p := m.root.walk(path, s); p != nil {
			return p
		}
		s.values = s.values[:mark]
	}
	if method == methodHead {
		if m := h.method(methodGet); m != nil {
			if p := m.root.walk(path, s); p != nil {
				return p
			}
			s.values = s.values[:mark]
		}
	}
	if h.anyMethod != nil {
		if p := h.anyMethod.root.walk(path, s); p != nil {
			return p
		}
		s.values = s.values[:mark]
	}
	return nil
}

// findSlash returns the pattern that the path with a slash behind it leads to,
// if that is a better place for the request than p, which matches the path as
// it is and may be nil.
func (r *router) findSlash(host, method, path string, p *pattern, s *search) *pattern {
	if p != nil && !p.endsInRest() || path == "" || path[len(path)-1] == '/' {
		return nil
	}
	mark := len(s.values) // behind the values of p
	s.slash = true
	q := r.find(host, method, path, s)
	s.slash, s.values = false, s.values[:mark]
	if q == nil || q.endsInRest() && len(q.segs) != strings.Count(path, "/")+1 {
		return nil // q takes this slash for a part of what it takes anyway
	}
	return q
}

// allow returns the methods under which the path, or the path with a slash
// behind it, is known: sorted, joined with commas.
func (r *router) allow(host, path string, s *search) string {
	var methods []string
	if h := r.hosts[host]; h != nil {
		methods = h.appendAllowed(methods, path, s)
	}
	methods = r.anyHost.appendAllowed(methods, path, s)
	slices.Sort(methods)
	return strings.Join(slices.Compact(methods), ", ")
}

func (h *hostRoutes) appendAllowed(methods []string, path string, s *search) []string {
	for _, m := range h.methods {
		if !m.knows(path, s) {
			continue
		}
		methods = append(methods, m.method)
		if m.method == methodGet {
			methods = append(methods, methodHead)
		}
	}
	return methods
}

func (m *methodRoutes) knows(path string, s *search) bool {
	s.values = s.values[:0]
	p := m.root.walk(path, s)
	if p == nil && !strings.HasSuffix(path, "/") {
		s.slash = true
		p = m.root.walk(path, s)
		s.slash = false
	}
	return p != nil
}
