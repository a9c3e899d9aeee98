package loop

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// A handshakeGate bounds the TLS handshakes in progress, which cost 15 KiB and a
// stack each: of the process, and of one address, so that a peer which begins
// many and ends none leaves room for others. Those that come when there is none
// wait; the handshake's timeout goes on meanwhile. Addresses take turns.
//
// It is shared by all loops.
type handshakeGate struct {
	srv *Server

	inside  atomic.Int32
	waiting atomic.Int32

	mu      sync.Mutex
	most    int // in progress
	mostOne int // in progress, of one address
	addrs   map[netip.Prefix]*gateAddr
	// ready has the addresses of which a handshake could begin, if the process
	// had room.
	ready []*gateAddr
}

// A gateAddr is what the gate knows of one address.
type gateAddr struct {
	addr    netip.Prefix
	inside  ticketList // in progress, the peer silent for longest first
	waiting ticketList // in order
	isReady bool       // on gate.ready
}

// A ticket is a connection's way through the gate. It belongs to the gate.
type ticket struct {
	conn       *conn
	addr       *gateAddr
	list       *ticketList // inside or waiting of addr; nil once it has left
	heard      time.Duration
	prev, next *ticket
}

// silence is how long a peer in a handshake may be silent before it has to make
// room, if others wait for some.
const silence = time.Second

func newHandshakeGate(srv *Server) *handshakeGate {
	return &handshakeGate{
		srv:     srv,
		most:    srv.config().MaxHandshakes,
		mostOne: srv.config().MaxHandshakesPerAddr,
		addrs:   make(map[netip.Prefix]*gateAddr),
	}
}

// reconfigure changes the bounds. Who is in the middle of a handshake goes on.
func (g *handshakeGate) reconfigure(cfg *Config) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.most, g.mostOne = cfg.MaxHandshakes, cfg.MaxHandshakesPerAddr
	for _, a := range g.addrs {
		g.setReady(a)
	}
	g.admit()
}

// gateKey is whom the bound for one address is for: an IPv4 address, or the
// network of an IPv6 one. Unix sockets have none, and no bound.
func gateKey(a netip.Addr) netip.Prefix {
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits)
	return p
}

// enter reports whether the handshake of c may begin now. If not, c waits, and
// conn.admitted is called on its loop later.
func (g *handshakeGate) enter(c *conn, now time.Duration) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	key := gateKey(c.remote.Addr())
	a := g.addrs[key]
	if a == nil {
		a = &gateAddr{addr: key}
		g.addrs[key] = a
	}
	t := &ticket{conn: c, addr: a, heard: now}
	c.ticket = t
	if int(g.inside.Load()) < g.most && g.mayBegin(a) && a.waiting.head == nil {
		g.inside.Add(1)
		a.inside.push(t)
		return true
	}
	a.waiting.push(t)
	g.waiting.Add(1)
	g.setReady(a)
	return false
}

func (g *handshakeGate) mayBegin(a *gateAddr) bool {
	return a.inside.n < g.mostOne || !a.addr.IsValid()
}

// hear notes that the peer of a handshake in progress has sent something, or has
// been answered.
func (g *handshakeGate) hear(t *ticket, now time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if t.list == &t.addr.inside {
		t.list.remove(t)
		t.heard = now
		t.addr.inside.push(t)
	}
}

// leave ends the handshake of t, in whichever way, and lets others begin.
func (g *handshakeGate) leave(t *ticket) {
	g.mu.Lock()
	defer g.mu.Unlock()
	a := t.addr
	switch t.list {
	case nil:
		return
	case &a.inside:
		g.inside.Add(-1)
	case &a.waiting:
		g.waiting.Add(-1)
	}
	t.list.remove(t)
	g.setReady(a)
	g.admit()
	if a.inside.n == 0 && a.waiting.n == 0 {
		delete(g.addrs, a.addr)
	}
}

// setReady puts a in the row of those that wait for the process only.
func (g *handshakeGate) setReady(a *gateAddr) {
	if !a.isReady && a.waiting.n > 0 && g.mayBegin(a) {
		a.isReady = true
		g.ready = append(g.ready, a)
	}
}

// admit lets those begin that there is room for.
func (g *handshakeGate) admit() {
	for int(g.inside.Load()) < g.most && len(g.ready) > 0 {
		a := g.ready[0]
		g.ready = g.ready[1:]
		a.isReady = false
		if a.waiting.n == 0 || !g.mayBegin(a) {
			continue
		}
		t := a.waiting.head
		a.waiting.remove(t)
		g.waiting.Add(-1)
		g.inside.Add(1)
		t.heard = time.Since(g.srv.started) // it had to be silent while it waited
		a.inside.push(t)
		g.setReady(a)
		c := t.conn
		_ = c.loop.post(func() { c.loop.guarded(c, (*conn).admitted) })
	}
}

// makeRoom closes handshakes whose peers are silent, of addresses and of a
// process that have no room for those who wait: one for each of them, those that
// are silent for longest first. It is called every tick, and replaces as many of
// all places as the tick has of silence: those who come in their stead cost
// arithmetic, which in one piece would hold the loops up.
func (g *handshakeGate) makeRoom(now time.Duration) {
	if g.waiting.Load() == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	full := int(g.inside.Load()) >= g.most
	need := int(g.waiting.Load())
	left := g.most*int(tick)/int(silence) + 1
	for _, a := range g.addrs {
		n := 0
		if !g.mayBegin(a) {
			n = a.waiting.n
		}
		if full {
			n = max(n, need)
		}
		for t := a.inside.head; t != nil && min(n, left) > 0 && now-t.heard >= silence; t = a.inside.head {
			n, need, left = n-1, need-1, left-1
			a.inside.remove(t)
			t.heard = now // once is enough
			a.inside.push(t)
			c := t.conn
			_ = c.loop.post(func() { c.loop.guarded(c, (*conn).makeRoom) })
		}
	}
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
