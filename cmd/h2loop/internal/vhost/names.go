package vhost

import "strings"

// of returns the site for an authority, or nil.
func (set *set) of(authority string) *site {
	if set.isOne {
		return set.other
	}
	return set.find(canonical(authority))
}

// find returns the site for a name as canonical returns it, or nil. An exact name goes
// before one with a star, and of those the longest.
func (set *set) find(name string) *site {
	if s := set.exact[name]; s != nil {
		return s
	}
	if len(set.below) > 0 {
		for rest := name; ; {
			i := strings.IndexByte(rest, '.')
			if i < 0 {
				break
			}
			rest = rest[i+1:]
			if s := set.below[rest]; s != nil {
				return s
			}
		}
	}
	return set.other
}

func cutStar(host string) (name string, ok bool) { return strings.CutPrefix(host, "*.") }

// canonical returns the name in an authority: without a port, the brackets of an IPv6
// address and the dot at the end, and in lower case (RFC 9110, Section 4.2.3; RFC 3986,
// Section 3.2.2).
func canonical(authority string) string {
	name := authority
	if strings.HasPrefix(name, "[") {
		if end := strings.IndexByte(name, ']'); end > 0 {
			name = name[1:end]
		}
	} else if i := strings.IndexByte(name, ':'); i >= 0 && strings.IndexByte(name[i+1:], ':') < 0 {
		name = name[:i]
	}
	return strings.ToLower(strings.TrimSuffix(name, "."))
}
