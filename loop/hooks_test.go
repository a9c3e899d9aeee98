package loop_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/h2"
	"github.com/h2loop/h2loop/loop"
)

// A doneRequest is what a hook was told.
type doneRequest struct {
	loop.RequestInfo
	method, path, pattern, agent string
}

// TestHooks has hooks told of connections and requests.
func TestHooks(t *testing.T) {
	t.Parallel()
	body := pattern(200_000)
	for _, isolated := range []bool{false, true} {
		requests := make(chan doneRequest, 10)
		opened, closed := make(chan loop.ConnInfo, 10), make(chan loop.ConnInfo, 10)
		cfg := loop.Config{Loops: 1, IsolateCallbacks: isolated, Hooks: loop.Hooks{
			ConnOpen:  func(c loop.ConnInfo) { opened <- c },
			ConnClose: func(c loop.ConnInfo) { closed <- c },
			RequestDone: func(x *loop.Exchange, d loop.RequestInfo) {
				if err := x.SendString(200, "too late"); !errors.Is(err, loop.ErrAnswered) {
					t.Errorf("answered: %v", err)
				}
				requests <- doneRequest{d, x.Method(), x.Path(), x.Pattern(), x.Header("user-agent")}
			},
		}}
		ts := newServer(t, cfg, func(srv *loop.Server) {
			srv.Handle("/hello", say("hello"))
			srv.Handle("/echo", func(x *loop.Exchange) {
				_ = x.ReadBody(0, func(x *loop.Exchange, body []byte) { _ = x.Send(201, body) })
			})
			srv.Handle("/held", func(x *loop.Exchange) { x.Async() })
			srv.HandleBlocking("/blocking/{x}", func(_ context.Context, x *loop.Exchange) error { return x.SendString(202, "four") })
		})
		check := func(t *testing.T, want doneRequest) {
			t.Helper()
			got := wait(t, "the hook", requests)
			if got.Duration < 0 || got.Duration > patience || !errors.Is(got.Err, want.Err) {
				t.Errorf("%v, %v", got.Duration, got.Err)
			}
			got.Duration, got.Err, got.agent, want.Err = 0, nil, "", nil
			if got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		}
		ts.forEachVersion(t, func(t *testing.T, c *http.Client) {
			ts.t = t
			ts.do(c, "GET", ts.url(cleartext, "/hello?q"), nil)
			check(t, doneRequest{loop.RequestInfo{Status: 200, Sent: 5}, "GET", "/hello", "/hello", ""})
			ts.do(c, "POST", ts.url(cleartext, "/echo"), strings.NewReader(string(body)))
			check(t, doneRequest{loop.RequestInfo{Status: 201, Received: 200_000, Sent: 200_000}, "POST", "/echo", "/echo", ""})
			ts.do(c, "GET", ts.url(cleartext, "/blocking/1"), nil)
			check(t, doneRequest{loop.RequestInfo{Status: 202, Sent: 4}, "GET", "/blocking/1", "/blocking/{x}", ""})
			ts.do(c, "HEAD", ts.url(cleartext, "/nowhere"), nil)
			check(t, doneRequest{loop.RequestInfo{Status: 404}, "HEAD", "/nowhere", "", ""})
			if o := wait(t, "the hook", opened); !o.Remote.IsValid() || o.Local.String() != ts.addr(cleartext) || o.TLS || o.Requests != 0 {
				t.Errorf("opened %+v", o)
			}
			var o loop.ConnInfo
			eventually(t, "the connection to close", func() bool {
				c.CloseIdleConnections() // one that is idle for the client already
				select {
				case o = <-closed:
					return true
				default:
					return false
				}
			})
			if !o.Remote.IsValid() || o.Requests != 4 || o.Age < 0 {
				t.Errorf("closed %+v", o)
			}
		})
		p := openOn(t, ts.connect(cleartext))
		id := p.get("/held")
		p.ping()
		p.cancel(id)
		check(t, doneRequest{loop.RequestInfo{Err: h2.ErrPeerReset}, "GET", "/held", "/held", ""})
		_ = p.nc.Close()
		wait(t, "the hook", closed)
	}
}

