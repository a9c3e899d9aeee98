package loop

import "time"

// shakePause is how long ago the last step of a handshake on the loop must have ended for
// the next one to run at once. Less means that nobody else had a turn.
const shakePause = 50 * time.Microsecond

// A shakeLine has the connections whose handshakes wait for their next step on the loop,
// which takes up to half a millisecond: one of them runs in a round, so that others have
// their turn, however many there are and all at once. Those go first whose address has
// completed handshakes of late, and among equals who comes last, as with the gate.
type shakeLine struct {
	known, others []*conn
}

func (s *shakeLine) isEmpty() bool { return len(s.known) == 0 && len(s.others) == 0 }

func (s *shakeLine) push(c *conn) {
	if c.ticket.isKnown {
		s.known = append(s.known, c)
	} else {
		s.others = append(s.others, c)
	}
}

// pop returns nil if nobody waits.
func (s *shakeLine) pop() *conn {
	line := &s.others
	if len(s.known) > 0 {
		line = &s.known
	}
	n := len(*line)
	if n == 0 {
		return nil
	}
	c := (*line)[n-1]
	(*line)[n-1] = nil
	if *line = (*line)[:n-1]; n == 1 {
		*line = nil
	}
	return c
}

// mayStep reports whether a step of the handshake of c may run on the loop now. Else c
// is in line for it.
func (c *conn) mayStep() bool {
	l := c.loop
	if time.Since(l.srv.started)-l.shookAt >= shakePause {
		return true
	}
	c.isStepping = true
	l.shaking.push(c)
	return false
}

// shakeOne runs the step that is next in line.
func (l *eventLoop) shakeOne() {
	for c := l.shaking.pop(); c != nil; c = l.shaking.pop() {
		c.isStepping = false
		if c.wire.isOpen() {
			l.shookAt = 0
			l.guarded(c, (*conn).shake)
			return
		}
	}
}
