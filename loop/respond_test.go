package loop_test

import (
	"errors"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/loop"
)

// TestRequestAccessors asks an exchange about its request.
func TestRequestAccessors(t *testing.T) {
	addrs := make(chan [2]netip.AddrPort, 1)
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.Handle("/page", func(x *loop.Exchange) {
			for _, tt := range []struct{ what, got, want string }{
				{"Method", x.Method(), "GET"},
				{"Path", x.Path(), "/page"},
				{"RawQuery", x.RawQuery(), "q=%20?&"},
				{"Host", x.Host(), "example.com"},
				{"Scheme", x.Scheme(), "http"},
				{"Pattern", x.Pattern(), "/page"},
				{"PathValue", x.PathValue("x"), ""},
				{"Header", x.Header("x-one"), "1"},
				{"Header, other case", x.Header("X-One"), "1"},
				{"Header, first", x.Header("x-two"), "2a"},
				{"Header, none", x.Header("x-three"), ""},
				{"Header, pseudo", x.Header(":path"), ""},
			} {
				if tt.got != tt.want {
					t.Errorf("%s is %q, want %q", tt.what, tt.got, tt.want)
				}
			}
			var all []string
			for name, value := range x.Headers {
				if all = append(all, name+"="+value); len(all) == 3 {
					break
				}
			}
			if got := strings.Join(all, " "); got != "x-one=1 x-two=2a x-two=2b" {
				t.Errorf("Headers yields %s", got)
			}
			for name := range x.Trailers {
				t.Errorf("trailer %s", name)
			}
			if n := x.ContentLength(); n != 0 {
				t.Errorf("ContentLength is %d", n)
			}
			addrs <- [2]netip.AddrPort{x.RemoteAddr(), x.LocalAddr()}
			if state := x.TLS(); state == nil {
				_ = x.SendString(200, "cleartext")
			} else {
				_ = x.SendString(200, state.NegotiatedProtocol+" "+state.ServerName)
			}
		})
		srv.Handle("POST /length", func(x *loop.Exchange) {
			_ = x.SendString(200, strconv.FormatInt(x.ContentLength(), 10))
		})
	})
	forEachTransport(t, func(t *testing.T, tr transport) {
		ts.t = t
		p := ts.open(tr)
		a := p.fetch("/page?q=%20?&", "x-one", "1", "x-two", "2a", "x-two", "2b", "x-last", "")
		if tr == cleartext {
			a.want(t, "200", "cleartext")
		} else {
			a.want(t, "200", "h2 ") // no server name is sent for an address
		}
		got := <-addrs
		if want := p.nc.LocalAddr().String(); got[0].String() != want {
			t.Errorf("RemoteAddr is %v, want %v", got[0], want)
		}
		if want := ts.addr(tr); got[1].String() != want {
			t.Errorf("LocalAddr is %v, want %v", got[1], want)
		}
		p.answer(p.post("/length")).want(t, "200", "-1")
		p.answer(p.post("/length", "content-length", "5")).want(t, "200", "5")
	})
}

// TestResponseFields sets fields that may be sent, and those that may not.
func TestResponseFields(t *testing.T) {
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.Handle("/", func(x *loop.Exchange) {
			for _, f := range [][2]string{
				{"X-Upper", "1"}, {"x-set", "old"}, {"X-SET", "new"}, {"x-empty", ""}, {"x-utf8", "grüße"},
			} {
				if err := x.SetHeader(f[0], f[1]); err != nil {
					t.Errorf("SetHeader(%q, %q): %v", f[0], f[1], err)
				}
			}
			for _, v := range []string{"a=1", "b=2"} {
				if err := x.AddHeader("Set-Cookie", v); err != nil {
					t.Errorf("AddHeader: %v", err)
				}
			}
			// RFC 9113, Sections 8.2.1 and 8.2.2.
			for _, f := range [][2]string{
				{"", "x"},
				{":status", "200"},
				{"x bad", "x"},
				{"x-bad:", "x"},
				{"x-bad", "a\r\nb: c"},
				{"x-bad", "a\x00b"},
				{"x-bad", " a"},
				{"x-bad", "a\t"},
				{"x-bäd", "a"},
				{"Connection", "close"},
				{"Keep-Alive", "1"},
				{"Transfer-Encoding", "chunked"},
				{"Upgrade", "h2c"},
				{"Proxy-Connection", "close"},
			} {
				if x.SetHeader(f[0], f[1]) == nil || x.AddHeader(f[0], f[1]) == nil {
					t.Errorf("field %q with %q is not refused", f[0], f[1])
				}
			}
			_ = x.SendString(200, "")
		})
	})
	forEachTransport(t, func(t *testing.T, tr transport) {
		ts.t = t
		a := ts.open(tr).fetch("/")
		for _, tt := range [][2]string{
			{":status", "200"},
			{"x-upper", "1"},
			{"x-set", "new"},
			{"x-empty", ""},
			{"x-utf8", "grüße"},
			{"set-cookie", "a=1, b=2"},
			{"content-type", "text/plain; charset=utf-8"},
			{"content-length", "0"},
		} {
			if got := a.get(tt[0]); got != tt[1] {
				t.Errorf("%s is %q, want %q", tt[0], got, tt[1])
			}
		}
		if len(a.fields) != 10 {
			t.Errorf("%d fields, want 10: %v", len(a.fields), a.fields)
		}
	})
}

