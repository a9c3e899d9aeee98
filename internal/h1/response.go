package h1

import (
	"errors"

	"github.com/h2loop/h2loop/internal/message"
)

// Errors of the methods that send.
var (
	ErrAnswered    = errors.New("h1: the header section of the response was sent already")
	ErrNotAnswered = errors.New("h1: body before the header section of the response")
	ErrEnded       = errors.New("h1: the response is complete, or has a source that completes it")
	ErrNotEnded    = errors.New("h1: the request body has not ended")
	ErrStatus      = errors.New("h1: status code out of range, or final where an interim one is needed")
)

// A framing is how the body of a response is told from what follows it (RFC 9112,
// Section 6.3).
type framing uint8

const (
	framingNone    framing = iota // there is no body
	framingLength                 // by content-length
	framingChunked                // by chunks
	framingClose                  // by the end of the connection
	framingTunnel                 // not at all: nothing follows
)

// WriteHeaders sends a header section: an interim one if status is below 200,
// else that of the response, and completes it if end is set. It copies fields,
// whose validity the caller has checked: one that could not be sent is left out,
// and so are those that are about the connection, which are set here.
//
// A response of a length that fields do not tell is sent in chunks, or up to the
// end of the connection to a client of HTTP/1.0. Octets of a body that the request
// or the status forbids are not sent.
//
// Status 101, for a request that has a Protocol, and a status of success for
// CONNECT make the connection a stream of octets both ways: what comes is handed
// to [Handler.Body], what is written leaves as it is, and the end of either ends
// both.
func (c *Conn) WriteHeaders(s *Stream, status int, fields []message.Field, end bool) error {
	switch {
	case status < 100 || status > 999 || status < 200 && end:
		return ErrStatus
	case s != c.stream:
		return ErrEnded
	case s.answered:
		return ErrAnswered
	case status == 101 && (s.Request.Protocol == "" || !s.ended):
		return ErrStatus
	case status < 200 && status != 101:
		c.writeInterim(s, status, fields)
		return nil
	}
	s.answered = true
	o := c.outbox()
	start := len(o.scratch)
	length := c.appendAnswer(s, status, fields)
	c.decideFraming(s, status, length, end)
	c.appendConnection(s, status)
	o.scratch = append(o.scratch, "\r\n"...)
	c.room -= len(o.scratch) - start
	switch {
	case end:
		s.body.end = true
		c.sendEnd(s)
	case s.isTunnel():
		c.openTunnel(s)
	}
	return nil
}

// appendAnswer appends the status line and fields. It returns the content-length among
// them, or -1.
func (c *Conn) appendAnswer(s *Stream, status int, fields []message.Field) (length int64) {
	o := c.outbox()
	m := c.shared.sent.place(status, fields)
	if m.is(status, fields) && s.Request.Method != "CONNECT" { // whose content-length is left out
		o.scratch = append(o.scratch, m.octets...)
		return m.length
	}
	start := len(o.scratch)
	o.scratch = appendStatusLine(o.scratch, status)
	length = c.appendFields(s, status, fields)
	if s.Request.Method != "CONNECT" {
		m.keep(status, fields, o.scratch[start:], length)
	}
	return length
}

// writeInterim sends an interim response. "A server MUST NOT send a 1xx response
// to an HTTP/1.0 client." RFC 9110, Section 15.2.
func (c *Conn) writeInterim(s *Stream, status int, fields []message.Field) {
	s.continued = s.continued || status == 100
	if s.head.has(isHTTP10) {
		return
	}
	o := c.outbox()
	o.scratch = appendStatusLine(o.scratch, status)
	c.appendFields(s, status, fields)
	o.scratch = append(o.scratch, "\r\n"...)
}

// appendFields appends those of fields that are the application's to send. It
// returns the content-length among them, or -1.
func (c *Conn) appendFields(s *Stream, status int, fields []message.Field) (length int64) {
	o := c.outbox()
	length = -1
	for i := range fields {
		f := &fields[i]
		switch f.Name {
		case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade":
			continue
		case "content-length":
			// "A server MUST NOT send a Content-Length header field in any response
			// with a status code of 1xx (Informational) or 204 (No Content). A server
			// MUST NOT send a Content-Length header field in any 2xx (Successful)
			// response to a CONNECT request". RFC 9110, Section 8.6.
			n, ok := message.ParseLength(f.Value)
			if !ok || length >= 0 || status < 200 || status == 204 || s.isConnected(status) {
				continue
			}
			length = n
		}
		o.scratch = appendField(o.scratch, *f)
	}
	return length
}

