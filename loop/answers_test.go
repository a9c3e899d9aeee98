package loop_test

import (
	"errors"
	"math"
	"net/http"
	"testing"

	"github.com/h2loop/h2loop/loop"
)

// TestAnswers gives answers of every form.
func TestAnswers(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.Handle("/json", func(x *loop.Exchange) {
			if x.SendJSON(200, math.NaN()) == nil || x.Answered() {
				t.Error("answered with what cannot be encoded")
			}
			if err := x.SendJSON(99, 1); !errors.Is(err, loop.ErrStatus) {
				t.Error(err)
			}
			_ = x.SendJSON(201, map[string]any{"a": []int{1, 2}})
			if err := x.SendJSON(200, 1); !errors.Is(err, loop.ErrClosed) || !x.Answered() {
				t.Error(err)
			}
		})
		srv.Handle("/json/typed", func(x *loop.Exchange) {
			_ = x.SetHeader("content-type", "application/problem+json")
			_ = x.SendJSON(400, nil)
		})
		srv.Handle("/error", func(x *loop.Exchange) {
			_ = x.SetHeader("etag", `"x"`)
			_ = x.SetHeader("Content-Encoding", "gzip")
			_ = x.SetHeader("x-kept", "yes")
			_ = x.SendError(418, "teapot")
		})
		srv.Handle("/redirect", func(x *loop.Exchange) {
			for _, status := range []int{299, 400} {
				if err := x.Redirect(status, "/"); !errors.Is(err, loop.ErrStatus) {
					t.Error(err)
				}
			}
			if x.Redirect(303, "/a\r\nb: c") == nil || x.Answered() {
				t.Error("redirected to what cannot be sent")
			}
			_ = x.Redirect(303, "/grüße?q=%20")
		})
		srv.Handle("/cookie", func(x *loop.Exchange) {
			if x.SetCookie(&http.Cookie{Name: "a b"}) == nil {
				t.Error("a cookie without a valid name")
			}
			_ = x.SetCookie(&http.Cookie{Name: "a", Value: "1", HttpOnly: true})
			_ = x.SetCookie(&http.Cookie{Name: "b", Value: "2"})
			_ = x.AddHeader("x-gone", "1")
			_ = x.AddHeader("x-gone", "2")
			if err := x.DelHeader("X-Gone"); err != nil {
				t.Error(err)
			}
			_ = x.Send(204, nil)
			if err := x.DelHeader("set-cookie"); !errors.Is(err, loop.ErrClosed) {
				t.Error(err)
			}
		})
	})
	p := ts.open(cleartext)
	a := p.fetch("/json")
	a.want(t, "201", `{"a":[1,2]}`)
	if got := a.get("content-type"); got != "application/json" {
		t.Error(got)
	}
	a = p.fetch("/json/typed")
	a.want(t, "400", `null`)
	if got := a.get("content-type"); got != "application/problem+json" {
		t.Error(got)
	}
	a = p.fetch("/error")
	a.want(t, "418", "teapot\n")
	if a.get("etag")+a.get("content-encoding") != "" || a.get("x-kept") != "yes" || a.get("x-content-type-options") != "nosniff" {
		t.Error(a.fields)
	}
	a = p.fetch("/redirect")
	a.want(t, "303", "")
	if got := a.get("location"); got != "/gr%C3%BC%C3%9Fe?q=%20" {
		t.Error(got)
	}
	a = p.fetch("/cookie")
	a.want(t, "204", "")
	if got := a.get("set-cookie"); got != "a=1; HttpOnly, b=2" || a.get("x-gone") != "" {
		t.Error(a.fields)
	}
}
