package h1

import "github.com/h2loop/h2loop/internal/message"

// A Stream is one request and its response.
//
// A Stream is reused once [Handler.Closed] has returned.
type Stream struct {
	// Request is whole when [Handler.Request] is called, but for Trailers,
	// which are there when the body ends.
	Request message.Request

	// Target is the request target as it came if that was in absolute-form, else
	// empty.
	Target string

	// App is the application's; this package never looks at it.
	App any

	head headFlags
	late lateHead // what Request.Late is
	hop  []message.Field

	ended     bool // the request is complete
	answered  bool // the final header section was sent
	continued bool // 100 was sent
	longLived bool // no timeouts for its body
	sentEnd   bool // the response is cut in full
	lameIn    bool // and the request is not complete: it is closed at the end of the turn

	framing  framing
	left     int64 // with framingLength: octets that are still to be given
	unread   int   // octets handed to the application and not consumed
	received int64 // octets of body so far
	sent     int64 // and of that of the response
	timing   bodyTiming

	body body
}

// reset makes s as good as new, keeping the memory of its slices.
func (s *Stream) reset() {
	s.Request.Reset()
	fields, trailers, hop := s.Request.Fields, s.Request.Trailers, message.EmptiedFields(s.hop)
	regions, late := s.body.regions.Emptied(), s.late.emptied()
	*s = Stream{}
	s.Request.Fields, s.Request.Trailers, s.hop = fields, trailers, hop
	s.body.regions, s.late = regions, late
}

// RequestEnded reports whether the request is complete.
func (s *Stream) RequestEnded() bool { return s.ended }

// Moved returns how many octets of the request body have come, and of the response
// body were put into batches.
func (s *Stream) Moved() (received, sent int64) { return s.received, s.sent }

// IsHTTP10 reports whether the client speaks HTTP/1.0.
func (s *Stream) IsHTTP10() bool { return s.head.has(isHTTP10) }

// ReadHop returns the fields about the connection, which are not among those of the
// request: Connection and Upgrade, Keep-Alive, Proxy-Connection and TE.
func (s *Stream) ReadHop() []message.Field {
	if s.late.hopLate {
		s.late.hopLate, s.hop = false, s.late.appendHop(s.hop[:0])
	}
	return s.hop
}

// WantsClose reports whether the client has said that its connection ends behind this
// request (RFC 9112, Section 9.3).
func (s *Stream) WantsClose() bool { return s.head.has(wantsClose) }

// Answered reports whether the final header section of the response was sent.
func (s *Stream) Answered() bool { return s.answered }

// Queued reports whether octets or a source of the response have yet to be cut.
func (s *Stream) Queued() bool { return s.body.pending() }

// isTunnel reports whether the connection has become a stream of octets.
func (s *Stream) isTunnel() bool { return s.framing == framingTunnel }
