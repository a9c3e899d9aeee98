package main

import (
	"context"
	"time"
)

// manyConnects connects and closes.
var manyConnects = &attack{
	name: "connects", what: "connections that are closed when they are made", over: overRaw, conns: 100,
	run: func(context.Context, *enemy) error { return nil },
}

// silentConnects makes as many connections as it can have, and says nothing: the
// server's descriptors are what it is after.
var silentConnects = &attack{
	name: "silent-connects", what: "some 15 000 connections that say nothing", over: overRaw, conns: 15_000,
	run: func(ctx context.Context, e *enemy) error { return e.wait(ctx, time.Minute) },
}
