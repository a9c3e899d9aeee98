package main

import (
	"context"
	"time"
)

// smuggling sends requests that a server in front and one behind would read in
// different ways. More than one answer means that what is smuggled was served.
var smuggling = &attack{
	name: "smuggling", what: "HTTP/1.1 requests of two minds about where they end", over: overRaw, never: "answers",
	run: func(_ context.Context, e *enemy) error {
		const inner = "GET /bench/hello HTTP/1.1\r\nHost: localhost\r\n\r\n"
		shapes := []string{
			"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner,
			"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + inner,
			"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + inner,
			"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + inner,
			"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner,
			"Content-Length: 3\r\nContent-Length: 0\r\n\r\n" + inner,
			"Content-Length: +0\r\n\r\n" + inner,
			"Content-Length: 0x0\r\n\r\n" + inner,
			"X: y\n\n" + inner,
			"X: y\r\n Z: w\r\nContent-Length: 0\r\n\r\n" + inner,
			"Transfer-Encoding: chunked\r\n\r\n0;\n\n" + inner,
			"Transfer-Encoding: chunked\r\n\r\n 0\r\n\r\n" + inner,
			"Transfer-Encoding: chunked\r\n\r\n-0\r\n\r\n" + inner,
			"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n" + inner,
		}
		_, _ = e.w.WriteString("POST /bench/upload HTTP/1.1\r\nHost: localhost\r\n" + shapes[e.n%len(shapes)])
		return e.answers(300 * time.Millisecond)
	},
}
