package h2

import (
	"strings"

	"github.com/h2loop/h2loop/frames"
)

// A fieldList gathers and judges the fields of a header block.
type fieldList struct {
	fields    []Field
	size      int
	tooLong   bool
	regular   bool   // a regular field was seen, so pseudo-header fields may not follow
	fault     string // why the message is malformed; the first reason counts
	section   string // of RFC 9113
	seen      pseudo
	host      string
	hasHost   bool
	length    int64 // content-length, -1 if absent
	priority  string
	signalled bool
}

// A pseudo is a set of pseudo-header fields.
type pseudo uint8

const (
	hasMethod pseudo = 1 << iota
	hasScheme
	hasAuthority
	hasPath
	hasProtocol
)

// fieldOverhead is what a field counts besides its octets (RFC 9113, Section 6.5.2).
const fieldOverhead = 32

func (l *fieldList) begin(fields []Field) { *l = fieldList{fields: fields, length: -1} }

// fail notes why the message is malformed, unless a reason is known.
func (l *fieldList) fail(fault, section string) {
	if l.fault == "" {
		l.fault, l.section = fault, section
	}
}

// malformed returns the error of a malformed request: a stream error
// (RFC 9113, Section 8.1.1).
func malformed(id frames.StreamID, fault, section string) error {
	return frames.StreamError{StreamID: id, Code: frames.ErrCodeProtocol, Reason: "malformed request: " + fault, Section: section}
}

// add takes one field. It reports false when the list has grown above limit,
// and no further field is of interest.
func (l *fieldList) add(f Field, trailer bool, limit int, r *Request) bool {
	if l.size += len(f.Name) + len(f.Value) + fieldOverhead; l.size > limit {
		l.tooLong = true
		return false
	}
	if len(f.Name) > 0 && f.Name[0] == ':' {
		l.addPseudo(f, trailer, r)
		return true
	}
	l.regular = true
	if !validFieldName(f.Name) {
		l.fail("field name is empty, upper case or no token", "8.2.1")
		return true
	}
	if !validFieldValue(f.Value) {
		l.fail("field value has a forbidden octet, or space at an end", "8.2.1")
		return true
	}
	l.inspect(f, trailer)
	l.fields = append(l.fields, f)
	return true
}

func (l *fieldList) addPseudo(f Field, trailer bool, r *Request) {
	if trailer {
		l.fail("pseudo-header field in trailers", "8.1") // and r is in use
		return
	}
	var bit pseudo
	var value *string
	switch f.Name {
	case ":method":
		bit, value = hasMethod, &r.Method
	case ":scheme":
		bit, value = hasScheme, &r.Scheme
	case ":authority":
		bit, value = hasAuthority, &r.Authority
	case ":path":
		bit, value = hasPath, &r.Path
	case ":protocol":
		bit, value = hasProtocol, &r.Protocol
	default:
		l.fail("unknown pseudo-header field", "8.3")
		return
	}
	switch {
	case l.regular:
		l.fail("pseudo-header field after a regular one", "8.3")
	case l.seen&bit != 0:
		l.fail("pseudo-header field twice", "8.3")
	}
	l.seen |= bit
	*value = f.Value
}

// inspect looks at the fields that HTTP/2 itself cares about.
func (l *fieldList) inspect(f Field, trailer bool) {
	switch f.Name {
	case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade":
		l.fail("connection-specific field", "8.2.2")
	case "te":
		if !strings.EqualFold(f.Value, "trailers") {
			l.fail("TE other than trailers", "8.2.2")
		}
	case "host":
		if l.hasHost || trailer {
			l.fail("Host twice, or in trailers", "8.3.1")
		}
		l.host, l.hasHost = f.Value, true
	case "content-length":
		n, ok := parseLength(f.Value)
		if !ok || trailer || (l.length >= 0 && l.length != n) {
			l.fail("bad content-length", "8.1.1")
			return
		}
		l.length = n
	case "priority":
		// Several field lines make one dictionary (RFC 9110, Section 5.3).
		switch {
		case !l.signalled:
			l.priority, l.signalled = f.Value, true
		case len(l.priority) < maxJoinedPriority:
			l.priority += "," + f.Value
		}
	}
}

// finishRequest judges the request as a whole and completes it.
func (l *fieldList) finishRequest(s *Stream, ended, extendedConnect bool) error {
	r := &s.Request
	r.ContentLength = l.length
	if l.fault == "" {
		l.judgePseudo(r, extendedConnect)
	}
	if l.fault == "" && ended && l.length > 0 {
		l.fail("content-length without a body", "8.1.1")
	}
	if l.fault != "" {
		return malformed(s.id, l.fault, l.section)
	}
	if ended && l.length < 0 {
		r.ContentLength = 0
	}
	return nil
}

