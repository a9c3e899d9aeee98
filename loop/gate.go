package loop

import (
	"container/list"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/h2loop/h2loop/internal/origin"
)

// A handshakeGate bounds the TLS handshakes in progress, which cost 15 KiB and a
// stack each: of the process, and of one address, so that a peer which begins
// many and ends none leaves room for others. A connection comes to it with a whole
// ClientHello; until then it costs what has come of that. Those that come when there is no
// room wait; the handshake's timeout goes on meanwhile.
//
// How many may be in progress is found out: few at first, one more for each handshake that
// completes while they are needed, one less for each whose peer has stalled. So those who
// only begin handshakes hold little memory, and an honest rush has all places after a few
// round trips. An address that has completed some of late goes in beyond that.
//
// Who comes last goes first: its peer is the likeliest to be there still. An address that
// had its turn goes behind the others.
//
// It is shared by all loops.
type handshakeGate struct {
	srv *Server

	nInside  atomic.Int32 // inside.n, for those who do not hold mu
	nWaiting atomic.Int32
	stalls   atomic.Int32 // see manyStalls; changed under mu

	mu      sync.Mutex
	most    int        // in progress
	mostOne int        // in progress, of one address
	first   int        // window does not fall below it
	window  int        // in progress, for now
	inside  ticketList // in progress, the peer silent, or asked to make room, for longest first
	addrs   map[netip.Prefix]*gateAddr
	ready   list.List // of *gateAddr: a handshake of theirs could begin, if the process had room
	known   list.List // of *gateAddr: nothing goes on, but they have credit; the longest unused first

	askedUntil time.Duration // when the budget of askFor is whole again
}

// A gateAddr is what the gate knows of one address.
type gateAddr struct {
	addr    netip.Prefix
	inside  int           // handshakes in progress
	waiting ticketList    // in the order in which they came
	credit  int           // grows with what it completes, and shrinks with what it stalls
	place   *list.Element // on ready or known; nil if on neither

	askedAt time.Duration // when makeRoom has last asked some of its peers, and how many
	asked   int
}

// A ticket is a connection's way through the gate. It belongs to the gate.
type ticket struct {
	conn       *conn
	addr       *gateAddr
	isKnown    bool          // addr had credit when it came
	list       *ticketList   // inside, or waiting of addr; nil once it has left
	heard      time.Duration // when the peer was last heard, or asked to make room
	silent     time.Duration // since when it is silent
	prev, next *ticket
}

// How long a peer in a handshake may be silent before it has to make room, if others wait
// for some: for calm; and where many have been so for that long, as long as three round trips
// take, within the other bounds. A client that begins a thousand handshakes at once has its hands
// full, and may well be silent for longer than that.
const (
	leastSilence = 250 * time.Millisecond
	silence      = time.Second
	calm         = 2 * time.Second

	// manyStalls is how many that is. A handshake that completes makes good for
	// doneCounts of them, and no more than mostStalls are remembered.
	manyStalls = 16
	doneCounts = 2
	mostStalls = 64
)

const (
	// firstWindow is how many handshakes may be in progress at first, for each loop: with a
	// round trip of 100 ms that is 640 each second, a third of what a core can.
	firstWindow = 64

	// maxCredit bounds what an address can earn: as many handshakes may be in progress
	// beyond the window. One that stalls costs stallCost.
	maxCredit = 16
	stallCost = 4

	// askBurst is how many may be asked at once for those who come.
	askBurst = 8

	// maxKnown bounds the addresses whose credit is remembered.
	maxKnown = 4096
)

// A handshakeEnd is how a handshake ended.
type handshakeEnd uint8

const (
	handshakeFailed  handshakeEnd = iota // or was given up
	handshakeDone                        // well
	handshakeStalled                     // the peer was silent for too long
)

func newHandshakeGate(srv *Server) *handshakeGate {
	g := &handshakeGate{srv: srv, addrs: make(map[netip.Prefix]*gateAddr)}
	g.setBounds(srv.config())
	return g
}

// setBounds sets the bounds. g.mu is held, or nobody else has g.
func (g *handshakeGate) setBounds(cfg *Config) {
	g.most, g.mostOne = cfg.MaxHandshakes, cfg.MaxHandshakesPerAddr
	g.first = min(firstWindow*max(cfg.Loops, 1), g.most)
	g.window = min(max(g.window, g.first), g.most)
}

