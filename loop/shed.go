package loop

import (
	"math/rand/v2"
	"time"

	"github.com/h2loop/h2loop/frames"
)

// A shedder decides which requests a loop refuses that is behind, so that the others are
// answered while somebody still waits for the answer. What it goes by is how long a tick
// waits for the loop: as long as what had arrived by then. Like CoDel it looks at how
// long that has been too much, and not at the one time: a collection of garbage, a process
// that was stopped or a callback that is slow once make no request fail.
type shedder struct {
	late  int           // times in a row that the loop was
	since time.Duration // the first of them
	rose  time.Duration // when share last did
	share float64       // of the requests, refused
}

const (
	// shedInterval is how long a loop must have been behind, shedLooks how often in a row.
	shedInterval = time.Second
	shedLooks    = 3

	shedRise  = 0.5 // of what is not refused, every shedPause in which the loop is behind
	shedPause = shedInterval / 2
	shedFall  = 0.9  // of what is, when it is not
	leastShed = 0.05 // less is nothing
)

// look notes how late the loop has come to a tick, or is on its way to one.
func (s *shedder) look(now, late, most time.Duration) {
	if most <= 0 {
		*s = shedder{}
		return
	}
	if late < most {
		s.late = 0
		if s.share *= shedFall; s.share < leastShed {
			s.share = 0
		}
		return
	}
	if s.late == 0 {
		s.since = now
	}
	s.late++
	begins := s.share == 0 && s.late >= shedLooks && now-s.since >= shedInterval
	if begins || s.share > 0 && now-s.rose >= shedPause {
		s.rose = now
		s.share += (1 - s.share) * shedRise
	}
}

// seeLate looks whether a tick waits that the loop should have come to.
func (l *eventLoop) seeLate(now time.Duration) {
	posted := time.Duration(l.tickAt.Load())
	if most := l.srv.config().ShedDelay; posted > 0 && most > 0 && now-posted >= most {
		l.lookHowLate(now, now-posted)
	}
}

// lookHowLate has the loop refuse requests, or no longer, because of how late it is now.
func (l *eventLoop) lookHowLate(now, late time.Duration) {
	before := l.shed.share
	l.shed.look(now, late, l.srv.config().ShedDelay)
	if (l.shed.share > 0) == (before > 0) {
		return
	}
	l.figures.shedding = l.shed.share > 0
	if l.figures.shedding {
		if more, due := l.srv.shedLog.isDue(now, logPauseTime); due {
			l.srv.log.Warn().Int("loop", l.index).Dur("late_ms", late).Uint64("more_since", more).
				Msg("the loop is behind: requests are answered with 503")
		}
	} else {
		l.srv.log.Info().Int("loop", l.index).Msg("the loop is not behind any more: all requests are served")
	}
	l.turnsAway = l.figures.shedding || l.short
}

// turnAway refuses x, before anything of the application sees it, if the loop is behind or
// memory is short, and reports whether it has.
func (x *Exchange) turnAway() bool {
	l := x.conn.loop
	switch {
	case l.short:
		l.cross(limitMemory)
		if x.h2 != nil {
			x.call(refuseStream)
			return true
		}
	case rand.Float64() < l.shed.share:
		l.cross(limitShed)
	default:
		return false
	}
	x.call(overloaded)
	return true
}

// refuseStream tells a client of HTTP/2 that it may ask again: "The REFUSED_STREAM error
// code can be included in a RST_STREAM frame to indicate that the stream is being closed
// prior to any processing having occurred." RFC 9113, Section 8.7.
func refuseStream(x *Exchange) { _ = x.Reset(frames.ErrCodeRefusedStream) }

func overloaded(x *Exchange) {
	_ = x.SetHeader("retry-after", "1")
	_ = x.SendError(503, "Service Unavailable")
}
