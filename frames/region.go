package frames

import (
	"errors"
	"fmt"
)

// What is wrong with a [Region]: the caller's mistake, not the peer's. The errors
// of WriteRegion and CopyRegion match these with errors.Is.
var (
	ErrRegionStream = errors.New("frames: region on no stream")
	ErrRegionBounds = errors.New("frames: region outside its source")
	ErrRegionSize   = errors.New("frames: region above the frame size")
)

// A Region is one DATA frame to be: Length octets of Source from Offset.
type Region struct {
	StreamID  StreamID
	Source    []byte
	Offset    int
	Length    int
	Padded    bool  // the frame has a Pad Length octet, even if it is 0
	PadLength uint8 // if Padded
	EndStream bool
}

// check returns an error if r is not one DATA frame of at most maxFrameSize.
func (r *Region) check(maxFrameSize uint32) error {
	if r.StreamID == 0 || r.StreamID > MaxStreamID {
		return fmt.Errorf("%w: %d", ErrRegionStream, r.StreamID)
	}
	// Offset + Length may overflow. len(Source) - Offset cannot, and is less than
	// any Length where Offset is behind the end.
	if r.Offset < 0 || r.Length < 0 || r.Length > len(r.Source)-r.Offset {
		return fmt.Errorf("%w: %d octets from %d of %d", ErrRegionBounds, r.Length, r.Offset, len(r.Source))
	}
	limit := min(maxFrameSize, MaxMaxFrameSize)
	if n := uint64(r.Length) + uint64(paddedLen(0, r.Padded, r.PadLength)); n > uint64(limit) {
		return fmt.Errorf("%w: payload of %d octets, limit %d", ErrRegionSize, n, limit)
	}
	return nil
}

// payload returns the octets of Source that r means. r has been checked.
func (r *Region) payload() []byte {
	end := r.Offset + r.Length
	return r.Source[r.Offset:end:end]
}
