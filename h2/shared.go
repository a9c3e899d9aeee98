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

	// ResetsSent and ResetsReceived count RST_STREAM frames, those behind a
	// complete response (RFC 9113, Section 8.1) among them.
	ResetsSent, ResetsReceived uint64

	// Pool is where the memory for request bodies comes from. NewShared makes
	// one of [Config.MaxUnreadTotal] octets; another is to be set before the first
	// connection.
	Pool Pool

	cfg       *Config // of connections to come; it is not written to
	unread    int     // octets of request bodies that are kept
	taken     int     // from Pool
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
	cfg = cfg.WithDefaults()
	sh := &Shared{cfg: &cfg}
	sh.Pool = &ownPool{left: sh.cfg.MaxUnreadTotal}
	return sh
}

// Reconfigure has cfg hold for the connections that begin from now on. Others keep what
// they began with, some of which their peers were told. [Config.MaxUnreadTotal] is for
// who owns the Pool to change.
func (sh *Shared) Reconfigure(cfg Config) {
	cfg = cfg.WithDefaults()
	sh.cfg = &cfg
}

// A Pool is memory for request bodies, in octets, that the event loops of a
// process have together: each calls it when it pleases.
type Pool interface {
	Take(n int) int // returns how many of n octets there are, which are gone then
	Give(n int)
	Left() int
}

// An ownPool is the pool of one Shared.
type ownPool struct{ left int }

func (p *ownPool) Take(n int) int {
	n = max(0, min(n, p.left))
	p.left -= n
	return n
}

func (p *ownPool) Give(n int) { p.left += n }
func (p *ownPool) Left() int  { return p.left }

// maxPoolStep is about how much more of the pool than it needs a Shared holds, so
// that it need not ask for each piece of a body; and poolSteps how many of them
// there are at least, so that little lies idle.
const (
	maxPoolStep = 64 << 10
	poolSteps   = 1024
)

// keep counts n octets of request bodies more as kept, or fewer.
func (sh *Shared) keep(n int) {
	sh.unread += n
	step := min(maxPoolStep, sh.cfg.MaxUnreadTotal/poolSteps)
	switch spare := sh.taken - sh.unread; {
	case spare < 0:
		sh.taken += sh.Pool.Take(step - spare)
	case spare > 2*step:
		sh.taken -= spare - step
		sh.Pool.Give(spare - step)
	}
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
