package loop

import (
	"slices"
	"time"
)

// Bounds of one time that a loop makes room: how many connections end, and how many are
// looked at for that.
const (
	roomMost = 64
	roomLook = 1024
)

// leastIdle is how long nothing must have come on a connection that is to make room.
const leastIdle = time.Second

// makeRoom ends connections for others that wait: an eighth of them, and roomMost, at
// most. Those go first that have never said what they want, then those that are idle, and
// of these the ones that have been for longest. A loop with many looks at roomLook of
// them at a time, in turns, the oldest first.
func (l *eventLoop) makeRoom() {
	if l.now < l.madeRoomAt+tick && l.madeRoomAt > 0 {
		return // several have asked
	}
	l.madeRoomAt = l.now
	for _, c := range l.dispensable(max(1, min(l.conns.n/8, roomMost))) {
		l.guarded(c, (*conn).giveWay)
	}
}

// dispensable returns up to most connections, of those whose turn it is to be looked at,
// the best to end first.
func (l *eventLoop) dispensable(most int) (found []*conn) {
	c := l.examined
	for range min(l.conns.n, roomLook) {
		if c == nil {
			c = l.conns.tail
		}
		if c.isDispensable() {
			i, _ := slices.BinarySearchFunc(found, c, moreDispensable)
			if i < most {
				found = slices.Insert(found, i, c)
				found = found[:min(len(found), most)]
			}
		}
		c = c.prev
	}
	l.examined = c
	return found
}

// forgetExamined keeps examined among the connections that there are.
func (l *eventLoop) forgetExamined(c *conn) {
	if l.examined == c {
		l.examined = c.prev
	}
}

// moreDispensable orders connections by how little is lost with them.
func moreDispensable(a, b *conn) int {
	switch {
	case a.isMute() && !b.isMute():
		return -1
	case b.isMute() && !a.isMute():
		return 1
	case a.active < b.active:
		return -1
	default:
		return 1
	}
}

// isMute reports whether the peer has not said what it wants.
func (c *conn) isMute() bool { return c.stage != stageServing || !c.protocol.established() }

// isDispensable reports whether nothing is lost with c, or little.
func (c *conn) isDispensable() bool {
	switch {
	case c.finishing || c.broken || c.isStepping || c.loop.now < c.active+leastIdle:
		return false
	case c.ticket != nil && !c.isAdmitted:
		return false // it waits for us
	case c.isMute():
		return true
	default:
		return c.engine.OpenStreams() == 0 && !c.engine.Draining() && !c.isBlocked
	}
}

// giveWay ends c for others.
func (c *conn) giveWay() {
	if !c.wire.isOpen() || c.hasInput() {
		return // it has gone, or the loop is behind
	}
	l := c.loop
	l.cross(limitRoom)
	l.srv.log.Debug().Stringer("remote", c.remote).Msg("an idle connection makes room for others")
	if c.isMute() {
		c.wire.close()
		return
	}
	c.protocol.end("idle, and there are too many connections")
	c.flush()
}
