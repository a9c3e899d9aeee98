package loop_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/loop"
)

// bodyRoutes are ways to take a request body.
func bodyRoutes(srv *loop.Server) {
	srv.Handle("POST /read", func(x *loop.Exchange) {
		_ = x.ReadBody(2<<20, func(x *loop.Exchange, body []byte) { _ = x.Send(200, body) })
	})
	srv.Handle("POST /read/{limit}", func(x *loop.Exchange) {
		limit, _ := strconv.Atoi(x.PathValue("limit"))
		_ = x.SetHeader("etag", `"of another answer"`)
		_ = x.ReadBody(limit, func(x *loop.Exchange, body []byte) { _ = x.Send(200, body) })
	})
	srv.Handle("POST /each", func(x *loop.Exchange) {
		var all []byte
		ends := 0
		_ = x.OnBody(func(x *loop.Exchange, p []byte, end bool) {
			all = append(all, p...)
			if end {
				ends++
				_ = x.Send(200, all)
			}
			if ends > 1 {
				panic("a second end")
			}
		})
	})
	srv.Handle("POST /ignore", func(x *loop.Exchange) {
		x.Async() // answers never
	})
	srv.Handle("POST /early", func(x *loop.Exchange) { _ = x.SendString(200, "early") })
	srv.Handle("POST /after", func(x *loop.Exchange) {
		x.AfterBody(func(x *loop.Exchange) { _ = x.SendString(200, "after") })
	})
}

// TestRequestBodies sends bodies of many lengths in pieces of many sizes.
func TestRequestBodies(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{}, bodyRoutes)
	forEachTransport(t, func(t *testing.T, tr transport) {
		ts.t = t
		p := ts.open(tr)
		rnd := rand.New(rand.NewPCG(1, 2))
		for _, path := range []string{"/read", "/each"} {
			for _, n := range []int{0, 1, 100, 16384, 16385, 65536, 1 << 20} {
				for _, most := range []int{n + 1, 16384, 1000, 0} {
					if most == 1000 && n > 100_000 {
						continue // takes long and shows no more
					}
					var declared []string
					if rnd.IntN(2) == 0 {
						declared = []string{"content-length", strconv.Itoa(n)}
					}
					body := pattern(n)
					id := p.post(path, declared...)
					sendPieces(p, id, body, most, rnd)
					a := p.answer(id)
					if a.status() != "200" {
						t.Fatalf("%s, %d octets: status %q", path, n, a.status())
					}
					wantSame(t, a.body, body)
				}
			}
		}
	})
}

// sendPieces sends body in frames of most octets at most, random if most is 0,
// as the server's windows allow.
func sendPieces(p *peer, id frames.StreamID, body []byte, most int, rnd *rand.Rand) {
	p.t.Helper()
	a := p.streams[id]
	sent := 0
	for {
		n := most
		if most == 0 {
			n = rnd.IntN(16384)
		}
		n = min(n, len(body)-sent, 16384)
		stream := int64(p.settings[frames.SettingInitialWindowSize])
		p.until("credit", func() bool {
			return stream+a.granted >= int64(sent+n) && 65535+p.granted >= p.uploaded+int64(n)
		})
		p.uploaded += int64(n)
		p.data(id, body[sent:sent+n], sent+n == len(body))
		if sent += n; sent == len(body) {
			return
		}
	}
}

// TestRequestBodiesByteByByte splits every frame of a request at every octet.
func TestRequestBodiesByteByByte(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{}, bodyRoutes)
	forEachTransport(t, func(t *testing.T, tr transport) {
		ts.t = t
		p := newPeer(t, ts.connect(tr))
		p.byByte = true
		p.begin()
		for _, path := range []string{"/read", "/each"} {
			id := p.post(path)
			p.data(id, []byte("some "), false)
			p.data(id, nil, false)
			p.data(id, []byte("octets"), false)
			p.data(id, nil, true)
			p.answer(id).want(t, "200", "some octets")
		}
	})
}

// TestStandardClientUploads lets net/http send large bodies.
func TestStandardClientUploads(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{}, bodyRoutes)
	body := pattern(1 << 20)
	forEachTransport(t, func(t *testing.T, tr transport) {
		ts.t = t
		c := ts.client()
		for _, path := range []string{"/read", "/each"} {
			r := ts.do(c, "POST", ts.url(tr, path), bytes.NewReader(body))
			if r.err != nil || r.StatusCode != 200 {
				t.Fatalf("status %d: %v", r.StatusCode, r.err)
			}
			wantSame(t, r.body, body)
			// Of a length that is not declared.
			r = ts.do(c, "POST", ts.url(tr, path), io.MultiReader(bytes.NewReader(body)))
			wantSame(t, r.body, body)
		}
		r := ts.do(c, "POST", ts.url(tr, "/read"), nil)
		r.want(t, 200, "")
	})
}

