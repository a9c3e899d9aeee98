package main

import (
	"context"

	"golang.org/x/net/http2"
)

// windowOverrun uploads far beyond the windows.
var windowOverrun = &attack{
	name: "window-overrun", what: "uploads that pay no heed to the windows",
	run: func(ctx context.Context, e *enemy) error {
		id, err := e.post()
		if err != nil {
			return err
		}
		p := make([]byte, 16384)
		for ctx.Err() == nil {
			if err := e.frame(http2.FrameData, 0, id, p); err != nil {
				return err
			}
		}
		return nil
	},
}
