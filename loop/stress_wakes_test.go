package loop

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/panjf2000/gnet/v2"

	"github.com/h2loop/h2loop/frames"
)

// A stressWakes counts how often a loop is woken.
type stressWakes struct {
	gnet.EventLoop
	n atomic.Int64
}

func (w *stressWakes) Execute(ctx context.Context, r gnet.Runnable) error {
	w.n.Add(1)
	return w.EventLoop.Execute(ctx, r)
}

// TestStressAsyncWakes completes 10 000 requests from 100 goroutines while the client
// resets a third of them. No answer is lost, none is given twice, and what completes
// together shares a wake-up.
func TestStressAsyncWakes(t *testing.T) {
	const requests, workers, atOnce = 9999, 100, 99
	handles := make(chan Async, requests)
	var alive, over atomic.Int64
	srv := stressServe(t, Config{}, func(srv *Server) {
		srv.Handle("/", func(x *Exchange) { handles <- x.Async() })
	})
	p := stressDial(t, srv, 1<<30)
	wakes := &stressWakes{}
	stressOnLoop(t, srv, 0, func(l *eventLoop) {
		l.mu.Lock()
		defer l.mu.Unlock()
		wakes.EventLoop, l.self = l.self, wakes
	})
	var working sync.WaitGroup
	for range workers {
		working.Go(func() {
			for a := range handles {
				err := a.Do(func(x *Exchange) {
					if x == nil {
						over.Add(1)
						return
					}
					alive.Add(1)
					_ = x.SendString(200, "done")
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range requests / atOnce {
		var out []byte
		var ids []frames.StreamID
		for i := range atOnce {
			req, id := p.request("/")
			out = append(out, req...)
			if i%3 == 0 {
				out = frames.AppendRSTStream(out, frames.RSTStream{StreamID: id, Code: frames.ErrCodeCancel})
				continue
			}
			ids = append(ids, id)
		}
		p.write(out)
		left := map[frames.StreamID]bool{}
		for _, id := range ids {
			left[id] = true
		}
		for len(left) > 0 {
			if h, _ := p.frame(); h.Type == frames.TypeData && h.Flags.Has(frames.FlagEndStream) {
				if !left[h.StreamID] {
					t.Fatalf("stream %d was answered twice, or never asked", h.StreamID)
				}
				delete(left, h.StreamID)
			}
		}
	}
	stressWait(t, "every completion to be called", func() bool { return alive.Load()+over.Load() == requests })
	close(handles)
	working.Wait()
	t.Logf("%d completions, of which %d came too late, in %d wake-ups", requests, over.Load(), wakes.n.Load())
	if alive.Load() < requests*2/3 || over.Load() == 0 {
		t.Errorf("%d were answered, %d were over", alive.Load(), over.Load())
	}
	if n := wakes.n.Load(); n > requests/2 {
		t.Errorf("%d wake-ups for %d completions", n, requests)
	}
	stressOnLoop(t, srv, 0, func(l *eventLoop) {
		for c := l.conns.head; c != nil; c = c.next {
			if n := c.engine.OpenStreams(); n != 0 {
				t.Errorf("%d streams are open", n)
			}
		}
	})
}
