package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"golang.org/x/net/http2"
)

// oversizeFrames announces frames of 16 MiB.
var oversizeFrames = &attack{
	name: "oversize-frames", what: "frames of 16 MiB",
	run: func(ctx context.Context, e *enemy) error {
		if err := e.header(1<<24-1, http2.FrameData, 0, 1); err != nil {
			return err
		}
		p := make([]byte, 16384)
		for ctx.Err() == nil {
			_, _ = e.w.Write(p)
			if err := e.flush(); err != nil {
				return err
			}
		}
		return nil
	},
}

// oversizeTarget asks for very long paths.
var oversizeTarget = &attack{
	name: "oversize-target", what: "paths of 15 000 octets, another each time",
	run: func(ctx context.Context, e *enemy) error {
		for i := 0; ctx.Err() == nil; i++ {
			if _, err := e.get(fmt.Sprint("/", i, strings.Repeat("/x", 5000))); err != nil {
				return err
			}
		}
		return nil
	},
}

// oversizeHead1 sends an HTTP/1.1 header section that does not end.
var oversizeHead1 = &attack{
	name: "oversize-head-http1", what: "HTTP/1.1 header sections of megabytes", over: overRaw,
	run: func(_ context.Context, e *enemy) error {
		_, _ = e.w.WriteString("GET / HTTP/1.1\r\nHost: localhost\r\n")
		for i := range 50_000 {
			if _, err := fmt.Fprintf(e.w, "X-%d: %s\r\n", i, "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv"); err != nil {
				break
			}
		}
		return e.answers(time.Second)
	},
}

// oversizeChunks sends chunks with sizes that overflow, and extensions without end.
var oversizeChunks = &attack{
	name: "chunks-http1", what: "HTTP/1.1 chunks of an octet, sizes that overflow, extensions without end", over: overRaw,
	run: func(_ context.Context, e *enemy) error {
		_, _ = e.w.WriteString("POST /bench/upload HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
		switch e.n % 3 {
		case 0:
			for range 100_000 {
				_, _ = e.w.WriteString("1\r\nx\r\n")
			}
		case 1:
			_, _ = e.w.WriteString("fffffffffffffffff\r\n")
		case 2:
			_, _ = e.w.WriteString("1;" + strings.Repeat("x=y;", 100_000) + "\r\nx\r\n")
		}
		_, _ = e.w.WriteString("0\r\n\r\n")
		return e.answers(time.Second)
	},
}