// TestBodyTooLarge sends bodies beside the limit of ReadBody.
func TestBodyTooLarge(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{MaxBufferedBody: 3000}, bodyRoutes)
	tooLarge := uint64(0)
	for _, tt := range []struct {
		limit, length, most int
		declared, fits      bool
	}{
		{1000, 1000, 5000, false, true},
		{1000, 1000, 5000, true, true},
		{1000, 1000, 300, false, true},
		{1000, 1001, 5000, false, false},
		{1000, 1001, 5000, true, false},
		{1000, 1001, 300, false, false},
		{1000, 200_000, 16384, false, false},
		{1000, 200_000, 16384, true, false},
		{0, 3000, 16384, false, true}, // of Config.MaxBufferedBody
		{0, 3001, 16384, false, false},
		{-1, 3001, 16384, true, false},
	} {
		t.Run(fmt.Sprintf("%+v", tt), func(t *testing.T) {
			p := openOn(t, ts.connect(cleartext))
			var declared []string
			if tt.declared {
				declared = []string{"content-length", strconv.Itoa(tt.length)}
			}
			id := p.post("/read/"+strconv.Itoa(tt.limit), declared...)
			a := p.streams[id]
			body := pattern(tt.length)
			for sent := 0; sent < tt.length && !a.done(); {
				n := min(tt.most, tt.length-sent)
				p.data(id, body[sent:sent+n], sent+n == tt.length)
				sent += n
				p.ping() // windows are wide enough for this
			}
			p.answer(id)
			if tt.fits {
				a.want(t, "200", string(body))
				return
			}
			a.want(t, "413", "Content Too Large\n")
			if a.get("etag") != "" {
				t.Error("413 has a field that was for another answer")
			}
			p.answer(p.post("/early")).want(t, "200", "early") // goes on
			tooLarge++
		})
	}
	eventually(t, "they are counted", func() bool { return ts.srv.Stats().Limits["body"] == tooLarge })
}

// TestBodyTooLargeForStandardClient sees net/http get 413 although it is still
// sending.
func TestBodyTooLargeForStandardClient(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{MaxBufferedBody: 3000}, bodyRoutes)
	forEachTransport(t, func(t *testing.T, tr transport) {
		ts.t = t
		c := ts.client()
		for range 10 {
			r := ts.do(c, "POST", ts.url(tr, "/read/0"), io.MultiReader(bytes.NewReader(pattern(bigLen))))
			r.want(t, 413, "Content Too Large\n")
		}
	})
}

// TestBodyDiscarded has a handler want no body: the peer may send it all the
// same, without end, and gets its credit back.
func TestBodyDiscarded(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{}, bodyRoutes)
	p := ts.open(cleartext)
	rnd := rand.New(rand.NewPCG(1, 2))
	id := p.post("/ignore")
	sendPieces(p, id, pattern(bigLen), 16384, rnd)
	p.ping()
	if a := p.streams[id]; a.done() || a.fields != nil {
		t.Error("answered")
	}
	// The connection's window is whole again.
	if got := 65535 + p.granted - p.uploaded; got < 512<<10 {
		t.Errorf("%d octets of credit are left", got)
	}
}

// TestEarlyAnswer answers before the body has come: the answer is whole, and a
// reset without an error follows (RFC 9113, Section 8.1).
func TestEarlyAnswer(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{}, bodyRoutes)
	p := ts.open(cleartext)
	id := p.post("/early")
	a := p.answer(id)
	a.want(t, "200", "early")
	p.until("RST_STREAM", func() bool { return a.reset })
	if a.code != frames.ErrCodeNo {
		t.Errorf("reset with %v, want NO_ERROR", a.code)
	}
	for range 8 { // what was on its way does no harm, and is given back
		p.data(id, pattern(16384), false)
	}
	p.ping()
	if got := 65535 + p.granted; got < 1<<20 {
		t.Errorf("%d octets of credit in all, want more", got)
	}
	p.answer(p.post("/early")).want(t, "200", "early")
}

