package files

import (
	"crypto/rand"
	"strings"
)

// A part is a piece of a file and what goes before it. A body that is one piece is
// a part with nothing before it.
type part struct {
	span
	lead []byte
}

// lengthOf returns the length of a body of parts.
func lengthOf(parts []part) (n int64) {
	for i := range parts {
		n += int64(len(parts[i].lead)) + parts[i].length
	}
	return n
}

const multipartType = "multipart/byteranges; boundary="

// multipartOf returns the parts of a multipart/byteranges body, and its content
// type (RFC 9110, Section 14.6).
func multipartOf(spans []span, size int64, kind string) (parts []part, contentType string) {
	// Nobody who writes the file can know what to put into it.
	boundary := rand.Text()
	for i, s := range spans {
		var b strings.Builder
		if i > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString("--" + boundary + "\r\ncontent-type: " + kind + "\r\ncontent-range: " + contentRange(s, size) + "\r\n\r\n")
		parts = append(parts, part{s, []byte(b.String())})
	}
	return append(parts, part{lead: []byte("\r\n--" + boundary + "--\r\n")}), multipartType + boundary
}

func contentRange(s span, size int64) string {
	return "bytes " + decimal(s.start) + "-" + decimal(s.end()-1) + "/" + decimal(size)
}
