package h2

import (
	"errors"
	"strings"
	"time"

	"github.com/h2loop/h2loop/frames"
)

// ErrTimeout is what [Handler.Closed] reports for a stream that the peer was too
// slow on.
var ErrTimeout = errors.New("h2: the peer was too slow")

// A timing is what a connection knows of the time. It is [Shared.Now], which
// moves with the loop's ticks.
type timing struct {
	looked time.Duration // when Tick last looked
	heard  time.Duration // when octets last came

	begun      time.Duration // when what is unfinished began
	unfinished bool          // a frame that is not DATA, or a header section

	pinged bool // keepalive: a PING was sent at pingAt, and nothing has come since
	pingAt time.Duration

	out Pace // of all DATA, while the connection's window is shut
}

// A bodyTiming is how the bodies of a stream get on. A stream has one from the
// first Tick that sees it open: most are gone by then.
type bodyTiming struct {
	expects bool          // the client waits to be told to send its body
	isGRPC  bool          // and so free of timeouts until the response begins
	free    time.Duration // of BodyInGrace, used up so far
	window  time.Duration // of BodyInWindow
	from    int64         // octets received when the window began
	out     Pace
}

// keepAlivePing marks the PING of which any answer will do.
var keepAlivePing = [8]byte{'s', 't', 'i', 'l', 'l', 'u', 'p', '?'}

var (
	errHeaderTimeout = frames.ConnError{
		Code: frames.ErrCodeEnhanceYourCalm, Reason: "a header section or a frame took too long", Section: "10.5",
	}
	errConnStalled = frames.ConnError{
		Code: frames.ErrCodeEnhanceYourCalm, Reason: "the connection window stays shut", Section: "10.5",
	}
	errKeepAlive = frames.ConnError{
		Code: frames.ErrCodeNo, Reason: "no answer to PING", Section: "6.7",
	}
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
	for _, d := range []time.Duration{
		cfg.HeaderTimeout / 4, cfg.BodyInWindow / 4, cfg.StallTimeout / 8, cfg.KeepAlive / 8, cfg.KeepAliveTimeout / 4,
	} {
		if d > 0 {
			every = min(every, d)
		}
	}
	return max(every, leastTick)
}

// NeedsTick reports whether the peer may be late with anything: streams are open,
// or a frame is unfinished. The time of connections that are idle, and of those
// that have not said their preface, is the caller's.
func (c *Conn) NeedsTick() bool { return c.streams.n > 0 || c.time.unfinished }

// hear notes that octets have come.
func (c *Conn) hear() { c.time.heard = c.shared.Now }

// isBetween reports whether the octets received so far end where nothing is timed:
// between two frames outside a header block, or in DATA.
func (c *Conn) isBetween() bool {
	r := &c.recv
	return !c.block.active && (r.phase == phaseHeader && r.have == 0 || r.phase == phaseData) || r.phase == phasePreface
}

// noteUnfinished notes when what these octets have left unfinished began.
func (c *Conn) noteUnfinished() {
	if !c.time.unfinished && !c.isBetween() {
		c.time.unfinished, c.time.begun = true, c.shared.Now
	}
}

// Tick holds the peer to its times: it queues PING, resets streams, and answers
// requests whose bodies do not come. It is to be called every [Shared.TickEvery]
// while NeedsTick. A returned error is like that of Receive.
func (c *Conn) Tick() error {
	if c.life >= lifeDrained {
		return nil
	}
	passed := c.passed()
	err := c.tick(passed)
	if err == nil {
		return nil
	}
	c.fail(*err)
	return *err
}

// passed returns the time since the last Tick. If that is long, the loop was held
// up and has not read what the peer may have sent: it does not count.
func (c *Conn) passed() time.Duration {
	t, now := &c.time, c.shared.Now
	most := c.shared.TickEvery() * 3 / 2
	for _, at := range []*time.Duration{&t.begun, &t.heard, &t.pingAt} {
		if held := now - max(t.looked, *at) - most; held > 0 {
			*at += held
		}
	}
	passed := min(now-t.looked, most)
	t.looked = now
	return passed
}

func (c *Conn) tick(passed time.Duration) *frames.ConnError {
	cfg, t, now := c.cfg, &c.time, c.shared.Now
	if t.unfinished && cfg.HeaderTimeout > 0 && now-t.begun >= cfg.HeaderTimeout {
		c.shared.Crossed[LimitHeaderTime]++
		return &errHeaderTimeout
	}
	if c.streams.n == 0 {
		return nil
	}
	if c.isDead(now) {
		c.shared.Crossed[LimitKeepAlive]++
		return &errKeepAlive
	}
	if c.isStalled(passed) {
		c.shared.Crossed[LimitBodyOut]++
		return &errConnStalled
	}
	c.tickStreams(passed)
	return nil
}

