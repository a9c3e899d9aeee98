package loop

import (
	"testing"
	"time"

	"github.com/h2loop/h2loop/h2"
)

// TestIdleConnRests sees a connection give back what it does not need, once it has
// been idle for a while, and serve on.
func TestIdleConnRests(t *testing.T) {
	const every = 100 * time.Millisecond
	srv := stressServe(t, Config{HTTP2: h2.Config{KeepAliveTimeout: 4 * every}}, func(srv *Server) {
		srv.Handle("GET /", Static(200, "text/plain", []byte("small")))
	})
	p := stressDial(t, srv, 1<<20)
	c := stressConnOf(t, srv, p)
	rests := func() (yes bool) {
		stressOnLoop(t, srv, 0, func(*eventLoop) { yes = !c.h2.MayRest() })
		return yes
	}
	for range 3 {
		p.endOf(p.get("/"))
		stressWait(t, "the connection rests", rests)
		stressOnLoop(t, srv, 0, func(l *eventLoop) {
			if l.now < c.active+every {
				t.Errorf("it rests %v after it was active, want %v at least", l.now-c.active, every)
			}
			if next := c.timer.deadline; next < c.active+c.loop.srv.config().IdleTimeout-time.Second {
				t.Errorf("it is examined again %v after that, want when it is idle for too long", next-c.active)
			}
		})
	}
}
