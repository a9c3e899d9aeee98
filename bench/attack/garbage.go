package main

import (
	"context"
	"crypto/tls"
	"math/rand/v2"
	"time"
)

// garbageOnTLS sends what is no TLS.
var garbageOnTLS = &attack{
	name: "garbage-on-tls", what: "octets by chance to the TLS port", over: overRawTLS, conns: 16,
	run: sendGarbage,
}

// garbage sends what is no HTTP.
var garbage = &attack{
	name: "garbage", what: "octets by chance to the cleartext port", over: overRaw, conns: 16,
	run: sendGarbage,
}

func sendGarbage(_ context.Context, e *enemy) error {
	p := make([]byte, 1+rand.IntN(4000))
	for i := range p {
		p[i] = byte(rand.Uint32())
	}
	_, _ = e.w.Write(p)
	return e.answers(time.Second)
}

// plainOnTLS speaks HTTP where TLS is spoken.
var plainOnTLS = &attack{
	name: "plain-on-tls", what: "HTTP/1.1 in cleartext to the TLS port", over: overRawTLS, conns: 16,
	run: func(_ context.Context, e *enemy) error {
		_, _ = e.w.WriteString("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
		return e.answers(time.Second)
	},
}

// renegotiation has a ClientHello come again, and record types that do not belong,
// where application data is due.
var renegotiation = &attack{
	name: "handshake-in-data", what: "handshake records, alerts and heartbeats on a TLS connection that is open", over: overTLS,
	run: func(ctx context.Context, e *enemy) error {
		raw := e.Conn.(*tls.Conn).NetConn() //nolint:forcetypeassert // over TLS it is one
		for _, kind := range []byte{0x16, 0x15, 0x14, 0x18, 0x17} {
			if _, err := raw.Write(append([]byte{kind, 3, 3, 0, 40}, make([]byte, 40)...)); err != nil {
				return err
			}
		}
		return e.wait(ctx, time.Second)
	},
}
