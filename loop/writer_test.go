package loop_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/loop"
)

// TestWriter writes bodies from goroutines, in pieces of many sizes.
func TestWriter(t *testing.T) {
	t.Parallel()
	body := pattern(1 << 20)
	ts := newServer(t, loop.Config{MaxStreamBuffer: 100_000}, func(srv *loop.Server) {
		srv.Handle("/{size}", func(x *loop.Exchange) {
			var size int
			_, _ = fmt.Sscan(x.PathValue("size"), &size)
			w, err := x.Writer(200, map[string]int64{"known": int64(len(body)), "": -1}[x.RawQuery()])
			if err != nil {
				t.Error(err)
			}
			go func() {
				for rest := body; len(rest) > 0; {
					p := rest[:min(size, len(rest))]
					if n, err := w.Write(p); n != len(p) || err != nil {
						t.Errorf("wrote %d of %d octets: %v", n, len(p), err)
						break
					}
					rest = rest[len(p):]
				}
				if err := w.AddTrailer("X-Sum", "1"); err != nil {
					t.Error(err)
				}
				for range 2 {
					if err := w.Close(); err != nil {
						t.Error(err)
					}
				}
				if _, err := w.Write([]byte("x")); !errors.Is(err, loop.ErrAnswered) {
					t.Error(err)
				}
			}()
		})
	})
	ts.forEachVersion(t, func(t *testing.T, c *http.Client) {
		ts.t = t
		for _, size := range []string{"1000", "70000", "10000000"} {
			for _, tr := range transports {
				for _, query := range []string{"", "?known"} {
					r := ts.do(c, "GET", ts.url(tr, "/"+size+query), nil)
					wantSame(t, r.body, body)
					if query == "" && r.Trailer.Get("x-sum") != "1" {
						t.Errorf("trailers %v", r.Trailer)
					}
					ts.do(c, "HEAD", ts.url(tr, "/"+size+query), nil).want(t, 200, "")
				}
			}
		}
	})
}

// TestWriterFlush sees what is flushed arrive while the response goes on.
func TestWriterFlush(t *testing.T) {
	t.Parallel()
	writers := make(chan *loop.Writer, 1)
	ts := newServer(t, loop.Config{Loops: 1}, func(srv *loop.Server) {
		srv.Handle("/", func(x *loop.Exchange) {
			w, _ := x.Writer(200, -1)
			writers <- w
		})
	})
	p := ts.open(cleartext)
	id := p.get("/")
	a, w := p.streams[id], wait(t, "the writer", writers)
	want := ""
	for i := range 20 {
		line := fmt.Sprintf("line %d\n", i)
		want += line
		_, _ = io.WriteString(w, line)
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		p.until("the line", func() bool { return string(a.body) == want })
	}
	_ = w.Close()
	p.answer(id).want(t, "200", want)
	eventually(t, "it is over", func() bool { return errors.Is(w.Flush(), loop.ErrClosed) })
}

// TestWriterWaits writes to a client that takes nothing: what is held is bounded,
// and whoever waits can give up, or learns that the client has.
func TestWriterWaits(t *testing.T) {
	t.Parallel()
	writers := make(chan *loop.Writer, 1)
	ts := newServer(t, loop.Config{Loops: 1, MaxStreamBuffer: 100_000}, func(srv *loop.Server) {
		srv.Handle("/", func(x *loop.Exchange) {
			w, _ := x.Writer(200, -1)
			writers <- w
		})
	})
	p := ts.open(cleartext)
	p.credit = false
	id := p.get("/")
	w := wait(t, "the writer", writers)
	body := pattern(1 << 20)
	type result struct {
		n   int
		err error
	}
	done := make(chan result, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		n, err := w.WriteContext(ctx, body)
		done <- result{n, err}
	}()
	eventually(t, "all that may be held is", func() bool { return ts.srv.Stats().HeldOutput == 100_000 })
	cancel()
	r := wait(t, "WriteContext", done)
	n := r.n
	if !errors.Is(r.err, context.Canceled) || n < 100_000 || n > 65_535+100_000 {
		t.Errorf("wrote %d octets: %v", n, r.err)
	}
	go func() {
		n, err := w.Write(body[n:])
		done <- result{n, err}
	}()
	p.credit = true
	p.grant(0, 65_535)
	p.grant(id, 65_535)
	a := p.streams[id]
	p.until("all of it", func() bool { return len(a.body) == len(body) })
	wantSame(t, a.body, body)
	if r := wait(t, "Write", done); r.n != len(body)-n || r.err != nil {
		t.Errorf("wrote %d octets: %v", r.n, r.err)
	}
	p.credit = false
	go func() {
		n, err := w.Write(body)
		done <- result{n, err}
	}()
	p.until("the window is used up", func() bool { return a.window == 0 || p.window == 0 })
	p.cancel(id)
	if r := wait(t, "Write", done); !errors.Is(r.err, loop.ErrClosed) {
		t.Errorf("wrote %d octets: %v", r.n, r.err)
	}
	if err := w.Close(); !errors.Is(err, loop.ErrClosed) {
		t.Error(err)
	}
	eventually(t, "nothing is held", func() bool { return ts.srv.Stats().HeldOutput == 0 })
}

// TestWriterLength writes more or less than was announced.
func TestWriterLength(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{Loops: 1}, func(srv *loop.Server) {
		srv.Handle("/{how}", func(x *loop.Exchange) {
			w, _ := x.Writer(200, 5)
			how := x.PathValue("how")
			go func() {
				_, _ = w.Write([]byte("123"))
				if _, err := w.Write([]byte("456")); !errors.Is(err, loop.ErrLength) {
					t.Error(err)
				}
				if how == "short" {
					if err := w.Close(); !errors.Is(err, loop.ErrLength) {
						t.Error(err)
					}
					return
				}
				_, _ = w.Write([]byte("45"))
				_ = w.Close()
			}()
		})
	})
	p := ts.open(cleartext)
	p.fetch("/short").wantReset(t, frames.ErrCodeInternal)
	p.fetch("/right").want(t, "200", "12345")
}
