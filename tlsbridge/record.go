package tlsbridge

// MaxRecordPayload is the most plaintext that one record carries.
// RFC 8446, Section 5.1.
const MaxRecordPayload = 16384

const (
	recordHeaderLen = 5

	// recordOverhead is above what any cipher suite of crypto/tls adds to a
	// record: header 5, explicit IV 16, MAC 32, padding 16.
	recordOverhead = 72

	typeAlert     = 21
	typeHandshake = 22
)

// A recordCutter follows the record headers in the peer's bytes.
//
//	+------+---------+--------+------------------+
//	| Type | Version | Length | fragment [Length] |
//	|  (8) |  (16)   |  (16)  |                  |
//	+------+---------+--------+------------------+
//
// crypto/tls reads ahead as far as its buffer goes. Given at most one record
// at a time it never holds the beginning of the next, which would have to be
// moved to the front of the buffer and would make it grow to twice the size;
// the octets before the end of the handshake can be counted exactly; and when
// all input is read there is nothing left to ask it for.
type recordCutter struct {
	header uint8  // octets of the header that have gone by
	left   uint16 // octets of the fragment still to come, once header is whole
}

// cut returns how many octets at the start of in belong to the current record
// and counts them as read.
func (r *recordCutter) cut(in []byte) int {
	n := 0
	for r.header < recordHeaderLen {
		if n == len(in) {
			return n
		}
		r.left = r.left<<8 | uint16(in[n]) // the last two octets stay
		n++
		r.header++
	}
	m := min(int(r.left), len(in)-n)
	r.left -= uint16(m)
	if r.left == 0 {
		r.header = 0
	}
	return n + m
}

// isFirstRecord reports whether p, of any length, may be the start of the first
// record of a TLS client. An alert may: crypto/tls has an error for it. The
// version is what crypto/tls asks of a first record: anything below 16.0.
func isFirstRecord(p []byte) bool {
	if len(p) > 0 && p[0] != typeHandshake && p[0] != typeAlert {
		return false
	}
	return len(p) < 2 || p[1] < 0x10
}

// firstRecordLen returns how many octets of the first record are to be there
// before the handshake starts, as far as p, its beginning, tells.
//
// A record whose length is above the limit is not waited for: crypto/tls will
// refuse it.
func firstRecordLen(p []byte) int {
	if len(p) < recordHeaderLen {
		return recordHeaderLen
	}
	return recordHeaderLen + min(int(p[3])<<8|int(p[4]), MaxRecordPayload)
}