// reconfigure changes the bounds. Who is in the middle of a handshake goes on.
func (g *handshakeGate) reconfigure(cfg *Config) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.setBounds(cfg)
	for _, a := range g.addrs {
		g.setReady(a, false)
	}
	g.admit()
}

// enter reports whether the handshake of c may begin now. If not, c waits, and
// conn.admitted is called on its loop later.
func (g *handshakeGate) enter(c *conn, now time.Duration) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	key := origin.Of(c.remote.Addr())
	a := g.addrs[key]
	if a == nil {
		a = &gateAddr{addr: key}
		g.addrs[key] = a
	} else if a.isIdle() {
		g.unlist(&g.known, a)
	}
	t := &ticket{conn: c, addr: a, isKnown: a.credit > 0}
	c.ticket = t
	if g.mayBegin(a) && g.hasRoom(a) {
		g.begin(t, now)
		return true
	}
	a.waiting.push(t)
	g.nWaiting.Add(1)
	g.setReady(a, true)
	g.askFor(a, now)
	return false
}

func (g *handshakeGate) mayBegin(a *gateAddr) bool {
	return a.inside < g.mostOne || !a.addr.IsValid()
}

// hasRoom reports whether the process has room for a handshake of a.
func (g *handshakeGate) hasRoom(a *gateAddr) bool {
	return g.inside.n < g.window || g.inside.n < g.most && a.inside < a.credit
}

func (g *handshakeGate) begin(t *ticket, now time.Duration) {
	t.heard, t.silent = now, now // it had to be silent while it waited
	t.addr.inside++
	g.inside.push(t)
	g.nInside.Add(1)
}

// hear notes that the peer of a handshake in progress has sent something, or has
// been answered.
func (g *handshakeGate) hear(t *ticket, now time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if t.list == &g.inside {
		g.inside.remove(t)
		t.heard, t.silent = now, now
		g.inside.push(t)
	}
}

// leave ends the handshake of t, and lets others begin.
func (g *handshakeGate) leave(t *ticket, end handshakeEnd) {
	g.mu.Lock()
	defer g.mu.Unlock()
	a := t.addr
	switch t.list {
	case nil:
		return
	case &g.inside:
		g.learn(a, end)
		a.inside--
		g.nInside.Add(-1)
	default:
		g.nWaiting.Add(-1)
	}
	t.list.remove(t)
	g.setReady(a, false)
	g.admit()
	if a.isIdle() {
		g.remember(a)
	}
}

// learn has the end of a handshake tell for those to come.
func (g *handshakeGate) learn(a *gateAddr, end handshakeEnd) {
	switch end {
	case handshakeDone:
		g.stalls.Store(max(g.stalls.Load()-doneCounts, 0))
		a.credit = min(a.credit+1, maxCredit)
		if g.inside.n*2 >= g.window {
			g.window = min(g.window+1, g.most)
		}
	case handshakeStalled:
		g.stalls.Store(min(g.stalls.Load()+1, mostStalls))
		a.credit = max(a.credit-stallCost, 0)
		g.window = max(g.window-1, g.first)
	case handshakeFailed:
	}
}

// patience returns how long a peer may be silent now at s, which may be nil, before it has
// to make room.
func (g *handshakeGate) patience(s *TCPState) time.Duration {
	switch {
	case g.stalls.Load() < manyStalls:
		return calm
	case s == nil:
		return leastSilence
	default:
		return min(max(3*s.RTT, leastSilence), silence)
	}
}

func (a *gateAddr) isIdle() bool { return a.inside == 0 && a.waiting.n == 0 }

// remember keeps what is worth it of an address of which nothing goes on.
func (g *handshakeGate) remember(a *gateAddr) {
	g.unlist(&g.ready, a)
	if a.credit == 0 {
		delete(g.addrs, a.addr)
		return
	}
	a.place = g.known.PushBack(a)
	if g.known.Len() > maxKnown {
		oldest := g.known.Front().Value.(*gateAddr)
		g.unlist(&g.known, oldest)
		delete(g.addrs, oldest.addr)
	}
}

// unlist takes a off the list that it is on, if it is on one.
func (g *handshakeGate) unlist(l *list.List, a *gateAddr) {
	if a.place != nil {
		l.Remove(a.place)
		a.place = nil
	}
}

