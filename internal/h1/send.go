package h1

// SetRoom says how many octets may be cut until the next SetRoom: what the socket
// is thought to take.
func (c *Conn) SetRoom(n int) { c.room = n }

// WantsRoom reports whether another turn would send more, or handle more of what
// is held: only the room was short.
func (c *Conn) WantsRoom() bool {
	if c.life >= lifeFinished {
		return false
	}
	s := c.stream
	return s != nil && s.body.pending() && !s.body.idle || c.isReady()
}

// Fill cuts the bodies that wait, as far as the room allows, and goes on with what
// is held, as [Conn.Continue] does.
func (c *Conn) Fill() {
	for most := heldPieces; c.life < lifeFinished; {
		before := c.outLen()
		c.send()
		_ = c.continueUpTo(&most) // what it has to say to the peer is pending
		if c.outLen() == before || most <= 0 {
			return
		}
	}
}

// send cuts the body of the stream in progress.
func (c *Conn) send() {
	c.running = true
	for s := c.stream; s != nil && s == c.stream && s.body.pending() && !s.body.idle; {
		if c.room <= chunkOverhead || !c.sendFrom(s) {
			break
		}
	}
	c.endLame()
	c.running = false
}

// sendFrom sends one piece of s. It reports false when the batch can take no more,
// or there is no more.
func (c *Conn) sendFrom(s *Stream) bool {
	b := &s.body
	if b.regions.Len() == 0 {
		if c.out != nil && c.out.number != 0 && b.lentIn == c.out.number {
			return false // what the source last lent is in this very batch
		}
		if !c.pull(s) {
			return false
		}
	}
	if c.out.isFull() {
		return false
	}
	r := b.regions.First()
	n := min(len(r.Octets), c.room-chunkOverhead)
	p := r.Octets[:n]
	r.Octets = r.Octets[n:]
	copied := n <= copyLimit
	c.sendData(s, p, copied)
	if b.source != nil && !copied {
		b.lentIn = c.batchNumber()
	}
	if len(r.Octets) > 0 {
		return true
	}
	c.release(r.Releaser)
	b.regions.Pop()
	if b.end && !b.pending() {
		c.sendEnd(s)
	}
	return true
}

// pull asks the source of s for its next piece. It reports whether there is a
// region to send.
func (c *Conn) pull(s *Stream) bool {
	b := &s.body
	most := c.room - chunkOverhead
	if s.framing == framingLength {
		most = int(min(int64(most), s.left))
	}
	c.filling = s
	p, end, err := b.source.Pull(most)
	if c.filling != s {
		return false // cut off from within
	}
	c.filling = nil
	if err != nil {
		c.cut(err)
		return false
	}
	p = s.clip(p)
	if len(p) > 0 {
		b.regions.Push(p, nil)
	}
	if end || s.framing == framingLength && s.left == 0 {
		src := b.source
		b.source, b.end = nil, true
		if len(p) == 0 {
			c.release(src)
			c.sendEnd(s)
			return false
		}
		b.regions.Last().Releaser = src
	}
	if len(p) == 0 {
		b.idle = true
		return false
	}
	return true
}

// sendData puts octets of s into the batch, as a chunk if need be.
func (c *Conn) sendData(s *Stream, p []byte, copied bool) {
	if len(p) == 0 {
		return
	}
	s.sent += int64(len(p))
	o := c.outbox()
	before := o.len()
	chunked := s.framing == framingChunked
	if chunked {
		o.scratch = appendHex(o.scratch, len(p))
		o.scratch = append(o.scratch, "\r\n"...)
	}
	if copied {
		o.scratch = append(o.scratch, p...)
	} else {
		o.reference(p)
	}
	if chunked {
		o.scratch = append(o.scratch, "\r\n"...)
	}
	c.room -= o.len() - before
}

// appendHex appends n in hexadecimal.
func appendHex(dst []byte, n int) []byte {
	shift := 0
	for n>>shift > 0xf {
		shift += 4
	}
	for ; shift >= 0; shift -= 4 {
		dst = append(dst, "0123456789abcdef"[n>>shift&0xf])
	}
	return dst
}

// sendEnd completes a response whose octets are all in the batch. One that is
// shorter than it said must not look complete.
func (c *Conn) sendEnd(s *Stream) {
	switch s.framing {
	case framingChunked:
		o := c.outbox()
		o.scratch = append(o.scratch, "0\r\n"...)
		for _, f := range s.body.trailers {
			if !isForbiddenTrailer(f.Name) {
				o.scratch = appendField(o.scratch, f)
			}
		}
		o.scratch = append(o.scratch, "\r\n"...)
	case framingLength:
		if s.left > 0 {
			c.cut(ErrShort)
			return
		}
	case framingTunnel:
		s.ended = true
	default: // there is nothing to say
	}
	s.sentEnd = true
	s.lameIn = !s.ended
	c.settle(s)
}
