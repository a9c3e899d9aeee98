package loop

import (
	"github.com/h2loop/h2loop/h2"
	"github.com/h2loop/h2loop/internal/h1"
)

// Stats are figures of a server. Counts are since it was made; the others are of
// the moment.
type Stats struct {
	// Loops run now: none before [Server.Run] has made them all.
	Loops int
	// SheddingLoops are those of them that are so far behind that they refuse requests; see
	// [Config.ShedDelay].
	SheddingLoops int
	// ShortOfMemory is set while memory in use is above [Config.MemoryCeiling], and MemoryInUse
	// is what that was when it was last looked at, in octets; 0 if there is no ceiling.
	ShortOfMemory bool
	MemoryInUse   int64
	// Draining is set once the server has begun to end.
	Draining bool

	// Connections are open now.
	Connections int
	// MaxConnections is how many of them there may be; see [Config.MaxConns].
	MaxConnections int
	// BlockedConnections are those of them whose socket takes no more now, while
	// there is more to be sent.
	BlockedConnections int
	// Handshakes are TLS handshakes in progress now, and HandshakesWaiting those
	// that wait for one of them to end; see [Config.MaxHandshakes].
	Handshakes, HandshakesWaiting int
	// OpenRequests are those that are being served now: streams of HTTP/2, and
	// requests of HTTP/1.1.
	OpenRequests int
	// BlockingJobs are handlers of [Server.HandleBlocking] that run or wait to.
	BlockingJobs int
	// HTTPHandlers are calls of handlers of [Server.HandleHTTP].
	HTTPHandlers int
	// HeldOutput is how many octets wait in memory for sockets to take them.
	HeldOutput int
	// UnreadBodies is about how many octets of request bodies wait in memory for
	// the application.
	UnreadBodies int

	// Accepted counts the connections that a loop has opened.
	Accepted uint64
	// Refused counts connections that were closed because of what they spoke:
	// cleartext on a TLS port, or no HTTP.
	Refused uint64
	// HandshakesDone counts TLS handshakes, HandshakesResumed those of them that
	// have resumed a session, and HandshakesFailed those that have failed. One that
	// the peer gives up without a word is in none of them.
	HandshakesDone, HandshakesResumed, HandshakesFailed uint64
	// Requests counts the requests that were given to a callback.
	Requests uint64
	// Received and Sent are octets, of TLS records where there is TLS. What is
	// sent may still wait for the socket.
	Received, Sent uint64
	// ResetsReceived and ResetsSent count RST_STREAM frames of HTTP/2.
	ResetsReceived, ResetsSent uint64
	// Panics counts panics: of callbacks, and of our own code.
	Panics uint64
	// SlowCallbacks counts those that took [Config.SlowCallback] or longer.
	SlowCallbacks uint64

	// Limits counts how often each limit was crossed, by its name: those of
	// [h2.Limit], and those of the server. docs/limits.md has them all.
	Limits map[string]uint64
}

// A limit is a bound of the server that a peer can run into, beside those of
// [h2.Limit].
type limit uint8

const (
	limitHandshakeTime  limit = iota // TLS handshake, preface or first SETTINGS took too long
	limitHandshakeBytes              // octets before the end of the handshake
	limitHandshakes                  // handshakes in progress: one waits
	limitHandshakeSlow               // and one whose peer was silent made room
	limitIdle                        // no octet and no stream for long
	limitUnreadOutput                // answers that the peer does not read
	limitSocket                      // a socket that takes too little
	limitLinger                      // what comes, or is not taken, behind the end
	limitAge                         // a connection's age
	limitRequests                    // requests of a connection
	limitBody                        // a body longer than is gathered
	limitBodies                      // all bodies gathered, of the process
	limitWorkers                     // requests that wait for a worker
	limitHandlers                    // calls of http.Handlers
	limitConns                       // connections of the process: one waits
	limitConnsOne                    // connections of an address
	limitAcceptRate                  // and how fast it opens them
	limitShed                        // a loop is behind
	limitMemory                      // memory in use
	limitRoom                        // an idle one has made room for others
	numLimits
)

