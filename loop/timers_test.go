package loop_test

import (
	"crypto/tls"
	"io"
	"net"
	"testing"
	"time"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/h2"
	"github.com/h2loop/h2loop/loop"
)

// quick is a timeout that comes at once.
const quick = 200 * time.Millisecond

// TestHandshakeTimeout closes connections that do not get to the end of the TLS
// handshake, or of the preface. How long that takes decides nothing here, but
// that it is not before its time.
func TestHandshakeTimeout(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{HandshakeTimeout: quick}, hello)
	clientHello := func(nc net.Conn) {
		_ = tls.Client(onlyWrites{nc}, clientTLS("h2")).Handshake()
	}
	slow := []struct {
		name  string
		tr    transport
		start func(nc net.Conn)
	}{
		{"cleartext, nothing", cleartext, func(net.Conn) {}},
		{"cleartext, part of the preface", cleartext, func(nc net.Conn) { send(nc, []byte(h2.Preface)[:10], false) }},
		{"cleartext, no SETTINGS", cleartext, func(nc net.Conn) { send(nc, []byte(h2.Preface), false) }},
		{"cleartext, part of a method", cleartext, func(nc net.Conn) { send(nc, []byte("GE"), false) }},
		{"TLS, nothing", overTLS, func(net.Conn) {}},
		{"TLS, part of a record", overTLS, func(nc net.Conn) { send(nc, []byte{22, 3, 1}, false) }},
		{"TLS, part of the handshake", overTLS, clientHello},
		{"TLS, part of a method", overTLS, func(nc net.Conn) { send(nc, []byte("GE"), false) }},
		{"TLS, no preface", overTLS, func(nc net.Conn) { _ = tls.Client(nc, clientTLS("h2")).Handshake() }},
		{"TLS, no SETTINGS", overTLS, func(nc net.Conn) { send(tls.Client(nc, clientTLS("h2")), []byte(h2.Preface), false) }},
		{"TLS, no ALPN", overTLS, func(nc net.Conn) { _ = tls.Client(nc, clientTLS()).Handshake() }},
	}
	t.Run("slow", func(t *testing.T) {
		for _, tt := range slow {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				begin := time.Now()
				nc := dialAddr(t, "tcp", ts.addr(tt.tr))
				tt.start(nc)
				_ = readAll(t, nc)
				if took := time.Since(begin); took < quick {
					t.Errorf("closed after %v", took)
				}
			})
		}
	})
	eventually(t, "they are counted", func() bool { return ts.srv.Stats().Limits["handshake_time"] == uint64(len(slow)) })
	t.Run("not after the handshake", func(t *testing.T) {
		t.Parallel()
		p := openInTime(t, ts)
		time.Sleep(3 * quick)
		p.fetch("/").want(t, "200", "hello")
	})
}

// openInTime opens a connection in cleartext, or another one if this machine stands still
// until the time for it is over.
func openInTime(t *testing.T, ts *testServer) (p *peer) {
	t.Helper()
	eventually(t, "a connection in time", func() bool {
		p = newPeer(t, dialAddr(t, "tcp", ts.addr(cleartext)))
		p.out = frames.AppendSettings(append(p.out, h2.Preface...))
		p.proposed = append(p.proposed, nil)
		_ = p.tryFlush()
		for p.settings == nil || p.acked == 0 {
			if !p.step() {
				return false
			}
		}
		return true
	})
	return p
}

// TestHandshakeTimeoutIsOne has peers come to the end of the TLS handshake, or of
// the preface, when half of the time is over, and no further. They get no more
// time for the rest, so that they are closed before one that came a little later.
func TestHandshakeTimeoutIsOne(t *testing.T) {
	t.Parallel()
	const timeout = 2 * time.Second
	ended := make(chan string, 10) // by their addresses, in the order in which the loop ends them
	ts := newServer(t, loop.Config{HandshakeTimeout: timeout, Loops: 1, Hooks: loop.Hooks{
		ConnClose: func(c loop.ConnInfo) { ended <- c.Remote.String() },
	}}, hello)
	before, plain := ts.connect(overTLS), ts.dial(cleartext)
	begin := time.Now()
	time.Sleep(timeout / 4)
	after := ts.dial(cleartext)
	// The loop has opened it once a later one is served.
	served := ts.open(cleartext)
	served.fetch("/").want(t, "200", "hello")
	time.Sleep(timeout / 4)
	err := before.(*tls.Conn).Handshake()
	send(plain, []byte(h2.Preface), false)
	if err != nil || time.Since(begin) > timeout*3/4 {
		t.Skipf("this machine is too slow for this test: %v", err)
	}
	for range 2 {
		if addr := wait(t, "the first two to end", ended); addr == after.LocalAddr().String() {
			t.Error("a peer has time for each step: one that has come later ends before it")
		}
	}
	if addr := wait(t, "the last to end", ended); addr != after.LocalAddr().String() {
		t.Errorf("%s ends, which is none of them", addr)
	}
	for _, nc := range []net.Conn{before, plain, after} {
		_ = readAll(t, nc)
	}
}

