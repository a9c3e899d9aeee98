package h2

import (
	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/internal/message"
)

// A Field is one header or trailer field.
type Field = message.Field

// A Request is what a stream asks for: see [message.Request].
type Request = message.Request

// A Stream is one request and its response (RFC 9113, Section 5).
//
// A Stream is reused once [Handler.Closed] has returned.
type Stream struct {
	// Request is whole when [Handler.Request] is called, but for Trailers,
	// which are there when the body ends.
	Request Request

	// App is the application's; this package never looks at it.
	App any

	id        frames.StreamID
	state     streamState
	announced bool  // Handler.Request was called, so Handler.Closed is owed
	answered  bool  // the final header section was sent
	continued bool  // 100 was sent
	longLived bool  // no timeouts for its bodies
	late      bool  // answered because its request body does not come
	changes   uint8 // of priority, by PRIORITY_UPDATE
	priority  priority

	sendWindow sendWindow
	recvWindow recvWindow
	unread     int   // octets handed to the application and not consumed
	tiny       int32 // frames in which they came, if those were tiny
	received   int64 // octets of body so far, for content-length
	sent       int64 // octets of DATA
	timing     *bodyTiming

	body body

	// The list the stream waits in; see scheduler.go.
	list       *list
	prev, next *Stream
}

// reset makes s as good as new, keeping the memory of its slices.
func (s *Stream) reset() {
	request, regions := s.Request, s.body.regions.Emptied()
	request.Reset()
	*s = Stream{Request: request}
	s.body.regions = regions
}

// ID returns the stream's identifier.
func (s *Stream) ID() frames.StreamID { return s.id }

// RequestEnded reports whether the peer has sent END_STREAM.
func (s *Stream) RequestEnded() bool {
	return s.state == stateHalfClosedRemote || s.state == stateClosed
}

// Moved returns how many octets of the request body have come, and of the response
// body have been cut into frames.
func (s *Stream) Moved() (received, sent int64) { return s.received, s.sent }

// Answered reports whether the final header section of the response was sent.
func (s *Stream) Answered() bool { return s.answered }

// Queued reports whether body octets, a source or an END_STREAM of the
// response have yet to be cut into frames.
func (s *Stream) Queued() bool { return s.body.pending() }
