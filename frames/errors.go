package frames

import (
	"strconv"
	"strings"
)

// An ErrCode says why a stream or a connection ended (RFC 9113, Section 7).
type ErrCode uint32

// The codes of RFC 9113, Section 7.
const (
	ErrCodeNo                 ErrCode = 0x00
	ErrCodeProtocol           ErrCode = 0x01
	ErrCodeInternal           ErrCode = 0x02
	ErrCodeFlowControl        ErrCode = 0x03
	ErrCodeSettingsTimeout    ErrCode = 0x04
	ErrCodeStreamClosed       ErrCode = 0x05
	ErrCodeFrameSize          ErrCode = 0x06
	ErrCodeRefusedStream      ErrCode = 0x07
	ErrCodeCancel             ErrCode = 0x08
	ErrCodeCompression        ErrCode = 0x09
	ErrCodeConnect            ErrCode = 0x0a
	ErrCodeEnhanceYourCalm    ErrCode = 0x0b
	ErrCodeInadequateSecurity ErrCode = 0x0c
	ErrCodeHTTP11Required     ErrCode = 0x0d
)

var errCodeNames = [...]string{
	ErrCodeNo:                 "NO_ERROR",
	ErrCodeProtocol:           "PROTOCOL_ERROR",
	ErrCodeInternal:           "INTERNAL_ERROR",
	ErrCodeFlowControl:        "FLOW_CONTROL_ERROR",
	ErrCodeSettingsTimeout:    "SETTINGS_TIMEOUT",
	ErrCodeStreamClosed:       "STREAM_CLOSED",
	ErrCodeFrameSize:          "FRAME_SIZE_ERROR",
	ErrCodeRefusedStream:      "REFUSED_STREAM",
	ErrCodeCancel:             "CANCEL",
	ErrCodeCompression:        "COMPRESSION_ERROR",
	ErrCodeConnect:            "CONNECT_ERROR",
	ErrCodeEnhanceYourCalm:    "ENHANCE_YOUR_CALM",
	ErrCodeInadequateSecurity: "INADEQUATE_SECURITY",
	ErrCodeHTTP11Required:     "HTTP_1_1_REQUIRED",
}

// String returns the RFC's name of c, "PROTOCOL_ERROR", or hexadecimal digits,
// "0x2a", for a code without one.
func (c ErrCode) String() string { return nameOf(errCodeNames[:], uint32(c)) }

// A ConnError is a violation by the peer that costs the connection: GOAWAY, then
// close (RFC 9113, Section 5.4.1).
type ConnError struct {
	Code    ErrCode
	Reason  string // what the peer did, for people
	Section string // of RFC 9113, "6.9"; of another, "RFC 9218, Section 7.1"
}

// Error returns all that e says.
func (e ConnError) Error() string {
	return describeError("connection error ", e.Code, e.Reason, e.Section)
}

// A StreamError is a violation by the peer that costs one stream: RST_STREAM
// (RFC 9113, Section 5.4.2).
type StreamError struct {
	StreamID StreamID
	Code     ErrCode
	Reason   string // what the peer did, for people
	Section  string // of RFC 9113, "6.9"; of another, "RFC 9218, Section 7.1"
}

// Error returns all that e says.
func (e StreamError) Error() string {
	return describeError("stream "+strconv.FormatUint(uint64(e.StreamID), 10)+" error ", e.Code, e.Reason, e.Section)
}

func describeError(scope string, code ErrCode, reason, section string) string {
	s := scope + code.String()
	if reason != "" {
		s += ": " + reason
	}
	switch {
	case section == "":
		return s
	case strings.HasPrefix(section, "RFC "):
		return s + " (" + section + ")"
	default:
		return s + " (RFC 9113, Section " + section + ")"
	}
}
