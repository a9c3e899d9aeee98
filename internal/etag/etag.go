// Package etag compares entity tags.
package etag

import "strings"

// The comparisons of RFC 9110, Section 8.8.3.2.

// Strongly reports whether a and b are the same, and not weak.
func Strongly(a, b string) bool { return a == b && strings.HasPrefix(a, `"`) }

// Weakly reports whether a and b are the same but for being weak.
func Weakly(a, b string) bool {
	return strings.TrimPrefix(a, "W/") == strings.TrimPrefix(b, "W/")
}

// MatchesAny reports whether a list of entity tags, or "*", has one that is
// equal to tag. What follows a malformed one does not count.
func MatchesAny(list, tag string, equal func(a, b string) bool) bool {
	for {
		list = strings.TrimLeft(list, " \t,")
		if list == "" {
			return false
		}
		if list[0] == '*' {
			return true
		}
		opaque := strings.TrimPrefix(list, "W/")
		if opaque == "" || opaque[0] != '"' {
			return false
		}
		i := strings.IndexByte(opaque[1:], '"')
		if i < 0 {
			return false
		}
		n := len(list) - len(opaque) + i + 2
		if equal(list[:n], tag) {
			return true
		}
		list = list[n:]
	}
}
