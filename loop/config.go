package loop

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"runtime"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/h2loop/h2loop/h2"
)

// A Listener says where a server accepts connections, and whether over TLS.
type Listener struct {
	// Network is "tcp", "tcp4", "tcp6" or "unix". Default "tcp".
	Network string

	// Address is as net.Listen takes it: "127.0.0.1:8443", ":0", a path.
	Address string

	// Mode is that of the file of a unix socket: who may connect. Default: what the
	// umask leaves. It is not for a Listener that is given.
	Mode fs.FileMode

	// TLS makes this a TLS listener. The config is cloned; NextProtos
	// defaults to h2, http/1.1 and http/1.0, and HTTP/1.1 is spoken only if
	// it has that. Nil means cleartext: HTTP/1.1, and HTTP/2 by
	// prior knowledge.
	TLS *tls.Config

	// RedirectHTTPS is the port on which the same is served over TLS: requests in
	// cleartext are answered with a redirect there, over HTTP/1.1 and HTTP/2, before
	// there are routes and middleware for them; Hooks.RequestDone sees them. 0 for none.
	RedirectHTTPS int

	// Handshakes says where TLS handshakes run. Default: HandshakesAuto.
	Handshakes Handshakes

	// Listener is used in place of Network and Address if it is not nil: a
	// *net.TCPListener or *net.UnixListener, as a supervisor may hand on. The
	// server closes it, and keeps its socket non-blocking: whoever shares that with
	// another program, by way of File, must not count on Accept to wait there.
	Listener net.Listener
}

