package h1

// A Handler is told what happens to the requests of a connection. Its methods
// may answer, reset and consume; they must not block.
type Handler interface {
	// Request is called when the header section of a request is complete
	// and well-formed. s.RequestEnded reports that no body follows. The fields
	// are to be had from s.Request.ReadFields.
	Request(s *Stream)

	// Body is called for each piece of the request body, and once with end
	// set when the body is complete and s.Request.Trailers are there; p may
	// then be empty. Body borrows p. The octets stay charged to the peer
	// until [Conn.Consume].
	Body(s *Stream, p []byte, end bool)

	// Closed is called once for each stream given to Request, when both
	// sides have ended it (err is nil), or when it was cut off or its
	// connection closed. s must not be used after Closed returns.
	Closed(s *Stream, err error)
}

// A Refuser is a [Handler] that learns what the connection answers by itself: Refused
// is called behind such an answer, with the octets of its body and the reason. s is nil if
// there is no request that Handler.Request was given.
type Refuser interface {
	Refused(s *Stream, status, sent int, err error)
}

// A Conn is the server's side of one HTTP/1.1 connection.
//
// A Conn belongs to one event loop: no method may be called from anywhere
// else, and no method blocks. Call Init before anything else.
type Conn struct {
	shared  *Shared
	cfg     *Config // of shared when it began
	handler Handler
	scheme  string

	recv    recvState
	held    []byte    // octets that wait to be handled, from at on
	at      int       // in held
	stream  *Stream   // the request in progress
	last    *headMemo // what the last request looked like, if that is remembered
	host    string    // of the last request that had a Host field
	out     *outbox   // nil while nothing is to be written
	room    int       // octets that may still be cut this turn
	batches uint64    // batches with pieces of sources so far

	life    lifetime
	closing bool // the response in progress is the last
	aborted bool
	taken   bool    // the place for a request is: see HoldPlace
	running bool    // octets are being handled, or cut: Continue must not begin anew
	filling *Stream // the stream whose source is being asked

	time timing
}

// Init makes c the connection of a peer that has just connected; https says that
// it came over TLS.
func (c *Conn) Init(shared *Shared, handler Handler, https bool) {
	*c = Conn{shared: shared, cfg: shared.cfg, handler: handler, scheme: "http"}
	if https {
		c.scheme = "https"
	}
	c.time.looked = shared.Now
}

// OpenStreams returns the number of requests in progress: 0 or 1. One whose place is
// held is.
func (c *Conn) OpenStreams() int {
	if c.stream == nil && !c.taken {
		return 0
	}
	return 1
}

// HoldPlace has no request begin until FreePlace: the last one is closed, or about to
// be, and the application goes on working for it. What comes is held, as it is behind a
// request in progress.
func (c *Conn) HoldPlace() { c.taken = true }

// FreePlace ends what HoldPlace has begun. [Conn.Continue] goes on with what is held.
func (c *Conn) FreePlace() { c.taken = false }

// Close tells the handler that the request in progress is gone and gives all
// memory back. The transport has closed, or is about to: nothing more is written.
func (c *Conn) Close() {
	if c.life == lifeClosed {
		return
	}
	c.life = lifeClosed
	c.drop()
	if s := c.stream; s != nil {
		c.closeStream(s, ErrConnClosed)
	}
	if c.out != nil {
		c.finishOutbox()
	}
}

// Abandon is [Conn.Close] for a connection that a panic has left in a state which
// is not to be trusted: it goes as far as it can, and nothing of the connection
// is used again.
func (c *Conn) Abandon() {
	s, out, held := c.stream, c.out, len(c.held)-c.at
	c.life, c.stream, c.out, c.held, c.at = lifeClosed, nil, nil, nil, 0
	c.attempt(func() { c.shared.chargeBody(-held) })
	if s != nil {
		s.Request.Late = nil // its octets may be gone
		c.attempt(func() { c.shared.chargeBody(-s.unread) })
		c.attempt(func() { c.dropBody(s) })
		c.attempt(func() { c.handler.Closed(s, ErrConnClosed) })
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

// closeStream takes s out, gives its regions back and tells the handler.
func (c *Conn) closeStream(s *Stream, err error) {
	c.stream = nil
	if c.filling == s {
		c.filling = nil
	}
	c.shared.chargeBody(-s.unread)
	c.dropBody(s)
	c.handler.Closed(s, err)
	c.shared.putStream(s)
}
