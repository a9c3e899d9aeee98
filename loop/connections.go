package loop

import (
	"cmp"
	"crypto/tls"
	"net/netip"
	"slices"
	"time"

	"github.com/h2loop/h2loop/h2"
)

// A ConnQuery says which connections [Server.Connections] tells of.
type ConnQuery struct {
	ID     uint64       // that one alone; 0 for any
	Remote netip.Prefix // those of clients in there; the zero value for any
	Below  uint64       // those with a lower ID: for the next page; 0 for any
	Limit  int          // at most so many, the newest; default 1000

	// Wait is how long a loop has to answer. Default 1 s.
	Wait time.Duration
}

// A ConnState is what there is to see of a connection.
type ConnState struct {
	ID            uint64         // grows with each connection
	Loop          int            // that it is on
	Remote, Local netip.AddrPort // zero on a unix socket
	Protocol      string         // "HTTP/2.0", "HTTP/1.1", or "" while that is open
	TLS           *TLSState      // nil in cleartext, and before the handshake is over

	// State is "handshake" (TLS, or the first octets), "open", "draining" (no further
	// request is taken) or "closing"; and Blocked what holds output up that there is:
	// "socket", "connection window" or "".
	State, Blocked string

	Age, Idle      time.Duration // since it was opened; since octets last came
	Received, Sent int64         // octets, of TLS records where there is TLS
	Requests       int           // so far

	// Octets that wait to be sent: bodies that the application has given, what gnet
	// holds because the socket was full, and what the kernel has not sent. Of the
	// latter and what was sent, Unacked has not been acknowledged.
	Queued, Held, Unsent, Unacked int

	TCP     *TCPState     // nil on a unix socket
	HTTP2   *h2.ConnState // nil unless it speaks HTTP/2
	Streams []StreamState // by ID; of HTTP/1.1 one at most
}

// A TLSState is what there is to say of TLS.
type TLSState struct {
	Version, Cipher string
	ALPN            string
	ServerName      string // as the client said
	Resumed         bool
}

// A TCPState is what the kernel says of a TCP connection (TCP_INFO).
type TCPState struct {
	RTT, RTTVar time.Duration
	CWND        int // congestion window, in segments of MSS octets
	MSS         int
	Retransmits int // segments, so far
	PeerWindow  int // octets that the peer takes now; 0 if an old kernel does not tell
}

// A StreamState is what there is to see of a request.
type StreamState struct {
	ID      uint32 // 1 for all of HTTP/1.1
	Method  string
	Host    string
	Path    string // with the query, at most 1 KiB of it
	Pattern string
	Age     time.Duration // to a tenth of a second

	h2.StreamState
}

const (
	defaultConnLimit = 1000
	maxShownPath     = 1 << 10

	// maxShownStreams bounds the streams of one connection that are told of.
	maxShownStreams = 1000

	// connsAtOnce is how many connections are looked at in one task: each costs some
	// system calls, and the loop has others to serve.
	connsAtOnce = 64
)

// Connections returns what there is to see of the connections that are open, the newest
// first, and the numbers of the loops that have not answered in time: they are stuck, and
// theirs are left out. It may be called from any goroutine but a loop's.
func (srv *Server) Connections(q ConnQuery) (conns []ConnState, stuck []int) {
	if q.Limit <= 0 {
		q.Limit = defaultConnLimit
	}
	if q.Wait <= 0 {
		q.Wait = time.Second
	}
	// Each loop is asked for a page, and of all of them the newest are taken. A loop
	// tells of some at a time.
	deadline := time.Now().Add(q.Wait)
	below := make(map[int]uint64) // where each loop goes on
	for i := range srv.runningLoops() {
		below[i] = q.Below
	}
	counts := make(map[int]int)
	for len(below) > 0 {
		type part struct {
			loop  int
			conns []ConnState
		}
		parts := make(chan part, len(below))
		asked := make(map[int]bool, len(below))
		for i, from := range below {
			l := srv.runningLoops()[i]
			want := q
			want.Below, want.Limit = from, min(connsAtOnce, q.Limit-counts[i])
			if l.post(func() { parts <- part{i, l.inspect(want)} }) == nil {
				asked[i] = true
			} else {
				delete(below, i) // it has ended
			}
		}
		timer := time.NewTimer(time.Until(deadline))
		for len(asked) > 0 {
			select {
			case p := <-parts:
				delete(asked, p.loop)
				conns = append(conns, p.conns...)
				counts[p.loop] += len(p.conns)
				if n := len(p.conns); n < connsAtOnce || counts[p.loop] >= q.Limit {
					delete(below, p.loop)
				} else {
					below[p.loop] = p.conns[n-1].ID
				}
			case <-timer.C:
				for i := range asked {
					stuck = append(stuck, i)
					delete(below, i)
				}
				clear(asked)
			}
		}
		timer.Stop()
	}
	slices.SortFunc(conns, func(a, b ConnState) int { return cmp.Compare(b.ID, a.ID) })
	slices.Sort(stuck)
	return conns[:min(len(conns), q.Limit)], stuck
}

