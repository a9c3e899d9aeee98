package h2

import "time"

// A Pace tells whether octets move fast enough, by looking now and then at how
// many have moved so far. The zero Pace begins with the first look.
type Pace struct {
	runs   bool
	total  int64         // as of the last look
	still  time.Duration // since it last grew
	half   time.Duration // since the current half of the timeout began
	from   int64         // the total then
	before int64         // octets of the half before; -1 if there was none
}

// Stop ends the time that counts: the next look begins anew.
func (p *Pace) Stop() { p.runs = false }

// IsSlow takes how many octets have moved in all, and how much time has passed
// since the last look. It reports whether for timeout none has moved, or fewer
// than rate octets a second on average over it. Halves of the timeout are exact
// enough for the average.
func (p *Pace) IsSlow(total int64, passed, timeout time.Duration, rate int64) bool {
	if !p.runs {
		*p = Pace{runs: true, total: total, from: total, before: -1}
		return false
	}
	p.still += passed
	if total > p.total {
		p.total, p.still = total, 0
	}
	if p.still >= timeout {
		return true
	}
	if p.half += passed; p.half < timeout/2 {
		return false
	}
	moved := total - p.from
	slow := p.before >= 0 && p.before+moved < rate*int64(timeout)/int64(time.Second)
	p.before, p.from, p.half = moved, total, 0
	return slow
}
