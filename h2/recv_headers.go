package h2

import (
	"errors"

	"golang.org/x/net/http2/hpack"

	"github.com/h2loop/h2loop/frames"
)

// A blockKind says what becomes of a header block. Every block is decoded,
// also one that is refused: the HPACK table belongs to the connection
// (RFC 9113, Section 4.3).
type blockKind uint8

const (
	blockIgnored  blockKind = iota // for a stream that we reset, or above the last GOAWAY
	blockRefused                   // over SETTINGS_MAX_CONCURRENT_STREAMS
	blockRequest                   // opens stream
	blockTrailers                  // ends stream
)

// A headerBlock is the block being received: HEADERS and its CONTINUATIONs.
type headerBlock struct {
	active    bool // CONTINUATION must follow
	kind      blockKind
	endStream bool
	id        frames.StreamID
	stream    *Stream // nil if ignored or refused
	frames    int     // CONTINUATION frames
	encoded   int     // octets
	err       error   // what the HEADERS frame itself costs the stream

	list fieldList
}

// ignore makes the rest of the block be decoded for the table only.
func (b *headerBlock) ignore() {
	b.kind, b.stream, b.err = blockIgnored, nil, nil
}

func (c *Conn) recvHeaders(h frames.Header, payload []byte) error {
	f, err := frames.ParseHeaders(h, payload)
	if err != nil {
		if _, ok := errors.AsType[frames.StreamError](err); !ok {
			return err
		}
	}
	if h.StreamID&1 == 0 {
		// "Streams initiated by a client MUST use odd-numbered stream
		// identifiers." RFC 9113, Section 5.1.1.
		return frames.ConnError{Code: frames.ErrCodeProtocol, Reason: "HEADERS on an even stream", Section: "5.1.1"}
	}
	if c.codec == nil {
		c.codec = c.newCodec()
	}
	c.block = headerBlock{id: h.StreamID, endStream: f.EndStream, err: err}
	if err := c.openBlock(); err != nil {
		return err
	}
	if f.EndHeaders && c.block.kind == blockRequest {
		if e := c.codec.requests.find(f.Fragment); e != nil {
			c.block.recall(e)
			return c.endBlock()
		}
	}
	c.codec.dec.SetEmitEnabled(c.block.stream != nil)
	return c.recvFragment(f.Fragment, f.EndHeaders)
}

// openBlock finds out what the HEADERS frame that begins c.block is for.
func (c *Conn) openBlock() error {
	b := &c.block
	if b.id > c.maxID {
		if c.life >= lifeDraining {
			// Above the identifier that our GOAWAY named: the peer will
			// retry it elsewhere (RFC 9113, Section 6.8).
			return c.recvUseless()
		}
		c.maxID = b.id
		if !c.mayOpen() {
			b.kind = blockRefused
			return nil
		}
		b.kind = blockRequest
		b.stream = c.shared.getStream()
		b.stream.id = b.id
		b.list.begin(b.stream.Request.Fields[:0])
		return nil
	}
	if s := c.streams.get(b.id); s != nil {
		if s.state == stateHalfClosedRemote {
			b.err = s.state.violation(b.id)
			return nil
		}
		b.kind = blockTrailers
		b.stream = s
		b.list.begin(s.Request.Trailers[:0])
		if !b.endStream {
			// "An endpoint that receives a HEADERS frame without the
			// END_STREAM flag set after receiving the HEADERS frame that
			// opens a request … MUST treat the … request … as malformed."
			// RFC 9113, Section 8.1.
			b.err = malformed(b.id, "trailers without END_STREAM", "8.1")
		}
		return nil
	}
	switch {
	case c.closed.wasReset(b.id):
		return c.recvUseless() // in flight, like its DATA; but not for ever
	case c.closed.wasEnded(b.id):
		return frames.ConnError{Code: frames.ErrCodeStreamClosed, Reason: "HEADERS on a closed stream", Section: "5.1"}
	default:
		// "An endpoint that receives an unexpected stream identifier MUST
		// respond with a connection error of type PROTOCOL_ERROR."
		// RFC 9113, Section 5.1.1.
		return frames.ConnError{Code: frames.ErrCodeProtocol, Reason: "stream identifier below an earlier one", Section: "5.1.1"}
	}
}

func (c *Conn) recvContinuation(h frames.Header, payload []byte) error {
	f, err := frames.ParseContinuation(h, payload)
	if err != nil {
		return err
	}
	b := &c.block
	if !b.active {
		return frames.ConnError{Code: frames.ErrCodeProtocol, Reason: "CONTINUATION without HEADERS", Section: "6.10"}
	}
	if b.frames++; b.frames > c.cfg.MaxContinuations {
		return c.headerFlood(LimitContinuations)
	}
	return c.recvFragment(f.Fragment, f.EndHeaders)
}

