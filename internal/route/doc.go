// Package route finds the handler of a request without allocating.
//
// Its patterns are those of [net/http.ServeMux] since Go 1.22:
//
//	[METHOD ][HOST]/[PATH]
//
// with the wildcards {name}, {name...} and {$}, the same rules of precedence
// and conflict, HEAD served by GET, and the same answers to a path that is
// known under another method, lacks its trailing slash or is not clean. Paths
// are compared segment by segment, each unescaped on its own, so %2F never
// separates.
//
// It departs from ServeMux where ServeMux leads astray:
//
//   - A redirect keeps the escapes of the request. ServeMux escapes them again
//     when it cleans a path (//a%20b to /a%2520b) and drops them when it adds a
//     slash (/a%2Fb to /a/b/), and so names another resource.
//   - A pattern with an empty segment, /a//b, matches an empty segment, which
//     only CONNECT can bring. ServeMux takes it for a wildcard.
//   - A wildcard that matches an empty segment has the value "". ServeMux
//     forgets the value, and PathValue panics.
//   - The Pattern of a redirected CONNECT is a pattern, not the path.
//
// Hosts compare as bytes, as in ServeMux: whoever calls may lower their case.
package route
