package loop

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// gateConn returns a connection from that address, of a loop on which what is
// posted waits.
func gateConn(srv *Server, addr string) *conn {
	return &conn{
		loop:   &eventLoop{srv: srv, executing: true},
		remote: netip.AddrPortFrom(netip.MustParseAddr(addr), 1),
	}
}

// TestGateWaitingIsNotSilence has a handshake begin that had to wait for longer
// than a peer may be silent, while another waits: it does not make room at once.
func TestGateWaitingIsNotSilence(t *testing.T) {
	const now = 10 * silence
	srv := &Server{started: time.Now().Add(-now)}
	srv.live.Store(&Config{MaxHandshakes: 1, MaxHandshakesPerAddr: 1})
	g := newHandshakeGate(srv)
	first, second, third := gateConn(srv, "127.0.0.1"), gateConn(srv, "127.0.0.2"), gateConn(srv, "127.0.0.3")
	if !g.enter(first, 0) || g.enter(second, 0) || g.enter(third, 0) {
		t.Fatal("want one to enter, and two to wait")
	}
	g.makeRoom(now)
	if n := len(first.loop.tasks); n != 1 {
		t.Fatalf("the silent one was asked to make room %d times, want once", n)
	}
	g.leave(first.ticket, handshakeStalled)
	if n := len(third.loop.tasks); n != 1 {
		t.Fatalf("the last one to come was let in %d times, want once", n)
	}
	in := third.ticket.heard // some time after now, if the machine was slow
	g.makeRoom(in + leastSilence/2)
	if n := len(third.loop.tasks); n != 1 {
		t.Error("one that was let in a moment ago is asked to make room")
	}
	g.makeRoom(in + 2*leastSilence)
	if n := len(third.loop.tasks); n != 2 {
		t.Error("one that is silent is not asked to make room")
	}
	g.leave(third.ticket, handshakeDone)
	if n := len(second.loop.tasks); n != 1 {
		t.Error("the one that is left is not let in")
	}
}

// TestGateMakesRoomBitByBit has all places taken by silent peers, and as many wait:
// a tick replaces its share of them.
func TestGateMakesRoomBitByBit(t *testing.T) {
	const places = 1000
	g, srv := newTestGate(Config{MaxHandshakes: places, MaxHandshakesPerAddr: places})
	g.window = places
	l := gateConn(srv, "127.0.0.1").loop
	for range 2 * places {
		c := gateConn(srv, "127.0.0.1")
		c.loop = l
		g.enter(c, 0)
	}
	now := leastSilence
	for range silence / tick {
		before := len(l.tasks)
		g.makeRoom(now)
		if n := len(l.tasks) - before; n < places/20 || n > places/5 {
			t.Errorf("a tick has %d of %d make room", n, places)
		}
		now += tick
	}
}

func newTestGate(cfg Config) (*handshakeGate, *Server) {
	srv := &Server{started: time.Now()}
	srv.live.Store(&cfg)
	return newHandshakeGate(srv), srv
}

// TestGateWindow has peers stall, each from an address of its own: few of their
// handshakes begin. One address that completes its handshakes goes in nevertheless.
func TestGateWindow(t *testing.T) {
	g, srv := newTestGate(Config{MaxHandshakes: 10 * firstWindow, MaxHandshakesPerAddr: 64, Loops: 1})
	good := func() *conn { return gateConn(srv, "192.0.2.1") }
	for range 3 {
		c := good()
		if !g.enter(c, 0) {
			t.Fatal("nobody else is there, and it has to wait")
		}
		g.leave(c.ticket, handshakeDone)
	}
	if g.window != firstWindow {
		t.Errorf("the window has grown to %d without being used", g.window)
	}
	var stalled []*conn
	for i := range 5 * firstWindow {
		c := gateConn(srv, fmt.Sprintf("127.0.%d.%d", i/250, i%250))
		stalled = append(stalled, c)
		if in := g.enter(c, 0); in != (i < firstWindow) {
			t.Fatalf("handshake %d begins: %v", i, in)
		}
	}
	var known []*conn
	for i := range 4 {
		known = append(known, good())
		if in := g.enter(known[i], 0); in != (i < 3) {
			t.Errorf("handshake %d of an address that has completed three begins: %v", i, in)
		}
	}
	// It is the first when there is room.
	g.leave(known[0].ticket, handshakeDone)
	g.leave(stalled[0].ticket, handshakeStalled)
	g.leave(stalled[1].ticket, handshakeStalled)
	g.leave(stalled[2].ticket, handshakeStalled)
	if known[3].ticket.list != &g.inside {
		t.Error("who came last waits")
	}
	// What it stalls costs it its credit.
	g.leave(known[3].ticket, handshakeStalled)
	if c := good(); g.enter(c, 0) {
		t.Error("an address that has stalled a handshake goes before others")
	}
}

