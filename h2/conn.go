package h2

import (
	"errors"

	"github.com/h2loop/h2loop/frames"
)

// Preface is what a client sends first (RFC 9113, Section 3.4).
const Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// A Handler is told what happens on the streams of a connection. Its methods
// may answer, reset and consume; they must not block.
type Handler interface {
	// Request is called when the header section of a request is complete
	// and well-formed. s.RequestEnded reports that no body follows.
	Request(s *Stream)

	// Body is called for each piece of the request body, and once with end
	// set when the body is complete and s.Request.Trailers are there; p may
	// then be empty. Body borrows p. The octets stay charged to the peer
	// until [Conn.Consume].
	Body(s *Stream, p []byte, end bool)

	// Closed is called once for each stream given to Request, when both
	// sides have ended it (err is nil) or when it was reset or its
	// connection closed. s must not be used after Closed returns.
	Closed(s *Stream, err error)
}

// A Refuser is a [Handler] that learns what the connection answers by itself: Refused
// is called before such an answer is made, with the reason, and must not answer itself.
// If s was not given to Handler.Request, it must not be used any more once Refused has
// returned.
type Refuser interface {
	Refused(s *Stream, status int, err error)
}

// Errors that [Handler.Closed] reports besides a [frames.StreamError] of ours.
var (
	ErrConnClosed = errors.New("h2: connection closed")
	ErrPeerReset  = errors.New("h2: stream reset by peer")
	ErrReset      = errors.New("h2: stream reset by the application")
)

// A Conn is the server's side of one HTTP/2 connection.
//
// A Conn belongs to one event loop: no method may be called from anywhere
// else, and no method blocks. Call Init before anything else.
type Conn struct {
	shared  *Shared
	cfg     *Config // of shared when it began
	handler Handler

	recv    recvState
	block   headerBlock
	codec   *codec // nil until the first HEADERS: idle connections are small
	streams streamTable
	closed  closedRing
	maxID   frames.StreamID // highest stream the peer has opened

	peer       peerSettings
	sendWindow sendWindow
	recvWindow recvWindow
	unread     int // octets of bodies handed out and not consumed
	held       int // octets received whose connection credit waits for that

	out     *outbox // nil while nothing is to be written
	sched   scheduler
	parked  list      // streams whose source waits for the batch to leave
	lame    []*Stream // answered in full this turn with the request unfinished
	room    int       // octets of DATA that may still be cut this turn
	record  int       // TLS: octets of plaintext a record holds; else 0
	filling *Stream   // the stream whose source is being asked

	parkedRank uint8 // of the most urgent stream that was parked

	life    lifetime
	time    timing
	sent    int64 // octets of DATA
	places  int   // requests whose stream has closed and whose work goes on
	budget  budgets
	early   []earlyPriority // PRIORITY_UPDATE for streams not yet open
	batches uint64          // batches with pieces of sources so far
	trace   *tracing        // nil unless somebody looks
}

// peerSettings are the peer's SETTINGS that matter to a server.
type peerSettings struct {
	seen           bool // the first SETTINGS has arrived
	acked          bool // it has seen ours
	initialWindow  uint32
	maxFrameSize   uint32
	headerTable    uint32 // as last said
	minHeaderTable uint32 // the least said while there was no encoder; 0 if there was one before
	noPriorities   bool
}

// Init makes c the connection of a peer that has just connected, and queues
// the server's preface: SETTINGS and the connection's window.
//
// recordSize is 0 for cleartext; for TLS it is the plaintext a record holds,
// and DATA frames are cut so as to fill records.
func (c *Conn) Init(shared *Shared, handler Handler, recordSize int) {
	*c = Conn{
		shared:     shared,
		cfg:        shared.cfg,
		handler:    handler,
		sendWindow: initialWindow,
		recvWindow: newRecvWindow(initialWindow),
		record:     recordSize,
		peer: peerSettings{
			initialWindow:  initialWindow,
			maxFrameSize:   frames.DefaultMaxFrameSize,
			headerTable:    shared.cfg.EncoderTableSize,
			minHeaderTable: shared.cfg.EncoderTableSize,
		},
	}
	c.time.heard, c.time.looked = shared.Now, shared.Now
	c.sendPreface()
}

