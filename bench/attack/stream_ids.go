package main

import (
	"context"
	"time"
)

// streamIDs opens streams with identifiers that are even, too low, or the last.
var streamIDs = &attack{
	name: "stream-ids", what: "streams that are even, go back, or are the last there is",
	run: func(ctx context.Context, e *enemy) error {
		ids := []uint32{2, 1, 5, 3, 1<<31 - 1, 7, 0}
		e.next = ids[e.n%len(ids)]
		for i := 0; ctx.Err() == nil && i < 100; i++ {
			if _, err := e.get("/bench/hello"); err != nil {
				return err
			}
			e.next = ids[(e.n+i)%len(ids)]
		}
		return e.wait(ctx, 50*time.Millisecond)
	},
}
