package main

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"time"
)

// stalledHandshakes sends a ClientHello and nothing more.
var stalledHandshakes = &attack{
	name: "stalled-handshakes", what: "a ClientHello, and silence, by the thousand", conns: 1000, over: overRawTLS,
	run: func(ctx context.Context, e *enemy) error {
		half := &halfConn{Conn: e.Conn, ctx: ctx}
		_ = tls.Client(half, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}).Handshake() //nolint:gosec // it attacks
		return nil
	},
}

// A halfConn has nothing to read until ctx ends or the peer ends the connection.
type halfConn struct {
	net.Conn
	ctx context.Context
}

func (c *halfConn) Read([]byte) (int, error) {
	var p [4096]byte
	for {
		if _, err := c.Conn.Read(p[:]); err != nil || c.ctx.Err() != nil {
			return 0, io.EOF
		}
	}
}

// handshakeFlood makes connections, and ends them when they are made.
var handshakeFlood = &attack{
	name: "handshake-flood", what: "whole TLS handshakes without end", over: overTLS, conns: 16,
	run: func(context.Context, *enemy) error { return nil },
}

// connectionFlood is like that, and asks for one thing each time.
var connectionFlood = &attack{
	name: "connection-flood", what: "connections over TLS for a request each", over: overTLS, conns: 16,
	run: func(ctx context.Context, e *enemy) error {
		if _, err := e.get("/bench/hello"); err != nil {
			return err
		}
		return e.wait(ctx, 20*time.Millisecond)
	},
}
