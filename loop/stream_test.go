package loop_test

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/loop"
)

// pour writes rest to s whenever there is room, and then closes it.
func pour(t *testing.T, s *loop.Stream, rest []byte) {
	more := func(s *loop.Stream) {
		for len(rest) > 0 {
			n, err := s.TryWrite(rest[:min(len(rest), 10_000)])
			if err != nil {
				t.Error(err)
			}
			if rest = rest[n:]; n < 10_000 && len(rest) > 0 {
				return
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	s.OnWritable(more)
	more(s)
}

// TestStream pushes a large body to a client that takes it slowly, then fast.
func TestStream(t *testing.T) {
	t.Parallel()
	body := pattern(3 << 20)
	streams := make(chan *loop.Stream, 1)
	ts := newServer(t, loop.Config{Loops: 1, MaxStreamBuffer: 100_000}, func(srv *loop.Server) {
		srv.Handle("/", func(x *loop.Exchange) {
			s, err := x.Stream(200, map[string]int64{"known": int64(len(body)), "": -1}[x.RawQuery()])
			if err != nil {
				t.Error(err)
			}
			_ = x.AddTrailer("x-sum", "1")
			pour(t, s, body)
			streams <- s
		})
	})
	forEachTransport(t, func(t *testing.T, tr transport) {
		ts.t = t
		p := ts.open(tr)
		for _, path := range []string{"/", "/?known"} {
			id := p.get(path)
			a := p.answer(id)
			wantSame(t, a.body, body)
			if fieldOf(a.trailer, "x-sum") != "1" {
				t.Errorf("trailers %v", a.trailer)
			}
			wait(t, "the stream", streams)
			id = p.headers("HEAD", path, true)
			p.flush()
			p.answer(id).want(t, "200", "")
			wait(t, "the stream", streams)
		}
		p.credit = false
		id := p.get("/")
		a := p.streams[id]
		wait(t, "the stream", streams)
		p.until("the window is used up", func() bool { return a.window == 0 })
		eventually(t, "what is held is bounded", func() bool {
			held := ts.srv.Stats().HeldOutput
			return held > 90_000 && held <= 100_000
		})
		p.credit = true
		p.grant(0, 1<<20)
		p.grant(id, 50_000)
		p.answer(id)
		wantSame(t, a.body, body)
		eventually(t, "nothing is held", func() bool { return ts.srv.Stats().HeldOutput == 0 })
	})
}

// TestStreamFromElsewhere writes to a stream from another exchange of the loop,
// also when it is over.
func TestStreamFromElsewhere(t *testing.T) {
	t.Parallel()
	var s *loop.Stream // for the loop only
	say := func(x *loop.Exchange, text string, want error) {
		n, err := s.TryWrite([]byte(text))
		if !errors.Is(err, want) || err == nil && n != len(text) {
			t.Errorf("took %d of %q: %v, want %v", n, text, err, want)
		}
		_ = x.SendString(200, "said")
	}
	ts := newServer(t, loop.Config{Loops: 1}, func(srv *loop.Server) {
		srv.Handle("/listen", func(x *loop.Exchange) {
			_ = x.SetHeader("content-type", "text/event-stream")
			s, _ = x.Stream(200, -1)
		})
		srv.Handle("/say/{what}", func(x *loop.Exchange) { say(x, x.PathValue("what"), nil) })
		srv.Handle("/late", func(x *loop.Exchange) {
			say(x, "late", loop.ErrClosed)
			if err := s.Close(); !errors.Is(err, loop.ErrClosed) || s.Room() != 0 {
				t.Error(err, s.Room())
			}
		})
		srv.Handle("/end", func(x *loop.Exchange) {
			for range 2 {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}
			say(x, "behind the end", loop.ErrAnswered)
		})
	})
	listening, speaking := ts.open(cleartext), ts.open(cleartext)
	for range 3 {
		id := listening.get("/listen")
		a := listening.streams[id]
		listening.until("the header section", func() bool { return a.fields != nil })
		for _, word := range []string{"a", "bc", "def"} {
			speaking.fetch("/say/"+word).want(t, "200", "said")
			listening.until("the word", func() bool { return string(a.body[max(0, len(a.body)-len(word)):]) == word })
		}
		speaking.fetch("/end").want(t, "200", "said")
		listening.answer(id).want(t, "200", "abcdef")
		id = listening.get("/listen")
		listening.cancel(id)
		listening.ping()
		speaking.fetch("/late").want(t, "200", "said")
	}
}

// TestStreamLength writes more or less than was announced.
func TestStreamLength(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{Loops: 1}, func(srv *loop.Server) {
		srv.Handle("/{how}", func(x *loop.Exchange) {
			s, _ := x.Stream(200, 5)
			_, _ = s.TryWrite([]byte("123"))
			if _, err := s.TryWrite([]byte("456")); !errors.Is(err, loop.ErrLength) {
				t.Error(err)
			}
			if x.PathValue("how") == "short" {
				if err := s.Close(); !errors.Is(err, loop.ErrLength) {
					t.Error(err)
				}
				return
			}
			_, _ = s.TryWrite([]byte("45"))
			_ = s.Close()
		})
	})
	p := ts.open(cleartext)
	p.fetch("/short").wantReset(t, frames.ErrCodeInternal)
	p.fetch("/right").want(t, "200", "12345")
}

// TestStreamPanics panics where there is room again.
func TestStreamPanics(t *testing.T) {
	t.Parallel()
	for _, isolated := range []bool{false, true} {
		ts := newServer(t, loop.Config{Loops: 1, IsolateCallbacks: isolated}, func(srv *loop.Server) {
			srv.Handle("/panic", func(x *loop.Exchange) {
				s, _ := x.Stream(200, -1)
				s.OnWritable(func(*loop.Stream) { panic("on purpose") })
				_, _ = s.TryWrite(make([]byte, 1<<20))
			})
			srv.Handle("/", say("hello"))
		})
		ts.expectLog("on purpose")
		p := ts.open(cleartext)
		for range 3 {
			p.fetch("/panic").wantReset(t, frames.ErrCodeInternal)
			p.fetch("/").want(t, "200", "hello")
		}
	}
}

// TestStreamsShareMemory has a thousand clients that take nothing: each has enough
// to make some way, and all together no more than there is.
func TestStreamsShareMemory(t *testing.T) {
	t.Parallel()
	const most = 8 << 20
	ts := newServer(t, loop.Config{Loops: 1, MaxHeldOutput: most}, func(srv *loop.Server) {
		srv.Handle("/", func(x *loop.Exchange) {
			s, _ := x.Stream(200, -1)
			if n, err := s.TryWrite(make([]byte, 1<<20)); err != nil || n < 16<<10 {
				t.Errorf("took %d octets: %v", n, err)
			}
		})
	})
	for range 5 {
		p := ts.open(cleartext, frames.Setting{ID: frames.SettingInitialWindowSize, Value: 0})
		for range 200 {
			p.get("/")
		}
		p.ping()
	}
	eventually(t, "much is held", func() bool { return ts.srv.Stats().HeldOutput >= most/2 })
	time.Sleep(200 * time.Millisecond) // a tick
	if held := ts.srv.Stats().HeldOutput; held > most+1000*16<<10 {
		t.Errorf("%d octets are held", held)
	}
}

// TestStreamRoomIsTheProcess gives a stream its part of the memory of the whole process,
// however many loops there are.
func TestStreamRoomIsTheProcess(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{Loops: 8, MaxHeldOutput: 1 << 20}, func(srv *loop.Server) {
		srv.Handle("/", func(x *loop.Exchange) {
			s, _ := x.Stream(200, -1)
			_, _ = s.TryWrite([]byte(fmt.Sprint(s.Room())))
			_ = s.Close()
		})
	})
	ts.open(cleartext).fetch("/").want(t, "200", fmt.Sprint(1<<20/8))
}

// TestAbort gives responses up in the midst of their bodies, on the loop and off it,
// also while the client takes nothing.
func TestAbort(t *testing.T) {
	t.Parallel()
	errs := make(chan error, 10)
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.Handle("/stream", func(x *loop.Exchange) {
			s, _ := x.Stream(200, -1)
			_, _ = s.TryWrite(make([]byte, 64<<10))
			if s.Exchange() != x {
				t.Error("it does not know its exchange")
			}
			_ = x.OnAbort(func(error) {
				if s.Exchange() != nil {
					t.Error("it knows an exchange that is over")
				}
				errs <- s.Abort()
			})
			async := x.Async()
			_ = async.Do(func(*loop.Exchange) { errs <- s.Abort() })
		})
		srv.Handle("/writer", func(x *loop.Exchange) {
			w, _ := x.Writer(200, -1)
			go func() {
				_, err := w.Write(make([]byte, 8<<20))
				errs <- err
				errs <- w.Abort()
			}()
			go func() { errs <- w.Abort() }()
		})
	})
	for _, window := range []uint32{100, 1 << 20} {
		p := ts.open(cleartext, initialWindow(window))
		a := p.answer(p.get("/stream"))
		if !a.reset || a.code != frames.ErrCodeInternal {
			t.Errorf("stream: %v, %v", a.reset, a.code)
		}
		for _, want := range []error{nil, loop.ErrClosed} {
			if err := wait(t, "the stream", errs); !errors.Is(err, want) {
				t.Errorf("stream: %v, want %v", err, want)
			}
		}
		if a := p.answer(p.get("/writer")); !a.reset || a.code != frames.ErrCodeInternal {
			t.Errorf("writer: %v, %v", a.reset, a.code)
		}
		for range 3 {
			_ = wait(t, "the writer", errs)
		}
	}
	for _, path := range []string{"/stream", "/writer"} {
		resp, err := ts.clientHTTP1().Get(ts.url(cleartext, path))
		if err != nil {
			continue // before the header section
		}
		if _, err := io.Copy(io.Discard, resp.Body); err == nil {
			t.Errorf("%s: the body has an end", path)
		}
		_ = resp.Body.Close()
	}
}
