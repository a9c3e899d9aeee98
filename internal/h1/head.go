package h1

import (
	"bytes"
	"strings"

	"github.com/h2loop/h2loop/internal/message"
)

// headFlags are what a header section says about the message and the connection,
// beside the request itself.
type headFlags uint8

const (
	isHTTP10   headFlags = 1 << iota
	wantsClose           // the connection does not persist (RFC 9112, Section 9.3)
	isChunked
	expects   // the client waits to be told to send its body (RFC 9110, Section 10.1.1)
	hasSecret // credentials: not to be remembered
	isGRPC
)

func (f headFlags) has(g headFlags) bool { return f&g != 0 }

var (
	errFold       = bad("a field line begins with white space", "5.2")
	errNoColon    = bad("a field line has no colon", "5")
	errFieldName  = bad("a field name is empty or no token, or has white space behind it", "5.1")
	errFieldValue = bad("a field value has a control octet", "5.5")
	errHost       = bad("the Host field is malformed", "3.2")
	errHostTwice  = bad("there is more than one Host field", "3.2")
	errNoHost     = bad("there is no Host field", "3.2")
	errLength     = bad("the Content-Length field is malformed", "6.3")
	errLengths    = bad("there are Content-Length fields that differ", "6.3")
	errBothFrames = bad("there are both Transfer-Encoding and Content-Length", "6.1")
	errCoding10   = bad("HTTP/1.0 has no Transfer-Encoding", "6.1")
	errNotChunked = bad("the last transfer coding is not chunked, or chunked is there twice", "6.3")
	errConnect    = bad("CONNECT with content", "RFC 9110, Section 9.3.6")
	errCoding     = &Error{Status: 501, Reason: "there is a transfer coding other than chunked", Section: "6.1"}
	errExpect     = &Error{Status: 417, Reason: "there is an expectation other than 100-continue", Section: "RFC 9110, Section 10.1.1"}
)

// A headReader reads the field lines of a header section.
type headReader struct {
	request *message.Request
	host    *string // of the connection's last request
	block   []byte  // begins with the field lines
	lines   []fieldLine
	hops    []fieldLine // about the connection

	flags      headFlags
	hasHost    bool
	keepAlive  bool
	upgrades   bool // the Connection field has the option
	upgrade    string
	hasLength  bool
	hasType    bool
	hasCodings bool
	chunked    int  // how often chunked is among the transfer codings
	other      bool // another one is
	lastChunky bool // the last one is chunked
}

// read fills in the request from its request line and the field lines, but for its
// path, and its fields: lines says where those are. It returns the length of the lines
// with the empty one behind them.
func (r *headReader) read(line *requestLine, cfg *Config) (size int, err *Error) {
	q, b := r.request, r.block
	q.Method, q.Scheme, q.Authority, q.ContentLength = line.method, line.scheme, "", -1
	if line.http10 {
		r.flags |= isHTTP10
	}
	count := 0
	for !isEmptyLine(b, size) {
		l, next, err := nextLine(b, size)
		if err == nil {
			err = r.add(l)
		}
		if err != nil {
			return 0, err
		}
		size = next
		count++
	}
	size += len("\r\n")
	if count > cfg.MaxHeaderFields || size-1 > cfg.MaxHeaderBytes { // the last octet is not counted
		return 0, errNotWhole
	}
	if line.authority != "" {
		// "When an origin server receives a request with an absolute-form of
		// request-target, the origin server MUST ignore the received Host header
		// field (if any)". RFC 9112, Section 3.2.2.
		q.Authority = line.authority
	}
	return size, r.judge()
}

// add takes one field: fields that are about the connection or the framing say it
// to r, and most of these are of no concern to an application.
func (r *headReader) add(l fieldLine) *Error {
	q, value := r.request, l.valueIn(r.block)
	switch kindOf(l.nameIn(r.block)) {
	case fieldHost:
		if r.hasHost {
			return errHostTwice
		}
		r.hasHost = true
		if string(value) != *r.host {
			if ok, _ := isHost(value); !ok {
				return errHost
			}
			*r.host = string(value)
		}
		q.Authority = *r.host
		return nil
	case fieldLength:
		n, ok := message.ParseLength(value)
		switch {
		case !ok:
			return errLength
		case r.hasLength && n != q.ContentLength:
			return errLengths
		case r.hasLength:
			return nil
		}
		r.hasLength, q.ContentLength = true, n
	case fieldCodings:
		r.addCodings(value)
		return nil
	case fieldOptions:
		r.addOptions(value)
		r.hops = append(r.hops, l)
		return nil
	case fieldUpgrade:
		if r.upgrade == "" {
			r.upgrade = string(value)
		}
		r.hops = append(r.hops, l)
		return nil
	case fieldHop, fieldTE:
		r.hops = append(r.hops, l)
		return nil
	case fieldExpect:
		// "A server that receives a 100-continue expectation in an HTTP/1.0
		// request MUST ignore that expectation." RFC 9110, Section 10.1.1.
		if r.flags.has(isHTTP10) {
			return nil
		}
		if !equalFold(value, "100-continue") {
			return errExpect
		}
		r.flags |= expects
	case fieldType:
		if !r.hasType && bytes.HasPrefix(value, []byte("application/grpc")) {
			r.flags |= isGRPC
		}
		r.hasType = true
	case fieldSecret:
		r.flags |= hasSecret
	default: // the application's
	}
	r.lines = append(r.lines, l)
	return nil
}

