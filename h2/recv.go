package h2

import (
	"errors"
	"math"

	"github.com/h2loop/h2loop/frames"
)

// A recvPhase says what the next octet from the peer is part of.
type recvPhase uint8

const (
	phasePreface recvPhase = iota
	phaseHeader
	phasePayload // of a frame that is handled whole
	phaseData    // of a DATA frame, handed on as it arrives
	phaseSkip    // of a frame that is ignored
)

// A recvState is how far the octets received reach into the current frame.
type recvState struct {
	phase  recvPhase
	have   uint8 // octets of the preface or of header seen
	header [frames.HeaderLen]byte
	frame  frames.Header
	left   uint32 // octets of payload to come, in phaseSkip

	// carry holds the start of a payload that did not arrive whole; nil
	// otherwise.
	carry []byte

	data   frames.DataReader // takes the current DATA frame apart
	filled uint32            // octets it had so far besides padding
	stream *Stream           // its stream; nil if the payload is discarded
}

// Receive handles every octet of b. Frames may be split anywhere.
//
// A stream error is answered with RST_STREAM and Receive goes on. A returned
// error is a [frames.ConnError]: GOAWAY is pending, every stream is closed, and
// the caller writes what is pending and closes. Octets after that are ignored.
//
// Receive borrows b.
func (c *Conn) Receive(b []byte) error {
	most := math.MaxInt
	_, err := c.ReceiveUpTo(b, &most)
	return err
}

// ReceiveUpTo is like [Conn.Receive], but handles no more frames than *most, which it
// lowers by those that it has handled, and returns how many octets of b they were; the
// caller comes again with the others. A frame other than DATA counts once more for
// each 256 octets of its payload: a field section takes as long as many small frames.
// *most may end below zero. After an error nothing of b is left.
func (c *Conn) ReceiveUpTo(b []byte, most *int) (n int, err error) {
	c.hear()
	for n < len(b) && (*most > 0 || c.recv.phase != phaseHeader) {
		if c.life >= lifeDrained {
			return len(b), nil
		}
		m, err := c.recvOctets(b[n:], most)
		n += m
		if err != nil {
			if err := c.recvError(err); err != nil {
				return len(b), err
			}
		}
		if c.time.unfinished && c.isBetween() {
			c.time.unfinished = false
		}
	}
	c.noteUnfinished()
	return n, nil
}

// frameCost is how many octets of a payload count as a frame, for ReceiveUpTo.
const frameCost = 256

// recvOctets handles octets at the start of b, at least one, and returns how many.
func (c *Conn) recvOctets(b []byte, most *int) (n int, err error) {
	r := &c.recv
	switch r.phase {
	case phaseHeader:
		*most--
		return c.recvHeaderOctets(b)
	case phasePayload:
		n, err = c.recvPayload(b)
		*most -= n / frameCost
		return n, err
	case phaseData:
		return c.recvDataOctets(b)
	case phaseSkip:
		n = min(len(b), int(r.left))
		r.left -= uint32(n)
		if r.left == 0 {
			r.phase = phaseHeader
		}
		return n, nil
	default: // phasePreface
		return c.recvPreface(b)
	}
}

// recvError answers err: a stream error with RST_STREAM, and any other with
// GOAWAY, which it returns. This is the one place where errors become frames.
func (c *Conn) recvError(err error) error {
	if se, ok := errors.AsType[frames.StreamError](err); ok {
		switch {
		case c.isIdle(se.StreamID):
			// RST_STREAM "MUST NOT be sent for a stream in the "idle" state."
			// RFC 9113, Section 6.4.
			err = frames.ConnError{Code: se.Code, Reason: se.Reason, Section: se.Section}
		default:
			if err = c.chargeReset(); err == nil {
				err = c.answer()
			}
		}
		if err == nil {
			c.resetStream(se.StreamID, se.Code, se)
			return nil
		}
	}
	ce, ok := errors.AsType[frames.ConnError](err)
	if !ok {
		ce = frames.ConnError{Code: frames.ErrCodeInternal, Reason: err.Error()}
	}
	c.fail(ce)
	return ce
}

func (c *Conn) recvPreface(b []byte) (int, error) {
	r := &c.recv
	n := min(len(b), len(Preface)-int(r.have))
	if string(b[:n]) != Preface[r.have:int(r.have)+n] {
		// "Clients and servers MUST treat an invalid connection preface as
		// a connection error of type PROTOCOL_ERROR." RFC 9113, Section 3.4.
		return n, frames.ConnError{Code: frames.ErrCodeProtocol, Reason: "invalid connection preface", Section: "3.4"}
	}
	r.have += uint8(n)
	if int(r.have) == len(Preface) {
		r.have = 0
		r.phase = phaseHeader
	}
	return n, nil
}