// judgePseudo checks the pseudo-header fields against each other (RFC 9113,
// Sections 8.3.1 and 8.5; RFC 8441, Section 4).
func (l *fieldList) judgePseudo(r *Request, extendedConnect bool) {
	if l.seen&hasMethod == 0 || !isToken(r.Method) {
		l.fail(":method is missing or no token", "8.3.1")
		return
	}
	if l.seen&hasProtocol != 0 && (r.Method != "CONNECT" || !extendedConnect || !isToken(r.Protocol)) {
		l.fail(":protocol without extended CONNECT", "RFC 8441, Section 4")
		return
	}
	if r.Method == "CONNECT" && l.seen&hasProtocol == 0 {
		if l.seen&(hasScheme|hasPath) != 0 || r.Authority == "" {
			l.fail("CONNECT takes :authority, and neither :scheme nor :path", "8.5")
		}
		l.judgeAuthority(r)
		return
	}
	if l.seen&(hasScheme|hasPath) != hasScheme|hasPath {
		l.fail(":scheme or :path is missing", "8.3.1")
		return
	}
	if !validScheme(r.Scheme) {
		l.fail(":scheme is malformed", "8.3.1")
	}
	if !validPath(r.Method, r.Path) {
		l.fail(":path is malformed", "8.3.1")
	}
	l.judgeAuthority(r)
}

func (l *fieldList) judgeAuthority(r *Request) {
	if l.hasHost {
		// "A server SHOULD treat a request as malformed if it contains a
		// Host header field that identifies an entity that differs from the
		// entity in the ":authority" pseudo-header field."
		// RFC 9113, Section 8.3.1.
		if l.seen&hasAuthority != 0 && !strings.EqualFold(r.Authority, l.host) {
			l.fail("Host differs from :authority", "8.3.1")
		}
		if l.seen&hasAuthority == 0 {
			r.Authority = l.host
		}
	}
	if r.Authority == "" {
		l.fail("neither :authority nor Host", "8.3.1")
	}
	if !validAuthority(r.Authority) {
		l.fail(":authority is malformed", "8.3.1")
	}
}

// parseLength reads a content-length (RFC 9110, Section 8.6).
func parseLength(s string) (n int64, ok bool) {
	if s == "" || len(s) > 18 { // 10^18 is beyond any body, and fits an int64
		return 0, false
	}
	for i := range len(s) {
		d := s[i] - '0'
		if d > 9 {
			return 0, false
		}
		n = n*10 + int64(d)
	}
	return n, true
}

// A charClass is a set of roles an octet may play.
type charClass uint8

const (
	inToken     charClass = 1 << iota // RFC 9110, Section 5.6.2
	inFieldName                       // a token without upper case (RFC 9113, Section 8.2.1)
	inValue                           // a field value's octet (RFC 9110, Section 5.5)
	inPath                            // of :path, with the query
	inAuthority
)

var charClasses = func() (t [256]charClass) {
	for i := range t {
		b := byte(i)
		alnum := 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9'
		if alnum || strings.IndexByte("!#$%&'*+-.^_`|~", b) >= 0 {
			t[i] |= inToken
			if b < 'A' || b > 'Z' {
				t[i] |= inFieldName
			}
		}
		if b >= ' ' && b != 0x7f || b == '\t' {
			t[i] |= inValue
		}
		if b > ' ' && b != 0x7f && b != '#' {
			t[i] |= inPath
		}
		if alnum || strings.IndexByte("-._~!$&'()*+,;=:[]%", b) >= 0 {
			t[i] |= inAuthority
		}
	}
	return t
}()

func all(s string, class charClass) bool {
	for i := range len(s) {
		if charClasses[s[i]]&class == 0 {
			return false
		}
	}
	return true
}

func isToken(s string) bool        { return s != "" && all(s, inToken) }
func validFieldName(s string) bool { return s != "" && all(s, inFieldName) }

// validFieldValue reports whether s may be a field value: no control octets,
// and "MUST NOT start or end with an ASCII whitespace character (ASCII SP or
// HTAB, 0x20 or 0x09)". RFC 9113, Section 8.2.1.
func validFieldValue(s string) bool {
	if s == "" {
		return true
	}
	first, last := s[0], s[len(s)-1]
	if first == ' ' || first == '\t' || last == ' ' || last == '\t' {
		return false
	}
	return all(s, inValue)
}

// validScheme checks the scheme of RFC 3986, Section 3.1.
func validScheme(s string) bool {
	if s == "http" || s == "https" {
		return true
	}
	for i := range len(s) {
		switch b := s[i]; {
		case 'a' <= b|0x20 && b|0x20 <= 'z':
		case i > 0 && ('0' <= b && b <= '9' || b == '+' || b == '-' || b == '.'):
		default:
			return false
		}
	}
	return s != ""
}

// validPath checks :path: "This pseudo-header field MUST NOT be empty for
// "http" or "https" URIs … The exception … is an OPTIONS request … "*"."
// RFC 9113, Section 8.3.1.
func validPath(method, p string) bool {
	if p == "*" {
		return method == "OPTIONS"
	}
	return p != "" && p[0] == '/' && all(p, inPath)
}

// validAuthority checks :authority: characters of a host and port, and no
// userinfo, which "MUST NOT" be there (RFC 9113, Section 8.3.1).
func validAuthority(s string) bool { return all(s, inAuthority) }
