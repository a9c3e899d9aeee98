package h1

import "github.com/h2loop/h2loop/internal/message"

// A body is what is left to send of a response.
type body struct {
	regions  message.Regions
	source   message.Source
	trailers []message.Field
	end      bool   // the response is complete behind the regions
	idle     bool   // the source had nothing: wait for Resume
	lentIn   uint64 // the batch that last referenced a piece of the source
}

// pending reports whether anything is left to send.
func (b *body) pending() bool { return b.regions.Len() > 0 || b.source != nil }

// copyLimit is the size up to which octets are copied beside the header section or
// the size of their chunk. One more element of the vector costs the kernel about
// 60 ns; a copy of 1 KiB costs 20 ns.
const copyLimit = 1 << 10

// directLimit bounds the octets of a batch up to which those that the application
// does not leave with us are copied into it, and not for themselves.
const directLimit = 32 << 10

// chunkOverhead is the most that a chunk has besides its octets, with the last
// one behind it.
const chunkOverhead = len("ffffffff\r\n\r\n0\r\n\r\n")

// Write queues p as the next octets of the body of s; end completes the
// response. It copies p.
func (c *Conn) Write(s *Stream, p []byte, end bool) error {
	if err := c.mayWrite(s); err != nil {
		return err
	}
	p = s.clip(p)
	switch {
	case c.isDirect(s, len(p)) && c.outLen()+len(p) <= directLimit:
		c.sendDirect(s, p, true, end)
	case len(p) > 0:
		c.queue(s, append([]byte(nil), p...), nil, end)
	default:
		c.queueEnd(s, end)
	}
	return nil
}

// WriteRegion queues p as the next octets of the body of s without copying
// them; end completes the response. It takes p until rel is released; a nil
// rel means that p never changes. A region that cannot be queued, because of
// the error returned, is released at once.
func (c *Conn) WriteRegion(s *Stream, p []byte, rel message.Releaser, end bool) error {
	if err := c.mayWrite(s); err != nil {
		if rel != nil {
			rel.Release()
		}
		return err
	}
	p = s.clip(p)
	switch {
	case c.isDirect(s, len(p)) && (len(p) > copyLimit || c.outLen()+len(p) <= directLimit):
		c.release(rel)
		c.sendDirect(s, p, len(p) <= copyLimit, end)
	case len(p) > 0:
		c.queue(s, p, rel, end)
	default:
		c.release(rel)
		c.queueEnd(s, end)
	}
	return nil
}

// WriteSource lets src yield the rest of the body of s. It takes src until
// Release, which comes at once if an error is returned.
func (c *Conn) WriteSource(s *Stream, src message.Source) error {
	if err := c.mayWrite(s); err != nil {
		src.Release()
		return err
	}
	if s.framing == framingNone || s.framing == framingLength && s.left == 0 {
		c.release(src)
		c.queueEnd(s, true)
		return nil
	}
	s.body.source = src
	return nil
}

// WriteTrailers completes the response with trailer fields, if it is sent in
// chunks; without chunks there is no place for them. After WriteSource they wait
// for the source to end; it may call this itself from within Pull. It copies
// fields.
func (c *Conn) WriteTrailers(s *Stream, fields []message.Field) error {
	b := &s.body
	if s == c.stream && b.source != nil && b.trailers == nil {
		b.trailers = append([]message.Field{}, fields...)
		return nil
	}
	if err := c.mayWrite(s); err != nil {
		return err
	}
	b.trailers = append([]message.Field{}, fields...)
	c.queueEnd(s, true)
	return nil
}

// Resume says that the source of s has something to send again. It does nothing
// unless the source has said that it had nothing: not within that Pull.
func (c *Conn) Resume(s *Stream) { s.body.idle = false }

func (c *Conn) mayWrite(s *Stream) error {
	switch {
	case s != c.stream:
		return ErrEnded
	case !s.answered:
		return ErrNotAnswered
	case s.body.end || s.body.source != nil:
		return ErrEnded
	default:
		return nil
	}
}

// clip returns what of p belongs to the response: nothing if it has no body, and
// no more than its content-length says.
func (s *Stream) clip(p []byte) []byte {
	switch s.framing {
	case framingNone:
		return nil
	case framingLength:
		p = p[:min(int64(len(p)), s.left)]
		s.left -= int64(len(p))
	default: // as much as there is
	}
	return p
}

// isDirect reports whether n octets of s may join the batch at once: nothing
// waits before them, and there is room for them all.
func (c *Conn) isDirect(s *Stream, n int) bool {
	return !s.body.pending() && (n == 0 || n <= c.room-chunkOverhead && !c.out.isFull())
}

// sendDirect puts p, which isDirect allows, into the batch.
func (c *Conn) sendDirect(s *Stream, p []byte, copied, end bool) {
	c.sendData(s, p, copied)
	if end {
		s.body.end = true
		c.sendEnd(s)
	}
}

func (c *Conn) queue(s *Stream, p []byte, rel message.Releaser, end bool) {
	s.body.regions.Push(p, rel)
	s.body.end = end
}

// queueEnd completes the response without further octets.
func (c *Conn) queueEnd(s *Stream, end bool) {
	if !end {
		return
	}
	s.body.end = true
	if !s.body.pending() {
		c.sendEnd(s)
	}
}

// dropBody gives back what s will not send.
func (c *Conn) dropBody(s *Stream) {
	b := &s.body
	for b.regions.Len() > 0 {
		c.release(b.regions.First().Releaser)
		b.regions.Pop()
	}
	if b.source != nil {
		c.release(b.source)
		b.source = nil
	}
}
