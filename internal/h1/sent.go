package h1

import "github.com/h2loop/h2loop/internal/message"

// A sentMemo is the beginning of a header section that was sent before: the status
// line and the fields of the application. Those who give the same answer again and
// again have them validated and encoded once for each Date.
type sentMemo struct {
	status int
	fields []message.Field // as given
	octets []byte
	length int64 // of the content-length among them, or -1
	missed uint8 // how often another was looked for here
}

// sentMemos are those of a loop. One has one place where it may be.
type sentMemos [16]sentMemo

const (
	maxSentFields = 16
	maxSentOctets = 1 << 10

	// keepMissed is how often a place is missed until what is sent then is kept:
	// answers that are never the same should not pay for it each time.
	keepMissed = 4
)

// place returns where the section may be.
func (m *sentMemos) place(status int, fields []message.Field) *sentMemo {
	n := uint(status)
	for i := range fields {
		n += uint(len(fields[i].Name) + len(fields[i].Value))
	}
	return &m[n%uint(len(m))]
}

// is reports whether m is that section. Most often the strings are those that it was
// made of, which takes no look at their octets.
func (m *sentMemo) is(status int, fields []message.Field) bool {
	if m.status != status || len(m.fields) != len(fields) {
		return false
	}
	for i := range fields {
		if m.fields[i].Value != fields[i].Value || m.fields[i].Name != fields[i].Name {
			return false
		}
	}
	return true
}

// keep remembers a section now and then, unless it is large or has a cookie.
func (m *sentMemo) keep(status int, fields []message.Field, octets []byte, length int64) {
	if m.missed++; m.missed < keepMissed || len(fields) > maxSentFields || len(octets) > maxSentOctets {
		return
	}
	for i := range fields {
		if fields[i].Name == "set-cookie" {
			return
		}
	}
	*m = sentMemo{
		status: status,
		fields: append(m.fields[:0], fields...),
		octets: append(m.octets[:0], octets...),
		length: length,
	}
}