// setReady puts a among those that wait for the process only: before all others if it is
// anew that somebody comes from there.
func (g *handshakeGate) setReady(a *gateAddr, anew bool) {
	switch {
	case a.waiting.n == 0 || !g.mayBegin(a):
	case a.place == nil && anew:
		a.place = g.ready.PushFront(a)
	case a.place == nil:
		a.place = g.ready.PushBack(a)
	case anew:
		g.ready.MoveToFront(a.place)
	}
}

// admit lets those begin that there is room for.
func (g *handshakeGate) admit() {
	for g.inside.n < g.window && g.ready.Len() > 0 {
		a := g.ready.Front().Value.(*gateAddr)
		g.unlist(&g.ready, a)
		if a.waiting.n == 0 || !g.mayBegin(a) {
			continue
		}
		t := a.waiting.tail
		a.waiting.remove(t)
		g.nWaiting.Add(-1)
		g.begin(t, time.Since(g.srv.started))
		g.setReady(a, false)
		c := t.conn
		_ = c.loop.post(func() { c.loop.guarded(c, (*conn).admitted) })
	}
}

// askFor asks one peer to make room for somebody who has just come from a: the one that
// is silent for longest, of those whose place would be of use.
//
// Peers that stall, and come back at once when they had to make room, would ask for every
// place as soon as it may be asked for, and leave none to be had by others. So half of the
// places in the time of silence are for the asking.
func (g *handshakeGate) askFor(a *gateAddr, now time.Duration) {
	each := 2 * leastSilence / time.Duration(max(g.window, 1))
	until := max(g.askedUntil, now) + each
	if until-now > askBurst*each {
		return
	}
	ofAddr := !g.mayBegin(a)
	for t := g.inside.head; t != nil && now-t.heard >= leastSilence; t = t.next {
		if !ofAddr || t.addr == a {
			g.askedUntil = until
			g.ask(t, now)
			return
		}
	}
}

// ask has the loop of t end its handshake, if it is for the peer to go on.
func (g *handshakeGate) ask(t *ticket, now time.Duration) {
	g.inside.remove(t)
	t.heard = now // once is enough for now
	g.inside.push(t)
	c, silent := t.conn, t.silent
	_ = c.loop.post(func() {
		c.loop.guarded(c, func(c *conn) { c.makeRoom(silent) })
	})
}

// makeRoom asks peers that are silent to make room for those who wait, the process's and
// their address's: one for each of them, those that are silent for longest first. It is
// called every tick, and replaces as many of all places as the tick has of a second: those
// who come in their stead cost arithmetic, which in one piece would hold the loops up.
func (g *handshakeGate) makeRoom(now time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inside.n < g.window/4 && g.window > g.first {
		g.window -= (g.window - g.first + 63) / 64 // nobody needs it
	}
	need := int(g.nWaiting.Load())
	left := g.inside.n*int(tick)/int(silence) + 1
	full := g.inside.n >= g.window
	for t := g.inside.head; t != nil && min(need, left) > 0 && now-t.heard >= leastSilence; {
		next := t.next
		if a := t.addr; full || !g.mayBegin(a) && a.isOwed(now) {
			g.ask(t, now)
			need, left = need-1, left-1
		}
		t = next
	}
}

// isOwed reports, and counts, whether more wait from a than have been asked now.
func (a *gateAddr) isOwed(now time.Duration) bool {
	if a.askedAt != now {
		a.askedAt, a.asked = now, 0
	}
	a.asked++
	return a.asked <= a.waiting.n
}

// A ticketList is a list of tickets.
type ticketList struct {
	head, tail *ticket
	n          int
}

func (l *ticketList) push(t *ticket) {
	t.list, t.prev, t.next = l, l.tail, nil
	if l.tail == nil {
		l.head = t
	} else {
		l.tail.next = t
	}
	l.tail = t
	l.n++
}

func (l *ticketList) remove(t *ticket) {
	if t.prev == nil {
		l.head = t.next
	} else {
		t.prev.next = t.next
	}
	if t.next == nil {
		l.tail = t.prev
	} else {
		t.next.prev = t.prev
	}
	t.list, t.prev, t.next = nil, nil, nil
	l.n--
}
