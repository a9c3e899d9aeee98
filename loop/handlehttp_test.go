package loop_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/http/pprof"
	"net/url"
	"os"
	"path/filepath"
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

// TestHandleHTTP sees a handler of net/http beside the others, behind middleware and
// in a group.
func TestHandleHTTP(t *testing.T) {
	t.Parallel()
	var done atomic.Int64
	hooks := loop.Hooks{RequestDone: func(_ *loop.Exchange, i loop.RequestInfo) {
		if i.Status == 200 && i.Err == nil {
			done.Add(1)
		}
	}}
	ts := newServer(t, loop.Config{Hooks: hooks}, func(srv *loop.Server) {
		srv.Use(func(next loop.Handler) loop.Handler {
			return func(x *loop.Exchange) {
				_ = x.SetHeader("x-server", "h2loop")
				_ = x.SetHeader("x-gone", "1")
				next(x)
			}
		})
		srv.Group("/api").HandleHTTP("/hello/{name}/{rest...}", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Del("X-Gone")
			fmt.Fprintln(w, r.Proto, r.PathValue("name"), r.PathValue("rest"), r.Pattern, r.URL.Path, r.TLS != nil)
		}))
		srv.Handle("/plain", say("plain"))
		if got := srv.Routes(); got[0].Kind != loop.KindHTTP {
			t.Errorf("routes %v", got)
		}
	})
	ts.forEachVersion(t, func(t *testing.T, c *http.Client) {
		for _, tr := range transports {
			r := ts.do(c, "GET", ts.url(tr, "/api/hello/you/a/b"), nil)
			r.want(t, 200, fmt.Sprintln(r.Proto, "you", "a/b", "/api/hello/{name}/{rest...}", "/api/hello/you/a/b", tr == overTLS))
			if r.Header.Get("X-Server") != "h2loop" || r.Header.Get("X-Gone") != "" {
				t.Errorf("header %v", r.Header)
			}
		}
		ts.do(c, "GET", ts.url(cleartext, "/plain"), nil).want(t, 200, "plain")
	})
	eventually(t, "the hook has seen all", func() bool { return done.Load() == 6 })
	defer func() {
		if v := recover(); v == nil {
			t.Error("no panic for a handler that is nil")
		}
	}()
	ts.srv.HandleHTTP("/nil", nil)
}

// TestHTTPHandlersBound has more requests than handlers may be at work.
func TestHTTPHandlersBound(t *testing.T) {
	t.Parallel()
	entered, release := make(chan bool, 10), make(chan bool)
	ts := newServer(t, loop.Config{HTTPHandlers: 3, Loops: 1}, func(srv *loop.Server) {
		srv.HandleHTTP("/", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			entered <- true
			<-release
		}))
	})
	p := ts.open(cleartext)
	var ids []frames.StreamID
	for range 3 {
		ids = append(ids, p.get("/"))
		wait(t, "a handler to begin", entered)
	}
	r := p.fetch("/")
	if r.status() != "503" || r.get("retry-after") != "1" {
		t.Errorf("%s %v", r.status(), r.fields)
	}
	// A client that has left does not make room: only handlers that return do.
	p.cancel(ids[0])
	if r := p.fetch("/"); r.status() != "503" {
		t.Errorf("beside an abandoned one: %s", r.status())
	}
	close(release)
	for _, id := range ids[1:] {
		p.answer(id).want(t, "200", "")
	}
	eventually(t, "there is room again", func() bool { return p.fetch("/").status() == "200" })
	eventually(t, "it is counted", func() bool { return ts.srv.Stats().Limits["http_handlers"] >= 2 })
}

// TestHTTPKeepsPlace resets streams whose handlers do not return, before and after
// the response has begun: they keep their places on the connection.
func TestHTTPKeepsPlace(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(w http.ResponseWriter){
		"unanswered": func(http.ResponseWriter) {},
		"begun":      func(w http.ResponseWriter) { w.(http.Flusher).Flush() },
	} {
		t.Run(name, func(t *testing.T) {
			entered, release := make(chan bool, 10), make(chan bool)
			ts := newServer(t, loop.Config{Loops: 1, HTTP2: h2.Config{MaxConcurrentStreams: 2}}, func(srv *loop.Server) {
				srv.HandleHTTP("/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					begin(w)
					entered <- true
					<-r.Context().Done()
					<-release
				}))
				srv.Handle("/plain", say("plain"))
			})
			p := ts.open(cleartext)
			for range 2 {
				id := p.get("/")
				wait(t, "a handler to begin", entered)
				p.cancel(id)
			}
			p.answer(p.get("/plain")).wantReset(t, frames.ErrCodeRefusedStream)
			close(release)
			eventually(t, "the places are free", func() bool {
				r := p.answer(p.get("/plain"))
				return r.status() == "200"
			})
		})
	}
}