// addOptions reads a Connection field (RFC 9110, Section 7.6.1).
func (r *headReader) addOptions(value []byte) {
	for more := true; more; {
		var option []byte
		option, value, more = bytes.Cut(value, []byte(","))
		switch option = trim(option); {
		case equalFold(option, "close"):
			r.flags |= wantsClose
		case equalFold(option, "keep-alive"):
			r.keepAlive = true
		case equalFold(option, "upgrade"):
			r.upgrades = true
		}
	}
}

// addCodings reads a Transfer-Encoding field (RFC 9112, Section 6.1).
func (r *headReader) addCodings(value []byte) {
	r.hasCodings = true
	for more := true; more; {
		var coding []byte
		coding, value, more = bytes.Cut(value, []byte(","))
		r.lastChunky = equalFold(trim(coding), "chunked")
		if r.lastChunky {
			r.chunked++
		} else {
			r.other = true
		}
	}
}

// judge looks at the header section as a whole.
func (r *headReader) judge() *Error {
	q := r.request
	http10 := r.flags.has(isHTTP10)
	if !r.hasHost && !http10 {
		// "A server MUST respond with a 400 (Bad Request) status code to any
		// HTTP/1.1 request message that lacks a Host header field". RFC 9112,
		// Section 3.2.
		return errNoHost
	}
	if err := r.judgeFraming(); err != nil {
		return err
	}
	if http10 && !r.keepAlive {
		r.flags |= wantsClose
	}
	if r.upgrades && !http10 && q.Method != "CONNECT" {
		q.Protocol = protocol(r.upgrade)
	}
	return nil
}

// judgeFraming finds out how long the body is (RFC 9112, Section 6.3).
func (r *headReader) judgeFraming() *Error {
	q := r.request
	if q.Method == "CONNECT" && (r.hasCodings || q.ContentLength > 0) {
		return errConnect
	}
	if !r.hasCodings {
		q.ContentLength = max(q.ContentLength, 0)
		return nil
	}
	switch {
	case r.flags.has(isHTTP10):
		// "A server or client that receives an HTTP/1.0 message containing a
		// Transfer-Encoding header field MUST treat the message as if the framing
		// is faulty". RFC 9112, Section 6.1.
		return errCoding10
	case r.hasLength:
		// "A server MAY reject a request that contains both Content-Length and
		// Transfer-Encoding". RFC 9112, Section 6.1.
		return errBothFrames
	case !r.lastChunky || r.chunked > 1:
		// "If a Transfer-Encoding header field is present in a request and the
		// chunked transfer coding is not the final encoding, the message body
		// length cannot be determined reliably; the server MUST respond with the
		// 400 (Bad Request) status code". RFC 9112, Section 6.3.
		return errNotChunked
	case r.other:
		// "A server that receives a request message with a transfer coding it does
		// not understand SHOULD respond with 501 (Not Implemented)." RFC 9112,
		// Section 6.1.
		return errCoding
	}
	r.flags |= isChunked
	return nil
}

// protocol returns the first protocol of an Upgrade field (RFC 9110, Section
// 7.8), or "" if that is none, or HTTP/2: "The "h2c" string was previously used
// as a token … this usage was never widely deployed and is deprecated by this
// document." RFC 9113, Section 3.1.
func protocol(upgrade string) string {
	p, _, _ := strings.Cut(upgrade, ",")
	p = strings.TrimRight(p, " \t")
	name, version, hasVersion := strings.Cut(p, "/")
	if !message.IsToken(name) || hasVersion && !message.IsToken(version) || name == "h2c" || name == "h2" {
		return ""
	}
	return p
}
