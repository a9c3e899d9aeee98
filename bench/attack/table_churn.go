package main

import (
	"context"
	"fmt"

	"golang.org/x/net/http2"
)

// tableChurn has each request put new fields into the table, and drop others.
var tableChurn = &attack{
	name: "table-churn", what: "fields that are new in each request, so that the HPACK table turns over",
	run: func(ctx context.Context, e *enemy) error {
		for i := 0; ctx.Err() == nil; i++ {
			var fields []string
			for j := range 40 {
				fields = append(fields, fmt.Sprintf("x-%d-%d", i, j), fmt.Sprint(i*j))
			}
			if _, err := e.get("/bench/hello", fields...); err != nil {
				return err
			}
		}
		return nil
	},
}

// tableSize has the server change the size of its table all the time.
var tableSize = &attack{
	name: "table-size", what: "SETTINGS_HEADER_TABLE_SIZE up and down before each request",
	run: func(ctx context.Context, e *enemy) error {
		for i := uint32(0); ctx.Err() == nil; i++ {
			if err := e.fr.WriteSettings(http2.Setting{ID: http2.SettingHeaderTableSize, Val: i % 2 * 4096}); err != nil {
				return err
			}
			if _, err := e.get("/bench/hello"); err != nil {
				return err
			}
		}
		return nil
	},
}