// TestStatuses answers with every kind of status, with GET and with HEAD.
func TestStatuses(t *testing.T) {
	const text = "some text"
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.Handle("/{verb}/{status}", func(x *loop.Exchange) {
			status, _ := strconv.Atoi(x.PathValue("status"))
			var err error
			switch x.PathValue("verb") {
			case "string":
				err = x.SendString(status, text)
			case "send":
				err = x.Send(status, []byte(text))
			case "static":
				err = x.SendStatic(status, []byte(text))
			case "owned":
				err = x.SendOwned(status, []byte(text), func() {})
			case "source":
				err = x.SendSource(status, int64(len(text)), &sliceSource{left: []byte(text)})
			}
			if status < 200 || status > 999 {
				if !errors.Is(err, loop.ErrStatus) {
					t.Errorf("status %d: %v", status, err)
				}
				_ = x.SendString(200, "refused")
			} else if err != nil {
				t.Errorf("status %d: %v", status, err)
			}
		})
	})
	p := ts.open(cleartext)
	for _, verb := range []string{"string", "send", "static", "owned", "source"} {
		for _, status := range []string{"200", "201", "203", "206", "299", "300", "400", "404", "500", "599", "999"} {
			p.fetch("/"+verb+"/"+status).want(t, status, text)

			id := p.headers("HEAD", "/"+verb+"/"+status, true)
			p.flush()
			a := p.answer(id)
			a.want(t, status, "")
			if got := a.get("content-length"); got != strconv.Itoa(len(text)) {
				t.Errorf("HEAD: content-length is %q", got)
			}
		}
		for _, status := range []string{"204", "304"} {
			a := p.fetch("/" + verb + "/" + status)
			a.want(t, status, "")
			// RFC 9110, Section 8.6: none with 204, and only the length of the
			// response to an unconditional GET with 304.
			if got := a.get("content-length"); got != "" {
				t.Errorf("%s has content-length %q", status, got)
			}
			if a.frames > 0 {
				t.Errorf("%s has a DATA frame", status)
			}
		}
		for _, status := range []string{"0", "-1", "100", "101", "103", "199", "1000", "70000"} {
			a := p.fetch("/" + verb + "/" + status)
			a.want(t, "200", "refused")
		}
	}
}

// TestStatic sees the answer that never changes, and refusals of what could not
// be sent.
func TestStatic(t *testing.T) {
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.Handle("/logo", loop.Static(200, "image/png", []byte("logo")))
		srv.Handle("/gone", loop.Static(410, "text/plain", nil))
		srv.Handle("/nothing", loop.Static(204, "text/plain", []byte("logo")))
	})
	p := ts.open(overTLS)
	for range 2 {
		a := p.fetch("/logo")
		a.want(t, "200", "logo")
		if a.get("content-type") != "image/png" || a.get("content-length") != "4" || a.get("date") == "" {
			t.Errorf("fields %v", a.fields)
		}
		p.fetch("/gone").want(t, "410", "")
		if a := p.fetch("/nothing"); a.status() != "204" || len(a.fields) != 2 {
			t.Errorf("fields %v, want :status 204 and date", a.fields)
		}
	}
	id := p.post("/logo")
	p.data(id, []byte("unwanted"), true)
	p.answer(id).want(t, "200", "logo")
	wantPanic(t, "Static", func() { loop.Static(200, "text/plain\n", nil) })
	wantPanic(t, "Static", func() { loop.Static(100, "text/plain", nil) })
	wantPanic(t, "Static", func() { loop.Static(1000, "text/plain", nil) })
}

// TestDate sees that the Date field is there, is right, and moves.
func TestDate(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.Handle("/", say(""))
		srv.Handle("/own", func(x *loop.Exchange) {
			_ = x.SetHeader("Date", "Thu, 01 Jan 1970 00:00:00 GMT")
			_ = x.SendString(200, "")
		})
	})
	p := ts.open(cleartext)
	first := p.fetch("/").get("date")
	at, err := http.ParseTime(first)
	if err != nil {
		t.Fatal(err)
	}
	if d := time.Since(at); d < -2*time.Second || d > patience {
		t.Errorf("Date is %s, it is %v", first, time.Now())
	}
	eventually(t, "the date to move", func() bool { return p.fetch("/").get("date") != first })
	if got := p.fetch("/own").get("date"); got != "Thu, 01 Jan 1970 00:00:00 GMT" {
		t.Errorf("date is %q, want the one that was set", got)
	}
}

