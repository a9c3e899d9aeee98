package route

import (
	"fmt"
	"net/url"
	"strings"
)

// A relation says how the requests that two patterns match relate. Bits tell
// which of them matches requests that the other does not.
type relation uint8

const (
	equal     relation = 0
	leftMore  relation = 1
	rightMore relation = 2
	overlap   relation = leftMore | rightMore
	disjoint  relation = 4
)

// and combines what is known of two parts of the patterns.
func (r relation) and(o relation) relation {
	if (r|o)&disjoint != 0 {
		return disjoint
	}
	return r | o
}

// conflicts reports whether p and q match a common request and neither is more
// specific. A pattern with a host always wins over one without.
func (p *pattern) conflicts(q *pattern) bool {
	if p.host != q.host {
		return false
	}
	r := compareMethods(p.method, q.method).and(comparePaths(p.segs, q.segs))
	return r == equal || r == overlap
}

func compareMethods(p, q string) relation {
	switch {
	case p == q:
		return equal
	case p == "", p == methodGet && q == methodHead:
		return leftMore
	case q == "", q == methodGet && p == methodHead:
		return rightMore
	default:
		return disjoint
	}
}

func comparePaths(p, q []segment) relation {
	r := equal
	for i := range min(len(p), len(q)) {
		if r = r.and(compareSegments(p[i], q[i])); r == disjoint {
			return disjoint
		}
	}
	// The longer path is matched by the shorter only if that ends in a rest,
	// which has been compared with a segment of the longer: r knows the rest.
	switch {
	case len(p) < len(q) && p[len(p)-1].kind != rest:
		return disjoint
	case len(q) < len(p) && q[len(q)-1].kind != rest:
		return disjoint
	default:
		return r
	}
}

func compareSegments(p, q segment) relation {
	switch {
	case p.kind == literal && q.kind == literal:
		if p.text != q.text {
			return disjoint
		}
		return equal
	case p.kind == q.kind:
		return equal
	case p.kind == wild && q == segment{literal, endOfPath}, q.kind == wild && p == segment{literal, endOfPath}:
		return disjoint
	case p.kind > q.kind:
		return leftMore
	default:
		return rightMore
	}
}

// conflictReason says why p and q, which conflict, do.
func conflictReason(p, q *pattern) string {
	methods, paths := compareMethods(p.method, q.method), comparePaths(p.segs, q.segs)
	switch {
	case paths == overlap:
		return fmt.Sprintf("both match paths like %q, and neither is more specific: only %q matches %q, only %q matches %q",
			commonPath(p.segs, q.segs), p.text, pathOnlyOf(p.segs, q.segs), q.text, pathOnlyOf(q.segs, p.segs))
	case methods == leftMore && paths == rightMore:
		return fmt.Sprintf("%q matches more methods, but fewer paths", p.text)
	case methods == rightMore && paths == leftMore:
		return fmt.Sprintf("%q matches fewer methods, but more paths", p.text)
	default:
		return "both match the same requests"
	}
}

// commonPath returns a path that both p and q match. There must be one.
func commonPath(p, q []segment) string {
	var b strings.Builder
	for i := range max(len(p), len(q)) {
		switch {
		case i >= len(p):
			writeExample(&b, q[i], i == len(q)-1)
		case i >= len(q), p[i].kind <= q[i].kind:
			writeExample(&b, p[i], i == len(p)-1)
		default:
			writeExample(&b, q[i], i == len(q)-1)
		}
	}
	return b.String()
}

// pathOnlyOf returns a path that p matches and q does not. They must overlap.
func pathOnlyOf(p, q []segment) string {
	var b strings.Builder
	for i, s := range p {
		switch {
		case i >= len(q):
			writeExample(&b, s, i == len(p)-1)
		case s.kind == rest && q[i] == segment{literal, endOfPath}:
			b.WriteString("/x")
		case s.kind == wild && q[i].kind == literal && q[i].text == s.text:
			writeExample(&b, segment{wild, s.text + "x"}, false)
		default:
			writeExample(&b, s, i == len(p)-1)
		}
	}
	return b.String()
}

// writeExample writes a segment that s matches.
func writeExample(b *strings.Builder, s segment, last bool) {
	b.WriteByte('/')
	if s.kind == rest || last && s == (segment{literal, endOfPath}) {
		return
	}
	b.WriteString(url.PathEscape(s.text))
}
