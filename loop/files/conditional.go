package files

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/h2loop/h2loop/internal/etag"
	"github.com/h2loop/h2loop/loop"
)

// A question is what a request says about the version and the part of the file
// that it wants. Fields that came more than once are joined.
type question struct {
	isHead            bool
	ifMatch           string
	ifNoneMatch       string
	ifModifiedSince   string
	ifUnmodifiedSince string
	ifRange           string
	rangeSpec         string
	acceptEncoding    string
}

func questionOf(x *loop.Exchange) question {
	q := question{isHead: x.Method() == "HEAD"}
	for name, value := range x.Headers {
		var field *string
		switch name {
		case "if-match":
			field = &q.ifMatch
		case "if-none-match":
			field = &q.ifNoneMatch
		case "if-modified-since":
			field = &q.ifModifiedSince
		case "if-unmodified-since":
			field = &q.ifUnmodifiedSince
		case "if-range":
			field = &q.ifRange
		case "range":
			field = &q.rangeSpec
		case "accept-encoding":
			field = &q.acceptEncoding
		default:
			continue
		}
		if *field != "" {
			value = *field + "," + value
		}
		*field = value
	}
	return q
}

// decide answers q about a representation, as RFC 9110, Section 13.2.2 orders the
// conditions: with 200 or 206 and the spans to send, or with 304, 412 or 416.
func (q *question) decide(r *resource, p *rep) (status int, spans []span) {
	switch {
	case q.ifMatch != "":
		if !etag.MatchesAny(q.ifMatch, p.etag, etag.Strongly) {
			return 412, nil
		}
	case q.ifUnmodifiedSince != "":
		if t, ok := parseDate(q.ifUnmodifiedSince); ok && r.modified.After(t) {
			return 412, nil
		}
	}
	switch {
	case q.ifNoneMatch != "":
		if etag.MatchesAny(q.ifNoneMatch, p.etag, etag.Weakly) {
			return 304, nil
		}
	case q.ifModifiedSince != "":
		if t, ok := parseDate(q.ifModifiedSince); ok && !r.modified.After(t) {
			return 304, nil
		}
	}
	size := p.length()
	// "A server MUST ignore a Range header field received with a request
	// method that is unrecognized or for which range handling is not defined.
	// For this specification, GET is the only method for which range handling
	// is defined." RFC 9110, Section 14.2.
	if q.isHead || q.rangeSpec == "" || size == 0 || p.made || !q.rangeApplies(r, p) {
		return 200, nil
	}
	spans, verdict := parseRanges(q.rangeSpec, size)
	switch {
	case verdict == rangeUnsatisfiable:
		return 416, nil
	case verdict == rangeOK && (len(spans) == 1 || p.coding == identity):
		return 206, spans
	default:
		// Of a representation with a coding, several ranges are ignored: one
		// could not tell whether Content-Encoding is that of the parts or of
		// the multipart.
		return 200, nil
	}
}

// rangeApplies evaluates If-Range, which wants a strong validator (RFC 9110,
// Section 13.1.5).
func (q *question) rangeApplies(r *resource, p *rep) bool {
	if q.ifRange == "" {
		return true
	}
	if t, ok := parseDate(q.ifRange); ok {
		return r.modified.Equal(t) && r.settled
	}
	return etag.Strongly(strings.TrimSpace(q.ifRange), p.etag)
}

// etagOf makes an entity tag of what changes with the contents. It is to be weak
// while a second write could leave it as it is.
func etagOf(s stamp, c coding, weak bool) string {
	b := make([]byte, 0, 48)
	if weak {
		b = append(b, "W/"...)
	}
	b = append(b, '"')
	b = strconv.AppendInt(b, s.modified, 16)
	b = append(b, '-')
	b = strconv.AppendInt(b, s.size, 16)
	if c != identity {
		b = append(b, '-')
		b = append(b, codingNames[c]...)
	}
	return string(append(b, '"'))
}

func parseDate(s string) (time.Time, bool) {
	t, err := http.ParseTime(s)
	return t, err == nil
}

func httpDate(t time.Time) string { return t.UTC().Format(http.TimeFormat) }

func decimal(n int64) string { return strconv.FormatInt(n, 10) }
