package frames

import (
	"encoding/binary"
	"strconv"
)

const (
	// HeaderLen is the length of a frame header (RFC 9113, Section 4.1).
	HeaderLen = 9

	// MaxStreamID is the largest stream identifier (RFC 9113, Section 5.1.1).
	MaxStreamID = 1<<31 - 1

	// DefaultMaxFrameSize is the largest payload a peer may send before it has
	// seen our SETTINGS_MAX_FRAME_SIZE, and the least that setting may say
	// (RFC 9113, Section 6.5.2).
	DefaultMaxFrameSize = 1 << 14

	// MaxMaxFrameSize is the largest payload the 24 bits of a frame's length can
	// say, and the most SETTINGS_MAX_FRAME_SIZE may (RFC 9113, Section 6.5.2).
	MaxMaxFrameSize = 1<<24 - 1
)

// A StreamID identifies a stream: 0 is the connection itself, odd ones are the
// client's, even ones the server's (RFC 9113, Section 5.1.1).
type StreamID uint32

// A Type is the type of a frame (RFC 9113, Section 6). Types without a name here
// are to be ignored (RFC 9113, Section 4.1).
type Type uint8

// The types of RFC 9113, Section 6, and of RFC 9218, Section 7.1.
const (
	TypeData           Type = 0x00
	TypeHeaders        Type = 0x01
	TypePriority       Type = 0x02
	TypeRSTStream      Type = 0x03
	TypeSettings       Type = 0x04
	TypePushPromise    Type = 0x05
	TypePing           Type = 0x06
	TypeGoAway         Type = 0x07
	TypeWindowUpdate   Type = 0x08
	TypeContinuation   Type = 0x09
	TypePriorityUpdate Type = 0x10
)

var typeNames = [...]string{
	TypeData:           "DATA",
	TypeHeaders:        "HEADERS",
	TypePriority:       "PRIORITY",
	TypeRSTStream:      "RST_STREAM",
	TypeSettings:       "SETTINGS",
	TypePushPromise:    "PUSH_PROMISE",
	TypePing:           "PING",
	TypeGoAway:         "GOAWAY",
	TypeWindowUpdate:   "WINDOW_UPDATE",
	TypeContinuation:   "CONTINUATION",
	TypePriorityUpdate: "PRIORITY_UPDATE",
}

// String returns the RFC's name of t, "RST_STREAM", or hexadecimal digits,
// "0x2a", for a type without one.
func (t Type) String() string { return nameOf(typeNames[:], uint32(t)) }

// Flags are the flags of a frame. What a bit means depends on the type.
type Flags uint8

// The flags of RFC 9113, Section 6.
const (
	FlagEndStream  Flags = 0x01 // DATA, HEADERS
	FlagAck        Flags = 0x01 // SETTINGS, PING
	FlagEndHeaders Flags = 0x04 // HEADERS, PUSH_PROMISE, CONTINUATION
	FlagPadded     Flags = 0x08 // DATA, HEADERS, PUSH_PROMISE
	FlagPriority   Flags = 0x20 // HEADERS
)

// Has reports whether f has every bit of want.
func (f Flags) Has(want Flags) bool { return f&want == want }

// A Header is the start of every frame (RFC 9113, Section 4.1).
//
//	+-----------------------------------------------+
//	|                 Length (24)                   |
//	+---------------+---------------+---------------+
//	|   Type (8)    |   Flags (8)   |
//	+-+-------------+---------------+-------------------------------+
//	|R|                 Stream Identifier (31)                      |
//	+=+=============================================================+
//	|                   Frame Payload (0...)                      ...
//	+---------------------------------------------------------------+
type Header struct {
	Length   uint32 // of the payload; at most MaxMaxFrameSize
	Type     Type
	Flags    Flags
	StreamID StreamID
}

// ParseHeader decodes the frame header at the start of b. It reports false if b
// is shorter than HeaderLen. It borrows b.
//
// Any Length is accepted: what SETTINGS_MAX_FRAME_SIZE allows is for the caller
// to check, before it waits for the payload.
func ParseHeader(b []byte) (Header, bool) {
	if len(b) < HeaderLen {
		return Header{}, false
	}
	v := binary.BigEndian.Uint32(b)
	return Header{
		Length: v >> 8,
		Type:   Type(v),
		Flags:  Flags(b[4]),
		// "The reserved bit [...] MUST be ignored when receiving."
		// RFC 9113, Section 4.1.
		StreamID: StreamID(binary.BigEndian.Uint32(b[5:]) & MaxStreamID),
	}, true
}

// AppendHeader appends a frame header to dst. Of a Length above MaxMaxFrameSize
// the upper bits are lost: whoever cuts the payload sees that it fits.
func AppendHeader(dst []byte, h Header) []byte {
	v := h.Length<<8 | uint32(h.Type)
	// "[The reserved bit] MUST remain unset (0x00) when sending."
	// RFC 9113, Section 4.1.
	id := h.StreamID & MaxStreamID
	return append(dst,
		byte(v>>24), byte(v>>16), byte(v>>8), byte(v),
		byte(h.Flags),
		byte(id>>24), byte(id>>16), byte(id>>8), byte(id))
}

// payloadLen returns n for a frame header. Callers decide before they append
// what may be sent, and a length that wraps would desynchronise the connection:
// one that does not fit is their bug.
func payloadLen(n int) uint32 {
	if uint(n) > MaxMaxFrameSize {
		panic("frames: payload above 2^24-1 octets")
	}
	return uint32(n)
}

// streamID decodes the 31 bits of a stream identifier at the start of b.
func streamID(b []byte) StreamID {
	return StreamID(binary.BigEndian.Uint32(b) & MaxStreamID)
}

// appendStreamID appends id, the reserved bit unset.
func appendStreamID(dst []byte, id StreamID) []byte {
	return binary.BigEndian.AppendUint32(dst, uint32(id&MaxStreamID))
}

// nameOf returns names[n], or n in hexadecimal if there is none.
func nameOf(names []string, n uint32) string {
	if uint64(n) < uint64(len(names)) && names[n] != "" {
		return names[n]
	}
	return "0x" + strconv.FormatUint(uint64(n), 16)
}
