package loop_test

import (
	"errors"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/loop"
)

// TestIdleSourceIsReleased resets a stream whose source has nothing to say, and
// closes the connection of another.
func TestIdleSourceIsReleased(t *testing.T) {
	t.Parallel()
	var released atomic.Int32
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.Handle("/", func(x *loop.Exchange) {
			_ = x.SendSource(200, -1, sourceFunc{
				pull:    func(int) ([]byte, bool, error) { return nil, false, nil },
				release: func() { released.Add(1) },
			})
		})
	})
	p := ts.open(cleartext)
	first, second := p.get("/"), p.get("/")
	p.until("both header sections", func() bool { return p.streams[first].fields != nil && p.streams[second].fields != nil })
	p.cancel(first)
	p.ping()
	if n := released.Load(); n != 1 {
		t.Errorf("%d releases after a reset", n)
	}
	_ = p.nc.Close()
	eventually(t, "the other release", func() bool { return released.Load() == 2 })
}

// TestResetWithinPull has a source end its own stream, and another one.
func TestResetWithinPull(t *testing.T) {
	t.Parallel()
	var other *loop.Exchange // for the loop only
	var released int
	ts := newServer(t, loop.Config{Loops: 1}, func(srv *loop.Server) {
		srv.Handle("/other", func(x *loop.Exchange) {
			x.Async()
			other = x
			_ = x.SendOwned(200, pattern(bigLen), func() { released++ })
		})
		srv.Handle("/own", func(x *loop.Exchange) {
			_ = x.SendSource(200, -1, sourceFunc{
				pull: func(int) ([]byte, bool, error) {
					if err := errors.Join(other.Reset(frames.ErrCodeCancel), x.Reset(frames.ErrCodeRefusedStream)); err != nil {
						t.Error(err)
					}
					return []byte("too late"), false, nil
				},
				release: func() { released++ },
			})
		})
		srv.Handle("/released", func(x *loop.Exchange) { _ = x.SendString(200, strconv.Itoa(released)) })
	})
	p := ts.open(cleartext)
	p.credit = false
	otherID := p.get("/other")
	p.until("what the window allows", func() bool { return len(p.streams[otherID].body) == 65535 })
	own := p.get("/own")
	p.grant(0, 1<<20)
	p.answer(own).wantReset(t, frames.ErrCodeRefusedStream)
	p.answer(otherID).wantReset(t, frames.ErrCodeCancel)
	p.fetch("/released").want(t, "200", "2")
}

// TestAnswerWithinRelease answers one client when the response of another has
// been sent, or was given up because that client has gone.
func TestAnswerWithinRelease(t *testing.T) {
	t.Parallel()
	var waiting *loop.Exchange // for the loop only
	ts := newServer(t, loop.Config{Loops: 1}, func(srv *loop.Server) {
		srv.Handle("/wait", func(x *loop.Exchange) {
			x.Async()
			waiting = x
		})
		srv.Handle("/owned", func(x *loop.Exchange) {
			_ = x.SendOwned(200, pattern(100_000), func() { _ = waiting.SendString(200, "now") })
		})
	})
	forEachTransport(t, func(t *testing.T, tr transport) {
		for _, leaves := range []bool{false, true} {
			p, q := openOn(t, connectTo(t, ts, tr)), openOn(t, connectTo(t, ts, tr))
			id := p.get("/wait")
			p.ping()
			q.credit = !leaves
			sent := q.get("/owned")
			if leaves {
				q.until("what the window allows", func() bool { return len(q.streams[sent].body) == 65535 })
				_ = q.nc.Close()
			} else {
				wantSame(t, q.answer(sent).body, pattern(100_000))
			}
			p.answer(id).want(t, "200", "now")
		}
	})
}

// TestAnswerWithinBody answers in the middle of a request body.
func TestAnswerWithinBody(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.Handle("POST /", func(x *loop.Exchange) {
			answered := false
			_ = x.OnBody(func(x *loop.Exchange, p []byte, end bool) {
				err := x.SendString(200, "enough")
				switch {
				case !answered && err != nil:
					t.Error(err)
				case answered && !errors.Is(err, loop.ErrAnswered):
					t.Errorf("a second answer: %v", err)
				}
				answered = true
			})
		})
	})
	forEachTransport(t, func(t *testing.T, tr transport) {
		p := openOn(t, connectTo(t, ts, tr))
		id := p.headers("POST", "/", false)
		for range 3 { // arrive together
			p.out = frames.AppendData(p.out, frames.Data{StreamID: id, Data: []byte("some")})
		}
		p.flush()
		a := p.answer(id)
		a.want(t, "200", "enough")
		p.until("RST_STREAM", func() bool { return a.reset })
		if a.code != frames.ErrCodeNo {
			t.Errorf("reset with %v, want NO_ERROR", a.code)
		}
		p.ping()
	})
}
