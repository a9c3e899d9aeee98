package loop

import (
	"math"
	"runtime"
	"testing"
	"time"
)

// TestCalledAcceptors has acceptors called that wait for connections: they go back to
// that, and none is lost; and they end with the server.
func TestCalledAcceptors(t *testing.T) {
	srv := stressServe(t, Config{Loops: 2}, func(srv *Server) {
		srv.Handle("GET /", Static(200, "text/plain", []byte("small")))
	})
	for range 20 {
		for range 5 {
			for _, l := range srv.listeners {
				l.call()
			}
		}
		p := stressDial(t, srv, 1<<20)
		p.endOf(p.get("/"))
	}
	stressOnLoop(t, srv, 0, func(l *eventLoop) {
		l.callAcceptors()
		if len(l.backlogs) != len(srv.listeners) {
			t.Errorf("%d listeners are looked at, want %d", len(l.backlogs), len(srv.listeners))
		}
	})
}

// TestYield has a loop whose exchanges wait for goroutines let those run.
func TestYield(t *testing.T) {
	srv := stressServe(t, Config{Loops: 1}, func(srv *Server) {
		srv.Handle("GET /", func(x *Exchange) {
			a := x.Async()
			if !x.conn.loop.isAwaited {
				t.Error("the loop does not know that a goroutine is awaited")
			}
			go func() { _ = a.Do(func(x *Exchange) { _ = x.SendString(200, "late") }) }()
		})
	})
	p := stressDial(t, srv, 1<<20)
	p.endOf(p.get("/"))
	stressOnLoop(t, srv, 0, func(l *eventLoop) {
		l.isAwaited, l.yieldedAt = true, l.now-yieldEvery
		before := l.yieldedAt
		l.maybeYield()
		if l.isAwaited || l.yieldedAt <= before {
			t.Error("the loop has not yielded")
		}
	})
}

// TestLoopPause has a loop pause for others: that ends when all have had a turn, or when
// something is posted after a while.
func TestLoopPause(t *testing.T) {
	started := time.Now().Add(-time.Hour)
	p := newLoopPause(math.MaxInt)
	for range 100 {
		p.pause(time.Since(started)) // which ends by itself
	}
	p.close()

	p = &loopPause{ask: make(chan struct{}, 1), resume: make(chan struct{}, 1)} // nobody comes to ask
	p.posted(started)
	if len(p.resume) != 0 {
		t.Error("a pause ends that is none")
	}
	p.began.Store(int64(time.Since(started) + time.Hour))
	p.posted(started)
	if len(p.resume) != 0 {
		t.Error("it has just begun, and ends")
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.pause(time.Since(started) - yieldEvery)
	}()
	for len(p.ask) == 0 {
		runtime.Gosched()
	}
	p.posted(started)
	<-ended
	if p.end(); len(p.resume) != 0 {
		t.Error("it ends twice")
	}
	if newLoopPause(0) != nil {
		t.Error("a loop pauses where there are CPUs for others")
	}
}
