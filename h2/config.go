package h2

import (
	"time"

	"github.com/h2loop/h2loop/frames"
)

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

	// MaxUnreadTotal is how many octets of request bodies all connections of a
	// [Shared], or of all that have one [Pool], may hold, unconsumed or charged
	// with [Shared.ChargeBody]. Beyond it
	// connection credit is held back until bodies are consumed, and requests with
	// a body are refused with REFUSED_STREAM. Default 256 MiB.
	MaxUnreadTotal int

	// MaxContinuations bounds the CONTINUATION frames of one header block (the
	// CVE-2024-27316 family): GOAWAY(ENHANCE_YOUR_CALM). Default 128.
	MaxContinuations int

	// MaxBlockFactor bounds an encoded header block, in MaxHeaderListSize. Up to
	// there an overlong list is decoded on, for the table's sake, and answered with
	// 431. Beyond: GOAWAY(ENHANCE_YOUR_CALM). Default 4.
	MaxBlockFactor int

	// EncoderTableSize bounds the HPACK table for what we send, in octets; the
	// peer may ask for a smaller one. Default 4096, which is the most.
	EncoderTableSize uint32

	// ResetBudget bounds the streams that the peer resets (rapid reset,
	// CVE-2023-44487) and makes us reset (CVE-2025-8671), NoiseBudget the frames
	// of no use: empty DATA, tiny DATA that nobody reads, PRIORITY and
	// WINDOW_UPDATE that change nothing, unknown ones (CVE-2019-9511 to 9518).
	// Each completed request gives one back. Beyond: GOAWAY(ENHANCE_YOUR_CALM).
	// Default 1000 at once and 10 a second.
	ResetBudget, NoiseBudget Budget

	// MaxAnswers bounds the PING and SETTINGS acknowledgements and the RST_STREAM
	// of one batch, which grows while the peer sends and does not read
	// (CVE-2019-9512, 9514, 9515): GOAWAY(ENHANCE_YOUR_CALM). They are 17 octets
	// at most. Default 10 000. What has left for the transport is the caller's to
	// bound.
	MaxAnswers int

	// HeaderTimeout bounds the time from the first octet of a header section, or
	// of any frame but DATA, to its last: GOAWAY(ENHANCE_YOUR_CALM). Default 10 s.
	// This and the other timeouts are off if they are negative.
	HeaderTimeout time.Duration

	// A request body must come with MinBodyRate octets a second at least, on
	// average over each BodyInWindow, from BodyInGrace on. Only the time counts
	// in which the peer may send. Beyond: 408 and RST_STREAM(NO_ERROR), or
	// RST_STREAM(CANCEL) if the request was answered. Defaults 240, 10 s, 5 s.
	MinBodyRate  int64
	BodyInWindow time.Duration
	BodyInGrace  time.Duration

	// StallTimeout bounds how long a response body may wait for a window while
	// none of it, or less than MinBodyRate on average, is taken:
	// RST_STREAM(CANCEL) if it is the stream's window, GOAWAY(ENHANCE_YOUR_CALM)
	// if it is the connection's. Default 60 s.
	StallTimeout time.Duration

	// KeepAlive is the time of silence, while streams are open, after which a
	// PING is sent, and KeepAliveTimeout the time for an answer:
	// GOAWAY(NO_ERROR). Default 60 s and 20 s.
	KeepAlive, KeepAliveTimeout time.Duration

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

	defaultMaxUnreadTotal   = 256 << 20
	defaultMaxContinuations = 128
	defaultMaxBlockFactor   = 4
	defaultBurst            = 1000
	defaultPerSecond        = 10
	defaultMaxAnswers       = 10_000
	defaultHeaderTimeout    = 10 * time.Second
	defaultMinBodyRate      = 240
	defaultBodyInWindow     = 10 * time.Second
	defaultBodyInGrace      = 5 * time.Second
	defaultStallTimeout     = 60 * time.Second
	defaultKeepAlive        = 60 * time.Second
	defaultKeepAliveTimeout = 20 * time.Second

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

// WithDefaults returns a copy of cfg in which every field is set.
func (cfg Config) WithDefaults() Config {
	setDefault(&cfg.MaxConcurrentStreams, defaultMaxConcurrentStreams)
	setDefault(&cfg.MaxHeaderListSize, defaultMaxHeaderListSize)
	setDefault(&cfg.StreamWindow, defaultStreamWindow)
	setDefault(&cfg.MaxStreamWindow, max(defaultMaxStreamWindow, cfg.StreamWindow))
	setDefault(&cfg.ConnWindow, defaultConnWindow)
	setDefault(&cfg.MaxUnread, defaultMaxUnread)
	setDefault(&cfg.MaxUnreadTotal, defaultMaxUnreadTotal)
	setDefault(&cfg.MaxContinuations, defaultMaxContinuations)
	setDefault(&cfg.MaxBlockFactor, defaultMaxBlockFactor)
	setDefault(&cfg.EncoderTableSize, headerTableSize)
	cfg.EncoderTableSize = min(cfg.EncoderTableSize, headerTableSize)
	for _, b := range []*Budget{&cfg.ResetBudget, &cfg.NoiseBudget} {
		setDefault(&b.Burst, defaultBurst)
		setDefault(&b.PerSecond, defaultPerSecond)
	}
	setDefault(&cfg.MaxAnswers, defaultMaxAnswers)
	setDefault(&cfg.MinBodyRate, defaultMinBodyRate)
	setTimeout(&cfg.HeaderTimeout, defaultHeaderTimeout)
	setTimeout(&cfg.BodyInWindow, defaultBodyInWindow)
	setTimeout(&cfg.BodyInGrace, defaultBodyInGrace)
	setTimeout(&cfg.StallTimeout, defaultStallTimeout)
	setTimeout(&cfg.KeepAlive, defaultKeepAlive)
	setTimeout(&cfg.KeepAliveTimeout, defaultKeepAliveTimeout)
	cfg.MaxStreamWindow = max(cfg.MaxStreamWindow, cfg.StreamWindow)
	return cfg
}

// setTimeout leaves one alone that is negative: it is off.
func setTimeout(field *time.Duration, value time.Duration) {
	if *field == 0 {
		*field = value
	}
}

func setDefault[T int | int32 | int64 | uint32](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}
