// Package config is the configuration of the program h2loop: what a file in TOML
// says, with environment variables over it and flags over both, and what is wrong
// with it. It reads the files that it names, to see whether they are of use, and
// does nothing else.
package config

import "github.com/h2loop/h2loop/cmd/h2loop/internal/accesslog"

// A Config is how the program is to be. The fields are those of the file;
// docs/configuration.md describes them all. A zero value means the default.
type Config struct {
	Loops        Loops      `toml:"loops"`
	DrainTimeout Duration   `toml:"drain_timeout"`
	Admin        string     `toml:"admin"` // where operators are told of the server; "" for nowhere
	User         string     `toml:"user"`  // who the process becomes once it listens; "" for nobody else
	Group        string     `toml:"group"` // and in which group; "" for the user's
	Log          Log        `toml:"log"`
	AccessLog    AccessLog  `toml:"access_log"`
	Listeners    []Listener `toml:"listeners"`
	TLS          TLS        `toml:"tls"`
	Limits       Limits     `toml:"limits"`
	Sites        []Site     `toml:"sites"`

	origins origins
}

// A Log says what is logged.
type Log struct {
	Level  Level  `toml:"level"`
	Format Format `toml:"format"`
}

// An AccessLog is where a line for each request goes, and how it looks.
type AccessLog struct {
	File   string           `toml:"file"` // "" for nowhere, "-" for standard output
	Format accesslog.Format `toml:"format"`
}

// A Listener is an address that is served.
type Listener struct {
	Address       Address  `toml:"address"`
	Mode          Mode     `toml:"mode"`
	TLS           bool     `toml:"tls"`
	RedirectHTTPS Redirect `toml:"redirect_https"`
}

// A TLS has what is common to the TLS of all sites, and, for those that say
// nothing else, of each.
type TLS struct {
	SiteTLS

	TicketKeys string   `toml:"ticket_keys"`
	Watch      Interval `toml:"watch"`
}

// A SiteTLS is how TLS is to be spoken with those who ask for a site.
type SiteTLS struct {
	MinVersion     Version    `toml:"min_version"`
	Curves         []Curve    `toml:"curves"`
	SessionTickets Switch     `toml:"session_tickets"`
	ClientAuth     ClientAuth `toml:"client_auth"`
	ClientCA       string     `toml:"client_ca"`
}

// A Site is what is served under some names.
type Site struct {
	Hosts        []Host        `toml:"hosts"`
	Default      bool          `toml:"default"`
	Certificates []Certificate `toml:"certificates"`
	TLS          SiteTLS       `toml:"tls"`

	Root        string            `toml:"root"`
	Index       string            `toml:"index"`
	List        bool              `toml:"list"`
	Compress    bool              `toml:"compress"`
	NotFound    string            `toml:"not_found"`
	MemoryCache CacheSize         `toml:"memory_cache"`
	Types       map[string]string `toml:"types"`
	Cache       []CacheRule       `toml:"cache"`
	Headers     map[string]string `toml:"headers"`
	Redirects   []RedirectRule    `toml:"redirects"`
	HSTS        HSTS              `toml:"hsts"`
}

// IsDefault reports whether s is for all names that no other site has.
func (s *Site) IsDefault() bool { return s.Default || len(s.Hosts) == 0 }

// A Certificate is a pair of files in PEM.
type Certificate struct {
	Cert string `toml:"cert"`
	Key  string `toml:"key"`
}

// A CacheRule says what Cache-Control files have whose names match.
type CacheRule struct {
	Match string `toml:"match"`
	Value string `toml:"value"`
}

// A RedirectRule sends a client elsewhere.
type RedirectRule struct {
	From   string `toml:"from"`
	To     string `toml:"to"`
	Status Status `toml:"status"`
}

// An HSTS is the field Strict-Transport-Security (RFC 6797, Section 6.1), which is
// sent if MaxAge is set.
type HSTS struct {
	MaxAge            Age  `toml:"max_age"`
	IncludeSubdomains bool `toml:"include_subdomains"`
	Preload           bool `toml:"preload"`
}

