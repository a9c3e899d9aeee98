package loop_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/loop"
)

// badFrame is a connection error: WINDOW_UPDATE with an increment of 0.
func badFrame() []byte { return frames.AppendWindowUpdate(nil, frames.WindowUpdate{}) }

// wantCleanEnd fails the test unless the connection has ended with FIN, and over
// TLS with close_notify.
func (p *peer) wantCleanEnd() {
	p.t.Helper()
	if p.err != io.EOF { //nolint:errorlint // wrapped, it would be another end
		p.t.Errorf("the connection ended with %v, want EOF", p.err)
	}
}

// TestSection5_4_1_GoAwayArrives makes a connection error and goes on sending:
// closing at once would destroy GOAWAY on its way.
func TestSection5_4_1_GoAwayArrives(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{}, hello)
	for _, tt := range []struct {
		name  string
		after int
		clean bool
		reads bool // while it sends
	}{
		{"nothing follows", 0, true, false},
		{"a megabyte follows", 1<<20 - 1<<14, true, false},
		{"ten megabytes follow", 10 << 20, false, true},
		{"ten megabytes follow, sent before any is read", 10 << 20, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := append(badFrame(), make([]byte, tt.after)...)
			stoodStill := false // the machine
			forEachTransport(t, func(t *testing.T, tr transport) {
				arrived := 0
				for range rounds {
					ts.t = t
					p := ts.open(tr)
					p.get("/")
					begin := time.Now()
					sent := p.send(b, tt.reads)
					p.untilClosed()
					wantGoAway(t, p, frames.ErrCodeProtocol)
					err := wait(t, "the end of sending", sent)
					switch {
					case !tt.clean:
					case time.Since(begin) > time.Second:
						stoodStill = true // the server waits for what follows for 2 s
					default:
						p.wantCleanEnd()
						if err != nil {
							t.Errorf("sending: %v", err)
						}
					}
					if len(p.goAways) == 1 {
						arrived++
					}
					_ = p.nc.Close()
				}
				t.Logf("%d of %d have seen GOAWAY", arrived, rounds)
			})
			counted := func() bool { return ts.srv.Stats().Limits["linger"] > 0 }
			if tt.clean {
				time.Sleep(200 * time.Millisecond) // Stats may be 100 ms old
				if counted() && !stoodStill {
					t.Error("a limit was crossed")
				}
			} else {
				eventually(t, "it is counted", counted)
			}
		})
	}
}

// send sends b, whatever the windows are, and says on the channel what came of
// it: before it returns, or beside what the test goes on to do.
func (p *peer) send(b []byte, beside bool) <-chan error {
	sent := make(chan error, 1)
	write := func() {
		_, err := p.nc.Write(b)
		sent <- err
	}
	if beside {
		go write()
	} else {
		write()
	}
	return sent
}

// TestCloseNotify sees TLS ended as it should be (RFC 8446, Section 6.1). The
// records of TLS 1.2 show that they are alerts.
func TestCloseNotify(t *testing.T) {
	t.Parallel()
	const alert = 21
	ts := newServer(t, loop.Config{}, hello)
	seen := &recordingConn{Conn: ts.dial(overTLS)}
	cfg := clientTLS("h2")
	cfg.MaxVersion = tls.VersionTLS12
	p := openOn(t, tls.Client(seen, cfg))
	p.out = append(p.out, badFrame()...)
	p.flush()
	p.untilClosed()
	wantGoAway(t, p, frames.ErrCodeProtocol)
	last := byte(0)
	for b := seen.read; len(b) >= 5; b = b[5+int(binary.BigEndian.Uint16(b[3:])):] {
		last = b[0]
	}
	if last != alert {
		t.Errorf("the last record has type %d, want an alert", last)
	}
}

// A recordingConn keeps what was read.
type recordingConn struct {
	net.Conn
	read []byte
}

func (c *recordingConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.read = append(c.read, b[:n]...)
	return n, err
}

