package loop_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/loop"
)

// isDraining reports whether the server has said that it takes no more.
func (p *peer) isDraining() bool { return len(p.goAways) > 0 }

// wantTwoSteps fails the test unless the server has warned first, and then said
// that lastID is the last stream it took (RFC 9113, Section 6.8).
func (p *peer) wantTwoSteps(lastID frames.StreamID) {
	p.t.Helper()
	if len(p.goAways) != 2 || p.goAways[0].lastID != frames.MaxStreamID || p.goAways[1].lastID != lastID ||
		p.goAways[0].code != frames.ErrCodeNo || p.goAways[1].code != frames.ErrCodeNo {
		p.t.Errorf("GOAWAY: %v, want two with NO_ERROR, for streams up to %d and up to %d", p.goAways, frames.MaxStreamID, lastID)
	}
}

func wantRefused(t *testing.T, addr string) {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err == nil {
		_ = nc.Close()
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dialling a server that drains: %v, want it refused", err)
	}
}

// TestSection6_8_Drain ends the server in the middle of a download, which goes on
// to its end.
func TestSection6_8_Drain(t *testing.T) {
	t.Parallel()
	body := pattern(bigLen)
	for _, tr := range transports {
		t.Run(string(tr), func(t *testing.T) {
			t.Parallel()
			var released atomic.Int32
			ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
				srv.Handle("/big", func(x *loop.Exchange) { _ = x.SendOwned(200, body, func() { released.Add(1) }) })
				srv.Handle("/small", say("small"))
			})
			idle := ts.open(tr)
			idle.fetch("/small").want(t, "200", "small")
			p := ts.open(tr)
			id := p.get("/big")
			a := p.streams[id]
			p.until("the beginning of the body", func() bool { return len(a.body) > 100_000 })
			ts.stop()
			p.until("the warning", p.isDraining)
			// A request that crosses the warning is served.
			second := p.get("/small")
			p.answer(second).want(t, "200", "small")
			wantRefused(t, ts.addr(cleartext))
			wantRefused(t, ts.addr(overTLS))
			// The idle connection does not wait for this one.
			idle.untilClosed()
			idle.wantTwoSteps(1)
			idle.wantCleanEnd()
			select {
			case <-ts.ended:
				t.Error("Run has returned in the middle of a download")
			default:
			}
			wantSame(t, p.answer(id).body, body)
			p.untilClosed()
			p.wantTwoSteps(second)
			p.wantCleanEnd()
			_ = p.nc.Close()
			_ = idle.nc.Close()
			ts.shutdown()
			if n := released.Load(); n != 1 {
				t.Errorf("%d releases", n)
			}
		})
	}
}

// TestDrainIgnoresLateStreams opens streams after the second GOAWAY: they are
// ignored, and the client may try them elsewhere.
func TestDrainIgnoresLateStreams(t *testing.T) {
	t.Parallel()
	handles := make(chan loop.Async, 10)
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.Handle("/", func(x *loop.Exchange) { handles <- x.Async() })
	})
	p := ts.open(cleartext)
	id := p.get("/")
	async := wait(t, "the handle", handles)
	ts.stop()
	p.until("both GOAWAY", func() bool { return len(p.goAways) == 2 })
	late := p.get("/")
	p.ping()
	if err := async.Do(func(x *loop.Exchange) { _ = x.SendString(200, "done") }); err != nil {
		t.Fatal(err)
	}
	p.answer(id).want(t, "200", "done")
	p.untilClosed()
	if p.streams[late].done() || len(handles) > 0 {
		t.Error("a stream above the last one of GOAWAY is served")
	}
	p.wantTwoSteps(id)
}

// TestDrainSlowReader drains while a slow reader has all but the end of the
// response still to read.
func TestDrainSlowReader(t *testing.T) {
	t.Parallel()
	body := pattern(400 << 10)
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.Handle("/", func(x *loop.Exchange) { _ = x.SendStatic(200, body) })
	})
	slow := dialSlow(t, ts.addr(cleartext))
	p := openOn(t, slow, initialWindow(1<<30))
	p.grant(0, 1<<30)
	slow.begin(5)
	id := p.get("/")
	p.until("the beginning of the body", func() bool { return len(p.streams[id].body) > 0 })
	ts.stop()
	wantSame(t, p.answer(id).body, body)
	p.untilClosed()
	p.wantTwoSteps(id)
	p.wantCleanEnd()
}

// TestDrainBesideGoAway begins the drain while a connection error is on its way
// to a slow reader.
func TestDrainBesideGoAway(t *testing.T) {
	t.Parallel()
	body := pattern(bigLen)
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.Handle("/", func(x *loop.Exchange) { _ = x.SendStatic(200, body) })
	})
	p := openOn(t, dialSlow(t, ts.addr(cleartext)), initialWindow(1<<30))
	p.grant(0, 1<<30)
	id := p.get("/")
	p.until("the beginning", func() bool { return len(p.streams[id].body) > 1<<20 })
	p.out = append(p.out, badFrame()...)
	p.flush()
	eventually(t, "the error", func() bool { return len(ts.log.find("connection error")) > 0 })
	ts.stop()
	eventually(t, "the listener to close", func() bool {
		nc, err := net.Dial("tcp", ts.addr(cleartext))
		if err == nil {
			_ = nc.Close()
		}
		return err != nil
	})
	p.untilClosed()
	wantGoAway(t, p, frames.ErrCodeProtocol)
	p.wantCleanEnd()
}

