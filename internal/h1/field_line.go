package h1

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unsafe"

	"github.com/h2loop/h2loop/internal/message"
)

// A fieldLine says where a field line has what, in the octets that it is a part of.
type fieldLine struct {
	name, colon int32 // the name ends at the colon
	value, end  int32
}

func (l *fieldLine) nameIn(b []byte) []byte  { return b[l.name:l.colon] }
func (l *fieldLine) valueIn(b []byte) []byte { return b[l.value:l.end] }

// isEmptyLine reports whether an empty line begins at from.
func isEmptyLine(b []byte, from int) bool {
	return from+1 < len(b) && b[from] == '\r' && b[from+1] == '\n'
}

// nextLine reads the field line that begins at from, and returns where the next line
// begins.
func nextLine(b []byte, from int) (l fieldLine, next int, err *Error) {
	colon := from
	for colon < len(b) && lowerToken[b[colon]] != 0 {
		colon++
	}
	if colon == len(b) || b[colon] != ':' || colon == from {
		return l, 0, nameFault(b[from:])
	}
	value := colon + 1
	for value < len(b) && (b[value] == ' ' || b[value] == '\t') {
		value++
	}
	end := indexControl(b, value)
	if !isEmptyLine(b, end) {
		return l, 0, errFieldValue
	}
	next = end + len("\r\n")
	for end > value && (b[end-1] == ' ' || b[end-1] == '\t') {
		end--
	}
	return fieldLine{int32(from), int32(colon), int32(value), int32(end)}, next, nil
}

// nameFault says why what b begins with is no field name with a colon.
func nameFault(b []byte) *Error {
	line, _, whole := bytes.Cut(b, []byte("\n"))
	switch {
	case !whole:
		return errNotWhole
	case len(line) > 0 && (line[0] == ' ' || line[0] == '\t'):
		// "A server that receives an obs-fold in a request message … MUST
		// either reject the message by sending a 400 (Bad Request) … or replace
		// each received obs-fold with one or more SP octets". RFC 9112, Section 5.2.
		return errFold
	case bytes.IndexByte(line, ':') < 0:
		return errNoColon
	default:
		// "No whitespace is allowed between the field name and colon. … A
		// server MUST reject, with a response status code of 400 (Bad
		// Request), any received request message that contains whitespace
		// between a header field name and colon." RFC 9112, Section 5.1.
		return errFieldName
	}
}

// indexControl returns where the first octet is, at from or behind, that a field
// value may not have: a control octet other than HTAB (RFC 9110, Section 5.5). If there
// is none it returns len(b).
func indexControl(b []byte, from int) int {
	const (
		each = 0x0101010101010101
		high = 0x80 * each
	)
	i := from
	for i+8 <= len(b) {
		// Eight octets at once: the lowest bit that is set in one of these is that of
		// the first octet below 0x20, or of the first DEL.
		w := binary.LittleEndian.Uint64(b[i:])
		del := w ^ 0x7f*each
		found := ((w-0x20*each)&^w | (del-each)&^del) & high
		if found == 0 {
			i += 8
			continue
		}
		if i += bits.TrailingZeros64(found) / 8; b[i] != '\t' {
			return i
		}
		i++
	}
	for i < len(b) && (b[i] == '\t' || b[i] >= ' ' && b[i] != 0x7f) {
		i++
	}
	return i
}

// lowerToken maps the octets of a token to lower case, and all others to 0.
var lowerToken = func() (t [256]byte) {
	for i := range t {
		if b := []byte{byte(i)}; message.IsToken(b) {
			t[i] = bytes.ToLower(b)[0]
		}
	}
	return t
}()

