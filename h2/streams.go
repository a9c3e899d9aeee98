package h2

import (
	"slices"

	"github.com/h2loop/h2loop/frames"
)

// A streamTable finds the open streams of a connection by identifier.
//
// It is an open-addressed hash table. Peers number their streams 1, 3, 5 …, so
// half the identifier is a hash in which streams of about the same age never
// collide.
type streamTable struct {
	slots []*Stream // a power of two, at most half full; nil until the first stream
	n     int
}

const minStreamSlots = 4

func (t *streamTable) home(id frames.StreamID) int { return int(id>>1) & (len(t.slots) - 1) }

// get returns the open stream id, or nil.
func (t *streamTable) get(id frames.StreamID) *Stream {
	if t.n == 0 {
		return nil
	}
	for i := t.home(id); ; i = (i + 1) & (len(t.slots) - 1) {
		s := t.slots[i]
		if s == nil || s.id == id {
			return s
		}
	}
}

// put adds s, whose identifier is not in the table.
func (t *streamTable) put(s *Stream) {
	if t.n*2 >= len(t.slots) {
		t.resize(max(minStreamSlots, len(t.slots)*2))
	}
	t.place(s)
	t.n++
}

func (t *streamTable) place(s *Stream) {
	i := t.home(s.id)
	for t.slots[i] != nil {
		i = (i + 1) & (len(t.slots) - 1)
	}
	t.slots[i] = s
}

func (t *streamTable) resize(size int) {
	old := t.slots
	t.slots = make([]*Stream, size)
	for _, s := range old {
		if s != nil {
			t.place(s)
		}
	}
}

// remove takes out s, which is in the table, and closes the gap: what was
// pushed past the freed slot moves back, so that get may stop at a nil.
func (t *streamTable) remove(s *Stream) {
	mask := len(t.slots) - 1
	gap := t.home(s.id)
	for t.slots[gap] != s {
		gap = (gap + 1) & mask
	}
	for i := (gap + 1) & mask; t.slots[i] != nil; i = (i + 1) & mask {
		if (i-t.home(t.slots[i].id))&mask >= (i-gap)&mask {
			t.slots[gap] = t.slots[i]
			gap = i
		}
	}
	t.slots[gap] = nil
	t.n--
}

// each calls f for every open stream. f may close the stream it is given.
func (t *streamTable) each(f func(*Stream)) {
	if t.n == 0 {
		return
	}
	all := make([]*Stream, 0, t.n)
	for _, s := range t.slots {
		if s != nil {
			all = append(all, s)
		}
	}
	for _, s := range all {
		if t.get(s.id) == s {
			f(s)
		}
	}
}

// A closedRing remembers how the latest streams were closed, since what may
// still arrive on them depends on it (RFC 9113, Section 5.1).
type closedRing struct {
	ended []frames.StreamID // by END_STREAM or the peer's RST_STREAM
	reset []frames.StreamID // by our RST_STREAM: frames in flight are legitimate
	e, r  int
}

const (
	rememberEnded = 8   // only so that the error names the right code
	rememberReset = 256 // about as many as may be open at once
)

func (c *closedRing) addEnded(id frames.StreamID) { remember(&c.ended, &c.e, rememberEnded, id) }
func (c *closedRing) addReset(id frames.StreamID) { remember(&c.reset, &c.r, rememberReset, id) }

func remember(ring *[]frames.StreamID, at *int, limit int, id frames.StreamID) {
	if len(*ring) < limit {
		*ring = append(*ring, id)
		return
	}
	(*ring)[*at] = id
	*at = (*at + 1) % limit
}

func (c *closedRing) wasEnded(id frames.StreamID) bool { return slices.Contains(c.ended, id) }
func (c *closedRing) wasReset(id frames.StreamID) bool { return slices.Contains(c.reset, id) }
