package frames

// A Ping is a PING frame (RFC 9113, Section 6.7).
//
//	+---------------------------------------------------------------+
//	|                                                               |
//	|                      Opaque Data (64)                         |
//	|                                                               |
//	+---------------------------------------------------------------+
type Ping struct {
	Ack  bool
	Data [8]byte
}

// ParsePing decodes the payload of a PING frame.
func ParsePing(h Header, payload []byte) (Ping, error) {
	if h.StreamID != 0 {
		// "If a PING frame is received with a Stream Identifier field value other
		// than 0x00, the recipient MUST respond with a connection error (Section
		// 5.4.1) of type PROTOCOL_ERROR." RFC 9113, Section 6.7.
		return Ping{}, ConnError{ErrCodeProtocol, "PING on a stream", "6.7"}
	}
	if len(payload) != 8 {
		// "Receipt of a PING frame with a length field value other than 8 MUST be
		// treated as a connection error (Section 5.4.1) of type FRAME_SIZE_ERROR."
		// RFC 9113, Section 6.7.
		return Ping{}, ConnError{ErrCodeFrameSize, "PING payload is not 8 octets", "6.7"}
	}
	return Ping{Ack: h.Flags.Has(FlagAck), Data: [8]byte(payload)}, nil
}

// AppendPing appends a PING frame to dst.
func AppendPing(dst []byte, f Ping) []byte {
	var flags Flags
	if f.Ack {
		flags = FlagAck
	}
	dst = AppendHeader(dst, Header{Length: 8, Type: TypePing, Flags: flags})
	return append(dst, f.Data[:]...)
}
