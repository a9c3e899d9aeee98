package loop_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/h2"
	"github.com/h2loop/h2loop/loop"
)

// TestBlocking answers from workers in every way there is.
func TestBlocking(t *testing.T) {
	t.Parallel()
	big := pattern(1 << 20)
	released := make(chan bool, 1)
	handlers := map[string]loop.BlockingHandler{
		"string": func(_ context.Context, x *loop.Exchange) error { return x.SendString(200, x.PathValue("kind")) },
		"send": func(_ context.Context, x *loop.Exchange) error {
			p := bytes.Clone(big)
			err := x.Send(200, p)
			clear(p)
			return err
		},
		"static": func(_ context.Context, x *loop.Exchange) error { return x.SendStatic(200, big) },
		"owned": func(_ context.Context, x *loop.Exchange) error {
			return x.SendOwned(200, big, func() { released <- true })
		},
		"json": func(_ context.Context, x *loop.Exchange) error {
			if x.SendJSON(200, func() {}) == nil {
				return errors.New("a function as JSON")
			}
			return x.SendJSON(200, x.Query())
		},
		"redirect": func(_ context.Context, x *loop.Exchange) error { return x.Redirect(303, "/elsewhere") },
		"source": func(_ context.Context, x *loop.Exchange) error {
			rest := big
			return x.SendSource(200, int64(len(big)), sourceFunc{pull: func(most int) ([]byte, bool, error) {
				p := rest[:min(most, len(rest))]
				rest = rest[len(p):]
				return p, len(rest) == 0, nil
			}})
		},
		"writer": func(_ context.Context, x *loop.Exchange) error {
			w, err := x.Writer(200, -1)
			if err != nil {
				return err
			}
			_ = w.AddTrailer("x-sum", "1")
			_, err = w.Write(big) // is closed by itself
			return err
		},
		"echo": func(_ context.Context, x *loop.Exchange) error {
			body, err := x.ReadAll(2 << 20)
			if err != nil {
				return err
			}
			return x.SendStatic(200, body)
		},
		"pipe": func(_ context.Context, x *loop.Exchange) error {
			r, err := x.BodyReader()
			if err != nil {
				return err
			}
			w, err := x.Writer(200, -1)
			if err != nil {
				return err
			}
			_, err = io.Copy(w, r)
			return err
		},
		"small":      func(_ context.Context, x *loop.Exchange) error { _, err := x.ReadAll(10); return err },
		"error":      func(_ context.Context, x *loop.Exchange) error { return errors.New("on purpose") },
		"unanswered": func(_ context.Context, x *loop.Exchange) error { return nil },
	}
	answers := map[string]string{
		"string": "string", "send": string(big), "static": string(big), "owned": string(big), "source": string(big),
		"json": `{"a":["1"]}`, "redirect": "", "writer": string(big), "echo": string(big), "pipe": string(big),
		"small": "Content Too Large\n", "error": "Internal Server Error\n", "unanswered": "Internal Server Error\n",
	}
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.HandleBlocking("/{kind}", func(ctx context.Context, x *loop.Exchange) error {
			_ = x.SetHeader("x-kind", x.PathValue("kind"))
			if ctx.Err() != nil || x.Answered() || x.OffLoop() != x {
				t.Error("not as it should be")
			}
			return handlers[x.PathValue("kind")](ctx, x)
		})
	})
	ts.expectLog("on purpose")
	ts.expectLog("callback returned without answering")
	ts.forEachVersion(t, func(t *testing.T, c *http.Client) {
		ts.t = t
		for _, tr := range transports {
			for kind, want := range answers {
				var body io.Reader
				method := "GET"
				if kind == "echo" || kind == "pipe" || kind == "small" {
					method, body = "POST", bytes.NewReader(big)
				}
				r := ts.do(c, method, ts.url(tr, "/"+kind+"?a=1"), body)
				wantSame(t, r.body, []byte(want))
				status := map[string]int{"redirect": 303, "small": 413, "error": 500, "unanswered": 500}[kind]
				if status == 0 {
					status = 200
					if r.Header.Get("x-kind") != kind {
						t.Errorf("%s: fields %v", kind, r.Header)
					}
				}
				if r.StatusCode != status {
					t.Errorf("%s: status %d, want %d", kind, r.StatusCode, status)
				}
				switch kind {
				case "owned":
					wait(t, "the release", released)
				case "writer":
					if r.Trailer.Get("x-sum") != "1" {
						t.Errorf("trailers %v", r.Trailer)
					}
				}
			}
			// A small body that nobody reads does no harm.
			for range 3 {
				ts.do(c, "POST", ts.url(tr, "/string"), strings.NewReader("unread")).want(t, 200, "string")
			}
		}
	})
}

