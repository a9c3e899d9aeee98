package h2

import "github.com/h2loop/h2loop/frames"

// An outbox is what a connection has to write: a batch, and who is to be told
// once it has left. It is held only while there is something in it.
type outbox struct {
	frames.Batch
	releases []Releaser
	number   uint64 // of the batch, among those of its connection; see batchNumber
	answers  int    // control frames the peer made us send
}

func (c *Conn) outbox() *outbox {
	if c.out == nil {
		c.out = c.shared.getOutbox()
	}
	return c.out
}

// outLen returns the octets that are to be written.
func (c *Conn) outLen() int {
	if c.out == nil {
		return 0
	}
	return c.out.Len()
}

// WriteHeaders sends a header section: an interim one if status is below 200,
// else that of the response, and END_STREAM with it if end is set. It copies
// fields; their names are lower case and valid, which the caller has checked.
func (c *Conn) WriteHeaders(s *Stream, status int, fields []Field, end bool) error {
	if status < 100 || status > 999 || (status < 200 && end) || status == 101 {
		return ErrStatus
	}
	if s.answered {
		return ErrAnswered
	}
	if !s.state.on(sendHeaders) {
		return ErrEnded
	}
	c.appendBlock(s.id, status, fields, end)
	if status < 200 {
		s.continued = s.continued || status == 100
		return nil
	}
	s.answered = true
	if end {
		s.body.end = true
		c.ended(s)
	}
	return nil
}

// Reset ends s at once with RST_STREAM. It does nothing if s has closed.
func (c *Conn) Reset(s *Stream, code frames.ErrCode) {
	if c.streams.get(s.id) == s {
		c.resetStream(s.id, code, ErrReset)
	}
}

// resetStream sends RST_STREAM, on a stream that is open or was.
func (c *Conn) resetStream(id frames.StreamID, code frames.ErrCode, err error) {
	if c.life >= lifeDrained {
		return
	}
	s := c.streams.get(id)
	if s != nil && s.state == stateClosed {
		// Both sides have ended it: only the application is not told yet.
		c.closed.addEnded(id)
		c.closeStream(s, nil)
		return
	}
	o := c.outbox()
	o.Scratch = frames.AppendRSTStream(o.Scratch, frames.RSTStream{StreamID: id, Code: code})
	c.shared.ResetsSent++
	if s != nil {
		c.closed.addReset(id)
		c.closeStream(s, err)
	}
}

// ended notes that END_STREAM of s is in the batch.
func (c *Conn) ended(s *Stream) {
	s.state.on(sendEnd)
	c.unschedule(s)
	if s.state == stateClosed {
		c.closed.addEnded(s.id)
		c.closeStream(s, nil)
		return
	}
	c.lame = append(c.lame, s)
}

// endLame resets the streams that were answered in full this turn and whose
// request is still not complete: "A server can … request that the client abort
// transmission of a request without error by sending a RST_STREAM with an
// error code of NO_ERROR after sending a complete response."
// RFC 9113, Section 8.1.
func (c *Conn) endLame() {
	for i := 0; i < len(c.lame); i++ {
		if s := c.lame[i]; s != nil {
			var err error
			if s.late {
				err = ErrTimeout
			}
			c.resetStream(s.id, frames.ErrCodeNo, err)
		}
	}
	c.lame = c.lame[:0]
}

// sendDirect puts p, which isDirect allows, into the batch.
func (c *Conn) sendDirect(s *Stream, p []byte, end bool) {
	if len(p) == 0 && !end {
		return
	}
	c.sendData(s, p, end, true)
	c.budget.sentData(len(p))
	if end {
		s.body.end = true
		c.ended(s)
	}
}

// sendData puts one DATA frame into the batch. capacity has allowed it.
func (c *Conn) sendData(s *Stream, p []byte, end, copied bool) {
	s.state.on(sendData)
	s.sendWindow.take(len(p))
	c.sendWindow.take(len(p))
	s.sent += int64(len(p))
	c.sent += int64(len(p))
	c.room -= len(p) + frames.HeaderLen
	o := c.outbox()
	r := frames.Region{StreamID: s.id, Source: p, Length: len(p), EndStream: end}
	var err error
	if copied {
		err = o.CopyRegion(r, c.peer.maxFrameSize)
	} else {
		err = o.WriteRegion(r, c.peer.maxFrameSize)
	}
	if err != nil {
		panic("h2: " + err.Error())
	}
}

// sendEnd completes a response whose octets have all been sent, with trailers
// or an empty DATA frame. Neither needs a window.
func (c *Conn) sendEnd(s *Stream) {
	if len(s.body.trailers) > 0 {
		c.appendBlock(s.id, 0, s.body.trailers, true)
	} else {
		c.sendData(s, nil, true, true)
	}
	c.ended(s)
}

// capacity returns how many of want octets s may send now, in one frame: the
// least of both windows, the peer's frame size and the room left this turn,
// and over TLS what fills the record. It is the one place that decides this.
func (c *Conn) capacity(s *Stream, want int) int {
	limit := int(c.peer.maxFrameSize)
	n := min(want, s.sendWindow.avail(), c.sendWindow.avail(), limit, max(c.room-frames.HeaderLen, 0))
	if c.record == 0 || n == 0 {
		return n
	}
	space := c.record - c.outLen()%c.record - frames.HeaderLen
	// A frame as small as what is left of the record is a waste, if the next
	// record can be filled as well.
	if space <= 0 || space < c.record/16 && space+c.record <= limit {
		space += c.record
	}
	return min(n, space)
}