// appendField appends a field line, or nothing if f could be taken for anything
// but one field.
func appendField(dst []byte, f message.Field) []byte {
	if !message.IsToken(f.Name) || !message.IsFieldValue(f.Value) {
		return dst
	}
	dst = append(dst, f.Name...)
	dst = append(dst, ": "...)
	dst = append(dst, f.Value...)
	return append(dst, "\r\n"...)
}

// isConnected reports whether status makes s a tunnel for CONNECT: "Any 2xx
// (Successful) response indicates that the sender … will switch to tunnel mode
// immediately after the response header section". RFC 9110, Section 9.3.6.
func (s *Stream) isConnected(status int) bool {
	return s.Request.Method == "CONNECT" && status >= 200 && status < 300
}

// decideFraming finds out how the body of the response will be told, and appends
// what says so beyond length, the content-length of the application. -1 is none.
func (c *Conn) decideFraming(s *Stream, status int, length int64, end bool) {
	o := c.outbox()
	switch {
	case status == 101 || s.isConnected(status):
		s.framing = framingTunnel
		c.closing = true // nothing that follows is a request
	case s.Request.Method == "HEAD" || status == 204 || status == 304:
		s.framing = framingNone
	case length >= 0:
		s.framing, s.left = framingLength, length
	case end:
		s.framing = framingLength
		o.scratch = append(o.scratch, "content-length: 0\r\n"...)
	case s.head.has(isHTTP10):
		s.framing = framingClose
		c.closing = true
	default:
		s.framing = framingChunked
		o.scratch = append(o.scratch, "transfer-encoding: chunked\r\n"...)
	}
}

// appendConnection appends what the peer must know of the connection (RFC 9112,
// Sections 9.3 and 9.6; RFC 9110, Section 7.8).
func (c *Conn) appendConnection(s *Stream, status int) {
	o := c.outbox()
	if !s.ended && !s.isTunnel() && c.isUnwanted(s) {
		c.closing = true
	}
	switch {
	case status == 101:
		o.scratch = append(o.scratch, "connection: upgrade\r\n"...)
		o.scratch = appendField(o.scratch, message.Field{Name: "upgrade", Value: s.Request.Protocol})
	case s.isTunnel():
	case c.closing:
		o.scratch = append(o.scratch, "connection: close\r\n"...)
	case s.head.has(isHTTP10):
		o.scratch = append(o.scratch, "connection: keep-alive\r\n"...)
	}
}

// isUnwanted reports whether what is to come of the body of s, as it is being
// answered, is not worth waiting for: the client waits to be told to send it and will not
// be; or it is long, and nobody has begun to read it, or the response has a length, and
// so most likely ends before it.
func (c *Conn) isUnwanted(s *Stream) bool {
	if s.received == 0 && s.head.has(expects) && !s.continued {
		return true
	}
	isLong := s.Request.ContentLength-s.received > int64(c.cfg.MaxSkipped)
	return isLong && (s.received == 0 || s.framing == framingLength || s.framing == framingNone)
}

// openTunnel makes the connection that of s alone, both ways.
func (c *Conn) openTunnel(s *Stream) {
	s.ended, s.longLived = false, true
	c.closing = true
	c.recv.phase = phaseTunnel
}

// Hijack makes the connection a stream of octets both ways, as status 101 does, but
// sends nothing: the application writes the response itself, if there is to be one. The
// request must have ended.
func (c *Conn) Hijack(s *Stream) error {
	switch {
	case s != c.stream || s.sentEnd:
		return ErrEnded
	case s.answered:
		return ErrAnswered
	case !s.ended:
		return ErrNotEnded
	}
	s.answered, s.framing = true, framingTunnel
	c.openTunnel(s)
	return nil
}

// Reset ends s at once, and with it the connection, in the midst of the response:
// the client can tell that it is not complete. It does nothing if s has closed.
func (c *Conn) Reset(s *Stream) {
	if s == c.stream {
		c.cut(ErrReset)
	}
}
