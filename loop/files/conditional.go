package files

import (
	"net/http"
	"strconv"
	"strings"
	"time"

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

// A span is a part of a file.
type span struct{ start, length int64 }

// decide answers q about a file, as RFC 9110, Section 13.2.2 orders the
// conditions: with 200 or 206 and the span to send, or with 304, 412 or 416.
func (q *question) decide(info *fileInfo, now time.Time) (status int, s span, contentRange string) {
	modified := info.modified.Truncate(time.Second)
	switch {
	case q.ifMatch != "":
		if !matchesAny(q.ifMatch, info.etag, strongly) {
			return 412, span{}, ""
		}
	case q.ifUnmodifiedSince != "":
		if t, ok := parseDate(q.ifUnmodifiedSince); ok && modified.After(t) {
			return 412, span{}, ""
		}
	}
	switch {
	case q.ifNoneMatch != "":
		if matchesAny(q.ifNoneMatch, info.etag, weakly) {
			return 304, span{}, ""
		}
	case q.ifModifiedSince != "":
		if t, ok := parseDate(q.ifModifiedSince); ok && !modified.After(t) {
			return 304, span{}, ""
		}
	}
	whole := span{0, info.size}
	// "A server MUST ignore a Range header field received with a request
	// method that is unrecognized or for which range handling is not defined.
	// For this specification, GET is the only method for which range handling
	// is defined." RFC 9110, Section 14.2.
	if q.isHead || q.rangeSpec == "" || info.size == 0 || !q.rangeApplies(info, now) {
		return 200, whole, ""
	}
	s, verdict := parseRange(q.rangeSpec, info.size)
	size := decimal(info.size)
	switch verdict {
	case rangeOK:
		return 206, s, "bytes " + decimal(s.start) + "-" + decimal(s.start+s.length-1) + "/" + size
	case rangeUnsatisfiable:
		return 416, span{}, "bytes */" + size
	default:
		return 200, whole, ""
	}
}

// racy is how long a file must have been left alone for its validators to tell
// it from the next version: the clock of a file system does not tick often, and
// Last-Modified has whole seconds.
const racy = time.Second

// rangeApplies evaluates If-Range, which wants a strong validator (RFC 9110,
// Section 13.1.5).
func (q *question) rangeApplies(info *fileInfo, now time.Time) bool {
	if q.ifRange == "" {
		return true
	}
	if t, ok := parseDate(q.ifRange); ok {
		modified := info.modified.Truncate(time.Second)
		return modified.Equal(t) && now.Sub(modified) > racy
	}
	return strongly(strings.TrimSpace(q.ifRange), info.etag)
}

// etagOf makes an entity tag of what changes with the contents. It is weak
// while a second write could leave it as it is.
func etagOf(size int64, modified, now time.Time) string {
	b := make([]byte, 0, 40)
	if age := now.Sub(modified); age <= racy {
		b = append(b, "W/"...)
	}
	b = append(b, '"')
	b = strconv.AppendInt(b, modified.UnixNano(), 16)
	b = append(b, '-')
	b = strconv.AppendInt(b, size, 16)
	return string(append(b, '"'))
}

// The comparisons of RFC 9110, Section 8.8.3.2.

func strongly(a, b string) bool { return a == b && strings.HasPrefix(a, `"`) }

func weakly(a, b string) bool {
	return strings.TrimPrefix(a, "W/") == strings.TrimPrefix(b, "W/")
}

// matchesAny reports whether a list of entity tags, or "*", has one that is
// equal to etag. What follows a malformed tag does not count.
func matchesAny(list, etag string, equal func(a, b string) bool) bool {
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
		if equal(list[:n], etag) {
			return true
		}
		list = list[n:]
	}
}

func parseDate(s string) (time.Time, bool) {
	t, err := http.ParseTime(s)
	return t, err == nil
}

func httpDate(t time.Time) string { return t.UTC().Format(http.TimeFormat) }

func decimal(n int64) string { return strconv.FormatInt(n, 10) }