func (c *Conn) sendPreface() {
	cfg := c.cfg
	settings := [5]frames.Setting{
		{ID: frames.SettingMaxConcurrentStreams, Value: cfg.MaxConcurrentStreams},
		{ID: frames.SettingInitialWindowSize, Value: uint32(cfg.StreamWindow)},
		{ID: frames.SettingMaxHeaderListSize, Value: cfg.MaxHeaderListSize},
		// "A server … SHOULD send SETTINGS_NO_RFC7540_PRIORITIES … in the
		// first SETTINGS frame." RFC 9218, Section 2.1.
		{ID: frames.SettingNoRFC7540Priorities, Value: 1},
	}
	n := 4
	if cfg.EnableConnectProtocol {
		settings[n] = frames.Setting{ID: frames.SettingEnableConnectProtocol, Value: 1}
		n++
	}
	o := c.outbox()
	o.Scratch = frames.AppendSettings(o.Scratch, settings[:n]...)
	if cfg.ConnWindow > initialWindow {
		c.recvWindow.size = cfg.ConnWindow
		c.recvWindow.granted = cfg.ConnWindow
		o.Scratch = frames.AppendWindowUpdate(o.Scratch, frames.WindowUpdate{
			Increment: uint32(cfg.ConnWindow - initialWindow),
		})
	}
}

// Established reports whether the peer's preface and first SETTINGS arrived.
func (c *Conn) Established() bool { return c.peer.seen }

// OpenStreams returns the number of streams that are open.
func (c *Conn) OpenStreams() int { return c.streams.n }

// Close tells the handler that every stream is gone and gives all memory
// back. The transport has closed, or is about to: nothing more is written.
func (c *Conn) Close() {
	if c.life == lifeClosed {
		return
	}
	c.life = lifeClosed
	c.dropBlock()
	c.streams.each(func(s *Stream) { c.closeStream(s, ErrConnClosed) })
	c.shared.putCarry(c.recv.carry)
	c.recv.carry = nil
	c.shared.putCodec(c.codec)
	c.codec, c.streams, c.closed, c.early, c.lame = nil, streamTable{}, closedRing{}, nil, nil
	if c.out != nil {
		c.finishOutbox()
	}
}

// Abandon is [Conn.Close] for a connection that a panic has left in a state which
// is not to be trusted: it goes as far as it can, and nothing of the connection
// is used again.
func (c *Conn) Abandon() {
	sh := c.shared
	c.shared = NewShared(*sh.cfg) // takes what must not go back
	c.shared.Now = sh.Now
	sh.keep(-c.unread)
	streams, out := c.streams.slots, c.out
	c.life, c.streams.n, c.out = lifeClosed, 0, nil
	for _, s := range streams {
		if s != nil {
			c.attempt(func() { c.abandonStream(s) })
		}
	}
	if out != nil {
		for _, rel := range out.releases {
			c.attempt(rel.Release)
		}
	}
}

// attempt calls f, and gives up if it panics.
func (*Conn) attempt(f func()) {
	defer func() { _ = recover() }()
	f()
}

// abandonStream tells those who wait for s that it is gone.
func (c *Conn) abandonStream(s *Stream) {
	c.attempt(func() { c.dropBody(s) })
	if s.announced {
		c.handler.Closed(s, ErrConnClosed)
	}
}

// closeStream takes s out of every list and table, gives its regions back and
// tells the handler. s.state is stateClosed for streams that ended on the wire.
func (c *Conn) closeStream(s *Stream, err error) {
	s.state = stateClosed
	c.streams.remove(s)
	c.sched.remove(s, &c.parked, c.shared)
	if c.recv.stream == s {
		c.recv.stream = nil
	}
	if c.block.stream == s {
		s.Request.Trailers = c.block.list.fields
		c.block.ignore()
	}
	if c.filling == s {
		c.filling = nil
	}
	for i, l := range c.lame {
		if l == s {
			c.lame[i] = nil
		}
	}
	c.releaseUnread(s, s.unread)
	c.dropBody(s)
	if s.announced {
		if err == nil {
			c.budget.completed()
		}
		c.handler.Closed(s, err)
	}
	c.shared.putStream(s)
	c.checkDrained()
}

// streamFor returns the open stream id, or nil if it has closed; frames on an
// idle stream end the connection (RFC 9113, Section 5.1).
func (c *Conn) streamFor(id frames.StreamID) (*Stream, error) {
	if s := c.streams.get(id); s != nil {
		return s, nil
	}
	if c.isIdle(id) {
		return nil, stateIdle.violation(id)
	}
	return nil, nil
}

// isIdle reports whether no frame has opened stream id. Even ones would be
// ours to open, and a server that never pushes opens none.
// Streams above our last GOAWAY count as used: they are ignored.
func (c *Conn) isIdle(id frames.StreamID) bool {
	return id&1 == 0 || (id > c.maxID && c.life < lifeDraining)
}
