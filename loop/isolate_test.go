package loop_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/loop"
)

// TestIsolateCallbacks ends the goroutine of a callback wherever the application
// is called, and panics there. With IsolateCallbacks either costs the stream.
func TestIsolateCallbacks(t *testing.T) {
	for how, end := range map[string]func(){
		"Goexit": runtime.Goexit,
		"panic":  func() { panic("on purpose") },
	} {
		logged := map[string]string{"Goexit": "runtime.Goexit", "panic": "on purpose"}[how]
		for name, h := range map[string]loop.Handler{
			"handler": func(*loop.Exchange) { end() },
			"OnBody":  func(x *loop.Exchange) { _ = x.OnBody(func(*loop.Exchange, []byte, bool) { end() }) },
			"Do":      func(x *loop.Exchange) { _ = x.Async().Do(func(*loop.Exchange) { end() }) },
			"Pull": func(x *loop.Exchange) {
				_ = x.SendSource(200, -1, sourceFunc{pull: func(int) ([]byte, bool, error) { end(); return nil, true, nil }})
			},
			"in vain": func(x *loop.Exchange) {
				async := x.Async()
				_ = x.Reset(frames.ErrCodeInternal)
				_ = async.Do(func(*loop.Exchange) { end() })
			},
		} {
			t.Run(how+" in "+strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
				ts := newServer(t, loop.Config{Loops: 1, IsolateCallbacks: true}, func(srv *loop.Server) {
					srv.Handle("/", h)
					srv.Handle("/release", func(x *loop.Exchange) { _ = x.SendOwned(200, []byte("mine"), end) })
					srv.Handle("/good", say("good"))
				})
				ts.expectLog("callback")
				p := ts.open(cleartext)
				id := p.post("/")
				p.data(id, []byte("body"), true)
				p.answer(id).wantReset(t, frames.ErrCodeInternal)
				p.fetch("/release").want(t, "200", "mine")
				p.fetch("/good").want(t, "200", "good")
				eventually(t, "both are in the log", func() bool {
					return len(ts.log.find("callback", logged)) == 2
				})
			})
		}
	}
}
