package frames

import "encoding/binary"

// priorityLen is the length of the fields a PriorityParam stands for.
const priorityLen = 5

// A Priority is a PRIORITY frame (RFC 9113, Section 6.3). It is deprecated, and
// read only to be ignored.
//
//	+-+-------------------------------------------------------------+
//	|E|                  Stream Dependency (31)                     |
//	+-+-------------+-----------------------------------------------+
//	|   Weight (8)  |
//	+-+-------------+
type Priority struct {
	StreamID StreamID
	PriorityParam
}

// A PriorityParam is the place of a stream in the dependency tree of RFC 7540,
// Section 5.3, which RFC 9113 deprecates.
type PriorityParam struct {
	Exclusive        bool
	StreamDependency StreamID
	Weight           uint8 // on the wire: 0 means a weight of 1, 255 of 256
}

// ParsePriority decodes the payload of a PRIORITY frame.
func ParsePriority(h Header, payload []byte) (Priority, error) {
	if h.StreamID == 0 {
		// "If a PRIORITY frame is received with a stream identifier of 0x00, the
		// recipient MUST respond with a connection error (Section 5.4.1) of type
		// PROTOCOL_ERROR." RFC 9113, Section 6.3.
		return Priority{}, ConnError{ErrCodeProtocol, "PRIORITY on stream 0", "6.3"}
	}
	if len(payload) != priorityLen {
		// "A PRIORITY frame with a length other than 5 octets MUST be treated as a
		// stream error (Section 5.4.2) of type FRAME_SIZE_ERROR."
		// RFC 9113, Section 6.3.
		return Priority{}, StreamError{h.StreamID, ErrCodeFrameSize, "PRIORITY payload is not 5 octets", "6.3"}
	}
	f := Priority{StreamID: h.StreamID, PriorityParam: parsePriorityParam(payload)}
	if f.StreamDependency == f.StreamID {
		return Priority{}, selfDependency(f.StreamID)
	}
	return f, nil
}

// AppendPriority appends a PRIORITY frame to dst.
func AppendPriority(dst []byte, f Priority) []byte {
	dst = AppendHeader(dst, Header{Length: priorityLen, Type: TypePriority, StreamID: f.StreamID})
	return appendPriorityParam(dst, f.PriorityParam)
}

// selfDependency is the error for a stream that depends on itself.
//
// "A stream cannot depend on itself. An endpoint MUST treat this as a stream
// error (Section 5.4.2) of type PROTOCOL_ERROR." RFC 7540, Section 5.3.1.
func selfDependency(id StreamID) error {
	return StreamError{id, ErrCodeProtocol, "stream depends on itself", "RFC 7540, Section 5.3.1"}
}

// parsePriorityParam decodes the first priorityLen octets of b.
func parsePriorityParam(b []byte) PriorityParam {
	return PriorityParam{
		Exclusive:        b[0]&0x80 != 0,
		StreamDependency: streamID(b),
		Weight:           b[4],
	}
}

func appendPriorityParam(dst []byte, p PriorityParam) []byte {
	v := uint32(p.StreamDependency & MaxStreamID)
	if p.Exclusive {
		v |= 1 << 31
	}
	return append(binary.BigEndian.AppendUint32(dst, v), p.Weight)
}
