// Package redirect sends requests for some paths elsewhere.
package redirect

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/h2loop/h2loop/internal/route"
)

// A Table has rules. Its zero value has none; it must not change once it is in use.
type Table struct {
	routes  route.Table[*target]
	n       int
	matches sync.Pool // of *route.Match[*target]
}

// A target is where a rule leads.
type target struct {
	pieces []piece
	status int  // 0 for what the method calls for
	query  bool // has one of its own
}

// A piece is text, or what a wildcard has matched.
type piece struct {
	text     string
	wildcard string
	rest     int // slashes before {wildcard...}, which matches the rest of the path; 0 for a segment
	inQuery  bool
}

var wildcards = regexp.MustCompile(`\{([^{}]*)\}`)

// Errors of [Table.Add], which are about one of its arguments.
type (
	FromError struct{ error }
	ToError   struct{ error }
)

// Add has requests for paths that match from, a pattern of http.ServeMux without
// method and host, be sent to a path or a URL, in which {name} stands for what the
// wildcard of that name has matched, escaped; it matches no . and .. segments, which would
// lead out of where to says. The query goes with it, before a fragment, unless to has one.
// Without a status it is 301 for GET and HEAD, and 308 for other methods.
func (t *Table) Add(from, to string, status int) error {
	if !strings.HasPrefix(from, "/") {
		return FromError{fmt.Errorf("%q does not begin with a slash", from)}
	}
	if i := strings.IndexAny(from, "?#"); i >= 0 {
		return FromError{fmt.Errorf("%q has a %q, and no path has: a rule holds for all queries of a path", from, from[i])}
	}
	var names []string
	rest, slashes := "", 0
	for _, m := range wildcards.FindAllStringSubmatchIndex(from, -1) {
		name, isRest := strings.CutSuffix(from[m[2]:m[3]], "...")
		if names = append(names, name); isRest {
			rest, slashes = name, strings.Count(from[:m[0]], "/")
		}
	}
	dest, err := parseTarget(to, names)
	if err != nil {
		return ToError{err}
	}
	dest.status = status
	dest.setRest(rest, slashes)
	if err := t.routes.Add(from, dest); err != nil {
		return FromError{err}
	}
	t.n++
	return nil
}

func parseTarget(to string, names []string) (*target, error) {
	u, err := url.Parse(wildcards.ReplaceAllString(to, "x"))
	switch {
	case err != nil, strings.ContainsFunc(to, func(r rune) bool { return r <= ' ' || r > '~' }):
		return nil, fmt.Errorf("%q is no path and no URL", to)
	case strings.HasPrefix(to, "//"), strings.HasPrefix(to, `/\`):
		return nil, fmt.Errorf("%q: a URL begins with https:// or http://, and a path with one slash", to)
	case u.Scheme == "https" || u.Scheme == "http":
		host := to[strings.Index(to, "//")+2:]
		if i := strings.IndexAny(host, "/?#"); i >= 0 {
			host = host[:i]
		}
		if host == "" || strings.ContainsAny(host, "{}") {
			return nil, fmt.Errorf("%q: the host must be there, and not come from the request", to)
		}
	case !strings.HasPrefix(to, "/"):
		return nil, fmt.Errorf("%q: it must begin with a slash, or with https:// or http://", to)
	}
	beforeFragment, _, _ := strings.Cut(to, "#")
	query := strings.IndexByte(beforeFragment, '?')
	t := &target{query: query >= 0}
	at := 0
	for _, m := range wildcards.FindAllStringSubmatchIndex(to, -1) {
		name := strings.TrimSuffix(to[m[2]:m[3]], "...")
		if !slices.Contains(names, name) || name == "$" {
			return nil, fmt.Errorf("%q: the pattern has no wildcard {%s}", to, name)
		}
		t.pieces = append(t.pieces, piece{text: to[at:m[0]]}, piece{wildcard: name, inQuery: t.query && query < m[0] && m[0] < len(beforeFragment)})
		at = m[1]
	}
	rest := to[at:]
	if strings.ContainsAny(wildcards.ReplaceAllString(to, ""), "{}") {
		return nil, errors.New("it has a brace that is no part of a {name}")
	}
	t.pieces = append(t.pieces, piece{text: rest})
	return t, nil
}

// setRest says which wildcard matches the rest of the path, behind how many slashes.
func (t *target) setRest(wildcard string, slashes int) {
	for i := range t.pieces {
		if p := &t.pieces[i]; wildcard != "" && p.wildcard == wildcard {
			p.rest = slashes
		}
	}
}

// Find returns where a request is to be sent: as http.ServeMux does, it sends one whose
// path is not clean, or lacks the slash behind it, to the path that a rule is for. It may be
// called from any goroutine.
func (t *Table) Find(method, path, rawQuery string) (location string, status int, ok bool) {
	if t.n == 0 || path == "" { // CONNECT has none
		return "", 0, false
	}
	m, _ := t.matches.Get().(*route.Match[*target])
	if m == nil {
		m = new(route.Match[*target])
	}
	defer func() {
		m.Reset()
		t.matches.Put(m)
	}()
	t.routes.Match(m, "GET", "", path, rawQuery)
	if m.Redirect != "" && m.Pattern != "" {
		return m.Redirect, m.RedirectStatus, true
	}
	if !m.Found {
		return "", 0, false
	}
	var b strings.Builder
	for _, p := range m.Value.pieces {
		text, ok := p.text, true
		if p.wildcard != "" {
			text, ok = p.expand(m, path)
		}
		if !ok {
			return "", 0, false
		}
		b.WriteString(text)
	}
	location = b.String()
	if strings.HasPrefix(location, "//") { // a wildcard has matched nothing; this would name a host
		location = "/" + strings.TrimLeft(location, "/")
	}
	if rawQuery != "" && !m.Value.query {
		before, fragment, ok := strings.Cut(location, "#")
		if location = route.Location(before, rawQuery); ok {
			location += "#" + fragment
		}
	}
	if status = m.Value.status; status == 0 {
		if status = 308; method == "GET" || method == "HEAD" { // which everybody understands
			status = 301
		}
	}
	return location, status, true
}

// expand returns what the wildcard has matched in path, escaped for where it stands: a
// slash that was escaped stays so. It reports false for what would lead out of where to
// says, by . or .. segments.
func (p *piece) expand(m *route.Match[*target], path string) (text string, ok bool) {
	value := m.PathValue(p.wildcard)
	if p.inQuery {
		return strings.ReplaceAll(url.QueryEscape(value), "+", "%20"), true
	}
	if p.rest == 0 {
		return url.PathEscape(value), value != "." && value != ".."
	}
	if slices.ContainsFunc(strings.Split(value, "/"), func(s string) bool { return s == "." || s == ".." }) {
		return "", false
	}
	segments := strings.Split(path, "/")[p.rest:]
	for i, s := range segments {
		if s, err := url.PathUnescape(s); err == nil { // as it has matched
			segments[i] = url.PathEscape(s)
		}
	}
	return strings.Join(segments, "/"), true
}
