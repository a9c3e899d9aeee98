package loop_test

import (
	"context"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rs/zerolog"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/loop"
)

// TestPanics panics wherever the application is called. It costs the stream, if
// that is still open, and neither its neighbours nor the process.
func TestPanics(t *testing.T) {
	big := pattern(1 << 20)
	var released atomic.Int32
	routes := map[string]loop.Handler{
		"handler":       func(*loop.Exchange) { panic("in handler") },
		"runtime error": func(x *loop.Exchange) { _ = []int(nil)[len(x.Method())] },
		"after answer": func(x *loop.Exchange) {
			_ = x.SendOwned(200, big, func() { released.Add(1) })
			panic("in after answer")
		},
		"async": func(x *loop.Exchange) {
			x.Async()
			panic("in async")
		},
		"OnBody": func(x *loop.Exchange) {
			_ = x.OnBody(func(*loop.Exchange, []byte, bool) { panic("in OnBody") })
		},
		"ReadBody": func(x *loop.Exchange) {
			_ = x.ReadBody(0, func(*loop.Exchange, []byte) { panic("in ReadBody") })
		},
		"AfterBody": func(x *loop.Exchange) {
			x.AfterBody(func(*loop.Exchange) { panic("in AfterBody") })
		},
		"Do": func(x *loop.Exchange) {
			_ = x.Async().Do(func(*loop.Exchange) { panic("in Do") })
		},
		"Pull": func(x *loop.Exchange) {
			_ = x.SendSource(200, -1, sourceFunc{
				pull:    func(int) ([]byte, bool, error) { panic("in Pull") },
				release: func() { released.Add(1) },
			})
		},
		"second Pull": func(x *loop.Exchange) {
			first := true
			_ = x.SendSource(200, 2000, sourceFunc{
				pull: func(int) ([]byte, bool, error) {
					if !first {
						panic("in second Pull")
					}
					first = false
					return big[:1500], false, nil
				},
				release: func() { released.Add(1) },
			})
		},
	}
	for name, h := range routes {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			released.Store(0)
			ts := newServer(t, loop.Config{Loops: 1}, func(srv *loop.Server) {
				srv.Handle("/panic", h)
				srv.Handle("/big", func(x *loop.Exchange) { _ = x.SendStatic(200, big) })
			})
			ts.expectLog("panic in a callback")
			p := ts.open(cleartext)
			neighbour := p.get("/big")
			id := p.post("/panic")
			p.data(id, []byte("body"), true)
			p.answer(id).wantReset(t, frames.ErrCodeInternal)
			wantSame(t, p.answer(neighbour).body, big)
			id = p.headers("HEAD", "/big", true)
			p.flush()
			p.answer(id).want(t, "200", "")
			if len(ts.log.find("panic in a callback", "/panic", "panic_test.go")) != 1 {
				t.Error("no log line that names the pattern and the place")
			}
			if name == "after answer" || strings.Contains(name, "Pull") {
				if n := released.Load(); n != 1 {
					t.Errorf("%d releases, want 1", n)
				}
			}
		})
	}
}

// TestPanicInRelease panics where a body is given back, when the response is on
// its way already. Other bodies are given back all the same.
func TestPanicInRelease(t *testing.T) {
	var released atomic.Int32
	bad := func() {
		released.Add(1)
		panic("in release")
	}
	ts := newServer(t, loop.Config{Loops: 1}, func(srv *loop.Server) {
		srv.Handle("/owned", func(x *loop.Exchange) { _ = x.SendOwned(200, []byte("small"), bad) })
		srv.Handle("/large", func(x *loop.Exchange) { _ = x.SendOwned(200, pattern(100_000), bad) })
		srv.Handle("/source", func(x *loop.Exchange) {
			_ = x.SendSource(200, 6, sourceFunc{
				pull:    func(int) ([]byte, bool, error) { return []byte("source"), true, nil },
				release: bad,
			})
		})
		srv.Handle("/head", func(x *loop.Exchange) { _ = x.SendOwned(204, nil, bad) })
	})
	ts.expectLog("panic")
	p := ts.open(cleartext)
	// Requests that arrive together are answered in one batch.
	var ids []frames.StreamID
	paths := []string{"/owned", "/owned", "/source", "/owned", "/large"}
	for _, path := range paths {
		ids = append(ids, p.headers("GET", path, true))
	}
	p.flush()
	for i, want := range []string{"small", "small", "source", "small", string(pattern(100_000))} {
		p.answer(ids[i]).want(t, "200", want)
	}
	p.ping()
	if n := int(released.Load()); n != len(paths) {
		t.Errorf("%d releases, want %d", n, len(paths))
	}
	// A body that is refused is released within the callback.
	if a := p.fetch("/head"); a.status() != "204" {
		t.Errorf("status %q", a.status())
	}
	// And one that is given back because the connection has closed.
	p.credit = false
	p.get("/large")
	p.get("/large")
	p.ping()
	_ = p.nc.Close()
	eventually(t, "two more releases", func() bool { return int(released.Load()) == len(paths)+3 })
	ts.open(cleartext).fetch("/owned").want(t, "200", "small")
}