// recvFragment decodes a piece of the block.
func (c *Conn) recvFragment(p []byte, end bool) error {
	b := &c.block
	b.active = !end
	if b.encoded += len(p); b.encoded > c.cfg.MaxBlockFactor*int(c.cfg.MaxHeaderListSize) {
		return c.headerFlood(LimitHeaderBlock)
	}
	_, err := c.codec.dec.Write(p)
	if err == nil && end {
		err = c.codec.dec.Close()
	}
	if err != nil {
		if errors.Is(err, hpack.ErrStringLength) {
			return c.headerFlood(LimitHeaderBlock)
		}
		return frames.ConnError{Code: frames.ErrCodeCompression, Reason: err.Error(), Section: "4.3"}
	}
	if !end {
		return nil
	}
	if b.frames == 0 {
		c.codec.requests.learn(p, b)
	} else {
		c.codec.requests.forget()
	}
	return c.endBlock()
}

// recvField takes one decoded field of the block.
func (c *Conn) recvField(f Field) {
	b := &c.block
	if b.stream == nil {
		return
	}
	if !b.list.add(f, b.kind == blockTrailers, int(c.cfg.MaxHeaderListSize), &b.stream.Request) {
		// Too long: only the table is of interest from here.
		c.codec.dec.SetEmitEnabled(false)
	}
}

// endBlock does what the whole block asks for.
func (c *Conn) endBlock() error {
	b := &c.block
	s := b.stream
	b.stream = nil
	switch b.kind {
	case blockRefused:
		c.closed.addReset(b.id)
		return frames.StreamError{StreamID: b.id, Code: frames.ErrCodeRefusedStream, Reason: "too many concurrent streams", Section: "5.1.2"}
	case blockRequest:
		return c.recvRequest(s)
	case blockTrailers:
		return c.recvTrailers(s)
	default:
		return b.err
	}
}

// recvRequest opens stream s with the block that has just ended.
func (c *Conn) recvRequest(s *Stream) error {
	b := &c.block
	s.Request.Fields = b.list.fields
	if c.trace != nil {
		c.trace.Fields(false, s.id, &s.Request, 0, s.Request.Fields)
	}
	s.state.on(recvHeaders)
	s.sendWindow = sendWindow(c.peer.initialWindow)
	s.recvWindow = newRecvWindow(c.cfg.StreamWindow)
	if !c.peer.acked {
		s.recvWindow.granted += c.earlyCredit()
	}
	c.streams.put(s)
	if s.id == frames.MaxStreamID {
		// "A … server that is unable to … can send a GOAWAY frame so that the
		// client is forced to open a new connection for new streams."
		// RFC 9113, Section 5.1.1.
		defer c.sendLastGoAway("stream identifiers exhausted")
	}
	if b.endStream {
		s.state.on(recvEnd)
	}
	if b.err != nil {
		return b.err
	}
	if b.list.tooLong {
		c.refuseHeaderList(s)
		return c.chargeNoise(tooLongCost)
	}
	if err := b.list.finishRequest(s, b.endStream, c.cfg.EnableConnectProtocol); err != nil {
		return err
	}
	c.setPriority(s, b.list.priority, b.list.signalled)
	s.announced = true
	c.handler.Request(s)
	return nil
}

// refuseHeaderList answers a header list over the limit with 431 (RFC 6585,
// Section 5) on behalf of the application, which never sees the request.
func (c *Conn) refuseHeaderList(s *Stream) {
	c.cross(LimitHeaderList)
	s.Request.ContentLength = -1 // whatever the fields said, the body is thrown away
	c.refuse(s, 431, errHeaderList)
}

// refuse answers on behalf of the application, and tells it before: to answer may end s.
func (c *Conn) refuse(s *Stream, status int, why error) {
	if r, ok := c.handler.(Refuser); ok {
		r.Refused(s, status, why)
	}
	_ = c.WriteHeaders(s, status, []Field{{Name: "content-length", Value: "0"}}, true)
}

var errHeaderList = errors.New("h2: the header list is above the limit")

func (c *Conn) recvTrailers(s *Stream) error {
	b := &c.block
	s.Request.Trailers = b.list.fields
	if c.trace != nil {
		c.trace.Fields(false, s.id, nil, 0, s.Request.Trailers)
	}
	switch {
	case b.err != nil:
		return b.err
	case b.list.tooLong:
		c.cross(LimitHeaderList)
		return frames.StreamError{StreamID: s.id, Code: frames.ErrCodeEnhanceYourCalm, Reason: "trailers above the header list limit", Section: "10.5.1"}
	case b.list.fault != "":
		return malformed(s.id, b.list.fault, b.list.section)
	}
	return c.recvEnd(s, nil)
}

// dropBlock forgets the block being received.
func (c *Conn) dropBlock() {
	b := &c.block
	switch {
	case b.stream == nil:
	case b.kind == blockRequest:
		b.stream.Request.Fields = b.list.fields
		c.shared.putStream(b.stream)
	case b.kind == blockTrailers:
		b.stream.Request.Trailers = b.list.fields
	}
	c.block = headerBlock{}
}
