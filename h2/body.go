package h2

import (
	"errors"

	"github.com/h2loop/h2loop/internal/message"
)

// A Releaser is told that a region's octets are no longer referenced: see
// [message.Releaser].
type Releaser = message.Releaser

// ReleaseFunc is a function as a [Releaser].
type ReleaseFunc = message.ReleaseFunc

// A Source yields a response body piece by piece: see [message.Source]. An error
// of it resets the stream with INTERNAL_ERROR.
type Source = message.Source

// A body is what is left to send of a response.
type body struct {
	regions  message.Regions
	source   Source
	trailers []Field
	end      bool   // END_STREAM, or the trailers, come after the regions
	idle     bool   // the source had nothing: wait for Resume
	lentIn   uint64 // the batch that last referenced a piece of the source
}

// pending reports whether anything is left to send.
func (b *body) pending() bool { return b.regions.Len() > 0 || b.source != nil }

// Errors of the methods that send.
var (
	ErrAnswered    = errors.New("h2: the header section of the response was sent already")
	ErrNotAnswered = errors.New("h2: body before the header section of the response")
	ErrEnded       = errors.New("h2: the response is complete, or has a source that completes it")
	ErrStatus      = errors.New("h2: status code out of range, or final where an interim one is needed")
)

// copyLimit is the size up to which a payload is copied beside its frame
// header. One more element of the vector costs the kernel about 60 ns and
// gnet, if it must buffer, a node; a copy of 1 KiB costs 20 ns.
const copyLimit = 1 << 10

// directLimit bounds the octets of small bodies that join a batch in the order
// of their answers rather than the scheduler's.
const directLimit = 32 << 10

// Write queues p as the next octets of the body of s; end completes the
// response. It copies p.
func (c *Conn) Write(s *Stream, p []byte, end bool) error {
	if err := s.mayWrite(); err != nil {
		return err
	}
	switch {
	case c.isDirect(s, len(p)):
		c.sendDirect(s, p, end)
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
func (c *Conn) WriteRegion(s *Stream, p []byte, rel Releaser, end bool) error {
	if err := s.mayWrite(); err != nil {
		if rel != nil {
			rel.Release()
		}
		return err
	}
	switch {
	case len(p) <= copyLimit && c.isDirect(s, len(p)):
		c.release(rel)
		c.sendDirect(s, p, end)
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
func (c *Conn) WriteSource(s *Stream, src Source) error {
	if err := s.mayWrite(); err != nil {
		src.Release()
		return err
	}
	s.body.source = src
	c.schedule(s)
	return nil
}

// WriteTrailers completes the response with trailer fields. After WriteSource
// they wait for the source to end; it may call this itself from within Pull. It
// copies fields.
func (c *Conn) WriteTrailers(s *Stream, fields []Field) error {
	b := &s.body
	if b.source != nil && b.trailers == nil {
		b.trailers = append([]Field{}, fields...)
		return nil
	}
	if err := s.mayWrite(); err != nil {
		return err
	}
	b.trailers = append([]Field{}, fields...)
	c.queueEnd(s, true)
	return nil
}

// Resume says that the source of s has something to send again. It does nothing
// unless the source has said that it had nothing: not within that Pull.
func (c *Conn) Resume(s *Stream) {
	if s.body.source != nil && s.body.idle {
		s.body.idle = false
		c.schedule(s)
	}
}

func (s *Stream) mayWrite() error {
	switch {
	case !s.answered:
		return ErrNotAnswered
	case s.body.end || s.body.source != nil || s.state == stateClosed || s.state == stateHalfClosedLocal:
		return ErrEnded
	default:
		return nil
	}
}

// isDirect reports whether n octets of s may join the batch at once: nothing
// waits before them, and they may be sent whole.
func (c *Conn) isDirect(s *Stream, n int) bool {
	return c.sched.empty() && !s.body.pending() &&
		(n == 0 || n == c.capacity(s, n) && c.outLen()+n <= directLimit)
}

func (c *Conn) queue(s *Stream, p []byte, rel Releaser, end bool) {
	s.body.regions.Push(p, rel)
	s.body.end = end
	c.schedule(s)
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

// release tells rel that its octets are free, once they are: not before the
// batch that is being made has left.
func (c *Conn) release(rel Releaser) {
	switch {
	case rel == nil:
	case c.life == lifeClosed:
		rel.Release()
	default:
		o := c.outbox()
		o.releases = append(o.releases, rel)
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
