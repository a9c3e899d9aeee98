package files

import (
	"path"
	"strings"
)

// A coding is a content coding that files may have.
type coding uint8

const (
	identity coding = iota
	brotli
	zstandard
	gzipped
	codings
)

var (
	codingNames = [codings]string{"identity", "br", "zstd", "gzip"}
	extensions  = [codings]string{"", ".br", ".zst", ".gz"}
)

func isCompressedName(name string) bool {
	switch path.Ext(name) {
	case ".br", ".zst", ".gz":
		return true
	default:
		return false
	}
}

// unlisted is the weight of what a field does not speak of.
const unlisted = -1

// preferences are what an Accept-Encoding field says: weights in thousandths.
type preferences struct {
	listed [codings]int16
	others int16 // the weight of "*"
}

// parseAcceptEncoding reads an Accept-Encoding field (RFC 9110, Section 12.5.3).
// Elements that are malformed do not count. The field has no weight for what it
// does not have: the first of several for a coding holds.
func parseAcceptEncoding(field string) preferences {
	p := preferences{others: unlisted}
	for i := range p.listed {
		p.listed[i] = unlisted
	}
	for field != "" {
		var elem string
		elem, field, _ = strings.Cut(field, ",")
		name, weight, hasWeight := strings.Cut(elem, ";")
		q := int16(1000)
		if hasWeight {
			var ok bool
			if q, ok = parseWeight(weight); !ok {
				continue
			}
		}
		if at := p.weightOf(strings.Trim(name, " \t")); at != nil && *at == unlisted {
			*at = q
		}
	}
	return p
}

func (p *preferences) weightOf(name string) *int16 {
	switch {
	case name == "*":
		return &p.others
	case strings.EqualFold(name, "x-gzip"): // RFC 9110, Section 8.4.1.3
		return &p.listed[gzipped]
	}
	for c := range codings {
		if strings.EqualFold(name, codingNames[c]) {
			return &p.listed[c]
		}
	}
	return nil
}

// parseWeight reads a weight in thousandths, what follows the semicolon
// (RFC 9110, Section 12.4.2).
func parseWeight(s string) (q int16, ok bool) {
	s = strings.Trim(s, " \t")
	if len(s) < 3 || s[0]|0x20 != 'q' || s[1] != '=' {
		return 0, false
	}
	s = s[2:]
	whole := s[0] - '0'
	if whole > 1 || len(s) > 5 || len(s) > 1 && s[1] != '.' {
		return 0, false
	}
	q = int16(whole) * 1000
	unit := int16(100)
	for i := 2; i < len(s); i++ {
		d := s[i] - '0'
		if d > 9 {
			return 0, false
		}
		q += int16(d) * unit
		unit /= 10
	}
	return q, q <= 1000
}

// rank says how welcome a coding is: 0 for not at all. Of codings that are equally
// welcome, the one that was named is better, and then the one that costs the least
// to send. "If the representation has no content coding, then it is acceptable by
// default unless specifically excluded". RFC 9110, Section 12.5.3. A client that
// takes anything has not asked for a coding: it gets none.
func (p *preferences) rank(c coding, made bool) int {
	const (
		step  = 32 // of a thousandth
		plain = 8  // above any cheapness
	)
	q := p.listed[c]
	switch {
	case q == 0, q == unlisted && p.others == 0:
		return 0
	case q == unlisted && c == identity:
		return max(int(p.others), 0)*step + plain
	case q == unlisted && p.others == unlisted:
		return 0
	case q == unlisted:
		return int(p.others)*step + cheapness(c, made)
	case c == identity:
		return int(q)*step + plain
	default:
		return int(q)*step + plain + 1 + cheapness(c, made)
	}
}

// cheapness says how little it costs to send what is equally welcome: what is
// there costs less than what is to be made, and then codings are in order.
func cheapness(c coding, made bool) int {
	n := int(codings - c)
	if !made {
		n += int(codings)
	}
	return n
}

// choose returns the representation of r that a client likes best, nil if it wants
// none that there is. What we make does not count if made is false.
func (r *resource) choose(field string, made bool) *rep {
	if field == "" {
		return r.reps[identity]
	}
	p := parseAcceptEncoding(field)
	var best *rep
	most := 0
	for c, rep := range r.reps {
		if rep == nil || rep.made && (!made || rep.useless.Load()) {
			continue
		}
		if rank := p.rank(coding(c), rep.made); rank > most {
			best, most = rep, rank
		}
	}
	return best
}
