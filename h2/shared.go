package h2

import (
	"time"

	"github.com/h2loop/h2loop/frames"
)

// Shared is what the connections of one event loop have in common: the
// configuration, the loop's idea of the time, and free lists. Like the
// connections it belongs to that loop, so nothing here is locked.
type Shared struct {
	// Now is the time since some fixed moment. The owner of the loop moves
	// it; budgets refill by it.
	Now time.Duration

	// Crossed counts how often each limit was crossed.
	Crossed [NumLimits]uint64

	cfg       Config
	unread    int // octets of request bodies that are kept
	streams   []*Stream
	outboxes  []*outbox
	carries   [][]byte
	schedules []*[numUrgencies]level
}

// What a free list keeps. A loop rarely has more than a few outboxes in use,
// one for each connection with unwritten octets; streams are as many as are
// open at the busiest moment, within reason.
const (
	maxFreeStreams   = 4096
	maxFreeOutboxes  = 64
	maxFreeCarries   = 64
	maxFreeSchedules = 256
	maxKeptScratch   = 64 << 10
)

// NewShared returns what the connections of a new event loop share.
func NewShared(cfg Config) *Shared {
	return &Shared{cfg: cfg.WithDefaults()}
}

// pop takes the last element of a free list, or the zero value of T.
func pop[T any](list *[]T) (v T) {
	n := len(*list)
	if n == 0 {
		return v
	}
	v = (*list)[n-1]
	var zero T
	(*list)[n-1] = zero
	*list = (*list)[:n-1]
	return v
}

func (sh *Shared) getStream() *Stream {
	if s := pop(&sh.streams); s != nil {
		return s
	}
	return new(Stream)
}

func (sh *Shared) putStream(s *Stream) {
	s.reset()
	if len(sh.streams) < maxFreeStreams {
		sh.streams = append(sh.streams, s)
	}
}

func (sh *Shared) getOutbox() *outbox {
	if o := pop(&sh.outboxes); o != nil {
		return o
	}
	return &outbox{Batch: frames.Batch{Scratch: make([]byte, 0, 4<<10)}}
}

func (sh *Shared) putOutbox(o *outbox) {
	o.Reset()
	o.number, o.answers = 0, 0
	clear(o.releases)
	o.releases = o.releases[:0]
	if len(sh.outboxes) < maxFreeOutboxes && cap(o.Scratch) <= maxKeptScratch {
		sh.outboxes = append(sh.outboxes, o)
	}
}

func (sh *Shared) getCarry() []byte {
	if b := pop(&sh.carries); b != nil {
		return b
	}
	return make([]byte, 0, 512)
}

func (sh *Shared) putCarry(b []byte) {
	if b != nil && len(sh.carries) < maxFreeCarries && cap(b) <= maxKeptScratch {
		sh.carries = append(sh.carries, b[:0])
	}
}

func (sh *Shared) getSchedule() *[numUrgencies]level {
	if q := pop(&sh.schedules); q != nil {
		return q
	}
	return new([numUrgencies]level)
}

// putSchedule takes back empty levels.
func (sh *Shared) putSchedule(q *[numUrgencies]level) {
	if len(sh.schedules) < maxFreeSchedules {
		sh.schedules = append(sh.schedules, q)
	}
}
