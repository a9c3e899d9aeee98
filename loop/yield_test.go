package loop

import (
	"testing"
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
