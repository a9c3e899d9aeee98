package loop

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/h2loop/h2loop/internal/message"
)

// refusePlaintext answers cleartext on a TLS port.
func (c *conn) refusePlaintext(first []byte) {
	c.refuse(first, "This port speaks HTTPS: use https:// (TLS) to reach it.\n", errNotTLS)
}

// refuseProtocol answers what is not HTTP/2 where nothing else is spoken.
func (c *conn) refuseProtocol(first []byte) {
	c.refuse(first, "This port speaks HTTP/2 only.\n", errNotHTTP2)
}

// What hooks are told of these.
var (
	errNotTLS   = errors.New("loop: HTTP in cleartext where TLS is spoken")
	errNotHTTP2 = errors.New("loop: HTTP/1.1 where HTTP/2 alone is spoken")
)

// methodLimit is how long a method may be. It is also what tlsbridge keeps of
// what is not TLS: to wait for more would be to wait in vain.
const methodLimit = 16

// refuse says in HTTP/1.1, if that is what the peer seems to speak, what it
// should do instead, and closes. If too little has come to know, it waits.
func (c *conn) refuse(first []byte, why string, err error) {
	http1, sure := isHTTP1(first)
	if !sure && len(first) < methodLimit {
		return
	}
	if !c.finishing {
		c.loop.figures.Refused++
	}
	if http1 {
		answer := fmt.Appendf(nil, "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"+
			"Content-Length: %d\r\nConnection: close\r\n\r\n%s", len(why), why)
		segs := [][]byte{answer}
		if c.bridge != nil && c.bridge.HandshakeComplete() {
			c.seal(segs)
		} else {
			c.write(segs, len(answer))
		}
		c.tellRefused(&noRequest, http11, RequestInfo{Status: 400, Sent: int64(len(why)), Err: err})
	}
	c.finish()
}

// isHTTP1 reports whether b begins like a request: a method, which is a token, a
// space and a target (RFC 9112, Section 3), behind empty lines if there are any
// (Section 2.2). sure is false if that cannot be told yet.
func isHTTP1(b []byte) (yes, sure bool) {
	b = bytes.TrimLeft(b, "\r\n")
	i := bytes.IndexByte(b, ' ')
	switch {
	case i < 0:
		return false, len(b) > 0 && !message.IsToken(b)
	case !message.IsToken(b[:i]):
		return false, true
	case i+1 == len(b):
		return false, false
	case string(b[:i]) == "CONNECT":
		return true, true
	default:
		next := b[i+1]
		return next == '/' || next == '*' || next == 'h' || next == 'H', true
	}
}
