package frames

// A Headers is a HEADERS frame (RFC 9113, Section 6.2).
//
//	+---------------+
//	|Pad Length? (8)|
//	+-+-------------+-----------------------------------------------+
//	|E|                 Stream Dependency? (31)                     |
//	+-+-------------+-----------------------------------------------+
//	|  Weight? (8)  |
//	+-+-------------+-----------------------------------------------+
//	|                    Field Block Fragment (*)                 ...
//	+---------------------------------------------------------------+
//	|                           Padding (*)                       ...
//	+---------------------------------------------------------------+
type Headers struct {
	StreamID    StreamID
	Fragment    []byte
	EndStream   bool
	EndHeaders  bool  // no CONTINUATION follows
	Padded      bool  // a Pad Length octet is there, even if it is 0
	PadLength   uint8 // if Padded
	HasPriority bool
	Priority    PriorityParam // if HasPriority
}

// ParseHeaders decodes the payload of a HEADERS frame. It lends the Fragment of
// its result, a part of payload: it is good until payload changes.
//
// The frame of a stream that depends on itself is returned whole beside the
// [StreamError]: the field block has to be decoded although the stream is to be
// reset, for the compression state belongs to the connection (RFC 9113, Section
// 4.3). Beside a [ConnError] nothing is returned.
func ParseHeaders(h Header, payload []byte) (Headers, error) {
	if h.StreamID == 0 {
		// "If a HEADERS frame is received whose Stream Identifier field is 0x00,
		// the recipient MUST respond with a connection error (Section 5.4.1) of
		// type PROTOCOL_ERROR." RFC 9113, Section 6.2.
		return Headers{}, ConnError{ErrCodeProtocol, "HEADERS on stream 0", "6.2"}
	}
	f := Headers{
		StreamID:    h.StreamID,
		EndStream:   h.Flags.Has(FlagEndStream),
		EndHeaders:  h.Flags.Has(FlagEndHeaders),
		Padded:      h.Flags.Has(FlagPadded),
		HasPriority: h.Flags.Has(FlagPriority),
	}
	fixed := 0
	if f.HasPriority {
		fixed = priorityLen
	}
	body, pad, err := unpad(h, payload, fixed, "6.2")
	if err != nil {
		return Headers{}, err
	}
	f.PadLength = pad
	f.Fragment = body[fixed:]
	if !f.HasPriority {
		return f, nil
	}
	f.Priority = parsePriorityParam(body)
	if f.Priority.StreamDependency == f.StreamID {
		return f, selfDependency(f.StreamID)
	}
	return f, nil
}

// AppendHeaders appends a HEADERS frame to dst. It copies f.Fragment.
func AppendHeaders(dst []byte, f Headers) []byte {
	var flags Flags
	if f.EndStream {
		flags |= FlagEndStream
	}
	if f.EndHeaders {
		flags |= FlagEndHeaders
	}
	if f.Padded {
		flags |= FlagPadded
	}
	n := len(f.Fragment)
	if f.HasPriority {
		flags |= FlagPriority
		n += priorityLen
	}
	dst = AppendHeader(dst, Header{
		Length:   payloadLen(paddedLen(n, f.Padded, f.PadLength)),
		Type:     TypeHeaders,
		Flags:    flags,
		StreamID: f.StreamID,
	})
	if f.Padded {
		dst = append(dst, f.PadLength)
	}
	if f.HasPriority {
		dst = appendPriorityParam(dst, f.Priority)
	}
	dst = append(dst, f.Fragment...)
	if f.Padded {
		dst = appendPadding(dst, f.PadLength)
	}
	return dst
}
