package h1

import "bytes"

// A section is how far a header section, with the request line before it, or a
// trailer section has been looked through: for the ends of its lines, and for
// what must not be let grow.
type section struct {
	line     int // where the line begins whose end is looked for
	fields   int // where the field lines begin
	count    int // of field lines
	inFields bool
}

// maxBlank is how many empty lines may come before a request line: "a server
// that is expecting to receive and parse a request-line SHOULD ignore at least one
// empty line (CRLF) received prior to the request-line." RFC 9112, Section 2.2.
const maxBlank = 4

var (
	errRequestLine = &Error{Status: 414, Reason: "the request line is too long", Section: "3", limit: LimitRequestLine}
	errHeaderList  = &Error{Status: 431, Reason: "the header fields are too long", Section: "RFC 6585, Section 5", limit: LimitHeaderList}
	errFieldCount  = &Error{Status: 431, Reason: "too many header fields", Section: "RFC 6585, Section 5", limit: LimitHeaderFields}
	errBareLF      = bad("a line ends with LF alone", "2.2")
	errBlank       = bad("empty lines instead of a request", "2.2")
)

// recvSection takes octets up to the end of the section that comes, and handles
// it when it is whole.
func (c *Conn) recvSection(b []byte) (int, *Error) {
	r := &c.recv
	if r.carry == nil {
		end, err := c.scan(b, 0)
		if err != nil {
			return 0, err
		}
		if end > 0 {
			return end, c.endSection(b[:end])
		}
		r.carry = append(c.shared.getCarry(), b...)
		return len(b), nil
	}
	n := 0
	for n < len(b) {
		next := len(b)
		if i := bytes.IndexByte(b[n:], '\n'); i >= 0 {
			next = n + i + 1
		}
		from := len(r.carry)
		r.carry = append(r.carry, b[n:next]...)
		n = next
		end, err := c.scan(r.carry, from)
		if err != nil {
			return n, err
		}
		if end > 0 {
			whole := r.carry
			r.carry = nil
			c.time.inHead = false // what comes behind it has a time of its own
			err := c.endSection(whole)
			c.shared.putCarry(whole)
			return n, err
		}
	}
	return n, nil
}

// scan looks for the end of the section in buf, of which the octets before from
// have been looked at. It returns where that is, or 0.
//
// It makes no difference how the octets are split: what is wrong is found in the
// order of the octets.
func (c *Conn) scan(buf []byte, from int) (end int, err *Error) {
	h := &c.recv.section
	if c.recv.phase == phaseTrailers {
		h.inFields = true
	}
	for {
		i := bytes.IndexByte(buf[from:], '\n')
		at := from + i
		if i < 0 {
			at = len(buf)
		}
		switch {
		case !h.inFields && at-h.line > c.cfg.MaxRequestLine+len("\r"):
			return 0, errRequestLine
		case h.inFields && at-h.fields > c.cfg.MaxHeaderBytes:
			return 0, errHeaderList
		case i < 0:
			return 0, nil
		case at == 0 || buf[at-1] != '\r':
			// "A recipient MAY recognize a single LF as a line terminator": we
			// do not, for those who do not see a request there would see the
			// next one elsewhere. RFC 9112, Section 2.2.
			return 0, errBareLF
		}
		line := buf[h.line : at-1]
		from, h.line = at+1, at+1
		switch {
		case len(line) == 0:
			return from, nil
		case h.inFields:
			if h.count++; h.count > c.cfg.MaxHeaderFields {
				return 0, errFieldCount
			}
		default:
			if err := c.recv.line.parse(line); err != nil {
				return 0, err
			}
			h.inFields, h.fields = true, from
		}
	}
}

// endSection handles a section, or an empty line before one.
func (c *Conn) endSection(b []byte) *Error {
	r := &c.recv
	h := r.section
	r.section = section{}
	switch {
	case r.phase == phaseTrailers:
		return c.recvTrailers(b)
	case h.inFields:
		s, _, err := c.readHead(b)
		if err != nil {
			return err
		}
		return c.recvRequest(s, b)
	default:
		if r.blank++; r.blank > maxBlank {
			return errBlank
		}
		return nil
	}
}
