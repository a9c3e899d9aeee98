package h2

import "strings"

// A strictParser reads a dictionary as the algorithms of RFC 8941, Section 4.2
// do, step by step.
type strictParser struct{ s string }

// strictPriority returns what a valid dictionary says of u and i.
func strictPriority(v string) (priority, bool) {
	p := &strictParser{strings.TrimLeft(v, " ")}
	members := map[string]string{} // bare items as written; inner lists as "("
	for p.s != "" {
		key, ok := p.key()
		if !ok {
			return priority{}, false
		}
		value := "?1"
		if p.eat('=') {
			if value, ok = p.itemOrList(); !ok {
				return priority{}, false
			}
		} else if !p.parameters() {
			return priority{}, false
		}
		members[key] = value
		p.s = strings.TrimLeft(p.s, " \t")
		if p.s == "" {
			break
		}
		if !p.eat(',') {
			return priority{}, false
		}
		p.s = strings.TrimLeft(p.s, " \t")
		if p.s == "" {
			return priority{}, false
		}
	}
	pr := priority{urgency: 3, incremental: members["i"] == "?1"}
	if u := members["u"]; u != "" && strings.Trim(u, "-0123456789") == "" {
		n := 0
		for _, c := range strings.TrimPrefix(u, "-") {
			n = min(n*10+int(c-'0'), 100)
		}
		if u[0] == '-' {
			n = -n
		}
		if n >= 0 && n <= 7 {
			pr.urgency = uint8(n)
		}
	}
	return pr, true
}

func (p *strictParser) peek() byte {
	if p.s == "" {
		return 0
	}
	return p.s[0]
}

func (p *strictParser) eat(b byte) bool {
	if p.s == "" || p.s[0] != b {
		return false
	}
	p.s = p.s[1:]
	return true
}

// take cuts off the longest start of octets in set.
func (p *strictParser) take(set string) string {
	n := 0
	for n < len(p.s) && strings.IndexByte(set, p.s[n]) >= 0 {
		n++
	}
	taken := p.s[:n]
	p.s = p.s[n:]
	return taken
}

const (
	lower  = "abcdefghijklmnopqrstuvwxyz"
	upper  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits = "0123456789"
)

func (p *strictParser) key() (string, bool) {
	if b := p.peek(); b != '*' && (b < 'a' || b > 'z') {
		return "", false
	}
	return p.take(lower + digits + "_-.*"), true
}

func (p *strictParser) parameters() bool {
	for p.eat(';') {
		p.take(" ")
		if _, ok := p.key(); !ok {
			return false
		}
		if p.eat('=') {
			if _, ok := p.bareItem(); !ok {
				return false
			}
		}
	}
	return true
}

func (p *strictParser) itemOrList() (string, bool) {
	if !p.eat('(') {
		v, ok := p.bareItem()
		return v, ok && p.parameters()
	}
	for {
		p.take(" ")
		if p.eat(')') {
			return "(", p.parameters()
		}
		if _, ok := p.bareItem(); !ok || !p.parameters() {
			return "", false
		}
		if b := p.peek(); b != ' ' && b != ')' {
			return "", false
		}
	}
}

func (p *strictParser) bareItem() (string, bool) {
	switch b := p.peek(); {
	case b == '-' || b >= '0' && b <= '9':
		return p.number()
	case b == '"':
		return p.quoted()
	case b == '*' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z':
		return p.take(lower + upper + digits + "!#$%&'*+-.^_`|~:/"), true
	case b == ':':
		p.eat(':')
		v := p.take(lower + upper + digits + "+/=")
		return ":" + v, p.eat(':')
	case b == '?':
		p.eat('?')
		v := p.peek()
		return "?" + string(rune(v)), p.eat('0') || p.eat('1')
	default:
		return "", false
	}
}

func (p *strictParser) number() (string, bool) {
	sign := ""
	if p.eat('-') {
		sign = "-"
	}
	whole := p.take(digits)
	if whole == "" {
		return "", false
	}
	if p.peek() != '.' {
		return sign + whole, len(whole) <= 15
	}
	p.eat('.')
	part := p.take(digits)
	return sign + whole + "." + part, len(whole) <= 12 && len(part) >= 1 && len(part) <= 3
}

func (p *strictParser) quoted() (string, bool) {
	p.eat('"')
	for p.s != "" {
		b := p.s[0]
		p.s = p.s[1:]
		switch {
		case b == '\\':
			if !p.eat('"') && !p.eat('\\') {
				return "", false
			}
		case b == '"':
			return `"`, true
		case b < 0x20 || b > 0x7e:
			return "", false
		}
	}
	return "", false
}