// TestAfterBody answers when the body has ended.
func TestAfterBody(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{}, bodyRoutes)
	p := ts.open(cleartext)
	id := p.headers("POST", "/after", true)
	p.flush()
	p.answer(id).want(t, "200", "after")

	id = p.post("/after")
	p.data(id, pattern(10_000), false)
	p.ping()
	if p.streams[id].fields != nil {
		t.Error("answered before the end")
	}
	p.data(id, nil, true)
	a := p.answer(id)
	a.want(t, "200", "after")
	if a.reset {
		t.Error("a reset follows")
	}

	id = p.post("/after", "expect", "100-continue", "content-length", "10")
	a = p.answer(id)
	a.want(t, "200", "after")
	if len(a.interim) > 0 {
		t.Error("100 although nobody wants the body")
	}
}

// TestExpectContinue sees 100 sent when the body is asked for, and only then
// (RFC 9110, Section 10.1.1).
func TestExpectContinue(t *testing.T) {
	t.Parallel()
	handles := make(chan loop.Async, 1)
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		bodyRoutes(srv)
		srv.Handle("POST /late", func(x *loop.Exchange) { handles <- x.Async() })
	})
	p := ts.open(cleartext)
	expect := []string{"expect", "100-Continue"}

	for _, path := range []string{"/read", "/each"} {
		id := p.post(path, expect...)
		a := p.streams[id]
		p.until("100", func() bool { return len(a.interim) == 1 })
		if s := fieldOf(a.interim[0], ":status"); s != "100" || len(a.interim[0]) != 1 {
			t.Errorf("interim response %v", a.interim[0])
		}
		p.data(id, []byte("body"), true)
		p.answer(id).want(t, "200", "body")
		if len(a.interim) != 1 {
			t.Errorf("%d interim responses", len(a.interim))
		}
	}

	// Nobody asks.
	a := p.answer(p.post("/early", expect...))
	a.want(t, "200", "early")
	if len(a.interim) > 0 {
		t.Error("100 although nobody asked for the body")
	}

	// Too much is announced.
	a = p.answer(p.post("/read/10", "expect", "100-continue", "content-length", "11"))
	a.want(t, "413", "Content Too Large\n")
	if len(a.interim) > 0 {
		t.Error("100 before 413")
	}

	// No body at all.
	id := p.headers("POST", "/read", true, expect...)
	p.flush()
	a = p.answer(id)
	a.want(t, "200", "")
	if len(a.interim) > 0 {
		t.Error("100 for a request that has ended")
	}

	// Asked for later, from elsewhere.
	id = p.post("/late", expect...)
	a = p.streams[id]
	handle := wait(t, "the handle", handles)
	p.ping()
	if len(a.interim) > 0 {
		t.Error("100 before the body was asked for")
	}
	err := handle.Do(func(x *loop.Exchange) {
		_ = x.ReadBody(0, func(x *loop.Exchange, body []byte) { _ = x.Send(200, body) })
	})
	if err != nil {
		t.Fatal(err)
	}
	p.until("100", func() bool { return len(a.interim) == 1 })
	p.data(id, []byte("late body"), true)
	p.answer(id).want(t, "200", "late body")

	// A client that does not wait.
	id = p.post("/read", expect...)
	p.data(id, []byte("at once"), true)
	p.answer(id).want(t, "200", "at once")
}

// TestTooLateForBody asks for a body of which a part was thrown away: that must
// not look like a whole one.
func TestTooLateForBody(t *testing.T) {
	t.Parallel()
	handles := make(chan loop.Async, 1)
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.Handle("POST /", func(x *loop.Exchange) { handles <- x.Async() })
	})
	p := ts.open(cleartext)
	for _, end := range []bool{false, true} {
		id := p.post("/")
		handle := wait(t, "the handle", handles)
		p.data(id, []byte("lost"), end)
		p.ping()
		err := handle.Do(func(x *loop.Exchange) {
			read := x.ReadBody(0, func(*loop.Exchange, []byte) { t.Error("ReadBody yields a body") })
			each := x.OnBody(func(*loop.Exchange, []byte, bool) { t.Error("OnBody yields a body") })
			if !errors.Is(read, loop.ErrBodyGone) || !errors.Is(each, loop.ErrBodyGone) {
				t.Errorf("ReadBody: %v, OnBody: %v", read, each)
			}
			_ = x.SendString(200, "sorry")
		})
		if err != nil {
			t.Fatal(err)
		}
		p.answer(id).want(t, "200", "sorry")
	}
}

