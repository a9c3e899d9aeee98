package loop_test

import (
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/loop"
)

// TestAsync answers from other goroutines.
func TestAsync(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.Handle("/{n}", func(x *loop.Exchange) {
			async, n := x.Async(), x.PathValue("n")
			if async.Done() {
				t.Error("done before the answer")
			}
			go func() {
				err := async.Do(func(x *loop.Exchange) {
					if got := x.PathValue("n"); got != n {
						t.Errorf("the exchange is that of %s, want %s", got, n)
					}
					_ = x.SendString(200, n)
				})
				if err != nil {
					t.Error(err)
				}
			}()
		})
	})
	forEachTransport(t, func(t *testing.T, tr transport) {
		ts.t = t
		p := ts.open(tr)
		for round := range 5 {
			var ids []frames.StreamID
			for n := range 200 {
				ids = append(ids, p.headers("GET", fmt.Sprintf("/%d", round*1000+n), true))
			}
			p.flush()
			for n, id := range ids {
				p.answer(id).want(t, "200", strconv.Itoa(round*1000+n))
			}
		}
	})
}

// TestAsyncOrder sees what one goroutine posts run in that order, also when it
// is more than gnet keeps in order.
func TestAsyncOrder(t *testing.T) {
	t.Parallel()
	const posts = 10_000
	handles := make(chan loop.Async, 1)
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.Handle("/", func(x *loop.Exchange) { handles <- x.Async() })
	})
	p := ts.open(cleartext)
	id := p.get("/")
	async := wait(t, "the handle", handles)
	next := 0 // for the loop only
	for n := range posts {
		err := async.Do(func(x *loop.Exchange) {
			if n != next {
				t.Errorf("post %d runs in place %d", n, next)
			}
			if next++; next == posts {
				_ = x.SendString(200, "in order")
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	p.answer(id).want(t, "200", "in order")
}

// TestAsyncIsExactlyOnce posts from many goroutines while streams are reset,
// connections close and the server ends. What Do has accepted is called once,
// with the exchange or with nil; what it refuses is not called.
func TestAsyncIsExactlyOnce(t *testing.T) {
	t.Parallel()
	var accepted, refused, alive, over atomic.Int64
	post := func(async loop.Async) (ok bool) {
		err := async.Do(func(x *loop.Exchange) {
			if x == nil {
				over.Add(1)
			} else {
				alive.Add(1)
			}
		})
		switch {
		case err == nil:
			accepted.Add(1)
			return true
		case errors.Is(err, loop.ErrClosed):
			refused.Add(1)
		default:
			t.Error(err)
		}
		return false
	}
	var posters sync.WaitGroup
	ended := make(chan struct{})
	// The exchanges are never answered: the drain has to cut them off.
	ts := newServer(t, loop.Config{DrainTimeout: 100 * time.Millisecond}, func(srv *loop.Server) {
		srv.Handle("/some", func(x *loop.Exchange) {
			async := x.Async()
			posters.Go(func() {
				for range 50 {
					post(async)
					_ = async.Resume() // may fail, must not hurt
					_ = async.Done()
				}
			})
		})
		srv.Handle("/until-refused", func(x *loop.Exchange) {
			async := x.Async()
			posters.Go(func() {
				for post(async) {
					runtime.Gosched()
				}
				<-ended
				if err := async.Resume(); !errors.Is(err, loop.ErrClosed) {
					t.Errorf("Resume after the end: %v", err)
				}
				if !async.Done() {
					t.Error("not Done after the end")
				}
			})
		})
	})
	for round := range 20 {
		p := openOn(t, ts.connect(cleartext))
		for range 50 {
			id := p.get("/some")
			if round%2 == 0 {
				p.cancel(id)
			}
		}
		if round%10 == 0 {
			p.get("/until-refused")
		}
		p.ping()
		if round%4 < 2 {
			_ = p.nc.Close() // others stay open until the server ends
		}
	}
	ts.shutdown()
	close(ended)
	posters.Wait()
	if got := alive.Load() + over.Load(); got != accepted.Load() {
		t.Errorf("%d posts were accepted, %d calls were made", accepted.Load(), got)
	}
	if refused.Load() == 0 || alive.Load() == 0 || over.Load() == 0 {
		t.Errorf("%d posts were refused, %d calls had an exchange, %d had none: the test shows too little",
			refused.Load(), alive.Load(), over.Load())
	}
}

// TestAsyncAfterEnd uses handles of exchanges that ended in every way there is.
func TestAsyncAfterEnd(t *testing.T) {
	t.Parallel()
	handles := make(chan loop.Async, 1)
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.Handle("/answered", func(x *loop.Exchange) {
			handles <- x.Async()
			_ = x.SendString(200, "answered")
		})
		srv.Handle("/held", func(x *loop.Exchange) { handles <- x.Async() })
	})
	check := func(t *testing.T) {
		async := wait(t, "the handle", handles)
		eventually(t, "Done", async.Done)
		if err := async.Resume(); !errors.Is(err, loop.ErrClosed) {
			t.Errorf("Resume: %v", err)
		}
		called := make(chan *loop.Exchange, 1)
		if err := async.Do(func(x *loop.Exchange) { called <- x }); err != nil {
			t.Errorf("Do: %v", err)
		}
		if x := wait(t, "the call", called); x != nil {
			t.Error("called with an exchange")
		}
	}
	t.Run("answered", func(t *testing.T) {
		openOn(t, ts.connect(cleartext)).fetch("/answered")
		check(t)
	})
	t.Run("reset", func(t *testing.T) {
		p := openOn(t, ts.connect(cleartext))
		p.cancel(p.get("/held"))
		check(t)
	})
	t.Run("connection closed", func(t *testing.T) {
		p := openOn(t, ts.connect(cleartext))
		p.get("/held")
		p.ping()
		_ = p.nc.Close()
		check(t)
	})
	t.Run("connection error", func(t *testing.T) {
		p := openOn(t, ts.connect(cleartext))
		p.get("/held")
		p.out = frames.AppendWindowUpdate(p.out, frames.WindowUpdate{})
		p.flush()
		p.untilClosed()
		check(t)
	})
	var zero loop.Async
	if !zero.Done() || !errors.Is(zero.Resume(), loop.ErrClosed) ||
		!errors.Is(zero.Do(func(*loop.Exchange) { t.Error("called") }), loop.ErrClosed) {
		t.Error("the zero Async does something")
	}
}

// TestAsyncResume lets a source say that nothing is ready, and go on when it is.
func TestAsyncResume(t *testing.T) {
	t.Parallel()
	type feed struct {
		async loop.Async
		lines chan string // taken by Pull without waiting
	}
	feeds := make(chan feed, 1)
	open := func(x *loop.Exchange) {
		f := feed{x.Async(), make(chan string, 10)}
		src := sourceFunc{pull: func(int) ([]byte, bool, error) {
			select {
			case line, more := <-f.lines:
				return []byte(line), !more, nil
			default:
				return nil, false, nil
			}
		}}
		_ = x.SendSource(200, -1, src)
		feeds <- f
	}
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) { srv.Handle("/", open) })
	forEachTransport(t, func(t *testing.T, tr transport) {
		p := openOn(t, ts.connect(tr))
		id := p.get("/")
		a := p.streams[id]
		f := wait(t, "the feed", feeds)
		p.until("the header section", func() bool { return a.fields != nil })
		want := ""
		for i := range 100 {
			line := fmt.Sprintf("line %d\n", i)
			want += line
			f.lines <- line
			if i%2 == 0 { // wakes for nothing do no harm
				_ = f.async.Resume()
			}
			if err := f.async.Resume(); err != nil {
				t.Fatal(err)
			}
			p.until("the line", func() bool { return string(a.body) == want })
		}
		close(f.lines)
		if err := f.async.Resume(); err != nil {
			t.Fatal(err)
		}
		p.answer(id).want(t, "200", want)
		eventually(t, "Done", f.async.Done)
		if err := f.async.Resume(); !errors.Is(err, loop.ErrClosed) {
			t.Errorf("Resume after the end: %v", err)
		}
	})
}

