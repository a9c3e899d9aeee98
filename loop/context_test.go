package loop_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/h2"
	"github.com/h2loop/h2loop/loop"
)

// TestContextEnds ends exchanges in every way there is. The context ends, and who
// wants to learn of an abort does so where it is one.
func TestContextEnds(t *testing.T) {
	t.Parallel()
	type held struct {
		ctx   context.Context
		async loop.Async
		abort chan error
	}
	exchanges := make(chan held, 1)
	ts := newServer(t, loop.Config{Loops: 1, DrainTimeout: 100 * time.Millisecond}, func(srv *loop.Server) {
		srv.Handle("/", func(x *loop.Exchange) {
			h := held{x.Context(), x.Async(), make(chan error, 1)}
			if x.Context() != h.ctx || h.async.Context() != h.ctx {
				t.Error("another context")
			}
			_ = x.OnAbort(func(err error) { h.abort <- err })
			exchanges <- h
		})
	})
	ended := func(t *testing.T, h held, cause error) {
		t.Helper()
		wait(t, "the end of the context", h.ctx.Done())
		if got := context.Cause(h.ctx); !errors.Is(got, cause) {
			t.Errorf("cause %v, want %v", got, cause)
		}
		if h.async.Context().Err() == nil {
			t.Error("another context, which has not ended")
		}
		if errors.Is(cause, loop.ErrClosed) {
			settle(t, h.async)
			if len(h.abort) != 0 {
				t.Errorf("aborted: %v", <-h.abort)
			}
			return
		}
		if err := wait(t, "the call", h.abort); !errors.Is(err, cause) {
			t.Errorf("aborted: %v, want %v", err, cause)
		}
	}
	t.Run("answered", func(t *testing.T) {
		p := openOn(t, ts.connect(cleartext))
		id := p.get("/")
		h := wait(t, "the request", exchanges)
		if h.ctx.Err() != nil {
			t.Error("ended before the answer")
		}
		_ = h.async.Do(func(x *loop.Exchange) { _ = x.SendString(200, "answer") })
		p.answer(id).want(t, "200", "answer")
		ended(t, h, loop.ErrClosed)
	})
	t.Run("reset by the client", func(t *testing.T) {
		p := openOn(t, ts.connect(cleartext))
		p.cancel(p.get("/"))
		ended(t, wait(t, "the request", exchanges), h2.ErrPeerReset)
	})
	t.Run("reset by us", func(t *testing.T) {
		p := openOn(t, ts.connect(cleartext))
		p.get("/")
		h := wait(t, "the request", exchanges)
		_ = h.async.Do(func(x *loop.Exchange) { _ = x.Reset(frames.ErrCodeCancel) })
		ended(t, h, h2.ErrReset)
	})
	t.Run("connection closed", func(t *testing.T) {
		p := openOn(t, ts.connect(cleartext))
		p.get("/")
		h := wait(t, "the request", exchanges)
		_ = p.nc.Close()
		ended(t, h, h2.ErrConnClosed)
	})
	t.Run("drain", func(t *testing.T) {
		p := openOn(t, ts.connect(cleartext))
		p.get("/")
		h := wait(t, "the request", exchanges)
		ts.shutdown()
		ended(t, h, h2.ErrConnClosed)
	})
	var zero loop.Async
	if zero.Context().Err() == nil {
		t.Error("the context of the zero Async has not ended")
	}
}

// TestOnDone is told of the end of exchanges, in order, once, and survives a panic.
func TestOnDone(t *testing.T) {
	t.Parallel()
	done := make(chan string, 4)
	ts := newServer(t, loop.Config{Loops: 1}, func(srv *loop.Server) {
		srv.Handle("/{what}", func(x *loop.Exchange) {
			what := x.PathValue("what")
			_ = x.OnDone(func() { done <- what })
			_ = x.OnDone(func() { done <- "last" })
			switch what {
			case "answered":
				_ = x.SendString(200, what)
			case "panics":
				_ = x.OnDone(func() { panic("on purpose") })
				_ = x.SendString(200, what)
			default:
				x.Async()
			}
		})
	})
	ts.expectLog("on purpose")
	want := func(what string) {
		t.Helper()
		for _, want := range []string{what, "last"} {
			if got := wait(t, "the end", done); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
	}
	p := ts.open(cleartext)
	p.answer(p.get("/answered")).want(t, "200", "answered")
	want("answered")
	p.answer(p.get("/panics")).want(t, "200", "panics")
	want("panics")
	id := p.get("/reset")
	p.cancel(id)
	want("reset")
	p.get("/closed")
	_ = p.nc.Close()
	want("closed")
}

// TestContextRaces asks for contexts from many goroutines while exchanges end and
// begin anew. None is missed, and none ends with another's exchange.
func TestContextRaces(t *testing.T) {
	t.Parallel()
	var waiting sync.WaitGroup
	ts := newServer(t, loop.Config{Loops: 1}, func(srv *loop.Server) {
		srv.Handle("/held", func(x *loop.Exchange) {
			ctx, async := x.Context(), x.Async()
			waiting.Go(func() {
				if ctx.Err() != nil && !async.Done() {
					t.Error("the context has ended before its exchange")
				}
				<-ctx.Done()
				async.Done()
			})
		})
		srv.Handle("/", func(x *loop.Exchange) {
			async := x.Async()
			for range 2 {
				waiting.Go(func() {
					ctx := async.Context()
					_ = async.Do(func(x *loop.Exchange) {
						if x != nil {
							_ = x.SendString(200, "answer")
						}
					})
					<-ctx.Done()
				})
			}
		})
	})
	p := ts.open(cleartext)
	for range 20 {
		var ids []frames.StreamID
		for range 50 {
			ids = append(ids, p.headers("GET", "/", true))
			id := p.headers("GET", "/held", true)
			p.cancel(id)
		}
		p.flush()
		for _, id := range ids {
			p.answer(id).want(t, "200", "answer")
		}
	}
	done := make(chan struct{})
	go func() { waiting.Wait(); close(done) }()
	wait(t, "every context to end", done)
}
