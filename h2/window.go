package h2

import "math"

// maxWindow is the largest flow-control window (RFC 9113, Section 6.9.1).
const maxWindow = math.MaxInt32

// A sendWindow is the credit the peer has given us, in octets of DATA payload.
//
// It is signed: a smaller SETTINGS_INITIAL_WINDOW_SIZE may take it below zero
// (RFC 9113, Section 6.9.2).
type sendWindow int32

// grow adds delta, which SETTINGS may make negative. It reports false, and
// leaves w alone, if the window would exceed maxWindow.
func (w *sendWindow) grow(delta int64) bool {
	sum := int64(*w) + delta
	if sum > maxWindow {
		return false
	}
	*w = sendWindow(max(sum, math.MinInt32))
	return true
}

// avail returns the octets that may be sent now, never less than zero.
func (w sendWindow) avail() int { return int(max(w, 0)) }

// take spends n octets. The caller has checked avail.
func (w *sendWindow) take(n int) {
	if n > w.avail() {
		panic("h2: sendWindow overdrawn")
	}
	*w -= sendWindow(n)
}

// A recvWindow is the credit we have given the peer.
//
// size - granted - unreturned octets have arrived and are not consumed yet.
type recvWindow struct {
	size       int32 // what the window is when nothing is outstanding
	granted    int32 // octets the peer may still send; see Conn.earlyCredit
	unreturned int32 // octets consumed here but not yet granted again
}

func newRecvWindow(size int32) recvWindow { return recvWindow{size: size, granted: size} }

// take spends n octets that arrived. It reports false, and leaves w alone, if
// the peer has overrun the window.
func (w *recvWindow) take(n uint32) bool {
	if n > 0 && int64(n) > int64(w.granted) {
		return false
	}
	w.granted -= int32(n)
	return true
}

// consume notes that n octets that arrived are done with.
func (w *recvWindow) consume(n int) { w.unreturned += int32(n) }

// enlarge makes the window bigger by n octets, which giveBack grants.
func (w *recvWindow) enlarge(n int32) {
	w.size += n
	w.unreturned += n
}

// giveBack returns the increment to put in a WINDOW_UPDATE now, or 0 while
// less than half the window is owed: small updates cost more than they give.
func (w *recvWindow) giveBack() uint32 {
	if w.unreturned < w.size/2 || w.unreturned <= 0 {
		return 0
	}
	n := w.unreturned
	w.granted += n
	w.unreturned = 0
	return uint32(n)
}
