package loop

import "fmt"

// refusePlaintext answers cleartext on a TLS port.
func (c *conn) refusePlaintext(first []byte) {
	c.refuse(first, "This port speaks HTTPS: use https:// (TLS) to reach it.\n")
}

// refuseProtocol answers what is not HTTP/2.
func (c *conn) refuseProtocol(first []byte) {
	c.refuse(first, "This port speaks HTTP/2 only: use a client that does, with prior knowledge on a cleartext port.\n")
}

// refuse says in HTTP/1.1, if that is what the peer seems to speak, what it
// should do instead, and closes.
func (c *conn) refuse(first []byte, why string) {
	if len(first) > 0 && 'A' <= first[0] && first[0] <= 'Z' {
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