// TestHTTPContext sees the context of a request end, and why.
func TestHTTPContext(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	entered := make(chan bool, 1)
	kept := make(chan context.Context, 1)
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.HandleHTTP("/wait", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			entered <- true
			ctx, cancel := context.WithCancel(r.Context())
			defer cancel()
			<-ctx.Done()
			_, err := io.Copy(w, strings.NewReader(strings.Repeat("x", 10_000)))
			ended <- errors.Join(context.Cause(r.Context()), err)
		}))
		srv.HandleHTTP("/return", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { kept <- r.Context() }))
	})
	p := ts.open(cleartext)
	id := p.get("/wait")
	wait(t, "the handler", entered)
	p.cancel(id)
	if err := wait(t, "the context to end", ended); !errors.Is(err, h2.ErrPeerReset) || !errors.Is(err, loop.ErrClosed) {
		t.Errorf("%v", err)
	}
	p.get("/wait")
	wait(t, "the handler", entered)
	_ = p.nc.Close()
	if err := wait(t, "the context to end", ended); !errors.Is(err, loop.ErrClosed) {
		t.Errorf("%v", err)
	}
	ts.open(cleartext).fetch("/return").want(t, "200", "")
	ctx := wait(t, "the handler", kept)
	wait(t, "the context to end with the handler", ctx.Done())
	if ctx.Err() != context.Canceled {
		t.Errorf("%v", ctx.Err())
	}
}

// TestHTTPTooLate uses everything that a handler was given after it has returned.
func TestHTTPTooLate(t *testing.T) {
	t.Parallel()
	type call struct {
		w http.ResponseWriter
		r *http.Request
	}
	calls := make(chan call, 1)
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.HandleHTTP("/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "in time")
			calls <- call{w, r}
		}))
	})
	ts.forEachVersion(t, func(t *testing.T, c *http.Client) {
		var busy sync.WaitGroup
		for range 20 {
			r := ts.do(c, "POST", ts.url(cleartext, "/"), strings.NewReader("body"))
			r.want(t, 200, "in time")
			late := <-calls
			busy.Go(func() {
				late.w.Header().Set("X-Late", "1")
				late.w.WriteHeader(500)
				late.w.WriteHeader(103)
				if _, err := io.WriteString(late.w, "late"); err == nil {
					t.Error("Write: no error")
				}
				rc := http.NewResponseController(late.w)
				if rc.Flush() == nil {
					t.Error("Flush: no error")
				}
				_ = rc.SetReadDeadline(time.Now().Add(time.Millisecond))
				_ = rc.SetWriteDeadline(time.Now().Add(time.Millisecond))
				if _, err := late.r.Body.Read(make([]byte, 1)); !errors.Is(err, http.ErrBodyReadAfterClose) {
					t.Errorf("Read: %v", err)
				}
				_ = late.r.Body.Close()
			})
		}
		busy.Wait()
	})
}

// TestHTTPWritesWhileReturning writes from other goroutines while the handler returns.
func TestHTTPWritesWhileReturning(t *testing.T) {
	t.Parallel()
	var busy sync.WaitGroup
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.HandleHTTP("/", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for range 4 {
				busy.Go(func() {
					for {
						if _, err := w.Write(make([]byte, 1000)); err != nil {
							return
						}
						w.(http.Flusher).Flush()
						w.WriteHeader(200)
					}
				})
			}
			runtime.Gosched()
		}))
	})
	ts.forEachVersion(t, func(t *testing.T, c *http.Client) {
		for range 20 {
			if r := ts.do(c, "GET", ts.url(cleartext, "/"), nil); r.StatusCode != 200 || r.err != nil {
				t.Errorf("%d %v", r.StatusCode, r.err)
			}
		}
	})
	busy.Wait()
}

// TestHTTPGoexit ends the goroutine of a handler.
func TestHTTPGoexit(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.HandleHTTP("/", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { runtime.Goexit() }))
		srv.HandleHTTP("/abort", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
		srv.HandleHTTP("/panic", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("on purpose") }))
	})
	ts.expectLog("runtime.Goexit")
	ts.expectLog("on purpose")
	p := ts.open(cleartext)
	for _, path := range []string{"/", "/abort", "/panic"} {
		p.answer(p.get(path)).wantReset(t, frames.ErrCodeInternal)
	}
	if lines := ts.log.find("stack", "handlehttp_test.go", "on purpose"); len(lines) != 1 {
		t.Errorf("logged %d times with the stack", len(lines))
	}
	if lines := ts.log.find("\"error\"", "/abort"); len(lines) > 0 {
		t.Errorf("ErrAbortHandler is logged: %s", lines)
	}
}