// TestResumeOnLoop has one exchange resume another, on the same loop.
func TestResumeOnLoop(t *testing.T) {
	t.Parallel()
	var listener *loop.Exchange // for the loop only
	var said []byte
	ts := newServer(t, loop.Config{Loops: 1}, func(srv *loop.Server) {
		srv.Handle("GET /listen", func(x *loop.Exchange) {
			x.Async()
			listener = x
			_ = x.SendSource(200, 5, sourceFunc{pull: func(int) ([]byte, bool, error) {
				p := said
				said = nil
				return p, false, nil
			}})
		})
		srv.Handle("GET /say/{what}", func(x *loop.Exchange) {
			said = []byte(x.PathValue("what"))
			if err := listener.Resume(); err != nil {
				t.Error(err)
			}
			_ = x.SendString(200, "said")
		})
	})
	listening, speaking := ts.open(cleartext), ts.open(cleartext)
	id := listening.get("/listen")
	listening.until("the header section", func() bool { return listening.streams[id].fields != nil })
	speaking.fetch("/say/abc").want(t, "200", "said")
	listening.until("the first words", func() bool { return string(listening.streams[id].body) == "abc" })
	speaking.fetch("/say/de").want(t, "200", "said")
	listening.answer(id).want(t, "200", "abcde")
}