// TestAnswerArrives refuses a body of 10 MiB while the peer sends it, and the
// peer sees the answer: the connection does not close.
func TestAnswerArrives(t *testing.T) {
	t.Parallel()
	const length = 10 << 20
	ts := newServer(t, loop.Config{}, bodyRoutes)
	whole := frames.AppendData(nil, frames.Data{StreamID: 1, Data: make([]byte, frames.DefaultMaxFrameSize)})
	whole = bytes.Repeat(whole, length/frames.DefaultMaxFrameSize)
	for _, tt := range []struct {
		name     string
		declared bool // content-length
		send     func(t *testing.T, p *peer, id frames.StreamID) <-chan error
	}{
		{"as windows allow", false, sendAllowed},
		{"as windows allow, declared", true, sendAllowed},
		{"whatever the windows are", false, func(_ *testing.T, p *peer, _ frames.StreamID) <-chan error {
			return p.send(whole, true)
		}},
		{"whatever the windows are, before any is read", true, func(_ *testing.T, p *peer, _ frames.StreamID) <-chan error {
			return p.send(whole, false)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			forEachTransport(t, func(t *testing.T, tr transport) {
				arrived := 0
				for range rounds {
					ts.t = t
					p := ts.open(tr)
					var declared []string
					if tt.declared {
						declared = []string{"content-length", strconv.Itoa(length)}
					}
					id := p.post("/read/1000", declared...)
					sent := tt.send(t, p, id)
					a := p.streams[id]
					p.until("413 and the reset", func() bool { return a.ended && a.reset })
					a.want(t, "413", "Content Too Large\n")
					if a.code != frames.ErrCodeNo {
						t.Errorf("reset with %v, want NO_ERROR", a.code)
					}
					if err := wait(t, "the end of sending", sent); err != nil {
						t.Errorf("sending: %v", err)
					}
					p.answer(p.post("/early")).want(t, "200", "early")
					if a.status() == "413" && len(p.goAways) == 0 {
						arrived++
					}
					_ = p.nc.Close()
				}
				t.Logf("%d of %d have seen 413 and were served again", arrived, rounds)
			})
		})
	}
}

// sendAllowed sends as much of a body as the server's windows allow, until they
// open no more or the answer is there.
func sendAllowed(t *testing.T, p *peer, id frames.StreamID) <-chan error {
	t.Helper()
	a := p.streams[id]
	const piece = 16384
	for sent := int64(0); !a.done(); {
		left := min(int64(p.settings[frames.SettingInitialWindowSize])+a.granted, 65535+p.granted) - sent
		if left < piece {
			break
		}
		p.data(id, make([]byte, piece), false)
		sent += piece
	}
	sent := make(chan error)
	close(sent)
	return sent
}

// TestPeerLeaves closes the connection in the middle of bodies: everything is
// given back, once.
func TestPeerLeaves(t *testing.T) {
	t.Parallel()
	var owned, source, pulled atomic.Int32
	handles := make(chan loop.Async, 100)
	body := pattern(bigLen)
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.Handle("/owned", func(x *loop.Exchange) { _ = x.SendOwned(200, body, func() { owned.Add(1) }) })
		srv.Handle("/source", func(x *loop.Exchange) {
			_ = x.SendSource(200, -1, sourceFunc{
				pull: func(limit int) ([]byte, bool, error) {
					pulled.Add(1)
					return body[:limit], false, nil
				},
				release: func() { source.Add(1) },
			})
		})
		srv.Handle("/async", func(x *loop.Exchange) { handles <- x.Async() })
		srv.Handle("POST /upload", func(x *loop.Exchange) {
			handles <- x.Async()
			_ = x.ReadBody(0, func(*loop.Exchange, []byte) { t.Error("a body that was not whole is handed on") })
		})
	})
	leave := map[string]func(p *peer, raw net.Conn){
		"FIN": func(p *peer, raw net.Conn) { _ = raw.Close() },
		"reset": func(p *peer, raw net.Conn) {
			_ = raw.(*net.TCPConn).SetLinger(0)
			_ = raw.Close()
		},
		"half-close": func(p *peer, raw net.Conn) { _ = raw.(*net.TCPConn).CloseWrite() },
		"close_notify": func(p *peer, _ net.Conn) {
			_ = p.nc.Close()
		},
		"GOAWAY": func(p *peer, raw net.Conn) {
			p.out = frames.AppendGoAway(p.out, frames.GoAway{})
			p.flush()
			p.ping()
			_ = raw.Close()
		},
	}
	for name, leave := range leave {
		t.Run(name, func(t *testing.T) {
			forEachTransport(t, func(t *testing.T, tr transport) {
				owned.Store(0)
				source.Store(0)
				raw := dialAddr(t, "tcp", ts.addr(tr))
				nc := raw
				if tr == overTLS {
					nc = tls.Client(raw, clientTLS("h2"))
				}
				p := openOn(t, nc, initialWindow(1<<30))
				p.credit = false
				p.grant(0, 1<<30)
				for range 3 {
					p.get("/owned")
					p.get("/source")
					p.get("/async")
					p.data(p.post("/upload", "content-length", "100"), []byte("not whole"), false)
				}
				p.until("some of it", func() bool { return len(p.streams[1].body) > 0 && len(p.streams[3].body) > 0 })
				p.ping() // every request has come
				leave(p, raw)
				eventually(t, "three releases of each kind", func() bool { return owned.Load() >= 3 && source.Load() >= 3 })
				for range 6 {
					async := wait(t, "the handle", handles)
					eventually(t, "Done", async.Done)
				}
				n := pulled.Load()
				time.Sleep(time.Millisecond)
				if owned.Load() != 3 || source.Load() != 3 {
					t.Errorf("%d releases of owned bodies, %d of sources; want 3 of each", owned.Load(), source.Load())
				}
				if pulled.Load() != n {
					t.Error("a source is pulled after its release")
				}
			})
		})
	}
}