// A Config says how a server is to be. The zero value of each field means the
// default that its comment names.
type Config struct {
	// Listeners are the addresses to serve. At least one is needed.
	Listeners []Listener

	// Loops is the number of event loops. Default: GOMAXPROCS, which knows
	// the quota of a container.
	Loops int

	// Logger takes the server's log. Default: warnings and above to standard
	// error. Log lines of gnet go the same way; gnet keeps one logger for the
	// whole process, so that of the last server made wins.
	Logger *zerolog.Logger

	// HTTP2 holds the limits and timeouts of the protocol. The budget for unread
	// bodies, MaxUnreadTotal, is that of all loops together.
	HTTP2 h2.Config

	// HTTP1 holds the limits of HTTP/1.1.
	HTTP1 HTTP1Config

	// HandshakeTimeout bounds the time from accept until the TLS handshake is
	// over and the HTTP/2 preface and first SETTINGS have come. Default 10 s.
	HandshakeTimeout time.Duration

	// IdleTimeout closes a connection on which no octet has come, and no stream
	// was open, for so long. Default 120 s.
	IdleTimeout time.Duration

	// DrainTimeout bounds how long Run waits for streams once its context has
	// ended. Default 30 s.
	DrainTimeout time.Duration

	// DrainGrace is how long a connection on which no request has come yet has
	// for its first, and last, once the drain has begun. Its time does not go on
	// while the server is behind with what it has sent. Default 1 s; negative for
	// none.
	DrainGrace time.Duration

	// MaxConnAge ends a connection in order once it is so old, less up to a
	// tenth of it that is chosen at random; requests that are open are
	// answered. Default: never.
	MaxConnAge time.Duration

	// MaxConnRequests ends a connection in order once so many requests have
	// come on it. Default: never.
	MaxConnRequests int

	// UserTimeout is TCP_USER_TIMEOUT: the kernel ends a connection whose peer
	// has not acknowledged anything for so long. A peer that keeps its window
	// shut counts as such to the kernel, so this must be longer than a download
	// may pause, [h2.Config.StallTimeout]. Default 75 s, or 15 s more than that
	// if it was set to more; negative leaves the kernel's default.
	UserTimeout time.Duration

	// MaxUnreadAnswers bounds the octets of acknowledgements, resets and header
	// sections that pile up for a peer which does not read. Beyond:
	// GOAWAY(ENHANCE_YOUR_CALM). Default 256 KiB.
	MaxUnreadAnswers int

	// MaxBufferedBody bounds what [Exchange.ReadBody] gathers if its caller
	// names no limit, in octets. Default 1 MiB.
	MaxBufferedBody int

	// MaxConns is how many connections the process may have. More stay in the backlog
	// until there is room: connections that have said nothing for a second, or been
	// idle for that, then make some, those that have been so for longest first. Default:
	// as many as the descriptors of the process (RLIMIT_NOFILE when the server is made)
	// less a fifth, or 8192, for files.
	MaxConns int

	// MaxConnsPerAddr is how many of them may be of one IPv4 address or one /64 network of
	// IPv6, and AcceptRate how fast one may open them: PerSecond, and Burst at once. More
	// are closed with a reset. Unix sockets have no such bounds. Default: none, for behind
	// one address there may be a proxy, or a thousand people. Burst is PerSecond if it is
	// left out.
	MaxConnsPerAddr int
	AcceptRate      h2.Budget

	// MaxHandshakeBytes bounds what a peer may send before its TLS handshake
	// is over. Default 64 KiB.
	MaxHandshakeBytes int

	// MaxHandshakes is how many TLS handshakes may be in progress in the
	// process, and MaxHandshakesPerAddr of one IPv4 address or one /64 network
	// of IPv6. At first there may be 64 for each loop; there may be more as
	// handshakes complete. What comes beyond waits; handshakes whose peers are silent
	// for 2 s, or, where many have been, for three round trips, make room. Default 1024
	// and 64.
	MaxHandshakes, MaxHandshakesPerAddr int

	// HandshakeWorkers is how many handshakes run at once, for each listener
	// whose handshakes run off the loops. Default: 64 if the tls.Config has
	// callbacks, else half of GOMAXPROCS.
	HandshakeWorkers int

	// MaxHeldOutput is how many octets of output the process may hold in
	// memory for sockets that do not take them, about: as it is used up,
	// connections send in smaller pieces. Default 64 MiB.
	MaxHeldOutput int

	// MaxStreamBuffer is how many octets of a response body that is written piece
	// by piece, with a [Stream] or a [Writer], may wait to be sent. Default 256
	// KiB; less as MaxHeldOutput is used up.
	MaxStreamBuffer int

	// SendLowWater bounds TCP_NOTSENT_LOWAT, in octets: how much the kernel
	// may hold unsent before a socket counts as full. More is cheaper for
	// bulk; less lets an urgent answer pass sooner. Up to the bound it is
	// adapted to what the path takes. Default 1 MiB; negative leaves the
	// kernel's own default.
	SendLowWater int

	// BlockingWorkers is how many handlers of [Server.HandleBlocking] run at once,
	// and BlockingQueue how many requests may wait for one to return; more are
	// answered with 503. Default 256 and 1024.
	BlockingWorkers, BlockingQueue int

	// BlockingWait is how long a request may wait for such a handler to return: whose turn
	// comes later is answered with 503 instead, for whoever has asked may have given up, and
	// handlers that work for them have the others wait. Default 10 s; negative for as long
	// as it takes.
	BlockingWait time.Duration

	// HTTPHandlers is how many handlers of [Server.HandleHTTP] may be at work, each
	// on a goroutine; requests for more are answered with 503. Default 10000.
	HTTPHandlers int

	// ShedDelay is how late a loop may be: if what has arrived waits for longer, time after
	// time for a second, a part of the requests is answered with 503, before routes,
	// middleware and OnError, as many as it takes for the others to be served in time.
	// Default 2 s; negative for never.
	ShedDelay time.Duration

	// MemoryCeiling is how much memory Go may use, in octets: live objects as of the last
	// collection, stacks, and what the runtime needs. Above it new requests are refused,
	// with REFUSED_STREAM over HTTP/2 and 503 over HTTP/1.1, new connections wait, and
	// idle ones end, until a twentieth less is in use. Default: nine tenths of GOMEMLIMIT, as
	// of [debug.SetMemoryLimit], if there is such a limit; negative for never.
	MemoryCeiling int64

	// SlowCallback is how long a callback may hold its loop up before it is
	// logged and counted. Default 5 ms; negative for never.
	SlowCallback time.Duration

	// Hooks are called when something of note happens.
	Hooks Hooks

	// DebugExchanges makes the methods of an [Exchange] panic, with its pattern, if
	// they are used after it is over and its callbacks have returned: such a use
	// is a mistake, and without this it may meet the next request. Exchanges are
	// then not used again, which costs some speed. It is for tests.
	DebugExchanges bool

	// IsolateCallbacks makes each callback run on a goroutine of its own, for
	// which the loop waits. A callback that calls runtime.Goexit, as t.FailNow
	// does, then costs its stream an INTERNAL_ERROR, and not the server. It
	// is for tests: it is slow.
	IsolateCallbacks bool
}

const (
	defaultHandshakeTimeout = 10 * time.Second
	defaultIdleTimeout      = 120 * time.Second
	defaultDrainTimeout     = 30 * time.Second
	defaultDrainGrace       = time.Second
	defaultMaxBufferedBody  = 1 << 20
	defaultMaxHeldOutput    = 64 << 20
	defaultStreamBuffer     = 256 << 10
	defaultSendLowWater     = 1 << 20
	defaultBlockingQueue    = 1024
	defaultBlockingWorkers  = 256
	defaultBlockingWait     = 10 * time.Second
	defaultHTTPHandlers     = 10_000
	defaultShedDelay        = 2 * time.Second
	defaultSlowCallback     = 5 * time.Millisecond
	defaultUserTimeout      = 75 * time.Second
	defaultUnreadAnswers    = 256 << 10
	defaultHandshakes       = 1024
	defaultHandshakesOne    = 64
	defaultHandshakeBytes   = 64 << 10
)

