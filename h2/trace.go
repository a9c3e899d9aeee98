package h2

import "github.com/h2loop/h2loop/frames"

// A Tracer sees the frames of a connection, in order, in either direction. It borrows
// all that it is given, and must not call the connection.
type Tracer interface {
	// Frame is called for each frame. Of DATA and of frames that are of an unknown
	// type there is no payload. What is sent is seen as it is given to be written.
	Frame(sent bool, h frames.Header, payload []byte)

	// Fields is called behind the frame that ends a header block with what is in it:
	// a request, or the status of a response, or neither for trailers. Of a block that
	// is refused or ignored nothing is said.
	Fields(sent bool, id frames.StreamID, r *Request, status int, fields []Field)
}

// A tracing is what a connection that is traced keeps.
type tracing struct {
	Tracer
	blocks []tracedBlock // in the batch, and not told of yet
	seen   int           // octets of the batch that were told of
	header []byte        // of a frame that lies in two segments
}

// A tracedBlock is a header block that is in the batch.
type tracedBlock struct {
	status int
	fields []Field
}

// Trace has t see the frames of c from now on; nil ends that. Without one, a frame
// costs a comparison.
func (c *Conn) Trace(t Tracer) {
	if t == nil {
		c.trace = nil
		return
	}
	c.trace = &tracing{Tracer: t, seen: c.outLen()}
	if !c.peer.seen {
		c.trace.seen = 0 // our preface is seen, too
	}
}

// block notes that a header block is in the batch now.
func (t *tracing) block(status int, fields []Field) {
	t.blocks = append(t.blocks, tracedBlock{status, append([]Field(nil), fields...)})
}

// batch tells of the frames in segs, which are whole.
func (t *tracing) batch(segs [][]byte) {
	skip := t.seen
	t.seen = 0
	left := 0 // octets of payload of a frame of DATA that were told of
	for _, s := range segs {
		n := min(skip, len(s))
		skip -= n
		t.seen += len(s)
		s = s[n:]
		for len(s) > 0 {
			if left > 0 {
				n := min(left, len(s))
				left, s = left-n, s[n:]
				continue
			}
			left, s = t.next(s)
		}
	}
}

// next takes a frame from s, or its beginning. It returns how many octets of it are
// still to come, and what is left of s.
func (t *tracing) next(s []byte) (left int, rest []byte) {
	if n := frames.HeaderLen - len(t.header); len(t.header) > 0 || len(s) < frames.HeaderLen {
		n = min(n, len(s))
		t.header = append(t.header, s[:n]...)
		if len(t.header) < frames.HeaderLen {
			return 0, nil
		}
		h, _ := frames.ParseHeader(t.header)
		t.header = t.header[:0]
		return t.frame(h, s[n:])
	}
	h, _ := frames.ParseHeader(s)
	return t.frame(h, s[frames.HeaderLen:])
}

func (t *tracing) frame(h frames.Header, s []byte) (left int, rest []byte) {
	n := min(int(h.Length), len(s))
	payload := s[:n]
	if h.Type == frames.TypeData {
		payload = nil
	}
	t.Frame(true, h, payload)
	ends := (h.Type == frames.TypeHeaders || h.Type == frames.TypeContinuation) && h.Flags.Has(frames.FlagEndHeaders)
	if ends && len(t.blocks) > 0 {
		b := t.blocks[0]
		t.blocks = t.blocks[1:]
		t.Fields(true, h.StreamID, nil, b.status, b.fields)
	}
	return int(h.Length) - n, s[n:]
}
