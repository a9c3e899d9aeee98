package loop

import (
	"fmt"
	"net"
	"net/http"
)

// HandleHTTP registers an [http.Handler] for pattern, as [Server.Handle] does, with
// middleware, which runs on the loop before; what that has set of the response is in
// the Header that h gets. Whatever is written for net/http is served like this: a
// ServeMux or another router, a file server, a reverse proxy, grpc-go's server.
//
// Each call of h has a goroutine of its own, for as long as it likes: there may be as
// many as the limit of streams allows for a connection, one over HTTP/1.1, and
// [Config.HTTPHandlers] in all; a request beyond that is answered with 503. A call counts
// until h has returned, whatever the client does meanwhile. What is written for a loop
// costs less: see [Server.Handle].
//
// All of a [http.ResponseController] is there; Hijack over HTTP/1.1, as in net/http, and
// for requests whose body has ended and whose response has not begun. WebSocket libraries
// and reverse proxies switch protocols with it; what is written for a loop has
// [Server.HandleUpgrade], also over HTTP/2. There is no [http.Pusher]. What a handler sees and
// does is what it would be with net/http's own server; a table in the tests has the
// few differences. A handler may write what it likes behind its return, and from any
// goroutine: it gets an error.
//
// It is a method of Server, and the adapter is a part of this package, because the
// adapter is made of what the package keeps to itself: an answer that is complete
// when h returns comes to the loop as one task, and its header section goes from a
// list that is used again straight to the connection.
func (srv *Server) HandleHTTP(pattern string, h http.Handler, mw ...Middleware) {
	srv.root.HandleHTTP(pattern, h, mw...)
}

// HandleHTTP is [Server.HandleHTTP] with the prefix of the group before the path of
// pattern. h sees the whole path: see [http.StripPrefix].
func (g *Group) HandleHTTP(pattern string, h http.Handler, mw ...Middleware) {
	if h == nil {
		panic(fmt.Sprintf("loop: pattern %q has no handler", pattern))
	}
	srv := g.srv
	g.add(KindHTTP, pattern, func(x *Exchange) { srv.dispatchHTTP(x, h) }, mw)
}

// dispatchHTTP has a goroutine call h, unless too many do.
func (srv *Server) dispatchHTTP(x *Exchange, h http.Handler) {
	switch {
	case x.isAnsweredBefore("an http.Handler"):
		return
	case srv.handlers.Add(1) > int64(srv.config().HTTPHandlers):
		srv.handlers.Add(-1)
		x.conn.loop.cross(limitHandlers)
		_ = x.SetHeader("retry-after", "1")
		_ = x.ResumeBody()
		x.AfterBody(func(x *Exchange) { x.refuseWith(ErrOverloaded, "Service Unavailable") })
		return
	}
	x.conn.loop.crew.call(newHTTPCall(x, h))
}

// httpServer is what handlers find as [http.ServerContextKey]: it says what the
// server is like, and serves nothing.
func (srv *Server) httpServer() *http.Server {
	srv.describeOnce.Do(func() {
		srv.description = &http.Server{
			Addr:           srv.listeners[0].ln.Addr().String(),
			IdleTimeout:    srv.config().IdleTimeout,
			MaxHeaderBytes: int(srv.config().HTTP2.MaxHeaderListSize),
		}
	})
	return srv.description
}

// localAddr returns the address that the client of c has connected to.
func (c *conn) localAddr() net.Addr {
	if c.local.IsValid() {
		return net.TCPAddrFromAddrPort(c.local)
	}
	return c.ln.ln.Addr()
}