// inspect returns the connections of the loop that q is about. They are in a list by
// age, and so by ID.
func (l *eventLoop) inspect(q ConnQuery) (conns []ConnState) {
	for c := l.conns.head; c != nil && len(conns) < q.Limit; c = c.next {
		if (q.Below == 0 || c.id < q.Below) && (q.ID == 0 || c.id == q.ID) && matchesAddr(q.Remote, c.remote) {
			l.guarded(c, func(c *conn) { conns = append(conns, c.inspect()) })
		}
	}
	return conns
}

// matchesAddr reports whether addr is in p, or p is of none.
func matchesAddr(p netip.Prefix, addr netip.AddrPort) bool {
	return !p.IsValid() || p.Contains(addr.Addr().WithZone(""))
}

// inspect returns what there is to see of c.
func (c *conn) inspect() ConnState {
	l := c.loop
	now := time.Since(l.srv.started)
	s := ConnState{
		ID: c.id, Loop: l.index, Remote: c.remote, Local: c.local,
		State: "open", Age: max(now-c.since, 0), Idle: max(now-c.active, 0),
		Received: c.received, Sent: c.written, Requests: c.requests,
		Held: c.wire.buffered(),
	}
	s.Unsent, s.Unacked = c.wire.outstanding()
	if c.ln.isTCP {
		s.TCP = c.wire.tcpState()
	}
	if c.bridge != nil && c.bridge.HandshakeComplete() {
		s.TLS = tlsState(c.bridge.ConnectionState())
	}
	switch {
	case c.stage == stageServing && c.h1 != nil:
		c.inspectHTTP1(&s, now)
	case c.stage == stageServing:
		c.inspectHTTP2(&s, now)
	case c.stage != stageLinger:
		s.State = "handshake"
	}
	if c.finishing || c.stage == stageLinger {
		s.State = "closing"
	}
	if c.isBlocked {
		s.Blocked = "socket"
	}
	return s
}

func tlsState(cs *tls.ConnectionState) *TLSState {
	return &TLSState{
		Version: tls.VersionName(cs.Version), Cipher: tls.CipherSuiteName(cs.CipherSuite),
		ALPN: cs.NegotiatedProtocol, ServerName: cs.ServerName, Resumed: cs.DidResume,
	}
}

func (c *conn) inspectHTTP2(s *ConnState, now time.Duration) {
	st := c.h2.Inspect()
	s.Protocol, s.HTTP2, s.State = "HTTP/2.0", &st, st.Life
	c.h2.Streams(func(hs *h2.Stream, st h2.StreamState) {
		s.Queued += st.Queued
		if st.WaitsFor == h2.WaitConn {
			s.Blocked = string(h2.WaitConn)
		}
		if len(s.Streams) < maxShownStreams {
			x, _ := hs.App.(*Exchange)
			s.Streams = append(s.Streams, streamState(uint32(hs.ID()), x, st, now))
		}
	})
	slices.SortFunc(s.Streams, func(a, b StreamState) int { return cmp.Compare(a.ID, b.ID) })
}

func (c *conn) inspectHTTP1(s *ConnState, now time.Duration) {
	s.Protocol, s.State = "HTTP/1.1", c.h1.Inspect().Life
	hs, st := c.h1.Current()
	if hs == nil {
		return
	}
	x, _ := hs.App.(*Exchange)
	s.Queued = st.Queued
	s.Streams = append(s.Streams, streamState(1, x, h2.StreamState{
		State: st.State, Queued: st.Queued, Received: st.Received, Sent: st.Sent,
		Answered: st.Answered, WaitsFor: h2.Wait(st.WaitsFor),
	}, now))
}

// streamState adds to st what x tells, which is nil for a stream that the engine answers.
func streamState(id uint32, x *Exchange, st h2.StreamState, now time.Duration) StreamState {
	s := StreamState{ID: id, StreamState: st}
	if x == nil || x.request == nil {
		return s
	}
	s.Method, s.Host, s.Pattern, s.Age = x.request.Method, x.request.Authority, x.Pattern(), max(now-x.began, 0)
	s.Path = x.request.Path[:min(len(x.request.Path), maxShownPath)]
	return s
}
