package loop

import (
	"math"
	"slices"
	"time"
)

// A peer whose octets take long to go through, which is not forbidden, has others wait.
// epoll tells of each such peer in each round, so that all of them would come before
// the others' next turn, and a handshake takes several. So a turn ends when it has taken
// dearTurn, and what has come and was not handled stands in line: reading stops, and the
// first in line goes on once in a round. As long as nobody else has anything to do, a
// round is nothing but that.
const (
	dearRead = 4 << 10                // octets; fewer are not timed as a whole
	dearTurn = 300 * time.Microsecond // what takes so long is dear

	// sliceFrames is how many frames are handled between two looks at the clock.
	sliceFrames = 16

	// mostRests is how many that stand in line may have octets of their own with them,
	// readSize at most each. When there are more, what comes is handled at once.
	mostRests = 64

	leastRest = 4 << 10  // octets that one has room for
	keptRest  = 16 << 10 // what has room for more is not used again
)

// A dearConn stands in line.
type dearConn struct {
	conn *conn
	rest []byte // has come and was not handled: of eventLoop.rests; nil if nothing is left
	at   int    // in rest
}

// A turnShare is what a connection may do before others have their turn.
type turnShare struct {
	frames int           // to be handled before the next look at the clock
	began  time.Duration // when the turn did, since the server was made; 0 if that is not known yet
}

// beginTurn begins the turn of a connection. What is timed is so from now on; else that
// begins with the first look at the clock.
func (l *eventLoop) beginTurn(isTimed bool) {
	l.share = turnShare{frames: sliceFrames}
	if isTimed {
		l.share.began = time.Since(l.srv.started)
	}
}

// isTurnOver looks at the clock.
func (l *eventLoop) isTurnOver() bool {
	now := time.Since(l.srv.started)
	if l.share.began == 0 {
		l.share.began = now
	}
	if now-l.share.began >= l.turnTime {
		return true
	}
	l.share.frames = sliceFrames
	return false
}

// receiveMessages takes octets for the engine, which handles them now or when it is c's
// turn again.
func (c *conn) receiveMessages(b []byte) {
	n := 0
	if !c.hasRest() {
		n = c.take(b)
	}
	if n < len(b) {
		c.keep(b[n:])
	}
}

// take has the engine handle octets of b until the turn is over, and returns how many.
func (c *conn) take(b []byte) (n int) {
	l := c.loop
	for n < len(b) && (l.share.frames > 0 || !l.isTurnOver()) {
		m, err := c.engine.ReceiveUpTo(b[n:], &l.share.frames)
		if err != nil {
			l.srv.log.Debug().Err(err).Stringer("remote", c.remote).Msg("connection error")
		}
		n += m
	}
	return n
}

// takeAll has the engine handle b, however long that takes.
func (c *conn) takeAll(b []byte) {
	c.loop.share.frames = math.MaxInt
	c.take(b)
	c.loop.share.frames = 0
}

// keep copies b for the next turn of c, behind what is there of it, or handles all of it
// if there is no room.
func (c *conn) keep(b []byte) {
	l := c.loop
	d := l.inLine(c)
	hasRest := d != nil && d.rest != nil
	switch {
	case hasRest && len(d.rest)+len(b) <= readSize:
		d.rest = append(d.rest, b...)
	case !hasRest && l.nrests < mostRests:
		if d == nil {
			d = l.queueDear(c)
		}
		l.nrests++
		if d.rest = l.rests.Pop(); d.rest == nil {
			d.rest = make([]byte, 0, max(len(b), leastRest))
		}
		d.rest, d.at = append(d.rest, b...), 0
	default:
		c.takeRest()
		c.takeAll(b)
	}
}

// takeRest handles what has come and stands in line.
func (c *conn) takeRest() {
	if !c.hasRest() {
		return
	}
	l := c.loop
	d := l.inLine(c)
	rest, at := d.rest, d.at
	d.rest = nil
	l.nrests--
	c.takeAll(rest[at:])
	l.putRest(rest)
}

// queueDear has c wait for its next turn to read.
func (l *eventLoop) queueDear(c *conn) *dearConn {
	c.isDear, c.trigger = true, onlyByLevel
	l.dear = append(l.dear, dearConn{conn: c})
	return &l.dear[len(l.dear)-1]
}

// inLine returns what stands in line of c; nil if nothing does. It is lent until the line
// moves.
func (l *eventLoop) inLine(c *conn) *dearConn {
	if c.isDear {
		if i := slices.IndexFunc(l.dear, func(d dearConn) bool { return d.conn == c }); i >= 0 {
			return &l.dear[i]
		}
	}
	return nil
}

// putRest takes back what held octets of somebody in line.
func (l *eventLoop) putRest(b []byte) {
	if b != nil && cap(b) <= keptRest {
		l.rests.Push(b[:0], mostRests)
	}
}

// standInLine is called at the end of a turn. Reading stops if c waits for its next one,
// as it does, too, if this has taken long. gnet reads again when the socket has been full,
// so that it is to be stopped each time.
func (c *conn) standInLine() {
	l := c.loop
	tookLong := func() bool { return l.share.began > 0 && time.Since(l.srv.started)-l.share.began >= l.turnTime }
	switch {
	case !c.wire.isOpen() || c.isPaused:
		return
	case c.isDear:
	case tookLong():
		l.queueDear(c)
	default:
		return
	}
	c.wire.setReading(l.epfd, false)
}

// hearDear has the first of those that stand in line go on.
func (l *eventLoop) hearDear() {
	for len(l.dear) > 0 {
		d := l.dear[0]
		l.dear[0] = dearConn{}
		if l.dear = l.dear[1:]; len(l.dear) == 0 {
			l.dear = nil
		}
		c := d.conn
		c.isDear = false
		if d.rest != nil {
			l.nrests--
		}
		if !c.wire.isOpen() {
			l.putRest(d.rest)
			continue
		}
		l.guarded(c, func(c *conn) { c.readOn(d) })
		return
	}
}

// readOn is the next turn of c.
func (c *conn) readOn(d dearConn) {
	l := c.loop
	if d.rest != nil {
		l.beginTurn(true)
		c.active = l.now
		rest := d.rest[d.at:]
		if c.finishing {
			c.discard(len(rest))
		} else {
			d.at += c.take(rest)
			l.checkSlow()
		}
		if d.at < len(d.rest) && c.wire.isOpen() && !c.finishing {
			c.isDear = true
			l.dear = append(l.dear, d)
			l.nrests++
		} else {
			l.putRest(d.rest)
		}
		c.flush()
	}
	switch {
	case c.isDear || !c.wire.isOpen():
	case c.h1 != nil:
		c.isPaused = true // as far as epoll knows
		c.setReading()
	default:
		c.wire.setReading(l.epfd, true)
	}
}

// hasRest reports whether octets have come, and stand in line.
func (c *conn) hasRest() bool {
	d := c.loop.inLine(c)
	return d != nil && d.rest != nil
}

// hasInput reports whether octets have come that were not handled.
func (c *conn) hasInput() bool { return c.hasRest() || c.wire.hasInput() }
