package loop_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/h2loop/h2loop/loop"
)

// TestRequestParsed asks for what an exchange parses.
func TestRequestParsed(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.Handle("/", func(x *loop.Exchange) {
			if got := x.Proto(); got != "HTTP/2.0" {
				t.Errorf("Proto is %q", got)
			}
			if got := strings.Join(x.HeaderValues("X-Two"), ","); got != "a,b" {
				t.Errorf("values %q", got)
			}
			if got := x.HeaderValues("x-none"); got != nil {
				t.Errorf("values %q", got)
			}
			q := x.Query()
			if q.Get("a") != "1 2" || len(q["b"]) != 2 || q.Has("c") {
				t.Errorf("query %v", q)
			}
			q.Set("kept", "yes")
			if x.Query().Get("kept") != "yes" {
				t.Error("the query is parsed a second time")
			}
			var names []string
			for _, c := range x.Cookies() {
				names = append(names, c.Name+"="+c.Value)
			}
			if got := strings.Join(names, " "); got != "a=1 b=2 c=3" {
				t.Errorf("cookies %s", got)
			}
			if c, err := x.Cookie("b"); err != nil || c.Value != "2" {
				t.Errorf("cookie b: %v, %v", c, err)
			}
			if _, err := x.Cookie("d"); !errors.Is(err, http.ErrNoCookie) {
				t.Errorf("cookie d: %v", err)
			}
			_ = x.SendString(200, "ok")
		})
	})
	p := ts.open(cleartext)
	for range 2 {
		p.fetch("/?a=1%202&b=3&b=4&c=%zz", "x-two", "a", "x-two", "b", "cookie", "a=1; b=2", "cookie", "c=3").want(t, "200", "ok")
	}
}
