package h2

import "github.com/h2loop/h2loop/frames"

// startData decides what becomes of the DATA frame that h announces. Its whole
// length counts against both windows, padding included (RFC 9113, Section 6.1),
// also where the payload is then thrown away.
func (c *Conn) startData(h frames.Header) error {
	r := &c.recv
	if err := r.data.Start(h); err != nil {
		return err
	}
	if c.isIdle(h.StreamID) {
		return stateIdle.violation(h.StreamID)
	}
	if !c.recvWindow.take(h.Length) {
		return frames.ConnError{Code: frames.ErrCodeFlowControl, Reason: "DATA beyond the connection window", Section: "6.9.1"}
	}
	r.phase, r.filled = phaseData, 0
	s, err := c.streamForData(h)
	r.stream = s
	if h.Length > 0 {
		return err
	}
	if err == nil {
		_, err = c.recvDataOctets(nil)
	}
	r.phase = phaseHeader
	return err
}

// streamForData returns the stream that takes the payload, or nil if it is to
// be thrown away.
func (c *Conn) streamForData(h frames.Header) (*Stream, error) {
	s := c.streams.get(h.StreamID)
	if s == nil {
		if h.StreamID > c.maxID || c.closed.wasReset(h.StreamID) {
			// In flight when we sent RST_STREAM or GOAWAY.
			return nil, nil
		}
		return nil, stateClosed.violation(h.StreamID)
	}
	if !s.state.on(recvData) {
		return nil, s.state.violation(s.id)
	}
	if h.Length > maxReadFrame {
		return nil, frames.StreamError{StreamID: s.id, Code: frames.ErrCodeFrameSize, Reason: "DATA larger than SETTINGS_MAX_FRAME_SIZE", Section: "4.2"}
	}
	if !s.recvWindow.take(h.Length) {
		return nil, frames.StreamError{StreamID: s.id, Code: frames.ErrCodeFlowControl, Reason: "DATA beyond the stream window", Section: "6.9.1"}
	}
	return s, nil
}

// recvDataOctets hands on what b has of the current DATA frame.
func (c *Conn) recvDataOctets(b []byte) (int, error) {
	r := &c.recv
	data, n, err := r.data.Next(b)
	if err != nil {
		return n, err
	}
	s := r.stream
	r.filled += uint32(len(data))
	done := r.data.Done()
	if done {
		r.phase, r.stream = phaseHeader, nil
		if err := c.chargeData(s); err != nil {
			return n, err
		}
	}
	if s == nil {
		c.creditConn(n)
		return n, nil
	}
	if padding := n - len(data); padding > 0 {
		c.creditConn(padding)
		c.creditStream(s, padding)
	}
	return n, c.recvBody(s, data, done && r.data.EndStream())
}

// chargeData charges the DATA frame that is now whole if it has brought little. A
// frame that ends its stream may be as small as it likes.
func (c *Conn) chargeData(s *Stream) error {
	r := &c.recv
	switch {
	case r.data.EndStream():
		return nil
	case r.filled == 0:
		return c.recvUseless()
	case s != nil && (r.filled < tinyFrame || r.filled < r.frame.Length/2):
		return c.recvTiny(s)
	default:
		return nil
	}
}

// recvBody hands octets of the body of s to the application. What does not fit
// content-length costs the stream; what does is handed on first, so that it
// makes no difference how the frame was split.
func (c *Conn) recvBody(s *Stream, p []byte, end bool) error {
	fault := ""
	if l := s.Request.ContentLength; l >= 0 {
		left := l - s.received
		switch n := int64(len(p)); {
		case n > left:
			fault = "more DATA than content-length"
			c.creditConn(int(n - left))
			p = p[:left]
		case n < left && end:
			fault = "less DATA than content-length"
		}
	}
	s.received += int64(len(p))
	// Connection credit returns on receipt, so that one slow application
	// does not stop the other streams, up to a bound.
	c.unread += len(p)
	c.shared.keep(len(p))
	if c.unread <= c.cfg.MaxUnread && c.shared.unread <= c.shared.taken {
		c.creditConn(len(p))
	} else {
		c.held += len(p)
	}
	s.unread += len(p)
	id := s.id
	switch {
	case fault == "" && end:
		return c.recvEnd(s, p)
	case !s.announced:
		c.Consume(s, len(p))
	case len(p) > 0:
		c.handler.Body(s, p, false)
	}
	if fault != "" && c.streams.get(id) == s {
		return malformed(id, fault, "8.1.1")
	}
	return nil
}

// recvEnd ends the request of s; p is its last piece of body.
func (c *Conn) recvEnd(s *Stream, p []byte) error {
	if l := s.Request.ContentLength; l >= 0 && s.received != l {
		return malformed(s.id, "less DATA than content-length", "8.1.1")
	}
	id := s.id
	s.state.on(recvEnd)
	if s.announced {
		c.handler.Body(s, p, true)
	}
	if c.streams.get(id) == s && s.state == stateClosed {
		c.closed.addEnded(id)
		c.closeStream(s, nil)
	}
	return nil
}

// Consume says that the application is done with n octets of the body of s,
// which the peer may then send anew. What is not consumed when s closes
// returns by itself.
func (c *Conn) Consume(s *Stream, n int) {
	if s.state == stateClosed || s.state == stateIdle {
		return
	}
	if n > s.unread {
		panic("h2: more consumed than was received")
	}
	if n == 0 {
		return
	}
	c.releaseUnread(s, n)
	c.creditStream(s, n)
}

// releaseUnread stops counting n octets of s as held by the application, and
// returns the connection credit that waited for it.
func (c *Conn) releaseUnread(s *Stream, n int) {
	s.unread -= n
	c.unread -= n
	c.shared.keep(-n)
	if s.unread == 0 && s.tiny > 0 {
		c.budget.noise.giveBack(s.tiny)
		s.tiny = 0
	}
	if k := min(c.held, n); k > 0 {
		c.held -= k
		c.creditConn(k)
	}
}

func (c *Conn) creditConn(n int) {
	c.recvWindow.consume(n)
	if inc := c.recvWindow.giveBack(); inc > 0 && c.life < lifeDrained {
		o := c.outbox()
		o.Scratch = frames.AppendWindowUpdate(o.Scratch, frames.WindowUpdate{Increment: inc})
	}
}

// creditStream returns n octets of credit on s. A stream whose application
// has taken everything by the time half the window is owed gets a larger one.
func (c *Conn) creditStream(s *Stream, n int) {
	w := &s.recvWindow
	w.consume(n)
	if s.RequestEnded() || w.unreturned < w.size/2 {
		return
	}
	if s.unread == 0 {
		w.enlarge(min(w.size, c.cfg.MaxStreamWindow-w.size))
	}
	if inc := w.giveBack(); inc > 0 && c.life < lifeDrained {
		o := c.outbox()
		o.Scratch = frames.AppendWindowUpdate(o.Scratch, frames.WindowUpdate{StreamID: s.id, Increment: inc})
	}
}
