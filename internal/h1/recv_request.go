package h1

import "bytes"

var errUnread = &Error{Status: 503, Reason: "too much is held of request bodies", limit: LimitUnread}

// recvHead takes octets up to the end of the header section that comes. One that
// is like the last is known by its octets, and most others come whole.
func (c *Conn) recvHead(b []byte) (int, *Error) {
	if c.recv.carry == nil {
		if m := c.last; m != nil && m.isPrefixOf(b) {
			return len(m.head), c.recvAgain(m)
		}
		if s, n, err := c.readHead(b); err == nil {
			return n, c.recvRequest(s, b[:n])
		}
		// It has not come whole, or there is something wrong with it: find out
		// what comes first.
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

// errNotWhole says that octets do not reach to the end of a header section, or that
// it is beyond a limit. No peer sees it: recvSection finds out which.
var errNotWhole = &Error{Reason: "not a whole header section"}

// readHead reads the head that b begins with, and returns how long it is. Where that
// fails nothing has happened. The stream has yet to get its path.
func (c *Conn) readHead(b []byte) (*Stream, int, *Error) {
	cfg, line := c.cfg, &c.recv.line
	end := bytes.IndexByte(b, '\n')
	if end < 1 || b[end-1] != '\r' || end > cfg.MaxRequestLine+len("\r") {
		return nil, 0, errNotWhole
	}
	if err := line.parse(b[:end-1]); err != nil {
		return nil, 0, err
	}
	s := c.shared.getStream()
	r := headReader{request: &s.Request, host: &c.host, block: b[end+1:], lines: s.late.lines, hops: s.late.hops}
	size, err := r.read(line, cfg)
	if err != nil {
		c.shared.putStream(s)
		return nil, 0, err
	}
	s.head, s.late = r.flags, lateHead{block: r.block[:size], lines: r.lines, hops: r.hops, hopLate: len(r.hops) > 0}
	return s, end + 1 + size, nil
}

// recvRequest begins a request, which was read into s.
func (c *Conn) recvRequest(s *Stream, head []byte) *Error {
	memos, line := &c.shared.heads, &c.recv.line
	c.recv.blank = 0
	if c.last = memos.get(head, s); c.last != nil {
		c.last.copyTo(s)
		return c.open(s)
	}
	if s.Request.Path = line.path; line.path == "" && line.authority == "" {
		s.Request.Path = string(head[line.from:line.to])
	}
	s.Target = line.absolute
	if len(s.late.lines) > 0 {
		s.Request.Late = &s.late
	}
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
	s.longLived = q.Method == "CONNECT"
	c.stream = s
	c.recv.line.method = "" // what is refused from here on is another request
	c.handler.Request(s)
	if c.stream == s { // the octets go
		q.ReadFields()
		s.ReadHop()
	}
	return nil
}
