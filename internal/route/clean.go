package route

import (
	"net/url"
	"path"
	"strings"
)

// cleanPath returns p without empty, . and .. segments. Escapes are left alone:
// %2e is no dot and %2f no slash.
func cleanPath(p string) string {
	if p == "" {
		return "/"
	}
	if p[0] != '/' {
		p = "/" + p
	}
	c := path.Clean(p)
	if p[len(p)-1] != '/' || c == "/" {
		return c
	}
	if len(p) == len(c)+1 { // p, which had only the slash to lose
		return p
	}
	return c + "/"
}

// A pathTraits says what a path is made of.
type pathTraits uint8

const (
	hasSlash   pathTraits = 1 << iota
	hasDots               // a slash or a dot: only their sequence matters
	maybeDirty            // a slash or a dot after a slash
	hasPercent
	hasOdd     // an octet that belongs escaped
	hasControl // an octet that no URL may have
)

// traitsOf maps each octet to its traits.
var traitsOf = func() (t [256]pathTraits) {
	for c := range t {
		switch {
		case c < ' ' || c == 0x7f:
			t[c] = hasControl
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c < 0x80 && strings.IndexByte("-_~!$&'()*+,;=:@[]", byte(c)) >= 0:
		case c == '/':
			t[c] = hasSlash | hasDots
		case c == '.':
			t[c] = hasDots
		case c == '%':
			t[c] = hasPercent
		default:
			t[c] = hasOdd
		}
	}
	return t
}()

// scan returns the traits of p.
func scan(p string) pathTraits {
	var all, afterSlash pathTraits
	for i := range len(p) {
		t := traitsOf[p[i]]
		all |= t | t<<1&afterSlash
		afterSlash = t << 2 & maybeDirty
	}
	return all
}

// escapedPath returns p as [net/url.URL.EscapedPath] would, had p been parsed.
// It reports false if p would not have been. All but an odd path is returned
// as it is.
func escapedPath(p string) (string, pathTraits, bool) {
	if p[0] != '/' {
		return "", 0, false
	}
	traits := scan(p)
	if traits&(hasPercent|hasOdd|hasControl) == 0 {
		return p, traits, true
	}
	if traits&hasControl != 0 || traits&hasPercent != 0 && !validEscapes(p) {
		return "", 0, false
	}
	if traits&hasOdd != 0 {
		p = (&url.URL{Path: unescape(p)}).EscapedPath()
		traits = scan(p)
	}
	return p, traits, true
}

// validEscapes reports whether two hexadecimal digits follow each % of p.
func validEscapes(p string) bool {
	for {
		i := strings.IndexByte(p, '%')
		if i < 0 {
			return true
		}
		p = p[i+1:]
		if len(p) < 2 || !isHex(p[0]) || !isHex(p[1]) {
			return false
		}
	}
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

// validQuery reports whether a request with query q parses.
func validQuery(q string) bool {
	for i := range len(q) {
		if traitsOf[q[i]]&hasControl != 0 {
			return false
		}
	}
	return true
}

// Location returns the Location that leads to a path or a URL with a query. Octets beyond
// ASCII, which a field value has none of, are escaped; all else is left as it is.
func Location(to, query string) string {
	if query != "" {
		to += "?" + query
	}
	var b strings.Builder
	b.Grow(len(to))
	for i := range len(to) {
		if c := to[i]; c < 0x80 {
			b.WriteByte(c)
		} else {
			const hex = "0123456789abcdef" // as net/http has it
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}

// withoutPort returns host without a port behind it, if all of it is as
// [net.SplitHostPort] wants it; then an address also loses its brackets.
func withoutPort(host string) string {
	colon := strings.LastIndexByte(host, ':')
	if colon < 0 {
		return host
	}
	name := host[:colon]
	if host[0] == '[' {
		if name[len(name)-1] != ']' {
			return host
		}
		name = name[1 : len(name)-1]
	} else if strings.IndexByte(name, ':') >= 0 {
		return host
	}
	if strings.ContainsAny(name, "[]") || strings.ContainsAny(host[colon:], "[]") {
		return host
	}
	return name
}
