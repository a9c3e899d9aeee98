package frames

import "encoding/binary"

// A WindowUpdate is a WINDOW_UPDATE frame (RFC 9113, Section 6.9).
//
//	+-+-------------------------------------------------------------+
//	|R|              Window Size Increment (31)                     |
//	+-+-------------------------------------------------------------+
type WindowUpdate struct {
	StreamID  StreamID // 0 for the connection window
	Increment uint32   // 1 to 1<<31 - 1
}

// ParseWindowUpdate decodes the payload of a WINDOW_UPDATE frame.
func ParseWindowUpdate(h Header, payload []byte) (WindowUpdate, error) {
	if len(payload) != 4 {
		// "A WINDOW_UPDATE frame with a length other than 4 octets MUST be treated
		// as a connection error (Section 5.4.1) of type FRAME_SIZE_ERROR."
		// RFC 9113, Section 6.9.
		return WindowUpdate{}, ConnError{ErrCodeFrameSize, "WINDOW_UPDATE payload is not 4 octets", "6.9"}
	}
	f := WindowUpdate{
		StreamID:  h.StreamID,
		Increment: binary.BigEndian.Uint32(payload) &^ (1 << 31),
	}
	if f.Increment == 0 {
		// "A receiver MUST treat the receipt of a WINDOW_UPDATE frame with a
		// flow-control window increment of 0 as a stream error (Section 5.4.2) of
		// type PROTOCOL_ERROR; errors on the connection flow-control window MUST
		// be treated as a connection error (Section 5.4.1)."
		// RFC 9113, Section 6.9.
		const reason = "WINDOW_UPDATE increment is 0"
		if h.StreamID == 0 {
			return WindowUpdate{}, ConnError{ErrCodeProtocol, reason, "6.9"}
		}
		return WindowUpdate{}, StreamError{h.StreamID, ErrCodeProtocol, reason, "6.9"}
	}
	return f, nil
}

// AppendWindowUpdate appends a WINDOW_UPDATE frame to dst.
func AppendWindowUpdate(dst []byte, f WindowUpdate) []byte {
	dst = AppendHeader(dst, Header{Length: 4, Type: TypeWindowUpdate, StreamID: f.StreamID})
	return binary.BigEndian.AppendUint32(dst, f.Increment&^(1<<31))
}
