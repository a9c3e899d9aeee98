package h1

import (
	"math"
	"time"
)

// A Config holds what all connections of a server have in common. Zero fields
// mean the default named beside them. It must not change once it is in use.
type Config struct {
	// MaxRequestLine bounds a request line, in octets: 414. Default 16 KiB.
	MaxRequestLine int

	// MaxHeaderBytes bounds the field lines of a header section, and those of a
	// trailer section, in octets as they come: 431. Default 64 KiB.
	MaxHeaderBytes int

	// MaxHeaderFields bounds the number of those lines: 431. Default 1000.
	MaxHeaderFields int

	// BodyWindow is how many octets of a request body the application may have
	// and not have consumed; what comes beyond is held. Default 256 KiB.
	BodyWindow int

	// MaxHeld is how many octets a connection may hold, while reading should
	// pause, of later requests or of a body that is not consumed. Beyond, it
	// ends. Default 256 KiB.
	MaxHeld int

	// MaxSkipped is how much of a request body is thrown away, once the request
	// was answered, for the next request to follow. Beyond, the connection ends.
	// Default 256 KiB.
	MaxSkipped int

	// MaxUnreadTotal is how many octets all connections of a [Shared] may hold,
	// of bodies that are not consumed and of what waits. Beyond, bodies come only
	// as they are consumed, and new requests with a body are answered with 503.
	// It does not count where [Shared.Bodies] keeps the account. Default 256 MiB.
	MaxUnreadTotal int

	// HeaderTimeout bounds the time from the first octet of a request to the end
	// of its header section: 408. Default 10 s. This and the other timeouts are
	// off if they are negative.
	HeaderTimeout time.Duration

	// A request body must come with MinBodyRate octets a second at least, on
	// average over each BodyInWindow, from BodyInGrace on. Only the time counts
	// in which the peer may send. Beyond: 408, or the end of the connection if
	// the request was answered. Defaults 240, 10 s, 5 s.
	MinBodyRate  int64
	BodyInWindow time.Duration
	BodyInGrace  time.Duration
}

const (
	defaultMaxRequestLine  = 16 << 10
	defaultMaxHeaderBytes  = 64 << 10
	defaultMaxHeaderFields = 1000
	defaultBodyWindow      = 256 << 10
	defaultMaxHeld         = 256 << 10
	defaultMaxSkipped      = 256 << 10
	defaultMaxUnreadTotal  = 256 << 20
	defaultHeaderTimeout   = 10 * time.Second
	defaultMinBodyRate     = 240
	defaultBodyInWindow    = 10 * time.Second
	defaultBodyInGrace     = 5 * time.Second
)

// WithDefaults returns a copy of cfg in which every field is set.
func (cfg Config) WithDefaults() Config {
	setDefault(&cfg.MaxRequestLine, defaultMaxRequestLine)
	setDefault(&cfg.MaxHeaderBytes, defaultMaxHeaderBytes)
	cfg.MaxHeaderBytes = min(cfg.MaxHeaderBytes, math.MaxInt32) // see fieldLine
	setDefault(&cfg.MaxHeaderFields, defaultMaxHeaderFields)
	setDefault(&cfg.BodyWindow, defaultBodyWindow)
	setDefault(&cfg.MaxHeld, defaultMaxHeld)
	setDefault(&cfg.MaxSkipped, defaultMaxSkipped)
	setDefault(&cfg.MaxUnreadTotal, defaultMaxUnreadTotal)
	setDefault(&cfg.MinBodyRate, defaultMinBodyRate)
	setTimeout(&cfg.HeaderTimeout, defaultHeaderTimeout)
	setTimeout(&cfg.BodyInWindow, defaultBodyInWindow)
	setTimeout(&cfg.BodyInGrace, defaultBodyInGrace)
	return cfg
}

// setTimeout leaves one alone that is negative: it is off.
func setTimeout(field *time.Duration, value time.Duration) {
	if *field == 0 {
		*field = value
	}
}

func setDefault[T int | int64](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}