// TestDrainTimeout has the drain cut off who keeps it waiting: one that reads
// nothing, one whose callback never answers, one that does not acknowledge the
// warning, and those that have not said a word.
func TestDrainTimeout(t *testing.T) {
	t.Parallel()
	var released atomic.Int32
	handles := make(chan loop.Async, 1)
	body := pattern(bigLen)
	// Long enough for a client to answer the warning on a machine that stands still.
	ts := newServer(t, loop.Config{DrainTimeout: 4 * time.Second, DrainGrace: patience}, func(srv *loop.Server) {
		srv.Handle("/big", func(x *loop.Exchange) { _ = x.SendOwned(200, body, func() { released.Add(1) }) })
		srv.Handle("/never", func(x *loop.Exchange) { handles <- x.Async() })
	})
	stuck := ts.open(overTLS, initialWindow(1<<30))
	stuck.grant(0, 1<<30)
	stuck.get("/big")
	never := ts.open(cleartext)
	never.get("/never")
	async := wait(t, "the handle", handles)
	mute := ts.open(cleartext)
	mute.mute = true
	mute.get("/never")
	wait(t, "the handle", handles)
	silent, silentTLS := ts.dial(cleartext), ts.dial(overTLS)
	eventually(t, "all have come", func() bool { return ts.srv.Stats().Connections == 5 })
	ts.stop()
	never.untilClosed()
	never.wantTwoSteps(1)
	mute.untilClosed()
	if len(mute.goAways) != 1 {
		t.Errorf("GOAWAY: %v, want the warning", mute.goAways)
	}
	for _, nc := range []net.Conn{silent, silentTLS} {
		if b := readAll(t, nc); len(b) > 0 {
			t.Errorf("%d octets for a peer that has said nothing", len(b))
		}
	}
	ts.shutdown()
	if n := released.Load(); n != 1 {
		t.Errorf("%d releases", n)
	}
	if !async.Done() {
		t.Error("an exchange is not Done although the server has ended")
	}
	if len(ts.log.find("drain timed out")) != 1 {
		t.Error("no line in the log")
	}
	if n := ts.srv.Stats().Limits["drain"]; n != 5 {
		t.Errorf("%d connections were cut off, want all of them", n)
	}
}

// TestDrainMutePeers ends a server whose peers do not answer the PING of the
// warning. Those without open streams do not hold it up.
func TestDrainMutePeers(t *testing.T) {
	t.Parallel()
	handles := make(chan loop.Async, 1)
	ts := newServer(t, loop.Config{DrainTimeout: 10 * patience}, func(srv *loop.Server) {
		srv.Handle("/later", func(x *loop.Exchange) { handles <- x.Async() })
		hello(srv)
	})
	gone := ts.open(cleartext)
	gone.fetch("/").want(t, "200", "hello")
	deaf := ts.open(overTLS)
	deaf.mute = true
	id := deaf.get("/later")
	async := wait(t, "the handle", handles)
	// Of this one the preface is still to come.
	late := newPeer(t, tls.Client(ts.dial(overTLS), clientTLS("h2")))
	late.mute = true
	late.until("the server's SETTINGS", func() bool { return late.settings != nil })
	ts.stop()
	late.untilClosed()
	wantGoAway(t, late, frames.ErrCodeNo)
	gone.untilClosed()
	deaf.until("the warning", deaf.isDraining)
	if err := async.Do(func(x *loop.Exchange) { _ = x.SendString(200, "later") }); err != nil {
		t.Fatal(err)
	}
	deaf.answer(id).want(t, "200", "later")
	deaf.untilClosed()
	deaf.wantTwoSteps(id)
	_ = gone.nc.Close()
	_ = late.nc.Close()
	_ = deaf.nc.Close()
	ts.shutdown()
}

