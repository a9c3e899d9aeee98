package h2

// A ConnState is what there is to see of a connection.
type ConnState struct {
	// SendWindow is what the peer lets us send, and RecvWindow what we let it, in
	// octets of DATA.
	SendWindow, RecvWindow int
	// Unread are octets of request bodies that the application has not consumed.
	Unread int

	// What the peer's SETTINGS say.
	PeerInitialWindow, PeerMaxFrameSize, PeerHeaderTable uint32
	PeerNoPriorities                                     bool // SETTINGS_NO_RFC7540_PRIORITIES

	// Life is "open", "draining" (GOAWAY was sent) or "closing".
	Life string
}

// Inspect returns what there is to see of c.
func (c *Conn) Inspect() ConnState {
	s := ConnState{
		SendWindow: int(c.sendWindow), RecvWindow: int(c.recvWindow.granted), Unread: c.unread,
		PeerInitialWindow: c.peer.initialWindow, PeerMaxFrameSize: c.peer.maxFrameSize,
		PeerHeaderTable: c.peer.headerTable, PeerNoPriorities: c.peer.noPriorities,
		Life: "open",
	}
	switch {
	case c.life >= lifeDrained:
		s.Life = "closing"
	case c.life != lifeAlive:
		s.Life = "draining"
	}
	return s
}

// A StreamState is what there is to see of a stream.
type StreamState struct {
	State                  string // as RFC 9113, Section 5.1 calls it
	SendWindow, RecvWindow int    // octets of DATA; SendWindow may be negative
	Queued                 int    // octets of the response that are there, and not in a frame
	Received, Sent         int64  // octets of the bodies
	Answered               bool   // the final header section was sent
	Urgency                int    // of RFC 9218, 0 to 7
	Incremental            bool
	WaitsFor               Wait
}

// A Wait says what a stream cannot go on without.
type Wait string

const (
	WaitApplication Wait = "application"       // an answer, or more of it
	WaitPeer        Wait = "request body"      // more of it
	WaitStream      Wait = "stream window"     // which the peer keeps shut
	WaitConn        Wait = "connection window" // which the peer keeps shut
	WaitSocket      Wait = "socket"            // or its turn
)

// Streams calls f for each open stream, in no order. Neither may be kept, and f must not
// close any.
func (c *Conn) Streams(f func(s *Stream, st StreamState)) {
	for _, s := range c.streams.slots {
		if s != nil {
			f(s, c.inspectStream(s))
		}
	}
}

var stateNames = [numStates]string{
	stateIdle: "idle", stateOpen: "open", stateHalfClosedRemote: "half-closed (remote)",
	stateHalfClosedLocal: "half-closed (local)", stateClosed: "closed",
}

func (c *Conn) inspectStream(s *Stream) StreamState {
	st := StreamState{
		State: stateNames[s.state], SendWindow: int(s.sendWindow), RecvWindow: int(s.recvWindow.granted),
		Queued: s.body.regions.Octets(), Received: s.received, Sent: s.sent, Answered: s.answered,
		Urgency: int(s.priority.urgency), Incremental: s.priority.incremental,
	}
	switch hasBody := s.body.pending() && !s.body.idle; {
	case hasBody && s.sendWindow <= 0:
		st.WaitsFor = WaitStream
	case hasBody && c.sendWindow <= 0:
		st.WaitsFor = WaitConn
	case hasBody:
		st.WaitsFor = WaitSocket
	case s.state == stateHalfClosedLocal, s.state == stateOpen && s.unread == 0 && !s.body.pending():
		st.WaitsFor = WaitPeer
	default:
		st.WaitsFor = WaitApplication
	}
	return st
}