// TestHooksPanic panics in hooks: it is logged, and that is all.
func TestHooksPanic(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{Hooks: loop.Hooks{
		ConnOpen:    func(loop.ConnInfo) { panic("at open") },
		ConnClose:   func(loop.ConnInfo) { panic("at close") },
		RequestDone: func(*loop.Exchange, loop.RequestInfo) { panic("when done") },
	}}, func(srv *loop.Server) { srv.Handle("/", say("hello")) })
	for _, text := range []string{"at open", "at close", "when done"} {
		ts.expectLog(text)
	}
	p := ts.open(cleartext)
	for range 3 {
		p.fetch("/").want(t, "200", "hello")
	}
	_ = p.nc.Close()
	eventually(t, "it is closed", func() bool { return len(ts.log.find("at close")) == 1 })
}

// TestDebugExchanges uses exchanges that are over, which panics with their pattern, and
// those that are not, which does not.
func TestDebugExchanges(t *testing.T) {
	t.Parallel()
	var kept *loop.Exchange // for the loop only
	uses := map[string]func(x *loop.Exchange){
		"Method": func(x *loop.Exchange) { x.Method() },
		"Path":   func(x *loop.Exchange) { x.Path() },
		"Header": func(x *loop.Exchange) { x.Header("a") },
		"Send":   func(x *loop.Exchange) { _ = x.Send(200, nil) },
		"Set":    func(x *loop.Exchange) { _ = x.SetHeader("a", "b") },
		"Async":  func(x *loop.Exchange) { x.Async() },
		"OnBody": func(x *loop.Exchange) { _ = x.OnBody(nil) },
		"Reset":  func(x *loop.Exchange) { _ = x.Reset(frames.ErrCodeCancel) },
		"Resume": func(x *loop.Exchange) { _ = x.Resume() },
	}
	ts := newServer(t, loop.Config{Loops: 1, DebugExchanges: true}, func(srv *loop.Server) {
		srv.Handle("/keep/{x}", func(x *loop.Exchange) {
			kept = x
			_ = x.SendString(200, "kept")
			_ = x.SendString(200, "a second time") // is no crime
			_, _, _ = x.Path(), x.Method(), x.Reset(frames.ErrCodeCancel)
		})
		srv.Handle("/use/{how}", func(x *loop.Exchange) { uses[x.PathValue("how")](kept) })
		srv.Handle("/later", func(x *loop.Exchange) {
			async := x.Async()
			go func() { _ = async.Do(func(x *loop.Exchange) { _ = x.SendString(200, x.Path()) }) }()
		})
		srv.HandleBlocking("/blocking", func(_ context.Context, x *loop.Exchange) error {
			_ = x.SendString(200, x.Path())
			return x.SetHeader("too", "late")
		})
	})
	ts.expectLog(`/keep/{x}\" is used after it is over`)
	ts.expectLog("a handler failed")
	p := ts.open(cleartext)
	for how := range uses {
		p.fetch("/keep/1").want(t, "200", "kept")
		p.fetch("/use/"+how).wantReset(t, frames.ErrCodeInternal)
		p.fetch("/later").want(t, "200", "/later")
		p.fetch("/blocking").want(t, "200", "/blocking")
	}
	if n := len(ts.log.find("is used after it is over")); n != len(uses) {
		t.Errorf("%d mistakes were found, want %d", n, len(uses))
	}
}

// useAll calls what an exchange has of methods, and reports whether those that could do
// anything say that it is too late.
func useAll(x *loop.Exchange) (late bool) {
	_, _, _, _, _ = x.Host(), x.Scheme(), x.Query(), x.Cookies(), x.TLS()
	_, _, _, _, _ = x.LocalAddr(), x.ContentLength(), x.Loop(), x.Upgrade(), x.PathValue("x")
	_, _ = x.Header("x"), x.Context()
	for range x.Headers {
	}
	for range x.Trailers {
	}
	x.LongLived()
	x.AfterBody(func(*loop.Exchange) {})
	_ = x.Async().Do(func(*loop.Exchange) {})
	_, stream := x.Stream(200, -1)
	_, writer := x.Writer(200, -1)
	_, body := x.BodyReader()
	_, all := x.ReadAll(0)
	_, upgrade := x.Switch()
	for _, err := range []error{
		x.SetHeader("x", "y"), x.SendString(200, ""), x.SendSource(200, -1, sourceFunc{release: func() {}}), x.Inform(103), stream, writer, body, all, upgrade,
		x.ReadBody(0, nil), x.OnBody(nil), x.PauseBody(), x.ResumeBody(), x.Resume(), x.Reset(frames.ErrCodeCancel),
		x.OnAbort(func(error) {}), x.OnDone(func() {}),
	} {
		if err == nil {
			return false
		}
	}
	return x.Proto() == "HTTP/2.0" || x.Proto() == "HTTP/1.1"
}

