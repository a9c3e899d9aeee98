package loop

import (
	"context"
	"testing"
	"time"
)

// TestBlockingWait answers what has waited for too long without its handler.
func TestBlockingWait(t *testing.T) {
	calls := make(chan string, 10)
	handler := func(_ context.Context, x *Exchange) error {
		calls <- x.Path()
		return x.SendString(200, "")
	}
	srv := stressServe(t, Config{Loops: 1, BlockingWait: time.Hour}, func(srv *Server) {
		srv.HandleBlocking("/other", handler) // so that there are workers
		srv.Handle("/{since}", func(x *Exchange) {
			j := &blockingJob{x: x.OffLoop(), h: handler, since: time.Since(srv.started)}
			if x.PathValue("since") == "yesterday" {
				j.since -= 24 * time.Hour
			}
			if err := srv.workers.Add(j); err != nil {
				t.Error(err)
			}
		})
	})
	p := stressDial(t, srv, 1<<20)
	p.endOf(p.get("/yesterday"))
	p.endOf(p.get("/now"))
	if path := <-calls; path != "/now" || len(calls) != 0 {
		t.Errorf("the handler was called for %s, and %d more", path, len(calls))
	}
	stressWait(t, "it is counted", func() bool { return srv.Stats().Limits["workers"] == 1 })
	never := *srv.config()
	never.BlockingWait = -1
	srv.live.Store(&never)
	p.endOf(p.get("/yesterday"))
	if path := <-calls; path != "/yesterday" {
		t.Errorf("the handler was called for %s", path)
	}
}
