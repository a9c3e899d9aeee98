package h2

import (
	"time"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/internal/freelist"
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

	plain     plainCodec
	cfg       *Config // of connections to come; it is not written to
	unread    int     // octets of request bodies that are kept
	taken     int     // from Pool
	streams   freelist.List[*Stream]
	outboxes  freelist.List[*outbox]
	carries   freelist.List[[]byte]
	codecs    freelist.List[*codec]
	schedules freelist.List[*[numUrgencies]level]
}

// What a free list keeps. A loop rarely has more than a few outboxes in use,
// one for each connection with unwritten octets; streams are as many as are
// open at the busiest moment, within reason.
const (
	maxFreeStreams   = 4096
	maxFreeOutboxes  = 64
	maxFreeCarries   = 64
	maxFreeCodecs    = 64
	maxFreeSchedules = 256
	maxKeptScratch   = 64 << 10
	keptFree         = 16 // of each, needed or not
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

// Trim forgets what free lists hold and nobody has needed since it was last called.
func (sh *Shared) Trim() {
	sh.streams.Trim(keptFree)
	sh.outboxes.Trim(keptFree)
	sh.carries.Trim(keptFree)
	sh.codecs.Trim(keptFree)
	sh.schedules.Trim(keptFree)
}

func (sh *Shared) getStream() *Stream {
	if s := sh.streams.Pop(); s != nil {
		return s
	}
	return new(Stream)
}

func (sh *Shared) putStream(s *Stream) {
	s.reset()
	sh.streams.Push(s, maxFreeStreams)
}

func (sh *Shared) getOutbox() *outbox {
	if o := sh.outboxes.Pop(); o != nil {
		return o
	}
	return &outbox{Batch: frames.Batch{Scratch: make([]byte, 0, 4<<10)}}
}

func (sh *Shared) putOutbox(o *outbox) {
	o.Reset()
	o.number, o.answers = 0, 0
	clear(o.releases)
	o.releases = o.releases[:0]
	if cap(o.Scratch) <= maxKeptScratch {
		sh.outboxes.Push(o, maxFreeOutboxes)
	}
}

func (sh *Shared) getCarry() []byte {
	if b := sh.carries.Pop(); b != nil {
		return b
	}
	return make([]byte, 0, 512)
}

func (sh *Shared) putCarry(b []byte) {
	if b != nil && cap(b) <= maxKeptScratch {
		sh.carries.Push(b[:0], maxFreeCarries)
	}
}

func (sh *Shared) getSchedule() *[numUrgencies]level {
	if q := sh.schedules.Pop(); q != nil {
		return q
	}
	return new([numUrgencies]level)
}

// putSchedule takes back empty levels.
func (sh *Shared) putSchedule(q *[numUrgencies]level) {
	sh.schedules.Push(q, maxFreeSchedules)
}
