package main

import (
	"context"
	"time"
)

// refusedAndRetried opens more streams than it may, and opens them again when they
// are refused.
var refusedAndRetried = &attack{
	name: "refused-retried", what: "uploads beyond the limit of streams, opened again when they are refused",
	run: func(ctx context.Context, e *enemy) error {
		for ctx.Err() == nil {
			if _, err := e.post(); err != nil {
				return err
			}
			if e.next%512 == 1 {
				if err := e.flush(); err != nil {
					return err
				}
				time.Sleep(time.Millisecond)
			}
		}
		return nil
	},
}
