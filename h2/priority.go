package h2

import (
	"strings"

	"github.com/h2loop/h2loop/frames"
)

const (
	numUrgencies   = 8 // levels, 0 to 7 (RFC 9218, Section 4.1)
	defaultUrgency = 3
)

// A priority is what RFC 9218 says of a response.
type priority struct {
	urgency     uint8 // 0 is the most urgent
	incremental bool
}

// rank returns how urgent p is, from 1 for the least.
func (p priority) rank() uint8 { return numUrgencies - p.urgency }

// unsignalled is the priority of a stream that came without any signal. The
// RFC's default is not incremental; but clients that say nothing are mostly
// those that share one connection among users, and one endless answer must
// not starve the others.
var unsignalled = priority{urgency: defaultUrgency, incremental: true}

// parsePriority reads a Priority field value, a dictionary of Structured
// Fields of which u and i count (RFC 9218, Section 4). What is absent,
// unknown or out of range has no effect. It reports false if v is malformed.
func parsePriority(v string) (p priority, ok bool) {
	p = priority{urgency: defaultUrgency}
	for {
		v = trimLeft(v)
		if v == "" {
			return p, true
		}
		key, rest := cutKey(v)
		if key == "" {
			return p, false
		}
		value, isTrue := "", true
		if rest != "" && rest[0] == '=' {
			isTrue = false
			value, rest = cutMember(rest[1:])
		} else {
			_, rest = cutMember(rest) // parameters of a bare key
		}
		// The last of several members with one key counts, and counts as
		// absent if it makes no sense (RFC 8941, Section 4.2.2).
		switch key {
		case "u":
			p.urgency = parseUrgency(value)
		case "i":
			p.incremental = isTrue || value == "?1"
		}
		if rest == "" {
			return p, true
		}
		v = rest[1:] // behind the comma
	}
}

// parseUrgency reads a Structured Fields integer (RFC 8941, Section 3.3.1), or
// what it makes of anything else: the default.
func parseUrgency(s string) uint8 {
	digits := strings.TrimPrefix(s, "-")
	if digits == "" || len(digits) > 15 {
		return defaultUrgency
	}
	for len(digits) > 1 && digits[0] == '0' {
		digits = digits[1:]
	}
	if len(digits) > 1 || digits[0] < '0' || digits[0] >= '0'+numUrgencies {
		return defaultUrgency
	}
	if digits != "0" && s[0] == '-' {
		return defaultUrgency
	}
	return digits[0] - '0'
}

func trimLeft(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	return s
}

// cutKey cuts a dictionary key off s (RFC 8941, Section 3.1.2).
func cutKey(s string) (key, rest string) {
	i := 0
	for i < len(s) && isKeyOctet(s[i], i == 0) {
		i++
	}
	return s[:i], s[i:]
}

func isKeyOctet(b byte, first bool) bool {
	switch {
	case 'a' <= b && b <= 'z', b == '*':
		return true
	case '0' <= b && b <= '9', b == '_', b == '-', b == '.':
		return !first
	default:
		return false
	}
}

// cutMember cuts a member's value off s, and drops its parameters. A quoted
// string may hold commas. The rest is empty or begins with the comma.
func cutMember(s string) (value, rest string) {
	end, quoted := -1, false
	i := 0
	for ; i < len(s); i++ {
		switch b := s[i]; {
		case quoted && b == '\\':
			i++
		case b == '"':
			quoted = !quoted
		case quoted:
		case b == ',':
			if end < 0 {
				end = i
			}
			return trimRight(s[:end]), s[i:]
		case b == ';' && end < 0:
			end = i
		}
	}
	if end < 0 {
		end = len(s)
	}
	return trimRight(s[:end]), ""
}

func trimRight(s string) string {
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// An earlyPriority is a PRIORITY_UPDATE that overtook its HEADERS.
type earlyPriority struct {
	id frames.StreamID
	p  priority
}

func (c *Conn) recvPriorityUpdate(h frames.Header, payload []byte) error {
	f, err := frames.ParsePriorityUpdate(h, payload)
	if err != nil {
		return err
	}
	p, ok := parsePriority(string(f.FieldValue))
	if !ok {
		return c.recvUseless()
	}
	if s := c.streams.get(f.PrioritizedStreamID); s != nil {
		if s.priority == p {
			return c.recvUseless()
		}
		if s.changes++; s.changes > maxPriorityChanges {
			s.changes = maxPriorityChanges
			if err := c.recvUseless(); err != nil {
				return err
			}
		}
		waiting := s.list != nil && s.list != &c.parked
		if waiting {
			c.sched.remove(s, &c.parked, c.shared)
		}
		s.priority = p
		if waiting {
			c.sched.push(s, c.shared)
		}
		return nil
	}
	if f.PrioritizedStreamID&1 == 0 {
		// We push nothing, so an even stream is idle for ever.
		// RFC 9218, Section 7.1.
		return frames.ConnError{Code: frames.ErrCodeProtocol, Reason: "PRIORITY_UPDATE for a push stream that does not exist", Section: "RFC 9218, Section 7.1"}
	}
	if !c.isIdle(f.PrioritizedStreamID) {
		return c.recvUseless()
	}
	if len(c.early) == maxEarlyPriorities {
		copy(c.early, c.early[1:])
		c.early = c.early[:maxEarlyPriorities-1]
	}
	c.early = append(c.early, earlyPriority{id: f.PrioritizedStreamID, p: p})
	return c.recvUseless()
}

// setPriority gives a new stream the priority its peer asked for: the latest
// PRIORITY_UPDATE that came before, else its Priority field.
func (c *Conn) setPriority(s *Stream, field string, signalled bool) {
	s.priority = unsignalled
	if signalled {
		if p, ok := parsePriority(field); ok {
			s.priority = p
		}
	}
	if len(c.early) == 0 {
		return
	}
	kept := c.early[:0]
	for _, e := range c.early {
		switch {
		case e.id == s.id:
			s.priority = e.p
		case e.id > s.id:
			kept = append(kept, e)
		}
	}
	c.early = kept
}
