package frames

// A DataReader takes the payload of one DATA frame as it arrives, in pieces of
// any size, and says which octets are the application's. It buffers nothing.
//
//	err := r.Start(h)
//	for !r.Done() {
//		data, n, err := r.Next(b) // b is what has arrived
//		b = b[n:]
//		// use data
//	}
//
// All of a frame's payload counts against flow control, padding and the Pad
// Length octet included (RFC 9113, Section 6.1): that is n, not len(data).
//
// The zero DataReader is Done. A DataReader may be started again at any time.
type DataReader struct {
	left      uint32 // octets of payload to come, of every kind
	padLength uint8  // how many of left are padding, once known
	padNext   bool   // the next octet is Pad Length
	endStream bool
}

// Start begins the DATA frame of h.
func (r *DataReader) Start(h Header) error {
	*r = DataReader{}
	if h.StreamID == 0 {
		return dataOnStream0()
	}
	padded := h.Flags.Has(FlagPadded)
	if padded && h.Length == 0 {
		return tooShort(TypeData)
	}
	r.left = h.Length
	r.padNext = padded
	r.endStream = h.Flags.Has(FlagEndStream)
	return nil
}

// Next consumes the first n octets of b: all of b, or what belongs to this frame.
// data is the part of them that is the application's; it may be empty. Next lends
// it: it is a part of b, good until b changes.
//
// After an error, which is a connection error, nothing more can be read.
func (r *DataReader) Next(b []byte) (data []byte, n int, err error) {
	n = int(min(uint64(len(b)), uint64(r.left)))
	if n == 0 {
		return nil, 0, nil
	}
	data = b[:n]
	if r.padNext {
		// "If the length of the padding is the length of the frame payload or
		// greater, the recipient MUST treat this as a connection error (Section
		// 5.4.1) of type PROTOCOL_ERROR." RFC 9113, Section 6.1.
		if uint32(b[0]) >= r.left {
			return nil, 0, ConnError{ErrCodeProtocol, "DATA padding is longer than the payload", "6.1"}
		}
		r.padLength = b[0]
		r.padNext = false
		r.left--
		data = data[1:]
	}
	app := r.left - min(r.left, uint32(r.padLength)) // octets of the application to come
	r.left -= uint32(len(data))
	return data[:min(uint32(len(data)), app)], n, nil
}

// Done reports whether the whole payload has been consumed.
func (r *DataReader) Done() bool { return r.left == 0 }

// EndStream reports whether the frame has END_STREAM: once it is Done, the stream
// has no more data.
func (r *DataReader) EndStream() bool { return r.endStream }