// TestOffLoopAccessors asks an exchange off the loop about its request while others
// come and go on the same connection.
func TestOffLoopAccessors(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{Loops: 1}, func(srv *loop.Server) {
		srv.HandleBlocking("POST /{n}", func(ctx context.Context, x *loop.Exchange) error {
			time.Sleep(time.Millisecond)
			n := x.PathValue("n")
			for _, tt := range []struct{ what, got, want string }{
				{"Method", x.Method(), "POST"},
				{"Path", x.Path(), "/" + n},
				{"RawQuery", x.RawQuery(), "q=" + n},
				{"Query", x.Query().Get("q"), n},
				{"Host", x.Host(), "example.com"},
				{"Scheme", x.Scheme(), "http"},
				{"Proto", x.Proto(), "HTTP/2.0"},
				{"Pattern", x.Pattern(), "POST /{n}"},
				{"Header", x.Header("X-N"), n},
				{"ContentLength", fmt.Sprint(x.ContentLength()), "-1"},
				{"Context", fmt.Sprint(x.Context() == ctx && x.Async().Context() == ctx), "true"},
			} {
				if tt.got != tt.want {
					t.Errorf("%s is %q, want %q", tt.what, tt.got, tt.want)
				}
			}
			if x.TLS() != nil || !x.RemoteAddr().IsValid() || !x.LocalAddr().IsValid() {
				t.Error("of the connection")
			}
			for what, err := range map[string]error{
				"OnBody": x.OnBody(nil), "ReadBody": x.ReadBody(0, nil), "PauseBody": x.PauseBody(), "OnAbort": x.OnAbort(nil),
			} {
				if !errors.Is(err, loop.ErrOffLoop) {
					t.Errorf("%s: %v", what, err)
				}
			}
			if _, err := x.Stream(200, -1); !errors.Is(err, loop.ErrOffLoop) {
				t.Errorf("Stream: %v", err)
			}
			_ = x.Inform(103, loop.Field{Name: "link", Value: n})
			body, err := x.ReadAll(0)
			if err != nil || string(body) != n {
				t.Errorf("body %q: %v", body, err)
			}
			for name, value := range x.Trailers {
				_ = x.SetHeader("trailer-"+name, value)
			}
			_ = x.AddTrailer("x-n", n)
			if err := x.SendString(200, n); err != nil {
				return err
			}
			if err := x.SendString(200, n); !errors.Is(err, loop.ErrAnswered) && !errors.Is(err, loop.ErrClosed) {
				t.Error(err)
			}
			return nil
		})
	})
	p := ts.open(cleartext)
	var ids []frames.StreamID
	for i := range 100 {
		n := fmt.Sprint(i)
		id := p.post("/"+n+"?q="+n, "x-n", n)
		p.data(id, []byte(n), false)
		p.trailers(id, "x-t", n)
		ids = append(ids, id)
	}
	for i, id := range ids {
		n := fmt.Sprint(i)
		a := p.answer(id)
		a.want(t, "200", n)
		if a.get("trailer-x-t") != n || fieldOf(a.trailer, "x-n") != n ||
			len(a.interim) != 1 || fieldOf(a.interim[0], "link") != n {
			t.Errorf("%+v", a)
		}
	}
}

// TestBlockingBounds has every worker busy and the queue full: the loops go on, and
// who comes is told to come again. Who has left while waiting is not served.
func TestBlockingBounds(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	var served atomic.Int32
	ts := newServer(t, loop.Config{Loops: 1, BlockingWorkers: 2, BlockingQueue: 3}, func(srv *loop.Server) {
		srv.HandleBlocking("/slow", func(_ context.Context, x *loop.Exchange) error {
			served.Add(1)
			<-gate
			return x.SendString(200, "slow")
		})
		srv.Handle("/", say("hello"))
	})
	p := ts.open(cleartext)
	var ids []frames.StreamID
	for range 5 {
		ids = append(ids, p.get("/slow"))
	}
	for range 3 {
		a := p.fetch("/slow")
		a.want(t, "503", "Service Unavailable\n")
		if a.get("retry-after") == "" {
			t.Error(a.fields)
		}
	}
	id := p.post("/slow")
	p.data(id, []byte("a body"), true)
	p.answer(id).want(t, "503", "Service Unavailable\n")
	eventually(t, "they are counted", func() bool { return ts.srv.Stats().Limits["workers"] == 4 })
	p.fetch("/").want(t, "200", "hello")
	p.cancel(ids[4])
	p.ping()
	close(gate)
	for _, id := range ids[:4] {
		p.answer(id).want(t, "200", "slow")
	}
	p.fetch("/slow").want(t, "200", "slow")
	if n := served.Load(); n != 5 {
		t.Errorf("%d were served, want 5", n)
	}
}