// TestPanicWithoutExchange panics in a Do whose exchange is over.
func TestPanicWithoutExchange(t *testing.T) {
	handles := make(chan loop.Async, 1)
	ts := newServer(t, loop.Config{Loops: 1}, func(srv *loop.Server) {
		srv.Handle("/", func(x *loop.Exchange) { handles <- x.Async() })
		srv.Handle("/good", say("good"))
	})
	ts.expectLog("in vain")
	p := ts.open(cleartext)
	p.cancel(p.get("/"))
	p.ping()
	if err := wait(t, "the handle", handles).Do(func(*loop.Exchange) { panic("in vain") }); err != nil {
		t.Error(err)
	}
	p.fetch("/good").want(t, "200", "good")
}

// TestGoexit has a callback end the goroutine of its loop, as t.FailNow does.
// Nothing can save that loop: the server must say so and end, give back what it
// holds, and call what it was asked to call.
func TestGoexit(t *testing.T) {
	var accepted, called, released atomic.Int32
	for name, h := range map[string]loop.Handler{
		"handler": func(x *loop.Exchange) {
			async := x.Async()
			for range 10 {
				if async.Do(func(x *loop.Exchange) {
					if x == nil {
						called.Add(1)
					}
				}) == nil {
					accepted.Add(1)
				}
			}
			runtime.Goexit()
		},
		"Pull": func(x *loop.Exchange) {
			_ = x.SendSource(200, -1, sourceFunc{pull: func(int) ([]byte, bool, error) {
				runtime.Goexit()
				return nil, true, nil
			}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			released.Store(0)
			log := &logBuffer{}
			logger := zerolog.New(log)
			srv, err := loop.New(loop.Config{
				Listeners: []loop.Listener{{Address: "127.0.0.1:0"}}, Loops: 1, Logger: &logger,
			})
			if err != nil {
				t.Fatal(err)
			}
			srv.Handle("/", h)
			srv.Handle("/big", func(x *loop.Exchange) {
				_ = x.SendOwned(200, make([]byte, bigLen), func() { released.Add(1) })
			})
			ended := make(chan error, 1)
			go func() { ended <- srv.Run(context.Background()) }()
			p := openOn(t, dialAddr(t, "tcp", srv.Addrs()[0].String()))
			p.credit = false
			p.get("/big")
			p.grant(0, 1<<20)
			p.ping()
			p.get("/")
			err = wait(t, "Run to return", ended)
			if err == nil || !strings.Contains(err.Error(), "Goexit") {
				t.Errorf("Run: %v, want an error about Goexit", err)
			}
			if len(log.find("error", "Goexit")) == 0 {
				t.Error("not logged")
			}
			if n := released.Load(); n != 1 {
				t.Errorf("%d releases", n)
			}
		})
	}
	if n := accepted.Load(); n != 10 || called.Load() != n {
		t.Errorf("%d posts were accepted, %d calls were made", n, called.Load())
	}
}

// TestGoexitWhileDraining has a loop end in the midst of a drain that has no bound:
// what its connections wait for never comes.
func TestGoexitWhileDraining(t *testing.T) {
	handles := make(chan loop.Async, 1)
	logger := zerolog.Nop()
	srv, err := loop.New(loop.Config{Listeners: []loop.Listener{{Address: "127.0.0.1:0"}}, Loops: 1, Logger: &logger})
	if err != nil {
		t.Fatal(err)
	}
	srv.Handle("/", func(x *loop.Exchange) { handles <- x.Async() })
	ended, shut := make(chan error, 1), make(chan error, 1)
	go func() { ended <- srv.Run(context.Background()) }()
	p := openOn(t, dialAddr(t, "tcp", srv.Addrs()[0].String()))
	p.get("/")
	async := wait(t, "the request", handles)
	go func() { shut <- srv.Shutdown(context.Background()) }()
	p.until("the drain", p.isDraining)
	if err := async.Do(func(*loop.Exchange) { runtime.Goexit() }); err != nil {
		t.Fatal(err)
	}
	if err := wait(t, "Run to return", ended); err == nil || !strings.Contains(err.Error(), "Goexit") {
		t.Errorf("Run: %v, want an error about Goexit", err)
	}
	if err := wait(t, "Shutdown to return", shut); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}
