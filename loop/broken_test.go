package loop

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/net/http2/hpack"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/h2"
)

// A faultySource stands for a fault of our own: it panics below what guards the
// application.
type faultySource struct{ released *atomic.Int32 }

func (faultySource) Pull(int) ([]byte, bool, error) { panic("fault in Fill") }
func (s faultySource) Release()                     { s.released.Add(1) }

// TestBroken has our own code panic in each of the ways into a loop. It costs
// the connection, whose exchanges end and whose bodies are given back; the
// neighbour goes on.
func TestBroken(t *testing.T) {
	panics := func() { panic("fault") }
	for name, fault := range map[string]func(x *Exchange, released *atomic.Int32){
		"Fill": func(x *Exchange, released *atomic.Int32) {
			_ = x.begin(200, -1)
			_ = x.conn.h2.WriteSource(x.h2, faultySource{released})
		},
		"Flushed": func(x *Exchange, released *atomic.Int32) {
			_ = x.begin(200, 1)
			released.Add(1) // which this one cannot be
			_ = x.conn.h2.WriteRegion(x.h2, []byte("x"), h2.ReleaseFunc(panics), true)
		},
		"timer": func(x *Exchange, released *atomic.Int32) {
			released.Add(1)
			c := x.conn
			c.timer.ring = func() { c.loop.guarded(c, func(*conn) { panics() }) }
			c.loop.wheel.arm(&c.timer, 0)
		},
		"Receive": func(x *Exchange, released *atomic.Int32) {
			released.Add(1)
			x.AfterBody(func(*Exchange) {})
			x.h2.App = 42 // no *Exchange
		},
	} {
		t.Run(name, func(t *testing.T) {
			var released atomic.Int32
			handles := make(chan Async, 1)
			log := zerolog.Nop()
			srv, err := New(Config{Listeners: []Listener{{Address: "127.0.0.1:0"}}, Loops: 1, Logger: &log})
			if err != nil {
				t.Fatal(err)
			}
			srv.Handle("/async", func(x *Exchange) { handles <- x.Async() })
			srv.Handle("/waits", func(x *Exchange) {
				_ = x.SendOwned(200, make([]byte, 1<<20), func() { released.Add(1) })
			})
			srv.Handle("/fault", func(x *Exchange) { fault(x, &released) })
			srv.Handle("/good", func(x *Exchange) { _ = x.SendString(200, "good") })
			ctx, cancel := context.WithCancel(context.Background())
			ended := make(chan error, 1)
			go func() { ended <- srv.Run(ctx) }()
			defer func() {
				cancel()
				if err := <-ended; err != nil {
					t.Errorf("Run: %v", err)
				}
			}()
			neighbour := brokenDial(t, srv)
			p := brokenDial(t, srv)
			p.request(1, "/async", true)
			p.request(3, "/waits", true)
			async := <-handles
			p.request(5, "/fault", false)
			p.data(5)
			// The connection closes, without another word or in the middle of one.
			if _, err := io.Copy(io.Discard, p.nc); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal("the connection does not close")
			}
			stressWait(t, "the async exchange to be over", async.Done)
			stressWait(t, "two releases", func() bool { return released.Load() == 2 })
			if n := srv.panics.Load(); n < 1 {
				t.Errorf("%d panics counted", n)
			}
			neighbour.request(1, "/good", true)
			neighbour.until(1)
			stressOnLoop(t, srv, 0, func(l *eventLoop) {
				if l.conns.n != 1 {
					t.Errorf("%d connections on the loop, want the neighbour", l.conns.n)
				}
			})
			_ = neighbour.nc.Close()
		})
	}
}

// A brokenPeer is a client that sends frames.
type brokenPeer struct {
	t  *testing.T
	nc net.Conn
}

func brokenDial(t *testing.T, srv *Server) *brokenPeer {
	t.Helper()
	nc, err := net.Dial("tcp", srv.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(stressPatience)); err != nil {
		t.Fatal(err)
	}
	p := &brokenPeer{t, nc}
	// A small window, so that a large body waits and does not use up the
	// connection's.
	p.send(frames.AppendSettings([]byte(h2.Preface), frames.Setting{ID: frames.SettingInitialWindowSize, Value: 1000}))
	return p
}

func (p *brokenPeer) send(b []byte) {
	p.t.Helper()
	if _, err := p.nc.Write(b); err != nil {
		p.t.Fatal(err)
	}
}

func (p *brokenPeer) request(id frames.StreamID, path string, end bool) {
	p.t.Helper()
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, f := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":authority", "a"}, {":path", path}} {
		if err := enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1], Sensitive: true}); err != nil {
			p.t.Fatal(err)
		}
	}
	h := frames.Header{Length: uint32(block.Len()), Type: frames.TypeHeaders, Flags: frames.FlagEndHeaders, StreamID: id}
	if end {
		h.Flags |= frames.FlagEndStream
	}
	p.send(append(frames.AppendHeader(nil, h), block.Bytes()...))
}

// data sends the end of a body; the server may have closed by then.
func (p *brokenPeer) data(id frames.StreamID) {
	h := frames.Header{Length: 4, Type: frames.TypeData, Flags: frames.FlagEndStream, StreamID: id}
	_, _ = p.nc.Write(append(frames.AppendHeader(nil, h), "body"...))
}

// until reads until the answer on stream id.
func (p *brokenPeer) until(id frames.StreamID) {
	p.t.Helper()
	for {
		head := make([]byte, frames.HeaderLen)
		if _, err := io.ReadFull(p.nc, head); err != nil {
			p.t.Fatal(err)
		}
		h, _ := frames.ParseHeader(head)
		if _, err := io.CopyN(io.Discard, p.nc, int64(h.Length)); err != nil {
			p.t.Fatal(err)
		}
		if h.Type == frames.TypeHeaders && h.StreamID == id {
			return
		}
	}
}
