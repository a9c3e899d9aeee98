package loop

import (
	"net/netip"
	"time"

	"github.com/h2loop/h2loop/internal/message"
)

// Hooks observe a server: for metrics, and logs of requests. They run on the loops, must
// not block, and cost nothing where they are nil; none of them costs an allocation. A
// panic of theirs is logged.
type Hooks struct {
	// ConnOpen is called when a connection has been accepted, before anything has
	// come on it.
	ConnOpen func(c ConnInfo)

	// ConnClose is called when a connection is gone, after its last RequestDone.
	ConnClose func(c ConnInfo)

	// RequestDone is called once for each request, when it is over: answered,
	// aborted, or given up. x still tells of the request, and can no longer be
	// answered. It is also called for what the connection has refused with an answer,
	// 400 or 431 for example, because it was no request, or too large: x then has no
	// pattern, and may have no method and no path; Err says what was wrong.
	RequestDone func(x *Exchange, done RequestInfo)
}

// A ConnInfo is what there is to say of a connection.
type ConnInfo struct {
	Remote, Local netip.AddrPort // zero on a unix socket
	TLS           bool           // the listener's
	Requests      int            // so far
	Age           time.Duration  // to a tenth of a second
}

// A RequestInfo is what has become of a request.
type RequestInfo struct {
	// Status is that of the response, or 0 if none has begun.
	Status int
	// Received and Sent are octets of the bodies. What is sent may still wait for
	// the socket.
	Received, Sent int64
	// Duration is the time since the header section was complete.
	Duration time.Duration
	// Err says why the exchange has ended, if it was not because the response has.
	Err error
}

// requestInfo returns what has become of x.
func (x *Exchange) requestInfo(err error) RequestInfo {
	received, sent := x.conn.protocol.moved(x)
	return RequestInfo{
		Status: x.status, Received: received, Sent: sent, Err: err,
		Duration: time.Since(x.conn.loop.srv.started) - x.began,
	}
}

// tellRefused tells the hook of what c has answered by itself, and how. q is what there is of
// the request, which came in that version of HTTP.
func (c *conn) tellRefused(q *message.Request, version string, done RequestInfo) {
	f := c.loop.srv.config().Hooks.RequestDone
	if f == nil {
		return
	}
	x := c.loop.free.get()
	x.conn, x.refused = c, version
	x.describe(q)
	x.tellDone(f, done)
	x.request, x.refused = nil, ""
	x.generation.Add(1)
	x.recycle()
}

// tellDone tells f that x is over.
func (x *Exchange) tellDone(f func(*Exchange, RequestInfo), done RequestInfo) {
	c := x.conn
	answered := x.answered
	x.answered = true // it is too late
	defer func() { x.answered = answered }()
	returned := false
	defer c.loop.recoverApp(x.match.Pattern, &returned, nil)
	if c.loop.srv.config().IsolateCallbacks {
		isolate(func() { f(x, done) })
	} else {
		f(x, done)
	}
	returned = true
}

// tellConn tells f of c.
func (c *conn) tellConn(f func(ConnInfo)) {
	l := c.loop
	info := ConnInfo{Remote: c.remote, Local: c.local, TLS: c.ln.tls != nil, Requests: c.requests, Age: l.now - c.since}
	returned := false
	defer l.recoverApp("", &returned, nil)
	if l.srv.config().IsolateCallbacks {
		isolate(func() { f(info) })
	} else {
		f(info)
	}
	returned = true
}
