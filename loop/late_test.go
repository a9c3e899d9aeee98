package loop

import (
	"testing"
	"time"
)

// TestRetireAgain has a peer not answer the PING of the warning, and make us say again and
// again that its connection is to end: it ends in time all the same.
func TestRetireAgain(t *testing.T) {
	srv := stressServe(t, Config{}, func(*Server) {})
	c := stressConnOf(t, srv, stressDial(t, srv, 1<<20))
	// No time passes but that which is made to.
	stressOnLoop(t, srv, 0, func(l *eventLoop) {
		defer l.setTime()
		begin := l.now
		for ; c.wire.isOpen() && !c.engine.Finished() && l.now < begin+10*drainPause; l.now += tick {
			c.retire() // as a response with "Connection: close" does
			if c.timer.deadline <= l.now {
				l.wheel.stop(&c.timer)
				c.onTimer()
			}
		}
		if took := l.now - begin; took < drainPause || took > 2*drainPause {
			t.Errorf("the connection ends after %v, want %v", took, drainPause)
		}
	})
}

// TestJitter takes up to a tenth off.
func TestJitter(t *testing.T) {
	const d = time.Hour
	least, most := d, time.Duration(0)
	for range 10_000 {
		j := jitter(d)
		least, most = min(least, j), max(most, j)
	}
	if least < d*9/10 || most > d || most-least < d/20 {
		t.Errorf("from %v to %v", least, most)
	}
	jitter(1)
}
