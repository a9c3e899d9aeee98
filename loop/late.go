package loop

import (
	"math/rand/v2"
	"time"

	"github.com/h2loop/h2loop/h2"
)

// onTimer looks at what the connection may be late with.
func (c *conn) onTimer() {
	l := c.loop
	switch {
	case c.finishing:
		c.lingerOn()
	case l.srv.draining.Load() && (c.stage != stageServing || !c.engine.Draining()):
		c.endGrace() // no request has come since the drain began
	case c.stage != stageServing || !c.protocol.established():
		c.examineStart()
	default:
		c.examine()
		if !c.wire.isOpen() || c.finishing {
			return
		}
		if l.now >= c.active+l.examineEvery {
			c.rest()
		}
		l.wheel.arm(&c.timer, c.nextExam())
		c.flush()
	}
}

// examineStart holds a peer to the time for the TLS handshake, the preface and
// the first SETTINGS.
func (c *conn) examineStart() {
	l := c.loop
	cfg := l.srv.config()
	if late := c.since + cfg.HandshakeTimeout; l.now < late {
		l.wheel.arm(&c.timer, min(late, l.now+cfg.IdleTimeout))
		return
	}
	l.cross(limitHandshakeTime)
	c.leaveGate(handshakeStalled)
	l.srv.log.Debug().Stringer("remote", c.remote).Msg("handshake or preface took too long")
	c.wire.close()
}

// examine holds a peer whose connection is established to its times.
func (c *conn) examine() {
	l := c.loop
	switch {
	case c.isStalled():
		l.cross(limitSocket)
		l.srv.log.Debug().Stringer("remote", c.remote).Msg("the peer does not take what it asked for, connection closed")
		c.wire.close()
	case c.isLate():
	case c.engine.OpenStreams() > 0:
	case c.engine.Draining():
		// It waits for nothing but the answer to the PING of its warning: the
		// peer may be gone.
		c.protocol.end("shutting down")
	case l.now >= c.active+l.srv.config().IdleTimeout:
		l.cross(limitIdle)
		c.protocol.end("idle")
	}
	if c.isOld() {
		l.cross(limitAge)
		c.retire()
	}
}

// isLate holds the peer to the times of its protocol, and reports whether that has ended
// the connection.
func (c *conn) isLate() bool {
	err := c.engine.Tick()
	if err != nil {
		c.loop.srv.log.Debug().Err(err).Stringer("remote", c.remote).Msg("connection error")
	}
	return err != nil
}

// nextExam returns when to examine it again.
func (c *conn) nextExam() time.Duration {
	l := c.loop
	next := c.active + l.srv.config().IdleTimeout
	if c.isBusy() || c.mayRest() {
		next = l.now + l.examineEvery
	}
	if c.engine.Draining() {
		next = min(next, l.now+drainPause)
	}
	if c.oldAt > l.now {
		next = min(next, c.oldAt)
	}
	return max(next, l.now+tick)
}

// isBusy reports whether the peer may be late with anything but being idle.
func (c *conn) isBusy() bool { return c.isBlocked || c.engine.NeedsTick() }

// mayRest reports whether c holds what it can give back while it is idle.
func (c *conn) mayRest() bool { return c.h2 != nil && c.h2.MayRest() }

func (c *conn) rest() {
	if c.h2 != nil {
		c.h2.Rest()
	}
}

// examineSoon has a connection examined that has been idle until now, or that is
// idle now and has something to give back.
func (c *conn) examineSoon() {
	l := c.loop
	if c.stage == stageServing && c.timer.deadline > l.now+l.examineEvery &&
		(c.isBusy() || c.mayRest()) && c.protocol.established() {
		l.wheel.arm(&c.timer, l.now+l.examineEvery)
	}
}

// isOld reports whether the connection has come to the age at which it is to
// end, and has not been told.
func (c *conn) isOld() bool {
	return c.oldAt > 0 && c.loop.now >= c.oldAt && !c.engine.Draining()
}

// countRequest notes a request, and retires a connection that has had enough of
// them.
func (c *conn) countRequest() {
	c.loop.figures.Requests++
	c.requests++
	srv := c.loop.srv
	switch n := srv.config().MaxConnRequests; {
	case n > 0 && c.requests == n:
		c.loop.cross(limitRequests)
		c.retire()
	case srv.draining.Load() && !c.engine.Draining(): // which has waited for it
		c.retire()
	}
}

// retire begins the graceful end of a connection that is established. The
// caller flushes. To do so again, as each of many responses may, puts nothing off.
func (c *conn) retire() {
	l, wasDraining := c.loop, c.engine.Draining()
	c.engine.Shutdown()
	if wasDraining {
		l.wheel.armBy(&c.timer, l.now+drainPause)
		return
	}
	l.wheel.arm(&c.timer, l.now+drainPause)
}

// jitter returns d less up to a tenth, so that connections that began together
// do not end together.
func jitter(d time.Duration) time.Duration { return d - rand.N(d/10+1) }

// isStalled reports whether the socket is full, and the peer has taken nothing of
// what is in it for [h2.Config.StallTimeout], or less than [h2.Config.MinBodyRate]
// on average for so long.
func (c *conn) isStalled() bool {
	cfg := &c.loop.srv.config().HTTP2
	if !c.isBlocked || cfg.StallTimeout <= 0 {
		c.socket = nil
		c.examined = c.loop.now
		return false
	}
	return c.takesTooLittle(c.wire.unread(), cfg.StallTimeout, 2*c.loop.examineEvery)
}

// takesTooLittle is called now and then, at least every most, while octets wait
// for the peer, of which it has not acknowledged left.
func (c *conn) takesTooLittle(left int, timeout, most time.Duration) bool {
	l := c.loop
	passed := min(l.now-c.examined, most) // the loop may have been held up
	c.examined = l.now
	if c.socket == nil {
		c.socket = new(h2.Pace)
	}
	return c.socket.IsSlow(c.written-int64(left), passed, timeout, l.srv.config().HTTP2.MinBodyRate)
}
