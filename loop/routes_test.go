package loop_test

import (
	"strings"
	"testing"

	"github.com/h2loop/h2loop/loop"
)

// say answers with text.
func say(text string) loop.Handler {
	return func(x *loop.Exchange) { _ = x.SendString(200, text) }
}

// TestRoutes sees requests reach the callback of the pattern that is the most
// specific, and the rest refused. What patterns match is tested at length in
// internal/route.
func TestRoutes(t *testing.T) {
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.Handle("GET /items/{id}", func(x *loop.Exchange) {
			_ = x.SendString(200, "item "+x.PathValue("id")+" by "+x.Pattern()+" none "+x.PathValue("none"))
		})
		srv.Handle("GET /items/special", say("special"))
		srv.Handle("PUT /items/{id}", say("put"))
		srv.Handle("GET /files/{rest...}", func(x *loop.Exchange) { _ = x.SendString(200, x.PathValue("rest")) })
		srv.Handle("/tree/", say("tree"))
		srv.Handle("/{$}", say("root"))
		srv.Handle("any.example/{$}", say("host"))
		srv.Handle("POST /only", say("posted"))
		srv.Handle("GET /raw/{v}", func(x *loop.Exchange) {
			_ = x.SendString(200, strings.Join([]string{x.Path(), x.RawQuery(), x.PathValue("v")}, " "))
		})
	})
	for _, tt := range []struct {
		name         string
		method, path string
		headers      []string
		status, body string
		field, value string // to be in the response
	}{
		{"wildcard", "GET", "/items/7", nil, "200", "item 7 by GET /items/{id} none ", "", ""},
		{"wildcard, decoded", "GET", "/items/a%20b%2Fc", nil, "200", "item a b/c by GET /items/{id} none ", "", ""},
		{"more specific", "GET", "/items/special", nil, "200", "special", "", ""},
		{"by method", "PUT", "/items/7", nil, "200", "put", "", ""},
		{"rest of the path", "GET", "/files/a/b/c", nil, "200", "a/b/c", "", ""},
		{"empty rest", "GET", "/files/", nil, "200", "", "", ""},
		{"subtree", "DELETE", "/tree/a/b", nil, "200", "tree", "", ""},
		{"exact root", "GET", "/", nil, "200", "root", "", ""},
		{"root with query", "GET", "/?a=/b", nil, "200", "root", "", ""},
		{"by host", "GET", "/", []string{":authority", "any.example"}, "200", "host", "", ""},
		{"by host and port", "GET", "/", []string{":authority", "any.example:81"}, "200", "host", "", ""},
		{"by Host field", "GET", "/", []string{":authority", "", "host", "any.example"}, "200", "host", "", ""},
		{"raw", "GET", "/raw/%41%2f?x=%41&y", nil, "200", "/raw/%41%2f x=%41&y A/", "", ""},
		{"HEAD from GET", "HEAD", "/items/7", nil, "200", "", "content-length", "31"},
		{"not found", "GET", "/nothing", nil, "404", "404 page not found\n", "content-type", "text/plain; charset=utf-8"},
		{"not found, not sniffed", "GET", "/nothing", nil, "404", "404 page not found\n", "x-content-type-options", "nosniff"},
		{"HEAD not found", "HEAD", "/nothing", nil, "404", "", "content-length", "19"},
		{"method not allowed", "DELETE", "/items/7", nil, "405", "Method Not Allowed\n", "allow", "GET, HEAD, PUT"},
		{"method not allowed, one", "GET", "/only", nil, "405", "Method Not Allowed\n", "allow", "POST"},
		{"HEAD not allowed", "HEAD", "/only", nil, "405", "", "allow", "POST"},
		{"slash is missing", "GET", "/tree", nil, "307", "", "location", "/tree/"},
		{"slash is missing, query", "GET", "/tree?a=b", nil, "307", "", "location", "/tree/?a=b"},
		{"path is not clean", "GET", "/tree/../items//7?q", nil, "307", "", "location", "/items/7?q"},
		{"percent and no digits", "GET", "/items/%zz", nil, "400", "Bad Request: the path has a malformed percent-encoding\n", "", ""},
		{"percent at the end", "GET", "/items/%", nil, "400", "Bad Request: the path has a malformed percent-encoding\n", "", ""},
		{"percent in the rest", "GET", "/files/a/%4", nil, "400", "Bad Request: the path has a malformed percent-encoding\n", "", ""},
		{"OPTIONS of the server", "OPTIONS", "*", nil, "200", "", "content-length", "0"},
		{"GET of the server", "GET", "*", nil, "400", "", "", ""},
		{"CONNECT", "CONNECT", "", []string{":scheme", "", ":path", ""}, "404", "404 page not found\n", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := openOn(t, ts.connect(cleartext))
			id := p.headers(tt.method, tt.path, true, tt.headers...)
			p.flush()
			a := p.answer(id)
			if tt.name == "GET of the server" {
				if a.status() == "200" {
					t.Errorf("status %q", a.status())
				}
				return
			}
			a.want(t, tt.status, tt.body)
			if tt.field != "" && a.get(tt.field) != tt.value {
				t.Errorf("%s is %q, want %q", tt.field, a.get(tt.field), tt.value)
			}
		})
	}
}

