package frames

// A Data is a DATA frame (RFC 9113, Section 6.1).
//
//	+---------------+
//	|Pad Length? (8)|
//	+---------------+-----------------------------------------------+
//	|                            Data (*)                         ...
//	+---------------------------------------------------------------+
//	|                           Padding (*)                       ...
//	+---------------------------------------------------------------+
//
// A frame that is received in pieces is read with a [DataReader]; one that is
// sent without copying its payload is a [Region].
type Data struct {
	StreamID  StreamID
	Data      []byte
	EndStream bool
	Padded    bool  // a Pad Length octet is there, even if it is 0
	PadLength uint8 // if Padded
}

// ParseData decodes the whole payload of a DATA frame. It lends the Data of its
// result, a part of payload: it is good until payload changes.
func ParseData(h Header, payload []byte) (Data, error) {
	if h.StreamID == 0 {
		return Data{}, dataOnStream0()
	}
	body, pad, err := unpad(h, payload, 0, "6.1")
	if err != nil {
		return Data{}, err
	}
	return Data{
		StreamID:  h.StreamID,
		Data:      body,
		EndStream: h.Flags.Has(FlagEndStream),
		Padded:    h.Flags.Has(FlagPadded),
		PadLength: pad,
	}, nil
}

// AppendData appends a DATA frame to dst. It copies f.Data.
func AppendData(dst []byte, f Data) []byte {
	dst = appendDataHeader(dst, f.StreamID, len(f.Data), f.EndStream, f.Padded, f.PadLength)
	dst = append(dst, f.Data...)
	if f.Padded {
		dst = appendPadding(dst, f.PadLength)
	}
	return dst
}

// appendDataHeader appends what stands before the n octets of data of a DATA
// frame: the frame header and, if padded, the Pad Length octet.
func appendDataHeader(dst []byte, id StreamID, n int, endStream, padded bool, padLength uint8) []byte {
	var flags Flags
	if endStream {
		flags |= FlagEndStream
	}
	if padded {
		flags |= FlagPadded
	}
	dst = AppendHeader(dst, Header{
		Length:   payloadLen(paddedLen(n, padded, padLength)),
		Type:     TypeData,
		Flags:    flags,
		StreamID: id,
	})
	if padded {
		dst = append(dst, padLength)
	}
	return dst
}

// dataOnStream0 is the error of both readers of DATA for it.
//
// "If a DATA frame is received whose Stream Identifier field is 0x00, the
// recipient MUST respond with a connection error (Section 5.4.1) of type
// PROTOCOL_ERROR." RFC 9113, Section 6.1.
func dataOnStream0() error {
	return ConnError{ErrCodeProtocol, "DATA on stream 0", "6.1"}
}
