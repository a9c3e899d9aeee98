package loop_test

import (
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/h2"
	"github.com/h2loop/h2loop/loop"
)

// TestConnectionsAreSpread sees that connections go to the loops by turns.
func TestConnectionsAreSpread(t *testing.T) {
	t.Parallel()
	const loops, conns = 3, 60
	// Which loop a callback runs on shows in the order of what runs there: a
	// callback that waits for one of each loop to arrive holds its loop until
	// then, and all loops only if the connections are spread.
	var mu sync.Mutex
	arrived := 0
	all := make(chan struct{})
	ts := newServer(t, loop.Config{Loops: loops}, func(srv *loop.Server) {
		srv.Handle("/meet", func(x *loop.Exchange) {
			mu.Lock()
			if arrived++; arrived == loops {
				close(all)
			}
			mu.Unlock()
			<-all
			_ = x.SendString(200, "met")
		})
		hello(srv)
	})
	defer func() {
		select {
		case <-all:
		default:
			close(all) // a test that fails must not hang
		}
	}()
	var peers []*peer
	for range loops {
		peers = append(peers, ts.open(cleartext))
	}
	for _, p := range peers {
		p.get("/meet")
	}
	for _, p := range peers {
		p.answer(1).want(t, "200", "met")
	}
	// Many more, of which some leave.
	for i := range conns {
		p := ts.open(transports[i%2])
		p.fetch("/").want(t, "200", "hello")
		if i%3 == 0 {
			_ = p.nc.Close()
		}
	}
}

// TestBusyLoop has a callback hold one of two loops: the connections of the other
// go on, and so do accepts.
func TestBusyLoop(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}), make(chan struct{})
	ts := newServer(t, loop.Config{Loops: 2}, func(srv *loop.Server) {
		hello(srv)
		srv.Handle("/block", func(x *loop.Exchange) {
			close(entered)
			<-leave
			_ = x.SendString(200, "blocked")
		})
	})
	release := sync.OnceFunc(func() { close(leave) })
	defer release()
	a, b := ts.open(cleartext), ts.open(cleartext)
	b.fetch("/").want(t, "200", "hello")
	a.get("/block")
	wait(t, "the callback", entered)
	// b is on the other loop, since connections are spread.
	for range 10 {
		b.fetch("/").want(t, "200", "hello")
	}
	// One new connection of each listener may have to wait for the busy loop, and
	// takes one acceptor with it; no others do.
	const dials = 40
	var served sync.WaitGroup
	done := make(chan struct{}, dials)
	for i := range dials {
		nc := connectTo(t, ts, transports[i%2])
		served.Go(func() {
			_, _ = nc.Write([]byte(h2.Preface))
			if _, err := io.ReadFull(nc, make([]byte, frames.HeaderLen)); err == nil {
				done <- struct{}{} // the server's SETTINGS
			}
		})
	}
	for i := range dials - len(transports) {
		wait(t, fmt.Sprintf("connection %d beside a busy loop", i), done)
	}
	release()
	a.answer(1).want(t, "200", "blocked")
	for range transports {
		wait(t, "the last connections", done)
	}
	served.Wait()
}
