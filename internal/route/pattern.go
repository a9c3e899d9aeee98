package route

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"
)

// A pattern is a parsed pattern. It does not change once it is in a Table.
type pattern struct {
	text   string
	method string // "" for any
	host   string // "" for any
	segs   []segment
	names  []string // of the named wildcards, in order
	index  int      // among the patterns of its table
}

// A segment is what a pattern asks of one segment of a path.
type segment struct {
	kind segmentKind
	text string // of a literal, unescaped; or the name of a wildcard
}

type segmentKind uint8

const (
	literal segmentKind = iota
	wild                // one segment, but not the empty one after a last slash
	rest                // all that is left; a trailing slash is a rest without name
)

// endOfPath is the literal that stands for {$}. It is also the text of a
// segment %2F, which therefore matches {$} and no wildcard, as in ServeMux.
const endOfPath = "/"

// endsInRest reports whether p matches paths of any length.
func (p *pattern) endsInRest() bool { return p.segs[len(p.segs)-1].kind == rest }

// parsePattern parses [METHOD ][HOST]/[PATH].
func parsePattern(text string) (*pattern, error) {
	if text == "" {
		return nil, errors.New("it is empty")
	}
	p := &pattern{text: text}
	target := text
	if i := strings.IndexAny(text, " \t"); i >= 0 {
		p.method, target = text[:i], strings.TrimLeft(text[i:], " \t")
		if p.method != "" && !isToken(p.method) {
			return nil, fmt.Errorf("%q is not a method", p.method)
		}
	}
	slash := strings.IndexByte(target, '/')
	if slash < 0 {
		return nil, errors.New("it has no path: a path starts with /")
	}
	p.host = target[:slash]
	if strings.IndexByte(p.host, '{') >= 0 {
		return nil, fmt.Errorf("host %q has a {: a path starts with /", p.host)
	}
	path := target[slash:]
	if p.method != "" && p.method != methodConnect && path != cleanPath(path) {
		return nil, fmt.Errorf("%s never brings the path %q: it is redirected to %q", p.method, path, cleanPath(path))
	}
	return p, p.parsePath(path)
}

// parsePath fills in the segments. It counts offsets from the start of the
// whole pattern, where whoever reads the error will look.
func (p *pattern) parsePath(path string) error {
	base := len(p.text) - len(path)
	for off := 0; off < len(path); {
		off++ // the slash
		text, _, more := strings.Cut(path[off:], "/")
		seg, err := parseSegment(text, !more)
		if err == nil && seg.kind != literal && seg.text != "" {
			err = p.addName(seg.text)
		}
		if err != nil {
			return fmt.Errorf("segment %q at offset %d: %w", text, base+off, err)
		}
		p.segs = append(p.segs, seg)
		off += len(text)
	}
	return nil
}

// parseSegment parses the text between two slashes, or after the last one.
func parseSegment(text string, last bool) (segment, error) {
	if text == "" && last {
		return segment{kind: rest}, nil
	}
	switch strings.IndexByte(text, '{') {
	case -1:
		return segment{kind: literal, text: unescape(text)}, nil
	case 0:
	default:
		return segment{}, errors.New("a wildcard fills its segment: there is text before {")
	}
	name, closed := strings.CutSuffix(text[1:], "}")
	if !closed {
		return segment{}, errors.New("a wildcard fills its segment: it does not end with }")
	}
	if name == "$" {
		if !last {
			return segment{}, errors.New("{$} is not at the end")
		}
		return segment{kind: literal, text: endOfPath}, nil
	}
	kind := wild
	if cut, multi := strings.CutSuffix(name, "..."); multi {
		if !last {
			return segment{}, errors.New("a ... wildcard is not at the end")
		}
		name, kind = cut, rest
	}
	if !isIdentifier(name) {
		return segment{}, fmt.Errorf("wildcard name %q is not an identifier", name)
	}
	return segment{kind: kind, text: name}, nil
}

func (p *pattern) addName(name string) error {
	if slices.Contains(p.names, name) {
		return fmt.Errorf("wildcard name %q is used twice", name)
	}
	p.names = append(p.names, name)
	return nil
}

// unescape decodes percent escapes. Text with a broken escape, which only a
// pattern can have, stands for itself.
func unescape(s string) string {
	if u, err := url.PathUnescape(s); err == nil {
		return u
	}
	return s
}

// isIdentifier reports whether s is an identifier of Go.
func isIdentifier(s string) bool {
	for i, r := range s {
		if r != '_' && !unicode.IsLetter(r) && (i == 0 || !unicode.IsDigit(r)) {
			return false
		}
	}
	return s != ""
}

// isToken reports whether s is a token (RFC 9110, Section 5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}
