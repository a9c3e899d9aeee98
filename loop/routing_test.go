package loop_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/h2loop/h2loop/loop"
)

// mark returns middleware that leaves its name in the response.
func mark(name string) loop.Middleware {
	return func(next loop.Handler) loop.Handler {
		return func(x *loop.Exchange) {
			_ = x.AddHeader("x-mark", name)
			next(x)
		}
	}
}

// TestMiddlewareSeesNoRoute asks for what no route takes: as http.ServeMux, the server
// refuses it, or redirects to what one takes.
func TestMiddlewareSeesNoRoute(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.Use(func(next loop.Handler) loop.Handler {
			return func(x *loop.Exchange) {
				_ = x.SetHeader("x-route", fmt.Sprintf("%q %q", x.Pattern(), x.PathValue("path")))
				next(x)
			}
		})
		srv.Handle("GET /tree/{path...}", say("tree"))
	})
	p := ts.open(cleartext)
	for path, want := range map[string][3]string{
		"/tree/a":       {"200", "", `"GET /tree/{path...}" "a"`},
		"/tree":         {"307", "/tree/", `"" ""`},
		"/tree//a":      {"307", "/tree/a", `"" ""`},
		"/tree/../tree": {"307", "/tree/", `"" ""`},
		"/other":        {"404", "", `"" ""`},
	} {
		a := p.fetch(path)
		if got := [3]string{a.status(), a.get("location"), a.get("x-route")}; got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

// TestMiddleware sees which middleware runs, in which order.
func TestMiddleware(t *testing.T) {
	t.Parallel()
	for _, isolated := range []bool{false, true} {
		ts := newServer(t, loop.Config{IsolateCallbacks: isolated}, func(srv *loop.Server) {
			srv.Handle("GET /early", say("early")) // before there is any middleware
			srv.Use(mark("1"), mark("2"))
			srv.Handle("GET /plain", say("plain"))
			srv.Handle("GET /own/{x}", func(x *loop.Exchange) { _ = x.SendString(200, x.PathValue("x")) }, mark("3"), mark("4"))
			api := srv.Group("/api/")
			v1 := api.Group("/v1")
			v1.Handle("GET /items/{id}", func(x *loop.Exchange) { _ = x.SendString(200, x.Pattern()) }, mark("own"))
			v1.HandleBlocking("POST example.com/items", func(_ context.Context, x *loop.Exchange) error {
				body, err := x.ReadAll(0)
				if err != nil {
					return err
				}
				return x.SendString(200, x.Pattern()+string(body))
			})
			v1.Handle("/{$}", say("root"))
			v1.Use(mark("v1"))
			api.Use(mark("api"))
			srv.Group("").Handle("/group/", say("group"))
			srv.Use(func(next loop.Handler) loop.Handler {
				return func(x *loop.Exchange) {
					if x.Header("deny") != "" {
						_ = x.SendError(403, "denied "+x.Pattern())
						return
					}
					next(x)
				}
			})
			want := []loop.Route{
				{"GET /early", loop.KindLoop},
				{"GET /plain", loop.KindLoop},
				{"GET /own/{x}", loop.KindLoop},
				{"GET /api/v1/items/{id}", loop.KindLoop},
				{"POST example.com/api/v1/items", loop.KindBlocking},
				{"/api/v1/{$}", loop.KindLoop},
				{"/group/", loop.KindLoop},
			}
			if got := srv.Routes(); !slices.Equal(got, want) {
				t.Errorf("routes %v", got)
			}
		})
		p := ts.open(cleartext)
		for _, tt := range []struct{ method, path, status, body, marks string }{
			{"GET", "/early", "200", "early", "1, 2"},
			{"HEAD", "/early", "200", "", "1, 2"},
			{"GET", "/plain", "200", "plain", "1, 2"},
			{"GET", "/own/v", "200", "v", "1, 2, 3, 4"},
			{"GET", "/api/v1/items/7", "200", "GET /api/v1/items/{id}", "1, 2, api, v1, own"},
			{"POST", "/api/v1/items", "200", "POST example.com/api/v1/itemsbody", "1, 2, api, v1"},
			{"GET", "/api/v1/", "200", "root", "1, 2, api, v1"},
			{"GET", "/group", "307", "", "1, 2"},
			{"GET", "/group/x", "200", "group", "1, 2"},
			{"GET", "/nowhere", "404", "404 page not found\n", "1, 2"},
			{"POST", "/plain", "405", "Method Not Allowed\n", "1, 2"},
		} {
			for _, deny := range []string{"", "yes"} {
				if deny != "" && tt.method != "GET" {
					continue
				}
				id := p.headers(tt.method, tt.path, tt.method != "POST", "deny", deny)
				p.flush()
				if tt.method == "POST" {
					p.data(id, []byte("body"), true)
				}
				a := p.answer(id)
				if deny == "" {
					a.want(t, tt.status, tt.body)
				} else if a.status() != "403" || !strings.HasPrefix(string(a.body), "denied ") {
					t.Errorf("%s: %s %q", tt.path, a.status(), a.body)
				}
				if got := a.get("x-mark"); deny == "" && got != tt.marks {
					t.Errorf("%s: marks %s, want %s", tt.path, got, tt.marks)
				}
			}
		}
	}
}

// TestSuspend has middleware ask somebody elsewhere, while the body comes, before
// handlers of every kind.
func TestSuspend(t *testing.T) {
	t.Parallel()
	ask := func(next loop.Handler) loop.Handler {
		return func(x *loop.Exchange) {
			a, verdict := x.Suspend(), x.Header("verdict")
			go func() {
				time.Sleep(time.Millisecond)
				if verdict == "deny" {
					_ = a.Do(func(x *loop.Exchange) {
						if x != nil {
							_ = x.SendError(403, "denied")
						}
					})
					return
				}
				if err := a.Continue(next); err != nil {
					t.Error(err)
				}
			}()
		}
	}
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		bodyRoutes(srv)
		srv.HandleBlocking("POST /blocking", func(_ context.Context, x *loop.Exchange) error {
			body, err := x.ReadAll(2 << 20)
			if err != nil {
				return err
			}
			return x.SendStatic(200, body)
		})
		srv.Handle("POST /unanswered", func(*loop.Exchange) {})
		srv.Handle("POST /panic", func(*loop.Exchange) { panic("on purpose") })
		srv.Handle("GET /{$}", say("hello"))
		srv.Use(ask, ask) // twice in a row
	})
	ts.expectLog("callback returned without answering")
	ts.expectLog("on purpose")
	ts.forEachVersion(t, func(t *testing.T, c *http.Client) {
		ts.t = t
		for _, n := range []int{0, 5, 1 << 20} {
			for _, path := range []string{"/read", "/each", "/blocking"} {
				r := ts.do(c, "POST", ts.url(cleartext, path), strings.NewReader(string(pattern(n))))
				wantSame(t, r.body, pattern(n))
			}
		}
		ts.do(c, "POST", ts.url(cleartext, "/after"), strings.NewReader("body")).want(t, 200, "after")
		ts.do(c, "POST", ts.url(cleartext, "/unanswered"), strings.NewReader("body")).want(t, 500, "Internal Server Error\n")
		ts.do(c, "GET", ts.url(cleartext, "/"), nil).want(t, 200, "hello")
		ts.do(c, "GET", ts.url(cleartext, "/nowhere"), nil).want(t, 404, "404 page not found\n")
		ts.do(c, "POST", ts.url(cleartext, "/read"), strings.NewReader("body"), "verdict", "deny").want(t, 403, "denied\n")
	})
	ts.t = t
	p := ts.open(cleartext)
	for i := range 60 { // and leave meanwhile
		id := p.post("/read")
		sendPieces(p, id, pattern(20_000), 0, rand.New(rand.NewPCG(1, 2)))
		if i%2 == 0 {
			p.cancel(id)
			continue
		}
		wantSame(t, p.answer(id).body, pattern(20_000))
	}
	p.answer(p.post("/panic"))
}

