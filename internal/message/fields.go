package message

import (
	"fmt"
	"strings"
)

// CheckField returns an error that says why a response may not have the field,
// or nil: the name must be a token in lower case and no pseudo-header field, the
// value must have no control octets and no space at its ends, and fields that
// are about a connection are the server's to set, or have no place in HTTP/2
// (RFC 9113, Sections 8.2.1 and 8.2.2).
func CheckField(name, value string) error {
	switch {
	case !IsFieldName(name):
		return fmt.Errorf("field name %q is empty, upper case or no token", name)
	case !IsFieldValue(value):
		return fmt.Errorf("value %q of field %s has a control octet, or space at an end", value, name)
	}
	if IsConnectionField(name) {
		return fmt.Errorf("field %s is about a connection, and is not a response's to have", name)
	}
	return nil
}

// CheckTrailer is CheckField for a trailer field, which must also not be one that
// is needed to frame, route or read what comes before it (RFC 9110, Section 6.5.1).
func CheckTrailer(name, value string) error {
	if err := CheckField(name, value); err != nil {
		return err
	}
	switch name {
	case "authorization", "cache-control", "content-encoding", "content-length", "content-range", "content-type",
		"cookie", "date", "expect", "host", "location", "max-forwards", "pragma", "proxy-authenticate",
		"proxy-authorization", "range", "set-cookie", "te", "trailer", "vary", "www-authenticate":
		return fmt.Errorf("field %s cannot be a trailer", name)
	default:
		return nil
	}
}

// IsConnectionField reports whether name, in lower case, is a field that is about
// a connection, and neither allowed in HTTP/2 (RFC 9113, Section 8.2.2) nor of any
// concern to an application.
func IsConnectionField(name string) bool {
	switch name {
	case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade":
		return true
	default:
		return false
	}
}

// ParseLength reads a content-length (RFC 9110, Section 8.6).
func ParseLength[S ~string | ~[]byte](s S) (n int64, ok bool) {
	if len(s) == 0 || len(s) > 18 { // 10^18 is beyond any body, and fits an int64
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
	inPath                            // of a path, with the query
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

func all[S ~string | ~[]byte](s S, class charClass) bool {
	for i := range len(s) {
		if charClasses[s[i]]&class == 0 {
			return false
		}
	}
	return true
}

// IsToken reports whether s is a token (RFC 9110, Section 5.6.2).
func IsToken[S ~string | ~[]byte](s S) bool { return len(s) > 0 && all(s, inToken) }

// IsFieldName reports whether s is a token without upper case letters.
func IsFieldName(s string) bool { return s != "" && all(s, inFieldName) }

// IsFieldValue reports whether s may be a field value: no control octets,
// and "MUST NOT start or end with an ASCII whitespace character (ASCII SP or
// HTAB, 0x20 or 0x09)". RFC 9113, Section 8.2.1.
func IsFieldValue[S ~string | ~[]byte](s S) bool {
	if len(s) == 0 {
		return true
	}
	first, last := s[0], s[len(s)-1]
	if first == ' ' || first == '\t' || last == ' ' || last == '\t' {
		return false
	}
	return all(s, inValue)
}

// IsScheme reports whether s is the scheme of a URI (RFC 3986, Section 3.1).
func IsScheme[S ~string | ~[]byte](s S) bool {
	if string(s) == "http" || string(s) == "https" {
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
	return len(s) > 0
}

// IsPath reports whether p may be the path, with the query, of a request with
// method: it begins with a slash, or is the asterisk of OPTIONS (RFC 9110,
// Section 7.1).
func IsPath[S ~string | ~[]byte](method string, p S) bool {
	if string(p) == "*" {
		return method == "OPTIONS"
	}
	return len(p) > 0 && p[0] == '/' && all(p, inPath)
}

// IsAuthority reports whether s has the characters of a host and port only. There
// is no userinfo among them, which no request may have (RFC 9110, Section 4.2.4).
func IsAuthority[S ~string | ~[]byte](s S) bool { return all(s, inAuthority) }
