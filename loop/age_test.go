package loop_test

import (
	"testing"
	"time"

	"github.com/h2loop/h2loop/loop"
)

// TestMaxConnRequests ends a connection in order with its third request, and
// answers that, and those that cross the warning.
func TestMaxConnRequests(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{MaxConnRequests: 3}, hello)
	forEachTransport(t, func(t *testing.T, tr transport) {
		p := openOn(t, connectTo(t, ts, tr))
		for range 2 {
			p.fetch("/").want(t, "200", "hello")
		}
		if p.ping(); p.isDraining() {
			t.Error("GOAWAY after two requests")
		}
		third, fourth := p.headers("GET", "/", true), p.headers("GET", "/", true)
		p.flush()
		p.answer(third).want(t, "200", "hello")
		p.answer(fourth).want(t, "200", "hello")
		p.untilClosed()
		p.wantTwoSteps(fourth)
		p.wantCleanEnd()
	})
	eventually(t, "it is counted", func() bool { return ts.srv.Stats().Limits["connection_requests"] == uint64(len(transports)) })
}

// TestMaxConnAge ends a connection in order once it is old, and not before; what
// is open then is answered.
func TestMaxConnAge(t *testing.T) {
	t.Parallel()
	const age = 2 * time.Second // this machine may stand still before the request
	begun := make(chan loop.Async, 10)
	ts := newServer(t, loop.Config{MaxConnAge: age}, func(srv *loop.Server) {
		srv.Handle("/wait", func(x *loop.Exchange) { begun <- x.Async() })
	})
	forEachTransport(t, func(t *testing.T, tr transport) {
		begin := time.Now()
		p := openOn(t, connectTo(t, ts, tr))
		id := p.get("/wait")
		async := wait(t, "the request", begun)
		p.until("the warning", p.isDraining)
		if took := time.Since(begin); took < age*8/10 {
			t.Errorf("GOAWAY after %v", took)
		}
		if err := async.Do(func(x *loop.Exchange) { _ = x.SendString(200, "old") }); err != nil {
			t.Fatal(err)
		}
		p.answer(id).want(t, "200", "old")
		p.untilClosed()
		p.wantTwoSteps(id)
		p.wantCleanEnd()
	})
	eventually(t, "it is counted", func() bool { return ts.srv.Stats().Limits["connection_age"] >= uint64(len(transports)) })
}
