package loop_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/iotest"
	"time"

	"github.com/h2loop/h2loop/h2"
	"github.com/h2loop/h2loop/loop"
)

// TestBodyReader reads bodies of many lengths from goroutines.
func TestBodyReader(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.Handle("/", func(x *loop.Exchange) {
			async := x.Async()
			r, err := x.BodyReader()
			if err != nil {
				t.Error(err)
			}
			odd := x.RawQuery() != ""
			go func() {
				var from io.Reader = r
				if odd {
					from = iotest.HalfReader(r)
				}
				body, err := io.ReadAll(from)
				if err != nil {
					t.Error(err)
				}
				if n, err := r.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
					t.Errorf("%d octets behind the end: %v", n, err)
				}
				_ = async.Do(func(x *loop.Exchange) {
					for name, value := range r.Trailers {
						_ = x.SetHeader("trailer-"+name, value)
					}
					_ = x.SendStatic(200, body)
				})
			}()
		})
	})
	ts.forEachVersion(t, func(t *testing.T, c *http.Client) {
		ts.t = t
		for _, tr := range transports {
			for _, query := range []string{"", "?odd"} {
				for _, n := range []int{0, 1, 100, 70_000, 1 << 20} {
					body := pattern(n)
					wantSame(t, ts.do(c, "POST", ts.url(tr, "/"+query), bytes.NewReader(body)).body, body)
					wantSame(t, ts.do(c, "POST", ts.url(tr, "/"+query), io.MultiReader(bytes.NewReader(body)), "expect", "100-continue").body, body)
				}
			}
		}
	})
	p := ts.open(cleartext)
	ts.t = t
	id := p.post("/")
	p.data(id, []byte("body"), false)
	p.trailers(id, "x-sum", "1")
	a := p.answer(id)
	a.want(t, "200", "body")
	if a.get("trailer-x-sum") != "1" {
		t.Error(a.fields)
	}
}

// TestBodyReaderHoldsCredit sees credit return as the body is read and not before,
// and what becomes of a reader whose exchange ends.
func TestBodyReaderHoldsCredit(t *testing.T) {
	t.Parallel()
	const window = 64 << 10
	readers := make(chan *loop.BodyReader, 1)
	ts := newServer(t, loop.Config{Loops: 1, HTTP2: h2.Config{StreamWindow: window, MaxStreamWindow: window}}, func(srv *loop.Server) {
		srv.Handle("/", func(x *loop.Exchange) {
			r, _ := x.BodyReader()
			readers <- r
		})
	})
	p := ts.open(cleartext)
	id := p.post("/")
	a, r := p.streams[id], wait(t, "the reader", readers)
	body := pattern(window)
	p.data(id, body, false)
	p.ping()
	if a.granted != 0 {
		t.Errorf("%d octets of credit without a Read", a.granted)
	}
	got := make([]byte, window)
	if _, err := io.ReadFull(r, got); err != nil {
		t.Error(err)
	}
	wantSame(t, got, body)
	p.until("credit", func() bool { return a.granted == window })

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if n, err := r.ReadContext(ctx, got); n != 0 || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("read %d octets: %v", n, err)
	}
	p.data(id, []byte("the last"), false)
	p.ping()
	p.cancel(id)
	p.ping()
	rest, err := io.ReadAll(r)
	if string(rest) != "the last" || !errors.Is(err, h2.ErrPeerReset) {
		t.Errorf("read %q: %v", rest, err)
	}

	id = p.post("/")
	a, r = p.streams[id], wait(t, "the reader", readers)
	p.data(id, body, false)
	p.ping()
	for range 2 {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	p.until("credit", func() bool { return a.granted == window })
	p.data(id, body, false)
	p.until("credit", func() bool { return a.granted == 2*window })
	if _, err := r.Read(got); !errors.Is(err, loop.ErrClosed) {
		t.Error(err)
	}
	p.cancel(id)
}
