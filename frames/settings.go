package frames

import "encoding/binary"

// settingLen is the length of one setting on the wire.
const settingLen = 6

// A SettingID names a setting (RFC 9113, Section 6.5.2).
type SettingID uint16

// The settings of RFC 9113, Section 6.5.2, of RFC 8441, Section 3, and of RFC
// 9218, Section 2.1.
const (
	SettingHeaderTableSize       SettingID = 0x01
	SettingEnablePush            SettingID = 0x02
	SettingMaxConcurrentStreams  SettingID = 0x03
	SettingInitialWindowSize     SettingID = 0x04
	SettingMaxFrameSize          SettingID = 0x05
	SettingMaxHeaderListSize     SettingID = 0x06
	SettingEnableConnectProtocol SettingID = 0x08
	SettingNoRFC7540Priorities   SettingID = 0x09
)

var settingNames = [...]string{
	SettingHeaderTableSize:       "HEADER_TABLE_SIZE",
	SettingEnablePush:            "ENABLE_PUSH",
	SettingMaxConcurrentStreams:  "MAX_CONCURRENT_STREAMS",
	SettingInitialWindowSize:     "INITIAL_WINDOW_SIZE",
	SettingMaxFrameSize:          "MAX_FRAME_SIZE",
	SettingMaxHeaderListSize:     "MAX_HEADER_LIST_SIZE",
	SettingEnableConnectProtocol: "ENABLE_CONNECT_PROTOCOL",
	SettingNoRFC7540Priorities:   "NO_RFC7540_PRIORITIES",
}

// String returns the RFC's name of id without "SETTINGS_", or hexadecimal digits,
// "0x2a", for a setting without one.
func (id SettingID) String() string { return nameOf(settingNames[:], uint32(id)) }

// A Setting is one parameter of a SETTINGS frame.
type Setting struct {
	ID    SettingID
	Value uint32
}

// Validate returns a [ConnError] if no peer may send s. A setting without a name
// here is valid.
//
// "An endpoint that receives a SETTINGS frame with any unknown or unsupported
// identifier MUST ignore that setting." RFC 9113, Section 6.5.2.
func (s Setting) Validate() error {
	switch s.ID {
	case SettingEnablePush:
		// "Any value other than 0 or 1 MUST be treated as a connection error
		// (Section 5.4.1) of type PROTOCOL_ERROR." RFC 9113, Section 6.5.2.
		if s.Value > 1 {
			return ConnError{ErrCodeProtocol, "SETTINGS_ENABLE_PUSH is neither 0 nor 1", "6.5.2"}
		}
	case SettingInitialWindowSize:
		// "Values above the maximum flow-control window size of 2^31-1 MUST be
		// treated as a connection error (Section 5.4.1) of type
		// FLOW_CONTROL_ERROR." RFC 9113, Section 6.5.2.
		if s.Value > 1<<31-1 {
			return ConnError{ErrCodeFlowControl, "SETTINGS_INITIAL_WINDOW_SIZE is above 2^31-1", "6.5.2"}
		}
	case SettingMaxFrameSize:
		// "The value advertised by an endpoint MUST be between this initial value
		// and the maximum allowed frame size (2^24-1 or 16,777,215 octets),
		// inclusive. Values outside this range MUST be treated as a connection
		// error (Section 5.4.1) of type PROTOCOL_ERROR."
		// RFC 9113, Section 6.5.2.
		if s.Value < DefaultMaxFrameSize || s.Value > MaxMaxFrameSize {
			return ConnError{ErrCodeProtocol, "SETTINGS_MAX_FRAME_SIZE is not in 2^14 to 2^24-1", "6.5.2"}
		}
	case SettingEnableConnectProtocol:
		// "The value of the parameter MUST be 0 or 1." RFC 8441, Section 3.
		if s.Value > 1 {
			return ConnError{ErrCodeProtocol, "SETTINGS_ENABLE_CONNECT_PROTOCOL is neither 0 nor 1", "RFC 8441, Section 3"}
		}
	case SettingNoRFC7540Priorities:
		// "Any value other than 0 or 1 MUST be treated as a connection error (see
		// Section 5.4.1 of [HTTP/2]) of type PROTOCOL_ERROR."
		// RFC 9218, Section 2.1.
		if s.Value > 1 {
			return ConnError{ErrCodeProtocol, "SETTINGS_NO_RFC7540_PRIORITIES is neither 0 nor 1", "RFC 9218, Section 2.1"}
		}
	default:
		// Any value of any other setting may be sent.
	}
	return nil
}

// A Settings is a SETTINGS frame (RFC 9113, Section 6.5): an acknowledgement, or
// a list of these.
//
//	+-------------------------------+
//	|        Identifier (16)        |
//	+-------------------------------+-------------------------------+
//	|                          Value (32)                           |
//	+---------------------------------------------------------------+
type Settings struct {
	Ack     bool
	payload []byte // whole settings
}

// Len returns the number of settings.
func (f Settings) Len() int { return len(f.payload) / settingLen }

// At returns setting i of Len. They are in the order in which they are to be
// processed (RFC 9113, Section 6.5.3).
func (f Settings) At(i int) Setting {
	b := f.payload[i*settingLen:][:settingLen]
	return Setting{
		ID:    SettingID(binary.BigEndian.Uint16(b)),
		Value: binary.BigEndian.Uint32(b[2:]),
	}
}

// ParseSettings decodes the payload of a SETTINGS frame; each [Setting] is the
// caller's to validate. It lends its result, which refers to payload: it is good
// until payload changes.
func ParseSettings(h Header, payload []byte) (Settings, error) {
	if h.StreamID != 0 {
		// "If an endpoint receives a SETTINGS frame whose Stream Identifier field
		// is anything other than 0x00, the endpoint MUST respond with a connection
		// error (Section 5.4.1) of type PROTOCOL_ERROR." RFC 9113, Section 6.5.
		return Settings{}, ConnError{ErrCodeProtocol, "SETTINGS on a stream", "6.5"}
	}
	f := Settings{Ack: h.Flags.Has(FlagAck), payload: payload}
	if f.Ack && len(payload) != 0 {
		// "Receipt of a SETTINGS frame with the ACK flag set and a length field
		// value other than 0 MUST be treated as a connection error (Section 5.4.1)
		// of type FRAME_SIZE_ERROR." RFC 9113, Section 6.5.
		return Settings{}, ConnError{ErrCodeFrameSize, "SETTINGS acknowledgement with a payload", "6.5"}
	}
	if len(payload)%settingLen != 0 {
		// "A SETTINGS frame with a length other than a multiple of 6 octets MUST
		// be treated as a connection error (Section 5.4.1) of type
		// FRAME_SIZE_ERROR." RFC 9113, Section 6.5.
		return Settings{}, ConnError{ErrCodeFrameSize, "SETTINGS payload is not a multiple of 6 octets", "6.5"}
	}
	return f, nil
}

// AppendSettings appends a SETTINGS frame with the settings given to dst.
func AppendSettings(dst []byte, settings ...Setting) []byte {
	dst = AppendHeader(dst, Header{Length: payloadLen(len(settings) * settingLen), Type: TypeSettings})
	for _, s := range settings {
		dst = binary.BigEndian.AppendUint16(dst, uint16(s.ID))
		dst = binary.BigEndian.AppendUint32(dst, s.Value)
	}
	return dst
}

// AppendSettingsAck appends the acknowledgement of a SETTINGS frame to dst.
func AppendSettingsAck(dst []byte) []byte {
	return AppendHeader(dst, Header{Type: TypeSettings, Flags: FlagAck})
}