// TestOwnContentLength sees that a callback may say a length where there is no
// body, and cannot make the response malformed.
func TestOwnContentLength(t *testing.T) {
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.Handle("/{status}", func(x *loop.Exchange) {
			status, _ := strconv.Atoi(x.PathValue("status"))
			if err := x.SetHeader("Content-Length", "1234"); err != nil {
				t.Error(err)
			}
			_ = x.SendString(status, "text")
		})
	})
	p := ts.open(cleartext)
	for _, tt := range []struct{ method, status, want string }{
		{"HEAD", "200", "1234"},
		{"GET", "304", "1234"},
		// "A server MUST NOT send a Content-Length header field in any response
		// with a status code of … 204". RFC 9110, Section 8.6.
		{"GET", "204", ""},
		// "A request or response … is also malformed if the value of a
		// content-length header field does not equal the sum of the DATA frame
		// payload lengths". RFC 9113, Section 8.1.1.
		{"GET", "200", "4"},
	} {
		id := p.headers(tt.method, "/"+tt.status, true)
		p.flush()
		if got := p.answer(id).get("content-length"); got != tt.want {
			t.Errorf("%s, %s: content-length is %q, want %q", tt.method, tt.status, got, tt.want)
		}
	}
}

// TestAnsweredTwice answers again, by every verb.
func TestAnsweredTwice(t *testing.T) {
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.Handle("/", func(x *loop.Exchange) {
			x.Async() // so that the exchange lives on
			_ = x.SendSource(200, 5, &sliceSource{left: []byte("first")})
			released := 0
			for verb, err := range map[string]error{
				"Send":       x.Send(200, []byte("x")),
				"SendString": x.SendString(200, "x"),
				"SendStatic": x.SendStatic(200, []byte("x")),
				"SendOwned":  x.SendOwned(200, []byte("x"), func() { released++ }),
				"SendSource": x.SendSource(200, 1, sourceFunc{release: func() { released++ }}),
				"SetHeader":  x.SetHeader("x-late", "x"),
				"AddHeader":  x.AddHeader("x-late", "x"),
			} {
				if !errors.Is(err, loop.ErrAnswered) {
					t.Errorf("%s: %v", verb, err)
				}
			}
			if released != 2 {
				t.Errorf("%d releases, want 2", released)
			}
		})
	})
	ts.open(cleartext).fetch("/").want(t, "200", "first")
}

// TestDeadExchange uses an exchange after its end, which must neither work nor
// leave a trace in the request that uses its memory next.
func TestDeadExchange(t *testing.T) {
	var dead *loop.Exchange // for the loop only
	var again atomic.Bool   // it was used again
	holding := make(chan loop.Async, 2)
	ts := newServer(t, loop.Config{Loops: 1}, func(srv *loop.Server) {
		srv.Handle("/reset", func(x *loop.Exchange) {
			if err := x.Reset(frames.ErrCodeCancel); err != nil {
				t.Error(err)
			}
			checkDead(t, x) // over, and still in its callback
		})
		srv.Handle("/hold", func(x *loop.Exchange) { holding <- x.Async() })
		srv.Handle("/dies", func(x *loop.Exchange) {
			dead = x
			_ = x.SendString(200, "done")
		})
		srv.Handle("/check", func(x *loop.Exchange) {
			if dead != x { // which it is where the others were forgotten
				checkDead(t, dead)
			}
			_ = x.Send(200, nil)
		})
		srv.Handle("/again", func(x *loop.Exchange) {
			again.Store(dead == x)
			_ = x.Send(200, nil)
		})
	})
	p := ts.open(overTLS)
	p.fetch("/reset").wantReset(t, frames.ErrCodeCancel)
	// What is not used again for half a second is forgotten.
	eventually(t, "the dead exchange to be used again", func() bool {
		held := p.get("/hold")
		p.fetch("/dies").want(t, "200", "done")
		p.cancel(held) // is the first to be used again
		p.ping()
		settle(t, wait(t, "the one that holds", holding))
		p.fetch("/check").want(t, "200", "")
		held = p.get("/hold")
		a := p.fetch("/again")
		a.want(t, "200", "")
		if len(a.fields) != 3 {
			t.Errorf("fields %v, want :status, content-length and date only", a.fields)
		}
		p.cancel(held)
		p.ping()
		settle(t, wait(t, "the one that holds", holding))
		return again.Load()
	})
}