// TestHooksRefused has the hook told of what was refused before it was a request.
func TestHooksRefused(t *testing.T) {
	t.Parallel()
	type refusal struct {
		loop.RequestInfo
		method, path, pattern string
		remote                bool
	}
	done := make(chan refusal, 10)
	cfg := loop.Config{
		Loops: 1,
		Hooks: loop.Hooks{RequestDone: func(x *loop.Exchange, d loop.RequestInfo) {
			if x.Pattern() == "" && !useAll(x) {
				t.Error("a method says that it is not too late")
			}
			done <- refusal{d, x.Method(), x.Path(), x.Pattern(), x.RemoteAddr().IsValid()}
		}},
	}
	cfg.HTTP2.MaxHeaderListSize = 5000
	cfg.HTTP1.MaxRequestLine = 1000
	cfg.HTTP1.MaxHeaderBytes = 5000
	cfg.HTTP2.BodyInGrace, cfg.HTTP2.BodyInWindow = 100*time.Millisecond, 100*time.Millisecond
	ts := newServer(t, cfg, func(srv *loop.Server) {
		hello(srv)
		srv.Handle("POST /slow", func(x *loop.Exchange) { _ = x.ReadBody(0, func(*loop.Exchange, []byte) {}) })
	})
	check := func(what string, status, sent int, method, path, pattern string) {
		t.Helper()
		got := wait(t, what, done)
		if got.Sent != int64(sent) {
			t.Errorf("%s: sent %d octets, want %d", what, got.Sent, sent)
		}
		if got.Status != status || got.Err == nil || got.method != method || got.path != path || got.pattern != pattern || !got.remote {
			t.Errorf("%s: %+v", what, got)
		}
	}
	long := strings.Repeat("x", 3000)
	for _, tt := range []struct {
		request, method string
		tr              transport
		status          int
	}{
		{"nonsense\r\n\r\n", "", cleartext, 0}, // no answer, and so no hook
		{"GET / HTTP/1.1\r\n\r\n", "", cleartext, 400},
		{"GET / HTTP/1.1\r\nHost: h\r\nX: " + long + long + "\r\n\r\n", "", cleartext, 431},
		{"GET /" + long + " HTTP/1.1\r\n\r\n", "", cleartext, 414},
		{"GET / HTTP/2.9\r\nHost: h\r\n\r\n", "", cleartext, 505},
		{"GET / HTTP/1.1\r\nHost: h\r\n\r\n", "", overTLS, 400}, // which is not what is spoken there
	} {
		nc := ts.dial(tt.tr)
		_, _ = io.WriteString(nc, tt.request)
		b, _ := io.ReadAll(nc)
		if _, status, _ := strings.Cut(string(b), " "); tt.status > 0 && !strings.HasPrefix(status, fmt.Sprint(tt.status)) {
			t.Errorf("%.50q: %.100q", tt.request, b)
		}
		_ = nc.Close()
		if tt.status > 0 {
			_, body, _ := strings.Cut(string(b), "\r\n\r\n")
			check(fmt.Sprintf("%.50q", tt.request), tt.status, len(body), tt.method, "", "")
		}
	}
	p := ts.open(cleartext)
	p.fetch("/there?q", "x-a", long, "x-b", long).want(t, "431", "")
	check("431", 431, 0, "GET", "/there", "")
	p.answer(p.post("/slow")).want(t, "408", "")
	check("408", 408, 0, "POST", "/slow", "POST /slow")
	nc := ts.dialHTTP1(cleartext)
	_, _ = io.WriteString(nc, "POST /slow HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n")
	b, _ := io.ReadAll(nc)
	_, body, _ := strings.Cut(string(b), "\r\n\r\n")
	check("408 over HTTP/1.1", 408, len(body), "POST", "/slow", "POST /slow")
	_ = nc.Close()
	p.fetch("/").want(t, "200", "hello") // its exchange is as good as new
	if got := wait(t, "the last", done); got.Status != 200 || got.Err != nil || got.path != "/" {
		t.Errorf("%+v", got)
	}
}
