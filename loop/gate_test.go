package loop

import (
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
	g.leave(first.ticket)
	if n := len(second.loop.tasks); n != 1 {
		t.Fatalf("the next one was let in %d times, want once", n)
	}
	g.makeRoom(now + silence/2)
	if n := len(second.loop.tasks); n != 1 {
		t.Error("one that was let in a moment ago is asked to make room")
	}
	g.makeRoom(now + 2*silence)
	if n := len(second.loop.tasks); n != 2 {
		t.Error("one that is silent is not asked to make room")
	}
}

// TestGateMakesRoomBitByBit has all places taken by silent peers, and as many wait:
// a tick replaces its share of them.
func TestGateMakesRoomBitByBit(t *testing.T) {
	const places = 1000
	srv := &Server{started: time.Now()}
	srv.live.Store(&Config{MaxHandshakes: places, MaxHandshakesPerAddr: places})
	g := newHandshakeGate(srv)
	l := gateConn(srv, "127.0.0.1").loop
	for range 2 * places {
		c := gateConn(srv, "127.0.0.1")
		c.loop = l
		g.enter(c, 0)
	}
	now := silence
	for range silence / tick {
		before := len(l.tasks)
		g.makeRoom(now)
		if n := len(l.tasks) - before; n < places/20 || n > places/5 {
			t.Errorf("a tick has %d of %d make room", n, places)
		}
		now += tick
	}
	if n := len(l.tasks); n < places*9/10 {
		t.Errorf("%d of %d have made room after the time of silence", n, places)
	}
}