// onlyWrites lets a TLS client say its first words and fails its first Read.
type onlyWrites struct{ net.Conn }

func (onlyWrites) Read([]byte) (int, error) { return 0, net.ErrClosed }

// TestIdleTimeout closes connections that are idle, with GOAWAY, and others not.
func TestIdleTimeout(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{IdleTimeout: quick, HandshakeTimeout: 10 * patience}, hello)
	t.Run("all", func(t *testing.T) { testIdleTimeout(t, ts) })
	eventually(t, "they are counted", func() bool { return ts.srv.Stats().Limits["idle"] >= 2*uint64(len(transports)) })
}

func testIdleTimeout(t *testing.T, ts *testServer) {
	forEachTransport(t, func(t *testing.T, tr transport) {
		t.Run("at once", func(t *testing.T) {
			t.Parallel()
			p := openOn(t, connectTo(t, ts, tr))
			p.untilClosed() // or is the handshake's timeout waited for?
			wantGoAway(t, p, frames.ErrCodeNo)
			p.wantCleanEnd()
		})
		t.Run("after a request", func(t *testing.T) {
			t.Parallel()
			eventually(t, "a request in time", func() bool {
				p := openOn(t, connectTo(t, ts, tr))
				id := p.headers("GET", "/", true)
				_ = p.tryFlush()
				p.untilClosed()
				wantGoAway(t, p, frames.ErrCodeNo)
				if p.goAways[0].lastID == 0 && !p.streams[id].done() {
					return false // this machine was so slow that it was idle before
				}
				p.streams[id].want(t, "200", "hello")
				if p.goAways[0].lastID != id {
					t.Errorf("GOAWAY for streams up to %d, want %d", p.goAways[0].lastID, id)
				}
				p.wantCleanEnd()
				return true
			})
		})
	})
}

// TestIdleTimeoutHearsPing has a connection send PING, and outlive one beside it
// that is silent.
func TestIdleTimeoutHearsPing(t *testing.T) {
	t.Parallel()
	const timeout = 2 * time.Second
	ts := newServer(t, loop.Config{IdleTimeout: timeout, Loops: 1}, hello)
	for _, tr := range transports {
		t.Run(string(tr), func(t *testing.T) {
			t.Parallel()
			p, silent := openOn(t, connectTo(t, ts, tr)), openOn(t, connectTo(t, ts, tr))
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				_, _ = io.Copy(io.Discard, silent.nc)
			}()
			last := time.Now()
			for after := 0; after < 5; {
				p.out = frames.AppendPing(p.out, frames.Ping{})
				_ = p.tryFlush()
				for n := p.pings; p.pings == n; {
					if p.step() {
						continue
					}
					if time.Since(last) > timeout/2 {
						t.Skip("this machine is too slow for this test")
					}
					t.Fatalf("%v although PING was sent; %s", p.err, p.summary())
				}
				last = time.Now()
				select {
				case <-ended:
					after++
				case <-time.After(timeout / 20):
				}
			}
		})
	}
}

// TestIdleTimeoutAfterStream sees a connection be idle from the end of its last
// stream, and not from when octets last came.
func TestIdleTimeoutAfterStream(t *testing.T) {
	t.Parallel()
	const timeout = 2 * time.Second // this machine may stand still before the request
	handles := make(chan loop.Async, 1)
	ts := newServer(t, loop.Config{IdleTimeout: timeout}, func(srv *loop.Server) {
		srv.Handle("/", func(x *loop.Exchange) { handles <- x.Async() })
	})
	p := ts.open(cleartext)
	p.credit = false // no octets come after the request
	id := p.get("/")
	async := wait(t, "the handle", handles)
	time.Sleep(timeout * 19 / 10) // shortly before the second time that the timer looks
	begin := time.Now()
	if err := async.Do(func(x *loop.Exchange) { _ = x.SendString(200, "later") }); err != nil {
		t.Fatal(err)
	}
	p.answer(id).want(t, "200", "later")
	if len(p.goAways) > 0 {
		t.Error("GOAWAY while a stream is open")
	}
	p.untilClosed()
	wantGoAway(t, p, frames.ErrCodeNo)
	// The loop's clock has ticks, and may be late.
	if took := time.Since(begin); took < timeout/2 {
		t.Errorf("closed %v after the response", took)
	}
}

func connectTo(t *testing.T, ts *testServer, tr transport) net.Conn {
	t.Helper()
	nc := dialAddr(t, "tcp", ts.addr(tr))
	if tr == overTLS {
		return tls.Client(nc, clientTLS("h2"))
	}
	return nc
}
