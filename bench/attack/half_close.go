package main

import (
	"context"
	"net"
	"time"

	"golang.org/x/net/http2"
)

// halfClose asks, and closes its half before the answer.
var halfClose = &attack{
	name: "half-close", what: "a request for a large body, and a FIN behind it", over: overRaw, conns: 32,
	run: func(_ context.Context, e *enemy) error {
		_, _ = e.w.WriteString("GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if err := e.w.Flush(); err != nil {
			return err
		}
		if c, ok := e.Conn.(counted).Conn.(*net.TCPConn); ok {
			_ = c.CloseWrite()
		}
		return e.answers(time.Second)
	},
}

// abortMidway resets the connection in the middle of large answers.
var abortMidway = &attack{
	name: "abort-midway", what: "large bodies, and a TCP reset in the middle of them", over: overH2C, conns: 16,
	settings: []http2.Setting{{ID: http2.SettingInitialWindowSize, Val: 1 << 30}}, credit: 1 << 30,
	run: func(ctx context.Context, e *enemy) error {
		for range 20 {
			if _, err := e.get("/large"); err != nil {
				return err
			}
		}
		err := e.wait(ctx, 30*time.Millisecond)
		if c, ok := e.Conn.(counted).Conn.(*net.TCPConn); ok {
			_ = c.SetLinger(0)
		}
		return err
	},
}
