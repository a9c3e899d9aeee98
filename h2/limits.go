package h2

import (
	"time"

	"github.com/h2loop/h2loop/frames"
)

// A bucket is a budget that refills: with time, and with work well done, so
// that it tells a busy honest client from an attacker.
type bucket struct {
	spent int32 // at most burst
	at    time.Duration
}

// A Budget says how much of something a peer may cause: Burst at once, and
// PerSecond that it gets back with time. Each completed request gives one back.
type Budget struct {
	Burst     int32
	PerSecond int32
}

// take spends n. It reports false if nothing was left.
func (b *bucket) take(n int32, now time.Duration, of Budget) bool {
	if back := int64(now-b.at) * int64(of.PerSecond) / int64(time.Second); back > 0 {
		b.spent = max(0, b.spent-int32(min(back, int64(of.Burst))))
		b.at += time.Duration(back) * time.Second / time.Duration(of.PerSecond)
	}
	if b.spent >= of.Burst {
		return false
	}
	b.spent += n
	return true
}

func (b *bucket) giveBack(n int32) { b.spent = max(0, b.spent-n) }

// budgets bound what a peer may make us do for nothing.
type budgets struct {
	resets bucket // rapid reset (CVE-2023-44487) and resets it makes us send (CVE-2025-8671)
	noise  bucket // empty and tiny DATA, unknown frames, PRIORITY and WINDOW_UPDATE of no use (CVE-2019-9511 to 9518)
	grants int32  // WINDOW_UPDATE that are of use, because of what was sent
}

// completed credits a request that was answered in full.
func (b *budgets) completed() {
	b.resets.giveBack(1)
	b.noise.giveBack(1)
}

// cross counts that the peer has run into a limit.
func (c *Conn) cross(l Limit) { c.shared.Crossed[l]++ }

// chargeReset charges a stream reset that the peer sent or made us send.
func (c *Conn) chargeReset() error {
	if c.budget.resets.take(1, c.shared.Now, c.cfg.ResetBudget) {
		return nil
	}
	c.cross(LimitResets)
	return errTooManyResets
}

// recvUseless charges a frame that does nothing for anybody.
func (c *Conn) recvUseless() error { return c.chargeNoise(1) }

func (c *Conn) chargeNoise(n int32) error {
	if c.budget.noise.take(n, c.shared.Now, c.cfg.NoiseBudget) {
		return nil
	}
	c.cross(LimitNoise)
	return errTooManyUseless
}

// tooLongCost is what a header list over the limit costs of the budget for frames of no
// use: to decode one takes as long as some dozens of requests, and who answers with 431
// has no other defence against the next.
const tooLongCost = 16

// tinyFrame is how few octets make a DATA frame a tiny one, as does padding that is
// more than they are. Such frames are charged like those of no use, and given back
// when the application has consumed what came on their stream: messages of five
// octets are honest, however many they are, as long as somebody reads them. What
// is bounded are those that lie about.
const tinyFrame = 16

// recvTiny charges a DATA frame of s that carried so little.
func (c *Conn) recvTiny(s *Stream) error {
	if err := c.recvUseless(); err != nil {
		return err
	}
	s.tiny++
	return nil
}

// What a peer takes it grants anew, sooner or later: some with each DATA frame,
// for the stream and for the connection, others with every 4 KiB that were read.
// Twice that is of use, for what was sent; the rest is noise, and so is all that
// makes us cut a body into tiny frames (data dribble, CVE-2019-9511).
const (
	grantsPerFrame = 4
	grantEvery     = 1 << 10        // octets of DATA
	maxGrants      = maxWindow >> 9 // for two windows that are full
)

// sentData notes that n octets were sent, which the peer may grant anew.
func (b *budgets) sentData(n int) {
	b.grants = min(b.grants+grantsPerFrame+int32(n/grantEvery), maxGrants)
}

// chargeGrant charges a WINDOW_UPDATE that is not for what was sent.
func (c *Conn) chargeGrant() error {
	if b := &c.budget; b.grants > 0 {
		b.grants--
		return nil
	}
	return c.recvUseless()
}

// answer charges a control frame that the peer makes us queue.
func (c *Conn) answer() error {
	o := c.outbox()
	if o.answers++; o.answers > c.cfg.MaxAnswers {
		c.cross(LimitAnswers)
		return errTooManyAnswers
	}
	return nil
}

// headerFlood counts and returns the error for a header block beyond a limit.
func (c *Conn) headerFlood(l Limit) error {
	c.cross(l)
	return errHeaderFlood
}

// mayOpen reports whether the request that c.block begins may have a stream. If
// not, that is counted.
func (c *Conn) mayOpen() bool {
	cfg := c.cfg
	most := int(cfg.MaxConcurrentStreams)
	switch {
	case c.streams.n >= most:
		c.cross(LimitStreams)
	case c.streams.n+c.places >= most:
		c.cross(LimitWork)
	case !c.block.endStream && c.shared.BodyRoom() <= 0:
		c.cross(LimitUnread)
	default:
		return true
	}
	return false
}

// HoldPlace counts a request against [Config.MaxConcurrentStreams] whose stream is
// closed, or about to be, because the application goes on working for it:
// otherwise a peer could start any amount of work by resetting streams.
func (c *Conn) HoldPlace() { c.places++ }

// FreePlace ends what HoldPlace has begun.
func (c *Conn) FreePlace() {
	if c.places--; c.places < 0 {
		panic("h2: more places freed than were held")
	}
}

// ChargeBody counts n octets of request bodies which the application keeps after
// it has consumed them against [Config.MaxUnreadTotal]; a negative n gives them
// back.
func (sh *Shared) ChargeBody(n int) { sh.keep(n) }

// BodyRoom returns how many octets of request bodies may still be kept.
func (sh *Shared) BodyRoom() int { return sh.taken - sh.unread + sh.Pool.Left() }

var (
	errTooManyResets = frames.ConnError{
		Code: frames.ErrCodeEnhanceYourCalm, Reason: "too many stream resets", Section: "10.5",
	}
	errTooManyUseless = frames.ConnError{
		Code: frames.ErrCodeEnhanceYourCalm, Reason: "too many frames of no use", Section: "10.5",
	}
	errTooManyAnswers = frames.ConnError{
		Code: frames.ErrCodeEnhanceYourCalm, Reason: "too many answers wait to be read", Section: "10.5",
	}
	errHeaderFlood = frames.ConnError{
		Code: frames.ErrCodeEnhanceYourCalm, Reason: "header block far above the header list limit", Section: "10.5.1",
	}
)

const (
	// maxJoinedPriority is how long a Priority field may be for another line
	// to be joined to it: a block of a thousand references to one in the table
	// must not copy a thousand times what it has.
	maxJoinedPriority = 256

	// maxEarlyPriorities bounds the PRIORITY_UPDATE frames remembered for
	// streams that are not open yet (RFC 9218, Section 7.1).
	maxEarlyPriorities = 16

	// maxPriorityChanges is how often PRIORITY_UPDATE may change the priority of
	// a stream; from there on each is of no use (CVE-2019-9513). Browsers do so
	// a few times: when an image turns out to be visible, or is scrolled away.
	maxPriorityChanges = 16
)
