package main

import (
	"bytes"
	"strconv"
	"sync"

	"github.com/h2loop/h2loop/loop"
)

// addBench adds routes to measure, which take nothing but the public API.
func addBench(r *routeList) {
	const kind = "text/plain"
	filled := func(n int) []byte {
		return bytes.Repeat([]byte("h2loop measures itself with this, again and again and so forth.\n"), n/64)
	}
	// Whoever does not ask for it is not to hold it.
	ten := sync.OnceValue(func() loop.Handler { return loop.Static(200, kind, filled(10<<20)) })
	hello := loop.Static(200, kind, []byte("Hello, World!"))
	r.add("GET /bench/hello", "13 octets", hello)
	r.addAs("GET /bench/varied/{name}", "/bench/varied/any", "13 octets, by any name", hello)
	r.add("GET /bench/1k", "1 KiB", loop.Static(200, kind, filled(1<<10)))
	r.add("GET /bench/64k", "64 KiB", loop.Static(200, kind, filled(64<<10)))
	r.add("GET /bench/10m", "10 MiB", func(x *loop.Exchange) { ten()(x) })
	r.add("GET /bench/204", "no content", func(x *loop.Exchange) { _ = x.Send(204, nil) })
	r.add("POST /bench/upload", "counts the octets it is sent", countBody)
}

func countBody(x *loop.Exchange) {
	n := 0
	_ = x.OnBody(func(x *loop.Exchange, p []byte, end bool) {
		if n += len(p); end {
			_ = x.SendString(200, strconv.Itoa(n))
		}
	})
}
