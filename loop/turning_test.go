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
	if stuck := ts.srv.Stuck(50 * time.Millisecond); !slices.Equal(stuck, []int{at}) {
		t.Errorf("loops %d are stuck, want %d", stuck, at)
	}
	close(free)
	p.answer(id).want(t, "200", "at last")
	if stuck := ts.srv.Stuck(patience); stuck != nil {
		t.Errorf("loops %d are stuck", stuck)
	}
}
