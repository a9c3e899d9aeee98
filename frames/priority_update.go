package frames

// A PriorityUpdate is a PRIORITY_UPDATE frame (RFC 9218, Section 7.1).
//
//	+-+-------------------------------------------------------------+
//	|R|               Prioritized Stream ID (31)                    |
//	+-+-------------------------------------------------------------+
//	|                   Priority Field Value (*)                  ...
//	+---------------------------------------------------------------+
type PriorityUpdate struct {
	PrioritizedStreamID StreamID
	FieldValue          []byte // as of the Priority header field: "u=1, i"
}

// ParsePriorityUpdate decodes the payload of a PRIORITY_UPDATE frame. It lends
// the FieldValue of its result, a part of payload: it is good until payload
// changes.
func ParsePriorityUpdate(h Header, payload []byte) (PriorityUpdate, error) {
	const section = "RFC 9218, Section 7.1"
	if h.StreamID != 0 {
		// "The Stream Identifier field [...] in the PRIORITY_UPDATE frame header
		// MUST be zero (0x0). Receiving a PRIORITY_UPDATE frame with a field of any
		// other value MUST be treated as a connection error of type
		// PROTOCOL_ERROR." RFC 9218, Section 7.1.
		return PriorityUpdate{}, ConnError{ErrCodeProtocol, "PRIORITY_UPDATE on a stream", section}
	}
	if len(payload) < 4 {
		return PriorityUpdate{}, tooShort(TypePriorityUpdate)
	}
	f := PriorityUpdate{PrioritizedStreamID: streamID(payload), FieldValue: payload[4:]}
	if f.PrioritizedStreamID == 0 {
		// "If a PRIORITY_UPDATE frame is received with a Prioritized Stream ID of
		// 0x0, the recipient MUST respond with a connection error of type
		// PROTOCOL_ERROR." RFC 9218, Section 7.1.
		return PriorityUpdate{}, ConnError{ErrCodeProtocol, "PRIORITY_UPDATE of stream 0", section}
	}
	return f, nil
}

// AppendPriorityUpdate appends a PRIORITY_UPDATE frame to dst. It copies
// f.FieldValue.
func AppendPriorityUpdate(dst []byte, f PriorityUpdate) []byte {
	dst = AppendHeader(dst, Header{Length: payloadLen(4 + len(f.FieldValue)), Type: TypePriorityUpdate})
	dst = appendStreamID(dst, f.PrioritizedStreamID)
	return append(dst, f.FieldValue...)
}