var limitNames = [numLimits]string{
	limitHandshakeTime:  "handshake_time",
	limitHandshakeBytes: "handshake_bytes",
	limitHandshakes:     "handshakes",
	limitHandshakeSlow:  "handshake_slow",
	limitIdle:           "idle",
	limitUnreadOutput:   "unread_output",
	limitSocket:         "socket",
	limitLinger:         "linger",
	limitAge:            "connection_age",
	limitRequests:       "connection_requests",
	limitBody:           "body",
	limitBodies:         "bodies",
	limitWorkers:        "workers",
	limitHandlers:       "http_handlers",
	limitConns:          "connections",
	limitConnsOne:       "connections_per_addr",
	limitAcceptRate:     "accept_rate",
	limitRoom:           "made_room",
	limitShed:           "shed",
	limitMemory:         "memory",
}

// figures are what a loop counts. They belong to it; what others see is the
// copy of the last tick.
type figures struct {
	Accepted, Refused, Requests, SlowCallbacks          uint64
	Received, Sent                                      uint64
	handshakesDone, handshakesResumed, handshakesFailed uint64
	ended                                               uint64 // requests
	resetsReceived, resetsSent                          uint64

	held     int
	blocked  int
	shedding bool
	crossed  [numLimits]uint64
	h2       [h2.NumLimits]uint64
	h1       [h1.NumLimits]uint64
}

// cross counts that a peer has run into a limit.
func (l *eventLoop) cross(what limit) { l.figures.crossed[what]++ }

// publish lets others see the figures.
func (l *eventLoop) publish() {
	l.figures.held = l.held
	l.figures.h2, l.figures.h1 = l.shared.Crossed, l.shared1.Crossed
	l.figures.resetsReceived, l.figures.resetsSent = l.shared.ResetsReceived, l.shared.ResetsSent
	l.mu.Lock()
	l.published = l.figures
	l.mu.Unlock()
}

// Stats returns the figures of the server. They are up to 100 ms old. It may be
// called from any goroutine.
func (srv *Server) Stats() Stats {
	s := Stats{
		Draining:          srv.draining.Load(),
		Connections:       srv.openConns(),
		MaxConnections:    srv.admission.mostConns(),
		ShortOfMemory:     srv.memory.short.Load(),
		MemoryInUse:       srv.memory.used.Load(),
		HeldOutput:        int(srv.pushed.Load()),
		Handshakes:        int(srv.gate.nInside.Load()),
		HandshakesWaiting: int(srv.gate.nWaiting.Load()),
		HTTPHandlers:      int(srv.handlers.Load()),
		Panics:            uint64(srv.panics.Load()),
		UnreadBodies:      max(0, srv.config().HTTP2.MaxUnreadTotal-srv.bodies.Left()),
		Limits:            make(map[string]uint64, int(numLimits)+int(h2.NumLimits)),
	}
	var crossed [numLimits]uint64
	var h2Crossed [h2.NumLimits]uint64
	var h1Crossed [h1.NumLimits]uint64
	loops := srv.runningLoops()
	s.Loops = len(loops)
	if s.Loops > 0 && srv.workers != nil {
		s.BlockingJobs = srv.workers.Load()
	}
	for _, l := range loops {
		l.mu.Lock()
		f := l.published
		l.mu.Unlock()
		s.HeldOutput += f.held
		if f.shedding {
			s.SheddingLoops++
		}
		s.BlockedConnections += f.blocked
		s.OpenRequests += int(f.Requests - f.ended)
		s.Accepted += f.Accepted
		s.Refused += f.Refused
		s.HandshakesDone += f.handshakesDone
		s.HandshakesResumed += f.handshakesResumed
		s.HandshakesFailed += f.handshakesFailed
		s.Received += f.Received
		s.Sent += f.Sent
		s.ResetsReceived += f.resetsReceived
		s.ResetsSent += f.resetsSent
		s.Requests += f.Requests
		s.SlowCallbacks += f.SlowCallbacks
		for i, n := range f.crossed {
			crossed[i] += n
		}
		for i, n := range f.h2 {
			h2Crossed[i] += n
		}
		for i, n := range f.h1 {
			h1Crossed[i] += n
		}
	}
	for i, n := range crossed {
		s.Limits[limitNames[i]] = n + srv.admission.crossed[i].Load()
	}
	s.Limits["drain"] = srv.cutConns.Load() // connections cut off
	for i, n := range h2Crossed {
		s.Limits[h2.Limit(i).String()] = n
	}
	for i, n := range h1Crossed {
		s.Limits[h1.Limit(i).String()] += n // some have both
	}
	return s
}