// TestRefusedWithBody refuses requests whose body nobody wants: after the end of
// a small one, and at once if it is large.
func TestRefusedWithBody(t *testing.T) {
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.Handle("GET /page", say("page"))
	})
	forEachTransport(t, func(t *testing.T, tr transport) {
		ts.t = t
		p := ts.open(tr)
		for _, path := range []string{"/nothing", "/page"} {
			id := p.post(path)
			p.ping()
			if p.streams[id].fields != nil {
				t.Error("answered before the end of a body that may be small")
			}
			p.data(id, pattern(1000), true)
			a := p.answer(id)
			if a.reset || a.status()[0] != '4' {
				t.Errorf("status %q, reset: %v", a.status(), a.reset)
			}

			// A body that is announced as long, or turns out to be.
			long := p.post(path, "content-length", "10000000")
			if a := p.answer(long); a.status()[0] != '4' {
				t.Errorf("status %q", a.status())
			}
			unknown := p.post(path)
			p.data(unknown, pattern(64<<10+1), false)
			if a := p.answer(unknown); a.status()[0] != '4' {
				t.Errorf("status %q", a.status())
			}
			// "… by sending a RST_STREAM with an error code of NO_ERROR".
			// RFC 9113, Section 8.1.
			p.until("the resets", func() bool { return p.streams[long].reset && p.streams[unknown].reset })
			if c := p.streams[long].code; c != 0 {
				t.Errorf("reset with %v", c)
			}
		}
	})
}

// TestRefusedTunnel refuses a CONNECT at once: nothing would end before the answer.
func TestRefusedTunnel(t *testing.T) {
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) { srv.Handle("GET /page", say("page")) })
	forEachTransport(t, func(t *testing.T, tr transport) {
		ts.t = t
		p := ts.open(tr)
		id := p.headers("CONNECT", "", false, ":scheme", "")
		p.flush()
		p.answer(id).want(t, "404", "404 page not found\n")
	})
}

// TestHandlePanics registers what must not be registered.
func TestHandlePanics(t *testing.T) {
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.Handle("GET /a/{x}", say(""))
		for _, tt := range []struct {
			pattern string
			h       loop.Handler
			says    string
		}{
			{"GET /b", nil, "has no handler"},
			{"GET  b", say(""), "GET  b"},
			{"GET /{", say(""), "GET /{"},
			{"GET /a/{y}", say(""), "GET /a/{x}"},
		} {
			wantPanic(t, tt.says, func() { srv.Handle(tt.pattern, tt.h) })
		}
	})
	ts.open(cleartext).fetch("/a/b").want(t, "200", "")
	wantPanic(t, "after Run has begun", func() { ts.srv.Handle("GET /late", say("")) })
}

func wantPanic(t *testing.T, says string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		text, _ := recover().(string)
		if !strings.Contains(text, says) || !strings.HasPrefix(text, "loop: ") {
			t.Errorf("panic %q, want one that begins with loop: and says %q", text, says)
		}
	}()
	f()
}
