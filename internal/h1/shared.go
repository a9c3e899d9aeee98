package h1

import (
	"hash/maphash"
	"time"

	"github.com/h2loop/h2loop/internal/freelist"
)

// Shared is what the connections of one event loop have in common: the
// configuration, the loop's idea of the time, and free lists. Like the
// connections it belongs to that loop, so nothing here is locked.
type Shared struct {
	// Now is the time since some fixed moment. The owner of the loop moves it.
	Now time.Duration

	// Date is the Date field (RFC 9110, Section 6.6.1) of answers that are the
	// connection's own. Without one they have none.
	Date string

	// Bodies, if it is set, keeps the account of the octets of request bodies that
	// are held, for this Shared and others.
	Bodies BodyBudget

	// Crossed counts how often each limit was crossed.
	Crossed [NumLimits]uint64

	cfg      *Config // of connections to come; it is not written to
	unread   int     // octets that are held, where Bodies does not count them
	streams  freelist.List[*Stream]
	outboxes freelist.List[*outbox]
	carries  freelist.List[[]byte]
	heads    headMemos
	sent     sentMemos
}

// A BodyBudget bounds what is held of request bodies.
type BodyBudget interface {
	// ChargeBody counts n octets, or gives them back if n is negative.
	ChargeBody(n int)
	// BodyRoom returns how many more may be held.
	BodyRoom() int
}

// What a free list keeps.
const (
	maxFreeStreams  = 4096
	maxFreeOutboxes = 64
	maxFreeCarries  = 64
	maxKeptScratch  = 64 << 10
	maxKeptReleases = 1024
	keptFree        = 16 // of each, needed or not
)

// NewShared returns what the connections of a new event loop share.
func NewShared(cfg Config) *Shared {
	cfg = cfg.WithDefaults()
	return &Shared{cfg: &cfg, heads: headMemos{seed: maphash.MakeSeed()}}
}

// Reconfigure has cfg hold for the connections that begin from now on. Others keep what
// they began with.
func (sh *Shared) Reconfigure(cfg Config) {
	cfg = cfg.WithDefaults()
	sh.cfg = &cfg
	sh.heads = headMemos{seed: sh.heads.seed} // of heads that may be too long now
}

func (sh *Shared) chargeBody(n int) {
	if sh.Bodies != nil {
		sh.Bodies.ChargeBody(n)
		return
	}
	sh.unread += n
}

func (sh *Shared) bodyRoom() int {
	if sh.Bodies != nil {
		return sh.Bodies.BodyRoom()
	}
	return sh.cfg.MaxUnreadTotal - sh.unread
}

// Trim forgets what free lists hold and nobody has needed since it was last called.
func (sh *Shared) Trim() {
	sh.streams.Trim(keptFree)
	sh.outboxes.Trim(keptFree)
	sh.carries.Trim(keptFree)
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
	return &outbox{scratch: make([]byte, 0, 4<<10)}
}

func (sh *Shared) putOutbox(o *outbox) {
	o.reset()
	if cap(o.scratch) <= maxKeptScratch && cap(o.releases) <= maxKeptReleases {
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
