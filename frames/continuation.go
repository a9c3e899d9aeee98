package frames

// A Continuation is a CONTINUATION frame (RFC 9113, Section 6.10).
//
//	+---------------------------------------------------------------+
//	|                    Field Block Fragment (*)                 ...
//	+---------------------------------------------------------------+
type Continuation struct {
	StreamID   StreamID
	Fragment   []byte
	EndHeaders bool // no other CONTINUATION follows
}

// ParseContinuation decodes the payload of a CONTINUATION frame. It lends the
// Fragment of its result, which is payload: it is good until payload changes.
func ParseContinuation(h Header, payload []byte) (Continuation, error) {
	if h.StreamID == 0 {
		// "If a CONTINUATION frame is received with a Stream Identifier field of
		// 0x00, the recipient MUST respond with a connection error (Section 5.4.1)
		// of type PROTOCOL_ERROR." RFC 9113, Section 6.10.
		return Continuation{}, ConnError{ErrCodeProtocol, "CONTINUATION on stream 0", "6.10"}
	}
	return Continuation{
		StreamID:   h.StreamID,
		Fragment:   payload,
		EndHeaders: h.Flags.Has(FlagEndHeaders),
	}, nil
}

// AppendContinuation appends a CONTINUATION frame to dst. It copies f.Fragment.
func AppendContinuation(dst []byte, f Continuation) []byte {
	var flags Flags
	if f.EndHeaders {
		flags = FlagEndHeaders
	}
	dst = AppendHeader(dst, Header{
		Length:   payloadLen(len(f.Fragment)),
		Type:     TypeContinuation,
		Flags:    flags,
		StreamID: f.StreamID,
	})
	return append(dst, f.Fragment...)
}
