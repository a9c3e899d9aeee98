package h1

var errUnread = &Error{Status: 503, Reason: "too much is held of request bodies", limit: LimitUnread}

// recvHead takes octets up to the end of the header section that comes. One that
// is like the last is known by its octets.
func (c *Conn) recvHead(b []byte) (int, *Error) {
	if m := c.last; m != nil && c.recv.carry == nil && m.isPrefixOf(b) {
		return len(m.head), c.recvAgain(m)
	}
	return c.recvSection(b)
}

// recvAgain begins a request whose head is remembered.
func (c *Conn) recvAgain(m *headMemo) *Error {
	s := c.shared.getStream()
	m.copyTo(s)
	c.last, c.recv.blank, c.recv.line.method = m, 0, m.request.Method
	return c.open(s)
}

// recvRequest begins a request: head is its header section with the request line,
// and fields are the lines behind that.
func (c *Conn) recvRequest(head, fields []byte) *Error {
	memos := &c.shared.heads
	if m := memos.get(head); m != nil {
		return c.recvAgain(m)
	}
	line := &c.recv.line
	s := c.shared.getStream()
	r := headReader{request: &s.Request, host: &c.host, block: fields, lines: s.late.lines, hops: s.late.hops}
	if err := r.read(line); err != nil {
		c.shared.putStream(s)
		return err
	}
	if s.Request.Path = line.path; line.path == "" && line.authority == "" {
		s.Request.Path = string(head[line.from:line.to])
	}
	s.head = r.flags
	s.Target = line.absolute
	s.late = lateHead{block: fields, lines: r.lines, hops: r.hops, hopLate: len(r.hops) > 0}
	s.Request.Late = &s.late
	c.last = memos.put(head, s)
	return c.open(s)
}

// open begins the exchange of s, whose head is complete.
func (c *Conn) open(s *Stream) *Error {
	r, q := &c.recv, &s.Request
	if q.Scheme == "" {
		q.Scheme = c.scheme
	}
	switch {
	case s.head.has(isChunked):
		r.phase, r.chunk = phaseChunkSize, chunkState{}
	case q.ContentLength > 0:
		r.phase, r.left = phaseBody, q.ContentLength
	default:
		s.ended = true
	}
	if !s.ended && c.shared.bodyRoom() <= 0 {
		c.shared.putStream(s)
		r.phase = phaseHead // where an answer is still to be had
		return errUnread
	}
	r.skipped = 0
	c.closing = s.head.has(wantsClose) || c.life != lifeAlive
	s.longLived = q.Method == "CONNECT" || s.head.has(isGRPC)
	c.stream = s
	c.handler.Request(s)
	if c.stream == s { // the octets go
		q.ReadFields()
		s.ReadHop()
	}
	return nil
}