func (c *Conn) recvHeaderOctets(b []byte) (n int, err error) {
	r := &c.recv
	if r.have == 0 && len(b) >= frames.HeaderLen {
		r.frame, _ = frames.ParseHeader(b)
		return frames.HeaderLen, c.startFrame()
	}
	n = copy(r.header[r.have:], b)
	r.have += uint8(n)
	if r.have < frames.HeaderLen {
		return n, nil
	}
	r.have = 0
	r.frame, _ = frames.ParseHeader(r.header[:])
	return n, c.startFrame()
}

// startFrame checks what a frame's header alone decides, and sets the phase in
// which its payload is received.
func (c *Conn) startFrame() error {
	r := &c.recv
	h := r.frame
	if c.trace != nil && (h.Type == frames.TypeData || !isKnown(h.Type) || h.Length > maxReadFrame) {
		c.trace.Frame(false, h, nil)
	}
	if !c.peer.seen && (h.Type != frames.TypeSettings || h.Flags.Has(frames.FlagAck)) {
		return frames.ConnError{Code: frames.ErrCodeProtocol, Reason: "the first frame is not SETTINGS", Section: "3.4"}
	}
	if c.block.active && (h.Type != frames.TypeContinuation || h.StreamID != c.block.id) {
		// "A receiver MUST treat the receipt of any other type of frame or
		// a frame on a different stream as a connection error of type
		// PROTOCOL_ERROR." RFC 9113, Section 6.2.
		return frames.ConnError{Code: frames.ErrCodeProtocol, Reason: "frame inside a header block", Section: "6.2"}
	}
	if h.Length > maxReadFrame && h.Type != frames.TypeData {
		return frames.ConnError{Code: frames.ErrCodeFrameSize, Reason: "frame larger than SETTINGS_MAX_FRAME_SIZE", Section: "4.2"}
	}
	if h.Type == frames.TypeData {
		return c.startData(h)
	}
	if !isKnown(h.Type) {
		// "Implementations MUST ignore and discard frames of unknown type."
		// RFC 9113, Section 4.1.
		if r.left = h.Length; r.left > 0 {
			r.phase = phaseSkip
		}
		return c.recvUseless()
	}
	r.phase = phasePayload
	if h.Length == 0 {
		r.phase = phaseHeader
		return c.recvFrame(h, nil)
	}
	return nil
}

func isKnown(t frames.Type) bool {
	return t <= frames.TypeContinuation || t == frames.TypePriorityUpdate
}

// recvPayload handles the frame's payload if b completes it, and else keeps
// what there is.
func (c *Conn) recvPayload(b []byte) (int, error) {
	r := &c.recv
	length := int(r.frame.Length)
	if r.carry == nil {
		if len(b) >= length {
			r.phase = phaseHeader
			return length, c.recvFrame(r.frame, b[:length])
		}
		r.carry = c.shared.getCarry()
	}
	n := min(len(b), length-len(r.carry))
	r.carry = append(r.carry, b[:n]...)
	if len(r.carry) < length {
		return n, nil
	}
	r.phase = phaseHeader
	payload := r.carry
	r.carry = nil
	err := c.recvFrame(r.frame, payload)
	c.shared.putCarry(payload)
	return n, err
}

// recvFrame handles one whole frame that is not DATA.
func (c *Conn) recvFrame(h frames.Header, payload []byte) error {
	if c.trace != nil {
		c.trace.Frame(false, h, payload)
	}
	switch h.Type {
	case frames.TypeHeaders:
		return c.recvHeaders(h, payload)
	case frames.TypeContinuation:
		return c.recvContinuation(h, payload)
	case frames.TypeWindowUpdate:
		return c.recvWindowUpdate(h, payload)
	case frames.TypeSettings:
		return c.recvSettings(h, payload)
	case frames.TypePing:
		return c.recvPing(h, payload)
	case frames.TypeRSTStream:
		return c.recvRSTStream(h, payload)
	case frames.TypePriority:
		return c.recvPriority(h, payload)
	case frames.TypePriorityUpdate:
		return c.recvPriorityUpdate(h, payload)
	case frames.TypeGoAway:
		return c.recvGoAway(h, payload)
	case frames.TypePushPromise:
		// "A client cannot push. Thus, servers MUST treat the receipt of a
		// PUSH_PROMISE frame as a connection error of type PROTOCOL_ERROR."
		// RFC 9113, Section 8.4.
		return frames.ConnError{Code: frames.ErrCodeProtocol, Reason: "PUSH_PROMISE from a client", Section: "8.4"}
	default:
		return nil
	}
}
