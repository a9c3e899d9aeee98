package frames

import "encoding/binary"

// An RSTStream is an RST_STREAM frame (RFC 9113, Section 6.4).
//
//	+---------------------------------------------------------------+
//	|                        Error Code (32)                        |
//	+---------------------------------------------------------------+
type RSTStream struct {
	StreamID StreamID
	Code     ErrCode
}

// ParseRSTStream decodes the payload of an RST_STREAM frame.
func ParseRSTStream(h Header, payload []byte) (RSTStream, error) {
	if h.StreamID == 0 {
		// "If an RST_STREAM frame is received with a stream identifier of 0x00,
		// the recipient MUST treat this as a connection error (Section 5.4.1) of
		// type PROTOCOL_ERROR." RFC 9113, Section 6.4.
		return RSTStream{}, ConnError{ErrCodeProtocol, "RST_STREAM on stream 0", "6.4"}
	}
	if len(payload) != 4 {
		// "An RST_STREAM frame with a length other than 4 octets MUST be treated
		// as a connection error (Section 5.4.1) of type FRAME_SIZE_ERROR."
		// RFC 9113, Section 6.4.
		return RSTStream{}, ConnError{ErrCodeFrameSize, "RST_STREAM payload is not 4 octets", "6.4"}
	}
	return RSTStream{StreamID: h.StreamID, Code: ErrCode(binary.BigEndian.Uint32(payload))}, nil
}

// AppendRSTStream appends an RST_STREAM frame to dst.
func AppendRSTStream(dst []byte, f RSTStream) []byte {
	dst = AppendHeader(dst, Header{Length: 4, Type: TypeRSTStream, StreamID: f.StreamID})
	return binary.BigEndian.AppendUint32(dst, uint32(f.Code))
}