// schedule lets s wait for its turn, if it has something that its own window
// allows it to send.
func (c *Conn) schedule(s *Stream) {
	if s.list != nil || !s.body.pending() || s.body.idle || s.sendWindow.avail() == 0 {
		return
	}
	c.sched.push(s, c.shared)
}

func (c *Conn) unschedule(s *Stream) { c.sched.remove(s, &c.parked, c.shared) }

// SetRoom says how many octets of DATA, frame headers included, may be cut
// until the next SetRoom: what the socket is thought to take.
func (c *Conn) SetRoom(n int) { c.room = n }

// Fill cuts DATA frames from the bodies that wait, in the order of RFC 9218,
// as far as windows and room allow.
func (c *Conn) Fill() {
	c.endLame() // RST_STREAM does not wait behind DATA
	for c.room > frames.HeaderLen && !c.sched.empty() && c.sendWindow > 0 {
		s := c.sched.next()
		if c.isAfterParked(s) || !c.sendFrom(s) {
			break
		}
	}
	c.endLame()
}

// park has s wait for the batch to leave: what its source last lent is in it.
func (c *Conn) park(s *Stream) {
	c.unschedule(s)
	c.parked.pushBack(s)
	c.parkedRank = max(c.parkedRank, s.priority.rank())
}

// isAfterParked reports whether a more urgent stream than s is parked. The batch is
// then complete: a source that lends small pieces would else have one of them in a
// batch, and what is less urgent all the rest of it.
func (c *Conn) isAfterParked(s *Stream) bool { return s.priority.rank() < c.parkedRank }

// maxFrameSegments is what one frame can add to a batch: its header behind
// what is open, and its payload; and a run of scratch may follow.
const maxFrameSegments = 3

// sendFrom sends one frame of s, whose turn it is. It reports false when the
// batch is full.
func (c *Conn) sendFrom(s *Stream) bool {
	b := &s.body
	if s.sendWindow.avail() == 0 { // SETTINGS took it away
		c.unschedule(s)
		return true
	}
	if b.regions.Len() == 0 {
		if c.out != nil && c.out.number != 0 && b.lentIn == c.out.number {
			c.park(s)
			return true
		}
		if !c.pull(s) {
			return true
		}
	}
	n := c.capacity(s, len(b.regions.First().Octets))
	if n == 0 || c.out != nil && c.out.NumSegments()+maxFrameSegments > frames.MaxSegments {
		return false
	}
	r := b.regions.First()
	p := r.Octets[:n]
	r.Octets = r.Octets[n:]
	done := len(r.Octets) == 0
	last := done && b.regions.Len() == 1 && b.source == nil && b.end
	copied := n <= copyLimit
	c.sendData(s, p, last && len(b.trailers) == 0, copied)
	if b.source != nil && !copied {
		b.lentIn = c.batchNumber()
	}
	c.sched.sent(s)
	if done || n >= tinyFrame {
		c.budget.sentData(n)
	}
	if done {
		c.release(r.Releaser)
		b.regions.Pop()
	}
	switch {
	case last && len(b.trailers) > 0:
		c.sendEnd(s)
	case last:
		c.ended(s)
	case !b.pending() || s.sendWindow.avail() == 0:
		c.unschedule(s)
	}
	return true
}

// pull asks the source of s for its next piece. It reports whether there is a
// region to send; if not, s no longer waits.
func (c *Conn) pull(s *Stream) bool {
	b := &s.body
	c.filling = s
	p, end, err := b.source.Pull(min(s.sendWindow.avail(), c.sendWindow.avail(), c.room-frames.HeaderLen))
	if c.filling != s {
		return false // reset from within
	}
	c.filling = nil
	if err != nil {
		c.resetStream(s.id, frames.ErrCodeInternal, err)
		return false
	}
	if len(p) > 0 {
		b.regions.Push(p, nil)
	}
	if end {
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
		c.unschedule(s)
		return false
	}
	return true
}

// batchNumber numbers the batch being made; it is never 0.
func (c *Conn) batchNumber() uint64 {
	o := c.outbox()
	if o.number == 0 {
		c.batches++
		o.number = c.batches
	}
	return o.number
}

// HasPending reports whether there is anything to write.
func (c *Conn) HasPending() bool { return c.out != nil }

// WantsRoom reports whether another turn would send more: bodies wait, and
// only the room was short.
func (c *Conn) WantsRoom() bool {
	return (!c.sched.empty() && c.sendWindow > 0) || c.parked.head != nil
}

// Pending lends what is to be written, in order, until Flushed. The caller may
// change the elements of the slice, not the octets.
func (c *Conn) Pending() [][]byte {
	if c.out == nil {
		return nil
	}
	segs := c.out.Segments()
	if c.trace != nil {
		c.trace.batch(segs)
	}
	return segs
}

// Flushed says that all of Pending is written, or as good as: its octets are
// no longer referenced. Releases run here.
func (c *Conn) Flushed() {
	c.parkedRank = 0
	for s := c.parked.head; s != nil; s = c.parked.head {
		c.parked.remove(s)
		c.schedule(s)
	}
	if c.out != nil {
		c.finishOutbox()
	}
}

// finishOutbox gives the outbox back and then tells those who waited for its
// octets to leave.
func (c *Conn) finishOutbox() {
	o := c.out
	c.out = nil
	if c.trace != nil {
		c.trace.seen = 0
	}
	for _, rel := range o.releases {
		rel.Release()
	}
	c.shared.putOutbox(o)
}
