package accesslog

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/h2loop/h2loop/loop"
)

// A Format is how a line looks.
type Format uint8

const (
	JSON     Format = iota // an object, as zerolog writes it
	Common                 // Apache's "common"
	Combined               // Apache's "combined": with Referer and User-Agent
)

var formatNames = [...]string{"json", "common", "combined"}

// UnmarshalText makes f the format of that name.
func (f *Format) UnmarshalText(name []byte) error {
	for i, n := range formatNames {
		if n == string(name) {
			*f = Format(i)
			return nil
		}
	}
	return fmt.Errorf("%q: it must be json, common or combined", name)
}

// String returns the name of f.
func (f Format) String() string { return formatNames[f] }

// maxText is how many octets of a text of the peer's a line has; escaped, they may be
// six times as many. maxLine is more than a line ever has.
const (
	maxText = 2 << 10
	maxLine = 128 << 10
)

// cut returns what a line has of s.
func cut(s string) string {
	if len(s) > maxText {
		return s[:maxText]
	}
	return s
}

// A clock remembers the text of the current second.
type clock struct {
	second int64
	apache []byte
	iso    []byte // without the fraction
}

func (c *clock) set(now time.Time) {
	if s := now.Unix(); s != c.second || c.iso == nil {
		c.second = s
		c.iso = now.UTC().AppendFormat(c.iso[:0], "2006-01-02T15:04:05")
		c.apache = now.AppendFormat(c.apache[:0], "02/Jan/2006:15:04:05 -0700")
	}
}

// append appends a line about x.
func (f Format) append(b []byte, c *clock, x *loop.Exchange, d *loop.RequestInfo) []byte {
	now := time.Now()
	c.set(now)
	if f == JSON {
		return appendJSON(b, c, now, x, d)
	}
	return f.appendApache(b, c, x, d)
}

func appendJSON(b []byte, c *clock, now time.Time, x *loop.Exchange, d *loop.RequestInfo) []byte {
	b = append(b, `{"level":"info"`...)
	if a := x.RemoteAddr(); a.IsValid() {
		b = append(b, `,"remote":"`...)
		b = append(netip.AddrPortFrom(withoutZone(a.Addr()), a.Port()).AppendTo(b), '"')
	}
	b = appendMember(b, "method", x.Method())
	b = append(b, `,"target":"`...)
	path, query := target(x)
	b = appendEscaped(b, cut(path))
	if query != "" {
		b = appendEscaped(append(b, '?'), cut(query))
	}
	b = append(b, '"')
	b = appendMember(b, "protocol", x.Proto())
	b = appendMember(b, "host", x.Host())
	b = strconv.AppendInt(append(b, `,"status":`...), int64(d.Status), 10)
	b = strconv.AppendInt(append(b, `,"received":`...), d.Received, 10)
	b = strconv.AppendInt(append(b, `,"sent":`...), d.Sent, 10)
	b = append(b, `,"duration_ms":`...)
	b = strconv.AppendFloat(b, float64(d.Duration.Microseconds())/1000, 'f', 3, 64)
	b = appendMember(b, "referer", x.Header("referer"))
	b = appendMember(b, "user_agent", x.Header("user-agent"))
	if s := x.TLS(); s != nil {
		b = appendMember(b, "tls", tlsName(s.Version))
		b = strconv.AppendBool(append(b, `,"resumed":`...), s.DidResume)
	}
	b = appendMember(b, "pattern", x.Pattern())
	if d.Err != nil {
		b = appendMember(b, "error", d.Err.Error())
	}
	b = append(append(b, `,"time":"`...), c.iso...)
	ms := now.Nanosecond() / 1e6
	b = append(b, '.', '0'+byte(ms/100), '0'+byte(ms/10%10), '0'+byte(ms%10))
	return append(b, "Z\",\"message\":\"request\"}\n"...)
}

// target returns what the request is for: a path and a query, or an authority.
func target(x *loop.Exchange) (path, query string) {
	if path = x.Path(); path == "" {
		return x.Host(), "" // CONNECT
	}
	return path, x.RawQuery()
}

