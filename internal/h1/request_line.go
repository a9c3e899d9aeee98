package h1

import (
	"bytes"

	"github.com/h2loop/h2loop/internal/message"
)

// A requestLine is what the first line of a request says (RFC 9112, Section 3).
type requestLine struct {
	method string
	http10 bool

	// The target. In origin-form, path is empty and the path is the octets
	// from:to of the line. Else what is known of the target is in the strings.
	from, to                int
	scheme, authority, path string
	absolute                string // all of it, in absolute-form
}

var (
	errVersion = &Error{Status: 505, Reason: "not a version of HTTP/1", Section: "2.3"}

	errRequestLineForm = bad("the request line is not a method, a target and a version", "3")
	errMethod          = bad("the method is no token", "3.1")
	errTarget          = bad("the request target is malformed", "3.2")
)

// parse reads a request line, without its end.
//
// Nothing in it may be other than one space: "lenient parsing can result in
// request smuggling security vulnerabilities". RFC 9112, Section 3.
func (l *requestLine) parse(line []byte) *Error {
	*l = requestLine{}
	const version = len(" HTTP/1.1")
	sp, v := bytes.IndexByte(line, ' '), len(line)-version
	if sp >= 0 && !message.IsToken(line[:sp]) {
		return errMethod
	}
	if sp < 0 || v <= sp+1 { // an empty target
		return errRequestLineForm
	}
	l.method = internMethod(line[:sp])
	if err := l.parseVersion(line[v:]); err != nil {
		return err
	}
	l.from, l.to = sp+1, v
	return l.parseTarget(line[l.from:l.to])
}

// parseVersion reads " HTTP/1.1". A later minor version is one that we may answer
// as if it were 1.1 (RFC 9110, Section 2.5).
func (l *requestLine) parseVersion(v []byte) *Error {
	const major, minor = len(" HTTP/"), len(" HTTP/1.")
	isDigit := func(b byte) bool { return '0' <= b && b <= '9' }
	switch {
	case string(v[:major]) != " HTTP/" || !isDigit(v[major]) || v[major+1] != '.' || !isDigit(v[minor]):
		return errRequestLineForm
	case v[major] != '1':
		return errVersion
	}
	l.http10 = v[minor] == '0'
	return nil
}

// parseTarget reads the target in one of its four forms (RFC 9112, Section 3.2).
func (l *requestLine) parseTarget(t []byte) *Error {
	switch {
	case l.method == "CONNECT":
		if ok, hasPort := isHost(t); !ok || !hasPort {
			return errTarget
		}
		l.authority = string(t)
	case t[0] == '/':
		if !message.IsPath(l.method, t) {
			return errTarget
		}
	case string(t) == "*":
		if l.method != "OPTIONS" {
			return errTarget
		}
		l.path = "*"
	default:
		return l.parseAbsolute(t)
	}
	return nil
}

// parseAbsolute reads a target in absolute-form, which "a server MUST accept …
// in requests". RFC 9112, Section 3.2.2.
func (l *requestLine) parseAbsolute(t []byte) *Error {
	scheme, rest, ok := bytes.Cut(t, []byte("://"))
	if !ok || !message.IsScheme(scheme) {
		return errTarget
	}
	end := bytes.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	// "A sender MUST NOT generate an "http" URI with an empty host identifier. A
	// recipient that processes such a URI reference MUST reject it as invalid."
	// RFC 9110, Section 4.2.1.
	authority, path := rest[:end], string(rest[end:])
	if ok, _ := isHost(authority); !ok || len(authority) == 0 || authority[0] == ':' {
		return errTarget
	}
	if path == "" || path[0] == '?' {
		path = "/" + path
	}
	if !message.IsPath(l.method, path) {
		return errTarget
	}
	if l.method == "OPTIONS" && end == len(rest) {
		// "If a proxy receives an OPTIONS request with an absolute-form of
		// request-target in which the URI has an empty path and no query
		// component, then the last proxy … MUST send a request-target of "*"".
		// RFC 9112, Section 3.2.4.
		path = "*"
	}
	l.absolute = string(t)
	l.scheme, l.authority, l.path = string(bytes.ToLower(scheme)), string(authority), path
	return nil
}

// isHost reports whether h is a host and perhaps a port, without userinfo (RFC
// 9110, Sections 4.2.4 and 7.2), and whether the port is there.
func isHost(h []byte) (ok, hasPort bool) {
	host, port, colon := bytes.Cut(h, []byte(":"))
	if len(h) > 0 && h[0] == '[' { // an IP literal (RFC 3986, Section 3.2.2)
		end := bytes.IndexByte(h, ']')
		if end < len("[::") || !isIPv6(h[1:end]) {
			return false, false
		}
		host = nil
		colon = end+1 < len(h)
		if port = h[end+1:]; colon {
			if port[0] != ':' {
				return false, false
			}
			port = port[1:]
		}
	}
	if !message.IsAuthority(host) || bytes.IndexByte(host, '[') >= 0 || bytes.IndexByte(host, ']') >= 0 {
		return false, false
	}
	if !colon || len(port) == 0 {
		return true, false
	}
	_, ok = message.ParseLength(port)
	return ok && len(port) <= len("65535"), true
}

// isIPv6 reports whether h has the octets of an IPv6 address only.
func isIPv6(h []byte) bool {
	for _, o := range h {
		if _, ok := hexDigit(o); !ok && o != ':' && o != '.' {
			return false
		}
	}
	return true
}

// internMethod returns the method as a string without allocating one for those
// that are well known.
func internMethod(m []byte) string {
	switch string(m) {
	case "GET":
		return "GET"
	case "HEAD":
		return "HEAD"
	case "POST":
		return "POST"
	case "PUT":
		return "PUT"
	case "DELETE":
		return "DELETE"
	case "CONNECT":
		return "CONNECT"
	case "OPTIONS":
		return "OPTIONS"
	case "TRACE":
		return "TRACE"
	case "PATCH":
		return "PATCH"
	default:
		return string(m)
	}
}
