package loop_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

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
			c.CloseIdleConnections()
			if o := wait(t, "the hook", closed); !o.Remote.IsValid() || o.Requests != 4 || o.Age < 0 {
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