// TestRequestTrailers sees the trailer fields when the body has ended
// (RFC 9113, Section 8.1).
func TestRequestTrailers(t *testing.T) {
	t.Parallel()
	trailers := func(x *loop.Exchange) {
		var all []string
		for name, value := range x.Trailers {
			all = append(all, name+"="+value)
		}
		_ = x.SendString(200, strings.Join(all, " "))
	}
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.Handle("POST /read", func(x *loop.Exchange) {
			_ = x.ReadBody(0, func(x *loop.Exchange, _ []byte) { trailers(x) })
		})
		srv.Handle("POST /each", func(x *loop.Exchange) {
			_ = x.OnBody(func(x *loop.Exchange, _ []byte, end bool) {
				for name := range x.Trailers {
					if !end {
						t.Errorf("trailer %s before the end", name)
					}
				}
				if end {
					trailers(x)
				}
			})
		})
		srv.Handle("POST /after", func(x *loop.Exchange) { x.AfterBody(trailers) })
	})
	p := ts.open(overTLS)
	for _, path := range []string{"/read", "/each", "/after"} {
		id := p.post(path)
		p.data(id, []byte("body"), false)
		p.trailers(id, "x-sum", "1", "x-sum", "2", "x-other", "")
		p.answer(id).want(t, "200", "x-sum=1 x-sum=2 x-other=")

		id = p.post(path)
		p.trailers(id, "x-only", "trailers")
		p.answer(id).want(t, "200", "x-only=trailers")
	}
}

// TestSection8_1_1_ContentLength sends bodies that are not as long as was said:
// no callback sees them as whole.
func TestSection8_1_1_ContentLength(t *testing.T) {
	t.Parallel()
	var bodies int
	ts := newServer(t, loop.Config{Loops: 1}, func(srv *loop.Server) {
		srv.Handle("POST /", func(x *loop.Exchange) {
			_ = x.ReadBody(0, func(x *loop.Exchange, body []byte) {
				bodies++
				_ = x.Send(200, body)
			})
		})
		srv.Handle("GET /bodies", func(x *loop.Exchange) { _ = x.SendString(200, strconv.Itoa(bodies)) })
	})
	p := ts.open(cleartext)
	for _, body := range []string{"", "four", "sixsix"} {
		id := p.post("/", "content-length", "5")
		p.data(id, []byte(body), true)
		p.answer(id).wantReset(t, frames.ErrCodeProtocol)
	}
	p.fetch("/bodies").want(t, "200", "0")
}

// TestBodyFuncBehindCallback has callbacks for bodies run once the handler has returned,
// also where there is no body, and where another callback is around the handler.
func TestBodyFuncBehindCallback(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.Use(func(next loop.Handler) loop.Handler {
			return func(x *loop.Exchange) {
				_ = x.AddHeader("x-order", "middleware")
				next(x)
				_ = x.AddHeader("x-order", "middleware returns")
			}
		})
		srv.Handle("/on", func(x *loop.Exchange) {
			if err := x.OnBody(func(x *loop.Exchange, p []byte, end bool) {
				_ = x.AddHeader("x-order", fmt.Sprintf("%q %v", p, end))
				if end {
					_ = x.Send(200, nil)
				}
			}); err != nil {
				t.Error(err)
			}
			_ = x.AddHeader("x-order", "returns")
		})
		srv.Handle("/read", func(x *loop.Exchange) {
			if err := x.ReadBody(0, func(x *loop.Exchange, p []byte) {
				_ = x.AddHeader("x-order", fmt.Sprintf("%q true", p))
				_ = x.Send(200, nil)
			}); err != nil {
				t.Error(err)
			}
			_ = x.AddHeader("x-order", "returns")
		})
		srv.Handle("/silent", func(x *loop.Exchange) { _ = x.OnBody(func(*loop.Exchange, []byte, bool) {}) })
	})
	ts.expectLog("callback returned without answering")
	for _, version := range []string{overH1, overH2} {
		c := versionClient(t, version)
		for _, path := range []string{"/on", "/read"} {
			for _, body := range []string{"", "body"} {
				resp, err := c.Post(ts.url(cleartext, path), "", strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				_ = resp.Body.Close()
				got := strings.Join(resp.Header["X-Order"], ", ")
				if want := `middleware, returns, middleware returns, "` + body + `" true`; got != want && body == "" || !strings.HasPrefix(got, "middleware, returns, middleware returns") {
					t.Errorf("%s %s %q: %s", version, path, body, got)
				}
			}
		}
		resp, err := c.Get(ts.url(cleartext, "/silent"))
		if err != nil || resp.StatusCode != 500 {
			t.Errorf("%v, %v", resp, err)
		}
		_ = resp.Body.Close()
	}
}
