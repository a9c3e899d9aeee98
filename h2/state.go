package h2

import "github.com/h2loop/h2loop/frames"

// A streamState is a state of RFC 9113, Section 5.1, less the reserved states:
// a server that never pushes does not enter them.
type streamState uint8

const (
	stateIdle streamState = iota
	stateOpen
	stateHalfClosedRemote // the request is complete
	stateHalfClosedLocal  // the response is complete
	stateClosed
	numStates
)

// An input is something that happens to a stream.
type input uint8

const (
	recvHeaders input = iota
	recvData
	recvEnd // END_STREAM, on HEADERS or DATA
	recvReset
	sendHeaders
	sendData
	sendEnd
	sendReset
	numInputs
)

// transitions maps a state and an input to the next state. A zero entry
// (stateIdle, to which nothing returns) marks an input the state forbids.
var transitions = [numStates][numInputs]streamState{
	stateIdle: {
		recvHeaders: stateOpen,
	},
	stateOpen: {
		recvHeaders: stateOpen, // trailers
		recvData:    stateOpen,
		recvEnd:     stateHalfClosedRemote,
		recvReset:   stateClosed,
		sendHeaders: stateOpen,
		sendData:    stateOpen,
		sendEnd:     stateHalfClosedLocal,
		sendReset:   stateClosed,
	},
	stateHalfClosedRemote: {
		recvReset:   stateClosed,
		sendHeaders: stateHalfClosedRemote,
		sendData:    stateHalfClosedRemote,
		sendEnd:     stateClosed,
		sendReset:   stateClosed,
	},
	stateHalfClosedLocal: {
		recvHeaders: stateHalfClosedLocal,
		recvData:    stateHalfClosedLocal,
		recvEnd:     stateClosed,
		recvReset:   stateClosed,
		sendReset:   stateClosed,
	},
}

// on moves s along in. It reports false, leaving s alone, if s forbids in.
func (s *streamState) on(in input) bool {
	next := transitions[*s][in]
	if next == stateIdle {
		return false
	}
	*s = next
	return true
}

// violation returns what an input that s forbids costs the peer: the
// connection while the stream is idle, else the stream (RFC 9113, Section 5.1).
func (s streamState) violation(id frames.StreamID) error {
	if s == stateIdle {
		return frames.ConnError{Code: frames.ErrCodeProtocol, Reason: "frame on an idle stream", Section: "5.1"}
	}
	return frames.StreamError{StreamID: id, Code: frames.ErrCodeStreamClosed, Reason: "frame on a closed stream", Section: "5.1"}
}
