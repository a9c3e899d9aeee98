package loop_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/h2"
	"github.com/h2loop/h2loop/loop"
)

// An upload is what a paused callback has seen so far. It is for the loop only.
type upload struct {
	async  loop.Async
	got    []byte
	pieces int
	ended  bool
}

// do runs f on the loop of the upload and waits for it.
func (u *upload) do(t *testing.T, f func(x *loop.Exchange)) {
	t.Helper()
	done := make(chan struct{})
	if err := u.async.Do(func(x *loop.Exchange) { defer close(done); f(x) }); err != nil {
		t.Fatal(err)
	}
	wait(t, "the loop", done)
}

// TestPauseBody pauses a body: what the windows allow comes and is kept, nothing is
// handed on and no credit returns; then everything goes on, over and over.
func TestPauseBody(t *testing.T) {
	t.Parallel()
	const window = 64 << 10
	uploads := make(chan *upload, 1)
	ts := newServer(t, loop.Config{Loops: 1, HTTP2: h2.Config{StreamWindow: window, MaxStreamWindow: window}}, func(srv *loop.Server) {
		srv.Handle("/", func(x *loop.Exchange) {
			u := &upload{async: x.Async()}
			_ = x.OnBody(func(x *loop.Exchange, p []byte, end bool) {
				u.got = append(u.got, p...)
				u.pieces++
				u.ended = u.ended || end
				if end {
					_ = x.Send(200, u.got)
				} else if err := x.PauseBody(); err != nil {
					t.Error(err)
				}
			})
			_ = x.PauseBody()
			uploads <- u
		})
	})
	forEachTransport(t, func(t *testing.T, tr transport) {
		ts.t = t
		p := ts.open(tr)
		id := p.post("/")
		a := p.streams[id]
		u := wait(t, "the upload", uploads)
		body := pattern(5*window + 17)
		for sent := 0; sent < len(body); {
			n := min(window, len(body)-sent)
			p.data(id, body[sent:sent+n], sent+n == len(body))
			granted := a.granted
			p.ping()
			if a.granted != granted {
				t.Fatalf("%d octets of credit came back although the body is paused", a.granted-granted)
			}
			u.do(t, func(x *loop.Exchange) {
				if len(u.got) != sent || u.ended {
					t.Errorf("%d octets were handed on, want %d", len(u.got), sent)
				}
				if err := x.ResumeBody(); err != nil {
					t.Error(err)
				}
				if len(u.got) != sent+n {
					t.Errorf("%d octets were handed on, want %d", len(u.got), sent+n)
				}
			})
			sent += n
			if sent < len(body) {
				p.until("credit", func() bool { return a.granted == int64(sent) })
			}
		}
		p.answer(id)
		wantSame(t, a.body, body)
		if u.pieces != 6 {
			t.Errorf("%d pieces, want one for each time it was resumed", u.pieces)
		}
	})
}

// TestPauseBeforeDemand pauses a body that is asked for only when it has come.
func TestPauseBeforeDemand(t *testing.T) {
	t.Parallel()
	uploads := make(chan *upload, 1)
	ts := newServer(t, loop.Config{Loops: 1}, func(srv *loop.Server) {
		srv.Handle("/", func(x *loop.Exchange) {
			_ = x.PauseBody()
			uploads <- &upload{async: x.Async()}
		})
	})
	for _, length := range []int{-1, 0, 5, 100_000} {
		for how, ask := range map[string]func(x *loop.Exchange){
			"ReadBody": func(x *loop.Exchange) {
				if err := x.ReadBody(0, func(x *loop.Exchange, body []byte) { _ = x.Send(200, body) }); err != nil {
					t.Error(err)
				}
			},
			"OnBody": func(x *loop.Exchange) {
				var all []byte
				err := x.OnBody(func(x *loop.Exchange, p []byte, end bool) {
					if all = append(all, p...); end {
						_ = x.Send(200, all)
					}
				})
				if err != nil {
					t.Error(err)
				}
			},
			"AfterBody": func(x *loop.Exchange) {
				x.AfterBody(func(x *loop.Exchange) { _ = x.Send(200, nil) })
			},
		} {
			for _, early := range []bool{true, false} { // the body comes before it is asked for
				t.Run(fmt.Sprint(how, length, early), func(t *testing.T) {
					p := openOn(t, ts.connect(cleartext))
					var id frames.StreamID
					var u *upload
					send := func() {
						if length >= 0 {
							sendPieces(p, id, pattern(length), 3000, rand.New(rand.NewPCG(1, 2)))
							p.ping()
						}
					}
					if length < 0 {
						id = p.get("/")
					} else {
						id = p.post("/")
					}
					u = wait(t, "the upload", uploads)
					if early {
						send()
					}
					u.do(t, ask)
					u.do(t, func(x *loop.Exchange) {
						if x == nil {
							return
						}
						if err := x.ResumeBody(); err != nil {
							t.Error(err)
						}
					})
					if !early {
						send()
					}
					a := p.answer(id)
					if a.status() != "200" {
						t.Errorf("status %s", a.status())
					}
					if how != "AfterBody" {
						wantSame(t, a.body, pattern(max(length, 0)))
					}
				})
			}
		}
	}
}

// TestPausedBodyIsThrownAway resumes bodies that nobody has asked for, and uses
// exchanges that are over.
func TestPausedBodyIsThrownAway(t *testing.T) {
	t.Parallel()
	uploads := make(chan *upload, 1)
	ts := newServer(t, loop.Config{Loops: 1, HTTP2: h2.Config{MaxUnreadTotal: 50_000}}, func(srv *loop.Server) {
		srv.Handle("/", func(x *loop.Exchange) {
			_ = x.PauseBody()
			uploads <- &upload{async: x.Async()}
		})
		srv.Handle("/hello", say("hello"))
	})
	p := ts.open(cleartext)
	id := p.post("/")
	u := wait(t, "the upload", uploads)
	p.data(id, pattern(50_000), false)
	p.ping()
	// What is kept counts as unread: there is no memory for another body.
	p.answer(p.post("/hello")).wantReset(t, frames.ErrCodeRefusedStream)
	u.do(t, func(x *loop.Exchange) {
		_ = x.ResumeBody()
		if err := x.OnBody(nil); !errors.Is(err, loop.ErrBodyGone) {
			t.Error(err)
		}
	})
	p.fetch("/hello").want(t, "200", "hello")
	u.do(t, func(x *loop.Exchange) { _ = x.SendString(200, "done") })
	p.answer(id).want(t, "200", "done")

	id = p.post("/")
	u = wait(t, "the upload", uploads)
	p.data(id, pattern(50_000), false)
	p.cancel(id)
	p.ping()
	u.do(t, func(x *loop.Exchange) {
		if x != nil {
			t.Error("not over")
		}
	})
	p.answer(p.post("/hello")).want(t, "200", "hello")
}