// TestGateGrows has a rush of peers that complete their handshakes: all places are theirs
// soon, and are given up when nobody needs them. Those that stall take one each.
func TestGateGrows(t *testing.T) {
	const most = 4 * firstWindow
	g, srv := newTestGate(Config{MaxHandshakes: most, MaxHandshakesPerAddr: most, Loops: 1})
	var conns []*conn
	for range 2 * most {
		c := gateConn(srv, "192.0.2.1")
		g.enter(c, 0)
		conns = append(conns, c)
	}
	rounds := 0
	for ; g.window < most && rounds < 10; rounds++ {
		for _, c := range conns {
			if c.ticket.list == &g.inside && c.ticket.heard >= 0 {
				c.ticket.heard = -1 // of this round
			}
		}
		for _, c := range conns {
			if c.ticket.list == &g.inside && c.ticket.heard < 0 {
				g.leave(c.ticket, handshakeDone)
			}
		}
	}
	if g.window != most || rounds > 4 {
		t.Errorf("the window is %d after %d round trips", g.window, rounds)
	}
	was := g.window
	for _, c := range conns {
		if c.ticket.list == &g.inside {
			g.leave(c.ticket, handshakeStalled)
			break
		}
	}
	if g.window != was-1 {
		t.Errorf("a stalled handshake takes the window from %d to %d", was, g.window)
	}
	for _, c := range conns {
		g.leave(c.ticket, handshakeFailed)
	}
	if g.inside.n != 0 || g.nWaiting.Load() != 0 || g.ready.Len() != 0 || g.known.Len() != 1 {
		t.Errorf("%d are inside, %d wait, %d addresses are ready, and %d known", g.inside.n, g.nWaiting.Load(), g.ready.Len(), g.known.Len())
	}
	for range 1000 {
		g.makeRoom(0)
	}
	if g.window != firstWindow {
		t.Errorf("the window is %d though nobody needs it", g.window)
	}
}

// TestGateAsksAtOnce has somebody come when all places are taken: the peer that is silent
// for longest is asked at once, of the address if that is at its bound.
func TestGateAsksAtOnce(t *testing.T) {
	g, srv := newTestGate(Config{MaxHandshakes: 3, MaxHandshakesPerAddr: 2})
	of, other, young := gateConn(srv, "127.0.0.1"), gateConn(srv, "127.0.0.2"), gateConn(srv, "127.0.0.1")
	g.enter(other, 0)
	g.enter(of, 1)
	g.enter(young, leastSilence)
	asked := func(c *conn, want int) {
		t.Helper()
		if n := len(c.loop.tasks); n != want {
			t.Errorf("%s was asked %d times, want %d", c.remote, n, want)
		}
	}
	if g.enter(gateConn(srv, "127.0.0.1"), leastSilence) {
		t.Error("a third one of an address begins")
	}
	asked(of, 0) // not silent for long enough
	g.enter(gateConn(srv, "127.0.0.1"), leastSilence+1)
	asked(of, 1)
	asked(other, 0)
	g.enter(gateConn(srv, "127.0.0.3"), leastSilence+1)
	asked(other, 1)
	g.enter(gateConn(srv, "127.0.0.3"), leastSilence+1)
	asked(of, 1)
	asked(other, 1)
	asked(young, 0)
}

// TestGateForgets has more addresses come than are remembered.
func TestGateForgets(t *testing.T) {
	g, srv := newTestGate(Config{MaxHandshakes: 10, MaxHandshakesPerAddr: 10})
	l := gateConn(srv, "127.0.0.1").loop
	for i := range maxKnown + 100 {
		c := gateConn(srv, fmt.Sprintf("127.%d.%d.1", i/250, i%250))
		c.loop = l
		g.enter(c, 0)
		g.leave(c.ticket, handshakeDone)
	}
	if g.known.Len() != maxKnown || len(g.addrs) != maxKnown {
		t.Errorf("%d addresses are known, and %d have credit", len(g.addrs), g.known.Len())
	}
}

// TestPatience gives peers some time, and less once many have been silent for that long,
// but for those that are far away.
func TestPatience(t *testing.T) {
	g, srv := newTestGate(Config{MaxHandshakes: 1000, MaxHandshakesPerAddr: 1000, Loops: 1})
	near := &TCPState{}
	end := func(n int, how handshakeEnd) {
		for range n {
			c := gateConn(srv, "127.0.0.1")
			g.enter(c, 0)
			g.leave(c.ticket, how)
		}
	}
	want := func(why string, s *TCPState, want time.Duration) {
		t.Helper()
		if got := g.patience(s); got != want {
			t.Errorf("%s: %v, want %v", why, got, want)
		}
	}
	want("nobody has stalled", near, calm)
	end(manyStalls-1, handshakeStalled)
	end(1, handshakeFailed)
	want("few have", near, calm)
	end(1, handshakeStalled)
	want("many have", near, leastSilence)
	want("and it is not known how far away it is", nil, leastSilence)
	want("and it is not near", &TCPState{RTT: 200 * time.Millisecond}, 600*time.Millisecond)
	want("and it is very far away", &TCPState{RTT: time.Minute}, silence)
	end(1, handshakeDone)
	want("one was in order", near, calm)
	end(10*mostStalls, handshakeStalled)
	end((mostStalls-manyStalls)/doneCounts, handshakeDone)
	want("some were in order", near, leastSilence)
	end(1, handshakeDone)
	want("and one more", near, calm)
}