// TestDrainNewConnections ends a server beside connections that are there, but have
// sent no request: it is answered when it comes, and it is the last.
func TestDrainNewConnections(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{Loops: 1, DrainTimeout: 10 * patience, DrainGrace: 10 * patience}, hello)
	const request = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
	type client struct {
		name string
		nc   net.Conn
		sent string // of the request
	}
	clients := []client{
		{"cleartext", ts.dialHTTP1(cleartext), ""},
		{"cleartext, in part", ts.dialHTTP1(cleartext), request[:20]},
		{"TLS", ts.dialHTTP1(overTLS), ""},
		{"TLS, in part", ts.dialHTTP1(overTLS), request[:20]},
		{"TLS, no handshake", tls.Client(ts.dial(overTLS), clientTLS("http/1.1")), ""},
	}
	for _, c := range clients {
		if nc, ok := c.nc.(*tls.Conn); ok && c.name != "TLS, no handshake" {
			if err := nc.Handshake(); err != nil {
				t.Fatal(err)
			}
		}
		_, _ = io.WriteString(c.nc, c.sent)
	}
	h2 := ts.dial(cleartext)
	drainBeside(t, ts)
	for _, c := range clients {
		t.Run(c.name, func(t *testing.T) {
			if _, err := io.WriteString(c.nc, request[len(c.sent):]); err != nil {
				t.Fatal(err)
			}
			br := bufio.NewReader(c.nc)
			if resp := wantResponse(t, br, "GET", 200, "hello"); !resp.Close {
				t.Error("it is not told that it is the last")
			}
			if b, err := io.ReadAll(br); len(b) > 0 || err != nil {
				t.Errorf("%q, %v behind the answer", b, err)
			}
			_ = c.nc.Close()
		})
	}
	p := newPeer(t, h2)
	p.answer(p.beginAsking("/")).want(t, "200", "hello")
	p.untilClosed()
	p.wantTwoSteps(1)
	_ = p.nc.Close()
	ts.shutdown()
}

// drainBeside begins the drain of a server with one loop, and returns once that has
// told every connection.
func drainBeside(t *testing.T, ts *testServer) {
	t.Helper()
	var used []*peer
	for _, tr := range transports { // by the time it is answered, the others are known
		p := ts.open(tr)
		p.fetch("/").want(t, "200", "hello")
		used = append(used, p)
	}
	ts.stop()
	for _, p := range used {
		p.until("the warning", p.isDraining)
		_ = p.nc.Close()
	}
	wantRefused(t, ts.addr(cleartext))
}

// TestDrainGrace has the drain end new connections on which no request comes.
func TestDrainGrace(t *testing.T) {
	t.Parallel()
	for _, grace := range []time.Duration{300 * time.Millisecond, -1} {
		t.Run(grace.String(), func(t *testing.T) {
			t.Parallel()
			ts := newServer(t, loop.Config{Loops: 1, DrainTimeout: 10 * patience, DrainGrace: grace}, hello)
			shaken, part := ts.dialHTTP1(overTLS), ts.dialHTTP1(cleartext)
			if err := shaken.(*tls.Conn).Handshake(); err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(part, "GET / HTTP/1.1\r\n")
			silent := []net.Conn{ts.dial(cleartext), ts.dial(overTLS), shaken, part}
			began := time.Now()
			drainBeside(t, ts)
			for i, nc := range silent {
				if b := readAll(t, nc); len(b) > 0 {
					t.Errorf("%d octets for number %d, which has not asked", len(b), i)
				}
				_ = nc.Close()
			}
			if took := time.Since(began); took < grace-100*time.Millisecond { // of a coarse clock
				t.Errorf("those that say nothing have %v", took)
			}
			ts.shutdown()
			if n := ts.srv.Stats().Limits["drain"]; n > 0 {
				t.Errorf("%d connections were cut off", n)
			}
		})
	}
}

// TestDrainNobody ends a server that has no connections, and one that had no time
// to begin.
func TestDrainNobody(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{DrainTimeout: 10 * patience}, hello)
	p := ts.open(cleartext)
	p.fetch("/").want(t, "200", "hello")
	_ = p.nc.Close()
	ts.shutdown()
	newServer(t, loop.Config{DrainTimeout: 10 * patience}, hello).shutdown()
}

// TestDrainingWithoutBeginning has no descriptors for the loops: Run fails before it has
// begun, and those who wait for the end are told. It is not parallel, for the limit is
// that of the process.
func TestDrainingWithoutBeginning(t *testing.T) {
	log := zerolog.Nop()
	srv, err := loop.New(loop.Config{Listeners: []loop.Listener{{Address: "127.0.0.1:0"}}, Logger: &log})
	if err != nil {
		t.Fatal(err)
	}
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	none := before
	none.Cur = 0
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	err = srv.Run(t.Context())
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(err, syscall.EMFILE) {
		t.Errorf("Run: %v, want EMFILE", err)
	}
	wait(t, "it to say that it ends", srv.Draining())
	if err := srv.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

// TestDraining has those who are still being served know of the end.
func TestDraining(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{DrainTimeout: 10 * patience}, func(srv *loop.Server) {
		srv.HandleBlocking("/until", func(_ context.Context, x *loop.Exchange) error {
			w, err := x.Writer(200, -1)
			if err != nil {
				return err
			}
			_, _ = io.WriteString(w, "begun")
			_ = w.Flush()
			<-srv.Draining()
			return w.Close()
		})
	})
	p := ts.open(cleartext)
	id := p.get("/until")
	p.until("the beginning", func() bool { return len(p.streams[id].body) == 5 })
	select {
	case <-ts.srv.Draining():
		t.Error("it drains before it was told to")
	default:
	}
	ts.stop()
	p.answer(id).want(t, "200", "begun")
	_ = p.nc.Close()
	ts.shutdown()

	never, err := loop.New(loop.Config{Listeners: []loop.Listener{{Address: "127.0.0.1:0"}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := never.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	wait(t, "a server that has never run to say that it will not", never.Draining())
}