// WithDefaults returns a copy of cfg in which every field is set that has a default, or the
// error with which [New] and [Server.Reconfigure] refuse it. It opens no listener.
func (cfg Config) WithDefaults() (Config, error) {
	cfg.Listeners = slices.Clone(cfg.Listeners)
	if len(cfg.Listeners) == 0 {
		return cfg, errors.New("loop: Config.Listeners is empty: name at least one address to serve")
	}
	for i, ln := range cfg.Listeners {
		if ln.RedirectHTTPS < 0 || ln.RedirectHTTPS > 65535 {
			return cfg, fmt.Errorf("loop: Config.Listeners[%d].RedirectHTTPS is %d: it must be a port", i, ln.RedirectHTTPS)
		}
		switch ln.Network {
		case "":
			cfg.Listeners[i].Network = "tcp"
		case "tcp", "tcp4", "tcp6", "unix":
		default:
			return cfg, fmt.Errorf("loop: Config.Listeners[%d].Network is %q: it must be tcp, tcp4, tcp6 or unix", i, ln.Network)
		}
		if ln.Mode != 0 && (ln.Network != "unix" || ln.Mode&^fs.ModePerm != 0) {
			return cfg, fmt.Errorf("loop: Config.Listeners[%d].Mode is %v: it must be permissions, and of a unix socket", i, ln.Mode)
		}
	}
	if cfg.Loops < 0 {
		return cfg, fmt.Errorf("loop: Config.Loops is %d: it must not be negative", cfg.Loops)
	}
	if cfg.Loops == 0 {
		cfg.Loops = runtime.GOMAXPROCS(0)
	}
	cfg.HTTP2 = cfg.HTTP2.WithDefaults()
	cfg.HTTP1 = withHTTP2(cfg.HTTP1, &cfg)
	if cfg.UserTimeout == 0 {
		cfg.UserTimeout = max(defaultUserTimeout, cfg.HTTP2.StallTimeout+15*time.Second)
	}
	for _, t := range []struct {
		name     string
		field    *time.Duration
		fallback time.Duration
	}{
		{"HandshakeTimeout", &cfg.HandshakeTimeout, defaultHandshakeTimeout},
		{"IdleTimeout", &cfg.IdleTimeout, defaultIdleTimeout},
		{"DrainTimeout", &cfg.DrainTimeout, defaultDrainTimeout},
		{"MaxConnAge", &cfg.MaxConnAge, 0},
	} {
		if *t.field < 0 {
			return cfg, fmt.Errorf("loop: Config.%s is %v: it must not be negative", t.name, *t.field)
		}
		if *t.field == 0 {
			*t.field = t.fallback
		}
	}
	for _, n := range []struct {
		name     string
		field    *int
		fallback int
	}{
		{"MaxBufferedBody", &cfg.MaxBufferedBody, defaultMaxBufferedBody},
		{"BlockingWorkers", &cfg.BlockingWorkers, defaultBlockingWorkers},
		{"BlockingQueue", &cfg.BlockingQueue, defaultBlockingQueue},
		{"HTTPHandlers", &cfg.HTTPHandlers, defaultHTTPHandlers},
		{"MaxStreamBuffer", &cfg.MaxStreamBuffer, defaultStreamBuffer},
		{"MaxHandshakeBytes", &cfg.MaxHandshakeBytes, defaultHandshakeBytes},
		{"MaxHandshakes", &cfg.MaxHandshakes, defaultHandshakes},
		{"MaxHandshakesPerAddr", &cfg.MaxHandshakesPerAddr, defaultHandshakesOne},
		{"HandshakeWorkers", &cfg.HandshakeWorkers, 0}, // as the listener needs
		{"MaxConnRequests", &cfg.MaxConnRequests, 0},
		{"MaxConns", &cfg.MaxConns, 0}, // as many as there are descriptors for
		{"MaxConnsPerAddr", &cfg.MaxConnsPerAddr, 0},
		{"MaxUnreadAnswers", &cfg.MaxUnreadAnswers, defaultUnreadAnswers},
	} {
		if *n.field < 0 {
			return cfg, fmt.Errorf("loop: Config.%s is %d: it must not be negative", n.name, *n.field)
		}
		if *n.field == 0 {
			*n.field = n.fallback
		}
	}
	if r := &cfg.AcceptRate; r.PerSecond < 0 || r.Burst < 0 || r.PerSecond == 0 && r.Burst > 0 {
		return cfg, fmt.Errorf("loop: Config.AcceptRate is %d at once, and %d per second: neither may be negative, and PerSecond must be set for Burst to hold", r.Burst, r.PerSecond)
	} else if r.Burst == 0 {
		r.Burst = r.PerSecond
	}
	if cfg.MaxHeldOutput <= 0 {
		cfg.MaxHeldOutput = defaultMaxHeldOutput
	}
	if cfg.DrainGrace == 0 {
		cfg.DrainGrace = defaultDrainGrace
	}
	if cfg.ShedDelay == 0 {
		cfg.ShedDelay = defaultShedDelay
	}
	if cfg.BlockingWait == 0 {
		cfg.BlockingWait = defaultBlockingWait
	}
	if cfg.SlowCallback == 0 {
		cfg.SlowCallback = defaultSlowCallback
	}
	if cfg.SendLowWater == 0 {
		cfg.SendLowWater = defaultSendLowWater
	}
	return cfg, nil
}
