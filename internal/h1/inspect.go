package h1

// A State is what there is to see of a connection.
type State struct {
	Life string // "open", "draining" (no further request is taken) or "closing"
	Held int    // octets that have come and wait to be handled
}

// Inspect returns what there is to see of c.
func (c *Conn) Inspect() State {
	s := State{Life: "open", Held: len(c.held) - c.at}
	switch {
	case c.life >= lifeFinished:
		s.Life = "closing"
	case c.life != lifeAlive:
		s.Life = "draining"
	}
	return s
}

// A StreamState is what there is to see of a request.
type StreamState struct {
	State          string // "open", or who has ended: "request ended", "response ended"
	Queued         int    // octets of the response that are there, and not in a batch
	Received, Sent int64  // octets of the bodies
	Answered       bool
	WaitsFor       string // "application", "request body" or "socket"
}

// Current returns the request in progress, and what there is to see of it; nil if there
// is none.
func (c *Conn) Current() (*Stream, StreamState) {
	s := c.stream
	if s == nil {
		return nil, StreamState{}
	}
	st := StreamState{
		State: "open", Queued: s.body.regions.Octets(), Received: s.received, Sent: s.sent,
		Answered: s.answered, WaitsFor: "application",
	}
	switch {
	case s.ended:
		st.State = "request ended"
	case s.sentEnd:
		st.State = "response ended"
	}
	switch {
	case s.body.pending() && !s.body.idle:
		st.WaitsFor = "socket"
	case !s.ended && s.unread == 0 && !s.body.pending():
		st.WaitsFor = "request body"
	}
	return s, st
}