// appendLines appends the fields of lines in b to dst, names in lower case. It
// copies b.
func appendLines(dst []message.Field, b []byte, lines []fieldLine) []message.Field {
	if len(lines) == 0 {
		return dst
	}
	from, to := lines[0].name, lines[len(lines)-1].end
	octets := append([]byte(nil), b[from:to]...)
	// What strings.Builder does, but that the names become lower case in place:
	// nobody has the octets beside the strings.
	text := unsafe.String(unsafe.SliceData(octets), len(octets))
	for i := range lines {
		l := &lines[i]
		name := octets[l.name-from : l.colon-from]
		for i, o := range name {
			name[i] = lowerToken[o]
		}
		dst = append(dst, message.Field{Name: text[l.name-from : l.colon-from], Value: text[l.value-from : l.end-from]})
	}
	return dst
}

// A lateHead has the fields of a request whose strings were not made yet. Its octets
// are borrowed while the handler learns of the request.
type lateHead struct {
	memo    *headMemo // has them, or nil
	block   []byte    // or else is where lines are
	lines   []fieldLine
	hops    []fieldLine // fields about the connection
	hopLate bool        // there are some, and their strings were not made
}

// AppendFields appends the fields to dst.
func (h *lateHead) AppendFields(dst []message.Field) []message.Field {
	if h.memo != nil {
		return append(dst, h.memo.fields...)
	}
	return appendLines(dst, h.block, h.lines)
}

// appendHop appends the fields about the connection to dst.
func (h *lateHead) appendHop(dst []message.Field) []message.Field {
	if h.memo != nil {
		return append(dst, h.memo.hop...)
	}
	return appendLines(dst, h.block, h.hops)
}

// emptied returns one without fields that has the memory of h, unless that is much.
func (h *lateHead) emptied() lateHead {
	if cap(h.lines)+cap(h.hops) > message.MaxKeptFields {
		return lateHead{}
	}
	return lateHead{lines: h.lines[:0], hops: h.hops[:0]}
}

// A fieldKind is what a field means to this package.
type fieldKind uint8

const (
	fieldOther fieldKind = iota
	fieldHost
	fieldLength    // Content-Length
	fieldCodings   // Transfer-Encoding
	fieldOptions   // Connection
	fieldUpgrade   //
	fieldHop       // about the connection, and of no meaning here: Keep-Alive, Proxy-Connection
	fieldTE        //
	fieldExpect    //
	fieldType      // Content-Type
	fieldSecret    // credentials: Cookie, Authorization, Proxy-Authorization
	fieldAnnounces // Trailer
)

// kindOf returns what a field of that name means.
func kindOf[S ~string | ~[]byte](name S) fieldKind {
	switch len(name) {
	case len("te"):
		if equalFold(name, "te") {
			return fieldTE
		}
	case len("host"):
		if equalFold(name, "host") {
			return fieldHost
		}
	case len("cookie"):
		switch {
		case equalFold(name, "cookie"):
			return fieldSecret
		case equalFold(name, "expect"):
			return fieldExpect
		}
	case len("upgrade"):
		switch {
		case equalFold(name, "upgrade"):
			return fieldUpgrade
		case equalFold(name, "trailer"):
			return fieldAnnounces
		}
	case len("connection"):
		switch {
		case equalFold(name, "connection"):
			return fieldOptions
		case equalFold(name, "keep-alive"):
			return fieldHop
		}
	case len("content-type"):
		if equalFold(name, "content-type") {
			return fieldType
		}
	case len("authorization"):
		if equalFold(name, "authorization") {
			return fieldSecret
		}
	case len("content-length"):
		if equalFold(name, "content-length") {
			return fieldLength
		}
	case len("proxy-connection"):
		if equalFold(name, "proxy-connection") {
			return fieldHop
		}
	case len("transfer-encoding"):
		if equalFold(name, "transfer-encoding") {
			return fieldCodings
		}
	case len("proxy-authorization"):
		if equalFold(name, "proxy-authorization") {
			return fieldSecret
		}
	}
	return fieldOther
}

// equalFold reports whether b is s, which is in lower case, but for the case of
// its letters.
func equalFold[S ~string | ~[]byte](b S, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i := range len(s) {
		o := b[i]
		if 'A' <= o && o <= 'Z' {
			o += 'a' - 'A'
		}
		if o != s[i] {
			return false
		}
	}
	return true
}

// trim returns b without white space at its ends.
func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}
