package files

import (
	"math"
	"slices"
	"strings"
)

// A rangeVerdict says what to make of a Range field.
type rangeVerdict uint8

const (
	rangeIgnored rangeVerdict = iota // send the whole
	rangeOK
	rangeUnsatisfiable
)

// A span is a part of a file.
type span struct{ start, length int64 }

func (s span) end() int64 { return s.start + s.length }

const (
	// maxRanges is how many ranges one request may have before they are
	// ignored: players and readers of documents ask for a few, and each costs
	// a read. "A server MAY ignore the Range header field." RFC 9110,
	// Section 14.2.
	maxRanges = 64

	// partOverhead is about what stands before each part of a multipart body.
	// "When multiple ranges are requested, a server MAY coalesce any of the
	// ranges that overlap, or that are separated by a gap that is smaller than
	// the overhead of sending multiple parts". RFC 9110, Section 15.3.7.2.
	partOverhead = 128
)

// parseRanges reads a Range field for a file of size octets, which is not 0. A
// field that is malformed, has another unit or asks for more than maxRanges is
// ignored, as it may be (RFC 9110, Section 14.2). The spans it returns neither
// overlap nor touch, and are in the order in which they were asked for: that of
// the first of them, where several have become one.
func parseRanges(field string, size int64) ([]span, rangeVerdict) {
	unit, set, ok := strings.Cut(field, "=")
	if !ok || !strings.EqualFold(strings.TrimSpace(unit), "bytes") {
		return nil, rangeIgnored
	}
	var spans []span
	n := 0
	for elem := range strings.SplitSeq(set, ",") {
		elem = strings.Trim(elem, " \t")
		if elem == "" {
			continue
		}
		if n++; n > maxRanges {
			return nil, rangeIgnored
		}
		s, verdict := parseRange(elem, size)
		switch verdict {
		case rangeIgnored:
			return nil, rangeIgnored
		case rangeOK:
			spans = join(spans, s)
		case rangeUnsatisfiable: // the others may be
		}
	}
	switch {
	case n == 0:
		return nil, rangeIgnored
	case len(spans) == 0:
		return nil, rangeUnsatisfiable
	}
	return spans, rangeOK
}

// join adds s to spans, and makes one of those that are not worth parts of their
// own.
func join(spans []span, s span) []span {
	at := len(spans)
	for i := 0; i < len(spans); i++ {
		if spans[i].start > s.end()+partOverhead || s.start > spans[i].end()+partOverhead {
			continue
		}
		start, end := min(s.start, spans[i].start), max(s.end(), spans[i].end())
		s = span{start, end - start}
		at = min(at, i)
		spans = slices.Delete(spans, i, i+1)
		i = -1 // what has grown may touch those that were passed
	}
	return slices.Insert(spans, at, s)
}

// parseRange reads one range.
func parseRange(spec string, size int64) (span, rangeVerdict) {
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
