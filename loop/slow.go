package loop

import "time"

// A turnClock finds callbacks that hold up their loop. To ask the time costs
// some 30 ns, a fortieth of a small request. So at first only the callbacks of a
// turn together are timed; once they were slow, each is for a while.
type turnClock struct {
	calls   int           // callbacks timed together since began
	began   time.Duration // when the first of them was called, since the server was made
	pattern string        // of the first

	eachUntil time.Duration // until then each callback is timed
	logged    logPause
}

const (
	// timeEach is how long each callback is timed after a slow one.
	timeEach = 10 * time.Second
	// slowLogPause is the least time between two log lines about slow callbacks.
	slowLogPause = time.Second
)

// calling notes that a callback of pattern is about to be called.
func (l *eventLoop) calling(pattern string) {
	t := &l.turn
	if t.calls == 0 {
		t.began, t.pattern = time.Since(l.srv.started), pattern
		l.seeLate(t.began)
	}
	t.calls++
}

// called notes that a callback has returned.
func (l *eventLoop) called() {
	if l.turn.eachUntil > l.now {
		l.checkSlow()
	}
}

// checkSlow ends the time of the callbacks since the last check.
func (l *eventLoop) checkSlow() {
	t := &l.turn
	if t.calls == 0 {
		return
	}
	now := time.Since(l.srv.started)
	took := now - t.began
	if took >= l.srv.config().SlowCallback && l.srv.config().SlowCallback > 0 {
		l.slow(now, took)
	}
	t.calls = 0
}

func (l *eventLoop) slow(now, took time.Duration) {
	t := &l.turn
	l.figures.SlowCallbacks++
	t.eachUntil = now + timeEach
	more, due := t.logged.isDue(now, slowLogPause)
	if !due {
		return
	}
	e := l.srv.log.Warn().Str("pattern", t.pattern).Dur("took_ms", took)
	if t.calls > 1 {
		e = e.Int("callbacks", t.calls) // which of them is told the next time
	}
	if more > 0 {
		e = e.Uint64("more_since", more)
	}
	e.Msg("a slow callback holds up its loop: what blocks belongs on a goroutine")
}
