package h1

var errSkipped = &Error{Reason: "more of a body follows its response than is thrown away", limit: LimitSkipped}

// recvBody hands on octets of a body, of a chunk of one, or of a tunnel.
func (c *Conn) recvBody(b []byte) (int, *Error) {
	r, s := &c.recv, c.stream
	n := len(b)
	if r.phase != phaseTunnel {
		n = int(min(int64(n), r.left))
	}
	if s == nil {
		return n, c.skip(n)
	}
	if n = min(n, c.window(s)); n == 0 {
		return 0, nil
	}
	end := false
	if r.phase != phaseTunnel {
		end = c.pass(n)
	}
	c.deliver(s, b[:n], end)
	return n, nil
}

// pass counts n octets as received, and reports whether the body is complete with
// them.
func (c *Conn) pass(n int) (end bool) {
	r := &c.recv
	if r.left -= int64(n); r.left > 0 {
		return false
	}
	if r.phase == phaseChunkData {
		r.phase = phaseChunkEnd
		return false
	}
	r.phase = phaseHead
	return true
}

// skip throws n octets away, of a body whose request is answered and closed.
func (c *Conn) skip(n int) *Error {
	c.pass(n)
	return c.countSkipped(n)
}

// countSkipped counts n octets of a body that is thrown away, or of its chunks.
func (c *Conn) countSkipped(n int) *Error {
	if c.recv.skipped += n; c.recv.skipped > c.cfg.MaxSkipped {
		return errSkipped
	}
	return nil
}

// deliver hands the application octets of the body of s; end says that it is
// complete with them.
func (c *Conn) deliver(s *Stream, p []byte, end bool) {
	s.received += int64(len(p))
	s.unread += len(p)
	c.shared.chargeBody(len(p))
	s.ended = end
	c.handler.Body(s, p, end)
	c.settle(s)
}

// settle closes s if both sides have ended it.
func (c *Conn) settle(s *Stream) {
	if c.stream != s || !s.sentEnd || !s.ended {
		return
	}
	closing := c.closing
	c.closeStream(s, nil)
	if closing {
		c.finish(nil)
	}
}

// window returns how many octets of its body s may be handed. A connection that
// holds nothing always gets on, whatever others hold.
func (c *Conn) window(s *Stream) int {
	if s.unread > 0 && c.shared.bodyRoom() <= 0 {
		return 0
	}
	return max(c.cfg.BodyWindow-s.unread, 0)
}

// Consume says that the application is done with n octets of the body of s.
// [Conn.Continue] hands on more, if more is held. What is not consumed when s
// closes is given back by itself.
func (c *Conn) Consume(s *Stream, n int) {
	if s != c.stream {
		return
	}
	if n > s.unread {
		panic("h1: more consumed than was received")
	}
	s.unread -= n
	c.shared.chargeBody(-n)
}

// endLame closes the stream that was answered in full this turn and whose request
// is still not complete. What follows of its body is thrown away, if that is a
// little, for the sake of the next request.
func (c *Conn) endLame() {
	s := c.stream
	if s == nil || !s.lameIn {
		return
	}
	closing, left := c.closing, int64(0)
	if c.recv.phase == phaseBody {
		left = c.recv.left
	}
	c.time.skipping = bodyTiming{}
	c.closeStream(s, nil)
	switch {
	case closing:
		c.finish(nil)
	case left > int64(c.cfg.MaxSkipped):
		_ = c.fail(errSkipped)
	}
}
