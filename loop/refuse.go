package loop

import "fmt"

// refusePlaintext answers cleartext on a TLS port.
func (c *conn) refusePlaintext(first []byte) {
	c.refuse(first, "This port speaks HTTPS: use https:// (TLS) to reach it.\n")
}

// refuseProtocol answers what is not HTTP/2 where nothing else is spoken.
func (c *conn) refuseProtocol(first []byte) {
	c.refuse(first, "This port speaks HTTP/2 only.\n")
}

// methodLimit is how long a method may be. It is also what tlsbridge keeps of
// what is not TLS: to wait for more would be to wait in vain.
const methodLimit = 16

// refuse says in HTTP/1.1, if that is what the peer seems to speak, what it
// should do instead, and closes. If too little has come to know, it waits.
func (c *conn) refuse(first []byte, why string) {
	http1, sure := isHTTP1(first)
	if !sure && len(first) < methodLimit {
		return
	}
	if http1 {
		answer := fmt.Appendf(nil, "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"+
			"Content-Length: %d\r\nConnection: close\r\n\r\n%s", len(why), why)
		segs := [][]byte{answer}
		if c.bridge != nil && c.bridge.HandshakeComplete() {
			c.seal(segs)
		} else {
			c.wire.write(segs)
		}
	}
	c.finish()
}

// isHTTP1 reports whether b begins like a request line: a method, a space and
// a target (RFC 9112, Section 3). sure is false if that cannot be told yet.
func isHTTP1(b []byte) (yes, sure bool) {
	for i, o := range b {
		switch {
		case 'A' <= o && o <= 'Z':
			continue
		case o != ' ' || i == 0:
			return false, true
		case i+1 == len(b):
			return false, false
		default:
			next := b[i+1]
			return next == '/' || next == '*' || next == 'h', true
		}
	}
	return false, false
}