// TestNotFound answers for paths that are not known, and only those.
func TestNotFound(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.Handle("GET /a/", say("a"))
		srv.NotFound(func(x *loop.Exchange) { _ = x.SendString(404, "nothing at "+x.Path()) })
	})
	p := ts.open(cleartext)
	p.fetch("/nowhere").want(t, "404", "nothing at /nowhere")
	p.fetch("/a/").want(t, "200", "a")
	p.fetch("/a").want(t, "307", "")
	id := p.headers("PUT", "/a/", true)
	p.flush()
	p.answer(id).want(t, "405", "Method Not Allowed\n")
}

// TestTooLate changes a server that has begun to run, and registers what cannot be.
func TestTooLate(t *testing.T) {
	t.Parallel()
	panics := func(what, text string, f func()) {
		defer func() {
			if v := recover(); v == nil || !strings.Contains(fmt.Sprint(v), text) {
				t.Errorf("%s: %v", what, v)
			}
		}()
		f()
	}
	block := func(context.Context, *loop.Exchange) error { return nil }
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.Handle("/a/{x}", say("a"))
		panics("a conflict", `"/g/a/{y}" conflicts`, func() {
			g := srv.Group("/g")
			g.Handle("/a/{x}", say("a"))
			g.HandleBlocking("/a/{y}", block)
		})
		panics("no handler", "has no handler", func() { srv.HandleBlocking("/b", nil) })
		panics("no slash", "does not begin with a slash", func() { srv.Group("api") })
	})
	ts.open(cleartext).fetch("/a/b").want(t, "200", "a")
	for what, f := range map[string]func(){
		"Handle":         func() { ts.srv.Handle("/c", say("c")) },
		"HandleBlocking": func() { ts.srv.HandleBlocking("/c", block) },
		"Use":            func() { ts.srv.Use(mark("late")) },
		"NotFound":       func() { ts.srv.NotFound(say("late")) },
		"OnError":        func() { ts.srv.OnError(nil) },
	} {
		panics(what, "after Run has begun", f)
	}
}
