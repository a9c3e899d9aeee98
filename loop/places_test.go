package loop_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/h2"
	"github.com/h2loop/h2loop/loop"
)

// TestWorkKeepsItsPlace has the peer reset requests whose work goes on. They count
// until who does the work has learned of it, by any of the ways there are.
func TestWorkKeepsItsPlace(t *testing.T) {
	t.Parallel()
	for name, learn := range map[string]func(a loop.Async){
		"Done":   func(a loop.Async) { a.Done() },
		"Do":     func(a loop.Async) { _ = a.Do(func(*loop.Exchange) {}) },
		"Resume": func(a loop.Async) { _ = a.Resume() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			handles := make(chan loop.Async, 10)
			ts := newServer(t, loop.Config{Loops: 1, HTTP2: h2.Config{MaxConcurrentStreams: 2}}, func(srv *loop.Server) {
				srv.Handle("/work", func(x *loop.Exchange) { handles <- x.Async() })
				srv.Handle("/", say("hello"))
			})
			p := ts.open(cleartext)
			var working []loop.Async
			for range 2 {
				id := p.get("/work")
				working = append(working, wait(t, "the request", handles))
				p.cancel(id)
			}
			p.answer(p.get("/")).wantReset(t, frames.ErrCodeRefusedStream)
			eventually(t, "it is counted", func() bool { return ts.srv.Stats().Limits["work"] == 1 })
			for range 3 { // no matter how often
				learn(working[0])
			}
			settle(t, working[0])
			p.fetch("/").want(t, "200", "hello")
			// Only one place is free.
			id := p.get("/work")
			wait(t, "the request", handles)
			p.answer(p.get("/")).wantReset(t, frames.ErrCodeRefusedStream)
			p.cancel(id)
			_ = p.nc.Close()
			eventually(t, "the connection is gone", func() bool { return ts.srv.Stats().Connections == 0 })
			learn(working[1])
			ts.open(cleartext).fetch("/").want(t, "200", "hello")
		})
	}
}

// settle waits for the loop to have done what it was asked to so far.
func settle(t *testing.T, a loop.Async) {
	t.Helper()
	done := make(chan struct{})
	if err := a.Do(func(*loop.Exchange) { close(done) }); err != nil {
		t.Fatal(err)
	}
	wait(t, "the loop", done)
}

// TestAnsweredWorkHasNoPlace resets requests that the application itself has
// ended: nothing goes on for them.
func TestAnsweredWorkHasNoPlace(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{Loops: 1, HTTP2: h2.Config{MaxConcurrentStreams: 2}}, func(srv *loop.Server) {
		srv.Handle("/reset", func(x *loop.Exchange) {
			x.Async()
			_ = x.Reset(frames.ErrCodeCancel)
		})
		srv.Handle("/answered", func(x *loop.Exchange) {
			x.Async()
			_ = x.SendStatic(200, pattern(1<<20))
		})
		srv.Handle("/", say("hello"))
	})
	p := ts.open(cleartext)
	p.credit = false
	for range 5 {
		p.answer(p.get("/reset")).wantReset(t, frames.ErrCodeCancel)
		id := p.get("/answered")
		p.ping()
		p.cancel(id)
	}
	p.grant(0, 1<<20)
	p.fetch("/").want(t, "200", "hello")
}

// TestHandlerKeepsItsPlaceBehindADeadline has the time for the response of a handler
// pass that does not return: with the client there, and behind its RST_STREAM.
func TestHandlerKeepsItsPlaceBehindADeadline(t *testing.T) {
	t.Parallel()
	for name, cancels := range map[string]bool{"the client waits": false, "the client has left": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begun, late := make(chan bool), make(chan bool)
			expire, release := make(chan bool), make(chan bool)
			ts := newServer(t, loop.Config{Loops: 1, HTTP2: h2.Config{MaxConcurrentStreams: 1}}, func(srv *loop.Server) {
				srv.Handle("/", say("hello"))
				srv.HandleHTTP("/work", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					begun <- true
					<-expire
					_ = http.NewResponseController(w).SetWriteDeadline(time.Unix(1, 0))
					late <- true
					<-release
				}))
			})
			p := ts.open(cleartext)
			id := p.get("/work")
			wait(t, "the handler", begun)
			if cancels {
				p.cancel(id)
				p.ping()
			}
			close(expire)
			wait(t, "the deadline", late)
			ts.turn()
			if !cancels {
				p.answer(id).wantReset(t, frames.ErrCodeInternal)
			}
			p.answer(p.get("/")).wantReset(t, frames.ErrCodeRefusedStream)
			close(release)
			eventually(t, "the handler has returned", func() bool { return ts.srv.Stats().HTTPHandlers == 0 })
			ts.turn()
			p.fetch("/").want(t, "200", "hello")
		})
	}
}

// turn waits until the loops have done what was posted to them so far.
func (ts *testServer) turn() {
	ts.t.Helper()
	if stuck := ts.srv.Stuck(patience); len(stuck) > 0 {
		ts.t.Fatalf("loops %d do not turn", stuck)
	}
}

// TestBodiesShareABudget gathers more bodies at once than there is memory for, and
// sees that it comes back.
func TestBodiesShareABudget(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{Loops: 1, HTTP2: h2.Config{MaxUnreadTotal: 100_000}}, func(srv *loop.Server) {
		srv.Handle("/", func(x *loop.Exchange) {
			_ = x.ReadBody(0, func(x *loop.Exchange, body []byte) { _ = x.SendString(200, string(body[:5])) })
		})
	})
	p := ts.open(cleartext)
	half := []byte(strings.Repeat("hello", 10_000))
	for range 3 {
		first, second, third := p.post("/"), p.post("/"), p.post("/")
		p.data(first, half, false)
		p.data(second, half[:40_000], false)
		p.data(third, half[:20_000], false)
		a := p.answer(third)
		a.want(t, "503", "Service Unavailable\n")
		if a.get("retry-after") == "" {
			t.Error("no retry-after")
		}
		p.data(first, half[:5000], true)
		p.answer(first).want(t, "200", "hello")
		p.cancel(second)
		p.ping()
	}
	eventually(t, "they are counted", func() bool { return ts.srv.Stats().Limits["bodies"] == 3 })
	id := p.post("/")
	p.data(id, half, true)
	p.answer(id).want(t, "200", "hello")
}

// TestBodiesShareABudgetOfAllLoops gathers more on one loop than its part of the
// budget would be: there is less for the other.
func TestBodiesShareABudgetOfAllLoops(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{Loops: 2, HTTP2: h2.Config{MaxUnreadTotal: 100_000}}, bodyRoutes)
	a, b := ts.open(cleartext), ts.open(cleartext) // connections are spread
	first, second := a.post("/read"), b.post("/read")
	a.data(first, pattern(80_000), false)
	a.ping()
	b.data(second, pattern(40_000), false)
	b.answer(second).want(t, "503", "Service Unavailable\n")
	a.data(first, nil, true)
	a.answer(first).want(t, "200", string(pattern(80_000)))
	second = b.post("/read")
	b.data(second, pattern(80_000), true)
	b.answer(second).want(t, "200", string(pattern(80_000)))
	eventually(t, "it is counted", func() bool { return ts.srv.Stats().Limits["bodies"] == 1 })
}
