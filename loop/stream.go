package loop

import (
	"errors"

	"github.com/h2loop/h2loop/frames"
)

// ErrLength is returned by what would make a body longer, or leave it shorter, than
// was announced.
var ErrLength = errors.New("loop: the body has not the length that was announced")

// A Stream is a response body that is written as it comes to be. It belongs to the
// loop of its exchange: none of its methods blocks, and after the end of the
// response they return ErrClosed. See [Writer] for goroutines.
type Stream struct {
	of       Async // the exchange
	loop     *eventLoop
	buf      pushBuffer
	writable func(s *Stream)
	left     int64 // octets still to be written; -1 if the length is not known

	empty  bool // the response has no body: what is written goes nowhere
	short  bool // TryWrite took less than it was given
	idle   bool // Pull had nothing to lend
	ending bool
}

// Stream answers with a body that is written piece by piece, of length octets in
// all; -1 means that the length is not known. The exchange lives until
// [Stream.Close], or until the client gives it up.
func (x *Exchange) Stream(status int, length int64) (*Stream, error) {
	if x.off != nil {
		return nil, ErrOffLoop
	}
	if err := x.begin(status, length); err != nil {
		return nil, err
	}
	s := &Stream{of: x.handle(), loop: x.conn.loop, left: max(length, -1)}
	if x.isEmpty(status) {
		s.empty = true
		return s, nil
	}
	return s, x.conn.protocol.writeSource(x, (*streamSource)(s))
}

// TryWrite writes as much of p as there is room for, and says how much that was; it
// copies it. Room is [Config.MaxStreamBuffer] for each stream, less if the process
// holds much. If it was not all, the function of [Stream.OnWritable] is called when
// there is room again.
func (s *Stream) TryWrite(p []byte) (n int, err error) {
	switch {
	case s.ending:
		return 0, ErrAnswered
	case s.left >= 0 && int64(len(p)) > s.left:
		return 0, ErrLength
	case s.empty:
		return len(p), nil
	case s.of.isOver():
		return 0, ErrClosed
	}
	n = min(len(p), s.Room())
	s.short = n < len(p)
	if n == 0 {
		return 0, nil
	}
	s.buf.write(p[:n])
	s.buf.count(s.loop)
	if s.left >= 0 {
		s.left -= int64(n)
	}
	s.wake()
	return n, nil
}

// Room returns how many octets TryWrite would take now.
func (s *Stream) Room() int {
	if s.of.isOver() {
		return 0
	}
	return max(s.loop.pushLimit()-s.buf.len(), 0)
}

// OnWritable has f called, on the loop, when there is room again after TryWrite has not
// taken all it was given: once for each time that this was so, when half of the room
// is free. It is not called as long as TryWrite takes everything, nor once the exchange
// is over, which [Exchange.OnAbort] tells. It replaces an f that was set before.
func (s *Stream) OnWritable(f func(s *Stream)) { s.writable = f }

// Exchange returns the exchange that s answers, or nil once that is over.
func (s *Stream) Exchange() *Exchange {
	if s.of.isOver() {
		return nil
	}
	return s.of.x
}

// Abort gives the response up: what was written and not sent is dropped, and the client
// sees RST_STREAM(INTERNAL_ERROR), or over HTTP/1.1 the end of the connection in the
// midst of a body. [Exchange.Reset] is for another code.
func (s *Stream) Abort() error {
	if s.ending && s.empty || s.of.isOver() {
		return ErrClosed
	}
	s.ending = true
	return s.of.x.Reset(frames.ErrCodeInternal)
}

// Close ends the body, behind what was written, with the trailers that
// [Exchange.AddTrailer] was given. Every Stream must be closed, or aborted. If a length was
// announced that was not written, the client sees a reset.
func (s *Stream) Close() error {
	switch {
	case s.ending:
		return nil
	case s.empty:
	case s.of.isOver():
		return ErrClosed
	case s.left > 0:
		s.ending = true
		_ = s.of.x.Reset(frames.ErrCodeInternal)
		return ErrLength
	}
	s.ending = true
	s.wake()
	return nil
}

// wake has the source asked again, if it had nothing.
func (s *Stream) wake() {
	if s.idle {
		s.idle = false
		_ = s.of.x.Resume()
	}
}

// A streamSource is a Stream as the connection sees it.
type streamSource Stream

// Pull lends what was written. Before that runs out, the application has the chance
// to write more.
func (src *streamSource) Pull(most int) (p []byte, end bool, err error) {
	s := (*Stream)(src)
	s.buf.lent = 0
	if s.short && s.buf.len() <= s.loop.pushLimit()/2 {
		s.callWritable()
		if s.of.isOver() {
			return nil, false, ErrClosed // reset from within
		}
	}
	p = s.buf.cut(most)
	s.buf.count(s.loop)
	end = s.ending && s.buf.unsent() == 0
	s.idle = len(p) == 0 && !end
	if end {
		err = s.of.x.writeTrailers()
	}
	return p, end, err
}

func (s *Stream) callWritable() {
	s.short = false
	if f := s.writable; f != nil {
		s.of.x.call(s.loop.srv.handler(func(*Exchange) { f(s) }))
	}
}

// Release gives the memory back.
func (src *streamSource) Release() {
	s := (*Stream)(src)
	s.buf.drop(s.loop)
}
