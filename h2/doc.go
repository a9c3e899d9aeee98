// Package h2 is the HTTP/2 connection of a server (RFC 9113), without I/O.
//
// The package starts no goroutine, opens no socket, takes no lock and reads no
// clock. Octets from the peer go in through [Conn.Receive]. What happens on
// the streams comes out as calls of a [Handler]. Octets for the peer gather in
// the connection; once a turn the caller lets [Conn.Fill] cut DATA frames from
// the bodies that wait, writes [Conn.Pending] in one vectored write, and says
// so with [Conn.Flushed]:
//
//	c.SetRoom(room)         // octets of DATA the transport would take
//	c.Receive(b)            // handler calls answer, reset, consume
//	c.Fill()                // DATA, as much as windows and room allow
//	write(c.Pending())
//	c.Flushed()             // release callbacks run here, and may send more
//
// A Conn belongs to one event loop: no method may be called from anywhere
// else, and no method blocks. Handler calls and body sources may call any
// method of the connection but Receive, ReceiveUpTo, Tick, Fill, Pending and Flushed.
//
// # Ownership
//
// Four words say who owns memory, here and in every doc comment: a function
// borrows a slice if it keeps no reference to it after it returns, takes it if
// it keeps one until it says so, copies it if the caller may reuse it at once,
// and lends one if its result is good only until the call it names.
//
// # Bodies
//
// A response body is a row of regions, each a run of octets that is referenced
// until it has been written, or a [Source] that is asked for the next region
// only when there is room to send it. Regions of a kilobyte and less are
// copied beside their frame header, since a copy is cheaper there than one
// more element of the vectored write.
//
// # Errors
//
// A [frames.ConnError] ends the connection with GOAWAY and is returned by
// Receive; a [frames.StreamError] ends its stream with RST_STREAM and is told
// to [Handler.Closed]. What the peer itself ended, by RST_STREAM or GOAWAY, is
// an event and never an error of ours.
package h2
