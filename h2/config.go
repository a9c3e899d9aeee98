package h2

import "github.com/h2loop/h2loop/frames"

// A Config holds what all connections of a server have in common. Zero fields
// mean the default named beside them. It must not change once it is in use.
type Config struct {
	// MaxConcurrentStreams is how many streams a peer may have open at once;
	// more are refused with REFUSED_STREAM. Default 250.
	MaxConcurrentStreams uint32

	// MaxHeaderListSize bounds a decoded header list in octets, counted as
	// RFC 9113, Section 6.5.2 does. A longer one is answered with 431.
	// Default 64 KiB.
	MaxHeaderListSize uint32

	// StreamWindow is the receive window a stream starts with, in octets.
	// Default 256 KiB.
	StreamWindow int32

	// MaxStreamWindow is what a stream's receive window grows to while the
	// application keeps up. Default 1 MiB.
	MaxStreamWindow int32

	// ConnWindow is the receive window of the connection, in octets: 65535
	// or more. Default 1 MiB.
	ConnWindow int32

	// MaxUnread is how many octets of request bodies a connection may hold
	// unconsumed before its own credit is held back. Default 4 MiB.
	MaxUnread int

	// EnableConnectProtocol announces extended CONNECT (RFC 8441).
	EnableConnectProtocol bool
}

const (
	defaultMaxConcurrentStreams = 250
	defaultMaxHeaderListSize    = 64 << 10
	defaultStreamWindow         = 256 << 10
	defaultMaxStreamWindow      = 1 << 20
	defaultConnWindow           = 1 << 20
	defaultMaxUnread            = 4 << 20

	// initialWindow is what both windows are before anything is said
	// (RFC 9113, Section 6.9.2).
	initialWindow = 65535

	// maxReadFrame is the largest frame payload we take. We leave
	// SETTINGS_MAX_FRAME_SIZE at its initial value: DATA is handed on as it
	// arrives, so larger frames would gain nothing.
	maxReadFrame = frames.DefaultMaxFrameSize

	// headerTableSize is the HPACK table both sides use: the decoder's as
	// announced by default, the encoder's at most.
	headerTableSize = 4096
)

// withDefaults returns a copy of cfg in which every field is set.
func (cfg Config) withDefaults() Config {
	setDefault(&cfg.MaxConcurrentStreams, defaultMaxConcurrentStreams)
	setDefault(&cfg.MaxHeaderListSize, defaultMaxHeaderListSize)
	setDefault(&cfg.StreamWindow, defaultStreamWindow)
	setDefault(&cfg.MaxStreamWindow, max(defaultMaxStreamWindow, cfg.StreamWindow))
	setDefault(&cfg.ConnWindow, defaultConnWindow)
	setDefault(&cfg.MaxUnread, defaultMaxUnread)
	cfg.MaxStreamWindow = max(cfg.MaxStreamWindow, cfg.StreamWindow)
	return cfg
}

func setDefault[T int | int32 | uint32](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}
