// Package h1 is the HTTP/1.1 connection of a server (RFC 9112), which speaks
// HTTP/1.0 as well, without I/O.
//
// The package starts no goroutine, opens no socket, takes no lock and reads no
// clock. Octets from the peer go in through [Conn.Receive]. What becomes of
// requests comes out as calls of a [Handler]. Octets for the peer gather in the
// connection; once a turn the caller lets [Conn.Fill] cut what waits, writes
// [Conn.Pending] in one vectored write, and says so with [Conn.Flushed]:
//
//	c.SetRoom(room)         // octets the transport would take
//	c.Receive(b)            // handler calls answer, reset, consume
//	c.Fill()                // bodies, as much as the room allows
//	write(c.Pending())
//	c.Flushed()             // release callbacks run here, and may send more
//
// A Conn belongs to one event loop: no method may be called from anywhere
// else, and no method blocks. Handler calls and body sources may call any
// method of the connection but Receive, ReceiveUpTo, Tick, Fill, Pending and Flushed.
//
// # One request at a time
//
// A connection has one request in progress, a [Stream] as in HTTP/2, and none
// begins before the response of the one before is cut into the batch and its
// body has come, nor while the application holds its place ([Conn.HoldPlace]).
// So answers leave in order, whenever they are given. Octets of later requests,
// and of a body that the application does not consume, are copied and held
// meanwhile, and [Conn.WantsPause] asks the caller to stop reading.
// [Conn.Continue] goes on with them, as Fill does.
//
// # Ownership
//
// Four words say who owns memory, here and in every doc comment: a function
// borrows a slice if it keeps no reference to it after it returns, takes it if
// it keeps one until it says so, copies it if the caller may reuse it at once,
// and lends one if its result is good only until the call it names.
//
// # Errors
//
// What a peer does wrong is an [Error]. It is answered with its status, in plain
// words, where a response is still to be had, and ends the connection: after an
// error nobody can say where the next request begins. A response that cannot be
// completed ends the connection too, in the midst of it, so that no client takes
// a part for the whole.
package h1
