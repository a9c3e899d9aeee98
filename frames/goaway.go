package frames

import "encoding/binary"

// A GoAway is a GOAWAY frame (RFC 9113, Section 6.8).
//
//	+-+-------------------------------------------------------------+
//	|R|                  Last-Stream-ID (31)                        |
//	+-+-------------------------------------------------------------+
//	|                      Error Code (32)                          |
//	+---------------------------------------------------------------+
//	|                  Additional Debug Data (*)                  ...
//	+---------------------------------------------------------------+
type GoAway struct {
	LastStreamID StreamID
	Code         ErrCode
	Debug        []byte
}

// ParseGoAway decodes the payload of a GOAWAY frame. It lends the Debug of its
// result, a part of payload: it is good until payload changes.
func ParseGoAway(h Header, payload []byte) (GoAway, error) {
	if h.StreamID != 0 {
		// "An endpoint MUST treat a GOAWAY frame with a stream identifier other
		// than 0x00 as a connection error (Section 5.4.1) of type PROTOCOL_ERROR."
		// RFC 9113, Section 6.8.
		return GoAway{}, ConnError{ErrCodeProtocol, "GOAWAY on a stream", "6.8"}
	}
	if len(payload) < 8 {
		return GoAway{}, tooShort(TypeGoAway)
	}
	return GoAway{
		LastStreamID: streamID(payload),
		Code:         ErrCode(binary.BigEndian.Uint32(payload[4:])),
		Debug:        payload[8:],
	}, nil
}

// AppendGoAway appends a GOAWAY frame to dst. It copies f.Debug.
func AppendGoAway(dst []byte, f GoAway) []byte {
	dst = AppendHeader(dst, Header{Length: payloadLen(8 + len(f.Debug)), Type: TypeGoAway})
	dst = appendStreamID(dst, f.LastStreamID)
	dst = binary.BigEndian.AppendUint32(dst, uint32(f.Code))
	return append(dst, f.Debug...)
}
