package h1

import "math"

// A recvPhase says what the next octet from the peer is part of.
type recvPhase uint8

const (
	phaseHead      recvPhase = iota // a request line and its header section
	phaseBody                       // with a content-length
	phaseChunkSize                  // the line with the size of a chunk
	phaseChunkData                  // the octets of a chunk
	phaseChunkEnd                   // the CRLF behind them
	phaseTrailers                   // the trailer section
	phaseTunnel                     // of no message: the connection was upgraded
)

// A recvState is how far the octets received reach into the current message.
type recvState struct {
	phase recvPhase

	// carry holds the start of a header or trailer section that did not arrive
	// whole; nil otherwise.
	carry   []byte
	section section
	line    requestLine // of the section, once it is whole
	blank   uint8       // empty lines before it

	left    int64 // octets of the body, or of the chunk, to come
	chunk   chunkState
	skipped int // octets of body thrown away behind the response
}

// Receive handles every octet of b, or holds it until it can be handled. Requests
// may be split anywhere.
//
// A returned error is an [*Error]: its answer is pending if there is one, the
// stream is closed, and the caller writes what is pending and closes. Octets after
// that are ignored.
//
// Receive borrows b.
func (c *Conn) Receive(b []byte) error {
	most := math.MaxInt
	_, err := c.ReceiveUpTo(b, &most)
	return err
}

// ReceiveUpTo is like [Conn.Receive], but takes no more pieces than *most, which it
// lowers by those that it has taken, and returns how many octets of b they were; the
// caller comes again with the others. A piece is a header section, what has come of a
// body or of a chunk, or a line between chunks; a section counts once more for each 256
// octets. *most may end below zero. After an error nothing of b is left.
func (c *Conn) ReceiveUpTo(b []byte, most *int) (n int, err error) {
	if c.life >= lifeFinished {
		return len(b), nil
	}
	if c.held != nil {
		if err := c.hold(b); err != nil {
			return len(b), err
		}
		return len(b), c.continueUpTo(most)
	}
	n, err = c.run(b, most)
	if err == nil && n < len(b) && *most > 0 {
		return len(b), c.hold(b[n:])
	}
	return n, err
}

// Continue goes on with what is held, as far as may be. It is to be called
// whenever something may have changed that: the exchange in progress is over, its place
// is free, the application has consumed. It does nothing within a call of Receive, Fill or
// Continue, which go on by themselves. Its error is like that of Receive.
func (c *Conn) Continue() error {
	most := heldPieces
	return c.continueUpTo(&most)
}

// heldPieces is how many pieces of what is held are handled in a turn.
const heldPieces = 256

func (c *Conn) continueUpTo(most *int) error {
	if c.running || c.life >= lifeFinished || !c.isReady() {
		return nil
	}
	n, err := c.run(c.held[c.at:], most)
	if c.held == nil {
		return err // dropped
	}
	c.at += n
	c.shared.chargeBody(-n)
	if c.at == len(c.held) {
		c.shared.putCarry(c.held)
		c.held, c.at = nil, 0
	}
	return err
}

// WantsPause reports whether reading should stop: octets are held, or the
// application has not consumed what it has.
func (c *Conn) WantsPause() bool {
	if c.life >= lifeFinished {
		return false
	}
	return c.held != nil || c.stream != nil && !c.stream.ended && c.window(c.stream) == 0
}

// isReady reports whether octets are held and could be handled, given the room
// for what would come of it.
func (c *Conn) isReady() bool {
	switch {
	case c.held == nil:
		return false
	case c.stream == nil:
		return !c.taken || c.recv.phase != phaseHead // the rest of a body is thrown away
	default:
		return !c.stream.ended && c.window(c.stream) > 0
	}
}

// mayBegin reports whether there is room for another response. Without it a peer
// could have any number of them made, and read none.
func (c *Conn) mayBegin() bool { return c.room > 0 && c.outLen() < maxBegun }

// maxBegun bounds the octets of a batch behind which another request begins.
const maxBegun = 64 << 10

// pieceCost is how many octets of a section count as a piece, for ReceiveUpTo.
const pieceCost = 256

// run handles octets of b until it must wait, or has had *most pieces, and returns how
// many it has.
func (c *Conn) run(b []byte, most *int) (n int, err error) {
	c.running = true
	for n < len(b) && c.life < lifeFinished && *most > 0 {
		phase := c.recv.phase
		m, fault := c.recvOctets(b[n:])
		n += m
		if *most--; phase == phaseHead || phase == phaseTrailers {
			*most -= m / pieceCost
		}
		if fault != nil {
			err = c.fail(fault)
			break
		}
		if m == 0 {
			break
		}
	}
	c.running = false
	if c.life >= lifeFinished {
		return len(b), err // nobody will look at the rest
	}
	c.noteHead()
	return n, err
}

// recvOctets handles octets at the start of b, and returns how many; none if they
// must wait.
func (c *Conn) recvOctets(b []byte) (int, *Error) {
	switch c.recv.phase {
	case phaseHead:
		if c.stream != nil || c.taken || c.recv.carry == nil && !c.mayBegin() {
			return 0, nil
		}
		return c.recvHead(b)
	case phaseTrailers:
		return c.recvSection(b)
	case phaseChunkSize:
		return c.recvChunkSize(b)
	case phaseChunkEnd:
		return c.recvChunkEnd(b)
	default: // phaseBody, phaseChunkData, phaseTunnel
		return c.recvBody(b)
	}
}

var errHeld = &Error{Reason: "too much came while it could not be handled", limit: LimitHeld}

// hold copies b behind what waits.
func (c *Conn) hold(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if len(c.held)-c.at+len(b) > c.cfg.MaxHeld {
		return c.fail(errHeld)
	}
	if c.held == nil {
		c.held = c.shared.getCarry()
	}
	if c.at > 0 && len(c.held)+len(b) > cap(c.held) {
		c.held = c.held[:copy(c.held, c.held[c.at:])]
		c.at = 0
	}
	c.held = append(c.held, b...)
	c.shared.chargeBody(len(b))
	return nil
}

// drop forgets what was received and not handled.
func (c *Conn) drop() {
	c.shared.putCarry(c.recv.carry)
	c.recv.carry = nil
	if c.held == nil {
		return
	}
	c.shared.chargeBody(c.at - len(c.held))
	if !c.running { // else somebody may look at a piece of it
		c.shared.putCarry(c.held)
	}
	c.held, c.at = nil, 0
}
