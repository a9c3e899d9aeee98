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
// nothing else does on that loop: it must not block. What may block is registered
// with [Server.HandleBlocking], which runs it on a goroutine, a bounded number at a
// time; or it goes to a goroutine of its own, by [Exchange.Async], and comes back
// with [Async.Do], or takes an exchange along with [Exchange.OffLoop].
//
// What is written for net/http is served by [Server.HandleHTTP]: any http.Handler,
// on a goroutine for each request.
//
// [Middleware] runs before callbacks of each kind, for the whole server
// ([Server.Use]), for the routes below a path ([Server.Group]) or for one route.
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
// the peer takes them, or pushed: with a [Stream] on the loop, which takes what
// there is room for and tells when there is more, with a [Writer] off it, which
// waits.
//
// A request body that nobody asks for is thrown away. [Exchange.ReadBody] gathers
// it, [Exchange.OnBody] hands it on as it comes, and lends each piece for the call;
// [Exchange.BodyReader] is for goroutines. A body is held up, and with it the
// client, by [Exchange.PauseBody] and by not reading.
//
// # The end of an exchange
//
// A client may reset a request, or leave, at any time. Whoever holds an [Async] is
// given a nil exchange then, or ErrClosed; [Exchange.Context] ends, and
// [Exchange.OnAbort] tells. None of them has to be minded for the server's sake.
//
// On the loop, an exchange that is used after it is dead may be that of another
// request: tests find such mistakes with [Config.DebugExchanges], which
// package looptest sets.
//
// # The ground
//
// The loops are gnet's; docs/ARCHITECTURE.md tells how they are used.
package loop
