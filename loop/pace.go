package loop

import "time"

// A pace is how far ahead of the network a connection writes: the
// TCP_NOTSENT_LOWAT of its socket. Large writes are cheap writes; but what the
// kernel holds unsent goes before an urgent answer. So it is about what the path
// takes in paceTime, as measured while there is bulk to send: little on a slow
// path, and Config.SendLowWater on a fast one.
type pace struct {
	ahead int32 // octets; 0 if the kernel's default is left alone
	runs  bool  // there has been bulk to send since at
	held  int32 // octets that the kernel had not sent at at, and those written since
	at    time.Duration

	// What is measured: octets that the kernel has sent, and in what time.
	sent int64
	busy time.Duration
}

const (
	// paceTime is how long the path is to take for what is written ahead.
	paceTime = 50 * time.Millisecond

	// A measurement takes paceWindow, less if the path is fast beyond doubt.
	paceWindow = 100 * time.Millisecond
	fastWindow = 10 * time.Millisecond

	// firstAhead is what a connection begins with, and leastAhead what it
	// comes down to: less would make the writes small.
	firstAhead = 256 << 10
	leastAhead = 64 << 10
)

// setAhead changes how far ahead c writes, within bounds.
func (c *conn) setAhead(n int64) {
	n = min(max(n, leastAhead), int64(c.loop.srv.config().SendLowWater))
	if n > 0 && int32(n) != c.pace.ahead {
		c.pace.ahead = int32(n)
		c.wire.setSendLowWater(int(n))
	}
}

// measurePace is called when c has bulk to send and the kernel holds unsent
// octets that it has not sent.
func (c *conn) measurePace(unsent int) {
	if want := c.pace.measure(unsent, time.Since(c.loop.srv.started)); want > 0 {
		c.setAhead(want)
	}
}

// measure returns how far ahead to write from now on, or 0 to leave it.
func (p *pace) measure(unsent int, now time.Duration) (want int64) {
	if p.runs {
		p.sent += int64(p.held) - int64(unsent)
		p.busy += now - p.at
	}
	p.runs, p.held, p.at = true, int32(unsent), now
	if p.busy < fastWindow {
		return 0
	}
	want = p.sent * int64(paceTime) / int64(p.busy)
	isFast := want > 2*int64(p.ahead)
	if p.busy < paceWindow && !isFast {
		return 0
	}
	p.sent, p.busy = 0, 0
	// A kernel that has nothing left may have waited for us.
	if isFast || want < int64(p.ahead)/2 && unsent > 0 {
		return max(want, 1)
	}
	return 0
}

// wrote notes that n octets were written.
func (p *pace) wrote(n int) { p.held += int32(n) }

// stop notes that there is no more bulk to send, so that time does not count.
func (p *pace) stop() { p.runs = false }
