package frames

// A PushPromise is a PUSH_PROMISE frame (RFC 9113, Section 6.6). A client must
// not send one.
//
//	+---------------+
//	|Pad Length? (8)|
//	+-+-------------+-----------------------------------------------+
//	|R|                Promised Stream ID (31)                      |
//	+-+-------------------------------------------------------------+
//	|                    Field Block Fragment (*)                 ...
//	+---------------------------------------------------------------+
//	|                           Padding (*)                       ...
//	+---------------------------------------------------------------+
type PushPromise struct {
	StreamID         StreamID
	PromisedStreamID StreamID
	Fragment         []byte
	EndHeaders       bool  // no CONTINUATION follows
	Padded           bool  // a Pad Length octet is there, even if it is 0
	PadLength        uint8 // if Padded
}

// ParsePushPromise decodes the payload of a PUSH_PROMISE frame. It lends the
// Fragment of its result, a part of payload: it is good until payload changes.
func ParsePushPromise(h Header, payload []byte) (PushPromise, error) {
	if h.StreamID == 0 {
		// "If the Stream Identifier field specifies the value 0x00, a recipient
		// MUST respond with a connection error (Section 5.4.1) of type
		// PROTOCOL_ERROR." RFC 9113, Section 6.6.
		return PushPromise{}, ConnError{ErrCodeProtocol, "PUSH_PROMISE on stream 0", "6.6"}
	}
	body, pad, err := unpad(h, payload, 4, "6.6")
	if err != nil {
		return PushPromise{}, err
	}
	f := PushPromise{
		StreamID:         h.StreamID,
		PromisedStreamID: streamID(body),
		Fragment:         body[4:],
		EndHeaders:       h.Flags.Has(FlagEndHeaders),
		Padded:           h.Flags.Has(FlagPadded),
		PadLength:        pad,
	}
	if f.PromisedStreamID == 0 || f.PromisedStreamID%2 != 0 {
		// "A receiver MUST treat the receipt of a PUSH_PROMISE that promises an
		// illegal stream identifier (Section 5.1.1) as a connection error (Section
		// 5.4.1) of type PROTOCOL_ERROR." RFC 9113, Section 6.6.
		return PushPromise{}, ConnError{ErrCodeProtocol, "PUSH_PROMISE of a stream that is not a server's", "6.6"}
	}
	return f, nil
}

// AppendPushPromise appends a PUSH_PROMISE frame to dst. It copies f.Fragment.
func AppendPushPromise(dst []byte, f PushPromise) []byte {
	var flags Flags
	if f.EndHeaders {
		flags |= FlagEndHeaders
	}
	if f.Padded {
		flags |= FlagPadded
	}
	dst = AppendHeader(dst, Header{
		Length:   payloadLen(paddedLen(4+len(f.Fragment), f.Padded, f.PadLength)),
		Type:     TypePushPromise,
		Flags:    flags,
		StreamID: f.StreamID,
	})
	if f.Padded {
		dst = append(dst, f.PadLength)
	}
	dst = appendStreamID(dst, f.PromisedStreamID)
	dst = append(dst, f.Fragment...)
	if f.Padded {
		dst = appendPadding(dst, f.PadLength)
	}
	return dst
}
