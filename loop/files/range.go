package files

import (
	"math"
	"strings"
)

// A rangeVerdict says what to make of a Range field.
type rangeVerdict uint8

const (
	rangeIgnored rangeVerdict = iota // send the whole
	rangeOK
	rangeUnsatisfiable
)

// parseRange reads a Range field for a file of size octets, which is not 0. A
// field that is malformed, has another unit or asks for several ranges is
// ignored, as it may be (RFC 9110, Section 14.2).
func parseRange(field string, size int64) (span, rangeVerdict) {
	unit, set, ok := strings.Cut(field, "=")
	if !ok || !strings.EqualFold(strings.TrimSpace(unit), "bytes") {
		return span{}, rangeIgnored
	}
	spec := ""
	for elem := range strings.SplitSeq(set, ",") {
		elem = strings.Trim(elem, " \t")
		switch {
		case elem == "":
		case spec != "":
			return span{}, rangeIgnored
		default:
			spec = elem
		}
	}
	first, last, ok := strings.Cut(spec, "-")
	if !ok {
		return span{}, rangeIgnored
	}
	if first == "" {
		return parseSuffix(last, size)
	}
	start, ok := parsePosition(first)
	if !ok {
		return span{}, rangeIgnored
	}
	end := int64(math.MaxInt64)
	if last != "" {
		if end, ok = parsePosition(last); !ok || end < start {
			return span{}, rangeIgnored
		}
	}
	if start >= size {
		return span{}, rangeUnsatisfiable
	}
	end = min(end, size-1)
	return span{start, end - start + 1}, rangeOK
}

func parseSuffix(digits string, size int64) (span, rangeVerdict) {
	n, ok := parsePosition(digits)
	switch {
	case !ok:
		return span{}, rangeIgnored
	case n == 0:
		return span{}, rangeUnsatisfiable
	}
	n = min(n, size)
	return span{size - n, n}, rangeOK
}

// parsePosition reads digits; what is beyond any file becomes the largest
// number there is.
func parsePosition(s string) (n int64, ok bool) {
	if s == "" {
		return 0, false
	}
	for i := range len(s) {
		d := s[i] - '0'
		if d > 9 {
			return 0, false
		}
		if n > (math.MaxInt64-9)/10 {
			n = math.MaxInt64
			continue
		}
		n = n*10 + int64(d)
	}
	return n, true
}
