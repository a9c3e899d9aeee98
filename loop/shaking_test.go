package loop

import (
	"testing"
	"time"
)

// TestHandshakesTakeTurns has the step of a handshake wait for its turn when another has
// just run. Those whose address is known go first, and the last of them.
func TestHandshakesTakeTurns(t *testing.T) {
	srv := stressServe(t, Config{Loops: 1}, func(srv *Server) {
		srv.Handle("GET /", Static(200, "text/plain", []byte("small")))
	})
	stressOnLoop(t, srv, 0, func(l *eventLoop) {
		// A step that ends a while from now runs right before all of these, however slow
		// the machine is.
		l.shookAt = time.Since(l.srv.started) + time.Hour
		var conns []*conn
		for i := range 5 {
			c := &conn{loop: l, ticket: &ticket{isKnown: i == 1 || i == 3}}
			if c.mayStep() || !c.isStepping {
				t.Error("a step runs right behind another")
			}
			conns = append(conns, c)
		}
		for _, want := range []int{3, 1, 4, 2, 0} {
			if c := l.shaking.pop(); c != conns[want] {
				t.Errorf("the next is not number %d", want)
			}
		}
		if !l.shaking.isEmpty() || l.shaking.pop() != nil {
			t.Error("others wait")
		}
		l.shookAt = 0
		if c := (&conn{loop: l}); !c.mayStep() {
			t.Error("the first step has to wait")
		}

		l.shookAt = time.Since(l.srv.started) + time.Hour
		for i := range conns {
			conns[i].mayStep()
		}
		l.shakeOne() // none of them is open any more
		if !l.shaking.isEmpty() {
			t.Error("the line waits for what has ended")
		}
	})
}
