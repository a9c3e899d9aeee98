package h2

import (
	"strings"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/internal/message"
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
	if !message.IsFieldName(f.Name) {
		l.fail("field name is empty, upper case or no token", "8.2.1")
		return true
	}
	if !message.IsFieldValue(f.Value) {
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
		n, ok := message.ParseLength(f.Value)
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
	if l.seen&hasMethod == 0 || !message.IsToken(r.Method) {
		l.fail(":method is missing or no token", "8.3.1")
		return
	}
	if l.seen&hasProtocol != 0 && (r.Method != "CONNECT" || !extendedConnect || !message.IsToken(r.Protocol)) {
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
	if !message.IsScheme(r.Scheme) {
		l.fail(":scheme is malformed", "8.3.1")
	}
	if !message.IsPath(r.Method, r.Path) {
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
	if !message.IsAuthority(r.Authority) {
		l.fail(":authority is malformed", "8.3.1")
	}
}