func checkDead(t *testing.T, x *loop.Exchange) {
	released := 0
	for verb, err := range map[string]error{
		"Send":       x.Send(200, []byte("x")),
		"SendString": x.SendString(200, "x"),
		"SendStatic": x.SendStatic(200, []byte("x")),
		"SendOwned":  x.SendOwned(200, []byte("x"), func() { released++ }),
		"SendSource": x.SendSource(200, 1, sourceFunc{release: func() { released++ }}),
		"SetHeader":  x.SetHeader("x-secret", "of another"),
		"AddHeader":  x.AddHeader("x-secret", "of another"),
		"Reset":      x.Reset(frames.ErrCodeCancel),
		"OnBody":     x.OnBody(func(*loop.Exchange, []byte, bool) { t.Error("body of a dead exchange") }),
		"ReadBody":   x.ReadBody(0, func(*loop.Exchange, []byte) { t.Error("body of a dead exchange") }),
		"Resume":     x.Resume(),
		"Async.Do":   x.Async().Do(func(*loop.Exchange) { t.Error("Do of a dead exchange") }),
	} {
		if !errors.Is(err, loop.ErrClosed) {
			t.Errorf("%s: %v", verb, err)
		}
	}
	if released != 2 {
		t.Errorf("%d releases, want 2", released)
	}
	if !x.Async().Done() {
		t.Error("not Done")
	}
	if x.Method()+x.Host()+x.Scheme()+x.Header("x-one") != "" || x.ContentLength() != 0 {
		t.Error("a dead exchange has a request")
	}
	for name := range x.Headers {
		t.Errorf("a dead exchange has a field %s", name)
	}
	for name := range x.Trailers {
		t.Errorf("a dead exchange has a trailer %s", name)
	}
	// These say something or nothing, but do not panic.
	_, _, _, _ = x.Path(), x.RawQuery(), x.Pattern(), x.PathValue("x")
	_, _, _ = x.RemoteAddr(), x.LocalAddr(), x.TLS()
	called := false
	x.AfterBody(func(*loop.Exchange) { called = true })
	if !called {
		t.Error("AfterBody does not call")
	}
}

// TestUnanswered sees callbacks that return without having answered.
func TestUnanswered(t *testing.T) {
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.Handle("GET /silent", func(x *loop.Exchange) {
			_ = x.SetHeader("content-length", "7")
			_ = x.SetHeader("etag", `"x"`)
		})
		srv.Handle("POST /read", func(x *loop.Exchange) { _ = x.ReadBody(0, func(*loop.Exchange, []byte) {}) })
		srv.Handle("POST /each", func(x *loop.Exchange) { _ = x.OnBody(func(*loop.Exchange, []byte, bool) {}) })
	})
	ts.expectLog("callback returned without answering")
	p := ts.open(cleartext)
	a := p.fetch("/silent")
	a.want(t, "500", "Internal Server Error\n")
	if a.get("etag") != "" || a.get("content-length") != "22" {
		t.Errorf("fields %v: those of the callback are not about this answer", a.fields)
	}
	for _, path := range []string{"/read", "/each"} {
		id := p.post(path)
		p.data(id, []byte("x"), false)
		p.ping()
		if p.streams[id].fields != nil {
			t.Errorf("%s: answered before the end of the body", path)
		}
		p.data(id, []byte("x"), true)
		p.answer(id).want(t, "500", "Internal Server Error\n")
	}
	for _, pattern := range []string{"GET /silent", "POST /read", "POST /each"} {
		if n := len(ts.log.find("callback returned without answering", pattern)); n != 1 {
			t.Errorf("%d log lines for %s", n, pattern)
		}
	}
}

// TestReset ends streams from callbacks.
func TestReset(t *testing.T) {
	var released atomic.Int32
	ts := newServer(t, loop.Config{Loops: 1}, func(srv *loop.Server) {
		srv.Handle("/before", func(x *loop.Exchange) { _ = x.Reset(frames.ErrCodeEnhanceYourCalm) })
		srv.Handle("/after", func(x *loop.Exchange) {
			_ = x.SendOwned(200, make([]byte, 1<<20), func() { released.Add(1) })
			_ = x.Reset(frames.ErrCodeInternal)
		})
		srv.Handle("/released", func(x *loop.Exchange) { _ = x.SendString(200, strconv.Itoa(int(released.Load()))) })
	})
	forEachTransport(t, func(t *testing.T, tr transport) {
		ts.t = t
		released.Store(0)
		p := ts.open(tr)
		p.fetch("/before").wantReset(t, frames.ErrCodeEnhanceYourCalm)
		p.fetch("/after").wantReset(t, frames.ErrCodeInternal)
		p.fetch("/released").want(t, "200", "1")
	})
}