// TestHalfClose sends a request and FIN: the answer is what the socket takes in
// that turn.
func TestHalfClose(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{}, hello)
	for range 20 {
		p := openOn(t, dialAddr(t, "tcp", ts.addr(cleartext)))
		id := p.headers("GET", "/", true)
		p.flush()
		if err := p.nc.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		p.untilClosed()
		p.streams[id].want(t, "200", "hello")
		p.wantCleanEnd()
	}
}

// TestGoAwayBehindSlowReader makes a connection error while megabytes wait for a
// reader that is slow, and not stopped: all that was sent arrives, also if the
// reader goes on sending.
func TestGoAwayBehindSlowReader(t *testing.T) {
	t.Parallel()
	body := pattern(bigLen)
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.Handle("/", func(x *loop.Exchange) { _ = x.SendStatic(200, body) })
	})
	for name, after := range map[string]int{"nothing follows": 0, "ten megabytes follow": 10 << 20} {
		t.Run(name, func(t *testing.T) {
			forEachTransport(t, func(t *testing.T, tr transport) {
				t.Parallel()
				slow := dialSlow(t, ts.addr(tr))
				var nc net.Conn = slow
				if tr == overTLS {
					nc = tls.Client(slow, clientTLS("h2"))
				}
				p := openOn(t, nc, initialWindow(1<<30))
				p.credit = false
				p.grant(0, 1<<30)
				p.get("/")
				time.Sleep(500 * time.Millisecond) // fills the socket
				p.credit = after == 0              // what a closed socket gets it answers with a reset
				slow.begin(3)
				sent := p.send(append(badFrame(), make([]byte, after)...), true)
				p.untilClosed()
				wantGoAway(t, p, frames.ErrCodeProtocol)
				if after == 0 {
					p.wantCleanEnd()
				}
				_ = p.nc.Close()
				_ = wait(t, "the end of sending", sent)
				if slow.pauses > 0 {
					t.Log("so little was on its way that the test shows nothing")
				}
			})
		})
	}
}

// TestLingerHasAnEnd makes a connection error, and then takes what was sent before
// it little by little, without end: that is bounded like before the end.
func TestLingerHasAnEnd(t *testing.T) {
	t.Parallel()
	cfg := loop.Config{SendLowWater: -1} // so that the kernel takes megabytes
	cfg.HTTP2.StallTimeout, cfg.HTTP2.MinBodyRate = 4*time.Second, 1<<30
	ts := newServer(t, cfg, func(srv *loop.Server) {
		srv.Handle("/", func(x *loop.Exchange) { _ = x.SendStatic(200, pattern(bigLen)) })
	})
	slow := dialSlow(t, ts.addr(cleartext))
	p := openOn(t, slow, initialWindow(1<<30))
	p.credit = false
	p.grant(0, 1<<30)
	p.get("/")
	time.Sleep(500 * time.Millisecond) // fills the socket
	p.out = append(p.out, badFrame()...)
	p.flush()
	counted := func() bool { return ts.srv.Stats().Limits["linger"] == 1 }
	piece := make([]byte, 64<<10)
	for took := 0; !counted(); took++ {
		time.Sleep(300 * time.Millisecond)
		if _, err := io.ReadFull(slow, piece); err == nil {
			continue
		}
		time.Sleep(300 * time.Millisecond) // Stats may be 100 ms old
		switch {
		case counted():
		case took > 40:
			t.Errorf("it is waited for for %d times 0.3 s, and about six seconds are allowed", took)
		default:
			t.Skip("so little was on its way that the test shows nothing")
		}
		return
	}
}

// dialSlow connects with a small receive buffer, so that it is the server's
// kernel that holds what is not read yet.
func dialSlow(t *testing.T, addr string) *slowConn {
	t.Helper()
	d := net.Dialer{Control: func(_, _ string, rc syscall.RawConn) error {
		var err error
		return errors.Join(rc.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 128<<10)
		}), err)
	}}
	nc, err := d.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &slowConn{Conn: nc}
}

// A slowConn pauses for a second, half of what lingering allows, before each of
// the first 64 KiB pieces that are read once that has begun.
type slowConn struct {
	net.Conn
	pauses int
	left   int // octets of the piece
}

func (c *slowConn) begin(pauses int) { c.pauses, c.left = pauses, 0 }

func (c *slowConn) Read(b []byte) (int, error) {
	if c.pauses == 0 {
		return c.Conn.Read(b)
	}
	if c.left <= 0 {
		time.Sleep(time.Second)
		c.pauses--
		c.left = 64 << 10
	}
	n, err := c.Conn.Read(b[:min(len(b), c.left)])
	c.left -= n
	return n, err
}