// TestBlockingKeepsItsPlace has the peer reset requests whose handlers go on.
func TestBlockingKeepsItsPlace(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	began := make(chan context.Context, 2)
	ts := newServer(t, loop.Config{Loops: 1, HTTP2: h2.Config{MaxConcurrentStreams: 2}}, func(srv *loop.Server) {
		srv.HandleBlocking("/slow", func(ctx context.Context, x *loop.Exchange) error {
			began <- ctx
			<-ctx.Done()
			<-gate
			return ctx.Err()
		})
		srv.Handle("/", say("hello"))
	})
	p := ts.open(cleartext)
	for range 2 {
		id := p.get("/slow")
		ctx := wait(t, "the handler", began)
		p.cancel(id)
		wait(t, "the end of the context", ctx.Done())
	}
	p.fetch("/").wantReset(t, frames.ErrCodeRefusedStream)
	close(gate)
	eventually(t, "the places are free", func() bool {
		a := p.fetch("/")
		return a.status() == "200"
	})
}

// TestBlockingFails panics, exits and returns errors at every stage of a response. It
// costs the stream, and not the worker.
func TestBlockingFails(t *testing.T) {
	t.Parallel()
	for _, isolated := range []bool{false, true} {
		ts := newServer(t, loop.Config{Loops: 1, BlockingWorkers: 1, IsolateCallbacks: isolated}, func(srv *loop.Server) {
			srv.HandleBlocking("/{stage}/{how}", func(_ context.Context, x *loop.Exchange) error {
				if x.PathValue("stage") == "late" {
					w, _ := x.Writer(200, -1)
					_, _ = w.Write(make([]byte, 10_000))
				}
				switch x.PathValue("how") {
				case "panic":
					panic("on purpose")
				case "goexit":
					runtime.Goexit()
				}
				return errors.New("an error")
			})
			srv.HandleBlocking("/", func(_ context.Context, x *loop.Exchange) error { return x.SendString(200, "hello") })
			srv.OnError(func(x *loop.Exchange, err error) {
				switch x.Header("hook") {
				case "answers":
					_ = x.SendError(502, err.Error())
				case "panics":
					panic("in the hook")
				}
			})
		})
		ts.expectLog("on purpose")
		ts.expectLog("runtime.Goexit")
		ts.expectLog("an error")
		ts.expectLog("in the hook")
		p := ts.open(cleartext)
		for range 3 {
			for _, path := range []string{"/early/panic", "/early/goexit", "/late/panic", "/late/goexit", "/late/error"} {
				p.fetch(path).wantReset(t, frames.ErrCodeInternal)
				p.fetch("/").want(t, "200", "hello")
			}
			p.fetch("/early/error").want(t, "500", "Internal Server Error\n")
			p.fetch("/early/error", "hook", "answers").want(t, "502", "an error\n")
			p.fetch("/early/error", "hook", "panics").wantReset(t, frames.ErrCodeInternal)
		}
	}
}

// TestBlockingRaces resets a third of the streams while handlers read and write.
func TestBlockingRaces(t *testing.T) {
	t.Parallel()
	var running sync.WaitGroup
	ts := newServer(t, loop.Config{Loops: 1}, func(srv *loop.Server) {
		srv.HandleBlocking("/", func(_ context.Context, x *loop.Exchange) error {
			running.Add(1)
			defer running.Done()
			body, err := x.ReadAll(0)
			if err == nil {
				_ = x.SendStatic(200, body)
			}
			return nil
		})
	})
	p := ts.open(cleartext)
	for range 20 {
		var ids []frames.StreamID
		for i := range 60 {
			id := p.headers("POST", "/", false)
			ids = append(ids, id)
			p.flush()
			p.data(id, []byte("body"), true)
			if i%3 == 0 {
				p.cancel(id)
			}
		}
		for i, id := range ids {
			if i%3 != 0 {
				p.answer(id).want(t, "200", "body")
			}
		}
	}
	ts.shutdown()
	running.Wait()
}