// tlsName is [tls.VersionName] without an allocation.
func tlsName(v uint16) string {
	switch v {
	case tls.VersionTLS13:
		return "1.3"
	case tls.VersionTLS12:
		return "1.2"
	default:
		return tls.VersionName(v)
	}
}

// appendMember appends a member of an object, unless it is empty.
func appendMember(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	b = append(append(append(b, `,"`...), name...), `":"`...)
	return append(appendEscaped(b, cut(value)), '"')
}

const hex = "0123456789abcdef"

// appendEscaped appends s as the inside of a JSON string. What a terminal would not
// show is escaped: line ends, escape sequences, the control characters of C1 (which
// some terminals obey), and what changes the direction of text.
func appendEscaped(b []byte, s string) []byte {
	plain := 0 // s[plain:i] needs nothing
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			i++
			if c >= ' ' && c < 0x7f && c != '"' && c != '\\' {
				continue
			}
			b = append(b, s[plain:i-1]...)
			plain = i
			if c == '"' || c == '\\' {
				b = append(b, '\\', c)
			} else {
				b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			}
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if (r != utf8.RuneError || n > 1) && unicode.IsPrint(r) {
			i += n
			continue
		}
		b = append(b, s[plain:i]...)
		i += n
		plain = i
		if r == utf8.RuneError && n == 1 {
			b = append(b, `\ufffd`...)
			continue
		}
		for _, u := range utf16Units(r) {
			if u != 0 {
				b = append(b, '\\', 'u', hex[u>>12], hex[u>>8&15], hex[u>>4&15], hex[u&15])
			}
		}
	}
	return append(b, s[plain:]...)
}

// utf16Units returns r in UTF-16: the second unit is 0 if there is one only.
func utf16Units(r rune) [2]uint16 {
	if r < 0x10000 {
		return [2]uint16{uint16(r), 0}
	}
	r -= 0x10000
	return [2]uint16{0xd800 + uint16(r>>10), 0xdc00 + uint16(r&0x3ff)}
}

// appendApache appends what Apache's LogFormat "%h %l %u %t \"%r\" %>s %b" gives, and
// for combined \"%{Referer}i\" \"%{User-Agent}i\" too.
func (f Format) appendApache(b []byte, c *clock, x *loop.Exchange, d *loop.RequestInfo) []byte {
	if a := x.RemoteAddr(); a.IsValid() {
		b = withoutZone(a.Addr()).AppendTo(b)
	} else {
		b = append(b, '-')
	}
	b = append(append(append(b, " - - ["...), c.apache...), `] "`...)
	b = append(appendRequestLine(b, x), `" `...)
	b = appendNumber(b, int64(d.Status))
	b = appendNumber(append(b, ' '), d.Sent)
	if f == Combined {
		b = append(appendApacheField(append(b, ` "`...), x.Header("referer")), '"')
		b = append(appendApacheField(append(b, ` "`...), x.Header("user-agent")), '"')
	}
	return append(b, '\n')
}

// appendRequestLine appends the first line of the request, or "-" for what was none.
func appendRequestLine(b []byte, x *loop.Exchange) []byte {
	if x.Method() == "" {
		return append(b, '-')
	}
	b = append(appendApacheText(b, x.Method()), ' ')
	path, query := target(x)
	b = appendApacheText(b, path)
	if query != "" {
		b = appendApacheText(append(b, '?'), query)
	}
	return append(append(b, ' '), x.Proto()...)
}

func withoutZone(a netip.Addr) netip.Addr { return a.WithZone("") }

// appendNumber appends n, or "-" if it is 0, as Apache does.
func appendNumber(b []byte, n int64) []byte {
	if n == 0 {
		return append(b, '-')
	}
	return strconv.AppendInt(b, n, 10)
}

func appendApacheField(b []byte, s string) []byte {
	if s == "" {
		return append(b, '-')
	}
	return appendApacheText(b, s)
}

// appendApacheText appends s as Apache does: quotes and backslashes behind a backslash,
// and what is not printable ASCII in hexadecimal.
func appendApacheText(b []byte, s string) []byte {
	s = cut(s)
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ' || c >= 0x7f:
			b = append(b, '\\', 'x', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return b
}
