// Package loop is an HTTP/2 server on an event loop, to be embedded.
//
//	srv, err := loop.New(loop.Config{
//		Listeners: []loop.Listener{{Address: ":8443", TLS: tlsConfig}, {Address: ":8080"}},
//	})
//	srv.Handle("GET /items/{id}", func(x *loop.Exchange) {
//		x.SendString(200, x.PathValue("id"))
//	})
//	srv.Handle("GET /logo", loop.Static(200, "image/png", logo))
//	err = srv.Run(ctx) // drains when ctx ends
//
// # Callbacks
//
// A callback runs on the event loop that owns the connection, and while it runs
// nothing else does on that loop: it must not block. What may block goes to a
// goroutine, by [Exchange.Async], and comes back with [Async.Do].
//
// An [Exchange] is one request and its response. It belongs to its loop; it is
// dead once the callback has returned, unless the callback took an [Async], or
// asked for the request body, or its response is still being sent.
//
// # Bodies
//
// A response body is given as regions, and who owns the octets is said by the
// verb: [Exchange.Send] copies them, [Exchange.SendStatic] references octets
// that never change, [Exchange.SendOwned] takes them and calls back once they
// are no longer needed. Bodies larger than memory are pulled from a [Source] as
// the peer takes them.
//
// # The ground
//
// The loops are gnet's; docs/ARCHITECTURE.md tells how they are used.
package loop