// TestHTTPSlowClient has a handler write more than its client takes.
func TestHTTPSlowClient(t *testing.T) {
	t.Parallel()
	body := pattern(8 << 20)
	var written atomic.Int64
	ts := newServer(t, loop.Config{Loops: 1}, func(srv *loop.Server) {
		srv.HandleHTTP("/", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(body); i += 64 << 10 {
				n, err := w.Write(body[i : i+64<<10])
				if err != nil {
					t.Error(err)
					return
				}
				written.Add(int64(n))
			}
		}))
	})
	ts.forEachVersion(t, func(t *testing.T, c *http.Client) {
		written.Store(0)
		resp, err := c.Get(ts.url(cleartext, "/"))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		time.Sleep(50 * time.Millisecond)
		if n := written.Load(); n == int64(len(body)) {
			t.Errorf("all of %d octets were taken for a client that does not read", n)
		}
		got, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Error(err)
		}
		wantSame(t, got, body)
	})
}

// TestHTTPWriteDeadline has a write wait until its time is over.
func TestHTTPWriteDeadline(t *testing.T) {
	t.Parallel()
	failed := make(chan error, 1)
	ts := newServer(t, loop.Config{Loops: 1}, func(srv *loop.Server) {
		srv.HandleHTTP("/", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			rc := http.NewResponseController(w)
			_ = rc.Flush() // the response begins in time, however slow this machine is
			_ = rc.SetWriteDeadline(time.Now().Add(time.Hour))
			_ = rc.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
			for {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					failed <- err
					return
				}
			}
		}))
	})
	p := ts.open(cleartext)
	p.credit = false
	id := p.get("/")
	if err := wait(t, "the write to fail", failed); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v", err)
	}
	p.answer(id).wantReset(t, frames.ErrCodeInternal)
}

// TestHTTPFlushBehindWhole flushes when the client has all of the response.
func TestHTTPFlushBehindWhole(t *testing.T) {
	t.Parallel()
	body := pattern(8192)
	got, flushed := make(chan bool), make(chan error, 2)
	ts := newServer(t, loop.Config{Loops: 1}, func(srv *loop.Server) {
		srv.HandleHTTP("/", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "8192")
			_, _ = w.Write(body)
			rc := http.NewResponseController(w)
			flushed <- rc.Flush()
			<-got
			flushed <- rc.Flush()
		}))
	})
	ts.forEachVersion(t, func(t *testing.T, c *http.Client) {
		resp, err := c.Get(ts.url(cleartext, "/"))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b := make([]byte, len(body))
		if _, err := io.ReadFull(resp.Body, b); err != nil {
			t.Fatal(err)
		}
		wantSame(t, b, body)
		got <- true
		for range 2 {
			if err := wait(t, "a flush", flushed); err != nil {
				t.Errorf("Flush: %v", err)
			}
		}
	})
}

// TestHTTPUpload reads a large body that the client sends faster than it is read.
func TestHTTPUpload(t *testing.T) {
	t.Parallel()
	body := pattern(8 << 20)
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.HandleHTTP("/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(10 * time.Millisecond)
			_, _ = io.Copy(w, r.Body)
		}))
	})
	ts.forEachVersion(t, func(t *testing.T, c *http.Client) {
		for _, tr := range transports {
			wantSame(t, ts.do(c, "POST", ts.url(tr, "/"), strings.NewReader(string(body))).body, body)
		}
	})
}

// TestHTTPCloseWhileReading closes a body that somebody waits for, as grpc-go's server
// does when a call has ended before its client has.
func TestHTTPCloseWhileReading(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.HandleHTTP("/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			read := make(chan error)
			go func() {
				_, err := r.Body.Read(make([]byte, 1))
				read <- err
			}()
			time.Sleep(10 * time.Millisecond)
			_ = r.Body.Close()
			if err := <-read; !errors.Is(err, http.ErrBodyReadAfterClose) {
				t.Errorf("%v", err)
			}
			_, _ = io.WriteString(w, "closed")
		}))
	})
	p := ts.open(cleartext)
	a := p.answer(p.post("/"))
	a.want(t, "200", "closed")
}

// TestHTTPBehindSuspend has middleware suspend a request with a body.
func TestHTTPBehindSuspend(t *testing.T) {
	t.Parallel()
	body := pattern(1 << 20)
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.HandleHTTP("/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(w, r.Body)
		}), func(next loop.Handler) loop.Handler {
			return func(x *loop.Exchange) {
				async := x.Suspend()
				time.AfterFunc(20*time.Millisecond, func() { _ = async.Continue(next) })
			}
		})
	})
	ts.forEachVersion(t, func(t *testing.T, c *http.Client) {
		wantSame(t, ts.do(c, "POST", ts.url(cleartext, "/"), strings.NewReader(string(body))).body, body)
		ts.do(c, "GET", ts.url(cleartext, "/"), nil).want(t, 200, "")
	})
}

