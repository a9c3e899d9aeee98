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

const (
	// burst is how many resets, or useless frames, a peer may cause at once.
	burst = 1000
	// perSecond is how many it gets back with time.
	perSecond = 10
)

// take spends one. It reports false if nothing is left.
func (b *bucket) take(now time.Duration) bool {
	if back := int64(now-b.at) * perSecond / int64(time.Second); back > 0 {
		b.spent = max(0, b.spent-int32(min(back, burst)))
		b.at += time.Duration(back) * (time.Second / perSecond)
	}
	if b.spent >= burst {
		return false
	}
	b.spent++
	return true
}

func (b *bucket) giveBack() {
	if b.spent > 0 {
		b.spent--
	}
}

// budgets bound what a peer may make us do for nothing.
type budgets struct {
	resets bucket // rapid reset (CVE-2023-44487) and resets it makes us send (CVE-2025-8671)
	noise  bucket // empty DATA, unknown frames, PRIORITY and WINDOW_UPDATE of no use (CVE-2019-9511 to 9518)
}

// reset charges a stream reset that the peer sent or made us send.
func (b *budgets) reset(now time.Duration) bool { return b.resets.take(now) }

// useless charges a frame that did nothing.
func (b *budgets) useless(now time.Duration) bool { return b.noise.take(now) }

// completed credits a request that was answered in full.
func (b *budgets) completed() {
	b.resets.giveBack()
	b.noise.giveBack()
}

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
	// maxAnswers bounds the PING and SETTINGS acknowledgements and the
	// RST_STREAM of one batch, which grows while the peer sends and does not
	// read (CVE-2019-9512, 9514, 9515). They are 17 octets at most. What has
	// left for the transport is the caller's to bound.
	maxAnswers = 10_000

	// maxContinuations bounds the CONTINUATION frames of one block
	// (the CVE-2024-27316 family).
	maxContinuations = 128

	// maxBlockFactor bounds an encoded block, in header list limits. Up to
	// there an overlong list is decoded on, for the table's sake, and
	// answered with 431.
	maxBlockFactor = 4

	// maxJoinedPriority is how long a Priority field may be for another line
	// to be joined to it: a block of a thousand references to one in the table
	// must not copy a thousand times what it has.
	maxJoinedPriority = 256

	// maxEarlyPriorities bounds the PRIORITY_UPDATE frames remembered for
	// streams that are not open yet (RFC 9218, Section 7.1).
	maxEarlyPriorities = 16
)
