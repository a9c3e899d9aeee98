package loop_test

import (
	"crypto/tls"
	"net"
	"testing"
	"time"

	"github.com/h2loop/h2loop/h2"
	"github.com/h2loop/h2loop/loop"
)

// dialFrom connects from an address of the loopback network.
func (ts *testServer) dialFrom(from byte, tr transport) net.Conn {
	ts.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, from)}}
	nc, err := d.Dial("tcp", ts.addr(tr))
	if err != nil {
		ts.t.Fatal(err)
	}
	ts.t.Cleanup(func() { _ = nc.Close() })
	if tr == overTLS {
		return tls.Client(nc, clientTLS("h2"))
	}
	return nc
}

// wantTurnedAway sees that nothing comes on nc but its end.
func wantTurnedAway(t *testing.T, nc net.Conn) {
	t.Helper()
	_ = nc.SetDeadline(time.Now().Add(patience))
	if n, err := nc.Read(make([]byte, 1)); n != 0 || err == nil || isTimeout(err) {
		t.Errorf("%d octets have come, and %v, where a connection is refused", n, err)
	}
}

// isRefused reports whether a new connection from there ends before anything has come on it.
func (ts *testServer) isRefused(from byte, tr transport) bool {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, from)}}
	nc, err := d.Dial("tcp", ts.addr(tr))
	if err != nil {
		return true // in the middle of it
	}
	defer func() { _ = nc.Close() }()
	if tr == cleartext {
		_, _ = nc.Write([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
		_ = nc.SetDeadline(time.Now().Add(patience))
		_, err = nc.Read(make([]byte, 1))
	} else {
		err = tls.Client(nc, clientTLS("h2")).Handshake()
	}
	return err != nil
}

// TestMaxConnsPerAddr has one address at its bounds, and then beyond: another one is
// served, and so is the first once there are other bounds.
func TestMaxConnsPerAddr(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		cfg     loop.Config
		crossed string
	}{
		"at once": {loop.Config{MaxConnsPerAddr: 2}, "connections_per_addr"},
		"by rate": {loop.Config{AcceptRate: h2.Budget{Burst: 2, PerSecond: 1}}, "accept_rate"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begun := time.Now()
			ts := newServer(t, tc.cfg, hello)
			for range 2 {
				openOn(t, ts.dialFrom(3, cleartext)).fetch("/").want(t, "200", "hello")
			}
			for _, tr := range transports {
				// At one each second there may be some that are served.
				eventually(t, "one is refused", func() bool { return ts.isRefused(3, tr) })
			}
			for _, tr := range transports {
				openOn(t, ts.dialFrom(4, tr)).fetch("/").want(t, "200", "hello")
			}
			if n := ts.srv.Stats().Limits[tc.crossed]; n < 2 {
				t.Errorf("2 were refused, and %d are counted", n)
			}
			wantLoggedOnce(t, ts, "an address has more connections", begun)
			cfg := loop.Config{Loops: 2, Listeners: []loop.Listener{{Address: "127.0.0.1:0"}, {Address: "127.0.0.1:0", TLS: serverTLS()}}}
			if _, err := ts.srv.Reconfigure(cfg); err != nil {
				t.Fatal(err)
			}
			openOn(t, ts.dialFrom(3, overTLS)).fetch("/").want(t, "200", "hello")
		})
	}
}

// wantLoggedOnce sees a line be logged once, where more come within ten seconds of begun.
func wantLoggedOnce(t *testing.T, ts *testServer, line string, begun time.Time) {
	t.Helper()
	if n := len(ts.log.find(line)); n == 0 || n > 1 && time.Since(begun) < 10*time.Second {
		t.Errorf("logged %d times, want once", n)
	}
}

// TestMaxConns fills the server with connections that say nothing and such that are
// idle. One that comes then waits until they have made room.
func TestMaxConns(t *testing.T) {
	t.Parallel()
	held := make(chan loop.Async, 1)
	begun := time.Now()
	ts := newServer(t, loop.Config{MaxConns: 4, Loops: 1, HandshakeTimeout: 10 * patience}, func(srv *loop.Server) {
		hello(srv)
		srv.Handle("/held", func(x *loop.Exchange) { held <- x.Async() })
	})
	busy := ts.open(cleartext)
	id := busy.get("/held")
	work := wait(t, "the request", held)
	idle := ts.open(overTLS)
	idle.fetch("/").want(t, "200", "hello")
	mute, mute2 := ts.dial(cleartext), ts.dial(overTLS)
	eventually(t, "four connections", func() bool { return ts.srv.Stats().Connections == 4 })
	idle.fetch("/").want(t, "200", "hello") // and so is idle for less long than those are silent

	for range 2 {
		ts.open(cleartext).fetch("/").want(t, "200", "hello")
	}
	wantTurnedAway(t, mute)
	wantTurnedAway(t, mute2)
	last := ts.dial(cleartext)
	idle.untilClosed()
	_ = idle.nc.Close()
	openOn(t, last).fetch("/").want(t, "200", "hello")
	eventually(t, "they are counted", func() bool {
		s := ts.srv.Stats()
		return s.MaxConnections == 4 && s.Connections <= 4 && s.Limits["connections"] >= 1 && s.Limits["made_room"] >= 3
	})
	wantLoggedOnce(t, ts, "accepting pauses until there is room", begun)
	// Who is served is not disturbed.
	if err := work.Do(func(x *loop.Exchange) { _ = x.SendString(200, "done") }); err != nil {
		t.Fatal(err)
	}
	busy.answer(id).want(t, "200", "done")
}

// TestMaxConnsDrain ends a server on which a connection waits for room: it is served, as
// any that has come at the last moment.
func TestMaxConnsDrain(t *testing.T) {
	t.Parallel()
	held := make(chan loop.Async, 1)
	ts := newServer(t, loop.Config{MaxConns: 1, Loops: 1, DrainGrace: patience}, func(srv *loop.Server) {
		hello(srv)
		srv.Handle("/held", func(x *loop.Exchange) { held <- x.Async() })
	})
	busy := ts.open(cleartext)
	id := busy.get("/held")
	work := wait(t, "the request", held)
	late := ts.dial(cleartext)
	eventually(t, "it waits", func() bool { return ts.srv.Stats().Limits["connections"] == 1 })
	ts.stop()
	p := newPeer(t, late)
	p.answer(p.beginAsking("/")).want(t, "200", "hello")
	_ = work.Do(func(x *loop.Exchange) { _ = x.SendString(200, "done") })
	busy.answer(id).want(t, "200", "done")
}
