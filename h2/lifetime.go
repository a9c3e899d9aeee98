package h2

import "github.com/h2loop/h2loop/frames"

// A lifetime is the phase a connection is in. It only moves forward.
type lifetime uint8

const (
	lifeAlive     lifetime = iota
	lifeGoingAway          // GOAWAY(2^31-1) sent: the peer is warned, streams in flight count
	lifeDraining           // the last GOAWAY sent: streams above lastID are ignored
	lifeDrained            // and all streams below are done: close
	lifeFailed             // a connection error was sent: close
	lifeClosed             // the transport is gone
)

// drainPing marks the PING whose answer proves that the peer has seen the
// first GOAWAY, and with it every stream it opened before.
var drainPing = [8]byte{'g', 'o', 'i', 'n', 'g', 'a', 'w', 'y'}

// setLifetime moves the connection on to l, never back.
func (c *Conn) setLifetime(l lifetime) {
	if l > c.life {
		c.life = l
	}
}

// Shutdown begins a graceful end: GOAWAY with the highest stream identifier
// and a PING; when the peer answers that, GOAWAY with the last stream taken
// (RFC 9113, Section 6.8). [Conn.Finished] reports when streams are done.
func (c *Conn) Shutdown() {
	if c.life != lifeAlive {
		return
	}
	c.setLifetime(lifeGoingAway)
	o := c.outbox()
	o.Scratch = frames.AppendGoAway(o.Scratch, frames.GoAway{LastStreamID: frames.MaxStreamID, Code: frames.ErrCodeNo})
	o.Scratch = frames.AppendPing(o.Scratch, frames.Ping{Data: drainPing})
}

// sendLastGoAway says which streams will still be answered.
func (c *Conn) sendLastGoAway(reason string) {
	if c.life >= lifeDraining {
		return
	}
	c.setLifetime(lifeDraining)
	o := c.outbox()
	o.Scratch = frames.AppendGoAway(o.Scratch, frames.GoAway{
		LastStreamID: c.maxID, Code: frames.ErrCodeNo, Debug: []byte(reason),
	})
	c.checkDrained()
}

func (c *Conn) checkDrained() {
	if c.life == lifeDraining && c.streams.n == 0 {
		c.setLifetime(lifeDrained)
	}
}

// GoAway ends the connection at once with code and a reason for the peer's
// log. Streams are cut off.
func (c *Conn) GoAway(code frames.ErrCode, reason string) {
	c.fail(frames.ConnError{Code: code, Reason: reason})
}

// fail sends GOAWAY for err, once, and stops everything else.
func (c *Conn) fail(err frames.ConnError) {
	if c.life >= lifeDrained {
		return
	}
	c.setLifetime(lifeFailed)
	c.dropBlock()
	c.streams.each(func(s *Stream) { c.closeStream(s, err) })
	if c.life == lifeClosed {
		return // the handler closed it
	}
	o := c.outbox()
	o.Scratch = frames.AppendGoAway(o.Scratch, frames.GoAway{
		LastStreamID: c.maxID, Code: err.Code, Debug: []byte(err.Reason),
	})
}

// Finished reports that the connection has nothing more to do: once Pending
// is written, the caller closes it.
func (c *Conn) Finished() bool { return c.life >= lifeDrained }

// Draining reports whether GOAWAY was sent.
func (c *Conn) Draining() bool { return c.life != lifeAlive }
