package loop

import (
	"testing"
	"time"
)

// TestShedder has a loop come late, with a clock of its own.
func TestShedder(t *testing.T) {
	t.Parallel()
	const most = time.Second
	var s shedder
	now := time.Duration(0)
	look := func(late time.Duration) {
		now += max(tick, late)
		s.look(now, late, most)
	}
	// Once is nothing, however much; and neither is less than there may be, however often.
	for _, late := range []time.Duration{time.Minute, 0, most, 2 * most, 0} {
		look(late)
	}
	for range 1000 {
		look(most - 1)
	}
	if s.share > 0 {
		t.Errorf("%.0f %% are refused by a loop that is not behind", 100*s.share)
	}
	for i := range 10 {
		look(most)
		if refuses := s.share > 0; refuses != (i >= 2) {
			t.Errorf("late for the %d. time, it refuses: %v", i+1, refuses)
		}
	}
	if s.share < 0.99 || s.share > 1 {
		t.Errorf("%.2f are refused by a loop that is behind for long", s.share)
	}
	n := 0
	for ; s.share > 0 && n < 100; n++ {
		look(most - 1)
	}
	if n < 10 || n > 50 {
		t.Errorf("all are served again after %d ticks in time", n)
	}
	for range 10 {
		now += tick
		s.look(now, time.Hour, -1)
	}
	if s.share > 0 {
		t.Error("requests are refused where that is switched off")
	}
}

// TestShed has a loop refuse all requests, as if it were behind: 503, before any handler
// or middleware, in both versions of HTTP, also of those that have a body.
func TestShed(t *testing.T) {
	t.Parallel()
	s := newPressed(t, Config{Loops: 1})
	s.wantServed()
	s.onLoop(func(l *eventLoop) { l.shed.share, l.turnsAway = 1e9, true })
	calls := s.calls.Load()
	for _, c := range s.clients {
		for _, body := range []int{0, 100, 100_000} {
			resp, err := s.ask(c, body)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
				t.Errorf("%s, Retry-After %q", resp.Status, resp.Header.Get("Retry-After"))
			}
		}
	}
	if n := s.calls.Load(); n != calls {
		t.Error("a handler was called")
	}
	stressWait(t, "it is counted", func() bool { return s.srv.Stats().Limits["shed"] == 6 })
	s.onLoop(func(l *eventLoop) { l.shed.share = 0.01 })
	stressWait(t, "the loop is in time", func() bool {
		idle := false
		s.onLoop(func(l *eventLoop) { idle = !l.turnsAway })
		return idle
	})
	s.wantServed()
}

// TestSeeLate has a loop find, between two callbacks, that a tick has waited for long.
func TestSeeLate(t *testing.T) {
	t.Parallel()
	s := newPressed(t, Config{Loops: 1, ShedDelay: time.Minute})
	s.onLoop(func(l *eventLoop) {
		was := l.tickAt.Load()
		now := l.now + time.Hour
		l.tickAt.Store(int64(now - time.Minute + 1))
		for range 10 {
			l.seeLate(now)
		}
		if l.turnsAway {
			t.Error("a tick that waits for less than a minute makes requests be refused")
		}
		for i := range 10 {
			l.seeLate(now + time.Duration(i)*shedInterval/2)
			if l.turnsAway != (i >= 3) { // the first look was not late
				t.Errorf("look %d: refuses: %v", i, l.turnsAway)
			}
		}
		l.shed, l.turnsAway, l.figures.shedding = shedder{}, false, false
		l.tickAt.Store(was)
	})
	s.wantServed()
}

// TestLookHowLate has a loop be behind by what its ticks say.
func TestLookHowLate(t *testing.T) {
	t.Parallel()
	s := newPressed(t, Config{Loops: 1, ShedDelay: time.Minute})
	s.onLoop(func(l *eventLoop) {
		for range 4 {
			l.now += time.Minute
			l.lookHowLate(l.now, time.Minute)
		}
		if !l.turnsAway || !l.figures.shedding {
			t.Error("the loop is behind, and nothing is refused")
		}
		for range 40 {
			l.lookHowLate(l.now, 0)
		}
		if l.turnsAway || l.figures.shedding {
			t.Error("the loop is in time, and requests are refused")
		}
		l.setTime()
	})
	s.wantServed()
}
