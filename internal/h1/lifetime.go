package h1

// A lifetime is the phase a connection is in. It only moves forward.
type lifetime uint8

const (
	lifeAlive    lifetime = iota
	lifeDraining          // the request in progress, or begun, is the last
	lifeFinished          // close, once what is pending is written
	lifeClosed            // the transport is gone
)

// setLifetime moves the connection on to l, never back.
func (c *Conn) setLifetime(l lifetime) {
	if l > c.life {
		c.life = l
	}
}

// Shutdown begins a graceful end: the request in progress is the last, and its
// response says so if its header section was not sent. A connection on which
// nothing has begun is finished at once; so is, if Shutdown is called again, one
// on which a header section has begun to come, or waits for the place of a request.
func (c *Conn) Shutdown() {
	began := (c.recv.carry != nil || c.taken && c.held != nil) && c.life == lifeAlive
	c.setLifetime(lifeDraining)
	c.closing = true
	if c.stream == nil && !began {
		c.finish(nil)
	}
}

// finish ends the connection, once what is pending is written. A stream that is
// open learns err.
func (c *Conn) finish(err error) {
	if c.life >= lifeFinished {
		return
	}
	c.setLifetime(lifeFinished)
	c.drop()
	if s := c.stream; s != nil {
		c.closeStream(s, err)
	}
}

// cut ends the connection in the midst of the response to the stream in progress.
func (c *Conn) cut(err error) {
	if s := c.stream; s != nil && s.answered && s.framing == framingClose {
		c.aborted = true
	}
	c.finish(err)
}

// Finished reports that the connection has nothing more to do: once Pending
// is written, the caller closes it.
func (c *Conn) Finished() bool { return c.life >= lifeFinished }

// Aborted reports that the end of the connection must not look like an orderly
// one: a response is cut off whose end is the connection's (RFC 9112, Section
// 6.3). The caller closes with a reset, and without close_notify.
func (c *Conn) Aborted() bool { return c.aborted }

// Draining reports whether the connection takes no further request.
func (c *Conn) Draining() bool { return c.life != lifeAlive }
