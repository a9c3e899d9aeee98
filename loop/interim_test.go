package loop_test

import (
	"errors"
	"testing"

	"github.com/h2loop/h2loop/loop"
)

// TestInterim sends interim responses before the answer.
func TestInterim(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.Handle("/", func(x *loop.Exchange) {
			for _, status := range []int{99, 101, 200} {
				if err := x.Inform(status); !errors.Is(err, loop.ErrInterim) {
					t.Errorf("%d: %v", status, err)
				}
			}
			if x.Inform(103, loop.Field{Name: "Link", Value: "x"}) == nil {
				t.Error("a name in upper case")
			}
			_ = x.SetHeader("x-final", "yes")
			_ = x.Inform(102)
			link := func(s string) loop.Field { return loop.Field{Name: "link", Value: s} }
			if err := x.Inform(103, link("</a.css>; rel=preload"), link("</b.js>; rel=preload")); err != nil {
				t.Error(err)
			}
			_ = x.SendString(200, "answer")
			if err := x.Inform(103); !errors.Is(err, loop.ErrClosed) {
				t.Error(err)
			}
		})
	})
	forEachTransport(t, func(t *testing.T, tr transport) {
		ts.t = t
		a := ts.open(tr).fetch("/")
		a.want(t, "200", "answer")
		if len(a.interim) != 2 || fieldOf(a.interim[0], ":status") != "102" || len(a.interim[0]) != 1 ||
			fieldOf(a.interim[1], ":status") != "103" || fieldOf(a.interim[1], "link") != "</a.css>; rel=preload, </b.js>; rel=preload" {
			t.Errorf("interim responses %v", a.interim)
		}
		if a.get("x-final") != "yes" {
			t.Error(a.fields)
		}
	})
}

// TestSendTrailers sends trailers behind bodies of every kind.
func TestSendTrailers(t *testing.T) {
	t.Parallel()
	big := pattern(200_000)
	released := make(chan bool, 10)
	add := func(x *loop.Exchange) {
		if err := x.AddTrailer("Grpc-Status", "0"); err != nil {
			t.Error(err)
		}
		_ = x.AddTrailer("grpc-message", "ok")
	}
	routes := map[string]loop.Handler{
		"none":   func(x *loop.Exchange) { add(x); _ = x.Send(200, nil) },
		"send":   func(x *loop.Exchange) { add(x); _ = x.Send(200, big) },
		"string": func(x *loop.Exchange) { add(x); _ = x.SendString(200, string(big)) },
		"static": func(x *loop.Exchange) { add(x); _ = x.SendStatic(200, big) },
		"owned":  func(x *loop.Exchange) { add(x); _ = x.SendOwned(200, big, func() { released <- true }) },
		"source": func(x *loop.Exchange) {
			rest := big
			_ = x.SendSource(200, -1, sourceFunc{pull: func(most int) ([]byte, bool, error) {
				p := rest[:min(most, len(rest))]
				if rest = rest[len(p):]; len(rest) == 0 {
					add(x)
				}
				return p, len(rest) == 0, nil
			}})
		},
		"empty-end": func(x *loop.Exchange) {
			sent := false
			_ = x.SendSource(200, -1, sourceFunc{pull: func(int) ([]byte, bool, error) {
				if sent {
					add(x)
					return nil, true, nil
				}
				sent = true
				return big, false, nil
			}})
		},
	}
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.Handle("/{kind}", func(x *loop.Exchange) {
			if x.AddTrailer("content-length", "1") == nil || x.AddTrailer("x", "a\nb") == nil {
				t.Error("a field that is no trailer")
			}
			routes[x.PathValue("kind")](x)
		})
	})
	forEachTransport(t, func(t *testing.T, tr transport) {
		ts.t = t
		p := ts.open(tr)
		for kind := range routes {
			path := "/" + kind
			a := p.fetch(path)
			if fieldOf(a.trailer, "grpc-status") != "0" || fieldOf(a.trailer, "grpc-message") != "ok" || len(a.trailer) != 2 {
				t.Errorf("%s: trailers %v", kind, a.trailer)
			}
			if kind != "none" {
				wantSame(t, a.body, big)
			}
			id := p.headers("HEAD", path, true)
			p.flush()
			if a := p.answer(id); a.trailer != nil || len(a.body) > 0 || a.status() != "200" {
				t.Errorf("%s: HEAD is answered with %+v", kind, a)
			}
		}
		wait(t, "the release", released)
	})
}
