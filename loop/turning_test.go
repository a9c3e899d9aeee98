package loop_test

import (
	"slices"
	"testing"
	"time"

	"github.com/h2loop/h2loop/loop"
)

// TestStuck finds the loop that a callback blocks.
func TestStuck(t *testing.T) {
	free, entered := make(chan struct{}), make(chan int, 1)
	ts := newServer(t, loop.Config{SlowCallback: -1}, func(srv *loop.Server) {
		srv.Handle("/block", func(x *loop.Exchange) {
			entered <- x.Loop()
			<-free
			_ = x.SendString(200, "at last")
		})
	})
	p := ts.open(cleartext)
	if stuck := ts.srv.Stuck(patience); stuck != nil {
		t.Errorf("loops %d are stuck", stuck)
	}
	id := p.get("/block")
	p.flush()
	at := wait(t, "the callback", entered)
	eventually(t, "the other loop to turn in time", func() bool {
		stuck := ts.srv.Stuck(50 * time.Millisecond)
		if !slices.Contains(stuck, at) {
			t.Fatalf("loops %d are stuck, and not %d", stuck, at)
		}
		return len(stuck) == 1
	})
	close(free)
	p.answer(id).want(t, "200", "at last")
	if stuck := ts.srv.Stuck(patience); stuck != nil {
		t.Errorf("loops %d are stuck", stuck)
	}
}
