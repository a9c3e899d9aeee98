package frames

import "math"

// unpad returns what stands between the Pad Length octet and the padding of a
// DATA, HEADERS or PUSH_PROMISE frame, or all of payload if the frame is not
// padded. The first fixed octets of what it returns are fields the frame must
// have; there are at least so many. body is a part of payload.
func unpad(h Header, payload []byte, fixed int, section string) (body []byte, padLength uint8, err error) {
	if !h.Flags.Has(FlagPadded) {
		if len(payload) < fixed {
			return nil, 0, tooShort(h.Type)
		}
		return payload, 0, nil
	}
	if len(payload) < 1+fixed {
		return nil, 0, tooShort(h.Type)
	}
	padLength = payload[0]
	body = payload[1:]
	// "If the length of the padding is the length of the frame payload or
	// greater, the recipient MUST treat this as a connection error (Section
	// 5.4.1) of type PROTOCOL_ERROR." RFC 9113, Section 6.1.
	//
	// "Padding that exceeds the size remaining for the field block fragment MUST
	// be treated as a PROTOCOL_ERROR." RFC 9113, Section 6.2.
	if int(padLength) > len(body)-fixed {
		return nil, 0, ConnError{ErrCodeProtocol, h.Type.String() + " padding is longer than the payload", section}
	}
	return body[:len(body)-int(padLength)], padLength, nil
}

// tooShort is the error for a frame without room for the fields its type and
// flags require. It costs the connection: it must for "any frame carrying a field
// block", and for DATA nothing is gained by less.
//
// "An endpoint MUST send an error code of FRAME_SIZE_ERROR if a frame [...] is
// too small to contain mandatory frame data." RFC 9113, Section 4.2.
func tooShort(t Type) error {
	return ConnError{ErrCodeFrameSize, t.String() + " payload is too short", "4.2"}
}

// paddedLen returns the octets of payload that n octets become with padding.
func paddedLen(n int, padded bool, padLength uint8) int {
	if padded {
		return 1 + n + int(padLength)
	}
	return n
}

// appendPadding appends n octets of padding to dst.
//
// "Padding octets MUST be set to zero when sending." RFC 9113, Section 6.1.
func appendPadding(dst []byte, n uint8) []byte {
	var zero [math.MaxUint8]byte
	return append(dst, zero[:n]...)
}