// TestBlockingBehindAnswer has middleware answer, in full and in part, and call next all
// the same: the handler is not called.
func TestBlockingBehindAnswer(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{Loops: 1}, func(srv *loop.Server) {
		handler := func(context.Context, *loop.Exchange) error {
			t.Error("the handler is called")
			return nil
		}
		behind := func(answer loop.Handler) loop.Middleware {
			return func(next loop.Handler) loop.Handler {
				return func(x *loop.Exchange) {
					answer(x)
					next(x)
				}
			}
		}
		srv.HandleBlocking("/full", handler, behind(func(x *loop.Exchange) { _ = x.SendString(401, "full") }))
		srv.HandleBlocking("/part", handler, behind(func(x *loop.Exchange) {
			_ = x.SendSource(401, -1, sourceFunc{pull: func(int) ([]byte, bool, error) { return []byte("part"), true, nil }})
		}))
	})
	ts.expectLog("a request that was answered came to a blocking handler") // in part
	ts.forEachVersion(t, func(t *testing.T, c *http.Client) {
		ts.t = t
		for _, how := range []string{"full", "part"} {
			ts.do(c, "GET", ts.url(cleartext, "/"+how), nil).want(t, 401, how)
		}
	})
}

// TestOffLoopBehindAnswer takes an exchange off the loop that is over: what comes of that
// is over too, and stays so while others come.
func TestOffLoopBehindAnswer(t *testing.T) {
	t.Parallel()
	dead := make(chan *loop.Exchange, 1)
	ts := newServer(t, loop.Config{Loops: 1}, func(srv *loop.Server) {
		srv.Handle("/", func(x *loop.Exchange) {
			_ = x.SendString(200, "hello")
			select {
			case dead <- x.OffLoop():
			default:
			}
		})
	})
	p := ts.open(cleartext)
	p.fetch("/").want(t, "200", "hello")
	x := wait(t, "the exchange", dead)
	dead <- nil // no more of them
	for range 10 {
		p.get("/")
	}
	released := make(chan bool, 2)
	_, errWriter := x.Writer(200, -1)
	_, errReader := x.BodyReader()
	_, errAll := x.ReadAll(0)
	for what, err := range map[string]error{
		"SendString": x.SendString(200, ""), "Send": x.Send(200, nil), "SendJSON": x.SendJSON(200, 1),
		"SendOwned": x.SendOwned(200, nil, func() { released <- true }), "SetHeader": x.SetHeader("a", "b"),
		"Inform": x.Inform(103), "AddTrailer": x.AddTrailer("a", "b"), "Reset": x.Reset(0), "Resume": x.Resume(),
		"OnBody": x.OnBody(nil), "Writer": errWriter, "BodyReader": errReader, "ReadAll": errAll,
		"Do": x.Async().Do(nil), "context": context.Cause(x.Context()),
	} {
		if !errors.Is(err, loop.ErrClosed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	x.LongLived()
	wait(t, "the release", released)
	if !x.Answered() || x.OffLoop() != x || x.Method() != "" || x.Path() != "" || !x.RemoteAddr().IsValid() {
		t.Errorf("answered: %v, %q %q of %v", x.Answered(), x.Method(), x.Path(), x.RemoteAddr())
	}
}

// TestOffLoopReleaseOnLoop hands over what is not taken: what is given back is so on the
// loop, and not within the call.
func TestOffLoopReleaseOnLoop(t *testing.T) {
	t.Parallel()
	done := make(chan bool, 1)
	ts := newServer(t, loop.Config{Loops: 1}, func(srv *loop.Server) {
		srv.HandleBlocking("/", func(_ context.Context, x *loop.Exchange) error {
			released := make(chan bool) // nobody receives within the calls
			release := func() { released <- true }
			if err := x.SendSource(99, -1, sourceFunc{release: release}); !errors.Is(err, loop.ErrStatus) {
				t.Errorf("SendSource: %v", err)
			}
			<-released
			err := x.SendString(200, "hello")
			if err := x.SendOwned(200, nil, release); !errors.Is(err, loop.ErrAnswered) {
				t.Errorf("SendOwned: %v", err)
			}
			<-released
			done <- true
			return err
		})
	})
	p := ts.open(cleartext)
	id := p.get("/")
	wait(t, "the releases", done)
	p.answer(id).want(t, "200", "hello")
}
