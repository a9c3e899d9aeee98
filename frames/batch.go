package frames

import "errors"

// MaxSegments is the most segments a Batch has. It is the IOV_MAX of Linux: a
// vectored write of more pieces fails with EINVAL.
const MaxSegments = 1024

// ErrBatchFull is returned for a region that could take a Batch above MaxSegments:
// send the batch, Reset it and write the region again.
var ErrBatchFull = errors.New("frames: batch is full")

// A Batch is the outbound octets of one turn of a connection: runs of Scratch,
// and regions referenced where they lie.
//
// Frames are queued in the order of calls and appends:
//
//	b.Scratch = frames.AppendPing(b.Scratch, ping)
//	err := b.WriteRegion(frames.Region{StreamID: 1, Source: body, Length: len(body)}, maxFrameSize)
//	b.Scratch = frames.AppendWindowUpdate(b.Scratch, update)
//	conn.Writev(b.Segments())
//	b.Reset()
//
// Between calls anyone may append to Scratch, and nothing else: what is in it is
// queued. If an append moves Scratch, segments of the old array stay as they are.
//
// The zero Batch is empty and ready. A Batch belongs to one goroutine at a time.
type Batch struct {
	Scratch []byte

	segs   [][]byte // closed; never empty ones; fewer than MaxSegments, so that the open run has room
	closed int      // octets in segs
	mark   int      // Scratch[:mark] is in segs; Scratch[mark:] is the open run
}

// WriteRegion queues the DATA frame of r without copying its payload: the frame
// header and the padding go to Scratch, the payload is referenced. It takes
// r.Source until Reset.
//
// An error says that r cannot be one frame of at most maxFrameSize octets of
// payload (padding and Pad Length octet included), or is [ErrBatchFull]; nothing
// has been queued or taken then. A region of Length 0 finds no batch full.
func (b *Batch) WriteRegion(r Region, maxFrameSize uint32) error {
	if err := r.check(maxFrameSize); err != nil {
		return err
	}
	// Two segments, the open run and the payload, and one for the run that may
	// be open when Segments is called.
	if r.Length > 0 && len(b.segs)+2+1 > MaxSegments {
		return ErrBatchFull
	}
	b.Scratch = appendDataHeader(b.Scratch, r.StreamID, r.Length, r.EndStream, r.Padded, r.PadLength)
	if r.Length > 0 {
		run := b.openRun()
		b.segs = append(b.segs, run, r.payload())
		b.closed += len(run) + r.Length
		b.mark = len(b.Scratch)
	}
	if r.Padded {
		b.Scratch = appendPadding(b.Scratch, r.PadLength)
	}
	return nil
}

// CopyRegion queues the DATA frame of r with its payload copied to Scratch, which
// for a small payload costs less than a segment. It copies r.Source. Its errors
// are those of WriteRegion, but it finds no batch full.
func (b *Batch) CopyRegion(r Region, maxFrameSize uint32) error {
	if err := r.check(maxFrameSize); err != nil {
		return err
	}
	b.Scratch = appendDataHeader(b.Scratch, r.StreamID, r.Length, r.EndStream, r.Padded, r.PadLength)
	b.Scratch = append(b.Scratch, r.payload()...)
	if r.Padded {
		b.Scratch = appendPadding(b.Scratch, r.PadLength)
	}
	return nil
}

// Segments returns what is queued, in order, in at most MaxSegments pieces none
// of which is empty. It lends them until the next call of a method or append to
// Scratch.
//
// A caller that changes elements, as a partial vectored write does, must Reset
// the batch and queue nothing more before that.
func (b *Batch) Segments() [][]byte {
	run := b.openRun()
	if len(run) == 0 {
		return b.segs
	}
	// The run stays open, with its segment just behind segs: an append to Scratch
	// makes it longer, not one more.
	all := append(b.segs, run)
	b.segs = all[:len(b.segs)]
	return all
}

// openRun returns the octets of Scratch that are in no segment yet.
func (b *Batch) openRun() []byte {
	end := len(b.Scratch)
	return b.Scratch[b.mark:end:end]
}

// Len returns the number of octets queued.
func (b *Batch) Len() int { return b.closed + len(b.Scratch) - b.mark }

// NumSegments returns the number of pieces Segments would return.
func (b *Batch) NumSegments() int {
	if len(b.Scratch) > b.mark {
		return len(b.segs) + 1
	}
	return len(b.segs)
}

// Reset forgets what is queued and every reference to a region's Source. It keeps
// the memory of Scratch and of the list of segments for reuse.
func (b *Batch) Reset() {
	// One more than segs: Segments leaves the open run there.
	clear(b.segs[:min(len(b.segs)+1, cap(b.segs))])
	b.segs = b.segs[:0]
	b.Scratch = b.Scratch[:0]
	b.closed = 0
	b.mark = 0
}