// Limits are limits and timeouts. A field is that of loop.Config with the same name.
type Limits struct {
	HandshakeTimeout     Duration  `toml:"handshake_timeout"`
	IdleTimeout          Duration  `toml:"idle_timeout"`
	DrainGrace           Timeout   `toml:"drain_grace"`
	UserTimeout          Timeout   `toml:"user_timeout"`
	SlowCallback         Timeout   `toml:"slow_callback"`
	ShedDelay            Timeout   `toml:"shed_delay"`
	MemoryCeiling        CacheSize `toml:"memory_ceiling"`
	MaxConnAge           Duration  `toml:"max_conn_age"`
	MaxConnRequests      Count     `toml:"max_conn_requests"`
	MaxUnreadAnswers     Size      `toml:"max_unread_answers"`
	MaxConns             Count     `toml:"max_conns"`
	MaxConnsPerAddr      Count     `toml:"max_conns_per_addr"`
	AcceptRate           Budget    `toml:"accept_rate"`
	MaxHandshakeBytes    Size      `toml:"max_handshake_bytes"`
	MaxHandshakes        Count     `toml:"max_handshakes"`
	MaxHandshakesPerAddr Count     `toml:"max_handshakes_per_addr"`
	HandshakeWorkers     Count     `toml:"handshake_workers"`
	MaxHeldOutput        Size      `toml:"max_held_output"`
	MaxStreamBuffer      Size      `toml:"max_stream_buffer"`
	SendLowWater         Size      `toml:"send_low_water"`

	HTTP2 HTTP2 `toml:"http2"`
	HTTP1 HTTP1 `toml:"http1"`
}

// HTTP2 has limits of HTTP/2. A field is that of h2.Config with the same name.
type HTTP2 struct {
	MaxConcurrentStreams Count    `toml:"max_concurrent_streams"`
	MaxHeaderListSize    Size     `toml:"max_header_list_size"`
	StreamWindow         Size     `toml:"stream_window"`
	MaxStreamWindow      Size     `toml:"max_stream_window"`
	ConnWindow           Size     `toml:"conn_window"`
	MaxUnread            Size     `toml:"max_unread"`
	MaxUnreadTotal       Size     `toml:"max_unread_total"`
	MaxContinuations     Count    `toml:"max_continuations"`
	MaxBlockFactor       Count    `toml:"max_block_factor"`
	EncoderTableSize     Size     `toml:"encoder_table_size"`
	ResetBudget          Budget   `toml:"reset_budget"`
	NoiseBudget          Budget   `toml:"noise_budget"`
	MaxAnswers           Count    `toml:"max_answers"`
	HeaderTimeout        Timeout  `toml:"header_timeout"`
	MinBodyRate          Size     `toml:"min_body_rate"`
	BodyInWindow         Timeout  `toml:"body_in_window"`
	BodyInGrace          Duration `toml:"body_in_grace"`
	StallTimeout         Timeout  `toml:"stall_timeout"`
	KeepAlive            Timeout  `toml:"keep_alive"`
	KeepAliveTimeout     Timeout  `toml:"keep_alive_timeout"`
}

// A Budget says how much of something a peer may cause.
type Budget struct {
	Burst     Count `toml:"burst"`
	PerSecond Count `toml:"per_second"`
}

// HTTP1 has limits of HTTP/1.1. A field is that of loop.HTTP1Config with the same
// name.
type HTTP1 struct {
	MaxRequestLine  Size     `toml:"max_request_line"`
	MaxHeaderBytes  Size     `toml:"max_header_bytes"`
	MaxHeaderFields Count    `toml:"max_header_fields"`
	BodyWindow      Size     `toml:"body_window"`
	MaxHeld         Size     `toml:"max_held"`
	MaxSkipped      Size     `toml:"max_skipped"`
	HeaderTimeout   Timeout  `toml:"header_timeout"`
	MinBodyRate     Size     `toml:"min_body_rate"`
	BodyInWindow    Timeout  `toml:"body_in_window"`
	BodyInGrace     Duration `toml:"body_in_grace"`
}