// TestHTTPUnix serves on a unix socket, where addresses are not those of TCP.
func TestHTTPUnix(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	newServer(t, loop.Config{Listeners: []loop.Listener{{Network: "unix", Address: path}}}, func(srv *loop.Server) {
		srv.HandleHTTP("/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, r.RemoteAddr, " ", r.Context().Value(http.LocalAddrContextKey))
		}))
	})
	p := openOn(t, dialAddr(t, "unix", path))
	p.fetch("/").want(t, "200", "@ "+path)
}

// TestHTTPStandardHandlers serves what the standard library has to be served.
func TestHTTPStandardHandlers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	big := pattern(3 << 20)
	if err := errors.Join(
		os.WriteFile(filepath.Join(dir, "a.html"), []byte("<p>a"), 0o600),
		os.WriteFile(filepath.Join(dir, "big"), big, 0o600),
	); err != nil {
		t.Fatal(err)
	}
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		w.Header().Set("X-For", r.Header.Get("X-Forwarded-For"))
		switch r.URL.Path {
		case "/proxy/abort":
			_, _ = w.Write(big)
			panic(http.ErrAbortHandler)
		case "/proxy/events":
			w.Header().Set("Content-Type", "text/event-stream")
			w.(http.Flusher).Flush()
			_, _ = io.WriteString(w, "data: 1\n\n")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			return
		}
		_, _ = io.Copy(w, r.Body)
		w.Header().Set("X-Sum", "1")
	}))
	t.Cleanup(backend.Close)
	target, err := url.Parse(backend.URL)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.HandleHTTP("/files/", http.StripPrefix("/files", http.FileServer(http.Dir(dir))))
		srv.HandleHTTP("/proxy/", &httputil.ReverseProxy{
			Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(target)
				r.SetXForwarded()
			},
			Transport: transport,
		})
		srv.HandleHTTP("/debug/pprof/", http.HandlerFunc(pprof.Index))
		srv.HandleHTTP("/debug/pprof/cmdline", http.HandlerFunc(pprof.Cmdline))
		srv.HandleHTTP("/slow", http.TimeoutHandler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
		}), time.Millisecond, "too slow"))
	})
	ts.forEachVersion(t, func(t *testing.T, c *http.Client) {
		ts.t = t
		get := func(path string, headers ...string) reply {
			return ts.do(c, "GET", ts.url(cleartext, path), nil, headers...)
		}
		r := get("/files/a.html")
		r.want(t, 200, "<p>a")
		if r.Header.Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("%v", r.Header)
		}
		get("/files/a.html", "If-Modified-Since", r.Header.Get("Last-Modified")).want(t, 304, "")
		get("/files/big", "Range", "bytes=1000-1999").want(t, 206, string(big[1000:2000]))
		wantSame(t, get("/files/big").body, big)
		get("/files/none").want(t, 404, "404 page not found\n")
		if r := get("/files/"); !strings.Contains(string(r.body), `href="a.html"`) {
			t.Errorf("listing %s", r.body)
		}
		r = ts.do(c, "POST", ts.url(cleartext, "/proxy/echo"), strings.NewReader(string(big)))
		wantSame(t, r.body, big)
		if r.Trailer.Get("X-Sum") != "1" || r.Header.Get("X-For") != "127.0.0.1" {
			t.Errorf("%v %v", r.Header, r.Trailer)
		}
		if r := get("/proxy/abort"); r.err == nil {
			t.Errorf("a response that the backend has given up is complete: %d octets", len(r.body))
		}
		ctx, cancel := context.WithCancel(t.Context())
		req, err := http.NewRequestWithContext(ctx, "GET", ts.url(cleartext, "/proxy/events"), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		event := make([]byte, 9)
		if _, err := io.ReadFull(resp.Body, event); err != nil || string(event) != "data: 1\n\n" {
			t.Errorf("%q %v", event, err)
		}
		cancel()
		_ = resp.Body.Close()
		if r := get("/debug/pprof/goroutine?debug=1"); !strings.Contains(string(r.body), "goroutine profile:") {
			t.Errorf("%.100s", r.body)
		}
		if r := get("/debug/pprof/cmdline"); !strings.Contains(string(r.body), "test") {
			t.Errorf("%.100s", r.body)
		}
		get("/slow").want(t, 503, "too slow")
	})
}

// TestHTTPDrain has a handler at work when the server is told to end.
func TestHTTPDrain(t *testing.T) {
	t.Parallel()
	entered, release := make(chan bool), make(chan bool)
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.HandleHTTP("/", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			entered <- true
			<-release
			_, _ = io.WriteString(w, "at last")
		}))
	})
	p := ts.open(cleartext)
	id := p.get("/")
	wait(t, "the handler", entered)
	ts.stop()
	time.Sleep(20 * time.Millisecond)
	close(release)
	p.answer(id).want(t, "200", "at last")
	wait(t, "the server to end", ts.ended)
}
