package h1

import "time"

// A timing is what a connection knows of the time. It is [Shared.Now], which
// moves with the loop's ticks.
type timing struct {
	looked time.Duration // when Tick last looked
	begun  time.Duration // when the header section that is not complete began
	inHead bool          // there is one

	skipping bodyTiming // of the rest of a body behind its response
}

// A bodyTiming is how a request body gets on.
type bodyTiming struct {
	runs   bool          // Tick has seen it
	free   time.Duration // of BodyInGrace, used up so far
	window time.Duration // of BodyInWindow
	from   int64         // octets received when the window began
}

var (
	errHeaderTimeout = &Error{Status: 408, Reason: "the header section took too long to come", limit: LimitHeaderTime}
	errBodyTimeout   = &Error{Status: 408, Reason: "the body comes too slowly", limit: LimitBodyIn}
)

const (
	leastTick = time.Second / 10
	mostTick  = 5 * time.Second
)

// TickEvery returns how often [Conn.Tick] is to be called: a fraction of the
// shortest timeout, so that none is missed by much.
func (sh *Shared) TickEvery() time.Duration {
	cfg := sh.cfg
	every := mostTick
	for _, d := range []time.Duration{cfg.HeaderTimeout / 4, cfg.BodyInWindow / 4} {
		if d > 0 {
			every = min(every, d)
		}
	}
	return max(every, leastTick)
}

// NeedsTick reports whether the peer may be late with anything: a request is in
// progress or has begun to come, or is not complete. The time of connections that
// are idle is the caller's.
func (c *Conn) NeedsTick() bool {
	return c.life < lifeFinished && (c.OpenStreams() > 0 || c.time.inHead || c.recv.phase != phaseHead)
}

// noteHead notes when a header section began that is not complete.
func (c *Conn) noteHead() {
	inHead := c.recv.phase == phaseHead && c.recv.carry != nil
	if inHead && !c.time.inHead {
		c.time.begun = c.shared.Now
	}
	c.time.inHead = inHead
}

// Tick holds the peer to its times. It is to be called every [Shared.TickEvery]
// while NeedsTick. A returned error is like that of Receive.
func (c *Conn) Tick() error {
	if c.life >= lifeFinished {
		return nil
	}
	cfg, t, now := c.cfg, &c.time, c.shared.Now
	passed := c.passed()
	switch s := c.stream; {
	case t.inHead:
		if cfg.HeaderTimeout > 0 && now-t.begun >= cfg.HeaderTimeout {
			return c.fail(errHeaderTimeout)
		}
	case s != nil:
		isFree := s.longLived || s.head.has(isGRPC) && !s.answered
		if !isFree && !s.ended && c.mayCome(s) && c.isLate(&s.timing, s.received, passed) {
			return c.fail(errBodyTimeout)
		}
	case c.recv.phase != phaseHead:
		if c.isLate(&t.skipping, int64(c.recv.skipped), passed) {
			return c.fail(errBodyTimeout)
		}
	}
	return nil
}

// passed returns the time since the last Tick. If that is long, the loop was held
// up and has not read what the peer may have sent: it does not count.
func (c *Conn) passed() time.Duration {
	t, now := &c.time, c.shared.Now
	most := c.shared.TickEvery() * 3 / 2
	if held := now - max(t.looked, t.begun) - most; held > 0 {
		t.begun += held
	}
	passed := min(now-t.looked, most)
	t.looked = now
	return passed
}

// mayCome reports whether the peer may send more of the body of s: reading does
// not pause, and it does not wait to be told.
func (c *Conn) mayCome(s *Stream) bool {
	return !c.WantsPause() && (!s.head.has(expects) || s.continued || s.answered || s.received > 0)
}

// isLate reports whether a body of which received octets have come so far comes
// too slowly.
func (c *Conn) isLate(t *bodyTiming, received int64, passed time.Duration) bool {
	cfg := c.cfg
	if cfg.BodyInWindow <= 0 {
		return false
	}
	if !t.runs {
		t.runs, t.from = true, received // it may have begun a moment ago
		return false
	}
	if t.free < cfg.BodyInGrace {
		t.free, t.from = t.free+passed, received
		return false
	}
	if t.window += passed; t.window < cfg.BodyInWindow {
		return false
	}
	late := received-t.from < cfg.MinBodyRate*int64(t.window)/int64(time.Second)
	t.window, t.from = 0, received
	return late
}

// SetLongLived frees s of the timeouts for its body: it is for exchanges in which
// little may happen for long. CONNECT and upgraded connections are such anyway, and a
// request of gRPC is until its response begins: what that is the peer does not decide.
func (c *Conn) SetLongLived(s *Stream) { s.longLived = true }
