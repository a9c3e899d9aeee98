package h1

import "github.com/h2loop/h2loop/internal/message"

// maxSegments is the most segments an outbox has. It is the IOV_MAX of Linux: a
// vectored write of more pieces fails with EINVAL.
const maxSegments = 1024

// An outbox is what a connection has to write: runs of scratch, regions that are
// referenced where they lie, and who is to be told once it has left. It is held
// only while there is something in it.
//
// Anyone may append to scratch, and nothing else: what is in it is queued. If an
// append moves scratch, segments of the old array stay as they are.
type outbox struct {
	scratch []byte

	segs     [][]byte // closed; never empty ones; fewer than maxSegments, so that the open run has room
	closed   int      // octets in segs
	mark     int      // scratch[:mark] is in segs; scratch[mark:] is the open run
	releases []message.Releaser
	number   uint64 // of the batch, among those of its connection; see batchNumber
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
	return c.out.len()
}

func (o *outbox) len() int { return o.closed + len(o.scratch) - o.mark }

// isFull reports whether another region could take o above maxSegments: it needs
// two segments, one for the open run, and one for the run that may follow.
func (o *outbox) isFull() bool { return o != nil && len(o.segs)+3 > maxSegments }

// reference queues p where it lies. isFull has allowed it.
func (o *outbox) reference(p []byte) {
	o.closeRun()
	o.segs = append(o.segs, p)
	o.closed += len(p)
}

// closeRun makes a segment of the open run, if there is one.
func (o *outbox) closeRun() {
	if end := len(o.scratch); end > o.mark {
		o.segs = append(o.segs, o.scratch[o.mark:end:end])
		o.closed += end - o.mark
		o.mark = end
	}
}

// segments returns what is queued, in order. It lends it until the next call.
func (o *outbox) segments() [][]byte {
	end := len(o.scratch)
	if end == o.mark {
		return o.segs
	}
	// The run stays open, with its segment just behind segs: an append to scratch
	// makes it longer, not one more.
	all := append(o.segs, o.scratch[o.mark:end:end])
	o.segs = all[:len(o.segs)]
	return all
}

func (o *outbox) reset() {
	// One more than segs: segments leaves the open run there.
	clear(o.segs[:min(len(o.segs)+1, cap(o.segs))])
	clear(o.releases)
	*o = outbox{scratch: o.scratch[:0], segs: o.segs[:0], releases: o.releases[:0]}
}

// HasPending reports whether there is anything to write.
func (c *Conn) HasPending() bool { return c.out != nil }

// Pending lends what is to be written, in order, until Flushed. The caller may
// change the elements of the slice, not the octets.
func (c *Conn) Pending() [][]byte {
	if c.out == nil {
		return nil
	}
	return c.out.segments()
}

// Flushed says that all of Pending is written, or as good as: its octets are
// no longer referenced. Releases run here.
func (c *Conn) Flushed() {
	if c.out != nil {
		c.finishOutbox()
	}
}

// finishOutbox gives the outbox back and then tells those who waited for its
// octets to leave.
func (c *Conn) finishOutbox() {
	o := c.out
	c.out = nil
	for _, rel := range o.releases {
		rel.Release()
	}
	c.shared.putOutbox(o)
}

// release tells rel that its octets are free, once they are: not before the
// batch that is being made has left.
func (c *Conn) release(rel message.Releaser) {
	switch {
	case rel == nil:
	case c.life == lifeClosed:
		rel.Release()
	default:
		o := c.outbox()
		o.releases = append(o.releases, rel)
	}
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