// isDead sends a PING when the peer has been silent for KeepAlive while streams
// are open, and reports whether it stays so for KeepAliveTimeout.
func (c *Conn) isDead(now time.Duration) bool {
	cfg, t := c.cfg, &c.time
	switch {
	case cfg.KeepAlive <= 0 || cfg.KeepAliveTimeout <= 0:
	case t.pinged && t.heard >= t.pingAt:
		t.pinged = false
	case t.pinged:
		return now-t.pingAt >= cfg.KeepAliveTimeout
	case now-t.heard >= cfg.KeepAlive:
		t.pinged, t.pingAt = true, now
		o := c.outbox()
		o.Scratch = frames.AppendPing(o.Scratch, frames.Ping{Data: keepAlivePing})
	}
	return false
}

// isStalled reports whether streams that are not long-lived wait for the
// connection's window alone, and it hardly opens.
func (c *Conn) isStalled(passed time.Duration) bool {
	cfg, p := c.cfg, &c.time.out
	shut, mayGo := c.waiting()
	switch {
	case cfg.StallTimeout <= 0 || mayGo && c.sendWindow > 0 || !shut && !mayGo:
		p.Stop()
		return false
	case c.sendWindow > 0 || !mayGo:
		return false // windows of streams are shut: that is no reason to begin anew
	}
	return p.IsSlow(c.sent, passed, cfg.StallTimeout, cfg.MinBodyRate)
}

// waiting reports whether bodies wait whose own window is shut, and others.
func (c *Conn) waiting() (shut, mayGo bool) {
	for _, s := range c.streams.slots {
		if s != nil && !s.longLived && s.body.waits() {
			shut, mayGo = shut || s.sendWindow <= 0, mayGo || s.sendWindow > 0
		}
	}
	return shut, mayGo
}

// tickStreams looks at the bodies of every stream.
func (c *Conn) tickStreams(passed time.Duration) {
	var lateIn, lateOut []*Stream
	for _, s := range c.streams.slots {
		if s == nil || s.longLived {
			continue
		}
		if s.timing == nil {
			if s.Request.Method == "CONNECT" {
				s.longLived = true
				continue
			}
			s.timing = &bodyTiming{expects: s.expectsContinue(), isGRPC: s.isGRPC()}
			continue // it may have come a moment ago
		}
		if s.timing.isGRPC && !s.answered {
			continue
		}
		switch {
		case c.isLateIn(s, passed):
			lateIn = append(lateIn, s)
		case c.isLateOut(s, passed):
			lateOut = append(lateOut, s)
		}
	}
	// These resets are not charged to the peer's budget: each takes it seconds.
	for _, s := range lateIn {
		if c.streams.get(s.id) != s {
			continue // the application has closed it meanwhile
		}
		c.shared.Crossed[LimitBodyIn]++
		c.timeOut(s)
	}
	for _, s := range lateOut {
		if c.streams.get(s.id) != s {
			continue
		}
		c.shared.Crossed[LimitBodyOut]++
		c.resetStream(s.id, frames.ErrCodeCancel, ErrTimeout)
	}
}

// isLateIn reports whether the request body of s comes too slowly. Only the time
// in which the peer may send counts.
func (c *Conn) isLateIn(s *Stream, passed time.Duration) bool {
	cfg, t := c.cfg, s.timing
	maySend := s.recvWindow.granted > 0 && c.recvWindow.granted > 0 && (!t.expects || s.continued || s.answered)
	if cfg.BodyInWindow <= 0 || s.RequestEnded() || !maySend {
		return false
	}
	if t.free < cfg.BodyInGrace {
		t.free, t.from = t.free+passed, s.received
		return false
	}
	if t.window += passed; t.window < cfg.BodyInWindow {
		return false
	}
	late := s.received-t.from < cfg.MinBodyRate*int64(t.window)/int64(time.Second)
	t.window, t.from = 0, s.received
	return late
}

// isLateOut reports whether the response body of s waits for the window of s, and
// that hardly opens.
func (c *Conn) isLateOut(s *Stream, passed time.Duration) bool {
	cfg, p := c.cfg, &s.timing.out
	switch {
	case cfg.StallTimeout <= 0 || !s.body.waits() || s.sendWindow > 0 && c.sendWindow > 0:
		p.Stop()
		return false
	case s.sendWindow > 0:
		return false // it waits for the window of c: that is no reason to begin anew
	}
	return p.IsSlow(s.sent, passed, cfg.StallTimeout, cfg.MinBodyRate)
}

// timeOut ends s, whose request body does not come: with 408 (RFC 9110, Section
// 15.5.9) if it was not answered.
func (c *Conn) timeOut(s *Stream) {
	if s.answered {
		c.resetStream(s.id, frames.ErrCodeCancel, ErrTimeout)
		return
	}
	s.late = true
	c.refuse(s, 408, ErrTimeout)
}

// waits reports whether octets of the response wait to be sent.
func (b *body) waits() bool { return b.regions.Len() > 0 || b.source != nil && !b.idle }

// SetLongLived frees s of the timeouts for bodies: it is for streams on which
// little may happen for long. CONNECT is such from the beginning, and a request of
// gRPC until its response begins: what that is the peer does not decide.
func (c *Conn) SetLongLived(s *Stream) { s.longLived = true }

func (s *Stream) isGRPC() bool {
	return strings.HasPrefix(s.Request.Field("content-type"), "application/grpc")
}

func (s *Stream) expectsContinue() bool {
	return strings.EqualFold(s.Request.Field("expect"), "100-continue")
}
