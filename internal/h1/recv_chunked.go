package h1

import (
	"math"

	"github.com/h2loop/h2loop/internal/message"
)

// A chunkState is how far a chunked body has come (RFC 9112, Section 7.1).
type chunkState struct {
	step       chunkStep
	digits     uint8
	extension  int // octets of the extensions of this chunk
	extensions int // and of those before
}

// A chunkStep says what may come next, in the line with the size of a chunk or
// behind its data.
type chunkStep uint8

const (
	chunkDigits    chunkStep = iota // of the size
	chunkSpace                      // white space behind it, before a semicolon
	chunkExtension                  // which we ignore
	chunkCR                         // behind the data
	chunkLF
)

// Bounds of chunk extensions, of which no good use is known: "A server ought to
// limit the total length of chunk extensions received in a request to an amount
// reasonable for the services provided". RFC 9112, Section 7.1.1.
const (
	maxExtension  = 256
	maxExtensions = 8 << 10

	maxChunkDigits = 16
)

var (
	errChunkSize  = bad("the size of a chunk is malformed", "7.1")
	errChunkLine  = bad("the line with the size of a chunk is malformed", "7.1")
	errChunkEnd   = bad("a chunk does not end with CRLF", "7.1")
	errExtensions = &Error{Status: 400, Reason: "the extensions of chunks are too long", Section: "7.1.1", limit: LimitChunkExtensions}
	errTrailer    = bad("a field that may not be among trailers", "RFC 9110, Section 6.5.1")
)

// recvChunkSize takes octets of the line with the size of a chunk.
func (c *Conn) recvChunkSize(b []byte) (n int, err *Error) {
	for n < len(b) && c.recv.phase == phaseChunkSize && err == nil {
		err = c.recvSizeOctet(b[n])
		n++
	}
	if err == nil && c.stream == nil {
		err = c.countSkipped(n)
	}
	return n, err
}

func (c *Conn) recvSizeOctet(o byte) *Error {
	r := &c.recv
	k := &r.chunk
	switch k.step {
	case chunkDigits:
		if d, ok := hexDigit(o); ok {
			if k.digits == 0 {
				r.left = 0
			}
			if k.digits++; k.digits > maxChunkDigits || r.left > math.MaxInt64>>4 {
				return errChunkSize
			}
			r.left = r.left<<4 | int64(d)
			return nil
		}
		if k.digits == 0 {
			return errChunkSize
		}
		return k.behindSize(o)
	case chunkSpace:
		if o == '\r' {
			return errChunkLine // white space is for extensions only
		}
		return k.behindSize(o)
	case chunkExtension:
		if o == '\r' {
			k.step = chunkLF
			return nil
		}
		if o < ' ' && o != '\t' || o == 0x7f {
			return errChunkLine
		}
		return k.countExtension()
	default: // chunkLF
		if o != '\n' {
			return errChunkLine
		}
		*k = chunkState{extensions: k.extensions}
		r.phase = phaseChunkData
		if r.left == 0 {
			r.phase, r.section = phaseTrailers, section{}
		}
		return nil
	}
}

// behindSize takes an octet that follows the digits.
func (k *chunkState) behindSize(o byte) *Error {
	switch o {
	case '\r':
		k.step = chunkLF
		return nil
	case ';':
		k.step = chunkExtension
	case ' ', '\t':
		k.step = chunkSpace
	default:
		if k.step == chunkSpace {
			return errChunkLine
		}
		return errChunkSize
	}
	return k.countExtension()
}

func (k *chunkState) countExtension() *Error {
	k.extension++
	k.extensions++
	if k.extension > maxExtension || k.extensions > maxExtensions {
		return errExtensions
	}
	return nil
}

func hexDigit(o byte) (d byte, ok bool) {
	switch {
	case '0' <= o && o <= '9':
		return o - '0', true
	case 'a' <= o|0x20 && o|0x20 <= 'f':
		return o | 0x20 - 'a' + 10, true
	default:
		return 0, false
	}
}

// recvChunkEnd takes the CRLF behind the data of a chunk.
func (c *Conn) recvChunkEnd(b []byte) (int, *Error) {
	r := &c.recv
	switch {
	case r.chunk.step != chunkLF && b[0] == '\r':
		r.chunk.step = chunkLF
	case r.chunk.step == chunkLF && b[0] == '\n':
		r.phase, r.chunk.step = phaseChunkSize, chunkDigits
	default:
		return 0, errChunkEnd
	}
	return 1, nil
}

// recvTrailers takes the trailer section b, and with it the end of the body.
func (c *Conn) recvTrailers(b []byte) *Error {
	s := c.stream
	var trailers []message.Field
	if s != nil {
		trailers = s.Request.Trailers[:0]
	}
	var lines []fieldLine
	for from := 0; !isEmptyLine(b, from); {
		l, next, err := nextLine(b, from)
		switch {
		case err != nil:
			return err
		case isForbiddenTrailer(l.nameIn(b)):
			return errTrailer
		}
		lines, from = append(lines, l), next
	}
	trailers = appendLines(trailers, b, lines)
	c.recv.phase = phaseHead
	if s == nil {
		return nil
	}
	s.Request.Trailers = trailers
	c.deliver(s, nil, true)
	return nil
}

// isForbiddenTrailer reports whether name is a field that frames, routes or
// governs the message, which makes no sense behind it: "A sender MUST NOT generate
// a trailer field unless the sender knows the corresponding header field name's
// definition permits sending that field in a trailer section." RFC 9110, Section
// 6.5.1.
func isForbiddenTrailer[S ~string | ~[]byte](name S) bool {
	switch kindOf(name) {
	case fieldOther, fieldType, fieldSecret:
		return false
	default:
		return true
	}
}
